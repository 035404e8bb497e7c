/*
 * jobs.c: what people ask about jobs.
 */
#include "server/inside.h"

#include <stdio.h>

static int
not_found(struct err *e)
{
	return err_new(e, ERR_ABSENT, "job not found");
}

/* ---- registering ---- */

static bool
given(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static int
check_index(const struct server_register *r, const struct job *old, struct err *e)
{
	unsigned long long want = r->job_modify_index;

	if (!r->enforce_index)
		return 0;
	if (want == 0 && old != NULL)
		return err_new(e, ERR_BUSY,
		    "Enforcing job modify index 0: job exists with conflicting job modify index: "
		    "%lld",
		    (long long)old->job_modify_index);
	if (want == 0)
		return 0;
	if (old == NULL)
		return err_new(
		    e, ERR_BUSY, "Enforcing job modify index %llu: job does not exist", want);
	if ((uint64_t)old->job_modify_index != r->job_modify_index)
		return err_new(e, ERR_BUSY,
		    "Enforcing job modify index %llu: job exists with conflicting job modify "
		    "index: "
		    "%lld",
		    want, (long long)old->job_modify_index);
	return 0;
}

static int
check_kind(const struct job *job, const struct job *old, struct err *e)
{
	if (!str_eq(job->type, "service") && !str_eq(job->type, "batch"))
		return err_new(e, ERR_UNSUPPORTED,
		    "job \"%s\": type \"%s\" is not there yet; use \"service\" or \"batch\"",
		    job->id, text(job->type));
	if (job->periodic != NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "job \"%s\": periodic jobs are not there yet; remove the periodic block",
		    job->id);
	if (job->parameterized != NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "job \"%s\": parameterized jobs are not there yet; remove the parameterized "
		    "block",
		    job->id);
	if (old != NULL && !str_eq(old->type, job->type))
		return err_new(e, ERR_BUSY,
		    "cannot update job from type \"%s\" to \"%s\"; stop and purge it first, or use "
		    "another job id",
		    text(old->type), text(job->type));
	return 0;
}

/* A copy in the arena, with everything said that was not, or an error that lists what is wrong. */
static int
prepare(struct server *s, const struct job *given_job, struct arena *mem, struct job **out,
    struct err *e)
{
	struct job *job = model_copy(&job_model, given_job, mem);

	if (!given(job->region) || str_eq(job->region, "global"))
		job->region = s->config.region;
	if (!str_eq(job->region, s->config.region))
		return err_new(e, ERR_REMOTE, "No path to region");
	job_canonicalize(job, mem);
	if (job_validate(job, mem, e) < 0)
		return -1;
	*out = job;
	return 0;
}

static void
keep_counts(struct job *job, const struct job *old)
{
	struct task_group *g;

	OBJS_FOREACH (g, &job->groups) {
		const struct task_group *before = job_group(old, g->name);
		if (before != NULL)
			g->count = before->count;
	}
}

static void
propose_job(struct server *s, struct job *job, const struct job *old, int64_t priority,
    const char *trigger, const char *warnings, server_done *done, void *ctx, struct arena *mem)
{
	struct command c = server_command(s, "JobRegistered");
	struct server_result r = { .warnings = warnings, .reverted_version = -1 };
	struct eval *ev = server_eval(s, mem, job, trigger);

	if (priority > 0)
		ev->priority = priority;
	objs_add(&c.evals, mem, ev);
	if (old == NULL || old->stop || job_spec_changed(old, job)) {
		job->submit_time = c.now;
		job->stop = false;
		c.job = job;
	} else
		r.job_modify_index = (uint64_t)old->job_modify_index;
	server_propose(s, &c, ev->id, &r, done, ctx);
}

int
server_job_register(
    struct server *s, const struct server_register *r, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct job *job = NULL;

	if (prepare(s, r->job, &mem, &job, e) < 0 || job == NULL)
		return -1;
	const struct job *old = state_job(s->state, job->namespace, job->id);
	if (check_index(r, old, e) < 0 || check_kind(job, old, e) < 0)
		return -1;
	if (r->preserve_counts && old != NULL)
		keep_counts(job, old);
	propose_job(s, job, old, r->eval_priority, "job-register", job_warnings(job, &mem), done,
	    ctx, &mem);
	return 0;
}

int
server_job_deregister(struct server *s, const char *namespace, const char *id, bool purge,
    server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct job *job = state_job(s->state, namespace, id);
	struct command c = server_command(s, "JobDeregistered");
	struct job_stop stop = { namespace, id, purge };

	if (job == NULL)
		return not_found(e);
	struct eval *ev = server_eval(s, &mem, job, "job-deregister");
	objs_add(&c.job_stops, &mem, &stop);
	objs_add(&c.evals, &mem, ev);
	server_propose(s, &c, ev->id, NULL, done, ctx);
	return 0;
}

int
server_job_evaluate(struct server *s, const char *namespace, const char *id, bool force,
    server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct job *job = state_job(s->state, namespace, id);
	struct command c = server_command(s, "JobEvaluated");
	struct desired_transition again = { .force_reschedule = true };
	struct transition t = { .transition = &again };

	if (job == NULL)
		return not_found(e);
	autorows struct rows allocs = state_job_allocs(s->state, namespace, id);
	for (size_t i = 0; force && i < allocs.n; i++) {
		const struct alloc *a = allocs.at[i];
		if (str_eq(a->client_status, "failed") && !alloc_server_terminal(a))
			strs_add(&t.ids, &mem, a->id);
	}
	if (t.ids.n > 0)
		objs_add(&c.transitions, &mem, &t);
	struct eval *ev = server_eval(s, &mem, job, "job-register");
	struct server_result r = { .job_modify_index = (uint64_t)job->job_modify_index,
		.reverted_version = -1 };
	objs_add(&c.evals, &mem, ev);
	server_propose(s, &c, ev->id, &r, done, ctx);
	return 0;
}

int
server_job_revert(struct server *s, const char *namespace, const char *id, int64_t version,
    int64_t enforce_prior, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct job *now = state_job(s->state, namespace, id);
	const struct job *then = state_job_version(s->state, namespace, id, version);

	if (now == NULL)
		return not_found(e);
	if (enforce_prior >= 0 && now->version != enforce_prior)
		return err_new(e, ERR_BUSY,
		    "Enforcing job modify index %lld: job exists with conflicting job version: "
		    "%lld",
		    (long long)enforce_prior, (long long)now->version);
	if (now->version == version)
		return err_new(e, ERR_BUSY, "can't revert to current version");
	if (then == NULL)
		return err_new(e, ERR_ABSENT,
		    "job \"%s\" in namespace \"%s\" at version %lld not found", id,
		    text(now->namespace), (long long)version);
	propose_job(
	    s, model_copy(&job_model, then, &mem), now, 0, "job-register", "", done, ctx, &mem);
	return 0;
}

int
server_job_stable(struct server *s, const char *namespace, const char *id, int64_t version,
    bool stable, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "JobStability");
	struct job_stable st = { namespace, id, version, stable };

	if (state_job_version(s->state, namespace, id, version) == NULL)
		return err_new(
		    e, ERR_ABSENT, "job \"%s\" at version %lld not found", id, (long long)version);
	objs_add(&c.job_stables, &mem, &st);
	server_propose(s, &c, NULL, NULL, done, ctx);
	return 0;
}

