#include "io/http_conn.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	READ_HIGH = 256 * 1024, /* unread input that one connection may hold */
	BODY_STEP = 16 * 1024,	/* progress of a body that earns more time */
	LINGER_MS = 2000,
	PIPELINE_PENDING = 1 << 20, /* unsent output above which the next request waits */
};

static void conn_process(struct http_conn *c);

/* Connections ---------------------------------------------------------------------------------- */

static void
peer_count(struct http_server *s, const char *peer, int change)
{
	uintptr_t n = (uintptr_t)map_get(&s->per_peer, peer) + (uintptr_t)change;

	if (n == 0)
		map_del(&s->per_peer, peer);
	else
		map_set(&s->per_peer, peer, (void *)n);
}

static void
listen_all(struct http_server *s, bool on)
{
	VEC_FOREACH (struct evconnlistener **, l, &s->listeners)
		on ? evconnlistener_enable(*l) : evconnlistener_disable(*l);
}

void
conn_free(struct http_conn *c)
{
	struct http_server *s = c->server;

	c->dead = true;
	if (c->processing)
		return; /* conn_process() comes back here */
	if ((*c->self = c->next) != NULL)
		c->next->self = c->self;
	if (s->n_conns-- == s->limits.conns && !s->freeing)
		listen_all(s, true);
	peer_count(s, c->peer, -1);
	loop_timer_free(&c->read_timer);
	loop_timer_free(&c->write_timer);
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	struct http_req *r = c->req;
	free(c);
	if (r != NULL)
		req_lost(r);
}

/* All is sent. Closing while input is unread would make the kernel reset the connection, and the
 * other side might lose the answer that says why it was refused. */
static void
flushed(struct http_conn *c)
{
	if (!c->refused || c->half_closed) {
		conn_free(c);
		return;
	}
	c->state = CONN_LINGER;
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
	loop_timer_set(c->read_timer, LINGER_MS);
}

static void
on_read_timeout(void *ctx)
{
	struct http_conn *c = ctx;

	if (c->state == CONN_LINGER ||
	    (c->state == CONN_HEAD && evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)) {
		conn_free(c); /* nothing was asked */
		return;
	}
	struct http_req *r = c->req != NULL ? c->req : (c->req = req_new(c));
	r->head.method = "GET";
	c->keep_alive = false;
	c->refused = true;
	http_reply_text(r, 408, "The request did not arrive in time");
}

static void
on_write_timeout(void *ctx)
{
	struct http_conn *c = ctx;

	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		return;
	if (c->written == c->written_mark) {
		conn_free(c);
		return;
	}
	c->written_mark = c->written;
	loop_timer_set(c->write_timer, c->server->limits.write_ms);
}

void
conn_wrote(struct http_conn *c)
{
	if (loop_timer_armed(c->write_timer) ||
	    evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		return;
	c->written_mark = c->written;
	loop_timer_set(c->write_timer, c->server->limits.write_ms);
}

static void
on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *ctx)
{
	struct http_conn *c = ctx;
	(void)out;

	c->written += info->n_deleted;
}

/* The answer has been handed to the output; the request is gone. */
void
conn_reply_ended(struct http_conn *c)
{
	if (!c->keep_alive || c->half_closed || c->server->freeing) {
		c->state = CONN_FLUSH;
		loop_timer_set(c->read_timer, -1);
		if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
			flushed(c);
		return;
	}
	c->state = CONN_HEAD;
	c->scanned = 0;
	loop_timer_set(c->read_timer, c->server->limits.idle_ms);
	if (!c->processing)
		conn_process(c);
}

static void
refuse(struct http_conn *c, int status, const char *why)
{
	c->keep_alive = false;
	c->refused = true;
	http_reply_text(c->req, status, "%s", why);
}

/* The request is whole: the handler's turn. */
static void
handle(struct http_conn *c)
{
	loop_timer_set(c->read_timer, -1);
	c->state = CONN_BUSY;
	struct http_req *r = c->req;
	http_hold(r);
	c->server->fn(r, c->server->ctx);
	http_release(r);
}

