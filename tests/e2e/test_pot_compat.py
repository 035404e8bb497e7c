"""Files that pot 0.16 wrote are read, changed and written so that 0.16 would read them.

Its readers are played here by their rules: most values lose blanks and quotes and end at the second '='; a key that is
there twice where it should be once breaks them. What they would make of a file is compared before and after each change.
"""
import pathlib
import re

import pytest

from machine import TOP

FIXTURES = TOP / "tests" / "fixtures" / "pot-0.16"
LISTS = {"pot.depend", "pot.env", "pot.hosts"}
SINGLE = {"pot.level", "pot.type", "pot.base", "pot.potbase", "pot.dns", "pot.cmd", "host.hostname", "osrelease", "pot.stack",
          "network_type", "vnet", "ip", "bridge", "pot.export.ports", "pot.rss.cpus", "pot.rss.memory"}


class Shell:
    """What the shell implementation reads out of a pot.conf."""

    def __init__(self, text):
        self.lines = text.split("\n")[:-1]  # `read` loses a last line without its newline

    def rows(self, key):
        return [line for line in self.lines if re.match(f"{key}=", line)]

    def plain(self, key):
        return "\n".join(re.sub(r'[ \t"]', "", line).split("=")[1] for line in self.rows(key))

    def string(self, key):
        return "\n".join(line.split("=")[1] for line in self.rows(key))

    def ip(self):
        return "\n".join(line[3:] for line in self.rows("ip"))

    def ports(self):
        return "\n".join(line.split("=")[1] for line in self.rows("pot.export.ports") if line.count("=") == 1)

    def rest(self, key):
        return [line.split("=", 1)[1] for line in self.rows(key)]

    def env(self):
        """As the shell of the pot evaluates them, without what only a shell would do to them."""
        return [re.sub(r'\\"', '"', value[1:-1]) for value in self.rest("pot.env") if value[0] == value[-1] == '"']

    def check(self):
        """No key is there twice that may be there once, none is empty in the middle of things."""
        for key in SINGLE | {line.split("=")[0] for line in self.lines if line.startswith("pot.attr.")}:
            assert len(self.rows(key)) <= 1, f"{key} is there {len(self.rows(key))} times"
        return self


def conf_path(m, pot, file="pot.conf"):
    return pathlib.Path(m.conf["POT_FS_ROOT"]) / "jails" / pot / "conf" / file


def put(m, pot, fixture, file="pot.conf"):
    """A pot with the configuration of a fixture."""
    text = (FIXTURES / fixture).read_text().replace("@ROOT@", str(conf_path(m, pot).parents[1] / "m"))
    conf_path(m, pot, file).write_text(text)
    return text


def shell(m, pot):
    return Shell(conf_path(m, pot).read_text()).check()


def changes(before, after):
    """Lines that went and lines that came; what stays must stay in its order."""
    old, new = before.splitlines(), after.splitlines()
    stay = [line for line in old if line in new]
    assert [line for line in new if line in old] == stay, "the order of the lines has changed"
    return [line for line in old if line not in new], [line for line in new if line not in old]


@pytest.fixture
def web(machine):
    machine.make_pot("web", cmd=None)
    for other in ("db", "cache", "extra"):
        machine.make_pot(other, cmd=None)
    machine.text = put(machine, "web", "single.pot.conf")
    return machine


