#!/usr/bin/env python3
"""Import of an image of about 100 MB from a registry on this machine, beside curl, xz and tar in a pipe.

  tests/bench/import.py [--rounds 7] [--mb 100] [--floor 0.8] [--keep DIR]

The image is made of files of this machine's /usr by `pot export`. Each round runs every way once, in turn, after a
sync; what a round left is removed before the clock of the next one starts. With --floor the exit code tells whether
`pot import` reaches that part of the pipe's speed.
"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build-release"))
POT = BUILD / "src" / "bin" / "pot"
CONF = """POT_FS_ROOT={w}/fs
POT_CACHE={w}/cache
POT_TMP={w}/tmp
POT_RUN_DIR={w}/run
POT_CGROUP=potbench-import
POT_BRIDGE=potbench0
POT_NFT_TABLE=potbench
POT_GROUP=root
POT_NETWORK=10.199.0.0/16
POT_NETMASK=255.255.0.0
POT_GATEWAY=10.199.0.1
POT_DNS_IP=10.199.0.2
POT_EXTIF=lo
"""


def own_namespaces():
    if os.environ.get("BENCH_INSIDE") != "1":
        os.environ["BENCH_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-mn", "--propagation", "private", "sh", "-c",
                              'ip link set lo up; exec "$@"', "sh", sys.executable, *sys.argv])


def run(*argv, **options):
    result = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, text=True, **options)
    if result.returncode != 0:
        raise SystemExit(f"{argv[0]} {argv[1]}: {result.stdout}")


def fill(root, megabytes):
    """Files of /usr, as they come, until there are enough; about 3.6 of them make one of the image."""
    left = int(megabytes * 3.6e6)
    for top in ("/usr/lib/x86_64-linux-gnu", "/usr/bin", "/usr/share", "/usr/lib"):
        for here, _, files in os.walk(top):
            for name in sorted(files):
                path = os.path.join(here, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                size = os.path.getsize(path)
                if size > left / 4:
                    continue
                to = root / here[1:]
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, to / name)
                left -= size
                if left <= 0:
                    return


class Bench:
    def __init__(self, where, megabytes):
        self.w = where
        self.registry = where / "registry"
        (where / "pot.conf").write_text(CONF.format(w=where))
        os.environ.update(POT_CONF=str(where / "pot.conf"), POTTER_LIBEXEC=str(BUILD / "src" / "bin"))
        run(POT, "init")
        if not self.registry.exists():
            self.make_image(megabytes)
        self.serve()

    def make_image(self, megabytes):
        root = self.w / "root"
        root.mkdir()
        (self.w / "new").mkdir()
        fill(root, megabytes)
        run(POT, "create-base", "-b", "usr", "-d", root)
        shutil.rmtree(root)
        run(POT, "create", "-p", "img", "-t", "single", "-b", "usr")
        run(POT, "export", "-p", "img", "-t", "1", "-l", "1", "-A", "-D", self.w / "new")
        run(POT, "destroy", "-p", "img")
        run(POT, "destroy", "-b", "usr")
        (self.w / "new").rename(self.registry)

    def serve(self):
        (self.w / "nginx.conf").write_text(
            f"daemon off; pid {self.w}/nginx.pid; error_log stderr; worker_processes 1;\nevents {{}}\n"
            f"http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:8000; root {self.registry}; }} }}\n")
        self.nginx = subprocess.Popen(["nginx", "-c", self.w / "nginx.conf"], stderr=subprocess.DEVNULL)
        for _ in range(100):
            if subprocess.run(["curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:8000/img_1.xz.meta"]).returncode == 0:
                return
            time.sleep(0.05)
        self.close()
        raise SystemExit("nginx does not answer")

    def close(self):
        self.nginx.terminate()
        self.nginx.wait()
        run(POT, "de-init", "-f")

    # ---- the ways ----

    def pipe(self, after=""):
        (self.w / "out").mkdir()
        return ["sh", "-c", "curl -sf http://127.0.0.1:8000/img_1.xz | xz -dc | tar -xpf - -C \"$0\"" + after, self.w / "out"]

    def clean(self):
        shutil.rmtree(self.w / "out", ignore_errors=True)
        subprocess.run([POT, "destroy", "-q", "-p", "img_1"], stdout=subprocess.DEVNULL)
        os.sync()

    def ways(self):
        imp = [POT, "import", "-p", "img", "-t", "1"]
        http = [*imp, "-U", "http://127.0.0.1:8000"]
        return {
            "curl | xz -dc | tar": (self.forget, self.pipe),
            "curl | xz -dc | tar, then sync -f": (self.forget, lambda: self.pipe("; sync -f \"$0\"")),
            "curl | xz -T0 -dc | tar": (self.forget, lambda: [x.replace("xz -dc", "xz -T0 -dc") if isinstance(x, str) else x for x in self.pipe()]),
            "pot import": (self.forget, lambda: http),
            "pot import, image in the cache": (lambda: None, lambda: http),
            "pot import from a directory": (lambda: None, lambda: [*imp, "-U", self.registry]),
        }

    def forget(self):
        shutil.rmtree(self.w / "cache", ignore_errors=True)

    def measure(self, prepare, command):
        self.clean()
        prepare()
        argv = command()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        run(*argv)
        took = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--mb", type=float, default=100)
    options.add_argument("--floor", type=float)
    options.add_argument("--keep", type=pathlib.Path)
    o = options.parse_args()
    own_namespaces()
    where = o.keep or pathlib.Path(tempfile.mkdtemp(prefix="potter-bench."))
    where.mkdir(exist_ok=True)
    where.chmod(0o755)  # nginx reads it as another user
    try:
        measure(o, Bench(where, o.mb))
    finally:
        if not o.keep:
            shutil.rmtree(where)


def measure(o, bench):
    try:
        size = (bench.registry / "img_1.xz").stat().st_size
        ways = bench.ways()
        took = {name: [] for name in ways}
        for _ in range(o.rounds):
            for name, (prepare, command) in ways.items():
                took[name].append(bench.measure(prepare, command))
        bench.clean()
    finally:
        bench.close()
    base = statistics.median(t for t, _ in took["curl | xz -dc | tar"])
    print(f"# image {size / 1e6:.0f} MB, {o.rounds} rounds, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for name, times in took.items():
        wall, cpu = statistics.median(t for t, _ in times), statistics.median(c for _, c in times)
        print(f"{name:36s} {wall:6.2f} s  {size / wall / 1e6:6.1f} MB/s  {base / wall * 100:4.0f} %  cpu {cpu:5.2f} s  "
              f"best {min(t for t, _ in times):.2f}")
    # paired: each round's own pipe against its own import
    ratios = [a[0] / b[0] for a, b in zip(took["curl | xz -dc | tar"], took["pot import"])]
    print(f"pot import beside the pipe, round by round: {', '.join(f'{r:.2f}' for r in ratios)}; median {statistics.median(ratios):.2f}")
    if o.floor and statistics.median(ratios) < o.floor:
        sys.exit(f"below the floor of {o.floor}")


if __name__ == "__main__":
    main()
