/* checks.c: the clocks and probes behind checks that were registered by hand. What is watched
 * follows from the rows, so it is the same again after a restart. */
#include "catalog/view.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct check_watch {
	struct catalog *c;
	char *id;
	char *what;		  /* type, target and times: another text is another check */
	struct loop_timer *timer; /* ttl */
	void *probe;
	int64_t ttl_ms;
	bool seen; /* in the present walk over the rows */
};

const char *
checks_worst(const struct service_row *row)
{
	struct check_state *k;
	const char *worst = "passing";

	OBJS_FOREACH (k, &row->checks) {
		if (str_eq(k->status, "critical"))
			return "critical";
		if (str_eq(k->status, "warning"))
			worst = "warning";
	}
	return worst;
}

const struct service_row *
checks_find(const struct catalog *c, const char *id, const struct check_state **check)
{
	autorows struct rows all = state_list(c->state, STATE_SERVICES, NULL);

	for (size_t i = 0; i < all.n; i++) {
		const struct service_row *row = all.at[i];
		struct check_state *k;
		OBJS_FOREACH (k, &row->checks)
			if (str_eq(k->check_id, id)) {
				*check = k;
				return row;
			}
	}
	return NULL;
}

int
checks_report(struct catalog *c, const struct service_row *row, const char *check_id,
    const char *status, const char *output, catalog_done *done, void *arg, struct err *e)
{
	autoarena struct arena a = ARENA_INIT;
	struct service_row *fresh = model_copy(&service_row_model, row, &a);
	struct command cmd = { 0 };
	struct check_state *k;

	OBJS_FOREACH (k, &fresh->checks)
		if (str_eq(k->check_id, check_id)) {
			k->status = status;
			k->output = output;
		}
	fresh->status = checks_worst(fresh);
	objs_add(&cmd.services, &a, fresh);
	return c->hooks.propose(c->hooks.ctx, &cmd, done, arg, e);
}

static void
told(void *arg, uint64_t index, const struct err *e)
{
	(void)arg;
	(void)index;
	if (e != NULL)
		log_warn("catalog", "the status of a check could not be stored: %s", e->text);
}

static void
report(struct check_watch *w, const char *status, const char *output)
{
	const struct check_state *k;
	const struct service_row *row = checks_find(w->c, w->id, &k);
	struct err e = ERR_INIT;

	if (row != NULL && checks_report(w->c, row, w->id, status, output, told, NULL, &e) < 0)
		told(NULL, 0, &e);
}

static void
expired(void *ctx)
{
	report(ctx, "critical", "TTL expired");
}

static void
probed(void *arg, const char *status, const char *output)
{
	report(arg, status, output);
}

static void
free_watch(struct check_watch *w)
{
	loop_timer_free(&w->timer);
	if (w->probe != NULL)
		w->c->hooks.probe_stop(w->c->hooks.ctx, w->probe);
	free(w->id);
	free(w->what);
	free(w);
}

static void
start(struct check_watch *w, const struct check_state *k)
{
	struct err e = ERR_INIT;

	if (str_eq(k->type, "ttl")) {
		w->ttl_ms = k->interval / NS_PER_MS > 0 ? k->interval / NS_PER_MS : 1;
		w->timer = loop_timer(
		    w->c->loop, str_eq(k->status, "critical") ? -1 : w->ttl_ms, 0, expired, w);
		return;
	}
	if (w->c->hooks.probe_start == NULL)
		return;
	struct catalog_probe p = { .type = k->type,
		.target = k->target,
		.interval_ns = k->interval,
		.timeout_ns = k->timeout,
		.status = k->status };
	w->probe = w->c->hooks.probe_start(w->c->hooks.ctx, &p, probed, w, &e);
	if (w->probe == NULL)
		log_warn("catalog", "check %s is not carried out: %s", w->id, e.text);
}

static void
follow_check(struct catalog *c, const struct check_state *k)
{
	autofree char *what =
	    xasprintf("%s|%s|%" PRId64 "|%" PRId64, k->type != NULL ? k->type : "",
		k->target != NULL ? k->target : "", k->interval, k->timeout);
	struct check_watch *w = map_get(&c->checks, k->check_id);

	if (w != NULL && !str_eq(w->what, what)) {
		free_watch(map_del(&c->checks, k->check_id));
		w = NULL;
	}
	if (w == NULL) {
		w = xcalloc(1, sizeof(*w));
		*w =
		    (struct check_watch){ .c = c, .id = xstrdup(k->check_id), .what = take(&what) };
		map_set(&c->checks, k->check_id, w);
		start(w, k);
	}
	w->seen = true;
}

void
checks_follow(struct catalog *c)
{
	autorows struct rows all = state_list(c->state, STATE_SERVICES, NULL);
	size_t at = 0;
	const char *id;
	void *value;

	while (map_next(&c->checks, &at, NULL, &value))
		((struct check_watch *)value)->seen = false;
	for (size_t i = 0; i < all.n; i++) {
		const struct service_row *row = all.at[i];
		struct check_state *k;
		if (row->alloc_id != NULL && *row->alloc_id != '\0')
			continue; /* its node's client looks after it */
		OBJS_FOREACH (k, &row->checks)
			if (k->check_id != NULL)
				follow_check(c, k);
	}
	for (at = 0; map_next(&c->checks, &at, &id, &value);)
		if (!((struct check_watch *)value)->seen)
			free_watch(map_del(&c->checks, id));
}

void
checks_refresh_ttl(struct catalog *c, const char *id)
{
	struct check_watch *w = map_get(&c->checks, id);

	if (w != NULL && w->timer != NULL)
		loop_timer_set(w->timer, w->ttl_ms);
}

void
checks_free(struct catalog *c)
{
	size_t at = 0;
	void *value;

	while (map_next(&c->checks, &at, NULL, &value))
		free_watch(value);
	map_fini(&c->checks);
}
