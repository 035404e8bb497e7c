/* Status, regions, the agent about itself, operator, search, system: what is not a row. */
#include "api/call.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { RPC_PORT = 4647, SERF_PORT = 4648 };

static void
answer_str_list(struct call *c, const char *const *at, size_t n)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(&w, at[i]);
	jsonw_end_array(&w);
	call_json_end(c, &w);
}

static char *
rpc_address(struct call *c)
{
	const char *a = c->api->c.bind_address;

	return arena_printf(c->mem, strchr(a, ':') != NULL ? "[%s]:%d" : "%s:%d", a, RPC_PORT);
}

static void
run_leader(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_str(&w, rpc_address(c));
	call_json_end(c, &w);
}

static void
run_peers(struct call *c)
{
	const char *peer = rpc_address(c);

	answer_str_list(c, &peer, 1);
}

static void
run_regions(struct call *c)
{
	answer_str_list(c, &c->api->c.region, 1);
}

/* agent/self and members ----------------------------------------------------------------------- */

static void
write_member(struct call *c, struct jsonw *w)
{
	const struct api_config *a = &c->api->c;
	char port[16];

	snprintf(port, sizeof(port), "%d", RPC_PORT);
	jsonw_object(w);
	jsonw_kstr(w, "Name", arena_printf(c->mem, "%s.%s", a->name, a->region));
	jsonw_kstr(w, "Addr", a->bind_address);
	jsonw_kint(w, "Port", SERF_PORT);
	jsonw_key(w, "Tags");
	jsonw_object(w);
	const char *const tags[][2] = { { "role", "nomad" }, { "region", a->region },
		{ "dc", a->datacenter }, { "build", POTTER_VERSION }, { "port", port },
		{ "id", a->name }, { "rpc_addr", a->bind_address }, { "vsn", "1" }, { "mvn", "1" },
		{ "raft_vsn", "3" }, { "bootstrap", "1" }, { "expect", "1" } };
	for (size_t i = 0; i < NELEM(tags); i++)
		jsonw_kstr(w, tags[i][0], tags[i][1]);
	jsonw_end_object(w);
	jsonw_kstr(w, "Status", "alive");
	static const char *const versions[] = { "ProtocolMin", "ProtocolMax", "ProtocolCur",
		"DelegateMin", "DelegateMax", "DelegateCur" };
	static const int numbers[] = { 1, 5, 2, 2, 5, 4 };
	for (size_t i = 0; i < NELEM(versions); i++)
		jsonw_kint(w, versions[i], numbers[i]);
	jsonw_end_object(w);
}

