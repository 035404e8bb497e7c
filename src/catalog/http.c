/* http.c: Consul's HTTP API: which request is which, and blocking queries. */
#include "catalog/view.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_DEFAULT_MS = 300000, WAIT_MOST_MS = 600000, TAGS_MAX = 16 };

/* What a read looks at: decides its index and what wakes it. */
enum look { LOOK_NOTHING, LOOK_SERVICES, LOOK_NAMED, LOOK_NODES, LOOK_BOTH, LOOK_KV };

struct read {
	struct catalog *c;
	struct http_req *r;
	const char
	    *name; /* the rest of the path: a service, node, status, key; "" if there is none */
	struct jsonw *w;
};

/* Writes the answer's JSON; an HTTP status other than 200 means: without it. */
typedef int read_fn(struct read *q);

struct endpoint {
	const char *path; /* without /v1/; one that ends with / has a name behind it */
	enum look look;
	read_fn *read;
};

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

/* ---- what is asked for ---- */

static bool
has_tags(const struct read *q, const struct service_row *row)
{
	const char *tags[TAGS_MAX];
	size_t n = http_query_all(q->r, "tag", tags, TAGS_MAX);

	for (size_t i = 0; i < n && i < TAGS_MAX; i++)
		if (*tags[i] != '\0' && !strs_has(&row->tags, tags[i]))
			return false;
	return true;
}

static bool
is_passing(const struct service_row *row)
{
	return row->status == NULL || str_eq(row->status, "passing");
}

static int
read_catalog_services(struct read *q)
{
	autorows struct rows all = all_instances(q->c);
	autoarena struct arena mem = ARENA_INIT;
	struct map names = MAP_INIT;
	size_t at = 0;
	const char *name;
	void *value;

	for (size_t i = 0; i < all.n; i++) {
		const struct service_row *row = all.at[i];
		struct strs *tags = map_get(&names, row->service_name);
		if (tags == NULL) {
			tags = arena_new(&mem, struct strs);
			map_set(&names, row->service_name, tags);
		}
		for (size_t k = 0; k < row->tags.n; k++)
			if (!strs_has(tags, row->tags.at[k]))
				strs_add(tags, &mem, row->tags.at[k]);
	}
	jsonw_object(q->w);
	while (map_next(&names, &at, &name, &value)) {
		jsonw_key(q->w, name);
		render_strs(q->w, value);
	}
	jsonw_end_object(q->w);
	map_fini(&names);
	return 200;
}

static int
read_catalog_service(struct read *q)
{
	autorows struct rows list = instances_of(q->c, q->name, false);

	jsonw_array(q->w);
	for (size_t i = 0; i < list.n; i++)
		if (has_tags(q, list.at[i]))
			render_catalog_service(q->c, list.at[i], q->w);
	jsonw_end_array(q->w);
	return 200;
}

static int
read_health_service(struct read *q)
{
	autorows struct rows list = instances_of(q->c, q->name, false);
	const char *passing = http_query(q->r, "passing");
	bool only = passing != NULL && !str_eq(passing, "false") && !str_eq(passing, "0");

	jsonw_array(q->w);
	for (size_t i = 0; i < list.n; i++)
		if (has_tags(q, list.at[i]) && (!only || is_passing(list.at[i])))
			render_health(q->c, list.at[i], q->w);
	jsonw_end_array(q->w);
	return 200;
}

static void
write_checks(struct read *q, const struct service_row *row, const char *status)
{
	struct check_state *k;

	OBJS_FOREACH (k, &row->checks)
		if (status == NULL || str_eq(k->status, status))
			render_check(q->c, row, k, q->w);
}

static int
read_health_checks(struct read *q)
{
	autorows struct rows list = instances_of(q->c, q->name, false);

	jsonw_array(q->w);
	for (size_t i = 0; i < list.n; i++)
		write_checks(q, list.at[i], NULL);
	jsonw_end_array(q->w);
	return 200;
}

/* The nodes of the state, or the agent alone where it runs without one. */
static struct rows
nodes_of(const struct catalog *c)
{
	struct rows nodes = state_list(c->state, STATE_NODES, NULL);

	if (nodes.n == 0)
		VEC_PUSH(&nodes, NULL);
	return nodes;
}

static bool
is_alive(const struct node *n)
{
	return n == NULL || (!str_eq(n->status, "down") && !str_eq(n->status, "disconnected"));
}

