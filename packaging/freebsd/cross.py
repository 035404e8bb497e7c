#!/usr/bin/env python3
"""Builds Potter for FreeBSD on Linux: every program, compiled and linked, and a tree to copy there.

  cross.py [--arch x86_64|aarch64] [--build DIR] [--stage DIR] [-j N]

The compiler is `zig cc` (the Python package ziglang: it brings FreeBSD's headers and the names in its
libraries). The third-party libraries come from Debian's source packages, which apt checks as ever; it gets
a configuration of its own below DIR, so the machine's is not touched. What is built once is kept in
DIR/deps. Exits with 77, and says why, where ziglang or Debian's sources cannot be had.
"""
import argparse
import concurrent.futures
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time

import libraries

TOP = pathlib.Path(__file__).resolve().parents[2]
RELEASE = "14.0"  # programs for it run on every later 14 and on 15
SKIPPED = 77
TOOLS = ["apt-get", "dpkg-source", "make", "perl", "patch", "tclsh", "meson", "ninja", "pkg-config", "protoc-c"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OLD = 1_000_000_000  # one time for all files of a source: no generated file looks older than its origin


class CannotRun(Exception):
    pass


class Failed(Exception):
    pass


def run(argv, cwd, log, env=None):
    with open(log, "ab") as out:
        out.write(("$ " + " ".join(map(str, argv)) + "\n").encode())
        out.flush()
        done = subprocess.run([str(a) for a in argv], cwd=cwd, stdout=out, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    if done.returncode != 0:
        tail = pathlib.Path(log).read_text(errors="replace").splitlines()[-25:]
        raise Failed(f"{' '.join(map(str, argv[:3]))}: exit status {done.returncode}; {log} ends with:\n" + "\n".join(tail))


class Tools:
    """zig cc, ar and ranlib as programs of one word each, which configure scripts and meson expect."""

    def __init__(self, build, arch):
        spec = importlib.util.find_spec("ziglang")
        if spec is None:
            raise CannotRun("the Python package ziglang is not installed (pip install ziglang)")
        zig = pathlib.Path(spec.origin).parent / "zig"
        self.version = importlib.metadata.version("ziglang")
        self.target = f"{arch}-freebsd.{RELEASE}"
        self.bin = build / "bin" / arch
        self.bin.mkdir(parents=True, exist_ok=True)
        cache = f'ZIG_GLOBAL_CACHE_DIR="{build}/zig" ZIG_LOCAL_CACHE_DIR="{build}/zig"'
        self.at = {
            # meson 1.0 knows LLVM's linker, which this is, but not by zig's name for it
            "cc": self.script("cc", 'case "$*" in -Wl,--version*) echo "LLD 19.0.0 (compatible with GNU linkers)"; exit 0 ;; esac\n'
                              f'{cache} exec "{zig}" cc -target {self.target} "$@"'),
            "ar": self.script("ar", f'{cache} exec "{zig}" ar "$@"'),
            "ranlib": self.script("ranlib", f'{cache} exec "{zig}" ranlib "$@"'),
            "strip": self.script("strip", "exit 0"),
        }

    def script(self, name, text):
        path = self.bin / name
        whole = f"#!/bin/sh\n{text}\n"
        if not path.exists() or path.read_text() != whole:
            path.write_text(whole)
            path.chmod(0o755)
        return path


class Sources:
    """apt with a state of its own below the build directory: the machine's Debian mirrors, their sources."""

    def __init__(self, at):
        self.at = at
        self.env = {"APT_CONFIG": str(at / "apt.conf")}
        self.lock = threading.Lock()
        self.ready = False

    def mirrors(self):
        done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN) $(LABEL)",
                               "Created-By: Packages"], capture_output=True, text=True)
        rows = [line.split() for line in done.stdout.splitlines()]
        # the main archive first: apt takes a version that two archives list from the first
        return sorted({(len(r[4]), r[0], r[1]) for r in rows if len(r) == 5 and r[2] == "main" and r[3] == "Debian"})

    def prepare(self):
        mirrors = self.mirrors()
        if not mirrors:
            raise CannotRun("apt knows no mirror of Debian here (apt-get update)")
        for sub in ("lists/partial", "cache/archives/partial"):
            (self.at / sub).mkdir(parents=True, exist_ok=True)
        key = f"[signed-by={KEYRING}] " if os.path.exists(KEYRING) else ""
        (self.at / "sources.list").write_text("".join(f"deb-src {key}{uri} {suite} main\n" for _, uri, suite in mirrors))
        (self.at / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{self.at}/sources.list";\nDir::Etc::sourceparts "-";\nDir::State::lists "{self.at}/lists";\n'
            f'Dir::Cache "{self.at}/cache";\nAPT::Sandbox::User "root";\nAcquire::Languages "none";\n')
        try:
            run(["apt-get", "update", "-qq", "--error-on=any"], self.at, self.at / "apt.log", self.env)
        except Failed as why:
            raise CannotRun(f"Debian's sources cannot be reached: {why}") from None
        self.ready = True

    def versions(self, package):
        """Newest first: a mirror does not always have the files of all that it lists."""
        done = subprocess.run(["apt-cache", "showsrc", "--only-source", package], capture_output=True, text=True,
                              env={**os.environ, **self.env})
        found = dict.fromkeys(re.findall(r"^Version: (.+)$", done.stdout, re.M))
        newer = functools.cmp_to_key(lambda a, b: -1 if subprocess.run(["dpkg", "--compare-versions", a, "gt", b]).returncode == 0 else 1)
        return sorted(found, key=newer)

    def fetch(self, packages, into):
        """Unpacks the first of the packages that can be had: (directory, version)."""
        with self.lock:
            if not self.ready:
                self.prepare()
            into.mkdir(parents=True, exist_ok=True)
            last = "apt knows of none"
            for package, version in [(p, v) for p in packages for v in self.versions(p)]:
                try:
                    run(["apt-get", "source", "-qq", "--download-only", f"{package}={version}"], into, into / "apt.log", self.env)
                    break
                except Failed as why:
                    last = why
            else:
                raise CannotRun(f"the source of {packages[0]} cannot be had: {last}")
        dsc = max(into.glob(f"{package}_*.dsc"), key=lambda p: p.stat().st_mtime)
        tree = into / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        run(["dpkg-source", "--no-check", "-x", dsc.name, "tree"], into, into / "apt.log")
        for path in tree.rglob("*"):
            if not path.is_symlink():
                os.utime(path, (OLD, OLD))
        version = re.search(r"^Version: (?:\d+:)?(.+)$", dsc.read_text(errors="replace"), re.M)[1]
        return tree, version.rsplit("-", 1)[0]


