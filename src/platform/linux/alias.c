/*
 * Pots with addresses of the outside. There is no bridge: the pot has a pair of its own, packets
 * for its addresses are routed to it, and the interface that was named answers for them on its
 * network (proxy ARP, RFC 1027; proxy neighbour discovery, RFC 4389). Between the two ends nothing
 * is looked for: each knows the other's hardware address for good.
 */
#include "base/ids.h"
#include "base/str.h"
#include "base/vec.h"
#include "platform/linux/links.h"
#include "platform/linux/ops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKED __attribute__((packed))
/* The protocol that made a neighbour entry is a number that only we look at. */
enum { LOOPBACK_INDEX = 1, INSIDE_INDEX = 2, OUR_PROTOCOL = 112 };

/* The host as the pot sees it. Nobody has these addresses: they stand for a hardware address. */
static const char gateway4[] = "169.254.1.1", gateway6[] = "fe80::1";

static void
mac_of(const char *what, size_t len, uint8_t mac[6])
{
	uint64_t hash = ids_hash64(what, len);

	memcpy(mac, &hash, 6);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

/* ---- is it free? ---- */

struct search {
	const struct netif_alias *at;
	size_t n;
	const struct ip *found;
	struct ip held;
};

static int
look_at_address(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct search *s = ctx;
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	const struct nlattr *a[IFA_MAX + 1], *own;
	struct ip ip = { .family = 0 };

	(void)e;
	if (h->nlmsg_type != RTM_NEWADDR)
		return 0;
	nl_attrs((const char *)m + NLMSG_ALIGN(sizeof(*m)), h->nlmsg_len - NLMSG_SPACE(sizeof(*m)),
	    a, IFA_MAX);
	own = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
	ip.family = m->ifa_family;
	if (own == NULL || ip_size(&ip) == 0 || nl_attr_len(own) != ip_size(&ip))
		return 0;
	memcpy(ip.bytes, nl_attr_data(own), nl_attr_len(own));
	for (size_t i = 0; i < s->n && s->found == NULL; i++)
		if (ip_eq(&s->at[i].ip, &ip)) {
			s->held = ip;
			s->found = &s->held;
		}
	return 0;
}

/* An address that the host itself has would never get to the pot. */
static int
check_free(int fd, const struct netif_alias *at, size_t n, struct err *e)
{
	enum { TRIES = 8 };
	char text[IP_TEXT];

	for (int tries = 0;; tries++) {
		autonl struct nl_batch b = NL_BATCH_INIT;
		struct ifaddrmsg m = { .ifa_family = AF_UNSPEC };
		struct search s = { .at = at, .n = n };

		nl_message(&b, RTM_GETADDR, NLM_F_DUMP, &m, sizeof(m));
		if (nl_dump(fd, &b, look_at_address, &s, e) < 0) {
			if (e->kind == ERR_BUSY && tries < TRIES)
				continue;
			return err_ctx(e, "list addresses");
		}
		if (s.found != NULL)
			return err_new(e, ERR_EXISTS,
			    "%s is an address of this machine itself: a pot needs one that nobody "
			    "has, or the network type inherit",
			    ip_text(s.found, text));
		return 0;
	}
}

/* ---- the pair ---- */

static int
make_pair(int fd, const struct netif_pair *p, const uint8_t host_mac[6], const uint8_t pot_mac[6],
    int netns, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	struct ifinfomsg peer_link = { .ifi_index = INSIDE_INDEX };
	size_t info, data, peer;

	link_message(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, true);
	nl_put_str(&b, IFLA_IFNAME, p->name);
	nl_put(&b, IFLA_ADDRESS, host_mac, 6);
	nl_put_u32(&b, IFLA_GROUP, LINK_GROUP_ALIASES);
	info = nl_nest(&b, IFLA_LINKINFO);
	nl_put_str(&b, IFLA_INFO_KIND, "veth");
	data = nl_nest(&b, IFLA_INFO_DATA);
	peer = nl_nest(&b, VETH_INFO_PEER);
	nl_raw(&b, &peer_link, sizeof(peer_link));
	nl_put_str(&b, IFLA_IFNAME, "eth0");
	nl_put_u32(&b, IFLA_NET_NS_FD, (uint32_t)netns);
	nl_put(&b, IFLA_ADDRESS, pot_mac, 6);
	nl_nest_end(&b, peer);
	nl_nest_end(&b, data);
	nl_nest_end(&b, info);
	link_message(&b, RTM_NEWLINK, 0, 0, false);
	nl_put_str(&b, IFLA_IFNAME, p->name);
	if (p->alias != NULL)
		nl_put(&b, IFLA_IFALIAS, p->alias, strnlen(p->alias, NETIF_ALIAS - 1));
	return nl_talk(fd, &b, NULL, e);
}

static int
inside_up(
    int netns, const struct netif_alias *at, size_t n, const uint8_t host_mac[6], struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	autofd int fd = netns_socket(netns, "eth0", e);
	bool done4 = false, done6 = false;

	if (fd < 0)
		return -1;
	link_message(&b, RTM_NEWLINK, 0, LOOPBACK_INDEX, true);
	link_message(&b, RTM_NEWLINK, 0, INSIDE_INDEX, true);
	for (size_t i = 0; i < n; i++) {
		bool *done = at[i].ip.family == AF_INET ? &done4 : &done6;
		struct ipnet own = { .addr = at[i].ip, .prefix = (int)ip_size(&at[i].ip) * 8 };
		struct ip gateway;

		address_message(&b, INSIDE_INDEX, &own);
		if (*done)
			continue;
		*done = true;
		(void)ip_parse(at[i].ip.family == AF_INET ? gateway4 : gateway6, &gateway);
		neighbour_message(&b, INSIDE_INDEX, &gateway, host_mac, NUD_PERMANENT);
		default_route_message(&b, INSIDE_INDEX, &gateway, &own);
	}
	return nl_talk(fd, &b, NULL, e);
}

static void
route_message(
    struct nl_batch *b, unsigned type, unsigned flags, unsigned index, const struct ip *to)
{
	struct rtmsg m = {
		.rtm_family = (uint8_t)to->family,
		.rtm_dst_len = (uint8_t)(ip_size(to) * 8),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = to->family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};

	nl_message(b, type, flags | NLM_F_ACK, &m, sizeof(m));
	nl_put(b, RTA_DST, to->bytes, ip_size(to));
	nl_put_u32(b, RTA_OIF, index);
}

static int
routes_up(int fd, const struct netif_pair *p, const struct netif_alias *at, size_t n,
    const uint8_t pot_mac[6], struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	struct netif_link l = { .index = 0 };
	char text[IP_TEXT];
	unsigned failed = 0;
	int there = link_find(fd, p->name, 0, &l, e);

	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "interface %s is gone", p->name);
	for (size_t i = 0; i < n; i++) {
		route_message(&b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, l.index, &at[i].ip);
		neighbour_message(&b, l.index, &at[i].ip, pot_mac, NUD_PERMANENT);
	}
	if (nl_talk(fd, &b, &failed, e) == 0)
		return 0;
	if (e->kind == ERR_EXISTS && failed / 2 < n)
		return err_new(e, ERR_EXISTS, "%s leads elsewhere already (see 'ip route')",
		    ip_text(&at[failed / 2].ip, text));
	return -1;
}

