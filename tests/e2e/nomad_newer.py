"""nomad_real.py goes on: what jobs may ask for, some of it since a version that each test names. By hand:

    NOMAD=/path/to/nomad POTTER_BUILD=$PWD/build python3 -m pytest -q tests/e2e/nomad_newer.py
"""
import textwrap

import pytest

from machine import wait_until
from nomad_real import Agents, HOLD, NOMAD, publish

pytestmark = pytest.mark.skipif(not NOMAD, reason="set NOMAD to the path of a nomad binary")


@pytest.fixture
def agents(networked):
    """Makes agents; those that a test has made are closed after it."""
    publish(networked)
    made = []

    def make(*wanted, **options):
        one = Agents(networked, **options)
        if one.version() < wanted:
            pytest.skip(f"since Nomad {'.'.join(map(str, wanted))}")
        made.append(one)
        return one.start("server").start("client").ready()
    yield make
    for one in made:
        one.close()
    networked.pot("vnet-stop")


def test_volumes_of_the_host(agents, networked):
    volume = networked.dir / "volume"
    volume.mkdir()
    (volume / "there").write_text("there\n")
    one = agents(client=f'host_volume "vol" {{\n path = "{volume}"\n }}')
    mount = 'volume_mount {{\n volume = "v"\n destination = "{0}"\n read_only = {1}\n }}\n'
    alloc = one.run("volumes", "cat /vol/there; echo new >/vol/new; touch /ro/x 2>/dev/null || echo read-only", kind="batch",
                    group='volume "v" {\n type = "host"\n source = "vol"\n }',
                    task=mount.format("/vol", "false") + mount.format("/ro", "true"), wait="complete")
    assert one.logs(alloc) == "there\nread-only\n" and (volume / "new").read_text() == "new\n"


def test_cores(agents):
    one = agents()
    node = one.api(f"/v1/node/{one.node()['ID']}")["NodeResources"]
    if not node["Cpu"].get("ReservableCpuCores"):
        pytest.skip("this Nomad reserves no cores here")
    alloc = one.run("cores", "grep Cpus_allowed_list /proc/self/status", kind="batch", cpu="cores = 1", wait="complete")
    given = one.api(f"/v1/allocation/{alloc['ID']}")["AllocatedResources"]["Tasks"]["www1"]["Cpu"]["ReservedCores"]
    assert one.logs(alloc).split()[1] == ",".join(map(str, given))


def test_out_of_memory(agents):
    """The share of memory is a limit, and the event says why the task has ended."""
    one = agents()
    one.run("greedy", "x=; while :; do x=$x$x$(head -c 100000 /dev/zero | tr '\\0' x); done", kind="batch", wait=None,
            group='restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }')
    one.wait_for("greedy", "failed")
    ended = next(e for e in one.state("greedy")["Events"] if e["Type"] == "Terminated")
    assert ended["Details"]["oom_killed"] == "true" and ended["Details"]["exit_code"] == "137", ended


def test_paths_of_an_image(agents):
    """With fs_isolation "image" the variables name the places in the pot, and templates and artifacts go there."""
    one = agents(config='fs_isolation = "image"')
    alloc = one.run("inside", "echo $NOMAD_ALLOC_DIR $NOMAD_TASK_DIR $NOMAD_SECRETS_DIR; cat $NOMAD_TASK_DIR/page",
                    kind="batch", task='template {\n data = "page"\n destination = "${NOMAD_TASK_DIR}/page"\n }', wait="complete")
    assert one.logs(alloc) == "/alloc /local /secrets\npage"


def test_tasks_before_and_after(agents):
    """Life cycle hooks: tasks of one group, one after the other; since 1.3.6 all of them can be started again."""
    one = agents()
    other = textwrap.dedent("""\
        task "{0}" {{
          driver = "pot"
          lifecycle {{
            hook = "{0}"
          }}
          config {{
            image = "http://127.0.0.1:8000/"
            pot = "web"
            tag = "1.0"
            network_mode = "host"
            command = "echo {0} >>/alloc/data/order"
          }}
          resources {{
            cpu = 50
            memory = 32
          }}
        }}
        """)
    alloc = one.run("ordered", "echo main >>/alloc/data/order; " + HOLD, group=other.format("prestart") + other.format("poststop"))
    order = one.dir / f"client/alloc/{alloc['ID']}/alloc/data/order"
    wait_until(lambda: order.exists() and order.read_text().split() == ["prestart", "main"], what="both")
    rounds = 1
    if one.version() >= (1, 3, 6):
        one.cli("alloc", "restart", "-all-tasks", alloc["ID"])
        wait_until(lambda: order.read_text().split()[:5].count("main") == 2, timeout=30, every=0.2, what="all once more")
        rounds = 2
    one.cli("job", "stop", "-detach", "ordered")  # not purged, which takes the directory away
    wait_until(lambda: order.read_text().split().count("poststop") >= 1, timeout=30, every=0.2, what="what comes after")
    assert order.read_text().split().count("prestart") == rounds, order.read_text()


