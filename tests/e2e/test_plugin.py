"""nomad-pot-driver as an agent of Nomad sees it: the protocol, and tasks from start to removal."""
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from machine import BIN, wait_until
from nomad_host import (BASE, Connection, DRIVER, ENVIRONMENT, Plugin, Refused, Task, config, fields, health, make, msgpack, one,
                        plugin_of, text)

PROGRAM = BIN / "nomad-pot-driver"


@pytest.fixture
def host(machine):
    """A machine with an image `web` 1.0 of a busybox, and a plugin in it."""
    machine.make_pot("web_1_0")
    machine.pot("snapshot", "-p", "web_1_0")
    plugin = Plugin(machine, PROGRAM)
    machine.plugins, machine.over = [plugin], False
    yield machine
    machine.over = True
    for plugin in machine.plugins:
        plugin.shutdown()


# ---- before the first call ----

def test_by_hand_it_explains_itself(machine):
    result = machine.try_run(PROGRAM)
    assert result.returncode == 1 and result.stdout == "" and "plugin of Nomad" in result.stderr
    result = machine.try_run(PROGRAM, env={**ENVIRONMENT, "PLUGIN_PROTOCOL_VERSIONS": "3"})
    assert result.returncode == 1 and result.stdout == ""
    result = machine.try_run(PROGRAM, env={**ENVIRONMENT, "PLUGIN_CLIENT_CERT": "x"})
    assert result.returncode == 1 and "TLS" in result.stderr


def test_sockets_of_killed_plugins_are_removed(machine):
    home = machine.dir / "sockets"
    home.mkdir()
    paths = {name: home / f"pot-driver-{name}.sock" for name in ("old", "young", "used", "file")}
    listening = {name: socket.socket(socket.AF_UNIX) for name in ("old", "young", "used")}
    for name, sock in listening.items():
        sock.bind(str(paths[name]))
        sock.listen()
        if name != "used":
            sock.close()
    paths["file"].write_text("")
    (home / "pot-driver-link.sock").symlink_to(paths["young"])
    for path in (*(paths[name] for name in ("old", "used", "file")), home / "pot-driver-link.sock"):
        os.utime(path, (1, 1), follow_symlinks=False)
    plugin = Plugin(machine, PROGRAM, env={"PLUGIN_UNIX_SOCKET_DIR": str(home)})
    assert os.path.dirname(plugin.path) == str(home)
    plugin.shutdown()
    listening["used"].close()
    assert sorted(path.name for path in home.iterdir()) == [f"pot-driver-{name}.sock" for name in ("file", "link", "used", "young")]


def test_first_calls(host):
    plugin = plugin_of(host)
    info = plugin.base("PluginInfo")
    assert one(info, 1) == 2 and text(info, 2) == "v0.1.0" and text(info, 4) == "pot" and text(info, 3).startswith("v")
    for answer in (plugin.base("ConfigSchema"), plugin.driver("TaskConfigSchema")):
        keys = fields(one(fields(one(answer, 1)), 1))
        assert len(keys[1]) > 5
    capabilities = fields(one(plugin.driver("Capabilities"), 1))
    assert one(capabilities, 1) == 1 and one(capabilities, 2) == 1 and one(capabilities, 6, 0) == 0
    assert one(plugin.connection.call("/grpc.health.v1.Health/Check", {1: "plugin"}), 1) == 1
    with pytest.raises(Refused, match="status 12"):
        plugin.driver("NoSuchMethod")
    with pytest.raises(Refused, match="status 5"):
        plugin.connection.call("/grpc.health.v1.Health/Check", {1: "other"})
    plugin.driver("Init")
    with pytest.raises(Refused, match="enabled|fs_isolation"):
        plugin.base("SetConfig", {1: b"\x81\xacfs_isolation\xa6chroot"})


def test_streams_stay_open(host):
    plugin = plugin_of(host)
    streams = [plugin.connection.open("/plugin.GRPCStdio/StreamStdio", {}), plugin.stream("TaskEvents"),
               plugin.connection.open("/plugin.GRPCBroker/StartStream", {}, end=False)]
    fingerprint = plugin.stream("Fingerprint")
    first = fingerprint.get()
    rows = {text(fields(row), 1): fields(one(fields(row), 2)) for row in first[1]}
    assert one(first, 2) == 2 and text(first, 3) == "Healthy"
    assert one(rows["driver.pot"], 4) == 1 and text(rows["driver.pot.version"], 3)
    for stream in [*streams, fingerprint]:
        assert not stream.ended(timeout=0.2)
        stream.cancel()
    plugin.base("PluginInfo")


