/*
 * child.h: entering what is another process's own.
 */
#ifndef PLATFORM_LINUX_CHILD_H
#define PLATFORM_LINUX_CHILD_H

#include "platform/child.h"

#include <stdint.h>
#include <sys/types.h>

/* Enters namespaces of another process (CLONE_NEW… bits); its identity is checked. */
int child_enter(pid_t pid, uint64_t start, int namespaces, struct err *e);

#endif
