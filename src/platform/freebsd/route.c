/* Routes, by routing messages. */
#include "platform/freebsd/links.h"

#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* In a message each address begins where a long may lie. */
#define ROUNDED(len) (((len) + sizeof(long) - 1) & ~(sizeof(long) - 1))

static union address
address_of(const struct ip *a)
{
	union address s = { .v6 = { .sin6_len = 0 } };

	if (a->family == AF_INET) {
		s.v4.sin_len = sizeof(s.v4);
		memcpy(&s.v4.sin_addr, a->bytes, 4);
	} else {
		s.v6.sin6_len = sizeof(s.v6);
		memcpy(&s.v6.sin6_addr, a->bytes, 16);
	}
	s.any.sa_family = (sa_family_t)a->family;
	return s;
}

int
route_default(int route_fd, const struct ip *gateway, struct err *e)
{
	static const unsigned char types[] = { RTM_ADD, RTM_CHANGE };
	struct ip none = { .family = gateway->family };
	const union address parts[] = { address_of(&none), address_of(gateway), address_of(&none) };
	struct {
		struct rt_msghdr head;
		char addresses[3 * ROUNDED(sizeof(union address))];
	} m = { .head = { .rtm_version = RTM_VERSION,
		    .rtm_flags = RTF_UP | RTF_GATEWAY | RTF_STATIC,
		    .rtm_addrs = RTA_DST | RTA_GATEWAY | RTA_NETMASK } };
	char text[IP_TEXT];
	size_t used = 0;

	static_assert(NELEM(parts) * ROUNDED(sizeof(parts[0])) <= sizeof(m.addresses),
	    "the addresses of the largest kind fit");
	for (size_t i = 0; i < NELEM(parts); i++) {
		memcpy(m.addresses + used, &parts[i], parts[i].any.sa_len);
		used += ROUNDED(parts[i].any.sa_len);
	}
	m.head.rtm_msglen = (unsigned short)(offsetof(__typeof__(m), addresses) + used);
	for (size_t i = 0; i < NELEM(types); i++) {
		m.head.rtm_type = types[i];
		m.head.rtm_seq = (int)i + 1;
		if (write(route_fd, &m, m.head.rtm_msglen) >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return err_sys(e, "lead the pot's packets to %s", ip_text(gateway, text));
}

/* ---- the way out ---- */

static bool
is_default(const struct rt_msghdr *m, size_t len, int family)
{
	const char *at = (const char *)(m + 1), *end = (const char *)m + len;
	const struct sockaddr *dst = (const void *)at;
	const uint8_t *bytes = (const uint8_t *)at;
	size_t from = family == AF_INET ? offsetof(struct sockaddr_in, sin_addr)
					: offsetof(struct sockaddr_in6, sin6_addr);
	size_t size = family == AF_INET ? 4 : 16;

	if ((m->rtm_addrs & RTA_DST) == 0 || at + sizeof(*dst) > end || at + dst->sa_len > end ||
	    dst->sa_family != family || (m->rtm_flags & RTF_HOST) != 0)
		return false;
	for (size_t i = from; i < from + size && i < dst->sa_len; i++)
		if (bytes[i] != 0)
			return false;
	/* the mask follows; a default route's is empty */
	at += ROUNDED(dst->sa_len);
	if ((m->rtm_addrs & RTA_GATEWAY) != 0 && at + sizeof(*dst) <= end) {
		size_t skip = ((const struct sockaddr *)(const void *)at)->sa_len;
		at += ROUNDED(skip > 0 ? skip : 1);
	}
	if ((m->rtm_addrs & RTA_NETMASK) == 0 || at + 1 > end)
		return true;
	bytes = (const uint8_t *)at;
	for (size_t i = from; i < bytes[0] && at + i < end; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

int
route_external(struct host *h, int family, char out[NETIF_NAME], struct err *e)
{
	int mib[] = { CTL_NET, PF_ROUTE, 0, family, NET_RT_FLAGS, RTF_GATEWAY };
	autofree char *all = NULL;
	size_t len = 0;
	char name[IFNAMSIZ];

	(void)h;
	for (int tries = 0;; tries++) {
		if (sysctl(mib, NELEM(mib), NULL, &len, NULL, 0) < 0)
			return err_sys(e, "list routes");
		free(all);
		len += 4096;
		all = xcalloc(1, len);
		if (sysctl(mib, NELEM(mib), all, &len, NULL, 0) == 0)
			break;
		if (errno != ENOMEM || tries > 8)
			return err_sys(e, "list routes");
	}
	for (size_t at = 0; at + sizeof(struct rt_msghdr) <= len;) {
		const struct rt_msghdr *m = (const void *)(all + at);

		if (m->rtm_msglen < sizeof(*m) || m->rtm_msglen > len - at)
			break;
		if (m->rtm_version == RTM_VERSION && is_default(m, m->rtm_msglen, family) &&
		    if_indextoname(m->rtm_index, name) != NULL) {
			(void)str_copy(out, NETIF_NAME, name);
			return 0;
		}
		at += m->rtm_msglen;
	}
	return err_new(e, ERR_ABSENT, "this machine has no default route for IPv%d",
	    family == AF_INET6 ? 6 : 4);
}
