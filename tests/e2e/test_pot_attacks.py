"""What a hostile pot, image, name or neighbour tries, one test for each finding about pot 0.16."""
import os
import pathlib
import socket
import stat
import tarfile
import tempfile

import pytest

from machine import BIN, Machine
from test_pot_image import entry, make_image, nothing_imported


def jails(m):
    return pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails"


def victim(m):
    """A file of the host that nobody may reach from a pot."""
    path = m.dir / "victim"
    path.write_text("untouched\n")
    path.chmod(0o600)
    return path


def inside(m, name, script):
    """What the pot's own root does to its files while it runs."""
    m.pot("exec", "-p", name, "sh", "-c", script)


@pytest.mark.parametrize("how", ["absolute", "climbing", "magic"])
def test_links_of_the_pot_lead_nowhere_on_the_host(networked, how):
    m = networked
    outside = m.dir / "outside"
    outside.mkdir()
    for name in ("hosts", "resolv.conf", "environment.sh", "passwd"):
        (outside / name).write_text("untouched\n")
    m.make_pot("source", "-N", "public-bridge", "-i", "auto")
    m.pot("set-attr", "-p", "source", "-A", "no-tmpfs", "-V", "YES")
    m.pot("snapshot", "-p", "source")
    for i, what in enumerate(["etc", "etc/hosts", "etc/resolv.conf", "tmp", "tmp/environment.sh"]):
        name = f"web{i}"
        m.pot("clone", "-p", name, "-P", "source")
        target = outside if "/" not in what else outside / what.split("/")[1]
        link = {"absolute": str(target), "climbing": "../" * 12 + str(target)[1:], "magic": f"/proc/self/root{target}"}[how]
        m.start(name)
        inside(m, name, f"rm -rf /{what}; ln -s {link} /{what}; true")
        m.pot("stop", name)
        m.try_pot("start", "-d", name)
        m.pot("stop", name)
        m.try_pot("copy-in", "-p", name, "-s", m.conf_file, "-d", f"/{what}/x" if "/" not in what else f"/{what}")
        m.try_pot("mount-in", "-p", name, "-d", m.dir, "-m", f"/{what}/deep/down" if "/" not in what else f"/{what}")
        assert sorted(p.name for p in outside.iterdir()) == ["environment.sh", "hosts", "passwd", "resolv.conf"], what
        assert all(p.read_text() == "untouched\n" for p in outside.iterdir()), what


def test_files_of_the_pot_that_are_no_files_hold_nothing_up(networked):
    """A pipe or a device in the place of a file that the start writes."""
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    m.start("web")
    inside(m, "web", "rm -f /etc/hosts /etc/resolv.conf; mkfifo /etc/hosts || busybox mkfifo /etc/hosts || mknod /etc/hosts p; "
                     "mkdir /etc/resolv.conf; true")
    m.pot("stop", "web")
    m.try_pot("start", "-d", "web", timeout=15)
    m.try_pot("stop", "web", timeout=15)
    assert m.residue(bridge=True) == []


def test_copying_out_follows_no_link_of_the_pot(machine):
    m = machine
    secret = victim(m)
    m.make_pot("web")
    m.start("web")
    inside(m, "web", f"ln -s {secret} /secret; ln -s / /all")
    m.pot("stop", "web")
    out = m.dir / "out"
    out.mkdir()
    m.try_pot("copy-out", "-p", "web", "-s", "/secret", "-d", out)
    m.try_pot("copy-out", "-p", "web", "-s", f"/all{secret}", "-d", out)
    assert not any(p.is_file() and not p.is_symlink() and "untouched" in p.read_text() for p in out.iterdir())


