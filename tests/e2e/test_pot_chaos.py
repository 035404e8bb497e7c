"""Many pots at once, and commands that are killed in the middle of what they do."""
import concurrent.futures
import os
import random
import signal
import subprocess
import threading


from machine import BIN, wait_until

POTS = int(os.environ.get("POTTER_CHAOS_POTS", "200"))
AT_ONCE = 16
SEED = int(os.environ.get("POTTER_CHAOS_SEED", "1"))


class Killer(threading.Thread):
    """Kills one of the pot commands that run, again and again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.random = random.Random(SEED)
        self.lock = threading.Lock()
        self.alive = set()
        self.killed = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(self.random.uniform(0.0, 0.04)):
            with self.lock:  # nobody in the set has been waited for: the number is still its
                # the last ones come to their end sooner or later
                if len(self.alive) >= AT_ONCE // 2 or (self.alive and self.random.random() < 0.1):
                    os.kill(self.random.choice(sorted(self.alive)), signal.SIGKILL)
                    self.killed += 1

    def watch(self, process):
        with self.lock:
            self.alive.add(process.pid)

    def forget(self, process):
        with self.lock:
            self.alive.discard(process.pid)


class Chaos:
    def __init__(self, m):
        self.m = m
        self.killer = Killer()
        self.repeated = 0
        m.write_conf()

    def pot(self, *argv):
        """One command, perhaps killed: its exit code and what it said."""
        process = subprocess.Popen([*self.m.holder.enter, BIN / "pot", *argv], env=self.m.env, cwd=self.m.dir, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.killer.watch(process)
        try:
            said = process.stdout.read()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            self.killer.forget(process)
            process.stdout.close()
        return process.wait(), said

    def until_done(self, *argv, done):
        """Repeats a command until it comes to its end. One that was killed may have done all there was to do: the next
        then says so, which `done` recognises in its words."""
        for _ in range(60):
            code, said = self.pot(*argv)
            assert "Sanitizer" not in said and "runtime error" not in said, said
            if code == 0 or (code == 1 and any(word in said for word in done)):
                return
            if code != -signal.SIGKILL:
                raise AssertionError(f"pot {' '.join(argv)}: {code}\n{said}")
            self.repeated += 1
        raise AssertionError(f"pot {' '.join(argv)} never came to its end")

    def each(self, names, *argv, done=()):
        def one(name):
            self.until_done(*[name if word == "NAME" else word for word in argv], done=done)

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, names))


def addresses(m):
    rows = m.pot_json("ls")
    return {row["name"]: row["ip"] for row in rows if row["name"] != "source"}


def test_pots_survive_what_kills_their_commands(networked):
    m = networked
    names = [f"p{i}" for i in range(POTS)]
    m.make_pot("source", "-N", "public-bridge", "-i", "auto")
    m.pot("export-ports", "-p", "source", "-e", "80")
    m.pot("snapshot", "-p", "source")
    chaos = Chaos(m)
    chaos.killer.start()
    try:
        chaos.each(names, "clone", "-p", "NAME", "-P", "source", "-N", "public-bridge", "-i", "auto", done=["exists"])
        chaos.each(names, "start", "-d", "NAME")
        chaos.each(["ls", "ps", "ports", "net"] * 4, "NAME")
        chaos.killer.stopping.set()
        chaos.killer.join()
        assert sorted(m.pot("ls", "-q").split()) == sorted(["source", *names])
        assert len(set(addresses(m).values())) == POTS
        assert sorted(m.running()) == sorted(names)
        ports = m.pot_json("ports")["ports"]
        assert sorted(p["pot"] for p in ports) == sorted(names) and len({p["host_port"] for p in ports}) == POTS
        keepers = [words for words in m.processes().values() if words.startswith("pot-keeper")]
        assert len(keepers) == POTS, "a pot is there twice, or lost its keeper"
        killed = chaos.killer.killed
        chaos.killer = Killer()
        chaos.killer.start()
        chaos.each(names[::2], "stop", "NAME")
        chaos.each(names[::2], "destroy", "-p", "NAME", done=["no pot is named"])
        chaos.each(names[1::2], "destroy", "-Fp", "NAME", done=["no pot is named"])
    finally:
        chaos.killer.stopping.set()
        chaos.killer.join()
    killed += chaos.killer.killed
    assert killed > POTS / 4 and chaos.repeated > POTS / 10, (killed, chaos.repeated)
    m.pot("doctor")
    assert m.pot_json("doctor", "-n") == []
    assert m.pot("ls", "-q") == "source\n"
    wait_until(lambda: not m.pairs(), what="the end of all pairs")
    assert m.residue(bridge=True) == []
    assert sorted(os.listdir(m.conf["POT_FS_ROOT"] + "/jails")) == ["source"]
    m.pot("destroy", "-rp", "source")


def test_fifty_starts_and_fifty_stops_at_once(networked):
    m = networked
    names = [f"p{i}" for i in range(50)]
    m.make_pot("source", "-N", "public-bridge", "-i", "auto")
    m.pot("export-ports", "-p", "source", "-e", "80")
    m.pot("snapshot", "-p", "source")
    for name in names:
        m.pot("clone", "-p", name, "-P", "source", "-N", "public-bridge", "-i", "auto")

    def at_once(*argv):
        """All of them started before any has ended."""
        running = [m.popen(BIN / "pot", *[name if word == "NAME" else word for word in argv], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True) for name in names]
        for process in running:
            said = process.communicate(timeout=120)[0]
            assert process.returncode == 0, said

    at_once("start", "-d", "NAME")
    assert sorted(m.running()) == sorted(names)
    assert len({p["host_port"] for p in m.pot_json("ports")["ports"]}) == 50
    assert len(m.pairs()) == 50
    at_once("stop", "NAME")
    assert m.running() == []
    assert m.pot_json("ports")["ports"] == []
    assert m.residue(bridge=True) == []
    # the same ones from all sides: exactly one of them starts it
    racing = [m.popen(BIN / "pot", "start", "-d", "p0", "--json", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
              for _ in range(20)]
    said = [process.communicate(timeout=120)[0] for process in racing]
    assert all(process.returncode == 0 for process in racing), said
    assert m.running() == ["p0"]
    wait_until(lambda: len(m.pairs()) == 1, timeout=20, what="one pair")
    racing = [m.popen(BIN / "pot", "stop" if i % 2 else "start", *([] if i % 2 else ["-d"]), "p0", stdout=subprocess.PIPE,
                      stderr=subprocess.STDOUT, text=True) for i in range(40)]
    for process in racing:
        process.communicate(timeout=120)
    m.pot("stop", "p0")
    # the kernel takes the pairs apart after their pots
    wait_until(lambda: m.try_pot("doctor", "-n").returncode == 0, timeout=20, what="nothing left over")
    assert m.pot_json("doctor", "-n") == []
    assert m.residue(bridge=True) == []
    m.pot("destroy", "-rp", "source")
