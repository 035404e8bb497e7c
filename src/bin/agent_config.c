#include "agent_config.h"

#include "base/str.h"
#include "codec/hcl.h"
#include "platform/facts.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_MAX = 1 << 20 };

/* Tables --------------------------------------------------------------------------------------- */

#define KEY(owner, member, type, ...)                                                              \
	FIELDX(struct owner, member, type, #member, .hcl = #member, __VA_ARGS__)

static const struct field ports_fields[] = {
	KEY(agent_ports, http, F_INT, .def = "4646", .doc = "the API and the user interface"),
	KEY(agent_ports, rpc, F_INT, .def = "4647", .status = FS_WARNED,
	    .doc = "not opened: agents talk over the API"),
	KEY(agent_ports, serf, F_INT, .def = "4648", .status = FS_WARNED,
	    .doc = "not opened: agents talk over the API"),
};
static const struct model ports_model = MODEL_SET("ports", struct agent_ports, ports_fields);

static const struct field addresses_fields[] = {
	KEY(agent_addresses, http, F_STR, .doc = "of the API, instead of bind_addr"),
	KEY(agent_addresses, rpc, F_STR, .status = FS_WARNED,
	    .doc = "not opened: agents talk over the API"),
	KEY(agent_addresses, serf, F_STR, .status = FS_WARNED,
	    .doc = "not opened: agents talk over the API"),
};
static const struct model addresses_model =
    MODEL("addresses", struct agent_addresses, addresses_fields);

static const struct field server_fields[] = {
	KEY(agent_server, enabled, F_BOOL, .doc = "decides where jobs run"),
	KEY(agent_server, bootstrap_expect, F_INT, .def = "1",
	    .doc = "servers of the cluster: 1 in this version"),
	KEY(agent_server, heartbeat_grace, F_DURATION, .def = "10s",
	    .doc = "how late a node may be"),
	KEY(agent_server, min_heartbeat_ttl, F_DURATION, .def = "10s",
	    .doc = "between two heartbeats of a node"),
	KEY(agent_server, encrypt, F_STR, .status = FS_REFUSED, .flags = MF_SECRET,
	    .doc = "there is no gossip to encrypt"),
	KEY(agent_server, server_join, F_ANY, .status = FS_REFUSED,
	    .doc = "clusters of several servers are not supported by this version"),
	KEY(agent_server, retry_join, F_STRS, .status = FS_REFUSED,
	    .doc = "clusters of several servers are not supported by this version"),
	KEY(agent_server, start_join, F_STRS, .status = FS_REFUSED,
	    .doc = "clusters of several servers are not supported by this version"),
};
static const struct model server_model = MODEL_SET("server", struct agent_server, server_fields);

static const struct field reserved_fields[] = {
	KEY(agent_reserved, cpu, F_INT, .doc = "MHz kept back from jobs"),
	KEY(agent_reserved, memory, F_INT, .doc = "MB kept back from jobs"),
	KEY(agent_reserved, disk, F_INT, .doc = "MB kept back from jobs"),
	KEY(agent_reserved, reserved_ports, F_STR,
	    .doc = "host ports that jobs never get: \"22,80,8500-8600\""),
};
static const struct model reserved_model =
    MODEL_SET("reserved", struct agent_reserved, reserved_fields);

static const struct field named_fields[] = {
	FIELDX(struct agent_named, name, F_STR, "name", .hcl = "name", .flags = MF_LABEL | MF_KEY),
	KEY(agent_named, path, F_STR, .doc = NULL),
	KEY(agent_named, cidr, F_STR, .doc = NULL),
	KEY(agent_named, interface, F_STR, .doc = NULL),
	KEY(agent_named, reserved_ports, F_STR, .doc = NULL),
	KEY(agent_named, read_only, F_BOOL, .doc = NULL),
};
static const struct model named_model = MODEL("named", struct agent_named, named_fields);

static const struct field client_fields[] = {
	KEY(agent_client, enabled, F_BOOL, .doc = "runs jobs"),
	KEY(agent_client, servers, F_STRS,
	    .doc = "addresses of the servers' API; without: this agent's own"),
	KEY(agent_client, options, F_STRMAP, .status = FS_WARNED,
	    .doc = "superseded by plugin blocks"),
	KEY(agent_client, meta, F_STRMAP, .doc = "free words on the node, for constraints"),
	KEY(agent_client, node_class, F_STR, .doc = "class of the node, for constraints"),
	KEY(agent_client, node_pool, F_STR, .def = "default", .doc = "pool of the node"),
	KEY(agent_client, network_interface, F_STR, .status = FS_WARNED,
	    .doc = "the interface of the default route is taken"),
	KEY(agent_client, state_dir, F_STR, .status = FS_REFUSED,
	    .doc = "state is kept in data_dir"),
	KEY(agent_client, alloc_dir, F_STR, .status = FS_REFUSED,
	    .doc = "allocations are kept in data_dir"),
	KEY(agent_client, cpu_total_compute, F_INT,
	    .doc = "MHz of the node, instead of what was found"),
	KEY(agent_client, memory_total_mb, F_INT,
	    .doc = "MB of the node, instead of what was found"),
	KEY(agent_client, max_kill_timeout, F_DURATION, .def = "30s",
	    .doc = "longest kill_timeout a task may ask for"),
	KEY(agent_client, reserved, F_OBJ, .sub = &reserved_model, .doc = "kept back from jobs"),
	KEY(agent_client, host_volume, F_OBJS, .sub = &named_model, .status = FS_REFUSED,
	    .doc = "host volumes are not supported by this version"),
	KEY(agent_client, host_network, F_OBJS, .sub = &named_model, .status = FS_REFUSED,
	    .doc = "host networks are not supported by this version"),
	KEY(agent_client, server_join, F_ANY, .status = FS_REFUSED,
	    .doc = "name the servers with `servers`"),
};
static const struct model client_model = MODEL_SET("client", struct agent_client, client_fields);

static const struct field plugin_fields[] = {
	FIELDX(struct agent_plugin, name, F_STR, "name", .hcl = "name", .flags = MF_LABEL | MF_KEY),
	KEY(agent_plugin, config, F_ANY,
	    .doc = "of the driver: raw_exec knows `enabled` and `root`"),
	KEY(agent_plugin, args, F_STRS, .status = FS_REFUSED,
	    .doc = "drivers are part of the agent"),
};
static const struct model plugin_model = MODEL("plugin", struct agent_plugin, plugin_fields);

static const struct field catalog_fields[] = {
	KEY(agent_catalog, enabled, F_BOOL, .def = "true",
	    .doc = "the service catalog's API and DNS"),
	KEY(agent_catalog, address, F_STR, .doc = "to listen on, instead of bind_addr"),
	KEY(agent_catalog, http_port, F_INT, .def = "8500", .doc = "of the catalog's API"),
	KEY(agent_catalog, dns_port, F_INT, .def = "8600", .doc = "of its DNS, UDP and TCP"),
	KEY(agent_catalog, bridge_dns, F_BOOL, .def = "true",
	    .doc = "DNS also on port 53 of the pots' bridge"),
};
static const struct model catalog_model =
    MODEL_SET("catalog", struct agent_catalog, catalog_fields);

static const struct field ingress_fields[] = {
	KEY(agent_ingress, enabled, F_BOOL, .def = "true",
	    .doc = "requests from outside to services, by HAProxy"),
	KEY(agent_ingress, address, F_STR, .doc = "to listen on; every address if empty"),
	KEY(agent_ingress, port, F_INT, .def = "8080", .doc = "of the ingress"),
	KEY(agent_ingress, dashboard_port, F_INT, .def = "9002",
	    .doc = "of its dashboard, on bind_addr"),
	KEY(agent_ingress, haproxy, F_STR,
	    .doc = "path of the program; found in the usual places if empty"),
	KEY(agent_ingress, default_rule, F_STR,
	    .doc = "of services that name none: Host(`{{ .Name }}.minipot`)"),
};
static const struct model ingress_model =
    MODEL_SET("ingress", struct agent_ingress, ingress_fields);

static const struct field registry_fields[] = {
	KEY(agent_registry, enabled, F_BOOL, .def = "true",
	    .doc = "pot images below /registry/ of the API"),
	KEY(agent_registry, dir, F_STR, .doc = "of the images; <data_dir>/registry if empty"),
};
static const struct model registry_model =
    MODEL_SET("registry", struct agent_registry, registry_fields);

static const struct field telemetry_fields[] = {
	KEY(agent_telemetry, prometheus_metrics, F_BOOL, .doc = "always on"),
	KEY(agent_telemetry, publish_allocation_metrics, F_BOOL, .doc = "always on"),
	KEY(agent_telemetry, publish_node_metrics, F_BOOL, .doc = "always on"),
	KEY(agent_telemetry, disable_hostname, F_BOOL, .doc = "names never hold the host's"),
	KEY(agent_telemetry, collection_interval, F_DURATION,
	    .doc = "figures are read when they are asked for"),
};
static const struct model telemetry_model =
    MODEL_SET("telemetry", struct agent_telemetry, telemetry_fields);

static const struct field acl_fields[] = {
	KEY(agent_switch, enabled, F_BOOL, .status = FS_REFUSED,
	    .doc = "access control lists are not supported by this version: "
		   "keep the API on loopback"),
};
static const struct model acl_model = MODEL_SET("acl", struct agent_switch, acl_fields);

static const struct field ui_fields[] = {
	KEY(agent_switch, enabled, F_BOOL, .def = "true", .doc = "the page at /ui/"),
};
static const struct model ui_model = MODEL_SET("ui", struct agent_switch, ui_fields);

static const struct field limits_fields[] = {
	KEY(agent_limits, http_max_conns_per_client, F_INT, .def = "100",
	    .doc = "connections from one address; 0: any number"),
	KEY(agent_limits, https_handshake_timeout, F_DURATION, .status = FS_WARNED,
	    .doc = "there is no TLS in this version"),
	KEY(agent_limits, rpc_handshake_timeout, F_DURATION, .status = FS_WARNED,
	    .doc = "agents talk over the API"),
	KEY(agent_limits, rpc_max_conns_per_client, F_INT, .status = FS_WARNED,
	    .doc = "agents talk over the API"),
};
static const struct model limits_model = MODEL_SET("limits", struct agent_limits, limits_fields);

static const struct field agent_fields[] = {
	KEY(agent_config, region, F_STR, .def = "global", .doc = "name of the region"),
	KEY(agent_config, datacenter, F_STR, .def = "dc1", .doc = "name of the datacenter"),
	KEY(agent_config, name, F_STR, .doc = "of the node; the host's name if empty"),
	KEY(agent_config, data_dir, F_STR, .doc = "absolute path of all that must survive"),
	KEY(agent_config, bind_addr, F_STR, .def = "127.0.0.1", .doc = "address to listen on"),
	KEY(agent_config, log_level, F_STR, .def = "INFO",
	    .doc = "TRACE, DEBUG, INFO, WARN or ERROR"),
	KEY(agent_config, log_file, F_STR,
	    .doc = "instead of standard error; SIGHUP opens it anew"),
	KEY(agent_config, pid_file, F_STR,
	    .doc = "holds the pid, locked as long as the agent lives"),
	KEY(agent_config, plugin_dir, F_STR, .status = FS_WARNED,
	    .doc = "drivers are part of the agent"),
	KEY(agent_config, log_json, F_BOOL, .status = FS_REFUSED,
	    .doc = "log lines in JSON are not supported"),
	KEY(agent_config, enable_syslog, F_BOOL, .status = FS_REFUSED,
	    .doc = "log to a file, or to the journal by standard error"),
	KEY(agent_config, enable_debug, F_BOOL, .status = FS_WARNED,
	    .doc = "there are no profiles of a Go runtime"),
	KEY(agent_config, leave_on_interrupt, F_BOOL, .doc = "a cluster of one has nobody to tell"),
	KEY(agent_config, leave_on_terminate, F_BOOL, .doc = "a cluster of one has nobody to tell"),
	KEY(agent_config, disable_update_check, F_BOOL, .doc = "updates are never looked for"),
	KEY(agent_config, ports, F_OBJ, .sub = &ports_model),
	KEY(agent_config, addresses, F_OBJ, .sub = &addresses_model),
	KEY(agent_config, advertise, F_OBJ, .sub = &addresses_model,
	    .doc = "what others are told: http = host:port"),
	KEY(agent_config, server, F_OBJ, .sub = &server_model),
	KEY(agent_config, client, F_OBJ, .sub = &client_model),
	FIELDX(
	    struct agent_config, plugins, F_OBJS, "plugin", .hcl = "plugin", .sub = &plugin_model),
	KEY(agent_config, catalog, F_OBJ, .sub = &catalog_model),
	KEY(agent_config, ingress, F_OBJ, .sub = &ingress_model),
	KEY(agent_config, registry, F_OBJ, .sub = &registry_model),
	KEY(agent_config, telemetry, F_OBJ, .sub = &telemetry_model),
	KEY(agent_config, acl, F_OBJ, .sub = &acl_model),
	KEY(agent_config, ui, F_OBJ, .sub = &ui_model),
	KEY(agent_config, limits, F_OBJ, .sub = &limits_model),
	KEY(agent_config, tls, F_ANY, .status = FS_REFUSED,
	    .doc = "TLS is not supported by this version: keep the API on loopback"),
	KEY(agent_config, vault, F_ANY, .status = FS_REFUSED, .doc = "Vault is not supported"),
	KEY(agent_config, consul, F_ANY, .status = FS_WARNED,
	    .doc = "the catalog is part of the agent: see the block catalog"),
	KEY(agent_config, audit, F_ANY, .status = FS_REFUSED,
	    .doc = "audit logs are not supported"),
	KEY(agent_config, autopilot, F_ANY, .status = FS_WARNED, .doc = "there is one server"),
	KEY(agent_config, sentinel, F_ANY, .status = FS_REFUSED,
	    .doc = "policies in Sentinel are not supported"),
};
const struct model agent_config_model = MODEL_SET("agent", struct agent_config, agent_fields);

/* One file ------------------------------------------------------------------------------------- */

static int
parse_hcl(const char *name, const char *text, size_t len, struct arena *a, struct agent_config *c,
    struct err *e)
{
	struct hcl_diags diags = { .mem = a };
	struct hcl_source *src = arena_new(a, struct hcl_source);
	struct hcl_decoder d = { .diags = &diags, .mem = a };

	*src = (struct hcl_source){ .name = name, .text = text, .len = len };
	struct hcl_body *body = hcl_parse(src, a, &diags);
	if (body != NULL)
		hcl_decode(&d, &agent_config_model, c, body, NULL);
	return diags.n > 0 ? hcl_diags_err(&diags, e) : 0;
}

/* JSON has no lines left after parsing: unknown keys are named by their path. */
static int
known_keys(const struct model *m, const json_t *v, const char *path, struct err *e)
{
	const char *key;
	json_t *member;

	json_object_foreach ((json_t *)v, key, member) {
		const struct field *f = model_field(m, key);
		autofree char *here = xasprintf("%s%s%s", path, *path ? "." : "", key);
		if (f == NULL)
			return err_new(e, ERR_INPUT, "unknown key %s", here);
		if (f->type == F_OBJ && json_is_object(member) &&
		    known_keys(f->sub, member, here, e) < 0)
			return -1;
	}
	return 0;
}

static int
parse_json(const char *name, const char *text, size_t len, struct arena *a, struct agent_config *c,
    struct err *e)
{
	autojson json_t *v = NULL;

	if (json_read(text, len, &v, e) < 0 || known_keys(&agent_config_model, v, "", e) < 0 ||
	    model_from_json(&agent_config_model, v, a, c, e) < 0)
		return err_ctx(e, "%s", name);
	return 0;
}

/* What is given but cannot be honoured: the first refusal as an error, warnings as lines. */
static int
check_status(const struct model *m, const void *obj, const char *path, struct arena *a,
    struct strs *warnings, struct err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];
		if (field_empty(f, obj) ||
		    (f->type == F_ANY && any_empty(*(const struct any **)field_at(f, obj))))
			continue;
		const char *here = arena_printf(a, "%s%s%s", path, *path ? "." : "", f->json);
		if (f->status == FS_REFUSED)
			return err_new(e, ERR_UNSUPPORTED, "%s: %s", here, f->doc);
		if (f->status == FS_WARNED && warnings != NULL)
			strs_add(
			    warnings, a, arena_printf(a, "%s has no effect: %s", here, f->doc));
		if (f->type == F_OBJ &&
		    check_status(f->sub, *(void **)field_at(f, obj), here, a, warnings, e) < 0)
			return -1;
	}
	return 0;
}

