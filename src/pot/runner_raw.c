#include "pot/runner_priv.h"

#include "platform/account.h"
#include "platform/limits.h"

#include <string.h>
#include <unistd.h>

/*
 * Raw commands: host processes that are kept like pots, with the phases limits and isolate alone.
 */

int
raw_name(const struct runner_request *q, char out[POT_NAME_MAX + 1], struct err *e)
{
	if (q->run_id == NULL || strlen(q->run_id) != RUN_ID_TEXT - 1 ||
	    strspn(q->run_id, "0123456789abcdef") != RUN_ID_TEXT - 1)
		return err_new(e, ERR_INPUT, "a raw command needs a run id of 12 hex digits");
	snprintf(out, POT_NAME_MAX + 1, RUN_RAW_PREFIX "%s", q->run_id);
	return 0;
}

static int
raw_lock(struct runner_child *c, char name[POT_NAME_MAX + 1], struct err *e)
{
	return raw_name(c->q, name, e) < 0 ? -1 : lock_named(c->config->env, name, LOCK_WAIT, e);
}

/* "uid:gid": the task's user when it is given, else the agent's. */
static int
raw_user(struct runner_child *c, const char **out, struct err *e)
{
	struct account a = { .uid = c->config->uid, .gid = c->config->gid };

	if (c->q->user != NULL && account_find(c->q->user, &a, e) < 0)
		return -1;
	if (a.uid == 0 && !c->config->raw_root)
		return err_new(e, ERR_RIGHTS,
		    "raw_exec may not run commands as root; name another user, or start the agent "
		    "with raw_exec allowed for root");
	*out = arena_printf(&c->mem, "%u:%u", (unsigned)a.uid, (unsigned)a.gid);
	return 0;
}

static int
raw_launch(struct runner_child *c, struct run *r, struct launch *l, struct err *e)
{
	const struct runner_request *q = c->q;
	struct pot_env *env = c->config->env;

	if (q->argv == NULL)
		return err_new(e, ERR_INPUT, "a raw command needs an argument vector");
	if (q->cwd != NULL && runner_path_check(c->config, q->cwd, e) < 0)
		return -1;
	*l = (struct launch){ .run_id = r->id,
		.pot = r->name,
		.isolate = { .what = ISOLATE_NONE,
		    .process = { .argv = q->argv,
			.env = q->env,
			.cwd = q->cwd,
			.caps = ISOLATE_CAPS_KEEP,
			.no_filter = true } },
		.stdio = LAUNCH_NULL,
		.stop_signal = r->stop_signal,
		.stop_timeout_ms = r->stop_timeout_ms,
		.run_dir = run_dir(env, r->name, &c->mem) };
	if (raw_user(c, &l->isolate.process.user, e) < 0)
		return -1;
	if (q->log.dir != NULL) {
		if (runner_path_check(c->config, q->log.dir, e) < 0)
			return -1;
		l->stdio = LAUNCH_FILES;
		l->log_dir = q->log.dir;
		l->log_prefix = q->log.prefix;
		l->log_max_files = q->log.max_files;
		l->log_max_file_bytes = q->log.max_file_bytes;
		l->log_uid = c->config->uid;
		l->log_gid = c->config->gid;
	}
	l->finish = run_finish_argv(env, r->name, r->id, &c->mem);
	return 0;
}

static int
raw_phases(struct runner_child *c, struct run *r, struct launch *l, struct keeper *k, bool *spawned,
    struct err *e)
{
	struct pot_env *env = c->config->env;
	struct limits want = { .memory_bytes = c->q->memory_bytes,
		.cpu_shares = c->q->cpu_shares,
		.cpu_count = c->q->cpus };
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1], program[PATH_SIZE];

	if (run_begun(env, r, RUN_LIMITS, e) < 0 ||
	    env->host->limits->create(env->host, run_group(r, group), &want, e) < 0 ||
	    run_cgroups(env, r, &c->mem, &l->isolate.cgroups, e) < 0)
		return -1;
	path_at(program, "%s/pot-keeper", env->libexec);
	if (run_begun(env, r, RUN_ISOLATE, e) < 0 ||
	    env->keep->start->spawn(program, l, NULL, k, e) < 0)
		return -1;
	*spawned = true;
	if (run_keeper(env, r, k, e) < 0 || run_begun(env, r, RUN_PROCESS, e) < 0 ||
	    env->keep->start->go(k, e) < 0)
		return -1;
	return run_running(env, r, e);
}

