/*
 * sched.h: where should it run? A snapshot of the state and the reason to look at a job give a
 * plan.
 *
 * Pure: no clock, no I/O, no globals; time and chance come in, and the same input gives the same
 * plan. Reconciliation, feasibility, ranking and rescheduling follow Nomad's generic scheduler
 * (service and batch). The plan and all in it live in the given arena; strings of the state are
 * borrowed, so that a plan must be used before the state changes.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include "job/job.h"
#include "state/command.h"
#include "state/state.h"

struct sched_input {
	const struct state *state;
	const struct eval *eval;
	const struct job *job; /* dry run of a job that is not registered so; NULL: the state's */
	int64_t now;	       /* wall ns */
	uint64_t seed[2];      /* order of nodes, ports, ids */
};

struct plan {
	struct deployment *deployment;	 /* to put: new, or with groups added; NULL: none */
	const char *deployment_id;	 /* the active one of this job after this plan, or NULL */
	struct objs deployment_updates;	 /* struct deployment_update */
	struct objs stops;		 /* struct alloc_stop */
	struct objs allocs;		 /* struct alloc: placed, or updated in place */
	struct objs evals;		 /* struct eval: later looks at failed allocations */
	struct objmap failed;		 /* struct alloc_metric by group: could not be placed */
	struct intmap queued;		 /* by group: how many those are */
	struct objmap updates;		 /* struct group_updates (job/job.h) by group */
	struct intmap class_eligibility; /* computed class -> 0 or 1 */
	bool escaped;			 /* classes do not tell: something unique was asked for */
};

bool plan_is_empty(const struct plan *p); /* changes nothing */

/* ERR_UNSUPPORTED: a job of a type that is not scheduled. */
int sched_run(const struct sched_input *in, struct arena *mem, struct plan **out, struct err *e);

/* Before a plan is written: is each of its allocations still possible (node ready, room, ports
 * free)? Returns how many had to be taken out; those must be planned again. */
size_t sched_verify(const struct state *s, struct plan *p, struct arena *mem);

/* One constraint against a node; also for affinities. */
bool sched_constraint(
    const struct node *n, const char *l_target, const char *operand, const char *r_target);
/* "1.2.3" against ">= 1.0, < 2.0" or "~> 1.2"; semver: no leading zeros or short forms, and
 * pre-releases are in order. False also when either is malformed. */
bool sched_version_matches(const char *version, const char *constraints, bool semver);

/* When a failed allocation may be placed again. */
enum sched_retry { SCHED_NEVER, SCHED_NOW, SCHED_LATER };
enum sched_retry sched_reschedule(
    const struct alloc *a, const struct eval *ev, int64_t now, int64_t *when);

#endif
