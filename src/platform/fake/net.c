/* Bridges, pairs and exported ports as rows of tables. */
#include "base/str.h"
#include "platform/fake/ops.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int
probe(struct host *h, struct err *e)
{
	(void)h, (void)e;
	return 0;
}

/* ---- interfaces ---- */

static struct fake_bridge *
find_bridge(struct fake_host *f, const char *name)
{
	for (size_t i = 0; i < f->bridges_n; i++)
		if (str_eq(f->bridges[i].name, name))
			return &f->bridges[i];
	return NULL;
}

static int
do_bridge_ensure(
    struct fake_host *f, const char *name, const struct ipnet *addrs, size_t n, struct err *e)
{
	struct fake_bridge *b = find_bridge(f, name);

	if (b == NULL) {
		if (f->bridges_n == NELEM(f->bridges))
			return err_new(e, ERR_FULL, "no room for another bridge");
		b = &f->bridges[f->bridges_n++];
		*b = (struct fake_bridge){ .addrs_n = 0 };
		(void)str_copy(b->name, sizeof(b->name), name);
	}
	for (size_t i = 0; i < n; i++) {
		bool there = addrs[i].addr.family == 0;

		for (size_t k = 0; k < b->addrs_n; k++)
			there |= ip_eq(&b->addrs[k].addr, &addrs[i].addr);
		if (!there && b->addrs_n < NELEM(b->addrs))
			b->addrs[b->addrs_n++] = addrs[i];
	}
	return 0;
}

static int
bridge_ensure(struct host *h, const char *name, const struct ipnet *addrs, size_t n, struct err *e)
{
	FAKE_OP(h->self, "netif.bridge_ensure", do_bridge_ensure(h->self, name, addrs, n, e));
}

static int
do_bridge_remove(struct fake_host *f, const char *name)
{
	struct fake_bridge *b = find_bridge(f, name);

	if (b != NULL)
		*b = f->bridges[--f->bridges_n];
	return 0;
}

static int
bridge_remove(struct host *h, const char *name, struct err *e)
{
	FAKE_OP(h->self, "netif.bridge_remove", do_bridge_remove(h->self, name));
}

static int
do_links(struct fake_host *f, const char *prefix, const char *master, struct netif_links *out)
{
	out->at = xcalloc(f->pairs_n + 1, sizeof(*out->at));
	out->n = 0;
	if (master == NULL && str_eq(prefix, "ext0")) {
		(void)str_copy(out->at[0].name, sizeof(out->at[0].name), "ext0");
		out->at[out->n++].up = true;
	}
	for (size_t i = 0; i < f->pairs_n; i++) {
		struct netif_link *l = &out->at[out->n];

		if (!str_starts(f->pairs[i].name, prefix) ||
		    (master != NULL && !str_eq(f->pairs[i].bridge, master)))
			continue;
		*l = (struct netif_link){ .index = (unsigned)i + 100, .up = true, .kind = "veth" };
		(void)str_copy(l->name, sizeof(l->name), f->pairs[i].name);
		(void)str_copy(l->alias, sizeof(l->alias), f->pairs[i].alias);
		(void)str_copy(l->master, sizeof(l->master), f->pairs[i].bridge);
		out->n++;
	}
	return 0;
}

static int
do_bridge_info(struct fake_host *f, const char *name, struct netif_bridge *out, struct err *e)
{
	struct fake_bridge *b = find_bridge(f, name);

	if (b == NULL)
		return err_new(e, ERR_ABSENT, "there is no bridge %s", name);
	*out = (struct netif_bridge){ .index = 10, .up = true, .addrs_n = b->addrs_n };
	out->addrs = xcalloc(b->addrs_n + 1, sizeof(*out->addrs));
	memcpy(out->addrs, b->addrs, b->addrs_n * sizeof(*out->addrs));
	return do_links(f, "", name, &out->members);
}

static int
bridge_info(struct host *h, const char *name, struct netif_bridge *out, struct err *e)
{
	FAKE_OP(h->self, "netif.bridge_info", do_bridge_info(h->self, name, out, e));
}

static int
do_pair_up(
    struct fake_host *f, const struct netif_pair *p, const struct netif_inside *in, struct err *e)
{
	struct fake_pair *row;

