"""nomad-pot-driver in a real Nomad: separate server and client agents. By hand, since Nomad is not part of the build:

    NOMAD=/path/to/nomad POTTER_BUILD=$PWD/build python3 -m pytest -q tests/e2e/nomad_real.py
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from machine import BIN, wait_until

NOMAD = os.environ.get("NOMAD")
pytestmark = pytest.mark.skipif(not NOMAD, reason="set NOMAD to the path of a nomad binary")
HOLD = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


class Agents:
    """A Nomad server and a Nomad client on one pretend machine."""

    def __init__(self, machine, config="", extra="", client="", become=()):
        """become: words in front of the client's command, which make it another user's; client: more of its block."""
        self.become = list(become)
        self.machine, self.dir = machine, machine.dir / "nomad"
        self.plugins = self.dir / "plugins"
        self.plugins.mkdir(parents=True)
        (self.plugins / "nomad-pot-driver").symlink_to(BIN / "nomad-pot-driver")
        common = 'bind_addr = "0.0.0.0"\n' \
            'advertise {\n http = "203.0.113.1"\n rpc = "203.0.113.1"\n serf = "203.0.113.1"\n}\n' \
            'disable_update_check = true\nleave_on_terminate = false\nlog_level = "DEBUG"\n'
        (self.dir / "server.hcl").write_text(common + f'data_dir = "{self.dir}/server"\n'
                                             "server {\n enabled = true\n bootstrap_expect = 1\n}\n")
        (self.dir / "client.hcl").write_text(common + textwrap.dedent(f"""\
            data_dir = "{self.dir}/client"
            plugin_dir = "{self.plugins}"
            ports {{
              http = 5646
              rpc  = 5647
              serf = 5648
            }}
            client {{
              enabled = true
              servers = ["127.0.0.1:4647"]
              network_interface = "ext0"
              options = {{ "fingerprint.denylist" = "env_aws,env_gce,env_azure,consul,vault" }}
              {client}
            }}
            telemetry {{
              collection_interval = "1s"
              publish_allocation_metrics = true
            }}
            plugin "nomad-pot-driver" {{
              config {{
                {config}
              }}
            }}
            """) + extra)
        self.processes = {}

    def version(self):
        """(2, 0, 5)"""
        words = self.machine.run(NOMAD, "version").split()[1].lstrip("v").split("-")[0].split(".")
        return tuple(map(int, words))

    def start(self, name):
        log = open(self.dir / f"{name}.log", "ab")
        become = self.become if name == "client" else []
        self.processes[name] = self.machine.popen(*become, NOMAD, "agent", "-config", self.dir / f"{name}.hcl", stdout=log,
                                                  stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        return self

    def log(self, name="client"):
        return (self.dir / f"{name}.log").read_text(errors="replace")

    def stop(self, name, sig=signal.SIGINT):
        process = self.processes.pop(name)
        process.send_signal(sig)
        process.wait(30)

    def cli(self, *argv, check=True, input=None, timeout=60):
        result = self.machine.try_run(NOMAD, *argv, env={"NOMAD_ADDR": "http://127.0.0.1:4646"}, input=input, timeout=timeout)
        assert not check or result.returncode == 0, f"{argv}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    def exec(self, alloc, *argv, task="www1"):
        return self.cli("alloc", "exec", "-i=false", "-t=false", "-task", task, alloc["ID"], *argv).stdout

    def api(self, path):
        program = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:4646{path}').read().decode())"
        result = self.machine.try_run(sys.executable, "-c", program)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def node(self):
        nodes = self.api("/v1/nodes") or []
        return nodes[0] if nodes else None

    def ready(self):
        def ok():
            assert all(p.poll() is None for p in self.processes.values()), self.log()[-3000:]
            node = self.node()
            return node and node["Status"] == "ready" and node["Drivers"].get("pot", {}).get("Healthy")
        wait_until(ok, timeout=60, every=0.3, what="a healthy driver")
        return self

    def run(self, job="one", command=HOLD, driver_config="", task="", group="", kind="service", name="www1", pot="web",
            image="http://127.0.0.1:8000/", wait="running", network="host", count=1, resources="",
            source=None, cpu="cpu = 50", driver="pot", disk=300):
        words = (command or "").replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${")
        text = textwrap.dedent(f"""\
            job "{job}" {{
              datacenters = ["dc1"]
              type = "{kind}"
              group "group1" {{
                count = {count}
                {group}
                ephemeral_disk {{
                  size = {disk}
                }}
                task "{name}" {{
                  driver = "{driver}"
                  {task}
                  config {{
                    {source or f'image = "{image}"'}
                    {"" if source else f'pot = "{pot}"'}
                    {"" if source else 'tag = "1.0"'}
                    {f'command = "{words}"' if command else ''}
                    {f'network_mode = "{network}"' if network else ''}
                    {driver_config}
                  }}
                  resources {{
                    {cpu}
                    memory = 32
                    {resources}
                  }}
                }}
              }}
            }}
            """)
        path = self.dir / f"{job}.nomad"
        path.write_text(text)
        self.cli("job", "run", "-detach", path)
        return self.wait_for(job, wait) if wait else None

    def allocs(self, job):
        return sorted(self.api(f"/v1/job/{job}/allocations") or [], key=lambda a: a["CreateIndex"])

    def wait_for(self, job, status="running", timeout=40):
        def reached():
            allocs = self.allocs(job)
            return allocs if allocs and all(a["ClientStatus"] == status for a in allocs) else None
        try:
            return wait_until(reached, timeout=timeout, every=0.2, what=f"{job} {status}")[-1]
        except AssertionError:
            print(json.dumps([a.get("TaskStates") for a in self.allocs(job)], indent=1)[-3000:], self.log()[-4000:])
            raise

    def state(self, job, name="www1"):
        return self.allocs(job)[-1]["TaskStates"][name]

    def events(self, job, name="www1"):
        return [f"{e['Type']}: {e['DisplayMessage']}" for e in self.state(job, name)["Events"]]

    def logs(self, alloc, stderr=False):
        return self.cli("alloc", "logs", *(["-stderr"] if stderr else []), alloc["ID"]).stdout

    def reached(self, alloc):
        """The server has a way to the client, which it finds some time after the client has started."""
        wait_until(lambda: self.cli("alloc", "exec", "-i=false", "-t=false", alloc["ID"], "true", check=False).returncode == 0,
                   timeout=30, every=0.5, what="a way from the server to the client")

    def stop_job(self, job):
        self.cli("job", "stop", "-purge", "-detach", job)

    def plugin_pids(self):
        return [pid for pid, words in self.machine.processes().items()
                if words.split(" ")[0].endswith("nomad-pot-driver")]

    def close(self):
        for job in self.api("/v1/jobs") or []:
            self.stop_job(job["ID"])
        wait_until(lambda: not self.machine.running(), timeout=30, every=0.2, what="the end of all pots")
        wait_until(lambda: self.machine.pot("ls", "-q").split() in ([], ["web_1_0"]), timeout=20, every=0.3,
                   what="the end of their pots")
        if "server" in self.processes and "client" in self.processes:
            def collected():
                self.cli("system", "gc")
                return not [m for m in self.machine.mounts() if "/alloc/" in m]
            wait_until(collected, timeout=20, every=0.5, what="the removal of all allocations")
        for name in list(self.processes):
            self.stop(name)
        wait_until(lambda: not self.plugin_pids(), timeout=10, what="the end of the plugin")
        for pid, words in self.machine.processes().items():
            if "logmon" in words:
                os.kill(pid, signal.SIGKILL)


def publish(machine):
    registry = machine.dir / "registry"
    registry.mkdir()
    machine.make_pot("web")
    machine.pot("snapshot", "-p", "web")
    machine.pot("export", "-p", "web", "-t", "1.0", "-l", "1", "-D", registry)
    machine.pot("destroy", "-p", "web", "-F")
    machine.popen(sys.executable, "-m", "http.server", "8000", "--bind", "127.0.0.1", "-d", registry,
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: machine.listening(8000), what="the registry")


@pytest.fixture
def nomad(networked):
    publish(networked)
    agents = Agents(networked)
    agents.start("server").start("client").ready()
    yield agents
    agents.close()
    networked.pot("vnet-stop")


def test_loaded(nomad):
    log = nomad.log()
    assert re.search(r"detected plugin: name=pot type=driver", log) or "plugin=pot" in log
    assert len(nomad.plugin_pids()) == 1 and len(list((nomad.machine.dir).glob("*.sock"))) == 0
    attributes = nomad.api(f"/v1/node/{nomad.node()['ID']}")["Attributes"]
    assert attributes["driver.pot"] == "1" or attributes["driver.pot"] == "true"
    assert attributes["driver.pot.version"]
    assert "panic" not in log


def test_batch_logs_and_codes(nomad):
    alloc = nomad.run("good", "echo out; echo err >&2", kind="batch", wait="complete")
    assert nomad.logs(alloc) == "out\n" and nomad.logs(alloc, stderr=True) == "err\n"
    nomad.run("bad", "sh -c 'exit 7'", kind="batch", wait=None,
              group='restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }')
    nomad.wait_for("bad", "failed")
    assert any("Exit Code: 7" in e for e in nomad.events("bad")), nomad.events("bad")
    nomad.run("killed", "kill -9 $$; sleep 5", kind="batch", wait=None,
              group='restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }')
    nomad.wait_for("killed", "failed")
    assert any("Signal: 9" in e or "137" in e for e in nomad.events("killed")), nomad.events("killed")
    assert any("Downloading image" in e for e in nomad.events("good")), nomad.events("good")


def test_exec_signal_restart_stop(nomad):
    alloc = nomad.run("one", "trap 'echo hup' HUP; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    wait_until(lambda: "ready" in nomad.logs(alloc), every=0.3, what="the log")
    assert nomad.cli("alloc", "exec", "-i=false", "-t=false", alloc["ID"], "echo", "hello").stdout == "hello\n"
    for code in (3, 127):
        assert nomad.cli("alloc", "exec", "-i=false", "-t=false", alloc["ID"], "sh", "-c", f"exit {code}",
                         check=False).returncode == code
    piped = nomad.cli("alloc", "exec", "-i", "-t=false", alloc["ID"], "wc", "-c", input="x" * 1_500_000)
    assert piped.stdout.strip() == "1500000"
    big = nomad.cli("alloc", "exec", "-i=false", "-t=false", alloc["ID"], "sh", "-c",
                    "yes 0123456789abcde | head -n 131072")
    assert len(big.stdout) == 2 << 20
    for number, name in enumerate(("SIGHUP", "hup")):  # one after the other: two that wait at once are one
        nomad.cli("alloc", "signal", "-s", name, alloc["ID"])
        wait_until(lambda: nomad.logs(alloc).count("hup") == number + 1, every=0.3, what="the signal")
    result = nomad.cli("alloc", "signal", "-s", "SIGBOGUS", alloc["ID"], check=False)
    assert result.returncode != 0
    for number in range(3):
        nomad.cli("alloc", "restart", alloc["ID"])
        wait_until(lambda: nomad.state("one")["Restarts"] == number + 1 and nomad.state("one")["State"] == "running",
                   timeout=20, every=0.2, what="the restart")
        assert len(nomad.machine.running()) == 1
    wait_until(lambda: len(nomad.machine.pot("ls", "-q").split()) == 2, what="one pot and its image")
    nomad.stop_job("one")
    wait_until(lambda: not nomad.machine.running(), what="the end")


def test_restarted_ten_times(nomad):
    """A new pot each time, the same port of the host, nothing of the old one."""
    nomad.run("pages", "httpd -f -p 80 -h /local", network=None, driver_config='port_map {\n http = "80"\n }',
              resources='network {\n mbits = 10\n port "http" {}\n }',
              task='template {\n data = "page"\n destination = "local/index.html"\n }')
    alloc = nomad.api(f"/v1/allocation/{nomad.allocs('pages')[-1]['ID']}")
    port = alloc["AllocatedResources"]["Tasks"]["www1"]["Networks"][0]["DynamicPorts"][0]["Value"]
    for number in range(10):
        nomad.cli("alloc", "restart", alloc["ID"])
        wait_until(lambda: nomad.state("pages")["Restarts"] == number + 1 and nomad.state("pages")["State"] == "running",
                   timeout=30, every=0.2, what="the restart")
        wait_until(lambda: nomad.machine.http(f"http://203.0.113.1:{port}/", outside=True) == "page", every=0.2, what="the page")
        assert len(nomad.machine.running()) == 1
    wait_until(lambda: len(nomad.machine.pairs()) == 1 and len(nomad.machine.pot("ls", "-q").split()) == 2,
               what="one pair, one pot and its image")


def test_stopped_at_its_start(nomad):
    """Jobs that are stopped as soon as they were asked for: before, while and after their pots start."""
    for number in range(8):
        nomad.run(f"short{number}", HOLD, wait=None)
        if number % 2:
            wait_until(lambda: nomad.allocs(f"short{number}"), every=0.05, what="an allocation")
        nomad.stop_job(f"short{number}")
    wait_until(lambda: not [a for a in nomad.api("/v1/allocations") if a["ClientStatus"] in ("pending", "running")],
               timeout=60, every=0.3, what="the end of all allocations")
    wait_until(lambda: not nomad.machine.running() and nomad.machine.pot("ls", "-q").split() in ([], ["web_1_0"]), timeout=20,
               every=0.2, what="the end of their pots")
    assert "panic" not in nomad.log()


def test_kill_timeout_and_signal(nomad):
    nomad.run("stubborn", "trap 'echo int' INT; trap '' TERM; echo ready; while :; do sleep 0.05; done",
              task='kill_timeout = "2s"\n kill_signal = "SIGINT"')
    alloc = nomad.allocs("stubborn")[-1]
    wait_until(lambda: "ready" in nomad.logs(alloc), every=0.2, what="the trap")
    since = time.monotonic()
    nomad.cli("job", "stop", "-detach", "stubborn")
    wait_until(lambda: not nomad.machine.running(), timeout=15, what="the end")
    assert 1.5 < time.monotonic() - since < 6
    wait_until(lambda: "int" in nomad.logs(alloc), every=0.3, what="the signal")
    nomad.wait_for("stubborn", "complete")


def test_bad_jobs(nomad):
    group = 'restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }'
    for job, options, word in (("nocolon", {"driver_config": 'mount = ["/x"]'}, "mount"),
                               ("unknown", {"driver_config": 'bogus = "x"'}, "bogus"),
                               ("mode", {"network": "odd"}, "network_mode"),
                               ("untagged", {"source": 'image = "http://127.0.0.1:8000/"\n pot = "web"'}, "tag"),
                               ("words", {"command": None, "driver_config": 'args = ["x"]'}, "args"),
                               ("absent", {"pot": "none"}, "none_1.0")):
        nomad.run(job, wait=None, group=group, **options)
        nomad.wait_for(job, "failed")
        assert any(word in e for e in nomad.events(job)), nomad.events(job)
    alloc = nomad.run("dotted", "echo dotted", name="my.task", kind="batch", wait="complete")
    assert nomad.cli("alloc", "logs", alloc["ID"], "my.task").stdout == "dotted\n"


def test_recoverable_failure_is_tried_again(nomad):
    nomad.run("later", "echo now", kind="batch", pot="none", wait=None,
              group='restart {\n attempts = 3\n delay = "1s"\n interval = "1m"\n mode = "fail"\n }')
    wait_until(lambda: nomad.allocs("later") and nomad.allocs("later")[-1]["TaskStates"] and
               nomad.state("later")["Restarts"] >= 1, timeout=30, every=0.3, what="another attempt")


def test_ports_and_page(nomad):
    """As minipot's job has it: a network of the task, port_map as a block, ports of the host."""
    nomad.run("pages", "httpd -f -p 80 -h /local", network=None, driver_config='port_map {\n http = "80"\n }',
              resources='network {\n mbits = 10\n port "http" {}\n }',
              task='template {\n data = "page"\n destination = "local/index.html"\n }')
    alloc = nomad.api(f"/v1/allocation/{nomad.allocs('pages')[-1]['ID']}")
    port = alloc["Resources"]["Networks"][0]["DynamicPorts"][0]["Value"] if alloc["Resources"]["Networks"] else \
        alloc["TaskResources"]["www1"]["Networks"][0]["DynamicPorts"][0]["Value"]
    wait_until(lambda: nomad.machine.http(f"http://203.0.113.1:{port}/", outside=True) == "page", every=0.3, what="the page")
    nomad.run("grouped", "httpd -f -p 8080 -h /local", network="public-bridge",
              group='network {\n port "http" {\n to = 8080\n }\n }',
              task='template {\n data = "group"\n destination = "local/index.html"\n }')
    alloc = nomad.api(f"/v1/allocation/{nomad.allocs('grouped')[-1]['ID']}")
    port = alloc["AllocatedResources"]["Shared"]["Ports"][0]["Value"]
    wait_until(lambda: nomad.machine.http(f"http://203.0.113.1:{port}/", outside=True) == "group", every=0.3, what="the page")


