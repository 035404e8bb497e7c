#include "platform/linux/ops.h"

#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"
#include "base/vec.h"
#include "platform/linux/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DUMP_TRIES = 8 };

int
link_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len == 0 || len >= NETIF_NAME || strchr(name, '/') != NULL || name[0] == '.')
		return err_new(e, ERR_INPUT,
		    "interface name '%s': 1 to %d characters, no '/', no leading dot", name,
		    NETIF_NAME - 1);
	return 0;
}

/* ---- pieces of messages ---- */

void
link_message(struct nl_batch *b, unsigned type, unsigned flags, unsigned index, bool up)
{
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };

	if (up)
		m.ifi_flags = m.ifi_change = IFF_UP;
	nl_message(b, type, flags | NLM_F_ACK, &m, sizeof(m));
}

void
address_message(struct nl_batch *b, unsigned index, const struct ipnet *a)
{
	struct ifaddrmsg m = {
		.ifa_family = (uint8_t)a->addr.family,
		.ifa_prefixlen = (uint8_t)a->prefix,
		.ifa_index = index,
	};
	struct ip last = ipnet_last(a);

	/* No duplicate address detection: we gave the address out ourselves, and waiting for it
	 * would keep a starting server from binding to it for a second. */
	if (a->addr.family == AF_INET6)
		m.ifa_flags = IFA_F_NODAD;
	nl_message(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &m, sizeof(m));
	nl_put(b, IFA_LOCAL, a->addr.bytes, ip_size(&a->addr));
	nl_put(b, IFA_ADDRESS, a->addr.bytes, ip_size(&a->addr));
	if (a->addr.family == AF_INET && a->prefix < 31)
		nl_put(b, IFA_BROADCAST, last.bytes, ip_size(&last));
}

/* ---- reading links ---- */

struct links_read {
	VEC(struct netif_link) all;
	VEC(unsigned) masters; /* beside each link: the index of its master, or 0 */
};

static void
links_read_fini(struct links_read *r)
{
	VEC_FINI(&r->all);
	VEC_FINI(&r->masters);
}

static int
read_link(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct links_read *r = ctx;
	const struct ifinfomsg *m = NLMSG_DATA(h);
	const struct nlattr *a[IFLA_IFALIAS + 1], *info[IFLA_INFO_MAX + 1];
	struct netif_link *l;

	(void)e;
	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	nl_attrs((const char *)m + NLMSG_ALIGN(sizeof(*m)), h->nlmsg_len - NLMSG_SPACE(sizeof(*m)),
	    a, IFLA_IFALIAS);
	l = VEC_ADD(&r->all);
	l->index = (unsigned)m->ifi_index;
	l->up = (m->ifi_flags & IFF_UP) != 0;
	l->running = (m->ifi_flags & IFF_RUNNING) != 0;
	nl_attr_text(a[IFLA_IFNAME], l->name, sizeof(l->name));
	nl_attr_text(a[IFLA_IFALIAS], l->alias, sizeof(l->alias));
	if (a[IFLA_ADDRESS] != NULL && nl_attr_len(a[IFLA_ADDRESS]) == sizeof(l->mac))
		memcpy(l->mac, nl_attr_data(a[IFLA_ADDRESS]), sizeof(l->mac));
	if (a[IFLA_LINKINFO] != NULL) {
		nl_attrs(nl_attr_data(a[IFLA_LINKINFO]), nl_attr_len(a[IFLA_LINKINFO]), info,
		    IFLA_INFO_MAX);
		nl_attr_text(info[IFLA_INFO_KIND], l->kind, sizeof(l->kind));
	}
	VEC_PUSH(&r->masters, nl_attr_u32(a[IFLA_MASTER]));
	return 0;
}

/* The link's number in `all`, or -1. */
static long
link_with_index(const struct links_read *r, unsigned index)
{
	for (size_t i = 0; i < r->all.n; i++)
		if (r->all.at[i].index == index)
			return (long)i;
	return -1;
}

