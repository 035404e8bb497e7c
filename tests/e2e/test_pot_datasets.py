"""Datasets of pots: snapshots, the way back, clones, sizes, on each backend."""
import secrets
import time

from machine import BUILD
import pytest


@pytest.fixture(params=["overlay", "btrfs", "zfs"])
def m(request, bare):
    """A machine after pot init, on each backend in turn; what answers in place of `zfs` copies."""
    bare.on(request.param)
    bare.init()
    bare.make_base()
    assert f"/.{request.param}" in bare.run("find", bare.conf["POT_FS_ROOT"], "-maxdepth", "1")
    return bare


def root(m):
    return m.conf["POT_FS_ROOT"]


def content(m, pot, path):
    return m.pot("exec", "-p", pot, "cat", path)


def write(m, pot, path, text):
    """Puts a file into a stopped pot."""
    source = m.dir / "written"
    source.write_text(text)
    m.pot("copy-in", "-p", pot, "-s", source, "-d", path)


def rows(m, *options):
    m.settle()
    return {row["name"]: row for row in m.pot_json("datasets", *options)}


def test_a_pot_goes_back_to_its_newest_snapshot_with_its_configuration(m):
    m.make_pot("web")
    write(m, "web", "/root/f", "one")
    m.pot("set-env", "-p", "web", "-E", "A=one")
    m.pot("snapshot", "-p", "web")
    write(m, "web", "/root/f", "two")
    m.pot("set-env", "-p", "web", "-E", "A=two")
    m.pot("snap", "web")
    write(m, "web", "/root/f", "three")
    m.pot("set-env", "-p", "web", "-E", "A=three")
    m.pot("rollback", "web")
    m.start("web")
    assert content(m, "web", "/root/f") == "two"
    m.pot_fails("snapshot", "-p", "web", says="running")
    m.pot_fails("revert", "-p", "web", says="running")
    m.pot("stop", "web")
    assert '"A=two"' in m.run("cat", f"{root(m)}/jails/web/conf/pot.conf")
    # only the newest stays, and is still the way back
    m.pot("purge-snapshots", "-p", "web")
    assert [len(row["snapshots"]) for name, row in rows(m, "web").items()] == [1, 1]
    write(m, "web", "/root/f", "four")
    m.pot("revert", "-p", "web")
    m.start("web")
    assert content(m, "web", "/root/f") == "two"
    m.pot("stop", "web")
    m.pot("snapshot", "-rp", "web")
    assert [len(row["snapshots"]) for name, row in rows(m, "web").items()] == [1, 1]
    m.pot("purge-snapshots", "-ap", "web")
    assert [row["snapshots"] for row in rows(m, "web").values()] == [[], []]
    m.pot("revert", "web")  # nothing to go back to is said, and no failure


def test_clones_go_their_own_way_and_outlive_their_source(m):
    m.make_pot("source")
    write(m, "source", "/root/f", "of the source")
    m.pot("snapshot", "source")
    m.pot("clone", "-p", "a", "-P", "source")
    m.pot("clone", "-p", "b", "-P", "source")
    write(m, "a", "/root/f", "of a")
    write(m, "source", "/root/f", "changed")
    m.start("a", "b")
    assert [content(m, pot, "/root/f") for pot in "ab"] == ["of a", "of the source"]
    m.pot("destroy", "-p", "source")
    m.pot("stop", "b")
    m.start("b")
    assert content(m, "b", "/root/f") == "of the source"
    m.pot("stop", "a")
    m.pot("stop", "b")


def test_datasets_are_shown_as_zfs_list_does(m):
    m.make_pot("web")
    write(m, "web", "/root/f", secrets.token_hex(250_000))
    m.pot("snapshot", "web")
    m.pot("clone", "-p", "twin", "-P", "web")
    m.settle()
    lines = m.pot("datasets").splitlines()
    assert lines[0].split() == ["NAME", "USED", "AVAIL", "REFER", "MOUNTPOINT"]
    names = [line.split()[0] for line in lines[1:]]
    assert [name for name in names if "/bb/" not in name and name != "zroot/pot/cache"] == [
        "zroot/pot", "zroot/pot/bases", "zroot/pot/bases/bb", "zroot/pot/fscomp", "zroot/pot/jails",
        "zroot/pot/jails/twin", "zroot/pot/jails/twin/m", "zroot/pot/jails/web", "zroot/pot/jails/web/m"]
    found = rows(m)
    web, twin, base = (found[f"zroot/pot/{name}"] for name in ("jails/web/m", "jails/twin/m", "bases/bb"))
    size = base["referenced_bytes"]
    assert size > 1_000_000
    assert 500_000 <= web["used_bytes"] < 800_000
    assert web["referenced_bytes"] >= size + 400_000
    assert twin["used_bytes"] < 100_000
    assert twin["referenced_bytes"] >= size + 400_000
    assert twin["origin"] == f"zroot/pot/jails/web/m@{web['snapshots'][0]}"
    assert found["zroot/pot"]["used_bytes"] >= size + 400_000
    assert found["zroot/pot/jails"]["used_bytes"] >= web["used_bytes"] + twin["used_bytes"]
    assert web["mountpoint"] == f"{root(m)}/jails/web/m"
    assert f"zroot/pot/jails/web/m@{web['snapshots'][0]}" in m.pot("datasets", "-sq", "web").split()
    # what a pot writes counts when it has stopped; zeros would be compressed to nothing
    m.pot("set-cmd", "-p", "twin", "-c", "dd if=/dev/urandom of=/root/g bs=1000 count=900")
    m.pot("set-attr", "-p", "twin", "-A", "persistent", "-V", "NO")
    m.try_pot("start", "twin")
    m.settle()
    assert rows(m)["zroot/pot/jails/twin/m"]["used_bytes"] >= 900_000
    m.pot_fails("datasets", "-p", "none", says="none")