def test_client_restarts(nomad):
    alloc = nomad.run("one", "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done")
    before = nomad.machine.pot_json("ps")[0]["pid"]
    nomad.stop("client")
    wait_until(lambda: not nomad.plugin_pids(), what="the end of the plugin")
    assert nomad.machine.pot_json("ps")[0]["pid"] == before
    nomad.start("client").ready()
    nomad.wait_for("one")
    assert nomad.machine.pot_json("ps")[0]["pid"] == before and nomad.state("one")["Restarts"] == 0
    nomad.reached(alloc)
    last = len(nomad.logs(alloc))
    wait_until(lambda: len(nomad.logs(alloc)) > last, every=0.3, what="more of the log")
    # killed: the plugin stays, and the next agent finds it again
    plugin = nomad.plugin_pids()
    nomad.stop("client", signal.SIGKILL)
    assert nomad.plugin_pids() == plugin
    nomad.start("client").ready()
    nomad.wait_for("one")
    assert nomad.plugin_pids() == plugin and nomad.machine.pot_json("ps")[0]["pid"] == before
    nomad.reached(alloc)
    assert nomad.state("one")["Restarts"] == 0
    nomad.stop_job("one")
    wait_until(lambda: not nomad.machine.running(), what="the end")


def test_plugin_killed(nomad):
    nomad.run("five", count=5)
    wait_until(lambda: len(nomad.machine.running()) == 5, what="five pots")
    before = sorted(row["pid"] for row in nomad.machine.pot_json("ps"))
    pid, = nomad.plugin_pids()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: nomad.plugin_pids() and nomad.plugin_pids() != [pid], timeout=20, what="another plugin")
    wait_until(lambda: nomad.log().count("is recovered") >= 5, timeout=20, every=0.2, what="the recovery of five tasks")
    nomad.ready()
    assert sorted(row["pid"] for row in nomad.machine.pot_json("ps")) == before
    assert all(a["TaskStates"]["www1"]["Restarts"] == 0 and a["ClientStatus"] == "running" for a in nomad.allocs("five"))


