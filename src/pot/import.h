/*
 * import.h: images become pots. The images themselves are somebody else's (folder image); here it
 * is decided what they become and what must be there before.
 */
#ifndef POT_IMPORT_H
#define POT_IMPORT_H

#include "pot/pot.h"

/* What is known about an image before it is fetched. Strings are "" where nothing is known. */
struct pot_image {
	char below[POT_NAME_MAX + 1],
	    below_tag[POT_NAME_MAX + 1];       /* it is a layer upon this one … */
	char below_snapshot[POT_NAME_MAX + 1]; /* … as it was then */
	char snapshot[POT_NAME_MAX + 1];       /* how its own first snapshot is called */
	bool is_stream; /* not an archive: of the dataset backend's own kind, where it has one */
	void *facts;	/* of the ops */
};

struct pot_import_ops {
	/* Asks the registry; facts belong to the arena. Without `streams`, images that are streams
	 * are refused by name. */
	int (*look)(void *ctx, const char *pot, const char *tag, bool streams, struct arena *mem,
	    struct pot_image *out, struct err *e);
	/* Begins to fetch it while others are imported first, and waits for that (give_up: ends
	 * it). Both may be NULL. */
	void (*ahead)(void *ctx, const char *pot, const char *tag, const struct pot_image *image);
	void (*ahead_end)(void *ctx, const struct pot_image *image, bool give_up);
	/* Puts the files into both directories. With `layer` root_dir holds the files below. May
	 * run in a child process. ERR_CORRUPT: not what look() said; both are called once more. */
	int (*fill)(void *ctx, const char *pot, const char *tag, const struct pot_image *image,
	    const char *conf_dir, const char *root_dir, bool layer, struct err *e);
	/* Writes the stream to the descriptor, and closes it. */
	int (*stream)(void *ctx, const char *pot, const char *tag, const struct pot_image *image,
	    int fd, struct err *e);
};

/* Makes the pot <pot>_<tag> of an image, and before it those it is a layer upon, where they lack.
 * Whatever fails, the pot is not there afterwards; images below that were complete stay. */
int pot_import(struct pot_env *env, const char *pot, const char *tag,
    const struct pot_import_ops *ops, void *ctx, struct err *e);

#endif
