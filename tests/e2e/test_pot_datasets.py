"""Datasets of pots: snapshots, the way back, clones, sizes, on each backend."""
import pathlib


def content(m, pot, path):
    return m.pot("exec", "-p", pot, "cat", path)


def write(m, pot, path, text):
    """Puts a file into a stopped pot."""
    source = m.dir / "written"
    source.write_text(text)
    m.pot("copy-in", "-p", pot, "-s", source, "-d", path)


def rows(m, *options):
    return {row["name"]: row for row in m.pot_json("datasets", *options)}


def test_a_pot_goes_back_to_its_newest_snapshot_with_its_configuration(machine):
    m = machine
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
    assert '"A=two"' in (m.dir / "pot/jails/web/conf/pot.conf").read_text()
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


def test_clones_go_their_own_way_and_outlive_their_source(machine):
    m = machine
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


def test_datasets_are_shown_as_zfs_list_does(machine):
    m = machine
    m.make_pot("web")
    write(m, "web", "/root/f", "x" * 500_000)
    m.pot("snapshot", "web")
    m.pot("clone", "-p", "twin", "-P", "web")
    lines = m.pot("datasets").splitlines()
    assert lines[0].split() == ["NAME", "USED", "AVAIL", "REFER", "MOUNTPOINT"]
    assert [line.split()[0] for line in lines[1:]] == [
        "zroot/pot", "zroot/pot/bases", "zroot/pot/bases/bb", "zroot/pot/fscomp", "zroot/pot/jails",
        "zroot/pot/jails/twin", "zroot/pot/jails/twin/m", "zroot/pot/jails/web", "zroot/pot/jails/web/m"]
    found = rows(m)
    web, twin, base = (found[f"zroot/pot/{name}"] for name in ("jails/web/m", "jails/twin/m", "bases/bb"))
    size = base["used_bytes"]
    assert size > 1_000_000
    assert 500_000 <= web["used_bytes"] < 800_000
    assert web["referenced_bytes"] >= size + 500_000
    assert twin["used_bytes"] < 100_000
    assert twin["referenced_bytes"] >= size + 500_000
    assert twin["origin"] == f"zroot/pot/jails/web/m@{web['snapshots'][0]}"
    assert found["zroot/pot"]["used_bytes"] >= size + 500_000
    assert found["zroot/pot/jails"]["used_bytes"] >= web["used_bytes"] + twin["used_bytes"]
    assert web["mountpoint"] == str(m.dir / "pot/jails/web/m")
    assert f"zroot/pot/jails/web/m@{web['snapshots'][0]}" in m.pot("datasets", "-sq", "web").split()
    # what a pot writes counts when it has stopped
    m.pot("set-cmd", "-p", "twin", "-c", "dd if=/dev/zero of=/root/g bs=1000 count=900")
    m.pot("set-attr", "-p", "twin", "-A", "persistent", "-V", "NO")
    m.try_pot("start", "twin")
    assert rows(m)["zroot/pot/jails/twin/m"]["used_bytes"] >= 900_000
    m.pot_fails("datasets", "-p", "none", says="none")