def test_killed_commands_leave_pots_whole_or_gone(m):
    """SIGKILL at some moment of each command; what is left works, and can be removed."""
    m.make_pot("source", cmd="true")
    m.pot("set-attr", "-p", "source", "-A", "persistent", "-V", "NO")
    write(m, "source", "/root/f", "one")
    m.pot("snapshot", "source")
    pot = BUILD / "src/bin/pot"
    commands = (["clone", "-p", "a", "-P", "source"], ["snapshot", "source"], ["revert", "source"],
                ["clone", "-p", "b", "-P", "a", "-F"], ["revert", "a"], ["snapshot", "-r", "a"],
                ["purge-snapshots", "-p", "a"], ["rename", "-p", "b", "-n", "c"], ["destroy", "-p", "c"],
                ["destroy", "-rp", "a"])
    begun = time.monotonic()
    m.try_pot("clone", "-p", "z", "-P", "source")
    usual = time.monotonic() - begun
    killed = 0
    for turn in range(4):
        for i, command in enumerate(commands):
            after = usual * (0.2 + 0.8 * ((turn * len(commands) + i) * 7 % 11) / 10)
            killed += m.try_run("timeout", "-s", "KILL", f"{after:.4f}", pot, *command).returncode in (-9, 137)
    assert killed > 0
    m.pot("doctor")
    assert m.pot_json("doctor", "-n") == []
    names = m.pot("ls", "-q").split()
    assert "source" in names and "z" in names and set(names) <= {"source", "z", "a", "b", "c"}
    for name in names:
        m.pot("start", name)
        assert m.pot("last-run-stats", "-p", name).strip() == '{ "ExitCode": 0 }'
    for name in names:
        m.pot("destroy", "-Frp", name)
    assert [name for name in rows(m) if "/jails/" in name] == []


def test_a_tree_keeps_the_backend_it_was_made_with(bare):
    volume = bare.btrfs_volume()
    bare.conf["POT_DATASET_BACKEND"] = "overlay"
    bare.init()
    bare.make_base()
    bare.make_pot("web")
    # what was chosen is found again by itself, and another one is refused by name
    del bare.conf["POT_DATASET_BACKEND"]
    bare.start("web")
    bare.pot("stop", "web")
    bare.conf["POT_DATASET_BACKEND"] = "btrfs"
    bare.pot_fails("ls", says="was made with overlay")
    bare.conf["POT_DATASET_BACKEND"] = "overlay"
    bare.pot("de-init")
    bare.conf["POT_DATASET_BACKEND"] = "btrfs"
    bare.init()
    assert ".btrfs" in bare.run("ls", "-A", volume / "pot").split()
    bare.pot("de-init")
    bare.conf["POT_FS_ROOT"] = str(bare.dir / "elsewhere")
    bare.pot_fails("init", says="is not on btrfs")
    bare.conf["POT_DATASET_BACKEND"] = "floppy"
    bare.pot_fails("init", says="floppy")


def test_images_go_from_one_backend_to_the_other(bare):
    """What btrfs exports overlay imports, and the other way round."""
    volume = bare.btrfs_volume()
    bare.init()
    bare.make_base()
    bare.make_pot("web")
    write(bare, "web", "/root/f", "from btrfs")
    bare.pot("snapshot", "web")
    store = bare.dir / "store"
    store.mkdir()
    bare.pot("export", "-p", "web", "-t", "1", "-D", store)
    bare.pot("destroy", "web")
    bare.pot("import", "-p", "web", "-t", "1", "-U", f"file://{store}")
    bare.start("web_1")
    assert content(bare, "web_1", "/root/f") == "from btrfs"
    bare.pot("stop", "web_1")
    bare.pot("de-init")
    bare.conf["POT_FS_ROOT"] = str(bare.dir / "pot")
    bare.conf["POT_DATASET_BACKEND"] = "overlay"
    bare.init()
    bare.pot("import", "-p", "web", "-t", "1", "-U", f"file://{store}")
    bare.start("web_1")
    assert content(bare, "web_1", "/root/f") == "from btrfs"
    bare.pot("stop", "web_1")
    assert not list(volume.iterdir())


def test_members_of_the_group_may_look(bare):
    """On both backends that keep their own books; with ZFS these are ZFS's."""
    for volume in (False, True):
        if volume:
            bare.btrfs_volume()
        bare.conf["POT_GROUP"] = "games"
        bare.init()
        bare.make_base()
        bare.make_pot("web")
        bare.pot("snapshot", "web")
        member = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=60", BUILD / "src/bin/pot"]
        stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BUILD / "src/bin/pot"]
        for command in (["ls", "-v"], ["info", "-vp", "web"], ["show"], ["ps"]):
            bare.run(*member, *command)
            assert bare.try_run(*stranger, *command).returncode == 1
        assert bare.run(*member, "ls", "-q") == "web\n"
        assert bare.try_run(*member, "destroy", "web").returncode == 1
        assert bare.try_run(*member, "datasets").returncode == 1
        bare.pot("de-init")
