/* http.c: Consul's HTTP API: which request is which, and blocking queries. */
#include "catalog/reads.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_DEFAULT_MS = 300000, WAIT_MOST_MS = 600000 };

struct block {
	struct block *next, **link;
	struct catalog *c;
	struct http_req *r;
	const struct endpoint *ep;
	const char *name;
	uint64_t index;
	struct state_watch *watch[2];
	struct loop_timer *timer;
};

/* ---- replies ---- */

void
reply_json(struct http_req *r, struct buf *body)
{
	autojson json_t *v = NULL;
	struct err e = ERR_INIT;
	const char *pretty = http_query(r, "pretty");

	if (pretty != NULL && !str_eq(pretty, "false") &&
	    json_read(buf_str(body), body->len, &v, &e) == 0) {
		autobuf struct buf nice = BUF_INIT;
		struct jsonw w = JSONW_INDENT(&nice, 4);
		jsonw_json(&w, v);
		buf_addc(&nice, '\n');
		http_reply(r, 200, "application/json", buf_str(&nice), nice.len);
		return;
	}
	http_reply(r, 200, "application/json", buf_str(body), body->len);
}

void
set_index(struct http_req *r, uint64_t index)
{
	http_setf(r, "X-Consul-Index", "%llu", (unsigned long long)index);
	http_set(r, "X-Consul-Knownleader", "true");
	http_set(r, "X-Consul-Lastcontact", "0");
	http_set(r, "X-Consul-Effective-Consistency", "consistent");
}

void
reply_err(struct http_req *r, const struct err *e)
{
	http_reply_text(
	    r, e->kind == ERR_INPUT || e->kind == ERR_UNSUPPORTED ? 400 : 500, "%s", e->text);
}

/* ---- blocking ---- */

static uint64_t
index_of(
    const struct catalog *c, const struct endpoint *ep, const struct http_req *r, const char *name)
{
	uint64_t services = state_table_index(c->state, STATE_SERVICES);
	uint64_t nodes = state_table_index(c->state, STATE_NODES);

	switch (ep->look) {
	case LOOK_NOTHING:
		break;
	case LOOK_SERVICES:
		return services;
	case LOOK_NAMED:
		return state_named_services_index(c->state, name);
	case LOOK_NODES:
		return nodes;
	case LOOK_BOTH:
		return services > nodes ? services : nodes;
	case LOOK_KV:
		return kv_index(c, r, name);
	}
	return 0;
}

static void
answer(struct catalog *c, struct http_req *r, const struct endpoint *ep, const char *name)
{
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);
	struct read q = { c, r, name, &w };

	if (ep->look != LOOK_NOTHING)
		set_index(r, index_of(c, ep, r, name));
	int status = ep->read(&q);
	if (status == 200)
		reply_json(r, &body);
	else if (status != 0)
		http_reply(r, status, "text/plain; charset=utf-8", "", 0);
}

static void
free_block(struct block *b)
{
	*b->link = b->next;
	if (b->next != NULL)
		b->next->link = b->link;
	state_watch_cancel(&b->watch[0]);
	state_watch_cancel(&b->watch[1]);
	loop_timer_free(&b->timer);
	free(b);
}

void
blocks_free(struct catalog *c)
{
	while (c->blocks != NULL) {
		http_on_close(c->blocks->r, NULL, NULL);
		free_block(c->blocks);
	}
}

static void
on_gone(void *ctx)
{
	free_block(ctx);
}

static void
end_block(void *ctx)
{
	struct block *b = ctx;
	struct catalog *c = b->c;
	struct http_req *r = b->r;
	const struct endpoint *ep = b->ep;
	const char *name = b->name;

	http_on_close(r, NULL, NULL);
	free_block(b);
	answer(c, r, ep, name);
}

static void arm(struct block *b);

static void
woken(struct block *b, int which)
{
	b->watch[which] = NULL;
	if (index_of(b->c, b->ep, b->r, b->name) > b->index)
		end_block(b);
	else
		arm(b);
}

