"""The agent as a program, and its API over the wire."""
import base64
import json
import os
import signal
import subprocess

import pytest

from machine import BIN, Machine, wait_until
from node import API, Node

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]


class Alone:
    """An agent without root: an API, a server, a node that can run nothing."""

    def __init__(self, machine):
        self.machine = machine
        self.data = machine.dir / "nobody"
        self.data.mkdir()
        os.chown(self.data, 65534, 65534)
        self.log = machine.dir / "agent.log"
        self.process = None

    def argv(self, *flags):
        return [*NOBODY, BIN / "potter", "agent", "-server", "-client", "-data-dir", self.data, *flags]

    def start(self, *flags):
        reader, writer = os.pipe()
        with open(self.log, "ab") as log:
            self.process = self.machine.popen(*self.argv(*flags), env={"POTTER_READY_FD": str(writer)},
                                              pass_fds=[writer], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(writer)
        line = os.read(reader, 4096).decode()
        os.close(reader)
        assert line == "ready\n", line + self.log.read_text()
        return self

    def stop(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        assert self.process.wait(timeout=5) == 0, self.log.read_text()

    def end_proxy(self):
        """An agent that was killed or told to leave things running leaves its HAProxy, too."""
        pid = self.data / "ingress" / "haproxy.pid"
        if pid.exists():
            try:
                os.kill(int(pid.read_text()), signal.SIGTERM)
            except ProcessLookupError:
                pass
            wait_until(lambda: not any("haproxy" in words for words in self.machine.processes().values()),
                       what="the end of HAProxy")

    def refused(self, *flags, says):
        result = self.machine.try_run(*self.argv(*flags))
        assert result.returncode == 1 and says in result.stderr, result.stderr

    def curl(self, path, *options):
        return self.machine.run("curl", "-sS", *options, API + path)

    def api(self, path, *options):
        return json.loads(self.curl(path, *options))


@pytest.fixture
def alone():
    m = Machine()
    a = Alone(m)
    yield a
    if a.process and a.process.poll() is None:
        a.process.kill()
        a.process.wait()
    a.end_proxy()
    left = m.close()
    assert "Sanitizer" not in (a.log.read_text() if a.log.exists() else "")
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def node():
    n = Node()
    n.init(vnet=True)
    n.start_agent()
    yield n
    left = n.close()
    assert not left, "left behind:\n" + "\n".join(left)


JOB = {"Job": {"ID": "web", "Type": "service", "Datacenters": ["dc1"], "TaskGroups": [
    {"Name": "g", "Count": 1, "Tasks": [{"Name": "t", "Driver": "pot", "Config": {"image": "x", "pot": "y", "tag": "1"}}]}]}}


def test_without_root_the_agent_says_what_it_cannot_do_and_why_a_job_waits(alone):
    alone.start()
    [stub] = alone.api("/v1/nodes")
    assert stub["Status"] == "ready"
    assert not stub["Drivers"]["pot"]["Healthy"] and "root" in stub["Drivers"]["pot"]["HealthDescription"]
    reply = alone.api("/v1/jobs", "-X", "PUT", "-d", json.dumps(JOB))
    done = wait_until(lambda: (lambda e: e if e["Status"] == "complete" else None)(alone.api(f"/v1/evaluation/{reply['EvalID']}")))
    assert done["FailedTGAllocs"]["g"]["ConstraintFiltered"] == {"missing drivers": 1}
    alone.stop()


def test_state_survives_a_kill_and_indexes_go_on(alone):
    alone.start()
    first = alone.api("/v1/jobs", "-X", "PUT", "-d", json.dumps(JOB))
    wait_until(lambda: "HAProxy is running" in alone.log.read_text())
    alone.process.kill()
    alone.process.wait()
    alone.start()
    job = alone.api("/v1/job/web")
    assert job["JobModifyIndex"] == first["JobModifyIndex"]
    again = alone.api("/v1/jobs", "-X", "PUT", "-d", json.dumps(JOB))
    assert again["EvalCreateIndex"] > first["EvalCreateIndex"]
    alone.stop()


def test_signals_reload_and_end_the_agent(alone):
    conf = alone.machine.dir / "more.hcl"
    conf.write_text('log_level = "WARN"\n')
    alone.start("-config", conf)
    assert "[INFO]" not in alone.log.read_text()
    conf.write_text('log_level = "DEBUG"\n')
    alone.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: log_level=DEBUG" in alone.log.read_text())
    conf.write_text('log_level = "DEBUG"\nnonsense = 1\n')
    alone.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "more.hcl:2,1" in alone.log.read_text())
    alone.stop()


def test_two_agents_do_not_share_a_data_directory(alone):
    alone.start()
    alone.refused("-config", "/dev/null/x", says="configuration")
    other = alone.machine.dir / "other.hcl"
    other.write_text("ports { http = 5646 }\n")
    alone.refused("-config", other, says="another agent uses it")
    alone.stop()


def test_wrong_configuration_is_refused_with_its_place(alone):
    for text, says in (("datacentre = \"x\"\n", "bad.hcl:1,1"), ("tls {\n  http = true\n}\n", "tls: TLS is not supported"),
                       ("ports { http = 99999 }\n", "ports.http = 99999"), ("client {\n", "bad.hcl:")):
        path = alone.machine.dir / "bad.hcl"
        path.write_text(text)
        alone.refused("-config", path, says=says)
    alone.refused("-frobnicate", says="unknown option -frobnicate")


def test_a_port_in_use_is_told_by_name(alone):
    holder = alone.machine.popen("python3", "-c", "import socket,time; s=socket.socket(); s.bind(('127.0.0.1',4646)); "
                                 "s.listen(); print('on', flush=True); time.sleep(1000)", stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "on\n"
    alone.refused(says="listen on 127.0.0.1 port 4646: Address already in use")


def test_a_blocking_query_wakes_with_the_change_and_a_stream_tells_of_it(alone):
    alone.start()
    index = [line for line in alone.curl("/v1/jobs", "-D", "-", "-o", "/dev/null").splitlines()
             if line.lower().startswith("x-nomad-index")][0].split(":")[1].strip()
    waiter = alone.machine.popen("curl", "-sS", f"{API}/v1/jobs?index={index}&wait=30s", stdout=subprocess.PIPE, text=True)
    events = alone.machine.popen("curl", "-sSN", f"{API}/v1/event/stream?topic=Job", stdout=subprocess.PIPE, text=True)
    assert events.stdout.readline() == "{}\n"
    alone.api("/v1/jobs", "-X", "PUT", "-d", json.dumps(JOB))
    [stub] = json.loads(waiter.communicate(timeout=10)[0])
    assert stub["ID"] == "web" and stub["JobSummary"]["Namespace"] == "default"
    event = json.loads(events.stdout.readline())["Events"][0]
    assert (event["Topic"], event["Type"], event["Key"]) == ("Job", "JobRegistered", "web")
    alone.stop()


def test_hostile_requests_harm_nobody(alone):
    alone.start()
    code = r"""
import socket
def say(data):
    s = socket.create_connection(("127.0.0.1", 4646)); s.settimeout(20)
    try:
        s.sendall(data)
        got = b""
        while True:
            part = s.recv(65536)
            if not part: break
            got += part
        return got.split(b"\r\n")[0].decode()
    except ConnectionError as e:
        return str(e)
    finally:
        s.close()
print(say(b"GARBAGE\r\n\r\n"))
print(say(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200000 + b"\r\n\r\n"))
print(say(b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n"))
print(say(b"PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n" + b"[" * 9))
print(say(b"GET /v1/jobs?%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
"""
    lines = alone.machine.run("python3", "-c", code).splitlines()
    assert [line.split()[1] for line in lines] == ["400", "431", "400", "400", "400"]
    assert alone.api("/v1/status/leader")
    alone.stop()


# ---- with root ----

RAW = """
job "raw" {
  datacenters = ["minipot"]
  type = "service"
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args = ["-c", "echo started; n=0; while sleep 0.2; do n=$((n+1)); echo line $n; done"]
      }
      resources {
        cpu = 20
        memory = 16
      }
    }
  }
}
"""


@pytest.fixture
def raw(node):
    path = node.dir / "raw.nomad"
    path.write_text(RAW)
    node.nomad("run", "-detach", path)
    [alloc] = node.wait_running(1, job="raw")
    node.alloc = alloc["ID"]
    return node


def test_logs_of_a_running_task_are_followed(raw):
    def text():
        return raw.run("curl", "-sS", f"{API}/v1/client/fs/logs/{raw.alloc}?task=t&type=stdout&plain=true")
    wait_until(lambda: "line 2" in text())
    assert text().startswith("started\nline 1\n")
    stream = raw.popen("curl", "-sSN", f"{API}/v1/client/fs/logs/{raw.alloc}?task=t&type=stdout&follow=true", stdout=subprocess.PIPE)
    decoder, got, buffer = json.JSONDecoder(), "", ""
    while "line 9" not in got:
        part = os.read(stream.stdout.fileno(), 65536).decode()
        assert part, "the stream ended"
        buffer += part
        while buffer:
            try:
                frame, end = decoder.raw_decode(buffer)
            except ValueError:
                break
            buffer = buffer[end:]
            got += base64.b64decode(frame.get("Data", "")).decode()
    stream.kill()
    assert got.startswith("started\nline 1\nline 2\n")


def test_files_of_an_allocation_are_shown_and_secrets_are_not(raw):
    def ls(path):
        return [row["Name"] for row in raw.api(f"/v1/client/fs/ls/{raw.alloc}?path={path}")]
    assert {"alloc", "t"} <= set(ls("/"))
    assert "t.stdout.0" in ls("alloc/logs")
    for path in ("t/secrets/x", "t/local/../secrets/x"):
        result = raw.try_run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{API}/v1/client/fs/cat/{raw.alloc}?path={path}")
        assert result.stdout == "403"
    assert raw.run("curl", "-sS", f"{API}/v1/client/fs/cat/{raw.alloc}?path=../../../etc/passwd").find("root:") < 0


def test_commands_run_in_a_task_and_their_code_comes_back(raw):
    assert raw.nomad("alloc", "exec", raw.alloc, "/bin/echo", "inside").strip() == "inside"
    result = raw.try_nomad("alloc", "exec", raw.alloc, "/bin/sh", "-c", "echo to-stderr >&2; exit 7")
    assert result.returncode == 7 and "to-stderr" in result.stderr
    big = "x" * 300000
    assert raw.nomad("alloc", "exec", "-i", raw.alloc, "/bin/cat", input=big) == big
    result = raw.try_nomad("alloc", "exec", "-task", "nonsense", raw.alloc, "/bin/true")
    assert result.returncode == 1 and "nonsense" in result.stderr


def test_a_task_is_restarted_and_stopped_through_the_api(raw):
    raw.api(f"/v1/client/allocation/{raw.alloc}/restart", "PUT", {"TaskName": "t"})
    wait_until(lambda: raw.api(f"/v1/allocation/{raw.alloc}")["TaskStates"]["t"]["Restarts"] == 1)
    # the kernel charges the pages of a new process in batches: for a moment it has none
    wait_until(lambda: (raw.api(f"/v1/client/allocation/{raw.alloc}/stats")["Tasks"].get("t") or
                        {"ResourceUsage": {"MemoryStats": {"RSS": 0}}})["ResourceUsage"]["MemoryStats"]["RSS"] > 0, what="memory in use")
    raw.api(f"/v1/allocation/{raw.alloc}/stop", "PUT", {})
    wait_until(lambda: raw.api(f"/v1/allocation/{raw.alloc}")["ClientStatus"] == "complete")
    raw.nomad("stop", "-detach", "raw")
    wait_until(lambda: not raw.allocs("raw"))


def test_the_registry_serves_images_with_ranges(node):
    registry = node.data / "registry"
    registry.mkdir(parents=True, exist_ok=True)
    (registry / "x_1.xz").write_bytes(bytes(range(200)))
    assert node.run("curl", "-sS", "-r", "65-69", f"{API}/registry/x_1.xz") == "ABCDE"
    for path in ("../state.db", "..%2fstate.db", ".hidden", ""):
        result = node.try_run("curl", "-sS", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", f"{API}/registry/{path}")
        assert result.stdout == "404", path


def test_metrics_are_there_for_prometheus(raw):
    def text():
        return raw.run("curl", "-sS", f"{API}/v1/metrics?format=prometheus")
    assert 'nomad_nomad_job_summary_running{job="raw",namespace="default",task_group="g"} 1' in text()
    assert "nomad_client_allocations_running{" in text()
