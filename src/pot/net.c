#include "base/ip.h"
#include "pot/net.h"
#include "pot/priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Addresses. There is no database of them beside the pots themselves: taken is what some pot.conf
 * (or an intent, for a pot in the making) says, and the lowest free one is next. LOCK_ALLOC is held
 * from looking until the choice is written down.
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

/* ---- what is taken ---- */

struct taken {
	struct ip ip;
	char *by;
};
struct takens {
	VEC(struct taken) ips;
	VEC(struct ipnet) ranges; /* of private bridges */
	struct arena mem;
};

static void
takens_fini(struct takens *t)
{
	VEC_FINI(&t->ips);
	VEC_FINI(&t->ranges);
	arena_fini(&t->mem);
}

static void
take_ip(struct takens *t, const struct ip *ip, const char *by)
{
	struct taken one = { .ip = *ip, .by = arena_strdup(&t->mem, by) };

	VEC_PUSH(&t->ips, one);
}

/* Every address of a line like "10.192.0.3" or "em0|10.0.0.1 em0|10.0.0.2". */
static void
take_words(struct takens *t, const char *p, const char *end, const char *by)
{
	char word[IP_TEXT];
	struct ip ip;

	while (p < end) {
		while (p < end && strchr(" \t|\"", *p) != NULL)
			p++;
		const char *start = p;
		while (p < end && strchr(" \t|\"", *p) == NULL)
			p++;
		size_t n = (size_t)(p - start);
		if (n == 0 || n >= sizeof(word))
			continue;
		memcpy(word, start, n);
		word[n] = '\0';
		if (ip_parse(word, &ip))
			take_ip(t, &ip, by);
	}
}

static void
take_lines(struct takens *t, const char *text, size_t len, const char *by)
{
	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *stop = eol != NULL ? eol : end;
		struct ipnet range;
		if (stop - p > 3 && memcmp(p, "ip=", 3) == 0)
			take_words(t, p + 3, stop, by);
		else if (stop - p > 4 && memcmp(p, "ip6=", 4) == 0)
			take_words(t, p + 4, stop, by);
		else if (stop - p > 4 && memcmp(p, "net=", 4) == 0 && stop - p < 4 + IPNET_TEXT) {
			char net[IPNET_TEXT];
			memcpy(net, p + 4, (size_t)(stop - p - 4));
			net[stop - p - 4] = '\0';
			if (ipnet_parse(net, &range))
				VEC_PUSH(&t->ranges, range);
		}
		p = stop + 1;
	}
}

static void
take_conf(void *ctx, const char *name, const char *text, size_t len)
{
	take_lines(ctx, text, len, name);
}

static int
by_ip(const void *a, const void *b)
{
	return ip_cmp(&((const struct taken *)a)->ip, &((const struct taken *)b)->ip);
}

static int
takens_read(struct pot_env *env, const struct nets *n, struct takens *t, struct err *e)
{
	static const char *const dirs[][2] = { { "jails", "/conf/pot.conf" }, { ".intents", "" },
		{ "bridges", "" } };
	char path[PATH_SIZE];

	for (size_t i = 0; i < NELEM(dirs); i++)
		if (each_file(path_at(path, "%s/%s", env->conf.fs_root, dirs[i][0]), dirs[i][1],
			take_conf, t, e) < 0)
			return -1;
	struct ip first4 = ipnet_first(&n->net4), last4 = ipnet_last(&n->net4);
	take_ip(t, &first4, "the network itself");
	take_ip(t, &last4, "broadcasts");
	take_ip(t, &n->gateway4, "the bridge");
	if (n->dns.family != 0)
		take_ip(t, &n->dns, "the DNS pot (POT_DNS_IP)");
	if (n->net6.addr.family != 0) {
		struct ip first6 = ipnet_first(&n->net6);
		take_ip(t, &first6, "the network itself");
		take_ip(t, &n->gateway6, "the bridge");
	}
	qsort(t->ips.at, t->ips.n, sizeof(*t->ips.at), by_ip);
	return 0;
}

static const struct taken *
taken_by(const struct takens *t, const struct ip *ip)
{
	for (size_t i = 0; i < t->ips.n; i++)
		if (ip_eq(&t->ips.at[i].ip, ip))
			return &t->ips.at[i];
	return NULL;
}

static const struct ipnet *
in_range(const struct takens *t, const struct ip *ip)
{
	for (size_t i = 0; i < t->ranges.n; i++)
		if (ipnet_contains(&t->ranges.at[i], ip))
			return &t->ranges.at[i];
	return NULL;
}

static int
lowest_free(const struct takens *t, const struct ipnet *net, struct ip *out, struct err *e)
{
	char text[IPNET_TEXT];
	struct ip ip = ipnet_first(net);
	size_t i = 0;

	for (bool more = true; more && ipnet_contains(net, &ip);) {
		const struct ipnet *range;
		while (i < t->ips.n && ip_cmp(&t->ips.at[i].ip, &ip) < 0)
			i++;
		if (i < t->ips.n && ip_eq(&t->ips.at[i].ip, &ip)) {
			more = ip_next(&ip);
		} else if ((range = in_range(t, &ip)) != NULL) {
			ip = ipnet_last(range);
			more = ip_next(&ip);
		} else {
			*out = ip;
			return 0;
		}
	}
	return err_new(e, ERR_FULL,
	    "no address of %s is free; 'pot prune' or 'pot destroy' frees some",
	    ipnet_text(net, text));
}