def test_a_running_pot_sees_only_what_is_copied(machine):
    """The rest of the directory that a file comes from stays unseen, also while it is copied."""
    m = machine
    m.make_pot("web")
    source = m.dir / "source"
    source.mkdir()
    (source / "given").write_text("given\n")
    (source / "secret").write_text("secret\n")
    m.start("web")
    watch = m.popen(BIN / "pot", "exec", "-p", "web", "sh", "-c",
                    "i=0; while [ $i -lt 400 ]; do find / -xdev -name secret; cat /proc/mounts | grep source; i=$((i+1)); "
                    "[ -e /end ] && break; done", stdout=-1, text=True)
    for i in range(5):
        m.pot("copy-in", "-F", "-p", "web", "-s", source / "given", "-d", f"/given{i}")
    inside(m, "web", "touch /end")
    assert watch.communicate(timeout=60)[0] == ""
    assert m.pot("exec", "-p", "web", "cat", "/given3") == "given\n"
    m.pot("stop", "web")


@pytest.fixture
def elsewhere():
    """A machine whose own files do not lie in /tmp, with a /tmp of its own."""
    m = Machine(tempfile.mkdtemp(dir="/var/tmp", prefix="potter-e2e-"))
    m.run("mount", "-t", "tmpfs", "tmpfs", "/tmp")
    m.init(vnet=True)
    m.make_base()
    yield m
    left = m.close()
    assert not left, "left behind:\n" + "\n".join(left)


def test_nothing_of_ours_lies_in_tmp(elsewhere):
    """No file there decides anything, so that none can be laid in wait."""
    m = elsewhere
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    m.pot("export-ports", "-p", "web", "-e", "80")
    m.start("web")
    m.pot("info", "-p", "web")
    m.pot("stop", "web")
    assert m.run("ls", "-A", "/tmp") == ""
    run = pathlib.Path(m.conf["POT_RUN_DIR"])
    for path in (run, run / "locks"):
        mode = path.stat()
        assert mode.st_uid == 0 and stat.S_IMODE(mode.st_mode) & 0o022 == 0, path


def test_a_lock_that_anybody_can_take_stops_nobody(machine):
    m = machine
    m.make_pot("web")
    held = m.popen("flock", "-o", "/tmp/pot-lock-file", "sleep", "100", stdout=-3)
    m.pot("snapshot", "-p", "web")
    m.pot("clone", "-p", "copy", "-P", "web", timeout=20)
    locks = pathlib.Path(m.conf["POT_RUN_DIR"]) / "locks"
    assert all(stat.S_IMODE(p.stat().st_mode) & 0o077 == 0 for p in locks.iterdir())
    m.run("pkill", "-TERM", "-P", str(held.pid), "-x", "sleep")


HOOKS = ("prestart.sh", "poststart.sh", "prestop.sh", "poststop.sh")


def test_hooks_of_an_image_do_not_run_here(machine):
    m = machine
    told = m.dir / "told"
    script = f"#!/bin/sh\necho $0 >> {told}\n"
    where = make_image(m, m.dir / "registry", files=[(f"conf/{h}", script) for h in HOOKS],
                       entries=[shell_entry(m)])
    m.pot("import", "-p", "web", "-t", "1.0", "-U", f"file://{where}")
    m.pot("set-cmd", "-p", "web_1_0", "-c", "/busybox true")
    m.pot("start", "web_1_0")
    m.pot("snapshot", "-p", "web_1_0")
    m.pot("clone", "-p", "copy", "-P", "web_1_0")
    m.pot("start", "copy")
    m.pot("rename", "-p", "copy", "-n", "moved")
    m.pot("start", "moved")
    assert not told.exists()


def shell_entry(m):
    data = pathlib.Path(m.busybox_root() / "bin/busybox").read_bytes()
    info = tarfile.TarInfo("m/busybox")
    info.size, info.mode = len(data), 0o755
    return info, data


@pytest.mark.parametrize("fscomp", ["/etc /m/mnt ro", "/ /mnt", "zroot/pot/../../etc /mnt"])
def test_an_image_brings_no_mounts_of_the_host(machine, fscomp):
    m = machine
    secret = victim(m)
    where = make_image(m, m.dir / "registry", conf={"fscomp.conf": fscomp + "\n"}, entries=[shell_entry(m)])
    imported = m.try_pot("import", "-p", "web", "-t", "1.0", "-U", f"file://{where}")
    if imported.returncode != 0:
        nothing_imported(m)
        return
    assert fscomp.split()[0] not in (jails(m) / "web_1_0/conf/fscomp.conf").read_text()
    m.pot("set-cmd", "-p", "web_1_0", "-c", f"/busybox ls /mnt/passwd /mnt{secret}")
    assert m.try_pot("start", "web_1_0").returncode != 0


