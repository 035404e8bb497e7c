/* /v1/agent/monitor: the agent's log lines, as frames. */
#include "api/frames.h"

#include "base/log.h"
#include "base/str.h"

#include <pthread.h>
#include <string.h>

enum { PENDING_MAX = 1 << 20 };

struct monitor {
	struct api *api;
	struct call *call;
	struct frames frames;
	enum log_level level;
	struct buf lines; /* not sent yet */
	size_t dropped;
	bool deferred;
};

/* The log's hook is the process's, and so are these. Lines of other threads are not shown: the loop
 * alone may touch the streams. */
static struct api *hooked;
static pthread_t loop_thread;

static void
flush(void *ctx)
{
	struct monitor *m = ctx;

	m->deferred = false;
	if (m->dropped > 0)
		buf_addf(&m->lines,
		    "[ERROR] monitor: %zu lines were dropped: the reader is too slow\n",
		    m->dropped);
	m->dropped = 0;
	for (size_t at = 0; at < m->lines.len; at += FRAME_BYTES) {
		size_t left = m->lines.len - at;
		frames_send(&m->frames, NULL, 0, m->lines.data + at,
		    left < FRAME_BYTES ? left : FRAME_BYTES, NULL);
	}
	buf_reset(&m->lines);
}

static void
on_line(void *ctx, enum log_level level, const char *line, size_t len)
{
	struct api *a = ctx;

	if (!pthread_equal(pthread_self(), loop_thread))
		return;
	VEC_FOREACH (struct monitor **, p, &a->monitors) {
		struct monitor *m = *p;
		if (level < m->level)
			continue;
		if (m->lines.len > PENDING_MAX || http_pending(m->call->req) > PENDING_MAX) {
			m->dropped++;
			continue;
		}
		buf_add(&m->lines, line, len);
		if (!m->deferred)
			loop_defer(a->c.loop, flush, m);
		m->deferred = true;
	}
}

static void
on_gone(void *ctx)
{
	struct monitor *m = ctx;
	struct api *a = m->api;

	for (size_t i = 0; i < a->monitors.n; i++)
		if (a->monitors.at[i] == m) {
			VEC_REMOVE(&a->monitors, i);
			break;
		}
	if (a->monitors.n == 0) {
		log_set_hook(NULL, NULL);
		hooked = NULL;
	}
	loop_defer_cancel(a->c.loop, flush, m);
	frames_stop(&m->frames);
	buf_fini(&m->lines);
}

void
monitor_end(struct api *a)
{
	while (a->monitors.n > 0)
		on_gone(a->monitors.at[0]);
}

static void
run_monitor(struct call *c)
{
	const char *level = http_query(c->req, "log_level"), *node = http_query(c->req, "node_id");
	const struct client_api *n = c->api->c.client;
	struct monitor *m = arena_new(c->mem, struct monitor);

	*m = (struct monitor){ .api = c->api, .call = c, .level = LOG_INFO_ };
	if (level != NULL && *level != '\0' && !log_level_named(level, &m->level))
		call_fail(c, 400, "Unknown log level: %s", level);
	else if (call_flag(c, "log_json"))
		call_fail(c, 501, "log lines in JSON are not supported: leave log_json out");
	else if (node != NULL && *node != '\0' &&
		 (n == NULL || strcmp(node, n->node_id(n->self)) != 0))
		call_fail(c, 404, "No path to node");
	else {
		frames_start(&m->frames, c, call_flag(c, "plain"));
		http_on_close(c->req, on_gone, m);
		VEC_PUSH(&c->api->monitors, m);
		loop_thread = pthread_self();
		hooked = c->api;
		log_set_hook(on_line, hooked);
	}
}

const struct route monitor_routes[] = {
	{ .methods = "GET", .pattern = "/v1/agent/monitor", .run = run_monitor, .local = true },
	{ .pattern = NULL },
};
