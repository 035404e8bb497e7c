#!/usr/bin/env python3
"""The arrows of arrows.txt: an include without an arrow, or a platform choice outside src/platform, fails."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def read_arrows():
    arrows = {}
    for line in (TOP / "arrows.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            folder, _, uses = line.partition(":")
            arrows[folder.strip()] = set(uses.split())
    return arrows


def meson_arrows():
    text = (TOP / "meson.build").read_text()
    rows = re.findall(r"\['(\w+)',\s*\[([^\]]*)\]\]", text)
    return {name: set(re.findall(r"'(\w+)'", uses)) for name, uses in rows}


def check_includes(arrows):
    for path in sorted((TOP / "src").rglob("*.[ch]")):
        where = path.relative_to(TOP / "src")
        folder = where.parts[0]
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            here = f"src/{where}:{number}"
            m = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
            if m and m[1] != folder and m[1] in arrows and m[1] not in arrows[folder]:
                yield f"{here}: {folder} may not use {m[1]} (arrows.txt)"
            if folder != "platform" and re.match(r"\s*#\s*(if|elif).*\b(__linux__|__FreeBSD__)", line):
                yield f"{here}: a choice of system belongs in src/platform"
            if re.search(r"\b(system|popen)\s*\(", line) and not line.lstrip().startswith(("*", "/*")):
                yield f"{here}: no shell in the path"


def main():
    arrows = read_arrows()
    faults = list(check_includes(arrows))
    for folder, uses in meson_arrows().items():
        if uses != arrows.get(folder):
            faults.append(f"meson.build and arrows.txt disagree about {folder}")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
