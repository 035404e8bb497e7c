"""Pots of type multi at their levels, beside single ones: what is shared, what is private, what clones and copies get."""
import os

import pytest
from machine import REAL_ZFS


@pytest.fixture(params=["overlay", "btrfs", *(["zfs"] if REAL_ZFS else [])])
def bare(request, bare):
    """Each backend in turn."""
    bare.on(request.param)
    return bare


def fscomp_conf(m, pot):
    return m.run("cat", f"{m.conf['POT_FS_ROOT']}/jails/{pot}/conf/fscomp.conf").splitlines()


def sh(m, pot, line):
    return m.pot("exec", "-p", pot, "sh", "-c", line)


def multi(m, name, *options, base=("-b", "bb")):
    m.pot("create", "-p", name, "-t", "multi", *base, *options)
    m.pot("set-cmd", "-p", name, "-c", "sleep 100000")
    return name


def test_a_base_is_rearranged(bare):
    m = bare
    root = m.busybox_root()
    (root / "usr" / "lib").mkdir()
    (root / "usr" / "lib" / "os-release").write_text("ID=bb\n")
    (root / "etc" / "os-release").symlink_to("../usr/lib/os-release")
    (root / "etc" / "near").symlink_to("passwd")
    (root / "var" / "run").symlink_to("../tmp")
    (root / "usr" / "local" / "etc").mkdir(parents=True)
    (root / "usr" / "local" / "etc" / "tool.conf").write_text("tool\n")
    (root / "home" / "web").mkdir()
    m.init()
    m.make_base()
    multi(m, "pot1")
    m.start("pot1")
    assert sh(m, "pot1", "for l in /etc /var /root /home /usr/home /usr/local/etc; do readlink $l; done").split() == [
        "opt/custom/etc", "opt/custom/var", "opt/custom/root", "opt/custom/usr.home", "../opt/custom/usr.home",
        "../../opt/custom/usr.local.etc"]
    assert sh(m, "pot1", "cat /etc/os-release /etc/near").startswith("ID=bb\nroot:x:0:0")
    assert sh(m, "pot1", "for l in /etc/near /etc/os-release /var/run; do readlink $l; done").split() == ["passwd", "/usr/lib/os-release", "/tmp"]
    assert sh(m, "pot1", "cat /usr/local/etc/tool.conf /.osrelease; ls /home; readlink /var/db/pkg; ls -d /usr/local/var.db.pkg"
              ) == "tool\nbb\nweb\n/usr/local/var.db.pkg\n/usr/local/var.db.pkg\n"
    # a single pot has the userland as it came
    m.make_pot("one")
    m.start("one")
    assert sh(m, "one", "test -L /etc || echo directory") == "directory\n"
    assert sh(m, "one", "readlink /etc/os-release") == "../usr/lib/os-release\n"


def test_level_one(machine):
    m = machine
    multi(m, "one")
    assert fscomp_conf(m, "one") == ["zroot/pot/bases/bb / ro", "zroot/pot/jails/one/usr.local /usr/local zfs-remount",
                                     "zroot/pot/jails/one/custom /opt/custom zfs-remount"]
    info = m.pot_json("info", "-p", "one")
    assert (info["type"], info["level"], info["base"]) == ("multi", 1, "bb")
    multi(m, "two")
    m.start("one", "two")
    sh(m, "one", "echo mine > /etc/mine; echo p > /usr/local/p; echo t > /tmp/t; echo r > /run/r")
    m.pot_fails("exec", "-p", "one", "touch", "/bin/x", says="Read-only")
    assert sh(m, "two", "ls /etc/mine /usr/local/p 2>&1 | grep -c 'No such'") == "2\n"
    m.pot("stop", "one")
    m.start("one")
    assert sh(m, "one", "cat /etc/mine /usr/local/p; ls /tmp") == "mine\np\nenvironment.sh\n"
    # where the base's own parts lie below its root (btrfs), they can be seen, and not changed
    assert sh(m, "one", "touch /custom/x /usr.local/x 2>&1 | grep -vc -e Read-only -e 'No such'; true") == "0\n"
    (m.dir / "file").write_text("copied\n")
    m.pot("stop", "one")
    m.pot("copy-in", "-p", "one", "-s", m.dir / "file", "-d", "/etc/file")
    m.start("one")
    assert sh(m, "one", "cat /etc/file") == "copied\n"
    m.pot_fails("export", "-p", "one", "-t", "1", says="multi")


