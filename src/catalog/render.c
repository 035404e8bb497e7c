/* render.c: rows in the shapes of Consul's API. */
#include "catalog/view.h"

#include "base/str.h"

#include <string.h>

static const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

void
render_strs(struct jsonw *w, const struct strs *list)
{
	jsonw_array(w);
	for (size_t i = 0; i < list->n; i++)
		jsonw_str(w, list->at[i]);
	jsonw_end_array(w);
}

static void
render_meta(struct jsonw *w, const struct strmap *meta)
{
	jsonw_object(w);
	for (size_t i = 0; meta != NULL && i < meta->n; i++)
		jsonw_kstr(w, meta->key[i], text(meta->value[i]));
	jsonw_end_object(w);
}

static void
render_tagged(struct jsonw *w, const char *address)
{
	bool v6 = strchr(address, ':') != NULL;

	jsonw_object(w);
	jsonw_kstr(w, "lan", address);
	jsonw_kstr(w, v6 ? "lan_ipv6" : "lan_ipv4", address);
	jsonw_kstr(w, "wan", address);
	jsonw_kstr(w, v6 ? "wan_ipv6" : "wan_ipv4", address);
	jsonw_end_object(w);
}

static void
render_tagged_service(struct jsonw *w, const struct service_row *row)
{
	const char *address = text(row->address);
	bool v6 = strchr(address, ':') != NULL;

	jsonw_object(w);
	for (int i = 0; i < 2 && *address != '\0'; i++) {
		jsonw_key(
		    w, i == 0 ? (v6 ? "lan_ipv6" : "lan_ipv4") : (v6 ? "wan_ipv6" : "wan_ipv4"));
		jsonw_object(w);
		jsonw_kstr(w, "Address", address);
		jsonw_kint(w, "Port", row->port);
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

static void
render_weights(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_object(w);
	jsonw_kint(w, "Passing", 1);
	jsonw_kint(w, "Warning", 1);
	jsonw_end_object(w);
}

static void
render_empty(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_object(w);
	jsonw_end_object(w);
}

void
render_node(const struct place *p, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_kstr(w, "ID", p->id);
	jsonw_kstr(w, "Node", p->node);
	jsonw_kstr(w, "Address", p->address);
	jsonw_kstr(w, "Datacenter", p->datacenter);
	jsonw_key(w, "TaggedAddresses");
	render_tagged(w, p->address);
	jsonw_key(w, "Meta");
	render_meta(w, p->meta);
	jsonw_kint(w, "CreateIndex", p->create_index);
	jsonw_kint(w, "ModifyIndex", p->modify_index);
	jsonw_end_object(w);
}

void
render_agent_service(const struct catalog *c, const struct service_row *row, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_kstr(w, "ID", row->id);
	jsonw_kstr(w, "Service", row->service_name);
	jsonw_key(w, "Tags");
	render_strs(w, &row->tags);
	jsonw_key(w, "Meta");
	render_meta(w, &row->meta);
	jsonw_kint(w, "Port", row->port);
	jsonw_kstr(w, "Address", text(row->address));
	jsonw_key(w, "TaggedAddresses");
	render_tagged_service(w, row);
	render_weights(w, "Weights");
	jsonw_kbool(w, "EnableTagOverride", false);
	jsonw_kstr(w, "Datacenter", c->datacenter);
	jsonw_end_object(w);
}

void
render_catalog_service(const struct catalog *c, const struct service_row *row, struct jsonw *w)
{
	struct place p = place_of(c, row);

	jsonw_object(w);
	jsonw_kstr(w, "ID", p.id);
	jsonw_kstr(w, "Node", p.node);
	jsonw_kstr(w, "Address", p.address);
	jsonw_kstr(w, "Datacenter", p.datacenter);
	jsonw_key(w, "TaggedAddresses");
	render_tagged(w, p.address);
	jsonw_key(w, "NodeMeta");
	render_meta(w, p.meta);
	jsonw_kstr(w, "ServiceKind", "");
	jsonw_kstr(w, "ServiceID", row->id);
	jsonw_kstr(w, "ServiceName", row->service_name);
	jsonw_key(w, "ServiceTags");
	render_strs(w, &row->tags);
	jsonw_kstr(w, "ServiceAddress", text(row->address));
	jsonw_key(w, "ServiceTaggedAddresses");
	render_tagged_service(w, row);
	render_weights(w, "ServiceWeights");
	jsonw_key(w, "ServiceMeta");
	render_meta(w, &row->meta);
	jsonw_kint(w, "ServicePort", row->port);
	jsonw_kbool(w, "ServiceEnableTagOverride", false);
	render_empty(w, "ServiceProxy");
	render_empty(w, "ServiceConnect");
	jsonw_kint(w, "CreateIndex", row->create_index);
	jsonw_kint(w, "ModifyIndex", row->modify_index);
	jsonw_end_object(w);
}

struct check_text {
	const char *node, *id, *name, *status, *output, *service_id, *service_name, *type;
	const struct strs *tags;
	int64_t create_index, modify_index;
};

static void
render_check_text(struct jsonw *w, const struct check_text *t)
{
	static const struct strs none = { .n = 0 };

	jsonw_object(w);
	jsonw_kstr(w, "Node", t->node);
	jsonw_kstr(w, "CheckID", t->id);
	jsonw_kstr(w, "Name", t->name);
	jsonw_kstr(w, "Status", t->status);
	jsonw_kstr(w, "Notes", "");
	jsonw_kstr(w, "Output", t->output);
	jsonw_kstr(w, "ServiceID", t->service_id);
	jsonw_kstr(w, "ServiceName", t->service_name);
	jsonw_key(w, "ServiceTags");
	render_strs(w, t->tags != NULL ? t->tags : &none);
	jsonw_kstr(w, "Type", t->type);
	render_empty(w, "Definition");
	jsonw_kint(w, "CreateIndex", t->create_index);
	jsonw_kint(w, "ModifyIndex", t->modify_index);
	jsonw_end_object(w);
}

void
render_check(const struct catalog *c, const struct service_row *row, const struct check_state *k,
    struct jsonw *w)
{
	struct place p = place_of(c, row);

	render_check_text(w, &(struct check_text){ p.node, text(k->check_id), text(k->name),
				 text(k->status), text(k->output), row->id, row->service_name,
				 text(k->type), &row->tags, row->create_index, row->modify_index });
}

void
render_serf(const struct place *p, bool alive, struct jsonw *w)
{
	render_check_text(
	    w, &(struct check_text){ .node = p->node,
		   .id = "serfHealth",
		   .name = "Serf Health Status",
		   .status = alive ? "passing" : "critical",
		   .output = alive ? "Agent alive and reachable" : "Agent not live or unreachable",
		   .service_id = "",
		   .service_name = "",
		   .type = "",
		   .create_index = p->create_index,
		   .modify_index = p->modify_index });
}

void
render_health(const struct catalog *c, const struct service_row *row, struct jsonw *w)
{
	struct place p = place_of(c, row);
	struct check_state *k;

	jsonw_object(w);
	jsonw_key(w, "Node");
	render_node(&p, w);
	jsonw_key(w, "Service");
	jsonw_object(w);
	jsonw_kstr(w, "ID", row->id);
	jsonw_kstr(w, "Service", row->service_name);
	jsonw_key(w, "Tags");
	render_strs(w, &row->tags);
	jsonw_kstr(w, "Address", text(row->address));
	jsonw_key(w, "TaggedAddresses");
	render_tagged_service(w, row);
	jsonw_key(w, "Meta");
	render_meta(w, &row->meta);
	jsonw_kint(w, "Port", row->port);
	render_weights(w, "Weights");
	jsonw_kbool(w, "EnableTagOverride", false);
	render_empty(w, "Proxy");
	render_empty(w, "Connect");
	jsonw_kint(w, "CreateIndex", row->create_index);
	jsonw_kint(w, "ModifyIndex", row->modify_index);
	jsonw_end_object(w);
	jsonw_key(w, "Checks");
	jsonw_array(w);
	render_serf(&p, true, w);
	OBJS_FOREACH (k, &row->checks)
		render_check(c, row, k, w);
	jsonw_end_array(w);
	jsonw_end_object(w);
}