	if (p->bridge != NULL && find_bridge(f, p->bridge) == NULL)
		return err_new(
		    e, ERR_ABSENT, "bridge %s does not exist: run pot vnet-start", p->bridge);
	if (p->netns < 0 && p->pid >= FAKE_PID_FIRST && !fake_process_lives(f, p->pid))
		return err_new(e, ERR_ABSENT, "process %d is gone", (int)p->pid);
	for (size_t i = 0; i < f->pairs_n; i++)
		if (str_eq(f->pairs[i].name, p->name))
			return err_new(e, ERR_EXISTS, "interface %s exists", p->name);
	if (f->pairs_n == FAKE_ROWS)
		return err_new(e, ERR_FULL, "no room for another interface");
	row = &f->pairs[f->pairs_n++];
	*row = (struct fake_pair){ .pid = p->pid, .inside = *in };
	row->inside.name = NULL;
	(void)str_copy(row->name, sizeof(row->name), p->name);
	(void)str_copy(row->bridge, sizeof(row->bridge), p->bridge != NULL ? p->bridge : "");
	(void)str_copy(row->alias, sizeof(row->alias), p->alias != NULL ? p->alias : "");
	return 0;
}

static int
pair_up(struct host *h, const struct netif_pair *p, const struct netif_inside *in, struct err *e)
{
	FAKE_OP(h->self, "netif.pair_up", do_pair_up(h->self, p, in, e));
}

static struct fake_alias *
find_alias(struct fake_host *f, const struct netif_alias *a)
{
	for (size_t i = 0; i < f->aliases_n; i++)
		if (str_eq(f->aliases[i].at.nic, a->nic) && ip_eq(&f->aliases[i].at.ip, &a->ip))
			return &f->aliases[i];
	return NULL;
}

static int
do_alias_down(struct fake_host *f, const struct netif_alias *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct fake_alias *a = find_alias(f, &at[i]);

		if (a != NULL)
			*a = f->aliases[--f->aliases_n];
	}
	return 0;
}

static int
do_alias_up(struct fake_host *f, const struct netif_pair *p, const struct netif_alias *at, size_t n,
    struct err *e)
{
	struct netif_inside none = { .name = NULL };
	struct netif_pair own = *p;

