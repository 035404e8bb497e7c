/*
 * reconcile.c: what a job wants, compared with what there is, group by group.
 *
 * The steps are those of Nomad's allocation reconciler (surface notes of its semantics): classify,
 * keep names 0..count-1, stop the surplus, update in place or by replacement within max_parallel,
 * canaries first, place what is missing; and the deployment that goes with it.
 */
#include "sched/inside.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char NOT_NEEDED[] = "alloc not needed due to job update";
static const char UPDATED[] = "alloc is being updated due to job update";
static const char MIGRATED[] = "alloc is being migrated";
static const char LOST[] = "alloc is lost since its node is down";
static const char RESCHEDULED[] = "alloc was rescheduled because it failed";

struct group_work {
	struct sched *s;
	const char *name;
	const struct task_group *g; /* NULL: gone from the job, or the job is stopped */
	alloc_list running; /* untainted: to keep, update or stop; also those that retry later */
	alloc_list migrate, lost, retry, canaries;
	later_list later;
	alloc_list destructive, in_place;
	bool *used; /* names in use */
	size_t used_n;
	bool had_running; /* something has run this version already */
	struct deployment_group
	    *dg;       /* in s->made or of the active deployment; NULL: no deployment */
	bool existing; /* dg was there before this plan */
	struct group_updates counts;
};

/* ---- helpers ---- */

static int64_t
name_index(const char *name)
{
	const char *open = name != NULL ? strrchr(name, '[') : NULL;

	return open != NULL ? strtoll(open + 1, NULL, 10) : -1;
}

static bool
has_alloc(const alloc_list *l, const struct alloc *a)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i] == a)
			return true;
	return false;
}

void
sched_stop(struct sched *s, const struct alloc *a, const char *why, const char *client_status)
{
	struct alloc_stop *stop = arena_new(s->mem, struct alloc_stop);

	stop->id = a->id;
	stop->desired_description = why;
	stop->client_status = client_status;
	objs_add(&s->plan->stops, s->mem, stop);
}

static bool
node_lost(const struct sched *s, const struct alloc *a)
{
	const struct node *n = state_node(s->state, a->node_id);

	return n == NULL || str_eq(n->status, "down") || str_eq(n->status, "disconnected");
}

/* ---- classifying ---- */

static bool
same_version(const struct sched *s, const struct alloc *a)
{
	return s->job != NULL && a->job != NULL && a->job_version == s->job->version &&
	       a->job->create_index == s->job->create_index;
}

static bool
older_incarnation(const struct sched *s, const struct alloc *a)
{
	return s->job != NULL && a->job != NULL &&
	       (a->job->create_index < s->job->create_index || a->job_version < s->job->version);
}

static void
classify_failed(struct group_work *w, const struct alloc *a)
{
	int64_t when = 0;

	switch (sched_reschedule(a, w->s->in->eval, w->s->in->now, &when)) {
	case SCHED_NOW:
		VEC_PUSH(&w->retry, a);
		break;
	case SCHED_LATER:
		VEC_PUSH(&w->later, ((struct sched_later){ a, when }));
		VEC_PUSH(&w->running, a);
		break;
	case SCHED_NEVER:
		if (a->next_allocation == NULL || a->next_allocation[0] == '\0')
			VEC_PUSH(&w->running, a); /* keeps its place: nothing starts over for it */
		break;
	}
}

static void
classify(struct group_work *w, const struct alloc *a)
{
	struct sched *s = w->s;
	bool over = alloc_client_terminal(a);

	w->had_running |= same_version(s, a);
	if (alloc_server_terminal(a)) {
		if (s->batch && str_eq(a->client_status, "complete") && !older_incarnation(s, a) &&
		    w->g != NULL && str_eq(a->desired_description, MIGRATED))
			VEC_PUSH(&w->running, a); /* ended well while it was being moved */
		if (!over && node_lost(s, a)) {
			struct alloc_stop *stop = arena_new(s->mem, struct alloc_stop);
			*stop = (struct alloc_stop){
				.id = a->id, .client_status = "lost", .keep = true
			};
			objs_add(&s->plan->stops, s->mem, stop);
		}
		return;
	}
	if (over && s->batch && older_incarnation(s, a))
		return; /* the new version runs again from the start */
	bool done = s->batch && str_eq(a->client_status, "complete"); /* keeps its place */
	if (over && !done && !str_eq(a->client_status, "failed"))
		return;
	if (str_eq(a->client_status, "failed"))
		classify_failed(w, a);
	else if (!done && a->desired_transition != NULL && a->desired_transition->migrate)
		VEC_PUSH(&w->migrate, a);
	else if (!done && node_lost(s, a))
		VEC_PUSH(&w->lost, a);
	else
		VEC_PUSH(&w->running, a);
}

