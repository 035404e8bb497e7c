/*
 * task.c: one task: started, watched, restarted by its policy, stopped.
 *
 * What is wanted (kill_wanted, restart_wanted) and what is (phase) are two things; step() compares
 * them whenever either has changed. An end is always followed by the removal of what the driver
 * made, so that the next start begins clean.
 */
#include "client/priv.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/str.h"
#include "platform/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void do_start(struct client_task *t);
static void do_clean(struct client_task *t);

/* ---- events ---- */

enum { EVENT_MEMORY_MAX = 64 * 1024 };

static void
add_event(struct client_task *t, const struct task_event *ev)
{
	struct arena *mem = &t->event_mem[t->event_now];

	objs_add(&t->events, mem, model_copy(&task_event_model, ev, mem));
	if (t->events.n > TASK_EVENTS_MAX) {
		memmove(t->events.at, t->events.at + 1, TASK_EVENTS_MAX * sizeof(*t->events.at));
		t->events.n = TASK_EVENTS_MAX;
	}
	if (mem->total < EVENT_MEMORY_MAX)
		return;
	struct arena *fresh = &t->event_mem[!t->event_now];
	struct objs copy = { 0 };
	for (size_t i = 0; i < t->events.n; i++)
		objs_add(&copy, fresh, model_copy(&task_event_model, t->events.at[i], fresh));
	arena_fini(mem);
	t->events = copy;
	t->event_now = !t->event_now;
}

void
task_event(struct client_task *t, const char *type, const char *display, const char *const *details)
{
	autoarena struct arena mem = ARENA_INIT;
	struct task_event ev = {
		.type = type, .time = clock_wall_ns(), .display_message = display
	};

	for (; details != NULL && details[0] != NULL; details += 2)
		strmap_set(&ev.details, &mem, details[0], details[1]);
	add_event(t, &ev);
	sync_alloc_changed(t->alloc);
}

void
task_events_from(struct client_task *t, const struct task_state *s)
{
	t->restarts = s->restarts;
	t->last_restart = s->last_restart;
	t->started_at = s->started_at;
	t->finished_at = s->finished_at;
	t->failed = s->failed;
	for (size_t i = 0; i < s->events.n; i++)
		add_event(t, s->events.at[i]);
}

static void
ended_event(struct client_task *t, const struct driver_end *end)
{
	char text[160], code[16], sig[16];
	const char *details[] = { "exit_code", code, "signal", sig, "oom_killed",
		end->oom ? "true" : "false", NULL };

	snprintf(code, sizeof(code), "%d", end->code);
	snprintf(sig, sizeof(sig), "%d", end->signal);
	int n = snprintf(text, sizeof(text), "Exit Code: %d", end->code);
	if (end->signal != 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ", Signal: %d", end->signal);
	if (end->oom)
		snprintf(text + n, sizeof(text) - (size_t)n, ", Exit Message: \"OOM Killed\"");
	else if (end->lost)
		snprintf(text + n, sizeof(text) - (size_t)n,
		    ", Exit Message: \"its keeper ended without a record\"");
	task_event(t, "Terminated", text, details);
}

static void
fail_event(struct client_task *t, const struct err *e)
{
	const char *details[] = { "driver_error", e->text, NULL };

	task_event(t, "Driver Failure", e->text, details);
}

/* ---- states ---- */

static void
set_state(struct client_task *t, const char *state)
{
	if (strcmp(t->state, state) == 0)
		return;
	t->state = state;
	if (strcmp(state, "running") == 0)
		t->started_at = clock_wall_ns();
	if (strcmp(state, "dead") == 0)
		t->finished_at = clock_wall_ns();
	sync_alloc_changed(t->alloc);
}

static void
dead(struct client_task *t, bool failed)
{
	t->phase = TASK_DEAD;
	t->failed = failed;
	if (!t->force_down)
		set_state(t, "dead");
	alloc_save(t->alloc);
	alloc_task_changed(t->alloc);
}

/* ---- the end, and what follows ---- */

static void
on_backoff(void *ctx)
{
	struct client_task *t = ctx;

	if (t->phase == TASK_BACKOFF)
		do_start(t);
}

