/* Pairs of interfaces: one end on a bridge, the other inside a pot's network namespace. */
#include "base/clock.h"
#include "base/ids.h"
#include "base/str.h"
#include "platform/linux/links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOPBACK_INDEX = 1, INSIDE_INDEX = 2, RUNNING_MS = 1500 };

void
default_route_message(
    struct nl_batch *b, unsigned index, const struct ip *gateway, const struct ipnet *own)
{
	struct rtmsg m = {
		.rtm_family = (uint8_t)gateway->family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
		.rtm_flags = ipnet_contains(own, gateway) ? 0 : RTNH_F_ONLINK,
	};

	nl_message(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &m, sizeof(m));
	nl_put(b, RTA_GATEWAY, gateway->bytes, ip_size(gateway));
	nl_put_u32(b, RTA_OIF, index);
}

int
netns_open(pid_t pid, int netns, struct err *e)
{
	char path[32];
	int fd;

	if (netns >= 0) {
		fd = fcntl(netns, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_sys(e, "duplicate a descriptor") : fd;
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open %s", path) : fd;
}

/* A neighbour on the bridge is no router: what it announces would lead this pot's packets to it. */
static void
trust_nobody(const char *name)
{
	static const char *const switches[] = { "accept_ra", "accept_redirects" };
	char path[96];

	for (size_t i = 0; i < NELEM(switches); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%.15s/%s", name, switches[i]);
		autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			(void)!write(fd, "0", 1);
	}
}

int
netns_socket(int netns, const char *name, struct err *e)
{
	autofd int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (own < 0)
		return err_sys(e, "open /proc/thread-self/ns/net");
	if (setns(netns, CLONE_NEWNET) < 0)
		return err_sys(e, "enter the pot's network namespace");
	fd = nl_open(NETLINK_ROUTE, e);
	if (name != NULL)
		trust_nobody(name);
	if (setns(own, CLONE_NEWNET) < 0) {
		/* Going on in the pot's network would do everything else in the wrong place. */
		static const char text[] = "cannot return to the host's network namespace\n";

		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		_exit(71);
	}
	return fd;
}

/* What both ends know from the start: no packet waits for a neighbour to be found, and none is sent
 * to where the address was before. The kernel checks it while it is used, and forgets it otherwise.
 */
void
neighbour_message(
    struct nl_batch *b, unsigned index, const struct ip *a, const uint8_t mac[6], uint16_t state)
{
	struct ndmsg m = {
		.ndm_family = (uint8_t)a->family,
		.ndm_ifindex = (int)index,
		.ndm_state = state,
	};

	if (a->family == 0)
		return;
	nl_message(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &m, sizeof(m));
	nl_put(b, NDA_DST, a->bytes, ip_size(a));
	nl_put(b, NDA_LLADDR, mac, 6);
}

/* inside_index 0: the kernel chooses. */
static int
pair_make(int fd, const struct netif_pair *p, const struct netif_inside *in, unsigned bridge,
    unsigned inside_index, int netns, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	struct ifinfomsg peer_link = { .ifi_index = (int)inside_index };
	size_t info, data, peer;

	link_message(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, true);
	nl_put_str(&b, IFLA_IFNAME, p->name);
	nl_put_u32(&b, IFLA_MASTER, bridge);
	info = nl_nest(&b, IFLA_LINKINFO);
	nl_put_str(&b, IFLA_INFO_KIND, "veth");
	data = nl_nest(&b, IFLA_INFO_DATA);
	peer = nl_nest(&b, VETH_INFO_PEER);
	nl_raw(&b, &peer_link, sizeof(peer_link));
	nl_put_str(&b, IFLA_IFNAME, in->name != NULL ? in->name : "eth0");
	nl_put_u32(&b, IFLA_NET_NS_FD, (uint32_t)netns);
	nl_put(&b, IFLA_ADDRESS, in->mac, sizeof(in->mac));
	nl_nest_end(&b, peer);
	nl_nest_end(&b, data);
	nl_nest_end(&b, info);

	link_message(&b, RTM_NEWLINK, 0, 0, false);
	nl_put_str(&b, IFLA_IFNAME, p->name);
	if (p->alias != NULL)
		nl_put(&b, IFLA_IFALIAS, p->alias, strnlen(p->alias, NETIF_ALIAS - 1));
	info = nl_nest(&b, IFLA_LINKINFO);
	nl_put_str(&b, IFLA_INFO_SLAVE_KIND, "bridge");
	data = nl_nest(&b, IFLA_INFO_SLAVE_DATA);
	/* Where the kernel filters bridged packets (br_netfilter), a pot's packets to itself by a
	 * port of the host are turned round inside the bridge. */
	nl_put_u8(&b, IFLA_BRPORT_MODE, 1);
	if (p->isolated)
		nl_put_u8(&b, IFLA_BRPORT_ISOLATED, 1);
	nl_nest_end(&b, data);
	nl_nest_end(&b, info);
	neighbour_message(&b, bridge, &in->addr4.addr, in->mac, NUD_STALE);
	neighbour_message(&b, bridge, &in->addr6.addr, in->mac, NUD_STALE);
	return nl_talk(fd, &b, NULL, e);
}

/* A link that was just connected passes packets only when the kernel has noted so, by itself and a
 * little later; what is sent before is lost, and a lost first packet of a connection costs a
 * second. Waits for that as long as is reasonable. */
int
link_wait_running(int fd, const char *name, struct err *e)
{
	int64_t until = clock_mono_ns() + RUNNING_MS * NS_PER_MS;
	int group = RTNLGRP_LINK;
	autofd int events = -1;
	char ignored[512];

	for (;;) {
		struct netif_link l = { .index = 0 };
		int there = link_find(fd, name, 0, &l, e);
		struct pollfd p = { .fd = events, .events = POLLIN };
		int64_t left_ms = (until - clock_mono_ns()) / NS_PER_MS;

		if (there <= 0)
			return there < 0 ? -1
					 : err_new(e, ERR_ABSENT, "interface %s is gone", name);
		if (l.running || left_ms <= 0)
			return 0;
		if (events < 0) {
			/* look once more after listening has begun */
			if ((events = nl_open(NETLINK_ROUTE, e)) < 0)
				return -1;
			if (setsockopt(events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
				sizeof(group)) < 0)
				return err_sys(e, "listen for changes of interfaces");
			continue;
		}
		(void)poll(&p, 1, (int)left_ms);
		while (recv(events, ignored, sizeof(ignored), MSG_DONTWAIT) >= 0)
			;
	}
}

static int
inside_up(int netns, const struct netif_inside *in, unsigned index, const uint8_t bridge_mac[6],
    struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	struct netif_link l = { .index = 0 };
	const char *name = in->name != NULL ? in->name : "eth0";
	autofd int fd = netns_socket(netns, name, e);

	if (fd < 0)
		return -1;
	if (index == 0) {
		int there = link_find(fd, name, 0, &l, e);

		if (there <= 0)
			return there < 0 ? -1 : err_new(e, ERR_ABSENT, "%s is gone", name);
		index = l.index;
	}
	link_message(&b, RTM_NEWLINK, 0, LOOPBACK_INDEX, true);
	link_message(&b, RTM_NEWLINK, 0, index, true);
	if (in->addr4.addr.family != 0)
		address_message(&b, index, &in->addr4);
	if (in->addr6.addr.family != 0)
		address_message(&b, index, &in->addr6);
	if (in->gateway4.family != 0)
		default_route_message(&b, index, &in->gateway4, &in->addr4);
	if (in->gateway6.family != 0)
		default_route_message(&b, index, &in->gateway6, &in->addr6);
	neighbour_message(&b, index, &in->gateway4, bridge_mac, NUD_STALE);
	neighbour_message(&b, index, &in->gateway6, bridge_mac, NUD_STALE);
	return nl_talk(fd, &b, NULL, e);
}

int
pair_up(struct host *h, const struct netif_pair *p, const struct netif_inside *given, struct err *e)
{
	autofd int fd = nl_open(NETLINK_ROUTE, e), netns = -1;
	struct netif_inside in = *given;
	struct netif_link bridge = { .index = 0 };
	unsigned index = INSIDE_INDEX;
	struct err again = ERR_INIT;
	int there;

	(void)h;
	if (fd < 0 || link_check_name(p->name, e) < 0 ||
	    (there = link_find(fd, p->bridge, 0, &bridge, e)) < 0)
		return -1;
	if (there == 0)
		return err_new(
		    e, ERR_ABSENT, "bridge %s does not exist: run pot vnet-start", p->bridge);
	netns = netns_open(p->pid, p->netns, e);
	if (netns < 0)
		return err_ctx(e, "make interface %s", p->name);
	netif_mac(given, in.mac);
	if (pair_make(fd, p, &in, bridge.index, index, netns, e) < 0) {
		if (e->sys != EBUSY)
			goto fail;
		/* The index is taken in a namespace that is not fresh. */
		index = 0;
		if (pair_make(fd, p, &in, bridge.index, index, netns, e) < 0)
			goto fail;
	}
	/* Both ends are noted at once: when the host's runs, so does the one inside. */
	if (inside_up(netns, &in, index, bridge.mac, e) == 0 &&
	    link_wait_running(fd, p->name, e) == 0 &&
	    (bridge.running || link_wait_running(fd, p->bridge, e) == 0))
		return 0;
fail:
	if (e->kind != ERR_EXISTS)
		(void)link_remove(fd, p->name, &again);
	return err_ctx(e, "make interface %s on bridge %s", p->name, p->bridge);
}

int
loopback_up(struct host *h, pid_t pid, int netns_given, struct err *e)
{
	autonl struct nl_batch b = NL_BATCH_INIT;
	autofd int netns = netns_open(pid, netns_given, e), fd = -1;

	(void)h;
	if (netns < 0 || (fd = netns_socket(netns, NULL, e)) < 0)
		return err_ctx(e, "set up the loopback interface");
	link_message(&b, RTM_NEWLINK, 0, LOOPBACK_INDEX, true);
	if (nl_talk(fd, &b, NULL, e) < 0)
		return err_ctx(e, "set up the loopback interface");
	return 0;
}
