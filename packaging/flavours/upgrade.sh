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
elif command -v pkg >/dev/null; then
	export ASSUME_ALWAYS_YES=yes
	# FreeBSD's base has only the program that fetches pkg; where that has not been done there are no packages
	if pkg -N >/dev/null 2>&1; then
		pkg update -q
		pkg upgrade -qy
		pkg clean -qay
	fi
else
	echo "no package manager that is known here: apt-get, apk, dnf, pkg" >&2
	exit 1
fi
