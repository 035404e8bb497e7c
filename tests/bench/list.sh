#!/bin/sh
# list.sh: what looks at pots, when there are many.
#   [POTS=1000] tests/bench/list.sh
set -eu
. "$(dirname "$0")/common.sh"
own_namespaces "$@"
tool rounds
root=$W/root
[ -x "$root/bin/true" ] || small_root "$root"
pot_here
trap pot_gone EXIT
"$POT" create-base -b small -d "$root" >/dev/null
"$POT" create -p source -t single -b small -N public-bridge >/dev/null
"$POT" snapshot -p source >/dev/null
i=1
while [ $i -lt "${POTS:-1000}" ]; do
	"$POT" clone -p "p$i" -P source -N public-bridge -i auto >/dev/null
	i=$((i + 1))
done
head_line
"$W/rounds" -n 30 -w 2 fork+exec "$root/bin/true" :: ls "$POT" ls :: ls-q "$POT" ls -q :: ps "$POT" ps :: ps-q "$POT" ps -q :: info-q "$POT" info -qp p500 :: version "$POT" version
