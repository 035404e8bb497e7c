"""One machine for all scenes; each begins and ends with nothing left on it."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import bsd  # noqa: E402
import scene  # noqa: E402


@pytest.fixture(scope="session")
def machine():
    host = bsd.connect()
    if host is None:
        pytest.skip(bsd.HOW)
    if not (bsd.BUILD / "stage").is_dir():
        pytest.skip(f"there is nothing built for FreeBSD in {bsd.BUILD}: make freebsd")
    try:
        scene.prepare(host)
        yield host
    finally:
        host.close()


@pytest.fixture
def clean(machine, request):
    """A scene: what it leaves behind is an error, shown with what was there before."""
    before = scene.residue(machine)
    yield machine
    left = scene.difference(before, scene.residue(machine))
    if left:
        scene.sweep(machine)
    assert not left, f"{request.node.name} left behind:\n{left}"
