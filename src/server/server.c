#include "server/inside.h"

#include "base/ids.h"

#include <stdio.h>
#include <stdlib.h>

enum { EVALS_PER_TURN = 64, SNAPSHOT_ENTRIES = 4096, SNAPSHOT_BYTES = 8 << 20 };
#define RETRY_NS SEC_NS /* between attempts to write, when the disk is full */

static void flush(void *arg);

/* ---- small services for the other files ---- */

int64_t
server_now(struct server *s)
{
	return s->env.now_ns(s->env.ctx);
}

const char *
server_uuid(struct server *s, struct arena *mem)
{
	char id[UUID_TEXT];

	s->env.uuid(s->env.ctx, id);
	return arena_strdup(mem, id);
}

struct command
server_command(struct server *s, const char *type)
{
	return (struct command){ .type = type, .now = server_now(s) };
}

struct eval *
server_eval(struct server *s, struct arena *mem, const struct job *job, const char *triggered_by)
{
	struct eval *ev = arena_new(mem, struct eval);

	ev->id = server_uuid(s, mem);
	ev->namespace = job->namespace;
	ev->priority = job->priority;
	ev->type = job->type;
	ev->triggered_by = triggered_by;
	ev->job_id = job->id;
	ev->status = "pending";
	return ev;
}

void *
server_after(struct server *s, int64_t ns, void (*fn)(void *), void *arg)
{
	int64_t ms = ns <= 0 ? 0 : (ns + MS_NS - 1) / MS_NS;

	return s->env.timer(s->env.ctx, ms, fn, arg);
}

void
server_cancel(struct server *s, void **timer)
{
	if (*timer != NULL)
		s->env.timer_cancel(s->env.ctx, *timer);
	*timer = NULL;
}

struct state *
server_state(struct server *s)
{
	return s->state;
}

const char *
server_region(const struct server *s)
{
	return s->config.region;
}

struct server_stats
server_stats(const struct server *s)
{
	autorows struct rows nodes = state_list(s->state, STATE_NODES, NULL);

	return (struct server_stats){
		.log_index = store_log_last(s->store),
		.log_entries = store_log_entries(s->store),
		.evals_ready = s->broker.ready.n,
		.evals_blocked = s->broker.blocked.n,
		.evals_waiting = s->broker.waiting.n,
		.plans = s->plans,
		.nodes = nodes.n,
	};
}

/* ---- proposing ---- */

void
server_wake(struct server *s)
{
	if (s->flush_due || s->flushing || s->closing)
		return;
	s->flush_due = true;
	s->env.defer(s->env.ctx, flush, s);
}

static struct proposal *
new_proposal(const struct server_result *r, server_done *done, void *ctx)
{
	struct proposal *p = xcalloc(1, sizeof(*p));

	if (r != NULL)
		p->result = *r;
	else
		p->result.reverted_version = -1;
	/* what is said about the request is copied: it must last until the answer */
	p->result.warnings = xstrdup(r != NULL ? text(r->warnings) : "");
	p->result.eval_ids = (struct strs){ 0 };
	p->done = done;
	p->ctx = ctx;
	return p;
}

static void
free_proposal(struct proposal *p)
{
	for (size_t i = 0; i < p->result.eval_ids.n; i++)
		free((char *)(uintptr_t)p->result.eval_ids.at[i]);
	free(p->result.eval_ids.at);
	free((char *)(uintptr_t)p->result.warnings);
	buf_fini(&p->payload);
	free(p->type);
	free(p);
}

static void
copy_ids(struct strs *to, const struct strs *from)
{
	if (from->n == 0)
		return;
	to->at = xcalloc(from->n, sizeof(to->at[0]));
	for (to->n = 0; to->n < from->n; to->n++)
		to->at[to->n] = xstrdup(from->at[to->n]);
}

