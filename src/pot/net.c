#include "base/ip.h"
#include "pot/net.h"
#include "pot/priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Which addresses a pot gets: those that were asked for, if they can be had, else the lowest free
 * ones (taken.c). LOCK_ALLOC is held from looking until the choice is written down.
 */

int
nets_read(struct pot_env *env, struct nets *out, struct err *e)
{
	const struct pot_config *c = &env->conf;
	struct nets n = { 0 };
	struct ip mask;

	if (!ipnet_parse(c->network, &n.net4) || n.net4.addr.family != AF_INET ||
	    n.net4.prefix > 30)
		return err_new(e, ERR_INPUT,
		    "POT_NETWORK='%s': an IPv4 network like 10.192.0.0/10 is needed", c->network);
	if (!ip_parse(c->gateway, &n.gateway4) || !ipnet_contains(&n.net4, &n.gateway4))
		return err_new(e, ERR_INPUT, "POT_GATEWAY='%s' is not an address of POT_NETWORK=%s",
		    c->gateway, c->network);
	if (*c->netmask != '\0' &&
	    (!ip_parse(c->netmask, &mask) || ip_mask_prefix(&mask) != n.net4.prefix))
		return err_new(e, ERR_INPUT, "POT_NETMASK='%s' does not agree with POT_NETWORK=%s",
		    c->netmask, c->network);
	if (*c->network6 != '\0') {
		if (!ipnet_parse(c->network6, &n.net6) || n.net6.addr.family != AF_INET6 ||
		    n.net6.prefix > 120)
			return err_new(e, ERR_INPUT,
			    "POT_NETWORK6='%s': an IPv6 network like fd00::/64 is needed",
			    c->network6);
		if (!ip_parse(c->gateway6, &n.gateway6) || !ipnet_contains(&n.net6, &n.gateway6))
			return err_new(e, ERR_INPUT,
			    "POT_GATEWAY6='%s' is not an address of POT_NETWORK6=%s", c->gateway6,
			    c->network6);
	}
	(void)ip_parse(c->dns_ip, &n.dns);
	*out = n;
	return 0;
}

int
pot_network_check(struct pot_env *env, struct err *e)
{
	struct nets n;

	if (nets_read(env, &n, e) < 0)
		return -1;
	if (n.dns.family != 0 && !ipnet_contains(&n.net4, &n.dns))
		pot_say(env, POT_SAY_INFO, "POT_DNS_IP=%s is outside POT_NETWORK=%s",
		    env->conf.dns_ip, env->conf.network);
	return 0;
}

/* ---- addresses of a bridge ---- */

/* Where the addresses of one bridge come from. */
struct segment {
	struct ipnet net4, net6;
	const struct ipnet *own; /* of a private bridge; NULL: the public one */
};

static int
check_free(const struct segment *g, const struct takens *t, const char *text, const char *for_pot,
    struct ip *out, struct err *e)
{
	struct ip ip;

	if (!ip_parse(text, &ip))
		return err_new(e, ERR_INPUT, "'%s' is no IP address", text);
	const struct ipnet *net = ip.family == AF_INET ? &g->net4 : &g->net6;
	char range[IPNET_TEXT];
	if (net->addr.family == 0)
		return err_new(
		    e, ERR_INPUT, "address %s: there is no network of that family here", text);
	if (!ipnet_contains(net, &ip))
		return err_new(e, ERR_INPUT, "address %s is outside the network of the pots, %s",
		    text, ipnet_text(net, range));
	if (g->own == NULL && taken_range(t, &ip) != NULL)
		return err_new(e, ERR_EXISTS, "address %s belongs to a private bridge", text);
	const struct taken *by = taken_by(t, &ip);
	if (by != NULL && (for_pot == NULL || strcmp(by->by, for_pot) != 0))
		return err_new(e, ERR_EXISTS, "address %s is taken by %s", text, by->by);
	*out = ip;
	return 0;
}

/* All that is taken, and where `bridge` (NULL: the public one) has its addresses. */
static int
segment_read(struct pot_env *env, const char *bridge, struct bridge *b, struct segment *g,
    struct takens *t, struct err *e)
{
	struct nets n;