static int
read_health_state(struct read *q)
{
	static const char *const known[] = { "any", "passing", "warning", "critical" };
	autorows struct rows nodes = nodes_of(q->c), all = all_instances(q->c);
	const char *status = str_eq(q->name, "any") ? NULL : q->name;
	bool is = false;

	for (size_t i = 0; i < NELEM(known); i++)
		is = is || str_eq(q->name, known[i]);
	if (!is) {
		http_reply_text(q->r, 400,
		    "Invalid health state %.60s: use any, passing, warning or critical", q->name);
		return 0;
	}
	jsonw_array(q->w);
	for (size_t i = 0; i < nodes.n; i++) {
		struct place p = place_of_node(q->c, nodes.at[i]);
		bool alive = is_alive(nodes.at[i]);
		if (status == NULL || str_eq(status, alive ? "passing" : "critical"))
			render_serf(&p, alive, q->w);
	}
	for (size_t i = 0; i < all.n; i++)
		write_checks(q, all.at[i], status);
	jsonw_end_array(q->w);
	return 200;
}

static bool
find_node(const struct catalog *c, const char *name, const struct node **out)
{
	autorows struct rows nodes = nodes_of(c);

	for (size_t i = 0; i < nodes.n; i++) {
		struct place p = place_of_node(c, nodes.at[i]);
		if (!str_same(p.node, name) && !str_eq(p.id, name))
			continue;
		*out = nodes.at[i];
		return true;
	}
	return false;
}

static bool
runs_on(const struct catalog *c, const struct service_row *row, const struct place *p)
{
	return str_eq(place_of(c, row).node, p->node);
}

static int
read_health_node(struct read *q)
{
	const struct node *n;

	jsonw_array(q->w);
	if (find_node(q->c, q->name, &n)) {
		autorows struct rows all = all_instances(q->c);
		struct place p = place_of_node(q->c, n);
		render_serf(&p, is_alive(n), q->w);
		for (size_t i = 0; i < all.n; i++)
			if (runs_on(q->c, all.at[i], &p))
				write_checks(q, all.at[i], NULL);
	}
	jsonw_end_array(q->w);
	return 200;
}

static int
read_catalog_nodes(struct read *q)
{
	autorows struct rows nodes = nodes_of(q->c);

	jsonw_array(q->w);
	for (size_t i = 0; i < nodes.n; i++) {
		struct place p = place_of_node(q->c, nodes.at[i]);
		render_node(&p, q->w);
	}
	jsonw_end_array(q->w);
	return 200;
}

static int
read_catalog_node(struct read *q)
{
	const struct node *n;

	if (!find_node(q->c, q->name, &n)) {
		jsonw_null(q->w);
		return 200;
	}
	autorows struct rows all = all_instances(q->c);
	struct place p = place_of_node(q->c, n);
	jsonw_object(q->w);
	jsonw_key(q->w, "Node");
	render_node(&p, q->w);
	jsonw_key(q->w, "Services");
	jsonw_object(q->w);
	for (size_t i = 0; i < all.n; i++) {
		const struct service_row *row = all.at[i];
		if (!runs_on(q->c, row, &p))
			continue;
		jsonw_key(q->w, row->id);
		render_agent_service(q->c, row, q->w);
	}
	jsonw_end_object(q->w);
	jsonw_end_object(q->w);
	return 200;
}

static int
read_datacenters(struct read *q)
{
	jsonw_array(q->w);
	jsonw_str(q->w, q->c->datacenter);
	jsonw_end_array(q->w);
	return 200;
}

static void
write_leader(struct read *q)
{
	autofree char *leader =
	    xasprintf(strchr(q->c->address, ':') != NULL ? "[%s]:8300" : "%s:8300", q->c->address);

	jsonw_str(q->w, leader);
}

static int
read_leader(struct read *q)
{
	write_leader(q);
	return 200;
}

static int
read_peers(struct read *q)
{
	jsonw_array(q->w);
	write_leader(q);
	jsonw_end_array(q->w);
	return 200;
}

static int
read_nothing(struct read *q)
{
	jsonw_array(q->w);
	jsonw_end_array(q->w);
	return 200;
}

static void
write_member(struct read *q)
{
	jsonw_object(q->w);
	jsonw_kstr(q->w, "Name", q->c->node_name);
	jsonw_kstr(q->w, "Addr", q->c->address);
	jsonw_kint(q->w, "Port", 8301);
	jsonw_key(q->w, "Tags");
	jsonw_object(q->w);
	jsonw_kstr(q->w, "dc", q->c->datacenter);
	jsonw_kstr(q->w, "role", "consul");
	jsonw_kstr(q->w, "id", q->c->node_id);
	jsonw_kstr(q->w, "build", CATALOG_VERSION);
	jsonw_end_object(q->w);
	jsonw_kint(q->w, "Status", 1);
	jsonw_kint(q->w, "ProtocolMin", 1);
	jsonw_kint(q->w, "ProtocolMax", 5);
	jsonw_kint(q->w, "ProtocolCur", 2);
	jsonw_kint(q->w, "DelegateMin", 2);
	jsonw_kint(q->w, "DelegateMax", 5);
	jsonw_kint(q->w, "DelegateCur", 4);
	jsonw_end_object(q->w);
}

