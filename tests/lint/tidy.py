#!/usr/bin/env python3
"""clang-tidy over every file of the build, with the checks of .clang-tidy; two at a time."""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def tidy(build, path):
    result = subprocess.run(["clang-tidy", "-p", str(build), "--quiet",
                             "--extra-arg=-Wno-unknown-warning-option", str(path)], capture_output=True, text=True)
    return [line for line in result.stdout.splitlines() if "error:" in line or "warning:" in line]


def main():
    build = pathlib.Path(os.environ.get("POTTER_BUILD", TOP / "build")).resolve()
    commands = json.loads((build / "compile_commands.json").read_text())
    paths = sorted({(pathlib.Path(c["directory"]) / c["file"]).resolve() for c in commands})
    paths = [p for p in paths if p.is_relative_to(TOP / "src")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = sorted({line for found in pool.map(lambda p: tidy(build, p), paths) for line in found})
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