static void
woken_first(void *ctx)
{
	woken(ctx, 0);
}

static void
woken_second(void *ctx)
{
	woken(ctx, 1);
}

static void
arm(struct block *b)
{
	struct state *s = b->c->state;

	if (b->watch[0] == NULL)
		b->watch[0] = b->ep->look == LOOK_NAMED
				  ? state_watch_named_services(s, b->name, woken_first, b)
				  : state_watch(s,
					b->ep->look == LOOK_KV	    ? STATE_KV
					: b->ep->look == LOOK_NODES ? STATE_NODES
								    : STATE_SERVICES,
					NULL, woken_first, b);
	if (b->ep->look == LOOK_BOTH && b->watch[1] == NULL)
		b->watch[1] = state_watch(s, STATE_NODES, NULL, woken_second, b);
}

static int64_t
wait_ms(const struct http_req *r)
{
	const char *text = http_query(r, "wait");
	int64_t ns;

	if (text == NULL || !duration_parse(text, &ns) || ns <= 0)
		return WAIT_DEFAULT_MS;
	return ns / NS_PER_MS < WAIT_MOST_MS ? ns / NS_PER_MS : WAIT_MOST_MS;
}

static void
block(struct catalog *c, struct http_req *r, const struct endpoint *ep, const char *name,
    uint64_t index)
{
	struct block *b = xcalloc(1, sizeof(*b));

	*b = (struct block){ .next = c->blocks,
		.link = &c->blocks,
		.c = c,
		.r = r,
		.ep = ep,
		.name = arena_strdup(http_arena(r), name),
		.index = index };
	if (b->next != NULL)
		b->next->link = &b->next;
	c->blocks = b;
	b->timer = loop_timer(c->loop, wait_ms(r), 0, end_block, b);
	http_on_close(r, on_gone, b);
	arm(b);
}

static void
do_read(struct catalog *c, struct http_req *r, const struct endpoint *ep, const char *name)
{
	const char *text = http_query(r, "index");
	uint64_t index = 0;

	if (http_query(r, "filter") != NULL) {
		http_reply_text(r, 400, "The filter parameter is not supported yet");
		return;
	}
	if (text != NULL && *text != '\0' && !str_u64(text, INT64_MAX, &index)) {
		http_reply_text(r, 400, "Invalid index");
		return;
	}
	uint64_t now = index_of(c, ep, r, name);
	/* an index from another life is higher than ours: answer, so that the asker starts anew */
	if (ep->look == LOOK_NOTHING || index == 0 || now > index ||
	    index > state_index(c->state) + 1)
		answer(c, r, ep, name);
	else
		block(c, r, ep, name, index);
}

/* ---- writes ---- */

typedef void write_fn(struct catalog *c, struct http_req *r, const char *name);

static void
write_register_service(struct catalog *c, struct http_req *r, const char *name)
{
	(void)name;
	agent_register_service(c, r);
}

static void
write_register_check(struct catalog *c, struct http_req *r, const char *name)
{
	(void)name;
	agent_register_check(c, r);
}

static void
write_pass(struct catalog *c, struct http_req *r, const char *name)
{
	agent_update_check(c, r, name, "passing", http_query(r, "note"));
}

static void
write_warn(struct catalog *c, struct http_req *r, const char *name)
{
	agent_update_check(c, r, name, "warning", http_query(r, "note"));
}

static void
write_fail(struct catalog *c, struct http_req *r, const char *name)
{
	agent_update_check(c, r, name, "critical", http_query(r, "note"));
}

