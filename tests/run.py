#!/usr/bin/env python3
"""Runs every suite and prints one last line: N passed, N failed (and what skipped, with its reason).

  tests/run.py [--build DIR] [--only lint,unit,e2e]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

TOP = pathlib.Path(__file__).resolve().parents[1]
SKIPPED = 77  # the exit status by which a test says that it cannot run here


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add(self, name, ok, why=""):
        if ok is None:
            self.skipped.append(f"{name}: {why}")
        elif ok:
            self.passed += 1
        else:
            self.failed.append(name)


def run_lint(build, tally):
    for script in sorted((TOP / "tests" / "lint").glob("*.py")):
        began = time.monotonic()
        result = subprocess.run([sys.executable, str(script)], cwd=TOP, capture_output=True, text=True,
                                env={**os.environ, "POTTER_BUILD": str(build)})
        text = (result.stdout + result.stderr).strip()
        skip = result.returncode == SKIPPED
        word = "skip" if skip else "ok" if result.returncode == 0 else "FAIL"
        print(f"lint {script.stem:12} {word} {time.monotonic() - began:.1f} s", flush=True)
        if text and word != "ok":
            print(text)
        tally.add(f"lint/{script.stem}", None if skip else result.returncode == 0, text)


def compile_tree(build):
    if not (build / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(build), "-Db_sanitize=address,undefined", "--libexecdir=libexec"], cwd=TOP,
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(build)], cwd=TOP, check=True)


def compile_release(tally):
    """What `make demo` installs: other flags, and for the small programs another C library."""
    ok = subprocess.run(["make", "--no-print-directory", "build"], cwd=TOP).returncode == 0
    tally.add("release build", ok)


def run_meson(build, tally):
    subprocess.run(["meson", "test", "-C", str(build), "--print-errorlogs", "--timeout-multiplier", "3"], cwd=TOP)
    log = build / "meson-logs" / "testlog.json"
    for line in log.read_text().splitlines():
        row = json.loads(line)
        ok = {"OK": True, "SKIP": None}.get(row["result"], False)
        tally.add(row["name"], ok, row.get("stdout", "").strip().splitlines()[-1:] or "")


def run_pytest(build, tally):
    report = build / "e2e.xml"
    report.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
                    str(TOP / "tests" / "e2e")], cwd=TOP,
                   env={**os.environ, "POTTER_BUILD": str(build), "POTTER_RELEASE": str(TOP / "build-release")})
    if not report.exists():
        tally.add("e2e", False)
        return
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skip = case.find("skipped")
        bad = case.find("failure") is not None or case.find("error") is not None
        tally.add(name, None if skip is not None else not bad, skip.get("message") if skip is not None else "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build-test")
    parser.add_argument("--only", default="lint,unit,e2e")
    args = parser.parse_args()
    build = (TOP / args.build).resolve()
    tally, only = Tally(), args.only.split(",")
    compile_tree(build)
    if "lint" in only:
        run_lint(build, tally)
    if "unit" in only:
        run_meson(build, tally)
    if "e2e" in only:
        compile_release(tally)
        run_pytest(build, tally)
    for line in tally.skipped:
        print(f"skipped: {line}")
    for line in tally.failed:
        print(f"failed: {line}")
    print(f"{tally.passed} passed, {len(tally.failed)} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
