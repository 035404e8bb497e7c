/*
 * apply.c: a committed command changes the rows. Neither clock nor chance: the same log gives the
 * same state.
 */
#include "state/apply.h"

#include "base/str.h"
#include "job/job.h"

#include <stdlib.h>
#include <string.h>

enum { NODE_EVENTS_MAX = 10 };

static char marker;

void
touch_job(struct apply *ap, const char *namespace, const char *id)
{
	char key[JOB_KEY];

	if (!map_has(&ap->jobs, job_key(namespace, id, key)))
		map_set(&ap->jobs, key, &marker);
}

void
touch_deployment(struct apply *ap, const char *id)
{
	if (said(id))
		map_set(&ap->deployments, id, &marker);
}

/* ---- jobs ---- */

static void
put_version(struct apply *ap, struct job *now)
{
	now->modify_index = ap->index;
	state_versions_put(ap->s, now);
	table_put(ap->s, STATE_JOBS, now);
	touch_job(ap, now->namespace, now->id);
}

static void
apply_job(struct apply *ap, const struct job *job)
{
	const struct job *old = state_job(ap->s, job->namespace, job->id);
	struct arena *mem;
	struct job *now = row_make(&job_model, job, &mem);

	now->create_index = old != NULL ? old->create_index : ap->index;
	now->version = old != NULL ? old->version + 1 : 0;
	now->job_modify_index = ap->index;
	now->status = "pending";
	now->status_description = "";
	now->stable = false;
	put_version(ap, now);
}

static void
apply_job_stop(struct apply *ap, const struct job_stop *stop)
{
	const struct job *old = state_job(ap->s, stop->namespace, stop->id);
	struct arena *mem;

	if (old == NULL)
		return;
	if (stop->purge) {
		const struct job_summary *sum = state_job_summary(ap->s, stop->namespace, stop->id);
		if (sum != NULL)
			table_remove(ap->s, STATE_JOB_SUMMARIES, sum);
		state_versions_drop(ap->s, stop->namespace, stop->id);
		table_remove(ap->s, STATE_JOBS, old);
		return;
	}
	struct job *now = row_copy(&job_model, old, &mem);
	now->stop = true;
	now->stable = false;
	now->version++;
	now->job_modify_index = ap->index;
	put_version(ap, now);
}

void
apply_job_stable(struct apply *ap, const struct job_stable *st)
{
	const struct job *old = state_job_version(ap->s, st->namespace, st->id, st->version);
	const struct job *current = state_job(ap->s, st->namespace, st->id);
	struct arena *mem;

	if (old == NULL || old->stable == st->stable)
		return;
	struct job *now = row_copy(&job_model, old, &mem);
	now->stable = st->stable;
	now->modify_index = ap->index;
	state_versions_put(ap->s, now);
	if (current != NULL && current->version == st->version)
		table_put(ap->s, STATE_JOBS, now);
	else
		row_unref(now);
}

/* ---- nodes ---- */

static void
add_event(struct apply *ap, struct node *n, struct arena *mem, const struct node_event *given)
{
	struct node_event *ev = arena_memdup(mem, given, sizeof(*given));

	ev->message = arena_strdup(mem, text(given->message));
	ev->subsystem = arena_strdup(mem, said(given->subsystem) ? given->subsystem : "Cluster");
	ev->details = (struct strmap){ 0 };
	ev->timestamp = ap->now;
	ev->create_index = ap->index;
	objs_add(&n->events, mem, ev);
	if (n->events.n > NODE_EVENTS_MAX) {
		n->events.at++;
		n->events.n--;
	}
}

/* Rows of a node that is down would send requests nowhere; it registers them again on its return.
 */
void
remove_services(struct apply *ap, struct rows list)
{
	for (size_t i = 0; i < list.n; i++)
		table_remove(ap->s, STATE_SERVICES, list.at[i]);
	rows_fini(&list);
}

