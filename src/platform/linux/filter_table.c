/* The table of our own: its chains, and what they say. */
#include "base/str.h"
#include "platform/linux/filter_table.h"
#include "platform/linux/links.h"
#include "platform/linux/nft.h"
#include "platform/linux/ops.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	PRIORITY_RAW = -300, /* before connections are tracked */
	PRIORITY_DSTNAT = -100,
	PRIORITY_FILTER = 0,
	PRIORITY_SRCNAT = 100,
	/* nft's numbers of data types, so that its listings show what is meant */
	TYPE_IPV4 = 7,
	TYPE_IPV6 = 8,
	TYPE_PROTO = 12,
	TYPE_SERVICE = 13,
	TYPE_IFNAME = 41,
	TYPE_BITS = 6,
	BRIDGES_ID = 1 /* sets of one transaction are told apart by these; maps: their family */
};
#define BRIDGES	 "bridges"
#define ISOLATED "isolated" /* an empty chain: it tells that the rules isolate */

const char *
filter_map(int family)
{
	return family == AF_INET ? "ports4" : "ports6";
}

void
filter_put_value(struct nl_batch *b, unsigned type, const void *data, size_t len)
{
	size_t nest = nl_nest(b, type);

	nl_put(b, NFTA_DATA_VALUE, data, len);
	nl_nest_end(b, nest);
}

/* ---- the table ---- */

static void
map_message(struct nl_batch *b, const char *table, int family)
{
	nft_message(b, NFT_MSG_NEWSET, NLM_F_CREATE);
	nl_put_str(b, NFTA_SET_TABLE, table);
	nl_put_str(b, NFTA_SET_NAME, filter_map(family));
	nl_put_be32(b, NFTA_SET_FLAGS, NFT_SET_MAP);
	nl_put_be32(b, NFTA_SET_KEY_TYPE, TYPE_PROTO << TYPE_BITS | TYPE_SERVICE);
	nl_put_be32(b, NFTA_SET_KEY_LEN, FILTER_KEY_LEN);
	nl_put_be32(b, NFTA_SET_DATA_TYPE,
	    (family == AF_INET ? TYPE_IPV4 : TYPE_IPV6) << TYPE_BITS | TYPE_SERVICE);
	nl_put_be32(b, NFTA_SET_DATA_LEN, family == AF_INET ? 8 : 20);
	nl_put_be32(b, NFTA_SET_ID, (uint32_t)family);
}

/* The interfaces of all bridges: emptied and filled again in the same transaction. */
static void
bridges_messages(struct nl_batch *b, const char *table, const struct filter_net *n)
{
	size_t list;

	nft_message(b, NFT_MSG_NEWSET, NLM_F_CREATE);
	nl_put_str(b, NFTA_SET_TABLE, table);
	nl_put_str(b, NFTA_SET_NAME, BRIDGES);
	nl_put_be32(b, NFTA_SET_FLAGS, 0);
	nl_put_be32(b, NFTA_SET_KEY_TYPE, TYPE_IFNAME);
	nl_put_be32(b, NFTA_SET_KEY_LEN, IFNAMSIZ);
	nl_put_be32(b, NFTA_SET_ID, BRIDGES_ID);
	nft_message(b, NFT_MSG_DELSETELEM, 0);
	nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_put_str(b, NFTA_SET_ELEM_LIST_SET, BRIDGES);
	nft_message(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
	nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_put_str(b, NFTA_SET_ELEM_LIST_SET, BRIDGES);
	list = nl_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	for (size_t i = 0; n->bridges[i] != NULL; i++) {
		char name[IFNAMSIZ] = "";
		size_t element = nl_nest(b, NFTA_LIST_ELEM);

		memcpy(name, n->bridges[i], strnlen(n->bridges[i], sizeof(name) - 1));
		filter_put_value(b, NFTA_SET_ELEM_KEY, name, sizeof(name));
		nl_nest_end(b, element);
	}
	nl_nest_end(b, list);
}

/* ---- exported ports ---- */

/* Whatever goes to an address of this host, and a port that is exported, goes to the pot. */
static void
dnat_to_pot(struct nft_rule *r, int family)
{
	uint32_t local = RTN_LOCAL;
	struct ipnet loopback6;

	/* The kernel takes no answer for ::1 from a wire: a connection would hang instead of being
	 * refused, and clients that try ::1 first would not go on to 127.0.0.1. */
	(void)ipnet_parse("::1/128", &loopback6);
	if (family == AF_INET6)
		nft_match_net(r, false, false, &loopback6);
	nft_fib_daddr_type(r, NFT_REG_1);
	nft_cmp(r, NFT_REG_1, true, &local, sizeof(local));
	nft_meta(r, NFT_META_L4PROTO, NFT_REG32_00);
	nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_01); /* destination port */
	nft_lookup(r, filter_map(family), NFT_REG32_00, NFT_REG32_00);
	nft_dnat(r, family, NFT_REG32_00, family == AF_INET ? NFT_REG32_01 : NFT_REG32_04);
	nft_rule_end(r);
}

