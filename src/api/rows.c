/* Nodes, allocations, evaluations, deployments, native services. */
#include "api/call.h"

#include "base/str.h"

#include <string.h>

#define GETTER(fn, type, member)                                                                   \
	static const char *fn(const void *row)                                                     \
	{                                                                                          \
		return ((const struct type *)row)->member;                                         \
	}
GETTER(alloc_ns, alloc, namespace)
GETTER(alloc_id, alloc, id)
GETTER(eval_ns, eval, namespace)
GETTER(eval_id, eval, id)
GETTER(deployment_ns, deployment, namespace)
GETTER(deployment_id, deployment, id)
GETTER(node_id, node, id)
GETTER(service_ns, service_row, namespace)
GETTER(service_id, service_row, id)

void
emit_alloc_stub(struct call *c, const void *row, struct jsonw *w)
{
	const struct alloc *a = row;
	const struct field *resources = model_field(&alloc_model, "AllocatedResources");

	jsonw_object(w);
	model_members_to_json(&alloc_stub_model, a, w);
	if (call_flag(c, "resources") && resources != NULL) {
		jsonw_key(w, "AllocatedResources");
		model_to_json(resources->sub, a->allocated_resources, w);
	}
	jsonw_end_object(w);
}

void
emit_eval(struct call *c, const void *row, struct jsonw *w)
{
	(void)c;
	model_to_json(&eval_model, row, w);
}

void
emit_deployment(struct call *c, const void *row, struct jsonw *w)
{
	(void)c;
	model_to_json(&deployment_model, row, w);
}

void
emit_service(struct call *c, const void *row, struct jsonw *w)
{
	(void)c;
	model_to_json(&service_row_model, row, w);
}

const struct list alloc_list = { alloc_ns, alloc_id, false, emit_alloc_stub };
const struct list eval_list = { eval_ns, eval_id, false, emit_eval };
const struct list deployment_list = { deployment_ns, deployment_id, false, emit_deployment };
const struct list service_list = { service_ns, service_id, true, emit_service };

/* One row by its id. modify: its index. */
static void
look_row(struct call *c, enum state_table t, const void *row, int64_t modify, const char *absent)
{
	if (!call_uuid(c, c->arg))
		return;
	c->look.table = t;
	c->look.row = row;
	c->look.key = c->arg;
	c->look.watch = row != NULL ? WATCH_ROW : WATCH_TABLE;
	c->look.index = row != NULL ? (uint64_t)modify : state_table_index(c->state, t);
	c->look.absent = row == NULL ? absent : NULL;
}

static void
look_list(struct call *c, enum state_table t)
{
	if (!call_prefix_ok(c))
		return;
	c->look.table = t;
	c->look.index = state_table_index(c->state, t);
}

static void
render_rows(struct call *c, struct jsonw *w, struct rows rows, const struct list *l)
{
	call_list(c, w, &rows, l);
	rows_fini(&rows);
}

/* Nodes ---------------------------------------------------------------------------------------- */

static void
emit_node_stub(struct call *c, const void *row, struct jsonw *w)
{
	const struct node *n = row;
	const struct field *f;

	jsonw_object(w);
	model_members_to_json(&node_stub_model, n, w);
	if (call_flag(c, "resources")) {
		if ((f = model_field(&node_model, "NodeResources")) != NULL) {
			jsonw_key(w, f->json);
			model_to_json(f->sub, n->node_resources, w);
		}
		if ((f = model_field(&node_model, "ReservedResources")) != NULL) {
			jsonw_key(w, f->json);
			model_to_json(f->sub, n->reserved_resources, w);
		}
	}
	if (call_flag(c, "os"))
		jsonw_kstr(w, "OS", strmap_get(&n->attributes, "os.name"));
	jsonw_end_object(w);
}

static const struct list node_list = { NULL, node_id, false, emit_node_stub };

static void
look_nodes(struct call *c)
{
	look_list(c, STATE_NODES);
}

static void
render_nodes(struct call *c, struct jsonw *w)
{
	render_rows(
	    c, w, state_list(c->state, STATE_NODES, http_query(c->req, "prefix")), &node_list);
}

static void
look_node(struct call *c)
{
	const struct node *n = state_node(c->state, c->arg);

	look_row(c, STATE_NODES, n, n != NULL ? n->modify_index : 0, "node not found");
}

static void
render_node(struct call *c, struct jsonw *w)
{
	model_to_json(&node_model, c->look.row, w);
}

static void
look_node_allocs(struct call *c)
{
	if (!call_uuid(c, c->arg))
		return;
	c->look.watch = WATCH_NODE_ALLOCS;
	c->look.key = c->arg;
	c->look.index = state_node_allocs_index(c->state, c->arg);
}

