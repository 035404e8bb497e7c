/*
 * store.h: where datasets and layers lie below <fs_root>/.overlay (or .btrfs), and how they change
 *safely.
 *
 *	sets/<name, '/' written as '%'>	link to the dataset's id: that it exists
 *	data/<id>/meta			what is known about it (meta.h)
 *	l/<layer>/fs, work, refs/<id>	a layer, and the datasets that refer to it
 *	l/<layer>/bytes, open		its size when it was measured; that it may have changed
 *since trash/				on its way out; anybody may empty it
 *	rename				a rename that was begun
 *	lock				held shared by what changes something, exclusively by sweep
 *and rename
 *
 * Everything but sets/ may exist without meaning: a dataset begins with its link and ends with it.
 */
#ifndef PLATFORM_OVERLAY_STORE_H
#define PLATFORM_OVERLAY_STORE_H

#include "base/ids.h"
#include "platform/overlay/meta.h"

struct set; /* overlay/set.h */
struct store;

/* What differs between those who keep datasets in this way. */
struct store_kind {
	const char *top;    /* directory below fs_root */
	const char *format; /* what its file `format` says */
	bool in_order;	    /* the file system orders everything: nothing here waits for the disk */
	bool content_first; /* a dataset ends with its content, not with its name */
	/* 1: the content of a dataset with this name is there; 0: it was never made, or is gone
	 * already. NULL: the name says it all. */
	int (*there)(const struct store *, const char *name, struct err *);
	/* Looks over a description that was read. */
	int (*loaded)(const struct store *, struct meta *, const char *name, struct err *);
	/* Content becomes that of layer m.fill; begun again from the start when it was interrupted.
	 */
	int (*fill)(struct set *, const char *name, struct err *);
	int (*snapshot)(struct host *, const char *name, const char *snap, struct err *);
	/* A new dataset with a snapshot's content; with `origin`, it is noted as such. */
	int (*derive)(struct host *, const char *name, const char *snap, const char *to,
	    bool origin, struct err *);
};
extern const struct store_kind store_overlay;

struct store {
	const struct store_kind *kind;
	const char *fs_root;   /* borrowed */
	int fs;		       /* fs_root */
	int top;	       /* fs_root/.overlay */
	int lock;	       /* -1: not held */
	char bin[RUN_ID_TEXT]; /* this call's directory below trash/; "" until something is moved
				  there */
};

/* One of that host's backend. */
#define STORE_OF(h)                                                                                \
	{                                                                                          \
		.kind = (h)->dataset->store, .fs = -1, .top = -1, .lock = -1, .bin = ""            \
	}

enum store_lock { STORE_READ, STORE_CHANGE, STORE_ALONE };

/* ERR_ABSENT with the way out when the root was not made. A rename that was interrupted is finished
 * first. */
int store_open(struct store *s, const char *fs_root, enum store_lock how, struct err *e);
int store_create(const char *fs_root, const struct store_kind *kind, struct err *e);
/* Members of the group may look at names and descriptions, not at layers. */
int store_share(const char *fs_root, const struct store_kind *kind, unsigned gid, struct err *e);
/* ERR_BUSY while it holds datasets. The caller is alone. */
int store_destroy(struct store *s, struct err *e);
/* 1 locked alone, 0 somebody is at work. */
int store_try_alone(struct store *s, struct err *e);
void store_close(struct store *s);
#define autostore CLEANUP(store_close)

/* ---- names ---- */
/* 1 and the id, or 0. */
int set_find(const struct store *s, const char *name, char id[RUN_ID_TEXT], struct err *e);
int set_link(const struct store *s, const char *name, const char *id, struct err *e);
int set_unlink(const struct store *s, const char *name, struct err *e);
int set_rename(const struct store *s, const char *from, const char *to, struct err *e);
/* Names starting with prefix, sorted. */
int sets_list(const struct store *s, const char *prefix, struct names *out, struct err *e);
/* The datasets below one: their paths relative to it. */
int sets_below(const struct store *s, const char *name, struct names *relative, struct err *e);
/* The name of an id, to be freed; NULL: none has it. */
int set_named(const struct store *s, const char *id, char **name, struct err *e);

/* ---- descriptions ---- */
/* A descriptor that holds the dataset's own lock. */
int data_lock(const struct store *s, const char *id, struct err *e);
int data_create(const struct store *s, char id[RUN_ID_TEXT], struct err *e);
int data_open(const struct store *s, const char *id, struct err *e); /* its directory */
int data_load(const struct store *s, const char *id, struct meta *m, struct err *e);
/* Replaces it; on disk when it returns with `durable`, else soon. */
int data_save(
    const struct store *s, const char *id, const struct meta *m, bool durable, struct err *e);

/* ---- layers ---- */
/* A new empty layer that the dataset refers to. */
int layer_create(const struct store *s, const char *dataset, char id[RUN_ID_TEXT], struct err *e);
int layer_open(const struct store *s, const char *layer, struct err *e); /* its fs/ */
/* One more dataset that refers to it; ERR_BUSY: it is just being removed. */
int layer_ref(const struct store *s, const char *layer, const char *dataset, struct err *e);
/* One less; the last one takes the layer to the trash. Absent is fine. */
int layer_unref(struct store *s, const char *layer, const char *dataset, struct err *e);
int layer_refs(const struct store *s, const char *layer, struct names *datasets, struct err *e);
/* Marks that its files may change from now on. */
int layer_touched(const struct store *s, const char *layer, struct err *e);
char *layer_path(const struct store *s, const char *layer, const char *sub); /* absolute */

/* ---- trash ---- */
/* Moves it away at once; absent is fine. */
int trash_move(struct store *s, int dir_fd, const char *path, struct err *e);
/* Removes what this call moved there, or all that lies there. */
int trash_empty(struct store *s, bool all, struct err *e);
/* Removes all that no dataset leads to; the caller is alone. Lets go of the lock. How many. */
int store_sweep(struct store *s, struct err *e);
int dir_names(int dir_fd, const char *path, struct names *out, struct err *e);
int mkdir_parents(int dir_fd, const char *path, struct err *e);

#endif
