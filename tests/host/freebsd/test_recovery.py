"""What a killed program, a machine that goes down and a full pool leave: nothing, and pots that start again."""
import pytest
import scene
from scene import nothing, release


@pytest.fixture
def pot(clean):
    """A pot of type multi on the public bridge whose command is a sleep."""
    m = clean
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    nothing(m)
    rel = release(m)
    m.pot("create-base", "-r", rel, timeout=1200)
    m.pot("create", "-p", "held", "-t", "multi", "-b", rel, "-N", "public-bridge")
    m.pot("set-attribute", "-p", "held", "-A", "no-rc-script", "-V", "YES")
    m.pot("set-cmd", "-p", "held", "-c", "/bin/sleep 1000")
    yield m
    m.pot("doctor")  # the processes that end jails were killed as well
    m.pot("destroy", "-rb", rel)
    nothing(m)


def running(m):
    return "held" in m.sh("jls name").split()


@pytest.mark.parametrize("what", ["start", "stop"])
def test_killed_at_any_time(pot, what):
    m, command = pot, "start -d" if what == "start" else what
    for ms in (20, 60, 120, 250, 500, 1000):
        if what == "stop":
            m.pot("start", "-d", "held")
        m.sh(f"pot {command} held >/dev/null 2>&1 </dev/null & p=$!; sleep {ms / 1000}; kill -9 $p; "
             f"[ $(({ms} % 40)) = 0 ] || pkill -9 -x pot-keeper; sleep 0.2", ok=None)
        m.pot("start", "-d", "held", ok=None)
        assert running(m), f"does not start after kill -9 of {what} at {ms} ms"
        m.pot("stop", "held")
        assert not running(m)


def test_the_machine_goes_down_with_a_running_pot(pot):
    m = pot
    m.pot("start", "-d", "held")
    m.reboot(hard=True)
    m.sh("kldload -n pf if_bridge if_epair nullfs; zpool list zroot >/dev/null")
    scene.outside(m)
    assert not running(m)
    assert "held" in m.pot("ls", "-q").split()
    m.pot("start", "-d", "held")
    assert running(m)
    m.pot("stop", "held")


def test_a_pool_that_is_nearly_full(pot):
    m = pot
    m.sh("zfs create -o compression=off -o mountpoint=/full zroot/full")
    try:
        m.sh("free=$(zfs get -Hp -o value available zroot); dd if=/dev/zero of=/full/x bs=1m "
             "count=$((free / 1048576)) 2>/dev/null; sync", ok=None, timeout=1800)
        m.pot("create", "-p", "toomuch", "-t", "single", "-b", release(m), ok=False, timeout=1200)
        assert m.pot("ls", "-q") == "held\n"
        m.pot("start", "-d", "held", ok=None)
        m.pot("stop", "held", ok=None)
    finally:
        m.sh("rm -f /full/x; zfs destroy -f zroot/full", ok=None)
    m.pot("start", "-d", "held")
    m.pot("stop", "held")
