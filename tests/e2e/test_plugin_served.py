"""nomad-pot-driver of an agent that is not root: a pot-runner serves it, within the directories that it may touch."""
import os
import shutil
import subprocess

import pytest

from machine import BIN, wait_until
from nomad_host import Plugin, Refused, Task, config, fields, health, make, msgpack, one, plugin_of

PROGRAM = BIN / "nomad-pot-driver"
NOBODY, STRANGER, GROUP = 64111, 64222, 64112


def become(groups=(GROUP,), uid=NOBODY):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={','.join(map(str, groups))}" if groups else
            "--clear-groups", "--"]


def serve(machine, *roots):
    process = machine.popen(BIN / "pot-runner", "--serve", "--group", GROUP, *(w for r in roots for w in ("--root", r)),
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    path = f"{machine.conf['POT_RUN_DIR']}/runner.sock"
    wait_until(lambda: os.path.exists(path) and os.stat(path).st_mode & 0o060, what="the socket")
    return process, path


@pytest.fixture
def served(machine):
    """A pot-runner that serves, and a plugin of another user's that uses it."""
    machine.make_pot("web_1_0")
    machine.pot("snapshot", "-p", "web_1_0")
    machine.runner, machine.socket = serve(machine, machine.dir / "allocs")
    machine.plugins, machine.over = [Plugin(machine, PROGRAM, config={"runner_socket": machine.socket}, become=become())], False
    yield machine
    machine.over = True
    for plugin in machine.plugins:
        plugin.shutdown()


def test_tasks_of_an_agent_that_is_not_root(served):
    assert os.stat(f"/proc/{plugin_of(served).pid}").st_uid == NOBODY
    assert health(plugin_of(served)) == (2, "Healthy")
    task = make(served, "trap 'exit 3' TERM; id -u; cat /etc/resolv.conf; while :; do sleep 0.02; done",
                options={"dns": ["9.9.9.9"]}).start()
    waiting = task.wait()
    wait_until(lambda: task.output[0].count(b"\n") == 2, what="its words")
    assert task.output[0] == b"0\nnameserver 9.9.9.9\n"
    reply = plugin_of(served).driver("ExecTask", {1: task.id, 2: ["echo", "inside"]})
    assert one(reply, 1) == b"inside\n"
    # another pot-runner takes over, and the task goes on
    before = served.pot_json("ps")[0]["pid"]
    served.runner.terminate()
    assert served.runner.wait(10) == 0 and not os.path.exists(served.socket)
    served.runner, _ = serve(served, served.dir / "allocs")
    wait_until(lambda: any("--worker" in words for words in served.processes().values()), what="another connection")
    assert served.pot_json("ps")[0]["pid"] == before
    task.stop()
    assert task.result(waiting) == (3, 0, False, "")
    task.destroy()


def test_recovered_before_the_runner_is_there(served):
    """The client and the service start together, and the client is first."""
    task = make(served, "trap 'exit 3' TERM; while :; do sleep 0.02; done").start()
    before = served.pot_json("ps")[0]["pid"]
    plugin_of(served).kill()
    served.runner.terminate()
    assert served.runner.wait(10) == 0
    plugin = task.plugin = Plugin(served, PROGRAM, config={"runner_socket": served.socket}, become=become())
    served.plugins[:] = [plugin]
    handle = fields(task.handle)
    call = plugin.stream("RecoverTask", {2: {1: one(handle, 1), 2: task.message, 3: 1, 4: one(handle, 4)}})
    wait_until(lambda: any("not recovered yet" in line for line in plugin.lines), what="the first try")
    served.runner, _ = serve(served, served.dir / "allocs")
    call.get(20)
    assert served.pot_json("ps")[0]["pid"] == before
    task.stop()
    assert task.result() == (3, 0, False, "")
    task.destroy()


def test_what_others_than_root_may_not(served):
    outside = served.dir / "outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    for options in ({"mount": [f"{outside}:/mnt"]}, {"copy": [f"{outside}/file:/etc/file"]},
                    {"image": None, "pot": None, "tag": None, "path": str(outside)}):
        with pytest.raises(Refused, match="outside of what pot-runner may touch"):
            make(served, options=options).start()
    task = make(served)
    task.message[8] = [{1: "/dev/x", 2: "/dev/zero", 3: "rwm"}]
    with pytest.raises(Refused, match="outside of what pot-runner may touch"):
        task.start()
    # a command outside of pots, and a file that only root may read, asked for by frames of one's own
    program = f"""import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect({served.socket!r})
def ask(kind, fields):
    body = bytes([1, 0]) + kind.to_bytes(2, "big") + (7).to_bytes(8, "big") + fields
    s.sendall(len(body).to_bytes(4, "big") + body)
    size = int.from_bytes(s.recv(4, socket.MSG_WAITALL), "big")
    print(s.recv(size, socket.MSG_WAITALL)[12:])
def field(tag, text): return tag.to_bytes(2, "big") + len(text).to_bytes(4, "big") + text.encode()
ask(12, b"")
ask(2, field(1, "www1_223ab329_x") + field(2, "web") + field(3, "1.0") + field(11, "inherit") + field(13, "custom:/etc/shadow"))
"""
    said = served.run(*become(), "python3", "-c", program).splitlines()
    assert "outside of pots" in said[0] and "outside of what pot-runner may touch" in said[1], said
    assert served.pot("ls", "-q").split() == ["web_1_0"]


