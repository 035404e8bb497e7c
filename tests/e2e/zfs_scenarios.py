"""The scenarios of pot's own suite (scenarios.py), with the backend zfs where there is a real one."""
import pytest
from machine import REAL_ZFS
from scenarios import m, test_a_clone_and_a_corrupted_pot, test_a_create_that_fails, test_the_main_way  # noqa: F401

pytestmark = pytest.mark.skipif(not REAL_ZFS, reason="no real ZFS: see tests/host/linux")


def test_a_dataset_of_somebody_else_is_mounted_in(m):  # noqa: F811
    """mount-in -z with any dataset of the machine, as pot 0.16 has it; it is not moved."""
    m.make_base()
    m.make_pot("web")
    at = m.dir / "data"
    m.pot_fails("mount-in", "-p", "web", "-z", "zroot/potter-data", "-m", "/data", says="not mounted, or not there")
    m.run("zfs", "create", "-o", f"mountpoint={at}", "zroot/potter-data")
    try:
        (at / "told").write_text("yes\n")
        m.pot("mount-in", "-p", "web", "-z", "zroot/potter-data", "-m", "/data", "-w")
        m.start("web")
        assert m.pot("exec", "-p", "web", "cat", "/data/told") == "yes\n"
        m.pot("stop", "web")
        assert (at / "told").read_text() == "yes\n"
        m.pot("mount-out", "-p", "web", "-m", "/data")
        m.pot("destroy", "-p", "web")
    finally:
        m.run("zfs", "destroy", "zroot/potter-data")


@pytest.fixture
def backend():
    return "zfs"