int
agent_config_parse(const char *name, const char *text, size_t len, struct arena *a,
    struct agent_config **out, struct err *e)
{
	struct agent_config *c = model_new(&agent_config_model, a);
	char *copy = arena_strndup(a, text, len);

	if ((str_ends(name, ".json") ? parse_json : parse_hcl)(
		arena_strdup(a, name), copy, len, a, c, e) < 0)
		return -1;
	if (check_status(&agent_config_model, c, "", a, NULL, e) < 0)
		return err_ctx(e, "%s", name);
	*out = c;
	return 0;
}

/* Merging -------------------------------------------------------------------------------------- */

static void
merge_strmap(struct strmap *to, const struct strmap *from, struct arena *a)
{
	for (size_t i = 0; i < from->n; i++)
		strmap_set(to, a, from->key[i], from->value[i]);
}

/* What `from` says replaces what `to` said; blocks are merged, maps joined, plugins added. */
static void
merge(const struct model *m, void *to, const void *from, struct arena *a)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];
		if (!(m->has_set ? field_given(m, f, from) : !field_empty(f, from)))
			continue;
		void *there = field_at(f, to), *here = field_at(f, from);
		if (f->type == F_OBJ && *(void **)there != NULL)
			merge(f->sub, *(void **)there, *(void **)here, a);
		else if (f->type == F_STRMAP)
			merge_strmap(there, here, a);
		else if (f->type == F_OBJS)
			for (size_t k = 0; k < ((struct objs *)here)->n; k++)
				objs_add(there, a, ((struct objs *)here)->at[k]);
		else {
			size_t size = f->type == F_BOOL	  ? sizeof(bool)
				      : f->type == F_STRS ? sizeof(struct strs)
							  : sizeof(void *);
			memcpy(there, here, size);
		}
		field_mark(m, f, to);
	}
}

