#!/usr/bin/env python3
"""Asks a real zfs what platform/zfs asks it, and writes down its answers; compares them with the stand-in's.

  record_zfs.py [--build DIR] [--out DIR] [--version NAME]   as root, where ZFS is

A pool is made on a file and destroyed again. The scenes are those of tests/unit/platform/zfs.c; they are written to
OUT/<version>/<scene>, where the unit test finds them: every run of the tests replays them. Then zfs_answers, which
stands in for zfs elsewhere, is asked the same, and each line in which it differs is told.
"""
import argparse
import contextlib
import itertools
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[3]
SIZE = 1 << 30
AT_ONCE = ("send", "receive", "create", "clone", "destroy")


@contextlib.contextmanager
def pool(name=None):
    """A pool of its own on a file."""
    name = name or f"potter{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="potter-pool.") as where:
        disk = pathlib.Path(where) / "disk"
        with open(disk, "wb") as f:
            f.truncate(SIZE)
        subprocess.run(["zpool", "create", "-O", "mountpoint=none", name, str(disk)], check=True)
        try:
            yield name
        finally:
            subprocess.run(["zpool", "destroy", "-f", name], check=True)


def play(build, out, **env):
    """Plays the scenes; None, or what failed."""
    out.mkdir(parents=True, exist_ok=True)
    test = build / "tests/unit/unit-platform-zfs"
    result = subprocess.run([test], env={**os.environ, "ZFS_RECORD": str(out), **env}, text=True, capture_output=True)
    return None if result.returncode == 0 else result.stdout + result.stderr


def versions():
    return subprocess.run(["zfs", "version"], check=True, text=True, capture_output=True).stdout.split()


def plain(text):
    """What must be alike: sizes are those of file systems, and only numbers here."""
    lines = []
    for line in text.splitlines():
        if line.startswith("> ") and "\t" in line:
            line = "\t".join("N" if re.fullmatch(r"\d+", word) else ",".join(sorted(word.split(","))) for word in line.split("\t"))
        # when the reader goes away early, whether the writer sees it is a matter of time
        if not (line == "= 141" and lines[-1].startswith("$ send")):
            lines.append(line)
    return lines


def answers(text):
    """[question, answers] in order; what runs at once may stand in any."""
    found = []
    for line in plain(text):
        if line.startswith("$ "):
            found.append((line, []))
        elif found and "! usage:" not in found[-1][1] or line.startswith("= "):
            found[-1][1].append(line)
    for _, said in found:  # what is in the way is told in no order
        said.sort()
    sorted_ones = []
    for at_once, group in itertools.groupby(found, key=lambda f: f[0].split()[1] in AT_ONCE):
        sorted_ones += sorted(group) if at_once else group
    return sorted_ones


def differences(real, stand_in):
    """Lines about what zfs_answers says otherwise."""
    told = []
    for scene in sorted(p.name for p in stand_in.iterdir()):
        one, other = answers((real / scene).read_text()), answers((stand_in / scene).read_text())
        for (asked, a), (also, b) in zip(one, other):
            if asked != also:
                told.append(f"{scene}: zfs is asked {asked}, the stand-in {also}")
                break
            if a != b:
                told.append(f"{scene}: {asked}\n  zfs:      {a}\n  stand-in: {b}")
    return told


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--out", type=pathlib.Path, default=TOP / "tests/fixtures/zfs")
    parser.add_argument("--version")
    options = parser.parse_args()
    build = options.build.resolve()
    if not pathlib.Path("/dev/zfs").exists() or shutil.which("zpool") is None:
        print("SKIP: there is no ZFS here")
        return 77
    tool, module = versions()
    version = options.version or re.sub(r"^zfs-([0-9.]+).*", r"\1", tool)
    out = options.out / version
    with pool() as name:
        failed = play(build, out, ZFS_POOL=name)
    if failed:
        print(failed)
        return 1
    (out / "about").write_text(f"{tool}\n{module}\nLinux {os.uname().release}\n")
    with tempfile.TemporaryDirectory() as where:
        program = pathlib.Path(where) / "zfs"
        shutil.copy(build / "tests/unit/platform/zfs-answers", program)
        failed = play(build, pathlib.Path(where) / "out", ZFS_PROGRAM=str(program), ZFS_POOL="zroot", ZFS_EVERYDAY="1")
        told = differences(out, pathlib.Path(where) / "out")
    print("\n".join(told) if told else f"zfs_answers says what {tool} says")
    if failed:
        print("with the stand-in:\n" + failed)
    return 1 if told or failed else 0


if __name__ == "__main__":
    sys.exit(main())
