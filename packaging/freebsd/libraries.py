"""How each third-party library is built for FreeBSD: from Debian's source, static, only what Potter uses.

One function a library. It gets a `Build` (cross.py): the unpacked source, where to install, the tools.
Libraries whose own build asks nothing of the system are compiled straight; the others run their configure.
"""
import shutil

PROTOCOLS = ["alt-svc", "ares", "cookies", "dict", "doh", "ftp", "gopher", "hsts", "imap", "ldap", "ldaps", "libcurl-option", "manual",
             "mqtt", "netrc", "ntlm", "ntlm-wb", "pop3", "rtsp", "smb", "smtp", "telnet", "tftp", "tls-srp", "unix-sockets", "websockets"]
CIPHERS = ["aria", "async", "bf", "blake2", "camellia", "capieng", "cast", "cmp", "cms", "comp", "ct", "des", "dgram", "dsa", "dso",
           "dtls", "ec2m", "engine", "gost", "idea", "legacy", "md4", "mdc2", "nextprotoneg", "ocsp", "ocb", "padlockeng", "psk", "rc2",
           "rc4", "rfc3779", "rmd160", "scrypt", "seed", "shared", "siv", "sm2", "sm3", "sm4", "srp", "srtp", "ssl3", "tests", "tls1",
           "tls1_1", "ts", "ui-console", "whirlpool"]


def jansson(b):
    b.substitute("src/jansson_config.h.in", "jansson_config.h", {"json_inline": "inline", "json_have_long_long": "1",
                 "json_have_localeconv": "1", "json_have_atomic_builtins": "1", "json_have_sync_builtins": "1"})
    (b.source / "jansson_private_config.h").write_text("#define INITIAL_HASHTABLE_ORDER 3\n")
    b.compile("jansson", sorted(b.source.glob("src/*.c")), ["-Isrc", "-I.", "-DHAVE_STDINT_H", "-DHAVE_SYS_TIME_H", "-DHAVE_FCNTL_H", "-DHAVE_SYS_TYPES_H", "-DHAVE_SYS_STAT_H", "-DHAVE_SCHED_H",
              "-DHAVE_UNISTD_H", "-DHAVE_OPEN", "-DHAVE_READ", "-DHAVE_CLOSE", "-DHAVE_GETPID", "-DHAVE_GETTIMEOFDAY", "-DUSE_URANDOM",
              "-DHAVE_ATOMIC_BUILTINS", "-DHAVE_LOCALECONV", "-DHAVE_LOCALE_H"])
    b.headers("", "src/jansson.h", "jansson_config.h")
    b.pc("jansson", "-ljansson")


def sqlite3(b):
    b.env["CC"] = "cc"  # its one big file is put together by programs that run here
    b.run("./configure", "--disable-shared", "--disable-readline", "--disable-tcl")
    b.make("sqlite3.c")
    b.compile("sqlite3", ["sqlite3.c"], ["-DSQLITE_THREADSAFE=1", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_ENABLE_COLUMN_METADATA",
                                         "-DHAVE_USLEEP=1", "-DHAVE_FDATASYNC=1"])
    b.headers("", "sqlite3.h")
    b.pc("sqlite3", "-lsqlite3")


def wslay(b):
    # Other packages carry this library whole (aria2), for mirrors that lost its own.
    lib = next(path.parent.relative_to(b.source) for path in b.source.rglob("wslay_event.c"))
    version = lib / "includes/wslay/wslayver.h"
    if not (b.source / version).exists():
        b.substitute(f"{version}.in", version, {"PACKAGE_VERSION": b.version})
    b.compile("wslay", sorted(b.source.glob(f"{lib}/*.c")), [f"-I{lib}/includes", f"-I{lib}", "-DHAVE_ARPA_INET_H", "-DHAVE_NETINET_IN_H"])
    b.headers("wslay", lib / "includes/wslay/wslay.h", version)
    b.pc("libwslay", "-lwslay")


def nghttp2(b):
    version = "lib/includes/nghttp2/nghttp2ver.h"
    numbers = (b.version.split("+")[0].split("-")[0].split(".") + ["0", "0"])[:3]
    b.substitute(f"{version}.in", version, {"PACKAGE_VERSION": ".".join(numbers),
                 "PACKAGE_VERSION_NUM": "0x" + "".join(f"{int(n):02x}" for n in numbers)})
    b.compile("nghttp2", sorted(b.source.glob("lib/*.c")), ["-Ilib/includes", "-Ilib", "-DHAVE_ARPA_INET_H", "-DHAVE_NETINET_IN_H",
              "-DHAVE_CLOCK_GETTIME", "-DHAVE_TIME_H", "-DNGHTTP2_STATICLIB"])
    b.headers("nghttp2", "lib/includes/nghttp2/nghttp2.h", version)
    b.pc("libnghttp2", "-lnghttp2")


