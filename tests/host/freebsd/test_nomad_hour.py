"""A real Nomad on FreeBSD for a while: tasks that stay, tasks that come and go, agents and plugins that are killed.

    NOMAD_MINUTES=60 NOMAD_TASKS=50 NOMAD_FREEBSD=/path/to/nomad FREEBSD_HOST=... \
        python3 -m pytest -s tests/host/freebsd/test_nomad_hour.py

Says once a minute what the plugin and its worker hold. Nomad has a log process for each task: 50 want some GB of memory.
"""
import os
import signal
import time

import pytest
from agents import NOMAD, ONCE, told, wait_until
from test_nomad import agents, image, nomad  # noqa: F401

MINUTES, TASKS = float(os.environ.get("NOMAD_MINUTES", "0")), int(os.environ.get("NOMAD_TASKS", "50"))
SHORT_EVERY, DISTURB_EVERY, TOGETHER = 30, 300, 5
pytestmark = pytest.mark.skipif(not NOMAD or not MINUTES, reason="NOMAD_FREEBSD and NOMAD_MINUTES are not set")


def held(a):
    """Resident kB, processor time and open files of the plugin and of its worker, which is its child."""
    return a.m.sh("p=$(pgrep -x nomad-pot-driver); for p in $p $(pgrep -P $p); do "
                  "ps -o comm= -o rss= -o time= -p $p; procstat -h -f $p | wc -l; done", ok=None).split()


def sample(a, since):
    pots = a.m.sh("jls name | wc -l; ifconfig -l | wc -w; rctl | wc -l").split()
    print(f"{(time.monotonic() - since) / 60:5.1f} min; {' '.join(held(a))}; jails, interfaces, limits: {' '.join(pots)}", flush=True)


def resident(a):
    """kB of both."""
    return sum(int(word) for word in held(a)[1::4])


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
                self.odd += [(job, due, x["ClientStatus"], told(x["TaskStates"]["www1"])) for x in allocs if x["ClientStatus"] != due]
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
    small = {"task": "logs {\n max_files = 1\n max_file_size = 2\n }", "memory": 16, "disk": 10}
    stay = [f"stay{n}" for n in range(TASKS // TOGETHER)]
    for n, job in enumerate(stay):  # Nomad gives up a log process that takes more than a minute to start
        a.run(job, "sleep 1000000", count=TOGETHER, network="public-bridge" if n % 2 else "host", **small)
    since, short, disturbed, said = time.monotonic(), Short(a), 0, 0
    before, at_first = a.identity(), resident(a)
    assert len(before) == len(stay) * TOGETHER
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
    restarts = sum(x["TaskStates"]["www1"]["Restarts"] for job in stay for x in a.allocs(job))
    print(f"{short.done} short tasks, not as due: {short.odd}; disturbed {disturbed} times; {restarts} restarts; "
          f"{at_first} kB at first, {resident(a)} kB at the end")
    assert a.identity() == before and restarts == 0 and len(short.odd) <= disturbed // 3
    assert resident(a) < 2 * at_first
