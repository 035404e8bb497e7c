"""Nomad's side of the plugin protocol: starts nomad-pot-driver as an agent does and calls it.

HTTP/2 is python3-h2's; gRPC's framing and protocol buffers are written out here. A message is a dict from field numbers
to values: int and bool become varints, float a double, str and bytes their bytes, dict a message, list a repeated field.
What comes back is read by `fields`: a dict from field numbers to lists of ints and bytes.
"""
import base64
import contextlib
import json
import os
import queue
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

try:
    import h2.config
except ModuleNotFoundError:  # another Python than Debian's, whose package python3-h2 will do
    sys.path.append("/usr/lib/python3/dist-packages")
    import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import hpack
import hyperframe.frame

COOKIE = "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255"
ENVIRONMENT = {"NOMAD_PLUGIN_MAGIC_COOKIE": COOKIE, "PLUGIN_PROTOCOL_VERSIONS": "2", "PLUGIN_MIN_PORT": "10000",
               "PLUGIN_MAX_PORT": "25000"}
BASE = "/hashicorp.nomad.plugins.base.proto.BasePlugin/"
DRIVER = "/hashicorp.nomad.plugins.drivers.proto.Driver/"
STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$")


# ---- protocol buffers ----

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def pack(message):
    out = b""
    for number, value in message.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            if isinstance(one, (bool, int)):
                out += varint(number << 3) + varint(int(one))
            elif isinstance(one, float):
                out += varint(number << 3 | 1) + struct.pack("<d", one)
            else:
                body = pack(one) if isinstance(one, dict) else one.encode() if isinstance(one, str) else one
                out += varint(number << 3 | 2) + varint(len(body)) + body
    return out


def entries(mapping):
    """A map<string, string> as its wire form."""
    return [{1: key, 2: value} for key, value in mapping.items()]


def fields(data):
    out, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                return value
            shift += 7
    while at < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            value = number()
        elif kind == 1:
            value = struct.unpack("<d", data[at:at + 8])[0]
            at += 8
        elif kind == 2:
            size = number()
            value = data[at:at + size]
            assert len(value) == size, "a field ends early"
            at += size
        elif kind == 5:
            value = data[at:at + 4]
            at += 4
        else:
            raise AssertionError(f"wire type {kind}")
        out.setdefault(key >> 3, []).append(value)
    return out


def one(message, number, default=None):
    return message.get(number, [default])[-1]


def text(message, number):
    return one(message, number, b"").decode()


def signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


# ---- msgpack, as Nomad encodes configuration ----

def msgpack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        raw = value.encode()
        head = bytes([0xa0 | len(raw)]) if len(raw) < 32 else b"\xd9" + bytes([len(raw)]) if len(raw) < 256 \
            else b"\xda" + struct.pack(">H", len(raw))
        return head + raw
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(msgpack, value))
    return b"\xde" + struct.pack(">H", len(value)) + b"".join(msgpack(k) + msgpack(v) for k, v in sorted(value.items()))


class Refused(Exception):
    """A call ended with another status than 0."""

    def __init__(self, status, words, details=None):
        super().__init__(f"status {status}: {words}")
        self.status, self.words, self.details = status, words, details

    @property
    def recoverable(self):
        """What the typed detail says; None when there is none."""
        if self.details is None:
            return None
        detail = fields(one(fields(base64.b64decode(self.details + "=" * (-len(self.details) % 4))), 3))
        assert text(detail, 1) == "type.googleapis.com/hashicorp.nomad.plugins.shared.structs.RecoverableError"
        return bool(one(fields(one(detail, 2)), 1, 0))


class Call:
    """One call: messages come through `get`; the end is a Refused or a StopIteration."""

    def __init__(self, host, stream):
        self.host, self.stream = host, stream
        self.arrived = queue.Queue()
        self.raw = b""
        self.headers, self.trailers = None, None

    def feed(self, data):
        self.raw += data
        while len(self.raw) >= 5:
            size = struct.unpack(">I", self.raw[1:5])[0]
            assert self.raw[0] == 0
            if len(self.raw) < 5 + size:
                return
            self.arrived.put(self.raw[5:5 + size])
            self.raw = self.raw[5 + size:]

    def finish(self, why=None):
        self.arrived.put(why or "end")

    def get(self, timeout=10):
        got = self.arrived.get(timeout=timeout)
        if isinstance(got, bytes):
            return fields(got)
        self.arrived.put(got)
        if got != "end":
            raise ConnectionError(got)
        status = int(self.trailers["grpc-status"])
        if status != 0:
            raise Refused(status, urllib.parse.unquote(self.trailers.get("grpc-message", "")),
                          self.trailers.get("grpc-status-details-bin"))
        raise StopIteration

    def send(self, message, end=False):
        body = pack(message)
        self.host.send_data(self.stream, b"\0" + struct.pack(">I", len(body)) + body, end)

    def cancel(self):
        self.host.reset(self.stream)

    def ended(self, timeout=10):
        """Waits for the end; False when messages still come or nothing does."""
        try:
            while True:
                self.get(timeout)
        except StopIteration:
            return True
        except queue.Empty:
            return False


