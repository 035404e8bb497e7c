/*
 * datasets.h: the datasets below the root, for people who want to see them.
 */
#ifndef POT_DATASETS_H
#define POT_DATASETS_H

#include "pot/pot.h"

struct pot_dataset {
	char *name; /* "zroot/pot/jails/web/m", as zfs would name it */
	char *mountpoint;
	char *origin;		  /* the snapshot it was cloned from, or NULL */
	uint64_t used_bytes;	  /* its own */
	uint64_t available_bytes; /* of the file system it lies on */
	struct pot_strs snapshots;
};

/* Sorted by name; memory of the arena. */
int pot_datasets(
    struct pot_env *env, struct arena *mem, struct pot_dataset **out, size_t *n, struct err *e);

#endif