class Build:
    """What a recipe of libraries.py works with."""

    def __init__(self, name, arch, tools, source, version, prefix, log, jobs):
        self.name, self.arch, self.source, self.version = name, arch, source, version
        self.prefix, self.log, self.jobs = prefix, log, jobs
        self.tools = tools.at
        self.host = f"{arch}-unknown-freebsd{RELEASE}"
        self.env = {"CC": str(tools.at["cc"]), "AR": str(tools.at["ar"]), "RANLIB": str(tools.at["ranlib"]),
                    "CFLAGS": "-O2 -fno-sanitize=all -Wno-everything", "CPPFLAGS": f"-I{prefix}/include", "LDFLAGS": f"-L{prefix}/lib",
                    "PKG_CONFIG_LIBDIR": str(prefix / "lib/pkgconfig")}

    def run(self, *argv):
        run(argv, self.source, self.log, self.env)

    def make(self, *argv):
        # the source has its generated files; nothing makes them anew
        self.run("make", f"-j{self.jobs}", "ACLOCAL=:", "AUTOCONF=:", "AUTOMAKE=:", "AUTOHEADER=:", *argv)

    def configure(self, *options):
        self.run("./configure", f"--host={self.host}", f"--prefix={self.prefix}", "--disable-shared", "--enable-static",
                 "--disable-dependency-tracking", "--with-pic", *options)

    def compile(self, name, files, flags):
        objects = []
        for path in files:
            path = pathlib.Path(path)
            objects.append(f"{path.stem}.potter.o")
            self.run(self.tools["cc"], "-O2", "-fPIC", "-fno-sanitize=all", "-Wno-everything", *flags, "-c", "-o", objects[-1],
                     path.relative_to(self.source) if path.is_absolute() else path)
        library = self.prefix / "lib" / f"lib{name}.a"
        library.unlink(missing_ok=True)
        self.run(self.tools["ar"], "rcs", library, *objects)

    def library(self, *files):
        for path in files:
            shutil.copy(self.source / path, self.prefix / "lib")

    def headers(self, below, *files):
        into = self.prefix / "include" / below
        into.mkdir(parents=True, exist_ok=True)
        for path in files:
            shutil.copy(self.source / path, into)

    def substitute(self, template, out, words):
        text = (self.source / template).read_text()
        for key, value in words.items():
            text = text.replace(f"@{key}@", value)
        (self.source / out).write_text(text)

    def pc(self, name, libs, requires=""):
        (self.prefix / "lib/pkgconfig" / f"{name}.pc").write_text(
            f"Name: {name}\nDescription: {self.name} of Debian's source\nVersion: {self.version.split('-')[0]}\nRequires: {requires}\n"
            f"Libs: -L{self.prefix}/lib {libs}\nCflags: -I{self.prefix}/include\n")


