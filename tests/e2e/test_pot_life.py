"""The life of a pot, by the pot command."""
import fcntl
import os
import pathlib
import signal
import subprocess

import pytest
from machine import BIN, wait_until


def test_the_short_way(bare):
    """init, vnet-start, ping the bridge, de-init, on a machine without anything else."""
    bare.pot("init")
    bare.pot("vnet-start")
    bare.run("ping", "-c1", "-W2", "10.192.0.1")
    bare.pot("init")
    bare.pot("vnet-init")
    bare.pot("de-init")


def test_a_pot_comes_and_goes(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    assert m.pot("ls", "-q") == "web\n"
    assert m.pot("ps", "-q") == ""
    m.start("web")
    assert m.running() == ["web"]
    table = m.pot("ps")
    assert "10.192.0.3" in table and str(m.dir / "pot/jails/web/m") in table
    assert "10.192.0.3" in m.pot("exec", "-p", "web", "ip", "addr")
    m.run("ping", "-c1", "-W2", "10.192.0.3")
    assert m.pot("info", "-qrp", "web") == ""
    m.pot("stop", "web")
    assert m.running() == []
    m.pot_fails("info", "-qrp", "web")
    assert m.residue(bridge=True) == []
    m.pot("destroy", "-p", "web")
    assert m.pot("ls", "-q") == ""


@pytest.mark.parametrize("persistent", ["YES", "NO"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_is_asked_to_end_stops_its_pot(networked, persistent, how):
    m = networked
    m.make_pot("web", "-N", "public-bridge", cmd="sh -c 'trap \"exit 3\" TERM; echo up; while :; do sleep 0.1; done'")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", persistent)
    start = m.popen(BIN / "pot", "start", "web", stdout=subprocess.PIPE, text=True)
    assert start.stdout.readline() == "up\n"
    start.send_signal(how)
    assert start.wait(timeout=20) == 128 + how
    assert m.running() == [] and m.residue(bridge=True) == []
    assert m.pot("last-run-stats", "-p", "web") == '{ "ExitCode": 3 }\n'


def test_a_start_that_waits_for_what_it_needs_is_undone(networked):
    m = networked
    m.make_pot("db", "-N", "public-bridge")
    m.pot("export-ports", "-p", "db", "-e", "5432")  # where nobody ever answers
    m.make_pot("web")
    m.pot("add-dep", "-p", "web", "-P", "db")
    start = m.popen(BIN / "pot", "start", "web", stdout=subprocess.PIPE, text=True)
    wait_until(lambda: m.running() == ["db"], what="the pot that is needed")
    start.send_signal(signal.SIGTERM)
    assert start.wait(timeout=20) == 128 + signal.SIGTERM
    assert m.running() == [] and m.residue(bridge=True) == []


def test_a_forced_destroy_that_meets_a_start_undoes_it(machine):
    """The start has the lock first and comes to its end; what runs then is stopped, not left."""
    m = machine
    m.make_pot("web")
    with open(m.dir / "run/locks/web", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = []
        for argv in (["start", "-d", "-v", "web"], ["destroy", "-F", "-v", "-p", "web"]):
            waiting.append(m.popen(BIN / "pot", *argv, stdout=subprocess.PIPE, stderr=-3, text=True))
            assert "waiting for process" in waiting[-1].stdout.readline()
    start, destroy = waiting
    assert destroy.wait(timeout=30) == 0, destroy.stdout.read()
    start.wait(timeout=30)
    assert m.pot("ls", "-q") == "" and m.running() == []


HOOKS = {"-s": "prestart", "-S": "poststart", "-t": "prestop", "-T": "poststop"}


def note_hooks(m, pot):
    hook = m.dir / "hook"
    for flag, name in HOOKS.items():
        hook.write_text(f"#!/bin/sh\necho {name} >> {m.dir}/hooks\n")
        hook.chmod(0o755)
        m.pot("set-hook", "-p", pot, flag, hook)


def hooks_told(m):
    return (m.dir / "hooks").read_text().split()


def stop_that_takes_its_time(m):
    """A pot that ignores the signal for good, whose hooks write their names down, and a stop of it that waits."""
    terms = m.dir / "terms"
    terms.mkdir()
    m.make_pot("web", "-N", "public-bridge", cmd="sh -c 'trap \"echo >> /mnt/terms\" TERM; echo up; while :; do sleep 0.1; done'")
    m.pot("mount-in", "-p", "web", "-d", terms, "-m", "/mnt")
    note_hooks(m, "web")
    m.pot("set-attr", "-p", "web", "-A", "stop_timeout", "-V", "3")
    m.pot("start", "-d", "web")
    before = m.pot_json("ps")[0]["pid"]
    stop = m.popen(BIN / "pot", "stop", "web")
    wait_until((terms / "terms").exists, what="the signal of the stop")
    return stop, before


def start_that_waits(m):
    """Until it watches the keeper's end."""
    start = m.popen(BIN / "pot", "start", "-d", "web")

    def waits():
        try:
            return any("pidfd" in os.readlink(fd) for fd in pathlib.Path(f"/proc/{start.pid}/fd").iterdir())
        except FileNotFoundError:  # closed just now
            return False
    wait_until(waits, what="a start that waits")
    return start


def test_a_start_waits_for_the_stop_that_is_under_way(networked):
    m = networked
    stop, before = stop_that_takes_its_time(m)
    start = start_that_waits(m)
    m.pot("set-cmd", "-p", "web", "-c", "sleep 1001")
    assert stop.poll() is None and start.poll() is None
    assert start.wait(timeout=20) == 0 and stop.wait(timeout=20) == 0
    assert (m.dir / "terms/terms").read_text() == "\n", "the signal came once"
    [pot] = m.pot_json("ps")
    assert pot["pid"] != before and m.pot("ps", "-q") == "web\n"
    assert "sleep 1001" in m.pot("exec", "-p", "web", "ps")
    m.pot("stop", "web")
    assert hooks_told(m) == 2 * [*HOOKS.values()]
    assert m.residue(bridge=True) == []


def test_a_start_that_waits_can_be_ended(networked):
    m = networked
    stop, _ = stop_that_takes_its_time(m)
    start = start_that_waits(m)
    start.send_signal(signal.SIGINT)
    assert start.wait(timeout=20) == 128 + signal.SIGINT and stop.poll() is None
    assert stop.wait(timeout=20) == 0
    assert hooks_told(m) == [*HOOKS.values()]
    assert m.running() == [] and m.residue(bridge=True) == []


@pytest.mark.parametrize("next_one", ["doctor", "start", "stop"])
def test_a_stop_that_was_killed_is_brought_to_its_end(networked, next_one):
    m = networked
    stop, before = stop_that_takes_its_time(m)
    stop.kill()
    stop.wait()
    if next_one == "doctor":
        assert "who was stopping it is gone  not mended" in m.try_pot("doctor", "-n").stdout
        assert m.running() == ["web"], "only looked at"
        assert "who was stopping it is gone  mended" in m.pot("doctor")
    else:
        m.pot(next_one, *["-d"] * (next_one == "start"), "web")
    if next_one == "start":
        assert m.pot_json("ps")[0]["pid"] != before
        m.pot("stop", "web")
    runs = 2 if next_one == "start" else 1
    assert hooks_told(m) == runs * [*HOOKS.values()]
    assert m.running() == [] and m.residue(bridge=True) == []


def test_a_pot_that_ends_by_itself_has_its_hooks_told(machine):
    m = machine
    m.make_pot("web", cmd="true")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    note_hooks(m, "web")
    m.pot("start", "web")
    wait_until(lambda: "poststop" in hooks_told(m), what="the last hook")
    assert hooks_told(m) == ["prestart", "poststart", "poststop"]


@pytest.mark.parametrize("next_one", ["doctor", "start", "stop"])
def test_who_clears_up_after_a_killed_keeper_tells_the_poststop_hook(machine, next_one):
    m = machine
    m.make_pot("web")
    note_hooks(m, "web")
    m.pot("start", "-d", "web")
    os.kill(m.pot_json("info", "-p", "web")["keeper_pid"], signal.SIGKILL)
    wait_until(lambda: m.running() == [], what="its end")
    m.pot(next_one, *["-d"] * (next_one == "start"), *["web"] * (next_one != "doctor"))
    assert hooks_told(m)[:3] == ["prestart", "poststart", "poststop"]
    assert hooks_told(m)[3:] == (["prestart", "poststart"] if next_one == "start" else [])


def test_the_poststop_hook_follows_a_start_that_failed(machine):
    m = machine
    m.make_pot("web")
    note_hooks(m, "web")
    (m.dir / "hook").write_text(f"#!/bin/sh\necho refused >> {m.dir}/hooks\nexit 1\n")
    m.pot("set-hook", "-p", "web", "-s", m.dir / "hook")
    m.pot_fails("start", "-d", "web", says="prestart")
    assert hooks_told(m) == ["refused", "poststop"]