static int
add_file(const char *path, struct arena *a, struct agent_config *c, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct agent_config *one = NULL;

	if (buf_read_file(&text, path, CONFIG_MAX, e) < 0 ||
	    agent_config_parse(path, buf_str(&text), text.len, a, &one, e) < 0)
		return err_ctx(e, "configuration");
	merge(&agent_config_model, c, one, a);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
add_path(const char *path, struct arena *a, struct agent_config *c, struct err *e)
{
	struct strs files = { .n = 0 };
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, "configuration %s", path);
	if (!S_ISDIR(st.st_mode))
		return add_file(path, a, c, e);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return err_sys(e, "configuration directory %s", path);
	for (struct dirent *d; (d = readdir(dir)) != NULL;)
		if (d->d_name[0] != '.' &&
		    (str_ends(d->d_name, ".hcl") || str_ends(d->d_name, ".json")))
			strs_add(&files, a, arena_printf(a, "%s/%s", path, d->d_name));
	closedir(dir);
	if (files.n > 0)
		qsort(files.at, files.n, sizeof(files.at[0]), by_name);
	for (size_t i = 0; i < files.n; i++)
		if (add_file(files.at[i], a, c, e) < 0)
			return -1;
	return 0;
}

/* Flags ---------------------------------------------------------------------------------------- */

