/*
 * rctl.h: limits as rules of rctl(8), and what is kept of a run's. Text alone; knows no system.
 */
#ifndef PLATFORM_RCTL_RCTL_H
#define PLATFORM_RCTL_RCTL_H

#include "base/buf.h"
#include "platform/limits.h"

#include <stdbool.h>

enum { RCTL_JAIL = 256, RCTL_CPUS = 1024, RCTL_LINE = 512 };

/* What is kept of a run: one file each. */
struct rctl_run {
	char jail[RCTL_JAIL]; /* its name; "": none */
	int jid;	      /* 0: not known yet to be this run's */
	struct names rules;   /* as they were given to the kernel */
	char cpus[RCTL_CPUS]; /* "0-1"; "": all */
};
#define RCTL_RUN_INIT                                                                              \
	{                                                                                          \
		.jid = 0                                                                           \
	}
void rctl_run_fini(struct rctl_run *r);
#define autorctl_run CLEANUP(rctl_run_fini)

void rctl_run_write(const struct rctl_run *r, struct buf *out);
int rctl_run_parse(const char *text, struct rctl_run *out, struct err *e);

/* The jail's name of "<pot>.<run id>"; false: that is not the name of a run. */
bool rctl_jail_of(const char *run, char out[RCTL_JAIL]);
/* ERR_UNSUPPORTED by name for what no rule can do, one at a time: the weight of disks, then that of
 * processors. */
int rctl_check(const struct limits *l, struct err *e);
/* The rules that these limits come to: "jail:web:memoryuse:deny=67108864". */
void rctl_rules(const char *jail, const struct limits *l, struct names *out);
/* The command of cpuset(1) for a jail, as pot's own potcpu writes it. */
char *rctl_cpuset(const char *jail, const char *cpus);
/* The rule without its amount, "jail:web:memoryuse:deny": what it replaces. */
char *rctl_filter(const char *rule);
/* One number of "cputime=3,memoryuse=4096"; false: it is not there. */
bool rctl_value(const char *text, const char *resource, uint64_t *out);
/* In how many of the kernel's messages processes of the jail were beyond its memory. last: only
 * those count that come after this one, if it is still there (the oldest are forgotten; "" counts
 * all); it becomes the last one. */
int64_t rctl_told(const char *messages, size_t len, const char *jail, char last[RCTL_LINE]);

#endif
