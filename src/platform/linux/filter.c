#include "base/str.h"
#include "base/vec.h"
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
	ELEMENTS_PER_MESSAGE = 128,
	DUMP_TRIES = 8,
	COMMENT = 0,   /* type of the user data that nft shows as comment */
	BRIDGES_ID = 1 /* sets of one transaction are told apart by these; maps: their family */
};
#define BRIDGES "bridges"

/* The map's key: protocol and port, each in a register of 4 bytes. */
struct key {
	uint8_t proto, pad1[3];
	uint16_t port_be, pad2;
};

static const char *
map_name(int family)
{
	return family == AF_INET ? "ports4" : "ports6";
}

static void
put_value(struct nl_batch *b, unsigned type, const void *data, size_t len)
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
	nl_put_str(b, NFTA_SET_NAME, map_name(family));
	nl_put_be32(b, NFTA_SET_FLAGS, NFT_SET_MAP);
	nl_put_be32(b, NFTA_SET_KEY_TYPE, TYPE_PROTO << TYPE_BITS | TYPE_SERVICE);
	nl_put_be32(b, NFTA_SET_KEY_LEN, sizeof(struct key));
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
		put_value(b, NFTA_SET_ELEM_KEY, name, sizeof(name));
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
	nft_lookup(r, map_name(family), NFT_REG32_00, NFT_REG32_00);
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

		if (w->address.family != 0 && w->address.family != family)
			continue;
		r = nft_rule(b, table, "prerouting");
		nft_match_family(&r, family);
		nft_match_interface(&r, NFT_META_IIFNAME, true, w->external);
		if (w->address.family != 0)
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

static int
linux_setup(struct host *h, const struct filter_net *n, struct err *e)
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

static int
linux_ready(struct host *h, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;

	nft_table(&b, NFT_MSG_GETTABLE, NLM_F_ACK, h->roots.table);
	if (nft_dump(&b, ignore_answer, NULL, e) == 0)
		return 1;
	return e->kind == ERR_ABSENT ? 0
				     : err_ctx(e, "look for the nftables table %s", h->roots.table);
}

static int
linux_teardown(struct host *h, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;

	nft_begin(&b);
	nft_table(&b, NFT_MSG_DELTABLE, 0, h->roots.table);
	if (nft_commit(&b, NULL, e) < 0 && e->kind != ERR_ABSENT)
		return err_ctx(e, "remove the nftables table %s", h->roots.table);
	return 0;
}

/* ---- ports: reading ---- */

struct ports_read {
	int family;
	VEC(struct filter_entry) all;
};

/* The run id from the user data: type, length, text with NUL. */
static void
read_comment(const struct nlattr *user, char run[RUN_ID_TEXT])
{
	const uint8_t *at;
	size_t len;

	run[0] = '\0';
	if (user == NULL)
		return;
	at = nl_attr_data(user);
	for (len = nl_attr_len(user); len >= 2 && at[1] <= len - 2;
	     len -= 2u + at[1], at += 2 + at[1]) {
		if (at[0] == COMMENT && at[1] == RUN_ID_TEXT && at[2 + RUN_ID_TEXT - 1] == '\0') {
			memcpy(run, at + 2, RUN_ID_TEXT);
			return;
		}
	}
}

static const struct nlattr *
data_value(const struct nlattr *a, size_t len)
{
	const struct nlattr *data[NFTA_DATA_MAX + 1];

	if (a == NULL)
		return NULL;
	nl_attrs(nl_attr_data(a), nl_attr_len(a), data, NFTA_DATA_MAX);
	return data[NFTA_DATA_VALUE] != NULL && nl_attr_len(data[NFTA_DATA_VALUE]) >= len
		   ? data[NFTA_DATA_VALUE]
		   : NULL;
}

static void
read_element(struct ports_read *r, const struct nlattr *element)
{
	const struct nlattr *a[NFTA_SET_ELEM_MAX + 1], *key, *data;
	struct filter_entry f = { .port.to.family = r->family };
	size_t addr = ip_size(&f.port.to);
	struct key k;
	uint16_t port_be;

	nl_attrs(nl_attr_data(element), nl_attr_len(element), a, NFTA_SET_ELEM_MAX);
	key = data_value(a[NFTA_SET_ELEM_KEY], sizeof(k));
	data = data_value(a[NFTA_SET_ELEM_DATA], addr + sizeof(port_be));
	if (key == NULL || data == NULL)
		return;
	memcpy(&k, nl_attr_data(key), sizeof(k));
	memcpy(f.port.to.bytes, nl_attr_data(data), addr);
	memcpy(&port_be, (const char *)nl_attr_data(data) + addr, sizeof(port_be));
	f.port.proto = k.proto;
	f.port.host_port = ntohs(k.port_be);
	f.port.pot_port = ntohs(port_be);
	read_comment(a[NFTA_SET_ELEM_USERDATA], f.run);
	VEC_PUSH(&r->all, f);
}

