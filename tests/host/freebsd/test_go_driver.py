"""The existing driver, written in Go, in a real Nomad on FreeBSD: it calls our pot, and our driver takes its tasks over.

    GO_DRIVER_FREEBSD=/path/to/its/nomad-pot-driver NOMAD_FREEBSD=/path/to/nomad FREEBSD_HOST=... \
        python3 -m pytest -q tests/host/freebsd/test_go_driver.py
"""
import os
import subprocess

import pytest
from agents import DIR, HOLD, IMAGE, NOMAD, ONCE, PLUGIN, wait_until
from test_nomad import COUNT, agents, image  # noqa: F401

GO_DRIVER = os.environ.get("GO_DRIVER_FREEBSD")
pytestmark = pytest.mark.skipif(not NOMAD or not GO_DRIVER,
                                reason="NOMAD_FREEBSD and GO_DRIVER_FREEBSD are not set: the paths of the programs for FreeBSD")
OURS = f"{DIR}/ours"


def use(a, plugin):
    """While the client is down, as an upgrade of the package does."""
    if a.pid("client"):
        a.stop("client")
    wait_until(lambda: not a.plugins(), what="the end of the plugin")
    a.m.sh(f"cp {plugin} {PLUGIN}.new && mv {PLUGIN}.new {PLUGIN}")
    a.start("client").ready()


@pytest.fixture
def go(agents, image, clean):  # noqa: F811
    """The client has that driver; at the end it has ours again."""
    m = agents.m
    m.sh(f"cp -p {PLUGIN} {OURS}")
    with open(GO_DRIVER, "rb") as program:
        subprocess.run(m.ssh(f"cat >{DIR}/its && chmod 755 {DIR}/its"), stdin=program, check=True)
    use(agents, f"{DIR}/its")
    yield agents
    use(agents, OURS)
    agents.empty()
    m.sh(f"rm -f {OURS} {DIR}/its; rm -rf /tmp/plugin[0-9]*")
    assert "panic" not in agents.log() and IMAGE in m.pot("ls", "-q").split()


def words(a, alloc):
    return a.logs(alloc).split()


def test_it_runs_jobs_with_our_pot(go):
    a = go
    alloc = a.run("good", "echo out; echo err >&2", kind="batch", wait="complete")
    assert a.logs(alloc) == "out\n" and a.logs(alloc, stderr=True) == "err\n"
    a.run("bad", "sh -c 'exit 7'", kind="batch", wait=None, group=ONCE)
    a.wait_for("bad", "failed")
    assert any("Exit Code: 7" in e for e in a.events("bad")), a.events("bad")
    alloc = a.run("one", COUNT)
    assert a.execute(alloc, "sh", "-c", "echo hello").stdout == "hello\n"
    a.restart(alloc)
    wait_until(lambda: a.state("one")["Restarts"] == 1 and a.state("one")["State"] == "running", what="the restart")
    a.stop_job("one")
    wait_until(lambda: not a.running(), what="the end")


def test_ours_takes_its_tasks_over(go):
    a = go
    alloc = a.run("one", COUNT)
    a.run("ends", "while [ ! -e /local/go ]; do sleep 0.2; done; exit 6", kind="batch", group=ONCE)
    wait_until(lambda: len(a.running()) == 2, what="both pots")
    before, known = a.identity(), a.log().count("is recovered")
    use(a, OURS)
    wait_until(lambda: a.log().count("is recovered") == known + 2, what="the recovery")
    assert a.identity() == before
    a.wait_for("one")
    wait_until(lambda: a.execute(alloc, "true").returncode == 0, what="a way from the server to the client")
    last = len(words(a, alloc))
    wait_until(lambda: len(words(a, alloc)) > last, what="more of the log")
    lines = words(a, alloc)
    assert lines == [str(n) for n in range(1, len(lines) + 1)]
    a.m.sh(f"touch {DIR}/client/alloc/{a.allocs('ends')[-1]['ID']}/www1/local/go")
    a.wait_for("ends", "failed")
    assert any("Exit Code: 6" in e for e in a.events("ends")), a.events("ends")
    assert a.state("one")["Restarts"] == 0
    a.restart(alloc)
    wait_until(lambda: a.state("one")["Restarts"] == 1 and a.state("one")["State"] == "running", what="the restart by ours")
    assert len(a.running()) == 1 and a.identity()[0] not in before


def test_what_ended_in_between_is_started_again(go):
    """Its handle does not say which run it was, so nobody can tell how that ended."""
    a = go
    a.run("one", HOLD)
    old, = a.running()
    a.stop("client")
    a.m.pot("stop", old)
    use(a, OURS)
    wait_until(lambda: a.running() and a.running() != [old], what="another pot")
    a.wait_for("one")
    assert old not in a.pots()
