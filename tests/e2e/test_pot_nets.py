"""Networks of pots: private bridges, alias addresses, exported ports, isolation, names; real packets.

What is reached is a server of the test's own: in a pot, on the machine, or on the other host.
"""
import ipaddress
import json
import re
import subprocess
import sys

import machine as machines
import pytest
from machine import BIN, wait_until

HTTP = "httpd -f -p 80 -h /root"
OUT4, OUT6 = "203.0.113.2", "2001:db8::2"


def web(m, name, *options, port=80):
    """A pot with a web server that says the pot's name."""
    m.make_pot(name, *options, cmd=f"sh -c 'echo {name} > /root/index.html; exec httpd -f -p {port} -h /root'")
    m.start(name)

    def listens():
        pid = inside(m, name)[2]
        lines = [line.split() for f in ("tcp", "tcp6") for line in open(f"/proc/{pid}/net/{f}")]
        return any(len(line) > 3 and line[1].endswith(f":{port:04X}") and line[3] == "0A" for line in lines)
    wait_until(listens, what=f"the server in {name}")
    return name


def inside(m, pot):
    """How to enter the network of a running pot; by its record, since pot itself takes longer."""
    record = (m.dir / "run/runs" / pot / "record").read_text()
    return ["nsenter", "-t", re.search(r"^init (\d+) ", record, re.M).group(1), "-n", "--"]


def get(m, address, port=80, pot=None, outside=False, timeout=3):
    """What a web server says to the machine, to a pot, or to the other host; None when nobody answers."""
    enter = inside(m, pot) if pot else m.neighbour.enter if outside else m.holder.enter
    host = f"[{address}]" if ":" in address else address
    result = subprocess.run([*enter, "timeout", str(timeout), machines.BUSYBOX, "wget", "-q", "-O-",
                             f"http://{host}:{port}/index.html"], capture_output=True, text=True, timeout=60)
    return result.stdout.strip() if result.returncode == 0 else None


def server_outside(m):
    """A web server on the other host that says "out"."""
    root = m.dir / "out"
    root.mkdir()
    (root / "index.html").write_text("out\n")
    m.children.append(subprocess.Popen([*m.neighbour.enter, machines.BUSYBOX, "httpd", "-f", "-p", "80", "-h", str(root)]))
    wait_until(lambda: get(m, "127.0.0.1", outside=True) == "out", what="the server outside")


def info(m, pot):
    return m.pot_json("info", "-p", pot)


# ---- the end ----

def test_who_reads_nothing_keeps_no_network(networked):
    """What a pot has said is still delivered when it has ended, but nobody holds its interfaces by not listening."""
    m = networked
    m.make_pot("deaf", "-N", "public-bridge", cmd="nc -l -p 80 -e cat /dev/zero")
    m.start("deaf")
    client = """import socket, sys
refused = True
while refused:
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    refused = c.connect_ex((sys.argv[1], 80))
print("connected", flush=True)
sys.stdin.read()"""
    address = info(m, "deaf")["ip"]
    reader = m.popen(sys.executable, "-c", client, address, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdout.readline() == b"connected\n"
    m.pot("stop", "deaf")
    wait_until(lambda: m.pairs() == [], timeout=30, what="the end of its pair of interfaces")
    reader.kill()


# ---- private bridges ----

def test_a_private_bridge_comes_and_goes(bare):
    m = bare
    m.init()
    m.make_base()
    m.pot_fails("create-private-bridge", "-B", "br", "-S", "1")
    m.pot_fails("create-private-bridge", "-B", "../x", "-S", "5")
    m.pot_fails("create-private-bridge", "-B", "big", "-S", "9999999", says="free")
    m.pot("create-private-bridge", "-B", "br", "-S", "5")
    m.pot_fails("create-private-bridge", "-B", "br", "-S", "5", says="exists")
    text = (m.dir / "pot/bridges/br").read_text()
    assert text == "net=10.192.0.8/29\ngateway=10.192.0.9\nname=br\n"
    assert m.pot("ls", "-qB") == "br\n"
    assert m.pot("info", "-B", "br", "-q") == ""
    m.pot_fails("info", "-qB", "none")
    assert "10.192.0.8/29" in m.pot("info", "-B", "br")
    m.pot("create-private-bridge", "-B", "another-one-with-a-long-name", "-S", "6")
    assert json.loads(m.pot("info", "-B", "another-one-with-a-long-name", "--json"))["network"] == "10.192.0.16/28"
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "private-bridge", says="-B")
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "private-bridge", "-B", "none", says="none")
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "private-bridge", "-B", "br", "-S", "ipv6", says="IPv4 only")
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "private-bridge", "-B", "br", "-i", "10.192.0.20", says="outside")
    assert m.pot("ls", "-q") == ""
    web(m, "a", "-N", "private-bridge", "-B", "br")
    web(m, "b", "-N", "private-bridge", "-B", "br", "-i", "10.192.0.14")
    assert info(m, "a")["ip"] == "10.192.0.10" and info(m, "a")["bridge"] == "br"
    # the public one is not needed for that, nor made
    assert "pot0" not in m.links() and "pot-br" in m.links()
    assert get(m, "10.192.0.14", pot="a") == "b" and get(m, "10.192.0.10") == "a"
    assert get(m, "10.192.0.10", pot="a") == "a"
    m.pot("create", "-p", "c", "-b", "bb", "-N", "private-bridge", "-B", "br", "-S", "dual")
    assert info(m, "c")["ip"] == "10.192.0.11" and info(m, "c")["ip6"] == ""
    m.pot_fails("destroy", "-B", "br", says="belongs to it")
    m.pot_fails("vnet-stop", says="in use")
    assert m.pot("info", "-E", "-p", "a").splitlines()[2] == "export _POT_BRIDGE=br"
    for name in "abc":
        m.pot("destroy", "-p", name, "-F")
    m.pot("destroy", "-B", "br")
    m.pot_fails("destroy", "-B", "br", says="no private bridge")
    assert m.pot("ls", "-qB") == "another-one-with-a-long-name\n"
    m.pot("vnet-start", "-B", "another-one-with-a-long-name")
    m.pot_fails("vnet-start", "-B", "none")
    assert any(name.startswith("pot-") for name in m.links())
    m.pot("vnet-stop")
    assert m.links() == []


