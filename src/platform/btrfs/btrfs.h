/*
 * btrfs.h: the dataset backend for a tree that lies on btrfs: a subvolume for each dataset.
 *
 * A dataset is the subvolume <fs_root>/<name>, of either kind; its snapshots are read-only
 * subvolumes below <fs_root>/.btrfs. Names, descriptions and locks are kept as the overlay backend
 * does (overlay/store.h); the on-disk format is docs/formats/btrfs-datasets.md.
 *
 * The file system orders what happens to it, and a snapshot writes all of it to disk: no other
 * call here waits for the disk, but a snapshot is there after a power cut, and so is all before it.
 */
#ifndef PLATFORM_BTRFS_BTRFS_H
#define PLATFORM_BTRFS_BTRFS_H

#include "platform/overlay/set.h"

extern const struct dataset_ops dataset_btrfs;

/* ---- inside this folder ---- */

/* A clone remembers the layer it was made of, and the transaction up to which it shares it. */
#define BTRFS_CLONE_OF ":potter.clone-of"

/* The newest snapshots are described before they are made: those that were not. */
void btrfs_forget_unmade(const struct store *s, struct meta *m);
/* Is the subvolume there? 1, 0. */
int place_exists(const struct store *s, const char *name, struct err *e);
/* The directory a dataset's subvolume lies in; *last: its name there. */
int place_parent(const struct store *s, const char *name, const char **last, struct err *e);
/* Content becomes that of layer m.fill; begun again from the start when it was interrupted. */
int btrfs_fill(struct set *set, const char *name, struct err *e);
/* dataset_ops.survey */
int btrfs_survey(struct host *h, const char *name, const struct dataset_watch *watch,
    struct dataset_survey *out, struct err *e);

#endif