/* ---- names ---- */

static void
use_name(struct group_work *w, const struct alloc *a)
{
	int64_t i = name_index(a->name);

	if (i >= 0 && i < (int64_t)w->used_n)
		w->used[i] = true;
}

static void
use_names(struct group_work *w)
{
	w->used_n = (size_t)(w->g != NULL ? w->g->count : 0) + 64;
	w->used = arena_array(w->s->mem, w->used_n, bool);
	VEC_FOREACH (const struct alloc **, a, &w->running)
		use_name(w, *a);
	VEC_FOREACH (const struct alloc **, a, &w->migrate)
		use_name(w, *a);
	VEC_FOREACH (const struct alloc **, a, &w->retry)
		use_name(w, *a);
}

static const char *
name_of(struct group_work *w, size_t i)
{
	return arena_printf(w->s->mem, "%s.%s[%zu]", w->s->job->id, w->g->name, i);
}

static const char *
next_name(struct group_work *w)
{
	size_t i = 0;

	while (i < w->used_n && w->used[i])
		i++;
	if (i < w->used_n)
		w->used[i] = true;
	return name_of(w, i);
}

/* ---- stopping ---- */

static void
stop_list(struct group_work *w, alloc_list *l, const char *why, const char *client_status)
{
	VEC_FOREACH (const struct alloc **, a, l) {
		if (!str_eq((*a)->client_status, "complete"))
			sched_stop(w->s, *a, why, client_status);
		w->counts.stop++;
	}
	l->n = 0;
}

static void
stop_everything(struct group_work *w)
{
	stop_list(w, &w->running, NOT_NEEDED, NULL);
	stop_list(w, &w->migrate, NOT_NEEDED, NULL);
	stop_list(w, &w->retry, NOT_NEEDED, NULL);
	stop_list(w, &w->lost, LOST, "lost");
	w->later.n = 0;
}

static int
by_name_down(const void *a, const void *b)
{
	const struct alloc *x = *(const struct alloc *const *)a;
	const struct alloc *y = *(const struct alloc *const *)b;
	int64_t i = name_index(x->name), k = name_index(y->name);

	if (i != k)
		return i > k ? -1 : 1;
	return x->create_index < y->create_index ? -1 : x->create_index > y->create_index;
}

static int
by_name_up(const void *a, const void *b)
{
	return by_name_down(b, a);
}

static void
stop_one(struct group_work *w, alloc_list *from, size_t i)
{
	if (!str_eq(from->at[i]->client_status, "complete"))
		sched_stop(w->s, from->at[i], NOT_NEEDED, NULL);
	w->counts.stop++;
	VEC_REMOVE(from, i);
}

/* Of two with one name, the one that was there first and is not the promoted canary goes. */
static void
stop_duplicates_of_canaries(struct group_work *w)
{
	for (size_t i = w->running.n; i-- > 0;) {
		const struct alloc *a = w->running.at[i];
		if (has_alloc(&w->canaries, a))
			continue;
		VEC_FOREACH (const struct alloc **, c, &w->canaries)
			if (str_eq((*c)->name, a->name)) {
				stop_one(w, &w->running, i);
				break;
			}
	}
}

static void
stop_surplus(struct group_work *w, bool canary_state)
{
	VEC_FOREACH (const struct alloc **, a, &w->lost)
		sched_stop(w->s, *a, LOST, "lost");
	if (!canary_state && w->canaries.n > 0)
		stop_duplicates_of_canaries(w);
	int64_t others = 0;
	if (canary_state)
		VEC_FOREACH (const struct alloc **, c, &w->canaries)
			others += has_alloc(&w->running, *c);
	int64_t surplus =
	    (int64_t)(w->running.n + w->migrate.n + w->retry.n) - others - w->g->count;
	for (; surplus > 0 && w->migrate.n > 0; surplus--)
		stop_one(w, &w->migrate, w->migrate.n - 1);
	for (; surplus > 0 && w->retry.n > 0; surplus--)
		stop_one(w, &w->retry, w->retry.n - 1);
	if (surplus <= 0)
		return;
	if (w->running.n > 1)
		qsort(w->running.at, w->running.n, sizeof(w->running.at[0]), by_name_down);
	for (size_t i = 0; surplus > 0 && i < w->running.n;) {
		if (canary_state && has_alloc(&w->canaries, w->running.at[i])) {
			i++;
			continue;
		}
		stop_one(w, &w->running, i);
		surplus--;
	}
}

