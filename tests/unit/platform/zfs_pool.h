/*
 * zfs_pool.h: the datasets of zfs_answers: a table in a file beside the program, and their files in
 * ordinary directories.
 */
#ifndef TESTS_UNIT_PLATFORM_ZFS_POOL_H
#define TESTS_UNIT_PLATFORM_ZFS_POOL_H

#include "base/err.h"
#include "platform/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROWS = 4096 };

struct row {
	char name[512];	  /* "pool/a" or "pool/a@s" */
	char where[512];  /* its own mount point, or "-" */
	char origin[512]; /* or "-" */
	uint64_t txg;	  /* order of creation, and name of a snapshot's content */
	bool deferred, gone;
};

struct property {
	char name[512], key[256], value[512];
};

extern struct row rows[ROWS];
extern struct property properties[ROWS];
extern size_t rows_n, properties_n;
extern char home[400]; /* the program's directory */
extern struct err err;

/* What zfs writes to its error output, and its end with 1. */
void die(const char *fmt, const char *name);
void must(int rc);
/* ---- the table ---- */
void load(void);
void save(void);
/* NULL, or for need(): the end, when it is not there. */
struct row *find(const char *name);
struct row *need(const char *name);
bool is_snapshot(const struct row *r);
/* At it or below it, its snapshots included. */
bool is_in(const char *name, const char *top);
bool is_of(const struct row *snapshot, const char *dataset);
struct row *add(const char *name, const char *where, const char *origin);

/* ---- files ---- */
void mountpoint(const char *name, char out[1024]);
int open_at(const char *path);
/* Where a snapshot's files lie, to be freed. */
char *content(const struct row *snapshot);
/* What lies below in datasets of its own, and what shows the snapshots. */
void skipped(const char *name, struct names *out);
/* Without what is skipped of `dataset` (NULL: with all). */
void copy_files(const char *from, const char *to, const char *dataset);
void remove_tree(const char *path);
/* Below .zfs/snapshot of its dataset, or there no longer. */
void show_snapshot(const struct row *r, bool show);
void drop_snapshot(struct row *r);

#endif