def test_a_file_of_0_16_is_read(web):
    info = web.pot_json("info", "-p", "web")
    old = shell(web, "web")
    for key, name in (("pot.type", "type"), ("pot.base", "base"), ("host.hostname", "hostname"), ("pot.dns", "dns"),
                      ("pot.stack", "stack"), ("network_type", "network_type")):
        assert info[name] == old.plain(key), key
    assert info["command"] == old.rest("pot.cmd")[0] == "nginx -g 'daemon off;' -c /usr/local/etc/a=b.conf"
    assert info["ip"] == old.ip() == "10.192.0.7"
    assert info["env"] == old.env() == ["MODE=production", 'GREETING=say "hello" = all']
    assert info["hosts"] == old.rest("pot.hosts")
    assert info["depend"] == old.plain("pot.depend").split("\n") == ["db", "cache"]
    assert " ".join(info["exported_ports"]) == old.ports() == "80:8080 udp:53 443"
    assert info["cpus"] == int(old.plain("pot.rss.cpus")) and info["memory_bytes"] == 512 << 20
    for name, value in info["attributes"].items():
        stored = old.plain(f"pot.attr.{name}")
        if name == "exec_stop":
            assert value == old.string("pot.attr.exec_stop") == "/bin/sh /etc/rc.shutdown"
        elif old.rows(f"pot.attr.{name}"):
            assert value == stored, name


@pytest.mark.parametrize("argv, key", [
    (["set-cmd", "-c", "sleep 5 = x"], "pot.cmd"),
    (["set-attr", "-A", "persistent", "-V", "on"], "pot.attr.persistent"),
    (["set-attr", "-A", "exec_stop", "-V", "/bin/true now"], "pot.attr.exec_stop"),
    (["set-rss", "-C", "1"], "pot.rss.cpus"),
    (["set-rss", "-M", "1g"], "pot.rss.memory"),
    (["set-env", "-E", 'A="x" y'], "pot.env"),
    (["set-hosts", "-H", "two:10.9.9.9"], "pot.hosts"),
    (["export-ports", "-e", "8080:80", "-e", "udp:53"], "pot.export.ports"),
    (["add-dep", "-P", "extra"], "pot.depend"),
])
def test_a_setter_changes_its_key_and_nothing_else(web, argv, key):
    m = web
    conf_path(m, "web").chmod(0o640)
    m.pot(argv[0], "-p", "web", *argv[1:])
    after = conf_path(m, "web").read_text()
    gone, came = changes(m.text, after)
    assert came and all(line.startswith(key + "=") for line in gone + came), (gone, came)
    now = shell(m, "web")
    read = {
        "pot.cmd": lambda: now.rest("pot.cmd") == ["sleep 5 = x"],
        "pot.attr.persistent": lambda: now.plain(key) == "YES",
        "pot.attr.exec_stop": lambda: now.string(key) == "/bin/true now",
        "pot.rss.cpus": lambda: now.plain(key) == "1",
        "pot.rss.memory": lambda: now.plain(key) == "1g",
        "pot.env": lambda: now.env() == ['A="x" y'],
        "pot.hosts": lambda: now.rest(key) == ["10.9.9.9 two"],
        "pot.export.ports": lambda: now.ports() == "8080:80 udp:53",
        "pot.depend": lambda: now.plain(key).split("\n") == ["db", "cache", "extra"],
    }
    assert read[key](), conf_path(m, "web").read_text()
    assert conf_path(m, "web").stat().st_mode & 0o777 == 0o640, "who may read it has changed"


def test_what_is_undone_leaves_no_trace(web):
    m = web
    for argv in (["set-rss", "-L", "0", "-P", "9", "-F", "99", "-I", "10", "-W", "10"], ["set-env", "-E", "X=1"]):
        m.pot(argv[0], "-p", "web", *argv[1:])
    m.pot("set-rss", "-p", "web", "-L", "", "-P", "", "-F", "", "-I", "", "-W", "")
    m.pot("set-env", "-p", "web", "-E", "MODE=production", "-E", 'GREETING=say "hello" = all')
    assert sorted(conf_path(m, "web").read_text().splitlines()) == sorted(m.text.splitlines())


def test_a_last_line_without_newline_is_kept(web):
    m = web
    conf_path(m, "web").write_text(m.text + "pot.rss.memory=64M")  # the last line counts
    assert m.pot_json("info", "-p", "web")["memory_bytes"] == 64 << 20
    m.pot("set-rss", "-p", "web", "-C", "1")
    assert shell_last(m) == "64M"


