#!/bin/sh
# Brings FreeBSD's base system up to the patches of its release. `create-base -r` applies it to each base.
set -eu

if ! command -v freebsd-update >/dev/null; then
	echo "freebsd-update is not in this userland" >&2
	exit 1
fi
# nobody reads what it shows, and no terminal is there
export PAGER=cat
freebsd-update --not-running-from-cron fetch
# nothing was found: `install` without anything to install is a failure for some of its versions
ready=no
for link in /var/db/freebsd-update/*-install; do
	if [ -L "$link" ]; then
		ready=yes
	fi
done
if [ $ready = yes ]; then
	freebsd-update --not-running-from-cron install
fi
# the patches, and what it could go back to: every pot that is made of the base would have them
rm -rf /var/db/freebsd-update/*
