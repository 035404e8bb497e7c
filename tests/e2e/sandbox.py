"""A copy-on-write view of this whole machine, for what changes a machine: `make demo`, minipot.

Everything is the machine's own (programs, packages, this checkout), nothing is written to it: the
root is an overlay whose upper layer lies in memory, and processes, network, mounts, host name and
control groups are namespaces' own. The upper layer tells afterwards which files came, changed or went.
"""
import json
import os
import pathlib
import secrets
import signal
import stat
import subprocess
import tempfile

from machine import BUILD, Failure, TOP, wait_until

MEMORY = "3g"  # upper bound of what a test may write
# What the kernel or other packages own is not looked at for residue.
IN_MEMORY = ("run", "tmp")
# Copies that groupadd and useradd keep for themselves.
SHADOW = ["etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-"]


def same(a, b):
    """Two files with the same content, mode and owner."""
    one, other = a.lstat(), b.lstat()
    return (one.st_mode, one.st_uid, one.st_gid, one.st_size) == (other.st_mode, other.st_uid, other.st_gid, other.st_size) \
        and (not stat.S_ISREG(one.st_mode) or a.read_bytes() == b.read_bytes())


# Runs as the first process inside: $1 is the directory of the view, $2 this checkout, the rest what to become.
SETUP = """
set -e
view=$1; top=$2; shift 2
mount -t tmpfs -o size=%s,mode=755 tmpfs "$view"
mkdir "$view/upper" "$view/work" "$view/root" "$view/upper-top" "$view/work-top"
mount -t overlay overlay -o "lowerdir=/,upperdir=$view/upper,workdir=$view/work" "$view/root"
cd "$view/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
for d in run tmp opt; do
	mkdir -p $d
	mount -t tmpfs -o mode=755 tmpfs $d
done
chmod 1777 tmp
mkdir -p ".$top" run/upper
mount -t overlay overlay -o "lowerdir=$top,upperdir=$view/upper-top,workdir=$view/work-top" ".$top"
mount --bind "$view/upper" run/upper
groups=$(sed -n 's/^[1-9][0-9]*:\\([^:]*\\):.*/\\1/p' /proc/self/cgroup)
if [ -n "$groups" ]; then
	mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
	for g in $groups; do
		mkdir sys/fs/cgroup/${g#name=}
		mount -t cgroup -o $g cgroup sys/fs/cgroup/${g#name=}
	done
else
	mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
ip link set lo up
ip link add ext0 type veth peer name ext1
ip addr add 203.0.113.1/24 dev ext0
ip link set ext0 up
ip link set ext1 up
ip route add default via 203.0.113.2
pivot_root . mnt
umount -l /mnt
echo ready
exec <&- "$@"
""" % MEMORY


# A first process that buries the orphans.
IDLE = ("python3", "-c", "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True: signal.pause()")


SYSTEMD = ("/lib/systemd/systemd", "--unit=basic.target", "--log-target=console", "--show-status=no")


class Sandbox:
    def __init__(self, init=IDLE):
        """`init` becomes process 1 of the view."""
        self.name = f"potter-view-{secrets.token_hex(3)}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}."))
        self.groups = self.make_groups()
        self.log = open(self.dir / "init.log", "wb")
        told, tell = os.pipe()
        self.process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--cgroup",
             "--propagation", "private", "sh", "-c", SETUP, "sh", str(self.dir), str(TOP), *init],
            stdin=subprocess.DEVNULL, stdout=tell, stderr=self.log, start_new_session=True, preexec_fn=self.join_groups,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container": "potter-test"})
        os.close(tell)
        ok = os.read(told, 16)
        os.close(told)
        if not ok:
            raise AssertionError("no view of this machine: " + (self.dir / "init.log").read_text())
        [self.init] = map(int, pathlib.Path(
            f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    # ---- control groups ----

    def make_groups(self):
        """A group of our own in every hierarchy."""
        found = []
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            fields, _, rest = line.partition(" - ")
            if rest.split()[0] not in ("cgroup", "cgroup2"):
                continue
            top = pathlib.Path(fields.split()[4])
            group = top / self.name
            group.mkdir()
            for key in ("cpuset.cpus", "cpuset.mems"):
                if (top / key).exists():
                    (group / key).write_text((top / key).read_text())
            found.append(group)
        return found

    def join_groups(self):
        for group in self.groups:
            members = group / "cgroup.procs"
            members.write_text("0")

    def remove_groups(self):
        for group in self.groups:
            for path in sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: -len(str(p))):
                path.rmdir()
            group.rmdir()

    # ---- running things inside ----

    def try_run(self, *argv, timeout=120, cwd=TOP, env=None):
        enter = ["nsenter", "-t", str(self.init), "-n", "-m", "-p", "-i", "-u", "-C", "-r", "--", "env", "-C", str(cwd)]
        base = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "CCACHE_DISABLE": "1", "LANG": "C.UTF-8",
                "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
        return subprocess.run([*enter, *map(str, argv)], env={**base, **(env or {})}, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=timeout, preexec_fn=self.join_groups)

    def run(self, *argv, **options):
        result = self.try_run(*argv, **options)
        if result.returncode != 0:
            raise Failure("failed", result)
        return result.stdout

    def wait_systemd(self):
        wait_until(lambda: self.try_run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"),
                   timeout=60, what="systemd")

    def make(self, *argv):
        """make, with the release build that lies there or with the programs that are under test."""
        return self.run("make", f"BUILD={os.environ.get('POTTER_RELEASE', BUILD)}", *argv)

    def json(self, *argv):
        return json.loads(self.run(*argv, "--json"))

    def page(self, host="hello-web.minipot", address="127.0.0.1"):
        return self.try_run("curl", "-s", "--max-time", "5", "-H", f"Host: {host}", f"http://{address}:8080/").stdout

    # ---- what is left ----

    def changed(self):
        """Files and directories that came, changed or went, but for empty changes of directories."""
        upper = pathlib.Path(f"/proc/{self.init}/root/run/upper")
        found = []
        for path in sorted(upper.rglob("*")):
            name = path.relative_to(upper)
            mode = path.lstat().st_mode
            below = os.path.lexists(pathlib.Path("/") / name)
            gone = stat.S_ISCHR(mode) and path.lstat().st_rdev == 0
            if name.parts[0] in IN_MEMORY or str(name) in SHADOW or (gone and not below):
                continue
            if below and not gone and (stat.S_ISDIR(mode) or same(path, "/" / name)):
                continue
            found.append(f"{'-' if gone else '~' if below else '+'} /{name}")
        return found

    def in_memory(self):
        """What carries a name of ours where others keep things as well; all of /opt."""
        root = pathlib.Path(f"/proc/{self.init}/root")
        return [str(p.relative_to(root)) for d in (*IN_MEMORY, "opt") for p in sorted((root / d).iterdir())
                if d == "opt" or "pot" in p.name]

    def links(self):
        rows = json.loads(self.run("ip", "-j", "link", "show"))
        return sorted(r["ifname"] for r in rows if r["ifname"] not in ("lo", "ext0", "ext1"))

    def tables(self):
        return self.run("nft", "list", "tables").split("\n")[:-1]

    def processes(self):
        return [line for line in self.run("ps", "-eo", "pid,args", "--no-headers").splitlines()
                if line.split()[0] != "1" and " ps -eo" not in line]

    def close(self):
        try:
            os.kill(self.init, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
        wait_until(lambda: not any((g / "cgroup.procs").read_text() for g in self.groups), what="the end of the view")
        self.remove_groups()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.dir)], check=True)
