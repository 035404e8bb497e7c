/*
 * datasets.h: the datasets below the root, for people who want to see them.
 */
#ifndef POT_DATASETS_H
#define POT_DATASETS_H

#include "pot/pot.h"

struct pot_dataset {
	char *name; /* "zroot/pot/jails/web/m", as zfs would name it */
	char *mountpoint;
	char *origin;		   /* the snapshot it was cloned from, or NULL */
	uint64_t used_bytes;	   /* with its snapshots and all that lies below it */
	uint64_t available_bytes;  /* of the file system it lies on */
	uint64_t refer_bytes;	   /* what can be read in it, shared or not */
	struct pot_strs snapshots; /* oldest first */
};

/* Sorted by name, below the root's own row; memory of the arena. `pot`: only the datasets of that
 * pot; NULL: all. */
int pot_datasets(struct pot_env *env, const char *pot, struct arena *mem, struct pot_dataset **out,
    size_t *n, struct err *e);

#endif