class Connection:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        self.calls = {}
        self.gone = False
        with self.lock:
            self.h2.initiate_connection()
            self.flush()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def read(self):
        try:
            while data := self.sock.recv(65536):
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self.on(event)
                    self.flush()
                    self.room.notify_all()
        except OSError:
            pass
        with self.lock:
            self.gone = True
            self.room.notify_all()
            for call in self.calls.values():
                call.finish("the connection is gone")

    def on(self, event):
        call = self.calls.get(getattr(event, "stream_id", None))
        if call is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            call.headers = dict(event.headers)
            assert call.headers[":status"] == "200" and call.headers["content-type"] == "application/grpc"
            if "grpc-status" in call.headers:
                call.trailers = call.headers
        elif isinstance(event, h2.events.DataReceived):
            call.feed(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            call.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            call.finish()
        elif isinstance(event, h2.events.StreamReset) and call.trailers is None:
            call.finish(f"reset with {event.error_code}")

    def open(self, path, message=None, end=True):
        with self.lock:
            stream = self.h2.get_next_available_stream_id()
            call = self.calls[stream] = Call(self, stream)
            self.h2.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":path", path),
                                          (":authority", "unused"), ("content-type", "application/grpc"),
                                          ("te", "trailers"), ("user-agent", "grpc-go/1.29.1")])
            self.flush()
        if message is not None:
            call.send(message, end)
        return call

    def send_data(self, stream, data, end):
        """What a call that was answered already still wanted to say is dropped, as gRPC's clients do."""
        with self.lock, contextlib.suppress(h2.exceptions.StreamClosedError):
            while data:
                while not (size := min(len(data), self.h2.local_flow_control_window(stream),
                                       self.h2.max_outbound_frame_size)):
                    assert not self.gone and self.room.wait(10), "no credit for ten seconds"
                self.h2.send_data(stream, data[:size], end_stream=end and size == len(data))
                data = data[size:]
                self.flush()

    def reset(self, stream):
        """Nothing is to be taken back from a plugin that has ended meanwhile."""
        with self.lock, contextlib.suppress(ConnectionError):
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
            self.flush()

    def call(self, path, message=None, timeout=30):
        """A unary call: its only message."""
        call = self.open(path, message or {})
        reply = call.get(timeout)
        assert call.ended()
        return reply

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.sock.close()