def shell_last(m):
    return [line for line in conf_path(m, "web").read_text().split("\n")[:-1] if line.startswith("pot.rss.memory=")][-1].split("=")[1]


def test_alias_and_multi_files(machine):
    m = machine
    m.make_pot("ali", cmd=None)
    put(m, "ali", "alias.pot.conf")
    info = m.pot_json("info", "-p", "ali")
    assert (info["network_type"], info["stack"], info["dns"]) == ("alias", "dual", "off")
    assert info["ip"] == shell(m, "ali").ip() == "em0|192.168.7.2 192.168.7.3 em1|2001:db8::7"
    told = m.pot("info", "-Ep", "ali")
    assert "export _POT_IP=192.168.7.2\n" in told and "export _POT_NIC_2=em1\n" in told
    assert "export _POT_IP_LIST=_POT_IP_0\\ _POT_IP_1\\ _POT_IP_2\n" in told
    m.make_pot("app", cmd=None)
    put(m, "app", "multi.pot.conf")
    before = put(m, "app", "multi.fscomp.conf", "fscomp.conf")
    info = m.pot_json("info", "-p", "app")
    assert (info["type"], info["level"], info["base_pot"], info["stack"]) == ("multi", 2, "packages", "ipv6")
    assert [row["target"] for row in info["mounts"]] == ["/", "/usr/local", "/opt/custom", "/mnt/data", "/mnt/home"]
    m.pot("set-attr", "-p", "app", "-A", "prunable", "-V", "YES")
    assert conf_path(m, "app", "fscomp.conf").read_text() == before


def test_mounts_keep_the_rest_of_their_file(machine):
    m = machine
    m.make_pot("web", cmd=None)
    (m.dir / "shared").mkdir()
    text = f"# the pictures\n{m.dir}/shared   /mnt/a  ro\n\n{m.dir} /mnt/b"
    conf_path(m, "web", "fscomp.conf").write_text(text)
    (m.dir / "more").mkdir()
    m.pot("mount-in", "-p", "web", "-d", m.dir / "more", "-m", "/mnt/c", "-r")
    lines = conf_path(m, "web", "fscomp.conf").read_text().split("\n")
    assert lines == text.split("\n") + [f"{m.dir}/more /mnt/c ro", ""]
    m.pot("mount-out", "-p", "web", "-m", "/mnt/a")
    assert conf_path(m, "web", "fscomp.conf").read_text().split("\n") == [lines[0], *lines[2:]]


def test_what_create_writes(networked):
    m = networked
    m.make_pot("dep", cmd=None)
    m.make_pot("web", "-N", "public-bridge", "-i", "auto", cmd=None)
    now = shell(m, "web")
    keys = [line.split("=")[0] for line in now.lines]
    frame = ["pot.level", "pot.type", "pot.base", "pot.potbase", "pot.dns", "pot.cmd", "host.hostname", "osrelease"]
    assert keys[:8] == frame and keys[-4:] == ["pot.stack", "network_type", "vnet", "ip"]
    assert all(key.startswith("pot.attr.") for key in keys[8:-4])
    assert now.plain("vnet") == "true" and now.plain("network_type") == "public-bridge" and now.ip() == "10.192.0.3"
    assert now.rest("host.hostname")[0].startswith('"web') and now.rest("osrelease")[0][0] == '"'
    m.pot("clone", "-p", "copy", "-P", "web", "-F")
    copy = shell(m, "copy")
    assert copy.plain("host.hostname").startswith("copy") and copy.ip() == "10.192.0.4"