static int
read_elements(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct ports_read *r = ctx;
	const struct nlattr *a[NFTA_SET_ELEM_LIST_MAX + 1];
	const char *at;
	size_t left;

	(void)e;
	if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM))
		return 0;
	nl_attrs((const char *)h + NLMSG_SPACE(sizeof(struct nfgenmsg)),
	    h->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)), a, NFTA_SET_ELEM_LIST_MAX);
	if (a[NFTA_SET_ELEM_LIST_ELEMENTS] == NULL)
		return 0;
	at = nl_attr_data(a[NFTA_SET_ELEM_LIST_ELEMENTS]);
	left = nl_attr_len(a[NFTA_SET_ELEM_LIST_ELEMENTS]);
	while (left >= NLA_HDRLEN) {
		const struct nlattr *element = (const void *)at;
		size_t step = NLA_ALIGN((size_t)element->nla_len);

		if (element->nla_len < NLA_HDRLEN || element->nla_len > left)
			break;
		read_element(r, element);
		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	return 0;
}

static int
read_map(const char *table, struct ports_read *r, struct err *e)
{
	size_t before = r->all.n;

	for (int tries = 0;; tries++) {
		autonl struct nl_batch b = NL_BATCH_INIT;

		r->all.n = before;
		nft_message(&b, NFT_MSG_GETSETELEM, NLM_F_DUMP);
		nl_put_str(&b, NFTA_SET_ELEM_LIST_TABLE, table);
		nl_put_str(&b, NFTA_SET_ELEM_LIST_SET, map_name(r->family));
		if (nft_dump(&b, read_elements, r, e) == 0 || e->kind == ERR_ABSENT)
			return 0;
		if (e->kind != ERR_BUSY || tries >= DUMP_TRIES)
			return err_ctx(e, "list the exported ports");
	}
}

static int
linux_ports(struct host *h, struct filter_entries *out, struct err *e)
{
	struct ports_read r = { .family = AF_INET };

	if (read_map(h->roots.table, &r, e) == 0) {
		r.family = AF_INET6;
		if (read_map(h->roots.table, &r, e) == 0) {
			out->at = r.all.at;
			out->n = r.all.n;
			return 0;
		}
	}
	VEC_FINI(&r.all);
	return -1;
}

/* ---- ports: changing ---- */

/* run NULL: the key alone, for removal. */
static void
put_element(struct nl_batch *b, const struct filter_port *p, const char *run)
{
	struct key k = { .proto = (uint8_t)p->proto, .port_be = htons(p->host_port) };
	size_t element = nl_nest(b, NFTA_LIST_ELEM), addr = ip_size(&p->to);
	uint16_t port_be = htons(p->pot_port);
	uint8_t data[20] = { 0 }, comment[2 + RUN_ID_TEXT] = { COMMENT, RUN_ID_TEXT };

	put_value(b, NFTA_SET_ELEM_KEY, &k, sizeof(k));
	if (run != NULL) {
		memcpy(data, p->to.bytes, addr);
		memcpy(data + addr, &port_be, sizeof(port_be));
		put_value(b, NFTA_SET_ELEM_DATA, data, addr + 4);
		memcpy(comment + 2, run, strnlen(run, RUN_ID_TEXT - 1));
		nl_put(b, NFTA_SET_ELEM_USERDATA, comment, sizeof(comment));
	}
	nl_nest_end(b, element);
}

/* Messages for all ports of one family. */
static void
element_messages(struct nl_batch *b, const char *table, unsigned type, unsigned flags, int family,
    const struct filter_port *ports, size_t n, const char *run)
{
	size_t list = 0, in_message = 0;

	for (size_t i = 0; i < n; i++) {
		if (ports[i].to.family != family)
			continue;
		if (in_message == 0) {
			nft_message(b, type, flags);
			nl_put_str(b, NFTA_SET_ELEM_LIST_TABLE, table);
			nl_put_str(b, NFTA_SET_ELEM_LIST_SET, map_name(family));
			list = nl_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
		}
		put_element(b, &ports[i], run);
		if (++in_message == ELEMENTS_PER_MESSAGE) {
			nl_nest_end(b, list);
			in_message = 0;
		}
	}
	if (in_message > 0)
		nl_nest_end(b, list);
}

static int
change(const char *table, unsigned type, unsigned flags, const struct filter_port *ports, size_t n,
    const char *run, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;

	nft_begin(&b);
	element_messages(&b, table, type, flags, AF_INET, ports, n, run);
	element_messages(&b, table, type, flags, AF_INET6, ports, n, run);
	return nft_commit(&b, NULL, e);
}

static const char *
proto_name(int proto)
{
	return proto == IPPROTO_UDP ? "udp" : "tcp";
}

