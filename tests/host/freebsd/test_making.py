"""create and clone killed at any moment: there is the whole pot or none, and the next command of that name is not held up."""
import pytest
from scene import release

MOMENTS = (0.004, 0.02, 0.05, 0.08, 0.12, 0.2, 0.3, 0.45)


@pytest.fixture
def source(clean):
    """A pot with a snapshot, and its base."""
    m, rel = clean, release(clean)
    had = rel in m.pot("ls", "-bq").split()
    if not had:
        m.pot("create-base", "-r", rel, timeout=1200)
    m.pot("create", "-p", "source", "-t", "multi", "-b", rel)
    m.pot("snapshot", "-p", "source")
    yield m, rel
    m.pot("destroy", "-p", "source")
    if not had:
        m.pot("destroy", "-b", rel)


@pytest.mark.parametrize("verb", ["create -p killed -t multi -b {}", "clone -p killed -P source"])
def test_killed_while_making(source, verb):
    m, rel = source
    command = "pot " + verb.format(rel)
    settled = "while pgrep -x zfs >/dev/null; do sleep 0.1; done"
    for moment in MOMENTS:
        m.sh(f"{command} >/dev/null 2>&1 & p=$!; sleep {moment}; kill -9 $p; wait $p", ok=None)
        whole = "killed" in m.pot("ls", "-q").split()
        if not whole and m.raw(command).returncode != 0:
            # zfs commands that were under way go on to their end, and are in the way until then
            m.sh(settled)
            m.sh(command)
        m.sh(settled)
        sets = m.sh("zfs list -H -o name -r zroot/pot/jails/killed").split()
        assert [s.rsplit("/", 1)[1] for s in sets] == ["killed", "custom", "usr.local"], moment
        assert m.sh("zfs list -H -t snapshot -o name -r zroot/pot/jails/killed") == ""
        assert "usr.local" in m.sh("cat /opt/pot/jails/killed/conf/fscomp.conf") and "killed" in m.pot("info", "-p", "killed")
        m.pot("destroy", "-p", "killed")
        assert "killed" not in m.sh("zfs list -H -o name -r zroot/pot")
