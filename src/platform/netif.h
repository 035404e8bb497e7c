/*
 * netif.h: bridges, the pairs that join pots to them, addresses and routes.
 *
 * Host-side names of pairs are "p" and the run id (13 characters), never used again. A pair's host
 * side carries the pot's name as its alias. The pair goes away with the pot's network namespace;
 * link_remove() is for what is left behind.
 */
#ifndef PLATFORM_NETIF_H
#define PLATFORM_NETIF_H

#include "base/ip.h"
#include "platform/host.h"

#include <stdbool.h>
#include <sys/types.h>

enum { NETIF_NAME = 16, NETIF_ALIAS = 256 }; /* with the terminating NUL */

struct netif_pair {
	const char *name;   /* host side */
	const char *alias;  /* the pot's name; NULL: none */
	const char *bridge; /* joined by the host side; NULL: none (alias_up) */
	pid_t pid;	    /* the inside is put into this process's network namespace … */
	int netns;	    /* … or into this one when >= 0 */
	bool isolated;	    /* other isolated members of the bridge cannot talk to it */
};

/* How the pot's side is set up. Addresses with family 0 are left out. */
struct netif_inside {
	const char *name; /* NULL: "eth0" */
	struct ipnet addr4;
	struct ip gateway4;
	struct ipnet addr6; /* usable at once: no duplicate address detection */
	struct ip gateway6;
	bool mac_set; /* else one that depends on the address alone */
	uint8_t mac[6];
};

/* The hardware address it asks for, else one that depends on the address alone: when a pot comes
 * back with its address, others still know it. */
void netif_mac(const struct netif_inside *in, uint8_t mac[6]);

/* An address of the outside that a pot has as its own. */
struct netif_alias {
	char nic[NETIF_NAME]; /* the interface that answers for it on its network */
	struct ip ip;
};

struct netif_link {
	char name[NETIF_NAME];
	char alias[NETIF_ALIAS]; /* "" when none */
	char kind[NETIF_NAME];	 /* "bridge", "veth", "" … */
	char master[NETIF_NAME]; /* the bridge it belongs to, or "" */
	unsigned index;
	bool up;
	bool running; /* and passes packets */
	uint8_t mac[6];
};

struct netif_links {
	struct netif_link *at;
	size_t n;
};

#define NETIF_LINKS_INIT                                                                           \
	{                                                                                          \
		.at = NULL, .n = 0                                                                 \
	}

void netif_links_fini(struct netif_links *l);
#define autonetif_links CLEANUP(netif_links_fini)

struct netif_bridge {
	unsigned index;
	bool up;
	struct ipnet *addrs; /* owned; without link-local ones */
	size_t addrs_n;
	struct netif_links members;
};

#define NETIF_BRIDGE_INIT                                                                          \
	{                                                                                          \
		.addrs = NULL                                                                      \
	}

void netif_bridge_fini(struct netif_bridge *b);
#define autonetif_bridge CLEANUP(netif_bridge_fini)

struct netif_ops {
	const char *name;
	/* A pair goes by itself, soon, once its pot's last process has gone. To remove it by hand
	 * would mean to wait for the kernel: tens of milliseconds on Linux. */
	bool pair_ends_with_pot;
	int (*probe)(struct host *, struct err *);

	/* Makes the bridge when absent, adds the addresses that it lacks, sets it up. Addresses it
	 * has beyond these stay. ERR_EXISTS when the name belongs to something else. */
	int (*bridge_ensure)(
	    struct host *, const char *name, const struct ipnet *addrs, size_t n, struct err *);
	int (*bridge_remove)(struct host *, const char *name, struct err *);
	/* ERR_ABSENT when there is none. */
	int (*bridge_info)(struct host *, const char *name, struct netif_bridge *out, struct err *);

	/* Makes the pair, puts one end on the bridge and the other inside, sets the inside up:
	 * loopback, address, default routes. Packets pass when it returns. On failure nothing of it
	 * is left. */
	int (*pair_up)(
	    struct host *, const struct netif_pair *, const struct netif_inside *, struct err *);
	/* Makes a pair without a bridge: packets for these addresses are routed to the pot,
	 * whatever it sends goes by the host's own routes with these addresses in it, and their
	 * interfaces answer for them. On failure nothing of it is left. ERR_EXISTS: this machine
	 * has such an address already, or leads it elsewhere. */
	int (*alias_up)(struct host *, const struct netif_pair *, const struct netif_alias *,
	    size_t n, struct err *);
	/* Waits until a program can bind to them, or it is known that nobody answers: seconds, so
	 * that no lock should be held. ERR_EXISTS: another machine on the network has one; they are
	 * the caller's to take back. NULL: they can be used at once. */
	int (*alias_ready)(struct host *, const struct netif_alias *, size_t n, struct err *);
	/* The interfaces answer for them no longer, and nothing leads to the pair of that name
	 * (NULL: no matter): another pot may have them at once. The pair itself goes as others do.
	 * One that a pair of another name was given since (alias_up() after a run that was killed)
	 * stays, where the system can tell.
	 * "": of a pot that was started by something else, so that nothing here knows of them. */
	int (*alias_down)(
	    struct host *, const char *pair, const struct netif_alias *, size_t n, struct err *);
	/* All that interfaces answer for by alias_up(); the caller frees it. */
	int (*aliases)(struct host *, struct netif_alias **out, size_t *n, struct err *);
	/* Loopback alone, for a pot with its own network but no interface. */
	int (*loopback_up)(struct host *, pid_t pid, int netns, struct err *);
	int (*link_remove)(struct host *, const char *name, struct err *);
	/* Links whose name starts with `prefix`. */
	int (*links)(struct host *, const char *prefix, struct netif_links *out, struct err *);

	/* Addresses of an interface, without link-local ones; the caller frees them. */
	int (*addresses)(
	    struct host *, const char *name, struct ipnet **out, size_t *n, struct err *);

	/* Lets the machine pass packets between interfaces, both families. */
	int (*forwarding_enable)(struct host *, struct err *);
	/* The interface of the default route of AF_INET or AF_INET6; ERR_ABSENT when there is none.
	 */
	int (*external)(struct host *, int family, char out[NETIF_NAME], struct err *);
};

#endif
