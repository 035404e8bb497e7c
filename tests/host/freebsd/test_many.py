"""Fifty pots, started eight at a time, one `pot start` each."""
import re
import time

from scene import SMALL, TOP, empty, nothing

MANY, AT_ONCE = 50, 8


def together(m, words):
    """Seconds on the machine's own clock for `pot WORDS manyN` of all, some at once."""
    script = f"jot {MANY} | /usr/bin/time -p -o {TOP}/time xargs -P{AT_ONCE} -I% pot {words} many% && cat {TOP}/time"
    return float(re.search(r"^real +([\d.]+)", m.sh(script, timeout=1800), re.M).group(1))


def test_fifty_pots_eight_at_a_time(clean, capsys):
    m = clean
    m.write("/usr/local/etc/pot/pot.conf", "POT_EXTIF=ext0\n")
    nothing(m)
    m.pot("create-base", "-b", "small", "-d", SMALL)
    m.pot("create", "-p", "many1", "-t", "single", "-b", "small", "-N", "public-bridge")
    m.pot("set-attribute", "-p", "many1", "-A", "no-rc-script", "-V", "YES")
    m.pot("set-cmd", "-p", "many1", "-c", "/bin/sleep 100000")
    m.pot("snapshot", "-p", "many1")
    begin = time.monotonic()
    m.sh(f"for i in $(jot {MANY - 1} 2); do pot clone -p many$i -P many1 || exit 1; done", timeout=1800)
    cloned = time.monotonic() - begin
    m.pot("vnet-start")
    started = together(m, "start -d")
    names = sorted(n for n in m.sh("jls name").split() if n.startswith("many"))
    assert names == sorted(f"many{i}" for i in range(1, MANY + 1))
    assert sorted(m.pot("ps", "-q").split()) == names
    silent = m.sh("for i in $(pot ls -q); do ip=$(sed -n 's/^ip=//p' /opt/pot/jails/$i/conf/pot.conf); "
                  "ping -c1 -t10 $ip >/dev/null || echo $i $ip; done", timeout=600)
    assert silent == ""
    stopped = together(m, "stop")
    assert not [n for n in m.sh("jls name").split() if n.startswith("many")]
    with capsys.disabled():
        print(f"\n{MANY} pots, {AT_ONCE} at a time: started in {started:.1f} s, stopped in {stopped:.1f} s; "
              f"{MANY - 1} clones one after the other {cloned:.1f} s")
    empty(m)