enum flag_kind {
	FLAG_STR,
	FLAG_INT,
	FLAG_TRUE,
	FLAG_DEV,
	FLAG_DETACH,
	FLAG_CONFIG,
	FLAG_META,
	FLAG_SERVERS,
	FLAG_REFUSED
};

struct flag {
	const char *name;
	enum flag_kind kind;
	const char *path; /* "client.node_class" in the tables; FLAG_REFUSED: why */
	const char *doc;
};

static const struct flag flags[] = {
	{ "config", FLAG_CONFIG, NULL, "file or directory of configuration; may be repeated" },
	{ "dev", FLAG_DEV, NULL, "server and client on loopback, nothing kept" },
	{ "server", FLAG_TRUE, "server.enabled", "decide where jobs run" },
	{ "client", FLAG_TRUE, "client.enabled", "run jobs" },
	{ "bind", FLAG_STR, "bind_addr", "address to listen on" },
	{ "data-dir", FLAG_STR, "data_dir", "directory of all that must survive" },
	{ "dc", FLAG_STR, "datacenter", "name of the datacenter" },
	{ "region", FLAG_STR, "region", "name of the region" },
	{ "node", FLAG_STR, "name", "name of the node" },
	{ "node-class", FLAG_STR, "client.node_class", "class of the node" },
	{ "node-pool", FLAG_STR, "client.node_pool", "pool of the node" },
	{ "servers", FLAG_SERVERS, NULL, "addresses of servers, separated by commas" },
	{ "meta", FLAG_META, NULL, "key=value on the node; may be repeated" },
	{ "network-interface", FLAG_STR, "client.network_interface", "no effect" },
	{ "bootstrap-expect", FLAG_INT, "server.bootstrap_expect", "1 in this version" },
	{ "log-level", FLAG_STR, "log_level", "TRACE, DEBUG, INFO, WARN or ERROR" },
	{ "log-file", FLAG_STR, "log_file", "instead of standard error" },
	{ "pid-file", FLAG_STR, "pid_file", "holds the pid, locked as long as the agent lives" },
	{ "detach", FLAG_DETACH, NULL, "go into the background; return when it is ready for work" },
	{ "plugin-dir", FLAG_STR, "plugin_dir", "no effect: drivers are part of the agent" },
	{ "log-json", FLAG_REFUSED, "log lines in JSON are not supported", NULL },
	{ "join", FLAG_REFUSED, "clusters of several servers are not supported by this version",
	    NULL },
	{ "retry-join", FLAG_REFUSED,
	    "clusters of several servers are not supported by this version", NULL },
	{ "encrypt", FLAG_REFUSED, "there is no gossip to encrypt", NULL },
	{ "state-dir", FLAG_REFUSED, "state is kept below -data-dir", NULL },
	{ "alloc-dir", FLAG_REFUSED, "allocations are kept below -data-dir", NULL },
	{ "acl-enabled", FLAG_REFUSED, "access control lists are not supported by this version",
	    NULL },
};

