#include "catalog/view.h"

#include "base/str.h"

#include <string.h>
#include <strings.h>

static const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

bool
str_same(const char *a, const char *b)
{
	return strcasecmp(text(a), text(b)) == 0;
}

struct place
place_of_node(const struct catalog *c, const struct node *n)
{
	if (n == NULL)
		return (struct place){ .id = c->node_id,
			.node = c->node_name,
			.address = c->address,
			.datacenter = c->datacenter,
			.create_index = 1,
			.modify_index = 1 };
	const char *address = text(n->address);
	return (struct place){ .id = text(n->id),
		.node = text(n->name),
		.address = *address != '\0' ? address : c->address,
		.datacenter = c->datacenter,
		.meta = &n->meta,
		.create_index = n->create_index,
		.modify_index = n->modify_index };
}

struct place
place_of(const struct catalog *c, const struct service_row *row)
{
	return place_of_node(c, state_node(c->state, row->node_id));
}

const char *
instance_address(const struct catalog *c, const struct service_row *row)
{
	return text(row->address)[0] != '\0' ? row->address : place_of(c, row).address;
}

bool
is_agents(const struct catalog *c, const struct service_row *row)
{
	return text(row->node_id)[0] == '\0' || str_eq(row->node_id, c->node_id);
}

static void
add_own(const struct catalog *c, const char *service, bool any_case, struct rows *out)
{
	struct service_row *row;

	OBJS_FOREACH (row, &c->own)
		if (service == NULL || str_eq(row->service_name, service) ||
		    (any_case && str_same(row->service_name, service)))
			VEC_PUSH(out, row);
}

static void
add_rows(struct rows *out, struct rows from, const char *service)
{
	for (size_t i = 0; i < from.n; i++)
		if (service == NULL ||
		    str_same(((const struct service_row *)from.at[i])->service_name, service))
			VEC_PUSH(out, from.at[i]);
	rows_fini(&from);
}

struct rows
instances_of(const struct catalog *c, const char *service, bool any_case)
{
	struct rows out = { 0 };

	add_own(c, service, any_case, &out);
	add_rows(&out, state_named_services(c->state, service), NULL);
	if (out.n == 0 && any_case)
		add_rows(&out, state_list(c->state, STATE_SERVICES, NULL), service);
	return out;
}

struct rows
all_instances(const struct catalog *c)
{
	struct rows out = { 0 };

	add_own(c, NULL, false, &out);
	add_rows(&out, state_list(c->state, STATE_SERVICES, NULL), NULL);
	return out;
}
