"""A FreeBSD machine to test on: one reached by ssh, or an image started under QEMU.

  FREEBSD_HOST=[user@]name[:port]   a machine that may be ruined: root by ssh, a pool, nothing of pot in use
  FREEBSD_IMAGE=FILE                a qcow2 or raw image; it is not written to
  FREEBSD_KERNEL=FILE               with an image: this kernel, loaded by QEMU itself (the image needs no loader)
  FREEBSD_SSH="-i key ..."          further words for ssh
  FREEBSD_BUILD=DIR                 where the programs for FreeBSD are (default: build-freebsd)
  FREEBSD_EXTIF=vtnet0              the machine's interface to the outside
"""
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("FREEBSD_BUILD", TOP / "build-freebsd")).resolve()
BOOT = "sysctl -bn kern.boot_id | md5"
EXTIF = os.environ.get("FREEBSD_EXTIF", "vtnet0")
HOW = """neither FREEBSD_IMAGE nor FREEBSD_HOST is set. An image: the file FreeBSD-14.2-RELEASE-amd64-BASIC-CI.raw.xz of
https://download.freebsd.org/releases/CI-IMAGES/ (unpacked) lets root in by ssh without a password; a second disk for the
pool is added by this test. Or name a machine: FREEBSD_HOST=root@name. Then: make freebsd && make test-freebsd"""


class Failure(AssertionError):
    """A command on the machine did not do what was expected: shows all of it."""

    def __init__(self, command, r):
        super().__init__(f"{command}\nexit code {r.returncode}\n--- stdout\n{r.stdout[-6000:]}\n--- stderr\n{r.stderr[-6000:]}")


class Host:
    """Commands run as root on the machine, over one ssh connection that stays open."""

    def __init__(self, target, port=22, words=()):
        self.target, self.port = target, port
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="potter-freebsd."))
        self.words = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                      "-o", "ConnectTimeout=60", "-o", "ControlMaster=auto", "-o", f"ControlPath={self.dir}/ssh",
                      "-o", "ControlPersist=3600", *words]

    def ssh(self, command):
        return ["ssh", *self.words, "-p", str(self.port), self.target, command]

    def raw(self, command, timeout=600, stdin=None):
        """One command line for the machine's sh."""
        return subprocess.run(self.ssh(command), capture_output=True, text=True, timeout=timeout,
                              **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))

    def sh(self, command, ok=True, timeout=600, stdin=None):
        """Its standard output; ok: the exit status wanted (True: 0, False: not 0, None: any)."""
        r = self.raw(command, timeout, stdin)
        if ok is not None and (r.returncode == 0) != ok or r.returncode == 255:
            raise Failure(command, r)
        return r.stdout

    def run(self, *argv, **kw):
        return self.sh(shlex.join(map(str, argv)), **kw)

    def pot(self, *argv, **kw):
        return self.run("pot", *argv, **kw)

    def push(self, files, dest, mode=None):
        """Copies files (paths here) into the directory dest there."""
        tar = subprocess.Popen(["tar", "cf", "-", "--owner=0", "--group=0",
                                *[w for f in files for w in ("-C", str(pathlib.Path(f).parent), pathlib.Path(f).name)]],
                               stdout=subprocess.PIPE)
        subprocess.run(self.ssh(f"mkdir -p {dest} && tar xf - -C {dest}"), stdin=tar.stdout, check=True)
        assert tar.wait() == 0
        if mode:
            for f in files:
                self.sh(f"chmod {mode} {dest}/{pathlib.Path(f).name}")

    def write(self, path, text, mode=None):
        self.sh(f"cat >{path}" + (f" && chmod {mode} {path}" if mode else ""), stdin=text)

    def disconnect(self):
        subprocess.run(["ssh", *self.words, "-O", "exit", self.target], capture_output=True)

    def wait_up(self, limit=600, before=""):
        """Until it answers, from another boot than `before`; a machine that boots under emulation takes half a minute and more."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            r = subprocess.run(["ssh", *self.words, "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ConnectTimeout=10",
                                "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2", "-p", str(self.port), self.target,
                                BOOT], capture_output=True, stdin=subprocess.DEVNULL)
            if r.returncode == 0 and r.stdout.decode() != before:
                return
            time.sleep(1)
        raise AssertionError(f"{self.target} did not answer in {limit} s: {r.stderr.decode()}")

    def reboot(self, hard=False):
        """hard: no process is told, nothing is synced. On 14.2 `reboot` kills nobody where there are jails (the kernel's kill(-1)
        passes over prison0) and syncs for up to a minute, in which the machine still answers: shutdown tells the services."""
        before = self.sh(BOOT)
        self.sh("nohup sh -c 'sleep 1; " + ("reboot -nq" if hard else "shutdown -r now") + "' >/dev/null 2>&1 &")
        self.disconnect()
        self.wait_up(before=before)

    def close(self):
        self.disconnect()
        shutil.rmtree(self.dir, ignore_errors=True)


class Image(Host):
    """An image under QEMU: written to a layer that is thrown away, with a disk for the pool."""

    def __init__(self, image, kernel=None, words=()):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        super().__init__("root@127.0.0.1", port, words)
        for name, back in (("root", image), ("pool", None)):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2",
                            *(["-b", str(pathlib.Path(back).resolve()), "-F", self.format_of(back)] if back else []),
                            f"{self.dir}/{name}", *([] if back else ["16G"])], check=True)
        self.console = open(self.dir / "console", "wb")
        self.machine = subprocess.Popen(self.command(kernel), stdin=subprocess.DEVNULL, stdout=self.console,
                                        stderr=subprocess.STDOUT)
        try:
            self.wait_up(900)
        except AssertionError as e:
            self.close()
            raise AssertionError(f"{e}\n{(self.dir / 'console').read_text(errors='replace')[-3000:]}")

    @staticmethod
    def format_of(path):
        with open(path, "rb") as f:
            return "qcow2" if f.read(4) == b"QFI\xfb" else "raw"

    def command(self, kernel):
        accel = "kvm:tcg" if os.access("/dev/kvm", os.W_OK) and os.environ.get("FREEBSD_KVM", "1") != "0" else "tcg"
        boot = ["-kernel", kernel, "-append", os.environ.get("FREEBSD_KENV", "vfs.root.mountfrom=ufs:/dev/vtbd0 kern.racct.enable=1")] \
            if kernel else []
        disks = [w for n in ("root", "pool") for w in
                 ("-drive", f"file={self.dir}/{n},format=qcow2,if=virtio,cache=unsafe")]
        return ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-M", f"pc,accel={accel}", "-cpu", "max,la57=off",
                "-smp", "2", "-m", "2048", *boot, *disks, "-serial", "stdio", "-netdev",
                f"user,id=n,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-net-pci,netdev=n"]

    def close(self):
        self.machine.terminate()
        self.machine.wait()
        self.console.close()
        super().close()


def connect():
    """The machine that the environment names; None where it names none."""
    words = shlex.split(os.environ.get("FREEBSD_SSH", ""))
    if os.environ.get("FREEBSD_HOST"):
        target, _, port = os.environ["FREEBSD_HOST"].partition(":")
        return Host(target if "@" in target else f"root@{target}", int(port or 22), words)
    if os.environ.get("FREEBSD_IMAGE"):
        return Image(os.environ["FREEBSD_IMAGE"], os.environ.get("FREEBSD_KERNEL"), words)
    return None