/* The pair stays for some milliseconds after its pot, and would keep the addresses from the next.
 */
static int
routes_down(int fd, const char *pair, const struct netif_alias *at, size_t n, struct err *e)
{
	struct netif_link l = { .index = 0 };
	int there = link_find(fd, pair, 0, &l, e);

	for (size_t i = 0; there > 0 && i < n; i++) {
		autonl struct nl_batch b = NL_BATCH_INIT;

		route_message(&b, RTM_DELROUTE, 0, l.index, &at[i].ip);
		/* the kernel may be taking the pair apart right now */
		if (nl_talk(fd, &b, NULL, e) < 0 && e->kind != ERR_ABSENT && e->sys != ESRCH &&
		    e->sys != ENODEV)
			return err_ctx(e, "take back the route to a pot");
	}
	return there < 0 ? -1 : 0;
}

/* ---- answering for them ---- */

static void
proxy_message(struct nl_batch *b, unsigned type, unsigned flags, unsigned nic, const struct ip *a)
{
	struct ndmsg m = {
		.ndm_family = (uint8_t)a->family, .ndm_ifindex = (int)nic, .ndm_flags = NTF_PROXY
	};

	nl_message(b, type, flags | NLM_F_ACK, &m, sizeof(m));
	nl_put(b, NDA_DST, a->bytes, ip_size(a));
	nl_put_u8(b, NDA_PROTOCOL, OUR_PROTOCOL);
}

