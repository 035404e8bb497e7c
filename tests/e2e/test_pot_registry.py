"""Images in width: layers, signatures, registries with faults, and which snapshot is exported."""
import os
import pathlib
import pty
import random
import shutil
import signal
import subprocess

import pytest

from machine import BIN, wait_until
from registry import Registry
from test_pot_datasets import answers_as_zfs
from test_pot_image import entry, make_image, nothing_imported, skein

SIGNIFY = shutil.which("signify-openbsd") or shutil.which("signify")


def noise(megabytes, seed=0):
    return random.Random(seed).randbytes(megabytes << 20)


def put(m, pot, path, text):
    (m.dir / "text").write_text(text)
    m.pot("copy-in", "-p", pot, "-s", m.dir / "text", "-d", path, "-c")


def export(m, pot, tag, registry, *options):
    m.pot("export", "-p", pot, "-t", tag, "-D", registry, "-l", "0", "-A", *options)


def tree(m, pot):
    """All of a stopped pot's files, by what a command inside sees."""
    m.pot("set-cmd", "-p", pot, "-c", "sh -c 'find / -xdev -path /tmp -prune -o -type f -print0 | sort -z | xargs -0 md5sum; "
                                      "find / -xdev | sort | xargs stat -c \"%n %f %u %g\"'")
    m.pot("set-attr", "-p", pot, "-A", "persistent", "-V", "NO")
    lines = m.pot("start", pot).splitlines()
    skip = ("/etc/hosts", "/etc/resolv.conf", "/dev", "/proc", "/sys", "/tmp")
    return [line for line in lines if not any(word.startswith(skip) for word in line.split())]


@pytest.fixture(params=["overlay", "btrfs", "zfs"])
def any_machine(request, bare):
    """A machine after pot init on each backend in turn."""
    if request.param == "btrfs":
        bare.btrfs_volume()
    if request.param == "zfs":
        answers_as_zfs(bare)
    bare.init()
    bare.make_base()
    return bare


# ---- layers ----

def test_layers(any_machine):
    m = any_machine
    registry = m.dir / "registry"
    registry.mkdir()
    m.make_pot("base")
    for name in ("keep", "change", "gone", "dir/one", "dir/two", "was-dir/x", "was-file"):
        put(m, "base", f"/srv/{name}", f"{name} of base\n")
    m.pot("snapshot", "-p", "base")
    m.pot("clone", "-p", "top", "-P", "base")
    m.pot_fails("export", "-p", "top", "-t", "2.0", "-D", registry, "-A", says="which was never exported")
    export(m, "base", "1.0", registry)
    m.pot("set-attr", "-p", "top", "-A", "persistent", "-V", "NO")
    m.pot("set-cmd", "-p", "top", "-c",
          "sh -c 'cd /srv; echo changed >change; rm gone; rm -r dir/one was-dir was-file; mkdir was-file; echo x >was-dir;"
          " echo in >was-file/in; echo new >dir/new; ln dir/new dir/same; ln -s keep link; mkdir -p a/b; chmod 700 a; echo c >a/b/c'")
    m.pot("start", "top")
    export(m, "top", "2.0", registry)
    meta = (registry / "top_2.0.xz.meta").read_text().splitlines()
    assert meta[0].startswith("base:1.0@")
    if "POT_ZFS_COMMAND" not in m.conf:  # what stands in for it copies files, so that all look changed
        assert (registry / "top_2.0.xz").stat().st_size < (registry / "base_1.0.xz").stat().st_size / 4
    export(m, "top", "2.1", registry, "-w")
    assert (registry / "top_2.1.xz.meta").read_text().startswith("-\n")
    wanted = tree(m, "top")
    m.pot("destroy", "-p", "top")
    m.pot("destroy", "-p", "base")

    # The image below comes by itself, from the same registry.
    m.pot("import", "-p", "top", "-t", "2.0", "-U", registry)
    assert m.pot("ls", "-q") == "base_1_0\ntop_2_0\n"
    assert tree(m, "top_2_0") == wanted
    m.pot("import", "-p", "top", "-t", "2.1", "-U", registry)
    assert tree(m, "top_2_1") == wanted

    # A layer upon an imported image refers to that image by its own name, so chains go on.
    m.pot("clone", "-p", "third", "-P", "top_2_0")
    put(m, "third", "/srv/third", "third\n")
    export(m, "third", "3.0", registry)
    assert (registry / "third_3.0.xz.meta").read_text().startswith("top:2.0@")
    wanted = tree(m, "third")
    for pot in ("third", "top_2_0", "top_2_1", "base_1_0"):
        m.pot("destroy", "-p", pot)
    m.pot("import", "-p", "third", "-t", "3.0", "-U", registry)
    assert m.pot("ls", "-q") == "base_1_0\nthird_3_0\ntop_2_0\n"
    assert tree(m, "third_3_0") == wanted
    m.pot("clone", "-p", "fourth", "-P", "third_3_0")
    assert m.pot("start", "fourth") != ""


