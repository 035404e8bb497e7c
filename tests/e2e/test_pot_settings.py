"""Setters with their unset, hooks, signals, limits, states: what stands in a pot's configuration, and what comes of it."""
import pathlib
import socket
import subprocess
import time

import pytest

from machine import BIN, wait_until


def conf_of(m, pot):
    return (pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails" / pot / "conf" / "pot.conf").read_text()


def keys(m, pot, key):
    return [line for line in conf_of(m, pot).splitlines() if line.startswith(key + "=")]


def script(m, name, text, mode=0o755):
    path = m.dir / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_each_setter_can_be_undone(machine):
    m = machine
    m.make_pot("db", cmd=None)
    m.make_pot("web", cmd=None)
    fresh = conf_of(m, "web")
    m.pot("set-cmd", "-p", "web", "-c", "nginx")
    m.pot("set-env", "-p", "web", "-E", "A=1", "-E", "B=x=y \"z\"", "-E", "C=")
    m.pot("set-hosts", "-p", "web", "-H", "one:10.0.0.1", "-H", "six:fe80::1")
    m.pot("set-attr", "-p", "web", "-A", "exec_stop", "-V", "kill -s USR1 a=b=c")
    m.pot("set-rss", "-p", "web", "-C", "1", "-M", "64M", "-P", "50", "-F", "100", "-L", "0", "-I", "200", "-W", "512")
    m.pot("export-ports", "-p", "web", "-e", "80")
    m.pot("add-dep", "-p", "web", "-P", "db")
    m.pot("add-dep", "-p", "web", "-P", "db")
    assert keys(m, "web", "pot.depend") == ["pot.depend=db"]
    assert m.pot("get-attr", "-qp", "web", "-A", "exec_stop") == "kill -s USR1 a=b=c\n"
    m.pot("set-env", "-p", "web", "--unset", "-E", "A")
    assert m.pot_json("info", "-p", "web")["env"] == ['B=x=y "z"', "C="]
    m.pot("set-rss", "-p", "web", "-C", "")
    info = m.pot_json("info", "-p", "web")
    assert info["cpus"] == 0 and info["memory_bytes"] == 64 << 20
    limits = info["limits"]
    assert limits == {"pin": "0", "processes": 50, "files": 100, "io_weight": 200, "cpu_weight": 512}
    for argv in (["set-cmd"], ["set-env"], ["set-hosts"], ["set-attr", "-A", "exec_stop"], ["set-rss"], ["export-ports"],
                 ["add-dep", "-P", "db"]):
        m.pot(argv[0], "-p", "web", *argv[1:], "--unset")
    left = [line for line in conf_of(m, "web").splitlines() if not line.startswith("pot.attr.exec_stop=")]
    assert left == [line for line in fresh.splitlines() if not line.startswith("pot.attr.exec_stop=")]
    assert m.pot("get-attr", "-qp", "web", "-A", "exec_stop") == "\n"


def test_a_setter_wants_a_value_or_unset(machine):
    m = machine
    m.make_pot("web", cmd=None)
    before = conf_of(m, "web")
    m.pot_fails("set-cmd", "-p", "web", says="--unset")
    m.pot_fails("set-cmd", "-p", "web", "-c", "x", "--unset", says="--unset")
    m.pot_fails("set-env", "-p", "web", says="--unset")
    m.pot_fails("set-attr", "-p", "web", "-A", "mlock", says="--unset")
    m.pot_fails("set-rss", "-p", "web", says="limit")
    for flag, bad in (("-C", "0"), ("-C", "x"), ("-M", "0"), ("-M", "1t"), ("-L", "1-"), ("-L", "3-1"), ("-P", "0"),
                      ("-F", "-1"), ("-I", "1001"), ("-W", "1")):
        m.pot_fails("set-rss", "-p", "web", flag, bad, says=bad)
    m.pot_fails("set-rss", "-p", "web", "-C", "1", "-M", "nonsense")
    m.pot_fails("export-ports", "-p", "web", says="--unset")
    m.pot_fails("set-env", "-p", "web", "-E", "A=two\nlines", says="line break")
    m.pot_fails("set-env", "-p", "web", "--unst", says="did you mean \"--unset\"?")
    assert conf_of(m, "web") == before


def test_hooks_run_around_a_run(machine):
    m = machine
    m.make_pot("web", cmd="sleep 1000")
    log = m.dir / "hooks.log"
    for flag, name in (("-s", "prestart"), ("-S", "poststart"), ("-t", "prestop"), ("-T", "poststop")):
        # no "#!": a script of the shell, as the shell implementation ran it
        path = script(m, name, f'echo "{name} $_POT_NAME ${{A:-none}} ${{SECRET:-clean}}" >> {log}\n')
        m.pot("set-hook", "-p", "web", flag, path)
        path.unlink()  # it was copied
    m.pot("set-env", "-p", "web", "-E", "A=of the pot", "-E", "LD_PRELOAD=/nonsense.so")
    m.pot("start", "-d", "web", env={"SECRET": "leaked"})
    m.pot("stop", "web", env={"SECRET": "leaked"})
    assert log.read_text().splitlines() == [f"{name} web none clean" for name in
                                            ("prestart", "poststart", "prestop", "poststop")]
    m.pot("set-hook", "-p", "web", "-t", "")
    m.pot("set-hook", "-p", "web", "--unset", "-s", script(m, "again", "#!/bin/sh\nexit 0\n"))
    left = sorted(p.name for p in (pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails/web/conf").glob("*.sh"))
    assert left == ["prestart.sh"]
    m.pot_fails("set-hook", "-p", "web", "-s", script(m, "plain", "echo", 0o644), says="executable")
    m.pot_fails("set-hook", "-p", "web", "-s", m.dir, says="executable")
    m.pot_fails("set-hook", "-p", "web", says="-s")
    # one that is wrong: none of them is changed
    m.pot_fails("set-hook", "-p", "web", "-S", script(m, "good", "exit 0\n"), "-T", m.dir / "absent", says="absent")
    assert [p.name for p in (pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails/web/conf").glob("*.sh")] == ["prestart.sh"]


def test_a_prestart_hook_that_fails_refuses_the_start(machine):
    m = machine
    m.make_pot("web")
    m.pot("set-hook", "-p", "web", "-s", script(m, "hook", "#!/bin/sh\nexit 3\n"))
    m.pot_fails("start", "-d", "web", says="prestart")
    assert m.running() == []
    m.conf["POT_HOOK_FAILURE"] = "ignore"
    assert "prestart" in m.pot("start", "-d", "web")
    assert m.running() == ["web"]


def test_hooks_of_an_image_are_not_run_those_set_here_are(machine):
    m = machine
    marker, trap = m.dir / "ours", m.dir / "theirs"
    m.make_pot("src", cmd="true")
    m.pot("set-hook", "-p", "src", "-s", script(m, "a", f"#!/bin/sh\ntouch {trap}\n"))
    m.pot("set-hook", "-p", "src", "-T", script(m, "b", f"#!/bin/sh\ntouch {trap}\n"))
    conf = pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails/src/conf/pot.conf"
    conf.write_text(conf.read_text() + "pot.hook=prestart\npot.hook=poststop\n")  # an image may say what it likes
    m.pot("snapshot", "-p", "src")
    m.pot("export", "-p", "src", "-t", "1", "-D", m.dir)
    m.pot("import", "-p", "src", "-t", "1", "-U", f"file://{m.dir}")
    m.pot("start", "-d", "src_1")
    m.pot("stop", "src_1")
    assert not trap.exists()
    mine = script(m, "c", f"#!/bin/sh\ntouch {marker}\n")
    m.pot("set-hook", "-p", "src_1", "-S", mine, "-t", mine)
    m.pot("set-hook", "-p", "src_1", "--unset", "-s", mine)
    conf = pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails/src_1/conf"
    assert [line for line in (conf / "pot.conf").read_text().splitlines() if "hook" in line] == ["pot.hook=prestart"]
    assert [hook.name for hook in conf.glob("*.sh")] == ["prestart.sh"]
    m.pot("start", "-d", "src_1")
    m.pot("stop", "src_1")
    assert marker.exists() and not trap.exists()


def test_the_state_is_what_runs(machine):
    m = machine
    m.make_pot("web")
    ask = lambda status: m.try_pot("set-status", "-p", "web", "-s", status).returncode
    assert [ask(s) for s in ("stopped", "starting", "stopping", "started")] == [2, 0, 0, 1]
    m.start("web")
    assert [ask(s) for s in ("started", "stopping", "starting", "stopped", "doa")] == [2, 0, 1, 1, 1]
    assert m.running() == ["web"]
    m.pot_fails("set-status", "-p", "web", "-s", "nonsense", says="nonsense")


@pytest.mark.parametrize("argv", [["start"], ["get-rss"], ["info", "-E"], ["set-rss", "-C", "1"], ["get-attr", "-A", "mlock"]])
def test_a_misspelt_pot_gets_a_suggestion(machine, argv):
    machine.make_pot("frontend", cmd=None)
    machine.pot_fails(argv[0], "-p", "frontent", *argv[1:], says='did you mean "frontend"?')


PROBE = r"""
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
static char page[64 << 20];
int main(void)
{
	printf("shm=%d ", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0);
	printf("sem=%d ", semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) >= 0);
	printf("msg=%d ", msgget(IPC_PRIVATE, IPC_CREAT | 0600) >= 0);
	printf("raw=%d ", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0);
	printf("ping=%d ", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0);
	printf("packet=%d ", socket(AF_PACKET, SOCK_RAW, 0) >= 0);
	printf("mlock=%d\n", mlock(page, sizeof(page)) == 0);
	return 0;
}
"""


@pytest.fixture
def probed(networked, tmp_path):
    """A pot on the bridge with a program that tells what it may do."""
    m = networked
    source = tmp_path / "probe.c"
    source.write_text(PROBE)
    subprocess.run(["cc", "-static", "-o", tmp_path / "probe", source], check=True)
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    m.pot("copy-in", "-p", "web", "-s", tmp_path / "probe", "-d", "/bin/probe")
    return m


def probe(m, *attributes):
    for attribute, value in attributes:
        m.pot("set-attr", "-p", "web", "-A", attribute, "-V", value)
    m.pot("stop", "web")
    m.start("web")
    main = m.pot("exec", "-p", "web", "probe").split()
    return dict(word.split("=") for word in main)


def test_attributes_do_what_they_say(probed):
    m = probed
    assert probe(m) == dict(shm="1", sem="1", msg="1", raw="1", ping="1", packet="1", mlock="0")
    m.pot("exec", "-p", "web", "ping", "-c", "1", "10.192.0.1")
    seen = probe(m, ("raw_sockets", "NO"))
    assert (seen["raw"], seen["packet"], seen["ping"]) == ("0", "0", "1")
    assert probe(m, ("mlock", "yes"))["mlock"] == "1"
    seen = probe(m, ("sysvshm", "disable"), ("sysvsem", "disable"))
    assert (seen["shm"], seen["sem"], seen["msg"]) == ("0", "0", "1")
    seen = probe(m, ("sysvshm", "new"), ("sysvsem", "new"), ("sysvmsg", "disable"))
    assert (seen["shm"], seen["sem"], seen["msg"]) == ("1", "1", "0")
    own = lambda: m.pot("exec", "-p", "web", "readlink", "/proc/self/ns/ipc").strip()
    assert own() != m.run("readlink", "/proc/self/ns/ipc").strip()
    m.pot("stop", "web")
    for kind in ("sysvshm", "sysvsem", "sysvmsg"):
        m.pot("set-attr", "-p", "web", "-A", kind, "-V", "inherit")
    m.start("web")
    assert own() == m.run("readlink", "/proc/self/ns/ipc").strip()
    m.pot("set-attr", "-p", "web", "-A", "sysvsem", "--unset")
    m.pot("stop", "web")
    assert "all three or none" in m.pot("start", "-d", "web")
    assert own() != m.run("readlink", "/proc/self/ns/ipc").strip()


def test_attributes_without_effect_are_kept_and_told(machine):
    m = machine
    m.make_pot("web", cmd=None)
    assert "without effect" in m.pot("set-attr", "-p", "web", "-A", "enforce_statfs", "-V", "1")
    assert m.pot("get-attr", "-qp", "web", "-A", "enforce_statfs") == "1\n"
    assert m.pot_json("info", "-p", "web")["without_effect"] == ["enforce_statfs"]
    text = m.pot("info", "-vp", "web")
    assert "\t\tenforce_statfs: 1\n" in text and "without effect" in text
    assert "without effect" not in m.pot("set-attr", "-p", "web", "-A", "enforce_statfs", "-V", "2")


def test_stop_asks_in_the_way_that_the_attributes_say(machine):
    m = machine
    m.make_pot("web", cmd="sh -c 'trap \"\" TERM; while :; do sleep 1; done'")
    m.pot("set-attr", "-p", "web", "-A", "exec_stop", "-V", "echo a=b=c > /root/asked")
    m.pot("set-attr", "-p", "web", "-A", "stop_timeout", "-V", "1")
    m.start("web")
    m.pot("stop", "web", timeout=10)
    m.pot("set-cmd", "-p", "web", "-c", "sleep 1000")
    m.start("web")
    assert m.pot("exec", "-p", "web", "cat", "/root/asked") == "a=b=c\n"


GATED = "touch /root/asked; while [ ! -e /root/go ]; do sleep 0.05; done; touch /root/through"


def asked(m, name):
    return m.try_pot("exec", "-p", name, "test", "-e", "/root/asked").returncode == 0


def test_an_exec_stop_that_hangs_has_the_grace_alone(machine):
    m = machine
    m.make_pot("web", cmd="sh -c 'trap \"touch /root/termed\" TERM; while :; do sleep 0.05; done'")
    m.pot("set-attr", "-p", "web", "-A", "exec_stop", "-V", "sleep 1234 & sleep 4321")
    m.pot("set-attr", "-p", "web", "-A", "stop_timeout", "-V", "2")
    m.start("web")
    began = time.monotonic()
    result = m.try_pot("stop", "web", timeout=20)
    assert result.returncode == 0 and "exec_stop" in result.stdout
    assert 1.5 < time.monotonic() - began < 8 and "web" not in m.running()
    assert not any("4321" in words or "1234" in words for words in m.processes().values())
    # what it leaves of the grace is the signal's
    m.pot("set-attr", "-p", "web", "-A", "exec_stop", "-V", "touch /root/asked")
    m.start("web")
    m.pot("stop", "web", timeout=20)
    m.pot("set-cmd", "-p", "web", "-c", "sleep 1000")
    m.pot("set-attr", "-p", "web", "-A", "exec_stop", "-V", "")
    m.start("web")
    assert m.pot("exec", "-p", "web", "ls", "/root").split() == ["asked", "termed"]


def test_others_go_on_while_an_exec_stop_runs(machine):
    m = machine
    m.make_pot("web", cmd="sleep 1000")
    m.pot("set-attr", "-p", "web", "-A", "exec_stop", "-V", GATED)
    m.pot("set-attr", "-p", "web", "-A", "stop_timeout", "-V", "60")
    m.start("web")
    (m.dir / "go").write_text("")
    # a start that comes meanwhile waits for the end, and cuts nothing short
    stopping = m.popen(BIN / "pot", "stop", "web")
    wait_until(lambda: asked(m, "web"), what="the command")
    starting = m.popen(BIN / "pot", "start", "-d", "web")
    before = m.pot_json("ps")[0]["pid"]
    m.pot("copy-in", "-F", "-p", "web", "-s", m.dir / "go", "-d", "/root/go", timeout=20)  # wants the pot's lock
    assert stopping.wait(timeout=20) == 0 and starting.wait(timeout=20) == 0
    assert m.pot_json("ps")[0]["pid"] != before
    assert "through" in m.pot("exec", "-p", "web", "ls", "/root").split()
    # one that is killed is not waited for: who comes next ends the run
    m.pot("exec", "-p", "web", "sh", "-c", "rm /root/*")
    stopping = m.popen(BIN / "pot", "stop", "web")
    wait_until(lambda: asked(m, "web"), what="the command")
    before = m.pot_json("ps")[0]["pid"]
    starting = m.popen(BIN / "pot", "start", "-d", "web")
    stopping.kill()
    assert starting.wait(timeout=20) == 0 and m.pot_json("ps")[0]["pid"] != before
    # who asks a second time has no patience with it
    m.pot("exec", "-p", "web", "sh", "-c", "rm /root/*")
    stopping = m.popen(BIN / "pot", "stop", "web", stderr=subprocess.DEVNULL)
    wait_until(lambda: asked(m, "web"), what="the command")
    m.pot("stop", "web", timeout=20)
    assert stopping.wait(timeout=20) == 0 and m.running() == []
    m.start("web")
    assert "through" not in m.pot("exec", "-p", "web", "ls", "/root").split()
    m.pot("exec", "-p", "web", "sh", "-c", "rm /root/*")
    stopping = m.popen(BIN / "pot", "stop", "web", stderr=subprocess.DEVNULL)
    wait_until(lambda: asked(m, "web"), what="the command")
    m.pot("destroy", "-F", "-p", "web", timeout=20)
    assert stopping.wait(timeout=20) == 0 and m.pot("ls", "-q") == ""


def test_the_environment_reaches_the_command_as_it_is(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "10.192.0.9", cmd="sh -c 'env > /root/seen; exec sleep 1000'")
    tricky = "$(touch /root/bad) `id` \\ \"q\" 'p' ;& = é"
    m.pot("set-env", "-p", "web", "-E", "A=plain", "-E", f"B={tricky}", "-E", "EMPTY=")
    m.pot("start", "-d", "web", env={"SECRET": "of the host"})
    seen = m.pot("exec", "-p", "web", "sh", "-c", "cat /root/seen; ls /root").splitlines()
    assert f"B={tricky}" in seen and "A=plain" in seen and "EMPTY=" in seen
    assert "_POT_NAME=web" in seen and "_POT_IP=10.192.0.9" in seen
    assert not [line for line in seen if "SECRET" in line or "POT_CONF" in line or line == "bad"]
    script = m.pot("exec", "-p", "web", "sh", "-c", ". /tmp/environment.sh; echo \"$B\"; echo $_POT_IP; ls /root")
    assert script.startswith(tricky + "\n10.192.0.9\n") and "bad" not in script.split()
    assert "\n_POT" not in m.pot("exec", "-p", "web", "env")  # exec does not see them
    told = m.pot("info", "-Ep", "web")
    assert "export _POT_IP=10.192.0.9\n" in told and "_POT_JID=" in told
    m.pot("stop", "web")
    assert "_POT_JID" not in m.pot("info", "-Ep", "web")


@pytest.fixture
def logged(machine):
    """What arrives at /dev/log of this machine."""
    m = machine
    dev = m.dir / "dev"
    dev.mkdir()
    for node in ("null", "zero", "full", "random", "urandom", "tty"):
        m.run("cp", "-a", f"/dev/{node}", dev)
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(str(dev / "log"))
    log.setblocking(False)
    m.run("mount", "--bind", dev, "/dev")

    def lines():
        found = []
        while True:
            try:
                found.append(log.recv(8192).decode().rstrip("\0\n"))
            except BlockingIOError:
                return found
    yield m, lines
    m.run("umount", "-l", "/dev")  # the last program of a run may still be ending
    log.close()


def test_changes_are_logged_without_secrets(logged):
    m, lines = logged
    m.make_pot("web", cmd=None)
    lines()
    m.pot("set-env", "-p", "web", "-E", "TOKEN=very secret", "-E", "B=also=secret")
    m.pot("ls")
    m.pot("info", "-p", "web")
    m.pot("set-rss", "-p", "web", "-M", "64m", "--unset")
    m.pot_fails("set-cmd", "-p", "web\nforged", "-c", "x")
    told = lines()
    assert len(told) == 3 and "secret" not in "".join(told)
    assert told[0].startswith("<150>") and told[0].endswith("pot: set-env -p web -E TOKEN=... -E B=...")  # local2.info
    assert told[1].endswith("pot: set-rss -p web -M 64m --unset")
    assert told[2].endswith("pot: set-cmd -p web?forged -c ...")
    m.conf["POT_LOG_FACILITY"] = "daemon"
    m.pot("set-cmd", "-p", "web", "-c", "true")
    assert lines()[0].startswith("<30>")


def test_setters_at_once_lose_nothing(machine):
    m = machine
    m.make_pot("web", cmd=None)
    others = [m.make_pot(f"d{i}", cmd=None) for i in range(6)]
    attributes = ["prunable", "start-at-boot", "mlock", "no-etc-hosts", "no-rc-script", "early-start-at-boot"]
    children = [m.popen(BIN / "pot", "set-attr", "-p", "web", "-A", a, "-V", "YES") for a in attributes]
    children += [m.popen(BIN / "pot", "add-dep", "-p", "web", "-P", other) for other in others]
    assert [child.wait(timeout=30) for child in children] == [0] * len(children)
    info = m.pot_json("info", "-p", "web")
    assert all(info["attributes"][a] == "YES" for a in attributes) and sorted(info["depend"]) == others


def test_a_hook_cannot_wait_for_itself(machine):
    m = machine
    m.make_pot("web")
    m.pot("set-hook", "-p", "web", "-s", script(m, "hook", f"#!/bin/sh\n{BIN}/pot set-env -p web -E A=1 || exit 9\n"))
    said = m.pot_fails("start", "-d", "web", timeout=20).stdout
    assert "failed with 9" in said and "is being changed by process" in said
    m.pot("set-hook", "-p", "web", "-s", "", "-S", script(m, "later", f"#!/bin/sh\n{BIN}/pot set-env -p web -E A=1\n"))
    m.pot("start", "-d", "web", timeout=20)  # afterwards nobody holds the lock
    assert m.pot_json("info", "-p", "web")["env"] == ["A=1"]


def test_a_configuration_cannot_steer_the_terminal(machine):
    m = machine
    m.make_pot("web", cmd=None)
    path = pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails/web/conf/pot.conf"
    path.write_text(path.read_text().replace("pot.base=bb", "pot.base=bb\033[2J\007"))
    assert "\033" not in m.pot("info", "-vp", "web") and "\tbase : bb[2J\n" in m.pot("info", "-p", "web")


def test_a_hook_that_fails_when_nobody_listens_is_logged(logged):
    m, lines = logged
    m.make_pot("web", cmd="sleep 1")  # its starter has gone when it ends
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    m.pot("set-hook", "-p", "web", "-T", script(m, "hook", "#!/bin/sh\nexit 7\n"))
    told = []
    m.pot("start", "-d", "web")
    wait_until(lambda: told.extend(lines()) or any("hook poststop of pot web failed with 7" in t for t in told), what="the log")
