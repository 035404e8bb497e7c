#!/usr/bin/env python3
"""packaging/pot.default.conf says what src/pot/config.c does: same keys, same values."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def main():
    table = dict(re.findall(r'\{ \{ "(POT_\w+)",\s*"([^"]*)"', (TOP / "src/pot/config.c").read_text()))
    table.pop("POT_MKTEMP_SUFFIX", None)
    lines = (TOP / "packaging/pot.default.conf").read_text().splitlines()
    file = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    faults = [f"{key}: {table.get(key)!r} in the table, {file.get(key)!r} in the file"
              for key in sorted(table.keys() | file.keys()) if table.get(key) != file.get(key)]
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