	if (nets_read(env, &n, e) < 0 || takens_read(env, &n, t, e) < 0)
		return -1;
	*g = (struct segment){ .net4 = n.net4, .net6 = n.net6 };
	if (bridge == NULL)
		return 0;
	if (bridge_load(env, bridge, b, e) < 0)
		return -1;
	taken_by_bridge(t, &b->net, &b->gateway);
	*g = (struct segment){ .net4 = b->net, .own = &b->net };
	return 0;
}

int
pot_address_next(
    struct pot_env *env, const char *bridge, int family, char *out, size_t size, struct err *e)
{
	autotakens struct takens t = TAKENS_INIT;
	char text[IP_TEXT];
	struct segment g;
	struct bridge b;
	struct ip ip;

	if (segment_read(env, bridge, &b, &g, &t, e) < 0)
		return -1;
	const struct ipnet *net = family == 6 ? &g.net6 : &g.net4;
	if (net->addr.family == 0)
		return err_new(e, ERR_INPUT,
		    bridge != NULL ? "private bridges have no IPv6 network"
				   : "POT_NETWORK6 is empty: pots have no IPv6 network");
	if (taken_next(&t, net, g.own, &ip, e) < 0)
		return -1;
	str_copy(out, size, ip_text(&ip, text));
	return 0;
}

int
pot_address_check(
    struct pot_env *env, const char *bridge, const char *text, int *family, struct err *e)
{
	autotakens struct takens t = TAKENS_INIT;
	struct segment g;
	struct bridge b;
	struct ip ip = { 0 };

	if (segment_read(env, bridge, &b, &g, &t, e) < 0 ||
	    check_free(&g, &t, text, NULL, &ip, e) < 0)
		return -1;
	*family = ip.family == AF_INET ? 4 : 6;
	return 0;
}

int
pot_addresses(struct pot_env *env, const char *bridge, struct arena *mem, struct pot_address **out,
    size_t *n, struct err *e)
{
	autotakens struct takens t = TAKENS_INIT;
	char text[IPNET_TEXT];
	struct segment g;
	struct bridge b;

	if (segment_read(env, bridge, &b, &g, &t, e) < 0)
		return -1;
	*out = arena_array(mem, t.ips.n + t.ranges.n + 1, struct pot_address);
	*n = 0;
	for (size_t i = 0; i < t.ips.n; i++) {
		const struct ip *ip = &t.ips.at[i].ip;
		const struct ipnet *net = ip->family == AF_INET ? &g.net4 : &g.net6;
		if (net->addr.family == 0 || !ipnet_contains(net, ip) ||
		    (g.own == NULL && taken_range(&t, ip) != NULL))
			continue;
		(*out)[(*n)++] = (struct pot_address){ .ip = arena_strdup(mem, ip_text(ip, text)),
			.by = arena_strdup(mem, t.ips.at[i].by) };
	}
	for (size_t i = 0; g.own == NULL && i < t.ranges.n; i++)
		(*out)[(*n)++] = (struct pot_address){ .ip = arena_strdup(
							   mem, ipnet_text(&t.ranges.at[i], text)),
			.by = arena_strdup(mem, "a private bridge") };
	return 0;
}

/* ---- choosing for one pot ---- */

static int
place_given(const struct segment *g, const struct takens *t, const char *text, const char *for_pot,
    struct net_choice *c, struct err *e)
{
	bool want4 = c->stack != POT_STACK_IPV6, want6 = c->stack != POT_STACK_IPV4;
	struct ip ip;

	if (check_free(g, t, text, for_pot, &ip, e) < 0)
		return -1;
	char *to = ip.family == AF_INET ? c->ip : c->ip6;
	if (!(ip.family == AF_INET ? want4 : want6))
		return err_new(e, ERR_INPUT,
		    "address %s does not belong to the network stack %s (see -S)", text,
		    pot_stack_text(c->stack));
	if (*to != '\0')
		return err_new(e, ERR_INPUT,
		    "two addresses of one family (%s, %s): one is possible", to, text);
	ip_text(&ip, to);
	return 0;
}