static void
output_rule(struct nl_batch *b, const char *table, int family)
{
	struct nft_rule r = nft_rule(b, table, "output");

	nft_match_family(&r, family);
	dnat_to_pot(&r, family);
}

static void
entry_rules(struct nl_batch *b, const char *table, int family, const struct filter_net *n)
{
	struct nft_rule r;

	for (size_t i = 0; i < n->n_entries; i++) {
		const struct filter_entry_way *w = &n->entries[i];
		struct ipnet one = { .addr = w->address, .prefix = family == AF_INET ? 32 : 128 };

		r = nft_rule(b, table, "prerouting");
		nft_match_family(&r, family);
		nft_match_interface(&r, NFT_META_IIFNAME, true, w->external);
		if (w->address.family == family)
			nft_match_net(&r, false, true, &one);
		dnat_to_pot(&r, family);
	}
	if (n->n_entries > 0) {
		uint32_t aliases = LINK_GROUP_ALIASES;

		/* the pots themselves, and those that have an address of the outside */
		r = nft_rule(b, table, "prerouting");
		nft_match_family(&r, family);
		nft_match_in_set(&r, NFT_META_IIFNAME, BRIDGES, BRIDGES_ID);
		dnat_to_pot(&r, family);
		r = nft_rule(b, table, "prerouting");
		nft_match_family(&r, family);
		nft_meta(&r, NFT_META_IIFGROUP, NFT_REG_1);
		nft_cmp(&r, NFT_REG_1, true, &aliases, sizeof(aliases));
		dnat_to_pot(&r, family);
		return;
	}
	r = nft_rule(b, table, "prerouting");
	nft_match_family(&r, family);
	dnat_to_pot(&r, family);
}

/* ---- the way out ---- */

/* From the pots' network into the world; `way` NULL: by whatever interface. */
static void
way_rule(
    struct nl_batch *b, const char *table, const struct ipnet *net, const struct filter_way *way)
{
	struct nft_rule r;

	if (way != NULL && way->to.addr.family != 0 && way->to.addr.family != net->addr.family)
		return;
	r = nft_rule(b, table, "postrouting");
	nft_match_family(&r, net->addr.family);
	nft_match_net(&r, true, true, net);
	nft_match_net(&r, false, false, net);
	if (way != NULL) {
		nft_match_interface(&r, NFT_META_OIFNAME, true, way->external);
		if (way->to.addr.family != 0)
			nft_match_net(&r, false, true, &way->to);
	}
	if (way != NULL && way->source.family == net->addr.family)
		nft_snat(&r, &way->source);
	else
		nft_masquerade(&r);
	nft_rule_end(&r);
}

