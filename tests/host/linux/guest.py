"""A Linux guest in QEMU: real cgroup v2 controllers under systemd, real ZFS. It is changed in memory only.

LINUX_IMAGE names a directory as image.py makes it; LINUX_ACCEL=kvm makes it quick where that works. The checkout is seen in the guest at /source, read-only.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[3]
QEMU = "qemu-system-x86_64"
POOL_BYTES = 3 << 30  # of the disk for ZFS, sparse


def why_not(image):
    """Why there can be no guest, or None."""
    if shutil.which(QEMU) is None:
        return f"{QEMU} is missing: install qemu-system-x86"
    missing = [name for name in ("vmlinuz", "initrd.img", "root.img") if not (pathlib.Path(image) / name).exists()]
    return f"LINUX_IMAGE={image} lacks {', '.join(missing)}: tests/host/linux/image.py makes it" if missing else None


class Guest:
    """Runs while it is open; run() gives commands to it."""

    def __init__(self, image, memory="4G", cpus=2, log=None):
        self.image = pathlib.Path(image)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="potter-guest."))
        self.log = pathlib.Path(log or self.dir / "console")
        self.process = subprocess.Popen(self.command(memory, cpus), stdin=subprocess.DEVNULL)
        self.channel = self.connect()

    def command(self, memory, cpus):
        pool = self.dir / "pool"
        with open(pool, "wb") as f:
            f.truncate(POOL_BYTES)
        return [QEMU, "-machine", "pc", "-accel", os.environ.get("LINUX_ACCEL", "tcg,thread=multi"), "-cpu", "max",
                "-smp", str(cpus), "-m", memory, "-display", "none", "-no-reboot", "-nic", "none",
                "-serial", f"file:{self.log}", "-kernel", self.image / "vmlinuz", "-initrd", self.image / "initrd.img",
                "-append", "root=/dev/vda rw console=ttyS0 quiet mitigations=off systemd.show_status=no",
                "-drive", f"file={self.image / 'root.img'},format=raw,if=virtio,snapshot=on",
                "-drive", f"file={pool},format=raw,if=virtio,cache=unsafe",
                "-virtfs", f"local,path={TOP},mount_tag=source,security_model=none,readonly=on,multidevs=remap",
                "-device", "virtio-serial", "-chardev", f"socket,id=potter,path={self.dir}/port,server=on,wait=off",
                "-device", "virtserialport,chardev=potter,name=potter"]

    def connect(self):
        path = self.dir / "port"
        channel = socket.socket(socket.AF_UNIX)
        while True:
            try:
                channel.connect(str(path))
                break
            except OSError:
                self.process.poll()
                if self.process.returncode is not None:
                    raise RuntimeError(f"{QEMU} ended") from None
        channel.settimeout(900)
        self.lines = channel.makefile("r")
        assert json.loads(self.lines.readline())["ready"]
        return channel

    def stream(self, line, timeout=900):
        """Runs a shell command; gives its output as it comes, and its exit code last."""
        self.channel.settimeout(timeout + 60)
        self.channel.sendall(json.dumps({"sh": line, "timeout": timeout}).encode() + b"\n")
        while True:
            said = json.loads(self.lines.readline() or '{"code": -1}')
            yield said.get("out", said.get("code"))
            if "code" in said:
                return

    def run(self, line, check=True, show=False, timeout=900):
        """The output of a shell command; with check it must succeed."""
        output = []
        for part in self.stream(line, timeout):
            if isinstance(part, int):
                if check and part != 0:
                    raise RuntimeError(f"{line}: exit code {part}\n{''.join(output)}")
                return "".join(output) if check else (part, "".join(output))
            output.append(part)
            if show:
                print(part, end="", flush=True)
        raise RuntimeError("the guest ended")

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    with Guest(os.environ["LINUX_IMAGE"]) as guest:
        sys.exit(guest.run(" ".join(sys.argv[1:]), check=False, show=True)[0])
