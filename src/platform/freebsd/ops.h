/*
 * ops.h: the FreeBSD implementations, for host.c.
 */
#ifndef PLATFORM_FREEBSD_OPS_H
#define PLATFORM_FREEBSD_OPS_H

#include "platform/filter.h"
#include "platform/limits.h"
#include "platform/netif.h"

extern const struct filter_ops filter_freebsd;
extern const struct limits_ops limits_freebsd;
extern const struct netif_ops netif_freebsd;

#endif