void
agent_config_usage(struct buf *out)
{
	buf_adds(out,
	    "usage: potter agent [options]\n\nRuns an agent: a server, a client, or both.\n\n");
	for (size_t i = 0; i < NELEM(flags); i++)
		if (flags[i].doc != NULL)
			buf_addf(out, "  -%-20s %s\n", flags[i].name, flags[i].doc);
}

/* Sets the member named by the path, making the blocks on the way. */
static int
set_path(
    struct agent_config *c, const char *path, const char *value, struct arena *a, struct err *e)
{
	const struct model *m = &agent_config_model;
	const char *dot = strchr(path, '.');
	void *obj = c;
	uint64_t n;

	if (dot != NULL) {
		const struct field *block =
		    model_field(m, arena_strndup(a, path, (size_t)(dot - path)));
		void **at = field_at(block, obj);
		if (*at == NULL)
			*at = model_new(block->sub, a);
		field_mark(m, block, obj);
		m = block->sub;
		obj = *at;
		path = dot + 1;
	}
	const struct field *f = model_field(m, path);
	if (f->type == F_BOOL)
		*(bool *)field_at(f, obj) = true;
	else if (f->type == F_INT) {
		if (!str_u64(value, INT32_MAX, &n))
			return err_new(e, ERR_INPUT, "\"%s\" is not a number", value);
		*(int64_t *)field_at(f, obj) = (int64_t)n;
	} else
		*(const char **)field_at(f, obj) = value;
	field_mark(m, f, obj);
	return 0;
}

