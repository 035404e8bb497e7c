/*
 * table.h: columns that line up, for terminals.
 *
 * Cells are added row by row, left to right; widths are counted in UTF-8 characters. The last
 * column is not padded. Cells are copied.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>

struct table {
	struct arena mem;
	char **cells;
	size_t n, cap;
	size_t columns;
	const char *gap; /* between columns: two blanks, unless set */
};

#define TABLE_INIT(count)                                                                          \
	{                                                                                          \
		.mem = ARENA_INIT, .columns = (count)                                              \
	}

void table_fini(struct table *t);
#define autotable CLEANUP(table_fini)

void table_cell(struct table *t, const char *text); /* NULL: empty */
void table_cellf(struct table *t, const char *fmt, ...) PRINTFLIKE(2, 3);
/* All cells of a row; the list ends with NULL and is filled up with empty ones. */
void table_row(struct table *t, ...) __attribute__((sentinel));
size_t table_rows(const struct table *t);

/* Aligned text, a line per row. */
void table_text(const struct table *t, struct buf *out);
/* The same on standard output. */
void table_print(const struct table *t);

/* 1536 → "1.5K", as `zfs list` says it. */
enum { SIZE_TEXT = 16 };
const char *size_text(uint64_t bytes, char out[SIZE_TEXT]);

#endif
