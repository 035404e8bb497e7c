/*
 * The `raw_exec` driver: a command on the host itself, without isolation, in a control group and
 * under a keeper of its own. Off unless the agent's configuration allows it.
 *
 * Config keys as Nomad's: command, args. The command runs as the task's `user`, else as the
 * agent's.
 */
#include "client/driver.h"
#include "client/driver_call.h"

#include "base/ids.h"
#include "base/str.h"
#include "codec/any.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
check(const struct any *config, struct err *e)
{
	for (size_t i = 0; any_type(config) == ANY_MAP && i < config->n; i++) {
		const char *key = config->map.key[i];
		if (strcmp(key, "command") != 0 && strcmp(key, "args") != 0)
			return err_new(
			    e, ERR_INPUT, "config of driver raw_exec: unknown key \"%s\"", key);
	}
	const struct any *args = any_get(config, "args"), *command = any_get(config, "command");
	if (any_type(command) != ANY_STR || any_empty(command))
		return err_new(e, ERR_INPUT, "config of driver raw_exec: \"command\" is required");
	if (any_type(args) != ANY_NULL && any_type(args) != ANY_LIST)
		return err_new(e, ERR_INPUT,
		    "config of driver raw_exec: \"args\" must be a list of strings, not a %s",
		    any_type_name(args));
	return 0;
}

/* Runs of one task follow one another, so its name gives the run's. */
static char *
handle(const struct driver_task *t, struct arena *a)
{
	const char *whole = arena_printf(a, "%s/%s", t->alloc_id, t->task);

	return arena_printf(
	    a, "%012" PRIx64, ids_hash64(whole, strlen(whole)) & UINT64_C(0xffffffffffff));
}

struct start {
	driver_started *started;
	void *ctx;
};

static void
on_started(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	if (e != NULL)
		s->started(s->ctx, NULL, e, e->kind != ERR_INPUT);
	else {
		struct driver_run run = { .handle = r->runs[0].run_id };
		s->started(s->ctx, &run, NULL, false);
	}
	free(s);
}

static const char *const *
command_of(const struct any *config, struct arena *a)
{
	const struct any *args = any_get(config, "args");
	size_t n = any_type(args) == ANY_LIST ? args->n : 0;
	const char **argv = arena_array(a, n + 2, const char *);

	argv[0] = any_text(any_get(config, "command"));
	for (size_t i = 0; i < n; i++) {
		const char *text = any_scalar_text(any_at(args, i), a);
		argv[i + 1] = text != NULL ? text : "";
	}
	return argv;
}

static void
start(struct driver *d, const struct driver_task *t, driver_note *note, driver_started *started,
    void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_RAW_START, .run_id = handle(t, &mem) };
	struct err e = ERR_INIT;

	(void)note;
	if (check(t->config, &e) < 0) {
		driver_refuse(d->runner, &e, false, started, ctx);
		return;
	}
	const char **env = arena_array(&mem, t->env.n + 1, const char *);
	for (size_t i = 0; i < t->env.n; i++)
		env[i] = t->env.at[i];
	req.argv = command_of(t->config, &mem);
	req.env = env;
	req.cwd = t->task_dir;
	req.user = t->user != NULL && t->user[0] != '\0' ? t->user : NULL;
	req.log = (struct runner_log){ t->log_dir, t->task, t->log_max_files, t->log_max_bytes };
	req.memory_bytes = (uint64_t)t->memory_mb << 20;
	req.cpu_shares = (unsigned)t->cpu_mhz;
	req.stop_signal = t->stop_signal;
	req.stop_timeout_ms = t->stop_timeout_ms;
	struct start *s = xcalloc(1, sizeof(*s));
	*s = (struct start){ started, ctx };
	runner_call(d->runner, &req, NULL, 0, NULL, on_started, s);
}

struct adopt {
	char *run_id;
	driver_started *started;
	void *ctx;
};

static void
on_listed(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct adopt *ad = ctx;
	struct err gone = ERR_INIT;
	bool found = false;

	for (size_t i = 0; e == NULL && i < r->n_runs; i++)
		found = found || (str_eq(r->runs[i].run_id, ad->run_id) && r->runs[i].running);
	struct driver_run run = { .handle = ad->run_id };
	if (!found && e == NULL)
		err_new(&gone, ERR_ABSENT, "raw_exec run %s does not run any more", ad->run_id);
	ad->started(ad->ctx, found ? &run : NULL, found ? NULL : e != NULL ? e : &gone, true);
	free(ad->run_id);
	free(ad);
}

static void
adopt(struct driver *d, const char *h, driver_started *started, void *ctx)
{
	struct adopt *ad = xcalloc(1, sizeof(*ad));
	struct runner_request req = { .op = RUNNER_POT_LIST };

	*ad = (struct adopt){ xstrdup(h), started, ctx };
	runner_call(d->runner, &req, NULL, 0, NULL, on_listed, ad);
}

static void
wait_for(struct driver *d, const char *h, driver_ended *ended, void *ctx)
{
	struct runner_request req = { .op = RUNNER_RAW_WAIT, .run_id = h };

	driver_call_ended(d->runner, &req, ended, ctx);
}

static void
stop(struct driver *d, const char *h, int stop_signal, int64_t timeout_ms, driver_done *done,
    void *ctx)
{
	struct runner_request req = { .op = RUNNER_RAW_STOP,
		.run_id = h,
		.stop_signal = stop_signal,
		.stop_timeout_ms = timeout_ms };

	driver_call_done(d->runner, &req, done, ctx);
}

static void
signal_it(struct driver *d, const char *h, int sig, driver_done *done, void *ctx)
{
	struct runner_request req = { .op = RUNNER_RAW_SIGNAL, .run_id = h, .signal = sig };

	driver_call_done(d->runner, &req, done, ctx);
}

static void
destroy(struct driver *d, const char *h, driver_done *done, void *ctx)
{
	struct runner_request req = { .op = RUNNER_RAW_DESTROY, .run_id = h };

	driver_call_done(d->runner, &req, done, ctx);
}

static void
usage(struct driver *d, const char *h, driver_usage_fn *fn, void *ctx)
{
	struct runner_request req = { .op = RUNNER_RAW_USAGE, .run_id = h };

	driver_call_usage(d->runner, &req, fn, ctx);
}

static uint64_t
exec_in(struct driver *d, const char *h, const struct driver_exec *x, const int fds[3],
    runner_event *event, runner_done *done, void *ctx)
{
	struct runner_request req = { .op = RUNNER_RAW_EXEC,
		.run_id = h,
		.argv = x->argv,
		.env = x->env,
		.tty = x->tty,
		.rows = x->rows,
		.columns = x->columns };

	return runner_call(d->runner, &req, fds, x->tty ? 0 : 3, event, done, ctx);
}

const struct driver_ops driver_raw = {
	.name = "raw_exec",
	.check = check,
	.start = start,
	.adopt = adopt,
	.wait = wait_for,
	.stop = stop,
	.signal = signal_it,
	.destroy = destroy,
	.usage = usage,
	.exec = exec_in,
	.handle = handle,
};
