/*
 * score.c: which of the nodes that could run it is best. Each component lies about between -1 and
 * 1; the score is their mean.
 */
#include "sched/inside.h"

#include "base/str.h"

#include <math.h>

static void
add_score(struct sched *s, struct node_score *sc, const char *name, double value)
{
	floatmap_set(&sc->scores, s->mem, name, value);
}

static double
free_part(int64_t used, int64_t all)
{
	return all > 0 ? 1.0 - (double)used / (double)all : 0;
}

static double
bin_pack(const struct candidate *c, const struct need *n)
{
	double total = pow(10, free_part(c->cpu + n->cpu, c->cpu_all)) +
		       pow(10, free_part(c->memory + n->memory, c->memory_all));
	double score = 20.0 - total;

	return (score < 0 ? 0 : score > 18 ? 18 : score) / 18.0;
}

static bool
affinity_total(const struct node *n, const struct objs *affinities, double *score, double *weights)
{
	const struct affinity *a;

	OBJS_FOREACH (a, affinities) {
		*weights += fabs((double)a->weight);
		if (sched_constraint(n, a->l_target, a->operand, a->r_target))
			*score += (double)a->weight;
	}
	return affinities->n > 0;
}

static void
score_affinity(
    struct sched *s, const struct option *o, const struct job *job, const struct task_group *g)
{
	double score = 0, weights = 0;
	const struct task *t;
	bool any = affinity_total(o->c->node, &job->affinities, &score, &weights);

	any |= affinity_total(o->c->node, &g->affinities, &score, &weights);
	OBJS_FOREACH (t, &g->tasks)
		any |= affinity_total(o->c->node, &t->affinities, &score, &weights);
	if (any && weights > 0)
		add_score(s, o->score, "node-affinity", score / weights);
}

struct spread_use {
	struct sched *s;
	const char *group, *attribute;
	struct intmap used; /* by value */
};

static void
count_spread(void *ctx, const struct alloc *a)
{
	struct spread_use *u = ctx;
	const struct node *n = state_node(u->s->state, a->node_id);
	const char *value;

	if (str_eq(a->task_group, u->group) && n != NULL && sched_target(n, u->attribute, &value))
		sched_bump(u->s, &u->used, value);
}

/* No targets: the less a value is used compared with the others, the better. */
static double
even_spread(const struct spread_use *u, const char *value)
{
	int64_t *mine = intmap_get(&u->used, value);
	int64_t current = mine != NULL ? *mine : 0, min = -1, max = 0;

	for (size_t i = 0; i < u->used.n; i++) {
		if (min < 0 || u->used.value[i] < min)
			min = u->used.value[i];
		if (u->used.value[i] > max)
			max = u->used.value[i];
	}
	if (min < 0)
		return 0;
	if (mine == NULL)
		min = 0;
	if (current != min)
		return min == 0 ? -1 : (double)(min - current) / (double)min;
	if (min == max)
		return -1;
	return min == 0 ? 1 : (double)(max - min) / (double)min;
}

static double
target_spread(const struct spread *sp, const struct spread_use *u, const char *value, int64_t count)
{
	const struct spread_target *t;
	const int64_t *mine = intmap_get(&u->used, value);
	double used = (double)(mine != NULL ? *mine : 0) + 1, desired = -1;
	int64_t given = 0;

	OBJS_FOREACH (t, &sp->targets) {
		given += t->percent;
		if (str_eq(t->value, value))
			desired = (double)t->percent / 100.0 * (double)count;
	}
	if (desired < 0 && given < 100)
		desired = (double)(100 - given) / 100.0 * (double)count;
	return desired <= 0 ? -1 : (desired - used) / desired;
}

static void
score_spread(
    struct sched *s, const struct option *o, const struct job *job, const struct task_group *g)
{
	const struct objs *lists[2] = { &job->spreads, &g->spreads };
	const struct spread *sp;
	double total = 0, weights = 0;

	for (int i = 0; i < 2; i++)
		OBJS_FOREACH (sp, lists[i])
			weights += (double)(sp->weight > 0 ? sp->weight : 50);
	if (weights <= 0)
		return;
	for (int i = 0; i < 2; i++)
		OBJS_FOREACH (sp, lists[i]) {
			struct spread_use u = {
				.s = s, .group = g->name, .attribute = sp->attribute
			};
			const char *value;
			double weight = (double)(sp->weight > 0 ? sp->weight : 50) / weights;
			if (!sched_target(o->c->node, sp->attribute, &value)) {
				total -= 1;
				continue;
			}
			sched_each_staying(s, count_spread, &u);
			total += sp->targets.n > 0 ? target_spread(sp, &u, value, g->count) * weight
						   : even_spread(&u, value);
		}
	if (total != 0)
		add_score(s, o->score, "allocation-spread", total);
}

struct tally {
	const char *group, *node_id;
	int64_t n;
};

static void
count_here(void *ctx, const struct alloc *a)
{
	struct tally *t = ctx;

	t->n += str_eq(a->task_group, t->group) && str_eq(a->node_id, t->node_id);
}

static bool
failed_there(const struct placement *p, const char *node_id)
{
	const struct reschedule_event *ev;

	if (!p->reschedule || p->previous == NULL)
		return false;
	if (str_eq(p->previous->node_id, node_id))
		return true;
	if (p->previous->reschedule_tracker != NULL)
		OBJS_FOREACH (ev, &p->previous->reschedule_tracker->events)
			if (str_eq(ev->prev_node_id, node_id))
				return true;
	return false;
}

void
sched_score(struct sched *s, struct option *o, const struct placement *p, const struct need *n)
{
	struct tally here = { p->group->name, o->c->node->id, 0 };
	double sum = 0;

	o->score = arena_new(s->mem, struct node_score);
	o->score->node_id = o->c->node->id;
	add_score(s, o->score, "binpack", bin_pack(o->c, n));
	sched_each_staying(s, count_here, &here);
	if (here.n > 0 && p->group->count > 0)
		add_score(s, o->score, "job-anti-affinity",
		    -(double)(here.n + 1) / (double)p->group->count);
	if (failed_there(p, o->c->node->id))
		add_score(s, o->score, "node-reschedule-penalty", -1);
	score_affinity(s, o, p->job, p->group);
	score_spread(s, o, p->job, p->group);
	for (size_t i = 0; i < o->score->scores.n; i++)
		sum += o->score->scores.value[i];
	o->score->norm_score = sum / (double)o->score->scores.n;
}