static void
back_off(struct client_task *t)
{
	char delay[CLOCK_TEXT], text[128];
	int64_t wait = t->after.wait_ns < 0 ? 0 : t->after.wait_ns;
	const char *details[] = { "restart_reason", t->after.reason, "start_delay", delay, NULL };

	t->phase = TASK_BACKOFF;
	t->restarts++;
	t->last_restart = clock_wall_ns();
	snprintf(text, sizeof(text), "Task restarting in %s", duration_text(wait, delay));
	snprintf(delay, sizeof(delay), "%lld", (long long)wait);
	task_event(t, "Restarting", text, details);
	set_state(t, "pending");
	alloc_task_changed(t->alloc);
	loop_timer_set(t->timer, wait / NS_PER_MS);
}

static void
after_clean(struct client_task *t)
{
	if (t->force_down) {
		dead(t, t->failed);
		return;
	}
	if (t->kill_wanted) {
		dead(t, t->failed);
		return;
	}
	if (t->restart_wanted || t->outside_stop) {
		t->restart_wanted = t->outside_stop = false;
		do_start(t);
		return;
	}
	switch (t->after.verdict) {
	case RESTART_NOW_OR_LATER:
		back_off(t);
		return;
	case RESTART_DONE:
		dead(t, false);
		return;
	case RESTART_FAILED: {
		const char *details[] = { "restart_reason", t->after.reason, "fails_task", "true",
			NULL };
		task_event(t, "Not Restarting", t->after.reason, details);
		dead(t, true);
		return;
	}
	}
}

static void
on_destroyed(void *ctx, const struct err *e)
{
	struct client_task *t = ctx;

	t->ops--;
	if (e != NULL && e->kind != ERR_ABSENT)
		log_warn("client.task", "alloc_id=%s task=%s: remove: %s", t->alloc->id,
		    t->job_task->name, e->text);
	free(t->handle);
	t->handle = NULL;
	alloc_save(t->alloc);
	after_clean(t);
}

static void
do_clean(struct client_task *t)
{
	if (t->handle == NULL || t->driver == NULL) {
		after_clean(t);
		return;
	}
	t->phase = TASK_CLEANING;
	t->ops++;
	t->driver->ops->destroy(t->driver, t->handle, on_destroyed, t);
}

static double
chance(void)
{
	uint32_t n;

	ids_random(&n, sizeof(n));
	return n / 4294967296.0;
}

static void
ask_policy(struct client_task *t, bool ok, bool may_retry)
{
	restart_ended(&t->restart, clock_mono_ns(), ok, may_retry, chance(), &t->after);
}

static void
on_ended(void *ctx, const struct driver_end *end, const struct err *e)
{
	struct client_task *t = ctx;
	bool ok = e == NULL && !end->lost && end->code == 0 && end->signal == 0;

	t->ops--;
	if (e != NULL && e->kind == ERR_BUSY) {
		log_warn("client.task", "alloc_id=%s task=%s: wait: %s", t->alloc->id,
		    t->job_task->name, e->text);
	}
	if (!t->force_down)
		ended_event(t, end);
	if (t->kill_wanted)
		task_event(t, "Killed", "Task successfully killed", NULL);
	/* An end that an earlier agent or a power cut left behind counts for nothing. */
	if (!t->kill_wanted && !t->restart_wanted)
		ask_policy(t, ok, true);
	do_clean(t);
}

/* ---- the start ---- */

static void
runs(struct client_task *t, const struct driver_run *run)
{
	free(t->handle);
	t->handle = xstrdup(run->handle);
	str_copy(t->ip, sizeof(t->ip), run->ip != NULL ? run->ip : "");
	str_copy(t->ip6, sizeof(t->ip6), run->ip6 != NULL ? run->ip6 : "");
	t->phase = TASK_RUNNING;
	t->ever_ran = true;
	alloc_save(t->alloc);
	t->ops++;
	t->driver->ops->wait(t->driver, t->handle, on_ended, t);
}

static void do_stop(struct client_task *t);

static void
on_started(void *ctx, const struct driver_run *run, const struct err *e, bool retry)
{
	struct client_task *t = ctx;

	t->ops--;
	if (run == NULL) {
		if (!t->force_down)
			fail_event(t, e);
		log_warn("client.task", "alloc_id=%s task=%s: start: %s", t->alloc->id,
		    t->job_task->name, e->text);
		ask_policy(t, false, retry);
		do_clean(t);
		return;
	}
	t->alloc->adopted = false;
	runs(t, run);
	task_event(t, "Started", "Task started by client", NULL);
	set_state(t, "running");
	if (t->kill_wanted || t->restart_wanted || t->force_down)
		do_stop(t);
	else
		alloc_task_changed(t->alloc);
}

