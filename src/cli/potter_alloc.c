/* potter_alloc.c: alloc status, stop, restart. */
#include "cli/potter.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void
show_head(struct potter_call *c, const json_t *a)
{
	struct potter_lines l = { .text = BUF_INIT };
	size_t n = potter_length(c);
	const json_t *ds = json_object_get(a, "DeploymentStatus"),
		     *healthy = json_object_get(ds, "Healthy");
	int64_t made = json_int(a, "CreateTime", 0), changed = json_int(a, "ModifyTime", 0);

	potter_row(&l, "ID|%s", json_str(a, "ID", ""));
	potter_row(&l, "Eval ID|%s", potter_short(c, json_str(a, "EvalID", ""), n));
	potter_row(&l, "Name|%s", json_str(a, "Name", ""));
	potter_row(&l, "Node ID|%s", potter_short(c, json_str(a, "NodeID", ""), n));
	potter_row(&l, "Node Name|%s", json_str(a, "NodeName", ""));
	potter_row(&l, "Job ID|%s", json_str(a, "JobID", ""));
	potter_row(
	    &l, "Job Version|%lld", (long long)json_int(json_object_get(a, "Job"), "Version", 0));
	potter_row(&l, "Client Status|%s", json_str(a, "ClientStatus", ""));
	potter_row(&l, "Client Description|%s", json_str(a, "ClientDescription", ""));
	potter_row(&l, "Desired Status|%s", json_str(a, "DesiredStatus", ""));
	potter_row(&l, "Desired Description|%s", json_str(a, "DesiredDescription", ""));
	potter_row(&l, "Created|%s", n > 8 ? potter_time(c, made) : potter_ago(c, made));
	potter_row(&l, "Modified|%s", n > 8 ? potter_time(c, changed) : potter_ago(c, changed));
	if (json_str(a, "DeploymentID", "")[0] != '\0') {
		potter_row(
		    &l, "Deployment ID|%s", potter_short(c, json_str(a, "DeploymentID", ""), n));
		potter_row(&l, "Deployment Health|%s",
		    !json_is_boolean(healthy) ? "unset"
		    : json_is_true(healthy)   ? "healthy"
					      : "unhealthy");
		if (json_bool(ds, "Canary", false))
			potter_row(&l, "Canary|true");
	}
	if (json_str(a, "NextAllocation", "")[0] != '\0')
		potter_row(&l, "Replacement Alloc ID|%s",
		    potter_short(c, json_str(a, "NextAllocation", ""), n));
	potter_print_kv(c, &l, "");
	buf_fini(&l.text);
}