@pytest.mark.parametrize("entries", [
    [entry("../outside")], [entry("/outside")], [entry("m/../../outside")],
    [entry("m/up", tarfile.SYMTYPE, "../../.."), entry("m/up/outside")],
    [entry("m/abs", tarfile.SYMTYPE, "/tmp"), entry("m/abs/outside")],
    [entry("m/hard", tarfile.LNKTYPE, "/etc/passwd")], [entry("m/hard", tarfile.LNKTYPE, "../../../../../etc/passwd")],
    [entry("conf/pot.conf", tarfile.SYMTYPE, "/etc/passwd")], [entry("conf", tarfile.SYMTYPE, "/etc")],
])
def test_an_image_writes_nothing_outside_itself(machine, entries):
    m = machine
    before = os.stat("/etc/passwd")
    where = make_image(m, m.dir / "registry", entries=entries)
    m.try_pot("import", "-p", "web", "-t", "1.0", "-U", f"file://{where}")
    assert not any(p.exists() for p in (m.dir / "outside", pathlib.Path("/outside"), pathlib.Path("/tmp/outside"),
                                        pathlib.Path(m.conf["POT_FS_ROOT"]) / "outside", jails(m) / "outside"))
    after = os.stat("/etc/passwd")
    assert (before.st_mtime_ns, before.st_nlink) == (after.st_mtime_ns, after.st_nlink)
    for path in jails(m).rglob("*"):
        assert not (path.is_file() and path.stat().st_ino == before.st_ino), path


@pytest.mark.parametrize("line", ["host.hostname=\"a\\nb; reboot\"", "pot.env=\"A=$(touch /tmp/owned)\"",
                                  "pot.cmd=sh -c '`touch /tmp/owned`'", "bridge=../../x", "ip=eth0|1.2.3.4;x",
                                  "pot.depend=../../etc"])
def test_the_configuration_of_an_image_is_only_text(machine, line):
    m = machine
    text = "pot.level=0\npot.type=single\npot.base=x\npot.potbase=\npot.dns=inherit\npot.cmd=/busybox true\n" \
           "host.hostname=\"x.y\"\nosrelease=\"\"\npot.attr.persistent=NO\nnetwork_type=inherit\nvnet=false\n" + line + "\n"
    where = make_image(m, m.dir / "registry", conf={"pot.conf": text}, entries=[shell_entry(m)])
    if m.try_pot("import", "-p", "web", "-t", "1.0", "-U", f"file://{where}").returncode == 0:
        m.try_pot("start", "web_1_0")
        m.try_pot("stop", "web_1_0")
        m.pot("info", "-vp", "web_1_0")
        m.pot("destroy", "-Fp", "web_1_0")
    assert not os.path.exists("/tmp/owned")


def test_the_callers_environment_stays_outside(machine):
    m = machine
    m.make_pot("web", cmd="env")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    secrets = {"SECRET_TOKEN": "s3cret", "LD_PRELOAD_X": "x", "SSH_AUTH_SOCK": "/run/x", "POTTER_THING": "1"}
    out = m.pot("start", "web", env=secrets)
    assert "s3cret" not in out
    names = {l.split("=")[0] for l in out.splitlines()}
    assert names <= {"PATH", "HOME", "USER", "_POT_NAME", "PWD", "SHLVL", "TERM"}, names
    m.pot("set-cmd", "-p", "web", "-c", "sleep 100000")
    m.start("web")
    assert "s3cret" not in m.pot("exec", "-p", "web", "env", env=secrets)
    result = m.try_pot("exec", "-p", "web", "cat", "/proc/1/environ", env=secrets)
    assert "s3cret" not in result.stdout
    m.pot("stop", "web")


