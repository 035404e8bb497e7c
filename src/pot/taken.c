#include "pot/net.h"
#include "pot/priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/*
 * What is taken. There is no database of addresses beside the pots themselves: taken is what some
 * pot.conf, some bridge file, or an intent (for a pot in the making) says.
 */

void
takens_fini(struct takens *t)
{
	VEC_FINI(&t->ips);
	VEC_FINI(&t->ranges);
	VEC_FINI(&t->macs);
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
take_range(struct takens *t, const char *p, size_t len)
{
	char net[IPNET_TEXT];
	struct ipnet range;

	if (len >= sizeof(net))
		return;
	memcpy(net, p, len);
	net[len] = '\0';
	if (ipnet_parse(net, &range))
		VEC_PUSH(&t->ranges, range);
}

static void
take_lines(void *ctx, const char *by, const char *text, size_t len)
{
	struct takens *t = ctx;

	for (const char *p = text, *end = text + len; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *stop = eol != NULL ? eol : end;
		size_t n = (size_t)(stop - p);
		if (n > 3 && memcmp(p, "ip=", 3) == 0)
			take_words(t, p + 3, stop, by);
		else if (n > 4 && memcmp(p, "ip6=", 4) == 0)
			take_words(t, p + 4, stop, by);
		else if (n > 4 && memcmp(p, "net=", 4) == 0)
			take_range(t, p + 4, n - 4);
		else if (n > 4 && memcmp(p, "mac=", 4) == 0) {
			struct taken_mac m = { .mac = arena_strndup(&t->mem, p + 4, n - 4),
				.by = arena_strdup(&t->mem, by) };
			VEC_PUSH(&t->macs, m);
		}
		p = stop + 1;
	}
}

static int
by_ip(const void *a, const void *b)
{
	return ip_cmp(&((const struct taken *)a)->ip, &((const struct taken *)b)->ip);
}

static void
sort(struct takens *t)
{
	if (t->ips.n > 1)
		qsort(t->ips.at, t->ips.n, sizeof(*t->ips.at), by_ip);
}

void
taken_by_bridge(struct takens *t, const struct ipnet *net, const struct ip *gateway)
{
	struct ip first = ipnet_first(net), last = ipnet_last(net);

	take_ip(t, &first, "the network itself");
	if (net->addr.family == AF_INET)
		take_ip(t, &last, "broadcasts");
	take_ip(t, gateway, "the bridge");
	sort(t);
}

int
takens_read(struct pot_env *env, const struct nets *n, struct takens *t, struct err *e)
{
	static const char *const dirs[][2] = { { "jails", "/conf/pot.conf" }, { ".intents", "" },
		{ "bridges", "" } };
	char path[PATH_SIZE];

	for (size_t i = 0; i < NELEM(dirs); i++)
		if (each_file(path_at(path, "%s/%s", env->conf.fs_root, dirs[i][0]), dirs[i][1],
			take_lines, t, e) < 0)
			return -1;
	/* it is the address of that pot, and of no other */
	if (n->dns.family != 0)
		take_ip(t, &n->dns, env->conf.dns_name);
	if (n->net6.addr.family != 0)
		taken_by_bridge(t, &n->net6, &n->gateway6);
	taken_by_bridge(t, &n->net4, &n->gateway4);
	return 0;
}

const struct taken *
taken_by(const struct takens *t, const struct ip *ip)
{
	for (size_t i = 0; i < t->ips.n; i++)
		if (ip_eq(&t->ips.at[i].ip, ip))
			return &t->ips.at[i];
	return NULL;
}

const struct ipnet *
taken_range(const struct takens *t, const struct ip *ip)
{
	for (size_t i = 0; i < t->ranges.n; i++)
		if (ipnet_contains(&t->ranges.at[i], ip))
			return &t->ranges.at[i];
	return NULL;
}

int
taken_next(const struct takens *t, const struct ipnet *net, const struct ipnet *own, struct ip *out,
    struct err *e)
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
		} else if (own == NULL && (range = taken_range(t, &ip)) != NULL) {
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

/* What lies in the block, or overlaps with it: its last address. */
static bool
obstacle(const struct takens *t, const struct ipnet *block, struct ip *last)
{
	struct ip first = ipnet_first(block);

	for (size_t i = 0; i < t->ranges.n; i++) {
		struct ip start = ipnet_first(&t->ranges.at[i]);
		if (ipnet_contains(&t->ranges.at[i], &first) || ipnet_contains(block, &start)) {
			*last = ipnet_last(&t->ranges.at[i]);
			return true;
		}
	}
	for (size_t i = 0; i < t->ips.n; i++)
		if (ipnet_contains(block, &t->ips.at[i].ip)) {
			*last = t->ips.at[i].ip;
			return true;
		}
	return false;
}

int
taken_block(
    const struct takens *t, const struct ipnet *net, int prefix, struct ipnet *out, struct err *e)
{
	struct ipnet block = { .addr = ipnet_first(net), .prefix = prefix };
	char text[IPNET_TEXT];
	struct ip last;

	while (prefix >= net->prefix && ipnet_contains(net, &block.addr)) {
		if (!obstacle(t, &block, &last)) {
			*out = block;
			return 0;
		}
		/* the block behind the one where the obstacle ends */
		struct ipnet there = { .addr = last, .prefix = prefix };
		block.addr = ipnet_last(&there);
		if (!ip_next(&block.addr))
			break;
	}
	return err_new(e, ERR_FULL, "no block of /%d is free in %s", prefix, ipnet_text(net, text));
}
