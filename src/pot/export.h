/*
 * export.h: a snapshot of a pot, lent to somebody who makes an image of it.
 */
#ifndef POT_EXPORT_H
#define POT_EXPORT_H

#include "pot/pot.h"

struct pot_export_options {
	const char *name;
	const char *tag; /* NULL: the snapshot's name */
	bool take;	 /* -A: one where there is none; of several only the newest stays */
	bool several;	 /* -F: the newest of several */
	bool now;	 /* take one first: the current state */
	bool check;	 /* -c: refuse a tag that is older than the last one */
	bool whole;	 /* of a clone as well: not a layer */
	bool portable;	 /* never a stream of the backend's own kind */
};

/* What is being exported. */
struct pot_exported {
	const char *tag;
	const char *snapshot;
	const char *below; /* "<pot>:<tag>@<snapshot>" of a layer, else NULL */
	const char *conf_dir, *root_dir, *below_root;
	/* Where the backend has streams of its own, and all below is of them: the descriptor that
	 * gives it, in place of the directories. */
	bool is_stream;
	int stream;
};

/* Called in a child process in which the trees are put together, read-only, for the length of the
 * call; the paths are usable by programs it starts. What it returns is what pot_export() returns.
 */
typedef int pot_export_fn(const struct pot_exported *x, void *ctx, struct err *e);

/* Holds the pot's lock meanwhile; the pot may run, unless a snapshot must be taken (ERR_BUSY).
 * ERR_ABSENT: no snapshot. ERR_INPUT: several, or a clone of something that was never exported.
 * *tag: what it was exported as; memory of the arena. */
int pot_export(struct pot_env *env, const struct pot_export_options *o, pot_export_fn *fn,
    void *ctx, struct arena *mem, const char **tag, struct err *e);

/* Notes on the pot that this snapshot is the image <image>:<tag>, and of which kind. */
int exported_note(struct pot_env *env, const char *pot, const char *snapshot, const char *image,
    const char *tag, bool is_stream, struct err *e);

/* As sort -V would: digits count as numbers; < 0, 0, > 0. */
int version_compare(const char *a, const char *b);

#endif
