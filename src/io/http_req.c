#include "io/http_conn.h"
#include "io/url.h"

#include "base/clock.h"
#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PARAMS = 256 };

const char *
http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < NELEM(table); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Unknown";
}

/* The request ---------------------------------------------------------------------------------- */

struct http_req *
req_new(struct http_conn *c)
{
	struct http_req *r = xcalloc(1, sizeof(*r));

	r->conn = c;
	return r;
}

void
req_free(struct http_req *r)
{
	r->conn = NULL;
	if (r->holds > 0) {
		r->gone = true;
		return;
	}
	buf_fini(&r->body);
	VEC_FINI(&r->set);
	arena_fini(&r->mem);
	free(r);
}

void
http_hold(struct http_req *r)
{
	r->holds++;
}

void
http_release(struct http_req *r)
{
	assert(r->holds > 0);
	if (--r->holds == 0 && r->gone)
		req_free(r);
}

static bool
split_path(struct http_req *r)
{
	const char *p = r->path[0] == '/' ? r->path + 1 : r->path;
	size_t n = 1;

	for (const char *q = p; *q != '\0'; q++)
		n += *q == '/';
	r->part = arena_array(&r->mem, n, const char *);
	for (;;) {
		size_t len = strcspn(p, "/");
		char *decoded;
		if (!url_unescape(&r->mem, p, len, false, &decoded))
			return false;
		r->part[r->parts++] = decoded;
		if (p[len] == '\0')
			return true;
		p += len + 1;
	}
}

static bool
split_query(struct http_req *r)
{
	size_t n = 1;

	for (const char *q = r->query; *q != '\0'; q++)
		n += *q == '&';
	if (n > MAX_PARAMS)
		return false;
	r->param = arena_array(&r->mem, n, struct http_param);
	for (const char *p = r->query; *p != '\0';) {
		size_t len = strcspn(p, "&"), name = strcspn(p, "=&");
		char *k, *v;
		size_t from = name < len ? name + 1 : len;
		if (!url_unescape(&r->mem, p, name, true, &k) ||
		    !url_unescape(&r->mem, p + from, len - from, true, &v))
			return false;
		if (len > 0)
			r->param[r->params++] = (struct http_param){ k, v };
		p += len + (p[len] == '&');
	}
	return true;
}

bool
req_target(struct http_req *r)
{
	const char *target = r->head.target;
	size_t n = strcspn(target, "?#");

	r->path = arena_strndup(&r->mem, target, n);
	r->query = target[n] == '?'
		       ? arena_strndup(&r->mem, target + n + 1, strcspn(target + n + 1, "#"))
		       : "";
	return split_path(r) && split_query(r);
}

const char *
http_method(const struct http_req *r)
{
	return r->head.method;
}

bool
http_is_get(const struct http_req *r)
{
	return str_eq(r->head.method, "GET") || str_eq(r->head.method, "HEAD");
}

bool
http_is_put(const struct http_req *r)
{
	return str_eq(r->head.method, "PUT") || str_eq(r->head.method, "POST");
}

const char *
http_path(const struct http_req *r)
{
	return r->path;
}

size_t
http_parts(const struct http_req *r)
{
	return r->parts;
}

const char *
http_part(const struct http_req *r, size_t i)
{
	return i < r->parts ? r->part[i] : NULL;
}

const char *
http_query(const struct http_req *r, const char *name)
{
	for (size_t i = 0; i < r->params; i++)
		if (strcmp(r->param[i].name, name) == 0)
			return r->param[i].value;
	return NULL;
}

size_t
http_query_all(const struct http_req *r, const char *name, const char **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < r->params; i++)
		if (strcmp(r->param[i].name, name) == 0) {
			if (n < max)
				out[n] = r->param[i].value;
			n++;
		}
	return n;
}

const char *
http_query_text(const struct http_req *r)
{
	return r->query;
}

const char *
http_header(const struct http_req *r, const char *name)
{
	return http1_header(&r->head.headers, name);
}

const char *
http_body(const struct http_req *r, size_t *len)
{
	if (len != NULL)
		*len = r->body.len;
	return buf_str(&r->body);
}

const char *
http_peer(const struct http_req *r)
{
	return r->conn != NULL ? r->conn->peer : "";
}

struct arena *
http_arena(struct http_req *r)
{
	return &r->mem;
}

void
http_on_close(struct http_req *r, loop_fn *fn, void *ctx)
{
	r->on_close = fn;
	r->close_ctx = ctx;
}

void
http_on_drain(struct http_req *r, loop_fn *fn, void *ctx)
{
	r->on_drain = fn;
	r->drain_ctx = ctx;
}

void
req_lost(struct http_req *r)
{
	r->conn = NULL;
	if (r->ended) {
		req_free(r);
		return;
	}
	if (r->on_close == NULL)
		return; /* waits for its answer */
	r->closing = true;
	r->on_close(r->close_ctx);
	req_free(r);
}

void
req_drained(struct http_req *r)
{
	if (r->on_drain != NULL && !r->ended)
		r->on_drain(r->drain_ctx);
}

/* The answer ----------------------------------------------------------------------------------- */

