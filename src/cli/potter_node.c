/* potter_node.c: node status, eval status, deployment status, agent-info, server members, system
 * gc. */
#include "cli/potter.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* ---- node status ---- */

static void
show_nodes(struct potter_call *c, const json_t *rows)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t i;
	json_t *n;

	potter_row(&l, "ID|DC|Name|Class|Drain|Eligibility|Status");
	json_array_foreach (rows, i, n)
		potter_row(&l, "%s|%s|%s|%s|%s|%s|%s",
		    potter_short(c, json_str(n, "ID", ""), potter_length(c)),
		    json_str(n, "Datacenter", ""), json_str(n, "Name", ""),
		    json_str(n, "NodeClass", ""), json_bool(n, "Drain", false) ? "true" : "false",
		    json_str(n, "SchedulingEligibility", ""), json_str(n, "Status", ""));
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static const char *
uptime(struct potter_call *c, int64_t s)
{
	return s >= 3600
		   ? arena_printf(&c->mem, "%lldh%lldm%llds", (long long)(s / 3600),
			 (long long)(s / 60 % 60), (long long)(s % 60))
		   : arena_printf(&c->mem, "%lldm%llds", (long long)(s / 60), (long long)(s % 60));
}

static void
show_drivers(struct potter_lines *l, const json_t *n)
{
	autobuf struct buf names = BUF_INIT;
	const char *name;
	json_t *d;

	json_object_foreach (json_object_get(n, "Drivers"), name, d) {
		if (!json_bool(d, "Detected", false))
			continue;
		buf_addf(&names, "%s%s%s", names.len > 0 ? "," : "", name,
		    json_bool(d, "Healthy", false) ? "" : " (unhealthy)");
	}
	potter_row(l, "Driver Status|%s", buf_str(&names));
}

