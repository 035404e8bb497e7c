/*
 * pfctl.h: the packet filter, by pfctl(8) where rules are read or written as text, by requests on
 * /dev/pf for the rest.
 */
#ifndef PLATFORM_FREEBSD_PFCTL_H
#define PLATFORM_FREEBSD_PFCTL_H

#include "base/buf.h"
#include "platform/host.h"

#include <stdbool.h>
#include <stdint.h>

/* Runs "pfctl <words>", ended by NULL, with `in` (NULL: nothing) on its standard input; adds what
 * it prints to *out unless that is NULL. */
int pfctl_run(struct buf *out, const char *in, struct err *e, ...);

/* -1 with ERR_ABSENT: pf is not in the kernel. */
int pfdev_open(struct err *e);
int pfdev_start(int fd, struct err *e); /* it may run already */
enum pfdev_kind { PFDEV_NAT, PFDEV_RDR, PFDEV_FILTER };
/* How many rules an anchor ("": the main rules) has, and a number that changes with them. 0: no
 * such anchor, or this kernel's answer is not understood: *known tells. */
int pfdev_rules(
    int fd, const char *anchor, enum pfdev_kind kind, uint32_t *ticket, bool *known, struct err *e);
/* Names of the anchors right below one. */
int pfdev_anchors(int fd, const char *below, struct names *out, struct err *e);
/* Without rules, an anchor goes. In one transaction. */
int pfdev_flush(int fd, const char *anchor, struct err *e);

#endif
