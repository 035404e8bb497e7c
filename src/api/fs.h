/*
 * fs.h: an allocation's files, opened beneath its directory. Private to api/.
 */
#ifndef API_FS_H
#define API_FS_H

#include "api/call.h"

#include <sys/stat.h>

/* Opens the path of an allocation for reading; secrets/ and private/ of a task are refused. The way
 * may be a directory. -1: answered. */
int fs_open(struct call *c, const char *alloc_id, const char *path, int flags);
/* The same below a directory that is open already, with an error instead of an answer. */
int fs_open_at(int dir, const char *path, int flags, struct err *e);
/* Answers with the status that fits. */
void fs_fail(struct call *c, const struct err *e);

#endif
