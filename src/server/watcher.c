/*
 * watcher.c: is this deployment getting on?
 *
 * Looked at after each change of its allocations, and at its deadlines: health moves it forward (an
 * evaluation brings the next batch, or ends it), canaries that are all healthy may be promoted, and
 * what does not get well in time fails, with a return to the last stable version where that is
 * asked.
 */
#include "server/inside.h"

#include "job/job.h"

static char look_marker, eval_marker;

void
watcher_look(struct server *s, const char *deployment_id, bool with_eval)
{
	if (with_eval || !map_has(&s->looks, deployment_id))
		map_set(&s->looks, deployment_id, with_eval ? &eval_marker : &look_marker);
	server_wake(s);
}

/* ---- failing, and the way back ---- */

static bool
wants_revert(const struct deployment *d)
{
	for (size_t i = 0; i < d->task_groups.n; i++)
		if (((const struct deployment_group *)d->task_groups.value[i])->auto_revert)
			return true;
	return false;
}

static const struct job *
last_stable(struct server *s, const struct deployment *d)
{
	autorows struct rows v = state_job_versions(s->state, d->namespace, d->job_id);

	for (size_t i = 0; i < v.n; i++) {
		const struct job *job = v.at[i];
		if (job->stable && job->version < d->job_version)
			return job;
	}
	return NULL;
}

struct failing {
	struct server *s;
	const struct deployment *d;
	struct arena *mem;
	struct command *c;
	struct deployment_update *u;
	struct eval *eval;
	int64_t reverted; /* -1: not */
};

static void
add_way_back(struct failing *f, const char *why)
{
	const struct job *now = state_job(f->s->state, f->d->namespace, f->d->job_id);
	const struct job *stable = last_stable(f->s, f->d);

	f->u->status_description = why;
	if (now == NULL || now->version != f->d->job_version || !wants_revert(f->d))
		return;
	if (stable == NULL) {
		f->u->status_description =
		    arena_printf(f->mem, "%s - no stable job version to auto revert to", why);
		return;
	}
	if (!job_spec_changed(stable, now)) {
		f->u->status_description = arena_printf(f->mem,
		    "%s - not rolling back to stable job version %lld as current job has same "
		    "specification",
		    why, (long long)stable->version);
		return;
	}
	f->u->status_description = arena_printf(
	    f->mem, "%s - rolling back to job version %lld", why, (long long)stable->version);
	f->c->job = model_copy(&job_model, stable, f->mem);
	f->c->job->submit_time = f->c->now;
	f->reverted = stable->version;
}

static void
prepare_failure(struct failing *f, const char *why)
{
	const struct job *job = state_job(f->s->state, f->d->namespace, f->d->job_id);

	f->reverted = -1;
	f->u->id = f->d->id;
	f->u->status = "failed";
	add_way_back(f, why);
	objs_add(&f->c->deployment_updates, f->mem, f->u);
	if (job == NULL)
		return;
	f->eval = server_eval(f->s, f->mem, job, "deployment-watcher");
	f->eval->deployment_id = f->d->id;
	objs_add(&f->c->evals, f->mem, f->eval);
}

static void
fail(struct server *s, const struct deployment *d, const char *why)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "DeploymentStatusUpdate");
	struct deployment_update u = { 0 };
	struct failing f = { .s = s, .d = d, .mem = &mem, .c = &c, .u = &u };

	prepare_failure(&f, why);
	log_warn("deployments", "%s of job \"%s\": %s", d->id, d->job_id, u.status_description);
	server_propose(s, &c, NULL, NULL, NULL, NULL);
}

/* ---- looking ---- */

static bool
hopeless(const struct alloc *a)
{
	int64_t when;

	return str_eq(a->client_status, "failed") && text(a->next_allocation)[0] == '\0' &&
	       !alloc_server_terminal(a) && sched_reschedule(a, NULL, 0, &when) == SCHED_NEVER;
}

static bool
must_fail_now(struct server *s, const struct deployment *d)
{
	autorows struct rows allocs = state_deployment_allocs(s->state, d->id);

	for (size_t i = 0; i < allocs.n; i++) {
		const struct alloc *a = allocs.at[i];
		const struct deployment_group *g = objmap_get(&d->task_groups, text(a->task_group));
		if (g == NULL || alloc_health(a) != 0)
			continue;
		if (g->progress_deadline == 0 || hopeless(a))
			return true;
	}
	return false;
}

static int64_t
healthy_canaries(struct server *s, const struct deployment_group *g)
{
	int64_t n = 0;

	for (size_t i = 0; i < g->placed_canaries.n; i++) {
		const struct alloc *a = state_alloc(s->state, g->placed_canaries.at[i]);
		n += a != NULL && alloc_health(a) == 1 && !alloc_terminal(a);
	}
	return n;
}

