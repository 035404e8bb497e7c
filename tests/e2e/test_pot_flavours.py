"""Flavours: command files, scripts that run inside, where they are looked for, and what stays when they fail."""
import json
import os
import pathlib
import shutil
import signal
import time

import pytest
from machine import BIN, TOP, wait_until
from test_pot_files import conf, in_dir, make
from test_pot_types import fscomp_conf, sh

KINDS = ["single", "multi"]


def flavour(m, name, commands=None, script=None):
    """Writes a flavour; the name to give to -f."""
    top = m.dir / "recipes"
    top.mkdir(exist_ok=True)
    if commands is not None:
        (top / name).write_text(commands)
    if script is not None:
        (top / f"{name}.sh").write_text(script)
    return str(top / name)


@pytest.mark.parametrize("kind", KINDS)
def test_commands_and_script(networked, kind):
    m = networked
    local = m.dir / "recipes" / "web.d" / "local"
    local.mkdir(parents=True)
    (local / "tool").write_text("#!/bin/sh\necho tool\n")
    (m.dir / "data").mkdir()
    m.make_pot("db")
    m.pot("create-fscomp", "-f", "www")
    name = flavour(m, "web", commands=f"""# a recipe

copy-in-flv -s web.d/local -d /root/.pot_local
copy-in -cs {local}/tool -d /opt/custom/tools/tool
set-attribute -A persistent -V OFF
set-attribute -A no-rc-script -V on -v
set-attr -A prunable -V YES
reboot now
mount-in -rd {m.dir}/data -m /mnt
mount-in -f www -m /media
set-rss -M 64M -C 1
export-ports -e 80 -e udp:53:5353
set-env -E A=1 -E "B=two words"
add-dep -P db -p other
set-cmd -c "httpd -f -p 80 -h '/srv'"
""", script="""set -e
test "$1" = web && test "$(id -u)" = 0
test "$A" = 1
mkdir -p /usr/local
cp -r /root/.pot_local/tool /usr/local/built
chmod +x /usr/local/built
echo built > /etc/built
echo building $1
""")
    said = m.pot("create", "-p", "web", "-t", kind, "-b", "bb", "-N", "public-bridge", "-f", name)
    assert "building web\n" in said and "'set-attr' is no command" in said and "'reboot' is no command" in said
    info = m.pot_json("info", "-p", "web")
    assert info["command"] == "httpd -f -p 80 -h '/srv'" and info["env"] == ["A=1", "B=two words"]
    assert info["attributes"]["persistent"] == "NO" and info["attributes"]["no-rc-script"] == "YES"
    assert info["attributes"]["prunable"] == "NO" and info["depend"] == ["db"]
    assert info["exported_ports"] == ["80", "udp:53:5353"] and info["memory_bytes"] == 64 << 20
    assert fscomp_conf(m, "web")[-2:] == [f"{m.dir}/data /mnt ro", "zroot/pot/fscomp/www /media"]
    assert m.running() == []  # what it depends on was not needed for building
    m.pot("set-cmd", "-p", "web", "-c", "sleep 1000")
    m.start("web")
    assert sh(m, "web", "/usr/local/built; cat /etc/built; ls /opt/custom/tools; ls /tmp") == "tool\nbuilt\ntool\n"
    assert m.running() == ["db", "web"]


def test_where_they_are_looked_for(machine):
    m = machine
    flavour(m, "both", commands="set-env -E FROM=file\n", script="echo ran > /root/ran\n")
    flavour(m, "only", script="echo only > /root/only\n")
    top = m.dir / "recipes"
    run = 'cd "$0" && exec pot "$@"'

    def create(name, *flavours):
        return m.try_run("sh", "-c", run, top, "create", "-p", name, "-t", "single", "-b", "bb",
                         *[word for f in flavours for word in ("-f", f)])

    assert create("a", "both").returncode == 0
    assert create("b", "./only.sh", "both.sh").returncode == 0
    assert create("c", top / "only").returncode == 0
    result = create("d", "none")
    assert result.returncode == 1 and "none" in result.stdout
    assert create("d", "none.sh").returncode == 1
    # which exist is seen before anything is made
    assert "base" not in create("d", "only", "none").stdout
    assert m.pot("ls", "-q") == "a\nb\nc\n"
    for name, files in (("a", "ran\n"), ("b", "only\nran\n"), ("c", "only\n")):
        m.pot("set-cmd", "-p", name, "-c", "sleep 1000")
        m.start(name)
        assert sh(m, name, "ls /root") == files
    assert "pot.env=\"FROM=file\"" in conf(m, "a") and not any("FROM" in line for line in conf(m, "b"))


