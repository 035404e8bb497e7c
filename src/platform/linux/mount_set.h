/*
 * mount_set.h: putting a pot's tree together inside a mount namespace that is ours alone.
 * Used by isolate (a running pot's init) and mount.c (a stopped pot's tree).
 */
#ifndef PLATFORM_LINUX_MOUNT_SET_H
#define PLATFORM_LINUX_MOUNT_SET_H

#include "platform/mount.h"

/* Detached copies of what is to be mounted, taken while the host's paths can still be seen. */
struct mount_set {
	int *trees; /* one for each item; -1: nothing to mount */
	size_t n;
};

/* In a fresh mount namespace: nothing done here reaches the host. */
int mount_private(struct err *e);
/* Mounts the root and makes it the working directory. */
int mount_root_here(const struct mount_root *root, struct err *e);
int mount_set_open(struct mount_set *set, const struct mount_item *items, size_t n, struct err *e);
/* Beneath root_fd, in order; closes the set. */
int mount_set_attach(
    struct mount_set *set, const struct mount_item *items, int root_fd, struct err *e);
void mount_set_close(struct mount_set *set);
/* The working directory becomes "/", the host's tree is let go. */
int mount_pivot(struct err *e);

/* One item alone, for a pot that runs. -1 on failure; a tree otherwise. */
int mount_item_open(const struct mount_item *item, struct err *e);
int mount_item_attach(int tree, const struct mount_item *item, int root_fd, struct err *e);

#endif
