/*
 * edit.h: changing a pot's configuration: read, change, replace, under the pot's lock. Internal to
 * libpot.
 */
#ifndef POT_EDIT_H
#define POT_EDIT_H

#include "pot/priv.h"

struct edit {
	struct pot_env *env;
	const char *name;
	int lock;
	struct arena mem;
	struct pot_spec *spec; /* as it stands on disk */
	struct conf conf;
};

void edit_fini(struct edit *x);
#define autoedit CLEANUP(edit_fini)
#define EDIT_INIT                                                                                  \
	{                                                                                          \
		.lock = -1                                                                         \
	}

/* `act` is the command, for messages. Root only. */
int edit_begin(struct edit *, struct pot_env *, const char *name, const char *act, struct err *);
/* Writes the file unless nothing changed. */
int edit_end(struct edit *, struct err *);

#endif