static void
stop_canaries_of(struct group_work *w, const struct deployment *d)
{
	const struct deployment_group *dg = d != NULL ? objmap_get(&d->task_groups, w->name) : NULL;

	if (dg == NULL || dg->promoted)
		return;
	for (size_t i = w->running.n; i-- > 0;)
		if (strs_has(&dg->placed_canaries, w->running.at[i]->id))
			stop_one(w, &w->running, i);
}

static void
find_canaries(struct group_work *w)
{
	stop_canaries_of(w, w->s->old);
	if (w->s->failed)
		stop_canaries_of(w, w->s->active);
	if (w->dg == NULL)
		return;
	VEC_FOREACH (const struct alloc **, a, &w->running)
		if (strs_has(&w->dg->placed_canaries, (*a)->id))
			VEC_PUSH(&w->canaries, *a);
}

/* ---- updating ---- */

static void
sort_updates(struct group_work *w, bool canary_state)
{
	struct sched *s = w->s;

	VEC_FOREACH (const struct alloc **, p, &w->running) {
		const struct alloc *a = *p;
		if (canary_state && has_alloc(&w->canaries, a))
			continue;
		if (same_version(s, a) || (alloc_client_terminal(a) && s->batch))
			w->counts.ignore++;
		else if (a->job == NULL || alloc_client_terminal(a) ||
			 job_tasks_updated(a->job, s->job, w->name) ||
			 !sched_fits_in_place(s, a, w->g))
			VEC_PUSH(&w->destructive, a);
		else
			VEC_PUSH(&w->in_place, a);
	}
	if (w->destructive.n > 1)
		qsort(
		    w->destructive.at, w->destructive.n, sizeof(w->destructive.at[0]), by_name_up);
}

static void
update_in_place(struct group_work *w)
{
	struct sched *s = w->s;

	VEC_FOREACH (const struct alloc **, p, &w->in_place) {
		struct alloc *a = arena_memdup(s->mem, *p, sizeof(**p));
		a->eval_id = s->in->eval->id;
		a->job = s->job;
		a->job_version = s->job->version;
		a->deployment_id = w->dg != NULL && s->made != NULL	? s->made->id
				   : w->dg != NULL && s->active != NULL ? s->active->id
									: NULL;
		a->deployment_status = NULL;
		objs_add(&s->plan->allocs, s->mem, a);
		w->counts.in_place++;
	}
}

static void
replace(struct group_work *w, size_t n, placement_list *out)
{
	for (size_t i = 0; i < w->destructive.n; i++) {
		const struct alloc *a = w->destructive.at[i];
		if (i >= n) {
			w->counts.ignore++;
			continue;
		}
		struct placement p = { .group = w->g,
			.job = w->s->job,
			.name = a->name,
			.previous = a,
			.stop_reason = UPDATED };
		VEC_PUSH(out, p);
		w->counts.destructive++;
	}
}

static int64_t
parallel_limit(const struct group_work *w, bool canary_state)
{
	const struct update_strategy *u = w->g->update;
	const struct sched *s = w->s;

	if (s->batch || u == NULL || u->max_parallel <= 0 || w->destructive.n + w->migrate.n == 0)
		return w->g->count;
	if (s->paused || s->failed || canary_state)
		return 0;
	int64_t limit = u->max_parallel;
	if (!w->existing || s->active == NULL)
		return limit;
	VEC_FOREACH (const struct alloc **, a, &w->running) {
		if (!str_eq((*a)->deployment_id, s->active->id))
			continue;
		int health = alloc_health(*a);
		if (health == 0)
			return 0;
		if (health < 0)
			limit--;
	}
	return limit > 0 ? limit : 0;
}

/* ---- placing ---- */