def test_a_host_that_only_asked_and_died(host):
    """The launches before the one that serves end with their agent, even when it cannot say so."""
    process = host.popen(PROGRAM, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    path = process.stdout.readline().decode().split("|")[3]
    connection = Connection(path)
    connection.call(BASE + "SetConfig", {1: b"", 3: "v0.1.0"})
    connection.close()
    assert process.wait(timeout=10) == 0 and not os.path.exists(path)


def test_a_command_that_is_not_there(host):
    with pytest.raises(Refused, match="nosuch") as refused:
        make(host, "/bin/nosuch x").start()
    assert refused.value.recoverable is None
    assert host.pot("ls", "-q").split() == ["web_1_0"]


# ---- one task ----

def test_from_start_to_removal(host):
    task = make(host, "echo out; echo err >&2; cat /local/in; env | grep -c ^NOMAD_; exit 7",
                env={"PATH": host.env["PATH"], "NOMAD_META_x": "1", "OWN": "y"}, extra=b"\xaa\x06\x03new")
    (task.dir / "www1/local/in").write_text("from the host\n")
    task.start()
    assert task.result() == (7, 0, False, "")
    assert task.result() == (7, 0, False, "")
    out, err = task.logs()
    assert out == b"out\nfrom the host\n2\n" and err == b"err\n"
    status = plugin_of(host).driver("InspectTask", {1: task.id})
    inner = fields(one(status, 1))
    assert text(inner, 1) == task.id and one(inner, 3) == 2 and {4, 5, 6} <= inner.keys()
    assert "www1_223ab329_" + task.alloc in host.pot("ls", "-q")
    task.destroy()
    assert host.pot("ls", "-q").split() == ["web_1_0"]
    with pytest.raises(Refused, match="task not found for given id"):
        task.result()
    task.destroy()  # of one that is not known
    task.stop()


def test_waits_before_and_after_the_end(host):
    task = make(host, "trap 'exit 3' TERM; while :; do sleep 0.02; done").start()
    calls = [task.wait() for _ in range(3)]
    task.stop()
    assert [task.result(call) for call in calls] == [(3, 0, False, "")] * 3
    task.destroy()


def test_stop_signal_and_timeout(host):
    task = make(host, "trap '' TERM; trap 'exit 5' INT; echo ready; while :; do sleep 0.02; done").start()
    wait_until(lambda: task.output[0], what="the trap")
    task.stop(signal="SIGINT")
    assert task.result()[0] == 5
    task.destroy()
    stubborn = make(host, "trap '' TERM; echo ready; while :; do sleep 0.02; done", invocation="00000002").start()
    wait_until(lambda: stubborn.output[0], what="the trap")
    stubborn.stop(timeout=0)
    assert stubborn.result()[:2] == (137, 9)
    stubborn.destroy()


def test_a_stop_whose_exec_stop_hangs(host):
    """It has the job's kill_timeout, like the signal; without any it is not run."""
    for timeout, left in ((1, True), (0, False)):
        task = make(host, "trap '' TERM; echo ready; while :; do sleep 0.02; done",
                    options={"attributes": ["exec_stop:touch /local/asked; sleep 4321"]}).start()
        waiting = task.wait()
        wait_until(lambda: task.output[0], what="the trap")
        task.stop(timeout=timeout)
        assert task.result(waiting)[:2] == (137, 9)
        asked = task.dir / "www1/local/asked"
        assert asked.exists() == left
        if left:
            wait_until(lambda: any("exec_stop of pot" in line for line in plugin_of(host).lines), what="a word in the log")
        task.destroy()
        asked.unlink(missing_ok=True)
        for fifo in task.fifos:
            fifo.unlink()


def test_signals(host):
    task = make(host, "trap 'echo hup' HUP; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.02; done").start()
    wait_until(lambda: b"ready" in task.output[0], what="the traps")
    for name, word in (("SIGHUP", b"hup\n"), ("usr1", b"usr1\n")):
        plugin_of(host).driver("SignalTask", {1: task.id, 2: name})
        wait_until(lambda: word in task.output[0], what=f"the answer to {name}")
    with pytest.raises(Refused, match="SIGBOGUS"):
        plugin_of(host).driver("SignalTask", {1: task.id, 2: "SIGBOGUS"})
    with pytest.raises(Refused, match="running"):
        task.destroy(force=False)
    task.destroy()


def test_statistics(host):
    task = make(host).start()
    stats = plugin_of(host).stream("TaskStats", {1: task.id, 2: {2: 200_000_000}})
    for number in range(50):  # the kernel counts memory in batches: it may show a little later
        sample = fields(one(stats.get(), 1))
        assert text(sample, 1) == task.id and 2 in sample
        usage = fields(one(sample, 3))
        cpu, memory = fields(one(usage, 1)), fields(one(usage, 2))
        assert 7 in cpu and 6 in memory
        if number > 0 and one(memory, 1, 0) + one(memory, 2, 0) > 0:
            break
    else:
        raise AssertionError("no memory is used")
    task.stop()
    assert stats.ended()
    task.destroy()


def test_bad_jobs_name_the_key(host):
    for options, word in (({"tag": None}, "tag"), ({"mount": ["/nocolon"]}, "mount"), ({"args": "x"}, "args"),
                          ({"network_mode": "odd"}, "network_mode"), ({"env_file": "/etc/passwd"}, "env_file"),
                          ({"network_mode": "public-bridge", "port_map": [{"http": "80"}]}, "port_map")):
        with pytest.raises(Refused, match=word) as refused:
            make(host, options=options).start()
        assert refused.value.recoverable is None
    with pytest.raises(Refused, match="msgpack"):
        task = make(host)
        task.message[3] = b"\xc1"
        task.start()
    assert host.pot("ls", "-q").split() == ["web_1_0"]


def test_start_twice(host):
    task = make(host).start()
    with pytest.raises(Refused, match="started already"):
        plugin_of(host).driver("StartTask", {1: task.request()})
    task.stop()
    task.destroy()


def test_an_image_that_cannot_be_had_may_be_tried_again(host):
    events = plugin_of(host).stream("TaskEvents")
    task = make(host, options={"pot": "other"})
    with pytest.raises(Refused) as refused:
        task.start()
    assert refused.value.status == 9 and refused.value.recoverable and "other_1.0" in refused.value.words
    event = events.get()
    assert text(event, 5) == "Downloading image" and text(event, 2) == task.alloc and text(event, 3) == "www1"
    events.cancel()


REGISTRY = """import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 8099)); s.listen()
held = []
print("listens", flush=True)
while True:
    held.append(s.accept()[0]); print("asked", flush=True)
    if len(held) > 1:
        held[-1].recv(4096); held[-1].sendall(b"HTTP/1.1 404 none here\\r\\nContent-Length: 0\\r\\n\\r\\n")
"""


def test_an_image_is_wanted_again_after_a_cancelled_download(host):
    """A start must not share the end of a download that was given up just before."""
    registry = host.popen("python3", "-c", REGISTRY, stdout=subprocess.PIPE, text=True)
    assert registry.stdout.readline() == "listens\n"
    options = {"pot": "other", "image": "http://127.0.0.1:8099"}
    first = make(host, options=options).collect()
    call = plugin_of(host).stream("StartTask", {1: first.request()})
    assert registry.stdout.readline() == "asked\n"
    worker = next(pid for pid, words in host.processes().items() if "pot-runner --worker" in words)
    os.kill(worker, signal.SIGSTOP)
    call.cancel()
    second = make(host, name="www2", options=options).collect()
    again = plugin_of(host).stream("StartTask", {1: second.request()})
    plugin_of(host).base("PluginInfo")
    os.kill(worker, signal.SIGCONT)
    with pytest.raises(Refused, match="404|not there|no image"):
        again.get(30)
    assert registry.stdout.readline() == "asked\n"
    registry.kill()
    registry.wait()


def test_nobody_reads_the_output(host):
    task = make(host)
    for fifo in task.fifos:
        os.mkfifo(fifo)
    with pytest.raises(Refused, match="nobody reads it"):
        plugin_of(host).driver("StartTask", {1: task.request()})
    assert host.pot("ls", "-q").split() == ["web_1_0"]


def test_many_that_take_their_time_to_end(host):
    """Those that wait for the end of a task hold up no others."""
    slow = [make(host, "trap '' TERM; echo ready; while :; do sleep 0.05; done", name=f"slow{n}").start() for n in range(18)]
    for task in slow:
        wait_until(lambda: task.output[0] == b"ready\n", what="its first word")
    stops = [plugin_of(host).stream("StopTask", {1: task.id, 2: {1: 600}}) for task in slow]
    quick = make(host, "true; exit 4").start()
    assert quick.result() == (4, 0, False, "")
    assert one(plugin_of(host).stream("Fingerprint").get(), 2) == 2
    for task in [*slow, quick]:
        task.destroy()
    assert all(call.ended() for call in stops)


# ---- exec ----

def test_exec_task(host):
    task = make(host, env={"OWN": "yes"}).start()

    def run(*command, timeout=None):
        reply = plugin_of(host).driver("ExecTask", {1: task.id, 2: list(command), 3: {1: timeout} if timeout else None})
        return one(reply, 1, b""), one(reply, 2, b""), one(fields(one(reply, 3)), 1, 0)
    assert run("sh", "-c", "echo $OWN; echo e >&2; exit 3") == (b"yes\n", b"e\n", 3)
    assert run("true") == (b"", b"", 0)
    out, err, code = run("nosuch")
    assert out == b"" and b"nosuch" in err and code == 127
    assert run("/etc/passwd")[2] == 126
    with pytest.raises(Refused, match="in time"):
        run("sleep", "1000", timeout=1)
    with pytest.raises(Refused, match="task not found"):
        plugin_of(host).driver("ExecTask", {1: "x/y/z", 2: ["true"]})
    task.stop()
    task.destroy()


def test_a_command_that_leaves_somebody_who_talks(host):
    """Its end is told, though what it left behind goes on to write."""
    task = make(host).start()
    for terminal in (False, True):
        call = plugin_of(host).stream("ExecTaskStreaming", {1: {1: task.id, 2: ["sh", "-c", "trap '' HUP; yes & exit 5"],
                                                                3: terminal}}, end=False)
        assert read_exec(call)[3] == 5
    assert one(fields(one(plugin_of(host).driver("ExecTask", {1: task.id, 2: ["sh", "-c", "yes & exit 6"]}), 3)), 1) == 6
    task.destroy()


def read_exec(call):
    out, closed = {1: b"", 2: b""}, []
    while True:
        reply = call.get()
        for number in (1, 2):
            if number in reply:
                io = fields(one(reply, number))
                out[number] += one(io, 1, b"")
                if one(io, 2):
                    closed.append(number)
        if one(reply, 3):
            result = fields(one(reply, 4))
            assert call.ended()
            return out[1], out[2], closed, one(result, 1, 0)


def test_exec_streaming(host):
    task = make(host).start()
    plugin = plugin_of(host)
    call = plugin.stream("ExecTaskStreaming", {1: {1: task.id, 2: ["sh", "-c", "cat; echo e >&2; exit 4"]}}, end=False)
    call.send({})
    for _ in range(40):
        call.send({3: {1: b"x" * 50000}})
    call.send({3: {2: True}})
    out, err, closed, code = read_exec(call)
    assert (len(out), err, closed, code) == (2_000_000, b"e\n", [1, 2], 4)
    call = plugin.stream("ExecTaskStreaming", {1: {1: task.id, 2: ["sleep", "4321"]}}, end=False)
    wait_until(lambda: any("sleep 4321" in words for words in host.processes().values()), what="the command")
    call.cancel()
    wait_until(lambda: not any("sleep 4321" in words for words in host.processes().values()), what="its end")
    task.stop()
    task.destroy()


def test_exec_with_a_terminal(host):
    task = make(host).start()
    call = plugin_of(host).stream("ExecTaskStreaming", {
        1: {1: task.id, 2: ["sh", "-c", "tty >/dev/null && stty size; read x; stty size; echo $TERM; exit 9"], 3: True},
        2: {1: 30, 2: 100}}, end=False)
    seen = b""
    while b"30 100" not in seen:
        seen += one(fields(one(call.get(), 1)), 1, b"")
    call.send({2: {1: 50, 2: 120}})
    call.send({3: {1: b"go\n"}})
    out, err, closed, code = read_exec(call)
    assert b"50 120" in out and b"xterm" in out and err == b"" and closed == [1] and code == 9
    task.stop()
    task.destroy()


# ---- agents and plugins come and go ----

def recover(machine, task):
    """A new plugin takes the task over; as after an agent's restart, the driver's config is missing."""
    plugin = Plugin(machine, PROGRAM)
    machine.plugins.append(plugin)
    task.plugin = plugin
    del task.message[3]
    handle = fields(task.handle)
    plugin.driver("RecoverTask", {2: {1: one(handle, 1), 2: task.message, 3: 1, 4: one(handle, 4)}})


def test_a_task_outlives_its_plugin(host):
    task = make(host, "trap 'exit 3' TERM; echo one; while :; do sleep 0.02; done").start()
    before = host.pot_json("ps")
    plugin_of(host).shutdown()
    assert host.pot_json("ps")[0]["pid"] == before[0]["pid"]
    recover(host, task)
    plugin_of(host).driver("RecoverTask", {2: {1: 3, 2: task.message}})  # of one that is known
    waiting = task.wait()
    task.stop()
    assert task.result(waiting) == (3, 0, False, "")
    assert task.logs()[0] == b"one\n"
    task.destroy()


def test_a_task_ends_while_no_plugin_is_there(host):
    task = make(host, "while [ ! -e /local/go ]; do sleep 0.02; done; exit 6").start()
    plugin_of(host).kill()
    (task.dir / "www1/local/go").write_text("")
    wait_until(lambda: not host.running(), what="the end of the pot")
    host.plugins.clear()
    recover(host, task)
    assert task.result() == (6, 0, False, "")
    task.destroy()


def test_what_cannot_be_recovered_is_cleaned_up(host):
    task = make(host).start()
    plugin_of(host).kill()
    host.plugins.clear()
    host.pot("destroy", "-p", f"www1_223ab329_{task.alloc}", "-F")
    with pytest.raises(Refused, match="not|no"):
        recover(host, task)
    task.destroy()
    with pytest.raises(Refused):
        plugin_of(host).driver("RecoverTask", {1: "x"})


def test_a_killed_plugin_leaves_no_open_end(host):
    """Its output closes at once, though pots run: an agent notices its death."""
    task = make(host).start()
    process = plugin_of(host).process
    plugin_of(host).kill()
    assert process.stdout.read() == b""
    plugin_of(host).reader.join(2)
    assert not plugin_of(host).reader.is_alive()
    host.plugins.clear()
    recover(host, task)
    task.stop()
    task.destroy()


def another_plugin(host):
    """In place of one that is killed."""
    plugin_of(host).kill()
    host.plugins[:] = [Plugin(host, PROGRAM)]
    return plugin_of(host)


def test_a_start_that_nobody_got_to_know_of(host):
    """The plugin died before its answer: asked again for the same task, the next one takes over what runs."""
    task = make(host, "echo once >>/local/starts; trap 'exit 3' TERM; while :; do sleep 0.02; done").start()
    before = host.pot_json("ps")[0]["pid"]
    task.plugin = another_plugin(host)
    task.start()
    assert host.pot_json("ps")[0]["pid"] == before
    task.stop()
    assert task.result() == (3, 0, False, "") and (task.dir / "www1/local/starts").read_text() == "once\n"
    task.destroy()
    assert host.pot("ls", "-q").split() == ["web_1_0"]


def test_a_start_that_nobody_got_to_know_of_has_ended(host):
    """How it ended is told; the command does not run again."""
    task = make(host, "echo once >>/local/starts; exit 7").start()
    wait_until(lambda: not host.running(), what="its end")
    task.plugin = another_plugin(host)
    task.start()
    assert task.result() == (7, 0, False, "") and (task.dir / "www1/local/starts").read_text() == "once\n"
    task.destroy()
    assert host.pot("ls", "-q").split() == ["web_1_0"]


def test_what_an_agent_left_that_died_with_its_plugin(host):
    """It goes on with another invocation of the task; the one that nobody knows of is removed."""
    first = make(host).start()
    other = make(host, name="www2").start()
    first_pot = f"www1_{first.id.rpartition('/')[2]}_{first.alloc}"
    other.plugin = another_plugin(host)
    second = make(host, "echo second; sleep 1000", invocation="00000002").start()
    wait_until(lambda: b"second\n" in first.output[0] + second.output[0], what="its word, though the first has ended")
    names = host.pot("ls", "-q").split()
    assert len(names) == 3 and first_pot not in names and len(host.running()) == 2, names
    for task in (second, other):
        task.destroy()


def test_the_worker_is_replaced(host):
    task = make(host, "trap 'exit 3' TERM; while :; do sleep 0.02; done").start()
    waiting = task.wait()
    worker = next(pid for pid, words in host.processes().items() if "pot-runner --worker" in words)
    os.kill(worker, 9)
    wait_until(lambda: any("pot-runner --worker" in w and p != worker for p, w in host.processes().items()),
               what="another worker")
    task.stop()
    assert task.result(waiting) == (3, 0, False, "")
    task.destroy()


# ---- what a job may ask for ----

def test_everything_a_job_may_ask_for(host):
    volume = host.dir / "volume"
    volume.mkdir()
    (volume / "v").write_text("volume\n")
    (host.dir / "copied").write_text("copied\n")
    task = make(host, "cat /vol/v /mnt/v /etc/copied /local/own; echo $FROM_FILE; grep db1 /etc/hosts; "
                "cat /etc/resolv.conf; touch /mnt/x 2>/dev/null || echo read-only; id -u; ulimit -n; hostname",
                options={"copy": [f"{host.dir}/copied:/etc/copied"], "mount_read_only": [f"{volume}:/mnt"],
                         "extra_hosts": ["db1:10.1.2.3"], "dns": ["9.9.9.9"], "env_file": "local/env",
                         "limits": [{"files": "123"}], "attributes": ["stop_timeout:7"], "args": []},
                mounts=[{1: "/vol", 2: str(volume), 3: False}], user="web")
    (task.dir / "www1/local/own").write_text("local\n")
    (task.dir / "www1/local/env").write_text("# a comment\nexport FROM_FILE=\"from file\"\n")
    task.start()
    assert task.result()[0] == 0
    words = task.logs()[0].decode().splitlines()
    assert words[:5] == ["volume", "volume", "copied", "local", "from file"]
    assert "10.1.2.3" in words[5] and words[6] == "nameserver 9.9.9.9"
    assert words[7:10] == ["read-only", "1000", "123"]
    task.destroy()


def test_a_dns_block_without_servers(host):
    """It is added to the machine's: a pot that only searches must be able to ask somebody."""
    machines = host.dir / "resolv.conf"
    machines.write_text("# ours\nsearch own.example\nnameserver 127.0.0.53\n  nameserver\t192.0.2.7\n")
    host.run("mount", "--bind", machines, "/etc/resolv.conf")
    servers, wish = "nameserver 127.0.0.53\n  nameserver\t192.0.2.7\n", "search a.example b.example\noptions ndots:2\n"
    block = {2: ["a.example", "b.example"], 3: ["ndots:2"]}
    for invocation, dns, options, text_of_it in (
            ("1", block, {}, servers + wish), ("2", {1: ["", "none", "192.0.2.8 x"], **block}, {}, servers + wish),
            ("3", {1: ["192.0.2.8", "fe80::1%eth0"], **block}, {}, "nameserver 192.0.2.8\nnameserver fe80::1%eth0\n" + wish),
            ("4", block, {"dns": ["9.9.9.9"]}, "nameserver 9.9.9.9\n" + wish), ("5", {1: [""]}, {}, machines.read_text())):
        task = make(host, "cat /etc/resolv.conf", invocation=invocation, options=options)
        task.message[17] = dns
        task.start()
        assert task.result()[0] == 0 and task.logs()[0].decode() == text_of_it
        task.destroy()


def test_a_task_cannot_have_a_file_of_the_machine_copied(host):
    """A link that it leaves in its directory is not followed by the copy of its next start."""
    task = make(host, name="links")
    own = task.dir / "links/local"
    (own / "link").symlink_to("/etc/shadow")
    (own / "real").write_text("own\n")
    for source in (own / "link", f"{own}//link/"):
        with pytest.raises(Refused, match="symbolic link"):
            make(host, name="links", options={"copy": [f"{source}:/copied"]}).start()
    task = make(host, "cat /copied", name="real", options={"copy": [f"{own}/real:/copied"]}).start()
    assert task.result()[0] == 0 and task.logs()[0] == b"own\n"
    task.destroy()


def test_reserved_cores(host):
    """Those of resources.cores, unless the job's own limits say which."""
    last = max(os.sched_getaffinity(0))
    for options, allowed in (({}, str(last)), ({"limits": [{"pin": "0"}]}, "0")):
        task = make(host, "grep Cpus_allowed_list /proc/self/status", options=options)
        task.message[6][2] = {6: str(last)}
        task.start()
        assert task.result()[0] == 0 and task.logs()[0].split()[1].decode() == allowed
        task.destroy()


@pytest.fixture(params=["overlay", "btrfs", "zfs", "copies"])
def upon(request, bare):
    """A plugin, on each dataset backend in turn; "copies": where its file system holds no layers."""
    bare.on("zfs" if request.param == "copies" else request.param)
    bare.init()
    if request.param == "copies":
        # an overlay whose upper layer lies on one that itself is an overlay cannot be mounted
        top = pathlib.Path(bare.conf["POT_FS_ROOT"])
        for part in ("low", "up", "work"):
            (bare.dir / part).mkdir()
        bare.run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={top},upperdir={bare.dir}/up,workdir={bare.dir}/work", top)
        bare.volumes.append(top)
    bare.kind, bare.plugins, bare.over = request.param, [Plugin(bare, PROGRAM)], False
    yield bare
    bare.over = True
    bare.plugins[0].shutdown()


def test_a_directory_in_place_of_an_image(upon):
    host, root = upon, upon.busybox_root()
    gone = {"image": None, "pot": None, "tag": None, "path": str(root)}
    (root / "home").chmod(0o711)
    tasks = [make(host, "stat -c %a /home; cat /mark 2>/dev/null; echo mine > /mark; rm /etc/group; cat /mark; "
                  "head -n 1 /etc/passwd; ls /; sleep 1000", options=gone, name=name) for name in ("one", "two")]
    for task in tasks:
        task.start()
        wait_until(lambda: task.output[0].count(b"\n") > 4, what="its words")
        words = task.output[0].decode().split()
        assert words[:2] == ["711", "mine"] and words[2].startswith("root:")  # not the other's mark
        assert set(words[3:]) - {"alloc", "local", "secrets", "mark"} == {p.name for p in root.iterdir()}
        reply = plugin_of(host).driver("ExecTask", {1: task.id, 2: ["cat", "/mark"]})
        assert one(reply, 1) == b"mine\n"
        written = host.run("cat", f"{host.conf['POT_FS_ROOT']}/jails/{task.name}_223ab329_{task.alloc}/conf/pot.conf")
        assert ("pot.root=" in written) == (host.kind != "copies")
    assert not (root / "mark").exists() and (root / "etc/group").exists()
    for task in tasks:
        task.stop(timeout=0)
        task.destroy()
    assert host.pot("ls", "-q") == ""
    with pytest.raises(Refused, match="no directory"):
        make(host, options={**gone, "path": "/nowhere"}).start()
    assert host.pot("ls", "-q") == ""
    # nobody is kept out of anything here: links lead where they like
    (host.dir / "way").symlink_to(root.parent)
    (host.dir / "it").symlink_to(host.dir / "way" / root.name)
    (host.dir / "file").symlink_to(root / "etc/passwd")
    task = make(host, "stat -c %a /home; readlink /copied || echo a file",
                options={**gone, "path": f"{host.dir}/it", "copy": [f"{host.dir}/file:/copied"]}, name="links").start()
    assert task.result()[0] == 0 and task.logs()[0] == b"711\na file\n"
    task.destroy()


def test_an_old_handle_of_the_go_driver(host):
    """Its state is not ours: what runs under that name is taken over, what does not is refused."""
    task = make(host, "trap 'exit 3' TERM; while :; do sleep 0.02; done").start()
    plugin_of(host).kill()
    plugin = Plugin(host, PROGRAM)
    host.plugins[:] = [plugin]
    task.plugin = plugin
    del task.message[3]
    old = msgpack({"ContainerName": "www1", "PID": 7, "TaskConfig": {}, "StartedAt": None})
    plugin.driver("RecoverTask", {2: {1: 2, 2: task.message, 3: 1, 4: old}})
    task.stop()
    assert task.result()[0] == 3
    task.destroy()
    with pytest.raises(Refused, match="does not run"):
        plugin.driver("RecoverTask", {2: {1: 2, 2: task.message, 3: 1, 4: old}})


def test_what_pot_start_runs_is_taken_over(host):
    """So the Go driver runs its tasks; how such a one ends is told to the one who stays beside it, and to the plugin."""
    task = make(host)
    name = f"www1_223ab329_{task.alloc}"
    host.pot("prepare", "-U", "http://127.0.0.1:1/", "-p", "web", "-t", "1.0", "-N", "host", "-a", f"223ab329_{task.alloc}",
             "-n", "www1", "-c", "\"sh -c 'while [ ! -e /go ]; do sleep 0.02; done; kill -9 $$'\"")
    starter = host.popen(BIN / "pot", "start", name)
    wait_until(lambda: host.running() == [name], what="the pot")
    del task.message[3]
    task.plugin.driver("RecoverTask", {2: {1: 2, 2: task.message, 3: 1, 4: msgpack({"PID": starter.pid})}})
    end = task.wait()
    host.pot("exec", "-p", name, "touch", "/go")
    assert task.result(end) == (137, 9, False, "") and starter.wait() == 125
    task.destroy()
    assert name not in host.pot("ls", "-q").split()


def test_ports(host):
    host.pot("vnet-start")
    task = make(host, "httpd -f -p 80 -h /local", options={"network_mode": None, "port_map": [{"http-x": "80"}]},
                ports={"http-x": 20080})
    (task.dir / "www1/local/index.html").write_text("served")
    task.start()
    assert wait_until(lambda: host.http("http://203.0.113.1:20080/", outside=True), what="the page") == "served"
    task.stop()
    task.destroy()
    host.pot("vnet-stop")


def test_the_network_of_a_group(host):
    """Nomad has made it, and leads its ports there: the pot is in it, and we add nothing."""
    name = f"potter-{host.id}"
    host.run("ip", "netns", "add", name)
    host.run("ip", "-n", name, "link", "add", "nomad0", "type", "bridge")
    task = make(host, "ls /sys/class/net; grep group1 /etc/hosts; sleep 1000", ports={"http": 20080},
                options={"network_mode": None, "port_map": [{"http": "80"}]})
    task.message[16] = {1: 1, 2: f"/var/run/netns/{name}", 4: {1: "group1", 2: "172.26.64.5"}}
    task.start()
    wait_until(lambda: b"group1" in task.output[0], what="its words")
    assert task.output[0].split() == [b"lo", b"nomad0", b"172.26.64.5", b"group1"]
    reply = plugin_of(host).driver("ExecTask", {1: task.id, 2: ["ip", "link", "show", "nomad0"]})
    assert one(fields(one(reply, 3)), 1, 0) == 0
    assert not host.pairs() and not host.tables()
    task.stop(timeout=0)
    task.destroy()
    odd = make(host, options={"network_mode": "public-bridge"}, invocation="00000002")
    odd.message[16] = task.message[16]
    with pytest.raises(Refused, match="network_mode.*exclude each other"):
        odd.start()
    host.run("ip", "netns", "del", name)
    gone = make(host, options={"network_mode": None}, invocation="00000003")
    gone.message[16] = task.message[16]
    with pytest.raises(Refused, match="network"):
        gone.start()
    assert host.pot("ls", "-q").split() == ["web_1_0"]


def test_addresses_and_bridges(host):
    host.pot("vnet-start")
    host.pot("create-private-bridge", "-B", "back", "-S", "8")
    for number, (options, seen) in enumerate((({"network_mode": "alias", "address": ["ext0|203.0.113.50"]}, "203.0.113.50"),
                                              ({"network_mode": "private-bridge", "bridge": "back"}, "10.192."),
                                              ({"network_mode": "public-bridge", "address": ["10.192.0.77"]}, "10.192.0.77"))):
        task = make(host, "httpd -p 80 -h /local; ip -4 addr; sleep 1000", options=options, invocation=f"{number:08x}")
        (task.dir / "www1/local/index.html").write_text("served")
        task.start()
        wait_until(lambda: seen.encode() in task.output[0], what=f"the address {seen}")
        if "alias" in options.values():
            wait_until(lambda: host.http(f"http://{seen}/", outside=True) == "served", what="the page")
        task.stop(timeout=0)
        task.destroy()
    for options, word in (({"network_mode": "alias"}, "address"), ({"network_mode": "private-bridge"}, "bridge"),
                          ({"network_mode": "host", "address": ["10.192.0.9"]}, "address"),
                          ({"network_mode": "private-bridge", "bridge": "none"}, "none"),
                          ({"network_mode": "public-bridge", "bridge": "back"}, "bridge"),
                          ({"network_mode": "alias", "address": ["auto"]}, "auto")):
        with pytest.raises(Refused, match=word) as refused:
            make(host, options=options, invocation="0000000f").start()
    assert host.pot("ls", "-q").split() == ["web_1_0"]
    host.pot("destroy", "-B", "back")
    host.pot("vnet-stop")


def test_devices(host):
    task = make(host, "head -c 3 /dev/other/zero | wc -c; ls -l /dev/other/zero; sleep 1000")
    task.message[8] = [{1: "/dev/other/zero", 2: "/dev/zero", 3: "rwm"}]
    task.start()
    wait_until(lambda: b"other" in task.output[0], what="its words")
    assert task.output[0].startswith(b"3\ncrw")
    task.stop(timeout=0)
    task.destroy()
    for device, word in (({1: "/dev/x", 2: "/dev/zero", 3: "r"}, "with reading and writing"),
                         ({1: "/dev/x", 2: "/dev/nosuch", 3: "rw"}, "nosuch"), ({1: "x", 2: "/dev/zero", 3: "rw"}, "absolute")):
        task = make(host, invocation="00000002")
        task.message[8] = [device]
        with pytest.raises(Refused, match=word):
            task.start()
    assert host.pot("ls", "-q").split() == ["web_1_0"]


def test_what_the_agent_configures(machine):
    """A pot root and a policy of the plugin's own: also the end of a run, which others walk, finds them."""
    other = machine.dir / "other"
    machine.try_run("mkdir", other)
    conf = machine.dir / "other.conf"
    conf.write_text(machine.conf_file.read_text() + f"POT_FS_ROOT={other}\n")
    machine.pot("init", env={"POT_CONF": str(conf)})
    plugin = Plugin(machine, PROGRAM, config={"pot_root": str(other), "signatures": "require"})
    machine.plugins, machine.over = [plugin], False
    assert health(plugin) == (2, "Healthy")
    root = machine.busybox_root()
    task = Task(plugin, machine.dir / "allocs", {"path": str(root), "command": "sh -c 'exit 4'", "network_mode": "host"}).start()
    assert task.result() == (4, 0, False, "")
    assert len(list((other / "jails").iterdir())) == 1 and machine.pot("ls", "-q").split() == []
    task.destroy()
    wait_until(lambda: not machine.cgroup_dirs() or len(machine.cgroup_dirs()) <= len({p.split("/")[4] for p in
               machine.cgroup_dirs()}), what="the end of its groups")
    unsigned = Task(plugin, machine.dir / "allocs", config(), invocation="00000002")
    with pytest.raises(Refused, match="signed"):
        unsigned.start()
    for wrong, word in (({"pot_root": "relative"}, "pot_root"), ({"signatures": "odd"}, "signatures"),
                        ({"signature_pubkey": "/a'b"}, "signature_pubkey"), ({"runner_socket": "x"}, "runner_socket"),
                        ({"registry_mirrors": ["ftp://x"]}, "registry_mirrors"), ({"image_gc_delay": "soon"}, "image_gc_delay"),
                        ({"registry_mirrors": "http://x"}, "registry_mirrors")):
        with pytest.raises(Refused, match=f"plugin: {word}: "):
            plugin.base("SetConfig", {1: msgpack(wrong)})
    machine.over = True
    plugin.shutdown()
    machine.pot("de-init", "-f", env={"POT_CONF": str(conf)})
    machine.init()


def test_an_image_that_no_task_uses_goes(host):
    plugin = Plugin(host, PROGRAM, config={"image_gc": True, "image_gc_delay": "1s"})
    host.plugins.append(plugin)
    first, second = (make(host, name=name).start() for name in ("www1", "www2"))
    first.stop(timeout=0)
    first.destroy()
    recovered = Plugin(host, PROGRAM, config={"image_gc": True, "image_gc_delay": "1s"})  # it knows the image by the handle
    plugin.shutdown()
    host.plugins[-1] = second.plugin = recovered
    handle = fields(second.handle)
    recovered.driver("RecoverTask", {2: {1: one(handle, 1), 2: second.message, 3: 1, 4: one(handle, 4)}})
    assert "web_1_0" in host.pot("ls", "-q").split()
    second.stop(timeout=0)
    second.destroy()
    wait_until(lambda: host.pot("ls", "-q") == "", what="the end of the image")


def test_a_burst_of_output_is_whole(host):
    task = make(host, "i=0; while [ $i -lt 100 ]; do cat /local/block; i=$((i+1)); done; echo end")
    block = b"0123456789abcdef" * 4096
    (task.dir / "www1/local/block").write_bytes(block)
    task.start()
    assert task.result(timeout=60)[0] == 0
    assert task.logs()[0] == block * 100 + b"end\n"
    task.destroy()


# ---- malice and mistakes ----

def test_malformed_requests_harm_nobody(host):
    plugin = plugin_of(host)
    task = make(host).start()
    waiting = task.wait()
    for path, raw, status in ((DRIVER + "StartTask", b"\0\0\0\0\x04\xff\xff\xff\xff", 13),
                              (DRIVER + "StartTask", b"\1\0\0\0\0", 12),
                              (DRIVER + "StartTask", b"\0\xff\xff\xff\xff", 8),
                              (DRIVER + "StartTask", b"\0\0\0", 13),
                              (DRIVER + "StartTask", b"\0\0\0\0\0", 2),
                              (BASE + "PluginInfo", b"\0\0\0\0\0\0\0\0\0\0", 13)):
        call = plugin.connection.open(path)
        plugin.connection.send_data(call.stream, raw, True)
        with pytest.raises(Refused) as refused:
            call.get()
        assert refused.value.status == status
    for _ in range(30):
        plugin.stream("WaitTask", {1: task.id}).cancel()
    task.plugin.stream("ExecTaskStreaming", {3: {1: b"x"}}, end=False)
    with socket.socket(socket.AF_UNIX) as rude:
        rude.connect(plugin.path)
        rude.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + os.urandom(5000))
        rude.recv(10000)
    task.stop()
    assert task.result(waiting)[0] in (143, 0, 137)
    task.destroy()


def test_a_cancelled_start_leaves_nothing(host):
    task = make(host).collect()
    call = plugin_of(host).stream("StartTask", {1: task.request()})
    call.cancel()
    plugin_of(host).base("PluginInfo")
    wait_until(lambda: host.pot("ls", "-q").split() == ["web_1_0"] and not host.running(), what="nothing is left")


def test_reattach(host):
    """An agent that was killed comes back to the same plugin: the tasks are as they were."""
    task = make(host, "trap 'exit 3' TERM; while :; do sleep 0.02; done").start()
    plugin_of(host).connection.close()
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(plugin_of(host).path)
    plugin_of(host).connect()
    assert text(plugin_of(host).base("PluginInfo"), 4) == "pot"
    plugin_of(host).driver("RecoverTask", {2: {1: 3, 2: task.message}})
    task.stop()
    assert task.result()[0] == 3
    task.destroy()
