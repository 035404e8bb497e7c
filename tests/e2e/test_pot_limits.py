"""What pots may use and what they use: limits, processors, signals to processes, usage; and what is told about them."""
import json
import os
import pathlib
import re
import subprocess

import pytest

from machine import BIN, wait_until


def test_signals_reach_processes_of_the_pot_only(machine):
    m = machine
    m.make_pot("web", cmd="sh -c 'sleep 1111 & sleep 2222 & wait; wait; exec sleep 3333'")
    m.start("web")
    names = lambda: [p["command"] for p in m.pot_json("top", "web")]
    wait_until(lambda: {"sleep 1111", "sleep 2222"} <= set(names()), what="the pot's processes")
    rows = {p["command"]: p for p in m.pot_json("top", "web")}
    assert m.pot("top", "-p", "web").splitlines()[0].split()[0] == "PID"
    one = rows["sleep 1111"]
    assert m.pot("signal", "-p", "web", "-C", "-P", str(one["pid"])) == f"{one['pid']}\n"
    both = m.pot("signal", "-p", "web", "-Cm", "^sleep$").split()
    assert sorted(map(int, both)) == sorted(rows[c]["pid"] for c in ("sleep 1111", "sleep 2222"))
    assert int(m.pot("signal", "-C", "-p", "web")) not in (0, 1)
    m.pot("signal", "-p", "web", "-s", "SIGKILL", "-P", str(one["pid"]))
    wait_until(lambda: "sleep 1111" not in names(), what="the end of one process")
    m.pot("signal", "-p", "web", "-s", "term", "-m", "sl..p")
    wait_until(lambda: "sleep 2222" not in names(), what="the end of the other")
    outside = subprocess.Popen(["sleep", "4444"])
    try:
        m.pot_fails("signal", "-p", "web", "-s", "KILL", "-P", str(outside.pid), says="no process")
        m.pot_fails("signal", "-p", "web", "-s", "KILL", "-m", "pytest", says="matches")
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()
    assert m.try_pot("signal", "-fp", "web", "-s", "KILL", "-m", "nosuch").returncode == 0
    m.pot_fails("signal", "-p", "web", "-s", "SIGTERMX", says='did you mean "TERM"?')
    m.pot_fails("signal", "-p", "web", "-s", "KILL", "-m", "(", says="pattern")
    m.pot_fails("signal", "-p", "web", says="SIGINFO")
    assert {"TERM", "KILL", "HUP", "USR1"} <= set(m.pot("signal", "-l").split())
    m.pot("stop", "web")
    m.pot_fails("signal", "-p", "web", "-s", "TERM", says="not running")
    m.pot_fails("top", "web", says="not running")


