/* plan.h: in which order routers are tried; for config.c only. */
#ifndef INGRESS_PLAN_H
#define INGRESS_PLAN_H

#include "ingress/routes.h"

/* One line of the decision: a router with its rule, or one host of a router of hosts. */
struct plan_unit {
	const struct route_router *router;
	const char *host; /* NULL: the router's whole rule */
	bool mapped;	  /* decided by the map */
	bool shadowed;	  /* another router of the same host always comes first */
	size_t position;  /* of a rule: its rank among the rules */
};
struct plan {
	struct plan_unit *at;
	size_t n;
	size_t map_position; /* so many rules are tried before the map is looked at */
};

/* Highest priority first. As many hosts as possible are left to the map, which is one step in the
 * order: a host for which another rule must come earlier or later than the map stays a rule. */
void plan_make(struct routing *r, struct plan *out);

#endif
