#include "io/dial.h"
#include "io/http_conn.h"
#include "io/url.h"

#include "base/ids.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
	HEAD_MAX = 128 * 1024,
	CONNECT_MS = 10000,
	TIMEOUT_MS = 60000,
	BODY_MAX = 64 << 20,
};

enum call_state { CALL_DIAL, CALL_HEAD, CALL_BODY };

struct http_call {
	struct loop *loop;
	struct arena mem;
	struct http_spec spec; /* its strings live in mem */
	struct url url;
	enum call_state state;
	struct dial *dial;
	struct bufferevent *bev;
	struct loop_timer *timer;
	struct buf request, body;
	struct http1_head head;
	struct http1_chunks chunks;
	unsigned long long got; /* bytes of a body with a length */
	bool stream, whole;
	bool busy, cancelled; /* inside a callback */
	struct err early;     /* found before anything was sent */
	ws_opened *opened;    /* a WebSocket is being opened */
	struct ws_ops ws_ops;
	char ws_accept[32];
};
struct ws_dial {
	struct http_call call;
};

static void
call_free(struct http_call *c)
{
	dial_cancel(&c->dial);
	loop_timer_free(&c->timer);
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	buf_fini(&c->request);
	buf_fini(&c->body);
	arena_fini(&c->mem);
	free(c);
}

/* The end: e is NULL when the answer is whole. */
static void
call_done(struct http_call *c, const struct err *e)
{
	struct http_result res = { .err = e, .headers = &c->head.headers };

	if (c->state == CALL_BODY || c->head.status != 0)
		res.status = c->head.status;
	res.body = buf_str(&c->body);
	res.len = c->body.len;
	dial_cancel(&c->dial);
	loop_timer_set(c->timer, -1);
	if (c->bev != NULL)
		bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	c->cancelled = false;
	c->busy = true; /* a cancel from within done() frees nothing twice */
	if (c->opened != NULL)
		c->opened(c->spec.ctx, NULL, &res);
	else if (c->spec.done != NULL)
		c->spec.done(c->spec.ctx, &res);
	call_free(c);
}

static void
call_fail(struct http_call *c, enum err_kind kind, const char *what)
{
	struct err e;

	err_new(&e, kind, "%s %s%s: %s", c->spec.method, c->spec.base, c->spec.path, what);
	call_done(c, &e);
}

static void
on_timeout(void *ctx)
{
	struct http_call *c = ctx;

	if (c->early.kind != ERR_NONE)
		call_done(c, &c->early);
	else
		call_fail(c, ERR_TIMEOUT, "no answer in time");
}

/* Hands on a piece of the body; false: the call is over. */
static bool
piece(struct http_call *c, const char *data, size_t n)
{
	if (!c->stream) {
		if (c->body.len + n > c->spec.max_bytes) {
			call_fail(c, ERR_FULL, "the answer is larger than expected");
			return false;
		}
		buf_add(&c->body, data, n);
		return true;
	}
	c->busy = true;
	c->spec.chunk(c->spec.ctx, data, n);
	c->busy = false;
	if (!c->cancelled)
		return true;
	call_free(c);
	return false;
}

/* The next piece of the input; *data, *n: of the body, *used: of the input. false: malformed. */
static bool
next_piece(
    struct http_call *c, const struct evbuffer_iovec *v, const char **data, size_t *n, size_t *used)
{
	*data = v->iov_base;
	*n = *used = v->iov_len;
	if (c->head.body == HTTP1_CHUNKED) {
		enum http1_chunk got =
		    http1_chunk(&c->chunks, v->iov_base, v->iov_len, used, data, n);
		if (got != HTTP1_DATA)
			*n = 0;
		c->whole = got == HTTP1_END;
		return got != HTTP1_BAD;
	}
	if (c->head.body >= 0) {
		unsigned long long left = (unsigned long long)c->head.body - c->got;
		*n = *used = *n < left ? *n : (size_t)left;
		c->got += *n;
		c->whole = c->got == (unsigned long long)c->head.body;
	}
	return true;
}

static void
read_body(struct http_call *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_iovec v;
	const char *data;
	size_t n, used;

	c->whole = c->head.body == 0;
	while (!c->whole && evbuffer_peek(in, -1, NULL, &v, 1) >= 1 && v.iov_len > 0) {
		if (!next_piece(c, &v, &data, &n, &used)) {
			call_fail(c, ERR_REMOTE, "malformed chunked answer");
			return;
		}
		if (n > 0 && !piece(c, data, n))
			return;
		evbuffer_drain(in, used);
	}
	if (c->whole)
		call_done(c, NULL);
}