static void
put_node(struct apply *ap, struct node *n, struct arena *mem)
{
	node_derive(n, mem);
	n->modify_index = ap->index;
	bool down = str_eq(n->status, "down");
	table_put(ap->s, STATE_NODES, n);
	if (down)
		remove_services(ap, state_node_services(ap->s, n->id));
}

static void
apply_node(struct apply *ap, const struct node *node)
{
	const struct node *old = state_node(ap->s, node->id);
	struct arena *mem;
	struct node *now = row_make(&node_secret_model, node, &mem);
	struct node_event ev = { .message = "Node registered" };

	now->events = (struct objs){ 0 };
	now->create_index = ap->index;
	if (!said(now->status))
		now->status = "initializing";
	if (old != NULL) {
		struct node *kept = model_copy(&node_secret_model, old, mem);
		now->create_index = old->create_index;
		now->drain_strategy = kept->drain_strategy;
		now->last_drain = kept->last_drain;
		now->scheduling_eligibility = kept->scheduling_eligibility;
		now->events = kept->events;
		ev.message = "Node re-registered";
	}
	if (old == NULL || !str_eq(old->status, now->status)) {
		now->status_updated_at = ap->now / 1000000000;
		add_event(ap, now, mem, &ev);
	} else
		now->status_updated_at = old->status_updated_at;
	put_node(ap, now, mem);
}

static void
apply_node_update(struct apply *ap, const struct node_update *u)
{
	const struct node *old = state_node(ap->s, text(u->id));
	struct arena *mem;

	if (old == NULL)
		return;
	struct node *now = row_copy(&node_secret_model, old, &mem);
	if (said(u->status)) {
		now->status = arena_strdup(mem, u->status);
		now->status_updated_at = ap->now / 1000000000;
	}
	if (said(u->status_description))
		now->status_description = arena_strdup(mem, u->status_description);
	if (said(u->eligibility))
		now->scheduling_eligibility = arena_strdup(mem, u->eligibility);
	if (u->drain_strategy != NULL)
		now->drain_strategy = model_copy(&drain_strategy_model, u->drain_strategy, mem);
	if (u->drain_end)
		now->drain_strategy = NULL;
	if (u->last_drain != NULL) {
		now->last_drain = arena_memdup(mem, u->last_drain, sizeof(*u->last_drain));
		now->last_drain->status = arena_strdup(mem, text(u->last_drain->status));
		now->last_drain->accessor_id = NULL;
		now->last_drain->meta = (struct strmap){ 0 };
	}
	if (u->event != NULL)
		add_event(ap, now, mem, u->event);
	put_node(ap, now, mem);
}

/* ---- services ---- */

static void
apply_service(struct apply *ap, const struct service_row *given)
{
	const struct service_row *old = state_service(ap->s, text(given->id));
	const struct alloc *a = state_alloc(ap->s, text(given->alloc_id));
	struct arena *mem;

	if (!said(given->id) || (said(given->alloc_id) && (a == NULL || alloc_terminal(a))))
		return;
	struct service_row *now = row_make(&service_row_model, given, &mem);
	now->create_index = old != NULL ? old->create_index : ap->index;
	now->modify_index = ap->index;
	if (!said(now->status))
		now->status = "passing";
	table_put(ap->s, STATE_SERVICES, now);
}

static void
remove_service(struct apply *ap, const char *id)
{
	const struct service_row *old = state_service(ap->s, id);

	if (old != NULL)
		table_remove(ap->s, STATE_SERVICES, old);
}

/* ---- keys and values ---- */

static bool
kv_may(const struct kv_op *op, const struct kv_row *old)
{
	return !op->with_cas || (old != NULL ? old->modify_index : 0) == op->cas;
}

static void
apply_kv_removal(struct apply *ap, const struct kv_op *op)
{
	const struct kv_row *old = state_kv(ap->s, op->key);

	if (!op->recurse) {
		if (old != NULL && kv_may(op, old))
			table_remove(ap->s, STATE_KV, old);
		return;
	}
	autorows struct rows below = state_list(ap->s, STATE_KV, op->key);
	for (size_t i = 0; i < below.n; i++)
		table_remove(ap->s, STATE_KV, below.at[i]);
}

