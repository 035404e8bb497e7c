/* Addresses of interfaces. */
#include "platform/freebsd/links.h"

#include "base/str.h"
#include "base/vec.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if_dl.h>
#include <net/if_types.h>
#include <netinet/in.h>
#include <netinet/in_var.h>
#include <netinet6/nd6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>

static struct sockaddr_in
inet_of(const struct ip *a)
{
	struct sockaddr_in s = { .sin_len = sizeof(s), .sin_family = AF_INET };

	memcpy(&s.sin_addr, a->bytes, 4);
	return s;
}

static struct sockaddr_in6
inet6_of(const struct ip *a)
{
	struct sockaddr_in6 s = { .sin6_len = sizeof(s), .sin6_family = AF_INET6 };

	memcpy(&s.sin6_addr, a->bytes, 16);
	return s;
}

static struct ip
mask_of(int family, int prefix)
{
	struct ip m = { .family = family };

	for (int i = 0; i < prefix; i++)
		m.bytes[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	return m;
}

static int
add4(int fd, const char *name, const struct ipnet *a)
{
	struct ip mask = mask_of(AF_INET, a->prefix), last = ipnet_last(a);
	struct in_aliasreq r = { .ifra_addr = inet_of(&a->addr), .ifra_mask = inet_of(&mask) };

	(void)str_copy(r.ifra_name, sizeof(r.ifra_name), name);
	if (a->prefix < 31)
		r.ifra_broadaddr = inet_of(&last);
	return ioctl(fd, SIOCAIFADDR, &r);
}

static int
add6(int fd, const char *name, const struct ipnet *a)
{
	struct ip mask = mask_of(AF_INET6, a->prefix);
	struct in6_aliasreq r = { .ifra_addr = inet6_of(&a->addr),
		.ifra_prefixmask = inet6_of(&mask),
		.ifra_lifetime = {
		    .ia6t_vltime = ND6_INFINITE_LIFETIME, .ia6t_pltime = ND6_INFINITE_LIFETIME } };

	(void)str_copy(r.ifra_name, sizeof(r.ifra_name), name);
	return ioctl(fd, SIOCAIFADDR_IN6, &r);
}

int
address_add(const struct stack *s, const char *name, const struct ipnet *a, struct err *e)
{
	char text[IPNET_TEXT];
	bool four = a->addr.family == AF_INET;

	if (!four && s->inet6 < 0)
		return err_new(
		    e, ERR_UNSUPPORTED, "address %s: this kernel has no IPv6", ipnet_text(a, text));
	if ((four ? add4(s->inet, name, a) : add6(s->inet6, name, a)) < 0 && errno != EEXIST)
		return err_sys(e, "give %s the address %s", name, ipnet_text(a, text));
	return 0;
}

int
address_remove(const struct stack *s, const char *name, const struct ip *a, struct err *e)
{
	struct in_aliasreq four = { .ifra_name = "" };
	struct in6_ifreq six = { .ifr_name = "" };
	char text[IP_TEXT];
	int rc;

	if (a->family == AF_INET) {
		(void)str_copy(four.ifra_name, sizeof(four.ifra_name), name);
		four.ifra_addr = inet_of(a);
		rc = ioctl(s->inet, SIOCDIFADDR, &four);
	} else {
		(void)str_copy(six.ifr_name, sizeof(six.ifr_name), name);
		six.ifr_addr = inet6_of(a);
		rc = s->inet6 < 0 ? 0 : ioctl(s->inet6, SIOCDIFADDR_IN6, &six);
	}
	if (rc < 0 && errno != EADDRNOTAVAIL && errno != ENXIO)
		return err_sys(e, "take the address %s from %s", ip_text(a, text), name);
	return 0;
}

int
address_usable(const struct stack *s, const char *name, const struct ip *a, struct err *e)
{
	struct in6_ifreq r = { .ifr_name = "" };
	char text[IP_TEXT];

	if (a->family == AF_INET || s->inet6 < 0)
		return 1;
	(void)str_copy(r.ifr_name, sizeof(r.ifr_name), name);
	r.ifr_addr = inet6_of(a);
	if (ioctl(s->inet6, SIOCGIFAFLAG_IN6, &r) < 0)
		return err_sys(e, "look at the address %s of %s", ip_text(a, text), name);
	if (r.ifr_ifru.ifru_flags6 & IN6_IFF_DUPLICATED)
		return err_new(e, ERR_EXISTS,
		    "another machine on the network of %s has the address %s: a pot needs one that "
		    "nobody has",
		    name, ip_text(a, text));
	return (r.ifr_ifru.ifru_flags6 & IN6_IFF_TENTATIVE) == 0;
}

int
address_family6(const struct stack *s, const char *name, struct err *e)
{
	struct in6_ndireq r = { .ifname = "" };

	if (s->inet6 < 0)
		return 0;
	(void)str_copy(r.ifname, sizeof(r.ifname), name);
	if (ioctl(s->inet6, SIOCGIFINFO_IN6, &r) < 0)
		return err_sys(e, "look at IPv6 of %s", name);
	r.ndi.flags |= ND6_IFF_NO_DAD;
	r.ndi.flags &= ~(uint32_t)(ND6_IFF_IFDISABLED | ND6_IFF_ACCEPT_RTADV);
	if (ioctl(s->inet6, SIOCSIFINFO_FLAGS, &r) < 0)
		return err_sys(e, "set up IPv6 of %s", name);
	return 0;
}

/* ---- listing ---- */

static bool
ip_of(const struct sockaddr *a, struct ip *out)
{
	*out = (struct ip){ .family = 0 };
	if (a == NULL)
		return false;
	if (a->sa_family == AF_INET)
		memcpy(out->bytes, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
	else if (a->sa_family == AF_INET6)
		memcpy(out->bytes, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
	else
		return false;
	out->family = a->sa_family;
	return true;
}

/* How many ones a mask begins with; its family field may be unset. */
static int
prefix_of(const struct sockaddr *mask, int family)
{
	const uint8_t *at;
	size_t size = family == AF_INET ? 4 : 16;
	int n = 0;

	if (mask == NULL)
		return (int)size * 8;
	at = family == AF_INET
		 ? (const uint8_t *)&((const struct sockaddr_in *)(const void *)mask)->sin_addr
		 : (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr;
	while (n < (int)size * 8 && (at[n / 8] & (0x80 >> (n % 8))) != 0)
		n++;
	return n;
}

static bool
link_local(const struct ip *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

int
links_addresses(struct host *h, const char *name, struct ipnet **out, size_t *n, struct err *e)
{
	VEC(struct ipnet) all = VEC_INIT;
	struct ifaddrs *list;
	bool there = false;

	(void)h;
	if (getifaddrs(&list) < 0)
		return err_sys(e, "list addresses");
	for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		struct ipnet a = { .prefix = 0 };

		if (!str_eq(i->ifa_name, name))
			continue;
		there = true;
		if (!ip_of(i->ifa_addr, &a.addr) || link_local(&a.addr))
			continue;
		a.prefix = prefix_of(i->ifa_netmask, a.addr.family);
		VEC_PUSH(&all, a);
	}
	freeifaddrs(list);
	if (!there) {
		VEC_FINI(&all);
		return err_new(e, ERR_ABSENT, "there is no interface %s", name);
	}
	*out = all.at;
	*n = all.n;
	return 0;
}

static void
fill_link(int fd, const struct ifaddrs *i, struct netif_link *l)
{
	const struct sockaddr_dl *dl = (const struct sockaddr_dl *)(const void *)i->ifa_addr;
	const struct if_data *data = i->ifa_data;

	(void)str_copy(l->name, sizeof(l->name), i->ifa_name);
	l->index = dl->sdl_index;
	l->up = (i->ifa_flags & IFF_UP) != 0;
	l->running = (i->ifa_flags & IFF_DRV_RUNNING) != 0 &&
		     (data == NULL || data->ifi_link_state != LINK_STATE_DOWN);
	if (dl->sdl_alen == sizeof(l->mac))
		memcpy(l->mac, LLADDR(dl), sizeof(l->mac));
	if (str_starts(i->ifa_name, "p") && dl->sdl_type == IFT_ETHER)
		(void)str_copy(l->kind, sizeof(l->kind), "epair");
	link_description(fd, l->name, l->alias, sizeof(l->alias));
}

int
links_list(struct host *h, const char *prefix, struct netif_links *out, struct err *e)
{
	VEC(struct netif_link) all = VEC_INIT;
	autonames struct names bridges = NAMES_INIT;
	autostack struct stack s = STACK_INIT;
	struct ifaddrs *list;

	(void)h;
	if (stack_open(&s, e) < 0 || bridge_names(s.inet, &bridges, e) < 0)
		return -1;
	if (getifaddrs(&list) < 0)
		return err_sys(e, "list interfaces");
	for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		const struct sockaddr_dl *dl =
		    (const struct sockaddr_dl *)(const void *)i->ifa_addr;

		if (dl == NULL || dl->sdl_family != AF_LINK)
			continue;
		if (str_starts(i->ifa_name, prefix))
			fill_link(s.inet, i, VEC_ADD(&all));
	}
	freeifaddrs(list);
	out->at = all.at;
	out->n = all.n;
	/* a bridge that goes away meanwhile has no members */
	for (size_t i = 0; i < bridges.n && out->n > 0; i++) {
		struct err gone = ERR_INIT;

		for (size_t k = 0; k < out->n; k++)
			if (str_eq(out->at[k].name, bridges.at[i]))
				(void)str_copy(out->at[k].kind, NETIF_NAME, "bridge");
		(void)bridge_note_members(s.inet, bridges.at[i], out, &gone);
	}
	return 0;
}
