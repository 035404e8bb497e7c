"""Registries with faults, signatures, and which snapshot is exported."""
import contextlib
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
from test_pot_image import entry, make_image, nothing_imported, skein

SIGNIFY = shutil.which("signify-openbsd") or shutil.which("signify")


def noise(megabytes, seed=0):
    return random.Random(seed).randbytes(megabytes << 20)


def put(m, pot, path, text):
    (m.dir / "text").write_text(text)
    m.pot("copy-in", "-p", pot, "-s", m.dir / "text", "-d", path, "-c")


def export(m, pot, tag, registry, *options):
    m.pot("export", "-p", pot, "-t", tag, "-D", registry, "-l", "0", "-A", *options)


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
    # A key with a passphrase: signify asks for it, and where there is no terminal it is refused before anything is made.
    m.run("setsid", "-w", "sh", "-c", f"(echo secret; echo secret) | {SIGNIFY} -G -p {m.dir}/p.pub -s {m.dir}/p.sec")
    argv = [BIN / "pot", "export", "-p", "web_1_0", "-D", registry, "-S", m.dir / "p.sec", "-l", "0", "-F"]
    refused = m.try_run("setsid", "-w", *argv, "-t", "9")
    assert refused.returncode == 1 and "passphrase" in refused.stdout, refused
    assert on_terminal(m, [*argv, "-t", "8"], "passphrase", "wrong")[0] == 1
    code, said = on_terminal(m, [*argv, "-t", "7"], "passphrase", "secret")
    assert code == 0, said
    m.run(SIGNIFY, "-V", "-p", m.dir / "p.pub", "-m", registry / "web_1_0_7.xz.skein")
    assert not list(registry.glob("*_8*"))
    m.pot_fails("export", "-p", "web_1_0", "-t", "9", "-D", registry, "-S", public, says="secret key")
    assert not list(registry.glob("*_9*")) and not list(registry.glob(".*"))


def on_terminal(m, argv, asked, typed):
    """Runs a command on a terminal of its own, where a line is typed when it asks; its exit code, and what it said."""
    m.write_conf()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe("nsenter", [*map(str, [*m.holder.enter, *argv])], m.env)
    said = ""
    with contextlib.suppress(OSError):  # how the end of a terminal is told
        while part := os.read(terminal, 4096).decode():
            said += part
            if typed and asked in said:
                os.write(terminal, typed.encode() + b"\n")
                typed = None
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


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


@pytest.mark.parametrize("faults", [{"none": True}, {"no_ranges": True, "cut": 100000}], ids=["none", "cut"])
def test_a_registry_that_never_gives_it_all_is_given_up(machine, faults):
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry", entries=[entry("m/noise", data=noise(2))]))
    server.faults(**faults)
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", server.url, says="get http")
    assert len(server.asked()) < 20
    nothing_imported(m)


def test_a_silent_registry_can_be_left(machine):
    """By Ctrl-C and the like, at once: long before the silence itself counts as an end."""
    m = machine
    server = Registry(m, make_image(m, m.dir / "registry"))
    server.faults(silent=True)
    child = m.popen(BIN / "pot", "import", "-p", "web", "-t", "1.0", "-U", server.url, stdout=-1, stderr=-3, text=True)
    wait_until(server.asked, what="the request")
    child.terminate()
    assert child.wait(timeout=10) == 1 and "interrupted" in child.stdout.read()
    nothing_imported(m)


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