static int
check_ports(const char *run, const struct filter_port *ports, size_t n, struct err *e)
{
	if (strlen(run) != RUN_ID_TEXT - 1)
		return err_new(e, ERR_INPUT, "'%s' is not a run id", run);
	for (size_t i = 0; i < n; i++) {
		if ((ports[i].proto != IPPROTO_TCP && ports[i].proto != IPPROTO_UDP) ||
		    ports[i].host_port == 0 || ports[i].pot_port == 0 || ip_size(&ports[i].to) == 0)
			return err_new(e, ERR_INPUT,
			    "export of port %d: needs tcp or udp, two ports from 1 to 65535 and an "
			    "address",
			    ports[i].host_port);
		for (size_t k = 0; k < i; k++)
			if (ports[k].proto == ports[i].proto &&
			    ports[k].host_port == ports[i].host_port &&
			    ports[k].to.family == ports[i].to.family)
				return err_new(e, ERR_INPUT, "host port %d/%s is exported twice",
				    ports[i].host_port, proto_name(ports[i].proto));
	}
	return 0;
}

/* Takes out of `ports` what this run has exported already. An error names who else holds a port. */
static int
leave_missing(struct host *h, const char *run, struct filter_port *ports, size_t *n, struct err *e)
{
	autofilter_entries struct filter_entries held = FILTER_ENTRIES_INIT;
	size_t missing = 0;

	if (linux_ports(h, &held, e) < 0)
		return -1;
	for (size_t i = 0; i < *n; i++) {
		const struct filter_entry *by = NULL;

		for (size_t k = 0; k < held.n && by == NULL; k++)
			if (held.at[k].port.proto == ports[i].proto &&
			    held.at[k].port.host_port == ports[i].host_port &&
			    held.at[k].port.to.family == ports[i].to.family)
				by = &held.at[k];
		if (by == NULL)
			ports[missing++] = ports[i];
		else if (!str_eq(by->run, run) || !ip_eq(&by->port.to, &ports[i].to) ||
			 by->port.pot_port != ports[i].pot_port)
			return err_new(e, ERR_EXISTS,
			    "host port %d/%s is exported already, by run %s", ports[i].host_port,
			    proto_name(ports[i].proto), by->run[0] ? by->run : "(unknown)");
	}
	*n = missing;
	return 0;
}

static int
linux_ports_add(
    struct host *h, const char *run, const struct filter_port *ports, size_t n, struct err *e)
{
	autofree struct filter_port *missing = NULL;
	size_t n_missing = n;

	if (n == 0)
		return 0;
	if (check_ports(run, ports, n, e) < 0)
		return -1;
	if (change(h->roots.table, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, ports, n, run,
		e) == 0) {
		conntrack_forget(ports, n, true);
		return 0;
	}
	if (e->kind == ERR_ABSENT)
		return err_new(e, ERR_ABSENT,
		    "export ports: there is no nftables table %s: run pot vnet-start",
		    h->roots.table);
	if (e->kind != ERR_EXISTS)
		return err_ctx(e, "export ports of run %s", run);
	missing = xcalloc(n, sizeof(*missing));
	memcpy(missing, ports, n * sizeof(*missing));
	if (leave_missing(h, run, missing, &n_missing, e) < 0)
		return -1;
	if (n_missing > 0 && change(h->roots.table, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL,
				 missing, n_missing, run, e) < 0)
		return err_ctx(e, "export ports of run %s", run);
	return 0;
}

/* 1: nothing was left to remove. */
static int
remove_once(struct host *h, const char *run, struct err *e)
{
	autofilter_entries struct filter_entries held = FILTER_ENTRIES_INIT;
	autofree struct filter_port *own = NULL;
	size_t n = 0;

	if (linux_ports(h, &held, e) < 0)
		return -1;
	own = xcalloc(held.n, sizeof(*own));
	for (size_t i = 0; i < held.n; i++)
		if (str_eq(held.at[i].run, run))
			own[n++] = held.at[i].port;
	if (n == 0)
		return 1;
	if (change(h->roots.table, NFT_MSG_DELSETELEM, 0, own, n, NULL, e) < 0)
		return -1;
	conntrack_forget(own, n, false);
	return 0;
}

static int
linux_ports_remove(struct host *h, const char *run, struct err *e)
{
	int done = remove_once(h, run, e);

	/* Somebody who removes the same at the same time makes the transaction fail: look again. */
	for (int tries = 0; done < 0 && e->kind == ERR_ABSENT && tries < DUMP_TRIES; tries++)
		done = remove_once(h, run, e);
	return done < 0 ? err_ctx(e, "take back the ports of run %s", run) : 0;
}

static int
linux_probe(struct host *h, struct err *e)
{
	return linux_ready(h, e) < 0 ? -1 : 0;
}

const struct filter_ops filter_linux = {
	.name = "nftables",
	.probe = linux_probe,
	.setup = linux_setup,
	.ready = linux_ready,
	.teardown = linux_teardown,
	.ports_add = linux_ports_add,
	.ports_remove = linux_ports_remove,
	.ports = linux_ports,
};
