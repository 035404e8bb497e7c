/*
 * place.h: where the control groups of one run are.
 */
#ifndef PLATFORM_LINUX_PLACE_H
#define PLATFORM_LINUX_PLACE_H

#include "platform/limits.h"
#include "platform/linux/cgroups.h"

/* Its directory in each tree. Absent trees are NULL. */
struct place {
	struct cgroups c;
	char *v2;
	char *v1[CG_CONTROLLERS]; /* shared trees give equal paths */
};

#define PLACE_INIT                                                                                 \
	{                                                                                          \
		.c = CGROUPS_INIT, .v2 = NULL                                                      \
	}

/* Which directory carries a controller: v2 before v1; NULL when the machine has none. */
const char *controller_dir(const struct place *p, enum cgroup_controller which, bool *v2);
/* Sets what was asked for; the directories are there. */
int limits_set(struct place *p, const struct limits *l, struct err *e);
/* What the host keeps for itself, as limits of the parent of all runs; nothing when it keeps
 * nothing. The parent is there. */
int reserve_set(const struct host *h, const struct place *p, struct err *e);

#endif