def test_limits_hold(machine):
    m = machine
    m.make_pot("web", cmd="sleep 10000")
    m.pot("set-rss", "-p", "web", "-P", "12", "-F", "77", "-L", "0", "-W", "100", "-I", "300", "-M", "100m")
    m.start("web")
    ask = lambda line: m.pot("exec", "-p", "web", "sh", "-c", line).strip()
    assert ask("ulimit -n") == "77"
    assert ask("cat /proc/self/status | grep Cpus_allowed_list").split()[-1] == "0"
    init = next(row["pid"] for row in m.pot_json("ps"))
    command = next(p["host_pid"] for p in m.pot_json("top", "web") if p["command"] == "sleep 10000")
    assert "Max open files            77                   77" in pathlib.Path(f"/proc/{command}/limits").read_text()
    groups = dict(line.split(":", 2)[1:] for line in pathlib.Path(f"/proc/{init}/cgroup").read_text().splitlines())
    assert all(m.cgroup in groups[name] for name in groups if name in ("pids", "memory", "blkio", "cpuset"))
    m.pot_fails("exec", "-p", "web", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do sleep 2 >/dev/null 2>&1 & done", code=2)
    usage = m.pot_json("show", "web")[0]
    assert usage["cpus"] == "0" and usage["memory_limit_bytes"] == 100 << 20
    assert "allocated CPUs    : 0\n" in m.pot("show", "web")
    m.pot("stop", "web")
    m.pot("set-rss", "-p", "web", "--unset", "-C", "1")
    m.start("web")
    assert ask("cat /proc/self/status | grep Cpus_allowed_list").split()[-1] in ("0", "1")


def test_the_host_keeps_what_it_reserves(machine):
    m = machine
    m.conf.update(POT_RESERVE_MEMORY="1g", POT_RESERVE_CPUS="1")
    m.make_pot("web")
    m.start("web")
    allowed = m.pot("exec", "-p", "web", "sh", "-c", "grep Cpus_allowed_list /proc/self/status").split()[-1]
    assert not allowed.startswith("0")
    limits = [p for d in m.cgroup_dirs() if pathlib.Path(d).name == m.cgroup
              for p in pathlib.Path(d).glob("memory.*") if p.name in ("memory.max", "memory.limit_in_bytes")]
    total = int(next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal"))) * 1024
    assert limits and all(int(p.read_text()) < total - (1 << 30) + (64 << 20) for p in limits if "unified" not in str(p))
    m.pot("stop", "web")
    m.conf["POT_RESERVE_MEMORY"] = "9000g"
    m.pot_fails("start", "-d", "web", says="POT_RESERVE_MEMORY")


def test_last_run_and_usage(machine):
    m = machine
    m.make_pot("job", cmd="sh -c 'exit 4'")
    assert m.pot("last-run-stats", "-p", "job") == "{}\n"
    m.pot("set-attr", "-p", "job", "-A", "persistent", "-V", "off")
    m.pot_fails("start", "job", code=125)
    assert m.pot("last-run-stats", "-p", "job") == '{ "ExitCode": 4 }\n'
    m.pot_fails("get-rss", "-p", "job", "-J", says="not run")
    m.make_pot("web", cmd="sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exec sleep 1000'")
    m.start("web")
    assert m.pot("get-rss", "-Jp", "web").startswith('{ "ResourceUsage": { "MemoryStats": { "RSS" : ')

    def used():
        """The kernel charges the pages of a new process in batches: for a moment it has none."""
        usage = json.loads(m.pot("get-rss", "-Jp", "web"))["ResourceUsage"]
        return usage if usage["MemoryStats"]["RSS"] > 0 else None
    usage = wait_until(used, what="memory in use")
    assert isinstance(usage["CpuStats"]["Percent"], int)
    assert usage["CpuStats"]["TotalTicks"] >= 0
    m.make_pot("busy", cmd="sh -c 'while :; do :; done'")
    m.start("busy")
    percent = lambda pot: json.loads(m.pot("get-rss", "-Jp", pot))["ResourceUsage"]["CpuStats"]["Percent"]
    wait_until(lambda: percent("busy") >= 20, what="a busy pot")
    percent("web")
    wait_until(lambda: percent("web") <= 5, timeout=60, what="a pot that has become idle")
    m.pot("stop", "busy")
    text = m.pot("get-rss", "-p", "web")
    for label in ("cpu time (ticks spent)", "cpu time (MHz)", "pcpu (%)", "virtual memory", "physical memory", "swap memory"):
        assert label in text, label


def test_looking_at_everything(networked):
    m = networked
    m.pot("create-fscomp", "-f", "data")
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    m.pot("create", "-p", "app", "-t", "multi", "-b", "bb")
    m.pot("mount-in", "-p", "web", "-f", "data", "-m", "/mnt")
    m.pot("export-ports", "-p", "web", "-e", "80:8080")
    m.pot("set-rss", "-p", "web", "-C", "1")
    # list
    assert m.pot("ls", "-qp") == "app\nweb\n" and m.pot("ls", "-b") == "bases: bb\n" and m.pot("ls", "-qf") == "data\n"
    assert m.pot("ls", "-f") == "fscomp: data\n"
    block = "pot name : web\n\tnetwork : public-bridge\n\tip : 10.192.0.3\n\tactive : false\n\n"
    assert block in m.pot("ls") and m.pot("ls").startswith("pot name : app\n\tnetwork : inherit\n\tactive : false\n\n")
    text = m.pot("ls", "-v")
    assert "\tbase : bb\n\tlevel : 0\n" in text and "\t\t/mnt => " in text and "no snapshots" in text
    assert m.pot("ls", "-a").index("bases: bb") < m.pot("ls", "-a").index("pot name : app") < m.pot("ls", "-a").index("fscomp: data")
    m.pot_fails("ls", "-a", "-q", says="exclude")
    m.pot_fails("ls", "-b", "-f", says="only one")
    # show: running ones, unless said otherwise
    assert m.pot("show") == "" and m.pot("show", "-aq") == "app\nweb\n"
    m.start("web")
    text = m.pot("show", "-v")
    for label in ("pot web\n", "\tdisk usage      : ", "\tvirtual memory  : ", "\tphysical memory : ", "\tmax amount of CPUs: 1\n",
                  "\tallocated CPUs    : ", "\tNetwork port redirection\n\t\t* port 8080 -> 10.192.0.3 port 80\n", "/fscomp/data usage : "):
        assert label in text, label
    assert "\tbase usage      : " in m.pot("show", "-vp", "app")
    m.pot_fails("show", "-a", "-p", "web", says="exclude")
    # info
    text = m.pot("info", "-vp", "web")
    assert text.startswith("pot name : web\n\ttype : single\n\tbase : bb\n\tlevel : 0\n\tnetwork_type : public-bridge\n\tip : 10.192.0.3\n"
                           "\t\texported ports: 80:8080\n")
    assert "\tactive : true\n\tdatasets:\n" in text and "\tattributes:\n" in text and "\tjail attributes:\n" in text
    names = re.findall(r"^\t\t([a-z-]+): ", text.split("\tattributes:")[1].split("\tjail attributes")[0], re.M)
    assert len(names) == 9 and names[-1] == "to-be-pruned"
    assert m.try_pot("info", "-qrp", "web").returncode == 0 and m.try_pot("info", "-qrp", "app").returncode == 1
    m.pot_fails("info", "-q", "-vp", "web", says="exclude")
    # snapshots
    m.pot("snapshot", "-p", "app")
    stamp = m.pot("info", "-sp", "app").strip()
    assert stamp.isdigit() and m.pot("info", "-svp", "app").startswith(f"{stamp}: -> 20")
    # ps, get-attribute
    assert m.pot("ps", "-q") == "web\n" and "the public virtual network is up" in m.pot("ps")
    assert m.pot("get-attr", "-p", "web", "-A", "early-start-at-boot") == "===>  early-start-at-boot: not set\n"
    assert m.pot("get-attr", "-qp", "web", "-A", "early-start-at-boot") == "\n"
    m.pot_fails("get-attr", "-p", "web", "-A", "nonsense")


def test_processors_are_shared_out(machine):
    m = machine
    ask = lambda *argv: m.run(BIN / "potcpu", *argv)
    cpus = os.cpu_count()
    assert ask("get-cpu", "-n", "1") == ("0\n" if cpus > 1 else "")
    assert ask("get-cpu", "-n", str(cpus)) == ""
    for pot in ("a", "b", "c", "fixed", "free"):
        m.make_pot(pot)
    for pot in ("a", "b", "c"):
        m.pot("set-rss", "-p", pot, "-C", "1")
    m.pot("set-rss", "-p", "fixed", "-L", "0")
    if cpus < 2:
        pytest.skip("needs two processors")
    m.start("a", "b", "free")
    rows = {row["pot"]: row for row in json.loads(ask("show", "--json"))["pots"]}
    assert {rows["a"]["cpus"], rows["b"]["cpus"]} == {"0", "1"} and rows["free"]["cpus"] == "" and rows["a"]["wanted"] == 1
    assert ask("rebalance") == "" and ask("show").splitlines()[0].split() == ["Pot", "Requested", "Used"]
    m.start("c", "fixed")  # both are on processor 0 now, as a is
    m.pot("stop", "b")
    by_cpu = json.loads(ask("show", "--json"))["pots_by_cpu"]
    if cpus == 2:
        assert by_cpu == [3, 0] and ask("get-cpu", "-n", "1") == "1\n"
        assert ask("rebalance") == "c 0 -> 1\n"
        m.run(BIN / "potcpu", "rebalance", "-a")
        assert json.loads(ask("show", "--json"))["pots_by_cpu"] == [2, 1]
        assert ask("rebalance") == ""
    assert m.try_run(BIN / "potcpu", "get-cpu").returncode == 1 and m.try_run(BIN / "potcpu", "x").returncode == 1


def test_impossible_limits_refuse_the_start_by_name(machine):
    m = machine
    m.make_pot("web", cmd="true")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    m.pot("set-rss", "-p", "web", "-L", "900")
    said = m.pot_fails("start", "web").stdout
    assert "cpuset" in said and "900" in said
    m.pot("set-rss", "-p", "web", "--unset", "-P", "1")  # its command; the pot's own first process does not count
    m.pot("start", "web")
    m.pot("set-cmd", "-p", "web", "-c", "sh -c 'sleep 0; sleep 0'")
    m.pot_fails("start", "web", code=125)