/* The connection belongs to a WebSocket from now. */
static void
ws_ready(struct http_call *c)
{
	const char *accept = http1_header(&c->head.headers, "Sec-WebSocket-Accept");

	if (!str_eq(accept, c->ws_accept)) {
		call_fail(c, ERR_REMOTE, "the server's WebSocket answer does not fit the question");
		return;
	}
	struct bufferevent *bev = c->bev;
	ws_opened *opened = c->opened;
	void *ctx = c->spec.ctx;
	c->bev = NULL;
	struct ws *w = ws_new(c->loop, bev, true, &c->ws_ops, ctx, NULL, NULL);
	ws_begin(w);
	call_free(c);
	opened(ctx, w, NULL);
}

static void
read_head(struct http_call *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct err e;

	for (;;) {
		struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
		if (end.pos < 0) {
			if (evbuffer_get_length(in) > HEAD_MAX)
				call_fail(c, ERR_REMOTE, "the head of the answer is too large");
			return;
		}
		size_t size = (size_t)end.pos + 4;
		if (http1_response((const char *)evbuffer_pullup(in, (ev_ssize_t)size), size,
			&c->mem, &c->head, &e) < 0) {
			c->head.status = 0;
			call_fail(c, ERR_REMOTE, e.text);
			return;
		}
		evbuffer_drain(in, size);
		if (c->head.status >= 200 || c->head.status == 101)
			break;
	}
	if (c->opened != NULL && c->head.status == 101) {
		ws_ready(c);
		return;
	}
	if (strcmp(c->spec.method, "HEAD") == 0)
		c->head.body = 0;
	c->state = CALL_BODY;
	c->stream = c->spec.chunk != NULL && c->head.status / 100 == 2;
	read_body(c);
}

static void
on_read(struct bufferevent *bev, void *ctx)
{
	struct http_call *c = ctx;
	(void)bev;

	if (c->state == CALL_HEAD)
		read_head(c);
	else
		read_body(c);
}

static void
on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct http_call *c = ctx;
	(void)bev;

	if (c->state == CALL_BODY && c->head.body == HTTP1_TO_CLOSE && (what & BEV_EVENT_EOF))
		call_done(c, NULL);
	else
		call_fail(c, ERR_REMOTE,
		    c->state == CALL_BODY ? "the connection broke off within the answer"
					  : "the connection was closed without an answer");
}

