#include "agent_services.h"

#include "agent_bridge.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "health/health.h"
#include "ingress/ingress.h"
#include "io/url.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STOP_MS = 3000 };

struct agent_services {
	struct loop *loop;
	struct server *server;
	struct catalog *catalog;
	struct ingress *ingress;
	const char *ingress_dir;
};

static const char *
host_port(struct arena *mem, const char *host, int64_t port)
{
	autobuf struct buf b = BUF_INIT;

	url_add_host_port(&b, host, (uint16_t)port);
	return arena_strdup(mem, buf_str(&b));
}

static int
open_ingress(struct agent_services *s, struct loop *l, const struct agent_config *c,
    const struct agent_self *self, struct arena *mem, struct err *e)
{
	const struct agent_ingress *g = c->ingress;
	/* the loopback unless told otherwise, as every other listener */
	const char *address = g->address != NULL && *g->address != '\0' ? g->address : c->bind_addr;
	bool local = agent_address_is_local(address);
	/* What runs on the machine itself asks on loopback, as it asks the API. */
	const char *listen[3] = { host_port(mem, address, g->port),
		local ? NULL : host_port(mem, "127.0.0.1", g->port), NULL };

	if (!g->enabled)
		return 0;
	s->ingress_dir = arena_printf(mem, "%s/ingress", c->data_dir);
	struct ingress_config ic = { .haproxy = g->haproxy,
		.dir = s->ingress_dir,
		.listen = listen,
		.dashboard =
		    g->dashboard_port > 0 ? host_port(mem, c->bind_addr, g->dashboard_port) : NULL,
		.default_rule =
		    g->default_rule != NULL && *g->default_rule != '\0' ? g->default_rule : NULL,
		.host_name = c->name,
		.on_tried = self->on_ready,
		.ctx = self->ctx };
	if (ingress_new(l, server_state(s->server), &ic, &s->ingress, e) == 0)
		return 0;
	if (e->kind != ERR_ABSENT)
		return -1;
	log_warn("agent", "%s; this node has no ingress", e->text);
	return 0;
}

/* Catalog ---------------------------------------------------------------------------------------
 */

struct change {
	catalog_done *done;
	void *arg;
};

static void
changed(void *ctx, const struct server_result *r, const struct err *e)
{
	struct change *ch = ctx;

	ch->done(ch->arg, r != NULL ? r->index : 0, e);
	free(ch);
}

static int
propose(void *ctx, const struct command *c, catalog_done *done, void *arg, struct err *e)
{
	struct agent_services *s = ctx;
	struct change *ch = xcalloc(1, sizeof(*ch));

	*ch = (struct change){ done, arg };
	if (server_catalog(s->server, c, changed, ch, e) == 0)
		return 0;
	free(ch);
	return -1;
}

struct probe {
	struct health_probe *health;
	catalog_probe_cb *cb;
	void *arg;
};

static void
probed(void *arg, struct health_probe *health, enum health_status status, const char *output)
{
	struct probe *p = arg;

	(void)health;
	p->cb(p->arg, health_status_name(status), output);
}

static int
probe_target(
    const struct catalog_probe *from, struct health_spec *spec, struct arena *a, struct err *e)
{
	struct url u;
	char *host;
	uint16_t port;

	if (str_eq(from->type, "tcp")) {
		if (url_host_port(from->target, 0, a, &host, &port, e) < 0)
			return -1;
		spec->address = host;
		spec->port = port;
	} else {
		if (url_parse(from->target, a, &u, e) < 0)
			return -1;
		spec->address = u.host;
		spec->port = u.port;
		spec->protocol = u.scheme;
		spec->path =
		    arena_printf(a, "%s%s%s", u.path, *u.query != '\0' ? "?" : "", u.query);
	}
	if (str_eq(spec->address, "localhost"))
		spec->address = "127.0.0.1";
	return 0;
}

static void *
probe_start(
    void *ctx, const struct catalog_probe *from, catalog_probe_cb *cb, void *arg, struct err *e)
{
	struct agent_services *s = ctx;
	autoarena struct arena a = ARENA_INIT;
	struct health_spec spec = {
		.type = from->type, .interval_ns = from->interval_ns, .timeout_ns = from->timeout_ns
	};

	if (probe_target(from, &spec, &a, e) < 0)
		return NULL;
	(void)health_status_named(from->status, &spec.initial);
	struct probe *p = xcalloc(1, sizeof(*p));
	*p = (struct probe){ NULL, cb, arg };
	p->health = health_start(s->loop, &spec, probed, p, e);
	if (p->health != NULL)
		return p;
	free(p);
	return NULL;
}

static void
probe_stop(void *ctx, void *probe)
{
	struct probe *p = probe;

	(void)ctx;
	health_stop(p->health);
	free(p);
}

static int
open_catalog(struct agent_services *s, const struct agent_config *c, const struct agent_self *self,
    struct arena *mem, struct err *e)
{
	const struct agent_catalog *g = c->catalog;
	const char *address = g->address != NULL && *g->address != '\0' ? g->address : c->bind_addr;
	struct catalog_listen dns[4] = {
		{ .address = address, .port = (uint16_t)g->dns_port, .udp_fd = -1, .tcp_fd = -1 }
	};
	struct catalog_own own[] = { { "nomad", "http", (uint16_t)c->ports->http },
		{ "nomad-client", "http", (uint16_t)c->ports->http } };
	struct catalog_hooks hooks = { s, propose, probe_start, probe_stop };
	char *host = NULL;
	uint16_t port;

	size_t passed = agent_bridge_listeners(dns + 1, NELEM(dns) - 1);
	if (!g->enabled)
		return 0; /* what was passed stays open, unread */
	if (url_host_port(self->address, 0, mem, &host, &port, e) < 0)
		return -1;
	struct catalog_config cc = { .datacenter = c->datacenter,
		.node_name = c->name,
		.node_id = self->node_id,
		.address = host,
		.http_address = address,
		.http_port = (uint16_t)g->http_port,
		.dns = dns,
		.n_dns = 1 + (g->bridge_dns ? passed : 0),
		.own = own,
		.n_own = self->node_id != NULL ? 2 : 1 };
	return catalog_new(s->loop, server_state(s->server), &cc, &hooks, &s->catalog, e);
}

int
agent_services_open(struct loop *l, const struct agent_config *c, struct server *server,
    const struct agent_self *self, struct arena *mem, struct agent_services **out, struct err *e)
{
	*out = NULL;
	if (server == NULL)
		return 0;
	struct agent_services *s = xcalloc(1, sizeof(*s));
	s->loop = l;
	s->server = server;
	if (open_catalog(s, c, self, mem, e) < 0 || open_ingress(s, l, c, self, mem, e) < 0) {
		agent_services_close(s, false);
		return -1;
	}
	*out = s;
	return 0;
}

bool
agent_services_ready(const struct agent_services *s)
{
	return s == NULL || s->ingress == NULL || ingress_tried(s->ingress);
}

void
agent_services_close(struct agent_services *s, bool stop)
{
	struct err e = ERR_INIT;

	if (s == NULL)
		return;
	catalog_free(s->catalog);
	ingress_free(s->ingress);
	if (stop && s->ingress_dir != NULL && ingress_stop(s->ingress_dir, STOP_MS, &e) < 0)
		log_warn("agent", "%s", e.text);
	free(s);
}
