"""Images come from others: the process that expands them has no way to anything, and what they hold stays in its directories."""
import io
import lzma
import tarfile

import pytest
from scene import TOP, compile_c

IMAGE = "/usr/local/libexec/potter/pot-image"
HELD = {0: "rd,re", 1: "wr,sd", 2: "wr,sd"}
BIG = 64 << 20
CALLS = ["open", "openat", "openat from descriptor 0", "mkdir", "unlink", "execve", "connect", "kill 1",
         "write to descriptor 0", "read from descriptor 1"]


def expander(m):
    """Its process id; the shell that starts it has the words in its command line as well."""
    return m.sh("for i in 1 2 3 4 5 6 7 8 9 10; do pgrep -f '^[^ ]*pot-image --report 2 expand' && exit; sleep 0.3; done; exit 1").split()[0]


def held(m, pid):
    """What the process has in its hands: it is in capability mode, and has these rights to these descriptors."""
    assert m.sh(f"procstat -h -s {pid}").split()[9] == "C"
    rows = [line.split() for line in m.sh(f"procstat -h -C -f {pid}").splitlines()]
    return {int(w[2]): w[5] for w in rows if w[2].isdigit()}


def test_the_process_that_expands_is_taken_over(clean):
    """It is held while it reads a file; whatever it is made to call, the kernel refuses."""
    m = clean
    m.push([compile_c("taken")], TOP)
    m.sh(f"cd {TOP} && rm -f held && mkfifo held && head -c 100000 /dev/random | xz -0 >some.xz")
    m.write(f"{TOP}/slowly", f"cd {TOP}; i=0; while dd if=some.xz bs=1 count=1 skip=$i 2>/dev/null; do i=$((i+1)); sleep 0.5; done >held\n")
    m.sh(f"sh {TOP}/slowly </dev/null >/dev/null 2>&1 & cd {TOP} && {IMAGE} --report 2 expand <held >/dev/null 2>words & ")
    try:
        pid = expander(m)
        assert held(m, pid) == HELD
        said = dict(line.split(": ") for line in m.sh(f"{TOP}/taken {pid}").splitlines())
        assert list(said) == CALLS
        wrong = {call: word for call, word in said.items() if word not in
                 ("Not permitted in capability mode", "Capabilities insufficient")}
        assert not wrong, wrong
    finally:
        m.sh(f"pkill -x pot-image; pkill -f {TOP}/slowly; rm -f {TOP}/slowly {TOP}/held {TOP}/some.xz {TOP}/words", ok=None)


def test_an_image_is_expanded_by_such_a_process(clean, tmp_path):
    m = clean
    with tarfile.open(tmp_path / "big.txz", "w:xz", preset=0) as tar:
        entry(tar, "big", b"0" * BIG)
    m.push([tmp_path / "big.txz"], TOP)
    m.sh(f"mkdir {TOP}/out")
    m.sh(f"cd {TOP} && {IMAGE} unpack --from big.txz --root out >said 2>&1 </dev/null & ")
    try:
        pid = expander(m)
        assert held(m, pid) == HELD
        m.sh("while pgrep -f 'pot-image unpack' >/dev/null; do sleep 0.2; done")
        assert m.sh(f"stat -f %z {TOP}/out/big") == f"{BIG}\n", m.sh(f"cat {TOP}/said")
    finally:
        m.sh(f"rm -rf {TOP}/big.txz {TOP}/out {TOP}/said", ok=None)


def entry(tar, name, data=b"", **how):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in how.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def hostile(kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as tar:
        if kind == "up":
            entry(tar, "../escaped", b"x")
        elif kind == "absolute":
            entry(tar, f"{TOP}/escaped", b"x")
        elif kind == "by a link":
            entry(tar, "way", type=tarfile.SYMTYPE, linkname="..")
            entry(tar, "way/escaped", b"x")
        elif kind == "by a hard link":
            entry(tar, "victim", type=tarfile.LNKTYPE, linkname="../victim")
            entry(tar, "victim", b"changed")
        else:
            entry(tar, "whole", b"x" * 100000)
    data = out.getvalue()
    if kind == "cut short":
        return data[:-40]
    return data[:60] + b"\xff" * 40 + data[100:] if kind == "damaged" else data


@pytest.mark.parametrize("kind", ["up", "absolute", "by a link", "by a hard link", "cut short", "damaged"])
def test_a_hostile_archive_stays_in_its_directory(clean, kind, tmp_path):
    m = clean
    (tmp_path / "hostile.txz").write_bytes(hostile(kind))
    assert kind in ("cut short", "damaged") or lzma.decompress(hostile(kind))
    m.push([tmp_path / "hostile.txz"], TOP)
    m.sh(f"cd {TOP} && echo whole >victim && rm -rf out && mkdir out")
    try:
        m.sh(f"cd {TOP} && {IMAGE} unpack --from hostile.txz --root out 2>said", ok=False)
        assert "refused" in m.sh(f"cat {TOP}/said") or "damaged" in m.sh(f"cat {TOP}/said") or kind == "by a link"
        assert m.sh(f"cat {TOP}/victim; ls {TOP}/out; ls -d {TOP}/escaped 2>/dev/null; pgrep -x pot-image || true", ok=None) == "whole\n"
    finally:
        m.sh(f"rm -rf {TOP}/hostile.txz {TOP}/victim {TOP}/out {TOP}/said {TOP}/escaped", ok=None)
