/*
 * ledger.h: what `minipot init` changed on this machine, so that `minipot destroy` takes back
 * exactly that and nothing else.
 *
 * A text file, one line per thing in the order in which they were made: "<kind> <name>". A line is
 * written, durably, before the thing is made; destroy walks the lines backwards and accepts that a
 * thing is not there.
 */
#ifndef CLI_LEDGER_H
#define CLI_LEDGER_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum ledger_kind {
	LEDGER_DIR,    /* a directory we made; removed with what is in it */
	LEDGER_FILE,   /* a file we made */
	LEDGER_BACKUP, /* a file that was there: "<path>.bkp-minipot" holds how it was */
	LEDGER_USER,   /* a system user (and its group) we made */
	LEDGER_GROUP,  /* a system group we made */
	LEDGER_UNIT,   /* a service that we enabled */
	LEDGER_SET,    /* a value we set: "<file> <name>", and "=<value>" when it had one before */
	LEDGER_POT,    /* `pot init` was done by us */
	LEDGER_KINDS
};

struct ledger_line {
	enum ledger_kind kind;
	char *name;
};

struct ledger {
	char *path;
	struct ledger_line *line;
	size_t n;
	struct arena mem;
};

#define LEDGER_INIT                                                                                \
	{                                                                                          \
		.path = NULL, .line = NULL, .n = 0, .mem = ARENA_INIT                              \
	}

/* path is absolute, its directory exists when something is added. A file that does not exist is an
 * empty ledger. ERR_CORRUPT names file and line. */
int ledger_open(struct ledger *l, const char *path, struct err *e);
void ledger_fini(struct ledger *l);
bool ledger_has(const struct ledger *l, enum ledger_kind kind, const char *name);
/* Adds and writes; a line that is there already is not doubled. */
int ledger_add(struct ledger *l, enum ledger_kind kind, const char *name, struct err *e);
/* Reads the text of a ledger; `file` is for messages. */
int ledger_parse(struct ledger *l, const char *file, const char *text, struct err *e);

#endif
