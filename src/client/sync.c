/*
 * sync.c: what passes between a node and its servers: allocations come by a long poll, what changed
 * goes out in batches, one request of a kind at a time.
 */
#include "client/priv.h"

#include "base/clock.h"
#include "base/str.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	POLL_WAIT_S = 300,
	RETRY_MS = 1000, /* after a request that failed */
};

const char *const *
sync_headers(struct client *c, struct arena *a)
{
	const char **h = arena_array(a, 3, const char *);

	h[0] = "X-Nomad-Token";
	h[1] = c->secret;
	return h;
}

/* ---- allocations ---- */

static void poll_allocs(void *ctx);

static void
one_alloc(struct client *c, const json_t *v, struct map *seen)
{
	struct arena mem = ARENA_INIT;
	struct alloc *row = arena_new(&mem, struct alloc);
	struct err e = ERR_INIT;

	if (model_from_json(&alloc_model, v, &mem, row, &e) < 0 || row->id == NULL ||
	    row->job == NULL) {
		log_error("client.sync", "an allocation that cannot be understood: %s", e.text);
		arena_fini(&mem);
		return;
	}
	map_set(seen, row->id, c);
	struct client_alloc *a = map_get(&c->allocs, row->id);
	if (a == NULL)
		alloc_new(c, &mem, row);
	else if (a->row->alloc_modify_index != row->alloc_modify_index)
		alloc_update(a, &mem, row);
	else
		arena_fini(&mem);
}

static void
forget_others(struct client *c, const struct map *seen)
{
	const char *id;
	void *value;

	for (size_t i = 0; map_next(&c->allocs, &i, &id, &value);) {
		struct client_alloc *a = value;
		if (!map_has(seen, id) && !a->gone_from_server)
			alloc_remove(a);
	}
	for (size_t i = 0; map_next(&c->allocs, &i, &id, &value);) {
		struct client_alloc *a = value;
		int ops = 0;
		for (size_t k = 0; k < a->n_tasks; k++)
			ops += a->task[k].ops;
		if (a->destroyed && ops == 0) {
			map_del(&c->allocs, id);
			alloc_free(a);
		}
	}
}

/* ---- what an earlier agent left of allocations that nobody knows any more ---- */

static void
on_orphan_gone(void *ctx, const struct err *e)
{
	autofree char *path = ctx;

	if (e != NULL && e->kind != ERR_ABSENT) {
		log_warn("client.sync", "%s: %s", path, e->text);
		return;
	}
	remove(path);
}

static void
remove_orphan(struct client *c, const char *path, const json_t *saved)
{
	const char *task;
	json_t *row;

	json_object_foreach ((json_t *)saved, task, row) {
		const char *handle = json_str(row, "Handle", "");
		for (size_t i = 0; i < DRIVERS; i++)
			if (str_eq(c->driver[i].ops->name, json_str(row, "Driver", "")) &&
			    c->driver[i].detected) {
				log_info("client.sync",
				    "removing %s: its allocation is not known any more", handle);
				c->driver[i].ops->destroy(
				    &c->driver[i], handle, on_orphan_gone, xstrdup(path));
			}
	}
}

static void
remove_orphans(struct client *c)
{
	DIR *dir = opendir(c->state_dir);
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		autobuf struct buf text = BUF_INIT;
		autojson json_t *saved = NULL;
		struct err e = ERR_INIT;
		if (!str_ends(d->d_name, ".json") || strlen(d->d_name) != 36 + 5)
			continue;
		autofree char *id = xstrndup(d->d_name, 36);
		autofree char *path = xasprintf("%s/%s", c->state_dir, d->d_name);
		if (map_has(&c->allocs, id))
			continue;
		if (buf_read_file(&text, path, 1 << 20, &e) == 0 &&
		    json_read(buf_str(&text), text.len, &saved, &e) == 0)
			remove_orphan(c, path, saved);
		else
			log_warn("client.sync", "%s", e.text);
	}
	if (dir != NULL)
		closedir(dir);
}

