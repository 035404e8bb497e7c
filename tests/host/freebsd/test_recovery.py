"""What a killed program, a machine that goes down and a full pool leave: nothing, and pots that start again."""
import json
import re
import time

import bsd
import pytest
import scene
from scene import SMALL, TOP, empty, nothing

RECORD = "/var/run/pot/runs/held/record"
NO_ROOM = "No space left on device|out of space"  # the kernel's words, and those of zfs
START = [("begun limits", 0), ("begun isolate", 0), ("begun isolate", 20000), ("keeper", 0), ("keeper", 10000), ("begun network", 0),
         ("begun network", 10000), ("begun ports", 0), ("begun process", 0), ("begun process", 5000), ("running", 0), ("running", 5000)]
TRIES = 10  # on a busy machine `pot start` may have ended before its last moment was seen
STOP = [("stopping", 0), ("stopping", 1000), ("stopping", 5000), ("stopping", 20000), ("gone", 0), ("gone", 2000), ("gone", 50000),
        ("gone", 200000)]


@pytest.fixture
def pot(clean):
    """A single pot on the public bridge with an exported port and limits, whose command is a sleep."""
    m = clean
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    nothing(m)
    m.pot("create-base", "-b", "small", "-d", SMALL)
    m.pot("create", "-p", "held", "-t", "single", "-b", "small", "-N", "public-bridge")
    for words in (["set-attribute", "-A", "no-rc-script", "-V", "YES"], ["set-cmd", "-c", "/bin/sleep 1000"],
                  ["export-ports", "-e", "80:8099"], ["set-rss", "-M", "64M"]):
        m.pot(words[0], "-p", "held", *words[1:])
    yield m
    empty(m)


def running(m):
    return "held" in m.sh("jls name").split()


def left_of_a_run(m):
    """Jails, interfaces, mounts, rules and limits but those of what runs; of what is ending, until it has ended."""
    return m.sh(r"""
        i=0; while pgrep -qf '[p]ot-ending' && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
        jls name | grep -vx world; ifconfig -l | tr ' ' '\n' | grep -E '^p[0-9a-f]{12}$|^epair'
        mount -p | awk '{print $2}' | grep '^/opt/pot/jails/held/m/'
        rctl | grep jail:; pfctl -q -s Anchors -v 2>/dev/null | grep pot-rdr/
        ls /var/run/pot/runs/*/record 2>/dev/null; pgrep -l pot-keeper""", ok=None)


def kill_at(m, word, us, whom, command):
    return m.sh(f"{TOP}/killat {RECORD} '{word}' {us} {whom} pot {command} held 2>/dev/null </dev/null").strip()


@pytest.mark.parametrize("whom", ["it", "keepers", "all"])
def test_start_is_killed_at_each_phase(pot, whom):
    m, killed = pot, set()
    for word, us in START:
        for _ in range(TRIES):
            said = kill_at(m, word, us, whom, "start -d")
            m.pot("start", "-d", "held")
            assert running(m), f"does not start after kill -9 at {word} + {us} us"
            m.pot("stop", "held")
            assert left_of_a_run(m) == "", f"start, killed at {word} + {us} us; then started and stopped"
            killed |= {word} if "killed at" in said else set()
            if word in killed:
                break
    assert killed == {word for word, _ in START}


@pytest.mark.parametrize("next_one", ["start", "stop", "doctor"])
@pytest.mark.parametrize("whom", ["it", "all"])
def test_stop_is_killed_at_each_phase(pot, whom, next_one):
    """Also who takes the jail apart, which nobody waits for: the next command that touches the pot mends all of it."""
    m = pot
    for word, us in STOP:
        m.pot("start", "-d", "held")
        kill_at(m, word, us, whom, "stop")
        if next_one == "doctor":
            m.pot("doctor")
        elif next_one == "start":
            m.pot("start", "-d", "held")
            assert running(m), f"does not start after kill -9 of stop at {word} + {us} us"
        if next_one != "doctor":
            m.pot("stop", "held")
        assert not running(m)
        assert left_of_a_run(m) == "", f"stop, killed at {word} + {us} us; then {next_one}"


