#include "base/clock.h"
#include "pot/start.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
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

/* ---- exec_stop: a command inside, before the signal ---- */

enum { GONE = 1, GRACE_OVER = 0 };

static int
await_command(struct pot_env *env, pid_t command, int64_t ms, struct err *e)
{
	const struct proc_ops *proc = env->host->proc;
	uint64_t since;
	int handle = proc->start_time(command, &since, e) < 0 ? -1 : proc->open(command, since, e);

	if (handle < 0)
		return e->kind == ERR_ABSENT ? GONE : -1;
	int ended = proc->wait(handle, ms < INT_MAX ? (int)ms : INT_MAX, e);
	close(handle);
	return ended;
}

/* Whom nothing can be heard of is not waited for: the stop must come to its end. */
static int
see_command_off(
    struct pot_env *env, const char *name, pid_t command, int64_t ms, int *status, struct err *e)
{
	int rc = await_command(env, command, ms, e);

	if (rc == GRACE_OVER)
		err_new(e, ERR_TIMEOUT, "it goes on when the time to stop is over, and is killed");
	if (rc != GONE) {
		(void)kill(-command, SIGKILL);
		(void)kill(command, SIGKILL);
	}
	while (waitpid(command, status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for it in pot %s", name);
	return rc == GONE ? 0 : -1;
}

/* Its failure is told, the stop goes on. */
static void
run_exec_stop(struct pot_env *env, const char *name, const char *line, int64_t ms)
{
	const char *const argv[] = { "/bin/sh", "-c", line, NULL };
	struct pot_exec_options o = { .argv = argv, .pot_env = true, .fds = { -1, -1, -1 } };
	struct err e = ERR_INIT;
	int status = 0, pty;
	pid_t command;

	if (pot_enter(env, name, &o, &command, &pty, &e) < 0 ||
	    see_command_off(env, name, command, ms, &status, &e) < 0)
		pot_say(env, POT_SAY_ERROR, "exec_stop of pot %s: %s", name, e.text);
	else if (status != 0)
		pot_say(env, POT_SAY_ERROR, "exec_stop of pot %s ended with %d", name,
		    WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* "": none, or of a pot that cannot be read any more. */
static const char *
exec_stop_of(struct pot_env *env, const char *name, struct arena *mem)
{
	struct err e = ERR_INIT;
	struct pot_spec *spec;

	return pot_spec_load(env, name, mem, &spec, &e) < 0 ? "" : pot_spec_attr(spec, "exec_stop");
}

/* ---- a run that is live ---- */

static int
end_keeper(struct pot_env *env, const struct run *r, int signal, int64_t grace_ms, struct err *e)
{
	if (grace_ms == 0)
		return env->keep->kill(r->keeper, r->keeper_start, e);
	return env->keep->stop(r->keeper, r->keeper_start, signal, grace_ms, -1, e);
}

static void
release(int *lock)
{
	own_close(lock);
	*lock = -1;
}

/* With the lock again: what has become of the run. 0: it is through, or another has begun. */
static int
look_again(struct pot_env *env, struct run *r, int *lock, struct err *e)
{
	struct run now;

	*lock = lock_pot(env, r->name, LOCK_WAIT, e);
	if (*lock < 0)
		return -1;
	if (run_read(env, r->name, &now, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if (strcmp(now.id, r->id) != 0)
		return 0;
	*r = now;
	return 1;
}

/* What exec_stop takes is taken from the grace. It may hang, and what ends the pot all the same
 * wants the lock: it is not held meanwhile, and the record says that the run is being stopped. 1:
 * the run goes on; 0: it has come to its end. */
static int
stop_gently(struct pot_env *env, struct run *r, int *lock, int64_t *grace_ms, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const char *line = exec_stop_of(env, r->name, &mem);
	int64_t ms = *grace_ms < 0 ? r->stop_timeout_ms : *grace_ms;

	if (*line == '\0' || ms == 0)
		return 1;
	int64_t end = clock_mono_ns() + ms * NS_PER_MS;
	release(lock);
	run_exec_stop(env, r->name, line, ms);
	int64_t left = (end - clock_mono_ns()) / NS_PER_MS;
	*grace_ms = left > 0 ? left : 0;
	int rc = look_again(env, r, lock, e);
	if (rc <= 0)
		return rc;
	int alive = run_alive(env, r, e);
	return alive == 0 ? run_down(env, r, e) : alive;
}

static int
stop_live(
    struct pot_env *env, struct run *r, int *lock, const struct pot_stop_options *o, struct err *e)
{
	int64_t grace_ms = o->timeout_ms;
	bool first = !r->stopping; /* else somebody else was so far before us */

	if (first)
		hook_tell_of(env, r->name, POT_HOOK_PRESTOP, r->init);
	if ((first || run_stop_abandoned(env, r)) && run_stopping(env, r, e) < 0)
		return -1;
	int rc = first ? stop_gently(env, r, lock, &grace_ms, e) : 1;
	if (rc <= 0)
		return rc;
	release(lock);
	if (end_keeper(env, r, o->signal, grace_ms, e) < 0)
		return -1;
	rc = look_again(env, r, lock, e);
	return rc <= 0 ? rc : run_down(env, r, e);
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
	return stop_live(env, &r, lock, o, e);
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