static int
read_links(int fd, struct links_read *r, struct err *e)
{
	for (int tries = 0;; tries++) {
		autonl struct nl_batch b = NL_BATCH_INIT;
		struct ifinfomsg m = { .ifi_family = AF_UNSPEC };
		unsigned bridge = 0;
		long master = -1;

		nl_message(&b, RTM_GETLINK, NLM_F_DUMP, &m, sizeof(m));
		nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		r->all.n = r->masters.n = 0;
		if (nl_dump(fd, &b, read_link, r, e) < 0) {
			if (e->kind == ERR_BUSY && tries < DUMP_TRIES)
				continue;
			return err_ctx(e, "list interfaces");
		}
		/* Nearly all have the same master: look it up when it changes only. */
		for (size_t i = 0; i < r->all.n; i++) {
			if (r->masters.at[i] != bridge) {
				bridge = r->masters.at[i];
				master = link_with_index(r, bridge);
			}
			if (bridge != 0 && master >= 0)
				memcpy(r->all.at[i].master, r->all.at[master].name, NETIF_NAME);
		}
		return 0;
	}
}

int
link_find(int fd, const char *name, unsigned index, struct netif_link *out, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	CLEANUP(links_read_fini) struct links_read r = { 0 };
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };

	nl_message(&b, RTM_GETLINK, NLM_F_ACK, &m, sizeof(m));
	if (index == 0)
		nl_put_str(&b, IFLA_IFNAME, name);
	nl_put_u32(&b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (nl_dump(fd, &b, read_link, &r, e) < 0) {
		if (e->kind == ERR_ABSENT)
			return 0;
		return err_ctx(e, "look up interface %s", name);
	}
	if (r.all.n == 0)
		return 0;
	*out = r.all.at[0];
	return 1;
}

static int
linux_links(struct host *h, const char *prefix, struct netif_links *out, struct err *e)
{
	CLEANUP(links_read_fini) struct links_read r = { 0 };
	autofd int fd = nl_open(NETLINK_ROUTE, e);
	size_t n = 0;

	(void)h;
	if (fd < 0 || read_links(fd, &r, e) < 0)
		return -1;
	for (size_t i = 0; i < r.all.n; i++)
		if (str_starts(r.all.at[i].name, prefix))
			r.all.at[n++] = r.all.at[i];
	out->at = r.all.at;
	out->n = n;
	r.all.at = NULL;
	return 0;
}

/* ---- bridges ---- */

/* A locally administered address which depends on the name alone: without one of its own a bridge
 * takes the lowest of its members, and changes it as pots come and go. */