def test_a_pot_ends_while_the_client_is_down(nomad):
    nomad.run("one", "while [ ! -e /local/go ]; do sleep 0.05; done; exit 6", kind="batch",
              group='restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }')
    nomad.stop("client", signal.SIGKILL)
    for pid in nomad.plugin_pids():
        os.kill(pid, signal.SIGKILL)
    next((nomad.dir / "client/alloc").glob("*/www1/local")).joinpath("go").write_text("")
    wait_until(lambda: not nomad.machine.running(), what="the end of the pot")
    nomad.start("client").ready()
    nomad.wait_for("one", "failed")
    assert any("Exit Code: 6" in e for e in nomad.events("one")), nomad.events("one")


def test_statistics(nomad):
    alloc = nomad.run("one", "while :; do :; done")
    def measured():
        stats = nomad.api(f"/v1/client/allocation/{alloc['ID']}/stats")
        usage = stats and stats.get("ResourceUsage")
        return usage and usage["CpuStats"]["Percent"] > 5 and (usage["MemoryStats"]["RSS"] + usage["MemoryStats"]["Cache"]) > 0
    wait_until(measured, timeout=20, every=0.5, what="plausible figures")


def test_script_checks_that_hang(networked):
    """Nomad has the command run in the task; one that does not end in time is killed, and the check says so."""
    publish(networked)
    told = networked.dir / "told"
    told.write_text("")
    networked.popen(sys.executable, os.path.join(os.path.dirname(__file__), "small_consul.py"), told,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: networked.listening(8500), what="what stands in for Consul")
    agents = Agents(networked)
    config = agents.dir / "client.hcl"
    config.write_text(config.read_text().replace(",consul,vault", ",vault"))
    agents.start("server").start("client").ready()
    wait_until(lambda: "consul.version" in agents.api(f"/v1/node/{agents.node()['ID']}")["Attributes"], timeout=40, every=0.5,
               what="a node that knows Consul")
    check = 'check {{\n name = "{0}"\n type = "script"\n command = "/bin/sh"\n args = ["-c", "{1}"]\n' \
        ' interval = "2s"\n timeout = "1s"\n }}\n'
    agents.run("checked", task='service {\n name = "one"\n ' + check.format("good", "echo fine") +
               check.format("bad", "echo wrong; exit 2") + check.format("slow", "sleep 4321") + "}")

    def results():
        lines = [line for line in told.read_text().splitlines() if "/check/update/" in line]
        return [word for word in ("fine", "wrong", "deadline exceeded") if any(word in line for line in lines)]
    wait_until(lambda: len(results()) == 3, timeout=40, every=0.3, what="a result of each check")
    for word, status in (("fine", "passing"), ("wrong", "critical"), ("deadline exceeded", "critical")):
        assert all(status in line for line in told.read_text().splitlines() if "/check/update/" in line and word in line)
    slow = told.read_text().count("deadline exceeded")
    wait_until(lambda: told.read_text().count("deadline exceeded") >= slow + 3, timeout=20, every=0.3, what="more results")
    # not more than the one that runs now
    wait_until(lambda: len([w for w in networked.processes().values() if w.startswith("sleep 4321")]) <= 1, what="the end")
    agents.close()
    networked.pot("vnet-stop")


