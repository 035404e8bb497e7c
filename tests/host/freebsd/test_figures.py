"""Times beside the shell pot's and beside what cannot be avoided, on one machine in one run; printed as the tables of docs/freebsd.md.

Each command is timed as a whole (floor.c, time), ours, the shell version's and the floor of it in turn. The floor is a C
program that does the verb's primitives and nothing else: the same zfs commands one after the other, the same mounts, jail,
interfaces and process. FREEBSD_SHELL_POT=DIR: where bin/pot of the shell version stands on the machine (default /shellpot);
it works on the same datasets. Without it only ours and the floor are timed. FREEBSD_ROUNDS (5) rounds, medians. A machine
whose clock counts instructions (qemu -icount) gives repeatable figures.
"""
import os

import pytest
from scene import TOP, release

SHELL = os.environ.get("FREEBSD_SHELL_POT", "/shellpot")
ROUNDS = int(os.environ.get("FREEBSD_ROUNDS", "5"))
FLOOR = f"{TOP}/floor"
SETS = "zroot/pot"
QUIET = ">/dev/null 2>&1"
WHO = {"ours": "/usr/local/bin/pot", "shell": f"{SHELL}/bin/pot", "floor": FLOOR}


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
            m.pot("set-attribute", "-p", name, "-A", "no-rc-script", "-V", "YES")
            m.pot("set-cmd", "-p", name, "-c", "/usr/bin/true")
    yield m
    for name in ("fig-inherit", "fig-bridge"):
        m.sh(f"pot stop {name}; pot destroy -p {name}", ok=None)
    m.sh(f"pot destroy -b {rel}", ok=None)


def newest(m, dataset):
    return m.sh(f"zfs list -H -t snapshot -o name {SETS}/{dataset}").split()[-1].split("@")[1]


def steps(m):
    """name; what is timed; before and after it, untimed. Per program where they differ; {p} is the program."""
    rel = release(m)
    base, pot = newest(m, f"bases/{rel}/custom"), newest(m, "jails/fig-inherit/custom")
    new, tree = f"{SETS}/jails/fig-new", "/opt/pot/jails"
    gone = f"zfs destroy -f -r {new} {QUIET}; rm -rf {tree}/fig-new /tmp/pot_status_fig-new"
    clone = f"{WHO['ours']} clone -p fig-new -P fig-inherit {QUIET}"
    # the kernel takes a network stack apart behind the caller's back
    ended = "sleep 1"

    def starts(name, network):
        floor = f"{{p}} start {tree}/{name} /opt/pot/bases/{rel} {network}".strip()
        up = {"floor": floor, None: f"{{p}} start {name} {QUIET}"}
        down = {"floor": f"{{p}} stop {tree}/{name}; {ended}", None: f"{{p}} stop {name} {QUIET}; {ended}"}
        return {"floor": floor, None: f"{{p}} start {name}"}, up, down

    inherit, inherit_up, inherit_down = starts("fig-inherit", "")
    bridge, bridge_up, bridge_down = starts("fig-bridge", "$(ifconfig -l | tr ' ' '\\n' | grep ^bridge | head -1) 10.192.0.77")
    plain = {"floor": None}
    return [
        ("`version`", {**plain, None: "{p} version"}, "", ""),
        ("`ls`, two pots", {**plain, None: "{p} ls"}, "", ""),
        ("`info`", {**plain, None: "{p} info -p fig-bridge"}, "", ""),
        ("`create`, multi, public bridge", {"floor": f"{{p}} create {SETS}/bases/{rel} {new} {base}",
                                            None: f"{{p}} create -p fig-new -t multi -b {rel} -N public-bridge"}, "", gone),
        ("`clone`, multi", {"floor": f"{{p}} clone {SETS}/jails/fig-inherit {new} {pot}",
                            None: "{p} clone -p fig-new -P fig-inherit"}, "", gone),
        ("`destroy` of a clone", {"floor": f"{{p}} destroy {new}", None: "{p} destroy -p fig-new"}, clone, gone),
        ("`start`, inherit, no-rc-script", inherit, "", inherit_down),
        ("`start`, public bridge, no-rc-script", bridge, "", bridge_down),
        ("`exec` of `true`", {"floor": "{p} exec", None: "{p} exec -p fig-inherit /usr/bin/true"}, inherit_up, inherit_down),
        ("`stop`, inherit", {**plain, None: "{p} stop fig-inherit"}, inherit_up, ended),
        ("`stop`, public bridge", {**plain, None: "{p} stop fig-bridge"}, bridge_up, ended),
    ]


