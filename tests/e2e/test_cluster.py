"""A cluster of one: jobs, services, the ingress, and what happens when parts of it die."""
import json
import os
import pathlib
import signal

import pytest

from machine import BIN, Failure, wait_until
from node import Node


@pytest.fixture
def node():
    n = Node()
    n.init(vnet=True)
    n.start_agent()
    yield n
    left = n.close()
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def web(node):
    """A node whose registry holds the image web 1.0."""
    node.publish()
    return node


def test_a_job_of_minipots_shape_is_served_through_the_ingress(web):
    out = web.nomad("run", web.job_file(update=Node.QUICK))
    assert "Job Warnings:" in out and "network resources have been deprecated" in out
    assert 'Evaluation triggered by job "nginx-minipot"' in out
    assert 'finished with status "complete"' in out
    assert "Deployment completed successfully" in out
    web.wait_page("hello")
    status = web.nomad("status", "nginx-minipot")
    assert "Latest Deployment" in status and "running" in status
    alloc = web.allocs()[0]["ID"]
    assert "Task \"www1\" is \"running\"" in web.nomad("alloc", "status", alloc[:8])
    [pot] = web.running()
    ps = web.pot("ps")
    assert pot in ps and "10.192." in ps and "/m" in ps
    assert "eth0" in web.pot("exec", "-p", pot, "ip", "addr")
    assert pot in web.pot("net")
    assert web.nomad("alloc", "exec", alloc, "echo", "inside").strip() == "inside"
    assert web.fetch("nobody.minipot")[0] == 404


def test_the_service_is_in_the_directory_and_in_dns(web):
    web.nomad("run", web.job_file(update=Node.QUICK))
    web.wait_page()
    services = json.loads(web.run("curl", "-sS", "http://127.0.0.1:8500/v1/catalog/services"))
    assert sorted(services["hello-web"]) == ["nginx", "web"]
    [row] = json.loads(web.run("curl", "-sS", "http://127.0.0.1:8500/v1/health/service/hello-web?passing"))
    assert [c["Status"] for c in row["Checks"] if c["ServiceName"] == "hello-web"] == ["passing"]
    srv = web.run("dig", "+short", "@127.0.0.1", "-p", "8600", "hello-web.service.consul", "SRV").split()
    assert int(srv[2]) == row["Service"]["Port"]
    web.nomad("stop", "-detach", "nginx-minipot")
    wait_until(lambda: not json.loads(web.run("curl", "-sS", "http://127.0.0.1:8500/v1/health/service/hello-web")),
               what="the service leaving the directory")


def test_logs_and_exit_codes_of_a_batch_job(node):
    path = node.dir / "batch.nomad"
    path.write_text("""
        job "count" {
          datacenters = ["minipot"]
          type = "batch"
          group "g" {
            task "t" {
              driver = "raw_exec"
              config {
                command = "/bin/sh"
                args    = ["-c", "echo out; echo err >&2; echo $NOMAD_TASK_NAME"]
              }
              resources { memory = 16 }
            }
          }
        }""")
    node.nomad("run", path)
    [alloc] = wait_until(lambda: node.allocs("count", "complete"), what="the end of the job")
    assert node.nomad("logs", alloc["ID"]) == "out\nt\n"
    assert node.nomad("logs", "-stderr", alloc["ID"]) == "err\n"
    wait_until(lambda: node.api("/v1/job/count")["Status"] == "dead", what="the job being dead")


def test_up_down_and_gone_leaves_nothing(web):
    web.nomad("run", "-detach", web.job_file(count=30, update=Node.QUICK))
    web.wait_running(30, timeout=120)
    web.nomad("run", "-detach", web.job_file(count=3, update=Node.QUICK))
    web.wait_running(3, timeout=60)
    wait_until(lambda: len(web.running()) == 3, timeout=60, what="three pots")
    web.nomad("stop", "-detach", "nginx-minipot")
    wait_until(lambda: not web.running(), timeout=60, what="no pot")
    wait_until(lambda: [l for l in web.links() if l != "pot0"] == [], what="no links")
    wait_until(lambda: not [c for c in web.cgroup_dirs() if "www1" in c], what="no control groups")
    wait_until(lambda: not web.run_files(), what="no records")