static int
set_meta(struct agent_config *c, const char *value, struct arena *a, struct err *e)
{
	const char *eq = strchr(value, '=');

	if (eq == NULL || eq == value)
		return err_new(e, ERR_INPUT, "\"%s\" is not key=value", value);
	if (c->client == NULL)
		c->client = model_new(&client_model, a);
	strmap_set(&c->client->meta, a, arena_strndup(a, value, (size_t)(eq - value)), eq + 1);
	return 0;
}

static void
set_servers(struct agent_config *c, const char *value, struct arena *a)
{
	size_t n;
	char **list = str_split(a, value, ',', &n);

	if (c->client == NULL)
		c->client = model_new(&client_model, a);
	for (size_t i = 0; i < n; i++)
		strs_add(&c->client->servers, a, list[i]);
}

static const struct flag *
find_flag(const char *name)
{
	for (size_t i = 0; i < NELEM(flags); i++)
		if (strcmp(flags[i].name, name) == 0)
			return &flags[i];
	return NULL;
}

/* Go's boolean flags: "-dev", "-dev=false". false: not a boolean. */
static bool
flag_bool(const char *value, bool *out)
{
	*out = value == NULL || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
	return *out || strcmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

static int
apply_flag(
    const struct flag *f, const char *value, struct agent_config *c, struct arena *a, struct err *e)
{
	bool on = true;

	switch (f->kind) {
	case FLAG_REFUSED:
		return err_new(e, ERR_UNSUPPORTED, "%s", f->path);
	case FLAG_TRUE:
	case FLAG_DEV:
	case FLAG_DETACH:
		if (!flag_bool(value, &on))
			return err_new(e, ERR_INPUT, "\"%s\" is neither true nor false", value);
		c->dev = c->dev || (f->kind == FLAG_DEV && on);
		c->detach = c->detach || (f->kind == FLAG_DETACH && on);
		return on && f->kind == FLAG_TRUE ? set_path(c, f->path, NULL, a, e) : 0;
	case FLAG_CONFIG:
		strs_add(&c->config_paths, a, value);
		return 0;
	case FLAG_META:
		return set_meta(c, value, a, e);
	case FLAG_SERVERS:
		set_servers(c, value, a);
		return 0;
	default:
		return set_path(c, f->path, value, a, e);
	}
}

static int
read_flags(
    int argc, char **argv, struct agent_config *c, struct arena *a, bool *help, struct err *e)
{
	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i];
		if (arg[0] != '-')
			return err_new(
			    e, ERR_INPUT, "unexpected argument \"%s\": options begin with -", arg);
		arg += arg[1] == '-' ? 2 : 1;
		char *name = arena_strndup(a, arg, strcspn(arg, "="));
		const char *value = strchr(arg, '=') != NULL ? strchr(arg, '=') + 1 : NULL;
		if (strcmp(name, "h") == 0 || strcmp(name, "help") == 0) {
			*help = true;
			return 0;
		}
		const struct flag *f = find_flag(name);
		if (f == NULL)
			return err_new(e, ERR_INPUT,
			    "unknown option -%s: `potter agent -help` lists them", name);
		bool takes = f->kind != FLAG_TRUE && f->kind != FLAG_DEV &&
			     f->kind != FLAG_DETACH && f->kind != FLAG_REFUSED;
		if (takes && value == NULL && (value = argv[++i]) == NULL)
			return err_new(e, ERR_INPUT, "option -%s needs a value", name);
		if (apply_flag(f, value, c, a, e) < 0)
			return err_ctx(e, "option -%s", name);
	}
	return 0;
}

