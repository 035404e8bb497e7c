/*
 * log.h: is it still there after a crash? An append-only log and its snapshots, in one SQLite file.
 *
 * Entries are (index, type, body) with indexes that rise by one. Entries appended between two calls
 * of store_log_commit() become durable together (group commit: WAL, synchronous=FULL). A snapshot
 * is a list of (kind, body) rows that stands for all entries up to its index; it may be written in
 * pieces over many commits, and counts only from the commit after store_log_snapshot_end(): until
 * then, and if the process dies in between, the one before it and all later entries remain.
 *
 * Each entry and row carries a checksum. What is damaged gives ERR_CORRUPT with the name of the
 * file and the way out; the file is left as it is. One process at a time has the file open:
 * ERR_BUSY. Not thread-safe.
 */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_log;

/* Creates the file (mode 0600) when it is not there. path NULL: in memory. */
int store_log_open(const char *path, struct store_log **out, struct err *e);
void store_log_close(struct store_log *s); /* what was not committed is gone; NULL is fine */

typedef int store_row_fn(void *ctx, const char *kind, const char *body, size_t len, struct err *e);
typedef int store_entry_fn(
    void *ctx, uint64_t index, const char *type, const char *body, size_t len, struct err *e);
struct store_log_reader {
	store_row_fn *row;
	void (*rows_done)(void *ctx, uint64_t index); /* snapshot complete; 0: there was none */
	store_entry_fn *entry;
	void *ctx;
};
/* The last snapshot, then every entry after it, in order. What a callback refuses is damage too. */
int store_log_recover(struct store_log *s, const struct store_log_reader *r, struct err *e);

uint64_t store_log_last(
    const struct store_log *s); /* index of the last entry, committed or not; 0: none */
uint64_t store_log_entries(const struct store_log *s); /* in the log since the snapshot */
uint64_t store_log_bytes(const struct store_log *s);   /* their size */

/* index must be store_log_last() + 1. */
int store_log_append(struct store_log *s, uint64_t index, const char *type, const char *body,
    size_t len, struct err *e);
/* After a failure nothing since the last commit is there. */
int store_log_commit(struct store_log *s, struct err *e);
void store_log_rollback(struct store_log *s);

/* A copy of what is committed, as <path>.backup, whole or not at all. ERR_CORRUPT tells of it. Does
 * nothing in memory. */
int store_log_backup(struct store_log *s, struct err *e);

/* All three belong to the transaction that the next commit ends. Beginning again drops a snapshot
 * that was not ended. index: the last entry whose effect the rows hold. */
int store_log_snapshot_begin(struct store_log *s, uint64_t index, struct err *e);
int store_log_snapshot_add(
    struct store_log *s, const char *kind, const char *body, size_t len, struct err *e);
int store_log_snapshot_end(struct store_log *s, struct err *e);

#endif
