/*
 * keep.h: what pot-keeper does, and the words it and its starter use.
 *
 * The starter sends the launch and later GO; the keeper answers INIT at once, then RUNNING or
 * FAILED, then COMMAND_ENDED (a persistent pot goes on) and ENDED. ABORT kills all; ENDED follows.
 * Closing the socket before RUNNING gives the start up; afterwards it leaves the keeper to finish
 * alone.
 */
#ifndef SUPERVISE_KEEP_H
#define SUPERVISE_KEEP_H

#include "base/err.h"

enum keep_word {
	KEEP_LAUNCH = 1,
	KEEP_GO,
	KEEP_INIT,
	KEEP_RUNNING,
	KEEP_FAILED,
	KEEP_COMMAND_ENDED,
	KEEP_ENDED,
	KEEP_ABORT
};
enum keep_tag {
	KEEP_TAG_PID = 1,
	KEEP_TAG_START,
	KEEP_TAG_FAILURE,
	KEEP_TAG_CODE,
	KEEP_TAG_SIGNAL,
	KEEP_TAG_OOM,
	KEEP_TAG_STARTED,
	KEEP_TAG_ENDED
};

/* SIGTERM asks to stop; its value may hold another signal and another patience. SIGUSR1 kills. A
 * value with KEEP_NO_FINISH says that the sender walks the run down. */
enum {
	KEEP_NO_FINISH = 1 << 30,
	KEEP_STOP_SIGNAL_BITS = 7,
	KEEP_GRACE_UNIT_MS = 10,
	KEEP_GRACE_MAX = (1 << 22) - 2
};

/* The whole life of a keeper; sock: where the launch comes from. Returns its exit code. */
int keep_main(int sock);

#endif