def test_idle_costs_nothing(nomad):
    """A stream that ends would be opened again thousands of times a second."""
    pid, = nomad.plugin_pids()

    def ticks():
        words = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        return int(words[11]) + int(words[12])
    before = ticks()
    idle = int(os.environ.get("NOMAD_IDLE", "10"))
    time.sleep(idle)
    assert ticks() - before <= max(10, idle)  # hundredths of a second


def test_long_logs(nomad):
    """A burst, and a line of a megabyte: nothing is lost, and the order stays."""
    alloc = nomad.run("burst", "head -c 1000000 /dev/zero | tr '\\0' x; echo; seq 1 400000", kind="batch", wait="complete")
    lines = nomad.logs(alloc).splitlines()
    assert lines[0] == "x" * 1_000_000 and lines[1:] == [str(n) for n in range(1, 400_001)]


def test_a_hundred_megabytes_of_logs(nomad):
    alloc = nomad.run("burst", "seq 1 1000000 | sed 's/$/ 012345678901234567890123456789012345678901234567890123456789012345678901234567"
                      "890123456789/'", kind="batch", wait="complete", task="logs {\n max_files = 15\n max_file_size = 10\n }")
    number = 0
    for number, line in enumerate(nomad.logs(alloc).splitlines(), 1):
        assert line.startswith(f"{number} 0123") and line.endswith("6789"), (number, line)
    assert number == 1_000_000