def recipe_stamp(name, tools):
    packages, recipe, _ = libraries.LIBRARIES[name]
    words = [inspect.getsource(recipe), inspect.getsource(Build), str(packages), str(libraries.CIPHERS), str(libraries.PROTOCOLS),
             tools.version, tools.target]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def build_library(name, arch, tools, sources, prefix, work, jobs):
    began = time.monotonic()
    packages, recipe, _ = libraries.LIBRARIES[name]
    stamp = prefix / "built" / name
    wanted = recipe_stamp(name, tools)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(work / name, ignore_errors=True)
    tree, version = sources.fetch(packages, work / name)
    log = work / name / "build.log"
    recipe(Build(name, arch, tools, tree, version, prefix, log, jobs))
    stamp.write_text(wanted)
    shutil.rmtree(tree, ignore_errors=True)
    print(f"  {name} {version}: {time.monotonic() - began:.0f} s", flush=True)


def build_libraries(arch, tools, build, jobs):
    prefix, work = build / "deps" / arch, build / "src" / arch
    for sub in ("lib/pkgconfig", "include", "built"):
        (prefix / sub).mkdir(parents=True, exist_ok=True)
    sources = Sources(build / "apt")
    sources.at.mkdir(parents=True, exist_ok=True)
    done = {name: threading.Event() for name in libraries.LIBRARIES}
    good = set()

    def one(name):
        needs = libraries.LIBRARIES[name][2]
        try:
            for other in needs:
                done[other].wait()
            if good.issuperset(needs):
                build_library(name, arch, tools, sources, prefix, work, jobs)
                good.add(name)
        finally:
            done[name].set()

    with concurrent.futures.ThreadPoolExecutor(max_workers=max(2, jobs)) as pool:
        results = [pool.submit(one, name) for name in libraries.LIBRARIES]
    for wrong in filter(None, (result.exception() for result in results)):
        raise wrong
    return prefix


def cross_file(build, arch, tools, prefix):
    text = "\n".join([
        "# Made by packaging/freebsd/cross.py",
        "[binaries]",
        *[f"{name} = '{tools.at[tool]}'" for name, tool in (("c", "cc"), ("ar", "ar"), ("ranlib", "ranlib"), ("strip", "strip"))],
        "pkgconfig = 'pkg-config'",
        "[properties]",
        f"pkg_config_libdir = '{prefix}/lib/pkgconfig'",
        "[built-in options]",
        f"c_args = ['-isystem', '{prefix}/include', '-fno-sanitize=all', '-UNDEBUG']",
        f"c_link_args = ['-L{prefix}/lib', '-s']",
        "[host_machine]",
        "system = 'freebsd'",
        f"cpu_family = '{arch}'",
        f"cpu = '{arch}'",
        "endian = 'little'",
        ""])
    path = build / f"{arch}.cross"
    if not path.exists() or path.read_text() != text:
        shutil.rmtree(build / arch, ignore_errors=True)  # meson reads it once
        path.write_text(text)
    return path


def build_project(build, arch, tools, prefix, jobs):
    tree = build / arch
    cross = cross_file(build, arch, tools, prefix)
    env = {**os.environ, "PKG_CONFIG_LIBDIR": str(prefix / "lib/pkgconfig")}
    if not (tree / "build.ninja").exists():
        run(["meson", "setup", tree, f"--cross-file={cross}", "-Ddebug=false", "-Dtests=false", "-Dstrip=true",
             "--prefix=/usr/local", "--libexecdir=libexec", "--mandir=share/man"], TOP, build / f"{arch}.log", env)
    # in the words a job reads: what did not compile, or what was missing when it was linked
    done = subprocess.run(["ninja", "-C", str(tree), f"-j{jobs}", "-k0"], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        words = done.stdout[max(done.stdout.find("FAILED: "), 0):].splitlines()
        raise Failed("\n".join(line for line in words if not line.startswith("[") and "deprecated linker" not in line))
    return tree


def check_plist(into):
    """The port's list names what is installed, no more and no less (but for what pot makes where it can run)."""
    root = into / "usr/local"
    installed = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or p.is_file()}
    plist = TOP / "packaging/freebsd/port/pkg-plist"
    lines = [line for line in plist.read_text().splitlines() if "completion" not in line and "site-functions" not in line]
    listed = {line.removesuffix(".gz").removeprefix("@sample ").removesuffix(".sample").removeprefix("%%COMPAT%%") for line in lines}
    if installed != listed:
        raise Failed(f"{plist.relative_to(TOP)} lacks {sorted(installed - listed)} and names {sorted(listed - installed)} in vain")
    links = {str(p.relative_to(root)) for p in (root / "bin").iterdir() if p.is_symlink()}
    optional = {line.removeprefix("%%COMPAT%%") for line in lines if line.startswith("%%COMPAT%%")}
    if links != optional:
        raise Failed(f"{plist.relative_to(TOP)}: of the links in bin the option COMPAT has {sorted(optional)}, and they are {sorted(links)}")


