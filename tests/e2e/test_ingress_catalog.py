"""Services beside jobs: registered by hand, routed by their tags, found by name, kept through a crash."""
import json
import os
import signal

import pytest

from machine import wait_until
from node import Node

CATALOG = "http://127.0.0.1:8500"


@pytest.fixture
def node():
    n = Node()
    n.init(vnet=True)
    n.start_agent()
    yield n
    left = n.close()
    assert not left, "left behind:\n" + "\n".join(left)


def put(node, path, body=None):
    argv = ["curl", "-sS", "--fail-with-body", "-X", "PUT", CATALOG + path]
    return node.run(*argv, "--data-binary", "@-", input=json.dumps(body) if isinstance(body, dict) else body or "")


def get(node, path):
    return json.loads(node.run("curl", "-sS", CATALOG + path))


def serve(node, port, text):
    """A plain web server of Python's own, whose every page says `text`."""
    code = ("import http.server,sys\n"
            "class H(http.server.BaseHTTPRequestHandler):\n"
            "  protocol_version='HTTP/1.1'\n"
            "  def do_GET(s):\n"
            "    b=(sys.argv[2]+' '+s.path).encode()\n"
            "    s.send_response(200); s.send_header('Content-Length',str(len(b))); s.end_headers(); s.wfile.write(b)\n"
            "  def log_message(s,*a): pass\n"
            "http.server.ThreadingHTTPServer(('127.0.0.1',int(sys.argv[1])),H).serve_forever()\n")
    process = node.popen("python3", "-c", code, str(port), text)
    wait_until(lambda: node.listening(port), what=f"port {port}")
    return process


def service(name, port, *tags, interval="1s"):
    return {"Name": name, "Address": "127.0.0.1", "Port": port, "Tags": list(tags),
            "Check": {"TCP": f"127.0.0.1:{port}", "Interval": interval}}


def test_a_service_registered_by_hand_is_checked_routed_and_found(node):
    server = serve(node, 7001, "by hand")
    put(node, "/v1/agent/service/register", service("manual", 7001, "blue"))
    wait_until(lambda: node.fetch("manual.minipot") == (200, "by hand /"), what="the route")
    assert "127.0.0.1" in node.run("dig", "+short", "@127.0.0.1", "-p", "8600", "blue.manual.service.consul")
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: node.fetch("manual.minipot") == (503, "no available server"), what="the check's notice")
    [check] = get(node, "/v1/health/state/critical")
    assert "connection refused" in check["Output"]
    put(node, "/v1/agent/service/deregister/manual")
    wait_until(lambda: node.fetch("manual.minipot") == (404, "404 page not found"), what="the route's end")


def test_tags_make_rules_and_middlewares(node):
    one, two = serve(node, 7001, "one"), serve(node, 7002, "two")
    put(node, "/v1/agent/service/register", service("one", 7001))
    put(node, "/v1/agent/service/register", service(
        "two", 7002, "traefik.http.routers.two.rule=Host(`one.minipot`) && PathPrefix(`/api`)",
        "traefik.http.routers.two.middlewares=strip,mark",
        "traefik.http.middlewares.strip.stripprefix.prefixes=/api",
        "traefik.http.middlewares.mark.headers.customresponseheaders.X-Mark=100% 'sure'"))
    wait_until(lambda: node.fetch("one.minipot", "/api/v1") == (200, "two /v1"), what="the longer rule")
    assert node.fetch("one.minipot", "/other") == (200, "one /other")
    head = node.run("curl", "-sSI", "-H", "Host: one.minipot", "-X", "GET", "http://127.0.0.1:8080/api/")
    assert "X-Mark: 100% 'sure'" in head or "x-mark: 100% 'sure'" in head
    put(node, "/v1/agent/service/register", service("bad", 7001, "traefik.http.routers.bad.rule=Hots(`x`)"))
    routers = wait_until(lambda: (lambda r: r if len(r) == 3 else None)(json.loads(
        node.run("curl", "-sS", "http://127.0.0.1:9002/api/http/routers"))), what="three routers")
    assert {r["name"]: r["status"] for r in routers} == {
        "bad@consulcatalog": "disabled", "one@consulcatalog": "enabled", "two@consulcatalog": "enabled"}
    assert "did you mean Host" in next(r for r in routers if r["status"] == "disabled")["error"][0]
    for process in (one, two):
        process.kill()


