/*
 * restart.h: may a task that ended start again, and when? Pure: time and chance are arguments.
 *
 * The policy is Nomad's: at most `attempts` restarts within `interval`; each after `delay` and up
 * to a quarter more by chance; when they are used up, mode "fail" ends the task and mode "delay"
 * waits for the next interval.
 */
#ifndef CLIENT_RESTART_H
#define CLIENT_RESTART_H

#include <stdbool.h>
#include <stdint.h>

struct restart {
	int64_t attempts, interval_ns, delay_ns;
	bool mode_delay;  /* mode = "delay" */
	bool only_failed; /* batch, and tasks that run to their end: exit 0 is an end, not a restart
			   */
	/* what has happened */
	int64_t used;
	int64_t window_ns; /* when the running interval began; 0: none yet */
};

enum restart_verdict {
	RESTART_NOW_OR_LATER, /* start again after wait_ns */
	RESTART_DONE,	      /* ended well, stays ended */
	RESTART_FAILED	      /* ended badly, stays ended */
};

enum { RESTART_REASON = 160 };

struct restart_answer {
	enum restart_verdict verdict;
	int64_t wait_ns;
	char reason[RESTART_REASON]; /* the words that Nomad uses for it in task events */
};

/* A task ended: ok says exit code 0 without a signal. may_retry is false for failures that a
 * further attempt cannot mend (bad configuration). chance is in [0, 1). */
void restart_ended(struct restart *r, int64_t now_ns, bool ok, bool may_retry, double chance,
    struct restart_answer *out);

#endif
