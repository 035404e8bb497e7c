/*
 * drain.c: emptying a node, group by group, so that enough of each stays healthy elsewhere.
 */
#include "server/inside.h"

#include "job/job.h"

static void
drain_time(void *arg)
{
	struct server *s = arg;

	server_cancel(s, &s->drain_timer);
	s->drains_changed = true;
	server_wake(s);
}

static bool
counts_as_healthy(const struct alloc *a)
{
	if (alloc_terminal(a) || (a->desired_transition != NULL && a->desired_transition->migrate))
		return false;
	return text(a->deployment_id)[0] != '\0' ? alloc_health(a) == 1
						 : str_eq(a->client_status, "running");
}

/* How many of this group may be moved now. */
static int64_t
allowance(struct server *s, const struct alloc *a, const struct task_group *g)
{
	int64_t parallel = g->migrate != NULL ? g->migrate->max_parallel : 1, healthy = 0;
	autorows struct rows all = state_job_allocs(s->state, a->namespace, a->job_id);

	for (size_t i = 0; i < all.n; i++) {
		const struct alloc *other = all.at[i];
		healthy += str_eq(other->task_group, a->task_group) && counts_as_healthy(other);
	}
	return healthy - (g->count - parallel);
}

static bool
already_leaving(const struct alloc *a)
{
	return alloc_terminal(a) ||
	       (a->desired_transition != NULL && a->desired_transition->migrate);
}

struct drain {
	struct server *s;
	struct arena *mem;
	struct command *c;
	struct transition *t;
	struct map moved; /* "job/group" -> how many were marked in this turn */
	struct map evals;
	bool forced;
	size_t left; /* still there */
};

static void
mark(struct drain *d, const struct alloc *a)
{
	strs_add(&d->t->ids, d->mem, a->id);
	if (map_has(&d->evals, a->job_id))
		return;
	map_set(&d->evals, a->job_id, d);
	objs_add(&d->c->evals, d->mem, server_eval(d->s, d->mem, a->job, "node-drain"));
}

static void
consider(struct drain *d, const struct alloc *a)
{
	const struct task_group *g = job_group(a->job, a->task_group);

	if (!alloc_client_terminal(a))
		d->left++;
	if (already_leaving(a))
		return;
	if (d->forced || g == NULL) {
		mark(d, a);
		return;
	}
	if (str_eq(a->job->type, "batch"))
		return; /* may run to its end before the deadline */
	const char *key = arena_printf(d->mem, "%s/%s/%s", a->namespace, a->job_id, a->task_group);
	int64_t moved = (int64_t)(intptr_t)map_get(&d->moved, key);
	if (moved >= allowance(d->s, a, g) && moved > 0)
		return;
	if (moved == 0 && allowance(d->s, a, g) <= 0)
		return;
	map_set(&d->moved, key, (void *)(intptr_t)(moved + 1));
	mark(d, a);
}

static void
finished(struct server *s, const struct node *n, struct drain *d)
{
	struct drain_metadata *last = arena_new(d->mem, struct drain_metadata);
	struct node_event *ev = arena_new(d->mem, struct node_event);
	struct node_update *u = arena_new(d->mem, struct node_update);

	*last = (struct drain_metadata){ .started_at = n->drain_strategy->started_at,
		.updated_at = server_now(s),
		.status = "complete" };
	ev->message = "Node drain complete";
	*u =
	    (struct node_update){ .id = n->id, .drain_end = true, .last_drain = last, .event = ev };
	objs_add(&d->c->node_updates, d->mem, u);
}

/* The time at which this node's drain is forced; 0: never. */
static int64_t
drain_node(struct server *s, const struct node *n)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "NodeDrain");
	struct desired_transition migrate = { .migrate = true };
	struct transition t = { .transition = &migrate };
	struct drain d = { .s = s, .mem = &mem, .c = &c, .t = &t };
	const struct drain_strategy *ds = n->drain_strategy;
	autorows struct rows allocs = state_node_allocs(s->state, n->id);

	d.forced = ds->deadline < 0 || (ds->force_deadline > 0 && c.now >= ds->force_deadline);
	for (size_t i = 0; i < allocs.n; i++)
		consider(&d, allocs.at[i]);
	if (d.left == 0)
		finished(s, n, &d);
	if (t.ids.n > 0)
		objs_add(&c.transitions, &mem, &t);
	if (t.ids.n > 0 || d.left == 0)
		server_propose(s, &c, NULL, NULL, NULL, NULL);
	map_fini(&d.moved);
	map_fini(&d.evals);
	return d.left > 0 && !d.forced ? ds->force_deadline : 0;
}

void
drain_turn(struct server *s)
{
	int64_t next = 0;

	if (!s->drains_changed)
		return;
	s->drains_changed = s->draining = false;
	server_cancel(s, &s->drain_timer);
	autorows struct rows all = state_list(s->state, STATE_NODES, NULL);
	for (size_t i = 0; i < all.n; i++) {
		const struct node *n = all.at[i];
		if (n->drain_strategy == NULL)
			continue;
		s->draining = true;
		int64_t when = drain_node(s, n);
		if (when > 0 && (next == 0 || when < next))
			next = when;
	}
	if (next > 0)
		s->drain_timer = server_after(s, next - server_now(s), drain_time, s);
}