static void
on_note(void *ctx, const char *text)
{
	struct client_task *t = ctx;
	const char *details[] = { "message", text, NULL };

	task_event(t, "Driver", text, details);
}

static void
add_binds(struct client_task *t, struct driver_task *d, struct arena *mem)
{
	struct driver_bind *binds = arena_array(mem, 3, struct driver_bind);
	const char *base = arena_printf(mem, "%s/%s", t->alloc->client->alloc_root, t->alloc->id);

	binds[0] = (struct driver_bind){ arena_printf(mem, "%s/alloc", base), "/alloc", false };
	binds[1] = (struct driver_bind){ arena_printf(mem, "%s/%s/local", base, t->job_task->name),
		"/local", false };
	binds[2] =
	    (struct driver_bind){ arena_printf(mem, "%s/%s/secrets", base, t->job_task->name),
		    "/secrets", false };
	d->binds = binds;
	d->n_binds = 3;
	d->task_dir = arena_printf(mem, "%s/%s/local", base, t->job_task->name);
	d->log_dir = arena_printf(mem, "%s/alloc/logs", base);
}

static int
fill(struct client_task *t, struct driver_task *d, struct arena *mem, struct err *e)
{
	const struct task *jt = t->job_task;
	const struct client_config *conf = &t->alloc->client->conf;
	struct taskenv env;

	taskenv_init(&env, t->alloc, jt, mem);
	*d = (struct driver_task){
		.alloc_id = t->alloc->id,
		.task = jt->name,
		.job_id = t->alloc->row->job_id,
		.group = t->alloc->group->name,
		.config = taskenv_any(&env, jt->config, mem),
		.user = jt->user,
		.cpu_mhz = jt->resources != NULL ? jt->resources->cpu : 0,
		.memory_mb = jt->resources != NULL ? jt->resources->memory_mb : 0,
		.log_max_files = jt->log_config != NULL ? (unsigned)jt->log_config->max_files : 10,
		.log_max_bytes =
		    (jt->log_config != NULL ? (uint64_t)jt->log_config->max_file_size_mb : 10)
		    << 20,
	};
	for (size_t i = 0; i < env.vars.n; i++)
		strs_add(
		    &d->env, mem, arena_printf(mem, "%s=%s", env.vars.key[i], env.vars.value[i]));
	d->ports = alloc_ports(t->alloc, jt, mem, &d->n_ports);
	add_binds(t, d, mem);
	int64_t most = conf->max_kill_timeout_ns, wanted = jt->kill_timeout;
	d->stop_timeout_ms = (wanted < most ? wanted : most) / NS_PER_MS;
	if (jt->kill_signal != NULL && jt->kill_signal[0] != '\0') {
		d->stop_signal = proc_signal_named(jt->kill_signal, e);
		if (d->stop_signal < 0)
			return err_ctx(e, "kill_signal");
	}
	return 0;
}

static void
do_start(struct client_task *t)
{
	autoarena struct arena mem = ARENA_INIT;
	struct driver_task d;
	struct err e = ERR_INIT;

	if (t->driver == NULL || !t->driver->detected) {
		err_new(&e, ERR_UNSUPPORTED, "driver %s is not available on this node%s%s",
		    t->job_task->driver, t->driver != NULL && t->driver->why != NULL ? ": " : "",
		    t->driver != NULL && t->driver->why != NULL ? t->driver->why : "");
	} else if (fill(t, &d, &mem, &e) == 0) {
		t->phase = TASK_STARTING;
		/* The handle is kept before anything is made: a crash in between leaves nothing
		 * unnamed. */
		free(t->handle);
		t->handle = xstrdup(t->driver->ops->handle(&d, &mem));
		alloc_save(t->alloc);
		t->ops++;
		t->driver->ops->start(t->driver, &d, on_note, on_started, t);
		return;
	}
	fail_event(t, &e);
	ask_policy(t, false, false);
	after_clean(t);
}