static void
apply_kv(struct apply *ap, const struct kv_op *op)
{
	if (op->key == NULL || (!said(op->key) && !op->recurse))
		return;
	if (op->remove) {
		apply_kv_removal(ap, op);
		return;
	}
	const struct kv_row *old = state_kv(ap->s, op->key);
	struct arena *mem;
	if (!kv_may(op, old))
		return;
	struct kv_row *now = row_new(&kv_row_model, &mem);
	now->key = arena_strdup(mem, op->key);
	now->value = arena_strdup(mem, text(op->value));
	now->flags = op->flags;
	now->create_index = old != NULL ? old->create_index : ap->index;
	now->modify_index = ap->index;
	table_put(ap->s, STATE_KV, now);
}

/* ---- deletion ---- */

static void
delete_job(struct apply *ap, const char *key)
{
	autofree char *namespace = xstrdup(key);
	char *slash = strchr(namespace, '/');

	if (slash == NULL)
		return;
	*slash = '\0';
	struct job_stop stop = { namespace, slash + 1, true };
	apply_job_stop(ap, &stop);
}

static void
delete_alloc(struct apply *ap, const char *id)
{
	const struct alloc *a = state_alloc(ap->s, id);

	if (a == NULL)
		return;
	remove_services(ap, state_alloc_services(ap->s, id));
	table_remove(ap->s, STATE_ALLOCS, a);
}

#define DELETE_EACH(list, table, lookup)                                                           \
	for (size_t i_ = 0; i_ < (list)->n; i_++) {                                                \
		const void *row_ = lookup(ap->s, (list)->at[i_]);                                  \
		if (row_ != NULL)                                                                  \
			table_remove(ap->s, table, row_);                                          \
	}

static void
apply_deletion(struct apply *ap, const struct deletion *d)
{
	for (size_t i = 0; i < d->allocs.n; i++)
		delete_alloc(ap, d->allocs.at[i]);
	DELETE_EACH(&d->evals, STATE_EVALS, state_eval);
	DELETE_EACH(&d->deployments, STATE_DEPLOYMENTS, state_deployment);
	for (size_t i = 0; i < d->nodes.n; i++)
		remove_services(ap, state_node_services(ap->s, d->nodes.at[i]));
	DELETE_EACH(&d->nodes, STATE_NODES, state_node);
	DELETE_EACH(&d->services, STATE_SERVICES, state_service);
	for (size_t i = 0; i < d->jobs.n; i++)
		delete_job(ap, d->jobs.at[i]);
}

/* ---- evaluations ---- */

static void
apply_eval(struct apply *ap, const struct eval *given)
{
	const struct eval *old = state_eval(ap->s, given->id);
	const struct job *job = state_job(ap->s, given->namespace, given->job_id);
	char key[JOB_KEY];
	struct arena *mem;
	struct eval *now = row_make(&eval_model, given, &mem);

	now->create_index = old != NULL ? old->create_index : ap->index;
	now->create_time = old != NULL ? old->create_time : ap->now;
	now->modify_index = ap->index;
	now->modify_time = ap->now;
	if (now->job_modify_index == 0 && job != NULL)
		now->job_modify_index = job->job_modify_index;
	table_put(ap->s, STATE_EVALS, now);
	touch_job(ap, now->namespace, now->job_id);
	if (now->queued_allocations.n > 0)
		map_set(&ap->jobs, job_key(now->namespace, now->job_id, key), now);
}

/* ---- the whole ---- */

static int
need_id(const char *what, const char *id, struct err *e)
{
	return said(id) ? 0 : err_new(e, ERR_INPUT, "%s without ID", what);
}

