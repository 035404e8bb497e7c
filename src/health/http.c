/* http.c: one request, one answer: 2xx passes, 429 warns. Redirects within the same address are
 * followed, at most REDIRECTS_MAX of them. */
#include "health/probe.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { ANSWER_MAX = 32 * 1024, REDIRECTS_MAX = 10 };

static void http_begin_at(struct health_probe *p, const char *path);

static bool
has_header(const struct health_probe *p, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; p->spec.headers[i] != NULL; i++)
		if (strncasecmp(p->spec.headers[i], name, n) == 0 && p->spec.headers[i][n] == ':')
			return true;
	return false;
}

static bool
is_line_safe(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int
http_check(struct health_probe *p, struct err *e)
{
	const struct health_spec *s = &p->spec;

	if (s->protocol != NULL && *s->protocol != '\0' && strcasecmp(s->protocol, "http") != 0)
		return err_new(e, ERR_UNSUPPORTED,
		    "check protocol \"%s\" is not supported: use http", s->protocol);
	if (s->path[0] != '/' || !is_line_safe(s->path) || strchr(s->path, ' ') != NULL)
		return err_new(e, ERR_INPUT,
		    "check path \"%s\" must begin with / and hold no blanks", s->path);
	for (const char *c = s->method; *c != '\0'; c++)
		if (!isalpha((unsigned char)*c))
			return err_new(
			    e, ERR_INPUT, "check method \"%s\" is not a method", s->method);
	for (size_t i = 0; s->headers[i] != NULL; i++)
		if (!is_line_safe(s->headers[i]) || strchr(s->headers[i], ':') == NULL)
			return err_new(e, ERR_INPUT, "check header \"%s\" is not \"Name: value\"",
			    s->headers[i]);
	return 0;
}

/* The head of an answer, read in place. */
struct answer {
	int status;
	char reason[64];
	const char *location; /* NULL; ends at `location_len` */
	size_t location_len;
	size_t body_at; /* 0: the head is not whole yet */
	int64_t length; /* -1: until the end of the connection */
	bool chunked;
};

static void
read_header_line(struct answer *a, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);

	if (colon == NULL)
		return;
	size_t name = (size_t)(colon - line);
	const char *v = colon + 1, *end = line + len;
	while (v < end && (*v == ' ' || *v == '\t'))
		v++;
	if (name == 8 && strncasecmp(line, "location", 8) == 0) {
		a->location = v;
		a->location_len = (size_t)(end - v);
	} else if (name == 14 && strncasecmp(line, "content-length", 14) == 0)
		a->length = strtoll(v, NULL, 10);
	else if (name == 17 && strncasecmp(line, "transfer-encoding", 17) == 0)
		a->chunked = end - v >= 7 && strncasecmp(end - 7, "chunked", 7) == 0;
}

/* False: this is no HTTP answer. */
static bool
read_answer(const struct buf *in, struct answer *a)
{
	const char *text = buf_str(in), *line = strstr(text, "\r\n");

	*a = (struct answer){ .length = -1 };
	if (line == NULL)
		return in->len < 16 || str_starts(text, "HTTP/1.");
	/* "HTTP/1.1 200", then a blank and the reason */
	if (!str_starts(text, "HTTP/1.") || (text[7] != '0' && text[7] != '1') || text[8] != ' ' ||
	    strspn(text + 9, "0123456789") != 3 || text[9] == '0')
		return false;
	a->status = (int)strtol(text + 9, NULL, 10);
	const char *reason = text + 12 + (text[12] == ' ');
	if (reason < line)
		snprintf(a->reason, sizeof(a->reason), "%.*s", (int)(line - reason), reason);
	for (line += 2;;) {
		const char *end = strstr(line, "\r\n");
		if (end == NULL)
			return true;
		if (end == line) {
			a->body_at = (size_t)(end + 2 - text);
			return true;
		}
		read_header_line(a, line, (size_t)(end - line));
		line = end + 2;
	}
}

/* The body so far as text; true when it is whole. */
static bool
read_body(const struct buf *in, const struct answer *a, struct buf *body)
{
	const char *p = in->data + a->body_at, *end = in->data + in->len;

	if (!a->chunked) {
		buf_add(body, p, (size_t)(end - p));
		return a->length >= 0 && end - p >= a->length;
	}
	for (;;) {
		char *after;
		const char *line = strstr(p, "\r\n");
		if (line == NULL)
			return false;
		unsigned long size = strtoul(p, &after, 16);
		if (size == 0 || after == p)
			return true;
		p = line + 2;
		if (size > (size_t)(end - p)) {
			buf_add(body, p, (size_t)(end - p));
			return false;
		}
		buf_add(body, p, size);
		if (end - p < (long)size + 2)
			return false;
		p += size + 2;
	}
}