def test_a_layer_needs_what_is_below(machine):
    m = machine
    registry = m.dir / "registry"
    registry.mkdir()
    m.make_pot("base")
    export(m, "base", "1.0", registry)
    m.pot("clone", "-p", "top", "-P", "base")
    put(m, "top", "/srv/x", "x\n")
    export(m, "top", "2.0", registry)
    m.pot("destroy", "-p", "top")
    m.pot("destroy", "-p", "base")
    (registry / "base_1.0.xz").rename(m.dir / "away.xz")
    (registry / "base_1.0.xz.skein").rename(m.dir / "away.skein")
    m.pot_fails("import", "-p", "top", "-t", "2.0", "-U", registry, says="no image of pot base with tag 1.0")
    nothing_imported(m)
    # Another image of that name, without the snapshot.
    make_image(m, registry, name="base")
    m.pot_fails("import", "-p", "top", "-t", "2.0", "-U", registry, says="has no such snapshot")
    assert m.pot("ls", "-q") == "base_1_0\n"
    # One that refers to itself ends.
    make_image(m, registry, name="loop", meta="loop:1.0@17\n")
    m.pot_fails("import", "-p", "loop", "-t", "1.0", "-U", registry, says="is a layer upon itself")
    assert m.pot("ls", "-q") == "base_1_0\n"


def test_layers_are_fetched_at_the_same_time(machine):
    m = machine
    registry = make_image(m, m.dir / "registry", name="base", meta="-\nsnapshot=17\n",
                          entries=[entry("m/noise", data=noise(2))])
    make_image(m, registry, name="middle", meta="base:1.0@17\nsnapshot=18\n")
    make_image(m, registry, name="top", meta="middle:1.0@18\n")
    server = Registry(m, registry)
    server.faults(drip=0.001)
    m.pot("import", "-p", "top", "-t", "1.0", "-U", server.url)
    # Each once; the small ones upon it have come before the big one below them, which is put in place first.
    assert [name for name, _, _ in server.asked()][-1] == "base_1.0.xz"
    assert m.pot("ls", "-q") == "base_1_0\nmiddle_1_0\ntop_1_0\n"
    for pot in ("top_1_0", "middle_1_0", "base_1_0"):
        m.pot("destroy", "-p", pot)
    m.pot("import", "-p", "top", "-t", "1.0", "-U", server.url)
    assert server.asked() == []


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "etc/../../evil", "way/evil"])
def test_a_layer_removes_beneath_its_root_only(machine, name):
    m = machine
    registry = m.dir / "registry"
    registry.mkdir()
    victim = m.dir / "victim"
    victim.mkdir()
    (victim / "evil").write_text("stays\n")
    make_image(m, registry, name="base", tag="1.0", meta="-\nsnapshot=17\n",
               entries=[entry("m/way", b"2", str(victim))])
    make_image(m, registry, name="top", tag="1.0", meta="base:1.0@17\n",
               files=[("removed", name + "\0")])
    result = m.try_pot("import", "-p", "top", "-t", "1.0", "-U", registry)
    assert result.returncode == 1 and "remove" in result.stdout, result.stdout
    assert (victim / "evil").exists()
    assert m.pot("ls", "-q") == "base_1_0\n"
    assert m.pot_json("doctor", "-n") == []