static void
place_previous(struct group_work *w, const struct alloc *a, bool reschedule, bool lost,
    bool canary_state, placement_list *out)
{
	struct placement p = { .group = w->g,
		.job = w->s->job,
		.name = a->name,
		.previous = a,
		.reschedule = reschedule,
		.lost = lost,
		.canary = alloc_canary(a) && has_alloc(&w->canaries, a) };

	/* while canaries are on trial, what fails at the old version comes back at the old version
	 */
	if (canary_state && !p.canary && a->job != NULL && !same_version(w->s, a) &&
	    job_group(a->job, w->name) != NULL) {
		p.job = a->job;
		p.group = job_group(a->job, w->name);
	}
	VEC_PUSH(out, p);
}

static void
missing(struct group_work *w, bool canary_state, placement_list *out)
{
	int64_t existing = (int64_t)(w->running.n + w->migrate.n + w->retry.n);

	if (canary_state)
		VEC_FOREACH (const struct alloc **, c, &w->canaries)
			existing -= has_alloc(&w->running, *c);
	VEC_FOREACH (const struct alloc **, a, &w->retry)
		place_previous(w, *a, true, false, canary_state, out);
	VEC_FOREACH (const struct alloc **, a, &w->lost) {
		if (existing >= w->g->count)
			break;
		use_name(w, *a);
		place_previous(w, *a, false, true, canary_state, out);
		existing++;
	}
	for (; existing < w->g->count; existing++)
		VEC_PUSH(out,
		    ((struct placement){ .group = w->g, .job = w->s->job, .name = next_name(w) }));
}

static void
place_canaries(struct group_work *w, int64_t n, placement_list *out)
{
	for (int64_t i = 0; i < n; i++) {
		const char *name =
		    (size_t)i < w->destructive.n ? w->destructive.at[i]->name : next_name(w);
		VEC_PUSH(out, ((struct placement){
				  .group = w->g, .job = w->s->job, .name = name, .canary = true }));
		w->counts.canary++;
	}
}

static bool
retry_of_failed_deployment(const struct group_work *w, const struct placement *p)
{
	return w->s->failed && w->s->active != NULL && p->previous != NULL &&
	       str_eq(p->previous->deployment_id, w->s->active->id);
}

/* Takes from `wanted` what may be placed now. */
static void
place_allowed(struct group_work *w, placement_list *wanted, bool ready, placement_list *out)
{
	VEC_FOREACH (struct placement *, p, wanted) {
		if (!ready && !p->lost && !(p->reschedule && !retry_of_failed_deployment(w, p)))
			continue;
		if (p->reschedule)
			sched_stop(w->s, p->previous, RESCHEDULED, NULL);
		VEC_PUSH(out, *p);
		w->counts.place++;
	}
}

static void
move(struct group_work *w, placement_list *out)
{
	VEC_FOREACH (const struct alloc **, a, &w->migrate) {
		sched_stop(w->s, *a, MIGRATED, NULL);
		w->counts.migrate++;
		place_previous(w, *a, false, false,
		    w->dg != NULL && w->dg->desired_canaries > 0 && !w->dg->promoted, out);
	}
}

/* ---- deployment ---- */

static void
find_deployment_group(struct group_work *w)
{
	struct sched *s = w->s;
	const struct update_strategy *u = w->g->update;

	if (s->active != NULL && !s->failed)
		w->dg = objmap_get(&s->made->task_groups, w->name);
	w->existing = w->dg != NULL;
	if (w->dg != NULL || s->batch || u == NULL || u->max_parallel <= 0 || s->failed)
		return;
	w->dg = arena_new(s->mem, struct deployment_group);
	w->dg->auto_revert = u->auto_revert;
	w->dg->auto_promote = u->auto_promote;
	w->dg->progress_deadline = u->progress_deadline;
}

static void
new_deployment(struct sched *s)
{
	struct deployment *d = arena_new(s->mem, struct deployment);

	d->id = sched_uuid(s);
	d->namespace = s->job->namespace;
	d->job_id = s->job->id;
	d->job_version = s->job->version;
	d->job_modify_index = s->job->modify_index;
	d->job_spec_modify_index = s->job->job_modify_index;
	d->job_create_index = s->job->create_index;
	d->status = "running";
	d->status_description = "Deployment is running";
	d->eval_priority = s->job->priority;
	s->made = d;
}