static void
begin_body(struct http_conn *c)
{
	struct http_req *r = c->req;

	if (r->head.body == 0) {
		handle(c);
		return;
	}
	if (r->head.body > 0 && (unsigned long long)r->head.body > c->server->limits.body_bytes) {
		refuse(c, 413, "The body is larger than allowed");
		return;
	}
	if (r->head.expect_continue)
		bufferevent_write(c->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	c->state = CONN_BODY;
	c->chunks = (struct http1_chunks){ .state = 0 };
	c->body_mark = 0;
	loop_timer_set(c->read_timer, c->server->limits.body_ms);
}

/* Looks for a head in the input; true: something was done, look again. */
static bool
read_head(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t have = evbuffer_get_length(in);
	struct evbuffer_ptr from, end;
	struct err e;
	int status;

	if (have == 0)
		return false;
	if (c->scanned == 0)
		loop_timer_set(c->read_timer, c->server->limits.head_ms);
	evbuffer_ptr_set(in, &from, c->scanned, EVBUFFER_PTR_SET);
	end = evbuffer_search(in, "\r\n\r\n", 4, &from);
	size_t size = end.pos < 0 ? have : (size_t)end.pos + 4;
	if (end.pos < 0 && size <= c->server->limits.head_bytes) {
		c->scanned = have > 3 ? have - 3 : 1;
		return false;
	}
	c->req = req_new(c);
	c->req->head.method = "GET";
	c->keep_alive = true;
	if (size > c->server->limits.head_bytes) {
		refuse(c, 431, "The head of the request is larger than allowed");
		return true;
	}
	struct http_req *r = c->req;
	int parsed = http1_request((const char *)evbuffer_pullup(in, (ev_ssize_t)size), size,
	    &r->mem, &r->head, &status, &e);
	evbuffer_drain(in, size);
	if (parsed < 0) {
		r->head.method = "GET";
		refuse(c, status, e.text);
	} else if (!req_target(r))
		refuse(c, 400, "Malformed escape or too many parameters in the request target");
	else
		begin_body(c);
	return true;
}

static bool
body_progress(struct http_conn *c)
{
	if (c->req->body.len - c->body_mark >= BODY_STEP) {
		c->body_mark = c->req->body.len;
		loop_timer_set(c->read_timer, c->server->limits.body_ms);
	}
	return false;
}

static bool
read_plain(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct buf *body = &c->req->body;
	size_t have = evbuffer_get_length(in), want = (size_t)c->req->head.body - body->len;
	size_t n = have < want ? have : want;

	buf_reserve(body, n + 1);
	evbuffer_remove(in, body->data + body->len, n);
	body->len += n;
	body->data[body->len] = '\0';
	if (n < want)
		return body_progress(c);
	handle(c);
	return true;
}

static bool
read_chunked(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	for (;;) {
		struct evbuffer_iovec v;
		const char *data;
		size_t used, n;

		if (evbuffer_peek(in, -1, NULL, &v, 1) < 1 || v.iov_len == 0)
			return body_progress(c);
		enum http1_chunk got =
		    http1_chunk(&c->chunks, v.iov_base, v.iov_len, &used, &data, &n);
		if (got == HTTP1_BAD) {
			refuse(c, 400, "Malformed chunked body");
			return true;
		}
		if (got == HTTP1_DATA) {
			if (c->req->body.len + n > c->server->limits.body_bytes) {
				refuse(c, 413, "The body is larger than allowed");
				return true;
			}
			buf_add(&c->req->body, data, n);
		}
		evbuffer_drain(in, used);
		if (got == HTTP1_END) {
			handle(c);
			return true;
		}
	}
}

/* Takes requests out of the input as long as there are whole ones and nobody is busy. */
static void
conn_process(struct http_conn *c)
{
	bool again = true;

	c->processing = true;
	while (again && !c->dead) {
		if (c->state == CONN_HEAD)
			again = evbuffer_get_length(bufferevent_get_output(c->bev)) <
				    PIPELINE_PENDING &&
				read_head(c);
		else if (c->state == CONN_BODY)
			again =
			    c->req->head.body == HTTP1_CHUNKED ? read_chunked(c) : read_plain(c);
		else
			again = false;
	}
	c->processing = false;
	if (c->dead)
		conn_free(c);
}

static void
on_read(struct bufferevent *bev, void *ctx)
{
	struct http_conn *c = ctx;
	(void)bev;

	if (c->state == CONN_FLUSH ||
	    c->state == CONN_LINGER) /* refused: whatever else comes is thrown away */
		evbuffer_drain(
		    bufferevent_get_input(bev), evbuffer_get_length(bufferevent_get_input(bev)));
	else
		conn_process(c);
}

static void
on_written(struct bufferevent *bev, void *ctx)
{
	struct http_conn *c = ctx;
	(void)bev;

	loop_timer_set(c->write_timer, -1);
	if (c->state == CONN_FLUSH)
		flushed(c);
	else if (c->state == CONN_LINGER)
		return;
	else if (c->state == CONN_BUSY)
		req_drained(c->req);
	else
		conn_process(c); /* a pipelined request may have waited for room */
}

static void
on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct http_conn *c = ctx;
	(void)bev;

	/* Who has asked, got the whole answer and closes its half is still owed the rest of it. */
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING) && c->state != CONN_BUSY &&
	    evbuffer_get_length(bufferevent_get_output(c->bev)) > 0) {
		c->half_closed = true;
		c->state = CONN_FLUSH;
		return;
	}
	conn_free(c);
}

