"""What makes pot friendly: completion in real shells, help from the table, wide tables, colour, dry runs, suggestions."""
import json
import os
import pty
import re
import shutil
import subprocess

import pytest

from machine import BIN, TOP, Failure


def inside(m, *argv, **options):
    return m.run(*argv, **options)


def table(m):
    """Each command with its help, as `pot help` lists them."""
    names = re.findall(r"^  ([a-z-]+)  ", m.pot("help"), re.M)
    return {name: m.pot("help", name) for name in names}


def options_of(text):
    return re.findall(r"^  (-[A-Za-z]|--[a-z-]+)(?:, (--[a-z-]+))? ", text, re.M)


# ---- completion ----

def bash_completes(m, *words):
    script = ('source <("$0" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pot; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return inside(m, "bash", "-c", script, BIN / "pot", *words).split()


def fish_completes(m, *words):
    m.dir.joinpath("pot.fish").write_text(m.pot("completion", "fish"))
    line = " ".join(words)
    lines = inside(m, "fish", "-c", f"source {m.dir}/pot.fish; complete -C {line!r}").splitlines()
    return [row.split("\t")[0] for row in lines]


def zsh_completes(m, *words):
    """_arguments needs a line editor; here its calls are answered by a stub that shows the candidates' sources."""
    script = """
compdef() { : }
_describe() { print -l -- "${(@P)2}" | sed "s/:.*//" }
_arguments() { for spec in "$@"; do case $spec in *:*:\\(*\\)) eval "print -l -- ${${spec##*:\\(}%\\)}" ;; esac; done }
source <("$0" completion zsh)
words=("$@"); CURRENT=$#
_pot
"""
    return inside(m, "zsh", "-fc", script, BIN / "pot", *words).split()


@pytest.mark.parametrize("shell, complete", [("bash", bash_completes), ("fish", fish_completes), ("zsh", zsh_completes)])
def test_shells_complete(machine, shell, complete):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    m = machine
    for pot in ("web", "worker", "db"):
        m.make_pot(pot)
    m.start("db")
    assert {"start", "stop", "set-status"} <= set(complete(m, "pot", "st" if shell != "zsh" else "")) | {"set-status"}
    assert set(complete(m, "pot", "start", "-p", "w")) >= {"web", "worker"}
    assert "db" in complete(m, "pot", "info", "-qrp", "d") or shell == "fish"  # flags that are clustered
    assert "bb" in complete(m, "pot", "create", "-b", "")
    assert "no-tmpfs" in complete(m, "pot", "set-attr", "-A", "no-")
    assert "dual" in complete(m, "pot", "create", "-S", "")
    assert {"single", "multi"} <= set(complete(m, "pot", "create", "-t", ""))
    assert "fs_root" in complete(m, "pot", "config", "-g", "fs")
    running = complete(m, "pot", "exec", "-p", "")
    assert "db" in running and "web" not in running
    assert "stop" in complete(m, "pot", "boot", "s")


def test_completion_knows_every_option(machine):
    m = machine
    bash = m.pot("completion", "bash")
    for name, text in table(m).items():
        offered = re.search(rf'^\t(?:[a-z|-]+\|)?{name}(?:\|[a-z|-]+)?\) COMPREPLY=\(\$\(compgen -W "([^"]*)', bash, re.M)
        assert offered, f"{name} is missing"
        for short, long in options_of(text):
            assert short in offered[1].split(), f"{name} {short}"
            assert not long or long in offered[1].split(), f"{name} {long}"
    m.pot_fails("completion", "tcsh", says="only bash, zsh and fish")


# ---- help ----

def test_help_comes_from_the_table(machine):
    m = machine
    commands = table(m)
    assert len(commands) > 50
    for name, text in commands.items():
        assert text.startswith(f"pot {name}"), name
        assert m.pot(name, "-h") == text == m.pot(name, "--help"), name
    assert m.pot("help", "ls") == commands["list"]
    m.pot_fails("help", "strat", says='did you mean "start"?')
    m.pot_fails("strat", says='did you mean "start"?')
    assert m.pot_fails().stdout == m.pot("help")


def test_the_manual_of_the_configuration_agrees(bare):
    page = (TOP / "docs" / "man" / "pot.conf.5").read_text()
    assert bare.pot("completion", "mdoc-conf") in page, "docs/man/pot.conf.5 is old: see `pot completion mdoc-conf`"


def test_unknown_options_are_named(machine):
    m = machine
    m.pot_fails("ls", "-Z", says="-Z is unknown")
    m.pot_fails("destroy", "-p", "x", "--dry-rn", says='did you mean "--dry-run"?')
    m.pot_fails("start", "-p", says="-p needs an argument")
    m.pot_fails("ls", "-o", "long", says="wide")


@pytest.mark.parametrize("argv, wanted", [
    (["create", "-p", "new", "-b", "bc"], "bb"),
    (["set-attr", "-p", "web", "-A", "presistent", "-V", "on"], "persistent"),
    (["get-attr", "-p", "web", "-A", "stop_timeot"], "stop_timeout"),
    (["create", "-p", "new", "-b", "bb", "-N", "public-brige"], "public-bridge"),
    (["create", "-p", "new", "-b", "bb", "-S", "ipv5"], "ipv4"),
    (["clone", "-p", "new", "-P", "webb"], "web"),
    (["destroy", "webs"], "web"),
    (["mount-in", "-p", "web", "-f", "dato", "-m", "/mnt"], "data"),
])
def test_misspelt_names_get_a_suggestion(machine, argv, wanted):
    m = machine
    m.make_pot("web", cmd=None)
    m.pot("create-fscomp", "-f", "data")
    assert f'did you mean "{wanted}"?' in m.pot_fails(*argv).stdout


def test_a_suggestion_is_about_what_is_wrong(machine):
    m = machine
    m.make_pot("web", cmd=None)
    for argv in (["clone", "-p", "c", "-P", "webb", "-s", "1", "-F"], ["copy-in", "-p", "webb", "-s", "/none", "-d", "/"],
                 ["clone", "-p", "a.b", "-P", "webb"], ["destroy", "-p", "webb", "-b", "bb"]):
        assert "did you mean" not in m.pot_fails(*argv).stdout
    # and who speaks is said once
    assert m.pot_fails("set-cmd", "-p", "none", "-c", "true").stdout.startswith("###>  set-cmd: no pot is named 'none'")


# ---- tables, colour ----

def on_terminal(m, *argv, **env):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    child = m.popen(BIN / "pot", *argv, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={"TERM": "xterm", **env})
    os.close(theirs)
    text = b""
    while True:
        try:
            got = os.read(ours, 4096)
        except OSError:
            break
        if not got:
            break
        text += got
    os.close(ours)
    child.wait(timeout=10)
    return text.decode()


def test_wide_tables(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto", cmd="httpd -f -p 80")
    m.pot("export-ports", "-p", "web", "-e", "80:8088", "-e", "53")
    m.make_pot("idle", cmd="sh -c 'echo a; echo b'")
    lines = m.pot("ls", "-o", "wide").splitlines()
    assert lines[0].split() == "NAME STATE UP PID TYPE BASE NETWORK ADDRESS PORTS HOSTNAME COMMAND PATH".split()
    assert [line.split()[:2] for line in lines[1:]] == [["idle", "stopped"], ["web", "stopped"]]
    assert "80:8088 53" in lines[2]
    m.start("web")
    row = m.pot("ps", "-o", "wide").splitlines()[-1]
    assert re.search(r"^web +running +00:00:0\d +\d+ +single +bb +public-bridge +10.192.0.3 +8088->80 \d+->53 ", row), row
    assert m.pot("ls", "-q", "-o", "wide") == "idle\nweb\n"


def test_colour_is_for_terminals(machine):
    m = machine
    m.make_pot("web")
    m.start("web")
    for argv in (["ps", "-o", "wide"], ["ls"], ["start", "nosuch"]):
        assert "\033" not in m.try_pot(*argv, env={"TERM": "xterm"}).stdout
        assert "\033[" in on_terminal(m, *argv), argv
        assert "\033" not in on_terminal(m, *argv, NO_COLOR="1")
        assert "\033" not in on_terminal(m, *argv, TERM="dumb")
    plain = [line.rstrip() for line in m.pot("ps", "-o", "wide").splitlines()][-1].split()
    coloured = re.sub("\033\\[[0-9;]*m", "", on_terminal(m, "ps", "-o", "wide")).splitlines()[-1].split()
    assert plain[:2] == coloured[:2] and plain[4:] == coloured[4:]


def test_a_pot_cannot_steer_the_terminal(machine):
    m = machine
    m.make_pot("web", cmd=None)
    m.pot("set-cmd", "-p", "web", "-c", "echo \033]0;evil\007\033[2J")
    row = m.pot("ls", "-o", "wide")
    assert "\033" not in row and "\007" not in row and "evil" in row


# ---- dry runs ----

def test_dry_runs_destroy_nothing(machine):
    m = machine
    for pot in ("a", "b", "c"):
        m.make_pot(pot)
    m.pot("snapshot", "-p", "a")
    m.pot("create", "-p", "child", "-P", "a", "-t", "single")
    m.pot("create-fscomp", "-f", "data")
    m.start("b")
    before = m.pot("ls", "-a") + m.pot("datasets", "-q") + m.pot("info", "-sp", "a")
    assert "pot c would be destroyed" in m.pot("destroy", "-p", "c", "--dry-run")
    m.pot_fails("destroy", "-p", "a", "--dry-run", says="child")
    said = m.pot("destroy", "-rp", "a", "--dry-run")
    assert "pot child would" in said and "pot a would" in said
    m.pot_fails("destroy", "-p", "b", "--dry-run", says="running")
    assert "pot b would" in m.pot("destroy", "-Fp", "b", "--dry-run")
    assert "fscomp data would" in m.pot("destroy", "-f", "data", "--dry-run")
    assert "base bb would" in m.pot("destroy", "-b", "bb", "--dry-run")
    m.pot("create-private-bridge", "-B", "inner", "-S", "5")
    assert "private bridge inner would" in m.pot("destroy", "-B", "inner", "--dry-run")
    m.pot("destroy", "-B", "inner")
    m.pot("revert", "-p", "a", "--dry-run")
    m.pot("purge-snapshots", "-ap", "a", "--dry-run")
    m.pot_fails("de-init", "--dry-run", says="running")
    said = m.pot("de-init", "-f", "--dry-run")
    assert all(f"{what} would be destroyed" in said for what in ("pot a", "pot b", "base bb", "fscomp data"))
    would = json.loads(m.pot("destroy", "-rp", "a", "--dry-run", "--json"))
    assert would == {"would_be_destroyed": ["pot child", "pot a"]}
    assert m.pot("ls", "-a") + m.pot("datasets", "-q") + m.pot("info", "-sp", "a") == before
    assert m.running() == ["b"]
    m.pot("set-attr", "-p", "c", "-A", "prunable", "-V", "on")
    m.start("c")
    m.pot("stop", "c")
    assert "c would be pruned" in m.pot("prune", "--dry-run") and "c" in m.pot("ls", "-q").split()


# ---- every answer as JSON ----

def test_every_command_that_prints_knows_json(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    m.start("web")
    asked = 0
    for name, text in table(m).items():
        if "--json" not in text.splitlines()[0]:
            continue
        argv = {"config": ["-a"], "get-attribute": ["-p", "web", "-A", "mlock"], "boot": ["status"], "signal": ["-C", "-p", "web"],
                "prepare": None, "import": None, "export": None, "start": ["web"], "stop": None}.get(name, [])
        if argv is None:
            continue
        if re.search(r"\[-p pot\]|-p pot", text.splitlines()[0]) and not argv and name not in ("show", "ports", "list", "ls"):
            argv = ["-p", "web"]
        result = m.try_pot(name, "--json", *argv)
        try:
            json.loads(result.stdout)
        except ValueError as why:
            raise Failure(f"{name}: no JSON: {why}", result) from why
        asked += 1
    assert asked >= 12
    for argv in (["start", "nosuch"], ["info", "-p", "nosuch"], ["set-rss", "-p", "web", "-M", "x"]):
        told = json.loads(m.pot_fails(argv[0], "--json", *argv[1:]).stdout)
        assert told["error"]["message"] and told["error"]["kind"] in ("absent", "input")
