/*
 * nodes.c: which nodes can run a group, and which of them is best.
 */
#include "sched/inside.h"

#include "base/str.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SKIP_MAX = 3, SCORES_KEPT = 5, SPREAD_LIMIT = 100 };

/* ---- the nodes to look at ---- */

static bool
in_datacenters(const struct job *job, const char *dc)
{
	for (size_t i = 0; i < job->datacenters.n; i++)
		if (fnmatch(job->datacenters.at[i], dc, 0) == 0)
			return true;
	return job->datacenters.n == 0;
}

static bool
ready(const struct node *n)
{
	return str_eq(n->status, "ready") && str_eq(n->scheduling_eligibility, "eligible") &&
	       !n->drain;
}

static void
count_available(struct sched *s, const char *dc)
{
	int64_t *n = intmap_get(&s->available, dc);

	intmap_set(&s->available, s->mem, dc, n != NULL ? *n + 1 : 1);
}

void
sched_collect_nodes(struct sched *s)
{
	autorows struct rows all = state_list(s->state, STATE_NODES, NULL);

	s->nodes = arena_array(s->mem, all.n > 0 ? all.n : 1, struct candidate);
	for (size_t i = 0; i < s->job->datacenters.n; i++)
		if (strpbrk(s->job->datacenters.at[i], "*?[") == NULL)
			intmap_set(&s->available, s->mem, s->job->datacenters.at[i], 0);
	for (size_t i = 0; i < all.n; i++) {
		const struct node *n = all.at[i];
		const char *dc = n->datacenter != NULL ? n->datacenter : "";
		if (!ready(n) || !in_datacenters(s->job, dc))
			continue;
		s->nodes[s->node_count++].node = n;
		count_available(s, dc);
	}
	for (size_t i = s->node_count; i > 1; i--) {
		size_t k = (size_t)(sched_random(s) % i);
		struct candidate swap = s->nodes[i - 1];
		s->nodes[i - 1] = s->nodes[k];
		s->nodes[k] = swap;
	}
}

static bool
plan_stops(const struct sched *s, const char *id)
{
	const struct alloc_stop *stop;

	OBJS_FOREACH (stop, &s->plan->stops)
		if (!stop->keep && strcmp(stop->id, id) == 0)
			return true;
	return false;
}

void
sched_count(struct sched *s, struct candidate *c)
{
	const struct alloc *placed;

	if (c->counted)
		return;
	c->counted = true;
	candidate_base(s, c);
	autorows struct rows allocs = state_node_allocs(s->state, c->node->id);
	for (size_t i = 0; i < allocs.n; i++) {
		const struct alloc *a = allocs.at[i];
		if (!alloc_client_terminal(a))
			candidate_add(c, a, alloc_server_terminal(a) || plan_stops(s, a->id));
	}
	OBJS_FOREACH (placed, &s->plan->allocs)
		if (str_eq(placed->node_id, c->node->id) &&
		    state_alloc(s->state, placed->id) == NULL)
			candidate_add(c, placed, false);
}

struct candidate *
sched_candidate(struct sched *s, const char *node_id)
{
	for (size_t i = 0; i < s->node_count; i++)
		if (str_eq(s->nodes[i].node->id, node_id))
			return &s->nodes[i];
	return NULL;
}

/* ---- feasibility ---- */

static const char *
constraint_text(struct sched *s, const struct constraint *c)
{
	const char *op = c->operand != NULL && c->operand[0] != '\0' ? c->operand : "=";

	if (strcmp(op, "distinct_hosts") == 0)
		return "distinct_hosts";
	return arena_printf(s->mem, "%s %s %s", c->l_target != NULL ? c->l_target : "", op,
	    c->r_target != NULL ? c->r_target : "");
}

static const char *
unmet(struct sched *s, const struct node *n, const struct objs *constraints)
{
	const struct constraint *c;

	OBJS_FOREACH (c, constraints) {
		if ((c->l_target != NULL && strstr(c->l_target, "unique.") != NULL) ||
		    (c->r_target != NULL && strstr(c->r_target, "unique.") != NULL))
			s->plan->escaped = true;
		if (!sched_constraint(n, c->l_target, c->operand, c->r_target))
			return constraint_text(s, c);
	}
	return NULL;
}