static void
peer_name(struct sockaddr *addr, char *out, size_t size)
{
	if (addr->sa_family == AF_INET)
		inet_ntop(
		    AF_INET, &((struct sockaddr_in *)(void *)addr)->sin_addr, out, (socklen_t)size);
	else if (addr->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)addr)->sin6_addr, out,
		    (socklen_t)size);
	else
		str_copy(out, size, "unix");
}

static void
on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len, void *ctx)
{
	struct http_server *s = ctx;
	struct http_conn *c = xcalloc(1, sizeof(*c));
	int one = 1;
	(void)listener, (void)len;

	c->server = s;
	peer_name(addr, c->peer, sizeof(c->peer));
	if (strcmp(c->peer, "unix") != 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->bev = bufferevent_socket_new(loop_base(s->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		abort();
	c->keep_alive = true;
	c->read_timer = loop_timer(s->loop, s->limits.idle_ms, 0, on_read_timeout, c);
	c->write_timer = loop_timer(s->loop, -1, 0, on_write_timeout, c);
	c->self = &s->conns;
	if ((c->next = s->conns) != NULL)
		c->next->self = &c->next;
	s->conns = c;
	if (++s->n_conns == s->limits.conns)
		listen_all(s, false);
	peer_count(s, c->peer, 1);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, READ_HIGH);
	evbuffer_add_cb(bufferevent_get_output(c->bev), on_output, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	if (s->limits.conns_per_peer != 0 &&
	    (uintptr_t)map_get(&s->per_peer, c->peer) > s->limits.conns_per_peer) {
		c->req = req_new(c);
		c->req->head.method = "GET";
		refuse(c, 429, "Too many connections from your address");
	}
}

static void
accept_again(void *ctx)
{
	struct http_server *s = ctx;

	if (s->n_conns < s->limits.conns)
		listen_all(s, true);
}

/* Out of descriptors: those who wait stay in the kernel's queue for a moment. */
static void
on_accept_error(struct evconnlistener *listener, void *ctx)
{
	struct http_server *s = ctx;
	(void)listener;

	listen_all(s, false);
	loop_timer_set(s->pause, 200);
}

/* The server ----------------------------------------------------------------------------------- */

struct http_server *
http_server_new(struct loop *l, const struct http_limits *limits, http_handler *fn, void *ctx)
{
	struct http_server *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->fn = fn;
	s->ctx = ctx;
	if (limits != NULL)
		s->limits = *limits;
#define DEFAULT(member, value)                                                                     \
	(s->limits.member = s->limits.member != 0 ? s->limits.member : (value))
	DEFAULT(head_bytes, 64 * 1024);
	DEFAULT(body_bytes, 32 * 1024 * 1024);
	DEFAULT(conns, 8192);
	DEFAULT(head_ms, 10000);
	DEFAULT(body_ms, 30000);
	DEFAULT(idle_ms, 120000);
	DEFAULT(write_ms, 60000);
#undef DEFAULT
	s->pause = loop_timer(l, -1, 0, accept_again, s);
	return s;
}

void
http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	s->freeing = true;
	VEC_FOREACH (struct evconnlistener **, l, &s->listeners)
		evconnlistener_free(*l);
	VEC_FINI(&s->listeners);
	while (s->conns != NULL) {
		assert(!s->conns->processing); /* not from within a handler */
		if (s->conns->ws != NULL)
			ws_kill(s->conns->ws, WS_GOING_AWAY, "the server is stopping");
		else
			conn_free(s->conns);
	}
	VEC_FOREACH (char **, path, &s->unix_paths) {
		unlink(*path);
		free(*path);
	}
	VEC_FINI(&s->unix_paths);
	loop_timer_free(&s->pause);
	map_fini(&s->per_peer);
	free(s);
}

int
http_listen_fd(struct http_server *s, int fd, struct err *e)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);

	if (evutil_make_socket_nonblocking(fd) < 0 || evutil_make_socket_closeonexec(fd) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
		close(fd);
		return err_sys(e, "listen on a given descriptor");
	}
	struct evconnlistener *l = evconnlistener_new(
	    loop_base(s->loop), on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (l == NULL) {
		close(fd);
		return err_new(e, ERR_SYS, "listen on a given descriptor: no memory");
	}
	evconnlistener_set_error_cb(l, on_accept_error);
	VEC_PUSH(&s->listeners, l);
	if (s->port == 0 && addr.ss_family == AF_INET)
		s->port = ntohs(((struct sockaddr_in *)(void *)&addr)->sin_port);
	if (s->port == 0 && addr.ss_family == AF_INET6)
		s->port = ntohs(((struct sockaddr_in6 *)(void *)&addr)->sin6_port);
	return 0;
}

int
http_listen(struct http_server *s, const char *address, uint16_t port, struct err *e)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool v6 = inet_pton(AF_INET6, address, &in6.sin6_addr) == 1;
	int one = 1;

	if (!v6 && inet_pton(AF_INET, address, &in.sin_addr) != 1)
		return err_new(
		    e, ERR_INPUT, "listen on \"%s\": not an IPv4 or IPv6 address", address);
	autofd int fd =
	    socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "listen on %s port %u: socket", address, port);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (v6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
		v6 ? sizeof(in6) : sizeof(in)) < 0 ||
	    listen(fd, 1024) < 0)
		return err_sys(e, "listen on %s port %u", address, port);
	return http_listen_fd(s, take_fd(&fd), e);
}