static int
choose_mac(const struct takens *t, const char *for_pot, const char *given, struct net_choice *c,
    struct err *e)
{
	uint8_t mac[6], other[6];
	struct err ignored = ERR_INIT;

	if (given == NULL)
		return 0;
	if (mac_parse(given, mac, e) < 0)
		return -1;
	for (size_t i = 0; i < t->macs.n; i++)
		if (strcmp(t->macs.at[i].by, for_pot) != 0 &&
		    mac_parse(t->macs.at[i].mac, other, &ignored) == 0 &&
		    memcmp(mac, other, sizeof(mac)) == 0)
			return err_new(e, ERR_EXISTS, "MAC address %s is taken by %s", given,
			    t->macs.at[i].by);
	snprintf(c->mac, sizeof(c->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
	    mac[3], mac[4], mac[5]);
	return 0;
}

static int
choose_on_bridge(struct pot_env *env, const char *for_pot, const struct net_want *w,
    struct net_choice *c, struct err *e)
{
	autotakens struct takens t = TAKENS_INIT;
	struct segment g;
	struct bridge b;
	struct ip ip;

	if (segment_read(env, w->net == POT_NET_PRIVATE ? w->bridge : NULL, &b, &g, &t, e) < 0)
		return -1;
	if (c->stack != POT_STACK_IPV4 && g.net6.addr.family == 0)
		return err_new(e, ERR_INPUT, "network stack %s: POT_NETWORK6 is empty",
		    pot_stack_text(c->stack));
	for (size_t i = 0; w->ip != NULL && w->ip[i] != NULL; i++)
		if (strcmp(w->ip[i], "auto") != 0 &&
		    place_given(&g, &t, w->ip[i], for_pot, c, e) < 0)
			return -1;
	if (c->stack != POT_STACK_IPV6 && c->ip[0] == '\0') {
		if (taken_next(&t, &g.net4, g.own, &ip, e) < 0)
			return -1;
		ip_text(&ip, c->ip);
	}
	if (c->stack != POT_STACK_IPV4 && c->ip6[0] == '\0') {
		if (taken_next(&t, &g.net6, g.own, &ip, e) < 0)
			return -1;
		ip_text(&ip, c->ip6);
	}
	return choose_mac(&t, for_pot, w->mac, c, e);
}

static int
choose_private(struct pot_env *env, const char *for_pot, const struct net_want *w,
    struct net_choice *c, struct err *e)
{
	if (w->bridge == NULL)
		return err_new(e, ERR_INPUT,
		    "network type private-bridge: which bridge (-B)? 'pot ls -B' shows those there "
		    "are");
	if (c->stack == POT_STACK_IPV6)
		return err_new(e, ERR_UNSUPPORTED,
		    "private bridges have IPv4 only: not with the network stack ipv6");
	if (c->stack == POT_STACK_DUAL)
		pot_say(
		    env, POT_SAY_INFO, "private bridges have IPv4 only: %s gets no IPv6", for_pot);
	str_copy(c->bridge, sizeof(c->bridge), w->bridge);
	c->stack = POT_STACK_IPV4; /* for what follows; what is stored is another matter */
	return choose_on_bridge(env, for_pot, w, c, e);
}

/* The words as they were given: interfaces that were not named follow POT_EXTIF. */
static int
choose_alias(struct pot_env *env, const struct net_want *w, struct net_choice *c, struct err *e)
{
	autoaliases struct aliases used = ALIASES_INIT;
	autobuf struct buf line = BUF_INIT;

	for (size_t i = 0; w->ip != NULL && w->ip[i] != NULL; i++) {
		struct netif_alias a;
		if (strcmp(w->ip[i], "auto") == 0)
			return err_new(e, ERR_INPUT,
			    "network type alias: its addresses (-i) are yours to choose, not auto");
		if (alias_parse(w->ip[i], &a, e) < 0)
			return -1;
		buf_addf(&line, "%s%s", i > 0 ? " " : "", w->ip[i]);
	}
	if (line.len == 0)
		return err_new(e, ERR_INPUT,
		    "network type alias: -i [INTERFACE|]ADDRESS is needed, once at least");
	if (w->mac != NULL)
		return err_new(e, ERR_INPUT,
		    "network type alias: its interface answers with its own MAC address (-m)");
	if (line.len >= sizeof(c->ip))
		return err_new(e, ERR_INPUT, "too many addresses");
	if (aliases_of(env, buf_str(&line), c->stack, &used, e) < 0)
		return -1;
	str_copy(c->ip, sizeof(c->ip), buf_str(&line));
	return 0;
}

int
net_choose(struct pot_env *env, const char *for_pot, const struct net_want *w,
    struct net_choice *out, struct err *e)
{
	struct net_choice c = { .net = w->net, .stack = w->stack };
	int rc = 0;

