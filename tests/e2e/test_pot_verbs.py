"""The verbs of the pot command, one by one: what they print, and their exit codes."""
import concurrent.futures
import json
import os
import pty
import subprocess
import time

from machine import BIN, wait_until


def test_the_manual_and_the_program_agree(bare):
    listed = bare.pot("completion", "mdoc")
    from machine import TOP
    page = (TOP / "docs" / "man" / "pot.8").read_text()
    assert listed in page, "docs/man/pot.8: its list of commands is old: see `pot completion mdoc`"


def test_pot_stays_small(bare):
    """libcurl and libarchive belong to pot-image alone."""
    for program in ("pot", "pot-runner", "potter"):
        if not (BIN / program).exists():
            continue
        libraries = subprocess.run(["ldd", BIN / program], capture_output=True, text=True).stdout
        assert "libcurl" not in libraries and "libarchive" not in libraries, program
    assert "not a dynamic executable" in subprocess.run(["ldd", BIN / "pot-keeper"], capture_output=True, text=True).stderr


def test_nothing_works_before_init(bare):
    for argv in (["ls"], ["create", "-p", "x", "-b", "y"], ["start", "x"], ["ps"]):
        bare.pot_fails(*argv, says="pot init")
    assert bare.pot("version") == "pot version: 0.16.0\n"
    assert bare.pot("config", "-qg", "fs_root") == bare.conf["POT_FS_ROOT"] + "\n"
    assert bare.pot("config", "-g", "gateway") == "gateway = 10.192.0.1\n"
    bare.pot_fails("config", "-g", "fs_rot", says="did you mean \"fs_root\"?")
    assert bare.pot_json("config")["POT_NETWORK"] == "10.192.0.0/10"


def test_init_names_what_this_machine_does_not_have(bare):
    m = bare
    for key, value in (("POT_EXTIF", "nix0"), ("POT_EXTRA_EXTIF", "nix1"), ("POT_EXTIF_ADDR", "192.0.2.9"),
                       ("POT_EXTIF_ADDR", "2001:db8::1"), ("POT_GROUP", "no-such-group"), ("POT_NETMASK", "255.0.0.0")):
        kept = m.conf.get(key)
        m.conf[key] = value
        m.pot_fails("init", says=value)
        m.conf.pop(key) if kept is None else m.conf.update({key: kept})
    m.conf["POT_NETWORK_STACK"] = "both"
    m.pot("init")
    assert m.pot("config", "-qg", "network_stack") == "ipv4\n"  # anything else acts as ipv4
    m.pot("create-private-bridge", "-B", "br", "-S", "5")
    m.pot_fails("info", "-B", "br", "-E", says="about a pot")


def test_wrong_names_and_values(machine):
    m = machine
    m.make_pot("web")
    m.pot_fails("create", "-p", "web", "-b", "bb", says="exists")
    m.pot_fails("create", "-p", "a.b", "-b", "bb")
    m.pot_fails("create", "-p", "../x", "-b", "bb")
    m.pot_fails("create", "-p", "12", "-b", "bb")
    m.pot_fails("create", "-p", "other", "-b", "absent", says="absent")
    m.pot_fails("create", "-p", "other", "-b", "bb", "-N", "bridge-public")
    m.pot_fails("create", "-p", "other", "-b", "bb", "-N", "public-bridge", "-i", "192.168.1.1", says="192.168.1.1")
    m.pot_fails("create", "-p", "other", "-b", "bb", "-t", "many", says="many")
    m.pot_fails("clone", "-p", "other", "-P", "wep", says="did you mean \"web\"?")
    m.pot_fails("start", "wep", says="did you mean \"web\"?")
    m.pot_fails("set-attr", "-p", "web", "-A", "persistent", "-V", "maybe", says="maybe")
    m.pot_fails("set-attr", "-p", "web", "-A", "nonsense", "-V", "YES", says="nonsense")
    m.pot_fails("set-env", "-p", "web", "-E", "novalue", says="novalue")
    m.pot_fails("set-rss", "-p", "web", "-M", "12q", says="12q")
    m.pot_fails("export-ports", "-p", "web", "-e", "99999", says="99999")
    m.pot_fails("exec", "-p", "web", "true", says="web")
    result = m.try_pot("stop", "nothing")
    assert result.returncode == 0 and result.stdout.startswith("###>  ")
    assert m.pot("ls", "-q") == "web\n"


