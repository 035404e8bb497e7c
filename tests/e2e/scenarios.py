"""The long ways through pot's verbs that pot 0.16 itself was tested with, for each type, network, stack and backend.

The base comes from a tarball of the test's own, and what pots reach outside is a server of the test's own on the other host:
ICMP, UDP (names are asked for) and TCP (a page is fetched), over IPv4 and IPv6. test_pot_scenarios_*.py say on which backend.
"""
import subprocess
import sys
import tarfile

import pytest
from machine import wait_until
from test_pot_types import fscomp_conf

OUT = {4: "203.0.113.2", 6: "2001:db8::2"}
FAMILIES = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}
ALIAS = {4: "ext0|203.0.113.{}", 6: "ext0|2001:db8::{}"}
NETS = ["inherit", "public-bridge", "private-bridge", "alias"]
STACKS = ["ipv4", "ipv6", "dual"]

SERVER = r"""
import http.server, socket, struct, threading

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page\n")
    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

names = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
names.bind(("::", 53))
pages = Server(("::", 80), Page)
threading.Thread(target=pages.serve_forever, daemon=True).start()
print("ready", flush=True)
while True:
    asked, whom = names.recvfrom(1500)
    end = asked.index(b"\0", 12) + 5
    kind = struct.unpack(">H", asked[end - 4:end - 2])[0]
    data = socket.inet_pton(socket.AF_INET, "192.0.2.7") if kind == 1 else socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
    names.sendto(asked[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + asked[12:end] + record, whom)
"""


