#include "platform/filter.h"
#include "pot/start.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Exported ports. LOCK_PORTS is held from looking until they are open, so two starts never choose
 * one port; what is chosen is in the record before it is open.
 */

static bool
bindable(int family, bool udp, uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { 0 };
	socklen_t len = family == AF_INET ? sizeof(a.v4) : sizeof(a.v6);
	int on = 1;
	autofd int fd = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return true; /* a family this machine does not have */
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* connections of the past do not count, listeners do */
	if (!udp)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
	} else {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(port);
	}
	return bind(fd, &a.any, len) == 0 || errno != EADDRINUSE;
}

static bool
host_uses(bool udp, uint16_t port)
{
	return !bindable(AF_INET, udp, port) || !bindable(AF_INET6, udp, port);
}

static const struct filter_entry *
exported(const struct filter_entries *all, bool udp, uint16_t port)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->at[i].port.host_port == port &&
		    (all->at[i].port.proto == IPPROTO_UDP) == udp)
			return &all->at[i];
	return NULL;
}

static bool
chosen(const struct run *r, bool udp, uint16_t port)
{
	for (size_t i = 0; i < r->n_ports; i++)
		if (r->ports[i].host_port == port && r->ports[i].udp == udp)
			return true;
	return false;
}

/* The run that has this id, by the records. */
static bool
run_with_id(struct pot_env *env, const char *id, struct run *out)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pot_strs names;

	if (run_names(env, &mem, &names, &e) < 0)
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (run_read(env, names.at[i], out, &e) == 0 && strcmp(out->id, id) == 0)
			return true;
	return false;
}

/* A port that a dead run still holds is taken from it. */
static int
make_free(struct start *s, const struct filter_entry *by, const struct pot_port *p, struct err *e)
{
	struct run owner;
	const char *proto = p->udp ? "udp" : "tcp";

	if (run_with_id(s->env, by->run, &owner)) {
		if (run_alive(s->env, &owner, e) != 0)
			return err_new(e, ERR_EXISTS, "host port %u/%s is taken by pot %s",
			    p->host_port, proto, owner.name);
	}
	return s->env->host->filter->ports_remove(s->env->host, by->run, e);
}

static int
choose(struct start *s, const struct filter_entries *all, const struct pot_port *p, uint16_t *out,
    struct err *e)
{
	unsigned low = s->env->conf.port_min, high = s->env->conf.port_max;

	for (unsigned port = low; port <= high; port++) {
		uint16_t n = (uint16_t)port;
		if (chosen(&s->run, p->udp, n) || exported(all, p->udp, n) != NULL ||
		    host_uses(p->udp, n))
			continue;
		*out = n;
		return 0;
	}
	return err_new(e, ERR_FULL,
	    "no host port between %u and %u is free (POT_PORT_MIN, POT_PORT_MAX)", low, high);
}

static int
one_port(struct start *s, const struct filter_entries *all, const struct pot_port *p, struct err *e)
{
	struct pot_map m = { .udp = p->udp, .pot_port = p->pot_port, .host_port = p->host_port };
	const char *proto = p->udp ? "udp" : "tcp";

	if (p->host_port == 0) {
		if (choose(s, all, p, &m.host_port, e) < 0)
			return -1;
		return run_port(s->env, &s->run, &m, e);
	}
	const struct filter_entry *by = exported(all, p->udp, p->host_port);
	if (chosen(&s->run, p->udp, p->host_port))
		return err_new(
		    e, ERR_INPUT, "host port %u/%s is exported twice", p->host_port, proto);
	if (by != NULL && make_free(s, by, p, e) < 0)
		return -1;
	if (host_uses(p->udp, p->host_port))
		return err_new(e, ERR_EXISTS,
		    "host port %u/%s is in use by a program of this machine", p->host_port, proto);
	return run_port(s->env, &s->run, &m, e);
}

size_t
ports_of_run(
    struct pot_env *env, const struct pot_spec *spec, const struct run *r, struct filter_port *out)
{
	enum pot_stack stack =
	    spec->net == POT_NET_PRIVATE ? POT_STACK_IPV4 : pot_spec_stack(env, spec);
	const char *const addresses[] = { stack != POT_STACK_IPV6 ? spec->ip : "",
		stack != POT_STACK_IPV4 ? spec->ip6 : "" };
	size_t n = 0;

	for (size_t i = 0; i < r->n_ports; i++)
		for (size_t a = 0; a < NELEM(addresses); a++) {
			const struct pot_map *m = &r->ports[i];
			if (*addresses[a] == '\0')
				continue;
			out[n] = (struct filter_port){ .proto = m->udp ? IPPROTO_UDP : IPPROTO_TCP,
				.host_port = m->host_port,
				.pot_port = m->pot_port };
			n += ip_parse(addresses[a], &out[n].to) ? 1 : 0;
		}
	return n;
}

int
ports_up(struct start *s, struct err *e)
{
	autofilter_entries struct filter_entries all = FILTER_ENTRIES_INIT;
	autofd int lock = lock_named(s->env, LOCK_PORTS, LOCK_WAIT, e);
	struct host *host = s->env->host;

	if (lock < 0 || host->filter->ports(host, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < s->spec->n_ports; i++)
		if (one_port(s, &all, &s->spec->ports[i], e) < 0)
			return -1;
	struct filter_port *to_add = arena_array(s->mem, 2 * RUN_PORTS_MAX, struct filter_port);
	size_t n = ports_of_run(s->env, s->spec, &s->run, to_add);
	if (ports_rules(s->env, to_add, n, s->mem, e) < 0)
		return -1;
	return host->filter->ports_add(host, s->run.id, to_add, n, e);
}

/* ---- after the table was lost ---- */

static int
restore(struct pot_env *env, const char *name, struct arena *mem, struct err *e)
{
	const struct filter_ops *filter = env->host->filter;
	struct filter_port *to_add = arena_array(mem, 2 * RUN_PORTS_MAX, struct filter_port);
	struct err gone = ERR_INIT;
	struct pot_spec *spec;
	struct run r, now;

	if (run_read(env, name, &r, &gone) < 0 || (r.begun & (1u << RUN_PORTS)) == 0 ||
	    run_alive(env, &r, &gone) <= 0 || pot_spec_load(env, name, mem, &spec, &gone) < 0)
		return 0;
	size_t n = ports_of_run(env, spec, &r, to_add);
	if (ports_rules(env, to_add, n, mem, e) < 0 ||
	    filter->ports_add(env->host, r.id, to_add, n, e) < 0)
		return err_ctx(e, "ports of pot %s", name);
	/* it may have ended meanwhile, and have found no table to take them out of */
	if (run_read(env, name, &now, &gone) < 0 || strcmp(now.id, r.id) != 0)
		return filter->ports_remove(env->host, r.id, e);
	return 0;
}

int
ports_restore(struct pot_env *env, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	autofd int lock = lock_named(env, LOCK_PORTS, LOCK_WAIT, e);
	struct pot_strs names;

	if (lock < 0 || run_names(env, &mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (restore(env, names.at[i], &mem, e) < 0)
			return -1;
	return 0;
}
