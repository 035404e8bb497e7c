#!/bin/sh
# start.sh: start to exit of `true` as one command, every way in turn.
#   [ROUNDS=40] tests/bench/start.sh
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
"$POT" set-cmd -p source -c /bin/true >/dev/null
"$POT" set-attr -p source -A persistent -V NO >/dev/null
"$POT" snapshot -p source >/dev/null
"$POT" clone -p quick -P source -N public-bridge -i auto >/dev/null
"$POT" clone -p nonet -P source -N inherit >/dev/null
# A network namespace is taken apart by the kernel after its last process has gone, and holds the lock
# of all networking meanwhile: the pauses keep one command's end out of the next one's start.
set -- fork+exec "$root/bin/true" :: \
	floor-net "$W/floor" ns -p -t -c potfloor -r "$root" -w "$W/ov" -N brfloor -a 10.231.1.1 -g 10.231.0.1 -- /bin/true :: \
	pause sleep 0.1 :: \
	pot-net "$POT" start quick :: \
	pause sleep 0.1 :: \
	floor "$W/floor" ns -x pmiuc -p -t -c potfloor -r "$root" -w "$W/ov" -- /bin/true :: \
	pot-inherit "$POT" start nonet
if command -v crun >/dev/null; then
	mkdir -p "$W/crun"
	[ -e "$W/crun/config.json" ] || (cd "$W/crun" && crun spec && python3 - "$root" <<'P'
import json, sys
c = json.load(open("config.json"))
c["process"]["terminal"] = False
c["process"]["args"] = ["/bin/true"]
c["process"].pop("rlimits", None)
c["root"] = {"path": sys.argv[1], "readonly": True}
json.dump(c, open("config.json", "w"))
P
	)
	set -- "$@" :: crun-nonet crun run -b "$W/crun" potbench-crun
fi
if command -v podman >/dev/null; then
	PODMAN="podman --root $W/podman/root --runroot $W/podman/run --cgroup-manager=cgroupfs --runtime crun --events-backend none"
	$PODMAN image exists bb:1 || tar -C "$root" -c . | $PODMAN import - bb:1 >/dev/null 2>&1
	podman_line="$PODMAN run --rm --network=bridge --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 bb:1 /bin/true"
fi
head_line
"$W/rounds" -n "$n" -w 3 "$@"
[ -z "${podman_line:-}" ] || "$W/rounds" -n 10 -w 1 floor-net "$W/floor" ns -p -t -c potfloor -r "$root" -w "$W/ov" \
	-N brfloor -a 10.231.1.1 -g 10.231.0.1 -- /bin/true :: pause sleep 0.1 :: pot-net "$POT" start quick :: pause sleep 0.1 :: podman-bridge $podman_line
