"""The shell version and ours on the same datasets: each starts, stops and destroys what the other made."""
import os

import pytest
from scene import nothing, release

SHELL = os.environ.get("FREEBSD_SHELL_POT", "/shellpot")


@pytest.fixture
def both(clean):
    m = clean
    if not m.sh(f"test -x {SHELL}/bin/pot && echo yes || true").strip():
        pytest.skip(f"the shell version is not in {SHELL} (FREEBSD_SHELL_POT names its prefix)")
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    m.sh(f"sed -i '' 's/^POT_EXTIF=.*/POT_EXTIF=ext0/' {SHELL}/etc/pot/pot.default.conf {SHELL}/etc/pot/pot.conf")
    m.sh("rm -f /tmp/pot_status_*")
    nothing(m)
    return m


def program(who):
    return "/usr/local/bin/pot" if who == "ours" else f"env PATH={SHELL}/bin:$PATH {SHELL}/bin/pot"


def use(m, who, pot, net):
    p = program(who)
    m.sh(f"{p} start {pot}", timeout=300)
    assert pot in m.sh("jls name").split()
    assert m.sh(f"{p} exec -p {pot} echo inside") == "inside\n"
    if net == "public-bridge":
        m.sh(f"ip=$({p} info -p {pot} | sed -n 's/.*ip : \\([0-9.]*\\).*/\\1/p' | head -1); ping -c1 -t5 $ip")
    assert pot in m.sh(f"{program('ours')} ls")
    m.sh(f"{p} stop {pot}", timeout=300)
    assert pot not in m.sh("jls name").split()


@pytest.mark.parametrize("net", ["inherit", "public-bridge"])
@pytest.mark.parametrize("maker, user", [("ours", "shell"), ("shell", "ours")])
def test_one_makes_and_the_other_uses(both, maker, user, net):
    m, rel = both, release(both)
    m.sh(f"{program(maker)} create-base -r {rel}", timeout=1800)
    m.sh(f"{program(maker)} create -p crossed -t multi -b {rel} -N {net}", timeout=300)
    for who in (maker, user, maker):
        use(m, who, "crossed", net)
    m.sh(f"{program(maker)} snapshot -p crossed")
    m.sh(f"{program(user)} clone -p crossed-clone -P crossed", timeout=300)
    use(m, maker, "crossed-clone", net)
    # the shell version stops only what it has started itself, as its own note of it says
    m.sh(f"{program('shell')} start crossed", timeout=300)
    m.sh(f"{program('ours')} stop crossed", timeout=300)
    assert "crossed" not in m.sh("jls name").split()
    m.sh(f"{program(maker)} destroy -p crossed-clone", timeout=300)
    # destroyed by the shell version, ours leaves an empty directory of its records behind
    m.sh(f"{program('ours')} destroy -rb {rel}", timeout=300)
