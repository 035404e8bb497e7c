"""Files and directories of the machine mounted into a pot at names that are links: they lead within the pot, never out of it."""
import pytest
from scene import SMALL, TOP, compile_c, empty, nothing

TREE = "/opt/pot/jails/linked/m"
TABLE = "/opt/pot/jails/linked/conf/fscomp.conf"
VICTIM = f"{TOP}/victim"  # the machine's own, which a link of the pot names


@pytest.fixture
def pot(clean):
    m = clean
    nothing(m)
    m.pot("create-base", "-b", "small", "-d", SMALL)
    m.pot("create", "-p", "linked", "-t", "single", "-b", "small", "-N", "inherit")
    m.pot("set-attribute", "-p", "linked", "-A", "no-rc-script", "-V", "YES")
    m.pot("set-cmd", "-p", "linked", "-c", "/bin/sleep 1000")
    m.sh(f"""
        mkdir -p {VICTIM}/directory {TOP}/given.d; echo machine >{VICTIM}/file; echo machine >{VICTIM}/missing
        echo machine >{VICTIM}/directory/name; echo given >{TOP}/given; echo given >{TOP}/given.d/name""")
    yield m
    m.sh(f"pkill -9 -x swap; umount -f {TOP}/other; umount -f {VICTIM}/file; umount -f {VICTIM}/missing; umount -f {VICTIM}/directory; pot stop linked", ok=None)
    empty(m)
    m.sh(f"rm -rf {VICTIM} {TOP}/given {TOP}/given.d")


def mount(m, *lines):
    m.write(TABLE, "".join(f"{TOP}/{source} {target}\n" for source, target in lines))


def untouched(m):
    assert f" on {VICTIM}" not in m.sh("mount"), m.sh("mount")
    assert m.sh(f"cat {VICTIM}/file {VICTIM}/missing {VICTIM}/directory/name") == "machine\n" * 3


def test_links_lead_within_the_pot(pot):
    m = pot
    m.sh(f"""
        cd {TREE}; mkdir -p .{VICTIM} run; echo pot >.{VICTIM}/file; echo pot >run/own.conf
        ln -sf {VICTIM}/file etc/app.conf; ln -sf {VICTIM}/missing etc/lost.conf; ln -sf ../run/own.conf etc/own.conf
        ln -s {VICTIM}/directory mnt""")
    mount(m, ("given", "/etc/app.conf"), ("given", "/etc/lost.conf"), ("given", "/etc/own.conf"), ("given", "/etc/made/new.conf"),
          ("given.d", "/mnt"))
    m.pot("start", "-d", "linked")
    untouched(m)
    for name in ("/etc/app.conf", f"{VICTIM}/file", "/etc/lost.conf", "/etc/own.conf", "/run/own.conf", "/etc/made/new.conf",
                 "/mnt/name", f"{VICTIM}/directory/name"):
        assert m.sh(f"jexec linked cat {name}") == "given\n", name
    m.pot("stop", "linked")
    untouched(m)
    # a link that led nowhere has given way to a file, as on Linux
    assert m.sh(f"cd {TREE}; stat -f %HT etc/app.conf etc/lost.conf etc/own.conf").split("\n")[:3] == \
        ["Symbolic Link", "Regular File", "Symbolic Link"]
    assert m.sh(f"cat {TREE}{VICTIM}/file {TREE}/run/own.conf") == "pot\npot\n"


@pytest.mark.parametrize("target, why", [("/var/log", "not a regular file"), ("/etc/pipe", "not a regular file"),
                                         ("/etc/to-pipe", "not a regular file"), ("/etc/round", "Too many levels of symbolic links")])
def test_what_is_no_file_is_refused(pot, target, why):
    m = pot
    m.sh(f"cd {TREE}/etc; mkfifo pipe; ln -s pipe to-pipe; ln -s round round")
    mount(m, ("given", target))
    r = m.raw("pot start -d linked")
    assert r.returncode != 0 and why in r.stdout and target in r.stdout, r.stdout + r.stderr
    assert "linked" not in m.sh("jls name").split()


def test_a_link_that_comes_up_meanwhile_covers_nothing_of_the_machine(pot):
    """Somebody makes the name a link just while a file is mounted there. The kernel follows it from the machine's root: what it has
    mounted there is taken away again."""
    m = pot
    m.push([compile_c("swap")], TOP)
    m.sh(f"mkdir -p {TREE}{VICTIM}; echo pot >{TREE}{VICTIM}/file; echo pot >{TREE}/etc/app.conf")
    mount(m, ("given", "/etc/app.conf"))
    m.sh(f"touch {TOP}/other; mount -t nullfs {TOP}/given {TOP}/other")  # of the same source, and nobody's to take away
    said = m.sh(f"""
        {TOP}/swap {TREE}/etc/app.conf {VICTIM}/file & swap=$!
        i=0; met=0
        while [ $i -lt 1000 ] && [ $met -lt 3 ]; do
            i=$((i+1))
            pot start -d linked 2>&1 | grep -o 'replaced .*meanwhile' && met=$((met+1))
            mount | grep ' on {VICTIM}'
            pot stop linked >/dev/null 2>&1
            mount | grep ' on {VICTIM}'
        done
        kill -9 $swap; echo $i starts""", ok=None, timeout=900)
    assert m.sh(f"mount | grep -c ' on {TOP}/other '; umount {TOP}/other; rm {TOP}/other", ok=None) == "1\n", said
    untouched(m)
    assert VICTIM not in said, said
    assert "replaced" in said, f"the moment was never met: {said}"
    print(said)
