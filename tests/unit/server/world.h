/*
 * world.h: a server and its nodes in one process, with a clock that jumps. For the tests of
 * server/.
 *
 * Chance comes from a seed, so that every run can be repeated. Nodes are pretended: an allocation
 * that shall run does so after a while, gets healthy a second later, fails if its job says so in
 * meta.bad, and stops when it shall.
 */
#ifndef WORLD_H
#define WORLD_H

#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "job/job.h"
#include "server/server.h"
#include "state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS  1000000LL
#define SEC 1000000000LL

struct world_timer {
	int64_t when;
	void (*fn)(void *);
	void *arg;
	bool armed;
};
struct world_defer {
	void (*fn)(void *);
	void *arg;
};

struct world_node {
	char id[40];
	bool alive;
	int64_t beat_at;
	int64_t memory, cpu;
	const char *dc;
};

struct pretended { /* one allocation, as its node knows it */
	char id[40];
	int node;
	int64_t seen_at, running_at;
	bool healthy_said, over;
};

struct world {
	int64_t now;
	uint64_t random;
	VEC(struct world_timer *) timers;
	VEC(struct world_defer) defers;
	struct server *server;
	struct world_node nodes[64];
	int node_count;
	VEC(struct pretended) allocs;
	int answers, refusals;
	char last_eval[40];
	char last_error[600];
	char *dir;
};

