"""The scenarios of pot's own suite (scenarios.py), with the backend zfs where there is a real one."""
import pytest
from machine import REAL_ZFS
from scenarios import m, test_a_clone_and_a_corrupted_pot, test_a_create_that_fails, test_the_main_way  # noqa: F401

pytestmark = pytest.mark.skipif(not REAL_ZFS, reason="no real ZFS: see tests/host/linux")


@pytest.fixture
def backend():
    return "zfs"
