/*
 * child.h: doing something in a child process, and hearing how it went. The child is a copy of this
 * process; it reports through a pipe. Internal to this folder.
 */
#ifndef PLATFORM_CHILD_H
#define PLATFORM_CHILD_H

#include "base/err.h"

typedef int child_fn(void *ctx, struct err *e);
/* Runs fn in a child and waits; what it returned comes back. */
int child_run(child_fn *fn, void *ctx, struct err *e);

#endif
