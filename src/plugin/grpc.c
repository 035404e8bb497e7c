#include "plugin/grpc_priv.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Connections: bytes in, bytes out, and nghttp2's callbacks, which find the call of a stream.
 */

struct grpc_server {
	struct loop *loop;
	int sock;
	struct loop_watch *watch;
	const struct grpc_method *methods;
	void *ctx;
	struct grpc_conn *conns;
	size_t n_conns;
	void (*closed)(void *ctx);
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
};

enum { OUT_MAX = 256 * 1024, PATH_MAX_LEN = 256 };

const struct grpc_method *
server_method(const struct grpc_server *s, const char *path)
{
	for (const struct grpc_method *m = s->methods; m->path != NULL; m++)
		if (strcmp(m->path, path) == 0)
			return m;
	return NULL;
}

void *
server_ctx(const struct grpc_server *s)
{
	return s->ctx;
}

/* ---- the end of a connection ---- */

static void conn_flush(void *ctx);

static void
conn_free(void *ctx)
{
	struct grpc_conn *c = ctx;

	loop_defer_cancel(c->server->loop, conn_flush, c);
	while (c->calls != NULL)
		call_closed(c->calls);
	nghttp2_session_del(c->session);
	loop_watch_free(&c->watch);
	close(c->fd);
	buf_fini(&c->out);
	*c->self = c->next;
	if (c->next != NULL)
		c->next->self = c->self;
	c->server->n_conns--;
	if (c->server->closed != NULL)
		c->server->closed(c->server->ctx);
	free(c);
}

/* Not at once: callbacks of nghttp2 and of calls may be on the stack. */
static void
conn_dead(struct grpc_conn *c)
{
	if (c->dead)
		return;
	c->dead = true;
	loop_watch_set(c->watch, 0);
	loop_defer(c->server->loop, conn_free, c);
}

/* ---- bytes out ---- */

static bool
fill_out(struct grpc_conn *c)
{
	while (c->out.len < OUT_MAX) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(c->session, &data);
		if (n < 0)
			return false;
		if (n == 0)
			return true;
		buf_add(&c->out, data, (size_t)n);
	}
	return true;
}

static void
conn_flush(void *ctx)
{
	struct grpc_conn *c = ctx;

	c->flushing = false;
	if (c->dead)
		return;
	do {
		if (!fill_out(c)) {
			conn_dead(c);
			return;
		}
		ssize_t n = c->out.len > 0
				? send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT)
				: 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			conn_dead(c);
			return;
		}
		if (n < 0)
			break;
		buf_drop(&c->out, (size_t)n);
	} while (c->out.len > 0);
	if (c->out.len == 0 && !nghttp2_session_want_read(c->session) &&
	    !nghttp2_session_want_write(c->session)) {
		conn_dead(c);
		return;
	}
	loop_watch_set(c->watch, LOOP_READ | (c->out.len > 0 ? (unsigned)LOOP_WRITE : 0u));
}

void
conn_wake(struct grpc_conn *c)
{
	if (c->flushing || c->dead)
		return;
	c->flushing = true;
	loop_defer(c->server->loop, conn_flush, c);
}

/* ---- bytes in ---- */

static void
on_ready(void *ctx, int fd, unsigned what)
{
	struct grpc_conn *c = ctx;
	uint8_t bytes[16384];

	if (what & LOOP_WRITE)
		conn_wake(c);
	if (!(what & LOOP_READ))
		return;
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		conn_dead(c);
		return;
	}
	ssize_t took = nghttp2_session_mem_recv(c->session, bytes, (size_t)n);
	if (took < 0) {
		log_debug("grpc", "a connection breaks HTTP/2: %s", nghttp2_strerror((int)took));
		conn_dead(c);
		return;
	}
	conn_wake(c);
}

/* ---- nghttp2's callbacks ---- */

