#include "platform/filter.h"
#include "platform/netif.h"
#include "pot/net.h"
#include "pot/priv.h"
#include "pot/start.h"

#include <string.h>
#include <sys/socket.h>

/*
 * The virtual network: bridges, and one table of rules for all of them. Whoever needs a bridge
 * makes it; the rules are always written whole, for every bridge that has a file.
 */

/* What the filter is told, and the memory of it. */
struct rules {
	struct filter_net net;
	struct bridges bridges;
	struct arena mem;
};
#define RULES_INIT                                                                                 \
	{                                                                                          \
		.bridges = BRIDGES_INIT, .mem = ARENA_INIT                                         \
	}

static void
rules_fini(struct rules *r)
{
	bridges_fini(&r->bridges);
	arena_fini(&r->mem);
}
#define autorules CLEANUP(rules_fini)

/* A wrong name would leave the pots without a way out, and nobody would say why. */
static int
check_interface(struct pot_env *env, const char *key, const char *name, struct err *e)
{
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;

	if (env->host->netif->links(env->host, name, &links, e) < 0)
		return -1;
	for (size_t i = 0; i < links.n; i++)
		if (strcmp(links.at[i].name, name) == 0)
			return 0;
	return err_new(e, ERR_ABSENT, "%s: there is no interface %s%s", key, name,
	    strcmp(key, "POT_EXTIF") == 0 ? "; empty means that of the default route" : "");
}

/* POT_EXTIF_ADDR, if it is one of that interface's; else none. */
static struct ip
external_address(struct pot_env *env)
{
	autofree struct ipnet *addrs = NULL;
	struct err e = ERR_INIT;
	struct ip ip = { .family = 0 };
	size_t n = 0;

	if (*env->conf.extif_addr == '\0')
		return ip;
	if (ip_parse(env->conf.extif_addr, &ip) &&
	    env->host->netif->addresses(env->host, env->conf.extif, &addrs, &n, &e) == 0)
		for (size_t i = 0; i < n; i++)
			if (ip_eq(&addrs[i].addr, &ip))
				return ip;
	pot_say(env, POT_SAY_INFO, "POT_EXTIF_ADDR=%s is no address of %s: its first one is used",
	    env->conf.extif_addr, env->conf.extif);
	return (struct ip){ .family = 0 };
}

/* "10.0.0.0/8" of POT_NETWORK_<interface>. */
static const char *
network_of(struct pot_env *env, const char *interface)
{
	size_t n = strlen(interface);

	for (size_t i = 0; i < env->conf.extra_networks.n; i++) {
		const char *entry = env->conf.extra_networks.at[i];
		if (strncmp(entry, interface, n) == 0 && entry[n] == '=')
			return entry + n + 1;
	}
	return NULL;
}

static int
add_way(struct rules *r, struct filter_way *ways, const char *key, const char *external,
    const char *network, struct err *e)
{
	struct filter_way *w = &ways[r->net.n_ways];

	*w = (struct filter_way){ .external = external };
	if (!ipnet_parse(network, &w->to))
		return err_new(
		    e, ERR_INPUT, "%s='%s': a network like 10.0.0.0/8 is needed", key, network);
	r->net.n_ways++;
	return 0;
}

