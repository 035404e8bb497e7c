"""pot as nomad-pot-driver calls it: its argument vectors in their order, what it reads, how it sees life and death.

The driver looks for its pots by `pgrep -f '/bin/sh /usr/local/bin/pot start NAME'` and runs the setters through a
shell, so pot is put at that path of the pretend machine.
"""
import json
import shlex

import pytest

from machine import BIN, wait_until

POT = "/usr/local/bin/pot"
NAME = "task_inv_alloc"


class Driver:
    """The calls of one task."""

    def __init__(self, m):
        self.m = m
        self.registry = m.dir / "registry"
        self.registry.mkdir()
        m.run("mount", "-t", "tmpfs", "tmpfs", "/usr/local/bin")
        m.run("touch", POT)
        m.run("mount", "--bind", BIN / "pot", POT)
        m.make_pot("web")
        m.pot("export", "-p", "web", "-t", "1.0", "-D", self.registry, "-l", "0", "-A")
        m.pot("destroy", "-p", "web")
        m.write_conf()

    def call(self, *argv):
        result = self.m.try_run(POT, *argv)
        assert "runtime error" not in result.stderr and "AddressSanitizer" not in result.stderr, result.stderr
        return result

    def through_shell(self, *argv):
        """A setter: its output is the driver's error text."""
        result = self.m.try_run("sh", "-c", POT + " " + " ".join(shlex.quote(str(a)) for a in argv))
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def prepare(self, command, *middle):
        argv = ["prepare", "-U", f"file://{self.registry}", "-p", "web", "-t", "1.0"]
        argv += ["-c", f'"{command}"'] if command else []
        result = self.call(*argv, *middle, "-a", "inv_alloc", "-n", "task", "-v")
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def start(self):
        return self.m.popen(POT, "start", NAME, stdout=-1, stderr=-2, text=True)

    def found(self):
        """What pgrep says: the pids, as the driver counts them."""
        return self.m.try_run("pgrep", "-f", f"/bin/sh {POT} start {NAME}").stdout.split()

    def running(self):
        return self.m.try_run("sh", "-c", f"{POT} ls -q | grep {NAME}").stdout == NAME + "\n"


@pytest.fixture
def driver(networked):
    d = Driver(networked)
    yield d
    networked.end_children()
    networked.run("umount", POT)
    networked.run("umount", "/usr/local/bin")


def test_a_task_from_prepare_to_destroy(driver):
    d, m = driver, driver.m
    d.prepare("sh -c 'echo hello; echo wrong >&2; cat /local/file; echo $GREETING; exec sleep 100000'",
              "-N", "public-bridge", "-i", "auto", "-e", "80:8080", "-e", "udp:53:5353")
    assert d.running()
    (m.dir / "file").write_text("copied\n")
    (m.dir / "mounted").mkdir()
    (m.dir / "mounted" / "x").write_text("seen\n")
    d.through_shell("set-attribute", "-p", NAME, "-A", "nullfs", "-V", "YES")
    d.through_shell("copy-in", "-p", NAME, "-s", m.dir / "file", "-d", "/local/file", "-c")
    d.through_shell("mount-in", "-p", NAME, "-d", m.dir / "mounted", "-m", "/secrets", "-r")
    d.through_shell("set-env", "-p", NAME, "-E", "GREETING=good morning", "-E", "NOMAD_TASK_NAME=task")
    d.through_shell("set-hosts", "-p", NAME, "-H", "db.example:10.192.9.9")
    d.through_shell("set-rss", "-p", NAME, "-M", "64M")
    assert m.pot("ps", "-q") == "" and d.found() == []

    task = d.start()
    assert [task.stdout.readline() for _ in range(4)] == ["hello\n", "wrong\n", "copied\n", "good morning\n"]
    assert len(d.found()) == 1 and task.poll() is None

    def used():
        """The kernel charges the pages of a new process in batches: for a moment it has none."""
        usage = json.loads(d.call("get-rss", "-p", NAME, "-J").stdout)["ResourceUsage"]
        return usage if usage["MemoryStats"]["RSS"] > 0 else None
    usage = wait_until(used, what="memory in use")
    assert isinstance(usage["MemoryStats"]["RSS"], int)
    assert isinstance(usage["CpuStats"]["Percent"], int)
    assert isinstance(usage["CpuStats"]["TotalTicks"], (int, float))
    inside = d.call("exec", "-p", NAME, "cat", "/secrets/x", "/etc/hosts")
    assert inside.returncode == 0 and "seen\n" in inside.stdout and "10.192.9.9 db.example" in inside.stdout
    assert d.call("exec", "-p", NAME, "sh", "-c", "exit 7").returncode == 7
    assert d.call("exec", "-p", NAME, "touch", "/secrets/y").returncode == 1
    ports = m.pot("ports")
    assert "8080" in ports and "5353" in ports

    # The driver's process may be gone, as after a restart of the scheduler: the task is found by its line alone.
    assert d.call("destroy", "-p", NAME, "-F").returncode == 0
    assert task.wait(timeout=15) != 0
    assert d.found() == [] and not d.running()


def test_exit_codes_tell_how_a_task_ended(driver):
    d = driver
    d.prepare("sh -c 'echo out; exit 3'", "-N", "host")
    task = d.start()
    assert task.stdout.read() == "out\n" and task.wait() == 125
    stats = d.call("last-run-stats", "-p", NAME)
    assert stats.returncode == 0 and json.loads(stats.stdout) == {"ExitCode": 3}
    d.through_shell("set-cmd", "-p", NAME, "-c", '"true"')
    assert d.start().wait() == 0
    assert json.loads(d.call("last-run-stats", "-p", NAME).stdout) == {"ExitCode": 0}
    result = d.call("start", "nobody")
    assert result.returncode not in (0, 125)


def test_signals_reach_the_task(driver):
    d = driver
    d.prepare("sh -c 'trap \"echo got it; exit 9\" USR1; echo ready; while :; do sleep 0.05; done'", "-N", "host")
    task = d.start()
    assert task.stdout.readline() == "ready\n"
    assert d.call("signal", "-s", "SIGUSR1", "-p", NAME).returncode == 0
    assert task.stdout.read() == "got it\n" and task.wait() == 125
    assert json.loads(d.call("last-run-stats", "-p", NAME).stdout) == {"ExitCode": 9}
    assert d.call("signal", "-s", "SIGUSR1", "-p", NAME).returncode == 1


def test_the_image_is_fetched_once_and_its_command_stays_without_c(driver):
    d, m = driver, driver.m
    m.pot("import", "-p", "web", "-t", "1.0", "-U", d.registry)
    (d.registry / "web_1.0.xz").unlink()
    d.prepare(None, "-N", "host", "-e", "80:8080")
    assert m.pot_json("info", "-p", NAME)["command"] == "sleep 100000"
    again = d.call("prepare", "-U", f"file://{d.registry}", "-p", "web", "-t", "1.0", "-a", "inv_alloc", "-n", "task", "-v")
    assert again.returncode == 1 and "exists" in again.stdout
    assert d.call("prepare", "-p", "web", "-t", "1.0").returncode == 1
