#!/bin/sh
# A pot that answers names for others (POT_DNS_NAME, create -d pot): dnsmasq, which knows the names in its
# /etc/hosts, asks consul for those that end in .consul, and the machine's resolvers for the rest.
set -eu

etc=/usr/local/etc
export ASSUME_ALWAYS_YES=yes
pkg install -qy dnsmasq consul
pkg clean -qay
mkdir -p $etc/consul.d

cat >$etc/dnsmasq.conf <<'END'
domain-needed
bogus-priv
server=/consul/127.0.0.1#8600
END

# A directory of one server. Whoever reaches the pot may register services and ask for them.
cat >$etc/consul.d/pot.json <<'END'
{
  "server": true,
  "bootstrap_expect": 1,
  "bind_addr": "{{ GetPrivateIP }}",
  "client_addr": "0.0.0.0"
}
END
sysrc -q dnsmasq_enable=YES consul_enable=YES
