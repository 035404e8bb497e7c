"""Images: export, registries, import, and what must not come in."""
import hashlib
import io
import lzma
import pathlib
import shutil
import signal
import tarfile

import pytest

from machine import BIN, wait_until
from registry import Registry


def make_image(m, where, name="web", tag="1.0", conf=None, entries=(), files=(), cut=None, meta="-\n", raw=None):
    """An image made by hand: conf files, tar entries (TarInfo, bytes); with a right digest unless cut."""
    where.mkdir(exist_ok=True)
    stream = raw
    conf = {"pot.conf": "pot.level=0\npot.type=single\npot.base=x\npot.potbase=\npot.dns=inherit\npot.cmd=sh\n"
                        "host.hostname=\"evil.example\"\nosrelease=\"\"\npot.attr.persistent=NO\n"
                        "network_type=inherit\nvnet=false\n",
            "fscomp.conf": "", **(conf or {})}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:xz", format=tarfile.PAX_FORMAT, preset=0) as tar:
        for path, text in [*((f"conf/{k}", v) for k, v in conf.items() if v is not None), *files]:
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
        top = tarfile.TarInfo("m")
        top.type, top.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(top)
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    data = raw.getvalue()[:cut] if stream is None else lzma.compress(stream)
    (where / f"{name}_{tag}.xz").write_bytes(data)
    (where / f"{name}_{tag}.xz.meta").write_text(meta)
    (where / f"{name}_{tag}.xz.skein").write_text(skein(m, data + meta.encode()) + "\n")
    return where


def skein(m, data):
    """By the program under test: packing tells it, and unit tests hold it against the specification."""
    import ctypes
    import subprocess
    source = pathlib.Path(__file__).resolve().parents[2] / "src" / "codec" / "skein.c"
    library = m.dir / "skein.so"
    if not library.exists():
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", f"-I{source.parents[1]}", "-o", library, source], check=True)
    lib = ctypes.CDLL(str(library))
    state, digest = ctypes.create_string_buffer(1024), ctypes.create_string_buffer(128)
    lib.skein_init(state)
    lib.skein_add(state, data, ctypes.c_size_t(len(data)))
    lib.skein_end(state, digest)
    return digest.raw.hex()


