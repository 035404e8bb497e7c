#!/bin/sh
# The directories that `make install` makes: `meson install` forgets them, and `ninja uninstall` leaves them.
#   dirs.sh note BUILD TOP    writes to BUILD/made-dirs those below TOP that are not there yet
#   dirs.sh remove BUILD      removes those noted that are empty by now
set -eu
list=$2/made-dirs
case $1 in
note)
	top=$3
	for d in "" bin etc etc/pot libexec libexec/potter libexec/nomad libexec/nomad/plugins share share/man share/man/man8 share/bash-completion \
		share/bash-completion/completions share/zsh share/zsh/site-functions share/fish share/fish/vendor_completions.d; do
		[ -d "$top/$d" ] || echo "$top/$d" >>"$list"
	done
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