struct proxies_read {
	VEC(struct netif_alias) all;
};

static int
read_proxy(const struct nlmsghdr *h, void *ctx, struct err *e)
{
	struct proxies_read *r = ctx;
	const struct ndmsg *m = NLMSG_DATA(h);
	const struct nlattr *a[NDA_MAX + 1];
	struct netif_alias one = { .ip.family = m->ndm_family };
	char name[IF_NAMESIZE];

	(void)e;
	if (h->nlmsg_type != RTM_NEWNEIGH || (m->ndm_flags & NTF_PROXY) == 0 ||
	    ip_size(&one.ip) == 0)
		return 0;
	nl_attrs((const char *)m + NLMSG_ALIGN(sizeof(*m)), h->nlmsg_len - NLMSG_SPACE(sizeof(*m)),
	    a, NDA_MAX);
	if (a[NDA_PROTOCOL] == NULL || nl_attr_len(a[NDA_PROTOCOL]) != 1 ||
	    *(const uint8_t *)nl_attr_data(a[NDA_PROTOCOL]) != OUR_PROTOCOL || a[NDA_DST] == NULL ||
	    nl_attr_len(a[NDA_DST]) != ip_size(&one.ip) ||
	    if_indextoname((unsigned)m->ndm_ifindex, name) == NULL)
		return 0;
	memcpy(one.ip.bytes, nl_attr_data(a[NDA_DST]), ip_size(&one.ip));
	(void)str_copy(one.nic, sizeof(one.nic), name);
	/* IPv6's are told twice, once with each family asked for */
	VEC_FOREACH (const struct netif_alias *, known, &r->all)
		if (ip_eq(&known->ip, &one.ip) && str_eq(known->nic, one.nic))
			return 0;
	VEC_PUSH(&r->all, one);
	return 0;
}

int
aliases_list(struct host *h, struct netif_alias **out, size_t *n, struct err *e)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	struct proxies_read r = { .all = VEC_INIT };
	autofd int fd = nl_open(NETLINK_ROUTE, e);

	(void)h;
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < NELEM(families); i++) {
		autonl struct nl_batch b = NL_BATCH_INIT;
		struct ndmsg m = { .ndm_family = families[i], .ndm_flags = NTF_PROXY };

		nl_message(&b, RTM_GETNEIGH, NLM_F_DUMP, &m, sizeof(m));
		/* what changes meanwhile is somebody's who is at it */
		if (nl_dump(fd, &b, read_proxy, &r, e) < 0 && e->kind != ERR_BUSY) {
			VEC_FINI(&r.all);
			return err_ctx(e, "list what interfaces answer for");
		}
	}
	*out = r.all.at;
	*n = r.all.n;
	return 0;
}

/* Answers go out at once (the kernel would wait up to 0.8 s, lest several proxies answer alike). */
static int
proxy_switches(const struct netif_alias *at, struct err *e)
{
	const char *family = at->ip.family == AF_INET ? "ipv4" : "ipv6";
	char path[96];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/neigh/%.15s/proxy_delay", family, at->nic);
	if (access(path, F_OK) == 0 && sysctl_set(path, "0", e) < 0)
		return -1;
	if (at->ip.family == AF_INET)
		return 0;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%.15s/proxy_ndp", at->nic);
	return sysctl_set(path, "1", e);
}

static int
proxies_up(int fd, const struct netif_alias *at, size_t n, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;

	for (size_t i = 0; i < n; i++) {
		struct netif_link nic = { .index = 0 };
		int there = link_find(fd, at[i].nic, 0, &nic, e);

		if (there <= 0)
			return there < 0 ? -1
					 : err_new(e, ERR_ABSENT,
					       "this machine has no interface %s", at[i].nic);
		if (proxy_switches(&at[i], e) < 0)
			return err_ctx(e, "let %s answer for the pot", at[i].nic);
		proxy_message(&b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, nic.index, &at[i].ip);
	}
	if (nl_talk(fd, &b, NULL, e) < 0)
		return err_ctx(e, "let the interface answer for the pot");
	return 0;
}

/* ---- telling the neighbours ---- */

