#include "plugin/task.h"

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
	char *run_id; /* of the handle; "" unknown */
};

static void
recover_free(struct recover *r)
{
	if (r->call != NULL)
		grpc_on_gone(r->call, NULL, NULL);
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
	if (r->call != NULL)
		grpc_reply_empty(r->call);
	r->call = NULL;
	recover_free(r);
}

static void
on_waited(void *ctx, const struct runner_reply *reply, const struct err *e)
{
	struct recover *r = ctx;

	if (e != NULL || reply->lost) {
		fail(r, e != NULL ? e->text : "it does not run any more");
		return;
	}
	/* asked once more for the record, which is there: the usual way to an exit */
	task_runs(r->task, r->run_id);
	done(r);
}

static void
on_listed(void *ctx, const struct runner_reply *reply, const struct err *e)
{
	struct recover *r = ctx;
	struct runner_request req = { .op = RUNNER_POT_WAIT, .pot = r->task->pot };
	struct err ignored = ERR_INIT;
	const struct runner_run *run = e == NULL && reply->n_runs > 0 ? &reply->runs[0] : NULL;

	if (e != NULL) {
		fail(r, e->text);
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
		runner_call(plugin_runner(r->plugin, &ignored), &req, NULL, 0, NULL, on_waited, r);
	}
}

static void
begin(struct plugin *p, struct grpc_call *call, const Np__TaskConfig *config,
    const struct task_kept *kept)
{
	struct recover *r = xcalloc(1, sizeof(*r));
	struct runner_request req = { .op = RUNNER_POT_LIST };
	struct err e = ERR_INIT;
	autoarena struct arena mem = ARENA_INIT;
	struct strs env = { 0 };
	struct runner *runner = plugin_runner(p, &e);

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
	if (runner == NULL) {
		fail(r, e.text);
		return;
	}
	req.pot = r->task->pot;
	runner_call(runner, &req, NULL, 0, NULL, on_listed, r);
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