def test_registrations_and_keys_survive_a_crash(node):
    server = serve(node, 7001, "kept")
    put(node, "/v1/agent/service/register", service("kept", 7001))
    assert put(node, "/v1/kv/app/colour?flags=7", "blue") == "true"
    wait_until(lambda: node.fetch("kept.minipot")[0] == 200, what="the route")
    agent, proxy = node.kill("agent"), node.pid_of("haproxy")
    wait_until(lambda: node.pid_of("agent") not in (None, agent), timeout=20, what="another agent")
    wait_until(lambda: node.try_run("curl", "-sSf", CATALOG + "/v1/status/leader").returncode == 0, what="the catalog")
    assert node.run("curl", "-sS", CATALOG + "/v1/kv/app/colour?raw") == "blue"
    assert get(node, "/v1/kv/app/colour")[0]["Flags"] == 7
    assert node.fetch("kept.minipot") == (200, "kept /")
    assert node.pid_of("haproxy") == proxy
    server.kill()
    wait_until(lambda: node.fetch("kept.minipot")[0] == 503, what="the new agent's check")


def test_dns_answers_on_the_bridge_and_only_there_for_others(node):
    bridge = node.run("ip", "-4", "-o", "addr", "show", "dev", node.conf["POT_BRIDGE"]).split()[3].split("/")[0]
    assert node.run("dig", "+short", f"@{bridge}", "consul.service.consul").strip()
    assert node.run("dig", "+short", "+tcp", f"@{bridge}", "consul.service.consul").strip()
    refused = node.run("dig", "+noall", "+comments", "@127.0.0.1", "-p", "8600", "example.org")
    assert "REFUSED" in refused
    tried = node.run("dig", "+noall", "+comments", "+tries=1", "+time=15", f"@{bridge}", "example.org", timeout=30)
    assert " ra" in tried and "REFUSED" not in tried


def test_an_interrupt_ends_the_proxy_and_a_termination_leaves_it(node):
    wait_until(lambda: node.fetch("nobody.minipot")[0] == 404, what="the ingress")
    proxy = node.pid_of("haproxy")
    node.monitor.send_signal(signal.SIGTERM)
    node.monitor.wait(timeout=20)
    assert node.pid_of("haproxy") == proxy
    node.start_agent()
    wait_until(lambda: node.fetch("nobody.minipot")[0] == 404, what="the ingress")
    assert node.pid_of("haproxy") == proxy, "it was adopted"
    node.stop_agent()
    assert node.pid_of("haproxy") is None


def kill_if_there(node, role):
    """A starting daemon has two processes in turn: what was seen may have gone."""
    pid = node.pid_of(role)
    try:
        os.kill(pid or 0x7fffffff, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def test_an_agent_killed_while_the_proxy_starts_leaves_one_proxy(node):
    for _ in range(3):
        agent = wait_until(lambda: node.pid_of("agent"), timeout=20, what="an agent")
        wait_until(lambda: node.pid_of("haproxy"), timeout=20, what="a proxy")
        # the proxy's end starts another at once; the agent goes at that moment
        wait_until(lambda: kill_if_there(node, "haproxy"), timeout=20, what="a proxy to kill")
        os.kill(agent, signal.SIGKILL)
        wait_until(lambda: node.pid_of("agent") not in (None, agent), timeout=20, what="another agent")
    wait_until(lambda: node.try_nomad("status").returncode == 0, timeout=20, what="the API")
    wait_until(lambda: node.fetch("nobody.minipot")[0] == 404, timeout=20, what="the ingress")
    proxies = [words for words in node.processes().values() if "haproxy" in words.split(" ")[0]]
    assert len(proxies) == 1, proxies
