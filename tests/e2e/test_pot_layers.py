"""Layered images on each dataset backend, and ZFS's own streams."""
import pathlib
import time

import pytest
from machine import wait_until

from registry import Registry
from test_pot_image import entry, make_image, nothing_imported
from test_pot_registry import export, noise, put


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
    bare.on(request.param)
    bare.init()
    bare.make_base()
    return bare


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
    # Another image of that name, without the snapshot: those are named by the second.
    exported = int(time.time())
    wait_until(lambda: int(time.time()) > exported, what="another second")
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


def test_on_zfs_images_are_its_streams(bare):
    """As pot has them, so that pot can read them, and the other way round; what stands in for zfs only passes names."""
    m = bare
    m.zfs()
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
    assert m.run("cat", root / "srv/page", root / "srv/more") == "page\nmore\n"

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
