"""What real Nomads have said to the plugin (tests/fixtures/nomad-*), said again: it answers as it did then."""
import pathlib
import struct
import subprocess

import pytest

from machine import BIN, wait_until
from nomad_host import Connection, ENVIRONMENT, Plugin, Refused, Task, fields, one, text
from recorded import PLACE, events, put_place, sent_by_nomad

FIXTURES = sorted((pathlib.Path(__file__).resolve().parents[1] / "fixtures").glob("nomad-*"))


@pytest.fixture(params=FIXTURES, ids=lambda p: p.name)
def spoken(request):
    return request.param


@pytest.fixture
def host(networked):
    networked.make_pot("web_1_0")
    networked.pot("snapshot", "-p", "web_1_0")
    put_place(networked, networked.dir / "place")
    networked.over = False
    yield networked
    networked.over = True
    networked.run("umount", PLACE)
    networked.pot("vnet-stop")


def launched(machine):
    process = machine.popen(BIN / "nomad-pot-driver", env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    return process, process.stdout.readline().decode().split("|")[3]


@pytest.mark.parametrize("which", ["catalogue", "configuration"])
def test_byte_for_byte(machine, spoken, which):
    """The first two launches, with each byte as it was: the plugin ends by itself, since it was told to."""
    import socket
    process, path = launched(machine)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(sent_by_nomad(spoken / which))
        while sock.recv(65536):
            pass
    assert process.wait(timeout=10) == 0 and not pathlib.Path(path).exists()


class Replay:
    """Says what Nomad said as soon as the plugin has answered what it had answered then."""

    def __init__(self, machine, plugin):
        self.machine, self.plugin, self.calls, self.asked, self.paths, self.tasks = machine, plugin, {}, {}, {}, []

    def directories(self, body):
        """Of a task that starts, and its log collector."""
        message = fields(one(fields(body[5:]), 1))
        config, ready = {"asis": "1"}, b"echo ready" in one(message, 3)
        where = self.machine.dir / "place" / pathlib.Path(text(message, 10)).relative_to(PLACE).parent
        task = Task(self.plugin, where, config, name=text(message, 2), alloc=text(message, 15)).collect()
        (task.dir / task.name / "local/index.html").write_text("page")
        self.tasks.append(task)
        return task if ready else None

    def say(self, what, stream, value):
        connection, path = self.plugin.connection, self.paths.get(stream, "")
        if what == "open":
            self.paths[stream], self.asked[stream] = value, b""
            self.calls[stream] = connection.open(value, None)
        elif what == "data" and path.endswith("Streaming"):
            connection.send_data(self.calls[stream].stream, value, False)
        elif what == "data":
            self.asked[stream] += value
        elif what == "half-closed":
            self.ready = self.directories(self.asked[stream]) if path.endswith("/StartTask") else None
            connection.send_data(self.calls[stream].stream, self.asked[stream], True)
        elif what == "cancel" and self.calls[stream].trailers is None:
            self.calls[stream].cancel()
        elif what == "ended":
            self.check(path, self.calls[stream], *value)

    def check(self, path, call, status, said):
        messages, ended = [], 0
        try:
            while True:
                messages.append(call.get(20))
        except StopIteration:
            pass
        except Refused as refused:
            ended = refused.status
        assert ended == status, path
        if not said or status != 0:
            return
        size = struct.unpack(">I", said[1:5])[0]
        then = fields(said[5:5 + size])
        assert messages and messages[0].keys() >= then.keys(), path
        if path.endswith("/WaitTask"):
            assert messages[0] == then
        if path.endswith("/StartTask") and self.ready:
            wait_until(lambda: b"ready" in self.ready.output[0], what="its words")


def test_a_client_from_start_to_end(host, spoken):
    process, path = launched(host)
    plugin = Plugin.__new__(Plugin)
    plugin.machine, plugin.connection = host, Connection(path)
    replay = Replay(host, plugin)
    for event in events(spoken / "service"):
        replay.say(*event)
    assert process.wait(timeout=10) == 0
    assert len(replay.tasks) >= 4 and host.pot("ls", "-q").split() == ["web_1_0"] and not host.running()
    outputs = [task.logs() for task in replay.tasks]
    assert (b"out\n", b"") in outputs and any(out == b"ready\nhup\n" for out, _ in outputs), outputs
