"""A pretend machine for one test: network, mounts, directories, control groups of its own.

The commands under test run inside namespaces that a holder process keeps open; nothing of the real
machine's network or mounts is seen or changed. What a test leaves behind is found by residue().
"""
import atexit
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("POTTER_BUILD", TOP / "build")).resolve()


def reachable_programs():
    """The programs' directory; a copy where other users, as whom some of them run, can reach it: not below /root."""
    where = BUILD / "src" / "bin"
    if all(p.stat().st_mode & 0o001 for p in [where, *where.parents] if p.exists()) or not where.exists():
        return where
    copy = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp", prefix="potter-e2e-bin."))
    atexit.register(shutil.rmtree, copy)
    copy.chmod(0o755)
    for path in where.iterdir():
        if path.is_file() and os.access(path, os.X_OK):
            shutil.copy(path, copy)
    return copy


BIN = reachable_programs()
# The tests for ZFS ask a real one, in the pool zroot; its dataset zroot/pot must not be there. Elsewhere a stand-in answers.
REAL_ZFS = os.environ.get("POTTER_REAL_ZFS") == "1"
BUSYBOX = shutil.which("busybox")
APPLETS = ("sh ls cat echo sleep true false ip nc httpd wget ping ping6 id env mount umount ps kill hostname touch "
           "mkdir rm cp mv ln chmod chown grep sed awk head tail wc df free date stat readlink test tty stty dd "
           "sync pwd which seq yes find sort tr cut od md5sum setsid nohup trap traceroute netstat nslookup").split()


class Failure(AssertionError):
    """A command did not do what the test expected: shows all of it."""

    def __init__(self, what, result):
        super().__init__(f"{what}: {' '.join(map(str, result.args))}\nexit code {result.returncode}\n"
                         f"--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}")


