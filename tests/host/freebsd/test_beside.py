"""The shell version and ours on the same datasets: each starts, stops and destroys what the other made."""
import os
import re

import pytest
import scene
from scene import OUT, TOP, nothing, release

SHELL = os.environ.get("FREEBSD_SHELL_POT", "/shellpot")


@pytest.fixture
def both(clean):
    m = clean
    if not m.sh(f"test -x {SHELL}/bin/pot && echo yes || true").strip():
        pytest.skip(f"the shell version is not in {SHELL} (FREEBSD_SHELL_POT names its prefix)")
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    m.sh(f"sed -i '' 's/^POT_EXTIF=.*/POT_EXTIF=ext0/' {SHELL}/etc/pot/pot.default.conf {SHELL}/etc/pot/pot.conf")
    m.sh("rm -f /tmp/pot_status_*; pot vnet-stop; pfctl -q -F all; pfctl -q -d", ok=None)
    nothing(m)
    scene.base_archive(m, "small.txz")
    yield m
    scene.base_archive(m)


def program(who):
    return "/usr/local/bin/pot" if who == "ours" else f"env PATH={SHELL}/bin:$PATH {SHELL}/bin/pot"


def at(m, who, *words, **kw):
    return m.sh(f"cd {TOP} && {program(who)} " + " ".join(words), timeout=600, **kw)


def address(m, pot):
    return re.search(r"^ip=(\S+)", m.sh(f"cat /opt/pot/jails/{pot}/conf/pot.conf"), re.M).group(1)


def page(m, port):
    """An exported port, as the host outside reaches it."""
    return m.sh(f"jexec world fetch -T 10 -qo- http://203.0.113.1:{port}/", ok=None)


def ended(m):
    """The kernel has taken down the network stacks of the pots that were stopped."""
    m.sh("i=0; while pgrep -qf '[p]ot-ending' && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done")


def use(m, who, pot, net, stopper):
    at(m, who, "start", pot)
    assert pot in m.sh("jls name").split()
    for one in ("ours", "shell"):  # each goes into what the other has started
        assert at(m, one, "exec", "-p", pot, "echo", "inside") == "inside\n"
    assert at(m, "ours", "exec", "-p", pot, "sh", "-c", "'exit 7'", ok=False) == ""
    assert "uid=0" in m.sh(f"printf 'id\\nexit\\n' | {program('ours')} term {pot}")
    m.sh(f"jexec -l {pot} ping -c1 -t5 {OUT[4]}")  # raw sockets, also where the shell version has written NO
    if net == "public-bridge":
        m.run("ping", "-c1", "-t5", address(m, pot))
        m.sh(f"jexec {pot} {'/usr/local/bin/world'} >/dev/null 2>&1 </dev/null &")
        assert page(m, 8077) == "page\n"
    assert pot in at(m, "ours", "ls")
    assert re.search(rf"\b{pot}\b", at(m, "ours", "ps"))
    at(m, stopper, "stop", pot)
    assert pot not in m.sh("jls name").split()
    ended(m)
    assert m.sh("ifconfig -l | tr ' ' '\\n' | grep '^p[0-9a-f]\\{6,\\}'; pfctl -q -a pot-rdr/" + pot + " -sn", ok=None) == ""


@pytest.mark.parametrize("net", ["inherit", "public-bridge"])
@pytest.mark.parametrize("maker, user", [("ours", "shell"), ("shell", "ours")])
def test_one_makes_and_the_other_uses(both, maker, user, net):
    m, rel = both, release(both)
    at(m, maker, "create-base", "-r", rel)
    at(m, maker, "create", "-p", "crossed", "-t", "multi", "-b", rel, "-N", net)
    at(m, maker, "copy-in", "-p", "crossed", "-s", f"{TOP}/world", "-d", "/usr/local/bin")
    if net == "public-bridge":
        at(m, user, "export-ports", "-p", "crossed", "-e", "80:8077")
    for who in (maker, user, maker):
        use(m, who, "crossed", net, who)
    at(m, maker, "snapshot", "-p", "crossed")
    at(m, user, "clone", "-p", "crossed-clone", "-P", "crossed")
    if net == "public-bridge":
        assert address(m, "crossed-clone") != address(m, "crossed")
        at(m, "ours", "export-ports", "-p", "crossed-clone", "-e", "80:8077")
    use(m, maker, "crossed-clone", net, maker)
    # the shell version stops only what it has started itself, as its own note of it says
    use(m, "shell", "crossed", net, "ours")
    use(m, "shell", "crossed-clone", net, "ours")
    at(m, maker, "destroy", "-p", "crossed-clone")
    # destroyed by the shell version, ours leaves an empty directory of its records behind
    at(m, "ours", "destroy", "-rb", rel)