void
server_propose(struct server *s, const struct command *c, const char *eval_id,
    const struct server_result *r, server_done *done, void *ctx)
{
	struct proposal *p = new_proposal(r, done, ctx);

	p->type = xstrdup(c->type);
	command_encode(c, &p->payload);
	(void)str_copy(p->eval_id, sizeof(p->eval_id), text(eval_id));
	if (r != NULL)
		copy_ids(&p->result.eval_ids, &r->eval_ids);
	VEC_PUSH(&s->queue, p);
	server_wake(s);
}

void
server_answer(struct server *s, const struct server_result *r, server_done *done, void *ctx)
{
	struct proposal *p = new_proposal(r, done, ctx);

	p->read_only = true;
	VEC_PUSH(&s->queue, p);
	server_wake(s);
}

/* ---- committing ---- */

static void
finish(struct proposal *p, uint64_t index, const struct err *e)
{
	struct server_result *r = &p->result;

	if (p->done != NULL) {
		if (r->index == 0)
			r->index = index;
		r->eval_id = p->eval_id;
		if (p->eval_id[0] != '\0' || r->eval_ids.n > 0)
			r->eval_create_index = index;
		if (r->job_modify_index == 0)
			r->job_modify_index = index;
		if (r->node_modify_index == 0)
			r->node_modify_index = index;
		if (r->deployment_modify_index == 0)
			r->deployment_modify_index = index;
		p->done(p->ctx, r, e);
	}
	free_proposal(p);
}

static int
read_row(void *ctx, const char *kind, const char *body, size_t len, struct err *e)
{
	return state_restore_row(((struct server *)ctx)->state, kind, body, len, e);
}

static void
rows_read(void *ctx, uint64_t index)
{
	state_restore_done(((struct server *)ctx)->state, index);
}

static int
read_entry(void *ctx, uint64_t index, const char *type, const char *body, size_t len, struct err *e)
{
	struct state *st = ((struct server *)ctx)->state;

	if (state_apply(st, index, type, body, len, e) < 0) { /* as when it was new */
		log_warn(
		    "server", "command %llu is skipped: %s", (unsigned long long)index, e->text);
		state_skip(st, index);
	}
	return 0;
}

static int
recover(struct server *s, struct err *e)
{
	struct store_log_reader r = { read_row, rows_read, read_entry, s };

	if (store_log_recover(s->store, &r, e) < 0)
		return -1;
	if (store_log_last(s->store) > 0)
		log_info("server", "state is back: index %llu, %llu entries after the snapshot",
		    (unsigned long long)store_log_last(s->store),
		    (unsigned long long)store_log_entries(s->store));
	return 0;
}

/* Appends and applies what is queued. It is seen inside from now on, but nobody is told before it
 * is on disk. */
static int
take_queue(struct server *s, struct err *e)
{
	for (size_t i = 0; i < s->queue.n; i++) {
		struct proposal *p = s->queue.at[i];
		VEC_PUSH(&s->open, p);
		s->queue.at[i] = NULL;
		p->index = state_index(s->state);
		if (p->read_only)
			continue;
		p->index++;
		if (store_log_append(
			s->store, p->index, p->type, buf_str(&p->payload), p->payload.len, e) < 0) {
			memmove(s->queue.at, s->queue.at + i + 1,
			    (s->queue.n - i - 1) * sizeof(s->queue.at[0]));
			s->queue.n -= i + 1;
			return -1;
		}
		if (state_apply(s->state, p->index, p->type, buf_str(&p->payload), p->payload.len,
			&p->refused) < 0) { /* recovery skips it in the same way */
			log_error("server", "command %llu is skipped: %s",
			    (unsigned long long)p->index, p->refused.text);
			state_skip(s->state, p->index);
		}
		buf_fini(&p->payload);
	}
	s->queue.n = 0;
	return 0;
}