def test_links_below_a_root_lead_nowhere(served):
    """Its directories belong to the agent, who could put one to any file of the machine there."""
    allocs, outside = served.dir / "allocs", served.dir / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside\n")
    root = shutil.copytree(served.busybox_root(), outside / "root", symlinks=True)
    allocs.mkdir(exist_ok=True)
    for name, to in (("file", outside / "file"), ("dir", outside), ("root", root)):
        (allocs / name).symlink_to(to)
    (allocs / "own").mkdir()
    (allocs / "own/link").symlink_to("/etc/passwd")
    gone = {"image": None, "pot": None, "tag": None}
    for options, name in (({"copy": [f"{allocs}/file:/etc/file"]}, "file"), ({"copy": [f"{allocs}/file/:/etc/file"]}, "file"),
                          ({"copy": [f"{allocs}/dir/file:/etc/file"]}, "dir"), ({**gone, "path": f"{allocs}/root"}, "root"),
                          ({**gone, "path": f"{allocs}/dir/root/"}, "dir")):
        with pytest.raises(Refused, match=f"{name}.* symbolic link") as refused:
            make(served, options=options).start()
        assert refused.value.recoverable is None
    with pytest.raises(Refused, match="no directory") as refused:
        make(served, options={**gone, "path": f"{allocs}/none"}).start()
    assert refused.value.recoverable is None
    assert served.pot("ls", "-q").split() == ["web_1_0"]
    # what lies in a directory stays what it is
    task = make(served, "readlink /own/link", options={"copy": [f"{allocs}/own:/own"]}, name="own").start()
    assert task.result()[0] == 0 and task.logs()[0] == b"/etc/passwd\n"
    task.destroy()


def test_a_directory_that_becomes_a_link(served):
    """The one in place of an image is looked at anew by each start."""
    root, outside = (shutil.copytree(served.busybox_root(), served.dir / where, symlinks=True)
                     for where in ("allocs/in/root", "outside"))
    task = make(served, "cat /mark; sleep 1000", options={"image": None, "pot": None, "tag": None, "path": str(root)})
    (root / "mark").write_text("mine\n")
    (outside / "mark").write_text("outside\n")
    task.start()
    wait_until(lambda: task.output[0] == b"mine\n", what="its word")
    task.stop(timeout=0)
    name = next(name for name in served.pot("ls", "-q").split() if name.startswith("www1_"))
    root.rename(root.parent / "before")
    root.symlink_to(outside)
    served.pot_fails("start", name, says="symbolic link")
    root.unlink()
    (root.parent / "before").rename(root)
    elsewhere = root.parent.rename(served.dir / "elsewhere")
    root.parent.symlink_to(elsewhere)
    served.pot_fails("start", name, says="symbolic link")
    root.parent.unlink()
    elsewhere.rename(root.parent)
    served.pot("start", "-d", name)
    assert served.pot("exec", "-p", name, "cat", "/mark") == "mine\n"
    task.destroy()


def test_no_runner_for_an_agent_that_is_not_root(served):
    """The node says why, and so do tasks; nothing ends."""
    stranger = Plugin(served, PROGRAM, config={"runner_socket": served.socket}, become=become((), STRANGER))
    served.plugins.insert(0, stranger)
    state, why = health(stranger)
    assert state == 0 and "may not use the pot-runner" in why
    absent = Plugin(served, PROGRAM, config={"runner_socket": f"{served.socket}.none"}, become=become())
    served.plugins.insert(0, absent)
    state, why = health(absent)
    assert state == 0 and "no pot-runner serves" in why
    with pytest.raises(Refused, match="no pot-runner serves") as refused:
        Task(absent, served.dir / "allocs", config()).start()
    assert refused.value.recoverable
    with pytest.raises(Refused, match="pot_root: runner_socket is given"):
        absent.base("SetConfig", {1: msgpack({"runner_socket": served.socket, "pot_root": "/x"})})
    twice = served.try_run(BIN / "pot-runner", "--serve")
    assert twice.returncode == 1 and "another pot-runner" in twice.stderr