def test_raw_sockets_of_its_pots(both):
    """It writes NO into every pot and grants them. A NO that ours is told counts, but for pots with a network of their own."""
    m, rel = both, release(both)
    ping = f"ping -c1 -t5 {OUT[4]}"
    at(m, "shell", "create-base", "-r", rel)
    for pot, net in (("raw", "inherit"), ("raw-bridge", "public-bridge")):
        at(m, "shell", "create", "-p", pot, "-t", "multi", "-b", rel, "-N", net)
        conf = f"/opt/pot/jails/{pot}/conf/pot.conf"
        assert "pot.attr.raw_sockets=NO\n" in m.sh(f"cat {conf}")
        at(m, "ours", "start", pot)
        assert "1 packets received" in m.sh(f"jexec -l {pot} {ping}")
        at(m, "ours", "stop", pot)
        assert "raw_sockets" in at(m, "ours", "info", "-vp", pot).split("without effect")[1]
        said = at(m, "ours", "set-attr", "-p", pot, "-A", "raw_sockets", "-V", "NO")
        assert ("without effect" in said) == (net == "public-bridge"), said
        assert "pot.raw_sockets=refused\n" in m.sh(f"cat {conf}")
        at(m, "ours", "start", pot)
        assert ("1 packets received" in m.sh(f"jexec -l {pot} {ping}", ok=None)) == (net == "public-bridge")
        at(m, "ours", "stop", pot)
        ended(m)
        at(m, "shell", "start", pot)  # it grants them as ever
        assert "1 packets received" in m.sh(f"jexec -l {pot} {ping}")
        at(m, "ours", "stop", pot)
        ended(m)
        at(m, "ours", "set-attr", "-p", pot, "-A", "raw_sockets", "-V", "YES")
        assert "pot.raw_sockets" not in m.sh(f"cat {conf}")
    at(m, "ours", "destroy", "-rb", rel)


def test_its_bridge_and_its_addresses_are_taken_over(both):
    """A bridge, rules and an alias of the shell version's, with ours afterwards; and a pot of each at one time."""
    m, rel = both, release(both)
    at(m, "shell", "create-base", "-r", rel)
    at(m, "shell", "vnet-start")
    bridge = m.sh("ifconfig -g pot").split()
    assert len(bridge) == 1
    for pot, who in (("one", "shell"), ("two", "ours")):
        at(m, who, "create", "-p", pot, "-t", "multi", "-b", rel, "-N", "public-bridge")
        at(m, who, "start", pot)
    assert address(m, "one") != address(m, "two")
    assert m.sh("ifconfig -g bridge").split() == bridge
    assert len(re.findall("member: p", m.sh(f"ifconfig {bridge[0]}"))) == 2
    m.sh(f"jexec one ping -c1 -t5 {address(m, 'two')}")
    m.sh(f"jexec two ping -c1 -t5 {address(m, 'one')}")
    for pot in ("one", "two"):
        at(m, "ours", "stop", pot)
    at(m, "shell", "create", "-p", "alias", "-t", "multi", "-b", rel, "-N", "alias", "-i", "'ext0|203.0.113.77'")
    at(m, "shell", "start", "alias")
    assert "203.0.113.77" in m.sh("ifconfig ext0")
    m.sh("jexec world ping -c1 -t5 203.0.113.77")
    at(m, "ours", "stop", "alias")
    assert "203.0.113.77" not in m.sh("ifconfig ext0")
    at(m, "ours", "start", "alias")
    m.sh("jexec world ping -c1 -t5 203.0.113.77")
    at(m, "ours", "stop", "alias")
    assert "203.0.113.77" not in m.sh("ifconfig ext0")
    at(m, "ours", "destroy", "-rb", rel)
    assert "nothing is left" in at(m, "ours", "doctor")


def test_images_of_one_are_imported_by_the_other(both):
    m, rel = both, release(both)
    for who, other in (("shell", "ours"), ("ours", "shell")):
        at(m, who, "create", "-p", "carried", "-t", "single", "-b", rel)
        at(m, who, "copy-in", "-p", "carried", "-s", "/etc/protocols", "-d", "/root/carried")
        at(m, who, "snapshot", "-p", "carried")
        at(m, who, "export", "-p", "carried", "-t", "1", "-l", "0")
        assert sorted(m.sh(f"cd {TOP}; ls carried_1.*").split()) == ["carried_1.xz", "carried_1.xz.meta", "carried_1.xz.skein"]
        at(m, who, "destroy", "-p", "carried")
        at(m, other, "import", "-p", "carried", "-t", "1", "-U", f"file://{TOP}" if other == "ours" else "file://.")
        assert at(m, "ours", "ls", "-q") == "carried_1\n"
        m.sh("cmp /etc/protocols /opt/pot/jails/carried_1/m/root/carried")
        use(m, other, "carried_1", "inherit", other)
        use(m, who, "carried_1", "inherit", who)
        at(m, other, "destroy", "-p", "carried_1")
        # the shell version destroys a pot without our records of it
        at(m, "ours", "doctor")
        m.sh(f"rm -f {TOP}/carried_1.* /var/cache/pot/carried_1*")