static void
bridge_mac(const char *name, uint8_t mac[6])
{
	uint64_t hash = ids_hash64(name, strlen(name));

	memcpy(mac, &hash, 6);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static int
bridge_make(int fd, const char *name, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	uint8_t mac[6];
	char path[64];
	size_t info, data;

	bridge_mac(name, mac);
	link_message(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, false);
	nl_put_str(&b, IFLA_IFNAME, name);
	nl_put(&b, IFLA_ADDRESS, mac, sizeof(mac));
	info = nl_nest(&b, IFLA_LINKINFO);
	nl_put_str(&b, IFLA_INFO_KIND, "bridge");
	data = nl_nest(&b, IFLA_INFO_DATA);
	/* Neighbour discovery inside one small segment gains nothing from snooping, and loses
	 * packets by it while members are new. */
	nl_put_u8(&b, IFLA_BR_MCAST_SNOOPING, 0);
	nl_nest_end(&b, data);
	nl_nest_end(&b, info);
	if (nl_talk(fd, &b, NULL, e) < 0 && e->kind != ERR_EXISTS)
		return -1;
	/* Its own link-local address is derived from its name and needs no search for duplicates.
	 * While that goes on, a second after the first pot came, no neighbour is looked for on
	 * behalf of others: their packets would be lost. */
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_dad", name);
	return access(path, F_OK) < 0 ? 0 : sysctl_set(path, "0", e);
}

static int
linux_bridge_ensure(
    struct host *h, const char *name, const struct ipnet *addrs, size_t n, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	struct netif_link l = { .index = 0 };
	autofd int fd = -1;
	int there;

	(void)h;
	if (link_check_name(name, e) < 0 || (fd = nl_open(NETLINK_ROUTE, e)) < 0)
		return -1;
	there = link_find(fd, name, 0, &l, e);
	if (there == 0) {
		if (bridge_make(fd, name, e) < 0)
			return err_ctx(e, "make bridge %s", name);
		there = link_find(fd, name, 0, &l, e);
		if (there == 0)
			return err_new(
			    e, ERR_BUSY, "make bridge %s: somebody removed it at once", name);
	}
	if (there < 0)
		return -1;
	if (!str_eq(l.kind, "bridge"))
		return err_new(e, ERR_EXISTS,
		    "make bridge %s: an interface of that name exists and is not a bridge", name);
	if (!l.up)
		link_message(&b, RTM_NEWLINK, 0, l.index, true);
	for (size_t i = 0; i < n; i++)
		if (addrs[i].addr.family != 0)
			address_message(&b, l.index, &addrs[i]);
	if (b.next != b.first && nl_talk(fd, &b, NULL, e) < 0)
		return err_ctx(e, "set up bridge %s", name);
	return 0;
}

static int
linux_bridge_remove(struct host *h, const char *name, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	struct netif_link l = { .index = 0 };
	autofd int fd = nl_open(NETLINK_ROUTE, e);
	int there;

	(void)h;
	if (fd < 0 || (there = link_find(fd, name, 0, &l, e)) < 0)
		return -1;
	if (there == 0)
		return 0;
	if (!str_eq(l.kind, "bridge"))
		return err_new(e, ERR_INPUT,
		    "remove bridge %s: the interface of that name is not a bridge", name);
	link_message(&b, RTM_DELLINK, 0, l.index, false);
	if (nl_talk(fd, &b, NULL, e) < 0 && e->kind != ERR_ABSENT)
		return err_ctx(e, "remove bridge %s", name);
	return 0;
}

struct addresses_read {
	unsigned index;
	VEC(struct ipnet) all;
};

static int
read_address(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct addresses_read *r = ctx;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	const struct nlattr *a[IFA_MAX + 1], *own;
	struct ipnet n = { .prefix = 0 };

	(void)e;
	if (h->nlmsg_type != RTM_NEWADDR || m->ifa_index != r->index ||
	    m->ifa_scope == RT_SCOPE_LINK)
		return 0;
	nl_attrs((const char *)m + NLMSG_ALIGN(sizeof(*m)), h->nlmsg_len - NLMSG_SPACE(sizeof(*m)),
	    a, IFA_MAX);
	own = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
	n.addr.family = m->ifa_family;
	n.prefix = m->ifa_prefixlen;
	if (own == NULL || ip_size(&n.addr) == 0 || nl_attr_len(own) != ip_size(&n.addr))
		return 0;
	memcpy(n.addr.bytes, nl_attr_data(own), nl_attr_len(own));
	VEC_PUSH(&r->all, n);
	return 0;
}

static int
read_addresses(int fd, struct addresses_read *r, struct err *e)
{
	for (int tries = 0;; tries++) {
		autonl struct nl_batch b = NL_BATCH_INIT;
		struct ifaddrmsg m = { .ifa_family = AF_UNSPEC, .ifa_index = r->index };

		nl_message(&b, RTM_GETADDR, NLM_F_DUMP, &m, sizeof(m));
		r->all.n = 0;
		if (nl_dump(fd, &b, read_address, r, e) == 0)
			return 0;
		if (e->kind != ERR_BUSY || tries >= DUMP_TRIES)
			return err_ctx(e, "list addresses");
	}
}

static int
linux_bridge_info(struct host *h, const char *name, struct netif_bridge *out, struct err *e)
{
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;
	struct addresses_read addrs = { .index = 0 };
	autofd int fd = nl_open(NETLINK_ROUTE, e);
	const struct netif_link *l = NULL;
	size_t n = 0;

	if (fd < 0 || linux_links(h, "", &links, e) < 0)
		return -1;
	for (size_t i = 0; i < links.n && l == NULL; i++)
		if (str_eq(links.at[i].name, name) && str_eq(links.at[i].kind, "bridge"))
			l = &links.at[i];
	if (l == NULL)
		return err_new(e, ERR_ABSENT, "there is no bridge %s", name);
	addrs.index = l->index;
	if (read_addresses(fd, &addrs, e) < 0) {
		VEC_FINI(&addrs.all);
		return -1;
	}
	*out = (struct netif_bridge){
		.index = l->index,
		.up = l->up,
		.addrs = addrs.all.at,
		.addrs_n = addrs.all.n,
	};
	for (size_t i = 0; i < links.n; i++)
		if (str_eq(links.at[i].master, name))
			links.at[n++] = links.at[i];
	out->members.at = take(&links.at);
	out->members.n = n;
	return 0;
}

static int
linux_addresses(struct host *h, const char *name, struct ipnet **out, size_t *n, struct err *e)
{
	struct netif_link l = { .index = 0 };
	struct addresses_read addrs = { .index = 0 };
	autofd int fd = nl_open(NETLINK_ROUTE, e);
	int there = fd < 0 ? -1 : link_find(fd, name, 0, &l, e);

	(void)h;
	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "there is no interface %s", name);
	addrs.index = l.index;
	if (read_addresses(fd, &addrs, e) < 0) {
		VEC_FINI(&addrs.all);
		return -1;
	}
	*out = addrs.all.at;
	*n = addrs.all.n;
	return 0;
}

