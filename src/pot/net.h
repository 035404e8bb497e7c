/*
 * net.h: the networks of the pots as configuration and bridge files say, parsed and checked.
 */
#ifndef POT_NET_H
#define POT_NET_H

#include "base/ip.h"
#include "base/vec.h"
#include "platform/netif.h"
#include "pot/pot.h"

struct nets {
	struct ipnet net4, net6; /* family 0 in net6: pots have no IPv6 network */
	struct ip gateway4, gateway6, dns;
};
int nets_read(struct pot_env *, struct nets *, struct err *);
/* POT_EXTIF and what belongs to it are of this machine; -1 names what is not (vnet.c). */
int vnet_check_outside(struct pot_env *, struct err *);

/* ---- private bridges: bridges/<name> (bridge.c) ---- */

struct bridge {
	char name[POT_BRIDGE_NAME_MAX + 1];
	char link[NETIF_NAME]; /* its interface */
	struct ipnet net;
	struct ip gateway;
};
struct bridges {
	VEC(struct bridge) all;
};
#define BRIDGES_INIT                                                                               \
	{                                                                                          \
		.all = VEC_INIT                                                                    \
	}
void bridges_fini(struct bridges *);
#define autobridges CLEANUP(bridges_fini)

/* Lines net=, gateway=, name=; others are nobody's business. */
int bridge_parse(const char *name, const char *text, size_t len, struct bridge *, struct err *);
/* ERR_ABSENT: no such bridge, with the way out. */
int bridge_load(struct pot_env *, const char *name, struct bridge *, struct err *);
/* All that can be read, sorted by name. */
int bridges_load(struct pot_env *, struct bridges *, struct err *);
const char *bridge_link(const char *name, char out[NETIF_NAME]);

/* ---- what is taken (taken.c) ---- */

struct taken {
	struct ip ip;
	char *by;
};
struct taken_mac {
	char *mac, *by;
};
struct takens {
	VEC(struct taken) ips;	  /* sorted */
	VEC(struct ipnet) ranges; /* of private bridges */
	VEC(struct taken_mac) macs;
	struct arena mem;
};
#define TAKENS_INIT                                                                                \
	{                                                                                          \
		.ips = VEC_INIT, .ranges = VEC_INIT, .macs = VEC_INIT, .mem = ARENA_INIT           \
	}
void takens_fini(struct takens *);
#define autotakens CLEANUP(takens_fini)

/* Reads all configurations, those in the making included. A file that cannot be understood takes
 * nothing and stops nobody. */
int takens_read(struct pot_env *, const struct nets *, struct takens *, struct err *);
const struct taken *taken_by(const struct takens *, const struct ip *);
/* The private bridge's network that the address lies in, or NULL. */
const struct ipnet *taken_range(const struct takens *, const struct ip *);
/* What a bridge keeps for itself: its network's first and last address, its gateway. */
void taken_by_bridge(struct takens *, const struct ipnet *net, const struct ip *gateway);
/* own: the bridge's own network, where ranges do not count; NULL for the public one. */
int taken_next(const struct takens *, const struct ipnet *net, const struct ipnet *own,
    struct ip *out, struct err *);
/* The lowest block of that size in which nothing is taken. */
int taken_block(
    const struct takens *, const struct ipnet *net, int prefix, struct ipnet *out, struct err *);

/* ---- addresses of alias pots (alias.c) ---- */

struct aliases {
	VEC(struct netif_alias) all;
};
#define ALIASES_INIT                                                                               \
	{                                                                                          \
		.all = VEC_INIT                                                                    \
	}
void aliases_fini(struct aliases *);
#define autoaliases CLEANUP(aliases_fini)

/* One "address" or "nic|address"; nic is "" when none is given. */
int alias_parse(const char *word, struct netif_alias *, struct err *);
/* The words of an ip= line that belong to the stack, IPv4 first; interfaces that are not given are
 * POT_EXTIF or that of the default route. ERR_INPUT when none is left. */
int aliases_of(struct pot_env *, const char *line, enum pot_stack, struct aliases *, struct err *);

/* ---- hardware addresses ---- */

/* "02:00:5e:10:00:01"; a single station's. */
int mac_parse(const char *text, uint8_t mac[6], struct err *);

#endif