# ---- signatures ----

def keys(m, name):
    m.run(SIGNIFY, "-G", "-n", "-p", m.dir / f"{name}.pub", "-s", m.dir / f"{name}.sec")
    return m.dir / f"{name}.pub", m.dir / f"{name}.sec"


@pytest.mark.skipif(SIGNIFY is None, reason="signify is missing: install signify-openbsd")
def test_signatures(machine):
    m = machine
    registry = m.dir / "registry"
    registry.mkdir()
    public, secret = keys(m, "k")
    other, _ = keys(m, "other")
    m.make_pot("web")
    export(m, "web", "1.0", registry, "-S", secret)
    # signify itself accepts what we sign, and we accept what it signs.
    m.run(SIGNIFY, "-V", "-p", public, "-m", registry / "web_1.0.xz.skein")
    export(m, "web", "2.0", registry)
    m.run(SIGNIFY, "-S", "-s", secret, "-m", registry / "web_2.0.xz.skein")
    put(m, "web", "/srv/x", "another image\n")
    export(m, "web", "3.0", registry, "-n")
    m.pot("destroy", "-p", "web")
    for tag in ("1.0", "2.0"):
        m.pot("import", "-p", "web", "-t", tag, "-U", registry, "-C", public)
        m.pot_fails("import", "-p", "web", "-t", tag, "-U", registry, "-C", public, says="exists already")
        m.pot("destroy", "-p", "web_" + tag.replace(".", "_"))
        m.pot_fails("import", "-p", "web", "-t", tag, "-U", registry, "-C", other, says="was not made with the key")
    m.pot_fails("import", "-p", "web", "-t", "3.0", "-U", registry, "-C", public, says="is not signed")
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", registry, "-C", m.dir / "absent", says="absent")
    (registry / "web_3.0.xz.skein.sig").write_bytes((registry / "web_1.0.xz.skein.sig").read_bytes())
    m.pot_fails("import", "-p", "web", "-t", "3.0", "-U", registry, "-C", public, says="signature is wrong")
    nothing_imported(m)

    # The default key, and the policy.
    m.conf["POT_DEFAULT_SIGNATURE_PUBKEY"] = str(public)
    m.pot_fails("import", "-p", "web", "-t", "3.0", "-U", registry, says="signature is wrong")
    m.pot("import", "-p", "web", "-t", "3.0", "-U", registry, "-C", "")
    m.pot("import", "-p", "web", "-t", "1.0", "-U", registry)
    m.conf["POT_SIGNATURES"] = "require"
    m.pot_fails("import", "-p", "web", "-t", "2.0", "-U", registry, "-C", "", says="POT_SIGNATURES")
    m.pot("prepare", "-p", "web", "-t", "2.0", "-U", registry, "-a", "a", "-n", "task")
    m.pot_fails("prepare", "-p", "web", "-t", "4.0", "-U", registry, "-a", "b", "-C", other)
    assert m.pot("ls", "-q") == "task_a\nweb_1_0\nweb_2_0\nweb_3_0\n"
    # A key with a passphrase is refused before anything is made.
    m.run("sh", "-c", f"(echo secret; echo secret) | {SIGNIFY} -G -p {m.dir}/p.pub -s {m.dir}/p.sec")
    m.pot_fails("export", "-p", "web_1_0", "-t", "9", "-D", registry, "-S", m.dir / "p.sec", says="passphrase")
    m.pot_fails("export", "-p", "web_1_0", "-t", "9", "-D", registry, "-S", public, says="secret key")
    assert not list(registry.glob("*_9*")) and not list(registry.glob(".*"))


# ---- registries ----

