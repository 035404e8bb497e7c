/*
 * What the kernel remembers of conversations. A datagram belongs to the conversation that its
 * addresses and ports belong to, and rules are asked for the first one alone: somebody who goes on
 * sending to a port would reach nobody although a pot came, or a pot that is gone.
 */
#include "base/buf.h"
#include "platform/linux/nft.h"
#include "platform/linux/ops.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

struct forget {
	const struct filter_port *ports;
	size_t n;
	bool come; /* the ports are new; else they go */
	int family;
	struct buf tuples; /* each: its length as size_t, then the attributes of CTA_TUPLE_ORIG */
};

/* One side of a conversation. */
struct side {
	struct ip from, to;
	uint8_t proto;
	uint16_t from_port, to_port;
};

static uint16_t
port_of(const struct nlattr *a)
{
	uint16_t be = 0;

	if (a != NULL && nl_attr_len(a) == sizeof(be))
		memcpy(&be, nl_attr_data(a), sizeof(be));
	return ntohs(be);
}

static void
address_of(const struct nlattr *a, int family, struct ip *out)
{
	*out = (struct ip){ .family = family };
	if (a != NULL && nl_attr_len(a) == ip_size(out))
		memcpy(out->bytes, nl_attr_data(a), ip_size(out));
}

static bool
read_side(const struct nlattr *tuple, int family, struct side *out)
{
	const struct nlattr *t[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *p[CTA_PROTO_MAX + 1];
	bool four = family == AF_INET;

	if (tuple == NULL)
		return false;
	nl_attrs(nl_attr_data(tuple), nl_attr_len(tuple), t, CTA_TUPLE_MAX);
	if (t[CTA_TUPLE_IP] == NULL || t[CTA_TUPLE_PROTO] == NULL)
		return false;
	nl_attrs(nl_attr_data(t[CTA_TUPLE_IP]), nl_attr_len(t[CTA_TUPLE_IP]), ip, CTA_IP_MAX);
	nl_attrs(
	    nl_attr_data(t[CTA_TUPLE_PROTO]), nl_attr_len(t[CTA_TUPLE_PROTO]), p, CTA_PROTO_MAX);
	address_of(ip[four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family, &out->from);
	address_of(ip[four ? CTA_IP_V4_DST : CTA_IP_V6_DST], family, &out->to);
	if (p[CTA_PROTO_NUM] == NULL || nl_attr_len(p[CTA_PROTO_NUM]) != 1)
		return false;
	out->proto = *(const uint8_t *)nl_attr_data(p[CTA_PROTO_NUM]);
	out->from_port = port_of(p[CTA_PROTO_SRC_PORT]);
	out->to_port = port_of(p[CTA_PROTO_DST_PORT]);
	return true;
}

/* A port that comes: whoever got no answer at it, or was led to a pot of before. A port that goes:
 * whoever was led to its pot. */
static bool
concerned(
    const struct forget *f, const struct side *orig, const struct side *reply, unsigned status)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct filter_port *p = &f->ports[i];

		if (p->proto != IPPROTO_UDP || p->to.family != f->family ||
		    p->host_port != orig->to_port)
			continue;
		if (f->come ? (status & IPS_SEEN_REPLY) == 0 || (status & IPS_DST_NAT) != 0
			    : ip_eq(&reply->from, &p->to) && reply->from_port == p->pot_port)
			return true;
	}
	return false;
}

static int
look_at(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct forget *f = ctx;
	const struct nlattr *a[CTA_MAX + 1];
	struct side orig, reply;
	uint32_t status = 0;
	size_t len;

	(void)e;
	if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
		return 0;
	nl_attrs((const char *)h + NLMSG_SPACE(sizeof(struct nfgenmsg)),
	    h->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)), a, CTA_MAX);
	if (!read_side(a[CTA_TUPLE_ORIG], f->family, &orig) || orig.proto != IPPROTO_UDP ||
	    !read_side(a[CTA_TUPLE_REPLY], f->family, &reply))
		return 0;
	if (a[CTA_STATUS] != NULL)
		status = ntohl(nl_attr_u32(a[CTA_STATUS]));
	if (!concerned(f, &orig, &reply, status))
		return 0;
	len = nl_attr_len(a[CTA_TUPLE_ORIG]);
	buf_add(&f->tuples, &len, sizeof(len));
	buf_add(&f->tuples, nl_attr_data(a[CTA_TUPLE_ORIG]), len);
	return 0;
}

static void
message(struct nl_batch *b, unsigned type, unsigned flags, int family)
{
	struct nfgenmsg g = { .nfgen_family = (uint8_t)family };

	nl_message(b, NFNL_SUBSYS_CTNETLINK << 8 | type, flags, &g, sizeof(g));
}

static void
forget_family(struct forget *f)
{
	autonl struct nl_batch list = NL_BATCH_INIT, gone = NL_BATCH_INIT;
	struct err e = ERR_INIT;
	size_t len;

	message(&list, IPCTNL_MSG_CT_GET, NLM_F_DUMP, f->family);
	/* entries that come and go while they are listed do no harm */
	if (nft_dump(&list, look_at, f, &e) < 0 && e.kind != ERR_BUSY)
		return;
	for (size_t at = 0; at + sizeof(len) <= f->tuples.len; at += len) {
		memcpy(&len, f->tuples.data + at, sizeof(len));
		at += sizeof(len);
		message(&gone, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, f->family);
		size_t nest = nl_nest(&gone, CTA_TUPLE_ORIG);
		nl_raw(&gone, f->tuples.data + at, len);
		nl_nest_end(&gone, nest);
	}
	int fd = gone.next != gone.first ? nft_socket(&e) : -1;
	if (fd >= 0 && nl_talk(fd, &gone, NULL, &e) < 0)
		nft_socket_drop(); /* some were gone already */
}

void
conntrack_forget(const struct filter_port *ports, size_t n, bool come)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t k = 0; k < NELEM(families); k++) {
		struct forget f = { .ports = ports,
			.n = n,
			.come = come,
			.family = families[k],
			.tuples = BUF_INIT };
		bool some = false;

		for (size_t i = 0; i < n; i++)
			some |= ports[i].proto == IPPROTO_UDP && ports[i].to.family == f.family;
		if (some)
			forget_family(&f);
		buf_fini(&f.tuples);
	}
}