def test_an_exec_that_says_nothing_for_long(nomad):
    """Both ends keep the connection alive."""
    alloc = nomad.run()
    assert nomad.cli("alloc", "exec", "-i=false", "-t=false", alloc["ID"], "sh", "-c", "sleep 35; echo late").stdout == "late\n"


def test_reboot(nomad):
    """All at once is gone but files: the task is started once more, and its old pot is removed."""
    nomad.run("one")
    old = [name for name in nomad.machine.pot("ls", "-q").split() if name != "web_1_0"]
    server = nomad.processes["server"].pid
    nomad.processes.pop("client")
    for pid, words in nomad.machine.processes().items():
        if pid != server and "http.server" not in words:
            with contextlib.suppress(ProcessLookupError):  # one that went with another
                os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not nomad.machine.running(), what="the end of all")
    shutil.rmtree(nomad.machine.conf["POT_RUN_DIR"])
    for path in sorted(nomad.machine.cgroup_dirs(), key=len, reverse=True):
        os.rmdir(path)
    nomad.start("client").ready()
    wait_until(lambda: len(nomad.machine.running()) == 1, timeout=30, every=0.3, what="the task")
    now = [name for name in nomad.machine.pot("ls", "-q").split() if name != "web_1_0"]
    assert len(now) == 1 and now != old


