#!/usr/bin/env python3
"""An hour of a real Nomad: tasks that stay, tasks that come and go, agents and plugins that are killed. By hand:

    NOMAD=/path/to/nomad POTTER_BUILD=$PWD/build-release python3 tests/e2e/nomad_soak.py [minutes] [tasks]

Says once a minute what the plugin and its worker hold, and at the end what is left of all of it.
"""
import os
import pathlib
import signal
import sys
import time

from machine import Machine, wait_until
from nomad_real import Agents, publish

STAY, SHORT_EVERY, DISTURB_EVERY = 50, 6, 240
ONCE = 'restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }'


def kilobytes(pid):
    rows = dict(line.split(":") for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(rows["Pss"].split()[0]), sum(int(rows[key].split()[0]) for key in ("Private_Clean", "Private_Dirty"))


def ticks(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(words[11]) + int(words[12])


def sample(nomad, since):
    row = [f"{(time.monotonic() - since) / 60:5.1f} min"]
    workers = [pid for pid, words in nomad.machine.processes().items() if words.startswith("pot-runner")]
    for what, pids in (("plugin", nomad.plugin_pids()), ("worker", workers)):
        for pid in pids:
            try:
                shared, own = kilobytes(pid)
                row.append(f"{what} {pid}: PSS {shared} kB, own {own} kB, {len(os.listdir(f'/proc/{pid}/fd'))} descriptors, "
                           f"{ticks(pid) / 100:.1f} s")
            except OSError:
                pass
    row.append(f"pots {len(nomad.machine.running())}, pairs {len(nomad.machine.pairs())}, "
               f"groups {len(nomad.machine.cgroup_dirs())}")
    print("; ".join(row), flush=True)


class Short:
    """Batch jobs one after the other; each must end as its command says."""

    def __init__(self, nomad):
        self.nomad, self.number, self.open, self.done, self.odd = nomad, 0, {}, 0, 0

    def run(self):
        self.number += 1
        code = self.number % 3
        self.nomad.run(f"short{self.number}", f"echo begin; sleep 0.{code}; exit {code}", kind="batch", count=3, wait=None,
                       group=ONCE, network="public-bridge" if self.number % 2 else "host")
        self.open[f"short{self.number}"] = "failed" if code else "complete"

    def look(self):
        for job, due in list(self.open.items()):
            allocs = self.nomad.allocs(job)
            if len(allocs) == 3 and all(a["ClientStatus"] in ("complete", "failed") for a in allocs):
                for alloc in allocs:
                    if alloc["ClientStatus"] != due:
                        self.tell(job, due, alloc)
                self.nomad.stop_job(job)
                del self.open[job]
                self.done += 3


    def tell(self, job, due, alloc):
        """What is known of one that ended otherwise."""
        self.odd += 1
        state = (alloc["TaskStates"] or {}).get("www1") or {}
        print(f"{job} {alloc['ID']}: {alloc['ClientStatus']}, due {due}: {alloc['ClientDescription']}: "
              f"{[e['DisplayMessage'] for e in state.get('Events') or []]}")
        lines = [line for line in self.nomad.log().splitlines() if alloc["ID"] in line]
        print("\n".join(lines[-30:]), flush=True)


def disturb(nomad, number):
    """Another plugin, or another agent."""
    if number % 3 == 0:
        for pid in nomad.plugin_pids():
            os.kill(pid, signal.SIGKILL)
        what = "plugin killed"
    else:
        sig = signal.SIGINT if number % 3 == 1 else signal.SIGKILL
        nomad.stop("client", sig)
        nomad.start("client")
        what = f"client agent ended by {sig.name} and started"
    nomad.ready()
    print(what, flush=True)


def main():
    minutes, stay = float(sys.argv[1]) if len(sys.argv) > 1 else 60, int(sys.argv[2]) if len(sys.argv) > 2 else STAY
    machine = Machine()
    try:
        return soak(machine, minutes, stay)
    finally:  # after a failure: without a look at what is left
        if machine.dir.exists():
            machine.close(check=False)


def soak(machine, minutes, stay):
    machine.init(vnet=True)
    machine.make_base()
    publish(machine)
    nomad = Agents(machine)
    nomad.start("server").start("client").ready()
    nomad.run("stay", "sleep 1000000", count=stay // 2, wait=None)
    nomad.run("paged", "sleep 1000000", count=stay - stay // 2, network="public-bridge", wait=None,
              driver_config='port_map {\n http = "80"\n }', resources='network {\n mbits = 1\n port "http" {}\n }')
    for job in ("stay", "paged"):
        nomad.wait_for(job, timeout=180)
    since, short, disturbed, said = time.monotonic(), Short(nomad), 0, 0
    pids = sorted(row["pid"] for row in machine.pot_json("ps"))
    while time.monotonic() - since < minutes * 60:
        now = time.monotonic() - since
        if now >= said * 60:
            said += 1
            sample(nomad, since)
        if now >= (disturbed + 1) * DISTURB_EVERY:
            disturbed += 1
            disturb(nomad, disturbed)
        short.run()
        deadline = time.monotonic() + SHORT_EVERY
        while time.monotonic() < deadline:
            short.look()
            time.sleep(1)
    wait_until(lambda: short.look() or not short.open, timeout=120, every=0.5, what="the end of the short tasks")
    sample(nomad, since)
    after = sorted(row["pid"] for row in machine.pot_json("ps"))
    restarts = [a["TaskStates"]["www1"]["Restarts"] for job in ("stay", "paged") for a in nomad.allocs(job)]
    panics = nomad.log().count("panic")
    print(f"{short.done} short tasks, {short.odd} of them not as due; disturbed {disturbed} times; tasks that stayed: {len(set(pids) & set(after))} of "
          f"{len(pids)} the same process, {sum(restarts)} restarts; panics {panics}")
    nomad.close()
    machine.pot("vnet-stop")
    left = machine.close()
    print("left behind: " + ("; ".join(left) or "nothing"))
    return 0 if not left and pids == after and not sum(restarts) and not panics else 1


if __name__ == "__main__":
    sys.exit(main())
