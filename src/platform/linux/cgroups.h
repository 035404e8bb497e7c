/*
 * cgroups.h: where this machine keeps its control groups: one tree (v2), one per controller (v1),
 * or v1 trees beside a v2 tree that has no controllers of its own.
 */
#ifndef PLATFORM_LINUX_CGROUPS_H
#define PLATFORM_LINUX_CGROUPS_H

#include "base/buf.h"
#include "platform/cpus.h"
#include "platform/host.h"

#include <stdbool.h>

enum cgroup_controller {
	CG_MEMORY,
	CG_PIDS,
	CG_CPU,
	CG_CPUSET,
	CG_CPUACCT,
	CG_FREEZER,
	CG_IO,
	CG_CONTROLLERS
};

extern const char *const cgroup_controller_names[CG_CONTROLLERS]; /* in a v2 tree */
extern const char *const cgroup_v1_names[CG_CONTROLLERS];

struct cgroups {
	char *v2;		     /* mount point of the v2 tree, or NULL */
	bool v2_has[CG_CONTROLLERS]; /* what the v2 tree controls */
	char *v1[CG_CONTROLLERS];    /* mount points; several may be the same tree */
};

#define CGROUPS_INIT                                                                               \
	{                                                                                          \
		.v2 = NULL                                                                         \
	}

int cgroups_find(struct cgroups *c, struct err *e);
/* The same from texts, for tests: mountinfo as in proc(5), the v2 root's cgroup.controllers. */
void cgroups_parse(struct cgroups *c, const char *mountinfo);
void cgroups_parse_v2(struct cgroups *c, const char *controllers);
void cgroups_fini(struct cgroups *c);
#define autocgroups CLEANUP(cgroups_fini)

/* The trees there are, each once: borrowed mount points. Number of them. */
enum { CGROUP_TREES = CG_CONTROLLERS + 1 };
size_t cgroups_trees(const struct cgroups *c, const char *trees[CGROUP_TREES]);

/* <dir>/<file>, whole and without its last newline. ERR_ABSENT. */
int cgroup_read(const char *dir, const char *file, struct buf *out, struct err *e);
int cgroup_read_u64(const char *dir, const char *file, uint64_t *out, struct err *e);
int cgroup_write(const char *dir, const char *file, const char *text, struct err *e);
/* The number after a word that starts a line of "key value" text; 0 when it is not there. */
uint64_t cgroup_key(const char *text, const char *key);

/* Binds the group `dir` to the `count` least used of the `available` CPUs, lowest first among
 * equals; used are those that the other groups in `parent` are bound to. Two starts at once take
 * turns. */
int cpus_choose(
    const char *dir, const char *parent, const char *available, unsigned count, struct err *e);

#endif