static void
join_deployment(struct group_work *w)
{
	struct sched *s = w->s;
	bool updating = w->destructive.n + w->in_place.n > 0;

	if (w->dg == NULL || w->existing)
		return;
	if (w->dg->desired_total == 0 || (w->had_running && !updating)) {
		w->dg = NULL; /* nothing to watch */
		return;
	}
	if (s->made == NULL)
		new_deployment(s);
	objmap_set(&s->made->task_groups, s->mem, w->name, w->dg);
	s->plan->deployment = s->made;
}

static bool
group_done(const struct group_work *w, size_t wanted, bool canaries_due)
{
	if (w->destructive.n + w->in_place.n + wanted + w->migrate.n + w->retry.n + w->later.n >
		0 ||
	    canaries_due)
		return false;
	if (w->dg == NULL)
		return true;
	int64_t total = w->dg->desired_total > w->dg->desired_canaries ? w->dg->desired_total
								       : w->dg->desired_canaries;
	return w->dg->healthy_allocs >= total && (w->dg->desired_canaries == 0 || w->dg->promoted);
}

/* ---- one group ---- */

static void
run_group(struct group_work *w, placement_list *out)
{
	struct sched *s = w->s;
	placement_list wanted = VEC_INIT;

	find_deployment_group(w);
	find_canaries(w);
	bool canary_state = w->dg != NULL && w->dg->desired_canaries != 0 && !w->dg->promoted;
	stop_surplus(w, canary_state);
	use_names(w);
	sort_updates(w, canary_state);

	const struct update_strategy *u = s->batch ? NULL : w->g->update;
	bool canaries_due = u != NULL && w->dg != NULL && w->destructive.n > 0 &&
			    (int64_t)w->canaries.n < u->canary && !w->dg->promoted;
	if (canaries_due && !w->existing)
		w->dg->desired_canaries = u->canary;
	bool trial = w->dg != NULL && w->dg->desired_canaries != 0 && !w->dg->promoted;
	int64_t limit = parallel_limit(w, trial);
	missing(w, trial, &wanted);
	if (w->dg != NULL && !w->existing)
		w->dg->desired_total = (int64_t)(w->destructive.n + w->in_place.n + wanted.n);
	join_deployment(w);
	s->complete = s->complete && group_done(w, wanted.n, canaries_due);
	if (canaries_due && !s->paused && !s->failed)
		place_canaries(w, u->canary - (int64_t)w->canaries.n, out);

	bool ready = !s->paused && !s->failed && !trial;
	place_allowed(w, &wanted, ready, out);
	if (ready)
		limit -= (int64_t)wanted.n < limit ? (int64_t)wanted.n : limit;
	replace(w, (size_t)(ready && limit > 0 ? limit : 0), out);
	update_in_place(w);
	move(w, out);
	sched_look_later(s, &w->later);
	VEC_FINI(&wanted);
}

static void
free_work(struct group_work *w)
{
	VEC_FINI(&w->running);
	VEC_FINI(&w->migrate);
	VEC_FINI(&w->lost);
	VEC_FINI(&w->retry);
	VEC_FINI(&w->canaries);
	VEC_FINI(&w->later);
	VEC_FINI(&w->destructive);
	VEC_FINI(&w->in_place);
}

static void
one_group(struct sched *s, const char *name, const struct task_group *g, const struct rows *all,
    placement_list *out)
{
	struct group_work w = { .s = s, .name = name, .g = g };

	for (size_t i = 0; i < all->n; i++)
		if (str_eq(((const struct alloc *)all->at[i])->task_group, name))
			classify(&w, all->at[i]);
	if (g == NULL)
		stop_everything(&w);
	else
		run_group(&w, out);
	objmap_set(
	    &s->plan->updates, s->mem, name, arena_memdup(s->mem, &w.counts, sizeof(w.counts)));
	free_work(&w);
}

static bool
listed(const struct sched *s, const char *group)
{
	return objmap_get(&s->plan->updates, group) != NULL;
}

void
sched_reconcile(struct sched *s, placement_list *out)
{
	const struct eval *ev = s->in->eval;
	const struct task_group *g;
	autorows struct rows all = state_job_allocs(s->state, ev->namespace, ev->job_id);

	s->complete = true;
	if (!s->stopped)
		OBJS_FOREACH (g, &s->job->groups)
			one_group(s, g->name, g, &all, out);
	for (size_t i = 0; i < all.n; i++) {
		const struct alloc *a = all.at[i];
		if (a->task_group != NULL && !listed(s, a->task_group))
			one_group(s, a->task_group, NULL, &all, out);
	}
}
