#!/usr/bin/env python3
"""cluster.py: the node as a whole, in namespaces and directories of its own.

  tests/bench/cluster.py [--rounds 15]

Measures, in one run: the idle node's memory (PSS of monitor, runner, agent, HAProxy) and processor
time; the memory that one more running pot adds; and, with the image here, the time from sending a
job to the first 200 through the ingress, beside fork+exec of `true` as the machine's own measure.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "e2e"))


def pss_kb(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descendants(pid):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parent = int(open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        todo.extend(children.get(p, []))
    return found


def named(*names):
    out = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                comm = open(f"/proc/{entry}/comm").read().strip()
                if comm in names and os.readlink(f"/proc/{entry}/ns/net") == os.readlink("/proc/self/ns/net"):
                    out[int(entry)] = comm
            except OSError:
                pass
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--build", default=os.environ.get("BUILD", str(TOP / "build-release")))
    args = parser.parse_args()
    if os.environ.get("BENCH_INSIDE") != "1":
        os.environ["BENCH_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-mn", "--propagation", "private", sys.executable, __file__, *sys.argv[1:]])
    from node import Node  # the end-to-end tests' node
    with Node(build=pathlib.Path(args.build)) as node:
        node.publish_small_image()
        report(node, args.rounds)


def report(node, rounds):
    node.settle()
    groups = {"agent and runner": ("potter", "pot-runner"), "haproxy": ("haproxy",)}
    total = 0
    for label, names in groups.items():
        pids = named(*names)
        kb = sum(pss_kb(p) for p in pids)
        total += kb
        print(f"idle PSS {label}: {kb / 1024:.1f} MB ({len(pids)} processes)")
    print(f"idle PSS all: {total / 1024:.1f} MB")
    pids = named("potter", "pot-runner", "haproxy")
    before, began = sum(cpu_s(p) for p in pids), time.monotonic()
    node.wait_quietly(10)
    used = (sum(cpu_s(p) for p in pids) - before) / (time.monotonic() - began)
    print(f"idle processor time: {used * 1000:.1f} ms a second")
    warm(node, rounds)
    grow(node)


def warm(node, rounds):
    times, floor = [], []
    for i in range(rounds):
        t = time.monotonic()
        subprocess.run(["true"], check=True)
        floor.append((time.monotonic() - t) * 1000)
        times.append(node.time_to_first_200(f"warm{i}") * 1000)
    print(f"warm image, job sent to first 200 through the ingress: median {statistics.median(times):.0f} ms, "
          f"min {min(times):.0f}, max {max(times):.0f} (fork+exec {statistics.median(floor):.1f} ms)")


def grow(node):
    def keepers():
        return {p: pss_kb(p) for p in named("pot-keeper")}
    node.run_sleepers(10)
    rows = keepers()
    agents = sum(pss_kb(p) for p in named("potter", "pot-runner"))
    node.run_sleepers(30)
    more = keepers()
    added = (sum(more.values()) - sum(rows.values()) + sum(pss_kb(p) for p in named("potter", "pot-runner")) - agents)
    print(f"one more running pot: {added / 20:.0f} kB PSS (keeper, its init, and what agent and runner grow by)")


if __name__ == "__main__":
    main()
