"""What a pool does for pots: encryption is inherited, images go out and come back, snapshots and rollbacks take all of a pot."""
import pytest
from scene import SMALL, TOP, nothing

CONF = "/usr/local/etc/pot/pot.conf"


@pytest.fixture(params=["zroot/pot", "zroot/secret/pot"], ids=["plain", "encrypted"])
def tree(clean, request):
    """The framework where it is, and below an encrypted dataset."""
    m, root = clean, request.param
    if root == "zroot/pot":
        nothing(m)
        yield m, root
        return
    m.sh("printf 'a passphrase\\n' | zfs create -o encryption=on -o keyformat=passphrase -o mountpoint=none zroot/secret")
    m.write(CONF, f"POT_EXTIF=ext0\nPOT_ZFS_ROOT={root}\nPOT_FS_ROOT=/opt/secret\nPOT_CACHE=/var/cache/secret\n")
    m.pot("init", "-m")
    yield m, root
    m.sh("pot de-init -f -m", ok=None)
    m.write(CONF, "POT_EXTIF=ext0\n")
    m.sh("zfs destroy -f -r zroot/secret; rm -rf /opt/secret /var/cache/secret")


def test_snapshots_clones_rollback_and_images(tree):
    m, root = tree
    fs = "/opt/pot" if root == "zroot/pot" else "/opt/secret"
    m.pot("create-base", "-b", "small", "-d", SMALL)
    m.pot("create", "-p", "one", "-t", "single", "-b", "small")
    m.pot("create", "-p", "many", "-t", "multi", "-b", "small")
    for pot, parts in (("one", ["", "/m"]), ("many", ["", "/custom", "/usr.local"])):
        m.pot("set-attribute", "-p", pot, "-A", "no-rc-script", "-V", "YES")
        m.pot("set-cmd", "-p", pot, "-c", "/bin/sleep 1000")
        m.pot("copy-in", "-p", pot, "-s", "/etc/protocols", "-d", "/root/before")
        m.pot("snapshot", "-p", pot)
        names = m.sh(f"zfs list -H -o name -t snapshot -r {root}/jails/{pot}").split()
        snaps = {n.split("@")[1] for n in names}
        assert len(snaps) == 1, names
        assert sorted(n.split("@")[0] for n in names) == [f"{root}/jails/{pot}{p}" for p in parts]
        m.pot("copy-in", "-p", pot, "-s", "/etc/services", "-d", "/root/after")
        m.pot("clone", "-p", f"{pot}-clone", "-P", pot)
        m.pot("rollback", "-p", pot)
        for name in (pot, f"{pot}-clone"):  # a clone is of the snapshot
            m.pot("start", "-d", name)
            m.sh(f"jexec {name} cmp /root/before /etc/protocols; jexec {name} test ! -e /root/after")
            m.pot("stop", name)
        assert f"{root}/jails/{pot}" in m.sh(f"zfs get -H -o value -r origin {root}/jails/{pot}-clone")
    m.pot("export", "-p", "one", "-t", "1.0", "-l", "1", "-D", TOP)
    files = m.sh(f"cd {TOP}; ls one_1.0.*").split()
    assert sorted(files) == ["one_1.0.xz", "one_1.0.xz.meta", "one_1.0.xz.skein"]
    assert m.sh(f"cd {TOP}; cat one_1.0.xz one_1.0.xz.meta | skein1024 -q 2>/dev/null || true").strip() in ("", m.sh(f"cat {TOP}/one_1.0.xz.skein").strip())
    m.pot("import", "-p", "one", "-t", "1.0", "-U", f"file://{TOP}")
    imported = m.pot("ls", "-q").split()
    assert "one_1_0" in imported
    m.sh(f"cmp /etc/protocols {fs}/jails/one_1_0/m/root/before")
    m.pot("start", "-d", "one_1_0")
    m.pot("stop", "one_1_0")
    m.sh(f"printf x | dd of={TOP}/one_1.0.xz bs=1 seek=1000 conv=notrunc 2>/dev/null")
    m.pot("destroy", "-p", "one_1_0")
    m.sh("rm -f /var/cache/pot/one_1.0.* /var/cache/secret/one_1.0.*")
    m.pot("import", "-p", "one", "-t", "1.0", "-U", f"file://{TOP}", ok=False)  # by its digest
    m.sh(f"rm -f {TOP}/one_1.0.*")
    if root != "zroot/pot":
        values = m.sh(f"zfs get -H -o value -t filesystem -r encryptionroot {root}").split()
        assert set(values) == {"zroot/secret"}, values
        assert "off" not in m.sh(f"zfs get -H -o value -t filesystem -r encryption {root}").split()
    for name in ("one-clone", "many-clone", "one", "many"):
        m.pot("destroy", "-p", name)
    m.pot("destroy", "-b", "small")