/* All that could fail is found before anything changes. */
static int
check(const struct state *s, const struct command *c, struct err *e)
{
	const struct alloc *a;
	const struct eval *ev;

	if (c->job != NULL && need_id("Job", c->job->id, e) < 0)
		return -1;
	if (c->job != NULL && need_id("Job.Namespace", c->job->namespace, e) < 0)
		return -1;
	if (c->node != NULL && need_id("Node", c->node->id, e) < 0)
		return -1;
	if (c->deployment != NULL && need_id("Deployment", c->deployment->id, e) < 0)
		return -1;
	OBJS_FOREACH (a, &c->allocs) {
		if (need_id("Alloc", a->id, e) < 0)
			return -1;
		if (state_job_version(s, a->namespace, a->job_id, a->job_version) == NULL &&
		    (c->job == NULL || !str_eq(c->job->id, a->job_id)))
			return err_new(e, ERR_INPUT,
			    "allocation %s runs version %lld of job \"%s\", which is not there",
			    a->id, (long long)a->job_version, text(a->job_id));
	}
	OBJS_FOREACH (ev, &c->evals)
		if (need_id("Eval", ev->id, e) < 0)
			return -1;
	return 0;
}

#define EACH(type, section, fn)                                                                    \
	for (size_t i_ = 0; i_ < (section)->n; i_++)                                               \
	fn(ap, (const struct type *)(section)->at[i_])

static void
apply_sections(struct apply *ap)
{
	const struct command *c = ap->c;

	if (c->job != NULL)
		apply_job(ap, c->job);
	EACH(job_stop, &c->job_stops, apply_job_stop);
	EACH(job_stable, &c->job_stables, apply_job_stable);
	EACH(node_update, &c->node_updates, apply_node_update);
	if (c->node != NULL)
		apply_node(ap, c->node);
	EACH(alloc, &c->client_allocs, apply_report);
	EACH(transition, &c->transitions, apply_transition);
	if (c->deployment != NULL)
		apply_deployment(ap, c->deployment);
	EACH(alloc_stop, &c->alloc_stops, apply_alloc_stop);
	EACH(alloc, &c->allocs, apply_alloc);
	EACH(deployment_update, &c->deployment_updates, apply_deployment_update);
	EACH(service_row, &c->services, apply_service);
	for (size_t i = 0; i < c->service_removals.n; i++)
		remove_service(ap, c->service_removals.at[i]);
	EACH(kv_op, &c->kv_ops, apply_kv);
	if (c->deletion != NULL)
		apply_deletion(ap, c->deletion);
	EACH(eval, &c->evals, apply_eval);
}

static void
apply_derived(struct apply *ap)
{
	size_t i = 0;
	const char *key;
	void *value;

	while (map_next(&ap->deployments, &i, &key, NULL))
		derive_deployment(ap->s, (uint64_t)ap->index, ap->now, key);
	for (i = 0; map_next(&ap->jobs, &i, &key, &value);) {
		autofree char *namespace = xstrdup(key);
		char *slash = strchr(namespace, '/');
		*slash = '\0';
		struct derive_job d = { namespace, slash + 1,
			value != (void *)&marker ? value : NULL };
		derive_job(ap->s, (uint64_t)ap->index, &d);
	}
}

int
state_apply(struct state *s, uint64_t index, const char *type, const char *payload, size_t len,
    struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct command *c = arena_new(&mem, struct command);
	struct apply ap = { .s = s, .c = c, .index = (int64_t)index };

	if (index <= s->index)
		return err_new(e, ERR_INPUT, "command %llu is not after %llu",
		    (unsigned long long)index, (unsigned long long)s->index);
	if (command_decode(payload, len, &mem, c, e) < 0 || check(s, c, e) < 0)
		return err_ctx(e, "command \"%s\"", type);
	ap.now = c->now;
	s->index = index;
	apply_sections(&ap);
	apply_derived(&ap);
	map_fini(&ap.jobs);
	map_fini(&ap.deployments);
	state_fire(s);
	return 0;
}

void
state_skip(struct state *s, uint64_t index)
{
	if (index > s->index)
		s->index = index;
}
