"""create and clone with every flag, for both types on each backend; and many at once."""
import concurrent.futures

import pytest
from test_pot_types import bare, fscomp_conf, multi, sh  # noqa: F401


def conf_of(m, pot):
    return m.run("cat", f"{m.conf['POT_FS_ROOT']}/jails/{pot}/conf/pot.conf").splitlines()


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_clones_with_every_flag(bare, kind):
    m = bare
    m.init(vnet=True)
    m.make_base()
    (m.dir / "resolv").write_text("nameserver 192.0.2.1\n")
    (m.dir / "other").write_text("nameserver 192.0.2.2\n")
    (m.dir / "shared").mkdir()
    m.pot("create", "-p", "src", "-t", kind, "-b", "bb", "-N", "public-bridge", "-i", "10.192.0.50", "-S", "dual",
          "-d", f"custom:{m.dir}/resolv")
    for argv in (("set-cmd", "-c", "sleep 1000"), ("set-env", "-E", "A=1"), ("set-hosts", "-H", "db:192.0.2.9"),
                 ("export-ports", "-e", "80"), ("set-rss", "-M", "64M"), ("set-attr", "-A", "prunable", "-V", "YES"),
                 ("mount-in", "-rd", m.dir / "shared", "-m", "/mnt")):
        m.pot(argv[0], "-p", "src", *argv[1:])
    m.start("src")  # sets to-be-pruned
    sh(m, "src", "echo first > /etc/state")
    m.pot("stop", "src")
    m.pot("snap", "-p", "src")
    m.start("src")
    sh(m, "src", "echo second > /etc/state")
    m.pot("stop", "src")
    m.pot("snap", "-p", "src")
    first, second = m.pot("info", "-sp", "src").split()
    m.pot_fails("clone", "-p", "x", "-P", "src", "-s", first, "-F", says="-s")
    m.pot_fails("clone", "-p", "x", "-P", "src", "-s", "1", says="1")
    m.pot_fails("clone", "-p", "x", "-P", "none", says="none")
    m.pot_fails("clone", "-p", "src", "-P", "src")
    m.pot_fails("clone", "-p", "x", "-P", "src", "-S", "ipv5", says="ipv5")
    m.pot_fails("clone", "-p", "x", "-P", "src", "-d", "custom:/none", says="/none")
    m.pot_fails("clone", "-p", "x", "-P", "src", "-N", "alias", says="-i")
    m.pot_fails("clone", "-p", "x", "-P", "src", "-N", "private-bridge")
    m.pot_fails("clone", "-p", "x", "-P", "src", "-i", "10.192.0.50", says="10.192.0.50")
    assert m.pot("ls", "-q") == "src\n"

    m.pot("clone", "-p", "one", "-P", "src", "-s", first)
    m.pot("clone", "-p", "two", "-P", "src", "-F", "-d", f"custom:{m.dir}/other", "-i", "10.192.0.60")
    m.pot("clone", "-p", "three", "-P", "src", "-N", "inherit", "-S", "ipv4", "-d", "off")
    lines = conf_of(m, "one")
    for line in ('pot.env="A=1"', "pot.hosts=192.0.2.9 db", "pot.export.ports=80", "pot.rss.memory=64M",
                 "pot.attr.prunable=YES", "network_type=public-bridge", "pot.stack=dual", "pot.dns=custom", "vnet=true"):
        assert line in lines, line
    assert not any("to-be-pruned" in line for line in lines) and "ip=10.192.0.50" not in lines
    assert any(line.startswith('host.hostname="one.') for line in lines)
    assert fscomp_conf(m, "one")[-1] == f"{m.dir}/shared /mnt ro"
    assert "ip=10.192.0.60" in conf_of(m, "two") and "pot.dns=custom" in conf_of(m, "two")
    assert {"network_type=inherit", "pot.stack=ipv4", "pot.dns=off", "vnet=false"} <= set(conf_of(m, "three"))
    assert not any(line.startswith("ip=") for line in conf_of(m, "three"))
    m.start("one", "two", "three")
    assert sh(m, "one", "cat /etc/state /etc/resolv.conf") == "first\nnameserver 192.0.2.1\n"
    assert sh(m, "two", "cat /etc/state /etc/resolv.conf") == "second\nnameserver 192.0.2.2\n"
    assert sh(m, "three", "cat /etc/state") == "second\n"
    for pot in ("one", "two", "three"):
        m.pot("stop", pot)
    m.pot("destroy", "-p", "src")  # clones live without it
    m.start("one")
    assert sh(m, "one", "cat /etc/state") == "first\n"


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_create_with_every_flag(bare, kind):
    m = bare
    m.conf["POT_DNS_NAME"] = "names"
    m.init(vnet=True)
    m.make_base()
    m.pot("create-private-bridge", "-B", "br", "-S", "5")

    def create(name, *argv):
        m.pot("create", "-p", name, "-t", kind, "-b", "bb", *argv)
        return conf_of(m, name)

    m.pot("create", "-p", "names", "-t", kind, "-b", "bb")
    assert {"pot.dns=inherit", "network_type=inherit", "vnet=false", "pot.base=bb", f"pot.type={kind}",
            f"pot.level={int(kind == 'multi')}", "pot.cmd=sh /etc/rc"} <= set(conf_of(m, "names"))
    lines = create("a", "-N", "public-bridge", "-i", "auto", "-d", "pot")
    m.conf["POT_DNS_NAME"] = "absent"
    m.pot_fails("create", "-p", "x", "-t", kind, "-b", "bb", "-d", "pot", says="'absent' (POT_DNS_NAME)")
    m.pot_fails("clone", "-p", "x", "-P", "a", "-F", "-d", "pot", says="'absent' (POT_DNS_NAME)")
    m.conf["POT_DNS_NAME"] = "names"
    assert {"pot.dns=pot", "pot.depend=names", "vnet=true", "network_type=public-bridge"} <= set(lines)
    lines = create("b", "-N", "private-bridge", "-B", "br", "-d", "off", "-S", "ipv4")
    assert {"pot.dns=off", "bridge=br", "network_type=private-bridge", "pot.stack=ipv4"} <= set(lines)
    lines = create("c", "-N", "alias", "-i", "ext0|203.0.113.9", "-i", "ext0|2001:db8::9", "-S", "dual")
    assert {"network_type=alias", "vnet=false"} <= set(lines)
    for argv in (("-N", "host"), ("-N", "alias"), ("-N", "alias", "-i", "auto"), ("-N", "private-bridge"), ("-d", "custom:/none"),
                 ("-N", "private-bridge", "-B", "none"), ("-N", "private-bridge", "-B", "br", "-S", "ipv6"), ("-S", "ipv5"),
                 ("-N", "public-bridge", "-i", "nonsense"), ("-f", "none"), ("-d", "maybe"), ("-t", "many"), ("-x",),
                 ("-N", "public-bridge", "-i", "10.192.0.1")):
        m.pot_fails("create", "-p", "x", "-t", kind, "-b", "bb", *argv)
    for name in ("-x", "a b", "a/b", "..", "1", "a.b", ""):
        m.pot_fails("create", "-t", kind, "-b", "bb", "-p", name)
    assert m.pot("ls", "-q") == "a\nb\nc\nnames\n"
    m.start("a")
    assert m.running() == ["a", "names"]


def test_many_at_once(machine):
    """Pots of one base, of one pot, renamed, cloned and destroyed at the same time."""
    m = machine
    multi(m, "src")
    m.pot("snap", "-p", "src")

    def life(i):
        name = f"p{i}"
        if i % 3 == 0:
            m.pot("create", "-p", name, "-t", "multi", "-b", "bb")
        elif i % 3 == 1:
            m.pot("clone", "-p", name, "-P", "src")
        else:
            m.pot("create", "-p", name, "-t", "multi", "-l", "2", "-P", "src")
        m.pot("set-cmd", "-p", name, "-c", "sleep 1000")
        m.pot("rename", "-p", name, "-n", f"{name}_new")
        m.start(f"{name}_new")
        assert sh(m, f"{name}_new", f"echo {i} > /etc/mine; cat /etc/mine") == f"{i}\n"
        m.pot("stop", f"{name}_new")
        if i % 2:
            m.pot("destroy", "-p", f"{name}_new")

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(life, range(18)))
    assert m.pot("ls", "-q").split() == sorted([f"p{i}_new" for i in range(0, 18, 2)] + ["src"])
    m.pot("destroy", "-rb", "bb")
    assert m.pot("ls", "-q") == ""
    assert m.pot_json("doctor") == []
