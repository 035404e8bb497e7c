"""What a real Nomad and the plugin said to each other (nomad_record.py), taken apart into calls."""
from nomad_host import hpack, hyperframe

PLACE = "/mnt"  # data_dir of the recorded clients: a directory that every machine has
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def put_place(machine, directory):
    """The recorded paths lead to this directory, for the machine alone."""
    directory.mkdir(parents=True, exist_ok=True)
    machine.run("mount", "--bind", directory, PLACE)


def records(path):
    data, at = path.read_bytes(), 0
    while at < len(data):
        size = int.from_bytes(data[at + 1:at + 5], "big")
        yield chr(data[at]), data[at + 5:at + 5 + size]
        at += 5 + size


def sent_by_nomad(path):
    return b"".join(data for way, data in records(path) if way == ">")


class Side:
    """One direction: bytes in, frames out."""

    def __init__(self, preface):
        self.rest, self.preface, self.headers, self.decoder = b"", preface, b"", hpack.Decoder()

    def frames(self, data):
        self.rest += data
        if self.preface:
            if len(self.rest) < len(PREFACE):
                return
            assert self.rest.startswith(PREFACE)
            self.rest, self.preface = self.rest[len(PREFACE):], False
        while len(self.rest) >= 9:
            frame, size = hyperframe.frame.Frame.parse_frame_header(memoryview(self.rest[:9]))
            if len(self.rest) < 9 + size:
                return
            frame.parse_body(memoryview(self.rest[9:9 + size]))
            self.rest = self.rest[9 + size:]
            yield frame

    def fields(self, frame):
        """Of a block of headers that has come to its end, else None."""
        self.headers += frame.data
        if "END_HEADERS" not in frame.flags:
            return None
        block, self.headers = self.headers, b""
        return {name if isinstance(name, str) else name.decode(): value if isinstance(value, str) else value.decode()
                for name, value in self.decoder.decode(block)}


def events(path):
    """In the order of the exchange: (what, stream, value). From Nomad: open (the path), data, half-closed, cancel; from
    the plugin: ended (the status and all that it said)."""
    sides, said = {">": Side(True), "<": Side(False)}, {}
    for way, data in records(path):
        side = sides[way]
        for frame in side.frames(data):
            kind = type(frame).__name__
            if kind in ("HeadersFrame", "ContinuationFrame"):
                fields = side.fields(frame)
                if fields and way == ">":
                    yield "open", frame.stream_id, fields[":path"]
                elif fields and "grpc-status" in fields:
                    yield "ended", frame.stream_id, (int(fields["grpc-status"]), said.get(frame.stream_id, b""))
            elif kind == "DataFrame" and way == ">":
                yield "data", frame.stream_id, frame.data
            elif kind == "DataFrame":
                said[frame.stream_id] = said.get(frame.stream_id, b"") + frame.data
            elif kind == "RstStreamFrame" and way == ">":
                yield "cancel", frame.stream_id, frame.error_code
            if way == ">" and "END_STREAM" in getattr(frame, "flags", ()):
                yield "half-closed", frame.stream_id, None