/* ---- links ---- */

int
link_remove(int fd, const char *name, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;

	link_message(&b, RTM_DELLINK, 0, 0, false);
	nl_put_str(&b, IFLA_IFNAME, name);
	if (nl_talk(fd, &b, NULL, e) < 0 && e->kind != ERR_ABSENT)
		return err_ctx(e, "remove interface %s", name);
	return 0;
}

static int
linux_link_remove(struct host *h, const char *name, struct err *e)
{
	autofd int fd = nl_open(NETLINK_ROUTE, e);

	(void)h;
	return fd < 0 ? -1 : link_remove(fd, name, e);
}

/* ---- routes ---- */

struct default_route {
	unsigned index;
	uint32_t metric;
};

static int
read_route(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct default_route *best = ctx;
	const struct rtmsg *m = NLMSG_DATA(h);
	const struct nlattr *a[RTA_TABLE + 1];
	unsigned index;

	(void)e;
	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_dst_len != 0 || m->rtm_type != RTN_UNICAST ||
	    m->rtm_table != RT_TABLE_MAIN)
		return 0;
	nl_attrs((const char *)m + NLMSG_ALIGN(sizeof(*m)), h->nlmsg_len - NLMSG_SPACE(sizeof(*m)),
	    a, RTA_TABLE);
	index = nl_attr_u32(a[RTA_OIF]);
	if (index == 0 && a[RTA_MULTIPATH] != NULL &&
	    nl_attr_len(a[RTA_MULTIPATH]) >= sizeof(struct rtnexthop))
		index = (unsigned)((const struct rtnexthop *)nl_attr_data(a[RTA_MULTIPATH]))
			    ->rtnh_ifindex;
	if (index != 0 && (best->index == 0 || nl_attr_u32(a[RTA_PRIORITY]) < best->metric)) {
		best->index = index;
		best->metric = nl_attr_u32(a[RTA_PRIORITY]);
	}
	return 0;
}

static int
linux_external(struct host *h, int family, char out[NETIF_NAME], struct err *e)
{
	autofd int fd = nl_open(NETLINK_ROUTE, e);
	char name[IF_NAMESIZE];

	(void)h;
	if (fd < 0)
		return -1;
	for (int tries = 0;; tries++) {
		autonl struct nl_batch b = NL_BATCH_INIT;
		struct rtmsg m = { .rtm_family = (uint8_t)family };
		struct default_route best = { .index = 0 };

		nl_message(&b, RTM_GETROUTE, NLM_F_DUMP, &m, sizeof(m));
		if (nl_dump(fd, &b, read_route, &best, e) < 0) {
			if (e->kind == ERR_BUSY && tries < DUMP_TRIES)
				continue;
			return err_ctx(e, "list routes");
		}
		if (best.index == 0 || if_indextoname(best.index, name) == NULL)
			return err_new(e, ERR_ABSENT, "this machine has no default route for IPv%d",
			    family == AF_INET6 ? 6 : 4);
		(void)str_copy(out, NETIF_NAME, name);
		return 0;
	}
}

static int
linux_forwarding_enable(struct host *h, struct err *e)
{
	(void)h;
	return forwarding_enable(e);
}

static int
linux_probe(struct host *h, struct err *e)
{
	autofd int fd = nl_open(NETLINK_ROUTE, e);

	(void)h;
	return fd < 0 ? -1 : 0;
}

const struct netif_ops netif_linux = {
	.name = "veth and bridge",
	.pair_ends_with_pot = true,
	.probe = linux_probe,
	.bridge_ensure = linux_bridge_ensure,
	.bridge_remove = linux_bridge_remove,
	.bridge_info = linux_bridge_info,
	.pair_up = pair_up,
	.alias_up = alias_up,
	.alias_down = alias_down,
	.aliases = aliases_list,
	.loopback_up = loopback_up,
	.link_remove = linux_link_remove,
	.links = linux_links,
	.addresses = linux_addresses,
	.forwarding_enable = linux_forwarding_enable,
	.external = linux_external,
};