/* The whole ------------------------------------------------------------------------------------ */

static void
fill_defaults(struct agent_config *c, struct arena *a)
{
	/* Every block exists afterwards, so that readers need not ask. */
	model_defaults(&agent_config_model, c);
	for (size_t i = 0; i < agent_config_model.n; i++) {
		const struct field *f = &agent_config_model.fields[i];
		void **at = field_at(f, c);
		if (f->type != F_OBJ)
			continue;
		if (*at == NULL)
			*at = model_new(f->sub, a);
		model_defaults(f->sub, *at);
	}
	if (c->client->reserved == NULL)
		c->client->reserved = model_new(&reserved_model, a);
	if (c->name == NULL || *c->name == '\0') {
		struct facts facts;
		facts_read(&facts, "/", a);
		c->name = facts.hostname;
	}
}

static int
check_port(const char *what, int64_t port, struct err *e)
{
	if (port < 1 || port > 65535)
		return err_new(e, ERR_INPUT, "%s = %lld: a port is a number from 1 to 65535", what,
		    (long long)port);
	return 0;
}

static int
check_values(const struct agent_config *c, struct err *e)
{
	enum log_level level;

	if (!log_level_named(c->log_level, &level))
		return err_new(e, ERR_INPUT,
		    "log_level = \"%s\": TRACE, DEBUG, INFO, WARN or ERROR", c->log_level);
	if (check_port("ports.http", c->ports->http, e) < 0 ||
	    check_port("catalog.http_port", c->catalog->http_port, e) < 0 ||
	    check_port("catalog.dns_port", c->catalog->dns_port, e) < 0 ||
	    check_port("ingress.port", c->ingress->port, e) < 0 ||
	    check_port("ingress.dashboard_port", c->ingress->dashboard_port, e) < 0)
		return -1;
	if (!c->server->enabled && !c->client->enabled)
		return err_new(
		    e, ERR_INPUT, "Must specify either server, client or dev mode for the agent.");
	if (c->server->enabled && c->server->bootstrap_expect != 1)
		return err_new(e, ERR_UNSUPPORTED,
		    "server.bootstrap_expect = %lld: this version has clusters of one server",
		    (long long)c->server->bootstrap_expect);
	if (!c->dev && (c->data_dir == NULL || *c->data_dir == '\0'))
		return err_new(e, ERR_INPUT,
		    "Must specify \"data_dir\" config option or \"data-dir\" CLI flag");
	if (c->data_dir != NULL && *c->data_dir != '\0' && c->data_dir[0] != '/')
		return err_new(
		    e, ERR_INPUT, "data_dir = \"%s\": must be an absolute path", c->data_dir);
	struct agent_plugin *p;
	OBJS_FOREACH (p, &c->plugins)
		if (!str_eq(p->name, "raw_exec") && !str_eq(p->name, "pot") &&
		    !str_eq(p->name, "nomad-pot-driver"))
			return err_new(e, ERR_UNSUPPORTED,
			    "plugin \"%s\": there are the drivers pot and raw_exec", p->name);
	return 0;
}