def check_light(into):
    """What each command of a pot starts waits for its libraries: libthr alone takes half a millisecond to load."""
    for name in ("bin/pot", "libexec/potter/pot-keeper"):
        if b"libthr.so" in (into / "usr/local" / name).read_bytes():
            raise Failed(f"{name} needs libthr: some of its code has threads or locks; it is to need libc alone")


# The order that portlint(1) wants of a port's variables.
PORT_ORDER = ["PORTNAME", "DISTVERSION", "CATEGORIES", "MASTER_SITES", "MAINTAINER", "COMMENT", "WWW", "LICENSE", "LICENSE_FILE",
              "ONLY_FOR_ARCHS", "BUILD_DEPENDS", "LIB_DEPENDS", "RUN_DEPENDS", "USES", "CONFLICTS_INSTALL", "MESON_ARGS", "SUB_FILES",
              "USERS", "GROUPS", "OPTIONS_DEFINE", "OPTIONS_DEFAULT", "OPTIONS_SUB", "COMPAT_DESC", "COMPAT_CONFLICTS_INSTALL",
              "COMPAT_MESON_TRUE"]


def check_port():
    """What portlint(1) would say first: variables and their order, tabs, the lengths of its texts, the version."""
    port = TOP / "packaging/freebsd/port"
    text = (port / "Makefile").read_text()
    found = re.findall(r"^([A-Z_]+)=(\s*)(.*)$", text, re.M)
    comment = next((value for name, _, value in found if name == "COMMENT"), "")
    version = re.search(r"^\s*version:\s*'([^']+)'", (TOP / "meson.build").read_text(), re.M)
    wrong = [name for name, blank, _ in found if set(blank) != {"\t"} or name not in PORT_ORDER]
    checks = [
        (not wrong, f"not a tab after, or unknown: {wrong}"),
        ([name for name, _, _ in found] == PORT_ORDER, f"the order is not {' '.join(PORT_ORDER)}"),
        (0 < len(comment) <= 70 and not comment.endswith(".") and not re.match(r"(A|An|The) ", comment), f"COMMENT: {comment}"),
        (version is None or f"DISTVERSION=\t{version[1]}\n" in text, "DISTVERSION is not the project's version"),
        (all(len(line) <= 80 for line in (port / "pkg-descr").read_text().splitlines()), "pkg-descr: lines of more than 80 characters"),
        (text.endswith(".include <bsd.port.mk>\n"), "it does not end with .include <bsd.port.mk>"),
    ]
    words = [word for good, word in checks if not good]
    if words:
        raise Failed(f"{port.relative_to(TOP)}: {'; '.join(words)}")


def stage(build, arch, tree, into):
    shutil.rmtree(into, ignore_errors=True)
    subprocess.run(["meson", "install", "-C", str(tree), "--no-rebuild", "--quiet"], check=True,
                   env={**os.environ, "DESTDIR": str(into)})
    archive = build / f"potter-freebsd-{arch}.tar"

    def of_root(member):
        member.uid = member.gid = 0
        member.uname, member.gname = "root", "wheel"
        return member

    with tarfile.open(archive, "w") as tar:
        tar.add(into, arcname=".", filter=of_root)
    return archive


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", default="x86_64", choices=("x86_64", "aarch64"))
    parser.add_argument("--build", default="build-freebsd")
    parser.add_argument("--stage")
    parser.add_argument("-j", dest="jobs", type=int, default=os.cpu_count() or 2)
    args = parser.parse_args()
    build = (TOP / args.build).resolve()
    build.mkdir(parents=True, exist_ok=True)
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    try:
        if missing:
            raise CannotRun(f"not installed: {' '.join(missing)} (sh packaging/deps.sh build freebsd)")
        began = time.monotonic()
        tools = Tools(build, args.arch)
        prefix = build_libraries(args.arch, tools, build, args.jobs)
        tree = build_project(build, args.arch, tools, prefix, args.jobs)
        into = pathlib.Path(args.stage).resolve() if args.stage else build / ("stage" if args.arch == "x86_64" else f"stage-{args.arch}")
        archive = stage(build, args.arch, tree, into)
        check_plist(into)
        check_light(into)
        check_port()
    except CannotRun as why:
        print(f"SKIP: {why}")
        return SKIPPED
    except Failed as why:
        print(why, file=sys.stderr)
        return 1
    print(f"all programs are linked for {tools.target} ({time.monotonic() - began:.0f} s); below {into}, and {archive}")
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
