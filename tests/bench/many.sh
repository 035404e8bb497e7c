#!/bin/sh
# many.sh: 100 pots started by one `pot start` each, 8 at a time, with a network of their own; what one of them takes.
#   [POTS=100] [ROUNDS=5] tests/bench/many.sh
set -eu
. "$(dirname "$0")/common.sh"
own_namespaces "$@"
tool floor
n=${POTS:-100}
root=$W/root
[ -x "$root/bin/true" ] || small_root "$root"
mkdir -p "$W/ov" "$W/pids"
pot_here
trap 'pot_gone; ip link del brfloor 2>/dev/null || :' EXIT
floor_bridge
"$POT" create-base -b small -d "$root" >/dev/null
"$POT" create -p source -t single -b small -N public-bridge >/dev/null
"$POT" set-cmd -p source -c "/bin/sleep 100000" >/dev/null
"$POT" snapshot -p source >/dev/null
for i in $(seq "$n"); do "$POT" clone -p "p$i" -P source -N public-bridge -i auto >/dev/null; done

ms() { echo $(($(date +%s%N) / 1000000)); }
gone() { while ip -o link show master "$1" 2>/dev/null | grep -q .; do sleep 0.02; done; } # the kernel is done with all pairs
pss() { # kB of all keepers and their inits
	for p in $("$POT" ps --json | sed -n 's/.*"\(keeper_\)\{0,1\}pid": \([0-9]*\).*/\2/p'); do
		cat "/proc/$p/smaps_rollup"
	done | awk '/^Pss:/ { sum += $2 } END { print sum + 0 }'
}

head_line
echo "| round | floor ms | pot ms | ratio | stop ms | PSS of one, kB |"
echo "|---|---|---|---|---|---|"
for round in $(seq "${ROUNDS:-5}"); do
	a=$(ms)
	seq "$n" | xargs -P 8 -I % "$W/floor" ns -d -i % -P "$W/pids/%" -p -t -c potfloor -r "$root" -w "$W/ov" -N brfloor \
		-a 10.231.1.% -g 10.231.0.1 -- /bin/sleep 100000
	floor=$(($(ms) - a))
	seq "$n" | xargs -P 8 -I % "$W/floor" stop -i % -P "$W/pids/%" -c potfloor -w "$W/ov"
	gone brfloor
	a=$(ms)
	seq "$n" | xargs -P 8 -I % "$POT" start -d p%
	pot=$(($(ms) - a))
	one=$(($(pss) / n))
	a=$(ms)
	seq "$n" | xargs -P 8 -I % "$POT" stop p% >/dev/null
	stop=$(($(ms) - a))
	gone potbench0
	echo "| $round | $floor | $pot | $((pot * 100 / floor)) % | $stop | $one |"
done