int
agent_config_load(int argc, char **argv, struct arena *a, struct agent_config **out,
    struct strs *warnings, bool *help, struct err *e)
{
	struct agent_config *given = model_new(&agent_config_model, a),
			    *c = model_new(&agent_config_model, a);

	*help = false;
	if (read_flags(argc, argv, given, a, help, e) < 0 || *help)
		return *help ? 0 : -1;
	if (given->dev) {
		static const char *const on[] = { "server.enabled", "client.enabled" };
		for (size_t i = 0; i < NELEM(on); i++)
			(void)set_path(c, on[i], NULL, a, e);
		(void)set_path(c, "log_level", "DEBUG", a, e);
	}
	for (size_t i = 0; i < given->config_paths.n; i++)
		if (add_path(given->config_paths.at[i], a, c, e) < 0)
			return -1;
	merge(&agent_config_model, c, given, a);
	c->dev = given->dev;
	c->detach = given->detach;
	c->config_paths = given->config_paths;
	if (check_status(&agent_config_model, c, "", a, warnings, e) < 0)
		return -1;
	fill_defaults(c, a);
	if (check_values(c, e) < 0)
		return -1;
	*out = c;
	return 0;
}

bool
agent_raw_exec(const struct agent_config *c, const char *key)
{
	const struct any *value = NULL;
	struct agent_plugin *p;

	OBJS_FOREACH (p, &c->plugins)
		if (str_eq(p->name, "raw_exec")) {
			/* A block within a block without a table is a list of maps. */
			const struct any *config =
			    any_type(p->config) == ANY_LIST ? any_at(p->config, 0) : p->config;
			value = any_get(config, key) != NULL ? any_get(config, key) : value;
		}
	if (value != NULL)
		return any_type(value) == ANY_BOOL && value->b;
	return c->dev && strcmp(key, "enabled") == 0;
}

bool
agent_address_is_local(const char *address)
{
	return str_starts(address, "127.") || strcmp(address, "::1") == 0 ||
	       strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}