static void
run_members(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_object(&w);
	jsonw_kstr(&w, "ServerName", c->api->c.name);
	jsonw_kstr(&w, "ServerRegion", c->api->c.region);
	jsonw_kstr(&w, "ServerDC", c->api->c.datacenter);
	jsonw_key(&w, "Members");
	jsonw_array(&w);
	if (c->api->c.server != NULL)
		write_member(c, &w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	call_json_end(c, &w);
}

static void
write_config(struct call *c, struct jsonw *w)
{
	const struct api_config *a = &c->api->c;

	jsonw_object(w);
	jsonw_kstr(w, "Region", a->region);
	jsonw_kstr(w, "Datacenter", a->datacenter);
	jsonw_kstr(w, "NodeName", a->name);
	jsonw_kstr(w, "BindAddr", a->bind_address);
	jsonw_kbool(w, "DevMode", a->dev);
	jsonw_key(w, "Ports");
	jsonw_object(w);
	jsonw_kint(w, "HTTP", a->port);
	jsonw_kint(w, "RPC", RPC_PORT);
	jsonw_kint(w, "Serf", SERF_PORT);
	jsonw_end_object(w);
	jsonw_key(w, "Server");
	jsonw_object(w);
	jsonw_kbool(w, "Enabled", a->server != NULL);
	jsonw_kint(w, "BootstrapExpect", 1);
	jsonw_end_object(w);
	jsonw_key(w, "Client");
	jsonw_object(w);
	jsonw_kbool(w, "Enabled", a->client != NULL);
	jsonw_kstr(w, "NodeClass", a->node_class != NULL ? a->node_class : "");
	jsonw_end_object(w);
	jsonw_key(w, "ACL");
	jsonw_object(w);
	jsonw_kbool(w, "Enabled", false);
	jsonw_end_object(w);
	jsonw_key(w, "UI");
	jsonw_object(w);
	jsonw_kbool(w, "Enabled", true);
	jsonw_kbool(w, "ShowCLIHints", false);
	jsonw_end_object(w);
	jsonw_key(w, "Version");
	jsonw_object(w);
	jsonw_kstr(w, "Version", POTTER_VERSION);
	jsonw_kstr(w, "Revision", "");
	jsonw_kstr(w, "VersionPrerelease", "");
	jsonw_kstr(w, "VersionMetadata", "potter");
	jsonw_end_object(w);
	jsonw_key(w, "Files");
	jsonw_array(w);
	for (size_t i = 0; a->config_files != NULL && a->config_files[i] != NULL; i++)
		jsonw_str(w, a->config_files[i]);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

struct stats {
	struct jsonw *w;
	const char *group; /* open; NULL: none */
};

static void
emit_stat(void *ctx, const char *group, const char *key, const char *value)
{
	struct stats *s = ctx;

	if (!str_eq(s->group, group)) {
		if (s->group != NULL)
			jsonw_end_object(s->w);
		jsonw_key(s->w, group);
		jsonw_object(s->w);
		s->group = group;
	}
	jsonw_kstr(s->w, key, value);
}

static void
emit_client_stat(void *ctx, const char *key, const char *value)
{
	emit_stat(ctx, "client", key, value);
}

static void
write_stats(struct call *c, struct jsonw *w)
{
	const struct api_config *a = &c->api->c;
	struct stats s = { .w = w };

	jsonw_object(w);
	if (a->server != NULL) {
		struct server_stats n = server_stats(a->server);
		emit_stat(&s, "nomad", "server", "true");
		emit_stat(&s, "nomad", "leader", "true");
		emit_stat(&s, "nomad", "leader_addr", rpc_address(c));
		emit_stat(&s, "nomad", "bootstrap", "true");
		emit_stat(&s, "nomad", "known_regions", "1");
		emit_stat(&s, "raft", "applied_index",
		    arena_printf(c->mem, "%llu", (unsigned long long)n.log_index));
		emit_stat(&s, "raft", "commit_index",
		    arena_printf(c->mem, "%llu", (unsigned long long)n.log_index));
		emit_stat(&s, "raft", "last_log_index",
		    arena_printf(c->mem, "%llu", (unsigned long long)n.log_index));
		emit_stat(&s, "raft", "num_peers", "0");
		emit_stat(&s, "raft", "state", "Leader");
	}
	if (a->client != NULL) {
		emit_stat(&s, "client", "node_id", a->client->node_id(a->client->self));
		if (a->client->agent_stats != NULL)
			a->client->agent_stats(a->client->self, emit_client_stat, &s);
	}
	if (a->stats != NULL)
		a->stats(a->ctx, emit_stat, &s);
	if (s.group != NULL)
		jsonw_end_object(w);
	jsonw_end_object(w);
}

static void
run_self(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_object(&w);
	jsonw_key(&w, "config");
	write_config(c, &w);
	jsonw_key(&w, "member");
	write_member(c, &w);
	jsonw_key(&w, "stats");
	write_stats(c, &w);
	jsonw_end_object(&w);
	call_json_end(c, &w);
}

static void
write_health(struct jsonw *w, const char *key, bool there)
{
	jsonw_key(w, key);
	jsonw_object(w);
	jsonw_kbool(w, "ok", there);
	jsonw_kstr(w, "message",
	    there			 ? "ok"
	    : strcmp(key, "server") == 0 ? "server not enabled"
					 : "client not enabled");
	jsonw_end_object(w);
}

static void
run_health(struct call *c)
{
	const char *type = http_query(c->req, "type");
	bool server = c->api->c.server != NULL, client = c->api->c.client != NULL;
	bool ask_server = type == NULL || strcmp(type, "server") == 0,
	     ask_client = type == NULL || strcmp(type, "client") == 0;
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_object(&w);
	if (ask_client && (client || type != NULL))
		write_health(&w, "client", client);
	if (ask_server && (server || type != NULL))
		write_health(&w, "server", server);
	jsonw_end_object(&w);
	if ((type == NULL) || (ask_client && client) || (ask_server && server)) {
		call_json_end(c, &w);
		return;
	}
	const char *text = arena_strdup(c->mem, buf_str(&out));
	buf_fini(&out);
	http_reply(c->req, 500, "application/json", text, strlen(text));
}

/* Operator and system -------------------------------------------------------------------------- */

static void
run_scheduler_configuration(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	/* What this version does, in the members the original shows: bin-packing, no preemption. */
	jsonw_object(&w);
	jsonw_key(&w, "SchedulerConfig");
	jsonw_object(&w);
	jsonw_kstr(&w, "SchedulerAlgorithm", "binpack");
	jsonw_key(&w, "PreemptionConfig");
	jsonw_object(&w);
	jsonw_kbool(&w, "SystemSchedulerEnabled", false);
	jsonw_kbool(&w, "SysBatchSchedulerEnabled", false);
	jsonw_kbool(&w, "BatchSchedulerEnabled", false);
	jsonw_kbool(&w, "ServiceSchedulerEnabled", false);
	jsonw_end_object(&w);
	jsonw_kbool(&w, "MemoryOversubscriptionEnabled", false);
	jsonw_kbool(&w, "RejectJobRegistration", false);
	jsonw_kbool(&w, "PauseEvalBroker", false);
	jsonw_kint(&w, "CreateIndex", 1);
	jsonw_kint(&w, "ModifyIndex", 1);
	jsonw_end_object(&w);
	jsonw_kint(&w, "Index", 1);
	jsonw_kbool(&w, "KnownLeader", true);
	jsonw_kint(&w, "LastContact", 0);
	jsonw_end_object(&w);
	call_index(c, 1);
	call_json_end(c, &w);
}

static void
run_set_scheduler_configuration(struct call *c)
{
	call_fail(c, 501, "the scheduler's configuration cannot be changed in this version");
}

static void
run_raft_configuration(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_object(&w);
	jsonw_kuint(&w, "Index", state_index(c->state));
	jsonw_key(&w, "Servers");
	jsonw_array(&w);
	jsonw_object(&w);
	jsonw_kstr(&w, "ID", c->api->c.name);
	jsonw_kstr(&w, "Node", arena_printf(c->mem, "%s.%s", c->api->c.name, c->api->c.region));
	jsonw_kstr(&w, "Address", rpc_address(c));
	jsonw_kbool(&w, "Leader", true);
	jsonw_kbool(&w, "Voter", true);
	jsonw_kstr(&w, "RaftProtocol", "3");
	jsonw_end_object(&w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	call_json_end(c, &w);
}

static void
run_gc(struct call *c)
{
	struct err e;

	if (server_system_gc(c->api->c.server, call_done_empty, c, &e) < 0)
		call_err(c, &e);
}

static void
run_reconcile(struct call *c)
{
	/* Summaries follow each change as it is applied: there is nothing to put right. */
	call_json_text(c, "{}", 2);
}

static void
run_search(struct call *c)
{
	struct buf out = BUF_INIT;
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return;
	struct jsonw w = call_json(c, &out);
	if (server_search(c->api->c.server, c->ns, json_str(body, "Prefix", ""),
		json_str(body, "Context", "all"), &w, &e) < 0) {
		buf_fini(&out);
		call_err_input(c, &e);
		return;
	}
	call_index(c, state_index(c->state));
	call_json_end(c, &w);
}

/* What there is only one of, or none, in this version -------------------------------------------
 */

static void
run_empty_list(struct call *c)
{
	call_index(c, 1);
	call_json_text(c, "[]", 2);
}

static void
write_namespace(struct call *c, struct jsonw *w)
{
	(void)c;

	jsonw_object(w);
	jsonw_kstr(w, "Name", "default");
	jsonw_kstr(w, "Description", "Default shared namespace");
	jsonw_kstr(w, "Quota", "");
	jsonw_kint(w, "CreateIndex", 1);
	jsonw_kint(w, "ModifyIndex", 1);
	jsonw_end_object(w);
}

static void
run_namespaces(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_array(&w);
	write_namespace(c, &w);
	jsonw_end_array(&w);
	call_index(c, 1);
	call_json_end(c, &w);
}

static void
run_namespace(struct call *c)
{
	struct buf out = BUF_INIT;

	call_index(c, 1);
	if (strcmp(c->arg, "default") != 0) {
		call_fail(c, 404, "namespace not found");
		return;
	}
	struct jsonw w = call_json(c, &out);
	write_namespace(c, &w);
	call_json_end(c, &w);
}

static void
run_no_namespaces(struct call *c)
{
	call_fail(c, 501, "this version has the namespace \"default\" alone");
}

static void
write_pool(struct jsonw *w, const char *name, const char *what)
{
	jsonw_object(w);
	jsonw_kstr(w, "Name", name);
	jsonw_kstr(w, "Description", what);
	jsonw_knull(w, "Meta");
	jsonw_knull(w, "SchedulerConfiguration");
	jsonw_kint(w, "CreateIndex", 1);
	jsonw_kint(w, "ModifyIndex", 1);
	jsonw_end_object(w);
}

static void
run_pools(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	jsonw_array(&w);
	write_pool(&w, "all", "Node pool with all nodes in the cluster.");
	write_pool(&w, "default", "Default node pool.");
	jsonw_end_array(&w);
	call_index(c, 1);
	call_json_end(c, &w);
}

static void
run_no_acl(struct call *c)
{
	call_fail(c, 400, "ACL support disabled");
}

static void
run_servers(struct call *c)
{
	call_fail(c, 501, "the list of servers is kept by agents that are clients only");
}

const struct route agent_routes[] = {
	{ .methods = "GET", .pattern = "/v1/status/leader", .run = run_leader },
	{ .methods = "GET", .pattern = "/v1/status/peers", .run = run_peers },
	{ .methods = "GET", .pattern = "/v1/regions", .run = run_regions, .local = true },
	{ .methods = "GET", .pattern = "/v1/agent/self", .run = run_self, .local = true },
	{ .methods = "GET", .pattern = "/v1/agent/members", .run = run_members, .local = true },
	{ .methods = "GET", .pattern = "/v1/agent/health", .run = run_health, .local = true },
	{ .methods = "ANY", .pattern = "/v1/agent/servers", .run = run_servers, .local = true },
	{ .methods = "GET",
	    .pattern = "/v1/operator/scheduler/configuration",
	    .run = run_scheduler_configuration },
	{ .methods = "PUT",
	    .pattern = "/v1/operator/scheduler/configuration",
	    .run = run_set_scheduler_configuration },
	{ .methods = "GET",
	    .pattern = "/v1/operator/raft/configuration",
	    .run = run_raft_configuration },
	{ .methods = "PUT", .pattern = "/v1/system/gc", .run = run_gc },
	{ .methods = "PUT", .pattern = "/v1/system/reconcile/summaries", .run = run_reconcile },
	{ .methods = "PUT", .pattern = "/v1/search", .run = run_search },
	{ .methods = "GET", .pattern = "/v1/volumes", .run = run_empty_list },
	{ .methods = "GET", .pattern = "/v1/plugins", .run = run_empty_list },
	{ .methods = "GET", .pattern = "/v1/scaling/policies", .run = run_empty_list },
	{ .methods = "GET", .pattern = "/v1/node/pools", .run = run_pools },
	{ .methods = "GET", .pattern = "/v1/namespaces", .run = run_namespaces },
	{ .methods = "GET", .pattern = "/v1/namespace/:", .run = run_namespace },
	{ .methods = "PUT", .pattern = "/v1/namespace/:", .run = run_no_namespaces },
	{ .methods = "DELETE", .pattern = "/v1/namespace/:", .run = run_no_namespaces },
	{ .methods = "PUT", .pattern = "/v1/namespace", .run = run_no_namespaces },
	{ .methods = "ANY", .pattern = "/v1/acl/*", .run = run_no_acl },
	{ .pattern = NULL },
};