int
server_job_scale(struct server *s, const char *namespace, const char *id, const char *group,
    int64_t count, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct job *old = state_job(s->state, namespace, id);

	if (old == NULL)
		return not_found(e);
	struct job *job = model_copy(&job_model, old, &mem);
	struct task_group *g = job_group(job, group);
	if (g == NULL)
		return err_new(e, ERR_INPUT,
		    "task group \"%s\" specified for scaling does not exist in job", group);
	if (count >= 0 && g->scaling != NULL &&
	    (count < g->scaling->min || (g->scaling->max > 0 && count > g->scaling->max)))
		return err_new(e, ERR_INPUT,
		    "group count was %s scaling policy: %lld is outside %lld to %lld",
		    count < g->scaling->min ? "less than minimum" : "greater than maximum",
		    (long long)count, (long long)g->scaling->min, (long long)g->scaling->max);
	if (count >= 0)
		g->count = count;
	propose_job(s, job, old, 0, "job-scaling", "", done, ctx, &mem);
	return 0;
}

/* ---- dry run ---- */

static void
annotate(struct job_diff *d, const struct plan *p, struct arena *mem)
{
	for (size_t i = 0; i < p->updates.n; i++)
		job_diff_annotate(d, p->updates.key[i], p->updates.value[i], mem);
}

