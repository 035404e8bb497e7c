"""Pots that come and go with the machine: order, parallelism, readiness, and the units that call `pot boot`."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from machine import BIN, BUILD, TOP, wait_until


def mark(m, *pots, early=False):
    for pot in pots:
        m.pot("set-attr", "-p", pot, "-A", "early-start-at-boot" if early else "start-at-boot", "-V", "YES")


def tell_order(m, pots):
    """Hooks that write down who comes and goes."""
    log = m.dir / "order"
    for name, flag in (("start", "-S"), ("stop", "-T")):
        path = m.dir / f"hook-{name}"
        path.write_text(f"#!/bin/sh\necho {name} $_POT_NAME >> {log}\n")
        path.chmod(0o755)
        for pot in pots:
            m.pot("set-hook", "-p", pot, flag, path)
    return lambda: log.read_text().split("\n")[:-1] if log.exists() else []


def test_dependencies_first_and_last(machine):
    m = machine
    pots = ["app", "cache", "db", "other", "web", "unmarked"]
    for pot in pots:
        m.make_pot(pot)
    for pot, needs in (("web", "app"), ("app", "db"), ("app", "cache")):
        m.pot("add-dep", "-p", pot, "-P", needs)
    mark(m, "web", "other")
    order = tell_order(m, pots)
    said = m.pot("boot", "start")
    assert sorted(m.running()) == ["app", "cache", "db", "other", "web"]
    assert said.count("is up") == 5 and "pot web is up" in said
    up = [line.split()[1] for line in order()]
    assert up.index("db") < up.index("app") < up.index("web") and up.index("cache") < up.index("app")
    status = m.pot("boot", "status")
    assert "pot web is up and running" in status and "pot other is up and running" in status and "app" not in status
    m.pot("boot", "start")  # a second time changes nothing
    m.start("unmarked")
    m.pot("boot", "stop")
    assert m.running() == ["unmarked"]
    down = [line.split()[1] for line in order() if line.startswith("stop")]
    assert down.index("web") < down.index("app") < min(down.index("db"), down.index("cache"))
    assert "pot web is not running" in m.pot_fails("boot", "status").stdout
    m.pot("boot", "-a", "stop")
    assert m.running() == []


def test_early_ones_are_apart(machine):
    m = machine
    for pot in ("dns", "below", "web"):
        m.make_pot(pot)
    m.pot("add-dep", "-p", "dns", "-P", "below")
    mark(m, "dns", early=True)
    mark(m, "web")
    m.pot("boot", "start", "--early")
    assert m.running() == ["below", "dns"]
    m.pot("boot", "start")
    m.pot("boot", "-a", "stop")
    assert m.running() == ["below", "dns"]
    m.pot_fails("boot", "stop", "-x", says="start, stop, status")
    m.pot("boot", "-e", "stop")
    assert m.running() == []


def test_a_failure_holds_up_only_those_that_need_it(machine):
    m = machine
    for pot in ("bad", "needs-bad", "good", "circle-a", "circle-b"):
        m.make_pot(pot)
    m.pot("set-cmd", "-p", "bad", "-c", "/no/such/program")
    m.pot("add-dep", "-p", "needs-bad", "-P", "bad")
    m.pot("add-dep", "-p", "circle-a", "-P", "circle-b")
    conf = pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails/circle-b/conf/pot.conf"
    conf.write_text(conf.read_text() + "pot.depend=circle-a\n")
    mark(m, "needs-bad", "good", "circle-a", "circle-b")
    result = m.pot_fails("boot", "start")
    assert "pot bad does not start" in result.stdout and "/no/such/program" in result.stdout
    assert "pot needs-bad does not start: it needs bad" in result.stdout
    assert m.running() == ["circle-a", "circle-b", "good"]
    rows = {row["pot"]: row["done"] for row in json.loads(m.try_pot("boot", "--json", "start").stdout)}
    assert rows == {"bad": False, "needs-bad": False, "good": True, "circle-a": True, "circle-b": True}


def test_pots_start_at_the_same_time_and_a_start_up_command_is_waited_for(machine):
    m = machine
    root = m.busybox_root()
    (root / "etc/rc").write_text("sleep 1\ntouch /tmp/through\n")
    m.pot("create-base", "-b", "rc", "-d", root)
    pots = [f"p{i}" for i in range(4)]
    for pot in pots:
        m.make_pot(pot, base="rc", cmd=None)
    m.make_pot("last", cmd="sh -c 'sleep 1000'")
    for pot in pots:
        m.pot("add-dep", "-p", "last", "-P", pot)
    mark(m, "last")
    start = time.monotonic()
    m.pot("boot", "start")
    took = time.monotonic() - start
    assert 1 <= took < 3.5, f"four start-up commands of 1 s each took {took:.1f} s"
    for pot in pots:
        m.pot("exec", "-p", pot, "test", "-e", "/tmp/through")
    m.pot("stop", "p0")
    m.conf["POT_BOOT_WAIT"] = "0"
    start = time.monotonic()
    m.pot("boot", "start")
    assert time.monotonic() - start < 0.9


def test_a_pot_with_ports_is_ready_when_they_answer(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto", cmd="sh -c 'sleep 1; exec httpd -f -p 80 -h /etc'")
    m.pot("export-ports", "-p", "web", "-e", "80:8080")
    m.make_pot("user", cmd="sleep 1000")
    m.pot("add-dep", "-p", "user", "-P", "web")
    mark(m, "user")
    m.pot("boot", "start")
    assert m.http("http://10.192.0.3/passwd") is not None
    assert m.running() == ["user", "web"]


def test_a_pot_that_does_not_stay_does_not_hold_up_the_boot(machine):
    m = machine
    m.make_pot("job", cmd="sleep 1000")
    m.pot("set-attr", "-p", "job", "-A", "persistent", "-V", "NO")
    mark(m, "job")
    m.pot("boot", "start", timeout=20)
    assert m.running() == ["job"]


def unit_commands(text):
    return re.findall(r"^Exec(?:Start|Stop)=-?(\S+ .*)$", text, re.M)


def test_the_units_call_what_there_is(machine):
    m = machine
    m.make_pot("web")
    mark(m, "web")
    for unit in ("pot-early", "pot"):
        text = (BUILD / "packaging" / f"{unit}.service").read_text()
        if shutil.which("systemd-analyze"):
            units = m.dir / "units"
            units.mkdir(exist_ok=True)
            (units / f"{unit}.service").write_text(re.sub(r"=(-?)\S+/bin/pot ", rf"=\1{BIN}/pot ", text))
            result = subprocess.run(["systemd-analyze", "verify", "--man=no", str(units / f"{unit}.service")],
                                    capture_output=True, text=True)
            faults = [line for line in result.stderr.splitlines() if f"{unit}.service" in line]
            assert not faults, faults
        for line in unit_commands(text):
            words = line.split()
            assert words[0].endswith("/bin/pot")
            m.pot(*[w for w in words[1:] if w != "-l"])
    assert m.running() == []  # the last one stopped it


@pytest.mark.parametrize("script", ["pot", "pot_early"])
def test_the_rc_scripts_call_what_there_is(machine, script):
    """rc.subr is a stub here: the script is read by a shell, and its commands are what `pot` knows."""
    m = machine
    m.make_pot("web")
    mark(m, "web")
    mark(m, "web", early=True)
    text = (TOP / "packaging/rc.d" / f"{script}.in").read_text().replace("@bindir@", str(BIN))
    assert "procname" not in re.sub(r"#.*", "", text)
    (m.dir / "rc.subr").write_text('load_rc_config() { pot_enable=YES; }\n'
                                   'run_rc_command() { eval "cmd=\\${$1_cmd}"; $cmd; }\n')
    path = m.dir / f"rc-{script}"
    path.write_text(text.replace("/etc/rc.subr", str(m.dir / "rc.subr")))
    m.run("sh", path, "start")
    assert m.running() == ["web"]
    assert "up and running" in m.run("sh", path, "status")
    m.run("sh", path, "stop")
    if script == "pot":
        m.pot("boot", "-e", "stop")
        m.run("sh", path, "restart")
        assert m.running() == ["web"]
        m.pot("boot", "-e", "stop")
    assert m.running() == []


def test_after_everything_was_killed_they_come_back(networked):
    m = networked
    for pot in ("db", "web"):
        m.make_pot(pot, "-N", "public-bridge", "-i", "auto")
    m.pot("add-dep", "-p", "web", "-P", "db")
    mark(m, "web")
    m.pot("boot", "start")
    for row in m.pot_json("ps"):
        os.kill(row["keeper_pid"], signal.SIGKILL)
    wait_until(lambda: m.running() == [], what="the end of the keepers")
    m.pot("boot", "start")
    assert m.running() == ["db", "web"]


def test_an_interrupted_boot_leaves_whole_pots(machine):
    m = machine
    pots = [m.make_pot(f"p{i}") for i in range(6)]
    mark(m, *pots)
    child = m.popen(BIN / "pot", "boot", "start", stdout=subprocess.DEVNULL)
    wait_until(lambda: m.running(), what="the first pot")
    child.kill()
    child.wait()
    m.pot("boot", "start")
    assert m.running() == pots


def test_the_output_of_pots_can_go_to_the_journal(machine):
    m = machine
    m.make_pot("web", cmd="sh -c 'echo hello from $_POT_NAME; exec sleep 1000'")
    mark(m, "web")
    with open(m.dir / "journal", "w") as journal:
        assert m.popen(BIN / "pot", "boot", "-l", "start", stdout=journal).wait(timeout=20) == 0
    wait_until(lambda: "hello from web" in (m.dir / "journal").read_text(), what="the pot's output")
