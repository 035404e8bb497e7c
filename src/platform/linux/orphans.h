/*
 * orphans.h: connections of a pot that has ended.
 *
 * What a program wrote before it ended the kernel still delivers, and the connection keeps the
 * pot's network namespace, and with it the pair, until the other side has taken everything. One
 * that takes nothing would keep them for a quarter of an hour; so they get ORPHANS_GRACE_MS, and
 * then the interfaces go.
 */
#ifndef PLATFORM_LINUX_ORPHANS_H
#define PLATFORM_LINUX_ORPHANS_H

#include <sys/types.h>

enum { ORPHANS_GRACE_MS = 3000 };

/* The network namespace of a process, to be held beyond its end; -1: cannot be had. */
int orphans_watch(pid_t pid);
/* When all processes of that namespace have ended. The caller, which has no threads, does not wait:
 * where connections are left a process of its own does, `pot-ending`, which is gone with the last
 * of them or with the interfaces. netns may be -1 and stays open. */
void orphans_end(int netns);

#endif