def test_setters_show_in_info(machine):
    m = machine
    m.make_pot("web")
    m.pot("set-cmd", "-p", "web", "-c", "nginx -g 'daemon off;'")
    m.pot("set-env", "-p", "web", "-E", "A=1", "-E", "B=two words")
    m.pot("set-attr", "-p", "web", "-A", "prunable", "-V", "on")
    m.pot("set-rss", "-p", "web", "-M", "64M", "-C", "1")
    m.pot("export-ports", "-p", "web", "-e", "80", "-e", "udp:53:5353")
    info = m.pot_json("info", "-p", "web")
    assert info["command"] == "nginx -g 'daemon off;'"
    assert info["env"] == ["A=1", "B=two words"]
    assert info["attributes"]["prunable"] == "YES"
    assert info["memory_bytes"] == 64 << 20 and info["cpus"] == 1
    assert len(info["exported_ports"]) == 2
    assert m.pot("get-attr", "-qp", "web", "-A", "prunable") == "YES\n"
    assert m.pot("get-attribute", "-p", "web", "-A", "prunable") == "===>  prunable: YES\n"
    text = m.pot("info", "-vp", "web")
    assert "\ttype : single\n" in text and "max amount memory: 64" in text and "\t\tweb/m\n" in text or "jails/web/m" in text
    conf = open(m.conf["POT_FS_ROOT"] + "/jails/web/conf/pot.conf").read()
    assert 'pot.env="B=two words"\n' in conf and "pot.rss.memory=64M\n" in conf
    assert "export _POT_NAME=web\n" in m.pot("info", "-Ep", "web")
    m.pot("info", "-qp", "web")
    m.pot_fails("info", "-qp", "nothing")


def test_start_passes_output_and_codes(machine):
    m = machine
    m.make_pot("web", cmd="cat")
    assert m.pot("start", "web", input="of the caller\n") == ""  # which is read by nobody
    m.pot("stop", "web")
    m.pot("set-cmd", "-p", "web", "-c", "sh -c 'echo out; echo err >&2; exit 3'")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    result = m.pot_fails("start", "web", code=125)
    assert result.stdout == "out\n" and result.stderr == "err\n"
    assert m.pot("last-run-stats", "-p", "web") == '{ "ExitCode": 3 }\n'
    m.pot("set-cmd", "-p", "web", "-c", "true")
    m.pot("start", "-p", "web")
    said = m.pot_json("start", "web")
    assert said["exit_code"] == 0 and said["ended"] is True
    m.pot("set-cmd", "-p", "web", "-c", "/no/such/program")
    result = m.try_pot("start", "web")
    assert result.returncode in (1, 125) and "/no/such/program" in result.stdout + result.stderr


def test_exec_passes_everything(machine):
    m = machine
    m.make_pot("web")
    m.start("web")
    assert m.pot("exec", "-p", "web", "echo", "a b", "$HOME", "'c") == "a b $HOME 'c\n"
    assert m.pot("exec", "-p", "web", "cat", input="through stdin") == "through stdin"
    assert m.pot("exec", "-p", "web", "-e", "X=1 2", "sh", "-c", "echo $X") == "1 2\n"
    assert m.pot("exec", "-p", "web", "-U", "web", "id", "-u") == "1000\n"
    m.pot_fails("exec", "-p", "web", "sh", "-c", "exit 7", code=7)
    m.pot_fails("exec", "-p", "web", "sh", "-c", "kill -9 $$", code=137)
    m.pot_fails("exec", "-p", "web", "nosuch", code=127)
    # -t is a terminal for the command, whatever there is on this side
    assert m.pot("exec", "-tp", "web", "tty", input="").startswith("/dev/pts/")
    began = time.monotonic()
    m.pot("exec", "-dp", "web", "sleep", "3")
    assert time.monotonic() - began < 2.5
    assert m.pot("start", "web") == ""  # runs already: silent


