#include "plugin/task.h"

#include "base/clock.h"
#include "base/fsm.h"
#include "base/log.h"
#include "codec/msgpack.h"
#include "plugin/text.h"

#include <string.h>

/*
 * What is known of a task, and how its end becomes known.
 */

static const struct fsm_state states[TASK_STATES] = {
	[TASK_STARTING] = { "starting", FSM_TO(TASK_RUNNING) | FSM_TO(TASK_EXITED) },
	[TASK_RUNNING] = { "running", FSM_TO(TASK_EXITED) },
	[TASK_EXITED] = { "exited", 0 },
};

struct task *
task_find(struct plugin *p, const char *id)
{
	return map_get(&p->tasks, id);
}

struct task *
task_of(struct plugin *p, struct grpc_call *call, const char *id)
{
	struct task *t = task_find(p, id);

	if (t == NULL)
		grpc_fail(call, GRPC_UNKNOWN, "task not found for given id");
	return t;
}

struct task *
task_new(struct plugin *p, const char *id, const char *name, const char *alloc_id)
{
	autoarena struct arena mem = ARENA_INIT;
	struct task *t = xcalloc(1, sizeof(*t));

	t->plugin = p;
	t->id = xstrdup(id);
	t->name = xstrdup(name);
	t->alloc_id = xstrdup(alloc_id);
	t->pot = xstrdup(text_pot_name(id, &mem));
	t->run_id = xstrdup("");
	t->image = xstrdup("");
	t->started_ns = clock_wall_ns();
	map_set(&p->tasks, id, t);
	return t;
}

void
task_env(struct task *t, const struct strs *env)
{
	for (size_t i = 0; i < env->n; i++)
		strs_add(&t->env, &t->env_mem, env->at[i]);
}

void
task_timestamp(Np__Timestamp *out, int64_t ns)
{
	/* Go's zero time when there is none */
	out->seconds = ns != 0 ? ns / NS_PER_SEC : -62135596800;
	out->nanos = ns != 0 ? (int32_t)(ns % NS_PER_SEC) : 0;
}

void
task_result(const struct task *t, Np__ExitResult *out)
{
	out->exit_code = t->code;
	out->signal = t->signal;
	out->oom_killed = t->oom;
}

static void
answer_waits(struct task *t)
{
	struct stream *s;

	while ((s = t->waits) != NULL) {
		struct grpc_call *call = s->call;
		Np__WaitTaskResponse reply = NP__WAIT_TASK_RESPONSE__INIT;
		Np__ExitResult result = NP__EXIT_RESULT__INIT;
		stream_free(s);
		task_result(t, &result);
		reply.result = &result;
		if (t->lost)
			reply.err =
			    (char *)(uintptr_t) "the pot is gone and how it ended is not known";
		grpc_reply(call, &reply.base);
	}
}

static void
exited(struct task *t)
{
	t->ended_ns = clock_wall_ns();
	fsm_move(states, &t->state, TASK_EXITED);
	answer_waits(t);
	stats_end(t);
}

void
task_free(struct task *t)
{
	struct err e = ERR_INIT;

	if (t->waiting != 0) {
		struct runner *r = plugin_runner(t->plugin, &e);
		if (r != NULL) {
			runner_cancel(r, t->waiting);
			runner_forget(r, t->waiting);
		}
	}
	if (t->state != TASK_EXITED) {
		t->lost = true;
		exited(t);
	}
	map_del(&t->plugin->tasks, t->id);
	image_used(t->plugin, t->image, -1);
	free(t->id);
	free(t->name);
	free(t->alloc_id);
	free(t->pot);
	free(t->run_id);
	free(t->image);
	free(t->ip);
	arena_fini(&t->env_mem);
	free(t);
}

static void
on_end(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct task *t = ctx;

	t->waiting = 0;
	if (e != NULL || r->lost) {
		log_warn("task", "%s: how it ended is not known%s%s", t->pot, e != NULL ? ": " : "",
		    e != NULL ? e->text : "");
		t->lost = true;
		t->code = 255;
	} else {
		t->code = r->code;
		t->signal = r->signal;
		t->oom = r->oom_killed;
	}
	exited(t);
}

void
task_runs(struct task *t, const char *run_id)
{
	struct runner_request req = { .op = RUNNER_POT_WAIT, .pot = t->pot };
	struct err e = ERR_INIT;
	struct runner *r = plugin_runner(t->plugin, &e);

	free(t->run_id);
	t->run_id = xstrdup(run_id);
	fsm_move(states, &t->state, TASK_RUNNING);
	req.run_id = t->run_id;
	if (r != NULL)
		t->waiting = runner_call(r, &req, NULL, 0, NULL, on_end, t);
}

/* ---- what Nomad keeps ---- */

enum { STATE_VERSION = 1 };

void
task_state_write(const struct task *t, struct buf *out)
{
	const struct {
		const char *key, *value;
	} rows[] = { { "pot", t->pot }, { "run", t->run_id }, { "image", t->image },
		{ "alloc", t->alloc_id }, { "task", t->name } };

	msgpack_map(out, NELEM(rows) + 2);
	msgpack_str(out, "v");
	msgpack_int(out, STATE_VERSION);
	msgpack_str(out, "start");
	msgpack_int(out, t->started_ns);
	for (size_t i = 0; i < NELEM(rows); i++) {
		msgpack_str(out, rows[i].key);
		msgpack_str(out, rows[i].value);
	}
}

int
task_state_read(const void *data, size_t len, struct arena *a, struct task_kept *out)
{
	struct err e = ERR_INIT;
	const struct any *v = msgpack_read(data, len, a, &e);
	const struct any *version = any_get(v, "v"), *start = any_get(v, "start");
	const struct {
		const char *key, **to;
	} rows[] = { { "pot", &out->pot }, { "run", &out->run_id }, { "image", &out->image },
		{ "alloc", &out->alloc_id }, { "task", &out->name } };

	*out = (struct task_kept){ .started_ns = 0 };
	if (any_type(version) != ANY_INT || version->i != STATE_VERSION ||
	    any_type(start) != ANY_INT)
		return -1;
	out->started_ns = start->i;
	for (size_t i = 0; i < NELEM(rows); i++)
		if ((*rows[i].to = any_text(any_get(v, rows[i].key))) == NULL)
			return -1;
	return 0;
}
