/*
 * row.h: one counted, immutable row. The folder's own.
 */
#ifndef STATE_ROW_H
#define STATE_ROW_H

#include "state/rows.h"

/* A zeroed object of the model with one reference, which owns *mem. Fill it before anybody sees it.
 */
void *row_new(const struct model *m, struct arena **mem);
/* A row with the content of an object that is none. */
void *row_make(const struct model *m, const void *object, struct arena **mem);
/* A deep copy of a row, to change before anybody sees it; what the old one holds, it holds too. */
void *row_copy(const struct model *m, const void *row, struct arena **mem);
/* The row keeps another one alive for as long as it lives (one at most). */
void row_hold(void *row, const void *other);

#endif
