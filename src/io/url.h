/*
 * url.h: addresses of servers and the escapes inside them (RFC 3986).
 */
#ifndef IO_URL_H
#define IO_URL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct url {
	const char *scheme; /* "http", "https", "unix" */
	const char *host;   /* without brackets; for unix: the socket's path */
	uint16_t port;	    /* the scheme's default if not given */
	const char
	    *path; /* from the first '/', escaped as given, without query; "/" if none; unix: "/" */
	const char *query; /* without '?'; "" if none */
};

/* Refuses other schemes, user names, control characters. Strings live in the arena. */
int url_parse(const char *text, struct arena *a, struct url *out, struct err *e);
/* "host", "host:port", "[v6]:port", "v6". Without a port def is used. */
int url_host_port(
    const char *text, uint16_t def, struct arena *a, char **host, uint16_t *port, struct err *e);
/* Adds "host:port", with brackets around an IPv6 address. */
void url_add_host_port(struct buf *b, const char *host, uint16_t port);

/* Escapes everything but letters, digits and -._~; for one part of a path or one query value. */
void url_escape(struct buf *b, const char *text);
char *url_escaped(struct arena *a, const char *text);
/* Decodes %XX, and '+' as a blank if plus. false: a bad escape or an escaped NUL. */
bool url_unescape(struct arena *a, const char *text, size_t len, bool plus, char **out);

#endif