void
http_set(struct http_req *r, const char *header, const char *value)
{
	struct http_field f = { arena_strdup(&r->mem, header), arena_strdup(&r->mem, value) };

	/* What comes from outside may not end the line. */
	for (char *p = (char *)f.value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	for (size_t i = 0; i < r->set.n; i++)
		if (strcasecmp(r->set.at[i].name, header) == 0) {
			r->set.at[i] = f;
			return;
		}
	VEC_PUSH(&r->set, f);
}

void
http_setf(struct http_req *r, const char *header, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	http_set(r, header, arena_vprintf(&r->mem, fmt, ap));
	va_end(ap);
}

static const char *
date_now(void)
{
	static char text[40];
	static time_t at;
	time_t now = time(NULL);
	struct tm tm;

	if (now != at && gmtime_r(&now, &tm) != NULL) {
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		at = now;
	}
	return text;
}

/* Writes status line and headers. length < 0: a stream. */
static void
write_head(struct http_req *r, int status, const char *type, long long length)
{
	struct http_conn *c = r->conn;
	struct evbuffer *out = bufferevent_get_output(c->bev);
	bool empty = status == 204 || status == 304 || status == 101;

	r->started = true;
	r->no_body = empty || strcmp(r->head.method, "HEAD") == 0;
	r->chunked = length < 0 && r->head.minor >= 1 && !empty;
	c->keep_alive = r->head.minor >= 1 && c->keep_alive && r->head.keep_alive &&
			(length >= 0 || r->chunked || empty);
	evbuffer_add_printf(
	    out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, http_status_text(status), date_now());
	if (type != NULL && !empty)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
	for (size_t i = 0; i < r->set.n; i++)
		evbuffer_add_printf(out, "%s: %s\r\n", r->set.at[i].name, r->set.at[i].value);
	if (r->chunked)
		evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
	else if (length >= 0 && !empty)
		evbuffer_add_printf(out, "Content-Length: %lld\r\n", length);
	if (!c->keep_alive)
		evbuffer_add_printf(out, "Connection: close\r\n");
	evbuffer_add(out, "\r\n", 2);
}

/* The request has its answer; it is gone when this returns. */
static void
finish(struct http_req *r)
{
	struct http_conn *c = r->conn;

	assert(!r->ended); /* one answer to one request */
	r->ended = true;
	if (c == NULL) {
		if (!r->closing)
			req_free(r);
		return;
	}
	c->req = NULL;
	req_free(r);
	conn_wrote(c);
	conn_reply_ended(c);
}

void
http_reply(struct http_req *r, int status, const char *type, const void *data, size_t len)
{
	if (r->conn != NULL) {
		write_head(r, status, type, (long long)len);
		if (!r->no_body && len > 0)
			evbuffer_add(bufferevent_get_output(r->conn->bev), data, len);
	}
	finish(r);
}

static void
free_reference(const void *data, size_t len, void *extra)
{
	(void)data, (void)len;
	free(extra);
}

void
http_reply_buf(struct http_req *r, int status, const char *type, struct buf *body)
{
	size_t len = body->len;

	if (len < 4096 || r->conn == NULL) {
		http_reply(r, status, type, buf_str(body), len);
		buf_fini(body);
		return;
	}
	write_head(r, status, type, (long long)len);
	if (!r->no_body) {
		char *data = buf_take(body);
		evbuffer_add_reference(
		    bufferevent_get_output(r->conn->bev), data, len, free_reference, data);
	} else
		buf_fini(body);
	finish(r);
}

void
http_reply_text(struct http_req *r, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *text = arena_vprintf(&r->mem, fmt, ap);
	va_end(ap);
	http_reply(r, status, "text/plain; charset=utf-8", text, strlen(text));
}

void
http_reply_file(
    struct http_req *r, int status, const char *type, int fd, int64_t offset, int64_t len)
{
	if (r->conn != NULL)
		write_head(r, status, type, len);
	if (r->conn == NULL || r->no_body || len == 0 ||
	    evbuffer_add_file(bufferevent_get_output(r->conn->bev), fd, offset, len) < 0)
		close(fd);
	finish(r);
}

void
http_reply_start(struct http_req *r, int status, const char *type)
{
	if (r->conn == NULL) {
		r->started = true;
		return;
	}
	write_head(r, status, type, -1);
	conn_wrote(r->conn);
}

void
http_reply_chunk(struct http_req *r, const void *data, size_t len)
{
	if (r->conn == NULL || r->no_body || len == 0)
		return;
	struct evbuffer *out = bufferevent_get_output(r->conn->bev);
	if (r->chunked)
		evbuffer_add_printf(out, "%zx\r\n", len);
	evbuffer_add(out, data, len);
	if (r->chunked)
		evbuffer_add(out, "\r\n", 2);
	conn_wrote(r->conn);
}

void
http_reply_end(struct http_req *r)
{
	if (r->conn != NULL && r->chunked && !r->no_body)
		evbuffer_add(bufferevent_get_output(r->conn->bev), "0\r\n\r\n", 5);
	finish(r);
}

void
http_reply_abort(struct http_req *r)
{
	struct http_conn *c = r->conn;

	r->ended = true;
	if (c == NULL) {
		if (!r->closing)
			req_free(r);
		return;
	}
	c->req = NULL;
	req_free(r);
	conn_free(c);
}

size_t
http_pending(const struct http_req *r)
{
	return r->conn != NULL ? evbuffer_get_length(bufferevent_get_output(r->conn->bev)) : 0;
}
