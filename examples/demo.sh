#!/bin/sh
# From a fresh machine to nginx behind the ingress: what `make demo` runs. Repeating it is harmless.
set -eu
cd "$(dirname "$0")/.."
PREFIX=${PREFIX:-/usr/local}
PATH=$PREFIX/bin:/usr/local/sbin:/usr/sbin:/sbin:$PATH
export PATH
host=hello-web.minipot

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

[ "$(id -u)" = 0 ] || { echo "make demo must be run as root: it sets up a node on this machine" >&2; exit 1; }

say "Packages, build, install"
sh packaging/deps.sh build run
make --no-print-directory install PREFIX="$PREFIX"

say "A cluster of one"
run minipot-init
if [ ! -e /var/lib/potter/registry/nginx-demo_1.0.xz ]; then
	say "An image out of Debian's own nginx, published in the registry that the agent serves"
	run sh examples/nginx-image.sh /var/lib/potter/registry
fi
run minipot-start

say "A job"
run nomad run examples/nginx.job

say "The page, through the ingress"
printf '$ curl -H "host: %s" 127.0.0.1:8080\n' $host
# The route is there as soon as the instance has passed its check; curl asks again until then.
curl -sS --fail --retry 10 --retry-delay 1 --retry-all-errors --max-time 5 -H "host: $host" http://127.0.0.1:8080

say "What is running"
run nomad job status nginx-minipot
run pot ps
run pot datasets
run pot net
p=$(pot ps -q | grep '^www1_' | head -n 1)
run pot exec -p "$p" ip addr show eth0

say "The node goes on running."
cat <<T
look at it    nomad status, pot ps, minipot status, http://127.0.0.1:4646/ui/, http://127.0.0.1:9002/dashboard/
stop it       nomad stop nginx-minipot; minipot stop
remove it     minipot destroy && make uninstall
T