def test_downloads_go_on_where_they_stopped(machine):
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry", entries=[entry("m/noise", data=noise(10))]))
    size = (server.dir / "web_1.0.xz").stat().st_size
    server.faults(cut=1500000)
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    asked = server.asked()
    # Each connection was cut short, and nothing that arrived was asked for again but by whole pieces.
    assert len(asked) > 5 and sum(sent for _, _, sent in asked) < size * 1.2
    m.pot("destroy", "-p", "web_1_0")
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    assert server.asked() == []

    # A pot that is killed leaves what has arrived to the next one.
    make_image(m, server.dir, tag="2.0", entries=[entry("m/noise", data=noise(10, 1))])
    server.faults(drip=0.001)
    child = m.popen(BIN / "pot", "import", "-p", "web", "-t", "2.0", "-U", server.url, stdout=-3, stderr=-3)
    cache = pathlib.Path(m.conf["POT_CACHE"])
    wait_until(lambda: any(p.read_bytes()[17:].count(b"+") > 2 for p in cache.rglob(".part.*.have")), what="some megabytes")
    child.kill()
    child.wait()
    wait_until(lambda: not [w for w in m.processes().values() if "pot-image" in w], what="the end of pot-image")
    server.faults()
    server.asked()
    m.pot("import", "-p", "web", "-t", "2.0", "-U", server.url)
    assert sum(sent for _, _, sent in server.asked()) < (server.dir / "web_2.0.xz").stat().st_size - 2000000
    assert not list(cache.rglob(".part.*"))


def test_big_images_come_over_several_connections(machine):
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry", entries=[entry("m/noise", data=noise(18))]))
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    ranges = [where for _, where, _ in server.asked()]
    assert len(ranges) >= 3 and ranges[0] == "0-8388607" and None not in ranges
    # A server without ranges will do as well.
    m.pot("destroy", "-p", "web_1_0")
    shutil.rmtree(m.conf["POT_CACHE"])
    server.faults(no_ranges=True)
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    assert len(server.asked()) == 1


def test_a_registry_that_fails(machine):
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry"))
    server.faults(status=500)
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", server.url, says="HTTP status 500")
    server.faults(cut=0)
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", server.url, says="ended early")
    server.faults()
    (server.dir / "web_1.0.xz").unlink()
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", server.url, says="there is no such file")
    nothing_imported(m)
    assert not list(pathlib.Path(m.conf["POT_CACHE"]).rglob("*.xz"))


def test_an_image_published_anew_is_noticed(machine):
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry", entries=[entry("m/told", data=b"old")]))
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    m.pot("destroy", "-p", "web_1_0")
    make_image(m, server.dir, entries=[entry("m/told", data=b"new"), entry("m/bin/busybox", data=b"")])
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    assert [p.read_text() for p in pathlib.Path(m.conf["POT_FS_ROOT"]).rglob("told")] == ["new"]
    m.pot("destroy", "-p", "web_1_0")

    # A damaged copy in the cache is fetched again, once.
    server.asked()
    copy = next(pathlib.Path(m.conf["POT_CACHE"]).rglob("web_1.0.xz"))
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    assert len(server.asked()) == 1 and copy.read_bytes() == (server.dir / "web_1.0.xz").read_bytes()


def test_a_killed_helper_leaves_nothing(machine):
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry", entries=[entry("m/noise", data=noise(4))]))
    server.faults(drip=0.01)
    child = m.popen(BIN / "pot", "import", "-p", "web", "-t", "1.0", "-U", server.url, stdout=-1, stderr=-3, text=True)
    cache = pathlib.Path(m.conf["POT_CACHE"])
    wait_until(lambda: list(cache.rglob(".part.*.have")), what="the download")
    pid = wait_until(lambda: [p for p, words in m.processes().items() if words.startswith("pot-image")], what="pot-image")[0]
    os.kill(pid, signal.SIGKILL)
    assert "killed by signal 9" in child.stdout.read() and child.wait() == 1
    nothing_imported(m)


