/*
 * file.h: replacing a file so that a power cut leaves either the old content or the new.
 *
 * The new content goes to a temporary file beside the old one, is synced, renamed over it, and the
 * directory is synced. Names are single components below `dirfd` (no slash). A temporary file left
 * by a crash is named ".<name>.new.<pid>-<n>" and may be removed by anybody who holds the owner's
 * lock.
 */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

/* Durable and atomic. `mode` is set exactly (no umask). */
int file_replace(
    int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *e);
/* Atomic without the syncs: for what need not survive a reboot (records on tmpfs, generated
 * configuration). */
int file_swap(
    int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *e);
/* Appends the content of `name` to *out; ERR_ABSENT when it is not there, ERR_INPUT above max. */
int file_load(int dirfd, const char *name, size_t max, struct buf *out, struct err *e);
/* Removes it durably; fine when it is not there. */
int file_remove(int dirfd, const char *name, struct err *e);

#endif
