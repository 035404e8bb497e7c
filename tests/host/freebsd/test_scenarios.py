"""The long ways through pot's verbs that pot 0.16 itself is tested with, on FreeBSD's own base, for types, networks and stacks.

FREEBSD_SCENES=all runs the whole matrix; otherwise each type, network and stack comes at least once.
"""
import os

import pytest
from scene import CACHE, TOP, check_running, inside, nothing, release

ALL = os.environ.get("FREEBSD_SCENES") == "all"
NETS = ["inherit", "public-bridge", "private-bridge", "alias"]
STACKS = ["ipv4", "ipv6", "dual"]
SHORT = {("single", "inherit", "ipv4"), ("single", "public-bridge", "dual"), ("single", "alias", "ipv4"),
         ("multi", "inherit", "ipv4"), ("multi", "public-bridge", "ipv4"), ("multi", "private-bridge", "ipv4"),
         ("multi", "public-bridge", "ipv6"), ("multi", "alias", "dual"), ("multi", "private-bridge", "ipv6")}
MATRIX = [(k, n, s) for k in ("single", "multi") for n in NETS for s in STACKS if ALL or (k, n, s) in SHORT]
ALIAS = {4: "ext0|203.0.113.{}", 6: "ext0|2001:db8:113::{}"}
FAMILIES = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}


def at(m, *argv, fails=False):
    """pot in the directory of the scenes' files."""
    words = " ".join(f"'{w}'" for w in argv)
    return m.sh(f"cd {TOP} && pot {words}", ok=not fails, timeout=1200)


def pots(m):
    """Without those of level 0, which create-base makes."""
    return [name for name in at(m, "ls", "-q").split() if not name.startswith("base-")]


def address(net, stack, n):
    return [w for f in FAMILIES[stack] for w in ("-i", ALIAS[f].format(n))] if net == "alias" else []


def bridge_of(net):
    return ["-B", "testprivate"] if net == "private-bridge" else []


def begin(m, kind, net, stack):
    m.write("/usr/local/etc/pot/pot.conf", f"POT_EXTIF=ext0\nPOT_NETWORK_STACK={stack}\n")
    nothing(m)
    rel = release(m)
    for name, text in (("slim.sh", "#!/bin/sh\nrm -rf /usr/share/misc\n"), ("broken.sh", "#!/bin/sh\nfalse\n"),
                       ("pkg.sh", "#!/bin/sh\nprintf '#!/bin/sh\\necho pkg 1.0\\n' >/root/pkg; chmod +x /root/pkg\n")):
        m.write(f"{TOP}/{name}", text, "755")
    for s in STACKS:
        m.write(f"{TOP}/resolv.conf-{s}", "nameserver 203.0.113.2\n")
    if kind == "multi":
        at(m, "create-base", "-v", "-r", rel)
    if net == "private-bridge":
        at(m, "create-private-bridge", "-v", "-B", "testprivate", "-S", "5")
    return rel, f"{kind}-{rel.replace('.', '_')}-{net}-{stack}-test"


def end(m, kind, net, rel, recursive=False):
    if kind == "multi":
        if recursive:
            at(m, "destroy", "-b", rel, fails=True)
        at(m, "destroy", "-rb" if recursive else "-b", rel)
    if net == "private-bridge":
        at(m, "destroy", "-B", "testprivate")
    nothing(m)


@pytest.mark.parametrize("kind, net, stack", MATRIX)
def test_the_main_way(clean, kind, net, stack):
    m = clean
    rel, pot = begin(m, kind, net, stack)
    dns = f"custom:resolv.conf-{'ipv4' if net == 'private-bridge' else stack}"
    create = ["create", "-v", "-p", pot, "-t", kind, "-b", rel, "-N", net, *address(net, stack, 7), *bridge_of(net), "-d", dns]
    if (net, stack) == ("private-bridge", "ipv6"):
        at(m, *create, fails=True)
        return end(m, kind, net, rel)
    at(m, *create, *(["-f", "slim"] if kind == "single" else []))
    at(m, "copy-in", "-p", pot, "-s", "/etc/protocols", "-d", "/root")
    at(m, "snap", "-p", pot)
    shown = at(m, "info", "-v", "-p", pot).split("snapshot", 1)[1].splitlines()
    assert sum(pot in line for line in shown) == (2 if kind == "single" else 3), shown
    if kind == "single":
        at(m, "export", "-p", pot, "-t", "0", "-l", "0")
        at(m, "import", "-p", pot, "-t", "0", "-U", "file://.")
        at(m, "destroy", "-p", f"{pot}_0")
        m.sh(f"rm -f {TOP}/{pot}_0.xz*")
    else:
        at(m, "export", "-p", pot, "-t", "0", "-l", "0", fails=True)
    at(m, "create-fscomp", "-f", "fscomp")
    at(m, "mount-in", "-p", pot, "-f", "fscomp", "-m", "/media")
    check_running(m, pot, net, stack)
    at(m, "rename", "-p", pot, "-n", f"{pot}_new")
    assert pots(m) == [f"{pot}_new"]
    check_running(m, f"{pot}_new", net, stack, fresh=False)
    if kind == "single":
        at(m, "destroy", "-p", f"{pot}_new")
    at(m, "destroy", "-f", "fscomp") if kind == "single" else None
    if kind == "multi":
        at(m, "destroy", "-b", rel, fails=True)
        at(m, "destroy", "-rb", rel)
        at(m, "destroy", "-f", "fscomp")
    if net == "private-bridge":
        at(m, "destroy", "-B", "testprivate")
    nothing(m)


@pytest.mark.parametrize("kind, net, stack", [r for r in MATRIX if r[1:] != ("private-bridge", "ipv6")])
def test_a_clone_and_a_corrupted_pot(clean, kind, net, stack):
    m = clean
    rel, pot = begin(m, kind, net, stack)
    at(m, "create", "-p", pot, "-t", kind, "-b", rel, "-N", net, *address(net, stack, 7), *bridge_of(net),
       "-d", f"custom:resolv.conf-{stack}")
    at(m, "copy-in", "-p", pot, "-s", "/etc/protocols", "-d", "/root")
    at(m, "clone", "-p", f"{pot}-clone", "-P", pot, "-f", "pkg", "-F", *address(net, stack, 8), *bridge_of(net))
    check_running(m, f"{pot}-clone", net, stack)
    at(m, "start", f"{pot}-clone")
    assert inside(m, f"{pot}-clone", "/root/pkg") == "pkg 1.0\n"
    at(m, "stop", f"{pot}-clone")
    at(m, "destroy", "-p", f"{pot}-clone")
    m.sh(f"rm -r /opt/pot/jails/{pot}/conf")
    at(m, "destroy", "-p", pot, fails=True)
    at(m, "destroy", "-p", pot, "-F")
    end(m, kind, net, rel)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_create_that_fails(clean, kind):
    m = clean
    rel, pot = begin(m, kind, "inherit", "ipv4")
    at(m, "create", "-p", "-v", "-p", pot, "-t", kind, "-b", rel, "-f", "broken", fails=True)
    assert pots(m) == []
    end(m, kind, "inherit", rel)


def test_the_cache_keeps_the_release(machine):
    assert machine.sh(f"ls {CACHE}").strip()
