/*
 * nodes.c: what nodes say about themselves, and what silence means.
 */
#include "server/inside.h"

#include <stdio.h>
#include <stdlib.h>

static void beat_missed(void *arg);

/* ---- heartbeats ---- */

/* 10 s and more with many nodes, so that together they send at most 50 a second. */
static int64_t
ttl(const struct server *s)
{
	int64_t spread = (int64_t)s->beats.n * SEC_NS / 50;

	return spread > s->config.heartbeat_min_ttl_ns ? spread : s->config.heartbeat_min_ttl_ns;
}

static void
beat(struct server *s, const char *node_id)
{
	struct beat *b = map_get(&s->beats, node_id);

	if (b == NULL) {
		b = xcalloc(1, sizeof(*b));
		b->server = s;
		b->node_id = xstrdup(node_id);
		map_set(&s->beats, node_id, b);
	}
	server_cancel(s, &b->timer);
	b->timer = server_after(s, ttl(s) + s->config.heartbeat_grace_ns, beat_missed, b);
}

static void
forget(struct server *s, const char *node_id)
{
	struct beat *b = map_del(&s->beats, node_id);

	if (b == NULL)
		return;
	server_cancel(s, &b->timer);
	free(b->node_id);
	free(b);
}

void
nodes_restore(struct server *s)
{
	autorows struct rows all = state_list(s->state, STATE_NODES, NULL);

	for (size_t i = 0; i < all.n; i++)
		if (!str_eq(((const struct node *)all.at[i])->status, "down"))
			beat(s, ((const struct node *)all.at[i])->id);
}

void
nodes_free(struct server *s)
{
	size_t i = 0;
	const char *key;

	while (map_next(&s->beats, &i, &key, NULL)) {
		autofree char *id = xstrdup(key);
		forget(s, id);
	}
	map_fini(&s->beats);
}

/* One evaluation for each job that has something on the node. */
void
nodes_add_evals(struct server *s, struct arena *mem, struct command *c, const char *node_id,
    const char *triggered_by)
{
	autorows struct rows allocs = state_node_allocs(s->state, node_id);
	struct map seen = MAP_INIT;
	char key[600];

	for (size_t i = 0; i < allocs.n; i++) {
		const struct alloc *a = allocs.at[i];
		if (alloc_client_terminal(a) || a->job == NULL)
			continue;
		snprintf(key, sizeof(key), "%s/%s", text(a->namespace), a->job_id);
		if (map_has(&seen, key))
			continue;
		map_set(&seen, key, &seen);
		struct eval *ev = server_eval(s, mem, a->job, triggered_by);
		ev->node_id = node_id;
		objs_add(&c->evals, mem, ev);
	}
	map_fini(&seen);
}

static void
set_status(struct server *s, const struct node *n, const char *status, const char *message,
    const struct server_result *r, server_done *done, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "NodeStatusUpdate");
	struct node_event ev = { .message = message };
	struct node_update u = { .id = n->id, .status = status, .event = &ev };

	objs_add(&c.node_updates, &mem, &u);
	nodes_add_evals(s, &mem, &c, n->id, "node-update");
	server_propose(s, &c, NULL, r, done, ctx);
}

static void
beat_missed(void *arg)
{
	struct beat *b = arg;
	struct server *s = b->server;
	const struct node *n = state_node(s->state, b->node_id);

	if (n != NULL && !str_eq(n->status, "down")) {
		log_warn("server", "node %s (%s) has missed its heartbeat", n->id, text(n->name));
		set_status(s, n, "down", "Node heartbeat missed", NULL, NULL, NULL);
	}
	forget(s, b->node_id);
}

/* ---- registering ---- */

int
server_node_check(struct server *s, const char *node_id, const char *secret_id, struct err *e)
{
	const struct node *n = state_node(s->state, node_id);

	if (n == NULL)
		return err_new(e, ERR_ABSENT, "node not found");
	if (!str_eq(n->secret_id, secret_id))
		return err_new(e, ERR_RIGHTS, "node %s: its secret is another one", node_id);
	return 0;
}

/* Whether registering again would change nothing. */
static bool
same_node(const struct node *old, const struct node *given, struct arena *mem)
{
	struct node *n = model_copy(&node_secret_model, given, mem);

	n->resources = old->resources;
	n->reserved = old->reserved;
	n->computed_class = old->computed_class;
	n->scheduling_eligibility = old->scheduling_eligibility;
	n->drain = old->drain;
	n->drain_strategy = old->drain_strategy;
	n->last_drain = old->last_drain;
	n->events = old->events;
	n->status_updated_at = old->status_updated_at;
	n->status_description = old->status_description;
	n->create_index = old->create_index;
	n->modify_index = old->modify_index;
	if (text(n->node_pool)[0] == '\0')
		n->node_pool = old->node_pool;
	return model_equal(&node_secret_model, old, n);
}

static int
check_node(struct server *s, const struct node *n, struct err *e)
{
	const struct node *old;

	if (text(n->id)[0] == '\0')
		return err_new(e, ERR_INPUT, "missing node ID for client registration");
	if (text(n->secret_id)[0] == '\0')
		return err_new(e, ERR_INPUT, "missing node secret ID for client registration");
	if (text(n->datacenter)[0] == '\0')
		return err_new(e, ERR_INPUT, "missing datacenter for client registration");
	if (text(n->name)[0] == '\0')
		return err_new(e, ERR_INPUT, "missing node name for client registration");
	if (text(n->status)[0] != '\0' && !str_eq(n->status, "initializing") &&
	    !str_eq(n->status, "ready"))
		return err_new(e, ERR_INPUT, "invalid status for node: \"%s\"", n->status);
	old = state_node(s->state, n->id);
	if (old != NULL && !str_eq(old->secret_id, n->secret_id))
		return err_new(e, ERR_RIGHTS,
		    "node secret ID does not match: node %s is registered with another one", n->id);
	return 0;
}

