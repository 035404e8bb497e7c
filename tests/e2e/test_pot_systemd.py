"""Pots that start with the machine, under a real systemd on a copy-on-write view of this machine."""
import json

import pytest

from machine import wait_until
from sandbox import SYSTEMD, Sandbox

ROOT = """
set -e
mkdir -p /root/small
cd /root/small
mkdir bin dev etc proc sys tmp root
cp "$(command -v busybox)" bin/busybox
for a in sh sleep cat ip nc; do ln -s busybox bin/$a; done
printf 'root:x:0:0:root:/root:/bin/sh\\n' > etc/passwd
printf 'root:x:0:\\n' > etc/group
"""


@pytest.fixture
def view():
    v = Sandbox(init=SYSTEMD)
    v.wait_systemd()
    yield v
    v.close()


def running(view):
    return sorted(view.run("pot", "ps", "-q").split())


def test_the_units_start_and_stop_what_is_marked(view):
    view.make("install")
    view.run("groupadd", "--system", "pot")
    view.run("sh", "-c", ROOT)
    view.run("pot", "init")
    view.run("pot", "create-base", "-b", "small", "-d", "/root/small")
    for pot in ("names", "db", "web", "other"):
        view.run("pot", "create", "-p", pot, "-t", "single", "-b", "small", "-N", "public-bridge", "-i", "auto")
        view.run("pot", "set-cmd", "-p", pot, "-c", "/bin/sleep 100000")
        view.run("pot", "set-attr", "-p", pot, "-A", "no-rc-script", "-V", "YES")
    view.run("pot", "add-dep", "-p", "web", "-P", "db")
    view.run("pot", "set-attr", "-p", "web", "-A", "start-at-boot", "-V", "YES")
    view.run("pot", "set-attr", "-p", "names", "-A", "early-start-at-boot", "-V", "YES")
    view.run("systemctl", "daemon-reload")
    view.run("systemctl", "enable", "--quiet", "pot", "pot-early")
    view.run("systemctl", "start", "pot-early")
    assert running(view) == ["names"]
    view.run("systemctl", "start", "pot")
    assert running(view) == ["db", "names", "web"]
    assert view.run("systemctl", "is-active", "pot").strip() == "active"
    before = json.loads(view.run("pot", "ps", "--json"))
    view.run("systemctl", "daemon-reexec")
    view.wait_systemd()
    assert json.loads(view.run("pot", "ps", "--json")) == before
    view.run("systemctl", "stop", "pot", "pot-early")
    assert running(view) == []
    view.run("pot", "de-init", "-f")
    view.run("systemctl", "disable", "--quiet", "pot", "pot-early")
    view.run("groupdel", "pot")
    view.run("rm", "-r", "/root/small")
    view.make("uninstall")
    wait_until(lambda: not view.links(), what=f"no link: {view.links()}")
    assert view.tables() == []
    assert [line for line in view.changed() if "pot" in line] == []
