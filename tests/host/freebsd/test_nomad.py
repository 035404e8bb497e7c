"""nomad-pot-driver in a real, unmodified Nomad on FreeBSD: separate server and client agents.

    NOMAD_FREEBSD=/path/to/nomad FREEBSD_HOST=... python3 -m pytest -q tests/host/freebsd/test_nomad.py

Each scene ends with all jobs purged, collected, and a look for what is left on the machine.
"""
import os
import re
import signal
import subprocess
import sys
import time

import bsd
import pytest
import scene
from agents import DIR, HOLD, IMAGE, NOMAD, ONCE, Agents, free_port, publish, wait_until

pytestmark = pytest.mark.skipif(not NOMAD, reason="NOMAD_FREEBSD is not set: the path of a nomad for FreeBSD")
COUNT = "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.3; done"
SERVE = {"command": "/bin/world", "config": 'port_map {\n http = "80"\n }\n copy = ["/root/potter-test/world:/bin/world"]',
         "network": None, "resources": 'network {\n mbits = 10\n port "http" {}\n }'}


@pytest.fixture(scope="module")
def agents(machine):
    """Both agents, the image's archive in a directory, and a first task, which brings the image."""
    m = machine
    if m.sh(f"stat -f %z {DIR}/nomad 2>/dev/null || true").strip() != str(os.stat(NOMAD).st_size):
        m.sh(f"mkdir -p {DIR}")
        with open(NOMAD, "rb") as program:
            subprocess.run(m.ssh(f"cat >{DIR}/nomad && chmod 755 {DIR}/nomad"), stdin=program, check=True)
    if not m.sh(f"ls {DIR}/registry/web_1.0.xz 2>/dev/null || true").strip():
        publish(m)
    a = Agents(m).configure()
    m.sh(f"rm -rf {DIR}/server {DIR}/client {DIR}/*.log")
    a.forward()
    try:
        a.start("server").start("client").ready()
        a.run("first", "echo out; echo err >&2", kind="batch", wait="complete")
        a.first = a.events("first")
        a.empty()
        yield a
    finally:
        try:
            a.close()
        finally:
            m.pot("destroy", "-p", IMAGE, "-F", ok=None)


@pytest.fixture
def image(agents):
    """Both agents run and the image is here, also after a scene that failed: it belongs to what was there before."""
    for name in ("server", "client"):
        if not agents.pid(name):
            agents.start(name)
    agents.ready()
    if IMAGE not in agents.m.pot("ls", "-q").split():
        agents.run("again", "true", kind="batch", wait="complete")
        agents.empty()


@pytest.fixture
def nomad(agents, image, clean):
    yield agents
    agents.ready()
    agents.empty()
    # a server calls the node of a client that was started a moment ago ready, by what it knew of the one before
    wait_until(lambda: len(agents.plugins()) == 1 and len(agents.sockets()) == 1, what="one plugin")
    assert "panic" not in agents.log() and "panic" not in agents.log("server")


def has_words(a, alloc, words):
    wait_until(lambda: words in a.logs(alloc), what=f"«{words}» in the log")


# ---- loaded, told about, quiet ----

def test_loaded(nomad):
    a = nomad
    assert re.search(r"detected plugin: name=pot type=driver", a.log())
    assert any("Downloading image" in e for e in a.first), a.first
    facts = a.api(f"/v1/node/{a.node()['ID']}")["Attributes"]
    assert facts["driver.pot"] in ("1", "true") and facts["driver.pot.version"]
    assert (facts["driver.pot.isolation"], facts["driver.pot.dataset"], facts["driver.pot.limits"]) == ("jails", "zfs", "rctl")


def test_idle_costs_nothing(nomad):
    """A stream that ends would be opened again thousands of times a second."""
    pid, = nomad.plugins()

    def seconds():
        minutes, _, rest = nomad.m.sh(f"ps -o time= -p {pid}").strip().partition(":")
        return int(minutes) * 60 + float(rest)
    before = seconds()
    time.sleep(15)
    assert seconds() - before <= 0.5  # an emulated processor


