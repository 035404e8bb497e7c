"""The functional bugs of pot 0.16, one test each, in the order of the list that they were found by: what is wanted instead."""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import signal

import pytest

from machine import BIN, wait_until
from test_pot_image import make_image

def jails(m):
    return pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails"


def conf(m, name, file="pot.conf"):
    return (jails(m) / name / "conf" / file).read_text()


def flavour(m, name, command=None, script=None):
    """A flavour by its path."""
    if command is not None:
        (m.dir / name).write_text(command)
    if script is not None:
        (m.dir / f"{name}.sh").write_text(script)
        (m.dir / f"{name}.sh").chmod(0o755)


def tree(path):
    """A digest of all below a directory: names, modes, contents, times of change of contents."""
    digest = hashlib.sha256()
    for p in sorted(pathlib.Path(path).rglob("*")):
        st = p.lstat()
        digest.update(f"{p} {st.st_mode} {st.st_size} {st.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def nothing_left(m, name):
    assert name not in m.pot("ls", "-q").split()
    assert not (jails(m) / name).exists()
    assert m.pot_json("doctor", "-n") == []


def test_01_a_create_that_fails_says_so_and_leaves_nothing(machine):
    m = machine
    (m.dir / "broken.tar").write_bytes(b"\x1f\x8b\x08not a tarball at all" * 100)
    m.pot_fails("create-base", "-b", "broken", "-t", m.dir / "broken.tar")
    assert "broken" not in m.pot("ls", "-bq").split()
    m.pot_fails("create", "-p", "web", "-t", "single", "-b", "absent", says="absent")
    nothing_left(m, "web")
    flavour(m, "fails", script="#!/bin/sh\nexit 3\n")
    m.pot_fails("create", "-p", "web", "-t", "single", "-b", "bb", "-f", m.dir / "fails", says="3")
    nothing_left(m, "web")
    flavour(m, "worse", command="set-attribute -A nonsense -V YES\n")
    m.pot_fails("create", "-p", "web", "-t", "single", "-b", "bb", "-f", m.dir / "worse", says="nonsense")
    nothing_left(m, "web")
    m.make_pot("web")


def test_02_single_pots_do_not_depend_on_a_base(machine):
    m = machine
    m.make_pot("single")
    m.pot("create", "-p", "multi", "-t", "multi", "-b", "bb")
    said = m.pot_fails("destroy", "-b", "bb", says="multi").stdout
    assert "single" not in said
    m.pot("destroy", "-b", "bb", "-r")
    assert m.pot("ls", "-q") == "single\n"
    assert m.pot("ls", "-bq") == ""
    m.start("single")
    assert m.pot("exec", "-p", "single", "echo", "alive") == "alive\n"
    m.pot("stop", "single")


def test_03_de_init_sees_running_pots(machine):
    m = machine
    m.make_pot("web")
    m.start("web")
    m.pot_fails("de-init", says="web")
    assert m.running() == ["web"]
    m.pot("stop", "web")
    m.pot("de-init")


def test_04_mount_points_have_one_form(machine):
    m = machine
    m.make_pot("web")
    share = m.dir / "share"
    share.mkdir()
    (share / "file").write_text("shared\n")
    m.pot("mount-in", "-p", "web", "-d", share, "-m", "/mnt")
    for again in ("/mnt", "/mnt/", "//mnt", "/./mnt"):
        m.pot_fails("mount-in", "-p", "web", "-d", share, "-m", again)
    assert conf(m, "web", "fscomp.conf").count(str(share)) == 1
    m.start("web")
    assert m.pot("exec", "-p", "web", "cat", "/mnt/file") == "shared\n"
    m.pot("mount-out", "-p", "web", "-m", "/mnt/")
    m.pot_fails("exec", "-p", "web", "cat", "/mnt/file")
    m.pot("stop", "web")
    assert str(share) not in conf(m, "web", "fscomp.conf")
    m.start("web")
    m.pot_fails("exec", "-p", "web", "cat", "/mnt/file")
    m.pot_fails("mount-out", "-p", "web", "-m", "/mnt")
    m.pot("stop", "web")


def test_05_a_clone_is_faithful(machine):
    m = machine
    share = m.dir / "share"
    share.mkdir()
    resolv = m.dir / "resolv"
    resolv.write_text("nameserver 192.0.2.1\n")
    m.pot("create-fscomp", "-f", "data")
    for name in ("web", "web2"):
        m.pot("create", "-p", name, "-t", "multi", "-b", "bb", "-d", f"custom:{resolv}")
        m.pot("mount-in", "-p", name, "-f", "data", "-m", "/usr/local/data", "-r")
        m.pot("mount-in", "-p", name, "-d", share, "-m", "/usr/local/share")
        m.pot("set-attr", "-p", name, "-A", "prunable", "-V", "YES")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    m.pot("set-cmd", "-p", "web", "-c", "true")
    m.pot("start", "web")
    assert "pot.attr.to-be-pruned=YES" in conf(m, "web")
    m.pot("snapshot", "-p", "web")
    m.pot("snapshot", "-p", "web2")
    other = m.dir / "resolv2"
    other.write_text("nameserver 192.0.2.2\n")
    m.pot("clone", "-p", "copy", "-P", "web", "-d", f"custom:{other}")
    assert "to-be-pruned=YES" not in conf(m, "copy")
    assert conf(m, "copy", "resolv.conf") == other.read_text()
    m.pot("clone", "-p", "same", "-P", "web2")
    assert conf(m, "same", "resolv.conf") == resolv.read_text()
    for name in ("copy", "same"):
        lines = conf(m, name, "fscomp.conf").splitlines()
        assert any(l.startswith(str(share) + " ") for l in lines), lines
        assert any(l.endswith(" ro") and "/usr/local/data" in l for l in lines), lines
        assert not any("/web/" in l or "/web2/" in l for l in lines), lines
    m.pot("set-cmd", "-p", "same", "-c", "sleep 100000")
    m.start("same")
    m.pot("exec", "-p", "same", "touch", "/usr/local/share/x")
    m.pot_fails("exec", "-p", "same", "touch", "/usr/local/data/x")
    m.pot("stop", "same")


def test_06_an_import_is_whole_or_nothing(machine):
    m = machine
    first = make_image(m, m.dir / "first")
    m.pot("import", "-p", "web", "-t", "1.0", "-U", f"file://{first}")
    name = "web_1_0"
    lines = [l for l in conf(m, name).splitlines() if l.startswith("host.hostname=")]
    assert len(lines) == 1 and lines[0].count(name) == 1 and "evil" not in lines[0], lines
    m.pot("destroy", "-p", name)
    # the same name and tag from elsewhere is another image
    second = make_image(m, m.dir / "second", conf={"pot.conf": conf_text("echo second")})
    m.pot("import", "-p", "web", "-t", "1.0", "-U", f"file://{second}")
    assert "echo second" in conf(m, name)
    m.pot("destroy", "-p", name)
    short = make_image(m, m.dir / "short", tag="2.0", cut=-64)
    m.pot_fails("import", "-p", "web", "-t", "2.0", "-U", f"file://{short}")
    assert m.pot("ls", "-q") == ""
    assert list(jails(m).iterdir()) == []


def conf_text(cmd, network="network_type=inherit\nvnet=false\n"):
    return ("pot.level=0\npot.type=single\npot.base=x\npot.potbase=\npot.dns=inherit\n"
            f"pot.cmd={cmd}\nhost.hostname=\"x.y\"\nosrelease=\"\"\npot.attr.persistent=NO\n{network}")


def test_07_an_export_is_signed_or_fails_and_is_of_today(machine):
    m = machine
    m.make_pot("web")
    m.pot("snapshot", "-p", "web")
    (m.dir / "new").write_text("new\n")
    m.pot("copy-in", "-p", "web", "-s", m.dir / "new", "-d", "/new")
    m.pot_fails("export", "-p", "web", "-t", "1", "-D", m.dir, "-S", m.dir / "no-such-key")
    assert list(m.dir.glob("web_1.xz*")) == []
    m.pot("export", "-p", "web", "-t", "2", "-D", m.dir, "-l", "0", "-n")
    m.pot("import", "-p", "web", "-t", "2", "-U", f"file://{m.dir}")
    m.pot("set-cmd", "-p", "web_2", "-c", "cat /new")
    m.pot("set-attr", "-p", "web_2", "-A", "persistent", "-V", "NO")
    assert m.pot("start", "web_2") == "new\n"


def test_08_a_command_is_a_list_of_words(machine):
    m = machine
    m.make_pot("web", cmd=None)
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    (m.dir / "only-on-the-host").write_text("")
    for command, said in (("echo 'a  b' \"c  d\"", "a  b c  d\n"), ("sh -c 'echo \"x  y\"; echo z'", "x  y\nz\n"),
                          ("echo '*' '$HOME'", "* $HOME\n"), ("echo /etc/p*", "/etc/passwd\n")):
        m.pot("set-cmd", "-p", "web", "-c", command)
        assert m.pot("start", "web") == said, command
    m.pot("set-cmd", "-p", "web", "-c", "echo *")
    assert "only-on-the-host" not in m.pot("start", "web")


def test_09_what_fails_at_the_start_fails_the_start(machine):
    m = machine
    m.make_pot("db", cmd="/no/such/program")
    m.make_pot("web")
    m.pot("add-dep", "-p", "web", "-P", "db")
    m.pot_fails("start", "-d", "web", says="db")
    assert m.running() == []
    m.pot("set-cmd", "-p", "db", "-c", "sleep 100000")
    hook = m.dir / "hook"
    hook.write_text("#!/bin/sh\nexit 7\n")
    hook.chmod(0o755)
    m.pot("set-hook", "-p", "web", "-s", hook)
    m.pot_fails("start", "-d", "web", says="7")
    assert m.running() == ["db"]
    m.pot("set-hook", "-p", "web", "--unset")
    m.start("web")
    m.pot("stop", "web")
    m.pot("stop", "db")
    assert m.residue(bridge=True) == []


def test_10_a_stop_does_not_hide_how_it_ended(machine):
    m = machine
    m.make_pot("web", cmd="sh -c 'trap \"exit 42\" TERM; echo up; while :; do sleep 0.05; done'")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    start = m.popen(BIN / "pot", "start", "web", stdout=-1, stderr=-2, text=True)
    assert start.stdout.readline() == "up\n"
    m.pot("stop", "web")
    assert start.wait(10) == 125
    assert json.loads(m.pot("last-run-stats", "-p", "web")) == {"ExitCode": 42}


def test_11_the_status_is_what_is_so(machine):
    m = machine
    m.make_pot("web")
    m.start("web")
    pid = m.pot_json("ps")[0]["pid"]
    keeper = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    m.pot_fails("info", "-qrp", "web")
    assert m.running() == []
    m.start("web")
    assert m.running() == ["web"]
    # a start that is killed is not "starting" for ever
    m.pot("stop", "web")
    hook = m.dir / "hook"
    hook.write_text(f"#!/bin/sh\necho > {m.dir}/in-hook\nexec sleep 100\n")
    hook.chmod(0o755)
    m.pot("set-hook", "-p", "web", "-s", hook)
    start = m.popen(BIN / "pot", "start", "-d", "web", stdout=-3, stderr=-3)
    wait_until((m.dir / "in-hook").exists)
    start.kill()
    start.wait()
    for pid, words in m.processes().items():
        if "sleep 100" in words or "hook" in words:
            os.kill(pid, signal.SIGKILL)
    m.pot_fails("info", "-qrp", "web")
    m.pot("set-hook", "-p", "web", "--unset")
    m.start("web")
    m.pot("stop", "web")
    assert m.residue(bridge=True) == []


def test_12_ports_are_chosen_once_each_and_shown(networked):
    m = networked
    names = [f"p{i}" for i in range(6)]
    for i, name in enumerate(names):
        m.make_pot(name, "-N", "public-bridge", "-i", "auto", cmd="sh -c 'httpd -p 80; exec sleep 100000'")
        m.pot("export-ports", "-p", name, "-e", "80", "-e", "udp:53")
    m.make_pot("fixed", "-N", "public-bridge", "-i", "auto")
    m.pot("export-ports", "-p", "fixed", "-e", "80:18080")  # the pot's port first
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(m.start, [*names, "fixed"]))
    ports = m.pot_json("ports")["ports"]
    assert len(ports) == 13
    assert len({(p["protocol"], p["host_port"]) for p in ports}) == 13
    assert all(p["pot_port"] == (80 if p["protocol"] == "tcp" else 53) for p in ports)
    assert [p["host_port"] for p in ports if p["pot"] == "fixed"] == [18080]
    for name in [*names, "fixed"]:
        m.pot("stop", name)
    assert m.pot_json("ports")["ports"] == []
    assert m.residue(bridge=True) == []