def entry(name, kind=tarfile.REGTYPE, link="", data=b"x", size=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o755
    info.size = len(data) if kind == tarfile.REGTYPE and size is None else size or 0
    return info, data if kind == tarfile.REGTYPE else None


def nothing_imported(m):
    assert m.pot("ls", "-q") == ""
    jails = m.conf["POT_FS_ROOT"] + "/jails"
    assert m.run("ls", jails) == ""
    assert m.pot_json("doctor", "-n") == []


def test_export_and_import(machine):
    m = machine
    registry = m.dir / "registry"
    registry.mkdir()
    m.make_pot("web", cmd="cat /srv/page")
    page = m.dir / "page"
    page.write_text("hello\n")
    m.pot("copy-in", "-p", "web", "-s", page, "-d", "/srv/page", "-c")
    m.pot("set-env", "-p", "web", "-E", "A=b c")
    m.pot("set-attr", "-p", "web", "-A", "persistent", "-V", "NO")
    m.pot("export", "-p", "web", "-t", "1.0", "-D", registry, "-l", "0", "-A")
    assert sorted(p.name for p in registry.iterdir()) == ["web_1.0.xz", "web_1.0.xz.meta", "web_1.0.xz.skein"]
    assert len((registry / "web_1.0.xz.skein").read_text()) == 257
    assert (registry / "web_1.0.xz.meta").read_text().splitlines()[:2] == ["-", "format=pax"]

    m.pot("import", "-p", "web", "-t", "1.0", "-U", registry)
    assert m.pot("ls", "-q") == "web\nweb_1_0\n"
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", registry, says="exists already")
    info = m.pot_json("info", "-p", "web_1_0")
    assert info["hostname"].startswith("web_1_0")
    assert info["env"] == ["A=b c"]
    assert m.pot("start", "web_1_0") == "hello\n"
    m.pot("clone", "-p", "two", "-P", "web_1_0")
    assert m.pot("start", "two") == "hello\n"


def test_import_over_http(machine):
    m = machine
    registry = m.dir / "registry"
    registry.mkdir()
    m.make_pot("web")
    m.pot("export", "-p", "web", "-t", "1.0", "-D", registry, "-l", "0", "-A")
    server = m.popen("python3", "-m", "http.server", "--bind", "127.0.0.1", "8000", "--directory", registry,
                     stdout=-3, stderr=-3)
    wait_until(lambda: m.listening(8000), what="the registry")
    result = m.try_pot("import", "-p", "web", "-t", "2.0", "-U", "http://127.0.0.1:8000", "--json")
    assert result.returncode == 1
    assert "\"kind\": \"absent\"" in result.stdout and "no image of pot web with tag 2.0" in result.stdout
    assert m.pot_json("import", "-p", "web", "-t", "1.0", "-U", "http://127.0.0.1:8000/")["pot"] == "web_1_0"
    m.pot("destroy", "-p", "web_1_0")
    server.terminate()
    server.wait()
    # The registry is away: the copy in the cache serves, and what was never fetched fails.
    m.pot("import", "-p", "web", "-t", "1.0", "-U", "http://127.0.0.1:8000")
    m.pot_fails("import", "-p", "other", "-t", "1.0", "-U", "http://127.0.0.1:8000", says="cannot be reached")


def test_prepare(machine):
    m = machine
    registry = m.dir / "registry"
    registry.mkdir()
    m.make_pot("web")
    m.pot("export", "-p", "web", "-t", "1.0", "-D", registry, "-l", "0", "-A")
    m.pot("destroy", "-p", "web")
    m.pot("prepare", "-U", registry, "-p", "web", "-t", "1.0", "-c", '"echo prepared"', "-N", "host", "-a", "inv_alloc",
          "-n", "task", "-e", "80:8080", "-v")
    assert m.pot("ls", "-q") == "task_inv_alloc\nweb_1_0\n"
    # what is wrong is said before anything is fetched
    shutil.copytree(registry, m.dir / "more")
    for path in (m.dir / "more").iterdir():
        path.rename(path.with_name(path.name.replace("1.0", "2.0")))
    for wrong, says in ((["-S", "ipv5"], "ipv5"), (["-d", "custom:/none"], "/none"), (["-d", "other"], "other"), (["-e", "x"], "x"),
                        (["-N", "public-bridge", "-i", "8.8.8.8"], "8.8.8.8"), (["-N", "private-bridge"], "-B"), (["-N", "odd"], "odd")):
        m.pot_fails("prepare", "-U", m.dir / "more", "-p", "web", "-t", "2.0", "-a", "x", *wrong, says=says)
    m.pot_fails("prepare", "-U", m.dir / "more", "-p", "web", "-t", "2.0", "-n", "task", "-a", "inv_alloc", says="exists already")
    assert m.pot("ls", "-q") == "task_inv_alloc\nweb_1_0\n"
    info = m.pot_json("info", "-p", "task_inv_alloc")
    assert info["command"] == "echo prepared"
    assert info["attributes"]["persistent"] == "NO" and info["attributes"]["prunable"] == "YES"
    assert m.pot("start", "task_inv_alloc") == "prepared\n"
    assert m.pot("last-run-stats", "-p", "task_inv_alloc") == '{ "ExitCode": 0 }\n'
    m.pot("prune", "-q")
    assert m.pot("ls", "-q") == "web_1_0\n"


@pytest.mark.parametrize("name, kind, link", [
    ("../evil", tarfile.REGTYPE, ""),
    ("m/../../evil", tarfile.REGTYPE, ""),
    ("/evil", tarfile.REGTYPE, ""),
    ("elsewhere/evil", tarfile.REGTYPE, ""),
    ("m/disk", tarfile.BLKTYPE, ""),
    ("m/hard", tarfile.LNKTYPE, "/etc/passwd"),
    ("m/hard", tarfile.LNKTYPE, "../../etc/passwd"),
])
def test_entries_that_would_leave_are_refused_by_name(machine, name, kind, link):
    m = machine
    registry = make_image(m, m.dir / "registry", entries=[entry("m/ok"), entry(name, kind, link)])
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", registry, says=name)
    nothing_imported(m)
    assert not list(m.dir.rglob("evil"))


def test_a_way_through_a_link_is_refused(machine):
    m = machine
    target = m.dir / "victim"
    target.mkdir()
    registry = make_image(m, m.dir / "registry", entries=[
        entry("m/way", tarfile.SYMTYPE, str(target)), entry("m/way/evil")])
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", registry, says="m/way/evil")
    nothing_imported(m)
    assert list(target.iterdir()) == []


def test_damaged_images_are_refused(machine):
    m = machine
    registry = make_image(m, m.dir / "registry", entries=[entry("m/file", data=b"y" * 100000)], cut=-40)
    m.pot_fails("import", "-p", "web", "-t", "1.0", "-U", registry, says="cut short or damaged")
    nothing_imported(m)
    make_image(m, registry, tag="2.0")
    image = registry / "web_2.0.xz"
    image.write_bytes(image.read_bytes()[:-1] + b"!")
    result = m.try_pot("import", "-p", "web", "-t", "2.0", "-U", registry, "--json")
    assert "\"kind\": \"corrupt\"" in result.stdout and "checksum is wrong" in result.stdout
    (registry / "web_2.0.xz.skein").write_text("no digest\n")
    m.pot_fails("import", "-p", "web", "-t", "2.0", "-U", registry, says="web_2.0.xz.skein: skein file")
    nothing_imported(m)
    assert not list(pathlib.Path(m.conf["POT_CACHE"]).rglob("*.part*"))


def test_what_an_image_says_about_the_host_is_not_believed(machine):
    m = machine
    mark = m.dir / "hook-ran"
    registry = make_image(m, m.dir / "registry", conf={"prestart.sh": f"#!/bin/sh\ntouch {mark}\n"},
                          files=[("m/bin/true", "#!/nothing\n")])
    m.pot("import", "-p", "web", "-t", "1.0", "-U", registry)
    m.pot("set-cmd", "-p", "web_1_0", "-c", "/bin/true")
    m.try_pot("start", "web_1_0")
    assert not mark.exists()
    assert "evil.example" not in m.pot_json("info", "-p", "web_1_0")["hostname"]

    make_image(m, registry, tag="2.0", conf={"fscomp.conf": "/etc /mnt\n"})
    m.pot_fails("import", "-p", "web", "-t", "2.0", "-U", registry, says="/etc")
    make_image(m, registry, tag="3.0", conf={"pot.conf": None})
    m.pot_fails("import", "-p", "web", "-t", "3.0", "-U", registry, says="pot.conf")
    assert m.pot("ls", "-q") == "web_1_0\n"
    assert m.pot_json("doctor", "-n") == []


def test_a_full_disk_leaves_nothing(bare):
    m = bare
    small = m.dir / "small"
    small.mkdir()
    m.run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small)
    m.conf["POT_FS_ROOT"] = str(small / "pot")
    m.init()
    registry = make_image(m, m.dir / "registry", entries=[entry("m/big", data=bytes(8 << 20))])
    result = m.try_pot("import", "-p", "web", "-t", "1.0", "-U", registry, "--json")
    assert result.returncode == 1 and "\"kind\": \"full\"" in result.stdout, result.stdout
    nothing_imported(m)
    m.conf["POT_CACHE"] = str(small / "cache")
    make_image(m, registry, tag="2.0", entries=[entry("m/noise", data=b"".join(
        hashlib.sha512(str(i).encode()).digest() for i in range(80000)))])
    result = m.try_pot("import", "-p", "web", "-t", "2.0", "-U", Registry(m, registry).url, "--json")
    assert result.returncode == 1 and "\"kind\": \"full\"" in result.stdout, result.stdout
    assert m.run("find", small / "cache", "-type", "f") == ""
    m.pot("de-init", "-f")
    m.run("umount", small)


