/* resolve.h: the second half of routes_build(); for routes.c only. */
#ifndef INGRESS_RESOLVE_H
#define INGRESS_RESOLVE_H

#include "ingress/routes.h"

/* Parses rules, finds what routers name, disables what cannot be carried out, makes the backends.
 */
void routes_resolve(struct routing *r, const struct routes_config *c);

#endif
