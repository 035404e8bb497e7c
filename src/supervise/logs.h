/*
 * logs.h: a command's output in files that turn over: <dir>/<prefix>.<n>, n counting up.
 *
 * Own to the keeper. A file ends near max_file_bytes, at a line's end where one is in reach; the
 * newest max_files are kept. A new keeper goes on in the newest file. Bytes move from the pipe to
 * the file inside the kernel where the system can do that.
 */
#ifndef SUPERVISE_LOGS_H
#define SUPERVISE_LOGS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct logs {
	int pipe; /* read end, does not block; -1: has ended */
	int dir, file;
	const char *prefix; /* "web.stdout", borrowed */
	unsigned index, max_files;
	uint64_t size, max_file_bytes;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool full;   /* the next byte goes to a new file */
	bool copied; /* the kernel cannot splice here */
};

/* Takes the pipe; opens the newest file. With the rights of uid, gid, whom the files belong to. */
int logs_open(struct logs *l, int pipe, const char *dir, const char *prefix, struct err *e);
/* Moves what is there. 1: more may come; 0: the writers are gone. Output that cannot be written
 * (disk full) is dropped, so that the command never hangs on it; counted in *dropped. */
int logs_pump(struct logs *l, uint64_t *dropped);
void logs_close(struct logs *l);

#endif