def test_bases(machine):
    m = machine
    tar = m.dir / "root.tar.gz"
    with tarfile.open(tar, "w:gz") as t:
        t.add(m.busybox_root(), arcname=".")
    m.pot("create-base", "-b", "tarred", "-t", tar)
    assert m.pot("ls", "-qb") == "bb\ntarred\n"
    m.make_pot("one", base="tarred", cmd="echo from a tarball")
    m.pot("set-attr", "-p", "one", "-A", "persistent", "-V", "NO")
    assert m.pot("start", "one") == "from a tarball\n"
    m.pot_fails("create-base", "-b", "bb", "-d", "/etc", says="exists")
    m.pot_fails("create-base", "-b", "x", "-d", m.dir / "absent", says="absent")
    m.pot_fails("create-base", "-r", "14.1", says="FreeBSD releases do not run on this system")
    m.pot_fails("create-base", "-b", "x", "-s", "no/suite", says="is not the name of a Debian suite")
    (m.dir / "garbage").write_bytes(b"no archive at all" * 100)
    m.pot_fails("create-base", "-b", "x", "-t", m.dir / "garbage", says="is not a tar archive")
    assert m.pot("ls", "-qb") == "bb\ntarred\n"
    assert m.pot_json("doctor", "-n") == []


@pytest.mark.parametrize("how", ["TERM", "INT", "KILL"])
def test_an_interrupted_import_leaves_nothing(machine, how):
    m = machine
    noise = b"".join(hashlib.sha512(str(i).encode()).digest() for i in range(4000))
    registry = make_image(m, m.dir / "registry", entries=[entry("m/noise", data=noise)])
    server = Registry(m, registry)
    server.faults(drip=0.05)
    child = m.popen(BIN / "pot", "import", "-p", "web", "-t", "1.0", "-U", server.url, stdout=-1, stderr=-3)
    cache = pathlib.Path(m.conf["POT_CACHE"])
    wait_until(lambda: list(cache.rglob(".part.*")), what="the download")
    child.send_signal(getattr(signal, "SIG" + how))
    child.wait(timeout=10)
    wait_until(lambda: not [w for w in m.processes().values() if "pot-image" in w], what="the end of pot-image")
    assert not list(cache.rglob("*.xz"))
    assert m.pot("ls", "-q") == ""
    m.pot("doctor")  # who was killed could not clear up; any next command on that pot does as well
    nothing_imported(m)
    # What has arrived is of use to the next import, and to nobody afterwards.
    assert list(cache.rglob(".part.*"))
    server.faults()
    m.pot("import", "-p", "web", "-t", "1.0", "-U", server.url)
    assert not list(cache.rglob(".part.*"))