int
server_node_register(
    struct server *s, const struct node *n, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct server_result r = { .reverted_version = -1 };

	if (check_node(s, n, e) < 0)
		return -1;
	const struct node *old = state_node(s->state, n->id);
	beat(s, n->id);
	r.heartbeat_ttl_ns = ttl(s);
	if (old != NULL && same_node(old, n, &mem)) {
		r.node_modify_index = (uint64_t)old->modify_index;
		server_answer(s, &r, done, ctx);
		return 0;
	}
	struct command c = server_command(s, "NodeRegistration");
	struct node *copy = model_copy(&node_secret_model, n, &mem);
	c.node = copy;
	if (old != NULL && !str_eq(old->status, n->status))
		nodes_add_evals(s, &mem, &c, n->id, "node-update");
	server_propose(s, &c, NULL, &r, done, ctx);
	return 0;
}

int
server_node_heartbeat(struct server *s, const char *node_id, const char *secret_id,
    const char *status, server_done *done, void *ctx, struct err *e)
{
	struct server_result r = { .reverted_version = -1 };

	if (server_node_check(s, node_id, secret_id, e) < 0)
		return -1;
	if (!str_eq(status, "ready") && !str_eq(status, "initializing"))
		return err_new(e, ERR_INPUT, "invalid status for node: \"%s\"", text(status));
	const struct node *n = state_node(s->state, node_id);
	bool was_down = str_eq(n->status, "down");
	beat(s, node_id);
	r.heartbeat_ttl_ns = ttl(s);
	r.node_modify_index = (uint64_t)n->modify_index;
	if (str_eq(n->status, status)) {
		server_answer(s, &r, done, ctx);
		return 0;
	}
	r.node_modify_index = 0;
	set_status(s, n, status, was_down ? "Node reregistered by heartbeat" : "Node is ready", &r,
	    done, ctx);
	return 0;
}

/* ---- commands of people ---- */

static const struct node *
find(struct server *s, const char *node_id, struct err *e)
{
	const struct node *n = state_node(s->state, node_id);

	if (n == NULL)
		err_new(e, ERR_ABSENT, "node not found");
	return n;
}

int
server_node_eligibility(struct server *s, const char *node_id, bool eligible, server_done *done,
    void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "NodeEligibility");
	const struct node *n = find(s, node_id, e);
	struct node_event ev = { .message = eligible ? "Node marked as eligible for scheduling"
						     : "Node marked as ineligible for scheduling" };
	struct node_update u = {
		.id = node_id, .eligibility = eligible ? "eligible" : "ineligible", .event = &ev
	};

	if (n == NULL)
		return -1;
	if (eligible && n->drain)
		return err_new(e, ERR_BUSY,
		    "can not set node's scheduling eligibility to eligible while it is "
		    "draining; stop the drain first");
	objs_add(&c.node_updates, &mem, &u);
	server_propose(s, &c, NULL, NULL, done, ctx);
	return 0;
}

static void
list_evals(const struct command *c, struct server_result *r, struct arena *mem)
{
	const struct eval *ev;

	OBJS_FOREACH (ev, &c->evals)
		strs_add(&r->eval_ids, mem, ev->id);
}

int
server_node_evaluate(
    struct server *s, const char *node_id, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "NodeEvaluated");
	struct server_result r = { .reverted_version = -1 };

	if (find(s, node_id, e) == NULL)
		return -1;
	nodes_add_evals(s, &mem, &c, node_id, "node-update");
	list_evals(&c, &r, &mem);
	server_propose(s, &c, NULL, &r, done, ctx);
	return 0;
}

int
server_node_purge(
    struct server *s, const char *node_id, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "NodeDeregistration");
	struct deletion d = { 0 };
	struct server_result r = { .reverted_version = -1 };

	if (find(s, node_id, e) == NULL)
		return -1;
	strs_add(&d.nodes, &mem, node_id);
	c.deletion = &d;
	nodes_add_evals(s, &mem, &c, node_id, "node-update");
	list_evals(&c, &r, &mem);
	forget(s, node_id);
	server_propose(s, &c, NULL, &r, done, ctx);
	return 0;
}

int
server_node_drain(struct server *s, const char *node_id, const struct drain_strategy *spec,
    bool mark_eligible, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "NodeDrain");
	const struct node *n = find(s, node_id, e);
	struct drain_strategy d = { 0 };
	struct drain_metadata last = { .updated_at = c.now, .status = "draining" };
	struct node_event ev = { .message = "Node drain strategy set" };
	struct node_update u = { .id = node_id, .event = &ev, .last_drain = &last };

	if (n == NULL)
		return -1;
	last.started_at = n->drain_strategy != NULL ? n->drain_strategy->started_at : c.now;
	if (spec != NULL) {
		d = *spec;
		d.started_at = last.started_at;
		d.force_deadline = d.deadline > 0 ? c.now + d.deadline : 0;
		u.drain_strategy = &d;
		u.eligibility = "ineligible";
	} else {
		u.drain_end = true;
		last.status = "canceled";
		ev.message = "Node drain strategy unset";
		u.eligibility = mark_eligible ? "eligible" : NULL;
		if (n->drain_strategy == NULL)
			u.last_drain = NULL;
	}
	objs_add(&c.node_updates, &mem, &u);
	server_propose(s, &c, NULL, NULL, done, ctx);
	return 0;
}