static inline uint64_t
world_random(struct world *w)
{
	w->random += 0x9e3779b97f4a7c15ULL;
	uint64_t z = w->random;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline int64_t
world_now(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static inline void
world_uuid(void *ctx, char out[37])
{
	unsigned long long a = world_random(ctx), b = world_random(ctx);

	snprintf(out, 37, "%08llx-%04llx-4%03llx-8%03llx-%012llx", a >> 32, (a >> 16) & 0xffff,
	    a & 0xfff, (b >> 48) & 0xfff, b & 0xffffffffffffULL);
}

static inline void
world_defer(void *ctx, void (*fn)(void *), void *arg)
{
	struct world *w = ctx;

	VEC_PUSH(&w->defers, ((struct world_defer){ fn, arg }));
}

static inline void
world_defer_cancel(void *ctx, void (*fn)(void *), void *arg)
{
	struct world *w = ctx;

	for (size_t i = w->defers.n; i-- > 0;)
		if (w->defers.at[i].fn == fn && w->defers.at[i].arg == arg)
			VEC_REMOVE(&w->defers, i);
}

static inline void *
world_timer(void *ctx, int64_t after_ms, void (*fn)(void *), void *arg)
{
	struct world *w = ctx;
	struct world_timer *t = xcalloc(1, sizeof(*t));

	*t = (struct world_timer){ w->now + after_ms * MS, fn, arg, true };
	VEC_PUSH(&w->timers, t);
	return t;
}

static inline void
world_timer_cancel(void *ctx, void *timer)
{
	struct world *w = ctx;

	for (size_t i = 0; i < w->timers.n; i++)
		if (w->timers.at[i] == timer) {
			VEC_REMOVE(&w->timers, i);
			free(timer);
			return;
		}
	fail_msg("a timer is cancelled that is not there");
}

static inline void
world_settle(struct world *w)
{
	while (w->defers.n > 0) {
		struct world_defer d = w->defers.at[0];
		VEC_REMOVE(&w->defers, 0);
		d.fn(d.arg);
	}
}

static inline void
world_done(void *ctx, const struct server_result *r, const struct err *e)
{
	struct world *w = ctx;

	if (e != NULL) {
		w->refusals++;
		(void)str_copy(w->last_error, sizeof(w->last_error), e->text);
		return;
	}
	w->answers++;
	(void)str_copy(w->last_eval, sizeof(w->last_eval), r->eval_id);
}

static inline void
world_open(struct world *w)
{
	struct server_env env = { w, world_now, world_uuid, world_defer, world_defer_cancel,
		world_timer, world_timer_cancel };
	struct server_config c = { .data_dir = w->dir, .name = "test.global" };
	struct err e = ERR_INIT;

	if (server_open(&c, &env, &w->server, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void
world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->now = 1700000000 * SEC;
	w->random = seed;
	world_open(w);
	world_settle(w);
}

static inline void
world_fini(struct world *w)
{
	server_close(w->server);
	assert_int_equal(w->timers.n, 0);
	assert_int_equal(w->defers.n, 0);
	VEC_FINI(&w->timers);
	VEC_FINI(&w->defers);
	VEC_FINI(&w->allocs);
}

/* ---- nodes ---- */

static inline void
node_describe(struct world *w, int i, struct arena *mem, struct node *n)
{
	struct network *net = arena_new(mem, struct network);
	struct driver_info *d = arena_new(mem, struct driver_info);
	const struct world_node *wn = &w->nodes[i];

	*n = (struct node){ .id = wn->id,
		.secret_id = "secret",
		.datacenter = wn->dc,
		.name = arena_printf(mem, "node-%d", i),
		.status = "ready",
		.http_addr = "127.0.0.1:4646" };
	n->node_resources = arena_new(mem, struct node_resources);
	n->node_resources->cpu = arena_new(mem, struct cpu_resources);
	n->node_resources->cpu->cpu_shares = wn->cpu;
	n->node_resources->memory = arena_new(mem, struct memory_resources);
	n->node_resources->memory->memory_mb = wn->memory;
	n->node_resources->disk = arena_new(mem, struct disk_resources);
	n->node_resources->disk->disk_mb = 100000;
	net->mode = "host";
	net->device = "eth0";
	net->ip = "10.0.0.1";
	objs_add(&n->node_resources->networks, mem, net);
	d->detected = d->healthy = true;
	objmap_set(&n->drivers, mem, "pot", d);
	strmap_set(&n->attributes, mem, "kernel.name", "linux");
	strmap_set(&n->attributes, mem, "driver.pot.version", "0.15.3");
}

static inline void
node_up(struct world *w, int i)
{
	autoarena struct arena mem = ARENA_INIT;
	struct node n;
	struct err e = ERR_INIT;

	node_describe(w, i, &mem, &n);
	if (server_node_register(w->server, &n, world_done, w, &e) < 0)
		fail_msg("%s", e.text);
	w->nodes[i].alive = true;
	w->nodes[i].beat_at = w->now + 5 * SEC;
	world_settle(w);
}

static inline int
node_add(struct world *w)
{
	int i = w->node_count++;

	w->nodes[i] = (struct world_node){ .memory = 4096, .cpu = 4000, .dc = "dc1" };
	world_uuid(w, w->nodes[i].id);
	node_up(w, i);
	return i;
}

static inline struct pretended *
pretend(struct world *w, const struct alloc *a, int node)
{
	VEC_FOREACH (struct pretended *, p, &w->allocs)
		if (strcmp(p->id, a->id) == 0)
			return p;
	struct pretended *p = VEC_ADD(&w->allocs);
	(void)str_copy(p->id, sizeof(p->id), a->id);
	p->node = node;
	p->seen_at = w->now;
	return p;
}

static inline bool
is_bad(const struct alloc *a)
{
	return strmap_get(&a->job->meta, "bad") != NULL;
}

/* What the node says about one allocation now; false: nothing new. */
static inline bool
pretend_step(struct world *w, struct pretended *p, const struct alloc *a, struct arena *mem,
    struct alloc *out)
{
	*out = (struct alloc){ .id = arena_strdup(mem, p->id), .modify_time = w->now };
	if (p->over)
		return false;
	if (alloc_server_terminal(a)) {
		if (!alloc_client_terminal(a))
			out->client_status = "complete";
		p->over = true;
		return out->client_status != NULL;
	}
	if (p->running_at == 0) {
		if (w->now < p->seen_at + 100 * MS)
			return false;
		p->running_at = w->now;
		out->client_status = "running";
		return true;
	}
	if (is_bad(a) && w->now >= p->running_at + 500 * MS) {
		out->client_status = "failed";
		p->over = true;
	} else if (str_eq(a->job->type, "batch") && w->now >= p->running_at + 2 * SEC) {
		out->client_status = "complete";
		p->over = true;
		return true;
	}
	bool healthy = !is_bad(a) && w->now >= p->running_at + SEC;
	if (a->deployment_id != NULL && alloc_health(a) < 0 && (healthy || p->over)) {
		out->deployment_status = arena_new(mem, struct alloc_deployment_status);
		alloc_health_set(out->deployment_status, healthy);
		out->deployment_status->timestamp = w->now;
		if (out->client_status == NULL)
			out->client_status = "running";
	}
	return out->client_status != NULL;
}

static inline void
node_tick(struct world *w, int i)
{
	autoarena struct arena mem = ARENA_INIT;
	struct objs said = { 0 };
	struct err e = ERR_INIT;

	if (!w->nodes[i].alive)
		return;
	if (w->now >= w->nodes[i].beat_at) {
		w->nodes[i].beat_at = w->now + 5 * SEC;
		if (server_node_heartbeat(
			w->server, w->nodes[i].id, "secret", "ready", world_done, w, &e) < 0)
			fail_msg("%s", e.text);
	}
	autorows struct rows list = state_node_allocs(server_state(w->server), w->nodes[i].id);
	for (size_t k = 0; k < list.n; k++) {
		struct alloc *report = arena_new(&mem, struct alloc);
		if (pretend_step(w, pretend(w, list.at[k], i), list.at[k], &mem, report))
			objs_add(&said, &mem, report);
	}
	if (said.n > 0 &&
	    server_allocs_update(w->server, w->nodes[i].id, "secret", &said, world_done, w, &e) < 0)
		fail_msg("%s", e.text);
	world_settle(w);
}

/* ---- time ---- */

static inline struct world_timer *
next_timer(struct world *w, int64_t until)
{
	struct world_timer *best = NULL;

	VEC_FOREACH (struct world_timer **, t, &w->timers)
		if ((*t)->armed && (*t)->when <= until && (best == NULL || (*t)->when < best->when))
			best = *t;
	return best;
}

static inline void
world_advance(struct world *w, int64_t ns)
{
	const int64_t end = w->now + ns, tick = 100 * MS;
	int64_t next_tick = w->now;

	while (w->now < end) {
		struct world_timer *t = next_timer(w, next_tick < end ? next_tick : end);
		if (t != NULL) {
			if (t->when > w->now)
				w->now = t->when;
			t->armed = false;
			t->fn(t->arg);
			world_settle(w);
			continue;
		}
		w->now = next_tick < end ? next_tick : end;
		for (int i = 0; i < w->node_count; i++)
			node_tick(w, i);
		next_tick += tick;
	}
}

/* ---- jobs ---- */

static inline struct job *
job_text(struct arena *mem, const char *json)
{
	struct job *job = NULL;
	struct err e = ERR_INIT;

	if (job_parse_json(json, strlen(json), mem, &job, &e) < 0)
		fail_msg("%s", e.text);
	return job;
}

static inline int
submit(struct world *w, const char *json)
{
	autoarena struct arena mem = ARENA_INIT;
	struct server_register r = { .job = job_text(&mem, json) };
	struct err e = ERR_INIT;
	int rc = server_job_register(w->server, &r, world_done, w, &e);

	if (rc < 0)
		(void)str_copy(w->last_error, sizeof(w->last_error), e.text);
	world_settle(w);
	return rc;
}

/* A service job "web" with one group "g". extra: more members of the job, with a comma in front. */
static inline char *
web(char out[2048], int count, const char *version, const char *update, const char *extra)
{
	snprintf(out, 2048,
	    "{\"ID\":\"web\",\"Name\":\"web\",\"Datacenters\":[\"dc1\"],\"Type\":\"service\","
	    "\"TaskGroups\":[{\"Name\":\"g\",\"Count\":%d,\"Update\":%s,\"EphemeralDisk\":{"
	    "\"SizeMB\":110},\"Networks\":[{\"DynamicPorts\":[{\"Label\":\"http\"}]}],\"Tasks\":[{"
	    "\"Name\":\"t\",\"Driver\":\"pot\",\"Config\":{\"image\":\"http://x/y\",\"pot\":\"p\","
	    "\"tag\":\"%s\"},\"Resources\":{\"CPU\":50,\"MemoryMB\":64}}]}]%s}",
	    count, update != NULL ? update : "null", version, extra != NULL ? extra : "");
	return out;
}

struct census {
	int running, pending, stopped, failed, lost, complete, on_version;
};

static inline struct census
census(struct world *w, const char *job_id)
{
	struct census c = { 0 };
	const struct job *job = state_job(server_state(w->server), "default", job_id);
	autorows struct rows list = state_job_allocs(server_state(w->server), "default", job_id);

	for (size_t i = 0; i < list.n; i++) {
		const struct alloc *a = list.at[i];
		bool run = !alloc_server_terminal(a);
		c.running += run && str_eq(a->client_status, "running");
		c.pending += run && str_eq(a->client_status, "pending");
		c.failed += str_eq(a->client_status, "failed");
		c.lost += str_eq(a->client_status, "lost");
		c.complete += str_eq(a->client_status, "complete");
		c.stopped += !run;
		c.on_version += run && job != NULL && a->job_version == job->version &&
				!alloc_client_terminal(a);
	}
	return c;
}

static inline const struct eval *
last_eval(struct world *w)
{
	return state_eval(server_state(w->server), w->last_eval);
}

static inline const struct deployment *
deployment_of(struct world *w, const char *job_id)
{
	return state_job_deployment(server_state(w->server), "default", job_id);
}

#endif
