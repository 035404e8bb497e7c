#!/bin/sh
# life.sh: start and stop of a persistent pot on the public bridge, as commands, beside what the kernel takes for it.
#   [ROUNDS=40] tests/bench/life.sh
set -eu
. "$(dirname "$0")/common.sh"
own_namespaces "$@"
tool floor
tool rounds
n=${ROUNDS:-40}
root=$W/root
[ -x "$root/bin/true" ] || small_root "$root"
mkdir -p "$W/ov"
pot_here
trap 'pot_gone; ip link del brfloor 2>/dev/null || :' EXIT
floor_bridge
"$POT" create-base -b small -d "$root" >/dev/null
"$POT" create -p source -t single -b small -N public-bridge >/dev/null
"$POT" set-cmd -p source -c "/bin/sleep 100000" >/dev/null
"$POT" set-attr -p source -A persistent -V YES >/dev/null
"$POT" snapshot -p source >/dev/null
"$POT" clone -p stay -P source -N public-bridge -i auto >/dev/null
head_line
# Both starts come back when the command runs, both stops when all is gone. The pauses keep the kernel's clearing up of a
# network namespace, which holds the lock of all networking, out of the next command.
set -- floor-start "$W/floor" ns -d -i 1 -P "$W/floor.pid" -p -t -c potfloor -r "$root" -w "$W/ov" -N brfloor \
	-a 10.231.1.1 -g 10.231.0.1 -- /bin/sleep 100000 :: pause sleep 0.05 :: \
	floor-stop "$W/floor" stop -i 1 -P "$W/floor.pid" -c potfloor -w "$W/ov" :: pause sleep 0.1 :: \
	start/floor-start "$POT" start -d stay :: pause sleep 0.05 :: stop/floor-stop "$POT" stop stay :: pause sleep 0.1
"$W/rounds" -n "$n" -w 3 "$@"
