#include "pot/runner_loop.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * Waiting for the end of a run costs no process: a handle of its keeper in the loop, and the exit
 * record when it is gone.
 */

static int
name_of(const struct runner_request *q, char out[POT_NAME_MAX + 1], struct err *e)
{
	if (q->op == RUNNER_RAW_WAIT)
		return raw_name(q, out, e);
	if (q->pot == NULL || q->run_id == NULL)
		return err_new(e, ERR_INPUT, "a wait needs a pot and a run id");
	if (pot_name_check(q->pot, e) < 0)
		return -1;
	str_copy(out, POT_NAME_MAX + 1, q->pot);
	return 0;
}

/* 1: answered; 0: there is no record of this run's end. */
static int
answer(struct runner_loop *l, const struct request *r, const char *name)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_reply reply = { .kind = RUNNER_DONE };
	struct keeper_exit x;
	struct err e = ERR_INIT;

	if (keeper_exit_read(run_dir(l->config->env, name, &mem), &x, &e) < 0 ||
	    strcmp(x.run_id, r->q.run_id) != 0)
		return 0;
	reply.code = x.code;
	reply.signal = x.signal;
	reply.oom_killed = x.oom_killed;
	reply.started_ns = x.started_ns;
	reply.ended_ns = x.ended_ns;
	runner_reply(l, &reply, r->q.id);
	return 1;
}

/* A run whose starter stays, as 'pot start' does for a pot that ends with its command, leaves no
 * record: its starter is told. An empty one is how its keeper knows of us. */
static void
want_record(struct runner_loop *l, const struct run *run, const char *name)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err ignored = ERR_INIT;
	uint64_t start;

	if (l->config->env->host->proc->start_time(run->starter, &start, &ignored) < 0 ||
	    start != run->starter_start)
		return;
	const char *path = arena_printf(&mem, "%s/exit", run_dir(l->config->env, name, &mem));
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	(void)fd;
}

/* A handle of the run's keeper; -1: it does not live (*e.kind is ERR_ABSENT) or cannot be told. */
static int
keeper_of(struct runner_loop *l, const struct request *r, const char *name, struct err *e)
{
	struct run *run = xcalloc(1, sizeof(*run));
	int handle = -1;

	if (run_read(l->config->env, name, run, e) == 0) {
		if (strcmp(run->id, r->q.run_id) != 0 || run->keeper == 0)
			err_new(e, ERR_ABSENT, "that run is over");
		else
			handle =
			    l->config->env->host->proc->open(run->keeper, run->keeper_start, e);
		if (handle >= 0)
			want_record(l, run, name);
	}
	free(run);
	return handle;
}

void
runner_wait(struct runner_loop *l, struct request *r)
{
	char name[POT_NAME_MAX + 1];
	struct err e = ERR_INIT;

	if (name_of(&r->q, name, &e) < 0) {
		runner_fail(l, r->q.id, &e);
		request_free(r);
		return;
	}
	int handle = keeper_of(l, r, name, &e);
	if (handle >= 0) {
		struct waiter w = { .request = r, .handle = handle };
		VEC_PUSH(&l->waiters, w);
		return;
	}
	if (answer(l, r, name) > 0) {
		request_free(r);
	} else if (e.kind != ERR_ABSENT && e.kind != ERR_CORRUPT) {
		runner_fail(l, r->q.id, &e);
		request_free(r);
	} else {
		runner_fork(l, r); /* lost: its remains are cleared up, then it is told */
	}
}

void
runner_wait_ended(struct runner_loop *l, size_t i)
{
	struct request *r = l->waiters.at[i].request;
	char name[POT_NAME_MAX + 1];
	struct err e = ERR_INIT;

	close(l->waiters.at[i].handle);
	VEC_REMOVE(&l->waiters, i);
	if (name_of(&r->q, name, &e) == 0 && answer(l, r, name) > 0)
		request_free(r);
	else
		runner_fork(l, r);
}
