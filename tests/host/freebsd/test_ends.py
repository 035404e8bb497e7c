"""How pots end: whoever lives in them is told to, waited for and killed, whoever started it and however it dies."""
import time

import pytest
from scene import SMALL, TOP, empty, nothing

SHOW = "ps -axd -o pid,jid,stat,time,command | grep -v '\\['; nomad status over; tail -20 /var/log/potter/potter.log"
JOB = """job "over" {
  datacenters = ["dc1"]
  type = "batch"
  group "group1" {
    restart {
      attempts = 0
      mode = "fail"
    }
    reschedule {
      attempts = 0
      unlimited = false
    }
    task "over" {
      driver = "pot"
      config {
        image = "http://127.0.0.1:4646/registry"
        pot = "over"
        tag = "1.0"
        command = "/bin/sh"
        args = ["-c", "%s"]
        network_mode = "host"
      }
      logs {
        max_files = 2
        max_file_size = 1
      }
      resources {
        cpu = 20
        memory = 64
      }
    }
  }
}
"""


def wait_until(m, look, what, limit=40, every=0.5):
    end = time.monotonic() + limit
    while not look():
        assert time.monotonic() < end, f"{what}\n" + m.sh(SHOW, ok=None)
        time.sleep(every)


@pytest.fixture
def pot(clean):
    """A persistent pot on the machine's network whose command is a sleep."""
    m = clean
    nothing(m)
    m.pot("create-base", "-b", "small", "-d", SMALL)
    m.pot("create", "-p", "held", "-t", "single", "-b", "small", "-N", "inherit")
    for words in (["set-attribute", "-A", "no-rc-script", "-V", "YES"], ["set-cmd", "-c", "/bin/sleep 1000"]):
        m.pot(words[0], "-p", "held", *words[1:])
    yield m
    m.pot("stop", "held", ok=None)
    empty(m)


def inside(path):
    return f"/opt/pot/jails/held/m{path}"


def daemon(m, on_term):
    """A daemon that somebody's `pot exec` left in there, as `service postgresql restart` does; it runs when this returns."""
    script = f"trap '{on_term}' TERM; echo >/root/ready; while :; do sleep 0.2; done"
    m.write(inside("/root/daemon"), script)
    m.sh("pot exec -p held sh -c 'sh /root/daemon </dev/null >/dev/null 2>&1 &'")
    wait_until(m, lambda: m.sh(f"cat {inside('/root/ready')}", ok=None), "the daemon")


def stop(m):
    """Seconds."""
    begin = time.monotonic()
    m.pot("stop", "held", timeout=120)
    return time.monotonic() - begin


@pytest.mark.parametrize("command", ["/bin/sleep 1000", "/usr/bin/true"])
def test_stop_waits_for_what_an_exec_left(pot, command):
    """It is no child of the pot's init: that of a pot whose command runs, and of one whose command has ended."""
    m = pot
    m.pot("set-cmd", "-p", "held", "-c", command)
    m.pot("start", "-d", "held")
    daemon(m, "sleep 2; echo whole >/root/ended; exit 0")
    assert stop(m) >= 2
    assert m.sh(f"cat {inside('/root/ended')}") == "whole\n"


def test_stop_does_not_wait_for_ever(pot):
    m = pot
    m.pot("set-attribute", "-p", "held", "-A", "stop_timeout", "-V", "2")
    m.pot("start", "-d", "held")
    daemon(m, "")
    assert 2 <= stop(m) < 20
    assert m.sh("pgrep -f /root/daemon", ok=None) == ""


def test_stop_hangs_up_who_types_into_a_shell(pot):
    """An interactive shell pays no heed to SIGTERM, and a stop does not wait until its time is over for it."""
    m = pot
    m.pot("set-attribute", "-p", "held", "-A", "stop_timeout", "-V", "60")
    m.pot("start", "-d", "held")
    m.sh("mkfifo /tmp/typed; sh -c 'exec 3<>/tmp/typed; script -q /dev/null pot term held <&3' >/dev/null 2>&1 & "
         "echo 'echo >/root/ready' >/tmp/typed")
    try:
        wait_until(m, lambda: m.sh(f"cat {inside('/root/ready')}", ok=None), "the shell")
        assert stop(m) < 40
    finally:
        m.sh("rm -f /tmp/typed")


