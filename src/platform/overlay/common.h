/*
 * common.h: what overlay and btrfs do alike: operations on names and descriptions (meta.h).
 *
 * Each is an operation of dataset.h; where the two differ, they ask h->dataset->store.
 */
#ifndef PLATFORM_OVERLAY_COMMON_H
#define PLATFORM_OVERLAY_COMMON_H

#include "platform/overlay/set.h"

int common_root_destroy(struct host *h, struct err *e);
int common_share(struct host *h, unsigned gid, struct err *e);
int common_destroy(struct host *h, const char *name, bool recursive, struct err *e);
int common_rename(struct host *h, const char *from, const char *to, struct err *e);
int common_exists(struct host *h, const char *name, struct err *e);
int common_list(struct host *h, const char *prefix, struct names *out, struct err *e);
int common_snapshot(
    struct host *h, const char *name, const char *snap, bool recursive, struct err *e);
int common_snapshots(struct host *h, const char *name, struct names *out, struct err *e);
int common_snapshot_destroy(struct host *h, const char *name, const char *snap, struct err *e);
int common_clone(struct host *h, const char *name, const char *snap, const char *to, struct err *e);
int common_copy(struct host *h, const char *name, const char *snap, const char *to, struct err *e);
int common_origin(struct host *h, const char *name, char **out, struct err *e);
int common_property_get(
    struct host *h, const char *name, const char *key, char **out, struct err *e);
int common_property_set(
    struct host *h, const char *name, const char *key, const char *value, struct err *e);
int common_sweep(struct host *h, struct err *e);

/* One dataset without regard to others, and all that its description leads to. What it frees goes
 * to the trash of the store. */
int common_destroy_one(struct store *s, const char *name, struct err *e);

#endif
