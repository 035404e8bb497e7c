/*
 * tags.h: what the traefik.* tags of one service instance ask for.
 *
 * Pure. Keys are case-insensitive; names of routers, services and middlewares become lower case.
 * What is unknown or not supported becomes a warning that names the tag; nothing is dropped
 * silently.
 */
#ifndef INGRESS_TAGS_H
#define INGRESS_TAGS_H

#include "codec/model.h"

struct tag_router {
	const char *name;
	const char *rule;    /* NULL: the default rule */
	const char *service; /* NULL: the only one there is */
	struct strs entrypoints, middlewares;
	int64_t priority; /* 0: length of the rule */
	bool tls;
};

struct tag_service {
	const char *name;
	int64_t port;	    /* 0: the instance's own */
	const char *scheme; /* NULL: http */
	int64_t weight;	    /* -1: not given */
	bool keep_host;	    /* passhostheader, default true */
	bool sticky;
	const char *cookie; /* NULL: a derived name */
	bool cookie_secure, cookie_http_only;
	const char *cookie_same_site; /* NULL: not set */
};

struct tag_middleware {
	const char *name;
	const char *kind;	 /* lower case: "stripprefix"; NULL: none was given */
	const char *second_kind; /* not NULL: two kinds under one name */
	struct strmap options;	 /* key without the kind: "prefixes"; "" for kind=true */
};

struct tags {
	int enable;		 /* -1: not said, 0, 1 */
	struct objs routers;	 /* struct tag_router */
	struct objs services;	 /* struct tag_service */
	struct objs middlewares; /* struct tag_middleware */
	struct strs warnings;
	bool other_protocol; /* tcp or udp routers were asked for */
};

/* Never fails. Everything lives in the arena; values are copied. */
void tags_parse(const struct strs *list, const char *prefix, struct arena *a, struct tags *out);

bool tag_router_equal(const struct tag_router *a, const struct tag_router *b);
/* But for port and weight, which belong to the instance. */
bool tag_service_equal(const struct tag_service *a, const struct tag_service *b);
bool tag_middleware_equal(const struct tag_middleware *a, const struct tag_middleware *b);

/* A comma list, blanks around its parts removed, empty parts left out. */
struct strs tag_list(const char *value, struct arena *a);
bool tag_bool(const char *value, bool *out); /* as Go reads them: 1 t true 0 f false, any case */

#endif