def test_level_two_shares_packages(machine):
    m = machine
    multi(m, "one")
    m.start("one")
    sh(m, "one", "echo tool > /usr/local/tool; echo conf > /etc/conf")
    m.pot("stop", "one")
    m.pot_fails("create", "-p", "two", "-t", "multi", "-l", "2", "-P", "one", says="snapshot")
    m.pot("snap", "-p", "one")
    multi(m, "two", "-l", "2", base=("-P", "one"))
    text = m.pot("info", "-vp", "two")
    assert "\tbase pot : one\n" in text and ("\tdatasets:\n\t\t/ => bases/bb (ro)\n\t\t/usr/local => jails/one/usr.local (ro)\n"
                                             "\t\t/opt/custom => jails/two/custom\n") in text
    assert "\tbase pot : one\n" in m.pot("ls", "-v")
    assert fscomp_conf(m, "two")[1:] == ["zroot/pot/jails/one/usr.local /usr/local ro",
                                         "zroot/pot/jails/two/custom /opt/custom zfs-remount"]
    m.start("one", "two")
    assert sh(m, "two", "cat /usr/local/tool /etc/conf") == "tool\nconf\n"
    m.pot_fails("exec", "-p", "two", "touch", "/usr/local/x", says="Read-only")
    sh(m, "two", "echo other > /etc/conf")
    m.pot("stop", "one")
    m.pot_fails("revert", "-p", "one", says="two")  # the packages of one that runs
    m.start("one")
    assert sh(m, "one", "cat /etc/conf") == "conf\n"
    m.pot("stop", "two")
    m.pot_fails("set-attr", "-p", "two", "-A", "no-tmpfs", "-V", "YES", says="single")
    m.pot("snap", "-p", "two")
    multi(m, "three", "-l", "2", base=("-P", "two"))  # the packages are those of the pot of level 1
    assert fscomp_conf(m, "three")[1] == "zroot/pot/jails/one/usr.local /usr/local ro"
    m.pot_fails("create", "-p", "x", "-t", "multi", "-l", "1", "-P", "two", says="level 2")
    m.pot("clone", "-p", "four", "-P", "two")
    m.pot("stop", "one")
    m.pot("rename", "-p", "one", "-n", "uno")
    assert {fscomp_conf(m, name)[1] for name in ("two", "three", "four")} == {"zroot/pot/jails/uno/usr.local /usr/local ro"}
    m.start("three", "four")
    assert sh(m, "three", "cat /usr/local/tool /etc/conf") == sh(m, "four", "cat /usr/local/tool /etc/conf") == "tool\nother\n"
    m.pot("stop", "three")
    m.pot("stop", "four")
    m.pot("rename", "-p", "uno", "-n", "one")
    m.pot_fails("destroy", "-p", "one", "-F", says="made from it")
    m.pot("destroy", "-rFp", "one")
    assert m.pot("ls", "-q") == ""


def test_level_zero_is_the_base(machine):
    m = machine
    multi(m, "base-bb", "-l", "0")
    multi(m, "one")
    m.start("base-bb")
    sh(m, "base-bb", "echo new > /bin/new; echo more > /usr/local/more")
    m.pot_fails("start", "one", says="base-bb")
    m.pot_fails("clone", "-p", "x", "-P", "base-bb", says="level 0")
    m.pot("stop", "base-bb")
    m.start("one")
    assert sh(m, "one", "cat /bin/new; ls /usr/local/more 2>&1 | grep -c 'No such'") == "new\n1\n"
    # what is copied from a base is what its newest snapshot has
    m.pot("snap", "-p", "base-bb")
    multi(m, "two")
    m.start("two")
    assert sh(m, "two", "cat /bin/new /usr/local/more") == "new\nmore\n"
    m.pot("stop", "two")
    m.pot_fails("start", "base-bb", says="one")
    m.pot_fails("destroy", "-p", "base-bb", says="level 0")
    m.pot_fails("destroy", "-b", "bb", says="one")
    m.pot("stop", "one")
    # single pots have the base as it came, and do not hold it
    m.make_pot("alone")
    m.pot("destroy", "-rb", "bb")
    assert m.pot("ls", "-q") == "alone\n" and m.pot("ls", "-qb") == ""
    m.start("alone")
    assert sh(m, "alone", "ls /bin/new 2>&1 | grep -c 'No such'") == "1\n"


