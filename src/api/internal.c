/* /v1/internal/…: what the agents of a cluster tell each other. The node's secret is in
 * X-Nomad-Token. */
#include "api/call.h"

#include <string.h>

static const char *
secret(struct call *c)
{
	const char *token = http_header(c->req, "X-Nomad-Token");

	return token != NULL ? token : "";
}

static void
done_heartbeat(void *ctx, const struct server_result *r, const struct err *e)
{
	struct call *c = ctx;
	struct buf out = BUF_INIT;

	if (e != NULL) {
		call_err(c, e);
		return;
	}
	struct jsonw w = call_json(c, &out);
	jsonw_object(&w);
	jsonw_kint(&w, "HeartbeatTTL", r->heartbeat_ttl_ns);
	jsonw_kuint(&w, "Index", r->index);
	jsonw_end_object(&w);
	call_index(c, r->index);
	call_json_end(c, &w);
}

static void
run_register(struct call *c)
{
	const json_t *body;
	struct node n;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	const json_t *node = json_object_get(body, "Node");
	if (model_from_json(&node_secret_model, node != NULL ? node : body, c->mem, &n, &e) < 0) {
		call_fail(c, 400, "%s", e.text);
		return;
	}
	if (server_node_register(c->api->c.server, &n, done_heartbeat, c, &e) < 0)
		call_err_input(c, &e);
}

static void
run_heartbeat(struct call *c)
{
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	if (server_node_heartbeat(c->api->c.server, json_str(body, "NodeID", ""), secret(c),
		json_str(body, "Status", "ready"), done_heartbeat, c, &e) < 0)
		call_err_input(c, &e);
}

static void
look_node_allocs(struct call *c)
{
	struct err e;

	if (!call_uuid(c, c->arg))
		return;
	if (server_node_check(c->api->c.server, c->arg, secret(c), &e) < 0) {
		call_err_input(c, &e);
		return;
	}
	c->look.watch = WATCH_NODE_ALLOCS;
	c->look.key = c->arg;
	c->look.index = state_node_allocs_index(c->state, c->arg);
}

static void
render_node_allocs(struct call *c, struct jsonw *w)
{
	autorows struct rows rows = state_node_allocs(c->state, c->arg);

	jsonw_object(w);
	jsonw_kuint(w, "Index", c->look.index);
	jsonw_key(w, "Allocs");
	jsonw_array(w);
	for (size_t i = 0; i < rows.n; i++)
		model_to_json(&alloc_model, rows.at[i], w);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

/* The objects of the list `key` of the body; false: answered. */
static bool
body_objs(
    struct call *c, const json_t *body, const char *key, const struct model *m, struct objs *out)
{
	const json_t *list = json_object_get(body, key);
	struct err e;

	for (size_t i = 0; i < json_array_size(list); i++) {
		void *obj = model_new(m, c->mem);
		if (model_from_json(m, json_array_get(list, i), c->mem, obj, &e) < 0) {
			call_fail(c, 400, "%s[%zu]: %s", key, i, e.text);
			return false;
		}
		objs_add(out, c->mem, obj);
	}
	return true;
}

static void
run_allocs(struct call *c)
{
	struct objs allocs = { .n = 0 };
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0 ||
	    !body_objs(c, body, "Allocs", &alloc_bare_model, &allocs))
		return;
	if (server_allocs_update(c->api->c.server, json_str(body, "NodeID", ""), secret(c), &allocs,
		call_done_empty, c, &e) < 0)
		call_err_input(c, &e);
}

static void
run_services(struct call *c)
{
	struct objs add = { .n = 0 };
	struct strs remove = { .n = 0 };
	const json_t *body, *list;
	struct err e;

	if (call_body(c, false, &body) < 0 ||
	    !body_objs(c, body, "Register", &service_row_model, &add))
		return;
	list = json_object_get(body, "Deregister");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_is_string(json_array_get(list, i)))
			strs_add(&remove, c->mem, json_string_value(json_array_get(list, i)));
	if (server_services_update(c->api->c.server, json_str(body, "NodeID", ""), secret(c), &add,
		&remove, call_done_empty, c, &e) < 0)
		call_err_input(c, &e);
}

const struct route internal_routes[] = {
	{ .methods = "PUT", .pattern = "/v1/internal/node/register", .run = run_register },
	{ .methods = "PUT", .pattern = "/v1/internal/node/heartbeat", .run = run_heartbeat },
	{ .methods = "GET",
	    .pattern = "/v1/internal/node/:/allocs",
	    .look = look_node_allocs,
	    .render = render_node_allocs },
	{ .methods = "PUT", .pattern = "/v1/internal/allocs", .run = run_allocs },
	{ .methods = "PUT", .pattern = "/v1/internal/services", .run = run_services },
	{ .pattern = NULL },
};