def test_13_attributes_are_honoured_and_can_be_cleared(machine):
    m = machine
    m.make_pot("web")
    raw = 1 << 13
    default = m.pot("get-attr", "-qp", "web", "-A", "raw_sockets")
    for value, right in (("NO", 0), ("YES", raw)):
        m.pot("set-attr", "-p", "web", "-A", "raw_sockets", "-V", value)
        m.start("web")
        assert int(m.pot("exec", "-p", "web", "grep", "CapBnd", "/proc/self/status").split()[1], 16) & raw == right
        pid = m.pot_json("ps")[0]["pid"]
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        status = pathlib.Path(f"/proc/{children[0]}/status").read_text()
        assert int(next(l for l in status.splitlines() if l.startswith("CapBnd")).split()[1], 16) & raw == right
        m.pot("stop", "web")
        # this NO is told from that which pot 0.16 writes into every pot
        assert ("pot.raw_sockets=refused\n" in (jails(m) / "web/conf/pot.conf").read_text()) == (value == "NO")
    before = m.pot_json("info", "-p", "web")["attributes"]
    for attribute, value in (("raw_sockets", "NO"), ("exec_stop", "/bin/true -x=y"), ("prunable", "YES")):
        m.pot("set-attr", "-p", "web", "-A", attribute, "-V", value)
        assert m.pot("get-attr", "-qp", "web", "-A", attribute) == value + "\n"
        m.pot("set-attr", "-p", "web", "-A", attribute, "--unset")
    assert {**before, "raw_sockets": default.strip()} == m.pot_json("info", "-p", "web")["attributes"]
    m.pot("set-env", "-p", "web", "-E", "A=b=c=d")
    assert m.pot_json("info", "-p", "web")["env"] == ["A=b=c=d"]