static void
render_node_allocs(struct call *c, struct jsonw *w)
{
	autorows struct rows rows = state_node_allocs(c->state, c->arg);

	jsonw_array(w);
	for (size_t i = 0; i < rows.n; i++)
		model_to_json(&alloc_model, rows.at[i], w);
	jsonw_end_array(w);
}

static void
run_eligibility(struct call *c)
{
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	const char *id = json_str(body, "NodeID", ""), *want = json_str(body, "Eligibility", "");
	if (*id != '\0' && strcmp(id, c->arg) != 0)
		call_fail(c, 400, "NodeID does not match the request's path");
	else if (strcmp(want, "eligible") != 0 && strcmp(want, "ineligible") != 0)
		call_fail(
		    c, 400, "Eligibility must be \"eligible\" or \"ineligible\", not \"%s\"", want);
	else if (server_node_eligibility(c->api->c.server, c->arg, strcmp(want, "eligible") == 0,
		     call_done_node, c, &e) < 0)
		call_err(c, &e);
}

static void
run_drain(struct call *c)
{
	const json_t *body;
	struct drain_strategy spec = { .deadline = 0 };
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	const json_t *drain = json_object_get(body, "DrainSpec");
	if (json_is_object(drain)) {
		spec.deadline = json_int(drain, "Deadline", 0);
		spec.ignore_system_jobs = json_bool(drain, "IgnoreSystemJobs", false);
	}
	if (server_node_drain(c->api->c.server, c->arg, json_is_object(drain) ? &spec : NULL,
		json_bool(body, "MarkEligible", false), call_done_node, c, &e) < 0)
		call_err(c, &e);
}

static void
run_node_evaluate(struct call *c)
{
	struct err e;

	if (server_node_evaluate(c->api->c.server, c->arg, call_done_node, c, &e) < 0)
		call_err(c, &e);
}

static void
run_node_purge(struct call *c)
{
	struct err e;

	if (server_node_purge(c->api->c.server, c->arg, call_done_node, c, &e) < 0)
		call_err(c, &e);
}

/* Allocations ---------------------------------------------------------------------------------- */

static void
look_allocs(struct call *c)
{
	look_list(c, STATE_ALLOCS);
}

static void
render_allocs(struct call *c, struct jsonw *w)
{
	render_rows(
	    c, w, state_list(c->state, STATE_ALLOCS, http_query(c->req, "prefix")), &alloc_list);
}

static void
look_alloc(struct call *c)
{
	const struct alloc *a = state_alloc(c->state, c->arg);

	look_row(c, STATE_ALLOCS, a, a != NULL ? a->modify_index : 0, "alloc not found");
}

static void
render_alloc(struct call *c, struct jsonw *w)
{
	model_to_json(&alloc_model, c->look.row, w);
}

static void
run_alloc_stop(struct call *c)
{
	struct err e;

	if (!call_uuid(c, c->arg))
		return;
	if (server_alloc_stop(c->api->c.server, c->arg, call_flag(c, "no_shutdown_delay"),
		call_done_eval, c, &e) < 0)
		call_err(c, &e);
}

static void
look_alloc_services(struct call *c)
{
	if (call_uuid(c, c->arg))
		look_list(c, STATE_SERVICES);
}

static void
render_alloc_services(struct call *c, struct jsonw *w)
{
	render_rows(c, w, state_alloc_services(c->state, c->arg), &service_list);
}

/* Evaluations ---------------------------------------------------------------------------------- */

static void
look_evals(struct call *c)
{
	look_list(c, STATE_EVALS);
}

static void
render_evals(struct call *c, struct jsonw *w)
{
	autorows struct rows all = state_list(c->state, STATE_EVALS, http_query(c->req, "prefix")),
			     some = { .n = 0 };
	const char *status = http_query(c->req, "status"), *job = http_query(c->req, "job");

	for (size_t i = 0; i < all.n; i++) {
		const struct eval *ev = all.at[i];
		if ((status == NULL || *status == '\0' || str_eq(ev->status, status)) &&
		    (job == NULL || *job == '\0' || str_eq(ev->job_id, job)))
			VEC_PUSH(&some, all.at[i]);
	}
	call_list(c, w, &some, &eval_list);
}

static void
look_eval(struct call *c)
{
	const struct eval *ev = state_eval(c->state, c->arg);

	look_row(c, STATE_EVALS, ev, ev != NULL ? ev->modify_index : 0, "eval not found");
}