def test_a_directory_and_volumes(nomad):
    root = nomad.machine.busybox_root()
    alloc = nomad.run("plain", "sh -c 'echo $NOMAD_TASK_NAME; touch /mine; ls /alloc'", kind="batch", wait="complete",
                      source=f'path = "{root}"')
    assert nomad.logs(alloc).split() == ["www1", "data", "logs", "tmp"] and not (root / "mine").exists()


def show_bridge_module(machine):
    """Nomad looks for bridges in a file about the kernel's modules, which kernels without modules lack."""
    if os.path.exists("/proc/modules") or os.path.exists("/lib/modules"):
        return
    memory, release = machine.dir / "modules", os.uname().release
    memory.mkdir()
    machine.run("mount", "-t", "tmpfs", "tmpfs", memory)
    machine.volumes.append(memory)
    machine.run("mkdir", "-p", memory / "work", memory / f"upper/modules/{release}")
    machine.run("sh", "-c", f"echo kernel/net/bridge/bridge.ko > {memory}/upper/modules/{release}/modules.builtin")
    machine.run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/usr/lib,upperdir={memory}/upper,workdir={memory}/work",
                "/usr/lib")


@pytest.mark.skipif(not os.path.exists("/usr/lib/cni/bridge"), reason="needs containernetworking-plugins")
def test_networks_of_groups(networked):
    """Nomad makes them with CNI's plugins, one for an allocation; two tasks of it share one."""
    publish(networked)
    show_bridge_module(networked)
    agents = Agents(networked, client='cni_path = "/usr/lib/cni"')
    agents.start("server").start("client").ready()
    other = textwrap.dedent("""\
        task "other" {
          driver = "pot"
          config {
            image = "http://127.0.0.1:8000/"
            pot = "web"
            tag = "1.0"
            command = "httpd -f -p 127.0.0.1:9000 -h /local"
          }
          template {
            data = "from the other task"
            destination = "local/index.html"
          }
          resources {
            cpu = 50
            memory = 32
          }
        }
        """)
    alloc = agents.run("grouped", "httpd -f -p 8080 -h /local", network=None,
                       group='network {\n mode = "bridge"\n port "http" {\n to = 8080\n }\n }\n' + other,
                       task='template {\n data = "page"\n destination = "local/index.html"\n }')
    whole = agents.api(f"/v1/allocation/{alloc['ID']}")
    port = whole["AllocatedResources"]["Shared"]["Ports"][0]["Value"]
    wait_until(lambda: networked.http(f"http://203.0.113.1:{port}/", outside=True) == "page", every=0.3, what="the page")
    shown = agents.cli("alloc", "exec", "-i=false", "-t=false", "-task", "www1", alloc["ID"], "sh", "-c",
                       "ip -4 addr; wget -q -O - http://127.0.0.1:9000/").stdout
    assert "172.26.64." in shown and "from the other task" in shown, shown
    assert not networked.pairs()
    agents.close()
    networked.try_run("ip", "link", "del", "nomad")
    shutil.rmtree("/var/lib/cni/networks/nomad", ignore_errors=True)
    networked.pot("vnet-stop")
    networked.run("nft", "flush", "ruleset")


