#include "api/frames.h"

enum { BEAT_MS = 1000 };

static void
beat(void *ctx)
{
	struct frames *f = ctx;

	if (f->quiet && !f->plain && http_pending(f->call->req) == 0)
		http_reply_chunk(f->call->req, "{}", 2);
	f->quiet = true;
	if (f->on_beat != NULL)
		f->on_beat(f->on_beat_ctx);
}

void
frames_start(struct frames *f, struct call *c, bool plain)
{
	*f = (struct frames){ .call = c, .plain = plain, .quiet = true };
	f->beat = loop_timer(c->api->c.loop, BEAT_MS, BEAT_MS, beat, f);
	http_reply_start(c->req, 200, plain ? "text/plain; charset=utf-8" : "application/json");
}

void
frames_send(struct frames *f, const char *file, int64_t offset, const void *data, size_t len,
    const char *event)
{
	autobuf struct buf b = BUF_INIT;
	struct jsonw w = JSONW_INIT(&b);

	f->quiet = false;
	if (f->plain) {
		http_reply_chunk(f->call->req, data, len);
		return;
	}
	jsonw_object(&w);
	if (offset != 0)
		jsonw_kint(&w, "Offset", offset);
	if (len > 0) {
		jsonw_key(&w, "Data");
		jsonw_base64(&w, data, len);
	}
	if (file != NULL)
		jsonw_kstr(&w, "File", file);
	if (event != NULL)
		jsonw_kstr(&w, "FileEvent", event);
	jsonw_end_object(&w);
	http_reply_chunk(f->call->req, b.data, b.len);
}

bool
frames_full(const struct frames *f)
{
	return http_pending(f->call->req) > FRAMES_PENDING;
}

void
frames_stop(struct frames *f)
{
	loop_timer_free(&f->beat);
}
