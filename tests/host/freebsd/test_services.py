"""rc.d's scripts, limits with and without the kernel's accounting, and jails that somebody else removes."""
import json
import re
import time

import pytest
from scene import SMALL, TOP, empty, nothing


@pytest.fixture
def pot(clean):
    m = clean
    nothing(m)
    m.pot("create-base", "-b", "small", "-d", SMALL)
    make(m, "served")
    yield m
    m.sh("sysrc -x pot_enable potter_enable potter_config pot_runner_enable pot_runner_flags", ok=None)
    empty(m)


def make(m, name, command="/bin/sleep 1000", net="inherit"):
    m.pot("create", "-p", name, "-t", "single", "-b", "small", "-N", net)
    m.pot("set-attribute", "-p", name, "-A", "no-rc-script", "-V", "YES")
    m.pot("set-cmd", "-p", name, "-c", command)


def test_service_pot(pot):
    m = pot
    make(m, "early")
    make(m, "neither")
    m.pot("set-attribute", "-p", "served", "-A", "start-at-boot", "-V", "YES")
    m.pot("set-attribute", "-p", "early", "-A", "early-start-at-boot", "-V", "YES")
    assert m.sh("service pot enabled && echo yes", ok=False) == ""
    m.sh("sysrc pot_enable=YES >/dev/null")
    m.sh("service pot start")
    assert [n for n in m.sh("jls name").split() if n != "world"] == ["served"]
    m.sh("service pot_early start")
    said = m.sh("service pot status", ok=None)
    assert "served is up and running" in said.replace("pot served", "served"), said
    m.sh("service pot start")  # again does no harm
    m.sh("service pot stop")
    assert "served" not in m.sh("jls name").split()
    said = m.sh("service pot status", ok=None)
    assert "served is not running" in said.replace("pot served", "served"), said
    m.sh("service pot restart", timeout=120)
    assert "served" in m.sh("jls name").split() and "early" in m.sh("jls name").split()
    m.sh("service pot stop; service pot_early stop", ok=None)
    assert [n for n in m.sh("jls name").split() if n != "world"] == []


def test_service_potter(pot):
    m = pot
    m.sh(f"""
        mkdir -p /usr/local/etc/potter-test; pw usershow potter >/dev/null 2>&1 || pw useradd potter -d /var/db/potter -s /usr/sbin/nologin
        mkdir -p /var/db/potter; chown potter:potter /var/db/potter
        printf 'data_dir = "/var/db/potter"\\nserver {{ enabled = true\\nbootstrap_expect = 1 }}\\nclient {{ enabled = true }}\\n' >/usr/local/etc/potter-test/a.hcl
        sysrc potter_enable=YES potter_config=/usr/local/etc/potter-test >/dev/null""")
    try:
        assert "not running" in m.sh("service potter status", ok=False)
        m.sh("service potter start", timeout=120)
        assert "is running as pid" in m.sh("service potter status")
        assert "already running" in m.sh("service potter start 2>&1", ok=False)
        m.sh("service potter reload")
        pid = m.sh("cat /var/run/potter/potter.pid")
        m.sh("service potter restart", timeout=120)
        assert m.sh("cat /var/run/potter/potter.pid") != pid
        assert "is running as pid" in m.sh("service potter status")
        m.sh("service potter stop", timeout=120)
        assert "not running" in m.sh("service potter status", ok=False)
    finally:
        m.sh("service potter onestop; pw userdel potter; rm -rf /usr/local/etc/potter-test /var/db/potter /var/log/potter /var/run/potter", ok=None)


def test_service_pot_runner(pot):
    """rc.subr finds it by its pid file and its name."""
    m = pot
    m.sh("sysrc pot_runner_enable=YES pot_runner_flags='--group pot --root /var/db/nomad' >/dev/null; mkdir -p /var/db/nomad")
    assert "not running" in m.sh("service pot_runner status", ok=False)
    m.sh("service pot_runner start")
    try:
        end = time.monotonic() + 20
        while not m.sh("ls /var/run/pot*/*.sock /var/run/*.sock 2>/dev/null", ok=None):
            assert time.monotonic() < end, m.sh("ps -ax -o pid,command | grep pot-runner; tail -5 /var/log/messages", ok=None)
            time.sleep(0.5)
        said = m.sh("service pot_runner status")
        assert re.search(r"is running as pid \d+", said), said
        assert "already running" in m.sh("service pot_runner start 2>&1", ok=None)
    finally:
        m.sh("service pot_runner stop; rm -rf /var/db/nomad", ok=None, timeout=60)
    assert "not running" in m.sh("service pot_runner status", ok=False)
    assert m.sh("pgrep -l pot-runner", ok=None) == ""