int
http_listen_unix(struct http_server *s, const char *path, unsigned mode, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;

	if (!str_copy(un.sun_path, sizeof(un.sun_path), path))
		return err_new(e, ERR_INPUT,
		    "listen on %s: the path is longer than a socket's name may be", path);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path); /* left by a process that was killed; the caller holds the lock of its
				 directory */
	autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "listen on %s: socket", path);
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || chmod(path, mode) < 0 ||
	    listen(fd, 1024) < 0)
		return err_sys(e, "listen on %s", path);
	if (http_listen_fd(s, take_fd(&fd), e) < 0)
		return -1;
	char *copy = xstrdup(path);
	VEC_PUSH(&s->unix_paths, copy);
	return 0;
}

uint16_t
http_server_port(const struct http_server *s)
{
	return s->port;
}

/* WebSocket ------------------------------------------------------------------------------------ */

bool
http_wants_upgrade(const struct http_req *r)
{
	const char *key = http_header(r, "Sec-WebSocket-Key"),
		   *version = http_header(r, "Sec-WebSocket-Version");

	return str_eq(r->head.method, "GET") && r->head.minor >= 1 && key != NULL &&
	       strlen(key) == 24 && str_eq(version, "13") &&
	       http1_has_word(http_header(r, "Upgrade"), "websocket") &&
	       http1_has_word(http_header(r, "Connection"), "upgrade");
}

static void
ws_gone(void *ctx)
{
	struct http_conn *c = ctx;

	c->ws = NULL;
	conn_free(c);
}

struct ws *
http_upgrade(struct http_req *r, const struct ws_ops *ops, void *ctx)
{
	struct http_conn *c = r->conn;
	char accept[32];

	if (c == NULL || !http_wants_upgrade(r))
		return NULL;
	ws_accept_key(http_header(r, "Sec-WebSocket-Key"), accept);
	evbuffer_add_printf(bufferevent_get_output(c->bev),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
	    "Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
	    accept);
	evbuffer_remove_cb(bufferevent_get_output(c->bev), on_output, c);
	loop_timer_set(c->write_timer, -1);
	c->state = CONN_WS;
	c->req = NULL;
	r->ended = true;
	c->ws = ws_new(c->server->loop, c->bev, false, ops, ctx, ws_gone, c);
	c->bev = NULL;
	ws_begin(c->ws);
	req_free(r);
	return c->ws;
}