def test_14_update_config_changes_nothing_the_second_time(machine):
    m = machine
    m.make_pot("web")
    path = jails(m) / "web/conf/pot.conf"
    text = path.read_text()
    old = "".join(l for l in text.splitlines(True) if not l.startswith(("pot.attr.", "network_type", "vnet")))
    path.write_text(old + "ip4=inherit\nvnet=false\n")
    m.pot("update-config", "-p", "web")
    once = path.read_text()
    assert "network_type=inherit\n" in once
    for _ in range(2):
        m.pot("update-config", "-a")
        assert path.read_text() == once
    keys = [l.split("=")[0] for l in once.splitlines() if not l.startswith(("#", "pot.env", "pot.hosts", "pot.depend"))]
    assert len(keys) == len(set(keys)), keys


def test_15_prune_takes_only_what_has_run(machine):
    m = machine
    for name in ("a", "b", "c", "starting"):
        m.make_pot(name, cmd="true")
        m.pot("set-attr", "-p", name, "-A", "prunable", "-V", "YES")
        m.pot("set-attr", "-p", name, "-A", "persistent", "-V", "NO")
    for name in ("a", "b", "c"):
        m.pot("start", name)
    # one that starts just now is not taken, though it has run before
    hook = m.dir / "hook"
    hook.write_text(f"#!/bin/sh\necho > {m.dir}/in-hook\nwhile [ ! -e {m.dir}/go ]; do sleep 0.02; done\n")
    hook.chmod(0o755)
    m.pot("start", "starting")
    m.pot("set-hook", "-p", "starting", "-s", hook)
    start = m.popen(BIN / "pot", "start", "starting", stdout=-3, stderr=-3)
    wait_until((m.dir / "in-hook").exists)
    # one that cannot be removed does not spare the next
    m.pot("snapshot", "-p", "b")
    m.pot("clone", "-p", "child", "-P", "b")
    assert m.try_pot("prune", "-q").stdout.count("===>") == 0
    left = m.pot("ls", "-q").split()
    assert "starting" in left and "a" not in left and "c" not in left
    (m.dir / "go").write_text("")
    assert start.wait(20) == 0


