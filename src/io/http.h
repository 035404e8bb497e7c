/*
 * http.h: HTTP/1.1 server and client, and WebSocket (RFC 6455) on top, all on one loop.
 *
 * The server calls one handler per request, after its body has arrived whole. The handler answers
 * now or later. A request lives until its reply has ended, and as long as the handler runs or
 * somebody holds it (http_hold): its memory may still be read then, nothing more can be sent. When
 * the other side goes away before:
 *   - with http_on_close(): that callback is called, and the request is gone when it returns;
 *   - without: nothing is told; the answer is thrown away when it comes.
 * Connections are kept alive. Requests on one connection are answered one after the other.
 *
 * Hostile and slow others are bounded by struct http_limits: sizes, number of connections, time for
 * head, body and for taking the answer. A stream whose reader is too slow grows: look at
 * http_pending() and stop producing, http_on_drain() tells when to go on.
 */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Server ------------------------------------------------------------------------------------- */

struct http_limits {		 /* 0: the default in brackets */
	size_t head_bytes;	 /* request line and headers [64 KiB]; more: 431 */
	size_t body_bytes;	 /* [32 MiB]; more: 413 */
	unsigned conns;		 /* open at once [8192]; more are not accepted for the time being */
	unsigned conns_per_peer; /* from one address [no limit]; more: 429 */
	int64_t head_ms;	 /* from the first byte to the end of the head [10 s]; more: 408 */
	int64_t body_ms;	 /* without progress of the body [30 s]; more: 408 */
	int64_t idle_ms;	 /* between requests [120 s] */
	int64_t write_ms;	 /* without progress of taking the answer [60 s] */
};

struct http_server;
struct http_req;

typedef void http_handler(struct http_req *r, void *ctx);
/* limits may be NULL. */
struct http_server *http_server_new(
    struct loop *l, const struct http_limits *limits, http_handler *fn, void *ctx);
/* Closes listeners and connections; on_close callbacks and WebSocket closed callbacks are called.
 */
void http_server_free(struct http_server *s);

/* A server may have several listeners. address is numeric, IPv4 or IPv6; port 0 takes a free one.
 */
int http_listen(struct http_server *s, const char *address, uint16_t port, struct err *e);
int http_listen_fd(
    struct http_server *s, int fd, struct err *e); /* listening already; owned from now */
int http_listen_unix(struct http_server *s, const char *path, unsigned mode, struct err *e);
uint16_t http_server_port(const struct http_server *s); /* of the first TCP listener; 0: none */

/* The request. Strings live as long as it does; absent is NULL. */
const char *http_method(const struct http_req *r); /* "GET" … */
bool http_is_get(const struct http_req *r);	   /* GET or HEAD */
bool http_is_put(const struct http_req *r);	   /* PUT or POST */
const char *http_path(const struct http_req *r);   /* as sent, without the query */
/* The path's parts, percent-decoded ("/v1/job/a%2Fb/plan": v1, job, a/b, plan); empty parts kept
 * but for the one before the leading slash. NULL beyond the end. */
size_t http_parts(const struct http_req *r);
const char *http_part(const struct http_req *r, size_t i);
/* The first query parameter of the name, decoded; "" when given without a value. */
const char *http_query(const struct http_req *r, const char *name);
/* All of that name; at most max are stored, the number there are is returned. */
size_t http_query_all(const struct http_req *r, const char *name, const char **out, size_t max);
const char *http_query_text(const struct http_req *r); /* as sent, without '?'; "" if none */
const char *http_header(const struct http_req *r, const char *name); /* any case */
const char *http_body(const struct http_req *r, size_t *len);	     /* NUL follows; never NULL */
const char *http_peer(const struct http_req *r); /* "127.0.0.1", "::1" or "unix" */
void http_hold(struct http_req *r);
void http_release(struct http_req *r);	      /* as often as held */
struct arena *http_arena(struct http_req *r); /* memory that dies with it */

void http_on_close(struct http_req *r, loop_fn *fn, void *ctx); /* see above; NULL unsets */