static bool
has_driver(const struct node *n, const char *driver)
{
	const struct driver_info *d = objmap_get(&n->drivers, driver);
	char key[128];

	if (d != NULL)
		return d->detected && d->healthy;
	snprintf(key, sizeof(key), "driver.%s", driver);
	const char *value = strmap_get(&n->attributes, key);
	return value != NULL && (strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
}

static bool
has_volumes(const struct node *n, const struct task_group *g)
{
	for (size_t i = 0; i < g->volumes.n; i++) {
		const struct volume_request *v = g->volumes.value[i];
		if (!str_eq(v->type, "host"))
			continue;
		const struct host_volume *h = objmap_get(&n->host_volumes, v->source);
		if (h == NULL || (h->read_only && !v->read_only))
			return false;
	}
	return true;
}

const char *
sched_infeasible(
    struct sched *s, const struct node *n, const struct job *job, const struct task_group *g)
{
	const struct task *t;
	const char *why = unmet(s, n, &job->constraints);

	if (why != NULL)
		return why;
	OBJS_FOREACH (t, &g->tasks)
		if (!has_driver(n, t->driver))
			return "missing drivers";
	if ((why = unmet(s, n, &g->constraints)) != NULL)
		return why;
	OBJS_FOREACH (t, &g->tasks)
		if ((why = unmet(s, n, &t->constraints)) != NULL)
			return why;
	return has_volumes(n, g) ? NULL : "missing compatible host volumes";
}

/* ---- constraints about other allocations ---- */

static const struct constraint *
find_operand(const struct objs *constraints, const char *operand)
{
	const struct constraint *c;

	OBJS_FOREACH (c, constraints)
		if (str_eq(c->operand, operand) && !str_eq(c->r_target, "false"))
			return c;
	return NULL;
}

/* Allocations of the job that will be there: of the state without what stops, and of the plan. */
void
sched_each_staying(struct sched *s, void (*fn)(void *ctx, const struct alloc *a), void *ctx)
{
	const struct alloc *placed;
	autorows struct rows all =
	    state_job_allocs(s->state, s->in->eval->namespace, s->in->eval->job_id);

	for (size_t i = 0; i < all.n; i++)
		if (!alloc_terminal(all.at[i]) &&
		    !plan_stops(s, ((const struct alloc *)all.at[i])->id))
			fn(ctx, all.at[i]);
	OBJS_FOREACH (placed, &s->plan->allocs)
		if (state_alloc(s->state, placed->id) == NULL)
			fn(ctx, placed);
}

struct distinct {
	struct sched *s;
	const char *group;  /* NULL: the whole job */
	const char *target; /* NULL: the node itself */
	const char *value;  /* of the node that is looked at */
	int64_t found;
};

static void
count_same(void *ctx, const struct alloc *a)
{
	struct distinct *d = ctx;
	const char *value = a->node_id;

	if (d->group != NULL && !str_eq(d->group, a->task_group))
		return;
	if (d->target != NULL) {
		const struct node *n = state_node(d->s->state, a->node_id);
		if (n == NULL || !sched_target(n, d->target, &value))
			return;
	}
	d->found += str_eq(value, d->value);
}

static const char *
too_many(struct sched *s, const struct node *n, const struct objs *constraints, const char *group,
    const struct alloc *except)
{
	const struct constraint *c = find_operand(constraints, "distinct_hosts");
	struct distinct d = { .s = s, .group = group, .value = n->id };

	if (c != NULL) {
		sched_each_staying(s, count_same, &d);
		if (d.found - (except != NULL && str_eq(except->node_id, n->id)) > 0)
			return "distinct_hosts";
	}
	OBJS_FOREACH (c, constraints) {
		uint64_t limit = 1;
		if (!str_eq(c->operand, "distinct_property"))
			continue;
		if (c->r_target != NULL && c->r_target[0] != '\0')
			(void)str_u64(c->r_target, 1000000, &limit);
		d = (struct distinct){ .s = s, .group = group, .target = c->l_target };
		if (!sched_target(n, c->l_target, &d.value))
			return arena_printf(s->mem, "missing property \"%s\"", c->l_target);
		sched_each_staying(s, count_same, &d);
		if (d.found >= (int64_t)limit)
			return arena_printf(s->mem, "distinct_property: %s=%s used by %lld allocs",
			    c->l_target, d.value, (long long)d.found);
	}
	return NULL;
}

static const char *
not_distinct(
    struct sched *s, const struct node *n, const struct job *job, const struct task_group *g)
{
	const char *why = too_many(s, n, &job->constraints, NULL, NULL);

	return why != NULL ? why : too_many(s, n, &g->constraints, g->name, NULL);
}

/* ---- metrics ---- */

void
sched_bump(struct sched *s, struct intmap *m, const char *key)
{
	int64_t *n = intmap_get(m, key);

	intmap_set(m, s->mem, key, n != NULL ? *n + 1 : 1);
}

static void
note_filtered(struct sched *s, struct alloc_metric *m, const struct node *n, const char *why)
{
	m->nodes_filtered++;
	if (n->node_class != NULL && n->node_class[0] != '\0')
		sched_bump(s, &m->class_filtered, n->node_class);
	sched_bump(s, &m->constraint_filtered, why);
}

static void
note_exhausted(struct sched *s, struct alloc_metric *m, const struct node *n, const char *why)
{
	m->nodes_exhausted++;
	if (n->node_class != NULL && n->node_class[0] != '\0')
		sched_bump(s, &m->class_exhausted, n->node_class);
	sched_bump(s, &m->dimension_exhausted, why);
}

/* ---- choosing ---- */

static bool
ranks_all(const struct job *job, const struct task_group *g)
{
	const struct task *t;

	if (job->affinities.n + job->spreads.n + g->affinities.n + g->spreads.n > 0)
		return true;
	OBJS_FOREACH (t, &g->tasks)
		if (t->affinities.n > 0)
			return true;
	return false;
}

static size_t
options_wanted(const struct sched *s, const struct placement *p)
{
	size_t limit = 2;

	if (ranks_all(p->job, p->group))
		return p->group->count > SPREAD_LIMIT ? (size_t)p->group->count : SPREAD_LIMIT;
	if (!s->batch)
		while (((size_t)1 << limit) < s->node_count)
			limit++;
	return limit;
}

static void
keep_score(struct sched *s, struct alloc_metric *m, struct node_score *score)
{
	size_t i = m->score_meta_data.n;

	objs_add(&m->score_meta_data, s->mem, score);
	for (; i > 0; i--) {
		struct node_score *before = m->score_meta_data.at[i - 1];
		if (before->norm_score >= score->norm_score)
			break;
		m->score_meta_data.at[i] = before;
		m->score_meta_data.at[i - 1] = score;
	}
	if (m->score_meta_data.n > SCORES_KEPT)
		m->score_meta_data.n = SCORES_KEPT;
}

static bool
look_at(struct sched *s, struct candidate *c, const struct placement *p, const struct need *n,
    struct alloc_metric *m, struct option *out)
{
	const char *why;

	m->nodes_evaluated++;
	why = sched_infeasible(s, c->node, p->job, p->group);
	if (c->node->computed_class != NULL)
		intmap_set(
		    &s->plan->class_eligibility, s->mem, c->node->computed_class, why == NULL);
	if (why == NULL)
		why = not_distinct(s, c->node, p->job, p->group);
	if (why != NULL) {
		note_filtered(s, m, c->node, why);
		return false;
	}
	sched_count(s, c);
	*out = (struct option){ .c = c };
	why = sched_allocate(s, c, p->group, &out->resources);
	if (why != NULL) {
		note_exhausted(s, m, c->node, why);
		return false;
	}
	sched_score(s, out, p, n);
	keep_score(s, m, out->score);
	return true;
}

static bool
choose(struct sched *s, const struct placement *p, struct alloc_metric *m, struct option *best)
{
	size_t wanted = options_wanted(s, p), found = 0, skipped = 0;
	struct option o;
	struct need n;

	need_of_group(p->group, &n);
	m->nodes_available = s->available;
	*best = (struct option){ 0 };
	if (p->previous != NULL && p->group->ephemeral_disk != NULL &&
	    p->group->ephemeral_disk->sticky && !p->reschedule) {
		struct candidate *home = sched_candidate(s, p->previous->node_id);
		if (home != NULL && look_at(s, home, p, &n, m, best))
			return true;
		*m = (struct alloc_metric){ .nodes_available = s->available };
	}
	for (size_t i = 0; i < s->node_count && found < wanted; i++) {
		if (!look_at(s, &s->nodes[i], p, &n, m, &o))
			continue;
		if (o.score->norm_score <= 0 && skipped < SKIP_MAX)
			skipped++;
		else
			found++;
		if (best->c == NULL || o.score->norm_score > best->score->norm_score)
			*best = o;
	}
	return best->c != NULL;
}

/* ---- placing ---- */

static struct reschedule_tracker *
track(struct sched *s, const struct placement *p)
{
	struct reschedule_tracker *t = arena_new(s->mem, struct reschedule_tracker);
	struct reschedule_event *ev = arena_new(s->mem, struct reschedule_event);
	const struct reschedule_tracker *old = p->previous->reschedule_tracker;

	if (old != NULL)
		for (size_t i = old->events.n > 20 ? old->events.n - 20 : 0; i < old->events.n; i++)
			objs_add(&t->events, s->mem, old->events.at[i]);
	*ev = (struct reschedule_event){ .reschedule_time = s->in->now,
		.prev_alloc_id = p->previous->id,
		.prev_node_id = p->previous->node_id,
		.delay = sched_delay(p->previous) };
	objs_add(&t->events, s->mem, ev);
	return t;
}

static struct alloc *
make_alloc(
    struct sched *s, const struct placement *p, const struct option *o, struct alloc_metric *m)
{
	struct alloc *a = arena_new(s->mem, struct alloc);

	a->id = sched_uuid(s);
	a->eval_id = s->in->eval->id;
	a->name = p->name;
	a->namespace = p->job->namespace;
	a->job_id = p->job->id;
	a->job = p->job;
	a->job_version = p->job->version;
	a->job_type = p->job->type;
	a->task_group = p->group->name;
	a->node_id = o->c->node->id;
	a->node_name = o->c->node->name;
	a->allocated_resources = o->resources;
	a->metrics = m;
	a->desired_status = "run";
	a->client_status = "pending";
	if (p->previous != NULL) {
		a->previous_allocation = p->previous->id;
		if (p->reschedule)
			a->reschedule_tracker = track(s, p);
		else
			a->reschedule_tracker = p->previous->reschedule_tracker;
	}
	const struct deployment *d = s->made != NULL ? s->made : s->active;
	if (d != NULL && !s->failed && p->job == s->job &&
	    objmap_get(&d->task_groups, p->group->name) != NULL) {
		a->deployment_id = d->id;
		if (p->canary) {
			a->deployment_status = arena_new(s->mem, struct alloc_deployment_status);
			a->deployment_status->canary = true;
		}
	}
	return a;
}

bool
sched_place(struct sched *s, const struct placement *p)
{
	struct alloc_metric *m = arena_new(s->mem, struct alloc_metric);
	struct alloc_metric *before = objmap_get(&s->plan->failed, p->group->name);
	struct candidate *home = NULL;
	struct option best;

	if (before != NULL) { /* what failed once for this group fails again */
		before->coalesced_failures++;
		return false;
	}
	if (p->stop_reason != NULL && (home = sched_candidate(s, p->previous->node_id)) != NULL) {
		sched_count(s, home);
		candidate_take(home, p->previous);
	}
	if (!choose(s, p, m, &best)) {
		if (home != NULL)
			candidate_add(home, p->previous, false);
		objmap_set(&s->plan->failed, s->mem, p->group->name, m);
		return false;
	}
	struct alloc *a = make_alloc(s, p, &best, m);
	if (p->stop_reason != NULL)
		sched_stop(s, p->previous, p->stop_reason, NULL);
	objs_add(&s->plan->allocs, s->mem, a);
	candidate_add(best.c, a, false);
	return true;
}

bool
sched_fits_in_place(struct sched *s, const struct alloc *a, const struct task_group *g)
{
	const struct node *n = state_node(s->state, a->node_id);
	struct need n_old, n_new;

	if (n == NULL || str_eq(n->status, "down") ||
	    !in_datacenters(s->job, n->datacenter != NULL ? n->datacenter : "") ||
	    sched_infeasible(s, n, s->job, g) != NULL ||
	    too_many(s, n, &s->job->constraints, NULL, a) != NULL ||
	    too_many(s, n, &g->constraints, g->name, a) != NULL)
		return false;
	/* disk is the only resource that changes without a new allocation, and only within a group
	 */
	need_of_alloc(a, &n_old);
	need_of_group(g, &n_new);
	return n_old.cpu == n_new.cpu && n_old.memory == n_new.memory && n_old.disk == n_new.disk;
}
