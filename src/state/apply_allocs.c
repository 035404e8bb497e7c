/*
 * apply_allocs.c: what commands do to allocations and deployments.
 */
#include "state/apply.h"

#include "base/str.h"
#include "job/job.h"

/* ---- allocations ---- */

static struct alloc *
alloc_change(const struct alloc *old, struct arena **mem)
{
	struct alloc *now = row_copy(&alloc_bare_model, old, mem);

	now->job = old->job;
	return now;
}

static void
put_alloc(struct apply *ap, struct alloc *now, struct arena *mem)
{
	bool gone = alloc_terminal(now);

	alloc_derive(now, mem);
	now->modify_index = ap->index;
	touch_job(ap, now->namespace, now->job_id);
	touch_deployment(ap, now->deployment_id);
	table_put(ap->s, STATE_ALLOCS, now);
	if (gone) /* nobody may find it any more, even before its node has stopped it */
		remove_services(ap, state_alloc_services(ap->s, now->id));
}

static void
take_health(struct apply *ap, struct alloc *now, const struct alloc_deployment_status *given,
    struct arena *mem)
{
	bool canary = alloc_canary(now);
	bool known = (given->set & 1) != 0 || given->healthy;

	if (!known)
		return;
	now->deployment_status = arena_new(mem, struct alloc_deployment_status);
	alloc_health_set(now->deployment_status, given->healthy);
	now->deployment_status->canary = canary;
	now->deployment_status->timestamp = given->timestamp > 0 ? given->timestamp : ap->now;
	now->deployment_status->modify_index = ap->index;
}

void
apply_report(struct apply *ap, const struct alloc *given)
{
	const struct alloc *old = state_alloc(ap->s, text(given->id));
	struct arena *mem;

	if (old == NULL)
		return;
	struct alloc *now = alloc_change(old, &mem);
	const struct alloc *copy = model_copy(&alloc_report_model, given, mem);
	if (said(given->client_status))
		now->client_status = copy->client_status;
	now->client_description = copy->client_description;
	if (given->task_states.n > 0)
		now->task_states = copy->task_states;
	if (given->network_status != NULL)
		now->network_status = copy->network_status;
	if (given->deployment_status != NULL)
		take_health(ap, now, given->deployment_status, mem);
	now->modify_time = given->modify_time > 0 ? given->modify_time : ap->now;
	put_alloc(ap, now, mem);
}

void
apply_transition(struct apply *ap, const struct transition *t)
{
	struct arena *mem;

	for (size_t i = 0; i < t->ids.n; i++) {
		const struct alloc *old = state_alloc(ap->s, t->ids.at[i]);
		if (old == NULL || t->transition == NULL)
			continue;
		struct alloc *now = alloc_change(old, &mem);
		struct desired_transition *d = arena_new(mem, struct desired_transition);
		if (old->desired_transition != NULL)
			*d = *old->desired_transition;
		d->migrate |= t->transition->migrate;
		d->reschedule |= t->transition->reschedule;
		d->force_reschedule |= t->transition->force_reschedule;
		d->no_shutdown_delay |= t->transition->no_shutdown_delay;
		now->desired_transition = d;
		put_alloc(ap, now, mem);
	}
}

/* What the node has said meanwhile stays; what the plan says about health counts only when the
 * allocation joins another deployment. */
static void
keep_client_side(struct alloc *now, const struct alloc *old, struct arena *mem)
{
	struct alloc *kept = model_copy(&alloc_bare_model, old, mem);

	now->client_status = kept->client_status;
	now->client_description = kept->client_description;
	now->task_states = kept->task_states;
	now->network_status = kept->network_status;
	now->desired_transition = kept->desired_transition;
	now->next_allocation = kept->next_allocation;
	now->previous_allocation = kept->previous_allocation;
	if (str_eq(text(now->deployment_id), text(old->deployment_id)))
		now->deployment_status = kept->deployment_status;
	now->create_index = old->create_index;
	now->create_time = old->create_time;
}

static void
link_previous(struct apply *ap, const struct alloc *now)
{
	const struct alloc *previous = state_alloc(ap->s, text(now->previous_allocation));
	struct arena *mem;

	if (previous == NULL || str_eq(previous->next_allocation, now->id))
		return;
	struct alloc *p = alloc_change(previous, &mem);
	p->next_allocation = arena_strdup(mem, now->id);
	put_alloc(ap, p, mem);
}

