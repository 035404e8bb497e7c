/*
 * jailuse.h: the processes of a jail, what they use, and the CPUs that it is bound to.
 */
#ifndef PLATFORM_FREEBSD_JAILUSE_H
#define PLATFORM_FREEBSD_JAILUSE_H

#include "platform/cpus.h"
#include "platform/limits.h"

/* Of jails within it as well. *out is to be freed. */
int jailuse_pids(int jid, int **out, size_t *n, struct err *e);
/* Memory, processor time and number of processes; time of ended ones as far as their parents, or
 * those of these, live. As it was at out->read_ns, at most 100 ms ago. */
int jailuse_sum(int jid, struct usage *out, struct err *e);
/* All CPUs of this machine: how many. */
int jailuse_cpus(bool cpus[CPUS_MAX], struct err *e);
/* Those that the jail is bound to, "0-1"; "": to all, or to more than there is room for. */
int jailuse_bound(int jid, char *out, size_t size, struct err *e);
int jailuse_bind(int jid, const char *cpus, struct err *e); /* "": to all */

#endif
