/*
 * child.h: doing something in a child process that has entered other namespaces, and hearing how it
 * went. The child is a copy of this process; it reports through a pipe.
 */
#ifndef PLATFORM_LINUX_CHILD_H
#define PLATFORM_LINUX_CHILD_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

typedef int child_fn(void *ctx, struct err *e);
/* Runs fn in a child and waits; what it returned comes back. */
int child_run(child_fn *fn, void *ctx, struct err *e);
/* Enters namespaces of another process (CLONE_NEW… bits); its identity is checked. */
int child_enter(pid_t pid, uint64_t start, int namespaces, struct err *e);

#endif