def test_limits_without_accounting(pot):
    """kern.racct.enable=0, as FreeBSD comes: the pot starts, and it is said each time. With it: the rules are there."""
    m = pot
    on = m.sh("sysctl -n kern.racct.enable").strip() == "1"
    m.pot("set-rss", "-p", "served", "-M", "64M", "-C", "1", "-I", "50", "-W", "2000")
    for _ in range(2):
        r = m.raw("pot start -d served")
        assert r.returncode == 0
        for weight in ("disks", "processors"):
            assert f"weight of {weight}" in r.stdout + r.stderr
        assert ("kern.racct.enable" in r.stdout + r.stderr) == (not on), r.stdout + r.stderr
        assert m.sh("jexec served cpuset -g -p 1 2>/dev/null; cpuset -g -j served").strip()
        assert ("memoryuse" in m.sh("rctl 2>/dev/null", ok=None)) == on
        last = int(m.sh("sysctl -n hw.ncpu")) - 1
        if last > 0:  # whoever moves it by hand is believed
            m.sh(f"cpuset -l {last} -j served")
            assert m.sh("potcpu show").split("served")[1].split()[:2] == ["1", str(last)]
        m.pot("stop", "served")
    assert "jail:served" not in m.sh("rctl 2>/dev/null", ok=None)


def test_all_pots_are_looked_at_at_once(pot):
    """The kernel tells of one jail's processes only by telling of all: one look is for every pot that is asked about."""
    m = pot
    make(m, "three", "/bin/sh -c 'sleep 1000 & sleep 1000 & wait'")
    make(m, "last")
    for name in ("served", "three", "last"):
        m.pot("start", "-d", name)
    m.sh("jail -c name=last.below path=/ persist; jexec last.below /bin/sleep 1000 >/dev/null 2>&1 </dev/null & "
         "until pgrep -j last.below sleep >/dev/null; do :; done")
    used = {row["name"]: row for row in json.loads(m.pot("show", "--json"))}
    alone = used["served"]["pids"]
    assert (used["three"]["pids"], used["last"]["pids"]) == (alone + 2, alone + 1), used
    assert all(row["rss_bytes"] > 0 for row in used.values()), used
    m.sh(f"cd {TOP} && ktrace -f looks potcpu show >shown && kdump -f looks >looked")
    assert {"served", "three", "last"} <= set(m.sh(f"cat {TOP}/shown").split())
    # its size, then itself
    assert m.sh(f"grep -c kern.proc.proc {TOP}/looked").strip() == "2"
    m.sh(f"rm {TOP}/looks {TOP}/looked {TOP}/shown; jail -r last.below")
    for name in ("served", "three", "last"):
        m.pot("stop", name)


def test_a_device_is_not_mounted(pot):
    """Which is how a task would get one of a device plugin."""
    m, conf = pot, "/opt/pot/jails/served/conf/fscomp.conf"
    m.sh(f"echo '/dev/null /root/null' >>{conf}")
    try:
        r = m.raw("pot start -d served")
        assert r.returncode != 0 and "/dev/null is a device" in r.stdout + r.stderr, r.stdout + r.stderr
        m.sh("test ! -e /opt/pot/jails/served/m/root/null")
    finally:
        m.sh(f"sed -i '' '\\,^/dev/null,d' {conf}")


def test_a_jail_that_became_empty_and_is_removed_by_hand(clean):
    """Nobody is told of that by the kernel: who looks after a pot without processes finds out by itself."""
    m = clean
    nothing(m)
    m.pot("create-base", "-b", "small", "-d", SMALL)
    make(m, "empty", "/usr/bin/true")
    m.pot("start", "-d", "empty")
    assert "empty" in m.sh("jls name").split()
    end = time.monotonic() + 10
    while m.sh("ps -J empty -o pid= ", ok=None).strip():
        assert time.monotonic() < end
    assert "empty" in m.pot("ps", "-q").split()
    m.sh("jail -r empty")
    end = time.monotonic() + 15
    while m.sh("pgrep -l pot-keeper; ls /var/run/pot/runs/empty/record 2>/dev/null", ok=None):
        assert time.monotonic() < end, m.sh("ps -ax | grep pot", ok=None)
        time.sleep(0.5)
    assert m.pot("ps", "-q") == ""
    m.pot("start", "-d", "empty")
    m.pot("stop", "empty")
    empty(m)
