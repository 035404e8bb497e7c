/*
 * process.h: from a process of ours to a command of the pot: environment, user, exec. Shared by a
 * pot's init and by enter(). Internal to this folder.
 */
#ifndef PLATFORM_PROCESS_H
#define PLATFORM_PROCESS_H

#include "platform/account.h"
#include "platform/isolate.h"

struct process_ready {
	const struct isolate_process *how;
	struct account account;
	char **argv, **env; /* own memory, released with the process */
	char *program;	    /* when it is not argv[0] */
	char *cwd;
	int stdio[3];
	bool tty; /* stdio[0] becomes the controlling terminal */
};

/* Looks up the user and builds the environment; inside the pot's root. */
int process_prepare(const struct isolate_process *how, struct process_ready *out, struct err *e);
/* Only returns when it failed. Safe in a child that shares memory with a waiting parent. */
int process_exec(const struct process_ready *r, struct err *e);

/* Each system's own: gives up what the command shall not have, and becomes its user. */
int process_become(const struct process_ready *r, struct err *e);

#endif