def test_a_killed_agent_is_replaced_and_no_request_fails(web):
    # a server that forks for every request, and a kernel that is slow to free what was forked, need room
    web.nomad("run", web.job_file(update=Node.QUICK, memory=128))
    web.wait_page()
    [pot] = web.running()
    before = web.pot_json("ps")[0] if isinstance(web.pot_json("ps"), list) else web.pot_json("ps")
    load = web.load(6)
    agent, proxy = web.kill("agent"), web.pid_of("haproxy")
    wait_until(lambda: web.pid_of("agent") not in (None, agent), timeout=20, what="another agent")
    requests, failed = web.load_result(load)
    assert requests > 100 and failed == 0, web.log_text()[-6000:]
    assert web.running() == [pot]
    after = web.pot_json("ps")[0] if isinstance(web.pot_json("ps"), list) else web.pot_json("ps")
    assert before == after, "the pot is the same run"
    assert web.pid_of("haproxy") == proxy, "the ingress was adopted"
    wait_until(lambda: web.try_nomad("status").returncode == 0, what="the API")
    wait_until(lambda: len(web.allocs()) == 1, what="the allocation still running")
    assert web.allocs()[0]["TaskStates"]["www1"]["Restarts"] == 0


@pytest.mark.parametrize("victim", ["runner", "haproxy"])
def test_a_killed_helper_is_put_right(web, victim):
    web.nomad("run", web.job_file(update=Node.QUICK))
    web.wait_page()
    pid = web.kill(victim)
    wait_until(lambda: web.pid_of(victim) not in (None, pid), timeout=20, what=f"another {victim}")
    web.wait_page()
    web.nomad("run", web.job_file(count=2, update=Node.QUICK))
    web.wait_running(2)


def test_a_killed_keeper_or_program_is_started_again(web):
    quick = 'restart { delay = "0s" }'
    web.nomad("run", web.job_file(update=Node.QUICK, extra=quick))
    web.wait_page()
    [keeper] = [p for p, words in web.processes().items() if words.startswith("pot-keeper")]
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: keeper not in web.processes(), what="its end")
    web.wait_page(timeout=30)
    [pot] = web.running()
    web.pot("signal", "-p", pot, "-s", "SIGKILL")
    wait_until(lambda: web.running() not in ([pot], []) or web.allocs(status=None)[0]["TaskStates"]["www1"]["Restarts"] >= 2,
               timeout=20, what="the restart")
    web.wait_page(timeout=30)
    web.wait_running(1)
    wait_until(lambda: len([l for l in web.links() if l != "pot0"]) == 1, what="one link")


def test_after_a_power_cut_the_job_comes_back(web):
    web.nomad("run", web.job_file(update=Node.QUICK))
    web.wait_page()
    web.power_cut()
    web.pot("vnet-start")
    web.start_agent()
    web.wait_page(timeout=30)
    web.wait_running(1)


def test_a_rolling_update_loses_no_request(web):
    web.publish(tag="2.0", page="again")
    update = 'update { max_parallel = 1\n min_healthy_time = "1s" }'
    web.nomad("run", web.job_file(count=2, update=update, memory=128))
    web.wait_page("hello")
    load = web.load(12)
    out = web.nomad("run", web.job_file(count=2, tag="2.0", update=update, memory=128))
    assert "Deployment completed successfully" in out
    requests, failed = web.load_result(load)
    assert requests > 100 and failed == 0
    web.wait_page("again")


def test_plan_says_what_would_change(web):
    first = web.job_file(update=Node.QUICK)
    result = web.try_nomad("plan", first)
    assert result.returncode == 1 and '+ Job: "nginx-minipot"' in result.stdout
    web.nomad("run", first)
    assert web.try_nomad("plan", first).returncode == 0
    more = web.try_nomad("plan", web.job_file(count=2, update=Node.QUICK))
    assert more.returncode == 1 and '"1" => "2"' in more.stdout
    stop = web.nomad("alloc", "stop", "-detach", web.allocs()[0]["ID"])
    assert len(stop.strip()) == 36


# ---- wrong input ----

@pytest.mark.parametrize("change, says", [
    (("service {", "servce {"), "servce"),
    (("count = 1", 'count = "many"'), "count"),
    (('datacenters = ["minipot"]', ""), "datacenters"),
    (('driver = "pot"', ""), "driver"),
])
def test_a_wrong_job_file_is_refused_by_name(node, change, says):
    path = node.dir / "wrong.nomad"
    path.write_text(node.job_text().replace(*change))
    result = node.try_nomad("run", path)
    assert result.returncode == 1
    assert says in result.stderr, result.stderr
    assert node.api("/v1/jobs") == []


