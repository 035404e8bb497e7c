/*
 * Bridges. As with the shell implementation they are named by the kernel, "bridge0", and told by
 * their description; one that the shell implementation made is found by its address and taken over.
 */
#include "platform/freebsd/links.h"

#include "base/str.h"

#include <errno.h>
#include <net/ethernet.h>
#include <net/if_bridgevar.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>

enum { MEMBERS_FIRST = 64, MEMBERS_MAX = 1 << 16 };

static const char *
description_of(struct host *h, const char *name, char out[64])
{
	if (str_eq(name, h->roots.bridge))
		snprintf(out, 64, "pot public bridge");
	else
		snprintf(out, 64, "pot private bridge %s", name);
	return out;
}

int
bridge_names(int fd, struct names *out, struct err *e)
{
	struct ifgroupreq r = { .ifgr_name = "bridge" };
	autofree struct ifg_req *at = NULL;

	if (ioctl(fd, SIOCGIFGMEMB, &r) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "list bridges");
	/* room for some more that come meanwhile */
	r.ifgr_len += 16 * sizeof(*at);
	at = xcalloc(1, r.ifgr_len);
	r.ifgr_groups = at;
	if (ioctl(fd, SIOCGIFGMEMB, &r) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "list bridges");
	for (size_t i = 0; i < r.ifgr_len / sizeof(*at) && at[i].ifgrq_member[0] != '\0'; i++)
		names_add(out, at[i].ifgrq_member);
	return 0;
}

int
bridge_find(struct host *h, int fd, const char *name, char real[IFNAMSIZ], struct err *e)
{
	autonames struct names all = NAMES_INIT;
	char wanted[64], text[NETIF_ALIAS];

	if (link_check_name(name, e) < 0 || bridge_names(fd, &all, e) < 0)
		return -1;
	description_of(h, name, wanted);
	for (size_t i = 0; i < all.n; i++) {
		bool found = str_eq(all.at[i], name);

		if (!found) {
			link_description(fd, all.at[i], text, sizeof(text));
			found = str_eq(text, wanted);
		}
		if (found) {
			(void)str_copy(real, IFNAMSIZ, all.at[i]);
			return 1;
		}
	}
	return 0;
}

