#!/usr/bin/env python3
"""Each man page passes mandoc's lint, and each installed command has one."""
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGES = TOP / "docs" / "man"


def main():
    faults = []
    for page in sorted(PAGES.glob("*.[1-9]")):
        result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True)
        faults.extend(line for line in (result.stdout + result.stderr).splitlines() if line)
    for program in ("pot", "potnet", "potter", "minipot", "nomad-pot-driver"):
        if not list(PAGES.glob(f"{program}.[18]")):
            faults.append(f"{program}: no man page in docs/man")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