/* The interfaces of the outside: how packets of pots leave, and where ports are reached. */
static int
read_outside(struct pot_env *env, struct rules *r, struct err *e)
{
	const struct pot_config *c = &env->conf;
	size_t n_extra, n_vpn;
	char **extra = str_split(&r->mem, c->extra_extif, ' ', &n_extra);
	char **vpn = str_split(&r->mem, c->vpn_networks, ' ', &n_vpn);
	struct filter_way *ways = arena_array(&r->mem, 1 + n_extra + n_vpn, struct filter_way);
	struct filter_entry_way *in = arena_array(&r->mem, 1 + n_extra, struct filter_entry_way);

	if (*c->extif == '\0')
		return 0;
	if (check_interface(env, "POT_EXTIF", c->extif, e) < 0)
		return -1;
	r->net.ways = ways;
	r->net.entries = in;
	struct ip address = external_address(env);
	ways[r->net.n_ways++] = (struct filter_way){ .external = c->extif, .source = address };
	in[r->net.n_entries++] =
	    (struct filter_entry_way){ .external = c->extif, .address = address };
	for (size_t i = 0; i < n_extra; i++) {
		const char *network = network_of(env, extra[i]);
		if (*extra[i] == '\0')
			continue;
		if (check_interface(env, "POT_EXTRA_EXTIF", extra[i], e) < 0)
			return -1;
		in[r->net.n_entries++] = (struct filter_entry_way){ .external = extra[i] };
		if (network != NULL &&
		    add_way(r, ways, arena_printf(&r->mem, "POT_NETWORK_%s", extra[i]), extra[i],
			network, e) < 0)
			return -1;
	}
	/* a tunnel may come and go: its interface need not be there now */
	for (size_t i = 0; i < n_vpn && *c->vpn_extif != '\0'; i++)
		if (*vpn[i] != '\0' &&
		    add_way(r, ways, "POT_VPN_NETWORKS", c->vpn_extif, vpn[i], e) < 0)
			return -1;
	return 0;
}

int
vnet_check_outside(struct pot_env *env, struct err *e)
{
	autofree struct ipnet *addrs = NULL;
	struct rules r = { .mem = ARENA_INIT };
	struct ip ip;
	size_t n = 0;

	int rc = read_outside(env, &r, e);
	arena_fini(&r.mem);
	if (rc < 0 || *env->conf.extif_addr == '\0')
		return rc;
	if (!ip_parse(env->conf.extif_addr, &ip) || ip.family != AF_INET)
		return err_new(
		    e, ERR_INPUT, "POT_EXTIF_ADDR='%s' is no IPv4 address", env->conf.extif_addr);
	if (*env->conf.extif == '\0')
		return 0;
	if (env->host->netif->addresses(env->host, env->conf.extif, &addrs, &n, e) < 0)
		return err_ctx(e, "POT_EXTIF_ADDR");
	for (size_t i = 0; i < n; i++)
		if (ip_eq(&addrs[i].addr, &ip))
			return 0;
	return err_new(e, ERR_INPUT, "POT_EXTIF_ADDR=%s is no address of %s", env->conf.extif_addr,
	    env->conf.extif);
}

static int
rules_read(struct pot_env *env, const struct nets *n, struct rules *r, struct err *e)
{
	if (bridges_load(env, &r->bridges, e) < 0)
		return -1;
	const char **names = arena_array(&r->mem, r->bridges.all.n + 2, const char *);
	names[0] = env->conf.bridge;
	for (size_t i = 0; i < r->bridges.all.n; i++)
		names[i + 1] = r->bridges.all.at[i].link;
	r->net.bridges = names;
	r->net.net4 = n->net4;
	r->net.isolated = env->conf.isolate_vnet_pots;
	return read_outside(env, r, e);
}

/* own: a private bridge, NULL: the public one. */
static int
network_up(struct pot_env *env, const struct nets *n, const struct bridge *own, struct rules *r,
    bool with6, struct err *e)
{
	struct host *h = env->host;
	const char *link = own != NULL ? own->link : env->conf.bridge;
	struct ipnet addrs[2] = { { .addr = n->gateway4, .prefix = n->net4.prefix },
		{ .addr = n->gateway6, .prefix = n->net6.prefix } };

	if (own != NULL)
		addrs[0] = (struct ipnet){ .addr = own->gateway, .prefix = own->net.prefix };
	int ready = h->filter->ready(h, false, e);

	if (ready < 0)
		return -1;
	r->net.net6 = with6 ? n->net6 : (struct ipnet){ .prefix = 0 };
	if (h->netif->forwarding_enable(h, e) < 0)
		return err_ctx(e, "let packets pass");
	if (h->netif->bridge_ensure(h, link, addrs, with6 && own == NULL ? 2 : 1, e) < 0)
		return err_ctx(e, "bridge %s", link);
	if (h->filter->setup(h, &r->net, e) < 0)
		return err_ctx(e, "address translation");
	return ready > 0 ? 0 : ports_restore(env, e);
}