def test_progress_on_a_terminal(machine):
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry", entries=[entry("m/noise", data=noise(2))]))
    server.faults(drip=0.001)
    ours, theirs = pty.openpty()
    child = m.popen(BIN / "pot", "import", "-p", "web", "-t", "1.0", "-U", server.url, stdout=-1, stderr=theirs, text=True)
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 4096):
            text += chunk
    except OSError:
        pass  # the other end was closed
    os.close(ours)
    assert child.wait() == 0 and child.stdout.read() == "===>  web_1_0 imported\n"
    assert b"import" in text and b"/s  0:0" in text and text.endswith(b"\x1b[K")
    # Without a terminal there is none of it.
    m.pot("destroy", "-p", "web_1_0")
    assert m.try_pot("import", "-p", "web", "-t", "1.0", "-U", server.url).stderr == ""


# ---- kinds of images ----

def test_images_of_other_kinds_are_refused_by_name(machine):
    m = machine
    registry = make_image(m, m.dir / "registry", meta="-\nformat=zfs\n")
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", registry, says="is a ZFS stream")
    # As pot itself writes them, without a word in the meta file.
    stream = bytes(8) + bytes([0xac, 0xcb, 0xba, 0xf5, 2, 0, 0, 0]) + bytes(100000)
    data = subprocess.run(["xz", "-c"], input=stream, capture_output=True, check=True).stdout
    (registry / "web_2.0.xz").write_bytes(data)
    (registry / "web_2.0.xz.meta").write_bytes(b"-\n")
    (registry / "web_2.0.xz.skein").write_text(skein(m, data + b"-\n") + "\n")
    m.pot_fails("import", "-p", "web", "-t", "2.0", "-U", registry, says="is a ZFS stream")
    make_image(m, registry, tag="3.0", meta="-\nformat=pax\nos=freebsd\narch=amd64\n")
    m.pot_fails("import", "-p", "web", "-t", "3.0", "-U", registry, says="is made for freebsd")
    make_image(m, registry, tag="4.0", meta="-\nformat=cpio\n")
    m.pot_fails("import", "-p", "web", "-t", "4.0", "-U", registry, says="cpio")
    nothing_imported(m)
    make_image(m, registry, tag="5.0", meta="-\nformat=pax\narch=pdp11\nlater=unknown\n")
    assert "pdp11" in m.pot("import", "-p", "web", "-t", "5.0", "-U", registry)


def test_on_zfs_images_are_its_streams(bare):
    """As pot has them, so that pot can read them, and the other way round; what stands in for zfs only passes names."""
    m = bare
    answers_as_zfs(m)
    m.init()
    m.make_base()
    registry = m.dir / "registry"
    registry.mkdir()
    # A pot with a root of its own; one that shares a base's is an archive, as everywhere.
    make_image(m, registry, name="img", tag="1", meta="-\nformat=pax\nsnapshot=17\n", entries=[entry("m/x")])
    m.pot("import", "-p", "img", "-t", "1", "-U", registry)
    put(m, "img_1", "/srv/page", "page\n")
    m.pot("export", "-p", "img_1", "-t", "2", "-D", registry, "-l", "0", "-n")
    assert (registry / "img_1_2.xz.meta").read_text() == "-\n"
    stream = m.run("xz", "-dc", registry / "img_1_2.xz", text=False)
    assert stream[8:13] == bytes([0xac, 0xcb, 0xba, 0xf5, 2])
    m.pot("export", "-p", "img_1", "-t", "3", "-D", registry, "-l", "0", "-F", "-x")
    assert (registry / "img_1_3.xz.meta").read_text().startswith("-\nformat=pax\n")
    make_image(m, registry, name="none", tag="1")
    m.pot_fails("import", "-p", "none", "-t", "1", "-U", registry, says="is no ZFS stream")

    # And back, with a layer upon it.
    m.pot("import", "-p", "img_1", "-t", "2", "-U", registry)
    newest = m.pot_json("info", "-p", "img_1")["snapshots"][-1]
    assert newest in m.pot_json("info", "-p", "img_1_2")["snapshots"]
    m.pot("clone", "-p", "top", "-P", "img_1_2", "-s", newest)
    put(m, "top", "/srv/more", "more\n")
    m.pot("export", "-p", "top", "-t", "1", "-D", registry, "-l", "0", "-A")
    assert (registry / "top_1.xz.meta").read_text() == f"img_1:2@{newest}\n"
    m.pot("import", "-p", "top", "-t", "1", "-U", registry)
    assert m.pot("ls", "-q") == "img_1\nimg_1_2\ntop\ntop_1\n"
    assert m.pot_json("info", "-p", "top_1")["hostname"].startswith("top_1")
    root = pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails/top_1/m"
    assert (root / "srv/page").read_text() == "page\n" and (root / "srv/more").read_text() == "more\n"

    # A stream that is damaged, or that the receiver refuses, leaves nothing.
    image = registry / "img_1_2.xz"
    data = bytearray(image.read_bytes())
    data[-20] ^= 1
    image.write_bytes(data)
    for pot in ("top_1", "top", "img_1_2"):
        m.pot("destroy", "-p", pot)
    m.pot_fails("import", "-p", "img_1", "-t", "2", "-U", registry, says="checksum is wrong")
    bad = bytes(8) + bytes([0xac, 0xcb, 0xba, 0xf5, 2, 0, 0, 0]) + b"zroot/pot/jails/nobody@1\n"
    make_image(m, registry, name="bad", tag="1", raw=bad)
    m.pot_fails("import", "-p", "bad", "-t", "1", "-U", registry, says="zfs receive")
    assert m.pot("ls", "-q") == "img_1\n"
    assert m.pot_json("doctor", "-n") == []


