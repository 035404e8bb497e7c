/*
 * tree.h: whole directory trees: removed, copied, counted. Links are never followed.
 */
#ifndef PLATFORM_OVERLAY_TREE_H
#define PLATFORM_OVERLAY_TREE_H

#include "platform/host.h"

#include <stdint.h>
#include <sys/stat.h>

/* Removes every entry of a directory, however deep (what lies deeper than the recursion goes is
 * moved up first). Another process may do the same at the same time. */
int tree_empty(int dir_fd, struct err *e);
/* Copies the content of one directory into another, existing and empty one: owners, modes, times,
 * links among the files, devices, extended attributes; the directory's own mode and owner as well.
 * Entries whose path below `from` is in `skip` are left out. Shares blocks where the file system
 * can. */
int tree_copy(int from, int to, const struct names *skip, struct err *e);
/* Bytes of disk in use below and including the directory, each file once. */
int tree_bytes(int dir_fd, const struct names *skip, uint64_t *bytes, struct err *e);
/* Mode, owner and extended attributes of one directory onto another. */
int tree_attributes(int from, int to, struct err *e);

#endif