class Plugin:
    """A plugin process and a connection to it."""

    def __init__(self, machine, program, env=None, config=None, become=()):
        """become: words in front of the program, which change into it."""
        self.machine = machine
        self.process = machine.popen(*become, program, env={**ENVIRONMENT, **(env or {})}, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = []
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.handshake = self.process.stdout.readline().decode()
        core, version, network, self.path, kind, certificate = self.handshake.rstrip("\n").split("|")
        assert (core, version, network, kind, certificate) == ("1", "2", "unix", "grpc", "")
        self.connect()
        self.base("SetConfig", {1: msgpack(config or {}), 2: {1: {1: 14512, 2: 14000}}, 3: "v0.1.0"})

    def connect(self):
        self.connection = Connection(self.path)

    @property
    def pid(self):
        """Of the plugin itself: what was started enters the machine and becomes it."""
        return self.process.pid

    def read_log(self):
        for line in self.process.stderr:
            self.lines.append(line.decode())

    def check_log(self):
        """Every line is one that Nomad reads without harm."""
        for line in self.lines:
            row = json.loads(line)
            for key in ("@message", "@level", "@timestamp"):
                assert isinstance(row[key], str), line
            assert STAMP.match(row["@timestamp"]), line

    def base(self, method, message=None):
        return self.connection.call(BASE + method, message)

    def driver(self, method, message=None, timeout=30):
        return self.connection.call(DRIVER + method, message, timeout)

    def stream(self, method, message=None, end=True):
        return self.connection.open(DRIVER + method, message if message is not None else {}, end)

    def shutdown(self):
        """As an agent ends it: within two seconds it is gone, and so is its socket."""
        if self.process.poll() is None:
            self.connection.open("/plugin.GRPCController/Shutdown", {})
            assert self.process.wait(timeout=2 if "SANITIZE" not in os.environ else 5) == 0
        assert not os.path.exists(self.path)
        self.reader.join(5)
        self.check_log()

    def kill(self):
        self.process.kill()
        self.process.wait()
        if os.path.exists(self.path):
            os.unlink(self.path)


class Task:
    """One task of an allocation, with its directories and its log collector."""

    def __init__(self, plugin, where, config, name="www1", alloc="81d9f209-93db-4b6b-8a43-0d1f2e3c4b5a",
                 invocation="223ab329", env=None, memory=64, ports=None, mounts=(), user="", dns=None, extra=b""):
        self.plugin, self.name, self.alloc = plugin, name, alloc
        self.id = f"{alloc}/{name}/{invocation}"
        self.dir = where / alloc
        for part in ("alloc/logs", "alloc/data", f"{name}/local", f"{name}/secrets", f"{name}/tmp"):
            (self.dir / part).mkdir(parents=True, exist_ok=True)
        self.fifos = [self.dir / f"alloc/logs/.{name}.{which}.fifo" for which in ("stdout", "stderr")]
        self.output = [b"", b""]
        self.collectors = []
        self.message = {
            1: self.id, 2: name, 3: msgpack(config), 4: entries({"NOMAD_TASK_NAME": name, **(env or {})}),
            6: {1: {1: {1: 100}, 2: {2: memory}}, 3: [{1: label, 2: value} for label, value in (ports or {}).items()]},
            7: list(mounts), 9: user or None, 10: str(self.dir), 11: str(self.fifos[0]), 12: str(self.fifos[1]),
            13: "group1", 14: "job1", 15: alloc, 17: dns,
        }
        self.extra = extra

    def collect(self):
        """What Nomad's log collector does: one reader for each FIFO, until its end."""
        for number, fifo in enumerate(self.fifos):
            if not fifo.exists():
                os.mkfifo(fifo)
            pipe = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            thread = threading.Thread(target=self.read, args=(number, pipe), daemon=True)
            thread.start()
            self.collectors.append(thread)
        return self

    def read(self, number, pipe):
        seen = select.poll()
        seen.register(pipe, select.POLLIN)
        try:
            while not self.plugin.machine.over:
                if seen.poll(200):  # not before the first writer came
                    data = os.read(pipe, 65536)
                    self.output[number] += data
                    if not data:
                        return
        finally:
            os.close(pipe)

    def request(self):
        return pack(self.message) + self.extra

    def start(self, timeout=60):
        self.collect()
        reply = self.plugin.driver("StartTask", {1: self.request()}, timeout)
        handle = fields(one(reply, 3))
        assert one(handle, 1, 0) >= 1 and one(handle, 3) == 1
        assert fields(one(handle, 2)).keys() == fields(self.request()).keys(), "the echo lacks something"
        self.handle = one(reply, 3)
        return self

    def wait(self):
        return self.plugin.stream("WaitTask", {1: self.id})

    def result(self, call=None, timeout=20):
        """(exit code, signal, killed for memory, error)"""
        reply = (call or self.wait()).get(timeout)
        result = fields(one(reply, 1))
        return one(result, 1, 0), one(result, 2, 0), bool(one(result, 3, 0)), text(reply, 2)

    def stop(self, timeout=5, signal=None):
        self.plugin.driver("StopTask", {1: self.id, 2: {1: timeout}, 3: signal})

    def destroy(self, force=True):
        self.plugin.driver("DestroyTask", {1: self.id, 2: force})

    def logs(self):
        """All of it, once both ends are reached."""
        deadline = time.monotonic() + 10
        for thread in self.collectors:
            thread.join(max(0.1, deadline - time.monotonic()))
            assert not thread.is_alive(), "the log collector does not see the end"
        return self.output[0], self.output[1]


# ---- what scenes begin with ----

def config(command="sleep 1000", **more):
    return {"image": "http://127.0.0.1:1/none", "pot": "web", "tag": "1.0", "command": command, "network_mode": "host",
            **more}


def plugin_of(machine):
    return machine.plugins[-1]


def make(machine, command="sleep 1000", invocation="223ab329", options=None, **more):
    return Task(plugin_of(machine), machine.dir / "allocs", config(command, **(options or {})), invocation=invocation, **more)


def health(plugin):
    first = plugin.stream("Fingerprint").get()
    return one(first, 2, 0), text(first, 3)