def test_a_release_comes_with_its_pot_of_level_zero(bare):
    m = bare
    m.init()
    create = ["sh", "-c", 'cd "$0" && exec pot create-base -r 12.3-RELEASE -b 12.3 -d "$1"', m.dir, m.busybox_root()]
    (m.dir / "fbsd-update.sh").write_text("echo patched > /bin/patched\n")
    m.run(*create)
    assert m.pot("ls", "-q") == "base-12_3\n" and m.pot("ls", "-qb") == "12.3\n"
    info = m.pot_json("info", "-p", "base-12_3")
    assert (info["type"], info["level"], info["base"]) == ("multi", 0, "12.3")
    multi(m, "one", base=("-b", "12.3"))
    m.start("one")
    assert sh(m, "one", "cat /bin/patched /.osrelease") == "patched\n12.3-RELEASE\n"
    m.pot("stop", "one")
    m.pot_fails("destroy", "-b", "12.3", says="one")
    m.pot("destroy", "-p", "one")
    m.pot("destroy", "-b", "12.3")
    assert m.pot("ls", "-q") == m.pot("ls", "-qb") == ""
    # a flavour that fails is told, and changes nothing else
    (m.dir / "fbsd-update.sh").write_text("exit 3\n")
    assert "as it came" in m.run(*create)
    assert m.pot("ls", "-q") == "base-12_3\n"


def test_copies_and_clones(machine):
    m = machine
    multi(m, "one")
    (m.dir / "data").mkdir()
    m.pot("mount-in", "-p", "one", "-d", m.dir / "data", "-m", "/mnt", "-r")
    m.pot_fails("clone", "-p", "two", "-P", "one", says="-F")
    m.pot("clone", "-p", "two", "-P", "one", "-F")
    assert fscomp_conf(m, "two") == ["zroot/pot/bases/bb / ro", "zroot/pot/jails/two/usr.local /usr/local zfs-remount",
                                     "zroot/pot/jails/two/custom /opt/custom zfs-remount", f"{m.dir}/data /mnt ro"]
    multi(m, "three", base=("-P", "one"))
    m.start("one", "two", "three")
    for pot in ("one", "two", "three"):
        sh(m, pot, f"echo {pot} > /etc/who; echo {pot} > /usr/local/who")
    for pot in ("one", "two", "three"):
        assert sh(m, pot, "cat /etc/who /usr/local/who") == f"{pot}\n{pot}\n"
    for pot in ("one", "two"):
        m.pot("stop", pot)
    listed = [line.strip() for line in m.pot("info", "-vp", "one").splitlines() if "one" in line and "@" in line]
    assert [line.split("@")[0] for line in listed] == [
        "zroot/pot/jails/one", "zroot/pot/jails/one/custom", "zroot/pot/jails/one/usr.local"]
    m.pot("snap", "-p", "two")
    m.start("two")
    sh(m, "two", "echo changed > /etc/who")
    m.pot("stop", "two")
    m.pot("revert", "-p", "two")
    m.start("two")
    assert sh(m, "two", "cat /etc/who") == "two\n"


@pytest.mark.parametrize("argv, says", [
    (("-t", "single", "-b", "bb", "-l", "1"), "level 0 only"),
    (("-t", "multi", "-b", "bb", "-l", "3"), "0, 1 or 2"),
    (("-t", "multi", "-b", "bb", "-l", "2"), "-P"),
    (("-t", "multi", "-l", "0", "-P", "one"), "level 0"),
    (("-t", "multi", "-P", "alone"), "not of type multi"),
    (("-t", "single", "-P", "one"), "not of type single"),
    (("-t", "multi", "-b", "other"), "other"),
    (("-t", "multi", "-b", "other", "-P", "one"), "other"),
    (("-t", "multi",), "-b"),
])
def test_what_create_refuses(machine, argv, says):
    multi(machine, "one")
    machine.make_pot("alone")
    machine.pot_fails("create", "-p", "x", *argv, says=says)
    assert machine.pot("ls", "-q") == "alone\none\n"


