"""A Nomad server and a Nomad client on the machine, each an agent of its own, spoken to by their HTTP interface.

NOMAD_FREEBSD=FILE is a nomad for FreeBSD; none is part of the build.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request

import bsd
import scene

NOMAD = os.environ.get("NOMAD_FREEBSD")
HOLD = "trap 'exit 0' TERM; while :; do sleep 0.2; done"
ONCE = 'restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }'
DIR = "/var/db/potter-nomad"  # where others than root may go as well
PLUGIN = "/usr/local/libexec/nomad/plugins/nomad-pot-driver"
PORTS = {"server": (4646, 4647, 4648), "client": (5646, 5647, 5648)}
IMAGE = "web_1_0"


def wait_until(check, timeout=120, every=0.5, what="it"):
    """The limit is wide: emulated machines are slow. Nothing is measured by it."""
    end = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not come true within {timeout} s"
        time.sleep(every)


def free_port():
    with bsd.socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def told(state):
    """The events of a task's state, a line each."""
    return [f"{e['Type']}: {e['DisplayMessage']}" for e in state["Events"] or []]


class Agents:
    def __init__(self, machine):
        self.m = machine
        self.local = None
        self.back = []  # ports of the machine that lead here

    # ---- agents ----

    def configure(self, config="", client="", denied="env_aws,env_gce,env_azure,consul,vault"):
        """config: of the plugin; client: more of the client's block."""
        address = "203.0.113.1"
        for name, (http, rpc, serf) in PORTS.items():
            text = textwrap.dedent(f"""\
                data_dir = "{DIR}/{name}"
                bind_addr = "0.0.0.0"
                advertise {{
                  http = "{address}"
                  rpc = "{address}"
                  serf = "{address}"
                }}
                ports {{
                  http = {http}
                  rpc = {rpc}
                  serf = {serf}
                }}
                disable_update_check = true
                log_level = "DEBUG"
                """)
            if name == "server":
                # a busy emulated machine says nothing for a while
                text += 'server {\n  enabled = true\n  bootstrap_expect = 1\n  heartbeat_grace = "5m"\n}\n'
            else:
                text += textwrap.dedent(f"""\
                    plugin_dir = "{pathlib.PurePath(PLUGIN).parent}"
                    client {{
                      enabled = true
                      servers = ["127.0.0.1:4647"]
                      network_interface = "ext0"
                      options = {{ "fingerprint.denylist" = "{denied}" }}
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
                    """)
            self.m.write(f"{DIR}/{name}.hcl", text)
        return self

    def tunnel(self, which, ports, act="forward", check=True):
        subprocess.run(["ssh", *self.m.words, "-p", str(self.m.port), "-O", act, which, ports, self.m.target],
                       check=check, capture_output=True)

    def forward(self):
        """The server's port here, through the connection that is open anyway; after it was lost, all that lead through it."""
        self.local = free_port()
        self.m.sh("true")
        self.tunnel("-L", f"{self.local}:127.0.0.1:4646")
        for ports in self.back:
            self.tunnel("-R", ports, act="cancel", check=False)
            self.tunnel("-R", ports)

    def backward(self, port, here):
        """A port of the machine leads to one here."""
        self.back.append(f"127.0.0.1:{port}:127.0.0.1:{here}")
        self.tunnel("-R", self.back[-1])

    def pid(self, name):
        """0: it does not run."""
        return int(self.m.sh(f"pgrep -F {DIR}/{name}.pid 2>/dev/null || echo 0").split()[0])

    def start(self, name, user="root"):
        self.m.sh(f"cd {DIR} && daemon -u {user} -p {name}.pid -o {name}.log ./nomad agent -config {name}.hcl "
                  "</dev/null >/dev/null 2>&1")
        return self

    def stop(self, name, sig=signal.SIGINT):
        self.m.sh(f"p=$(cat {DIR}/{name}.pid); kill -{int(sig)} $p; i=0; while kill -0 $p 2>/dev/null; do "
                  "i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done")

    def log(self, name="client"):
        return self.m.sh(f"cat {DIR}/{name}.log")

    def ready(self):
        def ok():
            assert all(self.pid(name) for name in PORTS), self.log()[-3000:]
            node = self.node()
            return node and node["Status"] == "ready" and node["Drivers"].get("pot", {}).get("Healthy")
        wait_until(ok, what="a healthy driver")
        return self

    # ---- the server ----

    def ask(self, path, body=None, method=None):
        """(status, bytes); (0, reason) where it does not answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.local}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()
        except OSError as e:
            self.forward()  # the connection under it may have been made anew
            return 0, str(e).encode()

    def api(self, path):
        status, text = self.ask(path)
        return json.loads(text) if status == 200 else None

    def must(self, path, body=None, method="PUT"):
        status, text = self.ask(path, {} if body is None else body, method)
        if status == 0:
            status, text = self.ask(path, {} if body is None else body, method)
        assert status == 200, f"{method} {path}: {status} {text.decode(errors='replace')}"
        return json.loads(text) if text.strip() else None

    def nodes(self):
        return [n for n in self.api("/v1/nodes") or [] if n["Status"] == "ready"]

    def node(self):
        return (self.nodes() or [None])[0]

    def run(self, job="one", command=HOLD, config="", task="", group="", kind="service", name="www1", pot="web",
            image=None, wait="running", network="host", count=1, resources="", memory=64, source=None, disk=120):
        """The last allocation; wait=None: the job is handed in, no more."""
        words = command.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${") if command else ""
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
                  driver = "pot"
                  {task}
                  config {{
                    {source or f'image = "{image or "file://" + DIR + "/registry/"}"'}
                    {"" if source else f'pot = "{pot}"'}
                    {"" if source else 'tag = "1.0"'}
                    {f'command = "{words}"' if command else ''}
                    {f'network_mode = "{network}"' if network else ''}
                    {config}
                  }}
                  resources {{
                    cpu = 20
                    memory = {memory}
                    {resources}
                  }}
                }}
              }}
            }}
            """)
        self.must("/v1/jobs", {"Job": self.must("/v1/jobs/parse", {"JobHCL": text, "Canonicalize": True}, "POST")}, "POST")
        return self.wait_for(job, wait) if wait else None

    def allocs(self, job):
        return sorted(self.api(f"/v1/job/{job}/allocations") or [], key=lambda a: a["CreateIndex"])

    def wait_for(self, job, status="running", timeout=180):
        def reached():
            allocs = self.allocs(job)
            assert status == "failed" or not any(a["ClientStatus"] == "failed" for a in allocs), self.events(job)
            return allocs if allocs and all(a["ClientStatus"] == status for a in allocs) else None
        try:
            return wait_until(reached, timeout=timeout, what=f"{job} {status}")[-1]
        except AssertionError:
            print(json.dumps([a.get("TaskStates") for a in self.allocs(job)], indent=1)[-3000:], self.log()[-4000:])
            raise

    def state(self, job, name="www1"):
        return ((self.allocs(job) or [{}])[-1].get("TaskStates") or {}).get(name) or {"Restarts": 0, "State": "", "Events": []}

    def events(self, job, name="www1"):
        return told(self.state(job, name))

    def logs(self, alloc, stderr=False, name="www1"):
        kind = "stderr" if stderr else "stdout"
        _, text = self.ask(f"/v1/client/fs/logs/{alloc['ID']}?task={urllib.parse.quote(name)}&type={kind}&plain=true")
        return text.decode(errors="replace")

    def restart(self, alloc):
        self.must(f"/v1/client/allocation/{alloc['ID']}/restart")

    def signal(self, alloc, name):
        """(status, bytes)"""
        return self.ask(f"/v1/client/allocation/{alloc['ID']}/signal", {"Signal": name}, "PUT")

    def execute(self, alloc, *argv, words="-i=false -t=false", stdin=None):
        """`nomad alloc exec` on the machine."""
        return self.m.raw(f"{DIR}/nomad alloc exec {words} {alloc['ID']} {bsd.shlex.join(argv)}", stdin=stdin)

    def stop_job(self, job, purge=True):
        self.ask(f"/v1/job/{job}?purge={'true' if purge else 'false'}", method="DELETE")

    # ---- the machine ----

    def running(self):
        return [j for j in self.m.sh("jls name").split() if j != "world"]

    def pots(self):
        return [p for p in self.m.pot("ls", "-q").split() if p != IMAGE]

    def identity(self):
        """What changes when a pot is started again: its jails' numbers."""
        return sorted(self.m.sh("jls jid name | grep -v ' world$' || true").splitlines())

    def plugins(self):
        return [int(pid) for pid in self.m.sh(f"pgrep -f '^{PLUGIN}' || true").split()]

    def kill_plugin(self):
        """With its socket, which nobody removes after that."""
        self.m.sh(f"s=$(ls /tmp/pot-driver-*.sock); kill -9 {' '.join(map(str, self.plugins()))}; rm $s")

    def page(self, port, path=""):
        """As a host outside sees it."""
        return self.m.sh(f"jexec world fetch -T 20 -qo- http://203.0.113.1:{port}/{path}", ok=None)

    def sockets(self):
        return self.m.sh("ls /tmp/pot-driver-*.sock 2>/dev/null || true").split()

    def empty(self):
        """Jobs, pots and what allocations left go; agents stay."""
        for job in self.api("/v1/jobs") or []:
            self.stop_job(job["ID"])
        wait_until(lambda: not self.running(), what="the end of all pots")
        wait_until(lambda: not self.pots(), what="the removal of all pots")

        def collected():
            self.must("/v1/system/gc")
            return not self.m.sh(f"mount -p | grep /alloc/; ls {DIR}/client/alloc 2>/dev/null", ok=None).strip()
        wait_until(collected, every=1, what="the removal of all allocations")

    def close(self):
        for name in ("client", "server"):
            if self.pid(name):
                self.stop(name)
        wait_until(lambda: not self.plugins() and not self.sockets(), what="the end of the plugin")
        self.m.sh(f"pkill -f '^{DIR}/nomad logmon'", ok=None)


def publish(m):
    """An image to make pots from: the machine's base without what nothing here needs."""
    rel = scene.release(m)
    m.pot("create-base", "-r", rel, timeout=1200)
    m.pot("create", "-p", "web", "-t", "single", "-b", rel, timeout=600)
    m.sh("cd /opt/pot/jails/web/m && rm -rf usr/include usr/share usr/lib/*.a usr/lib/clang usr/tests usr/libdata rescue boot")
    m.pot("snapshot", "-p", "web")
    m.sh(f"mkdir -p {DIR}/registry")
    m.pot("export", "-p", "web", "-t", "1.0", "-l", "1", "-D", f"{DIR}/registry", timeout=1200)
    m.pot("destroy", "-p", "web", "-F")
    m.pot("destroy", "-rb", rel)


def version(m):
    """(1, 1, 2)"""
    return tuple(map(int, re.match(r"Nomad v(\d+)\.(\d+)\.(\d+)", m.sh(f"{DIR}/nomad version")).groups()))