class Holder:
    """Keeps a network and a mount namespace open while it lives; with mounts=False the mounts are the machine's own."""

    def __init__(self, mounts=True):
        own = ["--mount", "--propagation", "private"] if mounts else []
        ready, told = os.pipe()
        self.process = subprocess.Popen(
            ["unshare", "--net", *own, "sh", "-c", "echo; exec sleep 1000000 >/dev/null"],
            stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(told)
        assert os.read(ready, 1), "unshare does not work here"
        os.close(ready)

    @property
    def enter(self):
        return ["nsenter", "-t", str(self.process.pid), "-n", "-m", "--"]

    def close(self):
        self.process.kill()
        self.process.wait()


def wait_until(check, timeout=10, every=0.05, what="it"):
    """Waits until check() gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(every)


class Machine:
    """One pretend machine. `conf` may be changed before the first command."""

    def __init__(self, workdir=None):
        self.id = secrets.token_hex(3)
        self.dir = pathlib.Path(workdir or tempfile.mkdtemp(prefix=f"potter-e2e-{self.id}."))
        self.dir.chmod(0o755)
        self.cgroup = f"pot-test-{self.id}"
        self.conf = {
            "POT_ZFS_ROOT": "zroot/pot",
            "POT_FS_ROOT": str(self.dir / "pot"),
            "POT_CACHE": str(self.dir / "cache"),
            "POT_TMP": str(self.dir / "tmp"),
            "POT_RUN_DIR": str(self.dir / "run"),
            "POT_GROUP": "root",
            "POT_CGROUP": self.cgroup,
            "POT_BRIDGE": "pot0",
            "POT_NFT_TABLE": "pot",
            "POT_EXTIF": "ext0",
            "POT_NETWORK": "10.192.0.0/10",
            "POT_NETMASK": "255.192.0.0",
            "POT_GATEWAY": "10.192.0.1",
            "POT_DNS_IP": "10.192.0.2",
        }
        if REAL_ZFS:  # which would otherwise be taken whenever its pool is there
            self.conf["POT_DATASET_BACKEND"] = "overlay"
        self.holder = Holder()
        self.neighbour = Holder()
        self.children = []
        self.volumes = []
        self.real_zfs = False
        self.join_outside()

    # ---- running things inside ----

    @property
    def conf_file(self):
        return self.dir / "pot.conf"

    @property
    def env(self):
        """What programs under test see; sanitizers are told to fail loudly."""
        return {
            "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.dir),
            "LANG": "C.UTF-8",
            "POT_CONF": str(self.conf_file),
            "POTTER_LIBEXEC": str(BIN),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "abort_on_error=0:detect_leaks=0"),
            "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1"),
        }

    def write_conf(self):
        text = "".join(f"{key}={value}\n" for key, value in self.conf.items())
        if not self.conf_file.exists() or self.conf_file.read_text() != text:
            self.conf_file.write_text(text)

    def popen(self, *argv, env=None, **options):
        """A process inside, ended at the end of the test at the latest."""
        self.write_conf()
        process = subprocess.Popen([*self.holder.enter, *map(str, argv)], env={**self.env, **(env or {})},
                                   cwd=options.pop("cwd", self.dir), **options)
        self.children.append(process)
        return process

    def try_run(self, *argv, timeout=60, input=None, env=None, cwd=None, text=True):
        """Runs a command inside; any exit code is fine."""
        self.write_conf()
        return subprocess.run([*self.holder.enter, *map(str, argv)], env={**self.env, **(env or {})}, text=text,
                              cwd=cwd or self.dir, capture_output=True, timeout=timeout, input=input,
                              **({} if input is not None else {}))

    def run(self, *argv, **options):
        """Runs a command inside that must succeed; its output."""
        result = self.try_run(*argv, **options)
        if result.returncode != 0:
            raise Failure("failed", result)
        return result.stdout

    def listening(self, port):
        """Does somebody listen on this TCP port inside?"""
        lines = self.run("cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()
        rows = [line.split() for line in lines if ":" in line]
        return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows if len(row) > 3)

    def http(self, url, pot=None, outside=False, timeout=3):
        """The body that a GET gives, asked for from here, from inside a pot's network, or from the other host; None when
        nobody answers."""
        enter = self.neighbour.enter if outside else self.holder.enter
        if pot:
            pid = next(row["pid"] for row in self.pot_json("ps") if row["name"] == pot)
            enter = ["nsenter", "-t", str(pid), "-n", "--"]
        program = f"import urllib.request as u; print(u.urlopen({url!r}, timeout={timeout}).read().decode(), end='')"
        result = subprocess.run([*enter, sys.executable, "-c", program], env=self.env, text=True, capture_output=True,
                                timeout=60)
        return result.stdout if result.returncode == 0 else None

    # ---- pot ----

    def try_pot(self, *argv, **options):
        result = self.try_run(BIN / "pot", *argv, **options)
        if "AddressSanitizer" in result.stderr or "runtime error:" in result.stderr:
            raise Failure("a sanitizer complains", result)
        return result

    def pot(self, *argv, **options):
        """A pot command that must succeed; its output."""
        result = self.try_pot(*argv, **options)
        if result.returncode != 0:
            raise Failure("failed", result)
        return result.stdout

    def pot_fails(self, *argv, code=1, says="", **options):
        """A pot command that must fail with this code and these words."""
        result = self.try_pot(*argv, **options)
        if result.returncode != code:
            raise Failure(f"exit code is not {code}", result)
        if says not in result.stdout + result.stderr:
            raise Failure(f"does not say {says!r}", result)
        return result

    def pot_json(self, *argv, **options):
        return json.loads(self.pot(*argv, "--json", **options))

    def init(self, vnet=False):
        self.pot("init")
        if vnet:
            self.pot("vnet-start")

    def busybox_root(self):
        """A small userland as a directory; the same one each time."""
        root = self.dir / "busybox"
        if root.exists():
            return root
        for name in ("bin", "etc", "dev", "proc", "sys", "tmp", "root", "var", "usr/bin", "home"):
            (root / name).mkdir(parents=True)
        shutil.copy(BUSYBOX, root / "bin" / "busybox")
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
        (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home:/bin/sh\n")
        (root / "etc" / "group").write_text("root:x:0:\nweb:x:1000:\n")
        (root / "tmp").chmod(0o1777)
        return root

    def make_base(self, name="bb"):
        self.pot("create-base", "-b", name, "-d", self.busybox_root())
        return name

    def make_pot(self, name, *options, base="bb", cmd="sleep 100000"):
        kind = () if "-t" in options else ("-t", "single")
        self.pot("create", "-p", name, *kind, "-b", base, *options)
        if cmd is not None:
            self.pot("set-cmd", "-p", name, "-c", cmd)
        return name

    def start(self, *names):
        for name in names:
            self.pot("start", "-d", name)

    def running(self):
        return self.pot("ps", "-q").split()

    # ---- a file system of its own ----

    def btrfs_volume(self):
        """A btrfs, in memory, for the tree of pots; only the machine sees it."""
        memory, volume = self.dir / "memory", self.dir / "volume"
        for where in (memory, volume):
            where.mkdir()
        self.run("mount", "-t", "tmpfs", "tmpfs", memory)
        self.volumes.append(memory)
        self.run("truncate", "-s", "1G", memory / "image")
        self.run("mkfs.btrfs", "-q", memory / "image")
        self.run("mount", "-o", "loop", memory / "image", volume)
        self.volumes.append(volume)
        self.conf["POT_FS_ROOT"] = str(volume / "pot")
        if REAL_ZFS:
            self.conf["POT_DATASET_BACKEND"] = "btrfs"
        return volume

    def zfs(self):
        """The tree of pots in a ZFS: the real one, or what answers in its place and copies."""
        if REAL_ZFS:
            assert subprocess.run(["zfs", "list", "zroot/pot"], capture_output=True).returncode == 1, "zroot/pot is there"
            # ZFS mounts snapshots, when somebody looks into them, where process 1 sees them
            self.holder.close()
            self.holder = Holder(mounts=False)
            self.join_outside()
            self.real_zfs = True
            self.conf["POT_DATASET_BACKEND"] = "zfs"
            return
        answers = BUILD / "tests/unit/platform/zfs-answers"
        if not answers.exists():
            pytest.skip("zfs-answers was not built")
        (self.dir / "answers").mkdir()
        self.conf["POT_ZFS_COMMAND"] = shutil.copy(answers, self.dir / "answers/zfs")

    def on(self, backend):
        """With this backend for datasets; to be called before pot init."""
        if backend == "btrfs":
            self.btrfs_volume()
        if backend == "zfs":
            self.zfs()

    def settle(self):
        """Sizes are known when things are written down."""
        if self.real_zfs:
            subprocess.run(["zpool", "sync", "zroot"], check=True)
        else:
            self.run("sync", "-f", self.conf["POT_FS_ROOT"])

    # ---- another host, joined by ext0 ----

    def join_outside(self):
        """ext0 leads to another host: 203.0.113.1 here, 203.0.113.2 there, 2001:db8::1 and ::2."""
        there = str(self.neighbour.process.pid)
        self.run("ip", "link", "add", "ext0", "type", "veth", "peer", "name", "ext0", "netns", there)
        for enter, v4, v6 in ((self.holder.enter, "203.0.113.1/24", "2001:db8::1/64"),
                              (self.neighbour.enter, "203.0.113.2/24", "2001:db8::2/64")):
            for argv in (["addr", "add", v4, "dev", "ext0"], ["-6", "addr", "add", v6, "dev", "ext0", "nodad"],
                         ["link", "set", "ext0", "up"], ["link", "set", "lo", "up"]):
                subprocess.run([*enter, "ip", *argv], check=True)
        self.run("ip", "route", "add", "default", "via", "203.0.113.2")

    def outside(self, *argv, timeout=20):
        """Runs a command on the other host; its output."""
        result = subprocess.run([*self.neighbour.enter, *map(str, argv)], env=self.env, text=True, capture_output=True,
                                timeout=timeout)
        if result.returncode != 0:
            raise Failure("failed outside", result)
        return result.stdout

    # ---- what is left ----

    def links(self):
        rows = json.loads(self.run("ip", "-j", "link", "show"))
        return sorted(row["ifname"] for row in rows if row["ifname"] not in ("lo", "ext0"))

    def pairs(self):
        """Host sides of pots' pairs."""
        return [name for name in self.links() if name.startswith("p") and len(name) == 13]

    def tables(self):
        if shutil.which("nft") is None:
            return []
        return self.run("nft", "list", "tables").split("\n")[:-1]

    def mounts(self):
        lines = self.run("cat", "/proc/self/mountinfo").splitlines()
        own = [str(path) for path in self.volumes]
        return [path for path in (line.split()[4] for line in lines) if str(self.dir) in path and path not in own]

    def cgroup_dirs(self):
        found = []
        for mount in pathlib.Path("/sys/fs/cgroup").iterdir() if os.path.isdir("/sys/fs/cgroup") else []:
            top = mount if mount.name == self.cgroup else mount / self.cgroup
            if top.is_dir():
                found += [str(p) for p in top.rglob("*") if p.is_dir()] + [str(top)]
        return found

    def processes(self):
        """Processes of this machine: by their configuration, or by their network namespace."""
        mark = f"POT_CONF={self.conf_file}".encode()
        held = {self.holder.process.pid, self.neighbour.process.pid}
        spaces = {os.readlink(f"/proc/{pid}/ns/net") for pid in held}
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) in held:
                continue
            try:
                ours = mark in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
                ours = ours or os.readlink(f"/proc/{entry}/ns/net") in spaces
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                ours = ours or str(self.dir) in words
                state = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except (OSError, IndexError):
                continue
            if ours and state != "Z":
                found[int(entry)] = words.strip()
        return found

    def run_files(self):
        """Records of runs; how a run ended may stay with its pot."""
        runs = pathlib.Path(self.conf["POT_RUN_DIR"]) / "runs"
        files = [p for p in runs.rglob("*") if p.is_file()] if runs.is_dir() else []
        return sorted(str(p.relative_to(runs)) for p in files if p.name != "exit")

    def residue(self, bridge=False):
        """What no stopped machine should have; with bridge, what vnet-start made may stay."""
        left = []
        # The kernel takes a pot's pair apart after the pot's last process has gone, and after connections that nobody
        # owns any more have ended, which can take some seconds.
        try:
            wait_until(lambda: not self.pairs(), timeout=20)
        except AssertionError:
            pass
        left += [f"link {name}" for name in self.links() if not (bridge and name == self.conf["POT_BRIDGE"])]
        left += [] if bridge else [f"nft {table}" for table in self.tables()]
        left += [f"mount {path}" for path in self.mounts()]
        left += [f"cgroup {path}" for path in self.cgroup_dirs() if not (bridge and path.endswith(self.cgroup))]
        left += [f"process {pid} {words}" for pid, words in self.processes().items()]
        left += [f"run file {name}" for name in self.run_files()]
        return left

    def end_children(self):
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()
        self.children = []

    def close(self, check=True):
        """Takes everything down; with check, says what was left over."""
        left = []
        try:
            self.end_children()
            if self.try_run("test", "-e", self.conf["POT_FS_ROOT"]).returncode == 0:
                result = self.try_pot("de-init", "-f")
                if result.returncode != 0:
                    left.append(f"de-init: {result.stdout}{result.stderr}")
            if check:
                # A keeper that was told to end needs a moment to do so; nothing else is waited for.
                try:
                    wait_until(lambda: not self.processes(), timeout=3)
                except AssertionError:
                    pass
                left += self.residue()
                left += [f"file {p}" for p in self.try_run("ls", "-A", self.conf["POT_FS_ROOT"]).stdout.split()]
        finally:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            if self.real_zfs and self.try_run("zfs", "destroy", "-f", "-R", "zroot/pot").returncode == 0:
                left.append("zroot/pot")
            self.holder.close()
            self.neighbour.close()
            for path in sorted(self.cgroup_dirs(), key=len, reverse=True):
                try:
                    os.rmdir(path)
                except OSError:
                    pass
            subprocess.run(["rm", "-rf", "--one-file-system", str(self.dir)], check=False)
        return left
