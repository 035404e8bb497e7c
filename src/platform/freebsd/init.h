/*
 * init.h: the process that stands for a pot on the host: a copy of pot-keeper, outside of the jail,
 * where nobody in there can reach it. It starts the command, inherits what the pot leaves orphaned,
 * and takes the pot down when its keeper is gone.
 */
#ifndef PLATFORM_FREEBSD_INIT_H
#define PLATFORM_FREEBSD_INIT_H

#include "platform/isolate.h"

struct init_start {
	const struct isolate_spec *spec;
	int jid;      /* 0: none */
	int channel;  /* 'r': ready, then struct isolate_event out; one byte in: go */
	int stdio[3]; /* the command's */
	pid_t keeper;
};
void init_main(const struct init_start *s) NORETURN;

/* Ends what there is of it: processes, files of this run, mounts, the jail. Goes on after a
 * failure and returns the first. apart: jail_end(). */
int pot_take_down(const struct isolate_spec *spec, int jid, bool apart, struct err *e);

/* Signals reach init from outside as one carrier whose value tells what is meant. */
enum { INIT_STOP = 0x10000, INIT_SIGNAL_MASK = 0xff };
#define INIT_CARRIER  SIGRTMAX
#define INIT_ORPHANED (SIGRTMAX - 1) /* the keeper has ended */

#endif
