/*
 * dataset.h: directory trees with snapshots, rollback and clones, as ZFS has them.
 *
 * Names are paths relative to the root, without a leading slash: "jails/web", "jails/web/m",
 * "bases/12", "fscomp/www". Components are letters, digits and "._-", not starting with a dot.
 * A snapshot is named by its dataset and a text of the same characters ("1700000000").
 *
 * Two kinds, since not every backend can do with one:
 *   DATASET_PLAIN    an ordinary directory <fs_root>/<name>, readable by path at any time, may be
 *                    mounted by many at once (a pot's conf/, fscomp). Snapshots of it may be
 * copies. DATASET_LAYERED  content is reached through root() alone; <fs_root>/<name> is its mount
 * point, to be used inside a pot's own mount namespace. One writer at a time.
 *
 * Each call is atomic against crashes: afterwards the dataset, snapshot or property is there or it
 * is not; what was half made is removed by sweep(). The caller holds the pot's lock; calls about
 * different datasets may run in parallel, also from one origin. Snapshot, rollback and destroy
 * must not be called while a pot runs on the dataset: the caller refuses that.
 */
#ifndef PLATFORM_DATASET_H
#define PLATFORM_DATASET_H

#include "platform/host.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum dataset_kind { DATASET_PLAIN, DATASET_LAYERED };

/* How to reach the content: either `plain` alone (a directory to use or to bind), or layers: lower
 * (topmost first), upper, work. Absolute paths, all owned; release with dataset_root_fini(). */
struct dataset_root {
	char *plain;
	struct names lower;
	char *upper;
	char *work;
};

#define DATASET_ROOT_INIT                                                                          \
	{                                                                                          \
		.plain = NULL, .lower = NAMES_INIT, .upper = NULL, .work = NULL                    \
	}

void dataset_root_fini(struct dataset_root *r);
#define autodataset_root CLEANUP(dataset_root_fini)

/* What a list of datasets says about one. Sizes are of files, in bytes on disk. */
struct dataset_facts {
	char *name;
	enum dataset_kind kind;
	char *origin; /* "dataset@snapshot" it was cloned from, or NULL */
	uint64_t
	    used_bytes; /* what would be free without it and its snapshots (not: those below) */
	uint64_t refer_bytes;	/* what can be read in it, shared or not */
	struct names snapshots; /* oldest first */
};

struct dataset_survey {
	struct dataset_facts *at; /* sorted by name */
	size_t n;
};

#define DATASET_SURVEY_INIT                                                                        \
	{                                                                                          \
		.at = NULL, .n = 0                                                                 \
	}

void dataset_survey_fini(struct dataset_survey *s);
void dataset_survey_sort(struct dataset_survey *s);
/* A new row at the end, empty but for the name. */
struct dataset_facts *dataset_survey_add(struct dataset_survey *s, const char *name);
#define autodataset_survey CLEANUP(dataset_survey_fini)

/* Whether somebody may be writing into a dataset: a size that was measured meanwhile is good for
 * a short time only. `busy` is asked only where the answer matters. */
struct dataset_watch {
	bool (*busy)(void *ctx, const char *dataset);
	void *ctx;
};

/* A stream on its way, by a process of its own. */
struct dataset_stream {
	pid_t pid;	  /* 0: none */
	int said;	  /* what it says */
	const char *verb; /* static */
};

/* A dataset to be made: an empty one, or with the content of from@snap, as a clone or a copy of it.
 */
struct dataset_new {
	const char *name;
	enum dataset_kind kind;	 /* of an empty one */
	const char *from, *snap; /* from NULL: empty */
	bool copy;
};

/* Datasets that are being made; see dataset_begin(). */
struct dataset_work {
	struct host *host; /* NULL: nothing is under way */
	void *work;	   /* the backend's own */
};

#define DATASET_WORK_INIT                                                                          \
	{                                                                                          \
		.host = NULL, .work = NULL                                                         \
	}

struct store_kind; /* platform/overlay/store.h */

struct dataset_ops {
	const char *name; /* "overlay", for people */
	/* Of backends that keep descriptions of their own beside the files; else NULL. */
	const struct store_kind *store;
	/* Can this machine do it? */
	int (*probe)(struct host *, struct err *);
	/* Prepares the root (makes <fs_root> when needed); removes it when no dataset is left. */
	int (*root_create)(struct host *, struct err *);
	int (*root_destroy)(struct host *, struct err *);

	/* Members of this group may look: names, snapshots, properties. NULL: they may anyway. */
	int (*share)(struct host *, unsigned gid, struct err *);

	/* ERR_EXISTS when the name is taken. Missing parents are made as ordinary directories. */
	int (*create)(struct host *, const char *name, enum dataset_kind, struct err *);
	/* With everything below it and all snapshots when recursive, else ERR_BUSY if it has
	 * datasets below. Clones are never harmed. Absent is fine. */
	int (*destroy)(struct host *, const char *name, bool recursive, struct err *);
	/* With everything below. ERR_ABSENT, ERR_EXISTS. */
	int (*rename)(struct host *, const char *from, const char *to, struct err *);
	/* 1 yes, 0 no. */
	int (*exists)(struct host *, const char *name, struct err *);
	/* All names below `prefix` ("jails/" or ""), sorted. */
	int (*list)(struct host *, const char *prefix, struct names *out, struct err *);