static void
on_adopted(void *ctx, const struct driver_run *run, const struct err *e, bool retry)
{
	struct client_task *t = ctx;

	(void)retry;
	t->ops--;
	if (run != NULL) {
		log_info("client.task", "alloc_id=%s task=%s: still running, adopted", t->alloc->id,
		    t->job_task->name);
		t->alloc->adopted = true;
		runs(t, run);
		t->state = "running";
		if (t->started_at == 0)
			t->started_at = clock_wall_ns();
		if (t->kill_wanted || t->force_down)
			do_stop(t);
		else
			alloc_task_changed(t->alloc);
		return;
	}
	log_info("client.task", "alloc_id=%s task=%s: %s; starting it again", t->alloc->id,
	    t->job_task->name, e->text);
	t->outside_stop = true; /* what took it down was no fault of its own */
	do_clean(t);
}

void
task_begin(struct client_task *t, const char *handle)
{
	if (handle != NULL && t->driver != NULL && t->driver->detected) {
		t->phase = TASK_ADOPTING;
		t->handle = xstrdup(handle);
		t->ops++;
		t->driver->ops->adopt(t->driver, handle, on_adopted, t);
		return;
	}
	do_start(t);
}

/* ---- stopping ---- */

static void
on_stopped(void *ctx, const struct err *e)
{
	struct client_task *t = ctx;

	/* The end itself is told by the wait; a failed stop leaves it running, and said so. */
	t->ops--;
	if (e != NULL && e->kind != ERR_ABSENT)
		log_error("client.task", "alloc_id=%s task=%s: stop: %s", t->alloc->id,
		    t->job_task->name, e->text);
}

static void
do_stop(struct client_task *t)
{
	char timeout[CLOCK_TEXT], text[128];

	switch (t->phase) {
	case TASK_RUNNING:
		t->phase = TASK_STOPPING;
		if (t->kill_wanted) {
			snprintf(text, sizeof(text),
			    "Sent interrupt. Waiting %s before force killing",
			    duration_text(t->job_task->kill_timeout, timeout));
			task_event(t, "Killing", text, NULL);
		}
		t->ops++;
		t->driver->ops->stop(t->driver, t->handle, 0, -1, on_stopped, t);
		return;
	case TASK_BACKOFF:
	case TASK_PENDING:
		loop_timer_set(t->timer, -1);
		if (t->kill_wanted || t->force_down)
			do_clean(t);
		else
			do_start(t);
		return;
	case TASK_ADOPTING:
	case TASK_STARTING:
	case TASK_STOPPING:
	case TASK_CLEANING:
	case TASK_DEAD:
		return; /* looked at again when the step under way has ended */
	}
}

void
task_kill(struct client_task *t, const char *reason)
{
	if (t->kill_wanted || t->phase == TASK_DEAD)
		return;
	t->kill_wanted = true;
	if (reason != NULL)
		task_event(t, "Killing", reason, NULL);
	do_stop(t);
}

void
task_restart(struct client_task *t, const char *reason)
{
	if (t->kill_wanted || t->phase == TASK_DEAD || t->restart_wanted)
		return;
	t->restart_wanted = true;
	t->restarts++;
	t->last_restart = clock_wall_ns();
	task_event(t, "Restart Signaled", reason, NULL);
	do_stop(t);
}

void
task_force_down(struct client_task *t)
{
	if (t->phase == TASK_DEAD || t->force_down)
		return;
	t->force_down = true;
	do_stop(t);
}

/* ---- birth and death ---- */

static void
policy(struct client_task *t, const struct restart_policy *p)
{
	if (p == NULL)
		return;
	t->restart = (struct restart){
		.attempts = p->attempts,
		.interval_ns = p->interval,
		.delay_ns = p->delay,
		.mode_delay = p->mode != NULL && strcmp(p->mode, "delay") == 0,
		.only_failed =
		    strcmp(t->alloc->row->job->type != NULL ? t->alloc->row->job->type : "",
			"batch") == 0,
	};
}

void
task_init(struct client_task *t, struct client_alloc *a, const struct task *jt)
{
	struct client *c = a->client;

	*t = (struct client_task){
		.alloc = a, .job_task = jt, .phase = TASK_PENDING, .state = "pending"
	};
	for (size_t i = 0; i < DRIVERS; i++)
		if (str_eq(c->driver[i].ops->name, jt->driver))
			t->driver = &c->driver[i];
	policy(t, jt->restart_policy != NULL ? jt->restart_policy : a->group->restart_policy);
	t->timer = loop_timer(c->loop, -1, 0, on_backoff, t);
}

void
task_fini(struct client_task *t)
{
	loop_timer_free(&t->timer);
	free(t->handle);
	arena_fini(&t->event_mem[0]);
	arena_fini(&t->event_mem[1]);
}