static void
postrouting_rules(struct nl_batch *b, const char *table, const struct ipnet *net,
    const struct ipnet *loopback, const struct filter_net *n)
{
	uint32_t dnat = IPS_DST_NAT, zero = 0;
	struct nft_rule r;

	for (size_t i = 0; i < n->n_ways; i++)
		way_rule(b, table, net, &n->ways[i]);
	if (n->n_ways == 0)
		way_rule(b, table, net, NULL);

	/* A pot that reaches another one, or itself, by a port of the host: the answer must come
	 * back this way, or it would not be recognised. */
	r = nft_rule(b, table, "postrouting");
	nft_match_family(&r, net->addr.family);
	nft_match_net(&r, true, true, net);
	nft_match_net(&r, false, true, net);
	nft_ct(&r, NFT_CT_STATUS, NFT_REG_1);
	nft_mask(&r, NFT_REG_1, &dnat, sizeof(dnat));
	nft_cmp(&r, NFT_REG_1, false, &zero, sizeof(zero));
	nft_masquerade(&r);
	nft_rule_end(&r);

	if (loopback == NULL)
		return;
	/* The host itself by its loopback address, which means something else inside the pot. */
	r = nft_rule(b, table, "postrouting");
	nft_match_family(&r, net->addr.family);
	nft_match_net(&r, true, true, loopback);
	nft_match_net(&r, false, true, net);
	nft_masquerade(&r);
	nft_rule_end(&r);
}

/* ---- what is not to pass ---- */

/* The bridges may carry 127.0.0.0/8 for the sake of the rule above; nobody on one may use that to
 * reach what listens on the host's loopback. Answers are not hit: they are still on their way to
 * the bridge's address here. */
static void
guard_rule(struct nl_batch *b, const char *table, const struct ipnet *loopback)
{
	struct nft_rule r = nft_rule(b, table, "guard");

	nft_match_family(&r, AF_INET);
	nft_match_in_set(&r, NFT_META_IIFNAME, BRIDGES, BRIDGES_ID);
	nft_match_net(&r, false, true, loopback);
	nft_drop(&r);
	nft_rule_end(&r);
}

/* From one bridge to another nothing passes but what came by an exported port; between neighbours
 * of one bridge the host is no way round their isolation. */
static void
forward_rules(struct nl_batch *b, const char *table, const struct filter_net *n)
{
	uint32_t dnat = IPS_DST_NAT, zero = 0;

	for (size_t i = 0; n->bridges[i] != NULL; i++)
		for (int same = 0; same <= (n->isolated ? 1 : 0); same++) {
			struct nft_rule r = nft_rule(b, table, "forward");

			nft_match_interface(&r, NFT_META_IIFNAME, true, n->bridges[i]);
			nft_match_interface(&r, NFT_META_OIFNAME, same, n->bridges[i]);
			if (!same)
				nft_match_in_set(&r, NFT_META_OIFNAME, BRIDGES, BRIDGES_ID);
			nft_ct(&r, NFT_CT_STATUS, NFT_REG_1);
			nft_mask(&r, NFT_REG_1, &dnat, sizeof(dnat));
			nft_cmp(&r, NFT_REG_1, true, &zero, sizeof(zero));
			nft_drop(&r);
			nft_rule_end(&r);
		}
}

static void
chain_message(
    struct nl_batch *b, unsigned type, unsigned flags, const char *table, const char *chain)
{
	nft_message(b, type, flags);
	nl_put_str(b, NFTA_CHAIN_TABLE, table);
	nl_put_str(b, NFTA_CHAIN_NAME, chain);
}

static void
table_messages(struct nl_batch *b, const char *table, const struct filter_net *n)
{
	static const struct {
		const char *name, *type;
		unsigned hook;
		int priority;
	} chains[] = {
		{ "guard", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW },
		{ "prerouting", "nat", NF_INET_PRE_ROUTING, PRIORITY_DSTNAT },
		{ "output", "nat", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT },
		{ "postrouting", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT },
		{ "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER },
	};
	static const int families[] = { AF_INET, AF_INET6 };
	struct ipnet loopback4;

	(void)ipnet_parse("127.0.0.0/8", &loopback4);
	nft_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, table);
	for (size_t i = 0; i < NELEM(chains); i++) {
		nft_base_chain(
		    b, table, chains[i].name, chains[i].type, chains[i].hook, chains[i].priority);
		nft_flush_chain(b, table, chains[i].name);
	}
	chain_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, table, ISOLATED);
	if (!n->isolated)
		chain_message(b, NFT_MSG_DELCHAIN, 0, table, ISOLATED);
	bridges_messages(b, table, n);
	for (size_t i = 0; i < NELEM(families); i++) {
		map_message(b, table, families[i]);
		entry_rules(b, table, families[i], n);
		output_rule(b, table, families[i]);
	}
	if (n->net4.addr.family != 0)
		postrouting_rules(b, table, &n->net4, &loopback4, n);
	if (n->net6.addr.family != 0)
		postrouting_rules(b, table, &n->net6, NULL, n);
	guard_rule(b, table, &loopback4);
	forward_rules(b, table, n);
}

