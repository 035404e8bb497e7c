/*
 * wal.h: did the write-ahead log lose what had been committed?
 *
 * SQLite reads a WAL up to its first bad frame and calls that the end. After a power cut that is
 * right: what follows was never synced. When two or more transactions end after the bad frame it is
 * damage, because the next one starts only after the one before it was synced. The layout is
 * https://www.sqlite.org/fileformat2.html, section 4. Used by log.c alone.
 */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* The whole WAL as bytes. */
bool wal_damaged(const void *data, size_t len);
/* The WAL beside this database; none is fine. */
int wal_check(const char *db_path, bool *damaged, struct err *e);

#endif