def test_a_private_bridge_fills_up(machine):
    m = machine
    m.pot("create-private-bridge", "-B", "small", "-S", "2")
    made = [m.popen(machines.BIN / "pot", "create", "-p", name, "-b", "bb", "-N", "private-bridge", "-B", "small")
            for name in "abcde"]
    assert [create.wait(60) for create in made] == [0] * 5
    assert sorted(info(m, name)["ip"] for name in "abcde") == [f"10.192.0.{n}" for n in (10, 11, 12, 13, 14)]
    m.pot_fails("create", "-p", "f", "-b", "bb", "-N", "private-bridge", "-B", "small", says="free")
    # its addresses are not the public network's
    m.pot("create", "-p", "g", "-b", "bb", "-N", "public-bridge")
    assert info(m, "g")["ip"] == "10.192.0.3"
    m.pot_fails("create", "-p", "h", "-b", "bb", "-N", "public-bridge", "-i", "10.192.0.11", says="private")
    # the bridge is not inherited by a clone: it is said again
    m.pot("snapshot", "-p", "a")
    m.pot_fails("clone", "-p", "aa", "-P", "a", says="-B")
    m.pot("destroy", "-p", "e")
    m.pot("clone", "-p", "aa", "-P", "a", "-B", "small")
    assert info(m, "aa")["network_type"] == "private-bridge"


def test_bridges_reach_each_other_by_exported_ports_alone(networked):
    m = networked
    for bridge in ("one", "two"):
        m.pot("create-private-bridge", "-B", bridge, "-S", "5")
    m.make_pot("x", "-N", "private-bridge", "-B", "two", cmd=None)
    m.pot("export-ports", "-p", "x", "-e", "80:30080", "-e", "udp:7:30007")
    m.pot("destroy", "-p", "x")
    web(m, "pub", "-N", "public-bridge")
    web(m, "a", "-N", "private-bridge", "-B", "one")
    m.make_pot("b", "-N", "private-bridge", "-B", "two", cmd="sh -c 'echo b > /root/index.html; exec httpd -f -p 80 -h /root'")
    m.pot("export-ports", "-p", "b", "-e", "80:30080")
    m.start("b")
    ip = {name: info(m, name)["ip"] for name in ("pub", "a", "b")}
    wait_until(lambda: get(m, ip["b"]) == "b", what="the server in b")
    for source in ip:
        for to in ip:
            expected = to if source == to else None
            assert get(m, ip[to], pot=source, timeout=0.3) == expected, f"{source} to {to}"
    # by the port of the machine, under any of its addresses: from everybody, itself included
    for source in ip:
        assert get(m, "203.0.113.1", 30080, pot=source) == "b"
        assert get(m, "10.192.0.1", 30080, pot=source) == "b"
    assert get(m, "203.0.113.1", 30080, outside=True) == "b"
    assert get(m, "127.0.0.1", 30080) == "b" and get(m, "203.0.113.1", 30080) == "b"
    # and all of them get out
    server_outside(m)
    for source in ip:
        assert get(m, OUT4, pot=source) == "out"


# ---- alias ----

