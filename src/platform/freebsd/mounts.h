/*
 * mounts.h: the mounts of one pot, all of them in the host's one table. Internal to this folder.
 *
 * Mount points are given by descriptors that hold them fast, and entered: the functions that mount
 * change the working directory, to "/" at the end. So they run in pot-keeper or in a child.
 */
#ifndef PLATFORM_FREEBSD_MOUNTS_H
#define PLATFORM_FREEBSD_MOUNTS_H

#include "platform/mount.h"

#include <limits.h>

/* Where a root is put together. */
const char *mounts_place(const struct mount_root *root);
/* The root itself, when it does not lie there anyway; *fd is a descriptor of it. */
int mounts_root(const struct mount_root *root, int *fd, struct err *e);
int mounts_item(int root_fd, const struct mount_item *item, struct err *e);
/* A file system without a source ("devfs", "fdescfs", "procfs"); option may be NULL, as its value.
 */
int mounts_kernel_fs(int root_fd, const char *type, const char *target, const char *option,
    const char *value, struct err *e);

/* Unmounts what lies beneath the place, and the root itself where it was mounted there (all but
 * ZFS, whose datasets mount themselves). */
int mounts_clear(const char *place, struct err *e);
/* What is mounted exactly at the target, a path in the pot. ERR_ABSENT: nothing. */
int mounts_remove(int root_fd, const char *target, struct err *e);

/* Where a path leads, links followed to the last (beneath.c): a descriptor of the directory, and in
 * it the name, which is no link at that moment and need not be there. */
int beneath_parent(int root_fd, const char *path, char name[NAME_MAX + 1], struct err *e);

#endif