@pytest.mark.parametrize("extra, says", [
    ('constraint { attribute = "${attr.kernel.name}"\n value = "plan9" }', 'Constraint "${attr.kernel.name} = plan9"'),
    ('constraint { attribute = "${meta.rack}"\n operator = "is_set" }', "Constraint"),
])
def test_a_job_that_fits_nowhere_says_why_it_is_pending(web, extra, says):
    result = web.try_nomad("run", web.job_file(extra=extra))
    assert result.returncode == 2
    assert says in result.stdout
    assert "Placement Failure" in web.nomad("status", "nginx-minipot")


def test_more_memory_than_the_node_has_says_so(web):
    path = web.dir / "big.nomad"
    path.write_text(web.job_text().replace("memory = 16", "memory = 99999999"))
    result = web.try_nomad("run", path)
    assert result.returncode == 2
    assert 'Dimension "memory" exhausted on 1 nodes' in result.stdout


@pytest.mark.parametrize("job, says", [
    ({"image": "absent"}, "absent_1.0"),
    ({"registry": "http://127.0.0.1:9/images"}, "127.0.0.1"),
    ({"config": 'command = "/no/such/program"'}, "/no/such/program"),
])
def test_a_task_that_cannot_start_says_why(web, job, says):
    web.nomad("run", "-detach", web.job_file(extra='restart { attempts = 0\n mode = "fail" }\n reschedule { attempts = 0\n unlimited = false }', **job))
    wait_until(lambda: web.allocs(status="failed"), timeout=30, what="the failure")
    events = web.nomad("alloc", "status", web.allocs(status="failed")[0]["ID"])
    assert says in events
    wait_until(lambda: not web.running(), what="no pot")


def test_a_corrupt_state_file_is_told_and_kept(node):
    node.stop_agent()
    state = node.data / "state.db"
    for extra in node.data.glob("state.db-*"):
        extra.unlink()
    state.write_bytes(b"not a database" * 1000)
    node.start_agent(wait=False)
    wait_until(lambda: "state.db" in node.log_text().split("not a")[-1] and "ERROR" in node.log_text(), what="the complaint")
    assert state.read_bytes().startswith(b"not a database"), "it was left as it was found"
    state.unlink()


def test_a_new_version_waits_for_the_fixed_port_of_the_old(web):
    path = web.dir / "fixed.nomad"
    text = web.job_text(update='update { min_healthy_time = "0s"\n max_parallel = 1 }').replace('port "http" {}', 'port "http" { static = 18080 }')
    path.write_text(text)
    web.nomad("run", path)
    web.wait_page()
    # a pot that takes its time to end
    path.write_text(text.replace("memory = 16", "memory = 17"))
    out = web.nomad("run", path)
    assert "Deployment completed successfully" in out
    [alloc] = web.allocs()
    assert alloc["TaskStates"]["www1"]["Restarts"] == 0
    events = [e["Type"] for e in alloc["TaskStates"]["www1"]["Events"]]
    assert "Driver Failure" not in events and "Waiting" in events, events


@pytest.mark.parametrize("manager", [False, True])
def test_a_stop_while_the_agent_is_down_stops_the_pots_too(web, manager):
    """manager: that of the system, whose own signal follows minipot's at once."""
    web.nomad("run", web.job_file(update=Node.QUICK))
    web.wait_page()
    for _ in range(4):  # from the second time on, the next one waits
        agent = wait_until(lambda: web.pid_of("agent"), timeout=20, what="an agent")
        os.kill(agent, signal.SIGKILL)
        wait_until(lambda: web.pid_of("agent") != agent, what="its end")
    if manager:
        monitor = web.pid_of("monitor")
        os.kill(monitor, signal.SIGINT)
        os.kill(monitor, signal.SIGTERM)
        wait_until(lambda: web.pid_of("monitor") is None, timeout=60, what="the end of the agent")
    else:
        web.stop_agent()
    assert web.running() == []
    assert web.pid_of("haproxy") is None


def test_an_agent_for_development_keeps_nothing():
    node = Node()
    node.init(vnet=True)
    node.start_agent(argv=["-dev"])
    [data] = [words.split("-data-dir ")[1].split()[0] for words in node.processes().values()
              if "-data-dir " in words and "--monitor" in words]
    node.data = pathlib.Path(data)
    node.publish()
    path = node.dir / "dev.nomad"
    path.write_text(node.job_text(update=Node.QUICK).replace('"minipot"', '"dc1"'))
    node.nomad("run", path)
    node.wait_page()
    os.kill(node.pid_of("monitor"), signal.SIGTERM)
    wait_until(lambda: not node.pid_of("monitor"), timeout=30, what="the end of the agent")
    assert node.running() == [] and not node.data.exists()
    assert node.close() == []
