#!/bin/sh
# Leaves out of a userland what a service does not need: documentation, caches of packages, on FreeBSD
# what programs are built with and machines started from, elsewhere translations. What was removed comes
# back with the packages it belongs to, on FreeBSD's base with another base.
set -eu

# Of a directory all that lies in it, unless it is a link, or on a base that pots share.
empty() {
	[ -d "$1" ] && [ ! -L "$1" ] && [ -w "$1" ] || return 0
	chflags -R noschg "$1" 2>/dev/null || :
	find "$1" -xdev -mindepth 1 ! -type d -exec rm -f {} +
	find "$1" -xdev -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || :
}

# Files in /usr/bin and /usr/lib, by pattern; flags of the system come off, links are no longer than their names.
remove() {
	for file in "$@"; do
		if [ -e "$file" ] || [ -L "$file" ]; then
			[ -w "${file%/*}" ] || continue
			chflags -h noschg "$file" 2>/dev/null || :
			rm -f "$file"
		fi
	done
}

slim_freebsd() {
	# the package manager, which /usr/sbin/pkg fetches again when it is wanted; its list of packages stays
	if pkg -N >/dev/null 2>&1; then
		ASSUME_ALWAYS_YES=yes pkg delete -qfy pkg
	fi
	remove /var/db/pkg/repo-*.sqlite*
	for dir in /var/cache/pkg /var/db/pkg/repos /var/db/freebsd-update; do
		empty "$dir"
	done
	# what a machine starts from, and is mended with
	empty /boot
	empty /rescue
	# compilers, and what only they read
	(cd /usr/bin && ls) | while read -r name; do
		case $name in
		cc | c++ | c89 | c99 | CC | cpp | clang* | gcov | lldb* | lld | ld | ld.* | llvm-* | \
		    addr2line | ar | as | nm | objcopy | objdump | ranlib | readelf | size | strip)
			remove "/usr/bin/$name" ;;
		esac
	done
	remove /usr/lib/libprivateclang* /usr/lib/libprivatelldb* /usr/lib/libprivatellvm* /usr/lib/liblldb*
	for dir in /usr/include /usr/lib/clang /usr/lib/debug /usr/lib32 /usr/libdata/lint /usr/libdata/pkgconfig /usr/tests; do
		empty "$dir"
	done
	for dir in /lib /usr/lib /usr/local/lib; do
		if [ -d "$dir" ] && [ -w "$dir" ]; then
			find "$dir" -xdev -type f -name '*.a' -exec rm -f {} +
		fi
	done
	# what is to be read; names of locales and time zones stay
	for dir in bhyve bsdconfig calendar dict doc examples firmware games groff_font info man me mk openssl/man sendmail \
	    syscons tmac vt; do
		empty "/usr/share/$dir"
	done
	for dir in /usr/local/man /usr/local/share/doc /usr/local/share/info /usr/local/share/man; do
		empty "$dir"
	done
}

if command -v freebsd-version >/dev/null; then
	slim_freebsd
	exit 0
fi
for dir in /usr/share/doc /usr/share/man /usr/share/info /usr/share/gtk-doc /usr/share/lintian \
    /usr/share/locale /usr/share/i18n /usr/share/bash-completion \
    /var/cache/apt /var/lib/apt/lists /var/cache/apk /var/cache/dnf /var/cache/yum /var/log; do
	if [ -d "$dir" ] && [ ! -L "$dir" ]; then
		find "$dir" -mindepth 1 -depth \( -type f -o -type l \) -exec rm -f {} +
	fi
done
# apt does not start without this one
if [ -d /var/lib/apt/lists ]; then
	mkdir -p /var/lib/apt/lists/partial
fi
