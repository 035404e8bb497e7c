/*
 * tree.h: what the files of a pot are put together from. Internal to libpot.
 */
#ifndef POT_TREE_H
#define POT_TREE_H

#include "pot/priv.h"

struct pot_tree {
	struct mount_root root;
	struct mount_item *items; /* in order, on the root */
	size_t n;
};
/* Memory of the arena. ERR_CORRUPT: a multi pot whose root cannot be found. */
int tree_of(
    struct pot_env *, const struct pot_spec *, struct arena *, struct pot_tree *, struct err *);
/* Is the file, an absolute path in the pot, in one of the layers? Nothing is mounted for it. */
bool tree_has(const struct pot_tree *, const char *file);

/* One line of fscomp.conf as a mount. */
int mount_of(
    struct pot_env *, const struct pot_fscomp *, struct arena *, struct mount_item *, struct err *);
/* Layers of a root upon the directory `below`, where the dataset is one directory itself: they lie
 * in it, as upper and work. */
void tree_layers_in(const char *plain, const char *below, struct arena *, struct mount_root *out);
/* "zroot/pot/fscomp/www" or "fscomp/www" as the dataset's own name, a part of `source`. */
int dataset_of_source(struct pot_env *, const char *source, const char **name, struct err *);
/* As mount_root_of(); read_only: without claiming the layer that changes go to. */
int root_of_dataset(struct pot_env *, const char *dataset, bool read_only, struct arena *,
    struct mount_root *, struct err *);

/* ---- rearranged bases (base.c) ---- */
#define BASE_PRISTINE ":pot.pristine" /* property: the snapshot that single pots come from */
/* "bases/<base>", "bases/<base>/custom" */
const char *ds_base(char out[DATASET_SIZE], const char *base, const char *part);
/* Moves what a pot may change into bases/<base>/usr.local and …/custom, and takes the snapshots
 * that pots of type multi copy. */
int base_rearrange(struct pot_env *, const char *base, const char *release, struct err *);

/* ---- pots of type multi (multi.c) ---- */
/* The private datasets that a pot in the making needs, and what its fscomp.conf says. Strings are
 * of the making's memory. */
struct multi_parts {
	struct dataset_new at[2];
	size_t n;
	struct fscomps mounts;
};
/* Copies of the newest snapshots; parent is the pot of -P or NULL. */
int multi_make(struct making *, const struct pot_spec *parent, const char *base, unsigned level,
    struct multi_parts *, struct err *);
/* Clones; of which snapshots (at[].snap) is left open. */
int multi_clone(struct making *, const char *source, struct multi_parts *, struct err *);
/* fscomp.conf, and the directory that all is mounted on. */
int multi_save(struct making *, const struct multi_parts *, struct err *);
/* All pots of type multi on a base. */
int multi_users(struct pot_env *, const char *base, struct arena *, struct pot_spec ***, size_t *n,
    struct err *);
/* A base has one writer, and then no reader: ERR_BUSY while a pot runs that changes what this one
 * shares, or shares what this one changes. */
int multi_may_start(struct pot_env *, const struct pot_spec *, struct arena *, struct err *);

/* ERR_BUSY while a pot of level 2 runs that has this pot's packages mounted. */
int multi_may_revert(struct pot_env *, const char *name, struct err *);

/* ---- copying (copy.c) ---- */
/* One entry of a directory with all below it: owner, mode, times, extended attributes and access
 * control lists, links as they are. Links are not followed, device nodes refused. Merges into
 * directories that exist, replaces other files. */
int copy_entry(int from, const char *name, int to, const char *as, struct err *);

#endif
