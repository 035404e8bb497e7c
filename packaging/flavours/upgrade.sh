#!/bin/sh
# Brings the packages of a userland up to date, with the package manager that it has.
set -eu

if command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update
	apt-get -qy upgrade
	apt-get -q clean
elif command -v apk >/dev/null; then
	apk upgrade --no-cache
elif command -v dnf >/dev/null; then
	dnf -qy upgrade
	dnf -q clean all
else
	echo "no package manager that is known here: apt-get, apk, dnf" >&2
	exit 1
fi
