"""The scenarios of pot's own suite (scenarios.py), with the backend btrfs."""
import pytest
from scenarios import m, test_a_clone_and_a_corrupted_pot, test_a_create_that_fails, test_the_main_way  # noqa: F401


@pytest.fixture
def backend():
    return "btrfs"
