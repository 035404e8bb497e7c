#!/bin/sh
# Leaves out of a userland what a service does not need: documentation, translations, caches of
# packages. What was removed comes back with the packages it belongs to.
set -eu

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