int
raw_start(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_env *env = c->config->env;
	struct run *r = arena_new(&c->mem, struct run);
	struct launch l;
	struct keeper k;
	bool spawned = false;

	autofd int lock = raw_lock(c, r->name, e);
	if (lock < 0)
		return -1;
	int live = run_is_live(env, r->name);
	if (live != 0)
		return err_new(e, ERR_BUSY, "raw command %s runs already", c->q->run_id);
	if (run_recover(env, r->name, e) < 0)
		return -1;
	str_copy(r->id, sizeof(r->id), c->q->run_id);
	r->stop_signal = c->q->stop_signal;
	r->stop_timeout_ms = c->q->stop_timeout_ms > 0 ? c->q->stop_timeout_ms : 0;
	if (raw_launch(c, r, &l, e) < 0 || run_create(env, r, e) < 0)
		return -1;
	if (raw_phases(c, r, &l, &k, &spawned, e) < 0) {
		struct err undo = ERR_INIT;
		if (spawned)
			env->keep->start->abort(&k);
		(void)run_down(env, r, &undo);
		return err_ctx(e, "start %s", c->q->argv[0]);
	}
	p->runs = arena_new(&c->mem, struct runner_run);
	p->n_runs = 1;
	if (runner_describe(c, r, p->runs, e) < 0)
		return -1;
	env->keep->start->detach(&k);
	return 0;
}

/* The run as recorded, which must be alive. */
static int
raw_live(struct runner_child *c, struct run *r, struct err *e)
{
	char name[POT_NAME_MAX + 1];

	if (raw_name(c->q, name, e) < 0)
		return -1;
	int live = run_read(c->config->env, name, r, e) < 0 ? (e->kind == ERR_ABSENT ? 0 : -1)
							    : run_alive(c->config->env, r, e);
	if (live < 0)
		return -1;
	return live > 0 ? 0 : err_new(e, ERR_ABSENT, "raw command %s is not running", c->q->run_id);
}

int
raw_stop(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct run *r = arena_new(&c->mem, struct run);
	char name[POT_NAME_MAX + 1];

	(void)p;
	if (raw_live(c, r, e) < 0) {
		if (e->kind != ERR_ABSENT)
			return -1;
	} else if (keeper_stop_with(r->keeper, r->keeper_start, c->q->stop_signal,
		       c->q->stop_timeout_ms, -1, e) < 0) {
		return -1;
	}
	autofd int lock = raw_lock(c, name, e);
	return lock < 0 ? -1 : run_recover(c->config->env, name, e);
}

int
raw_signal(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct run *r = arena_new(&c->mem, struct run);

	(void)p;
	if (raw_live(c, r, e) < 0)
		return -1;
	return c->config->env->host->isolate->forward(r->init, r->init_start, c->q->signal, e);
}

int
raw_usage(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct run *r = arena_new(&c->mem, struct run);
	struct host *h = c->config->env->host;
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1];
	struct usage u;

	if (raw_live(c, r, e) < 0 || h->limits->usage(h, run_group(r, group), &u, e) < 0)
		return -1;
	p->usage = (struct runner_usage){ .rss_bytes = u.rss_bytes,
		.cache_bytes = u.cache_bytes,
		.swap_bytes = u.swap_bytes,
		.cpu_ns = u.cpu_ns,
		.read_ns = u.read_ns,
		.pids = (unsigned)u.pids };
	return 0;
}

int
raw_exec(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	const struct runner_request *q = c->q;
	struct run *r = arena_new(&c->mem, struct run);
	struct isolate_enter in = { .process = { .argv = q->argv,
					.env = q->env,
					.cwd = q->cwd,
					.caps = ISOLATE_CAPS_KEEP,
					.no_filter = true },
		.stdio = { -1, -1, -1 },
		.tty = q->tty,
		.rows = (unsigned short)q->rows,
		.cols = (unsigned short)q->columns };
	pid_t command;
	int pty;

	if (q->argv == NULL || (!q->tty && c->n_fds != 3))
		return err_new(e, ERR_INPUT,
		    "an exec needs a command and, without a terminal, three descriptors");
	if (raw_live(c, r, e) < 0 || raw_user(c, &in.process.user, e) < 0 ||
	    (q->cwd != NULL && runner_path_check(c->config, q->cwd, e) < 0) ||
	    run_cgroups(c->config->env, r, &c->mem, &in.cgroups, e) < 0)
		return -1;
	in.program = arena_printf(&c->mem, "%s/pot-keeper", c->config->env->libexec);
	in.pid = r->init;
	in.start = r->init_start;
	for (size_t i = 0; i < 3 && !q->tty; i++)
		in.stdio[i] = c->fds[i];
	if (c->config->env->host->isolate->enter(&in, &command, &pty, e) < 0)
		return -1;
	return runner_relay(c, command, pty, p, e);
}

int
raw_destroy(struct runner_child *c, struct runner_reply *p, struct err *e)
{
	struct pot_env *env = c->config->env;
	char name[POT_NAME_MAX + 1];

	(void)p;
	autofd int lock = raw_lock(c, name, e);
	if (lock < 0)
		return -1;
	if (run_is_live(env, name) != 0)
		return err_new(
		    e, ERR_BUSY, "raw command %s still runs; stop it first", c->q->run_id);
	if (run_recover(env, name, e) < 0 || remove_tree(run_dir(env, name, &c->mem), e) < 0)
		return -1;
	lock_forget(env, name);
	return 0;
}
