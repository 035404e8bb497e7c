"""Files of pots: components, mounts, copies in and out, and what a new name changes."""
import os
import pathlib
import struct

import pytest
from test_pot_types import fscomp_conf, multi, sh

KINDS = ["single", "multi"]


def make(m, name, kind, *options):
    if kind == "multi":
        return multi(m, name, *options)
    return m.make_pot(name, *options)


def in_dir(m, *argv):
    """A pot command with the test's directory as working directory."""
    return m.run("sh", "-c", 'cd "$0" && exec pot "$@"', m.dir, *argv)


def conf(m, pot):
    return pathlib.Path(m.conf["POT_FS_ROOT"], "jails", pot, "conf", "pot.conf").read_text().splitlines()


def test_components(machine):
    m = machine
    m.pot("create-fscomp", "-f", "www")
    assert "exists already" in m.pot("create-fscomp", "-f", "www")
    m.pot_fails("clone-fscomp", "-F", "www", "-f", "copy", says="snapshot")
    m.pot_fails("clone-fscomp", "-F", "none", "-f", "copy", says="none")
    m.pot_fails("create-fscomp", "-f", "a/b", says="a/b")
    m.make_pot("web")
    m.make_pot("reader")
    m.pot("mount-in", "-p", "web", "-f", "www", "-m", "/media/www")
    m.pot("mount-in", "-p", "reader", "-f", "www", "-m", "/media", "-r")
    assert fscomp_conf(m, "web") == ["zroot/pot/fscomp/www /media/www"]
    assert fscomp_conf(m, "reader") == ["zroot/pot/fscomp/www /media ro"]
    m.make_pot("moved")
    m.pot("mount-in", "-wp", "moved", "-f", "www", "-m", "/media")
    assert fscomp_conf(m, "moved") == ["zroot/pot/fscomp/www /media zfs-remount"]
    m.pot("mount-out", "-p", "moved", "-m", "/media/")
    assert "-r wins" in m.pot("mount-in", "-wrp", "moved", "-z", "zroot/pot/fscomp/www", "-m", "/media")
    assert fscomp_conf(m, "moved") == ["zroot/pot/fscomp/www /media ro"]
    m.pot("destroy", "-p", "moved")
    m.start("web", "reader")
    sh(m, "web", "echo hello > /media/www/page")
    assert sh(m, "reader", "cat /media/page") == "hello\n"
    m.pot_fails("exec", "-p", "reader", "touch", "/media/x", says="Read-only")
    m.pot("snap", "-f", "www")
    m.pot("clone-fscomp", "-F", "www", "-f", "copy")
    sh(m, "web", "echo changed > /media/www/page")
    m.pot("mount-in", "-p", "reader", "-f", "copy", "-m", "/mnt")
    assert sh(m, "reader", "cat /media/page /mnt/page") == "changed\nhello\n"
    assert m.pot("ls", "-qf") == "copy\nwww\n"
    m.pot_fails("destroy", "-f", "www", says="-F")
    m.pot("stop", "web")
    m.pot("stop", "reader")
    m.pot("destroy", "-f", "copy")
    m.pot_fails("start", "reader", says="copy")
    m.pot("mount-out", "-p", "reader", "-m", "/mnt")
    m.start("reader")
    m.pot("destroy", "-Ff", "www")
    m.pot_fails("destroy", "-f", "www", says="www")
    assert m.pot("ls", "-qf") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_mounts_live_and_kept(machine, kind):
    m = machine
    data = m.dir / "data"
    data.mkdir()
    (data / "x").write_text("x\n")
    (m.dir / "more").mkdir()
    make(m, "web", kind)
    in_dir(m, "mount-in", "-p", "web", "-d", "data", "-m", "/mnt")
    m.pot_fails("mount-in", "-p", "web", "-d", data, "-m", "/media", says="mounted already")
    m.pot_fails("mount-in", "-p", "web", "-d", m.dir / "more", "-m", "/mnt/", says="mount point already")
    for argv in (("-m", "/"), ("-m", "rel"), ("-m", "/a b"), ("-m", "/a/../b"), ("-m", "/media", "-w")):
        m.pot_fails("mount-in", "-p", "web", "-d", m.dir / "more", *argv)
    m.pot_fails("mount-in", "-p", "web", "-d", data, "-f", "www", "-m", "/media", says="exactly one")
    m.pot_fails("mount-out", "-p", "web", "-m", "/media", says="no mount")
    m.make_pot("other")
    m.pot_fails("mount-in", "-p", "web", "-z", "tank/data", "-m", "/media", says="tank/data")
    m.pot_fails("mount-in", "-p", "web", "-z", "zroot/pot/jails/other/n", "-m", "/media", says="other/n")
    m.pot_fails("mount-in", "-p", "web", "-z", "zroot/pot/jails/other/m", "-m", "/media", says="one writer")
    if kind == "multi":
        m.pot_fails("mount-in", "-p", "web", "-d", m.dir / "more", "-m", "/nowhere", says="read-only")
    m.start("web")
    assert sh(m, "web", "cat /mnt/x") == "x\n"
    m.pot("mount-in", "-p", "web", "-d", m.dir / "more", "-m", "/media", "-r")
    (m.dir / "more" / "y").write_text("y\n")
    assert sh(m, "web", "cat /media/y") == "y\n"
    m.pot("mount-out", "-p", "web", "-m", "/mnt")
    assert sh(m, "web", "ls /mnt") == ""
    m.pot("stop", "web")
    m.pot("mount-out", "-p", "web", "-m", "/media")
    m.start("web")
    assert sh(m, "web", "ls /mnt /media") == "/media:\n\n/mnt:\n"
    assert len(fscomp_conf(m, "web")) == (3 if kind == "multi" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_both_ways(machine, kind):
    m = machine
    tree = m.dir / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "f").write_text("content\n")
    (tree / "link").symlink_to("sub/f")
    os.chmod(tree / "sub" / "f", 0o640)
    os.chown(tree / "sub" / "f", 1000, 1000)
    make(m, "web", kind)
    m.pot("copy-in", "-p", "web", "-s", tree, "-d", "/root/new")  # absent: becomes it
    m.pot_fails("copy-in", "-p", "web", "-s", tree, "-d", "/root/a/b", says="-c")
    m.pot("copy-in", "-cp", "web", "-s", tree, "-d", "/root/a/b")
    m.pot_fails("copy-in", "-p", "web", "-s", tree, "-d", "relative", says="absolute")
    m.pot_fails("copy-in", "-p", "web", "-s", m.dir / "none", "-d", "/root", says="none")
    out = m.dir / "out"
    m.pot_fails("copy-out", "-p", "web", "-s", "/root/new", "-d", out, says="out")
    out.mkdir()
    m.pot_fails("copy-out", "-p", "web", "-s", "root/new", "-d", out, says="absolute")
    m.pot_fails("copy-out", "-p", "web", "-s", "/root/none", "-d", out, says="none")
    m.pot_fails("copy-out", "-p", "web", "-s", "/", "-d", out)
    in_dir(m, "copy-out", "-p", "web", "-s", "/root/new/", "-d", "out")
    got = out / "new" / "sub" / "f"
    assert got.read_text() == "content\n" and os.readlink(out / "new" / "link") == "sub/f"
    assert (got.stat().st_mode & 0o777, got.stat().st_uid) == (0o640, 1000)
    m.start("web")
    m.pot_fails("copy-out", "-p", "web", "-s", "/root/new", "-d", out, says="-F")
    m.pot_fails("copy-in", "-p", "web", "-s", tree, "-d", "/root", says="-F")
    sh(m, "web", "echo live > /root/live; ln -s /etc/shadow /root/trap; mkdir /root/dir; ln -s /etc /root/dir/etc")
    m.pot("copy-out", "-Fp", "web", "-s", "/root/live", "-d", out)
    assert (out / "live").read_text() == "live\n"
    # links are copied, never followed on the host
    m.pot("copy-out", "-Fp", "web", "-s", "/root/trap", "-d", out)
    m.pot("copy-out", "-Fp", "web", "-s", "/root/dir", "-d", out)
    assert os.readlink(out / "trap") == "/etc/shadow" and os.readlink(out / "dir" / "etc") == "/etc"
    m.pot("copy-out", "-Fp", "web", "-s", "/root/dir/etc/passwd", "-d", out)
    assert (out / "passwd").read_text().startswith("root:x:0:0:root:/root:/bin/sh\nweb:")
    m.pot("copy-in", "-Fp", "web", "-s", tree / "sub" / "f", "-d", "/root")
    assert sh(m, "web", "cat /root/f") == "content\n"


