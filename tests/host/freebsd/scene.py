"""What the scenes share: the machine made ready, the other host, what is left behind, the checks of pot's own tests."""
import os
import re
import subprocess
import time

import bsd

OUT = {4: "203.0.113.2", 6: "2001:db8:113::2"}
FAMILIES = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}
HERE = bsd.pathlib.Path(__file__).parent
CACHE = "/var/cache/pot"
TOP = "/root/potter-test"  # files of the scenes' own
SMALL = f"{TOP}/small"  # a directory to make bases from: create-base -d


def compile_c(name):
    """One of this folder's C files, for the machine, by the compiler of `make freebsd`."""
    out = bsd.BUILD / name
    cc = bsd.BUILD / "bin" / "x86_64" / "cc"
    subprocess.run([cc, "-std=c17", "-O1", "-Wall", "-Wextra", "-o", out, HERE / f"{name}.c"], check=True)
    return out


def release(m):
    """14.2 of 14.2-RELEASE-p3."""
    return m.sh("freebsd-version -u").split("-")[0].strip()


def prepare(m):
    """Programs, pool, a base to make pots from, a host outside, and `pot init`; again and again does no harm."""
    with open(bsd.BUILD / "potter-freebsd-x86_64.tar", "rb") as tar:
        subprocess.run(m.ssh("tar xf - -C /"), stdin=tar, check=True)
    m.push([compile_c(name) for name in ("world", "primitives", "floor", "killat", "linger")], TOP)
    if not m.sh("zpool list -H -o name zroot 2>/dev/null || true"):
        m.sh("zpool create -O compression=lz4 -O atime=off -m /zroot zroot vtbd1")
    m.sh("pw groupshow pot >/dev/null 2>&1 || pw groupadd pot; mkdir -p /usr/local/etc/pot")
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    outside(m)
    m.pot("init")
    small(m)
    base_archive(m)


def small(m):
    """SMALL: of the machine's own world what scenes run in pots, so that a base is made in a second; its archive as well."""
    m.sh(f"""
        [ ! -f {TOP}/small.txz ] || exit 0
        rm -rf {SMALL}; mkdir -p {SMALL}; cd {SMALL}
        mkdir -p dev tmp root var/empty var/run var/log var/tmp var/db/pkg usr/bin usr/lib usr/libexec usr/sbin usr/local/bin usr/local/etc \
            usr/share/misc libexec sbin
        chmod 1777 tmp var/tmp
        cp -a /bin /lib /etc . && cp -a /libexec/ld-elf.so.1 libexec/ && cp -a /root/.profile root/
        for p in ifconfig ping route sysctl md5 mount umount rcorder init ldconfig; do cp -a /sbin/$p sbin/; done
        for p in fetch nc head tail sed awk grep egrep id su true false env wc logger tr cut cmp touch which limits script xargs sort uname; do
            [ ! -e /usr/bin/$p ] || cp -aH /usr/bin/$p usr/bin/
        done
        for f in usr/bin/* bin/* sbin/*; do ldd -f '%p\n' $f 2>/dev/null; done | sort -u | while read l; do
            [ ! -f "$l" -o -e ./$l ] || cp -aL $l ./$l
        done
        # none of the machine's own settings; what the shell version runs in every base it makes
        rm -f etc/rc.conf etc/fstab; printf '#!/bin/sh\n' >usr/sbin/freebsd-update; chmod 755 usr/sbin/freebsd-update
        # /etc/rc with next to nothing to do
        cd etc/rc.d; ls | grep -vx -e NETWORKING -e FILESYSTEMS -e DAEMON -e LOGIN -e SERVERS -e netif -e routing | xargs rm -f; cd ../..
        tar -cJf {TOP}/small.tmp --options xz:compression-level=0 -C {SMALL} . && mv {TOP}/small.tmp {TOP}/small.txz""", timeout=1200)


def base_archive(m, archive="small.txz" if os.environ.get("FREEBSD_BASE") == "small" else "base.txz"):
    """base.txz as the release's makers publish it: the machine's own world, with a manifest that names its digest. With
    FREEBSD_BASE=small that of small(), for the whole matrix on a slow machine."""
    rel = release(m)
    file = f"{CACHE}/{rel}-RELEASE_base.txz"
    # the whole world has a freebsd-update that would fetch the patches of months; that of the small one finds none
    flavour = HERE.parents[2] / "packaging" / "flavours" / "fbsd-update.sh"
    m.write("/usr/local/etc/pot/flavours/fbsd-update.sh", flavour.read_text() if archive == "small.txz" else "exit 0\n")
    m.sh(f"""
        mkdir -p {CACHE} /usr/local/share/freebsd/MANIFESTS
        if [ ! -f {TOP}/{archive} ]; then
            if [ -f /root/dist/base.txz ]; then cp /root/dist/base.txz {TOP}/
            else tar -cJf {TOP}/base.txz --options xz:compression-level=0 --exclude ./usr/src --exclude ./usr/local --exclude ./usr/lib/debug \\
                --exclude ./usr/tests --exclude ./usr/lib32 --exclude './usr/share/man' --exclude './usr/bin/*clang*' --exclude './usr/bin/*lld*' \\
                -C / ./COPYRIGHT ./bin ./etc ./lib ./libexec ./root/.profile ./sbin ./usr ./var/run ./var/log ./var/tmp
            fi
        fi
        cp {TOP}/{archive} {file}
        printf 'base.txz\\t%s\\t1\\tbase\\t"Base"\\ton\\n' $(sha256 -q {file}) \\
            >/usr/local/share/freebsd/MANIFESTS/$(uname -m)-$(uname -m)-{rel}-RELEASE""", timeout=1800)