def test_services_of_nomad(agents):
    """Since 1.4: services that Nomad itself registers and checks."""
    one = agents(1, 4)
    check = 'check {{\n name = "{0}"\n type = "{0}"\n {1} interval = "1s"\n timeout = "1s"\n }}\n'
    alloc = one.run("served", "httpd -f -p 8080 -h /local", network="public-bridge",
                    group='network {\n port "http" {\n to = 8080\n }\n }',
                    task='template {\n data = "page"\n destination = "local/index.html"\n }\n'
                    'service {\n name = "pages"\n port = "http"\n provider = "nomad"\n' + check.format("tcp", "") +
                    check.format("http", 'path = "/index.html"\n') + "}")
    port = one.api(f"/v1/allocation/{alloc['ID']}")["AllocatedResources"]["Shared"]["Ports"][0]["Value"]
    entry, = wait_until(lambda: one.api("/v1/service/pages"), every=0.3, what="the service")
    assert (entry["Address"], entry["Port"]) == ("203.0.113.1", port)

    def checked():
        found = one.api(f"/v1/client/allocation/{alloc['ID']}/checks")
        return found and sorted(row["Status"] for row in found.values()) == ["success", "success"]
    wait_until(checked, timeout=20, every=0.5, what="its checks")


def test_a_script_upon_change(agents):
    """Since 1.4: variables that templates read, and a command in the task when they change; one that hangs is killed."""
    one = agents(1, 4)
    one.cli("var", "put", "nomad/jobs/scripted", "value=first")
    template = textwrap.dedent("""\
        template {{
          data = "{{{{ with nomadVar \\"nomad/jobs/scripted\\" }}}}{{{{ .value }}}}{{{{ end }}}}"
          destination = "local/{0}"
          change_mode = "script"
          change_script {{
            command = "/bin/sh"
            args = ["-c", "{1}"]
            timeout = "1s"
            fail_on_error = false
          }}
        }}
        """)
    alloc = one.run("scripted", task=template.format("conf", "cat /local/conf >>/alloc/data/seen") +
                    template.format("other", "sleep 4321"))
    seen = one.dir / f"client/alloc/{alloc['ID']}/alloc/data/seen"
    one.cli("var", "put", "-force", "nomad/jobs/scripted", "value=second")
    wait_until(lambda: seen.exists() and seen.read_text() == "second", timeout=30, every=0.3, what="the script")
    wait_until(lambda: any("failed to run" in e for e in one.events("scripted")), timeout=30, every=0.3, what="its timeout")
    wait_until(lambda: not [w for w in one.machine.processes().values() if w.startswith("sleep 4321")], what="its end")
    assert one.state("scripted")["State"] == "running"


def test_identity(agents):
    """Since 1.5: the task's identity and the socket of the agent's interface for it."""
    one = agents(1, 5)
    # a short name: the path of a socket has at most 107 bytes
    alloc = one.run("someone", name="w", task="identity {\n env = true\n file = true\n }")
    shown = one.exec(alloc, "sh", "-c", 'test "$NOMAD_TOKEN" = "$(cat /secrets/nomad_token)" && test -S /secrets/api.sock && '
                     'echo "${#NOMAD_TOKEN}"', task="w")
    assert int(shown) > 100


def test_no_logs(agents):
    """Since 1.5.5: output that nobody collects."""
    one = agents(1, 5, 5)
    alloc = one.run("quiet", "echo out; echo err >&2; x=$(readlink /proc/$$/fd/1); echo $x >/local/out", task="logs {\n disabled = true\n }",
                    kind="batch", wait="complete")
    told = one.dir / f"client/alloc/{alloc['ID']}/www1/local/out"
    assert "/dev/null" in told.read_text(), told.read_text()


def test_actions(agents):
    """Since 1.7: commands that a job names beforehand."""
    one = agents(1, 7)
    one.run("acting", task='action "hello" {\n command = "/bin/sh"\n args = ["-c", "echo hello; exit 3"]\n }')
    result = one.cli("action", "-job=acting", "-group=group1", "-task=www1", "-t=false", "-i=false", "hello", check=False)
    assert result.stdout == "hello\n" and result.returncode == 3, result