	switch (w->net) {
	case POT_NET_INHERIT:
		if (w->mac != NULL)
			return err_new(e, ERR_INPUT,
			    "network type inherit: there is no interface of its own to have a MAC "
			    "address (-m)");
		break;
	case POT_NET_ALIAS:
		rc = choose_alias(env, w, &c, e);
		break;
	case POT_NET_PUBLIC:
		rc = choose_on_bridge(env, for_pot, w, &c, e);
		break;
	case POT_NET_PRIVATE:
		rc = choose_private(env, for_pot, w, &c, e);
		break;
	}
	if (rc < 0)
		return -1;
	*out = c;
	return 0;
}

int
net_complete(struct pot_env *env, struct pot_spec *spec, struct arena *mem, struct err *e)
{
	enum pot_stack stack = pot_spec_stack(env, spec);
	char text[IP_TEXT];

	if (spec->net != POT_NET_PUBLIC || stack == POT_STACK_IPV4 || *spec->ip6 != '\0')
		return 0;
	autofd int alloc = lock_named(env, LOCK_ALLOC, LOCK_WAIT, e);
	autoconf struct conf conf = CONF_INIT(mem);
	if (alloc < 0 || pot_address_next(env, NULL, 6, text, sizeof(text), e) < 0 ||
	    conf_load(&conf, env, spec->name, e) < 0)
		return err_ctx(e, "its IPv6 address");
	conf_set(&conf, "ip6", text);
	spec->ip6 = arena_strdup(mem, text);
	return conf_save(&conf, env, spec->name, e);
}

void
net_store(struct conf *conf, const struct net_choice *c, enum pot_stack stored)
{
	conf_set(conf, "pot.stack", pot_stack_text(stored));
	conf_set(conf, "network_type", pot_net_text(c->net));
	conf_set(conf, "vnet", c->net >= POT_NET_PUBLIC ? "true" : "false");
	conf_set(conf, "ip", c->ip[0] != '\0' ? c->ip : NULL);
	conf_set(conf, "ip6", c->ip6[0] != '\0' ? c->ip6 : NULL);
	conf_set(conf, "mac", c->mac[0] != '\0' ? c->mac : NULL);
	conf_set(conf, "bridge", c->bridge[0] != '\0' ? c->bridge : NULL);
}

char *
hostname_for(struct pot_env *env, const char *pot, struct arena *mem)
{
	char host[256] = "";
	size_t max = env->conf.hostname_max;

	if (gethostname(host, sizeof(host) - 1) == 0 && *host != '\0' &&
	    strlen(pot) + 1 + strlen(host) <= max)
		return arena_printf(mem, "%s.%s", pot, host);
	return arena_strndup(mem, pot, max);
}

int
dns_check(const char *dns, enum pot_dns *kind, const char **file, struct err *e)
{
	*file = NULL;
	if (strcmp(dns, "inherit") == 0)
		*kind = POT_DNS_INHERIT;
	else if (strcmp(dns, "off") == 0)
		*kind = POT_DNS_OFF;
	else if (strcmp(dns, "pot") == 0)
		*kind = POT_DNS_POT;
	else if (str_starts(dns, "custom:")) {
		*kind = POT_DNS_CUSTOM;
		*file = dns + 7;
		if (access(*file, R_OK) < 0)
			return err_sys(e, "resolver file %s", *file);
	} else
		return err_new(
		    e, ERR_INPUT, "dns '%s' is none of inherit, pot, off, custom:FILE", dns);
	return 0;
}