@pytest.fixture
def m(bare, backend):
    """A machine with a tarball for bases, a flavour or two, and a server on the other host."""
    bare.on(backend)
    root = bare.busybox_root()
    (root / "etc" / "rc").write_text("#!/bin/sh\necho rc\n")
    (root / "usr" / "share" / "doc").mkdir(parents=True)
    (root / "usr" / "share" / "doc" / "big").write_text("x" * 100000)
    with tarfile.open(bare.dir / "base.tar", "w") as tar:
        tar.add(root, ".")
    (bare.dir / "protocols").write_text("ip 0 IP\n")
    (bare.dir / "slim.sh").write_text("rm -rf /usr/share/doc\n")
    (bare.dir / "pkg.sh").write_text("printf '#!/bin/sh\\necho pkg 1.0\\n' > /root/pkg\nchmod +x /root/pkg\n")
    (bare.dir / "broken.sh").write_text("return false\n")
    for stack, families in FAMILIES.items():
        (bare.dir / f"resolv.conf-{stack}").write_text("".join(f"nameserver {OUT[f]}\n" for f in families))
    server = subprocess.Popen([*bare.neighbour.enter, sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    bare.children.append(server)
    assert server.stdout.readline() == "ready\n"
    bare.init()
    return bare


def at(m, *argv, fails=False):
    """A pot command in the directory of the test's files."""
    result = m.try_run("sh", "-c", 'cd "$0" && exec pot "$@"', m.dir, *argv)
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, result.stderr
    assert (result.returncode == 1 if fails else result.returncode == 0), (argv, result)
    return result.stdout


def nothing(m):
    for flag in ("-q", "-qb", "-qf", "-qB"):
        assert at(m, "ls", flag) == "", flag


def inside(m, pot, *argv, what=None):
    """Runs a command in the pot until it succeeds; a fresh IPv6 address takes a moment."""
    def tried():
        result = m.try_pot("exec", "-p", pot, *argv)
        return result.stdout if result.returncode == 0 else None
    return wait_until(tried, timeout=8, what=f"{argv} in {pot}")


def check_running(m, pot, net, stack, fresh=True):
    """Step 7: started, seen once, reached from the host, reaching the world; stopped."""
    assert "rc\n" in at(m, "start", pot)
    if fresh:
        assert inside(m, pot, "cat", "/root/protocols") == "ip 0 IP\n"
    assert sum(pot in line for line in at(m, "show").splitlines()) == 1
    families = (4,) if net == "private-bridge" else FAMILIES[stack]
    if net.endswith("bridge") and 4 in families:
        ip = next(line.split()[2] for line in at(m, "info", "-p", pot).splitlines() if "ip " in line)
        m.run("ping", "-c1", "-W2", ip)
    for family in families:
        host = OUT[family] if family == 4 else f"[{OUT[family]}]"
        inside(m, pot, "ping" if family == 4 else "ping6", "-c1", "-W2", OUT[family])
        assert "192.0.2.7" in inside(m, pot, "nslookup", "name.example", OUT[family])
        assert inside(m, pot, "wget", "-qO-", f"http://{host}/") == "page\n"
    at(m, "stop", pot)


def address(net, stack, n):
    if net != "alias":
        return []
    return [word for family in FAMILIES[stack] for word in ("-i", ALIAS[family].format(n))]


def bridge_of(net):
    return ["-B", "testprivate"] if net == "private-bridge" else []


def begin(m, kind, net, stack):
    m.conf["POT_NETWORK_STACK"] = stack
    nothing(m)
    at(m, "create-base", "-v", "-b", "12.3", "-t", "base.tar")
    if net == "private-bridge":
        at(m, "create-private-bridge", "-v", "-B", "testprivate", "-S", "5")
    return f"{kind}-12_3-{net}-{stack}-test"


def end(m, kind, net, recursive=False):
    if kind == "multi" and recursive:
        at(m, "destroy", "-b", "12.3", fails=True)
        at(m, "destroy", "-rb", "12.3")
    else:
        at(m, "destroy", "-b", "12.3")
    if net == "private-bridge":
        at(m, "destroy", "-B", "testprivate")
    nothing(m)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_the_main_way(m, kind, net, stack):
    pot = begin(m, kind, net, stack)
    create = ["create", "-v", "-p", pot, "-t", kind, "-b", "12.3", "-N", net, *address(net, stack, 7), *bridge_of(net),
              "-d", f"custom:resolv.conf-{'ipv4' if net == 'private-bridge' else stack}"]
    if net == "private-bridge" and stack == "ipv6":
        at(m, *create, fails=True)
        return end(m, kind, net)
    at(m, *create, *(["-f", "slim"] if kind == "single" else []))
    at(m, "copy-in", "-p", pot, "-s", "protocols", "-d", "/root")
    at(m, "snap", "-p", pot)
    lines = at(m, "info", "-v", "-p", pot).split("snapshot", 1)[1].splitlines()
    assert sum(pot in line for line in lines) == (2 if kind == "single" else 3)
    if kind == "single":
        at(m, "export", "-p", pot, "-t", "0", "-l", "0")
        at(m, "import", "-p", pot, "-t", "0", "-U", "file://.")
        at(m, "destroy", "-p", f"{pot}_0")
    else:
        at(m, "export", "-p", pot, "-t", "0", "-l", "0", fails=True)
    at(m, "create-fscomp", "-f", "fscomp")
    at(m, "mount-in", "-p", pot, "-f", "fscomp", "-m", "/media")
    check_running(m, pot, net, stack)
    at(m, "rename", "-p", pot, "-n", f"{pot}_new")
    assert at(m, "ls", "-q") == f"{pot}_new\n"
    check_running(m, f"{pot}_new", net, stack, fresh=False)
    assert fscomp_conf(m, f"{pot}_new")[-1] == "zroot/pot/fscomp/fscomp /media"
    if kind == "single":
        at(m, "destroy", "-p", f"{pot}_new")
    end_fscomp = ["destroy", "-f", "fscomp"]
    at(m, *end_fscomp)
    end(m, kind, net, recursive=True)


@pytest.mark.parametrize("net, stack", [(net, stack) for net in NETS for stack in STACKS
                                        if (net, stack) != ("private-bridge", "ipv6")])
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_clone_and_a_corrupted_pot(m, kind, net, stack):
    pot = begin(m, kind, net, stack)
    dns = ["-d", f"custom:resolv.conf-{stack}"]
    at(m, "create", "-p", pot, "-t", kind, "-b", "12.3", "-N", net, *address(net, stack, 7), *bridge_of(net), *dns)
    at(m, "copy-in", "-p", pot, "-s", "protocols", "-d", "/root")
    at(m, "clone", "-p", f"{pot}-clone", "-P", pot, "-f", "pkg", "-F", *address(net, stack, 8), *bridge_of(net))
    check_running(m, f"{pot}-clone", net, stack)
    at(m, "start", f"{pot}-clone")
    assert inside(m, f"{pot}-clone", "/root/pkg") == "pkg 1.0\n"
    at(m, "stop", f"{pot}-clone")
    at(m, "destroy", "-p", f"{pot}-clone")
    m.run("rm", "-r", f"{m.conf['POT_FS_ROOT']}/jails/{pot}/conf")
    at(m, "destroy", "-p", pot, fails=True)
    at(m, "destroy", "-p", pot, "-F")
    end(m, kind, net)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_create_that_fails(m, kind):
    pot = begin(m, kind, "inherit", "ipv4")
    at(m, "create", "-p", "-v", "-p", pot, "-t", kind, "-b", "12.3", "-f", "broken", fails=True)
    assert at(m, "ls", "-q") == ""
    end(m, kind, "inherit")
