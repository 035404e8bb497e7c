# common.sh: what the benchmarks share; sourced. Everything is made below $W, in network and mount
# namespaces of the benchmark's own. BUILD is a release build (make build); root is needed. REALTIME=1 runs
# everything, the floor too, before all other work of the machine: for ratios on a machine that is not quiet.
: "${W:=$(mktemp -d /tmp/potter-bench.XXXXXX)}"
HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
BUILD=${BUILD:-$TOP/build-release}
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export W HERE TOP BUILD PATH
mkdir -p "$W"

own_namespaces() { # runs the script again inside namespaces of its own
	[ "${BENCH_INSIDE:-}" = 1 ] && return 0
	before=""
	[ -z "${REALTIME:-}" ] || before="chrt -r 20"
	BENCH_INSIDE=1 exec $before unshare -mn --propagation private sh -c '
		ip link set lo up
		# records of runs lie in /var/run, which is in memory
		mkdir -p /run/potter-bench
		mount -t tmpfs tmpfs /run/potter-bench
		# crun 1.8 refuses an empty unified tree beside v1 controllers
		if [ -d /sys/fs/cgroup/memory ] && [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi
		exec sh "$@"' sh "$0" "$@"
}

tool() { # compiles one of the programs here
	[ -x "$W/$1" ] && [ "$W/$1" -nt "$HERE/$1.c" ] || cc -O2 -D_GNU_SOURCE -fno-strict-aliasing -o "$W/$1" "$HERE/$1.c"
}

small_root() { # a root of one static busybox
	mkdir -p "$1/bin" "$1/proc" "$1/sys" "$1/dev" "$1/tmp" "$1/etc" "$1/root" "$1/run"
	cp "$(command -v busybox)" "$1/bin/busybox"
	for a in sh true sleep cat ls; do ln -sf busybox "$1/bin/$a"; done
	printf 'root:x:0:0:root:/root:/bin/sh\n' > "$1/etc/passwd"
	printf 'root:x:0:\n' > "$1/etc/group"
}

pot_here() { # a pot of the benchmark's own: configuration, framework, network
	POTTER_LIBEXEC=$BUILD/src/bin
	POT_CONF=$W/pot.conf
	export POTTER_LIBEXEC POT_CONF
	cat > "$POT_CONF" <<C
POT_FS_ROOT=$W/fs
POT_CACHE=$W/cache
POT_TMP=$W/tmp
POT_RUN_DIR=/run/potter-bench/pot
POT_CGROUP=potbench
POT_BRIDGE=potbench0
POT_NFT_TABLE=potbench
POT_GROUP=root
POT_NETWORK=10.199.0.0/16
POT_NETMASK=255.255.0.0
POT_GATEWAY=10.199.0.1
POT_DNS_IP=10.199.0.2
POT_EXTIF=lo
C
	POT=$BUILD/src/bin/pot
	"$POT" init >/dev/null
	"$POT" vnet-start >/dev/null
}

floor_bridge() { # the floor's own: brfloor, 10.231.0.1/16
	ip link add brfloor type bridge
	ip addr add 10.231.0.1/16 dev brfloor
	ip link set brfloor up
}

pot_gone() {
	"$POT" de-init -f >/dev/null
}

head_line() {
	echo "# $(date -u +%FT%TZ), kernel $(uname -r), $(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg)"
}