def pick(what, who):
    return what if isinstance(what, str) else what.get(who, what[None])


def once(m, who, command, before, after):
    """Seconds and seconds of processor time of one command."""
    fill = [pick(x, who).replace("{p}", WHO[who]) for x in (command, before, after)]
    path = f"PATH={SHELL}/bin:$PATH; export PATH; " if who == "shell" else ""
    out = m.sh(f"{path}{fill[1] or ':'}; {FLOOR} time {fill[0]} || exit 1; {fill[2] or ':'}", timeout=600)
    return tuple(int(x) / 1e6 for x in out.split("\n")[0].split())


def median(rows, field):
    return sorted(r[field] for r in rows)[len(rows) // 2]


def test_commands(pots, record_property):
    m, table = pots, {}
    who = [w for w, p in WHO.items() if m.sh(f"test -x {p} && echo yes || true").strip()]
    for name, command, before, after in steps(m):
        row = table.setdefault(name, {})
        for w in [w for w in who if pick(command, w)] * ROUNDS:
            row.setdefault(w, []).append(once(m, w, command, before, after))
    lines = ["| command | shell pot ms | of which CPU | ours ms | of which CPU | floor ms | shell / ours | ours / floor |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for name, row in table.items():
        ms = {w: [median(r, 0) * 1000, median(r, 1) * 1000] for w, r in row.items()}
        cells = [f"{x:.1f}" for w in ("shell", "ours") for x in ms.get(w, ())] if "shell" in ms else ["–", "–"] + [f"{x:.1f}" for x in ms["ours"]]
        cells.append(f"{ms['floor'][0]:.1f}" if "floor" in ms else "–")
        cells.append(f"{ms['shell'][0] / ms['ours'][0]:.0f}" if "shell" in ms else "–")
        cells.append(f"{ms['ours'][0] / ms['floor'][0]:.2f}" if "floor" in ms else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n" + "\n".join(lines))
    record_property("commands", "\n".join(lines))


def test_zfs_commands(pots, record_property):
    """How many zfs commands each verb runs: a program of that name that counts stands before the real one."""
    m = pots
    rel = release(m)
    count = f"{TOP}/zfs-count"
    m.write(f"{TOP}/zfs", f"#!/bin/sh\necho \"$1\" >>{count}\nexec /sbin/zfs \"$@\"\n", "755")
    m.write("/usr/local/etc/pot/pot.conf", f"POT_EXTIF=ext0\nPOT_ZFS_COMMAND={TOP}/zfs\n")
    lines = ["| command | zfs commands |", "|---|---|"]
    for name, command in [
            ("create, multi", f"pot create -p fig-new -t multi -b {rel}"), ("snapshot", "pot snapshot -p fig-new"),
            ("clone, multi", "pot clone -p fig-two -P fig-new"), ("info", "pot info -p fig-new"), ("ls", "pot ls"),
            ("start", "pot start fig-inherit"), ("stop", "pot stop fig-inherit"),
            ("destroy of a clone", "pot destroy -p fig-two"), ("destroy", "pot destroy -p fig-new")]:
        m.sh(f": >{count}; {command}")
        verbs = m.sh(f"cat {count}").split()
        lines.append(f"| {name} | {len(verbs)}{': ' + ', '.join(sorted(verbs)) if verbs else ''} |")
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    print("\n" + "\n".join(lines))
    record_property("zfs", "\n".join(lines))


def test_primitives(pots, record_property):
    out = pots.sh(f"{TOP}/primitives 9 zroot", timeout=1200)
    lines = ["| primitive | ms | of which CPU |", "|---|---:|---:|"]
    for line in out.splitlines():
        name, wall, cpu = line.split("\t")
        lines.append(f"| {name} | {int(wall) / 1000:.2f} | {int(cpu) / 1000:.2f} |")
    print("\n" + "\n".join(lines))
    record_property("primitives", "\n".join(lines))