void
apply_alloc(struct apply *ap, const struct alloc *given)
{
	const struct alloc *old = state_alloc(ap->s, given->id);
	const struct job *job =
	    state_job_version(ap->s, given->namespace, given->job_id, given->job_version);
	struct arena *mem;
	struct alloc *now = row_make(&alloc_bare_model, given, &mem);

	now->job = job;
	row_hold(now, job);
	if (!said(now->desired_status))
		now->desired_status = "run";
	if (!said(now->client_status))
		now->client_status = "pending";
	now->create_index = ap->index;
	now->create_time = ap->now;
	if (old != NULL)
		keep_client_side(now, old, mem);
	now->alloc_modify_index = ap->index;
	now->modify_time = ap->now;
	put_alloc(ap, now, mem);
	link_previous(ap, now);
}

void
apply_alloc_stop(struct apply *ap, const struct alloc_stop *stop)
{
	const struct alloc *old = state_alloc(ap->s, text(stop->id));
	struct arena *mem;

	if (old == NULL)
		return;
	struct alloc *now = alloc_change(old, &mem);
	if (!stop->keep) {
		now->desired_status = "stop";
		now->desired_description = arena_strdup(mem, text(stop->desired_description));
	}
	if (said(stop->client_status))
		now->client_status = arena_strdup(mem, stop->client_status);
	if (said(stop->follow_up_eval_id))
		now->follow_up_eval_id = arena_strdup(mem, stop->follow_up_eval_id);
	now->alloc_modify_index = ap->index;
	now->modify_time = ap->now;
	put_alloc(ap, now, mem);
}

/* ---- deployments ---- */

void
apply_deployment(struct apply *ap, const struct deployment *given)
{
	const struct deployment *old = state_deployment(ap->s, given->id);
	struct arena *mem;
	struct deployment *now = row_make(&deployment_model, given, &mem);

	now->create_index = old != NULL ? old->create_index : ap->index;
	now->create_time = old != NULL ? old->create_time : ap->now;
	now->modify_index = ap->index;
	now->modify_time = ap->now;
	touch_deployment(ap, now->id);
	table_put(ap->s, STATE_DEPLOYMENTS, now);
}

static void
clear_canary(struct apply *ap, const char *id)
{
	const struct alloc *old = state_alloc(ap->s, id);
	struct arena *mem;

	if (old == NULL || !alloc_canary(old))
		return;
	struct alloc *now = alloc_change(old, &mem);
	now->deployment_status->canary = false;
	now->deployment_status->modify_index = ap->index;
	now->alloc_modify_index = ap->index; /* canary_tags become tags on the node */
	put_alloc(ap, now, mem);
}

static void
promote(struct apply *ap, struct deployment *d, const struct strs *groups)
{
	for (size_t i = 0; i < d->task_groups.n; i++) {
		struct deployment_group *g = d->task_groups.value[i];
		if (groups->n > 0 && !strs_has(groups, d->task_groups.key[i]))
			continue;
		if (g->desired_canaries == 0 || g->promoted)
			continue;
		g->promoted = true;
		if (g->progress_deadline > 0)
			g->require_progress_by = ap->now + g->progress_deadline;
		for (size_t k = 0; k < g->placed_canaries.n; k++)
			clear_canary(ap, g->placed_canaries.at[k]);
	}
}

static void
say_health(struct apply *ap, const struct strs *ids, bool healthy)
{
	struct alloc_deployment_status given = { 0 };
	struct arena *mem;

	alloc_health_set(&given, healthy);
	for (size_t i = 0; i < ids->n; i++) {
		const struct alloc *old = state_alloc(ap->s, ids->at[i]);
		if (old == NULL)
			continue;
		struct alloc *now = alloc_change(old, &mem);
		take_health(ap, now, &given, mem);
		put_alloc(ap, now, mem);
	}
}

void
apply_deployment_update(struct apply *ap, const struct deployment_update *u)
{
	const struct deployment *old = state_deployment(ap->s, text(u->id));
	struct arena *mem;

	if (old == NULL)
		return;
	struct deployment *now = row_copy(&deployment_model, old, &mem);
	if (said(u->status))
		now->status = arena_strdup(mem, u->status);
	if (said(u->status_description))
		now->status_description = arena_strdup(mem, u->status_description);
	if (u->promote)
		promote(ap, now, &u->groups);
	now->modify_index = ap->index;
	now->modify_time = ap->now;
	struct job_stable st = { now->namespace, now->job_id, now->job_version, true };
	const struct job *job = state_job_version(ap->s, st.namespace, st.id, st.version);
	bool successful = str_eq(now->status, "successful") && job != NULL &&
			  job->create_index == now->job_create_index;
	touch_deployment(ap, now->id);
	table_put(ap->s, STATE_DEPLOYMENTS, now);
	if (successful)
		apply_job_stable(ap, &st);
	say_health(ap, &u->healthy, true);
	say_health(ap, &u->unhealthy, false);
}
