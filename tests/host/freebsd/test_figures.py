"""Times beside the shell pot's and beside the primitives, on one machine in one run; printed as the tables of docs/freebsd.md.

FREEBSD_SHELL_POT=DIR: where bin/pot of the shell version stands on the machine (default /shellpot); it works on the same
datasets. Without it only ours is timed. A machine whose clock counts instructions (qemu -icount) gives repeatable figures.
"""
import os

import pytest
from scene import TOP, elapsed, release

SHELL = os.environ.get("FREEBSD_SHELL_POT", "/shellpot")
ROUNDS = int(os.environ.get("FREEBSD_ROUNDS", "5"))


@pytest.fixture(scope="module")
def pots(machine):
    """A base, a stopped pot of each kind to work on, and both programs by one name each."""
    m = machine
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    m.sh(f"[ ! -x {SHELL}/bin/pot ] || sed -i '' 's/^POT_EXTIF=.*/POT_EXTIF=ext0/' {SHELL}/etc/pot/pot.default.conf {SHELL}/etc/pot/pot.conf")
    rel = release(m)
    if rel not in m.pot("ls", "-bq").split():
        m.pot("create-base", "-r", rel, timeout=1200)
    for name, net in (("fig-inherit", "inherit"), ("fig-bridge", "public-bridge")):
        if name not in m.pot("ls", "-q").split():
            m.pot("create", "-p", name, "-t", "multi", "-b", rel, "-N", net)
            m.pot("snapshot", "-p", name)
    yield m
    for name in ("fig-inherit", "fig-bridge"):
        m.sh(f"pot stop {name}; pot destroy -p {name}", ok=None)
    m.sh(f"pot destroy -b {rel}", ok=None)


def programs(m):
    theirs = f"{SHELL}/bin/pot"
    rows = {"ours": "/usr/local/bin/pot"}
    if m.sh(f"test -x {theirs} && echo yes || true").strip():
        rows["shell"] = f"env PATH={SHELL}/bin:$PATH {theirs}"
    return rows


def steps(rel):
    """name, command, before, after: {p} is the program; what is before and after is not timed."""
    quiet = ">/dev/null 2>&1"
    return [
        ("version", "{p} version", "", ""),
        ("ls", "{p} ls", "", ""),
        ("info", "{p} info -p fig-bridge", "", ""),
        ("create, multi, public-bridge", f"{{p}} create -p fig-new -t multi -b {rel} -N public-bridge", "",
         f"/usr/local/bin/pot destroy -p fig-new {quiet}"),
        ("clone, multi", "{p} clone -p fig-new -P fig-inherit", "", f"/usr/local/bin/pot destroy -p fig-new {quiet}"),
        ("destroy of a clone", "{p} destroy -p fig-new", f"/usr/local/bin/pot clone -p fig-new -P fig-inherit {quiet}", ""),
        ("start, inherit, no-rc-script", "{p} start fig-inherit",
         f"/usr/local/bin/pot set-attribute -p fig-inherit -A no-rc-script -V YES {quiet}; "
         f"/usr/local/bin/pot set-cmd -p fig-inherit -c /usr/bin/true {quiet}", "{p} stop fig-inherit " + quiet),
        ("start, public-bridge, no-rc-script", "{p} start fig-bridge",
         f"/usr/local/bin/pot set-attribute -p fig-bridge -A no-rc-script -V YES {quiet}; "
         f"/usr/local/bin/pot set-cmd -p fig-bridge -c /usr/bin/true {quiet}", "{p} stop fig-bridge " + quiet),
        ("exec true", "{p} exec -p fig-inherit /usr/bin/true", "jls -j fig-inherit >/dev/null 2>&1 || {p} start fig-inherit " + quiet, ""),
        ("stop, inherit", "{p} stop fig-inherit", "jls -j fig-inherit >/dev/null 2>&1 || {p} start fig-inherit " + quiet, ""),
        ("stop, public-bridge", "{p} stop fig-bridge", "{p} start fig-bridge " + quiet, ""),
    ]


def test_commands(pots, record_property):
    m, rows = pots, {}
    who = programs(m)
    for name, command, before, after in steps(release(m)):
        for key, p in who.items():
            fill = [x.replace("{p}", p) for x in (command, before, after)]
            try:
                rows.setdefault(name, {})[key] = elapsed(m, fill[0], ROUNDS, fill[1], fill[2])
            except Exception as e:  # the table is wanted even where one step fails
                rows.setdefault(name, {})[key] = None
                print(f"{key} {name}: {e}")
    lines = ["| command | shell pot s | of which CPU | ours s | of which CPU | times less |", "|---|---:|---:|---:|---:|---:|"]
    for name, row in rows.items():
        a, b = row.get("shell"), row.get("ours")
        cell = [f"{x[0]:.2f} | {x[1]:.2f}" if x else "– | –" for x in (a, b)]
        lines.append(f"| {name} | {cell[0]} | {cell[1]} | {f'{a[0] / max(b[0], 0.01):.0f}' if a and b else '–'} |")
    print("\n" + "\n".join(lines))
    record_property("commands", "\n".join(lines))
    assert all(row.get("ours") for row in rows.values())


def test_primitives(pots, record_property):
    out = pots.sh(f"{TOP}/primitives 9 zroot", timeout=1200)
    lines = ["| primitive | ms | of which CPU |", "|---|---:|---:|"]
    for line in out.splitlines():
        name, wall, cpu = line.split("\t")
        lines.append(f"| {name} | {int(wall) / 1000:.2f} | {int(cpu) / 1000:.2f} |")
    print("\n" + "\n".join(lines))
    record_property("primitives", "\n".join(lines))