static int
check_free(const struct nets *n, const struct takens *t, const char *text, const char *for_pot,
    struct ip *out, struct err *e)
{
	struct ip ip;

	if (!ip_parse(text, &ip))
		return err_new(e, ERR_INPUT, "'%s' is no IP address", text);
	const struct ipnet *net = ip.family == AF_INET ? &n->net4 : &n->net6;
	char range[IPNET_TEXT];
	if (net->addr.family == 0 || !ipnet_contains(net, &ip))
		return err_new(e, ERR_INPUT, "address %s is outside the network of the pots, %s",
		    text, ipnet_text(net, range));
	if (in_range(t, &ip) != NULL)
		return err_new(e, ERR_EXISTS, "address %s belongs to a private bridge", text);
	const struct taken *by = taken_by(t, &ip);
	if (by != NULL && (for_pot == NULL || strcmp(by->by, for_pot) != 0))
		return err_new(e, ERR_EXISTS, "address %s is taken by %s", text, by->by);
	*out = ip;
	return 0;
}

int
pot_address_next(struct pot_env *env, int family, char *out, size_t size, struct err *e)
{
	CLEANUP(takens_fini)
	struct takens t = { .ips = VEC_INIT, .ranges = VEC_INIT, .mem = ARENA_INIT };
	char text[IP_TEXT];
	struct nets n;
	struct ip ip;

	if (nets_read(env, &n, e) < 0 || takens_read(env, &n, &t, e) < 0)
		return -1;
	const struct ipnet *net = family == 6 ? &n.net6 : &n.net4;
	if (net->addr.family == 0)
		return err_new(e, ERR_INPUT, "POT_NETWORK6 is empty: pots have no IPv6 network");
	if (lowest_free(&t, net, &ip, e) < 0)
		return -1;
	str_copy(out, size, ip_text(&ip, text));
	return 0;
}

int
pot_address_check(struct pot_env *env, const char *text, int *family, struct err *e)
{
	CLEANUP(takens_fini)
	struct takens t = { .ips = VEC_INIT, .ranges = VEC_INIT, .mem = ARENA_INIT };
	struct nets n;
	struct ip ip;

	if (nets_read(env, &n, e) < 0 || takens_read(env, &n, &t, e) < 0 ||
	    check_free(&n, &t, text, NULL, &ip, e) < 0)
		return -1;
	*family = ip.family == AF_INET ? 4 : 6;
	return 0;
}

/* ---- choosing for one pot ---- */

static int
place_given(const struct nets *n, const struct takens *t, const char *text, const char *for_pot,
    struct net_choice *c, struct err *e)
{
	bool want4 = c->stack != POT_STACK_IPV6, want6 = c->stack != POT_STACK_IPV4;
	struct ip ip;

	if (check_free(n, t, text, for_pot, &ip, e) < 0)
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
choose_public(struct pot_env *env, const char *for_pot, const char *const *given,
    struct net_choice *c, struct err *e)
{
	CLEANUP(takens_fini)
	struct takens t = { .ips = VEC_INIT, .ranges = VEC_INIT, .mem = ARENA_INIT };
	struct nets n;
	struct ip ip;

	if (nets_read(env, &n, e) < 0 || takens_read(env, &n, &t, e) < 0)
		return -1;
	if (c->stack != POT_STACK_IPV4 && n.net6.addr.family == 0)
		return err_new(e, ERR_INPUT, "network stack %s: POT_NETWORK6 is empty",
		    pot_stack_text(c->stack));
	for (size_t i = 0; given != NULL && given[i] != NULL; i++)
		if (strcmp(given[i], "auto") != 0 &&
		    place_given(&n, &t, given[i], for_pot, c, e) < 0)
			return -1;
	if (c->stack != POT_STACK_IPV6 && c->ip[0] == '\0') {
		if (lowest_free(&t, &n.net4, &ip, e) < 0)
			return -1;
		ip_text(&ip, c->ip);
	}
	if (c->stack != POT_STACK_IPV4 && c->ip6[0] == '\0') {
		if (lowest_free(&t, &n.net6, &ip, e) < 0)
			return -1;
		ip_text(&ip, c->ip6);
	}
	return 0;
}

int
net_choose(struct pot_env *env, const char *for_pot, enum pot_net net, enum pot_stack stack,
    const char *const *given, struct net_choice *out, struct err *e)
{
	struct net_choice c = { .net = net, .stack = stack };

	if (net == POT_NET_ALIAS || net == POT_NET_PRIVATE)
		return err_new(e, ERR_UNSUPPORTED,
		    "network type %s comes later; inherit and public-bridge are there",
		    pot_net_text(net));
	if (net == POT_NET_PUBLIC && choose_public(env, for_pot, given, &c, e) < 0)
		return -1;
	*out = c;
	return 0;
}

void
net_store(struct conf *conf, const struct net_choice *c, enum pot_stack stored)
{
	conf_set(conf, "pot.stack", pot_stack_text(stored));
	conf_set(conf, "network_type", pot_net_text(c->net));
	conf_set(conf, "vnet", c->net >= POT_NET_PUBLIC ? "true" : "false");
	conf_set(conf, "ip", c->ip[0] != '\0' ? c->ip : NULL);
	conf_set(conf, "ip6", c->ip6[0] != '\0' ? c->ip6 : NULL);
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