def test_who_dies_slowly_is_waited_for(pot):
    """The time to stop is over while the kernel is still busy with a process that ends."""
    m = pot
    m.sh(f"cp {TOP}/linger {inside('/root/linger')}")
    m.pot("set-cmd", "-p", "held", "-c", "/root/linger 5")
    m.pot("set-attribute", "-p", "held", "-A", "stop_timeout", "-V", "1")
    m.pot("start", "-d", "held")
    wait_until(m, lambda: m.sh("netstat -an -p tcp | awk '$3 > 0 && $4 ~ /^127/'", ok=None), "the connection")
    assert stop(m) >= 3
    assert m.sh("pgrep -x linger; jls -d -j held jid 2>/dev/null", ok=None) == ""


def test_few_descriptors(pot):
    m = pot
    for limit in (256, 64):
        m.sh(f"ulimit -n {limit}; pot start -d held")
        assert m.sh(f"ulimit -n {limit}; pot exec -p held echo here") == "here\n"
        m.sh(f"ulimit -n {limit}; pot stop held")


def test_jails_of_others_whose_names_look_like_ours(pot):
    """Neither emptied nor removed when a pot starts or stops, nor is a pot made that has such a name."""
    m = pot
    r = m.raw("pot create -p pot-ending-web -t single -b small")
    assert r.returncode != 0 and "begins with 'pot-ending-'" in r.stdout + r.stderr
    names = ["pot-ending-web", "pot-ending-99999", "pot-ending-web.5"]
    try:
        m.sh("jail -c name=pot-ending-web path=/ children.max=1 persist; jail -c name=pot-ending-web.5 path=/ persist; "
             "jail -c name=pot-ending-99999 path=/ persist; "
             + "".join(f"jexec {n} sleep 1000 </dev/null >/dev/null 2>&1 & " for n in names))
        wait_until(m, lambda: len(m.sh("pgrep -f '^sleep 1000$'", ok=None).split()) == len(names), "processes")
        m.pot("start", "-d", "held")
        m.pot("stop", "held")
        m.pot("doctor", ok=None)
        assert set(names) <= set(m.sh("jls name").split())
        assert len(m.sh("pgrep -f '^sleep 1000$'", ok=None).split()) == len(names)
    finally:
        m.sh("jail -r pot-ending-web; jail -r pot-ending-99999", ok=None)


@pytest.fixture
def agent(pot):
    """One agent, and an image that its jobs' pots are made of, which are not persistent and whose output goes to files."""
    m = pot
    m.pot("create", "-p", "over", "-t", "single", "-b", "small", "-N", "inherit")
    m.pot("set-attribute", "-p", "over", "-A", "no-rc-script", "-V", "YES")
    m.pot("snapshot", "-p", "over")
    m.sh("""
        mkdir -p /usr/local/etc/potter-test; pw usershow potter >/dev/null 2>&1 || pw useradd potter -d /var/db/potter -s /usr/sbin/nologin
        mkdir -p /var/db/potter; chown potter:potter /var/db/potter
        printf 'data_dir = "/var/db/potter"\\nserver { enabled = true\\nbootstrap_expect = 1 }\\nclient { enabled = true }\\n' \\
            >/usr/local/etc/potter-test/a.hcl
        sysrc potter_enable=YES potter_config=/usr/local/etc/potter-test >/dev/null
        service potter start
        mkdir -p /var/db/potter/registry; pot export -p over -t 1.0 -l 0 -D /var/db/potter/registry && pot destroy -p over""", timeout=180)
    yield m
    m.sh("""service potter stop; sysrc -x potter_enable potter_config; pw userdel potter
        rm -rf /usr/local/etc/potter-test /var/db/potter /var/log/potter /var/run/potter
        for p in $(pot ls -q | grep -vx held); do pot destroy -p $p -F; done""", ok=None, timeout=180)


def jail(m):
    return next((n for n in m.sh("jls name").split() if n.startswith("over")), "")


@pytest.mark.parametrize("how", ["command", "init"])
def test_who_writes_on_does_not_hold_up_the_end(agent, how):
    """The command ends, or somebody kills the pot's init, and a process that it left fills the pipe of the log."""
    m = agent
    m.write(f"{TOP}/over.job", JOB % ("for i in 1 2 3 4 5 6 7 8; do cat /dev/zero & done; sleep " + ("3" if how == "command" else "1000")))
    m.sh(f"nomad run -detach {TOP}/over.job", timeout=180)
    wait_until(m, lambda: jail(m), "the pot")
    if how == "init":
        wait_until(m, lambda: m.sh("pgrep -x cat", ok=None), "the writer")
        m.sh("pkill -9 -f '^pot-init: jail'")
    wait_until(m, lambda: not jail(m) and not m.sh("pgrep -x cat; pgrep -x pot-keeper", ok=None), "the end")
    want = "complete" if how == "command" else "failed"
    wait_until(m, lambda: want in m.sh("nomad status over", ok=None), want)