@pytest.mark.parametrize("kind", KINDS)
def test_failures_leave_nothing(networked, kind):
    m = networked
    for name, commands, script, says in (
            ("one", None, "exit 3\n", "ended with 3"),
            ("two", "set-env novalue\n", None, "two:1"),
            ("three", "\ncopy-in -s /none/such -d /root\n", "true\n", "three:2"),
            ("four", "set-rss\n", None, "four:1"),
            ("five", "mount-in -f none -m /mnt\n", None, "none"),
            ("six", "copy-in -s\n", None, "argument"),
            ("seven", "set-cmd nginx\n", None, "set-cmd -c"),
            ("eight", None, "kill -9 $$\n", "ended with 137"),
    ):
        path = flavour(m, name, commands, script)
        m.pot_fails("create", "-p", "x", "-t", kind, "-b", "bb", "-N", "public-bridge", "-f", path, says=says)
        assert m.pot("ls", "-q") == "" and m.pot("ps", "-q") == ""
        assert m.residue(bridge=True) == []
    m.pot_fails("create", "-p", "x", "-t", kind, "-b", "bb", "-k", "-f", flavour(m, "one"), says="ended with 3")
    assert m.pot("ls", "-q") == "x\n" and m.pot("ps", "-q") == ""
    m.pot("destroy", "-p", "x")
    make(m, "src", kind)
    m.pot("snap", "-p", "src")
    m.pot_fails("clone", "-p", "x", "-P", "src", "-f", flavour(m, "one"), says="ended with 3")
    m.pot("clone", "-p", "x", "-P", "src", "-f", flavour(m, "ok", script="echo $1 > /etc/flavoured\n"))
    m.start("x", "src")
    assert sh(m, "x", "cat /etc/flavoured") == "x\n"
    m.pot_fails("exec", "-p", "src", "ls", "/etc/flavoured")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_of_a_script(networked, how):
    m = networked
    path = flavour(m, "slow", script="echo begun; sleep 1000\n")
    child = m.popen(BIN / "pot", "create", "-p", "x", "-t", "single", "-b", "bb", "-N", "public-bridge", "-f", path,
                    stdout=open(m.dir / "said", "w"), start_new_session=True)
    wait_until(lambda: "begun" in (m.dir / "said").read_text(), what="the script")
    assert m.pot("ls", "-q") == "" and m.pot("ps", "-q") == ""
    pid = next(int(entry) for entry in m.processes() if "pot create" in m.processes()[entry])
    os.kill(pid, how)
    began = time.monotonic()
    child.wait(timeout=20)
    if how == signal.SIGKILL:
        # whoever needs the name next takes away what was left
        m.make_pot("x")
        assert m.pot("ls", "-q") == "x\n"
    else:
        assert child.returncode == 1 and time.monotonic() - began < 10
        assert m.pot("ls", "-q") == ""
    assert m.residue(bridge=True) == []


def test_doctor_ends_a_half_built_pot(networked):
    m = networked
    path = flavour(m, "slow", script="echo begun; sleep 1000\n")
    child = m.popen(BIN / "pot", "create", "-p", "x", "-b", "bb", "-f", path, stdout=open(m.dir / "said", "w"))
    wait_until(lambda: "begun" in (m.dir / "said").read_text(), what="the script")
    pid = next(int(entry) for entry in m.processes() if "pot create" in m.processes()[entry])
    os.kill(pid, signal.SIGKILL)
    child.wait(timeout=20)
    assert "interrupted" in m.pot("doctor")
    assert m.residue(bridge=True) == [] and m.pot("ls", "-q") == ""
    assert not pathlib.Path(m.conf["POT_FS_ROOT"], "jails", "x").exists()


