/*
 * report.h: what pot-image says to the program that started it, over a pipe.
 *
 * Lines of text, at most REPORT_LINE bytes each, fields separated by one blank; the last field of a
 * line is the rest of it, with backslash, newline and carriage return escaped (\\ \n \r).
 *
 *	report 1				first line: the version
 *	progress <done> <total> <what>
 *	note <text>
 *	result <key> <value>
 *	error <kind> <errno> <text>		the last line of a run that failed
 *	done					the last line of a run that succeeded
 *
 * The parser is pure. A reader gives up on the first malformed line.
 */
#ifndef IMAGE_REPORT_H
#define IMAGE_REPORT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { REPORT_LINE = 8192, REPORT_VERSION = 1 };

enum report_kind {
	REPORT_HELLO,
	REPORT_PROGRESS,
	REPORT_NOTE,
	REPORT_RESULT,
	REPORT_ERROR,
	REPORT_DONE
};

struct report_line {
	enum report_kind kind;
	uint64_t done, total;	/* progress */
	char key[32];		/* result */
	char text[REPORT_LINE]; /* progress, note, result: the last field */
	struct err error;	/* error */
};

/* One line without its newline. */
int report_parse(const char *line, size_t len, struct report_line *out, struct err *e);

/* The sending side. fd -1: nobody listens, and notes and errors go to standard error. */
struct report {
	int fd;
	int64_t last_progress_ns;
	bool lost; /* the reader is gone: stop and clean up */
	bool show; /* no reader, but progress on a terminal */
};

void report_open(struct report *r, int fd);
void report_progress(struct report *r, const char *what, uint64_t done, uint64_t total);
void report_note(struct report *r, const char *fmt, ...) PRINTFLIKE(2, 3);
void report_result(struct report *r, const char *key, const char *value);
void report_error(struct report *r, const struct err *why);
void report_done(struct report *r);

#endif
