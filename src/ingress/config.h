/*
 * config.h: a routing as HAProxy's configuration and host map. Pure.
 *
 * What changes often must not need a reload: servers come and go by the runtime API, and a plain
 * host rule is one entry in the host map that leads to a slot, a backend that was declared before
 * anybody needed it. Everything else (other rules, middlewares, more slots) is in the skeleton: the
 * configuration without its servers. Its digest is kept inside the running proxy, so that an agent
 * which finds one knows what it runs.
 */
#ifndef INGRESS_CONFIG_H
#define INGRESS_CONFIG_H

#include "ingress/routes.h"

enum { SLOTS_STEP = 16, SLOTS_SPARE = 4, SLOTS_MAX = 4096 };

/* Which plain backend has which slot. */
struct slots {
	char **key; /* owned; NULL: free */
	size_t n;
};
void slots_fini(struct slots *s);
/* Gives a slot to each plain backend, takes it from those that are gone, keeps all others. When
 * there are none left it makes more (the skeleton changes then). False: more than SLOTS_MAX. */
bool slots_assign(struct slots *s, const struct routing *r);
void slots_write(const struct slots *s, struct buf *out); /* a line each, empty for free */
void slots_read(struct slots *s, const char *text); /* tolerant: what is not readable is free */

struct config_paths {
	const char *const *listen; /* "127.0.0.1:8080", "[::]:8080", ":8080"; ended by NULL */
	const char *socket, *map;
	const char *host_name; /* for X-Forwarded-Server */
	unsigned maxconn;
};

/* The name of a backend in the configuration: lives in the routing's arena. After slots_assign().
 */
const char *config_backend(const struct route_backend *b, struct routing *r);

/* The skeleton, or with `servers` the whole configuration. `digest` is written into it when not
 * NULL. */
void config_write(const struct config_paths *p, struct routing *r, const struct slots *s,
    const char *digest, bool servers, struct buf *out);
/* 16 hex digits of the skeleton. */
const char *config_digest(
    const struct config_paths *p, struct routing *r, const struct slots *s, char out[17]);
/* host → backend (const char *, of the routing's arena) for what the map decides. */
void config_hosts(struct routing *r, struct map *out);

/* "addr:port" with brackets for IPv6. */
const char *config_endpoint(const struct route_server *v, struct arena *a);

#endif