static void
on_allocs(void *ctx, const struct http_result *res)
{
	struct client *c = ctx;
	struct map seen = MAP_INIT;
	autojson json_t *reply = NULL;
	struct err e = ERR_INIT;

	c->poll_call = NULL;
	if (res->status != 200 || json_read(res->body, res->len, &reply, &e) < 0) {
		log_warn("client.sync", "allocations: %s",
		    res->status == 0 ? res->err->text : res->body);
		if (res->status == 404 || res->status == 403)
			c->registered = false; /* the servers do not know this node (any more) */
		loop_timer_set(c->poll_timer, RETRY_MS);
		return;
	}
	size_t i;
	json_t *v;
	json_array_foreach (json_object_get(reply, "Allocs"), i, v)
		one_alloc(c, v, &seen);
	forget_others(c, &seen);
	map_fini(&seen);
	c->allocs_index = (uint64_t)json_int(reply, "Index", 0);
	if (!c->first_list_done) {
		c->first_list_done = true;
		remove_orphans(c);
		client_knows_all(c);
	}
	poll_allocs(c);
}

static void
poll_allocs(void *ctx)
{
	struct client *c = ctx;
	autoarena struct arena mem = ARENA_INIT;
	struct http_spec spec = {
		.base = c->conf.server,
		.path = arena_printf(&mem, "/v1/internal/node/%s/allocs?index=%llu&wait=%ds", c->id,
		    (unsigned long long)c->allocs_index, POLL_WAIT_S),
		.headers = sync_headers(c, &mem),
		.timeout_ms = (POLL_WAIT_S + 60) * 1000,
		.done = on_allocs,
		.ctx = c,
	};

	if (c->stopping || c->poll_call != NULL)
		return;
	c->poll_call = http_call(c->loop, &spec);
}

/* ---- what the servers are told ---- */

static void flush_updates(void *ctx);
static void flush_services(void *ctx);

static void
write_task_states(const struct client_alloc *a, struct jsonw *w)
{
	jsonw_object(w);
	for (size_t i = 0; i < a->n_tasks; i++) {
		const struct client_task *t = &a->task[i];
		struct task_state s = { .state = t->state,
			.failed = t->failed,
			.restarts = t->restarts,
			.last_restart = t->last_restart,
			.started_at = t->started_at,
			.finished_at = t->finished_at,
			.events = t->events };
		jsonw_key(w, t->job_task->name);
		model_to_json(&task_state_model, &s, w);
	}
	jsonw_end_object(w);
}

static void
write_alloc(struct client_alloc *a, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_kstr(w, "ID", a->id);
	jsonw_kstr(w, "ClientStatus", a->status);
	jsonw_kstr(w, "ClientDescription", a->description);
	jsonw_key(w, "TaskStates");
	write_task_states(a, w);
	if (a->health >= 0) {
		jsonw_key(w, "DeploymentStatus");
		jsonw_object(w);
		jsonw_kbool(w, "Healthy", a->health == 1);
		jsonw_key(w, "Timestamp");
		jsonw_time(w, a->health_time);
		jsonw_end_object(w);
	}
	for (size_t i = 0; i < a->n_tasks; i++)
		if (a->task[i].ip[0] != '\0') {
			struct alloc_network_status net = { .interface_name = "eth0",
				.address = a->task[i].ip,
				.address_ipv6 = a->task[i].ip6 };
			jsonw_key(w, "NetworkStatus");
			model_to_json(&alloc_network_status_model, &net, w);
			break;
		}
	jsonw_kint(w, "ModifyTime", clock_wall_ns());
	jsonw_end_object(w);
}

static void
batch_over(struct client *c, bool dirty)
{
	size_t i = 0;
	void *value;

	while (map_next(&c->allocs, &i, NULL, &value)) {
		struct client_alloc *a = value;
		if (dirty && a->in_batch)
			a->dirty = true;
		a->in_batch = false;
	}
}

static void
on_updated(void *ctx, const struct http_result *res)
{
	struct client *c = ctx;

	c->update_call = NULL;
	if (res->status != 200) {
		log_warn("client.sync", "status of allocations: %s",
		    res->status == 0 ? res->err->text : res->body);
		batch_over(c, true);
		loop_timer_set(c->update_timer, RETRY_MS);
		return;
	}
	batch_over(c, false);
	flush_updates(c);
}

