/*
 * init.h: the first process of a pot: a copy of pot-keeper inside the new namespaces.
 */
#ifndef PLATFORM_LINUX_INIT_H
#define PLATFORM_LINUX_INIT_H

#include "platform/isolate.h"

struct init_start {
	const struct isolate_spec *spec;
	int channel;	       /* struct isolate_event out, one byte in: go */
	int stdio[3];	       /* the command's */
	const int *cgroup_fds; /* v1 "tasks" files to write to */
	size_t n_cgroup_fds;
	bool new_cgroup; /* hide the cgroups above */
};
void init_main(const struct init_start *s) NORETURN;

/* Signals reach init from outside as one carrier whose value tells what is meant. */
enum { INIT_STOP = 0x10000, INIT_SIGNAL_MASK = 0xff };
#define INIT_CARRIER SIGRTMAX

#endif