/* Others' rules are theirs: what stands in the way is told, not changed. */
static void
tell_obstacles(struct pot_env *env)
{
	autonames struct names found = NAMES_INIT;
	struct err ignored = ERR_INIT;

	if (*env->conf.pf_rules_hook != '\0' && !env->host->filter->prints_pf)
		pot_say(env, POT_SAY_INFO,
		    "POT_EXPORT_PORTS_PF_RULES_HOOK is kept, without effect: its rules are not "
		    "in the language of this machine's packet filter, %s",
		    env->host->filter->name);

	if (env->host->filter->obstacles(env->host, &found, &ignored) < 0)
		return;
	for (size_t i = 0; i < found.n; i++)
		pot_say(env, POT_SAY_INFO,
		    "the packet filter's chain '%s' drops what it does not let pass by a rule of "
		    "its own: pots get out, and are reached from outside, only if it accepts "
		    "packets from and to %s",
		    found.at[i], env->conf.bridge);
}

static int
vnet_start(struct pot_env *env, const char *bridge, struct err *e)
{
	autorules struct rules r = RULES_INIT;
	struct err first = ERR_INIT;
	struct bridge own;
	struct nets nets;

	if (need_root("vnet-start", e) < 0 || nets_read(env, &nets, e) < 0)
		return -1;
	autofd int lock = lock_named(env, LOCK_NET, LOCK_WAIT, e);
	if (lock < 0 || (bridge != NULL && bridge_load(env, bridge, &own, e) < 0) ||
	    rules_read(env, &nets, &r, e) < 0)
		return -1;
	const struct bridge *which = bridge != NULL ? &own : NULL;
	bool with6 = nets.net6.addr.family != 0;
	tell_obstacles(env);
	if (network_up(env, &nets, which, &r, with6, &first) == 0)
		return 0;
	if (!with6 || strcmp(env->conf.network_stack, "ipv4") != 0 ||
	    network_up(env, &nets, which, &r, false, e) < 0) {
		*e = first;
		return err_ctx(e, "virtual network");
	}
	pot_say(env, POT_SAY_INFO, "pots have no IPv6 on this machine: %s", first.text);
	return 0;
}

int
pot_vnet_start(struct pot_env *env, struct err *e)
{
	return vnet_start(env, NULL, e);
}

int
pot_vnet_start_private(struct pot_env *env, const char *bridge, struct err *e)
{
	return vnet_start(env, bridge, e);
}

int
pot_vnet_up(struct pot_env *env)
{
	autonetif_bridge struct netif_bridge b = NETIF_BRIDGE_INIT;
	struct err e = ERR_INIT;

	if (env->host->netif->bridge_info(env->host, env->conf.bridge, &b, &e) < 0)
		return e.kind == ERR_RIGHTS ? -1 : 0;
	return b.up ? env->host->filter->ready(env->host, false, &e) : 0;
}

/* The first pot that uses a bridge, or may. */
static int
first_bridged(struct pot_env *env, struct arena *mem, char **name, struct err *e)
{
	struct pot_strs names;

	*name = NULL;
	if (run_names(env, mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n && *name == NULL; i++) {
		struct run r;
		if (run_is_live(env, names.at[i]) == 0)
			continue;
		if (run_read(env, names.at[i], &r, e) < 0 ||
		    ((r.begun & (1u << RUN_NETWORK)) != 0 && r.n_aliases == 0))
			*name = names.at[i];
	}
	return 0;
}

int
pot_vnet_stop(struct pot_env *env, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	autobridges struct bridges bridges = BRIDGES_INIT;
	struct host *h = env->host;
	char *live;

	if (need_root("vnet-stop", e) < 0)
		return -1;
	autofd int lock = lock_named(env, LOCK_NET, LOCK_WAIT, e);
	if (lock < 0 || first_bridged(env, &mem, &live, e) < 0 ||
	    bridges_load(env, &bridges, e) < 0)
		return -1;
	if (live != NULL)
		return err_new(e, ERR_BUSY, "the virtual network is in use by pot %s", live);
	if (h->filter->teardown(h, e) < 0)
		return err_ctx(e, "remove the packet filter's table");
	VEC_FOREACH (const struct bridge *, b, &bridges.all)
		if (h->netif->bridge_remove(h, b->link, e) < 0)
			return -1;
	return h->netif->bridge_remove(h, env->conf.bridge, e);
}