static bool
on_trial(const struct deployment_group *g)
{
	return g->desired_canaries > 0 && !g->promoted;
}

static bool
may_promote_itself(struct server *s, const struct deployment *d)
{
	bool any = false;

	for (size_t i = 0; i < d->task_groups.n; i++) {
		const struct deployment_group *g = d->task_groups.value[i];
		if (!on_trial(g))
			continue;
		if (!g->auto_promote || healthy_canaries(s, g) < g->desired_canaries)
			return false;
		any = true;
	}
	return any;
}

/* When the next group runs out of time; 0: none is pressed. */
static int64_t
deadline_of(struct server *s, const struct deployment *d)
{
	int64_t first = 0;

	if (!str_eq(d->status, "running"))
		return 0;
	for (size_t i = 0; i < d->task_groups.n; i++) {
		const struct deployment_group *g = d->task_groups.value[i];
		bool waits = on_trial(g) && healthy_canaries(s, g) >= g->desired_canaries;
		if (waits || g->healthy_allocs >= g->desired_total || g->require_progress_by == 0)
			continue;
		if (first == 0 || g->require_progress_by < first)
			first = g->require_progress_by;
	}
	return first;
}

static void
promote(struct server *s, const struct deployment *d, const struct strs *groups,
    const char *description, server_done *done, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "DeploymentPromotion");
	struct deployment_update u = {
		.id = d->id, .promote = true, .status_description = description
	};
	const struct job *job = state_job(s->state, d->namespace, d->job_id);
	struct eval *ev = NULL;

	if (groups != NULL)
		u.groups = *groups;
	objs_add(&c.deployment_updates, &mem, &u);
	if (job != NULL) {
		ev = server_eval(s, &mem, job, "deployment-watcher");
		ev->deployment_id = d->id;
		objs_add(&c.evals, &mem, ev);
	}
	server_propose(s, &c, ev != NULL ? ev->id : NULL, NULL, done, ctx);
}

static void
evaluate(struct server *s, const struct deployment *d)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "DeploymentProgress");
	const struct job *job = state_job(s->state, d->namespace, d->job_id);

	if (job == NULL || broker_has_job(s, d->namespace, d->job_id))
		return;
	struct eval *ev = server_eval(s, &mem, job, "deployment-watcher");
	ev->deployment_id = d->id;
	objs_add(&c.evals, &mem, ev);
	server_propose(s, &c, NULL, NULL, NULL, NULL);
}

static void
look(struct server *s, const struct deployment *d, bool with_eval)
{
	int64_t deadline = deadline_of(s, d);

	if (must_fail_now(s, d))
		fail(s, d, "Failed due to unhealthy allocations");
	else if (deadline > 0 && deadline <= server_now(s))
		fail(s, d, "Failed due to progress deadline");
	else if (str_eq(d->status, "running") && may_promote_itself(s, d))
		promote(s, d, NULL, "Deployment is running", NULL, NULL);
	else if (with_eval)
		evaluate(s, d);
}

static void
deadline_passed(void *arg)
{
	struct server *s = arg;
	autorows struct rows all = state_list(s->state, STATE_DEPLOYMENTS, NULL);

	server_cancel(s, &s->deadline_timer);
	for (size_t i = 0; i < all.n; i++)
		if (deployment_active(all.at[i]))
			watcher_look(s, ((const struct deployment *)all.at[i])->id, false);
	watcher_arm(s);
}

/* One timer, for the deployment that is pressed most. */
void
watcher_arm(struct server *s)
{
	autorows struct rows all = state_list(s->state, STATE_DEPLOYMENTS, NULL);
	int64_t first = 0;

	server_cancel(s, &s->deadline_timer);
	for (size_t i = 0; i < all.n; i++) {
		int64_t when = deployment_active(all.at[i]) ? deadline_of(s, all.at[i]) : 0;
		if (when > 0 && (first == 0 || when < first))
			first = when;
	}
	if (first > 0) {
		int64_t wait = first - server_now(s);
		s->deadline_timer = server_after(s, wait > 0 ? wait : MS_NS, deadline_passed, s);
	}
}

void
watcher_turn(struct server *s)
{
	struct map looks = s->looks;
	size_t i = 0;
	const char *id;
	void *why;

	if (looks.n == 0)
		return;
	s->looks = (struct map)MAP_INIT;
	while (map_next(&looks, &i, &id, &why)) {
		const struct deployment *d = state_deployment(s->state, id);
		if (d != NULL && deployment_active(d))
			look(s, d, why == (void *)&eval_marker);
	}
	map_fini(&looks);
	watcher_arm(s);
}

