#!/usr/bin/env python3
"""Every program compiles and links for FreeBSD: what `make freebsd` does (packaging/freebsd/cross.py).

Given files, or where the libraries' sources cannot be had, it only compiles: the given files, or all of
src/ outside the folders of other systems. Then headers of libraries that are the same on both systems are
taken from this machine. What links for one processor is compiled for the other too.
"""
import concurrent.futures
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
TARGET = "x86_64-freebsd"
OTHER = "aarch64-freebsd"
DEPS = TOP / "build-freebsd/deps/x86_64/include"  # the same on both
SKIPPED = 77
ELSEWHERE = ("src/platform/linux/", "src/platform/btrfs/")
# What FreeBSD's ports install as well: directories and files below /usr/include.
LIBRARIES = ["event2", "evhttp.h", "event.h", "evutil.h", "evdns.h", "jansson.h", "jansson_config.h",
             "sqlite3.h", "archive.h", "archive_entry.h", "lzma.h", "lzma", "curl", "openssl", "wslay", "nghttp2", "protobuf-c"]
FLAGS = ["-std=c17", "-D_GNU_SOURCE", "-D__BSD_VISIBLE=1", "-Wall", "-Wextra", "-Werror", "-Wshadow",
         "-Wmissing-prototypes", "-Wstrict-prototypes", "-Wvla", "-Wno-missing-field-initializers",
         "-Wno-format-truncation", "-Wno-unknown-warning-option", "-Wno-unused-command-line-argument",
         '-DPOTTER_VERSION="0"', '-DPREFIX="/usr/local"', '-DLIBEXECDIR="/usr/local/libexec/potter"']


def copy_library_headers(into):
    for name in LIBRARIES:
        found = [base / name for base in
                 (pathlib.Path("/usr/include"), *sorted(pathlib.Path("/usr/include").glob("*-linux-gnu")))
                 if (base / name).exists()]
        for path in reversed(found):
            if path.is_dir():
                shutil.copytree(path, into / name, dirs_exist_ok=True)
            else:
                shutil.copy(path, into / name)


def generated_headers(build):
    """Directories of headers that the build makes (texts as arrays, and so on)."""
    return sorted({str(path.parent) for path in build.rglob("*.h") if "meson-private" not in path.parts})


def compile_one(path, target, includes, work):
    out = pathlib.Path(work) / "o" / (str(path.relative_to(TOP)).replace("/", ".") + ".o")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-O0", *FLAGS, *includes, "-c", "-o", str(out),
               str(path)]
    result = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    return path, result.returncode, (result.stdout + result.stderr).strip()


def link_all():
    """The exit status of the whole build, and its words."""
    done = subprocess.run([sys.executable, str(TOP / "packaging/freebsd/cross.py")], cwd=TOP, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


def compile_all(files, target=TARGET, libraries=None):
    """How many fail; says which, and which headers were missing because nothing was built."""
    failed, skipped = 0, []
    made = {name for path in (TOP / "src").rglob("meson.build")
            for name in re.findall(r"output:\s*'([\w.-]+\.h)'", path.read_text())}
    with tempfile.TemporaryDirectory(prefix="potter-freebsd-") as work:
        (pathlib.Path(work) / "o").mkdir()
        if libraries is None:
            copy_library_headers(pathlib.Path(work))
        includes = ["-I", "src", "-isystem", str(libraries or work)]
        for directory in generated_headers(pathlib.Path(os.environ.get("POTTER_BUILD", "build"))):
            includes += ["-I", directory]
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            for path, code, words in pool.map(lambda f: compile_one(f, target, includes, work), files):
                missing = re.search(r"fatal error: '([\w.-]+)' file not found", words)
                if missing and missing[1] in made:
                    skipped.append(str(path.relative_to(TOP)))  # nothing was built: the header is not there
                elif code != 0:
                    failed += 1
                    print(f"{path.relative_to(TOP)} does not compile for {target}:\n{words}\n")
    if skipped:
        print(f"not checked without a build (POTTER_BUILD): {' '.join(skipped)}")
    print(f"{len(files) - failed - len(skipped)} of {len(files)} files compile for {target}")
    return failed


def main():
    if importlib.util.find_spec("ziglang") is None:
        print("the Python package ziglang is not installed (pip install ziglang)")
        return SKIPPED
    files = [path for path in sorted((TOP / "src").rglob("*.c"))
             if not str(path.relative_to(TOP)).startswith(ELSEWHERE)]
    if sys.argv[1:]:
        only = {pathlib.Path(a).resolve() for a in sys.argv[1:]}
        return 1 if compile_all([path for path in files if path in only]) else 0
    code, words = link_all()
    if code != SKIPPED:
        print(words)
        return code if code != 0 else 1 if compile_all(files, OTHER, DEPS) else 0
    if compile_all(files):
        return 1
    print(f"the programs are not linked: {words.removeprefix('SKIP: ')}")
    return SKIPPED


if __name__ == "__main__":
    sys.exit(main())