def test_update_config(machine):
    m = machine
    m.make_pot("old", cmd=None)
    put(m, "old", "old.pot.conf")
    put(m, "old", "old.fscomp.conf", "fscomp.conf")
    m.pot_fails("start", "old", says="update-config")
    m.pot("update-config", "-p", "old")
    now = shell(m, "old")
    assert now.plain("network_type") == "public-bridge" and now.ip() == "10.192.0.9" and not now.rows("ip4")
    assert now.ports() == "22 80:80 8443:8443" and not now.rows("pot.export.static.ports")
    assert not now.rows("pot.rss.cpuset") and now.plain("pot.type") == "multi" and now.plain("pot.level") == "1"
    assert now.plain("pot.attr.start-at-boot") == "YES" and now.plain("pot.attr.persistent") == "YES"
    assert now.plain("pot.attr.stop_timeout") == "10" and now.rows("pot.attr.sysvipc")
    assert now.rows("pot.attr.exec_stop") == ["pot.attr.exec_stop="] and "early.start" not in "\n".join(now.lines)
    assert conf_path(m, "old", "fscomp.conf").read_text().splitlines() == [
        "zroot/pot/bases/12.0 / ro", "zroot/pot/jails/old/usr.local /usr/local zfs-remount",
        "zroot/pot/jails/old/custom /opt/custom zfs-remount", "/home/shared /mnt/home ro"]
    files = [conf_path(m, "old"), conf_path(m, "old", "fscomp.conf")]
    before = [(p.read_text(), p.stat().st_ino) for p in files]
    m.pot("update-config", "-a")  # a second time changes nothing, not even the files themselves
    assert [(p.read_text(), p.stat().st_ino) for p in files] == before
    assert "up to date" in m.pot("update-config", "-vp", "old")
    m.pot_fails("update-config", says="-a")


@pytest.mark.parametrize("ip4, vnet, bridge, network, ip", [
    ("inherit", "false", "", "inherit", ""), ("192.168.1.2", "false", "", "alias", "192.168.1.2"),
    ("10.192.0.8", "true", "lan", "private-bridge", "10.192.0.8")])
def test_old_networks_get_names(machine, ip4, vnet, bridge, network, ip):
    m = machine
    m.make_pot("old", cmd=None)
    text = f"pot.level=0\npot.type=single\nip4={ip4}\nvnet={vnet}\n" + (f"bridge={bridge}\n" if bridge else "")
    conf_path(m, "old").write_text(text)
    m.pot("update-config", "-p", "old")
    now = shell(m, "old")
    assert (now.plain("network_type"), now.ip(), now.plain("bridge")) == (network, ip, bridge)


def test_one_pot_that_cannot_be_read_does_not_end_the_others_update(machine):
    m = machine
    for pot in ("a", "b", "c"):
        m.make_pot(pot, cmd=None)
        put(m, pot, "old.pot.conf")
    conf_path(m, "b").write_text("pot.type=neither\n")
    m.pot_fails("update-config", "-a", says="neither")
    assert not shell(m, "a").rows("ip4") and not shell(m, "c").rows("ip4")


def test_the_framework_files_are_read(bare):
    m = bare
    text = (FIXTURES / "framework.conf").read_text()
    (m.dir / "framework.conf").write_text(text)
    conf = {}
    for line in text.splitlines():  # what potnet and potcpu make of them: text behind the first '=' up to a blank
        if line.startswith("POT_"):
            key, value = line.split("=", 1)
            conf[key] = value
    env = {"POT_CONF": str(m.dir / "framework.conf")}
    seen = m.pot_json("config", env=env)
    for key, value in conf.items():
        if key in seen and seen[key] is not None:
            assert seen[key] == value.strip("\"'"), key
    assert m.pot("config", "-qg", "zfs_root", env=env) == "tank/pot\n"
    assert m.pot("config", "-g", "syslogd", env=env) == "syslogd flags = -b 127.0.0.1 -b 10.192.0.1 -a 10.192.0.0/10\n"
    assert m.pot("config", "-g", "pot_prefix", env=env) == "pot prefix = /srv/pot/jails\n"
    assert m.pot("config", "-qg", "fscomp_prefix", env=env) == "/srv/pot/fscomp\n"
    assert m.pot("config", "-g", "network_stack", env=env) == "network stack = ipv4\n"
    (m.dir / "framework.conf").write_text(text + "POT_CACHE=$(hostname)\n")
    m.pot_fails("config", "-g", "fs_root", env=env, says="framework.conf")