static void
tell(struct server *s, const struct err *failure)
{
	struct proposal **open = s->open.at;
	size_t n = s->open.n;

	s->open.at = NULL;
	s->open.n = s->open.cap = 0;
	state_hold(s->state, false);
	for (size_t i = 0; i < n; i++) {
		const struct err *e = failure != NULL			  ? failure
				      : open[i]->refused.kind != ERR_NONE ? &open[i]->refused
									  : NULL;
		finish(open[i], open[i]->index, e);
	}
	free(open);
}

/* What could not be written never was: the state goes back to what is on disk. */
static void
go_back(struct server *s, struct err *why)
{
	struct err e = ERR_INIT;

	log_error("server", "%zu changes could not be written: %s", s->open.n, why->text);
	store_log_rollback(s->store);
	state_clear(s->state);
	if (recover(s, &e) < 0) {
		log_error("server", "the state cannot be read back: %s", e.text);
		abort(); /* a restart tells the operator what is wrong with the file */
	}
	err_ctx(why, "the change was not made");
	tell(s, why);
}

static int
add_row(void *ctx, const char *table, const char *json, size_t len, struct err *e)
{
	return store_log_snapshot_add(ctx, table, json, len, e);
}

static void
snapshot(struct server *s)
{
	struct err e = ERR_INIT;

	if (store_log_snapshot_begin(s->store, state_index(s->state), &e) < 0 ||
	    state_dump(s->state, add_row, s->store, &e) < 0 ||
	    store_log_snapshot_end(s->store, &e) < 0 || store_log_commit(s->store, &e) < 0) {
		store_log_rollback(s->store);
		log_warn("server", "snapshot of the state: %s; the log goes on growing", e.text);
		return;
	}
	if (store_log_backup(s->store, &e) < 0)
		log_warn("server", "copy of the state: %s", e.text);
}

/* Commands, then what follows from them, until nothing is left or others must have their turn. */
static int
settle(struct server *s, struct err *e)
{
	const struct eval *ev;
	int evals = 0;

	for (;;) {
		if (s->queue.n > 0) {
			if (take_queue(s, e) < 0)
				return -1;
			continue;
		}
		watcher_turn(s);
		drain_turn(s);
		if (s->queue.n > 0)
			continue;
		if (evals++ >= EVALS_PER_TURN || (ev = broker_next(s)) == NULL)
			return 0;
		worker_run(s, ev);
		row_unref(ev);
	}
}

static void
try_again(void *arg)
{
	struct server *s = arg;

	server_cancel(s, &s->retry_timer);
	server_wake(s);
}

/* All of a turn is one transaction. */
static bool
commit_turn(struct server *s, int (*work)(struct server *s, struct err *e))
{
	struct err e = ERR_INIT;

	state_hold(s->state, true);
	if (work(s, &e) == 0 && store_log_commit(s->store, &e) == 0) {
		tell(s, NULL);
		return true;
	}
	go_back(s, &e);
	server_cancel(s, &s->retry_timer);
	if (!s->closing) /* what is pending in the state is tried again, but not in a circle */
		s->retry_timer = server_after(s, RETRY_NS, try_again, s);
	return false;
}

static void
flush(void *arg)
{
	struct server *s = arg;

	s->flush_due = false;
	s->flushing = true;
	bool written = commit_turn(s, settle);
	s->flushing = false;
	if (!written)
		return;
	if (s->broker.ready.n > 0 || s->queue.n > 0)
		server_wake(s);
	else if (store_log_entries(s->store) >= SNAPSHOT_ENTRIES ||
		 store_log_bytes(s->store) >= SNAPSHOT_BYTES)
		snapshot(s);
}

/* ---- what changes mean for others ---- */

static bool
can_take_more(const struct node *n)
{
	return n != NULL && str_eq(n->status, "ready") &&
	       str_eq(n->scheduling_eligibility, "eligible") && !n->drain;
}

static void
node_changed(struct server *s, const struct node *old, const struct node *now)
{
	if (can_take_more(now) &&
	    (!can_take_more(old) || !str_eq(old->computed_class, now->computed_class) ||
		!model_equal(&node_model, old, now)))
		broker_unblock(s, now->computed_class);
	if ((now != NULL && now->drain) || (old != NULL && old->drain))
		s->drains_changed = true;
}

