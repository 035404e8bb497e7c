/*
 * process.h: from a process of ours to a command of the pot: user, rights, filter, environment,
 * exec. Shared by a pot's init and by enter().
 */
#ifndef PLATFORM_LINUX_PROCESS_H
#define PLATFORM_LINUX_PROCESS_H

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

/* The default filter for system calls (seccomp.c). */
int seccomp_load(struct err *e);
/* Besides, sockets of these families (ISOLATE_NO_…) are unknown to the kernel. */
int seccomp_families(unsigned no_family, struct err *e);
/* For a process of ours inside a pot, between its start and its end: nothing but the right to
 * signal. */
int process_shed_rights(struct err *e);

#endif
