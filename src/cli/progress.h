/*
 * progress.h: how far something is, as one line of a terminal: a bar, rate and time left.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* One thing on its way; begins zeroed. Times are of a clock that never goes back. */
struct progress {
	char what[32];
	uint64_t first, done, total; /* bytes; where it began, is, and ends (0: not known) */
	int64_t began_ns;
	bool shown; /* a line stands on the terminal */
};

/* A step. Another `what`, or one that went back, begins anew. */
void progress_step(
    struct progress *p, const char *what, uint64_t done, uint64_t total, int64_t now_ns);
/* "import  45% [========>          ] 45.2M of 100M  52.1M/s  0:01 left", at most `columns` long.
 * Rate and time are left out while they cannot be told. */
void progress_text(const struct progress *p, int64_t now_ns, unsigned columns, struct buf *out);

/* On standard error, when it is a terminal. */
void progress_show(struct progress *p);
void progress_clear(struct progress *p);

#endif