	/* ERR_EXISTS when the name is taken. On disk when it returns. Recursive: of everything
	 * below as well; after a failure none is there, after a crash there may be some. */
	int (*snapshot)(
	    struct host *, const char *name, const char *snap, bool recursive, struct err *);
	/* Oldest first (order of creation). ERR_ABSENT for an unknown dataset. */
	int (*snapshots)(struct host *, const char *name, struct names *out, struct err *);
	/* The same of several in one question: out has an entry for each. NULL: they are asked for
	 * one by one, by dataset_snapshots_of(), which alone calls it. */
	int (*snapshots_of)(
	    struct host *, const char *const *names, size_t n, struct names *out, struct err *);
	/* Content becomes that of the snapshot; newer snapshots of this dataset are dropped. */
	int (*rollback)(struct host *, const char *name, const char *snap, struct err *);
	int (*snapshot_destroy)(struct host *, const char *name, const char *snap, struct err *);
	/* A new dataset with the snapshot's content, whose origin() is it. Cheap for LAYERED. */
	int (*clone)(
	    struct host *, const char *name, const char *snap, const char *to, struct err *);
	/* The same without an origin: an independent copy. */
	int (*copy)(
	    struct host *, const char *name, const char *snap, const char *to, struct err *);

	/* Several at once, while the caller does other things; both NULL where nothing is gained by
	 * it. They are called by dataset_begin() and dataset_end() alone. end() always waits for
	 * all, and frees the work. */
	int (*begin)(
	    struct host *, const struct dataset_new *, size_t n, void **work, struct err *);
	int (*end)(struct host *, void *work, struct err *);

	/* It is to be found at that path of the host instead of at its name's. NULL: the backend
	 * knows no such thing. */
	int (*place)(struct host *, const char *name, const char *path, struct err *);

	/* "dataset@snapshot" to be freed, or NULL: it has none (or that was destroyed). */
	int (*origin)(struct host *, const char *name, char **out, struct err *);
	/* All about `name` and everything below it (NULL: about all), without walking through what
	 * did not change since it was measured. watch NULL: all may be busy. ERR_ABSENT. */
	int (*survey)(struct host *, const char *name, const struct dataset_watch *watch,
	    struct dataset_survey *out, struct err *);
	/* User properties (":pot.tag"). get: *out is NULL when unset, else to be freed. set: a
	 * NULL value unsets. Keys have no blanks, values no newline. */
	int (*property_get)(
	    struct host *, const char *name, const char *key, char **out, struct err *);
	int (*property_set)(
	    struct host *, const char *name, const char *key, const char *value, struct err *);

	/* `name` may be "dataset@snapshot": read-only then (no upper; a plain one must be bound
	 * so). */
	int (*root)(struct host *, const char *name, struct dataset_root *out, struct err *);
	/* Where a dataset of somebody else's, by its whole name, is mounted on this machine; to be
	 * freed. ERR_ABSENT. NULL: the backend has datasets in its own tree only. */
	int (*mounted)(struct host *, const char *set, char **out, struct err *);
	/* Not NULL where the file system keeps the order of all that is done to the tree, and
	 * snapshot(), clone() and copy() put everything before them on disk: then nobody need wait
	 * for the disk by himself. Only a file's content must be given to it before, by this. */
	int (*give_out)(struct host *, int fd, struct err *);
	/* Streams of the backend's own kind; all three NULL where it has none. Both begin the work,
	 * on a descriptor that stays the caller's, and stream_end() waits for its end (give_up:
	 * ends it). send: a snapshot of a dataset and of all below it, of clones the difference to
	 * their origins. receive: makes them, where clones need it upon `origin`
	 * ("dataset@snapshot" or NULL). */
	int (*send)(struct host *, const char *name, const char *snap, int fd,
	    struct dataset_stream *, struct err *);
	int (*receive)(struct host *, const char *name, const char *origin, int fd,
	    struct dataset_stream *, struct err *);
	int (*stream_end)(struct dataset_stream *, bool give_up, struct err *);
	/* Removes what interrupted calls left; waits for nobody. Number of things removed. */
	int (*sweep)(struct host *, struct err *);
};

/* Makes several datasets, none of which lies in another, at the same time where the backend can:
 * create(), clone() and copy() tell of each. dataset_end() waits for them and tells the first
 * error, after which others may be there; it may come from begin already. Between the two nothing
 * is asked of these datasets. Strings of the list need not stay. */
int dataset_begin(
    struct host *, const struct dataset_new *, size_t n, struct dataset_work *, struct err *);
int dataset_end(struct dataset_work *, struct err *);
/* Waits for what is still under way. */
void dataset_work_fini(struct dataset_work *);
#define autodataset_work CLEANUP(dataset_work_fini)

/* snapshots() of several, oldest first each. */
int dataset_snapshots_of(
    struct host *, const char *const *names, size_t n, struct names *out, struct err *);

/* Checks a dataset's name or a snapshot's; ERR_INPUT says what is wrong. */
int dataset_check_name(const char *name, struct err *e);
int dataset_check_snapshot(const char *snap, struct err *e);
/* The same for a user property's name and value (NULL: none). */
int dataset_check_property(const char *key, const char *value, struct err *e);

#endif
