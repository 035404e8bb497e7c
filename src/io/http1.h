/*
 * http1.h: what do these bytes mean? HTTP/1.1 heads and chunked bodies (RFC 9112). Pure.
 *
 * Strict where leniency lets two readers disagree: lines end with CRLF, no blank before a colon, no
 * folded lines, not both a length and a transfer coding. Used by the server and the client here.
 */
#ifndef IO_HTTP1_H
#define IO_HTTP1_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_field {
	const char *name, *value;
};
struct http_headers {
	struct http_field *at;
	size_t n;
};

enum { HTTP1_FIELDS = 256 }; /* more header lines than this are refused */
#define HTTP1_TO_CLOSE (-1LL)
#define HTTP1_CHUNKED  (-2LL)

struct http1_head {
	const char *method, *target; /* request */
	int status;		     /* response */
	int minor;		     /* HTTP/1.x */
	struct http_headers headers;
	bool keep_alive;
	bool expect_continue;
	long long body; /* bytes, or HTTP1_CHUNKED, or (responses) HTTP1_TO_CLOSE */
};

/* text[0..len): the head with its closing empty line; it is copied to the arena. On failure *status
 * is what a server answers (400, 501, 505). */
int http1_request(const char *text, size_t len, struct arena *a, struct http1_head *out,
    int *status, struct err *e);
int http1_response(
    const char *text, size_t len, struct arena *a, struct http1_head *out, struct err *e);
const char *http1_header(const struct http_headers *h, const char *name); /* NULL: absent */
/* Does the comma-separated list hold the word (any case)? list may be NULL. */
bool http1_has_word(const char *list, const char *word);

/* A chunked body, piece by piece. */
struct http1_chunks {
	int state;
	uint64_t left;
	unsigned digits;
	size_t spent; /* bytes of sizes, extensions and trailers since the last data */
};
enum http1_chunk { HTTP1_MORE, HTTP1_DATA, HTTP1_END, HTTP1_BAD };
/* Reads from in[0..len); *used are done with. HTTP1_DATA: *data, *n lie in `in`. HTTP1_MORE: all
 * was used. HTTP1_END: the body is complete, the rest of `in` is what follows. */
enum http1_chunk http1_chunk(
    struct http1_chunks *c, const char *in, size_t len, size_t *used, const char **data, size_t *n);

#endif
