/*
 * zfs.h: the dataset backend for ZFS, by the command zfs: libzfs has no stable interface.
 *
 * The layout is that of pot: <zfs_root> is never mounted, <zfs_root>/<name> is mounted at
 * <fs_root>/<name>, the cache of images at its own place. Both kinds of datasets are ordinary ones.
 * Each operation is one command, a few where ZFS wants it so; a survey of everything is one.
 *
 * Where ZFS differs from what dataset.h promises: what others are cloned from is handed on to the
 * first of its clones before it is destroyed, and rolling back over a snapshot that has clones is
 * refused (ERR_BUSY).
 */
#ifndef PLATFORM_ZFS_ZFS_H
#define PLATFORM_ZFS_ZFS_H

#include "base/buf.h"
#include "platform/dataset.h"

extern const struct dataset_ops dataset_zfs;

/* That a tree is kept by ZFS: left by root_create(), or seen from what is mounted there. */
bool zfs_made(const char *fs_root);

/* ---- inside this folder ---- */

enum { ZFS_ARGS = 24, ZFS_OUTPUT_MAX = 64 << 20 };

/* Runs `zfs` with these words (NULL ends them); what it prints is added to out (NULL: dropped).
 * What it says against it becomes an error. */
int zfs_run(struct host *h, struct buf *out, struct err *e, ...) __attribute__((sentinel));
/* The same with the words in a list. */
int zfs_run_list(struct host *h, const char *const *argv, struct buf *out, struct err *e);

/* One that runs. */
struct zfs_child {
	pid_t pid;    /* 0: none */
	int out, err; /* our ends of its pipes; -1: none */
};
#define ZFS_CHILD_INIT                                                                             \
	{                                                                                          \
		.pid = 0, .out = -1, .err = -1                                                     \
	}
void zfs_child_fini(struct zfs_child *c); /* ends it */
/* in: its standard input, or -1 for none; out: its standard output, or -1 for a pipe to us. */
int zfs_spawn(const char *program, const char *const *argv, int in, int out, struct zfs_child *c,
    struct err *e);
/* Takes what can be read now; at the end *fd is closed and -1. into: not beyond max, NULL: dropped.
 */
int zfs_drain(int *fd, struct buf *into, size_t max, struct err *e);
int zfs_child_wait(struct zfs_child *c, int *status, struct err *e);
/* What a status and what was said with it mean. */
int zfs_verdict(int status, const char *verb, struct buf *said, struct err *e);
/* A stream begins: reads from `in` or writes to `out` (the other is -1). */
int zfs_stream(struct host *h, const char *const *argv, int in, int out, struct dataset_stream *s,
    struct err *e);
int zfs_stream_end(struct dataset_stream *s, bool give_up, struct err *e);
/* Making (make.c): dataset.h tells what they do. */
int zfs_create(struct host *h, const char *name, enum dataset_kind kind, struct err *e);
int zfs_clone(struct host *h, const char *name, const char *snap, const char *to, struct err *e);
int zfs_copy(struct host *h, const char *name, const char *snap, const char *to, struct err *e);
int zfs_begin(struct host *h, const struct dataset_new *list, size_t n, void **work, struct err *e);
int zfs_end(struct host *h, void *work, struct err *e);
/* The full name of one of ours; to be freed. */
char *zfs_full(struct host *h, const char *name);
int zfs_exists(struct host *h, const char *name, struct err *e);
/* ERR_UNSUPPORTED: there is no ZFS here. */
int zfs_find(struct host *h, const char **program, struct err *e);
/* The snapshots of a dataset (by its full name), oldest first, without those that wait for clones
 * to go. */
int zfs_snapshot_names(struct host *h, const char *set, struct names *out, struct err *e);
/* Is fs_root/jails a ZFS file system of its own? */
bool zfs_is_mounted(const char *fs_root);
/* Where a dataset, by its full name, is mounted, to be freed; NULL: nowhere, or it cannot be told.
 */
char *zfs_mounted_at(const char *set);
int zfs_mounted(
    struct host *h, const char *set, char **out, struct err *e); /* dataset_ops.mounted */
/* What the text on standard error means. */
enum err_kind zfs_error_kind(const char *text);

/* ---- what it prints (parse.c): lines of fields with tabs between them, as -Hp gives them ---- */

/* Calls fn with the fields of each line, which it may change; ERR_CORRUPT when a line has another
 * number of them. */
typedef int zfs_line_fn(void *ctx, char **field, struct err *e);
int zfs_lines(struct buf *text, size_t fields, zfs_line_fn *fn, void *ctx, struct err *e);
/* The name below the root; "" for the root itself, NULL for others. */
const char *zfs_below(const char *root, const char *name);

/* The columns of a survey, and what they say. */
#define ZFS_SURVEY_COLUMNS "name,usedds,usedsnap,refer,origin,defer_destroy"
int zfs_parse_survey(const char *root, struct buf *text, struct dataset_survey *out, struct err *e);

#endif
