#!/bin/sh
# Installs what is needed from Debian's packages: deps.sh build|test|run|freebsd ... ; says what it does,
# does nothing (and needs no network) when all is there.
set -eu

build="meson ninja-build pkg-config gcc libc6-dev libevent-dev libssl-dev libjansson-dev libsqlite3-dev
 libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler
 libarchive-dev liblzma-dev libcurl4-openssl-dev libseccomp-dev libcap-dev libwslay-dev musl-tools python3 haproxy"
run="nginx-light curl iproute2"
test="clang clang-format clang-tidy llvm libclang-rt-14-dev libcmocka-dev python3-pytest python3-requests
 nginx-light wrk dnsutils mandoc iproute2 nftables busybox-static curl iputils-ping xz-utils e2fsprogs zsh fish
 btrfs-progs python3-h2 signify-openbsd systemd procps"

# to build for FreeBSD (with the Python package ziglang)
freebsd="dpkg-dev patch perl tcl make xz-utils pkg-config"

want=""
for set in "$@"; do
	case $set in
	build) want="$want $build" ;;
	run) want="$want $run" ;;
	test) want="$want $test" ;;
	freebsd) want="$want $freebsd" ;;
	*) echo "deps.sh: unknown set $set (build, run, test, freebsd)" >&2; exit 2 ;;
	esac
done

missing=""
for p in $want; do
	case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || true) in
	"install ok installed") ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "these Debian packages are needed; as root: apt-get install$missing" >&2
	exit 1
fi
echo "installing from Debian's packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# A package that brings a daemon must not start it here: Potter starts what it needs itself.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' > $policy
	chmod 755 $policy
	made=1
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
# Nor at the next boot: HAProxy is the agent's child, nginx runs in pots.
for p in $missing; do
	case $p in
	haproxy) service=haproxy ;;
	nginx-light) service=nginx ;;
	*) continue ;;
	esac
	echo "leaving the service $service of that package off: update-rc.d $service enable turns it on"
	update-rc.d "$service" disable >/dev/null 2>&1 || :
done