static int
read_members(struct read *q)
{
	jsonw_array(q->w);
	write_member(q);
	jsonw_end_array(q->w);
	return 200;
}

static int
read_self(struct read *q)
{
	jsonw_object(q->w);
	jsonw_key(q->w, "Config");
	jsonw_object(q->w);
	jsonw_kstr(q->w, "Datacenter", q->c->datacenter);
	jsonw_kstr(q->w, "PrimaryDatacenter", q->c->datacenter);
	jsonw_kstr(q->w, "NodeName", q->c->node_name);
	jsonw_kstr(q->w, "NodeID", q->c->node_id);
	jsonw_kstr(q->w, "Revision", "potter-" POTTER_VERSION);
	jsonw_kbool(q->w, "Server", true);
	jsonw_kstr(q->w, "Version", CATALOG_VERSION);
	jsonw_end_object(q->w);
	for (int i = 0; i < 3; i++) {
		static const char *const empty[] = { "DebugConfig", "Coord", "Stats" };
		jsonw_key(q->w, empty[i]);
		jsonw_object(q->w);
		jsonw_end_object(q->w);
	}
	jsonw_key(q->w, "Member");
	write_member(q);
	jsonw_key(q->w, "Meta");
	jsonw_object(q->w);
	jsonw_end_object(q->w);
	jsonw_end_object(q->w);
	return 200;
}

static int
read_agent_services(struct read *q)
{
	autorows struct rows all = all_instances(q->c);

	jsonw_object(q->w);
	for (size_t i = 0; i < all.n; i++) {
		const struct service_row *row = all.at[i];
		if (!is_agents(q->c, row))
			continue;
		jsonw_key(q->w, row->id);
		render_agent_service(q->c, row, q->w);
	}
	jsonw_end_object(q->w);
	return 200;
}

static int
read_agent_checks(struct read *q)
{
	autorows struct rows all = all_instances(q->c);

	jsonw_object(q->w);
	for (size_t i = 0; i < all.n; i++) {
		const struct service_row *row = all.at[i];
		struct check_state *k;
		if (!is_agents(q->c, row))
			continue;
		OBJS_FOREACH (k, &row->checks) {
			jsonw_key(q->w, k->check_id != NULL ? k->check_id : "");
			render_check(q->c, row, k, q->w);
		}
	}
	jsonw_end_object(q->w);
	return 200;
}

static int
read_agent_service(struct read *q)
{
	const struct service_row *row = state_service(q->c->state, q->name);

	if (row == NULL || !is_agents(q->c, row)) {
		http_reply_text(q->r, 404, "unknown service ID: %.200s", q->name);
		return 0;
	}
	render_agent_service(q->c, row, q->w);
	return 200;
}

static int
read_kv(struct read *q)
{
	const struct kv_row *row;

	if (http_query(q->r, "raw") != NULL && (row = state_kv(q->c->state, q->name)) != NULL) {
		autobuf struct buf value = BUF_INIT;
		base64_decode(&value, row->value, strlen(row->value));
		http_set(q->r, "X-Content-Type-Options", "nosniff");
		http_reply(q->r, 200, "text/plain", buf_str(&value), value.len);
		return 0;
	}
	return kv_render(q->c, q->r, q->name, q->w) ? 200 : 404;
}

static const struct endpoint reads[] = {
	{ "status/leader", LOOK_NOTHING, read_leader },
	{ "status/peers", LOOK_NOTHING, read_peers },
	{ "agent/self", LOOK_NOTHING, read_self },
	{ "agent/members", LOOK_NOTHING, read_members },
	{ "agent/services", LOOK_NOTHING, read_agent_services },
	{ "agent/checks", LOOK_NOTHING, read_agent_checks },
	{ "agent/service/", LOOK_NOTHING, read_agent_service },
	{ "catalog/datacenters", LOOK_NOTHING, read_datacenters },
	{ "catalog/services", LOOK_SERVICES, read_catalog_services },
	{ "catalog/service/", LOOK_NAMED, read_catalog_service },
	{ "catalog/connect/", LOOK_NAMED, read_nothing },
	{ "catalog/nodes", LOOK_NODES, read_catalog_nodes },
	{ "catalog/node/", LOOK_BOTH, read_catalog_node },
	{ "health/service/", LOOK_NAMED, read_health_service },
	{ "health/connect/", LOOK_NAMED, read_nothing },
	{ "health/checks/", LOOK_NAMED, read_health_checks },
	{ "health/node/", LOOK_BOTH, read_health_node },
	{ "health/state/", LOOK_BOTH, read_health_state },
	{ "kv/", LOOK_KV, read_kv },
};

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
	for (size_t i = 0; i < NELEM(reads); i++) {
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
	for (size_t i = 0; i < NELEM(reads); i++)
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