def test_16_limits_go_with_the_run(machine):
    m = machine
    m.make_pot("web")
    m.pot("set-rss", "-p", "web", "-M", "64M", "-C", "1")
    m.start("web")
    assert any("web." in path for path in m.cgroup_dirs())
    m.pot("stop", "web")
    assert not any("web." in path for path in m.cgroup_dirs())


def test_17_mounts_go_with_the_run(machine):
    m = machine
    m.make_pot("web")
    before = m.mounts()
    for attribute in ("fdescfs", "procfs"):
        m.pot("set-attr", "-p", "web", "-A", attribute, "-V", "YES")
    m.start("web")
    assert m.pot("exec", "-p", "web", "sh", "-c", "echo through > /dev/fd/1") == "through\n"
    assert m.mounts() == before
    m.pot("stop", "web")
    assert m.mounts() == before


def test_18_a_second_start_writes_nothing_new(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    m.start("web")
    m.pot("stop", "web")
    upper = pathlib.Path(m.conf["POT_FS_ROOT"]) / ".overlay"
    files, text = tree(jails(m) / "web"), conf(m, "web")
    etc = {p: p.stat().st_mtime_ns for p in upper.rglob("etc/*") if p.is_file()}
    m.start("web")
    m.pot("stop", "web")
    assert conf(m, "web") == text
    assert {p: p.stat().st_mtime_ns for p in upper.rglob("etc/*") if p.is_file()} == etc
    del files


def test_19_two_changes_at_once_are_one_after_the_other(machine):
    m = machine
    m.make_pot("web")
    sets = [[f"h{i}{k}:10.0.{i}.{k}" for k in range(8)] for i in range(8)]

    def set_hosts(hosts):
        m.pot("set-hosts", "-p", "web", *[word for h in hosts for word in ("-H", h)])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(set_hosts, sets))
    got = sorted(l for l in conf(m, "web").splitlines() if l.startswith("pot.hosts="))
    assert len(got) == 8
    assert got in [sorted(f"pot.hosts={h.split(':')[1]} {h.split(':')[0]}" for h in hosts) for hosts in sets] or \
        len({"".join(l.split("h")[-1][:1]) for l in got}) == 1, got
    assert sorted(p.name for p in (jails(m) / "web/conf").iterdir() if p.name.startswith(".")) in ([], [".last_run_stats"])