/* The answer. Headers first, in any number. A body is not sent for HEAD, 204 and 304. */
void http_set(struct http_req *r, const char *header, const char *value);
void http_setf(struct http_req *r, const char *header, const char *fmt, ...) PRINTFLIKE(3, 4);
void http_reply(struct http_req *r, int status, const char *type, const void *data, size_t len);
/* The same, taking over the buffer's memory instead of copying. */
void http_reply_buf(struct http_req *r, int status, const char *type, struct buf *body);
void http_reply_text(struct http_req *r, int status, const char *fmt, ...)
    PRINTFLIKE(3, 4); /* text/plain */
/* Sends `len` bytes of the file from `offset`, without copying; fd is owned from now. */
void http_reply_file(
    struct http_req *r, int status, const char *type, int fd, int64_t offset, int64_t len);
/* A stream: chunked, or ended by close for HTTP/1.0. Each chunk is sent at once. */
void http_reply_start(struct http_req *r, int status, const char *type);
void http_reply_chunk(struct http_req *r, const void *data, size_t len);
void http_reply_end(struct http_req *r);
/* Breaks the stream off without its end, so that the other side sees an error. Ends the request. */
void http_reply_abort(struct http_req *r);
size_t http_pending(const struct http_req *r); /* bytes not yet given to the kernel */
void http_on_drain(struct http_req *r, loop_fn *fn, void *ctx); /* each time pending falls to 0 */
const char *http_status_text(int status);

/* WebSocket ---------------------------------------------------------------------------------- */

struct ws;
struct ws_ops {
	void (*message)(void *ctx, const char *data, size_t len, bool text);
	/* Once, also after ws_close(); the ws is freed when it returns. code 1006: torn off. */
	void (*closed)(void *ctx, int code, const char *reason);
	void (*drained)(void *ctx); /* may be NULL: what was sent has gone to the kernel */
};
enum {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL = 1002,
	WS_TORN = 1006,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011
};

bool http_wants_upgrade(const struct http_req *r); /* are the WebSocket headers there and right? */
/* Answers 101; the request has ended. NULL: not asked for (answer 400 yourself). */
struct ws *http_upgrade(struct http_req *r, const struct ws_ops *ops, void *ctx);
void ws_send(struct ws *w, const char *data, size_t len); /* a text message */
size_t ws_pending(const struct ws *w);
void ws_pause(struct ws *w, bool pause); /* stops reading, so that the sender is slowed down */
void ws_close(
    struct ws *w, int code, const char *reason); /* reason is cut at 123 bytes; closed() follows */

/* Client ------------------------------------------------------------------------------------- */

struct http_call;
struct http_result {
	int status;	  /* 0: no answer, see err */
	const char *body; /* whole, NUL follows; "" when streamed */
	size_t len;
	const struct err *err; /* with status 0, or when the body broke off (status is kept then) */
	const struct http_headers *headers;
};
typedef void http_done(
    void *ctx, const struct http_result *res); /* exactly once, never from within http_call() */

struct http_spec {
	const char
	    *base; /* "http://host:port", "unix:///path/of/socket"; a path in it is kept in front */
	const char *path;   /* "/v1/jobs?prefix=x"; escaped already */
	const char *method; /* NULL: GET */
	const char *type;   /* Content-Type of the body; NULL: application/json */
	const void *body;   /* copied */
	size_t len;
	const char *const *headers; /* name, value, name, value, …, NULL; or NULL */
	int64_t connect_ms;	    /* 0: 10 s */
	int64_t timeout_ms;	    /* for the whole call; 0: 60 s; < 0: none (streams) */
	size_t max_bytes;	    /* of the answer's body when not streamed; 0: 64 MiB */
	/* If set, a body of status 2xx comes piecewise and is not kept. */
	void (*chunk)(void *ctx, const char *data, size_t len);
	http_done *done;
	void *ctx;
};
/* All of spec is copied. The call frees itself after done(). */
struct http_call *http_call(struct loop *l, const struct http_spec *spec);
void http_cancel(struct http_call **c); /* done() is not called; NULL inside is fine */
const char *http_result_header(const struct http_result *res, const char *name);

/* A WebSocket to a server: opened() once with NULL or why not (then nothing more is called). */
struct ws_dial;
typedef void ws_opened(void *ctx, struct ws *w, const struct http_result *res);
/* Of spec: base, path, headers, connect_ms, ctx. On success w calls ops with spec's ctx. */
struct ws_dial *ws_dial(
    struct loop *l, const struct http_spec *spec, const struct ws_ops *ops, ws_opened *opened);
void ws_dial_cancel(struct ws_dial **d);

#endif