static void
write_update(struct catalog *c, struct http_req *r, const char *name)
{
	autojson json_t *v = NULL;
	struct err e = ERR_INIT;
	size_t len;
	const char *body = http_body(r, &len);

	if (json_read(body, len, &v, &e) < 0) {
		http_reply_text(r, 400, "Request decode failed: %s", e.text);
		return;
	}
	const char *status = json_str(v, "Status", ""), *output = json_str(v, "Output", "");
	if (!str_eq(status, "passing") && !str_eq(status, "warning") &&
	    !str_eq(status, "critical")) {
		http_reply_text(r, 400, "Invalid check status: '%.60s'", status);
		return;
	}
	agent_update_check(
	    c, r, name, arena_strdup(http_arena(r), status), arena_strdup(http_arena(r), output));
}

static const struct {
	const char *path;
	write_fn *write;
} writes[] = {
	{ "agent/service/register", write_register_service },
	{ "agent/service/deregister/", agent_deregister_service },
	{ "agent/check/register", write_register_check },
	{ "agent/check/deregister/", agent_deregister_check },
	{ "agent/check/pass/", write_pass },
	{ "agent/check/warn/", write_warn },
	{ "agent/check/fail/", write_fail },
	{ "agent/check/update/", write_update },
	{ "kv/", kv_put },
};

/* ---- which is it ---- */

/* Does the path (without /v1/) fit? *name is what stands behind it. */
static bool
fits(const char *path, const char *pattern, const char **name)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] != '/') {
		*name = "";
		return str_eq(path, pattern);
	}
	if (strncmp(path, pattern, n) != 0 || (path[n] == '\0' && !str_eq(pattern, "kv/")))
		return false;
	*name = path + n;
	return true;
}

/* The decoded path behind /v1/, or NULL. */
static const char *
path_of(struct http_req *r)
{
	autobuf struct buf path = BUF_INIT;

	if (!str_eq(http_part(r, 0), "v1"))
		return NULL;
	for (size_t i = 1; i < http_parts(r); i++)
		buf_addf(&path, "%s%s", i > 1 ? "/" : "", http_part(r, i));
	return arena_strdup(http_arena(r), buf_str(&path));
}

static void
wrong_method(struct http_req *r, const char *allowed)
{
	http_set(r, "Allow", allowed);
	http_reply_text(r, 405, "method %s not allowed", http_method(r));
}

static void
handle_read(struct catalog *c, struct http_req *r, const char *path)
{
	const char *name, *dc = http_query(r, "dc");

	for (size_t i = 0; i < NELEM(writes); i++)
		if (!str_eq(writes[i].path, "kv/") && fits(path, writes[i].path, &name)) {
			wrong_method(r, "PUT");
			return;
		}
	for (size_t i = 0; i < n_reads; i++) {
		if (!fits(path, reads[i].path, &name))
			continue;
		if (dc != NULL && *dc != '\0' && !str_same(dc, c->datacenter))
			http_reply_text(r, 500, "No path to datacenter");
		else
			do_read(c, r, &reads[i], name);
		return;
	}
	http_reply(r, 404, "text/plain; charset=utf-8", "", 0);
}

static void
handle_write(struct catalog *c, struct http_req *r, const char *path)
{
	const char *name;

	for (size_t i = 0; i < NELEM(writes); i++)
		if (fits(path, writes[i].path, &name)) {
			writes[i].write(c, r, name);
			return;
		}
	for (size_t i = 0; i < n_reads; i++)
		if (fits(path, reads[i].path, &name)) {
			wrong_method(r, "GET");
			return;
		}
	http_reply(r, 404, "text/plain; charset=utf-8", "", 0);
}

void
catalog_handle(struct http_req *r, void *ctx)
{
	struct catalog *c = ctx;
	const char *path = path_of(r), *name;

	if (path == NULL) {
		http_reply(r, 404, "text/plain; charset=utf-8", "", 0);
		return;
	}
	if (str_eq(http_method(r), "DELETE") && fits(path, "kv/", &name))
		kv_delete(c, r, name);
	else if (http_is_get(r))
		handle_read(c, r, path);
	else if (http_is_put(r))
		handle_write(c, r, path);
	else
		wrong_method(r, "GET, PUT");
}