/* "I have a" to everybody (RFC 5227, 3). */
static void
announce4(const struct netif_link *nic, const struct ip *a)
{
	struct {
		struct arphdr head;
		uint8_t from_mac[6], from[4], to_mac[6], to[4];
	} PACKED arp = { .head = { .ar_hrd = htons(ARPHRD_ETHER),
			     .ar_pro = htons(ETH_P_IP),
			     .ar_hln = 6,
			     .ar_pln = 4,
			     .ar_op = htons(ARPOP_REQUEST) } };
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ARP),
		.sll_ifindex = (int)nic->index,
		.sll_halen = 6,
		.sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	autofd int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(arp.from_mac, nic->mac, 6);
	memcpy(arp.from, a->bytes, 4);
	memcpy(arp.to, a->bytes, 4);
	if (fd >= 0)
		(void)!sendto(fd, &arp, sizeof(arp), 0, (struct sockaddr *)&to, sizeof(to));
}

/* An unsolicited neighbour advertisement (RFC 4861, 7.2.6). */
static void
announce6(const struct netif_link *nic, const struct ip *a)
{
	struct {
		struct nd_neighbor_advert head;
		struct nd_opt_hdr option;
		uint8_t mac[6];
	} PACKED na = { .head.nd_na_hdr = { .icmp6_type = ND_NEIGHBOR_ADVERT },
		.option = { .nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1 } };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_scope_id = nic->index };
	int hops = 255;
	autofd int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	na.head.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
	memcpy(&na.head.nd_na_target, a->bytes, 16);
	memcpy(na.mac, nic->mac, 6);
	(void)inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
	if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) == 0)
		(void)!sendto(fd, &na, sizeof(na), 0, (struct sockaddr *)&to, sizeof(to));
}

/* Neighbours that knew the address elsewhere would send there for minutes. What is lost is found
 * again by asking, so nobody waits for this. */
static void
announce(int fd, const struct netif_alias *at, size_t n)
{
	static const uint8_t none[6];
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		struct netif_link nic = { .index = 0 };

		if (link_find(fd, at[i].nic, 0, &nic, &ignored) <= 0 ||
		    memcmp(nic.mac, none, 6) == 0)
			continue;
		if (at[i].ip.family == AF_INET)
			announce4(&nic, &at[i].ip);
		else
			announce6(&nic, &at[i].ip);
	}
}

int
alias_down(struct host *h, const char *pair, const struct netif_alias *at, size_t n, struct err *e)
{
	autofd int fd = nl_open(NETLINK_ROUTE, e);

	(void)h;
	if (fd < 0 || (pair != NULL && routes_down(fd, pair, at, n, e) < 0))
		return -1;
	for (size_t i = 0; i < n; i++) {
		autonl struct nl_batch b = NL_BATCH_INIT;
		struct netif_link nic = { .index = 0 };
		int there = link_find(fd, at[i].nic, 0, &nic, e);

		if (there < 0)
			return -1;
		if (there == 0)
			continue;
		proxy_message(&b, RTM_DELNEIGH, 0, nic.index, &at[i].ip);
		if (nl_talk(fd, &b, NULL, e) < 0 && e->kind != ERR_ABSENT)
			return err_ctx(e, "let %s answer no longer for the pot", at[i].nic);
	}
	return 0;
}

int
alias_up(struct host *h, const struct netif_pair *p, const struct netif_alias *at, size_t n,
    struct err *e)
{
	autofd int fd = nl_open(NETLINK_ROUTE, e), netns = -1;
	uint8_t host_mac[6], pot_mac[6];
	struct err again = ERR_INIT;

	if (fd < 0 || link_check_name(p->name, e) < 0 || check_free(fd, at, n, e) < 0)
		return -1;
	netns = netns_open(p->pid, p->netns, e);
	if (netns < 0)
		return err_ctx(e, "make interface %s", p->name);
	mac_of(p->name, strlen(p->name), host_mac);
	mac_of((const char *)at[0].ip.bytes, ip_size(&at[0].ip), pot_mac);
	if (make_pair(fd, p, host_mac, pot_mac, netns, e) < 0) {
		if (e->kind != ERR_EXISTS)
			(void)link_remove(fd, p->name, &again);
		return err_ctx(e, "make interface %s", p->name);
	}
	if (inside_up(netns, at, n, host_mac, e) == 0 && routes_up(fd, p, at, n, pot_mac, e) == 0 &&
	    proxies_up(fd, at, n, e) == 0 && link_wait_running(fd, p->name, e) == 0) {
		announce(fd, at, n);
		return 0;
	}
	(void)alias_down(h, NULL, at, n, &again);
	(void)link_remove(fd, p->name, &again);
	return err_ctx(e, "make interface %s", p->name);
}
