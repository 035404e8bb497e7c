#!/usr/bin/env python3
"""Makes a directory that LINUX_IMAGE may name: Debian 12 with its own kernel, OpenZFS from contrib, and what the tests need.

  tests/host/linux/image.py DIR      as root, on Debian or with debootstrap; 4 GB, some minutes (ZFS's modules are compiled)

DIR/vmlinuz, DIR/initrd.img and DIR/root.img are made; the guest changes none of them.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[2]
SIZE = "6G"
KERNEL = "linux-image-amd64 linux-headers-amd64 zfs-dkms zfsutils-linux".split()
# what the tests need and deps.sh does not name: it builds there
RUN = """libevent-2.1-7 libjansson4 libsqlite3-0 libnghttp2-14 libprotobuf-c1 libarchive13 libcurl4 libseccomp2 libcap2
 libwslay1 libcmocka0 python3-pytest python3-requests nginx-light haproxy curl iproute2 nftables busybox-static iputils-ping
 dnsutils xz-utils e2fsprogs btrfs-progs signify-openbsd procps attr acl openssl zsh fish""".split()
UNIT = """[Unit]
Description=Commands from outside the guest
[Service]
ExecStart=/usr/local/sbin/potter-guest-agent
Delegate=yes
KillMode=process
[Install]
WantedBy=multi-user.target
"""


def shell(*argv, root=None, **options):
    """Runs a command, in a root when one is given."""
    enter = ["chroot", str(root)] if root else []
    subprocess.run([*enter, *map(str, argv)], check=True, **options)


def packages(root, names):
    shell("apt-get", "install", "-y", "-qq", "--no-install-recommends", *names, root=root,
          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})


def userland(root):
    mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
    shell("debootstrap", "--variant=minbase", "--include=systemd-sysv,kmod,udev,python3", "bookworm", root, mirror)
    (root / "etc/apt/sources.list").write_text(f"deb {mirror} bookworm main contrib\n")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    policy = root / "usr/sbin/policy-rc.d"  # no daemon starts here
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    shell("mount", "-t", "proc", "proc", root / "proc")
    try:
        shell("apt-get", "update", "-qq", root=root)
        packages(root, RUN + ["initramfs-tools", "gcc", "make"])
        packages(root, KERNEL)
    finally:
        shell("umount", root / "proc")


def prepare(root):
    """What the guest does by itself: nothing but taking commands."""
    shell("install", "-m", "755", HERE / "agent.py", root / "usr/local/sbin/potter-guest-agent")
    (root / "etc/systemd/system/potter-guest-agent.service").write_text(UNIT)
    for name in ("nginx", "haproxy", "apt-daily.timer", "apt-daily-upgrade.timer", "zfs-import-cache", "zfs-mount", "e2scrub_reap"):
        shell("systemctl", "disable", name, root=root, stderr=subprocess.DEVNULL)
    shell("systemctl", "enable", "potter-guest-agent", root=root, stderr=subprocess.DEVNULL)
    (root / "etc/modules").write_text("zfs\n9p\n9pnet_virtio\noverlay\nbtrfs\nloop\nbfq\n")
    (root / "etc/fstab").write_text("")
    (root / "etc/hostname").write_text("guest\n")


def pack(root, out):
    """The newest kernel that is there, and the root as a file system."""
    version = sorted(p.name for p in (root / "lib/modules").iterdir())[-1]
    if not list((root / "lib/modules" / version).glob("updates/dkms/zfs.ko*")):
        raise SystemExit(f"ZFS's modules were not compiled for {version}")
    shutil.copy(root / f"boot/vmlinuz-{version}", out / "vmlinuz")
    shutil.copy(root / f"boot/initrd.img-{version}", out / "initrd.img")
    image = out / "root.img"
    image.unlink(missing_ok=True)
    shell("truncate", "-s", SIZE, image)
    shell("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", root, image)


def main():
    if len(sys.argv) != 2 or os.geteuid() != 0:
        raise SystemExit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        root = pathlib.Path(temporary) / "root"
        userland(root)
        prepare(root)
        pack(root, out)
    print(f"LINUX_IMAGE={out} tests/host/linux/run.py")


if __name__ == "__main__":
    main()