static bool
is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The path of a Location that stays at our address; NULL: it does not. Caller frees. */
static char *
redirect_path(const struct health_probe *p, const struct answer *a)
{
	autofree char *to = xstrndup(a->location, a->location_len);
	autofree char *base = xasprintf("http://%s", p->where);
	const char *rest = to;

	if (str_starts(to, base))
		rest = to + strlen(base);
	if (*rest == '\0')
		return xstrdup("/");
	if (rest[0] != '/' || rest[1] == '/' || !is_line_safe(rest) || strchr(rest, ' ') != NULL)
		return NULL;
	return xstrndup(rest, strcspn(rest, "#"));
}

static void
finish(struct health_probe *p, const struct answer *a)
{
	if (is_redirect(a->status) && a->location != NULL && p->redirects < REDIRECTS_MAX) {
		autofree char *path = redirect_path(p, a);
		if (path != NULL) {
			p->redirects++;
			probe_disconnect(p);
			http_begin_at(p, path);
			return;
		}
	}
	autobuf struct buf body = BUF_INIT;
	read_body(&p->in, a, &body);
	enum health_status result = a->status / 100 == 2 ? HEALTH_PASSING
				    : a->status == 429	 ? HEALTH_WARNING
							 : HEALTH_CRITICAL;
	probe_result(p, result, "HTTP %s http://%s%s: %d %s Output: %s", p->spec.method, p->where,
	    p->spec.path, a->status, a->reason, buf_str(&body));
}

static void
broken(struct health_probe *p, const char *why)
{
	probe_result(p, HEALTH_CRITICAL, "%s \"http://%s%s\": %s", p->spec.method, p->where,
	    buf_str(&p->path), why);
}

static void
take_answer(struct health_probe *p)
{
	char piece[4096], reason[128];
	struct answer a;
	bool end = false;

	ssize_t n = read(p->fd, piece, sizeof(piece));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		broken(p, probe_reason(errno, reason));
		return;
	}
	if (n == 0 || p->in.len + (size_t)n >= ANSWER_MAX)
		end = true;
	buf_add(&p->in, piece, (size_t)n);
	if (!read_answer(&p->in, &a)) {
		broken(p, "net/http: malformed HTTP response");
		return;
	}
	if (a.body_at == 0) {
		if (end)
			broken(p, "EOF");
		return;
	}
	autobuf struct buf body = BUF_INIT;
	if (read_body(&p->in, &a, &body) || end || body.len >= HEALTH_OUTPUT_MAX ||
	    str_eq(p->spec.method, "HEAD"))
		finish(p, &a);
}

static void
http_ready(void *ctx, int fd, unsigned what)
{
	struct health_probe *p = ctx;
	char reason[128];

	if (!p->connected) {
		if (!probe_connected(p))
			return;
		p->connected = true;
	}
	if (what & LOOP_READ) {
		take_answer(p);
		return;
	}
	ssize_t n = send(fd, p->out.data + p->sent, p->out.len - p->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		broken(p, probe_reason(errno, reason));
		return;
	}
	p->sent += n > 0 ? (size_t)n : 0;
	if (p->sent == p->out.len)
		loop_watch_set(p->watch, LOOP_READ);
}

static void
http_begin_at(struct health_probe *p, const char *path)
{
	const struct health_spec *s = &p->spec;

	buf_reset(&p->path);
	buf_adds(&p->path, path);
	buf_reset(&p->in);
	buf_reset(&p->out);
	p->sent = 0;
	buf_addf(&p->out, "%s %s HTTP/1.1\r\nConnection: close\r\n", s->method, path);
	if (!has_header(p, "Host"))
		buf_addf(&p->out, "Host: %s\r\n", p->where);
	if (!has_header(p, "User-Agent"))
		buf_adds(&p->out, "User-Agent: Potter Health Check\r\n");
	if (!has_header(p, "Accept"))
		buf_adds(&p->out, "Accept: text/plain, text/*, */*\r\n");
	for (size_t i = 0; s->headers[i] != NULL; i++)
		buf_addf(&p->out, "%s\r\n", s->headers[i]);
	if (s->body != NULL)
		buf_addf(&p->out, "Content-Length: %zu\r\n", strlen(s->body));
	buf_addf(&p->out, "\r\n%s", s->body != NULL ? s->body : "");
	probe_connect(p, http_ready);
}

static void
http_begin(struct health_probe *p)
{
	http_begin_at(p, p->spec.path);
}

static void
http_timed_out(struct health_probe *p)
{
	broken(p, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
}

const struct probe_kind probe_http = { "http", http_check, http_begin, http_timed_out };