static void
on_dialed(void *ctx, int fd, const struct err *e)
{
	struct http_call *c = ctx;

	c->dial = NULL;
	if (fd < 0) {
		call_done(c, e);
		return;
	}
	c->bev = bufferevent_socket_new(loop_base(c->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		abort();
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 1 << 20);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	c->state = CALL_HEAD;
	evbuffer_add(bufferevent_get_output(c->bev), c->request.data, c->request.len);
	buf_fini(&c->request);
}

/* The request's bytes -----------------------------------------------------------------------------
 */

static bool
clean(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int
write_request(struct http_call *c, const struct http_spec *s, struct err *e)
{
	struct buf *b = &c->request;
	const char *prefix = strcmp(c->url.path, "/") == 0 ? "" : c->url.path;
	bool has_type = false, has_body = s->len > 0 || strcmp(c->spec.method, "PUT") == 0 ||
					  strcmp(c->spec.method, "POST") == 0;

	if (!clean(s->path) || strchr(s->path, ' ') != NULL || !clean(c->spec.method))
		return err_new(e, ERR_INPUT,
		    "request path \"%s\": blanks and control characters must be escaped", s->path);
	buf_addf(b, "%s %s%s%s HTTP/1.1\r\nHost: ", c->spec.method, prefix,
	    s->path[0] == '/' ? "" : "/", s->path);
	if (strcmp(c->url.scheme, "unix") == 0)
		buf_adds(b, "localhost");
	else
		url_add_host_port(b, c->url.host, c->url.port);
	buf_adds(b, "\r\n");
	for (size_t i = 0; s->headers != NULL && s->headers[i] != NULL; i += 2) {
		if (!clean(s->headers[i]) || !clean(s->headers[i + 1]))
			return err_new(e, ERR_INPUT,
			    "request header %s: control characters are not allowed", s->headers[i]);
		has_type = has_type || strcasecmp(s->headers[i], "Content-Type") == 0;
		buf_addf(b, "%s: %s\r\n", s->headers[i], s->headers[i + 1]);
	}
	if (has_body && !has_type)
		buf_addf(b, "Content-Type: %s\r\n", s->type != NULL ? s->type : "application/json");
	if (has_body)
		buf_addf(b, "Content-Length: %zu\r\n", s->len);
	if (c->opened == NULL)
		buf_adds(b, "Connection: close\r\n");
	buf_adds(b, "\r\n");
	if (s->len > 0)
		buf_add(b, s->body, s->len);
	return 0;
}

static void
copy_spec(struct http_call *c, const struct http_spec *s)
{
	c->spec = *s;
	c->spec.base = arena_strdup(&c->mem, s->base);
	c->spec.path = arena_strdup(&c->mem, s->path != NULL ? s->path : "/");
	c->spec.method = arena_strdup(&c->mem, s->method != NULL ? s->method : "GET");
	c->spec.body = NULL;
	c->spec.headers = NULL;
	c->spec.max_bytes = s->max_bytes != 0 ? s->max_bytes : BODY_MAX;
	c->spec.connect_ms = s->connect_ms != 0 ? s->connect_ms : CONNECT_MS;
	c->spec.timeout_ms = s->timeout_ms != 0 ? s->timeout_ms : TIMEOUT_MS;
}

static int
prepare(struct http_call *c, const struct http_spec *s, struct err *e)
{
	struct http_spec sent = *s;

	sent.path = c->spec.path;
	if (url_parse(c->spec.base, &c->mem, &c->url, e) < 0)
		return -1;
	if (strcmp(c->url.scheme, "https") == 0)
		return err_new(e, ERR_UNSUPPORTED,
		    "%s: TLS is not supported by this version; use http://", c->spec.base);
	if (c->url.query[0] != '\0')
		return err_new(e, ERR_INPUT,
		    "URL \"%s\": a query has no place in a server's address", c->spec.base);
	return write_request(c, &sent, e);
}

static void
start(struct http_call *c, const struct http_spec *s)
{
	if (prepare(c, s, &c->early) < 0) {
		c->timer = loop_timer(c->loop, 0, 0, on_timeout, c);
		return;
	}
	c->timer = loop_timer(c->loop, c->spec.timeout_ms, 0, on_timeout, c);
	if (strcmp(c->url.scheme, "unix") == 0)
		c->dial = dial_unix(c->loop, c->url.host, on_dialed, c);
	else
		c->dial =
		    dial_tcp(c->loop, c->url.host, c->url.port, c->spec.connect_ms, on_dialed, c);
}

struct http_call *
http_call(struct loop *l, const struct http_spec *spec)
{
	struct http_call *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	copy_spec(c, spec);
	start(c, spec);
	return c;
}

void
http_cancel(struct http_call **cp)
{
	struct http_call *c = take(cp);

	if (c == NULL)
		return;
	c->cancelled = true;
	if (!c->busy)
		call_free(c);
}

const char *
http_result_header(const struct http_result *res, const char *name)
{
	return http1_header(res->headers, name);
}

/* WebSocket
 * ---------------------------------------------------------------------------------------- */

static char *
random_key(struct arena *a)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char raw[24];
	char *key = arena_alloc(a, 25);

	/* 16 random bytes in base64: 21 free digits, one with 4 zero bits at its end, "==". */
	ids_random(raw, sizeof(raw));
	for (unsigned i = 0; i < 21; i++)
		key[i] = digits[raw[i] & 63];
	key[21] = digits[raw[21] & 48];
	key[22] = key[23] = '=';
	return key;
}

struct ws_dial *
ws_dial(struct loop *l, const struct http_spec *spec, const struct ws_ops *ops, ws_opened *opened)
{
	struct ws_dial *d = xcalloc(1, sizeof(*d));
	struct http_call *c = &d->call;
	struct http_spec s = *spec;
	const char **headers;
	size_t n = 0, i = 0;

	c->loop = l;
	c->opened = opened;
	c->ws_ops = *ops;
	s.method = "GET";
	s.body = NULL;
	s.len = 0;
	s.chunk = NULL;
	copy_spec(c, &s);
	char *key = random_key(&c->mem);
	ws_accept_key(key, c->ws_accept);
	while (spec->headers != NULL && spec->headers[n] != NULL)
		n += 2;
	headers = arena_array(&c->mem, n + 9, const char *);
	for (; i < n; i++)
		headers[i] = spec->headers[i];
	static const char *const own[] = { "Upgrade", "websocket", "Connection", "Upgrade",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key" };
	for (size_t j = 0; j < NELEM(own); j++)
		headers[i++] = own[j];
	headers[i++] = key;
	s.headers = headers;
	start(c, &s);
	return d;
}

void
ws_dial_cancel(struct ws_dial **dp)
{
	struct ws_dial *d = take(dp);
	struct http_call *c = d != NULL ? &d->call : NULL;

	http_cancel(&c);
}
