/*
 * filter.h: address translation for the pot network, and exported ports.
 *
 * One table of our own (host.roots.table); rules of others are neither read nor changed.
 * A connection to any of the host's own addresses and an exported port reaches the pot: from
 * outside, from the host itself (127.0.0.1 included; ::1 is refused at once, since Linux takes no
 * answer for it from a wire), from other pots and from the pot itself. Pots of different bridges
 * reach each other by exported ports alone.
 */
#ifndef PLATFORM_FILTER_H
#define PLATFORM_FILTER_H

#include "base/ids.h"
#include "base/ip.h"
#include "platform/host.h"

#include <stdbool.h>

/* A way out for connections of pots: their address is changed when they leave by it. */
struct filter_way {
	const char *external; /* interface */
	struct ipnet to;      /* only what goes there; family 0: all */
	struct ip source;     /* what it is changed to; family 0: the interface's own */
};

/* Where connections to exported ports may come in from outside. */
struct filter_entry_way {
	const char *external;
	struct ip address; /* of its family only to this one; family 0: to any of this host */
};

struct filter_net {
	const char *const *bridges; /* interface names, ended by NULL; the public one first */
	struct ipnet net4, net6;    /* what is masqueraded; family 0: that family is not used */
	/* none: what leaves by any other interface is masqueraded, and exported ports are reached
	 * by any interface */
	const struct filter_way *ways;
	size_t n_ways;
	const struct filter_entry_way *entries;
	size_t n_entries;
	bool isolated; /* nobody on a bridge reaches a neighbour by way of the host */
};

struct filter_port {
	int proto; /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t host_port;
	struct ip to; /* the pot's address: this family is exported */
	uint16_t pot_port;
	/* where prints_pf: what opens it in place of the filter's own rules; lines in pf's language
	 */
	const char *rules;
};

struct filter_entry {
	char run[RUN_ID_TEXT];
	struct filter_port port;
};

struct filter_entries {
	struct filter_entry *at;
	size_t n;
};

#define FILTER_ENTRIES_INIT                                                                        \
	{                                                                                          \
		.at = NULL, .n = 0                                                                 \
	}

void filter_entries_fini(struct filter_entries *l);
#define autofilter_entries CLEANUP(filter_entries_fini)

struct filter_ops {
	const char *name;
	bool prints_pf; /* rules may come from a program that writes them in pf's language */
	int (*probe)(struct host *, struct err *);

	/* Makes the table, or brings its rules to what is asked; exported ports stay. In one
	 * transaction. */
	int (*setup)(struct host *, const struct filter_net *, struct err *);
	/* 1 when the table is there, and isolates if that is asked; 0 when not. */
	int (*ready)(struct host *, bool isolated, struct err *);
	/* Rules of others that by themselves let no forwarded packet pass, "ip filter FORWARD":
	 * pots may be cut off by them, and only their owner can say that they may pass. */
	int (*obstacles)(struct host *, struct names *out, struct err *);
	/* The table goes with everything in it. */
	int (*teardown)(struct host *, struct err *);
	/* What the packet filter needs in the machine's own configuration goes into that file
	 * (NULL: where the machine has it), or with undo out of it; a copy of what was there before
	 * is kept beside it as "….bkp-pot". 1: it was changed, 0: it was so already; *path tells
	 * which file. NULL: nothing is needed. */
	int (*install)(
	    struct host *, const char *file, bool undo, char *path, size_t size, struct err *);

	/* All of them or none, in one transaction, tagged with the run id. ERR_EXISTS names the
	 * first host port that another run holds; ERR_ABSENT when setup was not called. */
	int (*ports_add)(
	    struct host *, const char *run, const struct filter_port *, size_t n, struct err *);
	/* Also by the name of a pot that something else has started. */
	int (*ports_remove)(struct host *, const char *run, struct err *);
	/* Everything exported; empty without a table. With an empty run: by something else. */
	int (*ports)(struct host *, struct filter_entries *out, struct err *);
};

#endif
