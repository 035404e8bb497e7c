/* /v1/client/…: statistics, restart, signal. Files, logs and exec have files of their own. */
#include "api/call.h"

#include <string.h>

const struct client_api *
call_client(struct call *c, const char *alloc_id)
{
	const struct client_api *n = c->api->c.client;

	if (n != NULL && n->has_alloc(n->self, alloc_id))
		return n;
	if (c->state != NULL && strlen(alloc_id) == 36 && state_alloc(c->state, alloc_id) != NULL &&
	    (n == NULL ||
		strcmp(state_alloc(c->state, alloc_id)->node_id, n->node_id(n->self)) != 0))
		call_fail(c, 404, "No path to node");
	else
		call_fail(c, 404, "Unknown allocation \"%s\"", alloc_id);
	return NULL;
}

static void
done_json(void *ctx, const char *json, size_t len, const struct err *e)
{
	struct call *c = ctx;

	if (e != NULL)
		call_err_input(c, e);
	else
		call_json_text(c, json, len);
}

static void
done_empty(void *ctx, const struct err *e)
{
	struct call *c = ctx;

	if (e != NULL)
		call_err_input(c, e);
	else
		call_json_text(c, "{}", 2);
}

static void
run_host_stats(struct call *c)
{
	const struct client_api *n = c->api->c.client;
	const char *id = http_query(c->req, "node_id");

	if (n != NULL && (id == NULL || *id == '\0' || strcmp(id, n->node_id(n->self)) == 0))
		n->host_stats(n->self, done_json, c);
	else if (c->state != NULL && id != NULL && state_node(c->state, id) == NULL)
		call_fail(c, 404, "Unknown node \"%s\"", id);
	else
		call_fail(c, 404, "No path to node");
}

static void
run_alloc_stats(struct call *c)
{
	const struct client_api *n = call_client(c, c->arg);
	const char *task = http_query(c->req, "task");

	if (n != NULL)
		n->alloc_stats(
		    n->self, c->arg, task != NULL && *task != '\0' ? task : NULL, done_json, c);
}

static void
run_restart(struct call *c)
{
	const struct client_api *n = call_client(c, c->arg);
	const json_t *body;

	if (n == NULL || call_body(c, true, &body) < 0)
		return;
	n->restart(n->self, c->arg, json_str(body, "TaskName", ""),
	    json_bool(body, "AllTasks", false), done_empty, c);
}

static void
run_signal(struct call *c)
{
	const struct client_api *n = call_client(c, c->arg);
	const json_t *body;

	if (n == NULL || call_body(c, false, &body) < 0)
		return;
	const char *task = json_str(body, "Task", "");
	n->signal(n->self, c->arg, *task != '\0' ? task : json_str(body, "TaskName", ""),
	    json_str(body, "Signal", ""), done_empty, c);
}

static void
run_gc(struct call *c)
{
	const struct client_api *n = c->arg[0] != '\0' ? call_client(c, c->arg) : c->api->c.client;

	if (c->answered)
		return;
	if (n == NULL)
		call_fail(c, 404, "No path to node");
	else
		n->gc(n->self, c->arg[0] != '\0' ? c->arg : NULL, done_empty, c);
}

const struct route client_routes[] = {
	{ .methods = "GET", .pattern = "/v1/client/stats", .run = run_host_stats, .local = true },
	{ .methods = "GET",
	    .pattern = "/v1/client/allocation/:/stats",
	    .run = run_alloc_stats,
	    .local = true },
	{ .methods = "PUT",
	    .pattern = "/v1/client/allocation/:/restart",
	    .run = run_restart,
	    .local = true },
	{ .methods = "PUT",
	    .pattern = "/v1/client/allocation/:/signal",
	    .run = run_signal,
	    .local = true },
	{ .methods = "GET", .pattern = "/v1/client/allocation/:/gc", .run = run_gc, .local = true },
	{ .methods = "GET", .pattern = "/v1/client/gc", .run = run_gc, .local = true },
	{ .pattern = NULL },
};
