/*
 * links.h: what the parts of netif share: requests about interfaces, on this host or in a jail.
 *
 * A socket belongs to the network stack it was made in, and so does every request on it. That is
 * how a jail's stack is set up from outside: its sockets are made by a child that attaches to it.
 */
#ifndef PLATFORM_FREEBSD_LINKS_H
#define PLATFORM_FREEBSD_LINKS_H

#include "platform/netif.h"

#include <net/if.h>

/* All interfaces of ours, as the shell implementation marks its own. */
#define LINK_GROUP "pot"

/* Sockets of one network stack; -1: not there. */
struct stack {
	int inet, inet6, route;
};
#define STACK_INIT                                                                                 \
	{                                                                                          \
		.inet = -1, .inet6 = -1, .route = -1                                               \
	}
void stack_fini(struct stack *s);
#define autostack CLEANUP(stack_fini)

/* This host's. Without IPv6 in the kernel inet6 stays -1. */
int stack_open(struct stack *s, struct err *e);
/* That of the jail in which the process lives, or of the jail `jid` when that is > 0; *at is its
 * id. ERR_ABSENT: the process or the jail is gone. ERR_INPUT: it has no stack of its own. While the
 * sockets are open the stack stays, also when the jail is removed. */
int stack_of_jail(pid_t pid, int jid, struct stack *s, int *at, struct err *e);

/* The end of a jail's own stack, in two steps. First, once nothing lives in the jail: its
 * connections are forgotten, the past ones of which would keep the stack for a minute. *s: sockets
 * of the stack; untouched where the jail has none of its own. Before what its root lies on is
 * unmounted, for then no process can enter the jail any more. */
void stack_empty(int jid, struct stack *s);
/* Then, before the jail is removed: the pairs that belong to it are destroyed, so that the kernel
 * can take the stack apart at once. Takes tens of milliseconds. */
void stack_end(struct stack *s);

int link_check_name(const char *name, struct err *e);
/* Loads a module of the kernel unless it is there. */
int link_module(const char *module, struct err *e);
/* 1: there is such an interface in the socket's stack, 0: not. */
int link_exists(int fd, const char *name, struct err *e);
int link_flags(int fd, const char *name, int set, int clear, struct err *e);
int link_describe(int fd, const char *name, const char *text, struct err *e);
/* "" when there is none. */
void link_description(int fd, const char *name, char *out, size_t size);
int link_join_group(int fd, const char *name, const char *group, struct err *e);
/* kind: "bridge", "epair". */
int link_create(int fd, const char *kind, char out[IFNAMSIZ], struct err *e);
int link_rename(int fd, const char *from, const char *to, struct err *e);
int link_destroy(int fd, const char *name, struct err *e); /* absent is fine */
int link_mac(int fd, const char *name, const uint8_t mac[6], struct err *e);

/* Addresses: there already is fine. IPv6 ones are usable at once where address_family6() was. */
int address_add(const struct stack *s, const char *name, const struct ipnet *a, struct err *e);
int address_remove(const struct stack *s, const char *name, const struct ip *a, struct err *e);
/* 1: it is, 0: the kernel still asks whether somebody else has it. ERR_EXISTS: somebody has. */
int address_usable(const struct stack *s, const char *name, const struct ip *a, struct err *e);
/* No search for duplicates: we gave the addresses out ourselves; no router is believed. */
int address_family6(const struct stack *s, const char *name, struct err *e);

int route_default(int route_fd, const struct ip *gateway, struct err *e);
int route_external(struct host *h, int family, char out[NETIF_NAME], struct err *e);

/* The real name of a bridge that others call `name`: 1, or 0 when there is none. */
int bridge_find(struct host *h, int fd, const char *name, char real[IFNAMSIZ], struct err *e);
int bridge_join(int fd, const char *bridge, const char *member, bool isolated, struct err *e);
int bridge_leave(int fd, const char *member, struct err *e); /* whichever it is in */
int bridge_ensure(
    struct host *h, const char *name, const struct ipnet *addrs, size_t n, struct err *e);
int bridge_remove(struct host *h, const char *name, struct err *e);
int bridge_info(struct host *h, const char *name, struct netif_bridge *out, struct err *e);
int bridge_names(int fd, struct names *out, struct err *e); /* of all of them */
/* Writes the bridge's name into each of its members. */
int bridge_note_members(int fd, const char *bridge, struct netif_links *links, struct err *e);

int pair_up(
    struct host *h, const struct netif_pair *p, const struct netif_inside *given, struct err *e);
int loopback_up(struct host *h, pid_t pid, int jid, struct err *e);
int link_remove(struct host *h, const char *name, struct err *e);

int links_list(struct host *h, const char *prefix, struct netif_links *out, struct err *e);
int links_addresses(struct host *h, const char *name, struct ipnet **out, size_t *n, struct err *e);

int alias_up(struct host *h, const struct netif_pair *p, const struct netif_alias *at, size_t n,
    struct err *e);
int alias_ready(struct host *h, const struct netif_alias *at, size_t n, struct err *e);
int alias_down(
    struct host *h, const char *pair, const struct netif_alias *at, size_t n, struct err *e);
int aliases_list(struct host *h, struct netif_alias **out, size_t *n, struct err *e);

#endif
