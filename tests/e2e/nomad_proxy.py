#!/usr/bin/env python3
"""Stands between a Nomad and nomad-pot-driver and writes down what both say, one file for each connection.

A record is a direction ('>' from Nomad, '<' from the plugin), four bytes of length and the bytes. The file settings.json
beside this program names the directory for them, the plugin, and variables for it: Nomad's own would be in the records.
"""
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile


def pump(host, plugin, out):
    while True:
        for sock in select.select([host, plugin], [], [])[0]:
            data = sock.recv(65536)
            if not data:
                return
            out.write((b">" if sock is host else b"<") + len(data).to_bytes(4, "big") + data)
            out.flush()
            (plugin if sock is host else host).sendall(data)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    settings = json.loads((pathlib.Path(sys.argv[0]).parent / "settings.json").read_text())
    plugin = subprocess.Popen([settings["plugin"]], stdout=subprocess.PIPE, env={**os.environ, **settings["env"]})
    words = plugin.stdout.readline().decode().split("|")
    if len(words) < 6:
        sys.exit(plugin.wait())
    listener = socket.socket(socket.AF_UNIX)
    path = tempfile.mktemp(prefix="pot-recorder-", suffix=".sock")
    listener.bind(path)
    listener.listen()
    print("|".join([*words[:3], path, *words[4:]]), end="", flush=True)
    number = 0
    while plugin.poll() is None:
        if not select.select([listener], [], [], 0.2)[0]:
            continue
        host, _ = listener.accept()
        number += 1
        with socket.socket(socket.AF_UNIX) as to, open(f"{settings['into']}/{os.getpid()}.{number}", "wb") as out:
            to.connect(words[3])
            pump(host, to, out)
        host.close()
    os.unlink(path)
    return plugin.returncode


if __name__ == "__main__":
    sys.exit(main())
