#!/bin/sh
# run-all.sh: every benchmark, one after the other; docs/performance.md holds the last results.
set -eu
cd "$(dirname "$0")"
for b in start.sh life.sh many.sh list.sh clone.sh datasets.sh import.py cluster.py; do
	echo "## $b"
	case $b in
	*.py) python3 "$b" ;;
	*) sh "$b" ;;
	esac
done