def test_an_alias_pot_has_addresses_of_the_outside(bare):
    m = bare
    m.init()
    m.make_base()
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "alias", says="-i")
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "alias", "-i", "auto", says="auto")
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "alias", "-i", "no0|203.0.113.9", says="no0")
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "alias", "-i", "203.0.113.9/24")
    m.pot_fails("create", "-p", "a", "-b", "bb", "-N", "alias", "-S", "ipv6", "-i", "203.0.113.9", says="family")
    # the other host, once its own link is up, believes that somebody else has them
    wait_until(lambda: "ff00::/8 dev ext0" in m.outside("ip", "-6", "route", "show", "table", "local"))
    for address in ("203.0.113.9", "2001:db8::9"):
        m.outside("ip", "neigh", "replace", address, "lladdr", "02:de:ad:00:00:01", "dev", "ext0", "nud", "reachable")
    web(m, "a", "-N", "alias", "-S", "dual", "-i", "203.0.113.9", "-i", "ext0|203.0.113.10", "-i", "2001:db8::9")
    conf = (m.dir / "pot/jails/a/conf/pot.conf").read_text()
    assert "\nip=203.0.113.9 ext0|203.0.113.10 2001:db8::9\n" in conf and "\nvnet=false\n" in conf
    wait_until(lambda: "02:de:ad" not in m.outside("ip", "neigh", "show"), what="neighbours that know better")
    for address in ("203.0.113.9", "203.0.113.10", "2001:db8::9"):
        assert get(m, address, outside=True) == "a", address
        assert get(m, address) == "a", f"{address} from the machine"
    # a server outside sees the pot's own address
    program = ("import socket as s; l=s.create_server(('::', 99), family=s.AF_INET6, dualstack_ipv6=True); print('up', flush=True)\n"
               "for i in range(2): c,a=l.accept(); print(a[0], flush=True); c.close()")
    server = subprocess.Popen([*m.neighbour.enter, sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "up\n"
    m.pot("exec", "-p", "a", "sh", "-c", f"echo | nc -w 2 {OUT4} 99; echo | nc -w 2 {OUT6} 99")
    assert server.stdout.readline() == "::ffff:203.0.113.9\n" and server.stdout.readline() == "2001:db8::9\n"
    server.wait()
    server.stdout.close()
    # bridge pots and alias pots reach each other
    web(m, "b", "-N", "public-bridge")
    assert get(m, "203.0.113.9", pot="b") == "a" and get(m, info(m, "b")["ip"], pot="a") == "b"
    env = m.pot("info", "-E", "-p", "a").splitlines()
    assert env[:4] == ["export _POT_NAME=a", "export _POT_IP=203.0.113.9", "export _POT_NIC_0=ext0",
                       "export _POT_IP_0=203.0.113.9"]
    assert r"export _POT_IP_LIST=_POT_IP_0\ _POT_IP_1\ _POT_IP_2" in env
    # one address, one pot at a time
    m.make_pot("c", "-N", "alias", "-i", "203.0.113.9")
    m.pot_fails("start", "-d", "c", says="in use by pot a")
    assert get(m, "203.0.113.9", outside=True) == "a"
    m.pot("stop", "a")
    assert "proxy" not in m.run("ip", "neigh", "show", "proxy") and m.pot("ps", "-q") == "b\n"
    # the address is free at once, although the kernel takes its time with the rest of a pot
    for turn in range(4):
        m.start("c")
        m.pot("stop", "c")
    m.make_pot("d", "-N", "alias", "-i", "203.0.113.1")
    m.pot_fails("start", "-d", "d", says="this machine itself")
    assert m.run("ip", "neigh", "show", "proxy") + m.run("ip", "-6", "neigh", "show", "proxy") == ""


def test_an_alias_goes_with_a_killed_keeper(machine):
    m = machine
    m.make_pot("a", "-N", "alias", "-i", "203.0.113.9")
    m.start("a")
    keeper = info(m, "a")["keeper_pid"]
    subprocess.run(["kill", "-9", str(keeper)], check=True)
    wait_until(lambda: m.running() == [], what="the end of a")
    m.pot("doctor")
    assert m.run("ip", "neigh", "show", "proxy") == ""
    # nor does it stay when even the records are gone; what others have set up does
    m.run("ip", "neigh", "add", "proxy", "203.0.113.200", "dev", "ext0")
    m.start("a")
    keeper = info(m, "a")["keeper_pid"]
    subprocess.run(["kill", "-9", str(keeper)], check=True)
    wait_until(lambda: m.running() == [], what="the end of a")
    (m.dir / "run/runs/a/record").unlink()
    assert "ext0 answers for 203.0.113.9" in m.try_pot("doctor", "-n").stdout
    m.pot("doctor")
    assert m.run("ip", "neigh", "show", "proxy").split()[0] == "203.0.113.200"
    assert "203.0.113.9 " not in m.run("ip", "neigh", "show", "proxy")


def test_an_alias_that_another_pot_has_taken_over_stays(machine):
    """The keeper of the first was killed; whatever clears up after it leaves the address to the second."""
    m = machine
    for name in ("a", "b"):
        m.make_pot(name, "-N", "alias", "-i", "203.0.113.9")
    for word in ("stop", "doctor"):
        m.start("a")
        subprocess.run(["kill", "-9", str(info(m, "a")["keeper_pid"])], check=True)
        wait_until(lambda: m.running() == [], what="the end of a")
        m.start("b")
        m.pot(*(["stop", "a"] if word == "stop" else ["doctor"]))
        assert m.run("ip", "neigh", "show", "proxy").split()[0] == "203.0.113.9", word
        m.pot("stop", "b")
        assert m.run("ip", "neigh", "show", "proxy") == ""


def test_inherit_is_the_machine_s_network_as_far_as_the_stack_goes(machine):
    m = machine
    for stack in ("ipv4", "ipv6", "dual"):
        m.make_pot(stack, "-N", "inherit", "-S", stack, "-i", "ignored", cmd="sh -c 'nc -w 2 203.0.113.1 9 2>/root/ipv4; "
                   "nc -w 2 2001:db8::1 9 2>/root/ipv6; touch /root/done; sleep 1000'")
        assert info(m, stack)["ip"] == ""
        m.start(stack)
        assert "203.0.113.1/24" in m.pot("exec", "-p", stack, "ip", "addr")
        wait_until(lambda: m.try_pot("exec", "-p", stack, "test", "-e", "/root/done").returncode == 0)
        for family, address in (("ipv4", "203.0.113.1"), ("ipv6", "2001:db8::1")):
            expected = "refused" if stack in (family, "dual") else "not supported"
            assert expected in m.try_pot("exec", "-p", stack, "nc", "-w", "2", address, "9").stderr
            assert expected in m.pot("exec", "-p", stack, "cat", f"/root/{family}")
        m.pot("stop", stack)


# ---- addresses ----

def test_addresses_are_chosen_or_given(networked):
    m = networked
    m.make_pot("auto", "-N", "public-bridge", "-S", "dual")
    m.make_pot("fixed", "-N", "public-bridge", "-S", "dual", "-i", "10.200.1.2", "-i", "fdf1:9c2e:7a35::77",
               "-m", "02:AA:bb:00:00:01")
    m.make_pot("six", "-N", "public-bridge", "-S", "ipv6")
    m.pot_fails("create", "-p", "x", "-b", "bb", "-N", "public-bridge", "-m", "02:aa:bb:00:00:01", says="taken by fixed")
    m.pot_fails("create", "-p", "x", "-b", "bb", "-N", "public-bridge", "-m", "03:aa:bb:00:00:01")
    m.pot_fails("create", "-p", "x", "-b", "bb", "-N", "public-bridge", "-i", "10.200.1.2", says="taken by fixed")
    m.pot_fails("create", "-p", "x", "-b", "bb", "-N", "public-bridge", "-i", "10.192.0.2", says="taken by dns")
    m.pot("create", "-p", "dns", "-b", "bb", "-N", "public-bridge", "-i", "10.192.0.2")
    m.start("auto", "fixed", "six")
    shown = m.pot("exec", "-p", "fixed", "ip", "addr", "show", "eth0")
    assert "02:aa:bb:00:00:01" in shown and "10.200.1.2/10" in shown and "fdf1:9c2e:7a35::77/64" in shown
    assert "inet 10." not in m.pot("exec", "-p", "six", "ip", "addr", "show", "eth0")
    six = info(m, "six")["ip6"]
    for ip in ("10.200.1.2", "10.192.0.1"):
        m.pot("exec", "-p", "auto", "ping", "-c1", "-W2", ip)
    for name in ("auto", "six"):
        m.pot("exec", "-p", name, "ping6", "-c1", "-W2", "fdf1:9c2e:7a35::77")
    m.run("ping", "-c1", "-W2", six)
    # who announces itself as a router on the bridge is not believed
    switch = "/proc/sys/net/ipv6/conf/eth0/accept_ra"
    assert m.pot("exec", "-p", "auto", "cat", switch) == "0\n"
    m.pot("exec", "-p", "auto", "ping", "-c1", "-W2", OUT4)
    m.pot("exec", "-p", "auto", "ping6", "-c1", "-W2", OUT6)
    # a configuration that another pot wrote has no IPv6 address yet
    path = m.dir / "pot/jails/six/conf/pot.conf"
    m.pot("stop", "six")
    path.write_text(re.sub("ip6=.*\n", "ip=10.192.0.40\n", path.read_text()))
    m.start("six")
    assert info(m, "six")["ip6"] == six and "inet 10." not in m.pot("exec", "-p", "six", "ip", "addr", "show", "eth0")


def test_potnet_answers(networked):
    m = networked
    potnet = machines.BIN / "potnet"

    def ask(*argv):
        result = m.try_run(potnet, *argv)
        assert "Sanitizer" not in result.stderr
        return result.returncode, result.stdout

    m.pot("create-private-bridge", "-B", "br", "-S", "5")
    m.make_pot("a", "-N", "public-bridge")
    m.make_pot("b", "-N", "private-bridge", "-B", "br")
    assert ask("next") == (0, "10.192.0.4\n")
    assert ask("next", "-b", "br") == (0, "10.192.0.11\n")
    assert ask("next", "-b", "none")[0] == 1
    assert ask("validate", "-H", "10.192.0.3")[0] == 1 and ask("validate", "-H", "10.192.0.4") == (0, "")
    assert ask("validate", "-H", "10.192.0.4", "-b", "br")[0] == 1
    assert ask("validate", "-H", "10.192.0.12", "-b", "br")[0] == 0
    assert ask("ipcheck", "-H", "::1")[0] == 0 and ask("ip4check", "-H", "::1")[0] == 1
    assert ask("ip6check", "-H", "::1")[0] == 0 and ask("ipcheck", "-H", "1.2.3")[0] == 1
    assert ask("config-check") == (0, "")
    assert ask("new-net", "-s", "5") == (0, "net=10.192.0.16/29\ngateway=10.192.0.17\n")
    assert ask("new-net", "-s", "1")[0] == 1
    assert ask("etc-hosts") == (0, "10.192.0.3 a\n") and ask("etc-hosts", "-b", "br") == (0, "10.192.0.10 b\n")
    code, text = ask("show")
    assert code == 0 and "10.192.0.3\ta" in text and "10.192.0.8/29" in text
    assert "10.192.0.10\tb" in ask("show", "-b", "br")[1]
    assert ask("show", "--json")[1].startswith("{")
    assert ask("nothing")[0] == 1 and ask()[0] == 1 and ask("-h")[0] == 0
    m.conf["POT_NETMASK"] = "255.255.0.0"
    assert ask("config-check")[0] == 1
    m.conf["POT_NETMASK"] = "255.192.0.0"


# ---- exported ports ----

ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
if ':' in sys.argv[1]: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
print('up', flush=True)
while True:
    data, peer = s.recvfrom(100)
    s.sendto(sys.argv[3].encode() + b' ' + peer[0].encode(), peer)
"""
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[4]))
if sys.argv[3] != '0': s.bind(('', int(sys.argv[3])))
s.connect((sys.argv[1], int(sys.argv[2])))
try:
    s.send(b'x'); print(s.recv(100).decode())
except OSError as e:
    print('nobody')
"""


def udp_server(m, pot, port, *addresses):
    """A server in the network of a pot that answers "<pot> <who asks>"."""
    for address in addresses or ("0.0.0.0",):
        server = subprocess.Popen([*inside(m, pot), sys.executable, "-c", ECHO, address, str(port), pot],
                                  stdout=subprocess.PIPE, text=True)
        m.children.append(server)
        assert server.stdout.readline() == "up\n"


def udp(m, address, port, pot=None, outside=False, source=0, timeout=2):
    enter = inside(m, pot) if pot else m.neighbour.enter if outside else m.holder.enter
    return subprocess.run([*enter, sys.executable, "-c", ASK, address, str(port), str(source), str(timeout)], text=True,
                          capture_output=True, timeout=20).stdout.split()[0]


def exported(m):
    """{(pot, "tcp", pot port): host port}"""
    return {(p["pot"], p["protocol"], p["pot_port"]): p["host_port"] for p in m.pot_json("ports")["ports"]}


def test_ports_lead_to_pots_from_everywhere(networked):
    m = networked
    m.make_pot("a", "-N", "public-bridge", "-S", "dual", cmd="sh -c 'echo a > /root/index.html; exec httpd -f -p 80 -h /root'")
    m.make_pot("b", "-N", "public-bridge", "-S", "dual")
    m.pot("export-ports", "-p", "a", "-e", "80:18080", "-e", "tcp:80", "-e", "udp:7:1007", "-e", "udp:7")
    m.start("a", "b")
    udp_server(m, "a", 7, "0.0.0.0", "::")
    ports = exported(m)
    dynamic = [p["host_port"] for p in m.pot_json("ports")["ports"] if p["host_port"] not in (18080, 1007)]
    assert set(dynamic) == {1024} and ("a", "tcp", 80) in ports and ("a", "udp", 7) in ports
    wait_until(lambda: get(m, info(m, "a")["ip"]) == "a")
    for port in (18080, 1024):
        for address in ("203.0.113.1", "2001:db8::1", "10.192.0.1", "fdf1:9c2e:7a35::1"):
            if address[0] in "2":
                assert get(m, address, port, outside=True) == "a", f"{address} {port} from outside"
            assert get(m, address, port) == "a", f"{address} {port} from the machine"
            assert get(m, address, port, pot="b") == "a", f"{address} {port} from a neighbour"
            assert get(m, address, port, pot="a") == "a", f"{address} {port} from the pot itself"
        assert get(m, "127.0.0.1", port) == "a"
    for port in (1007, 1024):
        for address in ("203.0.113.1", "2001:db8::1"):
            for where in ({"outside": True}, {}, {"pot": "b"}, {"pot": "a"}):
                assert udp(m, address, port, **where) == "a", f"{address} {port} {where}"
        assert udp(m, "127.0.0.1", port) == "a"
    assert {p["pot"] for p in m.pot_json("ports", "a")["ports"]} == {"a"} and m.pot_json("ports", "-p", "b")["ports"] == []
    # those without rights see the same
    asked = m.run("setpriv", "--reuid", "1234", "--regid", "0", "--clear-groups", BIN / "pot", "ports", "--json")
    assert sorted(map(str, json.loads(asked)["ports"])) == sorted(map(str, m.pot_json("ports")["ports"]))
    assert "tcp port 18080 of the host leads to port 80" in m.pot("info", "-v", "-p", "a")
    m.pot("stop", "a")
    assert exported(m) == {}
    assert get(m, "203.0.113.1", 18080, outside=True, timeout=0.5) is None


def test_no_two_starts_choose_one_port(networked):
    m = networked
    m.conf["POT_PORT_MIN"], m.conf["POT_PORT_MAX"] = "2000", "2020"
    names = [f"p{i}" for i in range(12)]
    listener = m.popen(sys.executable, "-c", "import socket as s; l=s.create_server(('', 2003)); print('up', flush=True); "
                       "import signal; signal.pause()", stdout=subprocess.PIPE, text=True)
    assert listener.stdout.readline() == "up\n"
    m.make_pot("p0", "-N", "public-bridge")
    m.pot("export-ports", "-p", "p0", "-e", "80")
    m.pot("snapshot", "-p", "p0")
    for name in names[1:]:
        m.pot("clone", "-p", name, "-P", "p0")
    starts = [m.popen(machines.BIN / "pot", "start", "-d", name) for name in names]
    assert [start.wait(60) for start in starts] == [0] * len(names)
    chosen = [p["host_port"] for p in m.pot_json("ports")["ports"]]
    assert sorted(chosen) == [2000, 2001, 2002, *range(2004, 2013)]
    # what is fixed must be free, and says who has it
    m.make_pot("x", "-N", "public-bridge")
    m.pot("export-ports", "-p", "x", "-e", "80:2003")
    m.pot_fails("start", "-d", "x", says="in use by a program")
    m.pot("export-ports", "-p", "x", "-e", "80:2000")
    owner = next(p["pot"] for p in m.pot_json("ports")["ports"] if p["host_port"] == 2000)
    m.pot_fails("start", "-d", "x", says=f"taken by pot {owner}")
    m.pot_fails("export-ports", "-p", "x", "-e", "80:2050", "-e", "81:2050", says="2050/tcp is exported twice")
    # the same number of the other protocol is another port
    m.pot("export-ports", "-p", "x", "-e", "udp:53:2000")
    m.start("x")
    m.pot("stop", "x")
    m.conf["POT_PORT_MAX"] = "2012"
    m.pot("export-ports", "-p", "x", "-e", "80")
    m.pot_fails("start", "-d", "x", says="no host port between")
    assert m.pot("ps", "-q").split() == sorted(names)


def test_a_udp_flow_finds_the_pot_that_is_there_now(networked):
    """Conversations that the kernel remembers from before a start, or of a stopped pot, end with it."""
    m = networked
    for name in "ab":
        m.make_pot(name, "-N", "public-bridge")
        m.pot("export-ports", "-p", name, "-e", "udp:7:1007")
    assert udp(m, "203.0.113.1", 1007, outside=True, source=5555, timeout=0.2) == "nobody"
    m.start("a")
    udp_server(m, "a", 7)
    assert udp(m, "203.0.113.1", 1007, outside=True, source=5555) == "a"
    m.end_children()
    m.pot("stop", "a")
    m.start("b")
    udp_server(m, "b", 7)
    assert udp(m, "203.0.113.1", 1007, outside=True, source=5555) == "b"


def test_ports_are_reached_where_the_configuration_says(bare):
    m = bare
    there = str(m.neighbour.process.pid)
    m.run("ip", "link", "add", "ext1", "type", "veth", "peer", "name", "ext1", "netns", there)
    for enter, address in ((m.holder.enter, "198.51.100.1/24"), (m.neighbour.enter, "198.51.100.2/24")):
        subprocess.run([*enter, "ip", "addr", "add", address, "dev", "ext1"], check=True)
        subprocess.run([*enter, "ip", "link", "set", "ext1", "up"], check=True)
    m.run("ip", "addr", "add", "203.0.113.77/24", "dev", "ext0")
    m.conf["POT_EXTIF_ADDR"] = "203.0.113.77"
    m.init(vnet=True)
    m.make_base()
    m.make_pot("a", "-N", "public-bridge", cmd="sh -c 'echo a > /root/index.html; exec httpd -f -p 80 -h /root'")
    m.pot("export-ports", "-p", "a", "-e", "80:8080")
    m.start("a")
    wait_until(lambda: get(m, info(m, "a")["ip"]) == "a")
    server_outside(m)
    log = "import http.server, sys\n" \
          "class H(http.server.BaseHTTPRequestHandler):\n" \
          "  def do_GET(s): b = s.client_address[0].encode(); s.send_response(200); s.send_header('Content-Length', str(len(b))); s.end_headers(); s.wfile.write(b)\n" \
          "  def log_message(*a): pass\n" \
          "h = http.server.HTTPServer(('', 81), H); print('up', flush=True); h.serve_forever()"
    server = subprocess.Popen([*m.neighbour.enter, sys.executable, "-c", log], stdout=subprocess.PIPE, text=True)
    m.children.append(server)
    assert server.stdout.readline() == "up\n"
    assert get(m, "203.0.113.77", 8080, outside=True) == "a"
    assert get(m, "203.0.113.1", 8080, outside=True, timeout=0.5) is None
    assert get(m, "198.51.100.1", 8080, outside=True, timeout=0.5) is None
    assert get(m, OUT4, 81, pot="a") == "203.0.113.77"
    # nothing leaves by an interface that was not named, with an address that nobody there knows
    assert get(m, "198.51.100.2", 81, pot="a", timeout=0.5) is None
    m.conf |= {"POT_EXTRA_EXTIF": "ext1", "POT_NETWORK_ext1": "198.51.100.0/24"}
    m.pot("vnet-start")
    assert get(m, "198.51.100.1", 8080, outside=True) == "a"
    assert get(m, "198.51.100.2", 81, pot="a") == "198.51.100.1"
    del m.conf["POT_NETWORK_ext1"]
    m.conf |= {"POT_EXTRA_EXTIF": "", "POT_VPN_EXTIF": "ext1", "POT_VPN_NETWORKS": "'192.0.2.0/24 198.51.100.0/24'",
               "POT_EXTIF_ADDR": "203.0.113.99"}
    assert "POT_EXTIF_ADDR" in m.pot("vnet-start")
    assert get(m, "198.51.100.2", 81, pot="a") == "198.51.100.1" and get(m, OUT4, 81, pot="a") == "203.0.113.1"
    assert get(m, "198.51.100.1", 8080, outside=True, timeout=0.5) is None
    m.conf["POT_EXTRA_EXTIF"] = "nix0"
    m.pot_fails("vnet-start", says="nix0")
    m.conf["POT_EXTRA_EXTIF"] = ""
    m.run("ip", "link", "del", "ext1")


def test_without_a_named_interface_the_default_route_s_is_meant(bare):
    m = bare
    m.conf["POT_EXTIF"] = ""
    m.init(vnet=True)
    m.make_base()
    m.make_pot("a", "-N", "public-bridge", "-S", "dual", cmd="sh -c 'echo a > /root/index.html; exec httpd -f -p 80 -h /root'")
    m.pot("export-ports", "-p", "a", "-e", "80:8080")
    m.start("a")
    web(m, "b", "-N", "alias", "-i", "203.0.113.9")
    wait_until(lambda: get(m, info(m, "a")["ip"]) == "a")
    server_outside(m)
    assert get(m, "203.0.113.1", 8080, outside=True) == "a" and get(m, "203.0.113.1", 8080, pot="b") == "a"
    assert get(m, "2001:db8::1", 8080, outside=True) == "a"
    assert get(m, OUT4, pot="a") == "out" and get(m, OUT4, pot="b") == "out"
    assert get(m, "203.0.113.9", outside=True) == "b"
    assert "export _POT_NIC_0=ext0" in m.pot("info", "-E", "-p", "b").splitlines()


# ---- isolation, and what belongs to others ----

def test_isolated_pots_reach_the_machine_but_not_each_other(bare):
    m = bare
    m.conf["POT_ISOLATE_VNET_POTS"] = "yes"
    m.init(vnet=True)
    m.make_base()
    web(m, "a", "-N", "public-bridge", "-S", "dual")
    m.make_pot("b", "-N", "public-bridge", "-S", "dual", cmd="sh -c 'echo b > /root/index.html; exec httpd -f -p 80 -h /root'")
    m.pot("export-ports", "-p", "b", "-e", "80:8080")
    m.start("b")
    b = info(m, "b")
    wait_until(lambda: get(m, b["ip"]) == "b")
    server_outside(m)
    assert get(m, b["ip"], pot="a", timeout=0.5) is None and get(m, b["ip6"], pot="a", timeout=0.5) is None
    # nor by way of the machine
    m.run(*inside(m, "a"), "ip", "route", "add", b["ip"], "via", "10.192.0.1")
    m.run(*inside(m, "a"), "ip", "-6", "route", "add", b["ip6"], "via", "fdf1:9c2e:7a35::1")
    assert get(m, b["ip"], pot="a", timeout=0.5) is None and get(m, b["ip6"], pot="a", timeout=0.5) is None
    assert get(m, OUT4, pot="a") == "out"
    # The way round by an exported port is open, but not where the kernel filters bridged packets: there the port leads
    # to the neighbour inside the bridge.
    m.try_run("sh", "-c", "echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables")
    assert get(m, "203.0.113.1", 8080, pot="a") == "b"
    assert get(m, b["ip"], pot="a", timeout=0.5) is None
    assert get(m, info(m, "a")["ip"]) == "a"


def test_isolation_begins_with_the_next_start(networked):
    m = networked
    assert "iifname \"pot0\" oifname \"pot0\"" not in m.run("nft", "list", "table", "inet", "pot")
    m.conf["POT_ISOLATE_VNET_POTS"] = "YES"
    web(m, "a", "-N", "public-bridge")
    web(m, "b", "-N", "public-bridge")
    assert "iifname \"pot0\" oifname \"pot0\"" in m.run("nft", "list", "table", "inet", "pot")
    assert get(m, info(m, "b")["ip"], pot="a", timeout=0.5) is None
    m.conf["POT_ISOLATE_VNET_POTS"] = "no"
    m.pot("vnet-start")
    for name in "ab":
        m.pot("stop", name)
        m.start(name)
    wait_until(lambda: get(m, info(m, "b")["ip"], pot="a") == "b", what="neighbours that reach each other")


def test_rules_of_others_stay_as_they_are(bare):
    m = bare
    m.try_run("nft", "-f", "-", input="""
table inet mine {
  chain forward {
    type filter hook forward priority 0; policy accept
    iifname "ext9" drop
  }
}
table ip nat {
  chain postrouting {
    type nat hook postrouting priority 100
    ip saddr 192.0.2.0/24 masquerade
  }
}
""")
    before = m.run("nft", "list", "ruleset")
    assert "table inet mine" in before
    m.init(vnet=True)
    m.make_base()
    m.pot("create-private-bridge", "-B", "br", "-S", "5")
    m.make_pot("a", "-N", "private-bridge", "-B", "br")
    m.pot("export-ports", "-p", "a", "-e", "80:8080")
    m.start("a")
    assert m.tables() == ["table inet mine", "table ip nat", "table inet pot"]
    # when somebody empties everything, the rules come back, and the ports of the pots that run
    ports = m.run("nft", "list", "map", "inet", "pot", "ports4")
    m.run("nft", "delete", "table", "inet", "pot")
    assert "packet filter table pot" in m.try_pot("doctor", "-n").stdout
    m.pot("doctor")
    assert m.run("nft", "list", "map", "inet", "pot", "ports4") == ports and "8080" in ports
    assert "pot-br" in m.run("nft", "list", "table", "inet", "pot")
    m.pot("doctor", "-n")
    m.pot("stop", "a")
    m.pot("vnet-stop")
    assert m.run("nft", "list", "ruleset") == before
    m.run("nft", "flush", "ruleset")


def test_what_others_rules_forbid_is_told(bare):
    m = bare
    m.init()
    m.run("nft", "-f", "-", input="""
table ip filter {
  chain FORWARD {
    type filter hook forward priority 0; policy drop
  }
}
""")
    assert "'ip filter FORWARD'" in m.pot("vnet-start")
    m.conf["POT_EXPORT_PORTS_PF_RULES_HOOK"] = "/usr/local/bin/rules"
    assert "POT_EXPORT_PORTS_PF_RULES_HOOK" in m.pot("vnet-start")
    m.run("nft", "delete", "table", "ip", "filter")
    assert "FORWARD" not in m.pot("vnet-start")


def test_an_image_brings_no_addresses_of_its_machine(networked):
    m = networked
    m.pot("create-private-bridge", "-B", "br", "-S", "5")
    m.make_pot("a", "-N", "alias", "-i", "203.0.113.9", cmd=None)
    m.make_pot("b", "-N", "private-bridge", "-B", "br", cmd=None)
    for name in "ab":
        m.pot("export", "-p", name, "-t", "1", "-D", m.dir, "-l", "0", "-A")
        m.pot("import", "-p", name, "-t", "1", "-U", f"file://{m.dir}")
    a, b = info(m, "a_1"), info(m, "b_1")
    assert (a["network_type"], a["ip"]) == ("public-bridge", "10.192.0.3")
    assert (b["network_type"], b["bridge"], b["ip"]) == ("private-bridge", "br", "10.192.0.11")
    for name in ("b", "b_1"):
        m.pot("destroy", "-p", name)
    m.pot("destroy", "-B", "br")
    assert "private bridge br" in m.pot("import", "-p", "b", "-t", "1", "-U", f"file://{m.dir}")
    m.pot_fails("start", "-d", "b_1", says="create-private-bridge")


# ---- names ----

def test_names_and_resolvers(networked):
    m = networked
    m.pot("create-private-bridge", "-B", "br", "-S", "5")
    m.make_pot("a", "-N", "public-bridge", "-S", "dual")
    m.make_pot("b", "-N", "public-bridge")
    m.make_pot("c", "-N", "private-bridge", "-B", "br")
    m.make_pot("d", "-N", "private-bridge", "-B", "br")
    m.make_pot("e", "-N", "inherit")
    m.pot("set-hosts", "-p", "a", "-H", "db:192.0.2.7", "-H", "db6:2001:db8::7")
    m.start("a", "c", "e")
    a, c, e = (m.pot("exec", "-p", name, "cat", "/etc/hosts").splitlines() for name in "ace")
    name = info(m, "a")["hostname"]
    assert a[:2] == [f"::1 localhost {name}", f"127.0.0.1 localhost {name}"]
    assert sorted(a[2:5]) == sorted([f"{info(m, 'a')['ip']} a", f"{info(m, 'a')['ip6']} a", f"{info(m, 'b')['ip']} b"])
    assert a[5:] == ["192.0.2.7 db", "2001:db8::7 db6"]
    assert c[2:] == [f"{info(m, 'c')['ip']} c", f"{info(m, 'd')['ip']} d"] and len(e) == 2
    m.pot("stop", "a")
    m.pot("set-attribute", "-p", "a", "-A", "no-etc-hosts", "-V", "YES")
    m.start("a")
    assert m.pot("exec", "-p", "a", "cat", "/etc/hosts").splitlines()[2:] == ["192.0.2.7 db", "2001:db8::7 db6"]
    # resolvers
    custom = m.dir / "resolv"
    custom.write_text("nameserver 192.0.2.53\n")
    m.pot_fails("create", "-p", "x", "-b", "bb", "-d", "custom:/nowhere", says="/nowhere")
    m.pot_fails("create", "-p", "x", "-b", "bb", "-d", "other")
    m.make_pot("r1", "-d", f"custom:{custom}")
    m.make_pot("r2", "-d", "off")
    m.make_pot("dns", "-N", "public-bridge", "-i", "10.192.0.2")
    m.make_pot("r3", "-N", "public-bridge", "-d", "pot")
    m.make_pot("r4", "-d", "inherit")
    m.start("r1", "r2", "r3", "r4")
    assert "dns" in m.running(), "-d pot makes it a dependency"

    def resolver(pot):
        return m.try_pot("exec", "-p", pot, "cat", "/etc/resolv.conf").stdout
    assert resolver("r1") == "nameserver 192.0.2.53\n" and "nameserver" not in resolver("r2")
    name = info(m, "r3")["hostname"].split(".")
    domain = name[1] if len(name) > 1 else name[0]
    first, last = resolver("r3").splitlines()
    assert first.split()[:2] == ["search", domain] and last == "nameserver 10.192.0.2"
    assert resolver("r4") == open("/etc/resolv.conf").read()
    # what pot wrote for a run goes with it
    root = m.dir / "pot/.overlay"
    m.pot("stop", "r1")
    assert [p for p in root.rglob("resolv.conf") if "192.0.2.53" in p.read_text()] == []
    (m.dir / "pot/jails/r1/conf/resolv.conf").unlink()
    m.pot_fails("start", "-d", "r1", says="resolv")
