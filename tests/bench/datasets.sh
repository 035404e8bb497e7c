#!/bin/sh
# datasets.sh: `pot datasets` with many pots, and one pot's size, on overlay and on btrfs.
#   [POTS=1000] tests/bench/datasets.sh
set -eu
. "$(dirname "$0")/common.sh"
own_namespaces "$@"
tool rounds
root=$W/root
[ -x "$root/bin/true" ] || small_root "$root"
# in memory: a thousand clones on a disk are another benchmark
mkdir -p "$W/memory"
mount -t tmpfs tmpfs "$W/memory"
truncate -s 3G "$W/memory/image"
mkfs.btrfs -q "$W/memory/image" >/dev/null
plain=$W
trap 'umount "$plain/memory"' EXIT

many() { # "directory of the tree"
	W=$1
	pot_here
	"$POT" create-base -b small -d "$root" >/dev/null
	"$POT" create -p source -t single -b small >/dev/null
	"$POT" snapshot -p source >/dev/null
	i=1
	while [ $i -lt "${POTS:-1000}" ]; do
		"$POT" clone -p "p$i" -P source -N inherit >/dev/null
		i=$((i + 1))
	done
	W=$plain
	"$W/rounds" -n 20 -w 1 fork+exec "$root/bin/true" :: datasets "$POT" datasets :: datasets-json "$POT" datasets --json :: \
		datasets-one "$POT" datasets -p p1
	pot_gone
}

head_line
echo "## overlay"
mkdir "$W/memory/overlay"
many "$W/memory/overlay"
echo "## btrfs"
mkdir "$W/memory/btrfs"
mount -o loop "$W/memory/image" "$W/memory/btrfs"
many "$W/memory/btrfs"
umount "$W/memory/btrfs"
