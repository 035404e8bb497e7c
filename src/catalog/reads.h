/*
 * reads.h: the requests that only read; for http.c only.
 */
#ifndef CATALOG_READS_H
#define CATALOG_READS_H

#include "catalog/view.h"

/* What a read looks at: decides its index and what wakes it. */
enum look { LOOK_NOTHING, LOOK_SERVICES, LOOK_NAMED, LOOK_NODES, LOOK_BOTH, LOOK_KV };

struct read {
	struct catalog *c;
	struct http_req *r;
	const char
	    *name; /* the rest of the path: a service, node, status, key; "" if there is none */
	struct jsonw *w;
};

/* Writes the answer's JSON; an HTTP status other than 200 means: without it. */
typedef int read_fn(struct read *q);

struct endpoint {
	const char *path; /* without /v1/; one that ends with / has a name behind it */
	enum look look;
	read_fn *read;
};

extern const struct endpoint reads[];
extern const size_t n_reads;

#endif
