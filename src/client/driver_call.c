#include "client/driver_call.h"

#include <stdlib.h>

struct small {
	driver_done *done;
	driver_ended *ended;
	driver_usage_fn *usage;
	driver_started *started;
	struct err refused;
	bool retry;
	void *ctx;
};

static void
on_reply(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct small *s = ctx;

	if (s->done != NULL)
		s->done(s->ctx, e);
	if (s->ended != NULL) {
		struct driver_end end = { .lost = true };
		if (e == NULL)
			end = (struct driver_end){ r->code, r->signal, r->oom_killed, r->lost };
		s->ended(s->ctx, &end, e);
	}
	if (s->usage != NULL) {
		struct driver_usage u = { 0 };
		if (e == NULL)
			u = (struct driver_usage){ r->usage.rss_bytes, r->usage.cache_bytes,
				r->usage.swap_bytes, r->usage.cpu_ns, r->usage.pids };
		s->usage(s->ctx, &u, e);
	}
	if (s->started != NULL)
		s->started(s->ctx, NULL, &s->refused, s->retry);
	free(s);
}

static void
call(struct runner *r, const struct runner_request *req, struct small small)
{
	struct small *s = xcalloc(1, sizeof(*s));

	*s = small;
	runner_call(r, req, NULL, 0, NULL, on_reply, s);
}

void
driver_call_done(struct runner *r, const struct runner_request *req, driver_done *done, void *ctx)
{
	call(r, req, (struct small){ .done = done, .ctx = ctx });
}

void
driver_call_ended(
    struct runner *r, const struct runner_request *req, driver_ended *ended, void *ctx)
{
	call(r, req, (struct small){ .ended = ended, .ctx = ctx });
}

void
driver_call_usage(
    struct runner *r, const struct runner_request *req, driver_usage_fn *fn, void *ctx)
{
	call(r, req, (struct small){ .usage = fn, .ctx = ctx });
}

void
driver_refuse(struct runner *r, const struct err *e, bool retry, driver_started *started, void *ctx)
{
	struct runner_request hello = { .op = RUNNER_HELLO };

	/* A question to the runner puts the answer off to a later turn. */
	call(r, &hello,
	    (struct small){ .started = started, .refused = *e, .retry = retry, .ctx = ctx });
}