def outside(m):
    """A host on the other side of an interface ext0: a jail with a network of its own, where world serves names and pages."""
    if m.sh("jls -j world jid 2>/dev/null || true"):
        return
    m.sh(f"""
        a=$(ifconfig epair create); b=${{a%a}}b
        ifconfig $a name ext0 >/dev/null
        ifconfig ext0 inet 203.0.113.1/24 up; ifconfig ext0 inet6 2001:db8:113::1/64 -ifdisabled no_dad
        jail -c name=world path=/ vnet vnet.interface=$b persist
        jexec world ifconfig lo0 up
        jexec world ifconfig $b inet {OUT[4]}/24 up; jexec world ifconfig $b inet6 {OUT[6]}/64 -ifdisabled no_dad
        jexec world {TOP}/world >/dev/null 2>&1 </dev/null &
        for i in 1 2 3 4 5 6 7 8 9; do ping -c1 -t1 {OUT[4]} >/dev/null && break; done""")


# ---- what is left behind ----

LOOK = r"""
echo "# jails"; jls name | grep -vx world
echo "# mounts"; mount -p | awk '{print $1, $2, $3}' | grep -v '^zroot[^/]*/pot\(/[a-z]*\)\{0,1\} '
echo "# interfaces"; ifconfig -l | tr ' ' '\n' | sort
echo "# rules"; for a in pot-nat pot-filter; do pfctl -q -a $a -sn -sr 2>/dev/null; done; pfctl -q -s Anchors -v 2>/dev/null | grep pot-rdr/
echo "# datasets"; zfs list -H -o name -t all -r zroot/pot 2>/dev/null
echo "# limits"; rctl 2>/dev/null | grep -i jail
echo "# records"; ls /var/run/pot/runs 2>/dev/null
echo "# processes"; ps -axo comm= | grep '^pot' | sort
"""


def residue(m):
    parts, name = {}, None
    for line in m.sh(LOOK, ok=None).splitlines():
        if line.startswith("# "):
            name = line[2:]
            parts[name] = set()
        elif line.strip():
            parts[name].add(line.strip())
    return parts


def difference(before, after):
    lines = [f"{part}: {line}" for part in after for line in sorted(after[part] - before.get(part, set()))]
    # the public bridge and its rules stay until vnet-stop or de-init
    return "\n".join(x for x in lines if not re.match(r"interfaces: (bridge\d+|pot0)$|rules: .*\bnat on\b|rules: (pass|block|anchor)", x))


def sweep(m):
    """After a failure: the next scene begins on an empty machine."""
    m.sh(r"""
        for j in $(jls name | grep -vx world); do jail -r $j; done
        pkill -9 pot-keeper; sleep 1
        mount -p | awk '$2 ~ "^/opt/pot/" && $3 != "zfs" {print $2}' | sort -r | while read d; do umount -f $d; done
        for d in jails bases fscomp; do
            zfs list -H -o name -r -d 1 zroot/pot/$d | tail -n +2 | while read s; do zfs destroy -f -R $s; done; done
        rm -rf /opt/pot/bridges/* /opt/pot/jails/* /var/run/pot/runs/*""", ok=None)


def nothing(m):
    for flag in ("-q", "-qb", "-qf", "-qB"):
        assert m.pot("ls", flag) == "", flag


def empty(m):
    """All pots and the small base destroyed, clones before what they are of; nothing is ending any more."""
    m.sh("for p in $(pot ls -q | sort -rV); do pot destroy -p $p || exit 1; done; pot destroy -b small", timeout=1800)
    m.sh("i=0; while pgrep -qf '[p]ot-ending' && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done")
    nothing(m)


# ---- pot's own checks ----

def inside(m, pot, *argv, timeout=30):
    """Runs a command in the pot's jail until it succeeds; a fresh IPv6 address takes a moment."""
    end = time.monotonic() + timeout
    while True:
        r = m.raw(bsd.shlex.join(["jexec", pot, *argv]))
        if r.returncode == 0:
            return r.stdout
        if time.monotonic() > end:
            raise bsd.Failure(f"{argv} in {pot}", r)
        time.sleep(0.5)


def check_running(m, pot, net, stack, fresh=True):
    """Started, seen once, reached from the host, reaching the host outside; stopped."""
    m.pot("start", pot)
    assert pot in m.sh("jls name").split()
    if fresh:
        assert "tcp" in inside(m, pot, "cat", "/root/protocols")
    assert sum(pot in line for line in m.pot("show").splitlines()) == 1
    families = (4,) if net == "private-bridge" else FAMILIES[stack]
    if net.endswith("bridge") and 4 in families:
        ip = re.search(r"ip : (\d+\.\d+\.\d+\.\d+)", m.pot("info", "-p", pot)).group(1)
        m.run("ping", "-c1", "-t5", ip)
    for family in families:
        host = OUT[family] if family == 4 else f"[{OUT[family]}]"
        inside(m, pot, "ping", "-c1", "-t5", OUT[family])
        assert "name" in inside(m, pot, "sh", "-c", f"echo name | nc -u -w 2 {OUT[family]} 53 | head -1")
        assert inside(m, pot, "fetch", "-qo-", f"http://{host}/") == "page\n"
    m.pot("stop", pot)
    assert pot not in m.sh("jls name").split()