def acl(*entries):
    """An access control list as the kernel takes it."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, rights, who) for tag, rights, who in entries)


def test_copies_keep_what_belongs_to_a_file_and_list_it(machine):
    m = machine
    tree = m.dir / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "f").write_text("content\n")
    (tree / "link").symlink_to("sub/f")
    os.utime(tree / "link", (1, 2), follow_symlinks=False)
    shared = acl((1, 6, 2**32 - 1), (2, 4, 1234), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
    inherited = acl((1, 7, 2**32 - 1), (4, 5, 2**32 - 1), (32, 0, 2**32 - 1))
    kept = {("sub/f", "user.note"): b"a\0b", ("sub/f", "system.posix_acl_access"): shared, ("sub", "user.dir"): b"",
            ("sub", "system.posix_acl_default"): inherited}
    for (path, name), value in kept.items():
        os.setxattr(tree / path, name, value)
    os.setxattr(tree / "sub" / "f", "trusted.host", b"stays")
    m.make_pot("web")
    told = m.pot("copy-in", "-v", "-p", "web", "-s", tree, "-d", "/root/new").splitlines()
    assert told[0] == f"{tree} -> /root/new"
    assert sorted(told[1:]) == [f"{tree}/{path} -> /root/new/{path}" for path in ("link", "sub", "sub/f")]
    assert m.pot("copy-in", "-p", "web", "-s", tree, "-d", "/root/quiet") == ""
    out = m.dir / "out"
    out.mkdir()
    told = m.pot("copy-out", "-v", "-p", "web", "-s", "/root/new/", "-d", out).splitlines()
    assert f"/root/new/sub/f -> {out}/new/sub/f" in told
    for (path, name), value in kept.items():
        assert os.getxattr(out / "new" / path, name) == value, (path, name)
    assert "trusted.host" not in os.listxattr(out / "new" / "sub" / "f")
    assert (out / "new" / "link").lstat().st_mtime == 2


@pytest.mark.parametrize("kind", KINDS)
def test_rename(networked, kind):
    m = networked
    make(m, "old", kind, "-N", "public-bridge", "-i", "auto")
    make(m, "user", kind)
    m.pot("add-dep", "-p", "user", "-P", "old")
    m.pot("snap", "-p", "old")
    m.pot("create", "-p", "child", "-P", "old", *(("-l", "2") if kind == "multi" else ()))
    m.start("old")
    m.pot_fails("rename", "-p", "old", "-n", "new", says="running")
    sh(m, "old", "echo kept > /etc/kept")
    m.pot("stop", "old")
    m.pot_fails("rename", "-p", "old", "-n", "user", says="exists")
    m.pot_fails("rename", "-p", "old", "-n", "a.b")
    m.pot_fails("rename", "-p", "old", "-n", "../x")
    m.pot_fails("rename", "-p", "old", "-n", "old")
    m.pot_fails("rename", "-p", "none", "-n", "new", says="none")
    assert m.pot("ls", "-q") == "child\nold\nuser\n"
    m.pot("rename", "-p", "old", "-n", "new")
    assert m.pot("ls", "-q") == "child\nnew\nuser\n"
    assert "pot.depend=new" in conf(m, "user") and "pot.potbase=new" in conf(m, "child")
    assert any(line.startswith('host.hostname="new.') for line in conf(m, "new"))
    if kind == "multi":
        assert fscomp_conf(m, "new")[2] == "zroot/pot/jails/new/custom /opt/custom zfs-remount"
        assert fscomp_conf(m, "child")[1] == "zroot/pot/jails/new/usr.local /usr/local ro"
    assert len(m.pot("info", "-sp", "new").split()) == 1
    m.start("user")
    assert m.running() == ["new", "user"]
    assert sh(m, "new", "cat /etc/kept; hostname").startswith("kept\nnew.")
    m.pot("set-cmd", "-p", "child", "-c", "sleep 1000")
    m.start("child")
    m.pot("stop", "child")
    m.make_pot("old")  # the name is free
    for name in ("user", "new", "old"):
        m.pot("stop", name)
    m.pot("add-dep", "-p", "child", "-P", "old")
    assert "pot child depends on old" in m.pot("destroy", "-p", "old")


def test_dependencies_start_first(machine):
    m = machine
    for name in ("a", "b", "c"):
        m.make_pot(name)
    m.pot("add-dep", "-p", "a", "-P", "b")
    m.pot("add-dep", "-p", "b", "-P", "c")
    m.pot("add-dep", "-p", "b", "-P", "c")
    assert conf(m, "b").count("pot.depend=c") == 1
    m.pot_fails("add-dep", "-p", "a", "-P", "a", says="itself")
    m.pot_fails("add-dep", "-p", "a", "-P", "none", says="none")
    m.start("a")
    assert m.running() == ["a", "b", "c"]
    began = {row["name"]: os.stat(f"/proc/{row['pid']}").st_ctime_ns for row in m.pot_json("ps")}
    assert began["c"] <= began["b"] <= began["a"]
    for name in ("a", "b", "c"):
        m.pot("stop", name)
    m.pot("add-dep", "-p", "c", "-P", "a")  # a circle is no harm
    m.start("b")
    assert m.running() == ["a", "b", "c"]
    for name in ("a", "b", "c"):
        m.pot("stop", name)
    m.pot("set-cmd", "-p", "c", "-c", "/no/such/program")
    m.pot_fails("start", "a", says="c")
    assert "a" not in m.running()
