/*
 * oom.h: processes that rctl ended for want of memory. Internal to this folder.
 */
#ifndef PLATFORM_FREEBSD_OOM_H
#define PLATFORM_FREEBSD_OOM_H

#include "platform/rctl/rctl.h"

#include <stdint.h>

/* As rctl_told(), of the kernel's own messages; 0 when they cannot be read. */
int64_t oom_told(const char *jail, char last[RCTL_LINE]);

#endif
