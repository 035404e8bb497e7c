#include "plugin/task.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "plugin/env.h"
#include "plugin/text.h"

#include <string.h>

/*
 * RecoverTask: the pot that a handle names is taken over as it is. By record, not by search: the
 * runner knows which run it is and whether its keeper lives; one that has ended meanwhile is taken
 * over with its exit code.
 */

struct recover {
	struct plugin *plugin;
	struct grpc_call *call;
	struct task *task;
	struct loop_timer *again;
	char *run_id; /* of the handle; "" unknown */
};

/* How long all recoveries together wait for a runner: an agent asks for one after the other. */
enum { PATIENCE_S = 30, AGAIN_MS = 1000 };

static void
recover_free(struct recover *r)
{
	if (r->call != NULL)
		grpc_on_gone(r->call, NULL, NULL);
	loop_timer_free(&r->again);
	free(r->run_id);
	free(r);
}

static void
on_gone(void *ctx)
{
	struct recover *r = ctx;

	r->call = NULL;
}

static void
fail(struct recover *r, const char *why)
{
	autoarena struct arena mem = ARENA_INIT;
	const char *text = arena_printf(&mem, "pot %s: %s", r->task->pot, why);

	log_warn("task", "not recovered: %s", text);
	if (r->call != NULL)
		grpc_fail(r->call, GRPC_UNKNOWN, text_utf8(text, &mem));
	r->call = NULL;
	task_free(r->task);
	recover_free(r);
}

static void
done(struct recover *r)
{
	log_info("task", "%s is recovered", r->task->pot);
	r->plugin->recover_until_ns = 0;
	if (r->call != NULL)
		grpc_reply_empty(r->call);
	r->call = NULL;
	recover_free(r);
}

static void look(void *ctx);

/* A runner that is not there yet, or has too much to do, says nothing about the pot; and a task
 * that is not recovered is started anew, beside its pot that runs. */
static void
unsure(struct recover *r, const struct err *e)
{
	const int64_t patience = (int64_t)PATIENCE_S * NS_PER_SEC;
	int64_t now = clock_mono_ns(), *until = &r->plugin->recover_until_ns;

	/* one that ran out long ago was of another start of the agent */
	if (*until == 0 || now > *until + patience)
		*until = now + patience;
	if (e->kind == ERR_CORRUPT || e->kind == ERR_INPUT || r->call == NULL || now >= *until) {
		fail(r, e->text);
		return;
	}
	log_warn("task", "not recovered yet: pot %s: %s", r->task->pot, e->text);
	if (r->again == NULL)
		r->again = loop_timer(r->plugin->loop, AGAIN_MS, 0, look, r);
	else
		loop_timer_set(r->again, AGAIN_MS);
}

static void
ask(struct recover *r, const struct runner_request *req, runner_done *answered)
{
	struct err e = ERR_INIT;
	struct runner *runner = plugin_runner(r->plugin, &e);

	if (runner == NULL)
		unsure(r, &e);
	else
		runner_call(runner, req, NULL, 0, NULL, answered, r);
}

static void
on_waited(void *ctx, const struct runner_reply *reply, const struct err *e)
{
	struct recover *r = ctx;

	if (e != NULL) {
		unsure(r, e);
	} else if (reply->lost) {
		fail(r, "it does not run any more");
	} else {
		/* asked once more for the record, which is there: the usual way to an exit */
		task_runs(r->task, r->run_id);
		done(r);
	}
}

static void
on_listed(void *ctx, const struct runner_reply *reply, const struct err *e)
{
	struct recover *r = ctx;
	struct runner_request req = { .op = RUNNER_POT_WAIT, .pot = r->task->pot };
	const struct runner_run *run = e == NULL && reply->n_runs > 0 ? &reply->runs[0] : NULL;
	struct err soon = ERR_INIT;

	if (e != NULL) {
		unsure(r, e);
	} else if (run != NULL && run->starting &&
		   (r->run_id[0] == '\0' || str_eq(run->run_id, r->run_id))) {
		err_new(&soon, ERR_BUSY, "it is being started");
		unsure(r, &soon);
	} else if (run != NULL && run->running &&
		   (r->run_id[0] == '\0' || str_eq(run->run_id, r->run_id))) {
		if (run->ip != NULL)
			r->task->ip = xstrdup(run->ip);
		task_runs(r->task, run->run_id);
		done(r);
	} else if (r->run_id[0] == '\0') {
		fail(r, "it does not run any more");
	} else {
		req.run_id = r->run_id;
		ask(r, &req, on_waited);
	}
}

static void
look(void *ctx)
{
	struct recover *r = ctx;
	struct runner_request req = { .op = RUNNER_POT_LIST, .pot = r->task->pot };

	ask(r, &req, on_listed);
}

static void
begin(struct plugin *p, struct grpc_call *call, const Np__TaskConfig *config,
    const struct task_kept *kept)
{
	struct recover *r = xcalloc(1, sizeof(*r));
	struct err e = ERR_INIT;
	autoarena struct arena mem = ARENA_INIT;
	struct strs env = { 0 };

	r->plugin = p;
	r->call = call;
	r->run_id = xstrdup(kept != NULL ? kept->run_id : "");
	r->task = task_new(p, config->id, kept != NULL ? kept->name : config->name,
	    kept != NULL ? kept->alloc_id : config->alloc_id);
	grpc_on_gone(call, on_gone, r);
	if (env_gather(&env, config, "", &mem, &e) == 0)
		task_env(r->task, &env);
	if (kept != NULL) {
		free(r->task->image);
		r->task->image = xstrdup(kept->image);
		image_used(p, kept->image, 1);
		r->task->started_ns = kept->started_ns;
	}
	look(r);
}

void
on_recover_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__RecoverTask *m = (const Np__RecoverTask *)message;
	const Np__TaskConfig *config = m->handle != NULL ? m->handle->config : NULL;
	autoarena struct arena mem = ARENA_INIT;
	struct task_kept kept;

	if (config == NULL || *config->id == '\0') {
		grpc_fail(call, GRPC_UNKNOWN, "the handle names no task");
		return;
	}
	if (task_find(ctx, config->id) != NULL) { /* the agent came back, we never went */
		grpc_reply_empty(call);
		return;
	}
	bool ours = task_state_read(m->handle->driver_state.data, m->handle->driver_state.len, &mem,
			&kept) == 0;
	begin(ctx, call, config, ours ? &kept : NULL);
}
