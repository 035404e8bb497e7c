"""A web server for images with faults on demand, and what it was asked for.

Run as a program inside the pretend machine: registry.py PORT DIRECTORY. Before each reply it reads <DIRECTORY>/.faults,
a JSON object: "no_ranges", "cut" (bytes of an image's body, then the connection ends), "drip" (seconds before each
kB), "none" (of a range that it says it sends), "silent" (no answer about an image), "status" (for everything). Each request for an image is a line of <DIRECTORY>/.asked: name, range, bytes sent.
"""
import http.server
import json
import pathlib
import re
import sys
import threading
import time

from_here = pathlib.Path(__file__).resolve()


class Registry:
    """The test's side."""

    def __init__(self, machine, directory, port=8000):
        self.m, self.dir, self.port = machine, directory, port
        self.url = f"http://127.0.0.1:{port}"
        directory.mkdir(exist_ok=True)
        self.faults()
        self.process = machine.popen("python3", from_here, port, directory, stdout=-3, stderr=-3)
        from machine import wait_until
        wait_until(lambda: machine.listening(port), what="the registry")

    def faults(self, **faults):
        (self.dir / ".faults").write_text(json.dumps(faults))

    def asked(self):
        """Requests for images since the last call: (name, range or None, bytes sent)."""
        path = self.dir / ".asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return [(name, None if where == "-" else where, int(sent)) for name, where, sent in (line.split() for line in lines)]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    top = None

    def do_GET(self):
        faults = json.loads((self.top / ".faults").read_text())
        path = self.top / self.path.lstrip("/")
        if faults.get("status") or not path.is_file():
            self.send_error(faults.get("status") or 404)
            return
        data = path.read_bytes()
        image = path.suffix == ".xz"
        if image and faults.get("silent"):
            (self.top / ".asked").open("a").write(f"{path.name} - 0\n")
            threading.Event().wait()
        first, last, status = 0, len(data) - 1, 200
        where = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if where and not faults.get("no_ranges"):
            first, last, status = int(where[1]), min(int(where[2]), last), 206
        self.send_response(status)
        none = image and faults.get("none")
        self.send_header("Content-Length", str(0 if none else last - first + 1))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        body = b"" if none else data[first:last + 1]
        cut = faults.get("cut") if image else None
        sent = self.send(body if cut is None else body[:cut], faults.get("drip") if image else None)
        if image:
            with (self.top / ".asked").open("a") as log:
                log.write(f"{path.name} {where[0][6:] if where else '-'} {sent}\n")
        if cut is not None and cut < len(body):
            self.close_connection = True

    def send(self, body, drip):
        if not drip:
            self.wfile.write(body)
            return len(body)
        for at in range(0, len(body), 1024):
            self.wfile.write(body[at:at + 1024])
            self.wfile.flush()
            time.sleep(drip)
        return len(body)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    Handler.top = pathlib.Path(sys.argv[2])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
