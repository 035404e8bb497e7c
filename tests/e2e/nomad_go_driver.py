"""The existing driver, written in Go, beside ours in a real Nomad: it calls our pot, and our driver takes its tasks over.
By hand, since neither Nomad nor that driver is part of the build:

    NOMAD=/path/to/nomad GO_DRIVER=/path/to/its/nomad-pot-driver POTTER_BUILD=$PWD/build \
        python3 -m pytest -q tests/e2e/nomad_go_driver.py

With GO_DRIVER_RENAMED, the same built with pluginName "pot-go", both serve one client at once.
"""
import os

import pytest

from machine import BIN, wait_until
from nomad_real import Agents, NOMAD, publish

GO_DRIVER, RENAMED = os.environ.get("GO_DRIVER"), os.environ.get("GO_DRIVER_RENAMED")
pytestmark = pytest.mark.skipif(not NOMAD or not GO_DRIVER, reason="set NOMAD and GO_DRIVER to the paths of the programs")
POT = "/usr/local/bin/pot"
COUNTING = "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done"
ONCE = 'restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }'


class Both(Agents):
    def use(self, *plugins):
        for old in self.plugins.iterdir():
            old.unlink()
        for number, plugin in enumerate(plugins):
            (self.plugins / ("nomad-pot-driver" if number == 0 else f"driver{number}")).symlink_to(plugin)
        return self

    def replace(self, plugin):
        """While the client is down, as an upgrade of the package does."""
        self.stop("client")
        wait_until(lambda: not self.all_plugins(), what="the end of the plugin")
        return self.use(plugin)

    def all_plugins(self):
        return [words for words in self.machine.processes().values() if words.startswith(str(self.plugins))]


@pytest.fixture
def both(networked):
    """That driver calls pot by its path, and looks for its tasks with pgrep through a shell, whose own command line must
    not be found: as FreeBSD's does, bash becomes a command that is the only one, where dash stays."""
    publish(networked)
    networked.run("mount", "-t", "tmpfs", "tmpfs", "/usr/local/bin")
    networked.run("ln", "-s", "/bin/bash", "/usr/local/bin/sh")
    networked.run("touch", POT)
    networked.run("mount", "--bind", BIN / "pot", POT)
    agents = Both(networked)
    agents.use(GO_DRIVER).start("server")
    yield agents
    agents.close()
    networked.end_children()
    networked.run("umount", POT)
    networked.run("umount", "/usr/local/bin")
    networked.pot("vnet-stop")


def test_it_runs_jobs_with_our_pot(both):
    both.start("client").ready()
    alloc = both.run("good", "echo out; echo err >&2", kind="batch", wait="complete")
    assert both.logs(alloc) == "out\n" and both.logs(alloc, stderr=True) == "err\n"
    both.run("bad", "sh -c 'exit 7'", kind="batch", wait=None, group=ONCE)
    both.wait_for("bad", "failed")
    assert any("Exit Code: 7" in e for e in both.events("bad")), both.events("bad")
    alloc = both.run("pages", "httpd -f -p 80 -h /local", network=None, driver_config='port_map {\n http = "80"\n }',
                     resources='network {\n mbits = 10\n port "http" {}\n }',
                     task='template {\n data = "page"\n destination = "local/index.html"\n }\n env {\n OWN = "a $ and `b`"\n }')
    whole = both.api(f"/v1/allocation/{alloc['ID']}")
    port = whole["AllocatedResources"]["Tasks"]["www1"]["Networks"][0]["DynamicPorts"][0]["Value"]
    wait_until(lambda: both.machine.http(f"http://203.0.113.1:{port}/", outside=True) == "page", every=0.3, what="the page")
    assert both.exec(alloc, "sh", "-c", "echo hello") == "hello\n"

    def measured():
        stats = both.api(f"/v1/client/allocation/{alloc['ID']}/stats")
        return stats and stats.get("ResourceUsage") and stats["ResourceUsage"]["MemoryStats"]["RSS"] > 0
    wait_until(measured, timeout=20, every=0.5, what="statistics")
    both.cli("alloc", "restart", alloc["ID"])
    wait_until(lambda: both.state("pages")["Restarts"] == 1 and both.state("pages")["State"] == "running", timeout=30,
               every=0.3, what="the restart")
    both.stop_job("pages")
    wait_until(lambda: not both.machine.running(), timeout=20, what="the end")


def test_ours_takes_its_task_over(both):
    both.start("client").ready()
    alloc = both.run("one", COUNTING)
    both.run("ends", "while [ ! -e /local/go ]; do sleep 0.05; done; exit 6", kind="batch", group=ONCE)
    before = {row["name"]: row["pid"] for row in wait_until(
        lambda: len(both.machine.running()) == 2 and both.machine.pot_json("ps"), what="both pots")}
    both.replace(BIN / "nomad-pot-driver").start("client").ready()
    wait_until(lambda: both.log().count("is recovered") == 2, timeout=20, every=0.2, what="the recovery")
    assert {row["name"]: row["pid"] for row in both.machine.pot_json("ps")} == before
    both.wait_for("one")
    both.reached(alloc)
    last = len(both.logs(alloc))
    wait_until(lambda: len(both.logs(alloc)) > last, every=0.3, what="more of the log")
    lines = both.logs(alloc).split()
    assert lines == [str(n) for n in range(1, len(lines) + 1)]
    next((both.dir / "client/alloc").glob(f"{both.allocs('ends')[-1]['ID']}/www1/local")).joinpath("go").write_text("")
    both.wait_for("ends", "failed")
    assert any("Exit Code: 6" in e for e in both.events("ends")), both.events("ends")
    assert both.state("one")["Restarts"] == 0
    both.cli("alloc", "restart", alloc["ID"])
    wait_until(lambda: both.state("one")["Restarts"] == 1 and both.state("one")["State"] == "running", timeout=30,
               every=0.3, what="the restart by ours")
    assert len(both.machine.running()) == 1 and both.machine.running()[0] not in before
    assert "panic" not in both.log()


def test_what_ended_in_between_is_started_again(both):
    """Its handle does not say which run it was, so nobody can tell how that ended."""
    both.start("client").ready()
    both.run("one", COUNTING)
    old, = (row["name"] for row in both.machine.pot_json("ps"))
    both.replace(BIN / "nomad-pot-driver")
    both.machine.pot("stop", old)
    both.start("client").ready()
    wait_until(lambda: both.machine.running() and both.machine.running() != [old], timeout=30, every=0.3, what="another pot")
    both.wait_for("one")
    assert old not in both.machine.pot("ls", "-q").split() and "panic" not in both.log()


@pytest.mark.skipif(not RENAMED, reason='set GO_DRIVER_RENAMED to that driver with pluginName "pot-go"')
def test_both_at_once(both):
    both.use(BIN / "nomad-pot-driver", RENAMED).start("client").ready()
    ours, its = both.run("ours", COUNTING), both.run("its", COUNTING, driver="pot-go")
    assert len(both.machine.running()) == 2
    for alloc in (ours, its):
        wait_until(lambda: both.logs(alloc).split()[:3] == ["1", "2", "3"], every=0.3, what="its words")
    both.stop_job("its")
    wait_until(lambda: len(both.machine.running()) == 1, timeout=20, what="the end of one")
    last = len(both.logs(ours))
    wait_until(lambda: len(both.logs(ours)) > last, every=0.3, what="more of the other's log")
    assert both.state("ours")["Restarts"] == 0