def test_a_terminal(machine):
    m = machine
    m.make_pot("web")
    m.start("web")
    ours, theirs = pty.openpty()
    child = m.popen(BIN / "pot", "term", "web", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    os.write(ours, b"tty && echo sum $((40 + 2)); exit 5\n")
    text = b""
    while b"sum 42" not in text:
        text += os.read(ours, 1000)
    assert b"/dev/pts/" in text
    assert child.wait(timeout=10) == 5
    os.close(ours)


def test_ports(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto", cmd="httpd -f -p 80 -h /srv")
    (m.dir / "page").write_text("hello\n")
    m.pot("copy-in", "-p", "web", "-s", m.dir / "page", "-d", "/srv/page", "-c")
    m.pot("export-ports", "-p", "web", "-e", "80:8080")
    m.start("web")
    maps = m.pot_json("ports")["ports"]
    assert [(p["pot"], p["host_port"], p["pot_port"]) for p in maps] == [("web", 8080, 80)]
    wait_until(lambda: m.http("http://10.192.0.3/page") == "hello\n", what="the pot's server")
    assert m.http("http://127.0.0.1:8080/page") == "hello\n"
    assert m.http("http://203.0.113.1:8080/page") == "hello\n"
    assert m.http("http://203.0.113.1:8080/page", outside=True) == "hello\n"
    assert m.http("http://203.0.113.1:8080/page", pot="web") == "hello\n"
    m.make_pot("rival", "-N", "public-bridge", "-i", "auto")
    m.pot("export-ports", "-p", "rival", "-e", "80:8080")
    m.pot_fails("start", "-d", "rival", says="8080")
    # the pair of the start that failed goes a moment after its pot
    wait_until(lambda: [p["pot"] for p in m.pot_json("net")["pairs"]] == ["web"], what="one pair")
    assert m.pot_json("net")["up"] is True
    m.pot("stop", "web")
    assert m.pot_json("ports")["ports"] == []


def test_snapshots(machine):
    m = machine
    m.make_pot("web", cmd="cat /file")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    (m.dir / "file").write_text("one\n")
    m.pot("copy-in", "-p", "web", "-s", m.dir / "file", "-d", "/file")
    m.pot("snap", "-p", "web")
    (m.dir / "file").write_text("two\n")
    m.pot("copy-in", "-p", "web", "-s", m.dir / "file", "-d", "/file")
    assert m.pot("start", "web") == "two\n"
    m.pot("rollback", "-p", "web")
    assert m.pot("start", "web") == "one\n"
    assert m.pot("info", "-sp", "web").count("\n") >= 1
    names = [row["name"] for row in m.pot_json("datasets")]
    assert "zroot/pot/jails/web/m" in names and "zroot/pot/bases/bb" in names
    assert m.pot("datasets").startswith("NAME ")


def test_mounts(machine):
    m = machine
    m.make_pot("web")
    shared = m.dir / "shared"
    shared.mkdir()
    (shared / "x").write_text("from the host\n")
    m.pot("mount-in", "-p", "web", "-d", shared, "-m", "/mnt/shared", "-r")
    m.start("web")
    assert m.pot("exec", "-p", "web", "cat", "/mnt/shared/x") == "from the host\n"
    m.pot_fails("exec", "-p", "web", "touch", "/mnt/shared/y")
    m.pot("mount-out", "-p", "web", "-m", "/mnt/shared")
    m.pot_fails("exec", "-p", "web", "cat", "/mnt/shared/x")


def test_looking(machine):
    m = machine
    m.make_pot("web")
    m.make_pot("idle")
    m.start("web")
    assert m.pot("ls") == ("pot name : idle\n\tnetwork : inherit\n\tactive : false\n\n"
                           "pot name : web\n\tnetwork : inherit\n\tactive : true\n\n")
    assert m.pot("ls", "-b") == "bases: bb\n"
    m.pot_fails("ls", "-aq")
    rows = m.pot_json("ps")
    assert [row["name"] for row in rows] == ["web"] and rows[0]["pid"] > 1
    assert m.pot("ps").splitlines()[0].startswith("===>  ")
    assert m.pot("ps").splitlines()[1].split() == ["JID", "IP", "Address", "Hostname", "Path"]
    assert "physical memory" in m.pot("show")
    assert m.pot_json("show", "-a")[0]["name"] == "idle"
    usage = lambda: json.loads(m.pot("get-rss", "-p", "web", "-J"))["ResourceUsage"]
    # the kernel adds up a group's memory in batches: a small program shows a moment later
    wait_until(lambda: usage()["MemoryStats"]["RSS"] > 0, what="memory in use")
    assert isinstance(usage()["CpuStats"]["Percent"], int)
    m.pot_fails("get-rss", "-p", "idle", says="does not run")


def test_fifty_at_once(networked):
    m = networked
    m.make_pot("seed")
    m.pot("snapshot", "-p", "seed")
    names = [f"p{i}" for i in range(50)]
    for name in names:
        m.pot("clone", "-p", name, "-P", "seed", "-N", "public-bridge", "-i", "auto")
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda name: m.pot("start", "-d", name, timeout=120), names))
        assert sorted(m.running()) == sorted(names)
        assert len(m.pot_json("net")["pairs"]) == 50
        list(pool.map(lambda name: m.pot("stop", name, timeout=120), names))
    assert m.running() == []
    assert m.residue(bridge=True) == []


