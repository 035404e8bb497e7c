/*
 * gc.c: rows that nobody needs any more go: a while after they ended, or at once when people ask.
 */
#include "server/inside.h"

#include "job/job.h"

#include <stdio.h>

#define HOUR_NS (3600 * SEC_NS)

struct gc {
	struct server *s;
	struct arena *mem;
	struct deletion *d;
	int64_t now;
	bool force;
	struct map allocs; /* ids that go in this round */
	struct map evals;
};

static bool
old_enough(const struct gc *g, int64_t time, int64_t age)
{
	return g->force || time <= g->now - age;
}

/* An allocation that could still be replaced because it failed must stay: it counts the attempts.
 */
static bool
may_be_retried(const struct alloc *a, const struct job *job)
{
	int64_t when;

	if (job == NULL || job->stop || alloc_server_terminal(a))
		return false;
	return str_eq(a->client_status, "failed") &&
	       sched_reschedule(a, NULL, 0, &when) != SCHED_NEVER;
}

static bool
alloc_over(const struct gc *g, const struct alloc *a, int64_t age)
{
	const struct job *job = state_job(g->s->state, a->namespace, a->job_id);

	if (!alloc_client_terminal(a) &&
	    !(alloc_server_terminal(a) && state_node(g->s->state, a->node_id) == NULL))
		return false;
	if (job != NULL && str_eq(job->type, "batch") && !job->stop && !alloc_server_terminal(a))
		return false; /* says that the work is done */
	return !may_be_retried(a, job) && old_enough(g, a->modify_time, age);
}

static void
collect_eval(struct gc *g, const struct eval *ev)
{
	int64_t age = str_eq(ev->type, "batch") ? 24 * HOUR_NS : HOUR_NS;
	bool all = true;

	if (!eval_terminal(ev) || !old_enough(g, ev->modify_time, age))
		return;
	autorows struct rows allocs = state_eval_allocs(g->s->state, ev->id);
	for (size_t i = 0; i < allocs.n; i++) {
		const struct alloc *a = allocs.at[i];
		if (!alloc_over(g, a, age)) {
			all = false;
			continue;
		}
		strs_add(&g->d->allocs, g->mem, a->id);
		map_set(&g->allocs, a->id, g);
	}
	if (all) {
		strs_add(&g->d->evals, g->mem, ev->id);
		map_set(&g->evals, ev->id, g);
	}
}

static void
collect_deployments(struct gc *g)
{
	autorows struct rows all = state_list(g->s->state, STATE_DEPLOYMENTS, NULL);

	for (size_t i = 0; i < all.n; i++) {
		const struct deployment *d = all.at[i];
		const struct job *job = state_job(g->s->state, d->namespace, d->job_id);
		bool used = false;
		if (deployment_active(d) || !old_enough(g, d->modify_time, HOUR_NS))
			continue;
		/* the last one of a job that runs tells how it got there */
		if (job != NULL && !job->stop &&
		    state_job_deployment(g->s->state, d->namespace, d->job_id) == d)
			continue;
		autorows struct rows allocs = state_deployment_allocs(g->s->state, d->id);
		for (size_t k = 0; k < allocs.n && !used; k++)
			used = !alloc_terminal(allocs.at[k]);
		if (!used)
			strs_add(&g->d->deployments, g->mem, d->id);
	}
}

static bool
job_over(struct gc *g, const struct job *job)
{
	int64_t last = job->submit_time;
	autorows struct rows allocs = state_job_allocs(g->s->state, job->namespace, job->id);
	autorows struct rows evals = state_job_evals(g->s->state, job->namespace, job->id);

	for (size_t i = 0; i < allocs.n; i++)
		if (!map_has(&g->allocs, ((const struct alloc *)allocs.at[i])->id))
			return false;
	for (size_t i = 0; i < evals.n; i++) {
		const struct eval *ev = evals.at[i];
		if (!map_has(&g->evals, ev->id))
			return false;
		if (ev->modify_time > last)
			last = ev->modify_time;
	}
	return old_enough(g, last, 4 * HOUR_NS);
}

static void
collect_jobs(struct gc *g)
{
	autorows struct rows all = state_list(g->s->state, STATE_JOBS, NULL);

	for (size_t i = 0; i < all.n; i++) {
		const struct job *job = all.at[i];
		if (!str_eq(job->status, "dead") || (!job->stop && !str_eq(job->type, "batch")))
			continue;
		if (job_over(g, job))
			strs_add(&g->d->jobs, g->mem,
			    arena_printf(g->mem, "%s/%s", job->namespace, job->id));
	}
}

static void
collect_nodes(struct gc *g)
{
	autorows struct rows all = state_list(g->s->state, STATE_NODES, NULL);

	for (size_t i = 0; i < all.n; i++) {
		const struct node *n = all.at[i];
		bool used = false;
		if (!str_eq(n->status, "down") ||
		    !old_enough(g, n->status_updated_at * SEC_NS, 24 * HOUR_NS))
			continue;
		autorows struct rows allocs = state_node_allocs(g->s->state, n->id);
		for (size_t k = 0; k < allocs.n && !used; k++)
			used = !alloc_client_terminal(allocs.at[k]) &&
			       !map_has(&g->allocs, ((const struct alloc *)allocs.at[k])->id);
		if (!used)
			strs_add(&g->d->nodes, g->mem, n->id);
	}
}

/* Allocations whose evaluation is gone already. */
static void
collect_orphans(struct gc *g)
{
	autorows struct rows all = state_list(g->s->state, STATE_ALLOCS, NULL);

	for (size_t i = 0; i < all.n; i++) {
		const struct alloc *a = all.at[i];
		if (state_eval(g->s->state, a->eval_id) != NULL || map_has(&g->allocs, a->id) ||
		    !alloc_over(g, a, HOUR_NS))
			continue;
		strs_add(&g->d->allocs, g->mem, a->id);
		map_set(&g->allocs, a->id, g);
	}
}

static bool
collect(struct gc *g)
{
	const struct deletion *d = g->d;
	autorows struct rows evals = state_list(g->s->state, STATE_EVALS, NULL);

	for (size_t i = 0; i < evals.n; i++)
		collect_eval(g, evals.at[i]);
	collect_orphans(g);
	collect_deployments(g);
	collect_jobs(g);
	collect_nodes(g);
	map_fini(&g->allocs);
	map_fini(&g->evals);
	return d->evals.n + d->allocs.n + d->deployments.n + d->jobs.n + d->nodes.n > 0;
}

static void
run(struct server *s, bool force, server_done *done, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "GarbageCollected");
	struct deletion d = { 0 };
	struct gc g = { .s = s, .mem = &mem, .d = &d, .now = c.now, .force = force };

	if (!collect(&g)) {
		if (done != NULL)
			server_answer(s, NULL, done, ctx);
		return;
	}
	log_info("server", "collected %zu allocations, %zu evaluations, %zu jobs", d.allocs.n,
	    d.evals.n, d.jobs.n);
	c.deletion = &d;
	server_propose(s, &c, NULL, NULL, done, ctx);
}

static void
due(void *arg)
{
	struct server *s = arg;

	run(s, false, NULL, NULL);
	gc_arm(s);
}

void
gc_arm(struct server *s)
{
	server_cancel(s, &s->gc_timer);
	s->gc_timer = server_after(s, s->config.gc_interval_ns, due, s);
}

int
server_system_gc(struct server *s, server_done *done, void *ctx, struct err *e)
{
	(void)e;
	run(s, true, done, ctx);
	return 0;
}
