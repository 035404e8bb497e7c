"""Addresses of the outside: usable when the pot's command begins, and whose they are after a run that was killed."""
import time

import pytest
from scene import SMALL, empty, nothing

SIX, FOUR = "2001:db8:113::77", "203.0.113.77"
NOTES = "/var/run/pot/aliases"


@pytest.fixture
def net(clean):
    m = clean
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\nPOT_NETWORK_STACK=dual\n")
    nothing(m)
    m.pot("create-base", "-b", "small", "-d", SMALL)
    yield m
    m.sh(f"ifconfig ext0 inet6 no_dad; ifconfig ext0 -alias {FOUR}; ifconfig ext0 inet6 {SIX} -alias; rm -f {NOTES}/*", ok=None)
    empty(m)
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")


def make(m, name, address, command="/bin/sleep 1000"):
    m.pot("create", "-p", name, "-t", "single", "-b", "small", "-N", "alias", "-i", address)
    m.pot("set-attribute", "-p", name, "-A", "no-rc-script", "-V", "YES")
    m.pot("set-cmd", "-p", name, "-c", command)


def test_a_command_binds_to_its_ipv6_address_at_once(net):
    """The machine asks on the network whether somebody has the address; until then nobody can bind to it."""
    m = net
    m.sh("ifconfig ext0 inet6 -no_dad")
    make(m, "binds", SIX, f"/usr/bin/nc -6 -k -l {SIX} 8077")
    for _ in range(3):
        m.pot("start", "-d", "binds")
        said = m.sh(f"for i in 1 2 3 4 5; do jexec world nc -6 -z -w 2 {SIX} 8077 && echo answers && break; sleep 0.3; done; ifconfig ext0")
        assert "answers" in said, said
        m.pot("stop", "binds")
        assert SIX not in m.sh("ifconfig ext0")


def test_an_ipv6_address_of_another_machine_is_refused(net):
    m = net
    inner = m.sh("jexec world ifconfig -l").split()[-1]
    m.sh("ifconfig ext0 inet6 -no_dad")
    make(m, "second", SIX)
    m.sh(f"jexec world ifconfig {inner} inet6 {SIX}/64 alias")
    try:
        r = m.raw("pot start -d second")
        assert r.returncode != 0 and SIX in r.stdout and "another machine" in r.stdout, r.stdout + r.stderr
        assert SIX not in m.sh("ifconfig ext0") and m.sh(f"ls {NOTES}") == ""
        assert "second" not in m.sh("jls name").split()
    finally:
        m.sh(f"jexec world ifconfig {inner} inet6 {SIX} -alias")
    m.pot("start", "-d", "second")
    m.sh(f"jexec world ping -c1 -t5 {SIX}")
    m.pot("stop", "second")


def test_an_address_stays_with_who_took_it_over(net):
    """The first pot's keeper is killed and the second takes the address over: clearing up after the first leaves it there."""
    m = net
    make(m, "first", FOUR)
    make(m, "second", FOUR)

    def held():
        return FOUR in m.sh("ifconfig ext0") and m.raw(f"jexec world ping -c1 -t5 {FOUR}").returncode == 0

    for verb, ok in (("stop first", None), ("start -d first", False), ("doctor", True)):
        m.pot("start", "-d", "first")
        assert "in use by pot first" in m.raw("pot start -d second").stdout
        m.sh("kill -9 $(awk '$1 == \"keeper\" {print $2}' /var/run/pot/runs/first/record)")
        end = time.monotonic() + 20
        while "first" in m.sh("jls name").split():
            assert time.monotonic() < end
            time.sleep(0.2)
        m.pot("start", "-d", "second")
        assert held()
        m.sh(f"pot {verb}", ok=ok)
        assert held(), f"{verb} took the address from the other pot"
        m.pot("stop", "second")
        assert FOUR not in m.sh("ifconfig ext0") and m.sh(f"ls {NOTES}") == "", verb
    # a note that says nothing, as they were, is that of whoever asks
    m.pot("start", "-d", "first")
    assert m.sh(f"cat {NOTES}/ext0,{FOUR}")
    m.sh(f": >{NOTES}/ext0,{FOUR}")
    m.pot("stop", "first")
    assert FOUR not in m.sh("ifconfig ext0") and m.sh(f"ls {NOTES}") == ""