def test_deinit_refuses_while_pots_run(machine):
    m = machine
    m.make_pot("web")
    m.start("web")
    m.pot_fails("de-init", says="web")
    assert m.running() == ["web"]
    m.pot("de-init", "-f")
    assert m.residue() == []


def test_the_doctor_mends_what_killed_keepers_leave(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto", "-S", "dual")
    m.pot("export-ports", "-p", "web", "-e", "80")
    m.make_pot("other", "-N", "public-bridge", "-i", "auto")
    m.start("web", "other")
    keeper = m.pot_json("info", "-p", "web")["keeper_pid"]
    os.kill(keeper, 9)
    wait_until(lambda: m.running() == ["other"], what="the end of web")
    findings = m.pot_fails("doctor", "-n", "--json").stdout
    assert json.loads(findings), "the doctor sees nothing"
    m.pot("doctor")
    assert m.pot_json("doctor", "-n") == []
    assert m.running() == ["other"]
    assert [pair["pot"] for pair in m.pot_json("net")["pairs"]] == ["other"]
    m.start("web")
    assert m.running() == ["other", "web"]


def test_prune_spares_what_runs(machine):
    m = machine
    for name in ("done", "busy", "kept"):
        m.make_pot(name)
        m.pot("set-attr", "-p", name, "-A", "persistent", "-V", "NO")
    for name in ("done", "busy"):
        m.pot("set-attr", "-p", name, "-A", "prunable", "-V", "YES")
    m.start("done", "busy", "kept")
    m.pot("stop", "done")
    m.pot("stop", "kept")
    assert m.pot_json("prune", "-n")["pruned"] == ["done"]
    assert m.pot("ls", "-q") == "busy\ndone\nkept\n"
    m.pot("prune")
    assert m.pot("ls", "-q") == "busy\nkept\n"
