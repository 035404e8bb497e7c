/*
 * confine.h: a process that works on bytes of others, and gives up all else for good.
 *
 * Whoever takes such a process over by what it reads can read and write the descriptors that it was
 * left with, and nothing more: no file can be opened, no address and no other process reached.
 */
#ifndef PLATFORM_CONFINE_H
#define PLATFORM_CONFINE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Has this system such a thing? Where not, the same work is done in the process itself. */
bool confine_possible(void);

enum { CONFINE_READ = 1, CONFINE_WRITE = 2 };
/* may[i]: what descriptor i will be good for; those from n on are closed. Threads and memory can
 * still be had. ERR_UNSUPPORTED where it is not possible. */
int confine_enter(const unsigned may[], size_t n, struct err *e);

#endif