static void
show_addresses(struct potter_call *c, const json_t *a)
{
	const json_t *shared = json_object_get(json_object_get(a, "AllocatedResources"), "Shared");
	const json_t *ports = json_object_get(shared, "Ports"),
		     *net = json_array_get(json_object_get(shared, "Networks"), 0);
	struct potter_lines l = { .text = BUF_INIT };
	const char *mode = json_str(net, "Mode", "");
	size_t i;
	json_t *p;

	if (json_array_size(ports) == 0)
		return;
	printf("\nAllocation Addresses%s%s%s\n", mode[0] ? " (mode = \"" : "", mode,
	    mode[0] ? "\")" : "");
	potter_row(&l, "Label|Dynamic|Address");
	json_array_foreach (ports, i, p) {
		long long to = (long long)json_int(p, "To", 0);
		const char *inside = to > 0 ? arena_printf(&c->mem, " -> %lld", to) : "";
		potter_row(&l, "*%s|yes|%s:%lld%s", json_str(p, "Label", ""),
		    json_str(p, "HostIP", ""), (long long)json_int(p, "Value", 0), inside);
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static void
add_addresses(
    struct potter_call *c, const json_t *net, const char *list, char **out, size_t *n, size_t max)
{
	size_t i;
	json_t *p;

	json_array_foreach (json_object_get(net, list), i, p)
		if (*n < max)
			out[(*n)++] = arena_printf(&c->mem, "%s: %s:%lld", json_str(p, "Label", ""),
			    json_str(net, "IP", ""), (long long)json_int(p, "Value", 0));
}

enum { ADDRESSES_MAX = 64 };

static void
show_resources(struct potter_call *c, const json_t *a, const char *task, const json_t *stats)
{
	const json_t *r = json_object_get(json_object_get(a, "TaskResources"), task);
	const json_t *usage = json_object_get(
	    json_object_get(json_object_get(stats, "Tasks"), task), "ResourceUsage");
	struct potter_lines l = { .text = BUF_INIT };
	char *address[ADDRESSES_MAX];
	size_t n = 0, i;
	json_t *net;

	if (r == NULL)
		return;
	json_array_foreach (json_object_get(r, "Networks"), i, net) {
		add_addresses(c, net, "DynamicPorts", address, &n, ADDRESSES_MAX);
		add_addresses(c, net, "ReservedPorts", address, &n, ADDRESSES_MAX);
	}
	const char *cpu = arena_printf(&c->mem, "%lld", (long long)json_int(r, "CPU", 0));
	const char *memory = potter_ibytes(c, (double)json_int(r, "MemoryMB", 0) * 1048576);
	if (usage != NULL) {
		double ticks = json_number_value(
		    json_object_get(json_object_get(usage, "CpuStats"), "TotalTicks"));
		double rss = (double)json_int(json_object_get(usage, "MemoryStats"), "RSS", 0);
		cpu = arena_printf(&c->mem, "%.0f/%s", floor(ticks), cpu);
		memory = arena_printf(&c->mem, "%s/%s", potter_ibytes(c, rss), memory);
	}
	puts("Task Resources");
	potter_row(&l, "CPU|Memory|Disk|Addresses");
	potter_row(&l, "%s MHz|%s|%s|%s", cpu, memory,
	    potter_ibytes(
		c, (double)json_int(json_object_get(a, "Resources"), "DiskMB", 0) * 1048576),
	    n > 0 ? address[0] : " ");
	for (i = 1; i < n; i++)
		potter_row(&l, " | | |%s", address[i]);
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
	putchar('\n');
}

static void
show_events(struct potter_call *c, const json_t *state)
{
	struct potter_lines l = { .text = BUF_INIT };
	const json_t *events = json_object_get(state, "Events");

	puts("Task Events:");
	potter_row(&l, "Started At|%s", potter_when(c, state, "StartedAt"));
	potter_row(&l, "Finished At|%s", potter_when(c, state, "FinishedAt"));
	potter_row(&l, "Total Restarts|%lld", (long long)json_int(state, "Restarts", 0));
	potter_row(&l, "Last Restart|%s", potter_when(c, state, "LastRestart"));
	potter_print_kv(c, &l, "");
	puts("\nRecent Events:");
	potter_row(&l, "Time|Type|Description");
	for (size_t i = json_array_size(events); i > 0; i--) {
		const json_t *ev = json_array_get(events, i - 1);
		const char *text = json_str(ev, "DisplayMessage", "");
		potter_row(&l, "%s|%s|%s", potter_time(c, json_int(ev, "Time", 0)),
		    json_str(ev, "Type", ""), text[0] != '\0' ? text : json_str(ev, "Message", ""));
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static void
show_short(struct potter_call *c, const json_t *a)
{
	struct potter_lines l = { .text = BUF_INIT };
	const char *task;
	json_t *s;

	potter_row(&l, "ID|%s", json_str(a, "ID", ""));
	potter_row(&l, "Name|%s", json_str(a, "Name", ""));
	potter_row(&l, "Created|%s", potter_ago(c, json_int(a, "CreateTime", 0)));
	potter_row(&l, "Modified|%s", potter_ago(c, json_int(a, "ModifyTime", 0)));
	potter_print_kv(c, &l, "");
	puts("\nTasks");
	potter_row(&l, "Name|State|Last Event|Time|Lifecycle");
	json_object_foreach (json_object_get(a, "TaskStates"), task, s) {
		const json_t *events = json_object_get(s, "Events");
		const json_t *last = json_array_get(events, json_array_size(events) - 1);
		potter_row(&l, "%s|%s|%s|%s|main", task, json_str(s, "State", ""),
		    json_str(last, "Type", ""),
		    last != NULL ? potter_time(c, json_int(last, "Time", 0)) : "");
	}
	potter_print_list(c, &l, "");
	buf_fini(&l.text);
}

static int
alloc_status(struct potter_call *c)
{
	autoreply struct potter_reply stats = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;
	const char *task;
	json_t *state;

	if (c->argc == 0 && potter_on(c, "json")) {
		if (potter_get(c, &stats, &e, "/v1/allocations") < 0)
			return potter_fail("Error querying allocations: %s", e.text);
		potter_json(stats.json);
		return 0;
	}
	if (c->argc != 1)
		return potter_usage(c, "one argument: <allocation>");
	autojson json_t *a = potter_find_alloc(c, c->argv[0]);
	if (a == NULL)
		return 1;
	if (potter_on(c, "json")) {
		potter_json(a);
		return 0;
	}
	if (potter_on(c, "short")) {
		show_short(c, a);
		return 0;
	}
	show_head(c, a);
	show_addresses(c, a);
	bool known =
	    potter_get(c, &stats, &e, "/v1/client/allocation/%s/stats", json_str(a, "ID", "")) == 0;
	if (!known && strcmp(json_str(a, "ClientStatus", ""), "running") == 0)
		fprintf(stderr, "\nCouldn't retrieve stats: %s\n", e.text);
	json_object_foreach (json_object_get(a, "TaskStates"), task, state) {
		printf("\nTask \"%s\" is \"%s\"\n", task, json_str(state, "State", ""));
		show_resources(c, a, task, known ? stats.json : NULL);
		show_events(c, state);
	}
	if (potter_on(c, "verbose")) {
		puts("\nPlacement Metrics");
		potter_show_metrics(c, json_object_get(a, "Metrics"), true, "  ");
	}
	return 0;
}

const struct potter_command potter_alloc_status = {
	.name = "alloc status",
	.alias = NULL,
	.args = "<allocation>",
	.what = "Display allocation status information and metadata",
	.options =
	    (const struct potter_option[]){
		{ "short", NULL, "a line per task" },
		{ "stats", NULL, "accepted for compatibility: usage is always shown" },
		{ "verbose", NULL, "full ids, times, and how it was placed" },
		{ "json", NULL, "the allocation as JSON" },
		{ NULL, NULL, NULL },
	    },
	.run = alloc_status,
};

static int
alloc_stop(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (c->argc != 1)
		return potter_usage(c, "one argument: <alloc-id>");
	autojson json_t *a = potter_find_alloc(c, c->argv[0]);
	if (a == NULL)
		return 1;
	if (potter_send(c, "PUT", NULL, &r, &e, "/v1/allocation/%s/stop", json_str(a, "ID", "")) <
	    0)
		return potter_fail("Error stopping allocation: %s", e.text);
	const char *eval = arena_strdup(&c->mem, json_str(r.json, "EvalID", ""));
	if (potter_on(c, "detach")) {
		puts(eval);
		return 0;
	}
	return potter_monitor_eval(c, eval);
}

const struct potter_command potter_alloc_stop = {
	.name = "alloc stop",
	.alias = NULL,
	.args = "<allocation>",
	.what = "Stop and reschedule a running allocation",
	.options =
	    (const struct potter_option[]){
		{ "detach", NULL, "do not follow the evaluation" },
		{ "verbose", NULL, "full ids" },
		{ NULL, NULL, NULL },
	    },
	.run = alloc_stop,
};

static int
alloc_restart(struct potter_call *c)
{
	autoreply struct potter_reply r = POTTER_REPLY_INIT;
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);
	struct err e = ERR_INIT;

	if (c->argc < 1 || c->argc > 2)
		return potter_usage(c, "one or two arguments: <alloc-id> <task>");
	autojson json_t *a = potter_find_alloc(c, c->argv[0]);
	if (a == NULL)
		return 1;
	jsonw_object(&w);
	jsonw_kstr(&w, "TaskName", c->argc > 1 ? c->argv[1] : "");
	jsonw_end_object(&w);
	if (potter_send(c, "PUT", &body, &r, &e, "/v1/client/allocation/%s/restart",
		json_str(a, "ID", "")) < 0)
		return potter_fail("Failed to restart allocation:\n\n%s", e.text);
	return 0;
}

const struct potter_command potter_alloc_restart = {
	.name = "alloc restart",
	.alias = NULL,
	.args = "<allocation> [task]",
	.what = "Restart a running allocation",
	.options =
	    (const struct potter_option[]){ { "verbose", NULL, "full ids" }, { NULL, NULL, NULL } },
	.run = alloc_restart,
};
