/*
 * allocs.c: what nodes report about allocations and services, and what people ask about them.
 */
#include "server/inside.h"

#include <stdio.h>

static bool
known_status(const char *status)
{
	static const char *const all[] = { "pending", "running", "complete", "failed", "lost",
		"unknown" };

	for (size_t i = 0; i < NELEM(all); i++)
		if (str_eq(status, all[i]))
			return true;
	return false;
}

/* It ends though it should run; a batch job may do so. */
static bool
fails_now(const struct alloc *old, const struct alloc *given)
{
	if (alloc_terminal(old) || !alloc_client_terminal(given))
		return false;
	return str_eq(given->client_status, "failed") || !str_eq(old->job_type, "batch");
}

/* One evaluation for each job of which something has failed. */
static void
add_eval(struct server *s, struct arena *mem, struct command *c, const struct alloc *a)
{
	const struct eval *ev;

	OBJS_FOREACH (ev, &c->evals)
		if (str_eq(ev->job_id, a->job_id) && str_eq(ev->namespace, a->namespace))
			return;
	if (a->job != NULL)
		objs_add(&c->evals, mem, server_eval(s, mem, a->job, "alloc-failure"));
}

int
server_allocs_update(struct server *s, const char *node_id, const char *secret_id,
    const struct objs *allocs, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "AllocationUpdated");
	struct alloc *given;

	if (server_node_check(s, node_id, secret_id, e) < 0)
		return -1;
	OBJS_FOREACH (given, allocs) {
		const struct alloc *old = state_alloc(s->state, text(given->id));
		if (text(given->client_status)[0] != '\0' && !known_status(given->client_status))
			return err_new(e, ERR_INPUT, "allocation %s: invalid client status \"%s\"",
			    text(given->id), given->client_status);
		if (old == NULL || !str_eq(old->node_id, node_id))
			continue; /* collected meanwhile, or not this node's to speak about */
		objs_add(&c.client_allocs, &mem, given);
		if (fails_now(old, given))
			add_eval(s, &mem, &c, old);
	}
	if (c.client_allocs.n == 0)
		server_answer(s, NULL, done, ctx);
	else
		server_propose(s, &c, NULL, NULL, done, ctx);
	return 0;
}

int
server_services_update(struct server *s, const char *node_id, const char *secret_id,
    const struct objs *add, const struct strs *remove, server_done *done, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command c = server_command(s, "ServiceRegistration");
	struct service_row *given;

	if (server_node_check(s, node_id, secret_id, e) < 0)
		return -1;
	const struct node *n = state_node(s->state, node_id);
	OBJS_FOREACH (given, add) {
		struct service_row *row = arena_memdup(&mem, given, sizeof(*given));
		const struct service_row *old = state_service(s->state, text(row->id));
		row->node_id = n->id;
		row->node_name = n->name;
		row->datacenter = n->datacenter;
		if (text(row->namespace)[0] == '\0')
			row->namespace = "default";
		if (old != NULL) {
			row->create_index = old->create_index;
			row->modify_index = old->modify_index;
			if (model_equal(&service_row_model, old, row))
				continue;
		}
		objs_add(&c.services, &mem, row);
	}
	for (size_t i = 0; remove != NULL && i < remove->n; i++) {
		const struct service_row *old = state_service(s->state, remove->at[i]);
		if (old != NULL && str_eq(old->node_id, node_id))
			strs_add(&c.service_removals, &mem, old->id);
	}
	if (c.services.n + c.service_removals.n == 0)
		server_answer(s, NULL, done, ctx);
	else
		server_propose(s, &c, NULL, NULL, done, ctx);
	return 0;
}

int
server_alloc_stop(struct server *s, const char *alloc_id, bool no_shutdown_delay, server_done *done,
    void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct alloc *a = state_alloc(s->state, alloc_id);
	struct command c = server_command(s, "AllocationUpdateDesiredStatus");
	struct desired_transition migrate = { .migrate = true,
		.no_shutdown_delay = no_shutdown_delay };
	struct transition t = { .transition = &migrate };

	if (a == NULL)
		return err_new(e, ERR_ABSENT, "alloc not found");
	strs_add(&t.ids, &mem, a->id);
	objs_add(&c.transitions, &mem, &t);
	struct eval *ev = server_eval(s, &mem, a->job, "alloc-stop");
	objs_add(&c.evals, &mem, ev);
	server_propose(s, &c, ev->id, NULL, done, ctx);
	return 0;
}

int
server_catalog(
    struct server *s, const struct command *given, server_done *done, void *ctx, struct err *e)
{
	struct command c = server_command(s, "Catalog");
	struct service_row *row;

	OBJS_FOREACH (row, &given->services)
		if (text(row->alloc_id)[0] != '\0' || text(row->node_id)[0] != '\0')
			return err_new(
			    e, ERR_INPUT, "service %s belongs to an allocation", text(row->id));
	c.services = given->services;
	c.service_removals = given->service_removals;
	c.kv_ops = given->kv_ops;
	server_propose(s, &c, NULL, NULL, done, ctx);
	return 0;
}
