/*
 * net.h: the networks of the pots as the configuration says, parsed and checked.
 */
#ifndef POT_NET_H
#define POT_NET_H

#include "base/ip.h"

struct pot_env;

struct nets {
	struct ipnet net4, net6; /* family 0 in net6: pots have no IPv6 network */
	struct ip gateway4, gateway6, dns;
};
int nets_read(struct pot_env *, struct nets *, struct err *);

#endif
