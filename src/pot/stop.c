#include "pot/start.h"

#include <string.h>
#include <unistd.h>

/*
 * Stop. The keeper ends the pot and walks the phases down itself (it becomes pot-runner --finish,
 * which wants the lock), so the lock is not held while waiting for it; whatever is left afterwards
 * is walked down here.
 */

int
pot_finish(struct pot_env *env, const char *name, const char *run_id, struct err *e)
{
	struct run r;

	if (run_read(env, name, &r, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (strcmp(r.id, run_id) != 0)
		return 0;
	/* a start that is not through undoes what it did by itself, and holds the lock meanwhile */
	struct err ignored = ERR_INIT;
	if (r.running_ns == 0 && r.starter != getpid() &&
	    env->host->proc->alive(r.starter, r.starter_start, &ignored) > 0)
		return 0;
	bool raw = str_starts(name, RUN_RAW_PREFIX);
	autofd int lock =
	    raw ? lock_named(env, name, LOCK_WAIT, e) : lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0)
		return -1;
	if (run_read(env, name, &r, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (strcmp(r.id, run_id) != 0)
		return 0;
	return run_down(env, &r, e);
}

/* exec_stop: inside, before the signal; its failure is told, the stop goes on. */
static void
run_exec_stop(struct pot_env *env, const char *name)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pot_spec *spec;
	int status = 0;

	if (pot_spec_load(env, name, &mem, &spec, &e) < 0)
		return;
	const char *line = pot_spec_attr(spec, "exec_stop");
	if (*line == '\0')
		return;
	const char *const argv[] = { "/bin/sh", "-c", line, NULL };
	struct pot_exec_options o = { .argv = argv, .pot_env = true, .fds = { -1, -1, -1 } };
	if (pot_exec(env, name, &o, &status, &e) < 0)
		pot_say(env, POT_SAY_ERROR, "exec_stop of pot %s: %s", name, e.text);
	else if (status != 0)
		pot_say(env, POT_SAY_ERROR, "exec_stop of pot %s ended with %d", name, status);
}

static int
end_keeper(
    struct pot_env *env, const struct run *r, const struct pot_stop_options *o, struct err *e)
{
	if (o->timeout_ms == 0)
		return env->keep->kill(r->keeper, r->keeper_start, e);
	return env->keep->stop(r->keeper, r->keeper_start, o->signal, o->timeout_ms, -1, e);
}

static int
stop_live(struct pot_env *env, const char *name, struct run *r, int *lock,
    const struct pot_stop_options *o, struct err *e)
{
	struct run left;

	if (!r->stopping) { /* else somebody else was so far before us */
		hook_tell_of(env, name, POT_HOOK_PRESTOP, r->init);
		run_exec_stop(env, name);
	}
	if ((!r->stopping || run_stop_abandoned(env, r)) && run_stopping(env, r, e) < 0)
		return -1;
	own_close(lock);
	*lock = -1;
	if (end_keeper(env, r, o, e) < 0)
		return -1;
	*lock = lock_pot(env, name, LOCK_WAIT, e);
	if (*lock < 0)
		return -1;
	if (run_read(env, name, &left, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (strcmp(left.id, r->id) != 0)
		return 0; /* started again meanwhile */
	return run_down(env, &left, e);
}

static int
stop_locked(struct pot_env *env, const char *name, int *lock, const struct pot_stop_options *o,
    struct err *e)
{
	struct run r;

	if (run_read(env, name, &r, e) < 0) {
		if (e->kind == ERR_CORRUPT)
			return run_purge(env, name, true, e);
		if (e->kind != ERR_ABSENT)
			return -1;
		int there = pot_exists(env, name, e);
		if (there == 0)
			err_new(e, ERR_ABSENT, "no pot is named '%s'", name);
		int stray = there > 0 ? stray_runs(env, name, e) : -1;
		return stray > 0 ? stray_end(env, name, e) : stray;
	}
	int alive = run_alive(env, &r, e);
	if (alive < 0)
		return -1;
	if (alive == 0)
		return run_down(env, &r, e);
	if (r.running_ns == 0)
		return run_settle(env, name, lock, e);
	return stop_live(env, name, &r, lock, o, e);
}

int
pot_stop(struct pot_env *env, const char *name, const struct pot_stop_options *o, struct err *e)
{
	static const struct pot_stop_options usual = { .timeout_ms = -1 };

	if (pot_name_check(name, e) < 0 || need_root("stop", e) < 0)
		return -1;
	run_sweep(env);
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0 || stop_locked(env, name, &lock, o != NULL ? o : &usual, e) < 0)
		return err_ctx(e, "stop %s", name);
	return 0;
}