# ---- which snapshot ----

def test_what_is_exported(machine):
    m = machine
    out = m.dir / "out"
    out.mkdir()
    m.make_pot("web")
    put(m, "web", "/state", "one\n")
    m.pot_fails("export", "-p", "web", "-D", out, says="has no snapshot")
    m.pot_fails("export", "-p", "web", "-D", out, "-F", says="has no snapshot")
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.2", "-D", out, "-A")
    put(m, "web", "/state", "two\n")

    def state(tag):
        m.pot("import", "-p", "web", "-t", tag, "-U", out)
        pot = "web_" + tag.replace(".", "_")
        m.pot("set-cmd", "-p", pot, "-c", "cat /state")
        m.pot("set-attr", "-p", pot, "-A", "persistent", "-V", "NO")
        text = m.pot("start", pot)
        m.pot("destroy", "-p", pot)
        return text

    # The snapshot that is there is exported, not the current state, unless one is asked for.
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.3", "-D", out, "-A")
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.4", "-D", out)
    assert [state(tag) for tag in ("1.2", "1.3", "1.4")] == ["one\n"] * 3
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.5", "-D", out, "-n")
    assert state("1.5") == "two\n"
    m.pot_fails("export", "-p", "web", "-t", "1.6", "-D", out, says="has 2 snapshots")
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.6", "-D", out, "-F")
    assert len(m.pot_json("info", "-p", "web")["snapshots"]) == 2
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.10", "-D", out, "-A")
    assert len(m.pot_json("info", "-p", "web")["snapshots"]) == 1
    # Versions.
    m.pot_fails("export", "-p", "web", "-t", "1.9", "-D", out, "-c", says="is older than 1.10")
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.10", "-D", out, "-c")
    m.pot("snapshot", "-p", "web", "-r")
    m.pot_fails("export", "-p", "web", "-t", "1.10", "-D", out, "-c", says="already")
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.11", "-D", out, "-c", "-A")
    # A pot may run meanwhile, when no snapshot must be taken.
    m.start("web")
    m.pot("export", "-l", "0", "-p", "web", "-t", "1.12", "-D", out)
    m.pot_fails("export", "-p", "web", "-t", "1.13", "-D", out, "-n", says="is running")
    m.pot("stop", "web")
    assert state("1.12") == "two\n"
    assert not list(out.glob("*1.13*")) and not list(out.glob(".*"))
    without_tag = m.pot_json("export", "-p", "web", "-D", out)["path"]
    assert pathlib.Path(without_tag).name == f"web_{m.pot_json('info', '-p', 'web')['snapshots'][0]}.xz"