def test_a_jail_whose_end_was_killed_is_ended_by_the_next_start_of_any_pot(pot):
    """What takes a jail apart is killed for certain: it stands still by then."""
    m = pot
    m.pot("create", "-p", "other", "-t", "single", "-b", "small", "-N", "inherit")
    m.pot("set-attribute", "-p", "other", "-A", "no-rc-script", "-V", "YES")
    m.pot("set-cmd", "-p", "other", "-c", "/bin/sleep 1000")
    m.pot("start", "-d", "held")
    # a jail as one is left by kill -9 at the worst moment: renamed, nobody in it, nobody at it
    jid = m.sh("jls -j held jid").strip()
    m.sh(f"pkill -9 -x pot-keeper; sleep 0.5; jail -m jid={jid} name=pot-ending-{jid}", ok=None)
    assert f"pot-ending-{jid}" in m.sh("jls name").split()
    m.pot("start", "-d", "other")
    m.pot("stop", "other")
    m.pot("stop", "held")
    assert left_of_a_run(m) == ""


def test_the_machine_reboots_with_running_pots(pot):
    m = pot
    m.pot("create", "-p", "atboot", "-t", "single", "-b", "small", "-N", "public-bridge")
    for words in (["set-attribute", "-A", "no-rc-script", "-V", "YES"], ["set-cmd", "-c", "/bin/sleep 1000"],
                  ["set-attribute", "-A", "start-at-boot", "-V", "YES"]):
        m.pot(words[0], "-p", "atboot", *words[1:])
    # the interface of the scenes' host outside is not there while the machine boots
    m.write("/usr/local/etc/pot/pot.conf", f"POT_EXTIF={bsd.EXTIF}\n")
    m.sh("sysrc pot_enable=YES >/dev/null")
    try:
        for hard in (False, True):
            m.pot("start", "-d", "held")
            m.pot("start", "-d", "atboot")
            m.reboot(hard=hard)
            m.sh("kldload -n pf if_bridge if_epair nullfs; zpool list zroot >/dev/null")
            scene.outside(m)
            end = time.monotonic() + 120  # ssh answers before the last script of rc has run
            while "atboot" not in m.sh("jls name").split():
                assert time.monotonic() < end, m.sh("service pot status; tail -20 /var/log/messages", ok=None)
                time.sleep(2)
            assert not running(m)
            assert "held" in m.pot("ls", "-q").split()
            m.pot("start", "-d", "held")
            assert running(m)
            m.pot("stop", "held")
            m.pot("stop", "atboot")
            assert left_of_a_run(m) == "" and "nothing is left" in m.pot("doctor")
    finally:
        m.sh("sysrc -x pot_enable >/dev/null", ok=None)
        m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")


@pytest.fixture
def tight(clean):
    """A small pool of its own, and a framework in it."""
    m = clean
    m.sh("truncate -s 256m /root/tight.img; zpool create -O compression=off -O atime=off -m /tight tight /root/tight.img")
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\nPOT_ZFS_ROOT=tight/pot\nPOT_FS_ROOT=/opt/tight\nPOT_CACHE=/var/cache/tight\n")
    m.pot("init", "-m")
    yield m
    m.sh("pot de-init -f -m", ok=None)
    m.sh("zpool destroy -f tight; rm -rf /root/tight.img /opt/tight /var/cache/tight")
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")