	for (size_t i = 0; i < n; i++)
		if (find_alias(f, &at[i]) != NULL || f->aliases_n + n > NELEM(f->aliases))
			return err_new(e, ERR_EXISTS, "an address leads elsewhere already");
	own.bridge = NULL;
	if (do_pair_up(f, &own, &none, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		f->aliases[f->aliases_n++] = (struct fake_alias){ .at = at[i] };
	return 0;
}

static int
alias_up(struct host *h, const struct netif_pair *p, const struct netif_alias *at, size_t n,
    struct err *e)
{
	FAKE_OP(h->self, "netif.alias_up", do_alias_up(h->self, p, at, n, e));
}

static int
alias_down(struct host *h, const char *pair, const struct netif_alias *at, size_t n, struct err *e)
{
	(void)pair;
	FAKE_OP(h->self, "netif.alias_down", do_alias_down(h->self, at, n));
}

static int
do_aliases(struct fake_host *f, struct netif_alias **out, size_t *n)
{
	*n = f->aliases_n;
	*out = xcalloc(f->aliases_n + 1, sizeof(**out));
	for (size_t i = 0; i < f->aliases_n; i++)
		(*out)[i] = f->aliases[i].at;
	return 0;
}

static int
aliases(struct host *h, struct netif_alias **out, size_t *n, struct err *e)
{
	FAKE_OP(h->self, "netif.aliases", do_aliases(h->self, out, n));
}

static int
loopback_up(struct host *h, pid_t pid, int netns, struct err *e)
{
	(void)pid, (void)netns;
	FAKE_OP(h->self, "netif.loopback_up", 0);
}

static int
do_link_remove(struct fake_host *f, const char *name)
{
	for (size_t i = 0; i < f->pairs_n; i++)
		if (str_eq(f->pairs[i].name, name)) {
			f->pairs[i] = f->pairs[--f->pairs_n];
			break;
		}
	return 0;
}

static int
link_remove(struct host *h, const char *name, struct err *e)
{
	FAKE_OP(h->self, "netif.link_remove", do_link_remove(h->self, name));
}

static int
links(struct host *h, const char *prefix, struct netif_links *out, struct err *e)
{
	FAKE_OP(h->self, "netif.links", do_links(h->self, prefix, NULL, out));
}

static int
addresses(struct host *h, const char *name, struct ipnet **out, size_t *n, struct err *e)
{
	(void)name;
	FAKE_OP(h->self, "netif.addresses", (*out = NULL, *n = 0, 0));
}

static int
do_forwarding(struct fake_host *f)
{
	f->forwarding = true;
	return 0;
}

static int
forwarding_enable(struct host *h, struct err *e)
{
	FAKE_OP(h->self, "netif.forwarding_enable", do_forwarding(h->self));
}

static int
external(struct host *h, int family, char out[NETIF_NAME], struct err *e)
{
	(void)family;
	FAKE_OP(h->self, "netif.external", (str_copy(out, NETIF_NAME, "ext0"), 0));
}

const struct netif_ops fake_netif = {
	.name = "fake",
	.probe = probe,
	.bridge_ensure = bridge_ensure,
	.bridge_remove = bridge_remove,
	.bridge_info = bridge_info,
	.pair_up = pair_up,
	.alias_up = alias_up,
	.alias_down = alias_down,
	.aliases = aliases,
	.loopback_up = loopback_up,
	.link_remove = link_remove,
	.links = links,
	.addresses = addresses,
	.forwarding_enable = forwarding_enable,
	.external = external,
};

/* ---- filter ---- */

static int
set_table(struct fake_host *f, bool there)
{
	f->table = there;
	if (!there)
		f->ports_n = 0;
	return 0;
}

static int
setup(struct host *h, const struct filter_net *n, struct err *e)
{
	(void)n;
	FAKE_OP(h->self, "filter.setup", set_table(h->self, true));
}

static int
teardown(struct host *h, struct err *e)
{
	FAKE_OP(h->self, "filter.teardown", set_table(h->self, false));
}

static int
ready(struct host *h, bool isolated, struct err *e)
{
	struct fake_host *f = h->self;

	(void)isolated;
	FAKE_OP(f, "filter.ready", f->table ? 1 : 0);
}

static int
obstacles(struct host *h, struct names *out, struct err *e)
{
	(void)out;
	FAKE_OP(h->self, "filter.obstacles", 0);
}

static bool
same_port(const struct filter_port *a, const struct filter_port *b)
{
	return a->proto == b->proto && a->host_port == b->host_port && a->to.family == b->to.family;
}

static int
do_ports_add(
    struct fake_host *f, const char *run, const struct filter_port *ports, size_t n, struct err *e)
{
	if (!f->table)
		return err_new(
		    e, ERR_ABSENT, "export ports: there is no table: run pot vnet-start");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < f->ports_n; k++)
			if (same_port(&f->ports[k].port, &ports[i]) &&
			    !str_eq(f->ports[k].run, run))
				return err_new(e, ERR_EXISTS,
				    "host port %d is exported already, by run %s",
				    ports[i].host_port, f->ports[k].run);
	for (size_t i = 0; i < n; i++) {
		bool there = false;

		for (size_t k = 0; k < f->ports_n; k++)
			there |= same_port(&f->ports[k].port, &ports[i]);
		if (there)
			continue;
		if (f->ports_n == FAKE_ROWS)
			return err_new(e, ERR_FULL, "no room for another port");
		f->ports[f->ports_n] = (struct filter_entry){ .port = ports[i] };
		(void)str_copy(f->ports[f->ports_n++].run, RUN_ID_TEXT, run);
	}
	return 0;
}

static int
ports_add(struct host *h, const char *run, const struct filter_port *ports, size_t n, struct err *e)
{
	FAKE_OP(h->self, "filter.ports_add", do_ports_add(h->self, run, ports, n, e));
}

static int
do_ports_remove(struct fake_host *f, const char *run)
{
	for (size_t i = 0; i < f->ports_n;)
		if (str_eq(f->ports[i].run, run))
			f->ports[i] = f->ports[--f->ports_n];
		else
			i++;
	return 0;
}

static int
ports_remove(struct host *h, const char *run, struct err *e)
{
	FAKE_OP(h->self, "filter.ports_remove", do_ports_remove(h->self, run));
}

static int
do_ports(struct fake_host *f, struct filter_entries *out)
{
	out->n = f->ports_n;
	out->at = xcalloc(f->ports_n + 1, sizeof(*out->at));
	memcpy(out->at, f->ports, f->ports_n * sizeof(*out->at));
	return 0;
}

static int
ports(struct host *h, struct filter_entries *out, struct err *e)
{
	FAKE_OP(h->self, "filter.ports", do_ports(h->self, out));
}

const struct filter_ops fake_filter = {
	.name = "fake",
	.probe = probe,
	.setup = setup,
	.ready = ready,
	.obstacles = obstacles,
	.teardown = teardown,
	.ports_add = ports_add,
	.ports_remove = ports_remove,
	.ports = ports,
};
