#include "agent_services.h"

#include "base/str.h"
#include "ingress/ingress.h"
#include "io/url.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STOP_MS = 3000 };

struct agent_services {
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
    struct server *server, struct arena *mem, struct err *e)
{
	const struct agent_ingress *g = c->ingress;
	/* the loopback unless told otherwise, as every other listener */
	const char *address = g->address != NULL && *g->address != '\0' ? g->address : c->bind_addr;
	const char *listen[2] = { host_port(mem, address, g->port), NULL };

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
		.host_name = c->name };
	if (ingress_new(l, server_state(server), &ic, &s->ingress, e) == 0)
		return 0;
	if (e->kind != ERR_ABSENT)
		return -1;
	log_warn("agent", "%s; this node has no ingress", e->text);
	return 0;
}

int
agent_services_open(struct loop *l, const struct agent_config *c, struct server *server,
    struct arena *mem, struct agent_services **out, struct err *e)
{
	*out = NULL;
	if (server == NULL)
		return 0;
	struct agent_services *s = xcalloc(1, sizeof(*s));
	if (open_ingress(s, l, c, server, mem, e) < 0) {
		agent_services_close(s, false);
		return -1;
	}
	*out = s;
	return 0;
}

void
agent_services_close(struct agent_services *s, bool stop)
{
	struct err e = ERR_INIT;

	if (s == NULL)
		return;
	ingress_free(s->ingress);
	if (stop && s->ingress_dir != NULL && ingress_stop(s->ingress_dir, STOP_MS, &e) < 0)
		log_warn("agent", "%s", e.text);
	free(s);
}
