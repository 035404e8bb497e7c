/*
 * routes.h: from service rows to what the proxy should do. Pure: the same rows give the same
 *routing.
 *
 *	rows ── tags ──► routers, services, middlewares ── checks ──► backends, with their servers
 *
 * A router that cannot be carried out as it was asked for is disabled and says why; it never runs
 *in part. Instances that are passing or warning get requests; critical ones are only shown.
 */
#ifndef INGRESS_ROUTES_H
#define INGRESS_ROUTES_H

#include "base/map.h"
#include "ingress/rules.h"
#include "ingress/tags.h"
#include "state/rows.h"

struct routes_config {
	const char *prefix;	  /* of the tags; NULL: "traefik" */
	const char *default_rule; /* NULL: Host(`{{ .Name }}.minipot`) */
	bool not_exposed_by_default;
	const char *const
	    *entrypoints; /* names of the HTTP entry point, ended by NULL; NULL: web, http */
};

struct route_server {
	const char *name;     /* HAProxy's: unique within the service, changes with the endpoint */
	const char *address;  /* without brackets */
	int64_t port, weight; /* weight: 1…256, or 0 for none */
	bool up;
	const char *url;
	const char *row_id;
};

struct route_service {
	const char *name;
	struct tag_service options;
	struct objs servers; /* struct route_server, by name */
	struct strs used_by; /* routers */
	struct strs errors;
};

struct route_middleware {
	const char *name;
	const struct tag_middleware *spec;
	const char *section; /* configuration of its own, or "" */
	struct strs used_by, errors;
};

struct route_router {
	const char *name;
	struct tag_router spec;
	const char *rule_text;
	struct rule rule;
	int64_t priority;
	struct strs entrypoints, middlewares; /* names as shown */
	struct route_service *service;	      /* NULL: errors say why */
	struct strs errors;		      /* not empty: disabled */
	struct strs warnings;
	struct route_backend *backend; /* NULL while disabled */
};

/* One service behind one chain of middlewares. */
struct route_backend {
	const char *key; /* "web" or "web|auth|strip": stable across rebuilds */
	struct route_service *service;
	const char
	    *lines; /* what the chain and the service's options add to the backend; "" for plain */
	const char *server_options; /* " ssl verify none" or "" */
	size_t slot;		    /* of a plain one, by slots_assign() */
};
bool route_backend_plain(const struct route_backend *b);

struct routing {
	struct arena mem;
	struct objs routers, services, middlewares, backends; /* by name or key */
	struct map router, service, middleware, backend;      /* the same, to be found by name */
	struct strs warnings;				      /* of tags, with the service's name */
};

/* Is this a template that the default rule may be? */
int routes_check_template(const char *text, struct err *e);
/* The rows are read during the call only. The caller owns the result: routing_free(). */
struct routing *routes_build(
    const struct service_row *const *rows, size_t n, const struct routes_config *c);
void routing_free(struct routing *r);

/* What is not a letter or digit becomes a hyphen, as Traefik's normalize. */
const char *route_normalize(const char *name, struct arena *a);

#endif
