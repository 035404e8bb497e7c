#!/bin/sh
# clone.sh: a clone of a pot as one command, beside the bare mount of an overlay and the bare snapshot of
# btrfs, each as a program of nothing but the system calls.
#   [ROUNDS=40] [W=DIR on the disk to measure] tests/bench/clone.sh
# BIG=1: the root is a tree of 4,000 files and 90 MB, in place of one file of 1 MB.
set -eu
. "$(dirname "$0")/common.sh"
own_namespaces "$@"
tool floor
tool rounds
n=${ROUNDS:-40}
root=$W/root
[ -x "$root/bin/true" ] || small_root "$root"
if [ -n "${BIG:-}" ] && [ ! -d "$root/many" ]; then
	mkdir "$root/many"
	i=0
	while [ $i -lt 4000 ]; do
		[ $((i % 100)) != 0 ] || mkdir "$root/many/$i"
		head -c 22000 /dev/urandom > "$root/many/$((i / 100 * 100))/$i"
		i=$((i + 1))
	done
fi
[ -f "$W/btrfs.img" ] || { truncate -s 3G "$W/btrfs.img" && mkfs.btrfs -q "$W/btrfs.img" >/dev/null; }
mkdir -p "$W/btrfs" "$W/ov"
mount -o loop "$W/btrfs.img" "$W/btrfs"
trap 'pot_gone; umount "$W/btrfs"' EXIT

source_pot() { # what is cloned
	"$POT" create-base -b small -d "$root" >/dev/null
	"$POT" create -p source -t single -b small >/dev/null
	"$POT" snapshot -p source >/dev/null
}

head_line
echo "## overlay"
pot_here
source_pot
"$W/rounds" -n "$n" -w 3 floor "$W/floor" overlay -r "$root" -w "$W/ov" :: \
	pot-clone "$POT" clone -p clone -P source :: pot-destroy "$POT" destroy -p clone
pot_gone
echo "## btrfs"
plain=$W
W=$W/btrfs pot_here
sed -i "s|=$W/btrfs/|=$plain/|; s|^POT_FS_ROOT=.*|POT_FS_ROOT=$plain/btrfs/fs|" "$plain/btrfs/pot.conf"
POT_CONF=$plain/btrfs/pot.conf
source_pot
"$W/rounds" -n "$n" -w 3 floor "$W/floor" snap -r "$W/btrfs/fs/jails/source/m" -w "$W/btrfs" :: \
	pot-clone "$POT" clone -p clone -P source :: pot-destroy "$POT" destroy -p clone
