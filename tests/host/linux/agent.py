#!/usr/bin/env python3
"""Runs inside the guest: takes shell commands from a virtio port, one JSON line each, and answers with what they print.

{"sh": "...", "timeout": 60} gives lines {"out": "..."} and, at the end, {"code": N}. One command at a time.
"""
import json
import os
import select
import signal
import subprocess
import threading

PORT = "/dev/virtio-ports/potter"


def answer(port, **what):
    port.write(json.dumps(what).encode() + b"\n")


def run(port, request):
    process = subprocess.Popen(["sh", "-c", request["sh"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, cwd="/root")
    clock = threading.Timer(request.get("timeout", 600), os.killpg, (process.pid, signal.SIGKILL))
    clock.start()
    for line in process.stdout:
        answer(port, out=line.decode(errors="replace"))
    code = process.wait()
    clock.cancel()
    answer(port, code=code if code >= 0 else 128 - code)


def main():
    with open(PORT, "r+b", buffering=0) as port:
        ready = select.poll()
        ready.register(port, select.POLLIN)
        answer(port, ready=True)
        line = b""
        while True:
            ready.poll()
            line += port.read(65536) or b""
            while b"\n" in line:
                request, line = line.split(b"\n", 1)
                run(port, json.loads(request))


if __name__ == "__main__":
    main()
