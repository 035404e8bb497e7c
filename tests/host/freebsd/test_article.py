"""The flow of the article about minipot, as a reader types it: pot alone, then the cluster with a web server behind the ingress."""
import os
import pathlib
import re
import time

import pytest
import scene
from bsd import EXTIF
from scene import SMALL, TOP

FILES = ["/etc/rc.conf", "/etc/pf.conf", "/boot/loader.conf"]
PF = "set skip on ext9\nscrub in all\npass\n"
HAPROXY = os.environ.get("FREEBSD_HAPROXY", "")  # a haproxy for FreeBSD, where the machine has none


def contents(m):
    return {f: m.sh(f"cat {f} 2>/dev/null || true") for f in FILES}


@pytest.fixture
def bare(clean):
    """No framework, as on a machine that has just got the package; a pf.conf of its owner's."""
    m = clean
    before = m.sh("cat /etc/pf.conf; rm -f /etc/*.bkp-pot /etc/*.bkp-minipot")
    m.pot("de-init")
    m.write("/etc/pf.conf", PF)
    m.write("/usr/local/etc/pot/pot.conf", f"POT_EXTIF={EXTIF}\n")
    yield m
    m.sh("minipot destroy >/dev/null 2>&1; pfctl -q -d -F all", ok=None)
    m.write("/etc/pf.conf", before)
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    m.pot("init")
    scene.base_archive(m)


def test_pot_alone(bare):
    m = bare
    before = contents(m)
    m.pot("init")
    assert m.sh("zfs list -H -o name -r zroot/pot").split() == [
        "zroot/pot", "zroot/pot/bases", "zroot/pot/cache", "zroot/pot/fscomp", "zroot/pot/jails"]
    pf = m.sh("cat /etc/pf.conf").splitlines()
    assert "nat-anchor pot-nat" in pf and 'rdr-anchor "pot-rdr/*"' in pf
    assert m.sh("cat /etc/pf.conf.bkp-pot") == PF
    m.run("pfctl", "-nf", "/etc/pf.conf")
    m.pot("vnet-start")
    assert "inet 10.192.0.1 netmask 0xffc00000" in m.sh("ifconfig -g pot | xargs -n1 ifconfig")
    m.run("ping", "-c1", "-t5", "10.192.0.1")
    assert "nat on" in m.sh("pfctl -q -a pot-nat -sn")
    m.pot("de-init")
    assert contents(m) == before
    assert m.sh("ifconfig -g pot; zfs list -H -o name | grep pot; ls -d /opt/pot /var/cache/pot /etc/*.bkp-pot", ok=None) == ""


@pytest.fixture
def cluster(bare):
    m = bare
    if not m.sh("command -v haproxy || true").strip():
        if not HAPROXY:
            pytest.skip("there is no haproxy on the machine (FREEBSD_HAPROXY names one to copy there)")
        m.push([HAPROXY], "/usr/local/sbin", "755")
    return m


def publish(m):
    """The image that the job asks for: a static web server in the place of nginx."""
    m.pot("create-base", "-b", "small", "-d", SMALL)
    m.pot("create", "-p", "nginx-demo", "-t", "single", "-b", "small", "-N", "public-bridge")
    m.pot("copy-in", "-p", "nginx-demo", "-s", f"{TOP}/world", "-d", "/usr/local/bin")
    for command in (["set-cmd", "-c", "/usr/local/bin/world"], ["set-attr", "-A", "persistent", "-V", "NO"],
                    ["set-attr", "-A", "no-rc-script", "-V", "YES"], ["snapshot"]):
        m.pot(command[0], "-p", "nginx-demo", *command[1:])
    m.pot("export", "-p", "nginx-demo", "-t", "1.0", "-l", "1", "-D", "/var/db/potter/registry")
    m.pot("destroy", "-p", "nginx-demo")
    m.pot("destroy", "-b", "small")


def asked_of_ingress(m, limit=60):
    """curl -H 'host: hello-web.minipot' http://127.0.0.1:8080, by what the base system has."""
    end = time.monotonic() + limit
    while True:
        page = m.sh("printf 'GET / HTTP/1.0\\r\\nHost: hello-web.minipot\\r\\n\\r\\n' | nc -w 5 127.0.0.1 8080", ok=None)
        if page.endswith("page\n"):
            return
        assert time.monotonic() < end, f"{page!r}\n" + m.sh("tail -30 /var/log/potter/potter.log", ok=None)
        time.sleep(1)


def the_pot(m):
    return next(name for name in m.sh("jls name").split() if name.startswith("www1_"))


def the_picture(m):
    """What the article shows of a machine with one task."""
    pot = the_pot(m)
    assert re.search(rf"^ +\d+ .*/opt/pot/jails/{pot}/m$", m.sh("jls"), re.M)
    shown = m.sh("zfs list | grep pot")
    assert re.search(rf"^zroot/pot/jails/{pot} .*/opt/pot/jails/{pot}$", shown, re.M), shown
    assert re.search(rf"^zroot/pot/jails/{pot}/m .*/opt/pot/jails/{pot}/m$", shown, re.M), shown
    outside = m.sh("ifconfig")
    assert "description: pot public bridge" in outside and f"description: {pot}" in outside, outside
    assert "groups: bridge pot" in outside and "groups: epair pot" in outside
    inside = m.sh(f"jexec {pot} ifconfig")
    assert re.search(r"^epair0b: ", inside, re.M) and "inet 10.192.0." in inside and "inet 127.0.0.1" in inside, inside
    m.sh(f"jexec {pot} ping -c1 -t5 10.192.0.1")


def test_the_cluster(cluster):
    m = cluster
    before = contents(m)
    m.sh("kldload -n pf")
    said = m.run("minipot-init")
    for file in ("/etc/rc.conf", "/etc/pf.conf"):
        assert f"Creating a backup of your {file}" in said, said
        assert before[file] == m.sh(f"cat {file}.bkp-minipot")
    for change in ("pf_enable: NO -> YES", "pot_enable: .*-> YES", "potter_enable: .*-> YES", "kern.racct.enable: .*-> 1"):
        assert re.search(change, said), said
    m.run("minipot-start", timeout=300)
    status = m.run("minipot", "status")
    for line in ("agent .*running", "api .*4646", "catalog .*8500", "ingress .*8080", "dashboard .*9002"):
        assert re.search(line, status), status
    publish(m)
    m.push([pathlib.Path(__file__).parents[3] / "examples" / "nginx.job"], TOP)
    m.run("nomad", "run", f"{TOP}/nginx.job", timeout=300)
    assert re.search(r"^Status += running", m.run("nomad", "status", "nginx-minipot"), re.M)
    asked_of_ingress(m)
    the_picture(m)
    m.run("minipot", "stop", timeout=300)
    assert "www1_" not in m.sh("jls name")
    m.run("minipot", "start", timeout=300)
    asked_of_ingress(m)
    the_picture(m)
    m.run("minipot", "destroy", timeout=300)
    assert contents(m) == before
    left = m.sh("ls -d /var/db/potter /var/log/potter /usr/local/etc/minipot /opt/pot /etc/*.bkp-* /boot/*.bkp-*; pw usershow potter; "
                "zfs list -H -o name | grep pot; ifconfig -g pot; pgrep -l 'pot|nomad|haproxy'", ok=None)
    assert left == ""
