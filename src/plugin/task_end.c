#include "plugin/task.h"

#include "base/clock.h"
#include "base/log.h"
#include "plugin/text.h"

#include <string.h>

/*
 * Waiting, stopping, signals, removal.
 */

/* A call that an answer of the runner ends. */
struct asked {
	struct grpc_call *call; /* NULL: cancelled */
	struct plugin *plugin;
	char *id;
	char *pot;
	bool forgiving; /* a failure is only logged */
};

static void
on_gone(void *ctx)
{
	struct asked *a = ctx;

	a->call = NULL;
}

static struct asked *
ask(struct plugin *p, struct grpc_call *call, const char *id, const char *pot)
{
	struct asked *a = xcalloc(1, sizeof(*a));

	a->call = call;
	a->plugin = p;
	a->id = xstrdup(id);
	a->pot = xstrdup(pot);
	grpc_on_gone(call, on_gone, a);
	return a;
}

static void
asked_free(struct asked *a)
{
	free(a->id);
	free(a->pot);
	free(a);
}

static void
fail(struct grpc_call *call, const struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;

	grpc_fail(call, GRPC_UNKNOWN, text_utf8(e->text, &mem));
}

static void
answer(struct asked *a, const struct err *e)
{
	if (a->call == NULL)
		return;
	if (e == NULL)
		grpc_reply_empty(a->call);
	else
		fail(a->call, e);
	a->call = NULL;
}

static struct runner *
runner_or_fail(struct plugin *p, struct grpc_call *call)
{
	struct err e = ERR_INIT;
	struct runner *r = plugin_runner(p, &e);

	if (r == NULL)
		fail(call, &e);
	return r;
}

/* ---- wait, inspect ---- */

void
on_wait_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__TaskId *m = (const Np__TaskId *)message;
	struct task *t = task_of(ctx, call, m->task_id);
	Np__WaitTaskResponse reply = NP__WAIT_TASK_RESPONSE__INIT;
	Np__ExitResult result = NP__EXIT_RESULT__INIT;

	if (t == NULL)
		return;
	if (t->state != TASK_EXITED) {
		stream_add(&t->waits, call);
		return;
	}
	task_result(t, &result);
	reply.result = &result;
	if (t->lost)
		reply.err = (char *)(uintptr_t) "the pot is gone and how it ended is not known";
	grpc_reply(call, &reply.base);
}

void
on_inspect_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__TaskId *m = (const Np__TaskId *)message;
	struct task *t = task_of(ctx, call, m->task_id);
	Np__InspectTaskResponse reply = NP__INSPECT_TASK_RESPONSE__INIT;
	Np__TaskStatus status = NP__TASK_STATUS__INIT;
	Np__Timestamp started = NP__TIMESTAMP__INIT, completed = NP__TIMESTAMP__INIT;
	Np__ExitResult result = NP__EXIT_RESULT__INIT;
	Np__DriverStatus driver = NP__DRIVER_STATUS__INIT;
	Np__TextEntry rows[3], *entries[3];
	size_t n = 0;

	if (t == NULL)
		return;
	const char *const facts[][2] = { { "pot", t->pot }, { "run", t->run_id }, { "ip", t->ip } };
	for (size_t i = 0; i < NELEM(facts); i++) {
		if (facts[i][1] == NULL || facts[i][1][0] == '\0')
			continue;
		np__text_entry__init(&rows[n]);
		rows[n].key = (char *)(uintptr_t)facts[i][0];
		rows[n].value = (char *)(uintptr_t)facts[i][1];
		entries[n] = &rows[n];
		n++;
	}
	driver.n_attributes = n;
	driver.attributes = entries;
	task_timestamp(&started, t->started_ns);
	task_timestamp(&completed, t->ended_ns);
	task_result(t, &result);
	status.id = t->id;
	status.name = t->name;
	status.state = t->state == TASK_EXITED ? 2 : t->state == TASK_RUNNING ? 1 : 0;
	status.started_at = &started;
	status.completed_at = &completed;
	status.result = &result;
	reply.task = &status;
	reply.driver = &driver;
	grpc_reply(call, &reply.base);
}