def protobuf_c(b):
    b.compile("protobuf-c", ["protobuf-c/protobuf-c.c"], ["-I."])
    b.headers("protobuf-c", "protobuf-c/protobuf-c.h")
    b.pc("libprotobuf-c", "-lprotobuf-c")


def zlib(b):
    b.compile("z", sorted(b.source.glob("*.c")), ["-DHAVE_UNISTD_H", "-DHAVE_HIDDEN"])
    b.headers("", "zlib.h", "zconf.h")
    b.pc("zlib", "-lz")


def bzip2(b):
    b.compile("bz2", ["blocksort.c", "huffman.c", "crctable.c", "randtable.c", "compress.c", "decompress.c", "bzlib.c"], [])
    b.headers("", "bzlib.h")


def xz(b):
    b.configure("--disable-xz", "--disable-xzdec", "--disable-lzmadec", "--disable-lzmainfo", "--disable-lzma-links",
                "--disable-scripts", "--disable-doc", "--disable-nls", "--enable-threads=posix", "--disable-symbol-versions")
    b.make("-C", "src/liblzma", "install")


def libevent(b):
    b.configure("--disable-openssl", "--disable-samples", "--disable-libevent-regress", "--disable-debug-mode")
    b.make("include/event2/event-config.h")
    b.make("libevent_core.la")
    b.library(".libs/libevent_core.a")
    b.headers("event2", *sorted(b.source.glob("include/event2/*.h")))
    b.pc("libevent_core", "-levent_core")


def openssl(b):
    target = {"x86_64": "BSD-x86_64", "aarch64": "BSD-aarch64"}[b.arch]
    b.run("perl", "./Configure", target, "--prefix=/usr/local", "--openssldir=/etc/ssl", *[f"no-{word}" for word in CIPHERS],
          f"CC={b.tools['cc']}", f"AR={b.tools['ar']}", f"RANLIB={b.tools['ranlib']}", "CFLAGS=-O2 -fno-sanitize=all -Wno-everything")
    b.make("build_generated")
    b.make("libcrypto.a", "libssl.a")
    b.library("libcrypto.a", "libssl.a")
    shutil.copytree(b.source / "include/openssl", b.prefix / "include/openssl", dirs_exist_ok=True)
    b.pc("libcrypto", "-lcrypto -pthread")
    b.pc("libssl", "-lssl", "libcrypto")
    b.pc("openssl", "", "libssl libcrypto")


def curl(b):
    b.configure(f"--with-openssl={b.prefix}", "--with-ca-path=/etc/ssl/certs", "--without-ca-bundle", "--enable-threaded-resolver",
                "--enable-file", f"--with-zlib={b.prefix}", "--without-brotli", "--without-zstd", "--without-libpsl", "--without-libidn2",
                "--without-nghttp2", "--without-librtmp", "--without-libssh2", *[f"--disable-{word}" for word in PROTOCOLS])
    b.make("-C", "lib", "install")
    b.make("-C", "include", "install")
    b.pc("libcurl", "-lcurl", "libssl libcrypto zlib")


def libarchive(b):
    b.configure("--disable-bsdtar", "--disable-bsdcpio", "--disable-bsdcat", "--without-openssl", "--without-nettle", "--without-xml2",
                "--without-expat", "--without-libb2", "--without-lz4", "--without-zstd", "--without-iconv", "--without-cng")
    b.make("install-libLTLIBRARIES", "install-includeHEADERS")
    b.pc("libarchive", "-larchive -lbz2", "liblzma zlib")


# name: (Debian source packages, the first that can be had; the recipe; what must be there first)
LIBRARIES = {
    "openssl": (["openssl"], openssl, []),
    "xz": (["xz-utils"], xz, []),
    "libevent": (["libevent"], libevent, []),
    "sqlite3": (["sqlite3"], sqlite3, []),
    "zlib": (["zlib"], zlib, []),
    "bzip2": (["bzip2"], bzip2, []),
    "jansson": (["jansson"], jansson, []),
    "wslay": (["wslay", "aria2"], wslay, []),
    "nghttp2": (["nghttp2"], nghttp2, []),
    "protobuf-c": (["protobuf-c"], protobuf_c, []),
    "libarchive": (["libarchive"], libarchive, ["xz", "zlib", "bzip2"]),
    "curl": (["curl"], curl, ["openssl", "zlib"]),
}
