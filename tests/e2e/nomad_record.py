#!/usr/bin/env python3
"""Records what a real Nomad says to the plugin, for tests/fixtures and the fuzzer's corpus. By hand:

    NOMAD=/path/to/nomad POTTER_BUILD=$PWD/build python3 tests/e2e/nomad_record.py tests/fixtures/nomad-1.1.2
"""
import json
import pathlib
import shutil
import sys

from machine import BIN, Machine, wait_until
from nomad_real import Agents, publish
from recorded import PLACE, put_place

ONCE = 'restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }'


def play(nomad):
    """Something of everything that Nomad asks of a driver."""
    nomad.run("ends", "echo out; exit 7", kind="batch", wait=None, group=ONCE)
    nomad.wait_for("ends", "failed")
    nomad.run("paged", "httpd -f -p 80 -h /local", network=None, driver_config='port_map {\n http = "80"\n }',
              resources='network {\n mbits = 1\n port "http" {}\n }',
              task='template {\n data = "page"\n destination = "local/index.html"\n }\n env {\n OWN = "yes"\n }')
    alloc = nomad.run("stays", "trap 'echo hup' HUP; trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done",
                      task='kill_timeout = "2s"')
    wait_until(lambda: "ready" in nomad.logs(alloc), every=0.2, what="its words")
    nomad.cli("alloc", "exec", "-i=false", "-t=false", alloc["ID"], "echo", "hello")
    nomad.cli("alloc", "exec", "-i", "-t=false", alloc["ID"], "wc", "-c", input="x" * 1000)
    nomad.cli("alloc", "signal", "-s", "SIGHUP", alloc["ID"])
    wait_until(lambda: "hup" in nomad.logs(alloc), every=0.2, what="the signal")
    nomad.cli("alloc", "restart", alloc["ID"])
    wait_until(lambda: nomad.state("stays")["Restarts"] == 1 and nomad.state("stays")["State"] == "running", timeout=20,
               every=0.2, what="the restart")
    for job in ("ends", "paged", "stays"):
        nomad.stop_job(job)
    wait_until(lambda: not nomad.machine.running(), timeout=20, what="the end")
    nomad.stop("client")


def main():
    into, machine = pathlib.Path(sys.argv[1]), Machine()
    try:
        machine.init(vnet=True)
        machine.make_base()
        publish(machine)
        (machine.dir / "recorded").mkdir()
        nomad = Agents(machine)
        put_place(machine, machine.dir / "nomad/place")
        config = nomad.dir / "client.hcl"
        more = f'client {{\n alloc_mounts_dir = "{PLACE}/alloc_mounts"\n' if nomad.version() >= (1, 8) else "client {\n"
        config.write_text(config.read_text().replace(f"{nomad.dir}/client", PLACE).replace("client {\n", more))
        (nomad.plugins / "nomad-pot-driver").unlink()
        shutil.copy(pathlib.Path(__file__).parent / "nomad_proxy.py", nomad.plugins / "nomad-pot-driver")
        (nomad.plugins / "settings.json").write_text(json.dumps(
            {"into": str(machine.dir / "recorded"), "plugin": str(BIN / "nomad-pot-driver"), "env": machine.env}))
        nomad.become = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        nomad.start("server").start("client").ready()
        play(nomad)
        files = sorted((machine.dir / "recorded").iterdir(), key=lambda p: p.stat().st_mtime_ns)
        into.mkdir(parents=True, exist_ok=True)
        for name, path in zip(("catalogue", "configuration", "service"), files, strict=True):
            shutil.copy(path, into / name)
            print(name, path.stat().st_size)
    finally:
        machine.close(check=False)


if __name__ == "__main__":
    main()
