#!/bin/sh
# The directories that `make install` makes: `meson install` forgets them, and `ninja uninstall` leaves them.
#   dirs.sh note BUILD DESTDIR    writes to BUILD/made-dirs those that are not there yet
#   dirs.sh remove BUILD          removes those noted that are empty by now
set -eu
list=$2/made-dirs
case $1 in
note)
	meson introspect "$2" --installed | python3 -c '
import json, os, sys
need = {"/"}
for path in json.load(sys.stdin).values():
    while (path := os.path.dirname(path)) not in need:
        need.add(path)
for path in sorted(need):
    if not os.path.isdir(sys.argv[1] + path):
        print(sys.argv[1] + path)
' "$3" >>"$list"
	;;
remove)
	[ -f "$list" ] || exit 0
	sort -ru "$list" | while read -r d; do
		rmdir "$d" 2>/dev/null || :
	done
	rm -f "$list"
	;;
*)
	echo "dirs.sh: note or remove, not $1" >&2
	exit 2
	;;
esac
