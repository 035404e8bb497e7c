/*
 * keep.h: the keepers of pots as libpot uses them: one table, so that tests can play the keeper.
 */
#ifndef POT_KEEP_H
#define POT_KEEP_H

#include "supervise/keeper.h"

struct pot_keep_ops {
	const struct keeper_ops *start;
	/* 1, 0, -1: cannot tell */
	int (*alive)(pid_t pid, uint64_t start, struct err *);
	int (*ask)(pid_t pid, uint64_t start, struct err *);
	int (*stop)(
	    pid_t pid, uint64_t start, int signal, int64_t grace_ms, int timeout_ms, struct err *);
	int (*kill)(pid_t pid, uint64_t start, struct err *);
};
extern const struct pot_keep_ops pot_keep_native;

#endif