def test_those_of_the_prefix(machine):
    """Installed flavours are found by name; one of the working directory goes before."""
    m = machine
    prefix = m.dir / "prefix"
    flavours = prefix / "etc" / "pot" / "flavours"
    (prefix / "bin").mkdir(parents=True)
    flavours.mkdir(parents=True)
    shutil.copy(BIN / "pot", prefix / "bin" / "pot")
    for path in (TOP / "packaging" / "flavours").iterdir():
        shutil.copy(path, flavours)
    (flavours / "mine").write_text("set-env -E FROM=prefix\n")
    (flavours / "mine.d").mkdir()
    pot = prefix / "bin" / "pot"
    assert m.run(pot, "ls", "-qF") == "dns\nfbsd-update\nmine\nslim\nupgrade\n"
    m.run(pot, "create", "-p", "a", "-t", "single", "-b", "bb", "-f", "mine")
    assert 'pot.env="FROM=prefix"' in conf(m, "a")
    (m.dir / "mine").write_text("set-env -E FROM=here\n")
    m.run("sh", "-c", f'cd "$0" && exec {pot} create -p b -t single -b bb -f mine', m.dir)
    assert 'pot.env="FROM=here"' in conf(m, "b")
    doc = m.dir / "doc"
    (doc / "sub").mkdir(parents=True)
    (doc / "sub" / "manual").write_text("long\n")
    m.make_pot("src")
    m.pot("copy-in", "-cp", "src", "-s", doc, "-d", "/usr/share/doc")
    m.run(pot, "clone", "-p", "c", "-P", "src", "-F", "-f", "slim")
    m.pot_fails("create", "-p", "d", "-b", "bb", "-f", flavours / "upgrade", says="ended with 1")
    m.start("c")
    assert sh(m, "c", "find /usr/share/doc -type f") == ""


BSD = r"""
mkdir -p /usr/bin /usr/lib/clang/19 /usr/share/man/man1 /usr/share/zoneinfo /boot/kernel /usr/local/lib /var/db/pkg /var/db/freebsd-update
echo 'echo 14.2-RELEASE' >/bin/freebsd-version
cat >/bin/pkg <<'END'
case $1 in -N) test -e /var/db/pkg/local.sqlite ;; *) echo "$ASSUME_ALWAYS_YES $*" >>/root/asked ;; esac
END
cat >/bin/freebsd-update <<'END'
echo "$PAGER $*" >>/root/asked
case $2 in fetch) if [ -e /root/news ]; then ln -s x /var/db/freebsd-update/1-install; fi ;; install) test -L /var/db/freebsd-update/1-install ;; esac
END
echo 'echo "$*" >>/root/asked' >/bin/sysrc
chmod 755 /bin/freebsd-version /bin/pkg /bin/freebsd-update /bin/sysrc
for f in /usr/bin/cc /usr/bin/llvm-ar /usr/bin/clang-19 /usr/bin/true /usr/lib/libc.a /usr/lib/libc.so.7 /usr/local/lib/libx.a \
    /usr/lib/clang/19/h /usr/lib/libprivatellvm.so.19 /usr/share/man/man1/ls.1 /usr/share/zoneinfo/UTC /boot/kernel/kernel \
    /var/db/pkg/local.sqlite /var/db/pkg/repo-a.sqlite; do echo >$f; done
"""


