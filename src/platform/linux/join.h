/*
 * join.h: becoming a member of cgroups, v1 and v2, without the kernel's slow path.
 */
#ifndef PLATFORM_LINUX_JOIN_H
#define PLATFORM_LINUX_JOIN_H

#include "base/err.h"

#include <stddef.h>

enum { CGROUPS_MAX = 32 };

struct joins {
	int tasks[CGROUPS_MAX]; /* v1: files to write "0" to, in the order of the directories */
	size_t n_tasks;
	int v2; /* a directory to be born in (CLONE_INTO_CGROUP); -1: none */
};

/* dirs end with NULL; a NULL list is empty. */
int joins_open(struct joins *j, const char *const *dirs, struct err *e);
void joins_close(struct joins *j);
/* Moves the calling thread. */
int joins_write(struct joins *j, struct err *e);

#endif