/* ---- stop, signal ---- */

static void
on_stopped(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct asked *a = ctx;

	(void)r;
	answer(a, e);
	asked_free(a);
}

static int64_t
milliseconds(const Np__Duration *d)
{
	enum { MAX_S = 30 * 24 * 3600 };

	if (d == NULL || d->seconds < 0)
		return -1;
	return d->seconds > MAX_S ? (int64_t)MAX_S * 1000 : d->seconds * 1000 + d->nanos / 1000000;
}

void
on_stop_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__StopTask *m = (const Np__StopTask *)message;
	struct task *t = task_find(ctx, m->task_id);
	struct runner_request req = { .op = RUNNER_POT_STOP, .stop_timeout_ms = -1 };
	struct runner *r;

	/* what is not there has stopped: an error would be asked again and again */
	if (t == NULL || t->state == TASK_EXITED) {
		grpc_reply_empty(call);
		return;
	}
	if (*m->signal != '\0' && (req.stop_signal = text_signal(m->signal)) == 0)
		log_warn("task", "%s: kill_signal \"%s\" is unknown here; SIGTERM is sent", t->pot,
		    m->signal);
	req.pot = t->pot;
	req.stop_timeout_ms = milliseconds(m->timeout);
	if ((r = runner_or_fail(ctx, call)) != NULL)
		runner_call(r, &req, NULL, 0, NULL, on_stopped, ask(ctx, call, t->id, t->pot));
}

void
on_signal_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__SignalTask *m = (const Np__SignalTask *)message;
	struct task *t = task_of(ctx, call, m->task_id);
	struct runner_request req = { .op = RUNNER_POT_SIGNAL };
	struct err e = ERR_INIT;
	struct runner *r;

	if (t == NULL)
		return;
	if ((req.signal = text_signal(m->signal)) == 0) {
		err_new(&e, ERR_INPUT, "unknown signal \"%.64s\"", m->signal);
		fail(call, &e);
		return;
	}
	req.pot = t->pot;
	if ((r = runner_or_fail(ctx, call)) != NULL)
		runner_call(r, &req, NULL, 0, NULL, on_stopped, ask(ctx, call, t->id, t->pot));
}

/* ---- removal ---- */

static void
on_destroyed(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct asked *a = ctx;
	struct task *t = task_find(a->plugin, a->id);

	(void)r;
	if (e != NULL)
		log_warn("task", "remove %s: %s", a->pot, e->text);
	/* one that starts now is another one of that name */
	if (t != NULL && t->state != TASK_STARTING && (e == NULL || a->forgiving))
		task_free(t);
	answer(a, a->forgiving ? NULL : e);
	asked_free(a);
}

void
on_destroy_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__DestroyTask *m = (const Np__DestroyTask *)message;
	autoarena struct arena mem = ARENA_INIT;
	struct task *t = task_find(ctx, m->task_id);
	struct runner_request req = { .op = RUNNER_POT_DESTROY, .force = true };
	struct runner *r;

	if (t != NULL && t->state != TASK_EXITED && !m->force) {
		grpc_fail(call, GRPC_UNKNOWN, "cannot destroy running task");
		return;
	}
	if (t != NULL && t->state == TASK_STARTING) {
		grpc_fail(call, GRPC_UNKNOWN, "the task is being started");
		return;
	}
	if (*m->task_id == '\0') {
		grpc_reply_empty(call);
		return;
	}
	/* one that we do not know may be what an earlier plugin left: the name follows from the id
	 */
	req.pot = t != NULL ? t->pot : text_pot_name(m->task_id, &mem);
	if ((r = runner_or_fail(ctx, call)) == NULL)
		return;
	struct asked *a = ask(ctx, call, m->task_id, req.pot);
	a->forgiving = t == NULL;
	runner_call(r, &req, NULL, 0, NULL, on_destroyed, a);
}
