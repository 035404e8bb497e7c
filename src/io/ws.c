#include "io/http_conn.h"

#include "base/ids.h"
#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

enum {
	MESSAGE_MAX = 4 << 20,
	QUIET_MS = 30000, /* without a frame from the other side: ask */
	CLOSE_MS = 5000,  /* for the other side to answer our close */
};

struct ws {
	struct loop *loop;
	struct bufferevent *bev;
	wslay_event_context_ptr frames;
	struct ws_ops ops;
	void *ctx;
	loop_fn *gone;
	void *gone_ctx;
	struct loop_timer *timer;
	unsigned quiet; /* timer rounds without input */
	int code;	/* of the close frame that was received or sent; 0: none */
	char reason[128];
	bool busy, dead, closing, paused, client;
};

static void ws_run(struct ws *w);
static void ws_run_later(void *ctx);

/* RFC 6455 4.2.2: base64(SHA-1(key + fixed text)). SHA-1 here, for this is its only use. */
static uint32_t
rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static void
sha1_block(uint32_t h[5], const unsigned char *block)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (unsigned i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (unsigned i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (unsigned i = 0; i < 80; i++) {
		uint32_t f = i < 20   ? (b & c) | (~b & d)
			     : i < 40 ? b ^ c ^ d
			     : i < 60 ? (b & c) | (b & d) | (c & d)
				      : b ^ c ^ d;
		uint32_t k = i < 20   ? 0x5a827999
			     : i < 40 ? 0x6ed9eba1
			     : i < 60 ? 0x8f1bbcdc
				      : 0xca62c1d6;
		uint32_t t = rotate(a, 5) + f + e + k + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void
ws_accept_key(const char *key, char out[32])
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	unsigned char block[128] = { 0 }, sum[21] = { 0 };
	int n =
	    snprintf((char *)block, sizeof(block), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

	assert(n == 60); /* 24 and 36: two blocks */
	block[n] = 0x80;
	block[126] = (unsigned char)(n * 8 >> 8);
	block[127] = (unsigned char)(n * 8);
	sha1_block(h, block);
	sha1_block(h, block + 64);
	for (unsigned i = 0; i < 20; i++)
		sum[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
	for (unsigned i = 0, o = 0; i < 21; i += 3, o += 4) {
		uint32_t v = (uint32_t)sum[i] << 16 | (uint32_t)sum[i + 1] << 8 | sum[i + 2];
		for (unsigned j = 0; j < 4; j++)
			out[o + j] = digits[v >> (18 - 6 * j) & 63];
	}
	out[27] = '=';
	out[28] = '\0';
}

/* Frames --------------------------------------------------------------------------------------- */

static ssize_t
on_recv(wslay_event_context_ptr frames, uint8_t *data, size_t len, int flags, void *ctx)
{
	struct ws *w = ctx;
	int n = bufferevent_get_input(w->bev) != NULL
		    ? evbuffer_remove(bufferevent_get_input(w->bev), data, len)
		    : 0;
	(void)flags;

	if (n <= 0) {
		wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	return n;
}

static ssize_t
on_send(wslay_event_context_ptr frames, const uint8_t *data, size_t len, int flags, void *ctx)
{
	struct ws *w = ctx;
	(void)frames, (void)flags;

	evbuffer_add(bufferevent_get_output(w->bev), data, len);
	return (ssize_t)len;
}

static int
on_mask(wslay_event_context_ptr frames, uint8_t *out, size_t len, void *ctx)
{
	(void)frames, (void)ctx;

	ids_random(out, len);
	return 0;
}

static void
on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *m, void *ctx)
{
	struct ws *w = ctx;
	(void)frames;

	if (m->opcode == WSLAY_CONNECTION_CLOSE) {
		if (w->code == 0 || w->code == WS_NORMAL) {
			w->code = m->status_code != 0 ? m->status_code : 1005;
			size_t n = m->msg_length > 2 ? m->msg_length - 2 : 0;
			n = n < sizeof(w->reason) ? n : sizeof(w->reason) - 1;
			memcpy(w->reason, m->msg + (m->msg_length > 2 ? 2 : 0), n);
			w->reason[n] = '\0';
		}
	} else if ((m->opcode == WSLAY_TEXT_FRAME || m->opcode == WSLAY_BINARY_FRAME) &&
		   !w->closing && !w->dead)
		w->ops.message(
		    w->ctx, (const char *)m->msg, m->msg_length, m->opcode == WSLAY_TEXT_FRAME);
}

/* The life ------------------------------------------------------------------------------------- */

static void
ws_free(struct ws *w)
{
	int code = w->code != 0 ? w->code : WS_TORN;

	if (w->busy) {
		w->dead = true;
		return;
	}
	loop_timer_free(&w->timer);
	loop_defer_cancel(w->loop, ws_run_later, w);
	w->busy = true; /* ws calls from within closed() do nothing */
	w->dead = true;
	w->ops.closed(w->ctx, code, w->reason);
	wslay_event_context_free(w->frames);
	bufferevent_free(w->bev);
	if (w->gone != NULL)
		w->gone(w->gone_ctx);
	free(w);
}

/* Moves frames both ways, then decides whether it is over. */
static void
ws_run(struct ws *w)
{
	bool bad = false;

	if (w->busy)
		return;
	if (w->dead) {
		ws_free(w);
		return;
	}
	w->busy = true;
	if (!w->paused)
		bad = wslay_event_recv(w->frames) != 0;
	if (!w->dead)
		bad = wslay_event_send(w->frames) != 0 || bad;
	w->busy = false;
	bool over =
	    wslay_event_get_close_sent(w->frames) && wslay_event_get_close_received(w->frames);
	if (bad && w->code == 0)
		w->code = WS_PROTOCOL;
	bool idle = !wslay_event_want_read(w->frames) && !wslay_event_want_write(w->frames);
	bool sent = evbuffer_get_length(bufferevent_get_output(w->bev)) == 0;
	if (w->dead || ((over || bad || idle) && sent))
		ws_free(w);
	else if (over || bad)
		w->closing = true; /* the rest of the output, then on_written() */
}

static void
ws_run_later(void *ctx)
{
	ws_run(ctx);
}

static void
on_read(struct bufferevent *bev, void *ctx)
{
	struct ws *w = ctx;
	(void)bev;

	w->quiet = 0;
	ws_run(w);
}

static void
on_written(struct bufferevent *bev, void *ctx)
{
	struct ws *w = ctx;
	(void)bev;

	if (w->ops.drained != NULL && !w->closing) {
		w->busy = true;
		w->ops.drained(w->ctx);
		w->busy = false;
	}
	ws_run(w);
}

static void
on_event(struct bufferevent *bev, short what, void *ctx)
{
	(void)bev, (void)what;

	ws_free(ctx);
}

static void
on_quiet(void *ctx)
{
	struct ws *w = ctx;
	static const struct wslay_event_msg ping = { .opcode = WSLAY_PING };

	if (w->closing || ++w->quiet > 3) {
		ws_free(w);
		return;
	}
	if (!w->client)
		wslay_event_queue_msg(w->frames, &ping);
	loop_timer_set(w->timer, QUIET_MS);
	ws_run(w);
}

struct ws *
ws_new(struct loop *l, struct bufferevent *bev, bool client, const struct ws_ops *ops, void *ctx,
    loop_fn *gone, void *gone_ctx)
{
	struct ws *w = xcalloc(1, sizeof(*w));
	static const struct wslay_event_callbacks callbacks = { .recv_callback = on_recv,
		.send_callback = on_send,
		.genmask_callback = on_mask,
		.on_msg_recv_callback = on_message };

	*w = (struct ws){ .loop = l,
		.bev = bev,
		.ops = *ops,
		.ctx = ctx,
		.gone = gone,
		.gone_ctx = gone_ctx,
		.client = client };
	int r = client ? wslay_event_context_client_init(&w->frames, &callbacks, w)
		       : wslay_event_context_server_init(&w->frames, &callbacks, w);
	if (r != 0)
		abort();
	wslay_event_config_set_max_recv_msg_length(w->frames, MESSAGE_MAX);
	w->timer = loop_timer(l, QUIET_MS, 0, on_quiet, w);
	bufferevent_setcb(bev, on_read, on_written, on_event, w);
	bufferevent_setwatermark(bev, EV_READ, 0, 256 * 1024);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return w;
}

void
ws_begin(struct ws *w)
{
	loop_defer(w->loop, ws_run_later, w);
}

void
ws_kill(struct ws *w, int code, const char *reason)
{
	if (w->code == 0) {
		w->code = code;
		str_copy(w->reason, sizeof(w->reason), reason);
	}
	ws_free(w);
}

void
ws_send(struct ws *w, const char *data, size_t len)
{
	struct wslay_event_msg m = {
		.opcode = WSLAY_TEXT_FRAME, .msg = (const uint8_t *)data, .msg_length = len
	};

	if (w->dead || w->closing)
		return;
	wslay_event_queue_msg(w->frames, &m);
	if (!w->busy)
		wslay_event_send(w->frames);
}

size_t
ws_pending(const struct ws *w)
{
	return evbuffer_get_length(bufferevent_get_output(w->bev)) +
	       wslay_event_get_queued_msg_length(w->frames);
}

void
ws_pause(struct ws *w, bool pause)
{
	if (w->dead || w->paused == pause)
		return;
	w->paused = pause;
	if (pause)
		bufferevent_disable(w->bev, EV_READ);
	else {
		bufferevent_enable(w->bev, EV_READ);
		loop_defer(w->loop, ws_run_later, w);
	}
}

void
ws_close(struct ws *w, int code, const char *reason)
{
	if (w->dead || w->closing)
		return;
	size_t n = reason != NULL ? strlen(reason) : 0;
	n = n < 123 ? n : 123;
	w->code = code;
	str_copy(w->reason, sizeof(w->reason), reason != NULL ? reason : "");
	wslay_event_queue_close(w->frames, (uint16_t)code, (const uint8_t *)reason, n);
	w->closing = true;
	if (w->paused) { /* its close frame must be seen */
		w->paused = false;
		bufferevent_enable(w->bev, EV_READ);
	}
	loop_timer_set(w->timer, CLOSE_MS);
	loop_defer(w->loop, ws_run_later, w); /* closed() never comes from within ws_close() */
}