# ---- tasks ----

def test_batch_logs_and_codes(nomad):
    a = nomad
    for job, command in (("good", "echo out; echo err >&2"), ("bad", "sh -c 'exit 7'"), ("killed", "kill -9 $$; sleep 5")):
        a.run(job, command, kind="batch", group=ONCE, wait=None)
    alloc = a.wait_for("good", "complete")
    assert a.logs(alloc) == "out\n" and a.logs(alloc, stderr=True) == "err\n"
    a.wait_for("bad", "failed")
    assert any("Exit Code: 7" in e for e in a.events("bad")), a.events("bad")
    a.wait_for("killed", "failed")
    assert any("Signal: 9" in e for e in a.events("killed")), a.events("killed")


def test_long_logs(nomad):
    """A line of a megabyte and a burst: nothing is lost, and the order stays."""
    a = nomad
    alloc = a.run("burst", "head -c 1000000 /dev/zero | tr '\\0' x; echo; seq 1 100000", kind="batch", wait="complete")
    lines = a.logs(alloc).splitlines()
    assert lines[0] == "x" * 1_000_000 and lines[1:] == [str(n) for n in range(1, 100_001)]


def test_exec(nomad):
    a = nomad
    alloc = a.run()
    assert a.execute(alloc, "echo", "hello").stdout == "hello\n"
    for code in (3, 127):
        assert a.execute(alloc, "sh", "-c", f"exit {code}").returncode == code
    assert a.execute(alloc, "wc", "-c", words="-i -t=false", stdin="x" * 1_500_000).stdout.strip() == "1500000"
    assert len(a.execute(alloc, "sh", "-c", "yes 0123456789abcde | head -n 131072").stdout) == 2 << 20
    a.execute(alloc, "sh", "-c", "echo out; echo err >&2; ps ax >/dev/null")
    m = a.m
    terminal = m.ssh(f"stty rows 33 columns 77; {DIR}/nomad alloc exec -i -t {alloc['ID']} sh -c 'tty; stty size; echo $TERM'")
    shown = subprocess.run([terminal[0], "-tt", *terminal[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=120).stdout
    assert "/dev/pts/" in shown and "33 77" in shown, shown
    # a client that is killed midway: Nomad (1.1.2) does not tell the driver; the command goes with the task
    m.sh(f"{DIR}/nomad alloc exec -i=false -t=false {alloc['ID']} sleep 4321 >/dev/null 2>&1 </dev/null & "
         "until pgrep -f '^sleep 4321' >/dev/null; do sleep 0.2; done; kill -9 $!")
    assert a.identity() and a.state("one")["Restarts"] == 0
    a.stop_job("one")
    wait_until(lambda: not a.running() and not m.sh("pgrep -f '^sleep 4321' || true").strip(), what="the end of the command")


def test_signals(nomad):
    a = nomad
    alloc = a.run("one", "trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'exit 0' TERM; echo up; while :; do sleep 0.2; done")
    has_words(a, alloc, "up")
    for name, word in (("SIGHUP", "hup"), ("hup", "hup\nhup"), ("SIGUSR1", "usr1")):
        assert a.signal(alloc, name)[0] == 200
        has_words(a, alloc, word)
    status, text = a.signal(alloc, "SIGBOGUS")
    assert status != 200 and b"SIGBOGUS" in text, text


def test_kill_timeout_and_signal(nomad):
    a = nomad
    alloc = a.run("stubborn", "trap 'echo int' INT; trap '' TERM; echo ready; while :; do sleep 0.2; done",
                  task='kill_timeout = "3s"\n kill_signal = "SIGINT"')
    has_words(a, alloc, "ready")
    a.stop_job("stubborn", purge=False)
    a.wait_for("stubborn", "complete")
    assert a.logs(alloc).endswith("int\n")
    at = {e["Type"]: e["Time"] / 1e9 for e in a.state("stubborn")["Events"]}
    assert 2.9 < at["Killed"] - at["Killing"] < 20, at
    assert any("Signal: 9" in e for e in a.events("stubborn")), a.events("stubborn")


def test_memory_limit(nomad):
    """rctl ends what takes more than the task's memory, and that is told."""
    a = nomad
    a.run("hungry", "awk 'BEGIN { while (1) a[n++] = sprintf(\"%10000s\", n) }'", kind="batch", group=ONCE, memory=64, wait=None)
    a.wait_for("hungry", "failed")
    ended, = [e for e in a.state("hungry")["Events"] if e["Type"] == "Terminated"] or [a.events("hungry")]
    assert ended["Details"]["oom_killed"] == "true" and ended["Details"]["signal"] == "9", ended


def test_statistics(nomad):
    a = nomad
    alloc = a.run("one", "while :; do :; done")

    def measured():
        usage = (a.api(f"/v1/client/allocation/{alloc['ID']}/stats") or {}).get("ResourceUsage")
        return usage and usage["CpuStats"]["Percent"] > 5 and usage["CpuStats"]["TotalTicks"] > 0 and \
            1 << 18 < usage["MemoryStats"]["RSS"] < 64 << 20
    wait_until(measured, what="plausible figures")


def test_restarted_ten_times(nomad):
    """A new pot each time, the same port of the machine, nothing of the old one."""
    a = nomad
    a.run("pages", **SERVE)
    alloc = a.api(f"/v1/allocation/{a.allocs('pages')[-1]['ID']}")
    port = alloc["AllocatedResources"]["Tasks"]["www1"]["Networks"][0]["DynamicPorts"][0]["Value"]
    wait_until(lambda: a.page(port) == "page\n", what="the page")
    seen = set(a.running())
    for number in range(10):
        a.restart(alloc)
        wait_until(lambda: a.state("pages")["Restarts"] == number + 1 and a.state("pages")["State"] == "running",
                   what="the restart")
        wait_until(lambda: a.page(port) == "page\n", what="the page")
        assert len(a.running()) == 1 and a.running()[0] not in seen
        seen.update(a.running())
    wait_until(lambda: len(a.pots()) == 1, what="one pot beside its image")
    wait_until(lambda: len(a.m.sh("ifconfig -g epair").split()) <= 3, what="one pair, and that of the world")


# ---- networks ----

def test_ports_of_a_group(nomad):
    a = nomad
    job = {**SERVE, "network": "public-bridge", "resources": "", "config": 'copy = ["/root/potter-test/world:/bin/world"]'}
    a.run("grouped", group='network {\n port "http" {\n to = 80\n }\n }', **job)
    port = a.api(f"/v1/allocation/{a.allocs('grouped')[-1]['ID']}")["AllocatedResources"]["Shared"]["Ports"][0]["Value"]
    wait_until(lambda: a.page(port) == "page\n", what="the page")


@pytest.mark.parametrize("mode", ["host", "public-bridge", "alias", "private-bridge"])
def test_network_modes(nomad, mode):
    a, config = nomad, ""
    if mode == "alias":
        config = 'address = ["ext0|203.0.113.77"]'
    if mode == "private-bridge":
        a.m.pot("create-private-bridge", "-B", "nomads", "-S", "4")
        config = 'bridge = "nomads"'
    try:
        alloc = a.run("net", "ifconfig -a; " + HOLD, network=mode, config=config)
        has_words(a, alloc, "lo0")
        shown, host = a.logs(alloc), a.m.sh("ifconfig -l").split()
        if mode == "host":
            assert "ext0" in shown and "203.0.113.1" in shown
        elif mode == "alias":
            assert "203.0.113.77" in shown and "inet 203.0.113.1 " not in shown
            assert "1 packets received" in a.m.sh("jexec world ping -c1 -t5 203.0.113.77")
        else:
            assert "epair0b" in shown and "ext0:" not in shown, (shown, host)
        a.stop_job("net")
        wait_until(lambda: not a.running() and not a.pots(), what="the end")
    finally:
        if mode == "private-bridge":
            a.stop_job("net")
            wait_until(lambda: not a.pots(), what="the end")
            a.m.pot("destroy", "-B", "nomads", ok=None)


# ---- what is not right, and what is tried again ----

def test_bad_jobs(nomad):
    a = nomad
    rows = (("nocolon", {"config": 'mount = ["/x"]'}, "mount"), ("unknown", {"config": 'bogus = "x"'}, "bogus"),
            ("mode", {"network": "odd"}, "network_mode"), ("label", {"config": 'port_map {\n none = "80"\n }', "network": None},
                                                           "none"))
    for job, options, _ in rows:
        a.run(job, wait=None, group=ONCE, **options)
    for job, _, word in rows:
        a.wait_for(job, "failed")
        assert any(word in e for e in a.events(job)), a.events(job)
    alloc = a.run("dotted", "echo dotted", name="my.task", kind="batch", wait="complete")
    assert a.logs(alloc, name="my.task") == "dotted\n"


def test_an_image_that_is_not_there(nomad):
    a = nomad
    a.run("later", "echo now", kind="batch", pot="none", wait=None,
          group='restart {\n attempts = 3\n delay = "1s"\n interval = "5m"\n mode = "fail"\n }')
    wait_until(lambda: a.state("later")["Restarts"] >= 1, what="another attempt")
    assert any("none_1.0" in e for e in a.events("later")), a.events("later")


def test_a_directory(nomad):
    """path: a directory of the machine is the pot's root; what the pot writes does not stay in it."""
    a = nomad
    root = f"{DIR}/root"
    a.m.sh(f"mkdir -p {root} && cd /opt/pot/jails/{IMAGE}/m && tar cf - bin lib libexec etc usr/bin | tar xf - -C {root}")
    try:
        alloc = a.run("plain", "sh -c 'echo $NOMAD_TASK_NAME; touch /mine; ls /alloc'", kind="batch", wait="complete",
                      source=f'path = "{root}"')
        assert a.logs(alloc).split() == ["www1", "data", "logs", "tmp"]
        a.m.sh(f"test ! -e {root}/mine")
        a.empty()
    finally:
        a.m.sh(f"chflags -R noschg {root}; rm -rf {root}", ok=None)


def test_mounts_copies_and_environment(nomad):
    a = nomad
    a.m.sh(f"mkdir -p {DIR}/share && echo shared >{DIR}/share/file")
    alloc = a.run("given", "cat /data/file /etc/given; touch /data/file 2>/dev/null || echo refused; echo $X $Y; "
                  "cat /local/text; ls -ld /secrets >/dev/null && grep other /etc/hosts", kind="batch", wait="complete",
                  config=f'mount_read_only = ["{DIR}/share:/data"]\n copy = ["{DIR}/share/file:/etc/given"]\n '
                  f'env_file = "local/env"\n extra_hosts = ["other:192.0.2.9"]',
                  task='env {\n Y = "a $b `c` \\"d\\""\n }\n template {\n data = "written\\n"\n destination = "local/text"\n }\n '
                  'template {\n data = "X=from-a-file\\n"\n destination = "local/env"\n }')
    words = a.logs(alloc)
    assert words.startswith("shared\nshared\nrefused\nfrom-a-file a $b `c` \"d\"\nwritten\n"), words
    assert "192.0.2.9" in words and "other" in words, words


def test_attributes_limits_and_name_servers(nomad):
    """What becomes parameters of the jail, rules and files."""
    a = nomad
    alloc = a.run("asked", "cat /etc/resolv.conf; grep db1 /etc/hosts; ulimit -n; " + HOLD,
                  config='attributes = ["mlock:yes", "procfs:yes", "stop_timeout:7"]\n dns = ["9.9.9.9"]\n '
                  'hosts = ["db1:192.0.2.7"]\n limits {\n files = "123"\n processes = "40"\n cpus = "1"\n }')
    has_words(a, alloc, "123\n")
    words, (pot,) = a.logs(alloc), a.running()
    assert words.startswith("nameserver 9.9.9.9\n") and "192.0.2.7" in words, words
    assert f"/jails/{pot}/m/proc" in a.m.sh("mount -p -t procfs")
    assert a.m.sh(f"jls -j {pot} allow.mlock").strip() in ("1", "true")
    rules = a.m.sh(f"rctl jail:{pot}")
    assert "maxproc:deny=40\n" in rules and "nthr:deny=40\n" in rules, rules
    assert re.search(r"mask: \d+$", a.m.sh(f"cpuset -g -j {pot}").splitlines()[0])


def test_bad_values_of_these(nomad):
    """Each is refused by its name."""
    a = nomad
    for job, config, word in (("key", 'limits {\n odd = "1"\n }', "odd"), ("server", 'dns = ["nowhere"]', "nowhere"),
                              ("attribute", 'attributes = ["bogus:yes"]', "bogus")):
        a.run(job, wait=None, group=ONCE, config=config)
        a.wait_for(job, "failed")
        assert any(word in e for e in a.events(job)), a.events(job)


# ---- stopped at the wrong time ----

def test_stopped_at_its_start(nomad):
    """Jobs that are stopped as soon as they were asked for: before, while and after their pots start."""
    a = nomad
    for number in range(6):
        a.run(f"short{number}", wait=None)
        if number % 2:
            wait_until(lambda: a.allocs(f"short{number}"), every=0.05, what="an allocation")
        if number % 3 == 2:
            wait_until(lambda: a.pots(), every=0.05, what="a pot")
        a.stop_job(f"short{number}")
    wait_until(lambda: not [x for x in a.api("/v1/allocations") if x["ClientStatus"] in ("pending", "running")], timeout=300,
               what="the end of all allocations")


# ---- agents and plugins that come and go ----

def test_client_restarts(nomad):
    a = nomad
    alloc = a.run("one", COUNT)
    before = a.identity()
    a.stop("client")
    wait_until(lambda: not a.plugins(), what="the end of the plugin")
    assert a.identity() == before
    a.start("client").ready()
    a.wait_for("one")
    assert a.identity() == before and a.state("one")["Restarts"] == 0
    last = len(a.logs(alloc))
    wait_until(lambda: len(a.logs(alloc)) > last, what="more of the log")
    # killed: the plugin stays, and the next agent finds it again
    plugin = a.plugins()
    a.stop("client", signal.SIGKILL)
    assert a.plugins() == plugin
    a.start("client").ready()
    a.wait_for("one")
    assert a.plugins() == plugin and a.identity() == before
    wait_until(lambda: a.execute(alloc, "true").returncode == 0, what="a way from the server to the client")
    last = len(a.logs(alloc))
    wait_until(lambda: len(a.logs(alloc)) > last, what="more of the log")
    assert a.state("one")["Restarts"] == 0


def test_plugin_killed(nomad):
    a = nomad
    a.run("five", count=5)
    before, (pid,) = a.identity(), a.plugins()
    assert len(before) == 5
    known = a.log().count("is recovered")
    a.kill_plugin()
    wait_until(lambda: a.plugins() and a.plugins() != [pid], what="another plugin")
    wait_until(lambda: a.log().count("is recovered") >= known + 5, what="the recovery of five tasks")
    a.ready()
    assert a.identity() == before
    assert all(x["TaskStates"]["www1"]["Restarts"] == 0 and x["ClientStatus"] == "running" for x in a.allocs("five"))


def test_runner_killed(nomad):
    """The plugin's own worker: another takes over, the task's end is still noticed."""
    a = nomad
    alloc = a.run("one", "while [ ! -e /local/go ]; do sleep 0.2; done; exit 5", kind="batch", group=ONCE)
    a.m.sh("pkill -9 -x pot-runner")
    wait_until(lambda: a.execute(alloc, "true").returncode == 0, what="exec through another runner")
    a.execute(alloc, "touch", "/local/go")
    a.wait_for("one", "failed")
    assert any("Exit Code: 5" in e for e in a.events("one")), a.events("one")


def test_a_pot_ends_while_the_client_is_down(nomad):
    a = nomad
    a.run("one", "while [ ! -e /local/go ]; do sleep 0.2; done; exit 6", kind="batch", group=ONCE)
    a.stop("client", signal.SIGKILL)
    a.kill_plugin()
    a.m.sh(f"for d in {DIR}/client/alloc/*/www1/local; do touch $d/go; done")
    wait_until(lambda: not a.running(), what="the end of the pot")
    a.start("client").ready()
    a.wait_for("one", "failed")
    assert any("Exit Code: 6" in e for e in a.events("one")), a.events("one")


def test_script_checks_that_hang(nomad, tmp_path):
    """Nomad has the command run in the task; one that does not end in time is killed, and the check says so."""
    a, told, port = nomad, tmp_path / "told", free_port()
    told.write_text("")
    consul = subprocess.Popen([sys.executable, bsd.TOP / "tests/e2e/small_consul.py", told, str(port)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    check = 'check {{\n name = "{0}"\n type = "script"\n command = "/bin/sh"\n args = ["-c", "{1}"]\n' \
        ' interval = "3s"\n timeout = "2s"\n }}\n'

    def results():
        a.nodes()  # makes a lost connection anew, through which the results come
        lines = [line for line in told.read_text().splitlines() if "/check/update/" in line]
        return {word: [line for line in lines if word in line] for word in ("fine", "wrong", "deadline exceeded")}
    try:
        a.backward(8500, port)
        a.stop("client")
        a.configure(denied="env_aws,env_gce,env_azure,vault").start("client").ready()

        def known():
            node = a.api(f"/v1/node/{(a.node() or {}).get('ID')}") or {}
            return "consul.version" in (node.get("Attributes") or {})
        wait_until(known, what="a node that knows Consul")
        a.run("checked", task='service {\n name = "one"\n ' + check.format("good", "echo fine") +
              check.format("bad", "echo wrong; exit 2") + check.format("slow", "sleep 4321") + "}")
        wait_until(lambda: all(results().values()), what="a result of each check")
        slow = len(results()["deadline exceeded"])
        wait_until(lambda: len(results()["deadline exceeded"]) >= slow + 3, what="more results")
        for word, status in (("fine", "passing"), ("wrong", "critical"), ("deadline exceeded", "critical")):
            assert all(status in line for line in results()[word])
        # not more than the one that runs now
        wait_until(lambda: len(a.m.sh("pgrep -f '^sleep 4321' || true").split()) <= 1, what="the end of those before")
        a.stop_job("checked")
        wait_until(lambda: not a.pots(), what="the end of the task")
    finally:
        a.stop("client")
        a.configure().start("client").ready()
        a.back.clear()
        consul.kill()
        consul.wait()


# ---- the plugin's configuration: agents of their own ----

def test_plugin_configuration(nomad):
    """One that is wrong: the agent does not start and names the key. Switched off: the agent runs without the driver."""
    a = nomad
    a.stop("client")
    try:
        a.configure(config='fs_isolation = "odd"')
        a.m.sh(f"rm {DIR}/client.log")
        a.start("client")
        wait_until(lambda: not a.pid("client"), what="the refusal")
        assert "fs_isolation" in a.log() and "panic" not in a.log()
        a.configure(config="enabled = false")
        a.start("client")

        def told():
            node = a.node()
            row = (node or {}).get("Drivers", {}).get("pot")
            return row and not row["Detected"] and row["HealthDescription"] == "disabled"
        wait_until(told, what="the driver switched off")
        a.stop("client")
    finally:
        a.configure()
        if not a.pid("client"):
            a.start("client")
        a.ready()


def test_an_image_that_nobody_uses(nomad):
    """It goes some time after its last task."""
    a = nomad
    a.stop("client")
    a.m.pot("destroy", "-p", IMAGE, "-F")
    try:
        a.configure(config='image_gc = true\n image_gc_delay = "2s"')
        a.start("client").ready()
        a.run("short", "true", kind="batch", wait="complete")
        a.empty()
        wait_until(lambda: a.m.pot("ls", "-q") == "", what="the end of the image")
        a.stop("client")
    finally:
        a.configure()
        if not a.pid("client"):
            a.start("client")
        a.ready()
        a.run("again", "true", kind="batch", wait="complete")
        a.empty()


def test_a_client_that_is_not_root(nomad):
    """Its plugin asks the service pot_runner; while that does not run, the node says so."""
    a, m = nomad, nomad.m
    a.stop("client")
    m.sh(f"sysrc pot_runner_flags='--group nobody --root {DIR}/client'; mkdir -p {DIR}/alloc_mounts; "
         f"chown -R nobody:nobody {DIR}/client {DIR}/alloc_mounts")
    try:
        a.configure('runner_socket = "/var/run/pot/runner.sock"').start("client", user="nobody")

        def told():
            row = (a.node() or {}).get("Drivers", {}).get("pot") or {}
            return not row.get("Detected") and "no pot-runner serves" in row.get("HealthDescription", "")
        wait_until(told, what="a node that says why")
        m.sh("service pot_runner onestart")
        a.ready()
        pid, = a.plugins()
        assert m.sh(f"ps -o user= -p {pid}").strip() == "nobody"
        alloc = a.run("one", "trap 'exit 0' TERM; echo up; id -u; while :; do sleep 0.2; done")
        wait_until(lambda: a.logs(alloc) == "up\n0\n", what="its words")
        assert a.execute(alloc, "echo", "hello").stdout == "hello\n"
        before = a.identity()
        m.sh("service pot_runner onerestart")
        a.stop("client", signal.SIGKILL)
        a.start("client", user="nobody").ready()
        a.wait_for("one")
        assert a.identity() == before and a.state("one")["Restarts"] == 0
        wait_until(lambda: a.execute(alloc, "echo", "hello").stdout == "hello\n", what="exec by the next one")
        a.empty()
    finally:
        if a.pid("client"):
            a.stop("client")
        m.sh(f"service pot_runner onestop; sysrc -x pot_runner_flags; rm -rf {DIR}/alloc_mounts; chown -R root:wheel {DIR}/client")
        a.configure().start("client").ready()


def test_reboot(nomad):
    """The machine goes down hard: the task is started once more, and its old pot is removed."""
    a, m = nomad, nomad.m
    a.run("one", COUNT)
    old, restarts = a.pots(), a.state("one")["Restarts"]
    # not what is looked at: programs and configuration, written a moment ago, and their directories; sync(8) does not wait
    m.sh(f"find {DIR} /etc /var/run/pot /usr/local '(' -type f -o -type d ')' -print0 | xargs -0 fsync /root", timeout=300)
    m.reboot(hard=True)
    m.sh("kldload -n pf if_bridge if_epair nullfs; zpool list zroot >/dev/null; ls /opt/pot/jails >/dev/null")
    scene.outside(m)
    a.forward()
    a.start("server").start("client").ready()
    wait_until(lambda: a.running() and a.state("one")["State"] == "running", what="the task")
    wait_until(lambda: len(a.pots()) == 1 and a.pots() != old, what="one pot, another than before")
    assert a.state("one")["Restarts"] <= restarts + 1
