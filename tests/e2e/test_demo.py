"""The README's first command, and minipot, on a copy-on-write view of this machine."""
import pytest

from machine import wait_until
from sandbox import SYSTEMD, Sandbox

NODE_SAYS = "agent      running"


@pytest.fixture
def view():
    v = Sandbox()
    yield v
    v.close()


def bare(view):
    """Nothing of Potter is left on this machine."""
    wait_until(lambda: not view.processes(), what=f"no process: {view.processes()}")
    wait_until(lambda: not view.links(), what=f"no link: {view.links()}")
    assert view.tables() == []
    assert view.changed() == []
    assert view.in_memory() == []


def test_the_demo_comes_twice_and_goes_without_a_trace(view):
    out = view.make("demo")
    assert "<h1>Hello from a pot.</h1>" in out
    assert "Deployment completed successfully" in out
    [pot] = view.json("pot", "ps")
    assert pot["name"].startswith("www1_") and "eth0" in out and pot["name"] in out
    again = view.make("demo")
    assert "Already running" in again and "<h1>Hello from a pot.</h1>" in again
    assert view.json("pot", "ps") == [pot], "the same run of the same pot"
    status = view.run("minipot", "status")
    assert NODE_SAYS in status and "ingress    listening" in status
    view.run("minipot", "destroy")
    view.make("uninstall")
    bare(view)


def test_minipot_stops_starts_and_brings_the_jobs_back(view):
    view.make("demo")
    view.run("minipot", "stop")
    assert view.try_run("minipot", "status").returncode == 1
    assert view.run("pot", "ps", "-q") == ""
    assert view.run("minipot-init").strip() == "===> Ready: minipot start"
    view.run("minipot-start")
    wait_until(lambda: "Hello" in view.page(), timeout=30, what="the page, after a stop and a start")
    out = view.run("minipot", "init", "-i", "203.0.113.1")
    assert "agent.hcl" in out
    view.run("minipot", "stop")
    view.run("minipot", "start")
    assert "ingress    listening" in view.run("minipot", "status"), "whoever is told that it runs can use it"
    wait_until(lambda: "Hello" in view.page(address="203.0.113.1"), timeout=30, what="the page at the machine's address")
    assert "Hello" in view.page(), "and on loopback"
    assert NODE_SAYS in view.run("minipot", "status")
    assert view.run("minipot-init").strip() == "===> Ready: minipot start", "the address is kept"
    view.run("minipot", "destroy")
    view.make("uninstall")
    bare(view)


@pytest.fixture
def systemd():
    v = Sandbox(init=SYSTEMD)
    v.wait_systemd()
    yield v
    v.close()


def test_the_demo_under_systemd(systemd):
    view = systemd
    before = set(view.processes())
    assert "<h1>Hello from a pot.</h1>" in view.make("demo")
    assert view.run("systemctl", "is-active", "minipot").strip() == "active"
    assert view.run("systemctl", "is-enabled", "minipot").strip() == "enabled"
    assert NODE_SAYS in view.run("minipot", "status")
    assert "Already running" in view.run("minipot", "start")
    [pot] = view.json("pot", "ps")
    view.run("systemctl", "restart", "minipot")
    wait_until(lambda: "Hello" in view.page(), timeout=30, what="the page, after a restart of the service")
    assert view.json("pot", "ps") == [pot], "the same run of the same pot"
    view.run("systemctl", "reload", "minipot")
    pid = view.run("systemctl", "show", "--property=MainPID", "--value", "minipot").strip()
    view.run("kill", "-KILL", pid)
    wait_until(lambda: NODE_SAYS in view.try_run("minipot", "status").stdout, timeout=30, what="the service again")
    wait_until(lambda: "Hello" in view.page(), timeout=30, what="the page, after the service was killed")
    view.run("minipot", "stop")
    assert view.run("pot", "ps", "-q") == ""
    view.run("minipot", "start")
    wait_until(lambda: "Hello" in view.page(), timeout=30, what="the page, after a stop and a start")
    view.run("minipot", "destroy")
    view.make("uninstall")
    wait_until(lambda: len(view.processes()) <= len(before), what=f"no process: {view.processes()}")
    wait_until(lambda: not view.links(), what=f"no link: {view.links()}")
    assert view.tables() == []
    assert [line for line in view.changed() if "potter" in line or "pot" in line] == []
