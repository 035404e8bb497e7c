#!/usr/bin/env python3
"""Layout by clang-format, and how long files may get."""
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
LINES_MAX = 1000


def main():
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=TOP, check=True, capture_output=True,
                           text=True).stdout.split()
    faults = []
    for name in files:
        lines = len((TOP / name).read_text().splitlines())
        if lines > LINES_MAX:
            faults.append(f"{name}: {lines} lines; would two files be clearer?")
    result = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], cwd=TOP, capture_output=True, text=True)
    if result.returncode != 0:
        faults.extend(line for line in result.stderr.splitlines() if "error:" in line)
        faults.append("run: make format")
    print("\n".join(faults[:40]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