static void
write_updates(const struct plan *p, struct jsonw *w)
{
	jsonw_object(w);
	for (size_t i = 0; i < p->updates.n; i++) {
		const struct group_updates *u = p->updates.value[i];
		jsonw_key(w, p->updates.key[i]);
		jsonw_object(w);
		jsonw_kint(w, "Ignore", u->ignore);
		jsonw_kint(w, "Place", u->place);
		jsonw_kint(w, "Migrate", u->migrate);
		jsonw_kint(w, "Stop", u->stop);
		jsonw_kint(w, "InPlaceUpdate", u->in_place);
		jsonw_kint(w, "DestructiveUpdate", u->destructive);
		jsonw_kint(w, "Canary", u->canary);
		jsonw_kint(w, "Preemptions", u->preemptions);
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

static void
write_created(const struct plan *p, struct jsonw *w)
{
	const struct eval *ev;

	jsonw_array(w);
	OBJS_FOREACH (ev, &p->evals)
		model_to_json(&eval_model, ev, w);
	jsonw_end_array(w);
}

static void
write_plan(struct server *s, const struct job *job, const struct job *old, const struct plan *p,
    bool diff, struct jsonw *w, struct arena *mem)
{
	jsonw_object(w);
	jsonw_key(w, "Diff");
	if (diff) {
		struct job_diff *d = job_diff(old, job, true, mem);
		annotate(d, p, mem);
		model_to_json(&job_diff_model, d, w);
	} else
		jsonw_null(w);
	jsonw_key(w, "Annotations");
	jsonw_object(w);
	jsonw_key(w, "DesiredTGUpdates");
	write_updates(p, w);
	jsonw_key(w, "PreemptedAllocs");
	jsonw_null(w);
	jsonw_end_object(w);
	jsonw_key(w, "FailedTGAllocs");
	jsonw_object(w);
	for (size_t i = 0; i < p->failed.n; i++) {
		jsonw_key(w, p->failed.key[i]);
		model_to_json(&alloc_metric_model, p->failed.value[i], w);
	}
	jsonw_end_object(w);
	jsonw_key(w, "CreatedEvals");
	write_created(p, w);
	jsonw_kint(w, "JobModifyIndex", old != NULL ? old->job_modify_index : 0);
	jsonw_kstr(w, "NextPeriodicLaunch", "0001-01-01T00:00:00Z");
	jsonw_kstr(w, "Warnings", text(job_warnings(job, mem)));
	jsonw_kuint(w, "Index", state_index(s->state) > 0 ? state_index(s->state) : 1);
	jsonw_end_object(w);
}

int
server_job_plan(
    struct server *s, const struct job *given_job, bool diff, struct jsonw *w, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct job *job = NULL;
	struct plan *p = NULL;

	if (prepare(s, given_job, &mem, &job, e) < 0 || job == NULL)
		return -1;
	const struct job *old = state_job(s->state, job->namespace, job->id);
	if (check_kind(job, old, e) < 0)
		return -1;
	bool changed = old == NULL || old->stop || job_spec_changed(old, job);
	job->stop = false;
	job->version = old == NULL ? 0 : old->version + changed;
	job->create_index = old != NULL ? old->create_index : INT64_MAX;
	job->job_modify_index = old != NULL ? old->job_modify_index : 0;
	struct eval *ev = server_eval(s, &mem, job, "job-register");
	struct sched_input in = {
		.state = s->state, .eval = ev, .job = job, .now = server_now(s), .seed = { 1, 2 }
	};
	if (sched_run(&in, &mem, &p, e) < 0)
		return -1;
	write_plan(s, job, old, p, diff, w, &mem);
	return 0;
}