static int
find_by_address(struct host *h, int fd, const struct ip *a, char real[IFNAMSIZ], struct err *e)
{
	autonames struct names all = NAMES_INIT;

	if (bridge_names(fd, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		autofree struct ipnet *addrs = NULL;
		struct err gone = ERR_INIT;
		size_t n = 0;

		if (links_addresses(h, all.at[i], &addrs, &n, &gone) < 0)
			continue;
		for (size_t k = 0; k < n; k++)
			if (ip_eq(&addrs[k].addr, a)) {
				(void)str_copy(real, IFNAMSIZ, all.at[i]);
				return 1;
			}
	}
	return 0;
}

static int
find_or_make(struct host *h, int fd, const char *name, const struct ipnet *addrs, size_t n,
    char real[IFNAMSIZ], struct err *e)
{
	char text[64];
	int there = bridge_find(h, fd, name, real, e);

	if (there != 0)
		return there < 0 ? -1 : 0;
	if ((there = link_exists(fd, name, e)) != 0)
		return there < 0
			   ? -1
			   : err_new(e, ERR_EXISTS,
				 "make bridge %s: an interface of that name exists and is not "
				 "a bridge",
				 name);
	if (n > 0 && (there = find_by_address(h, fd, &addrs[0].addr, real, e)) < 0)
		return -1;
	if (there == 0 && link_create(fd, "bridge", real, e) < 0)
		return -1;
	return link_describe(fd, real, description_of(h, name, text), e);
}

static bool
has_address(const struct ipnet *have, size_t n, const struct ip *a)
{
	for (size_t i = 0; i < n; i++)
		if (ip_eq(&have[i].addr, a))
			return true;
	return false;
}

int
bridge_ensure(struct host *h, const char *name, const struct ipnet *addrs, size_t n, struct err *e)
{
	autostack struct stack s = STACK_INIT;
	autofree struct ipnet *have = NULL;
	char real[IFNAMSIZ];
	size_t n_have = 0;

	if (link_module("if_bridge", e) < 0 || stack_open(&s, e) < 0)
		return -1;
	if (find_or_make(h, s.inet, name, addrs, n, real, e) < 0 ||
	    link_join_group(s.inet, real, LINK_GROUP, e) < 0 ||
	    link_flags(s.inet, real, IFF_UP, 0, e) < 0 ||
	    links_addresses(h, real, &have, &n_have, e) < 0)
		return err_ctx(e, "make bridge %s", name);
	for (size_t i = 0; i < n; i++) {
		if (addrs[i].addr.family == 0 || has_address(have, n_have, &addrs[i].addr))
			continue;
		if (addrs[i].addr.family == AF_INET6 && address_family6(&s, real, e) < 0)
			return -1;
		if (address_add(&s, real, &addrs[i], e) < 0)
			return -1;
	}
	return 0;
}

int
bridge_remove(struct host *h, const char *name, struct err *e)
{
	autostack struct stack s = STACK_INIT;
	char real[IFNAMSIZ];
	int there;

	if (stack_open(&s, e) < 0 || (there = bridge_find(h, s.inet, name, real, e)) < 0)
		return -1;
	if (there > 0)
		return link_destroy(s.inet, real, e);
	there = link_exists(s.inet, name, e);
	return there <= 0
		   ? there
		   : err_new(e, ERR_INPUT,
			 "remove bridge %s: the interface of that name is not a bridge", name);
}

/* ---- members ---- */

static int
drv(int fd, unsigned long request, const char *bridge, unsigned long cmd, void *data, size_t len)
{
	struct ifdrv d = { .ifd_cmd = cmd, .ifd_len = len, .ifd_data = data };

	(void)str_copy(d.ifd_name, sizeof(d.ifd_name), bridge);
	return ioctl(fd, request, &d);
}

int
bridge_join(int fd, const char *bridge, const char *member, bool isolated, struct err *e)
{
	struct ifbreq r = { .ifbr_ifsname = "" };

	(void)str_copy(r.ifbr_ifsname, sizeof(r.ifbr_ifsname), member);
	if (drv(fd, SIOCSDRVSPEC, bridge, BRDGADD, &r, sizeof(r)) < 0 && errno != EEXIST)
		return err_sys(e, "put %s on the bridge %s", member, bridge);
	if (!isolated)
		return 0;
	if (drv(fd, SIOCGDRVSPEC, bridge, BRDGGIFFLGS, &r, sizeof(r)) < 0)
		return err_sys(e, "look at %s on the bridge %s", member, bridge);
	r.ifbr_ifsflags |= IFBIF_PRIVATE;
	if (drv(fd, SIOCSDRVSPEC, bridge, BRDGSIFFLGS, &r, sizeof(r)) < 0)
		return err_sys(e, "keep %s apart on the bridge %s", member, bridge);
	return 0;
}

/* *out is freed by the caller. */
static int
members(int fd, const char *bridge, struct ifbreq **out, size_t *n, struct err *e)
{
	for (size_t room = MEMBERS_FIRST; room <= MEMBERS_MAX; room *= 2) {
		autofree struct ifbreq *at = xcalloc(room, sizeof(*at));
		struct ifbifconf c = { .ifbic_len = (uint32_t)(room * sizeof(*at)),
			.ifbic_req = at };

		if (drv(fd, SIOCGDRVSPEC, bridge, BRDGGIFS, &c, sizeof(c)) < 0)
			return err_sys(e, "list the members of the bridge %s", bridge);
		if (c.ifbic_len > room * sizeof(*at) - sizeof(*at))
			continue; /* perhaps not all of them */
		*n = c.ifbic_len / sizeof(*at);
		*out = take(&at);
		return 0;
	}
	return err_new(e, ERR_FULL, "the bridge %s has too many members", bridge);
}

int
bridge_note_members(int fd, const char *bridge, struct netif_links *links, struct err *e)
{
	autofree struct ifbreq *at = NULL;
	size_t n = 0;

	if (members(fd, bridge, &at, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < links->n; k++)
			if (str_eq(links->at[k].name, at[i].ifbr_ifsname))
				(void)str_copy(links->at[k].master, NETIF_NAME, bridge);
	return 0;
}

int
bridge_leave(int fd, const char *member, struct err *e)
{
	autonames struct names all = NAMES_INIT;
	struct ifbreq r = { .ifbr_ifsname = "" };

	(void)str_copy(r.ifbr_ifsname, sizeof(r.ifbr_ifsname), member);
	if (bridge_names(fd, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (drv(fd, SIOCSDRVSPEC, all.at[i], BRDGDEL, &r, sizeof(r)) == 0)
			break;
	return 0;
}

int
bridge_info(struct host *h, const char *name, struct netif_bridge *out, struct err *e)
{
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;
	autostack struct stack s = STACK_INIT;
	autofree struct ipnet *addrs = NULL;
	char real[IFNAMSIZ];
	size_t n_addrs = 0, n = 0;
	int there;

	if (stack_open(&s, e) < 0 || (there = bridge_find(h, s.inet, name, real, e)) < 0)
		return -1;
	if (there == 0)
		return err_new(e, ERR_ABSENT, "there is no bridge %s", name);
	if (links_list(h, "", &links, e) < 0 || links_addresses(h, real, &addrs, &n_addrs, e) < 0)
		return -1;
	*out = (struct netif_bridge){ .addrs_n = n_addrs };
	for (size_t i = 0; i < links.n; i++) {
		if (str_eq(links.at[i].name, real)) {
			out->index = links.at[i].index;
			out->up = links.at[i].up;
		}
		if (str_eq(links.at[i].master, real))
			links.at[n++] = links.at[i];
	}
	out->addrs = take(&addrs);
	out->members.at = take(&links.at);
	out->members.n = n;
	return 0;
}
