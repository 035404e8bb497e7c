/*
 * buf.h: a growing byte buffer, always followed by a NUL that does not count.
 *
 * Owns its memory. Growth that memory does not allow ends the process (see own.h).
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct buf {
	char *data; /* NULL while nothing was ever added; use buf_str() for text */
	size_t len;
	size_t cap;
};

#define BUF_INIT                                                                                   \
	{                                                                                          \
		.data = NULL, .len = 0, .cap = 0                                                   \
	}

void buf_fini(struct buf *b);
#define autobuf CLEANUP(buf_fini)

void buf_reset(struct buf *b); /* empty, memory kept */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);
void buf_drop(struct buf *b, size_t n);	  /* removes n bytes at the front */
const char *buf_str(const struct buf *b); /* never NULL */
char *buf_take(struct buf *b);		  /* caller frees; the buffer is empty then; never NULL */

/* Appends all that fd gives until its end, at most max bytes (more: ERR_INPUT). */
int buf_read_fd(struct buf *b, int fd, size_t max, struct err *e);
int buf_read_file(struct buf *b, const char *path, size_t max, struct err *e);
/* Writes all of it; retries short writes. */
int fd_write_all(int fd, const void *data, size_t len, struct err *e);

#endif
