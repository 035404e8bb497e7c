#!/usr/bin/env python3
"""cluster.py: the node as a whole, on a pretend machine of its own.

  tests/bench/cluster.py [--rounds 15] [--build build-release]

Measures, in one run: the idle node's memory (PSS of monitor, runner, agent, HAProxy) and processor
time; with the image here, the time from sending a job to the first 200 through the ingress, beside
fork+exec of `true` as the machine's own measure; and the memory that one more running pot adds.
"""
import argparse
import os
import pathlib
import statistics
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]

# Runs inside the machine's network: sends the job, then asks the ingress until it answers 200.
FIRST_200 = """
import http.client, subprocess, sys, time
job, host = sys.argv[1], sys.argv[2]
t = time.monotonic()
subprocess.run(["true"], check=True)
floor = time.monotonic() - t
began = time.monotonic()
api = http.client.HTTPConnection("127.0.0.1", 4646)
api.request("PUT", "/v1/jobs", job)
assert api.getresponse().status == 200
while True:
    try:
        web = http.client.HTTPConnection("127.0.0.1", 8080, timeout=1)
        web.request("GET", "/", headers={"Host": host})
        if web.getresponse().status == 200:
            break
        web.close()
    except OSError:
        pass
    time.sleep(0.001)
print((time.monotonic() - began) * 1000, floor * 1000)
"""


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(node):
    roles = {role: node.pid_of(role) for role in ("monitor", "runner", "agent", "haproxy")}
    sizes = {role: pss_kb(pid) for role, pid in roles.items()}
    ours = sum(kb for role, kb in sizes.items() if role != "haproxy")
    print("idle PSS: " + ", ".join(f"{role} {kb / 1024:.1f} MB" for role, kb in sizes.items()))
    print(f"idle PSS: agent and runners {ours / 1024:.1f} MB, all {sum(sizes.values()) / 1024:.1f} MB")
    before, began = sum(map(cpu_s, roles.values())), time.monotonic()
    time.sleep(10)  # the thing measured is what happens while nothing does
    used = (sum(map(cpu_s, roles.values())) - before) / (time.monotonic() - began)
    print(f"idle processor time: {used * 1000:.1f} ms a second")


def warm(node, rounds):
    times, floors = [], []
    for i in range(rounds + 1):
        body = node.nomad("run", "-output", node.job_file(job=f"warm{i}", service=f"warm{i}", update=node.QUICK))
        out = node.run("python3", "-c", FIRST_200, body, f"warm{i}.minipot").split()
        node.nomad("stop", "-detach", "-purge", f"warm{i}")
        if i > 0:  # the first one brings the image
            times.append(float(out[0]))
            floors.append(float(out[1]))
    print(f"warm image, job sent to first 200 through the ingress: median {statistics.median(times):.0f} ms, "
          f"min {min(times):.0f}, max {max(times):.0f}; fork+exec by Python {statistics.median(floors):.1f} ms")


def keepers(node):
    """Keeper and init of every pot: the same program, in and out of the pot."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and pathlib.Path(f"/proc/{entry}/comm").read_text().startswith("pot-"):
                found[int(entry)] = pss_kb(entry)
        except OSError:
            pass
    return found


def grow(node):
    def total():
        return sum(keepers(node).values()) + pss_kb(node.pid_of("agent"))
    node.nomad("run", "-detach", node.job_file(count=10, update=node.QUICK))
    node.wait_running(10)
    ten = total()
    node.nomad("run", "-detach", node.job_file(count=30, update=node.QUICK))
    node.wait_running(30)
    print(f"one more running pot: {(total() - ten) / 20:.0f} kB PSS (keeper, init, what agent and runner grow by)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--build", default=str(TOP / "build-release"))
    args = parser.parse_args()
    os.environ["POTTER_BUILD"] = args.build
    sys.path.insert(0, str(TOP / "tests" / "e2e"))
    from node import Node
    node = Node()
    try:
        node.init(vnet=True)
        node.start_agent()
        node.publish()
        print(f"# {time.strftime('%FT%TZ', time.gmtime())}, kernel {os.uname().release}, {os.cpu_count()} processors, "
              f"load {os.getloadavg()[0]:.1f}")
        idle(node)
        warm(node, args.rounds)
        grow(node)
    finally:
        print("\n".join(node.close()), end="")


if __name__ == "__main__":
    main()
