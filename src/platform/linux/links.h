/*
 * links.h: pieces of rtnetlink messages and look-ups that netif.c and pair.c share.
 */
#ifndef PLATFORM_LINUX_LINKS_H
#define PLATFORM_LINUX_LINKS_H

#include "platform/linux/netlink.h"
#include "platform/netif.h"

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

#endif
