/*
 * oom.h: processes that rctl ended for want of memory. Internal to this folder.
 */
#ifndef PLATFORM_FREEBSD_OOM_H
#define PLATFORM_FREEBSD_OOM_H

#include <stdint.h>

/* How many of the jail's are in the kernel's messages, which forget the oldest; 0 when they cannot
 * be read. */
int64_t oom_told(const char *jail);

#endif