def test_20_a_bad_value_is_named(machine):
    m = machine
    m.make_pot("web")
    m.pot("snapshot", "-p", "web")
    m.pot_fails("clone", "-p", "x", "-P", "web", "-S", "ipv5", says="ipv5")
    m.pot_fails("clone", "-p", "x", "-P", "web", "-d", "nowhere", says="nowhere")
    m.pot("export", "-p", "web", "-t", "1", "-D", m.dir, "-l", "0", "-A")
    prepare = ["prepare", "-U", f"file://{m.dir}", "-p", "web", "-t", "1", "-a", "x", "-n", "y"]
    m.pot_fails(*prepare, "-S", "ipv5", says="ipv5")
    m.pot_fails(*prepare, "-d", "nowhere", says="nowhere")
    assert m.pot("ls", "-q").split() in (["web"], ["web", "web_1"])  # the image may stay for the next
    nothing_left(m, "x")


def test_21_get_attribute_only_reads(machine):
    m = machine
    m.make_pot("web")
    m.pot_fails("get-attribute", "-p", "web", "-A", "persistent", "-V", "NO", says="-V")
    assert m.pot("get-attr", "-qp", "web", "-A", "persistent") == "YES\n"
    m.pot_fails("get-attr", "-p", "web", "-A", "nonsense", says="nonsense")


def test_22_two_flavours_are_two(machine):
    m = machine
    m.run("mount", "-t", "tmpfs", "tmpfs", "/usr/local/bin")
    m.run("mount", "-t", "tmpfs", "tmpfs", "/usr/local/etc")
    m.run("sh", "-c", f"touch /usr/local/bin/pot; mount --bind {BIN}/pot /usr/local/bin/pot; "
          "cd /usr/local/etc; mkdir -p pot/flavours/nginx.d; cd pot/flavours; touch one one.sh two")
    assert m.run("/usr/local/bin/pot", "ls", "-Fq").split() == ["one", "two"]


def test_23_pots_of_the_boot_start_beside_each_other(machine):
    m = machine
    m.make_pot("db", cmd="sleep 100000")
    m.make_pot("web", cmd="sleep 100000")
    m.make_pot("job", cmd="sh -c 'sleep 100000'")
    m.pot("set-attr", "-p", "job", "-A", "persistent", "-V", "NO")
    m.pot("add-dep", "-p", "web", "-P", "db")
    for name in ("web", "db", "job"):
        m.pot("set-attr", "-p", name, "-A", "start-at-boot", "-V", "YES")
    m.pot("boot", "start")
    assert sorted(m.running()) == ["db", "job", "web"]
    began = {row["name"]: row["pid"] for row in m.pot_json("ps")}
    since = {name: int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]) for name, pid in began.items()}
    assert since["db"] <= since["web"]
    m.pot("boot", "stop")
    assert m.running() == []
    assert m.residue(bridge=True) == []


def test_24_prepare_s_holds_no_lock_while_the_pot_lives(machine):
    m = machine
    m.make_pot("web", cmd="sleep 100000")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    m.pot("export", "-p", "web", "-t", "1", "-D", m.dir, "-l", "0", "-A")
    prepare = m.popen(BIN / "pot", "prepare", "-U", f"file://{m.dir}", "-p", "web", "-t", "1", "-a", "x", "-n", "task", "-s",
                      stdout=-3, stderr=-3)
    wait_until(lambda: m.running() == ["task_x"], what="the prepared pot")
    m.make_pot("other", base="bb")
    m.pot("snapshot", "-p", "other")
    m.pot("clone", "-p", "third", "-P", "other")
    m.pot("stop", "task_x")
    prepare.wait(15)
