#include "catalog/view.h"

#include "base/str.h"

#include <ctype.h>
#include <stdlib.h>

static void
rows_changed(void *ctx)
{
	struct catalog *c = ctx;

	c->watch = state_watch(c->state, STATE_SERVICES, NULL, rows_changed, c);
	checks_follow(c);
}

static const char *
lower(struct arena *a, const char *text)
{
	char *out = arena_strdup(a, text);

	for (char *p = out; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

static const char *
copy(struct catalog *c, const char *text, const char *fallback)
{
	return arena_strdup(&c->mem, text != NULL && *text != '\0' ? text : fallback);
}

static void
add_own(struct catalog *c, const char *name, const char *tag, uint16_t port)
{
	struct service_row *row = arena_new(&c->mem, struct service_row);

	*row = (struct service_row){ .service_name = arena_strdup(&c->mem, name),
		.id = tag != NULL ? arena_printf(&c->mem, "_%s-%s", name, tag)
				  : arena_strdup(&c->mem, name),
		.namespace = "default",
		.node_id = c->node_id,
		.datacenter = c->datacenter,
		.port = port,
		.status = "passing",
		.create_index = 1,
		.modify_index = 1 };
	if (tag != NULL)
		strs_add(&row->tags, &c->mem, tag);
	objs_add(&c->own, &c->mem, row);
}

static void
copy_config(struct catalog *c, const struct catalog_config *from)
{
	c->datacenter = lower(&c->mem, copy(c, from->datacenter, "dc1"));
	c->node_name = copy(c, from->node_name, "node");
	c->node_id = copy(c, from->node_id, "");
	c->address = copy(c, from->address, "127.0.0.1");
	c->domain = lower(&c->mem, copy(c, from->domain, "consul"));
	c->resolv_conf = copy(c, from->resolv_conf, "/etc/resolv.conf");
	add_own(c, "consul", NULL, 8300);
	for (size_t i = 0; i < from->n_own; i++)
		add_own(c, from->own[i].name, from->own[i].tag, from->own[i].port);
}

int
catalog_listen_dns(struct catalog *c, const struct catalog_listen *l, struct err *e)
{
	struct dnsd *d = dnsd_new(c, l, e);

	if (d == NULL)
		return -1;
	VEC_PUSH(&c->dnsd, d);
	return 0;
}

static int
open_all(struct catalog *c, const struct catalog_config *from, struct err *e)
{
	for (size_t i = 0; i < from->n_dns; i++)
		if (catalog_listen_dns(c, &from->dns[i], e) < 0) {
			while (++i < from->n_dns) { /* given descriptors are ours in any case */
				int udp = from->dns[i].udp_fd, tcp = from->dns[i].tcp_fd;
				own_close(&udp);
				own_close(&tcp);
			}
			return -1;
		}
	if (from->http_address == NULL)
		return 0;
	c->http = http_server_new(c->loop, NULL, catalog_handle, c);
	return http_listen(c->http, from->http_address, from->http_port, e);
}

int
catalog_new(struct loop *l, struct state *s, const struct catalog_config *config,
    const struct catalog_hooks *hooks, struct catalog **out, struct err *e)
{
	struct catalog *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->state = s;
	c->hooks = *hooks;
	copy_config(c, config);
	if (open_all(c, config, e) < 0) {
		catalog_free(c);
		return err_ctx(e, "start the catalog");
	}
	rows_changed(c);
	*out = c;
	return 0;
}

void
catalog_free(struct catalog *c)
{
	if (c == NULL)
		return;
	state_watch_cancel(&c->watch);
	blocks_free(c);
	if (c->http != NULL)
		http_server_free(c->http);
	for (size_t i = 0; i < c->dnsd.n; i++)
		dnsd_free(c->dnsd.at[i]);
	VEC_FINI(&c->dnsd);
	checks_free(c);
	arena_fini(&c->mem);
	free(c);
}

uint16_t
catalog_http_port(const struct catalog *c)
{
	return c->http != NULL ? http_server_port(c->http) : 0;
}

uint16_t
catalog_dns_port(const struct catalog *c)
{
	return c->dnsd.n > 0 ? dnsd_port(c->dnsd.at[0]) : 0;
}