NOBODY = 64111


def test_a_client_that_is_not_root(networked):
    publish(networked)
    agents = Agents(networked, config=f'runner_socket = "{networked.conf["POT_RUN_DIR"]}/runner.sock"',
                    become=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"])
    home, mounts = agents.dir / "client", agents.dir / "alloc_mounts"  # the second since Nomad 1.8, beside the first
    for place in (home, mounts):
        place.mkdir()
        shutil.chown(place, NOBODY, NOBODY)
    runner = [BIN / "pot-runner", "--serve", "--group", NOBODY, "--root", home]
    agents.start("server").start("client")
    driver = wait_until(lambda: (agents.node() or {}).get("Drivers", {}).get("pot"), timeout=40, every=0.3, what="the driver")
    assert not driver["Detected"] and "no pot-runner serves" in driver["HealthDescription"], driver
    process = networked.popen(*runner, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    agents.ready()
    pid, = agents.plugin_pids()
    assert os.stat(f"/proc/{pid}").st_uid == NOBODY
    alloc = agents.run("one", "trap 'exit 0' TERM; echo up; id -u; while :; do sleep 0.05; done")
    wait_until(lambda: agents.logs(alloc) == "up\n0\n", every=0.3, what="its words")
    assert agents.cli("alloc", "exec", "-i=false", "-t=false", alloc["ID"], "echo", "hello").stdout == "hello\n"
    process.terminate()
    process.wait(10)
    networked.popen(*runner, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    agents.stop("client", signal.SIGKILL)
    agents.start("client").ready()
    agents.wait_for("one")
    assert agents.state("one")["Restarts"] == 0
    agents.close()
    networked.pot("vnet-stop")


def test_bad_plugin_config(networked):
    agents = Agents(networked, config='fs_isolation = "odd"')
    agents.start("client")
    agents.processes["client"].wait(20)
    assert "fs_isolation" in agents.log() and "panic" not in agents.log()
    networked.pot("vnet-stop")


def test_disabled(networked):
    publish(networked)
    agents = Agents(networked, config="enabled = false")
    agents.start("server").start("client")
    driver = wait_until(lambda: (agents.node() or {}).get("Drivers", {}).get("pot"), timeout=40, every=0.3, what="the driver")
    assert not driver["Detected"] and not driver["Healthy"]
    agents.close()
    networked.pot("vnet-stop")