def test_multi_is_the_default_as_ever(machine):
    machine.pot("create", "-p", "one", "-b", "bb")
    machine.make_pot("alone")
    machine.pot("snap", "-p", "alone")
    machine.pot("create", "-p", "two", "-P", "alone")
    kinds = {row["name"]: (row["type"], row["level"]) for row in machine.pot_json("ls")}
    assert kinds == {"one": ("multi", 1), "alone": ("single", 0), "two": ("single", 0)}


def test_a_hostile_base_harms_nobody(bare):
    """Its links lead to places of the host; taking it apart leaves those alone."""
    m = bare
    root = m.busybox_root()
    precious = m.dir / "precious"
    for name in ("local", "home", "db", "etc"):
        (precious / name).mkdir(parents=True)
        (precious / name / "file").write_text("precious\n")
    for path in ("home", "var", "root"):
        m.run("rm", "-r", root / path)
    (root / "usr" / "home").symlink_to(precious / "home")
    (root / "home").symlink_to(precious / "home")
    (root / "var").mkdir()
    (root / "var" / "db").symlink_to(precious / "db")
    (root / "root").symlink_to("../../../../../../.." + str(precious / "etc"))
    (root / "etc" / "up").symlink_to("../../../../../../../../etc/passwd")
    m.init()
    m.make_base()
    multi(m, "one")
    m.start("one")
    assert sh(m, "one", "cat /etc/up").startswith("root:x:0:0:root:/root:/bin/sh\nweb:")
    for name in ("local", "home", "db", "etc"):
        assert (precious / name / "file").read_text() == "precious\n" and len(list((precious / name).iterdir())) == 1
    assert sorted(p.name for p in precious.iterdir()) == ["db", "etc", "home", "local"]


@pytest.mark.parametrize("path, target", [("usr", "/tmp/nowhere"), ("usr/local", "../var/local"), ("opt", "bin/busybox")])
def test_a_base_of_another_kind(bare, path, target):
    """What cannot be taken apart is as good for single pots as ever."""
    m = bare
    root = m.busybox_root()
    m.run("rm", "-rf", root / path)
    (root / path).symlink_to(target)
    m.init()
    assert "single pots only" in m.pot("create-base", "-b", "bb", "-d", root)
    m.pot_fails("create", "-p", "one", "-b", "bb", says="multi")
    m.make_pot("alone")
    m.start("alone")
    assert sh(m, "alone", f"readlink /{path}; test -L /etc || echo directory") == f"{target}\ndirectory\n"


def test_what_moves_keeps_what_belongs_to_it(bare):
    m = bare
    root = m.busybox_root()
    m.run("sh", "-c", "mkdir -p $0/usr/local/bin && echo x > $0/usr/local/bin/a && ln $0/usr/local/bin/a $0/usr/local/bin/b && "
          "chown 1000:1000 $0/usr/local/bin/a && chmod 4755 $0/usr/local/bin/a && touch -d 2001-02-03 $0/etc/group && "
          "chmod 700 $0/root && mkfifo $0/var/pipe", root)
    os.setxattr(root / "etc" / "passwd", "user.note", b"kept")
    m.init()
    m.make_base()
    multi(m, "one")
    m.start("one")
    assert sh(m, "one", "stat -c '%h %u %a' /usr/local/bin/a /usr/local/bin/b") == "2 1000 4755\n2 1000 4755\n"
    assert sh(m, "one", "stat -c %y /etc/group; stat -Lc '%a %F' /root /var/pipe").split("\n")[0].startswith("2001-02-03")
    assert sh(m, "one", "stat -Lc '%a %F' /root /var/pipe") == "700 directory\n644 fifo\n"
    pid = next(row["pid"] for row in m.pot_json("ps"))
    assert os.getxattr(f"/proc/{pid}/root/opt/custom/etc/passwd", "user.note") == b"kept"
