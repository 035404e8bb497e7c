/*
 * ending.h: waiting for processes whose end has begun already. Internal to this folder.
 *
 * kqueue(2) tells who begins to watch such a process at once that it has ended, though it is still
 * there, and then no more: only a parent can wait for the rest, which takes the kernel no time or,
 * of a process that has much to give back, seconds. Others look again.
 */
#ifndef PLATFORM_FREEBSD_ENDING_H
#define PLATFORM_FREEBSD_ENDING_H

#include "base/clock.h"

#include <sys/param.h>
#include <time.h>

struct ending {
	struct timespec pause;
};

/* 0.1 ms before the first further look, then twice as long each time, at most 5 ms. */
#define ENDING_INIT                                                                                \
	{                                                                                          \
		.pause = { 0, NS_PER_MS / 10 }                                                     \
	}

static inline void
ending_pause(struct ending *w)
{
	(void)nanosleep(&w->pause, NULL);
	w->pause.tv_nsec = MIN(2 * w->pause.tv_nsec, 5 * NS_PER_MS);
}

#endif