def test_values_of_the_environment_are_literal(machine):
    m = machine
    m.make_pot("web", cmd="sh -c '. /tmp/environment.sh; echo \"$A\"; echo \"$B\"'")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    a, b = "$(touch /owned) `touch /owned` $HOME", "'; touch /owned; echo '\\\"$(id)"
    m.pot("set-env", "-p", "web", "-E", f"A={a}", "-E", f"B={b}")
    assert m.pot("start", "web") == f"{a}\n{b}\n"
    m.pot("set-cmd", "-p", "web", "-c", "test -e /owned")
    m.pot_fails("start", "web", code=125)


def test_secrets_are_not_logged(bare):
    """/dev/log tells which command was run on which pot, and no value."""
    m = bare
    log = m.dir / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(log))
        s.setblocking(False)
        m.run("sh", "-c", "mount -t tmpfs tmpfs /dev; mknod -m 666 /dev/null c 1 3; touch /dev/log; "
              f"mount --bind {log} /dev/log")
        m.init()
        m.make_base()
        m.make_pot("web")
        m.pot("set-env", "-p", "web", "-E", "PASSWORD=hunter2")
        m.pot("set-cmd", "-p", "web", "-c", "login hunter2")
        said = []
        while True:
            try:
                said.append(s.recv(4096))
            except BlockingIOError:
                break
    assert not any(b"hunter2" in line for line in said), said


def test_pots_reach_each_others_bridges_only_when_they_may(networked):
    """What leads from the outside to a pot is its exported port, and nothing leads from bridge to bridge."""
    m = networked
    m.pot("create-private-bridge", "-B", "inner", "-S", "5")
    m.make_pot("web", "-N", "public-bridge", "-i", "auto", cmd="sh -c 'httpd -p 80; exec sleep 100000'")
    m.make_pot("db", "-N", "private-bridge", "-B", "inner", "-i", "auto", cmd="sh -c 'httpd -p 80; exec sleep 100000'")
    m.start("web", "db")
    rows = {row["name"]: row["ip"] for row in m.pot_json("ps")}
    reach = ["exec", "-p", "web", "nc", "-w", "1", rows["db"], "80"]
    assert m.try_pot(*reach, input="").returncode != 0
    back = ["exec", "-p", "db", "nc", "-w", "1", rows["web"], "80"]
    assert m.try_pot(*back, input="").returncode != 0
    assert m.http(f"http://{rows['web']}/", outside=True, timeout=1) is None
    m.pot("stop", "web")
    m.pot("stop", "db")


