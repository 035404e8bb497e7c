"""Fixtures of the end-to-end tests: they build nothing, and find the binaries by POTTER_BUILD or ./build.

Each test gets a machine of its own (see machine.py); what it leaves behind fails the test.
"""
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import machine as machines  # noqa: E402

# Started in the background by a shell, this process has SIGINT ignored, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    why = None
    if os.geteuid() != 0:
        why = "needs root: namespaces, mounts, control groups"
    elif not (machines.BIN / "pot").exists():
        why = f"no programs in {machines.BIN}: build first, or set POTTER_BUILD"
    elif machines.BUSYBOX is None:
        why = "busybox is missing: install busybox-static"
    for item in items if why else []:
        item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture
def bare():
    """A machine where nothing was done yet."""
    m = machines.Machine()
    yield m
    left = m.close()
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def machine(bare):
    """A machine after pot init, with the base `bb`."""
    bare.init()
    bare.make_base()
    return bare


@pytest.fixture
def networked(bare):
    """The same with the virtual network started."""
    bare.init(vnet=True)
    bare.make_base()
    return bare