static void
show_allocated(struct potter_call *c, const json_t *n, const json_t *allocs)
{
	const json_t *all = json_object_get(n, "NodeResources"),
		     *kept = json_object_get(n, "ReservedResources");
	struct potter_lines l = { .text = BUF_INIT };
	long long cpu = 0, memory = 0, disk = 0;
	size_t i;
	json_t *a;

	json_array_foreach (allocs, i, a) {
		const json_t *r = json_object_get(a, "Resources");
		if (strcmp(json_str(a, "ClientStatus", ""), "running") != 0)
			continue;
		cpu += json_int(r, "CPU", 0);
		memory += json_int(r, "MemoryMB", 0);
		disk += json_int(r, "DiskMB", 0);
	}
	long long mhz = json_int(json_object_get(all, "Cpu"), "CpuShares", 0) -
			json_int(json_object_get(kept, "Cpu"), "CpuShares", 0);
	double mb = (double)(json_int(json_object_get(all, "Memory"), "MemoryMB", 0) -
			     json_int(json_object_get(kept, "Memory"), "MemoryMB", 0)) *
		    1048576;
	double disk_mb = (double)(json_int(json_object_get(all, "Disk"), "DiskMB", 0) -
				  json_int(json_object_get(kept, "Disk"), "DiskMB", 0)) *
			 1048576;
	puts("\nAllocated Resources");
	potter_row(&l, "CPU|Memory|Disk");
	potter_row(&l, "%lld/%lld MHz|%s/%s|%s/%s", cpu, mhz,
	    potter_ibytes(c, (double)memory * 1048576), potter_ibytes(c, mb),
	    potter_ibytes(c, (double)disk * 1048576), potter_ibytes(c, disk_mb));
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static void
show_utilisation(struct potter_call *c, const json_t *stats)
{
	const json_t *memory = json_object_get(stats, "Memory"),
		     *disk = json_object_get(stats, "AllocDirStats");
	struct potter_lines l = { .text = BUF_INIT };

	puts("\nHost Resource Utilization");
	potter_row(&l, "CPU|Memory|Disk");
	potter_row(&l, "%.0f MHz|%s/%s|%s/%s",
	    json_number_value(json_object_get(stats, "CPUTicksConsumed")),
	    potter_ibytes(c, (double)json_int(memory, "Used", 0)),
	    potter_ibytes(c, (double)json_int(memory, "Total", 0)),
	    potter_ibytes(c, (double)json_int(disk, "Used", 0)),
	    potter_ibytes(c, (double)json_int(disk, "Size", 0)));
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static int
one_node(struct potter_call *c, const json_t *n)
{
	autoreply struct potter_reply allocs = POTTER_REPLY_INIT, stats = POTTER_REPLY_INIT;
	const char *id = json_str(n, "ID", ""), *key;
	struct potter_lines l = { .text = BUF_INIT };
	struct err e = ERR_INIT;
	json_t *v;

	bool live = potter_get(c, &stats, &e, "/v1/client/stats?node_id=%s", id) == 0;
	if (potter_get(c, &allocs, &e, "/v1/node/%s/allocations", id) < 0)
		return potter_fail("Error querying node allocations: %s", e.text);
	potter_row(&l, "ID|%s", id);
	potter_row(&l, "Name|%s", json_str(n, "Name", ""));
	potter_row(&l, "Class|%s", json_str(n, "NodeClass", ""));
	potter_row(&l, "DC|%s", json_str(n, "Datacenter", ""));
	potter_row(&l, "Drain|%s", json_bool(n, "Drain", false) ? "true" : "false");
	potter_row(&l, "Eligibility|%s", json_str(n, "SchedulingEligibility", ""));
	potter_row(&l, "Status|%s", json_str(n, "Status", ""));
	potter_row(&l, "CSI Controllers| ");
	potter_row(&l, "CSI Drivers| ");
	if (live)
		potter_row(&l, "Uptime|%s", uptime(c, json_int(stats.json, "Uptime", 0)));
	show_drivers(&l, n);
	potter_print_kv(c, &l, "");
	show_allocated(c, n, allocs.json);
	if (live)
		show_utilisation(c, stats.json);
	puts("\nAllocations");
	potter_show_allocs(c, allocs.json);
	if (potter_on(c, "verbose")) {
		puts("\nAttributes");
		json_object_foreach (json_object_get(n, "Attributes"), key, v)
			potter_row(&l, "%s|%s", key, json_string_value(v));
		potter_print_kv(c, &l, "");
	}
	buf_fini(&l.text);
	return 0;
}

static int
node_status(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;
	const char *id = c->argc > 0 ? c->argv[0] : NULL;

	if (c->argc > 1)
		return potter_usage(c, "no arguments or one: <node>");
	if (potter_on(c, "self")) {
		if (potter_get(c, &r, &e, "/v1/agent/self") < 0)
			return potter_fail("Error querying agent info: %s", e.text);
		id = arena_strdup(
		    &c->mem, json_str(json_object_get(json_object_get(r.json, "stats"), "client"),
				 "node_id", ""));
	}
	if (id != NULL) {
		autojson json_t *n =
		    potter_find(c, "/v1/nodes", "/v1/node", "node", id, show_nodes);
		if (n == NULL)
			return 1;
		if (potter_on(c, "json")) {
			potter_json(n);
			return 0;
		}
		return one_node(c, n);
	}
	if (potter_get(c, &r, &e, "/v1/nodes") < 0)
		return potter_fail("Error querying node status: %s", e.text);
	if (potter_on(c, "json"))
		potter_json(r.json);
	else if (json_array_size(r.json) > 0)
		show_nodes(c, r.json);
	return 0;
}

const struct potter_command potter_node_status = {
	.name = "node status",
	.alias = NULL,
	.args = "[node]",
	.what = "Display status information about nodes",
	.options =
	    (const struct potter_option[]){
		{ "self", NULL, "the node that this agent is" },
		{ "short", NULL, "accepted for compatibility" },
		{ "stats", NULL, "accepted for compatibility: usage is always shown" },
		{ "verbose", NULL, "full ids and attributes" },
		{ "json", NULL, "as JSON" },
		{ NULL, NULL, NULL },
	    },
	.run = node_status,
};

/* ---- eval status ---- */

static void
list_evals(struct potter_call *c, const json_t *rows)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t i;
	json_t *ev;

	potter_row(&l, "ID|Priority|Triggered By|Status|Placement Failures");
	json_array_foreach (rows, i, ev)
		potter_row(&l, "%s|%lld|%s|%s|%s",
		    potter_short(c, json_str(ev, "ID", ""), potter_length(c)),
		    (long long)json_int(ev, "Priority", 0), json_str(ev, "TriggeredBy", ""),
		    json_str(ev, "Status", ""),
		    json_object_size(json_object_get(ev, "FailedTGAllocs")) > 0 ? "true" : "false");
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static void
show_eval(struct potter_call *c, const json_t *ev)
{
	const json_t *failed = json_object_get(ev, "FailedTGAllocs");
	const char *status = json_str(ev, "Status", ""),
		   *why = json_str(ev, "StatusDescription", ""), *group;
	struct potter_lines l = { .text = BUF_INIT };
	json_t *m;

	potter_row(&l, "ID|%s", potter_short(c, json_str(ev, "ID", ""), potter_length(c)));
	potter_row(&l, "Create Time|%s", potter_ago(c, json_int(ev, "CreateTime", 0)));
	potter_row(&l, "Modify Time|%s", potter_ago(c, json_int(ev, "ModifyTime", 0)));
	potter_row(&l, "Status|%s", status);
	potter_row(&l, "Status Description|%s", why[0] ? why : status);
	potter_row(&l, "Type|%s", json_str(ev, "Type", ""));
	potter_row(&l, "TriggeredBy|%s", json_str(ev, "TriggeredBy", ""));
	potter_row(&l, "Job ID|%s", json_str(ev, "JobID", ""));
	potter_row(&l, "Priority|%lld", (long long)json_int(ev, "Priority", 0));
	potter_row(&l, "Placement Failures|%s",
	    strcmp(status, "blocked") == 0 ? "N/A - In Progress"
	    : json_object_size(failed) > 0 ? "true"
					   : "false");
	if (potter_on(c, "verbose")) {
		potter_row(&l, "Previous Eval|%s", json_str(ev, "PreviousEval", ""));
		potter_row(&l, "Next Eval|%s", json_str(ev, "NextEval", ""));
		potter_row(&l, "Blocked Eval|%s", json_str(ev, "BlockedEval", ""));
	}
	potter_print_kv(c, &l, "");
	buf_fini(&l.text);
	if (json_object_size(failed) == 0)
		return;
	puts("\nFailed Placements");
	json_object_foreach ((json_t *)failed, group, m) {
		long long more = json_int(m, "CoalescedFailures", 0);
		printf("Task Group \"%s\" (failed to place %lld allocation%s):\n", group, more + 1,
		    more > 0 ? "s" : "");
		potter_show_metrics(c, m, false, "  ");
		putchar('\n');
	}
	const char *blocked = json_str(ev, "BlockedEval", "");
	if (blocked[0] != '\0')
		printf("Evaluation \"%s\" waiting for additional capacity to place remainder\n",
		    potter_short(c, blocked, potter_length(c)));
}

static int
eval_status(struct potter_call *c)
{
	if (c->argc != 1)
		return potter_usage(c, "one argument");
	autojson json_t *ev = potter_find(
	    c, "/v1/evaluations", "/v1/evaluation", "evaluation", c->argv[0], list_evals);
	if (ev == NULL)
		return 1;
	if (potter_on(c, "monitor"))
		return potter_monitor_eval(c, json_str(ev, "ID", ""));
	if (potter_on(c, "json"))
		potter_json(ev);
	else
		show_eval(c, ev);
	return 0;
}

const struct potter_command potter_eval_status = {
	.name = "eval status",
	.alias = NULL,
	.args = "<evaluation>",
	.what = "Display evaluation status and placement failure reasons",
	.options =
	    (const struct potter_option[]){
		{ "monitor", NULL, "follow it until it has ended" },
		{ "verbose", NULL, "full ids" },
		{ "json", NULL, "as JSON" },
		{ NULL, NULL, NULL },
	    },
	.run = eval_status,
};

/* ---- deployment status ---- */

static void
list_deployments(struct potter_call *c, const json_t *rows)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t i;
	json_t *d;

	if (json_array_size(rows) == 0) {
		puts("No deployments found");
		return;
	}
	potter_row(&l, "ID|Job ID|Job Version|Status|Description");
	json_array_foreach (rows, i, d)
		potter_row(&l, "%s|%s|%lld|%s|%s",
		    potter_short(c, json_str(d, "ID", ""), potter_length(c)),
		    json_str(d, "JobID", ""), (long long)json_int(d, "JobVersion", 0),
		    json_str(d, "Status", ""), json_str(d, "StatusDescription", ""));
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static int
deployment_status(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (c->argc > 1)
		return potter_usage(c, "no arguments or one: <deployment id>");
	if (c->argc == 0) {
		if (potter_get(c, &r, &e, "/v1/deployments") < 0)
			return potter_fail("Error retrieving deployments: %s", e.text);
		list_deployments(c, r.json);
		return 0;
	}
	autojson json_t *d = potter_find(
	    c, "/v1/deployments", "/v1/deployment", "deployment", c->argv[0], list_deployments);
	if (d == NULL)
		return 1;
	if (potter_on(c, "monitor"))
		return potter_monitor_deployment(c, json_str(d, "ID", ""));
	if (potter_on(c, "json"))
		potter_json(d);
	else
		potter_show_deployment(c, d, "");
	return 0;
}

const struct potter_command potter_deployment_status = {
	.name = "deployment status",
	.alias = NULL,
	.args = "[deployment]",
	.what = "Display the status of a deployment",
	.options =
	    (const struct potter_option[]){
		{ "monitor", NULL, "follow it until it has ended" },
		{ "verbose", NULL, "full ids" },
		{ "json", NULL, "as JSON" },
		{ NULL, NULL, NULL },
	    },
	.run = deployment_status,
};

/* ---- the agent, the servers ---- */

static int
agent_info(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;
	const char *group, *key;
	json_t *rows, *v;

	if (c->argc > 0)
		return potter_usage(c, "no arguments");
	if (potter_get(c, &r, &e, "/v1/agent/self") < 0)
		return potter_fail("Error querying agent info: %s", e.text);
	if (potter_on(c, "json")) {
		potter_json(r.json);
		return 0;
	}
	json_object_foreach (json_object_get(r.json, "stats"), group, rows) {
		puts(group);
		json_object_foreach (rows, key, v)
			printf(
			    "  %s = %s\n", key, json_string_value(v) ? json_string_value(v) : "");
	}
	return 0;
}

const struct potter_command potter_agent_info = {
	.name = "agent-info",
	.alias = NULL,
	.args = "",
	.what = "Display status information about the local agent",
	.options =
	    (const struct potter_option[]){ { "json", NULL, "as JSON" }, { NULL, NULL, NULL } },
	.run = agent_info,
};

static int
server_members(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT, leader = POTTER_REPLY_INIT;
	struct potter_lines l = { .text = BUF_INIT };
	struct err e = ERR_INIT;
	size_t i;
	json_t *m;

	if (potter_get(c, &r, &e, "/v1/agent/members") < 0 ||
	    potter_get(c, &leader, &e, "/v1/status/leader") < 0)
		return potter_fail("Error querying servers: %s", e.text);
	potter_row(&l, "Name|Address|Port|Status|Leader|Protocol|Build|Datacenter|Region");
	json_array_foreach (json_object_get(r.json, "Members"), i, m) {
		const json_t *tags = json_object_get(m, "Tags");
		const char *rpc = arena_printf(
		    &c->mem, "%s:%s", json_str(m, "Addr", ""), json_str(tags, "port", "4647"));
		bool leads = leader.json != NULL && str_eq(json_string_value(leader.json), rpc);
		potter_row(&l, "%s|%s|%lld|%s|%s|%lld|%s|%s|%s", json_str(m, "Name", ""),
		    json_str(m, "Addr", ""), (long long)json_int(m, "Port", 0),
		    json_str(m, "Status", ""), leads ? "true" : "false",
		    (long long)json_int(m, "ProtocolCur", 2), json_str(tags, "build", ""),
		    json_str(tags, "dc", ""), json_str(tags, "region", ""));
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
	return 0;
}

const struct potter_command potter_server_members = {
	.name = "server members",
	.alias = NULL,
	.args = "",
	.what = "Display a list of known servers and their status",
	.options =
	    (const struct potter_option[]){
		{ "detailed", NULL, "accepted for compatibility" }, { NULL, NULL, NULL } },
	.run = server_members,
};

static int
system_gc(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (c->argc > 0)
		return potter_usage(c, "no arguments");
	if (potter_send(c, "PUT", NULL, &r, &e, "/v1/system/gc") < 0)
		return potter_fail("Error running system garbage-collection: %s", e.text);
	return 0;
}

const struct potter_command potter_system_gc = {
	.name = "system gc",
	.alias = NULL,
	.args = "",
	.what = "Run the system garbage collection process",
	.options = (const struct potter_option[]){ { NULL, NULL, NULL } },
	.run = system_gc,
};
