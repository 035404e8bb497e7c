/*
 * pffile.h: the file that the machine loads pf's rules from.
 */
#ifndef PLATFORM_FREEBSD_PFFILE_H
#define PLATFORM_FREEBSD_PFFILE_H

#include "platform/host.h"

#include <stdbool.h>
#include <sys/types.h>

/* Where rc.conf(5) says that it lies. */
void pffile_rules(char *out, size_t size);
/* Whole or not at all. */
int pffile_write(const char *path, const char *text, size_t len, mode_t mode, struct err *e);
/* filter.h's install. */
int pffile_install(
    struct host *h, const char *file, bool undo, char *out, size_t size, struct err *e);

#endif
