#!/bin/sh
# Makes a pot image out of Debian's own nginx and publishes it in a static pot registry.
#   nginx-image.sh [-t TAG] [-m MESSAGE] REGISTRY_DIRECTORY
# The image holds nginx, the libraries it needs, a page, and a few commands to look around with.
set -eu

tag=1.0
message='Hello from a pot.'
while getopts t:m: o; do
	case $o in
	t) tag=$OPTARG ;;
	m) message=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
registry=${1:?a directory to publish in}

name=nginx-demo
work=$(mktemp -d)
root=$work/root
forget() { # the pot and the base that the image is made of
	pot destroy -q -F -p $name >/dev/null 2>&1 || :
	pot destroy -q -b $name-base >/dev/null 2>&1 || :
}
trap 'forget; rm -rf "$work"' EXIT

copy() { # a program, with every library that it loads
	mkdir -p "$root$(dirname "$1")"
	cp -L "$1" "$root$1"
	ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld[^ ]*\) .*/\1/p' | while read -r lib; do
		[ -e "$root$lib" ] || { mkdir -p "$root$(dirname "$lib")" && cp -L "$lib" "$root$lib"; }
	done
}

mkdir -p "$root/etc/nginx" "$root/usr/bin" "$root/usr/sbin" "$root/usr/share/nginx/html" "$root/var/log/nginx" \
	"$root/var/lib/nginx" "$root/tmp" "$root/run" "$root/root" "$root/dev" "$root/proc" "$root/sys"
ln -s usr/bin "$root/bin"
ln -s usr/sbin "$root/sbin"
chmod 1777 "$root/tmp"
copy /usr/sbin/nginx
for p in sh ls cat ps ip hostname sleep; do
	path=$(command -v $p) || continue # to look around with: what this machine has of them
	path=$(readlink -f "$path")
	copy "$path"
	[ -e "$root/usr/bin/$p" ] || ln -s "$path" "$root/usr/bin/$p"
done
for lib in /lib/*/libnss_files.so.2 /lib/*/libnss_dns.so.2; do
	[ ! -e "$lib" ] || { mkdir -p "$root$(dirname "$lib")" && cp -L "$lib" "$root$lib"; }
done
cp /etc/nginx/mime.types "$root/etc/nginx/"
printf 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n' > "$root/etc/passwd"
printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' > "$root/etc/group"
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"
cat > "$root/etc/nginx/nginx.conf" <<'C'
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr warn;
events { worker_connections 512; }
http {
    include mime.types;
    access_log /dev/stdout;
    server {
        listen 80 default_server;
        listen [::]:80 default_server;
        root /usr/share/nginx/html;
    }
}
C
printf '<!doctype html>\n<title>Potter</title>\n<h1>%s</h1>\n' "$message" > "$root/usr/share/nginx/html/index.html"

forget
pot create-base -b $name-base -d "$root" >/dev/null
pot create -p $name -t single -b $name-base >/dev/null
pot set-cmd -p $name -c "/usr/sbin/nginx -g 'daemon off;'" >/dev/null
pot set-attr -p $name -A persistent -V NO >/dev/null
pot set-attr -p $name -A no-rc-script -V YES >/dev/null
pot snapshot -p $name >/dev/null
mkdir -p "$registry"
pot export -p $name -t "$tag" -l 1 -D "$registry"
