"""A real Nomad on FreeBSD for a while: tasks that stay, tasks that come and go, agents and plugins that are killed.

    NOMAD_MINUTES=60 NOMAD_TASKS=50 NOMAD_FREEBSD=/path/to/nomad FREEBSD_HOST=... \
        python3 -m pytest -s tests/host/freebsd/test_nomad_hour.py

Says once a minute what the plugin and its worker hold. Nomad has a log process for each task: 50 want some GB of memory.
"""
import os
import signal
import time

import pytest
from agents import NOMAD, ONCE, wait_until
from test_nomad import agents, image, nomad  # noqa: F401

MINUTES, TASKS = float(os.environ.get("NOMAD_MINUTES", "0")), int(os.environ.get("NOMAD_TASKS", "50"))
SHORT_EVERY, DISTURB_EVERY = 30, 300
pytestmark = pytest.mark.skipif(not NOMAD or not MINUTES, reason="NOMAD_FREEBSD and NOMAD_MINUTES are not set")


def sample(a, since):
    """Resident memory, processor time and descriptors of the plugin and its worker; what there is of pots."""
    held = a.m.sh("for p in $(pgrep -x nomad-pot-driver pot-runner); do ps -o command=,pid=,rss=,time= -p $p | "
                  "sed 's,^[^ ]*/,,'; procstat -h -f $p | wc -l; done; jls name | wc -l; ifconfig -l | wc -w; rctl | wc -l")
    print(f"{(time.monotonic() - since) / 60:5.1f} min; " + "; ".join(held.split("\n")), flush=True)


def resident(a):
    """kB of the plugin and its worker."""
    return sum(map(int, a.m.sh("ps -o rss= -p $(pgrep -d, -x nomad-pot-driver pot-runner)").split()))


class Short:
    """Batch jobs one after the other; each must end as its command says."""

    def __init__(self, a):
        self.a, self.number, self.open, self.done, self.odd = a, 0, {}, 0, []

    def run(self):
        self.number += 1
        job, code = f"short{self.number}", self.number % 3
        self.a.run(job, f"echo begin; sleep 0.{code}; exit {code}", kind="batch", count=2, wait=None, group=ONCE,
                   network="public-bridge" if self.number % 2 else "host")
        self.open[job] = "failed" if code else "complete"

    def look(self):
        for job, due in list(self.open.items()):
            allocs = self.a.allocs(job)
            if len(allocs) == 2 and all(x["ClientStatus"] in ("complete", "failed") for x in allocs):
                self.odd += [(job, due, x["ClientStatus"], self.a.events(job)) for x in allocs if x["ClientStatus"] != due]
                self.a.stop_job(job)
                del self.open[job]
                self.done += 2
        return not self.open


def disturb(a, number):
    """Another plugin, or another agent."""
    if number % 3 == 0:
        a.kill_plugin()
    else:
        a.stop("client", signal.SIGINT if number % 3 == 1 else signal.SIGKILL)
        a.start("client")
    a.ready()
    print(("plugin killed", "client ended and started", "client killed and started")[number % 3], flush=True)


def test_the_hour(nomad):  # noqa: F811
    a = nomad
    small = {"task": "logs {\n max_files = 1\n max_file_size = 2\n }", "memory": 16, "disk": 10, "wait": None}
    a.run("stay", "sleep 1000000", count=TASKS - TASKS // 2, **small)
    a.run("paged", "sleep 1000000", count=TASKS // 2, network="public-bridge", **small)
    for job in ("stay", "paged"):
        a.wait_for(job, timeout=1200)
    since, short, disturbed, said = time.monotonic(), Short(a), 0, 0
    before, at_first = a.identity(), resident(a)
    assert len(before) == TASKS
    while (now := time.monotonic() - since) < MINUTES * 60:
        if now >= said * 60:
            said += 1
            sample(a, since)
        if now >= (disturbed + 1) * DISTURB_EVERY:
            disturbed += 1
            disturb(a, disturbed)
        short.run()
        end = time.monotonic() + SHORT_EVERY
        while time.monotonic() < end:
            short.look()
            time.sleep(1)
    wait_until(short.look, timeout=300, what="the end of the short tasks")
    sample(a, since)
    restarts = sum(x["TaskStates"]["www1"]["Restarts"] for job in ("stay", "paged") for x in a.allocs(job))
    print(f"{short.done} short tasks, not as due: {short.odd}; disturbed {disturbed} times; {restarts} restarts; "
          f"{at_first} kB at first, {resident(a)} kB at the end")
    assert a.identity() == before and restarts == 0 and len(short.odd) <= disturbed // 3
    assert resident(a) < 2 * at_first
