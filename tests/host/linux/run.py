#!/usr/bin/env python3
"""What needs a real ZFS and real cgroup v2 controllers: their answers, and the tests that use them.

  tests/host/linux/run.py [--build DIR] [--only zfs,datasets,limits,e2e] [--keep-recording]

With LINUX_IMAGE=DIR (tests/host/linux/image.py makes one, in some minutes, as root) it runs in a guest under QEMU, which sees
this checkout and nothing else. Without, it runs here, as root, where ZFS is loaded and where a pool zroot without the dataset
zroot/pot may be used. Where neither is possible it says so and exits with 77. The build is one without sanitizers, made with
Debian 12's libraries: they are far too slow in a guest without KVM.

  zfs        asks the zfs what platform/zfs asks it, and compares the stand-in with it (record_zfs.py)
  datasets   what each dataset backend promises, asked of the real zfs as well (tests/unit/platform/datasets.c)
  limits     control groups, in the tree that is mounted here (tests/unit/platform/limits.c)
  e2e        the end-to-end tests for limits, and those for datasets, images, types of pots and the long ways, on the real zfs
"""
import argparse
import base64
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[2]
sys.path.insert(0, str(HERE))
import guest as guests  # noqa: E402

SKIPPED = 77
PARTS = ("zfs", "datasets", "limits", "e2e")
RECORDING = "/tmp/recording"
# the tests of each file that are of interest here
E2E = {"test_pot_limits.py": "not looking", "test_pot_datasets.py": "zfs", "test_pot_layers.py": "zfs", "test_pot_types.py": "zfs",
       "zfs_scenarios.py": ""}
POOL = "zpool list zroot >/dev/null 2>&1 || zpool create -f -O mountpoint=none zroot /dev/vdb"


def steps(build, only):
    """(name, shell command) for each part; they run in the checkout."""
    unit = f"{build}/tests/unit/unit-platform"
    if "zfs" in only:
        yield "what zfs answers", f"python3 tests/host/linux/record_zfs.py --build {build} --out {RECORDING}"
    if "datasets" in only:
        yield "datasets", f"POTTER_REAL_ZFS=1 {unit}-datasets"
    if "limits" in only:
        yield "limits", f"{unit}-limits"
    for name, which in E2E.items() if "e2e" in only else ():
        yield name, (f"POTTER_REAL_ZFS=1 POTTER_BUILD={build} PYTHONDONTWRITEBYTECODE=1 python3 -m pytest -q -p no:cacheprovider "
                     f"tests/e2e/{name}" + (f" -k '{which}'" if which else ""))


def told(results):
    for name, code in results:
        print(f"{name:28} {'ok' if code == 0 else 'skipped' if code == SKIPPED else 'FAILED'}")
    return 1 if any(code not in (0, SKIPPED) for _, code in results) else 0


def in_guest(image, build, only, keep):
    inside = pathlib.Path("/source") / build.relative_to(TOP)
    results = []
    with guests.Guest(image) as guest:
        guest.run("mkdir -p /source && mount -t 9p -o trans=virtio,ro,version=9p2000.L,msize=512000 source /source")
        guest.run(POOL)
        for name, line in steps(inside, only):
            print(f"== {name}", flush=True)
            results.append((name, guest.run(f"cd /source && {line}", check=False, show=True, timeout=7200)[0]))
        if keep and "zfs" in only:
            packed = guest.run(f"tar -C {RECORDING} -cf - . | base64")
            with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as tar:
                tar.extractall(TOP / "tests/fixtures/zfs", filter="data")
    return told(results)


def here(build, only, keep):
    results = []
    for name, line in steps(build, only):
        print(f"== {name}", flush=True)
        results.append((name, subprocess.run(["sh", "-c", line], cwd=TOP).returncode))
    if keep and "zfs" in only:
        shutil.copytree(RECORDING, TOP / "tests/fixtures/zfs", dirs_exist_ok=True)
    return told(results)


def why_not_here():
    if os.geteuid() != 0 or not pathlib.Path("/dev/zfs").exists():
        return "there is no ZFS here, or no root"
    if subprocess.run(["zpool", "list", "zroot"], capture_output=True).returncode != 0:
        return "there is no pool zroot"
    if subprocess.run(["zfs", "list", "zroot/pot"], capture_output=True).returncode == 0:
        return "zroot/pot is in use"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build-guest")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--keep-recording", action="store_true", help="into tests/fixtures/zfs")
    options = parser.parse_args()
    image, build, only = os.environ.get("LINUX_IMAGE"), options.build.resolve(), options.only.split(",")
    if set(only) - set(PARTS):
        parser.error(f"--only takes {', '.join(PARTS)}")
    why = guests.why_not(image) if image else why_not_here()
    if why:
        print(f"SKIP: {why}.\nLINUX_IMAGE=DIR names a guest to do this in; tests/host/linux/image.py DIR makes it, as root.")
        return SKIPPED
    if not (build / "src/bin/pot").exists():
        print(f"{build} is not built: meson setup {build} -Dbuildtype=debugoptimized && ninja -C {build}")
        return 1
    return in_guest(image, build, only, options.keep_recording) if image else here(build, only, options.keep_recording)


if __name__ == "__main__":
    sys.exit(main())
