/*
 * links.h: pieces of rtnetlink messages and look-ups that netif.c and pair.c share.
 */
#ifndef PLATFORM_LINUX_LINKS_H
#define PLATFORM_LINUX_LINKS_H

#include "platform/linux/netlink.h"
#include "platform/netif.h"

/* Host sides of pairs whose pots have addresses of the outside: rules know them by this group. */
enum { LINK_GROUP_ALIASES = 0x706f74 };

int link_check_name(const char *name, struct err *e);
/* Starts a message about a link; `up` sets it up. Attributes may follow. */
void link_message(struct nl_batch *b, unsigned type, unsigned flags, unsigned index, bool up);
void address_message(struct nl_batch *b, unsigned index, const struct ipnet *a);
/* One link, by index or (0) by name: 1 found, 0 there is none. */
int link_find(int fd, const char *name, unsigned index, struct netif_link *out, struct err *e);
int link_remove(int fd, const char *name, struct err *e);

/* pair.c */
int pair_up(
    struct host *h, const struct netif_pair *p, const struct netif_inside *given, struct err *e);
int loopback_up(struct host *h, pid_t pid, int netns_given, struct err *e);

/* alias.c */
int alias_up(struct host *h, const struct netif_pair *p, const struct netif_alias *at, size_t n,
    struct err *e);
int alias_down(
    struct host *h, const char *pair, const struct netif_alias *at, size_t n, struct err *e);
int aliases_list(struct host *h, struct netif_alias **out, size_t *n, struct err *e);

/* What both need of a pot's network namespace (pair.c). */
int netns_open(pid_t pid, int netns, struct err *e);
/* A netlink socket that belongs to it: this thread goes there and back. On the way the interface of
 * that name (NULL: none) is told to believe no neighbour that says it were a router. */
int netns_socket(int netns, const char *name, struct err *e);
int link_wait_running(int fd, const char *name, struct err *e);
void default_route_message(
    struct nl_batch *b, unsigned index, const struct ip *gateway, const struct ipnet *own);
/* Both ends know each other from the start; state: NUD_STALE, or NUD_PERMANENT for good. */
void neighbour_message(
    struct nl_batch *b, unsigned index, const struct ip *a, const uint8_t mac[6], uint16_t state);

#endif