static void
render_eval(struct call *c, struct jsonw *w)
{
	emit_eval(c, c->look.row, w);
}

static void
look_eval_allocs(struct call *c)
{
	if (call_uuid(c, c->arg))
		look_list(c, STATE_ALLOCS);
}

static void
render_eval_allocs(struct call *c, struct jsonw *w)
{
	render_rows(c, w, state_eval_allocs(c->state, c->arg), &alloc_list);
}

/* Deployments ---------------------------------------------------------------------------------- */

static void
look_deployments(struct call *c)
{
	look_list(c, STATE_DEPLOYMENTS);
}

static void
render_deployments(struct call *c, struct jsonw *w)
{
	render_rows(c, w, state_list(c->state, STATE_DEPLOYMENTS, http_query(c->req, "prefix")),
	    &deployment_list);
}

static void
look_deployment(struct call *c)
{
	const struct deployment *d = state_deployment(c->state, c->arg);

	look_row(c, STATE_DEPLOYMENTS, d, d != NULL ? d->modify_index : 0, "deployment not found");
}

static void
render_deployment(struct call *c, struct jsonw *w)
{
	emit_deployment(c, c->look.row, w);
}

static void
render_deployment_allocs(struct call *c, struct jsonw *w)
{
	render_rows(c, w, state_deployment_allocs(c->state, c->arg), &alloc_list);
}

/* The body of a deployment call; false: answered. */
static bool
deployment_body(struct call *c, bool optional, const json_t **body)
{
	if (!call_uuid(c, c->arg) || call_body(c, optional, body) < 0)
		return false;
	const char *id = json_str(*body, "DeploymentID", "");
	if (*id == '\0' && optional)
		return true;
	if (strcmp(id, c->arg) == 0)
		return true;
	call_fail(c, 400,
	    *id == '\0' ? "DeploymentID must be specified" : "Deployment ID does not match");
	return false;
}

static struct strs
body_strs(struct call *c, const json_t *body, const char *key)
{
	struct strs out = { .n = 0 };
	const json_t *list = json_object_get(body, key);

	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_is_string(json_array_get(list, i)))
			strs_add(&out, c->mem, json_string_value(json_array_get(list, i)));
	return out;
}

static void
run_promote(struct call *c)
{
	const json_t *body;
	struct err e;

	if (!deployment_body(c, false, &body))
		return;
	struct strs groups = body_strs(c, body, "Groups");
	bool all = json_bool(body, "All", false);
	if (!all && groups.n == 0)
		call_fail(c, 400, "either All or Groups must be given");
	else if (all && groups.n > 0)
		call_fail(c, 400, "All and Groups exclude each other");
	else if (server_deployment_promote(c->api->c.server, c->arg, all ? NULL : &groups,
		     call_done_deployment, c, &e) < 0)
		call_err(c, &e);
}

static void
run_fail(struct call *c)
{
	const json_t *body;
	struct err e;

	if (!deployment_body(c, true, &body))
		return;
	if (server_deployment_fail(c->api->c.server, c->arg, call_done_deployment, c, &e) < 0)
		call_err(c, &e);
}

static void
run_pause(struct call *c)
{
	const json_t *body;
	struct err e;

	if (!deployment_body(c, false, &body))
		return;
	if (server_deployment_pause(c->api->c.server, c->arg, json_bool(body, "Pause", false),
		call_done_deployment, c, &e) < 0)
		call_err(c, &e);
}

static void
run_health(struct call *c)
{
	const json_t *body;
	struct err e;

	if (!deployment_body(c, false, &body))
		return;
	struct strs healthy = body_strs(c, body, "HealthyAllocationIDs"),
		    sick = body_strs(c, body, "UnhealthyAllocationIDs");
	if (server_deployment_health(
		c->api->c.server, c->arg, &healthy, &sick, call_done_deployment, c, &e) < 0)
		call_err(c, &e);
}

static void
run_unblock(struct call *c)
{
	call_fail(c, 501,
	    "unblocking deployments needs several regions, which this version does not have");
}

/* Native services ------------------------------------------------------------------------------ */

static void
look_services(struct call *c)
{
	c->look.table = STATE_SERVICES;
	c->look.index = state_table_index(c->state, STATE_SERVICES);
}

