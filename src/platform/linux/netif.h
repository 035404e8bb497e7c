/*
 * netif.h: what the files of platform/linux share about interfaces.
 */
#ifndef PLATFORM_LINUX_NETIF_H
#define PLATFORM_LINUX_NETIF_H

#include "platform/netif.h"

extern const struct netif_ops netif_linux;

/* Writes a small file below /proc/sys unless it says so already. */
int sysctl_set(const char *path, const char *value, struct err *e);

#endif