static void
alloc_changed(struct server *s, const struct alloc *old, const struct alloc *now)
{
	const struct node *n = state_node(s->state, (now != NULL ? now : old)->node_id);

	if (old != NULL && !alloc_terminal(old) && (now == NULL || alloc_terminal(now)))
		broker_unblock(s, n != NULL ? n->computed_class : NULL);
	if (s->draining) /* what runs elsewhere now may let the next one go */
		s->drains_changed = true;
	if (now == NULL || text(now->deployment_id)[0] == '\0')
		return;
	if (alloc_health(now) != (old != NULL ? alloc_health(old) : -1))
		watcher_look(s, now->deployment_id, true);
	else if (old == NULL || !str_eq(old->client_status, now->client_status))
		watcher_look(s, now->deployment_id, false);
}

static void
row_changed(void *ctx, enum state_table t, const void *old, const void *now, uint64_t index)
{
	struct server *s = ctx;

	(void)index;
	if (t == STATE_EVALS)
		broker_changed(s, old, now);
	else if (t == STATE_NODES)
		node_changed(s, old, now);
	else if (t == STATE_ALLOCS)
		alloc_changed(s, old, now);
	else if (t == STATE_DEPLOYMENTS && now != NULL)
		watcher_look(s, ((const struct deployment *)now)->id, false);
}

/* ---- opening ---- */

int
server_open(
    const struct server_config *c, const struct server_env *env, struct server **out, struct err *e)
{
	struct server *s = xcalloc(1, sizeof(*s));
	autofree char *path = c->data_dir != NULL ? xasprintf("%s/state.db", c->data_dir) : NULL;

	s->config = *c;
	s->env = *env;
	if (s->config.region == NULL)
		s->config.region = "global";
	if (s->config.heartbeat_min_ttl_ns == 0)
		s->config.heartbeat_min_ttl_ns = 10 * SEC_NS;
	if (s->config.heartbeat_grace_ns == 0)
		s->config.heartbeat_grace_ns = 10 * SEC_NS;
	if (s->config.gc_interval_ns == 0)
		s->config.gc_interval_ns = 300 * SEC_NS;
	s->config.region = xstrdup(s->config.region);
	s->state = state_new();
	if (store_log_open(path, &s->store, e) < 0 || recover(s, e) < 0) {
		s->closing = true;
		server_close(s);
		return -1;
	}
	state_listen(s->state, row_changed, s);
	broker_restore(s);
	nodes_restore(s);
	watcher_arm(s);
	gc_arm(s);
	s->drains_changed = true;
	server_wake(s);
	*out = s;
	return 0;
}

static void
drop_queue(struct server *s)
{
	struct err e = ERR_INIT;

	err_new(&e, ERR_BUSY, "the server is shutting down");
	VEC_FOREACH (struct proposal **, p, &s->queue)
		finish(*p, state_index(s->state), &e);
	VEC_FINI(&s->queue);
}

void
server_close(struct server *s)
{
	if (s == NULL)
		return;
	if (!s->closing && s->queue.n > 0)
		(void)commit_turn(s, take_queue);
	if (!s->closing && store_log_entries(s->store) > 0)
		snapshot(s); /* the next start is quick, and has a fresh copy to fall back on */
	s->closing = true;
	if (s->flush_due)
		s->env.defer_cancel(s->env.ctx, flush, s);
	drop_queue(s);
	nodes_free(s);
	broker_free(s);
	server_cancel(s, &s->deadline_timer);
	server_cancel(s, &s->drain_timer);
	server_cancel(s, &s->gc_timer);
	server_cancel(s, &s->retry_timer);
	map_fini(&s->looks);
	state_free(s->state);
	store_log_close(s->store);
	free((char *)(uintptr_t)s->config.region);
	free(s);
}
