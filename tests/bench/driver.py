#!/usr/bin/env python3
"""nomad-pot-driver: what StartTask takes with a warm image, and what the plugin and its worker hold idle and with 100 tasks.

    POTTER_BUILD=$PWD/build-release python3 tests/bench/driver.py
"""
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from machine import BIN, Machine  # noqa: E402
from nomad_host import Plugin, Task  # noqa: E402

START_MS, IDLE_MB, BUSY_MB, TASKS = 30, 4, 8, 100


def pss_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no Pss")


def own_mb(pid):
    """Without pages of files that others may share: what this process alone costs."""
    rows = dict(line.split(":") for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(rows[key].split()[0]) for key in ("Private_Clean", "Private_Dirty")) / 1024


def workers(machine):
    """The pot-runner that the plugin has: root's work is done there, for a plugin of any user."""
    return [pid for pid, words in machine.processes().items() if words.startswith("pot-runner")]


def held(machine, plugin):
    """(own, PSS) of the plugin and of its worker."""
    pids = [plugin.pid, *workers(machine)]
    return sum(map(own_mb, pids)), sum(map(pss_mb, pids))


def main():
    machine = Machine()
    machine.over = False
    machine.init()
    machine.make_base()
    machine.make_pot("web_1_0")
    machine.pot("snapshot", "-p", "web_1_0")
    plugin = Plugin(machine, BIN / "nomad-pot-driver")
    plugin.stream("Fingerprint").get()
    idle = held(machine, plugin)
    took, tasks = [], []
    for number in range(TASKS):
        config = {"image": "http://127.0.0.1:1/", "pot": "web", "tag": "1.0", "command": "sleep 100000", "network_mode": "host"}
        task = Task(plugin, machine.dir / "allocs", config, invocation=f"{number:08x}", name=f"t{number}").collect()
        began = time.monotonic()
        plugin.driver("StartTask", {1: task.request()})
        took.append((time.monotonic() - began) * 1000)
        task.waiting = task.wait()
        task.stats = plugin.stream("TaskStats", {1: task.id, 2: {1: 1}})
        tasks.append(task)
    for task in tasks:
        task.stats.get()
    busy, alone = held(machine, plugin), pss_mb(plugin.pid)
    for task in tasks:
        task.stop(timeout=0)
        task.result(task.waiting)
        task.destroy()
    machine.over = True
    plugin.shutdown()
    machine.close()
    median = statistics.median(took)
    print(f"StartTask, warm image      {median:6.1f} ms  (bar {START_MS} ms; fastest {min(took):.1f})")
    print(f"plugin and worker, idle    {idle[0]:6.1f} MB (bar {IDLE_MB} MB; PSS {idle[1]:.1f})")
    print(f"the same with {TASKS} tasks    {busy[0]:6.1f} MB (bar {BUSY_MB} MB; PSS {busy[1]:.1f}; the plugin alone {alone:.1f})")
    return 0 if median <= START_MS and idle[1] <= IDLE_MB and busy[1] <= BUSY_MB else 1


if __name__ == "__main__":
    sys.exit(main())
