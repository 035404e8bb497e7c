#include "base/str.h"
#include "base/vec.h"
#include "platform/linux/filter_table.h"
#include "platform/linux/ops.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
	ELEMENTS_PER_MESSAGE = 128,
	DUMP_TRIES = 8,
	COMMENT = 0 /* type of the user data that nft shows as comment */
};

/* The map's key: protocol and port, each in a register of 4 bytes. */
struct key {
	uint8_t proto, pad1[3];
	uint16_t port_be, pad2;
};

_Static_assert(sizeof(struct key) == FILTER_KEY_LEN, "as the maps have it");

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
		nl_put_str(&b, NFTA_SET_ELEM_LIST_SET, filter_map(r->family));
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

	filter_put_value(b, NFTA_SET_ELEM_KEY, &k, sizeof(k));
	if (run != NULL) {
		memcpy(data, p->to.bytes, addr);
		memcpy(data + addr, &port_be, sizeof(port_be));
		filter_put_value(b, NFTA_SET_ELEM_DATA, data, addr + 4);
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
			nl_put_str(b, NFTA_SET_ELEM_LIST_SET, filter_map(family));
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
	return filter_ready(h, false, e) < 0 ? -1 : 0;
}

const struct filter_ops filter_linux = {
	.name = "nftables",
	.probe = linux_probe,
	.setup = filter_setup,
	.ready = filter_ready,
	.obstacles = filter_obstacles,
	.teardown = filter_teardown,
	.ports_add = linux_ports_add,
	.ports_remove = linux_ports_remove,
	.ports = linux_ports,
};