static void
flush_updates(void *ctx)
{
	struct client *c = ctx;
	autobuf struct buf body = BUF_INIT;
	autoarena struct arena mem = ARENA_INIT;
	struct jsonw w = JSONW_INIT(&body);
	size_t i = 0, n = 0;
	void *value;

	if (c->update_call != NULL || !c->registered)
		return;
	jsonw_object(&w);
	jsonw_kstr(&w, "NodeID", c->id);
	jsonw_key(&w, "Allocs");
	jsonw_array(&w);
	while (map_next(&c->allocs, &i, NULL, &value)) {
		struct client_alloc *a = value;
		if (!a->dirty || a->gone_from_server)
			continue;
		write_alloc(a, &w);
		a->dirty = false;
		a->in_batch = true;
		n++;
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (n == 0)
		return;
	struct http_spec spec = { .base = c->conf.server,
		.path = "/v1/internal/allocs",
		.method = "PUT",
		.body = buf_str(&body),
		.len = body.len,
		.headers = sync_headers(c, &mem),
		.done = on_updated,
		.ctx = c };
	c->update_call = http_call(c->loop, &spec);
}

void
sync_alloc_changed(struct client_alloc *a)
{
	struct client *c = a->client;

	a->dirty = true;
	loop_defer_cancel(c->loop, flush_updates, c);
	loop_defer(c->loop, flush_updates, c);
}

/* ---- the directory of services ---- */

struct service_out {
	struct buf json; /* the row; empty: take it out */
	bool sent;
};

static void
service_out_free(struct service_out *s)
{
	buf_fini(&s->json);
	free(s);
}

static void
on_services(void *ctx, const struct http_result *res)
{
	struct client *c = ctx;
	const char *id;
	void *value;

	c->services_call = NULL;
	for (size_t i = 0; map_next(&c->services, &i, &id, &value);) {
		struct service_out *s = value;
		if (!s->sent)
			continue;
		s->sent = false;
		if (res->status == 200) {
			map_del(&c->services, id);
			service_out_free(s);
		}
	}
	if (res->status != 200) {
		log_warn(
		    "client.sync", "services: %s", res->status == 0 ? res->err->text : res->body);
		loop_timer_set(c->services_timer, RETRY_MS);
		return;
	}
	flush_services(c);
}

static void
flush_services(void *ctx)
{
	struct client *c = ctx;
	autobuf struct buf body = BUF_INIT;
	autoarena struct arena mem = ARENA_INIT;
	struct jsonw w = JSONW_INIT(&body);
	const char *id;
	void *value;

	if (c->services_call != NULL || !c->registered || c->services.n == 0)
		return;
	jsonw_object(&w);
	jsonw_kstr(&w, "NodeID", c->id);
	jsonw_key(&w, "Register");
	jsonw_array(&w);
	for (size_t i = 0; map_next(&c->services, &i, &id, &value);) {
		struct service_out *s = value;
		s->sent = true;
		if (s->json.len > 0)
			jsonw_raw(&w, s->json.data, s->json.len);
	}
	jsonw_end_array(&w);
	jsonw_key(&w, "Deregister");
	jsonw_array(&w);
	for (size_t i = 0; map_next(&c->services, &i, &id, &value);)
		if (((struct service_out *)value)->json.len == 0)
			jsonw_str(&w, id);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	struct http_spec spec = { .base = c->conf.server,
		.path = "/v1/internal/services",
		.method = "PUT",
		.body = buf_str(&body),
		.len = body.len,
		.headers = sync_headers(c, &mem),
		.done = on_services,
		.ctx = c };
	c->services_call = http_call(c->loop, &spec);
}

void
sync_service(struct client *c, const char *id, const struct service_row *row)
{
	struct service_out *s = xcalloc(1, sizeof(*s));
	struct jsonw w = JSONW_INIT(&s->json);

	if (row != NULL)
		model_to_json(&service_row_model, row, &w);
	struct service_out *old = map_set(&c->services, id, s);
	if (old != NULL)
		service_out_free(old);
	loop_defer_cancel(c->loop, flush_services, c);
	loop_defer(c->loop, flush_services, c);
}

void
sync_start(struct client *c)
{
	if (c->poll_timer == NULL) {
		c->poll_timer = loop_timer(c->loop, -1, 0, poll_allocs, c);
		c->update_timer = loop_timer(c->loop, -1, 0, flush_updates, c);
		c->services_timer = loop_timer(c->loop, -1, 0, flush_services, c);
	}
	poll_allocs(c);
	flush_updates(c);
	flush_services(c);
}

void
sync_stop(struct client *c)
{
	size_t i = 0;
	void *value;

	loop_defer_cancel(c->loop, flush_updates, c);
	loop_defer_cancel(c->loop, flush_services, c);
	http_cancel(&c->poll_call);
	http_cancel(&c->update_call);
	http_cancel(&c->services_call);
	loop_timer_free(&c->poll_timer);
	loop_timer_free(&c->update_timer);
	loop_timer_free(&c->services_timer);
	while (map_next(&c->services, &i, NULL, &value))
		service_out_free(value);
	map_fini(&c->services);
}