/* ---- what people ask ---- */

static const struct deployment *
find_active(struct server *s, const char *id, const char *what, struct err *e)
{
	const struct deployment *d = state_deployment(s->state, id);

	if (d == NULL)
		err_new(e, ERR_ABSENT, "deployment not found");
	else if (!deployment_active(d)) {
		err_new(e, ERR_BUSY, "can't %s terminal deployment", what);
		d = NULL;
	}
	return d;
}

int
server_deployment_promote(struct server *s, const char *id, const struct strs *groups,
    server_done *done, void *ctx, struct err *e)
{
	const struct deployment *d = find_active(s, id, "promote", e);
	autobuf struct buf problems = BUF_INIT;
	bool any = false;
	int bad = 0;

	if (d == NULL)
		return -1;
	for (size_t i = 0; i < d->task_groups.n; i++) {
		const struct deployment_group *g = d->task_groups.value[i];
		const char *name = d->task_groups.key[i];
		if (groups != NULL && groups->n > 0 && !strs_has(groups, name))
			continue;
		if (!on_trial(g))
			continue;
		any = true;
		int64_t healthy = healthy_canaries(s, g);
		if (healthy < g->desired_canaries) {
			buf_addf(&problems,
			    "\n* Task group \"%s\" has %lld/%lld healthy allocations", name,
			    (long long)healthy, (long long)g->desired_canaries);
			bad++;
		}
	}
	if (!any)
		return err_new(e, ERR_BUSY, "no canaries to promote");
	if (bad > 0)
		return err_new(e, ERR_BUSY, "%d error(s) occurred:\n%s", bad, buf_str(&problems));
	promote(s, d, groups, "Deployment is running", done, ctx);
	return 0;
}

int
server_deployment_fail(
    struct server *s, const char *id, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "DeploymentStatusUpdate");
	struct deployment_update u = { 0 };
	const struct deployment *d = find_active(s, id, "fail", e);
	struct failing f = { .s = s, .d = d, .mem = &mem, .c = &c, .u = &u };

	if (d == NULL)
		return -1;
	prepare_failure(&f, "Deployment marked as failed");
	struct server_result r = { .reverted_version = f.reverted };
	server_propose(s, &c, f.eval != NULL ? f.eval->id : NULL, &r, done, ctx);
	return 0;
}

int
server_deployment_pause(
    struct server *s, const char *id, bool pause, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "DeploymentStatusUpdate");
	const struct deployment *d = find_active(s, id, pause ? "pause" : "resume", e);
	struct deployment_update u = { .id = id,
		.status = pause ? "paused" : "running",
		.status_description = pause ? "Deployment is paused" : "Deployment is running" };
	struct eval *ev = NULL;

	if (d == NULL)
		return -1;
	const struct job *job = state_job(s->state, d->namespace, d->job_id);
	objs_add(&c.deployment_updates, &mem, &u);
	if (!pause && job != NULL) {
		ev = server_eval(s, &mem, job, "deployment-watcher");
		ev->deployment_id = d->id;
		objs_add(&c.evals, &mem, ev);
	}
	server_propose(s, &c, ev != NULL ? ev->id : NULL, NULL, done, ctx);
	return 0;
}

static int
check_members(struct server *s, const struct deployment *d, const struct strs *ids, struct err *e)
{
	for (size_t i = 0; ids != NULL && i < ids->n; i++) {
		const struct alloc *a = state_alloc(s->state, ids->at[i]);
		if (a == NULL || !str_eq(a->deployment_id, d->id))
			return err_new(e, ERR_INPUT,
			    "allocation \"%s\" is not part of deployment \"%s\"", ids->at[i],
			    d->id);
	}
	return 0;
}

int
server_deployment_health(struct server *s, const char *id, const struct strs *healthy,
    const struct strs *unhealthy, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "DeploymentAllocHealth");
	struct deployment_update u = { .id = id };
	const struct deployment *d = find_active(s, id, "set health of allocations for", e);

	if (d == NULL || check_members(s, d, healthy, e) < 0 ||
	    check_members(s, d, unhealthy, e) < 0)
		return -1;
	if (healthy != NULL)
		u.healthy = *healthy;
	if (unhealthy != NULL)
		u.unhealthy = *unhealthy;
	if (u.healthy.n + u.unhealthy.n == 0)
		return err_new(
		    e, ERR_INPUT, "must specify at least one healthy/unhealthy allocation ID");
	objs_add(&c.deployment_updates, &mem, &u);
	server_propose(s, &c, NULL, NULL, done, ctx);
	return 0;
}