static struct grpc_call *
call_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	nghttp2_session_set_stream_user_data(
	    session, frame->hd.stream_id, call_new(ctx, frame->hd.stream_id));
	return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
	struct grpc_call *call = call_of(session, frame->hd.stream_id);

	(void)flags;
	(void)ctx;
	if (call == NULL || call->path != NULL || name_len != 5 || memcmp(name, ":path", 5) != 0)
		return 0;
	call->path = xstrndup((const char *)value, value_len < PATH_MAX_LEN ? value_len : 0);
	return 0;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct grpc_call *call;

	(void)ctx;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = call_of(session, frame->hd.stream_id);
	if (call == NULL)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		call_headers(call);
	/* the handler may have ended the call, but it lives as long as its stream */
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		call_half_closed(call);
	return 0;
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len,
    void *ctx)
{
	struct grpc_call *call = call_of(session, stream);

	(void)flags;
	(void)ctx;
	nghttp2_session_consume_connection(session, len);
	if (call != NULL)
		call_data(call, data, len);
	else
		nghttp2_session_consume_stream(session, stream, len);
	return 0;
}

/* A call that was ended before the other side had said everything: it need not go on. */
static int
on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
	struct grpc_call *call;

	(void)ctx;
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = call_of(session, frame->hd.stream_id);
	if (call != NULL && !call->half_closed)
		nghttp2_submit_rst_stream(
		    session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

static int
on_closed(nghttp2_session *session, int32_t stream, uint32_t code, void *ctx)
{
	struct grpc_call *call = call_of(session, stream);

	(void)code;
	(void)ctx;
	if (call == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(session, stream, NULL);
	call_closed(call);
	return 0;
}

/* ---- connections ---- */

void
grpc_serve(struct grpc_server *s, int fd)
{
	struct grpc_conn *c = xcalloc(1, sizeof(*c));
	const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
	    GRPC_STREAMS_MAX } };

	c->server = s;
	c->fd = fd;
	if (nghttp2_session_server_new2(&c->session, s->callbacks, c, s->option) != 0) {
		close(fd);
		free(c);
		return;
	}
	c->next = s->conns;
	c->self = &s->conns;
	if (c->next != NULL)
		c->next->self = &c->next;
	s->conns = c;
	s->n_conns++;
	c->watch = loop_watch(s->loop, fd, LOOP_READ, on_ready, c);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, NELEM(settings));
	conn_wake(c);
}

static void
on_connect(void *ctx, int sock, unsigned what)
{
	struct grpc_server *s = ctx;

	(void)what;
	int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (s->n_conns >= GRPC_CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	grpc_serve(s, fd);
}

struct grpc_server *
grpc_server_new(struct loop *l, int sock, const struct grpc_method *methods, void *ctx)
{
	struct grpc_server *s = xcalloc(1, sizeof(*s));

	s->loop = l;
	s->sock = sock;
	s->methods = methods;
	s->ctx = ctx;
	nghttp2_session_callbacks_new(&s->callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(s->callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(s->callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(s->callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(s->callbacks, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(s->callbacks, on_closed);
	nghttp2_option_new(&s->option);
	/* credit is given back when a message was taken, see call_data() */
	nghttp2_option_set_no_auto_window_update(s->option, 1);
	nghttp2_option_set_no_closed_streams(s->option, 1);
	if (sock >= 0)
		s->watch = loop_watch(l, sock, LOOP_READ, on_connect, s);
	return s;
}

size_t
grpc_connections(const struct grpc_server *s)
{
	return s->n_conns;
}

void
grpc_on_closed(struct grpc_server *s, void (*closed)(void *ctx))
{
	s->closed = closed;
}

void
grpc_server_free(struct grpc_server *s)
{
	if (s == NULL)
		return;
	s->closed = NULL;
	while (s->conns != NULL) {
		struct grpc_conn *c = s->conns;
		c->dead = true;
		loop_defer_cancel(s->loop, conn_free, c);
		conn_free(c);
	}
	loop_watch_free(&s->watch);
	own_close(&s->sock);
	nghttp2_session_callbacks_del(s->callbacks);
	nghttp2_option_del(s->option);
	free(s);
}