def test_those_for_freebsd(machine):
    """What they do there, with programs in the pot that only note how they were called."""
    m = machine
    recipes = TOP / "packaging" / "flavours"
    asked = lambda pot: sh(m, pot, "cat /root/asked").splitlines()
    prepared = flavour(m, "bsd", script=BSD)
    news = flavour(m, "news", script=": >/root/news\n")
    m.pot("create", "-p", "slim", "-t", "single", "-b", "bb", "-f", prepared, "-f", recipes / "slim")
    m.start("slim")
    left = sh(m, "slim", "find /usr/bin /usr/lib /usr/local/lib /usr/share /boot /var/db -type f").split()
    assert sorted(f for f in left if not f.startswith("/usr/share/") or "UTC" in f or "man" in f) == [
        "/usr/bin/true", "/usr/lib/libc.so.7", "/usr/share/zoneinfo/UTC", "/var/db/pkg/local.sqlite"]
    assert asked("slim") == ["yes delete -qfy pkg"]
    for name, before in (("calm", []), ("patched", ["-f", news])):
        m.pot("create", "-p", name, "-t", "single", "-b", "bb", "-f", prepared, *before, "-f", recipes / "fbsd-update")
        m.start(name)
        fetched = ["cat --not-running-from-cron fetch"]
        assert asked(name) == fetched + (["cat --not-running-from-cron install"] if before else [])
        assert sh(m, name, "ls /var/db/freebsd-update") == ""
    m.pot("create", "-p", "newer", "-t", "single", "-b", "bb", "-f", prepared, "-f", recipes / "upgrade")
    m.start("newer")
    assert asked("newer") == ["yes update -q", "yes upgrade -qy", "yes clean -qay"]
    m.pot("create", "-p", "dns", "-t", "single", "-b", "bb", "-f", prepared, "-f", recipes / "dns")
    assert "pot.attr.early-start-at-boot=YES" in conf(m, "dns")
    m.start("dns")
    assert asked("dns") == ["yes install -qy dnsmasq consul", "yes clean -qay", "-q dnsmasq_enable=YES consul_enable=YES"]
    assert "server=/consul/127.0.0.1#8600" in sh(m, "dns", "cat /usr/local/etc/dnsmasq.conf")
    assert json.loads(sh(m, "dns", "cat /usr/local/etc/consul.d/pot.json"))["bootstrap_expect"] == 1
    m.pot_fails("create", "-p", "bare", "-t", "single", "-b", "bb", "-f", recipes / "fbsd-update", says="ended with 1")


def test_a_long_script_keeps_nobody_waiting(machine):
    """While a clone is built, its source starts and stops; neither it nor the base goes, and names stay right."""
    m = machine
    make(m, "src", "multi")
    m.pot("snap", "-p", "src")
    fifo = m.dir / "go"
    os.mkfifo(fifo)
    path = flavour(m, "slow", commands="", script="echo begun; cat /mnt/go; echo built > /etc/built\n")
    pathlib.Path(path).write_text(f"mount-in -d {m.dir} -m /mnt\n")
    child = m.popen(BIN / "pot", "create", "-p", "new", "-l", "2", "-P", "src", "-f", path, "--json",
                    stdout=open(m.dir / "said", "w"), stderr=open(m.dir / "heard", "w"))
    wait_until(lambda: "begun" in (m.dir / "heard").read_text(), what="the script")
    m.start("src")
    m.pot("stop", "src")
    m.make_pot("another")
    m.pot_fails("destroy", "-p", "src", says="new")
    m.pot_fails("destroy", "-b", "bb", says="shares it")
    rename = m.popen(BIN / "pot", "rename", "-p", "src", "-n", "renamed")  # waits for the new one
    fifo.write_text("")
    assert child.wait(timeout=20) == 0 and rename.wait(timeout=20) == 0
    assert (m.dir / "said").read_text() == "" and "pot.potbase=renamed" in conf(m, "new")
    m.pot("mount-out", "-p", "new", "-m", "/mnt")
    m.pot("set-cmd", "-p", "new", "-c", "sleep 1000")
    m.start("new")
    assert sh(m, "new", "cat /etc/built") == "built\n"


def test_a_flavour_for_a_base(machine):
    """A pot of level 0 is its base: what a flavour does there, others share."""
    m = machine
    path = flavour(m, "tool", script="echo tool > /bin/tool; echo conf > /etc/tool.conf\n")
    m.pot("create", "-p", "base-bb", "-t", "multi", "-l", "0", "-b", "bb", "-f", path)
    m.pot("snap", "-p", "base-bb")
    make(m, "one", "multi")
    m.start("one")
    assert sh(m, "one", "cat /bin/tool /etc/tool.conf") == "tool\nconf\n"
    m.pot_fails("create", "-p", "again", "-t", "multi", "-l", "0", "-b", "bb", "-f", path, says="one is running")
    assert m.pot("ls", "-q") == "base-bb\none\n"
    m.make_pot("alone")
    m.start("alone")
    m.pot_fails("exec", "-p", "alone", "cat", "/bin/tool")
