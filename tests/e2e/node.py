"""A pretend machine with a whole node on it: agent, runner, ingress, an image in its registry."""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import textwrap

import machine as machines
from machine import BIN, Failure, Machine, wait_until

API = "http://127.0.0.1:4646"


class Node(Machine):
    """start() gives a node with one job's worth of images; all of it lives in the machine's directory."""

    def __init__(self, workdir=None):
        super().__init__(workdir)
        self.data = self.dir / "data"
        self.log = self.dir / "agent.log"
        self.monitor = None
        self.extra_config = ""
        self.give_user()

    def give_user(self):
        """The agent's user, known inside this machine only."""
        try:
            pwd.getpwnam("potter")
            return
        except KeyError:
            pass
        for name, line in (("passwd", "potter:x:64646:64646::/nonexistent:/usr/sbin/nologin\n"),
                           ("group", "potter:x:64646:\n")):
            copy = self.dir / name
            copy.write_text(pathlib.Path(f"/etc/{name}").read_text() + line)
            self.run("mount", "--bind", copy, f"/etc/{name}")

    # ---- the agent ----

    def write_config(self):
        path = self.dir / "agent.hcl"
        path.write_text(textwrap.dedent(f"""\
            datacenter = "minipot"
            data_dir   = "{self.data}"
            bind_addr  = "127.0.0.1"
            log_level  = "DEBUG"
            server {{
              enabled          = true
              bootstrap_expect = 1
            }}
            client {{
              enabled = true
            }}
            plugin "raw_exec" {{
              config {{
                enabled = true
              }}
            }}
            """) + self.extra_config)
        return path

    def start_agent(self, wait=True, argv=None):
        reader, writer = os.pipe()
        with open(self.log, "ab") as log:
            argv = argv or ["-config", self.write_config(), "-pid-file", self.dir / "potter.pid"]
            self.monitor = self.popen(BIN / "potter", "agent", *argv, env={"POTTER_READY_FD": str(writer)},
                                      pass_fds=[writer], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(writer)
        if wait:
            line = os.read(reader, 4096).decode()
            os.close(reader)
            assert line.startswith("ready"), f"the agent did not start: {line}\n{self.log_text()[-4000:]}"
        return self

    def log_text(self):
        return self.log.read_text() if self.log.exists() else ""

    def pid_of(self, role):
        """The pid of `agent`, `runner` (the worker), `monitor` or `haproxy`."""
        for pid, words in self.processes().items():
            if role == "monitor" and "--monitor" in words:
                return pid
            if role == "runner" and "pot-runner" in words and "--monitor" not in words and "--finish" not in words:
                return pid
            if role == "agent" and re.search(r"potter agent", words) and "--monitor" not in words \
                    and not words.startswith("nsenter"):
                return pid
            if role == "haproxy" and "haproxy" in words.split(" ")[0]:
                return pid
        return None

    def kill(self, role, sig=signal.SIGKILL):
        pid = self.pid_of(role)
        assert pid, f"no {role} runs"
        os.kill(pid, sig)
        return pid

    def stop_agent(self):
        """As `minipot stop` does: pots and ingress too."""
        pid = self.pid_of("monitor")
        if pid:
            os.kill(pid, signal.SIGINT)
            wait_until(lambda: not self.pid_of("monitor"), timeout=30, what="the end of the agent")

    def power_cut(self):
        """Everything that runs is killed at once; what lives in the kernel and in run directories goes."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        wait_until(lambda: not self.processes(), what="the end of everything")
        shutil.rmtree(self.conf["POT_RUN_DIR"], ignore_errors=True)
        for path in sorted(self.cgroup_dirs(), key=len, reverse=True):
            os.rmdir(path)
        self.run("ip", "link", "del", self.conf["POT_BRIDGE"])
        self.run("nft", "delete", "table", "inet", self.conf["POT_NFT_TABLE"])

    def close(self, check=True):
        try:
            self.stop_agent()
        except AssertionError as late:
            if check:
                print(self.log_text()[-4000:])
                raise late
        for name in ("passwd", "group"):
            self.try_run("umount", f"/etc/{name}")
        return super().close(check)

    # ---- images ----

    def publish(self, name="web", tag="1.0", page="hello"):
        """An image of busybox httpd that shows `page`, in the registry that the agent serves."""
        registry = self.data / "registry"
        registry.mkdir(parents=True, exist_ok=True)
        root = self.busybox_root()
        (root / "www").mkdir(exist_ok=True)
        (root / "www" / "index.html").write_text(page + "\n")
        self.pot("create-base", "-b", f"{name}-base", "-d", root)
        self.pot("create", "-p", name, "-t", "single", "-b", f"{name}-base")
        self.pot("set-cmd", "-p", name, "-c", "/bin/httpd -f -p 80 -h /www")
        self.pot("snapshot", "-p", name)
        self.pot("export", "-p", name, "-t", tag, "-l", "1", "-D", registry)
        self.pot("destroy", "-p", name, "-F")
        self.pot("destroy", "-b", f"{name}-base")

    # ---- jobs ----

    def job_text(self, job="nginx-minipot", service="hello-web", count=1, image="web", tag="1.0", update="", extra="",
                 task_extra="", config="", memory=16, registry=f"{API}/registry"):
        return textwrap.dedent(f"""\
            job "{job}" {{
              datacenters = ["minipot"]
              {update}
              group "group1" {{
                count = {count}
                {extra}
                task "www1" {{
                  driver = "pot"
                  service {{
                    name = "{service}"
                    tags = ["nginx", "web"]
                    port = "http"
                    check {{
                      type     = "tcp"
                      name     = "tcp"
                      interval = "5s"
                      timeout  = "2s"
                    }}
                  }}
                  config {{
                    image = "{registry}"
                    pot   = "{image}"
                    tag   = "{tag}"
                    {config}
                    port_map {{
                      http = "80"
                    }}
                  }}
                  {task_extra}
                  resources {{
                    cpu    = 20
                    memory = {memory}
                    network {{
                      mbits = 10
                      port "http" {{}}
                    }}
                  }}
                }}
              }}
            }}
            """)

    def job_file(self, name="job.nomad", **options):
        path = self.dir / name
        path.write_text(self.job_text(**options))
        return path

    QUICK = 'update { min_healthy_time = "0s" }'

    def try_nomad(self, *argv, **options):
        return self.try_run(BIN / "potter", *argv, **options)

    def nomad(self, *argv, **options):
        result = self.try_nomad(*argv, **options)
        if result.returncode != 0:
            print(self.log_text()[-3000:])
            raise Failure("failed", result)
        return result.stdout

    def api(self, path, method="GET", body=None):
        argv = ["curl", "-sS", "--fail-with-body", "-X", method, f"{API}{path}"]
        if body is not None:
            argv += ["--data-binary", "@-"]
        return json.loads(self.run(*argv, input=json.dumps(body) if body is not None else None) or "null")

    def allocs(self, job="nginx-minipot", status="running"):
        rows = self.api(f"/v1/job/{job}/allocations")
        return [a for a in rows if status is None or a["ClientStatus"] == status]

    def wait_running(self, n, job="nginx-minipot", timeout=60):
        return wait_until(lambda: (lambda rows: rows if len(rows) == n else None)(self.allocs(job)), timeout,
                          what=f"{n} running allocations of {job}\n" + self.log_text()[-2000:])

    # ---- the ingress ----

    def fetch(self, host="hello-web.minipot", path="/"):
        """Status and body of a request through the ingress."""
        result = self.try_run("curl", "-s", "-o", "-", "-w", "\n%{http_code}", "-H", f"Host: {host}", "--max-time", "5",
                              f"http://127.0.0.1:8080{path}")
        body, _, code = result.stdout.rpartition("\n")
        return int(code or 0), body

    def wait_page(self, text="hello", host="hello-web.minipot", timeout=20):
        return wait_until(lambda: (lambda r: r[0] == 200 and text in r[1])(self.fetch(host)), timeout,
                          what=f"the page {text!r} at {host}")

    def load(self, seconds, host="hello-web.minipot"):
        """A load on the ingress; finish with load_result()."""
        return self.popen("wrk", "-t1", "-c8", f"-d{seconds}s", "-H", f"Host: {host}", "http://127.0.0.1:8080/",
                          stdout=subprocess.PIPE, text=True)

    @staticmethod
    def load_result(process):
        """How many requests were answered, and how many failed in any way."""
        text, _ = process.communicate(timeout=120)
        requests = int(re.search(r"(\d+) requests in", text)[1])
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        return requests, (sum(map(int, errors.groups())) if errors else 0) + (int(bad[1]) if bad else 0)