int
filter_setup(struct host *h, const struct filter_net *n, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	char path[64];

	nft_begin(&b);
	table_messages(&b, h->roots.table, n);
	if (nft_commit(&b, NULL, e) < 0)
		return err_ctx(e, "set up the nftables table %s", h->roots.table);
	/* With the guard in place packets from 127.0.0.1 may leave by the bridges. */
	for (size_t i = 0; n->bridges[i] != NULL; i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%.15s/route_localnet",
		    n->bridges[i]);
		if (access(path, F_OK) == 0 && sysctl_set(path, "1", e) < 0)
			return err_ctx(e, "let 127.0.0.1 reach the bridge %s", n->bridges[i]);
	}
	return 0;
}

static int
ignore_answer(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	(void)h, (void)ctx, (void)e;
	return 0;
}

int
filter_ready(struct host *h, bool isolated, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;

	if (isolated)
		chain_message(&b, NFT_MSG_GETCHAIN, NLM_F_ACK, h->roots.table, ISOLATED);
	else
		nft_table(&b, NFT_MSG_GETTABLE, NLM_F_ACK, h->roots.table);
	if (nft_dump(&b, ignore_answer, NULL, e) == 0)
		return 1;
	return e->kind == ERR_ABSENT ? 0
				     : err_ctx(e, "look for the nftables table %s", h->roots.table);
}

struct obstacles_read {
	const char *own;
	struct names *out;
};

static int
look_at_chain(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct obstacles_read *r = ctx;
	const struct nfgenmsg *g = NLMSG_DATA(h);
	const struct nlattr *a[NFTA_CHAIN_MAX + 1], *hook[NFTA_HOOK_MAX + 1];
	const char *family = g->nfgen_family == NFPROTO_IPV4   ? "ip"
			     : g->nfgen_family == NFPROTO_IPV6 ? "ip6"
			     : g->nfgen_family == NFPROTO_INET ? "inet"
							       : NULL;
	char table[128], chain[128], text[280];

	(void)e;
	if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN) || family == NULL)
		return 0;
	nl_attrs((const char *)h + NLMSG_SPACE(sizeof(struct nfgenmsg)),
	    h->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)), a, NFTA_CHAIN_MAX);
	if (a[NFTA_CHAIN_HOOK] == NULL || a[NFTA_CHAIN_POLICY] == NULL ||
	    ntohl(nl_attr_u32(a[NFTA_CHAIN_POLICY])) != NF_DROP)
		return 0;
	nl_attrs(
	    nl_attr_data(a[NFTA_CHAIN_HOOK]), nl_attr_len(a[NFTA_CHAIN_HOOK]), hook, NFTA_HOOK_MAX);
	nl_attr_text(a[NFTA_CHAIN_TABLE], table, sizeof(table));
	nl_attr_text(a[NFTA_CHAIN_NAME], chain, sizeof(chain));
	if (hook[NFTA_HOOK_HOOKNUM] == NULL ||
	    ntohl(nl_attr_u32(hook[NFTA_HOOK_HOOKNUM])) != NF_INET_FORWARD || str_eq(table, r->own))
		return 0;
	snprintf(text, sizeof(text), "%s %s %s", family, table, chain);
	names_add(r->out, text);
	return 0;
}

int
filter_obstacles(struct host *h, struct names *out, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	struct obstacles_read r = { .own = h->roots.table, .out = out };
	struct nfgenmsg any = { .nfgen_family = NFPROTO_UNSPEC };

	nl_message(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, NLM_F_DUMP, &any, sizeof(any));
	return nft_dump(&b, look_at_chain, &r, e);
}

int
filter_teardown(struct host *h, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;

	nft_begin(&b);
	nft_table(&b, NFT_MSG_DELTABLE, 0, h->roots.table);
	if (nft_commit(&b, NULL, e) < 0 && e->kind != ERR_ABSENT)
		return err_ctx(e, "remove the nftables table %s", h->roots.table);
	return 0;
}