def test_no_port_is_open_that_was_not_exported(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto", cmd="sh -c 'httpd -p 80; exec sleep 100000'")
    m.pot("export-ports", "-p", "web", "-e", "80:18081")
    listening = m.run("cat", "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp")
    m.start("web")
    assert m.run("cat", "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp") == listening
    m.pot("stop", "web")


NO_NAMES = ["../x", "a/b", "-x", "x y", "x;id", "$(id)", "x\ny", "*", "a|b", "", ".", "..", "%s%n", "x" * 300, "ä", "x'y", "web[1]"]
NO_POTS = ["a.b", "12"]  # releases are called like that


def test_names_that_are_none(machine):
    m = machine
    m.make_pot("web")
    m.pot("snapshot", "-p", "web")
    for name in NO_NAMES + NO_POTS:
        assert m.try_pot("create", "-p", name, "-t", "single", "-b", "bb").returncode != 0, name
        assert m.try_pot("rename", "-p", "web", "-n", name).returncode != 0, name
        assert name in NO_POTS or m.try_pot("create-fscomp", "-f", name).returncode != 0, name
    for name in ("../x", "$(id)", "-x"):
        for argv in (["clone", "-p", name, "-P", "web"], ["create-base", "-b", name, "-d", m.busybox_root()], ["start", name],
                     ["destroy", "-p", name], ["exec", "-p", name, "true"], ["signal", "-p", name, "-s", "TERM"],
                     ["add-dep", "-p", "web", "-P", name], ["info", "-p", name], ["set-env", "-p", name, "-E", "A=b"],
                     ["create-private-bridge", "-B", name, "-S", "5"], ["snapshot", "-p", name], ["copy-in", "-p", name]):
            assert m.try_pot(*argv).returncode != 0, argv
    assert m.pot("ls", "-q") == "web\n" and m.pot("ls", "-bq") == "bb\n" and m.pot("ls", "-fq") == ""
    assert [p.name for p in jails(m).iterdir()] == ["web"]


def test_only_pots_are_entered(machine):
    """A namespace that is no pot's is none of ours, whatever its name."""
    m = machine
    m.make_pot("web")
    for verb in (["exec", "-p", "web", "id"], ["signal", "-p", "web", "-s", "KILL"], ["term", "-p", "web"], ["get-rss", "-p", "web"],
                 ["exec", "-p", "1", "id"], ["exec", "-p", str(m.holder.process.pid), "id"]):
        assert m.try_pot(*verb, input="").returncode != 0, verb
    # a record that names a process which is no keeper of ours
    m.start("web")
    record = pathlib.Path(m.conf["POT_RUN_DIR"]) / "runs/web/record"
    text = record.read_text()
    m.pot("stop", "web")
    record.write_text("".join(f"keeper {m.holder.process.pid} 1\n" if l.startswith("keeper ") else
                              f"init {m.holder.process.pid} 1\n" if l.startswith("init ") else l for l in text.splitlines(True)))
    assert m.try_pot("exec", "-p", "web", "id").returncode != 0
    m.try_pot("stop", "web")
    assert m.holder.process.poll() is None
    m.pot("doctor")


def test_configuration_by_environment_is_for_the_same_user_only(machine):
    """POT_FS_ROOT and the like in the environment change nothing."""
    m = machine
    other = m.dir / "other"
    assert m.pot("config", "-qg", "fs_root", env={"POT_FS_ROOT": str(other)}) == m.conf["POT_FS_ROOT"] + "\n"
    m.make_pot("web")
    assert m.pot("ls", "-q", env={"POT_FS_ROOT": str(other), "POT_ZFS_ROOT": "x/y"}) == "web\n"


def test_a_users_pot_command_reaches_nothing(networked):
    """Without the rights of root only looking works."""
    m = networked
    m.make_pot("web")
    for argv in (["start", "web"], ["stop", "web"], ["destroy", "-p", "web"], ["exec", "-p", "web", "id"],
                 ["set-env", "-p", "web", "-E", "A=b"], ["de-init", "-f"], ["snapshot", "-p", "web"]):
        result = m.try_run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", BIN / "pot", *argv)
        assert result.returncode != 0, argv
    assert m.pot("ls", "-q") == "web\n"
    # what those of the group may look at is what is so, or said to be unknown
    m.start("web")
    member = lambda *argv: m.try_run("setpriv", "--reuid", "65534", "--regid", "0", "--clear-groups", BIN / "pot", *argv)
    assert member("ps", "-q").stdout == "web\n" and "only root can tell" in member("ps").stdout
    shown = member("show")
    assert shown.returncode == 0 and "disk usage      : only root can tell" in shown.stdout and "processes" in shown.stdout
    # others get no words that a script would take for names
    stranger = m.try_run("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", BIN / "pot", "ls", "-q")
    assert stranger.returncode == 1 and stranger.stdout == "" and "POT_GROUP" in stranger.stderr


def test_devices_are_those_of_dev_alone(machine):
    """A pot makes none, and one that its files bring is none: it would be the machine's."""
    m = machine
    root = m.busybox_root()
    os.mknod(root / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    m.make_base("odd")
    (root / "zero").unlink()
    for name, options in (("one", ()), ("many", ("-t", "multi"))):
        m.make_pot(name, *options, base="odd")
        m.start(name)
        for where in ("/dev/own", "/own", "/tmp/own"):
            made = m.try_pot("exec", "-p", name, "busybox", "mknod", where, "c", "1", "5")
            assert made.returncode != 0 and ("not permitted" in made.stderr or "Read-only" in made.stderr), made
        assert m.try_pot("exec", "-p", name, "head", "-c", "1", "/zero").returncode != 0
        m.pot("exec", "-p", name, "sh", "-c", "head -c 1 /dev/zero; busybox mknod /tmp/pipe p")
        m.pot("stop", "-p", name)
