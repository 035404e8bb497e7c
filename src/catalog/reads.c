/* reads.c: what each reading request of Consul's API answers. */
#include "catalog/reads.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { TAGS_MAX = 16 };

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

const struct endpoint reads[] = {
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
const size_t n_reads = NELEM(reads);
