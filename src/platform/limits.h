/*
 * limits.h: what one run may use, and what it uses: cgroups v2 or v1 on Linux, rctl and cpuset on
 * FreeBSD.
 *
 * What the host keeps for itself (roots.reserve_…) no run may have, and not all of them together.
 *
 * A run is named "<pot>.<run id>" (one path component). Groups are <mount>/<roots.cgroup>/<run>.
 */
#ifndef PLATFORM_LIMITS_H
#define PLATFORM_LIMITS_H

#include "platform/host.h"

#include <stdbool.h>
#include <stdint.h>

/* Zero or NULL: no such limit. */
struct limits {
	uint64_t memory_bytes; /* more is refused: the kernel kills in the group */
	unsigned cpu_count;    /* this many CPUs, the least used ones; all when >= online */
	const char *cpuset;    /* or these: "0-1,3" */
	uint64_t cpu_shares;   /* weight against others under contention, 1024 is usual */
	bool shares_asked;     /* somebody wants just these; else each task comes with some, and
				* a machine without weights says nothing */
	uint64_t cpu_quota_percent; /* of one CPU: 150 is one and a half */
	uint64_t pids;		    /* processes and threads */
	uint64_t io_weight;	    /* against others under contention, 1–1000, 100 is usual */
};

struct usage {
	uint64_t memory_bytes;	   /* charged in all: rss and cache */
	uint64_t memory_max_bytes; /* highest so far, 0: not known */
	uint64_t rss_bytes;
	uint64_t cache_bytes;
	uint64_t swap_bytes;
	uint64_t cpu_ns; /* user and system */
	uint64_t cpu_user_ns;
	uint64_t cpu_system_ns;
	uint64_t throttled_periods;
	uint64_t throttled_ns;
	uint64_t pids;
	uint64_t oom_kills;
	char cpus[64];	 /* those it is bound to, "0-1,3", cut; "": not bound */
	int64_t read_ns; /* when it was so, by the clock of clock_mono_ns() */
};

struct limits_ops {
	const char *name; /* "cgroup v2", "cgroup v1", "rctl" */
	/* The kernel may be without all of it, as it comes: then pots start without limits. */
	bool optional;
	int (*probe)(struct host *, struct err *);

	/* Makes the groups and sets the limits; on failure nothing is left. A limit for which the
	 * machine has no controller is ERR_UNSUPPORTED by name. */
	int (*create)(struct host *, const char *run, const struct limits *, struct err *);
	/* What can be set only when the isolate is there; called before its command starts. NULL:
	 * nothing. */
	int (*bind)(struct host *, const char *run, struct err *);
	/* The command by which a person binds a running pot to CPUs ("0,1"); to be freed. NULL:
	 * there is none. */
	char *(*bind_command)(const char *pot, const char *cpus);
	/* Changes the limits of a live run. */
	int (*update)(struct host *, const char *run, const struct limits *, struct err *);
	/* The directories a process joins at birth (isolate_spec.cgroups), absolute. */
	int (*join)(struct host *, const char *run, struct names *out, struct err *);
	/* ERR_ABSENT when there is no such group. */
	int (*usage)(struct host *, const char *run, struct usage *out, struct err *);
	/* Process ids in the group, as this process sees them. *out is to be freed. */
	int (*pids)(struct host *, const char *run, int **out, size_t *n, struct err *);
	/* SIGKILL to everything in the group, also to what is being forked. */
	int (*kill)(struct host *, const char *run, struct err *);
	/* ERR_BUSY when something lives in it. Absent is fine. */
	int (*remove)(struct host *, const char *run, struct err *);
	/* The names of all runs that have a group, sorted. */
	int (*list)(struct host *, struct names *out, struct err *);
	/* Removes the parent of all groups; ERR_BUSY when a run has one. Absent is fine. */
	int (*teardown)(struct host *, struct err *);
};

#endif