def test_a_pool_that_is_full(tight):
    """Whatever needs room says so and leaves nothing half made; what needs none goes on; all works again afterwards."""
    m = tight
    m.pot("create-base", "-b", "small", "-d", SMALL)
    m.pot("create", "-p", "held", "-t", "single", "-b", "small", "-N", "inherit")
    m.pot("set-attribute", "-p", "held", "-A", "no-rc-script", "-V", "YES")
    m.pot("set-cmd", "-p", "held", "-c", "/bin/sleep 1000")
    m.pot("snapshot", "-p", "held")
    m.pot("export", "-p", "held", "-t", "1", "-l", "0", "-D", TOP)
    m.sh("zfs create tight/full")

    def there():
        return m.sh("zfs list -H -o name -t all -r tight/pot; ls -R /opt/tight/bases /opt/tight/.intents | head -100; ls /opt/tight/jails")

    def refused(*words, unless=None):
        r = m.raw("pot " + " ".join(words))
        print(words, r.returncode, r.stdout, r.stderr)
        if r.returncode == 0 and unless:
            m.pot("destroy", "-p", unless)  # what is cloned needs next to no room
            return
        assert r.returncode != 0, words
        assert re.search(NO_ROOM, r.stdout + r.stderr), f"{words}: {r.stdout}{r.stderr}"
        assert there() == before, words
        assert m.pot("ls", "-q") == "held\n"

    before = there()
    try:
        # nearly: what copies files ends in the middle of it
        m.sh("free=$(zfs get -Hp -o value available tight); dd if=/dev/zero of=/tight/full/x bs=1m count=$((free / 1048576 - 4)); sync",
             timeout=600)
        refused("create-base", "-b", "small2", "-d", SMALL)
        refused("import", "-p", "held", "-t", "1", "-U", f"file://{TOP}")
        # to its end: there is not even room for names
        m.sh("dd if=/dev/zero of=/tight/full/y bs=64k; dd if=/dev/zero of=/tight/full/z bs=512; sync", ok=None, timeout=600)
        assert int(m.sh("zfs get -Hp -o value available tight")) < 65536
        refused("create", "-p", "toomuch", "-t", "single", "-b", "small", unless="toomuch")
        refused("import", "-p", "held", "-t", "1", "-U", f"file://{TOP}")
        refused("clone", "-p", "copied", "-P", "held", unless="copied")
        r = m.raw("pot start -d held")
        print("start:", r.returncode, r.stdout, r.stderr)
        assert r.returncode == 0 or re.search(NO_ROOM, r.stdout + r.stderr)
        m.pot("stop", "held")
        assert left_of_a_run(m) == ""
    finally:
        m.sh(f"rm -f /tight/full/* {TOP}/held_1.*; sync", ok=None)
    m.pot("start", "-d", "held")
    assert running(m)
    m.pot("stop", "held")
    m.pot("clone", "-p", "copied", "-P", "held")
    assert m.pot("doctor").endswith("nothing is left behind\n")


def step_clock(m, hours):
    m.sh(f"date -n $(date -v{hours:+d}H +%Y%m%d%H%M.%S) >/dev/null 2>&1 || date $(date -v{hours:+d}H +%Y%m%d%H%M.%S)")


def test_the_clock_is_set(pot):
    """ntpd's first step, an hour: what runs is still known, goes on, and ends as it was told to."""
    m = pot
    m.pot("set-cmd", "-p", "held", "-c", "/bin/sh -c 'trap \"exit 0\" TERM; while :; do sleep 0.2; done'")
    m.pot("start", "-d", "held")
    jid = m.sh("jls -j held jid").strip()
    try:
        for hours in (1, -3):
            step_clock(m, hours)
            assert "held" in m.pot("ps", "-q").split()
            assert m.pot("exec", "-p", "held", "echo", "inside") == "inside\n"
            m.pot("doctor")
            m.pot("start", "-d", "held")
            assert m.sh("jls -j held jid").strip() == jid
        m.pot("stop", "held")
    finally:
        step_clock(m, 2)
    assert not running(m) and left_of_a_run(m) == ""
    assert json.loads(m.pot("last-run-stats", "-p", "held")) == {"ExitCode": 0}


def test_pf_was_disabled(pot):
    """Its rules stay loaded and do nothing: the next start with a network enables it."""
    m = pot
    m.pot("start", "-d", "held")
    m.pot("stop", "held")
    m.sh("pfctl -q -d")
    m.pot("start", "-d", "held")
    assert "Enabled" in m.sh("pfctl -q -s info")
    m.pot("stop", "held")
