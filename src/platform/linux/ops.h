/*
 * ops.h: the Linux implementations, for host.c and their tests.
 */
#ifndef PLATFORM_LINUX_OPS_H
#define PLATFORM_LINUX_OPS_H

#include "platform/filter.h"
#include "platform/limits.h"
#include "platform/netif.h"

extern const struct filter_ops filter_linux;
extern const struct limits_ops limits_linux;
extern const struct netif_ops netif_linux;

/* Writes a small file below /proc/sys unless it says so already. */
int sysctl_set(const char *path, const char *value, struct err *e);
int forwarding_enable(struct err *e);
/* After udp ports came (or went): conversations of before end, so that the next datagram asks the
 * rules. As far as this machine lets us. */
void conntrack_forget(const struct filter_port *ports, size_t n, bool come);

#endif
