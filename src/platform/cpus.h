/*
 * cpus.h: sets of CPU numbers as text, "0-2,5".
 */
#ifndef PLATFORM_CPUS_H
#define PLATFORM_CPUS_H

#include "base/buf.h"

#include <stdbool.h>

enum { CPUS_MAX = 4096 };
int cpus_parse(const char *text, bool cpus[CPUS_MAX], struct err *e); /* how many */
void cpus_write(const bool cpus[CPUS_MAX], struct buf *out);
/* The `count` least used of those in `from` (counted in `used`), lowest first among equals. */
void cpus_least(
    const bool from[CPUS_MAX], const unsigned used[CPUS_MAX], unsigned count, bool out[CPUS_MAX]);

#endif