/* [{Namespace, Services: [{ServiceName, Tags}]}]: the rows of a name follow each other. */
static void
render_services(struct call *c, struct jsonw *w)
{
	autorows struct rows rows = state_list(c->state, STATE_SERVICES, NULL);
	struct map names = MAP_INIT;
	const char *name;
	void *tags;

	for (size_t i = 0; i < rows.n; i++) {
		const struct service_row *s = rows.at[i];
		if (!call_in_ns(c, s->namespace))
			continue;
		struct strs *all = map_get(&names, s->service_name);
		if (all == NULL)
			map_set(&names, s->service_name, all = arena_new(c->mem, struct strs));
		for (size_t k = 0; k < s->tags.n; k++)
			if (!strs_has(all, s->tags.at[k]))
				strs_add(all, c->mem, s->tags.at[k]);
	}
	jsonw_array(w);
	if (names.n > 0) {
		jsonw_object(w);
		jsonw_kstr(w, "Namespace", strcmp(c->ns, "*") == 0 ? "default" : c->ns);
		jsonw_key(w, "Services");
		jsonw_array(w);
		for (size_t i = 0; map_next(&names, &i, &name, &tags);) {
			jsonw_object(w);
			jsonw_kstr(w, "ServiceName", name);
			jsonw_key(w, "Tags");
			jsonw_array(w);
			for (size_t k = 0; k < ((struct strs *)tags)->n; k++)
				jsonw_str(w, ((struct strs *)tags)->at[k]);
			jsonw_end_array(w);
			jsonw_end_object(w);
		}
		jsonw_end_array(w);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	map_fini(&names);
}

static void
look_service(struct call *c)
{
	c->look.watch = WATCH_SERVICE;
	c->look.key = c->arg;
	c->look.index = state_named_services_index(c->state, c->arg);
}

static void
render_service(struct call *c, struct jsonw *w)
{
	render_rows(c, w, state_named_services(c->state, c->arg), &service_list);
}

const struct route row_routes[] = {
	{ .methods = "GET", .pattern = "/v1/nodes", .look = look_nodes, .render = render_nodes },
	{ .methods = "GET", .pattern = "/v1/node/:", .look = look_node, .render = render_node },
	{ .methods = "GET",
	    .pattern = "/v1/node/:/allocations",
	    .look = look_node_allocs,
	    .render = render_node_allocs },
	{ .methods = "PUT", .pattern = "/v1/node/:/eligibility", .run = run_eligibility },
	{ .methods = "PUT", .pattern = "/v1/node/:/drain", .run = run_drain },
	{ .methods = "PUT", .pattern = "/v1/node/:/evaluate", .run = run_node_evaluate },
	{ .methods = "PUT", .pattern = "/v1/node/:/purge", .run = run_node_purge },
	{ .methods = "GET",
	    .pattern = "/v1/allocations",
	    .look = look_allocs,
	    .render = render_allocs },
	{ .methods = "GET",
	    .pattern = "/v1/allocation/:",
	    .look = look_alloc,
	    .render = render_alloc },
	{ .methods = "PUT", .pattern = "/v1/allocation/:/stop", .run = run_alloc_stop },
	{ .methods = "GET",
	    .pattern = "/v1/allocation/:/services",
	    .look = look_alloc_services,
	    .render = render_alloc_services },
	{ .methods = "GET",
	    .pattern = "/v1/evaluations",
	    .look = look_evals,
	    .render = render_evals },
	{ .methods = "GET",
	    .pattern = "/v1/evaluation/:",
	    .look = look_eval,
	    .render = render_eval },
	{ .methods = "GET",
	    .pattern = "/v1/evaluation/:/allocations",
	    .look = look_eval_allocs,
	    .render = render_eval_allocs },
	{ .methods = "GET",
	    .pattern = "/v1/deployments",
	    .look = look_deployments,
	    .render = render_deployments },
	{ .methods = "GET",
	    .pattern = "/v1/deployment/:",
	    .look = look_deployment,
	    .render = render_deployment },
	{ .methods = "GET",
	    .pattern = "/v1/deployment/allocations/:",
	    .look = look_eval_allocs,
	    .render = render_deployment_allocs },
	{ .methods = "PUT", .pattern = "/v1/deployment/promote/:", .run = run_promote },
	{ .methods = "PUT", .pattern = "/v1/deployment/fail/:", .run = run_fail },
	{ .methods = "PUT", .pattern = "/v1/deployment/pause/:", .run = run_pause },
	{ .methods = "PUT", .pattern = "/v1/deployment/allocation-health/:", .run = run_health },
	{ .methods = "PUT", .pattern = "/v1/deployment/unblock/:", .run = run_unblock },
	{ .methods = "GET",
	    .pattern = "/v1/services",
	    .look = look_services,
	    .render = render_services },
	{ .methods = "GET",
	    .pattern = "/v1/service/:",
	    .look = look_service,
	    .render = render_service },
	{ .pattern = NULL },
};
