/*
 * inside.h: what the scheduler's files share. The folder's own.
 */
#ifndef SCHED_INSIDE_H
#define SCHED_INSIDE_H

#include "sched/sched.h"

#include "base/vec.h"

enum { PORTS = 65536, DYNAMIC_MIN = 20000, DYNAMIC_MAX = 32000 };

typedef VEC(const struct alloc *) alloc_list;

/* A node while a plan is made: what is used there counts what the plan stops and places. */
struct candidate {
	const struct node *node;
	bool counted;			       /* the members below are filled in */
	int64_t cpu, memory, disk;	       /* used */
	int64_t cpu_all, memory_all, disk_all; /* what there is, reservations taken off */
	uint64_t *ports;		       /* bits: taken by what stays */
	uint64_t *leaving; /* bits: taken by what stops; no dynamic port is given there again yet */
	int mine;	   /* allocations of this group (set per placement) */
};

struct sched {
	const struct sched_input *in;
	const struct state *state;
	struct arena *mem;
	struct plan *plan;
	const struct job *job; /* NULL: purged */
	bool stopped;	       /* nothing of it shall run */
	bool batch;
	uint64_t random[2];
	struct candidate *nodes; /* ready, in the job's datacenters, shuffled */
	size_t node_count;
	struct intmap available; /* by datacenter */
	/* deployment */
	const struct deployment *old;	 /* of another version, or over: its canaries go */
	const struct deployment *active; /* of this version */
	struct deployment *made;	 /* by this plan: a copy of the active one, or new */
	bool paused, failed;
	bool complete; /* nothing is left to do for the deployment */
};

/* ---- chance ---- */
uint64_t sched_random(struct sched *s);
const char *sched_uuid(struct sched *s);

/* ---- reconcile.c: what is to be done ---- */
struct placement {
	const struct task_group *group;
	const struct job *job; /* the version to run */
	const char *name;
	const struct alloc *previous; /* replaced, or NULL */
	const char *stop_reason;      /* why `previous` stops with it; NULL: it is over already */
	bool canary, reschedule, lost;
};
typedef VEC(struct placement) placement_list;

void sched_reconcile(struct sched *s, placement_list *out);
void sched_stop(struct sched *s, const struct alloc *a, const char *why, const char *client_status);

/* ---- reschedule.c ---- */
struct sched_later {
	const struct alloc *alloc;
	int64_t when;
};
typedef VEC(struct sched_later) later_list;
/* Evaluations for those times, those within 5 s in one; the allocations note theirs. */
void sched_look_later(struct sched *s, later_list *later);
/* The wait before the next attempt, by the policy and the attempts made. */
int64_t sched_delay(const struct alloc *a);

/* ---- nodes.c: feasibility, room, ranking ---- */
bool sched_target(const struct node *n, const char *target, const char **out);
void sched_collect_nodes(struct sched *s);
void sched_count(struct sched *s, struct candidate *c); /* fills in what is used */
/* Why this node cannot run this group of this job; NULL: it can. */
const char *sched_infeasible(
    struct sched *s, const struct node *n, const struct job *job, const struct task_group *g);
struct candidate *sched_candidate(struct sched *s, const char *node_id);
/* Places one; false: the metrics of the group say why not. */
bool sched_place(struct sched *s, const struct placement *p);
bool sched_fits_in_place(struct sched *s, const struct alloc *a, const struct task_group *g);

void sched_bump(struct sched *s, struct intmap *m, const char *key); /* one more */
/* Allocations of the job that will be there: of the state without what stops, and of the plan. */
void sched_each_staying(struct sched *s, void (*fn)(void *ctx, const struct alloc *a), void *ctx);

/* ---- score.c ---- */
struct need {
	int64_t cpu, memory, disk;
};
struct option {
	struct candidate *c;
	struct allocated_resources *resources;
	struct node_score *score;
};
void sched_score(
    struct sched *s, struct option *o, const struct placement *p, const struct need *n);

/* ---- room.c: resources and ports ---- */
void need_of_group(const struct task_group *g, struct need *out);
void need_of_alloc(const struct alloc *a, struct need *out);
/* "memory", "network: reserved port collision …"; NULL: it fits and *out is what it gets. */
const char *sched_allocate(struct sched *s, struct candidate *c, const struct task_group *g,
    struct allocated_resources **out);
void candidate_add(struct candidate *c, const struct alloc *a, bool leaving);
void candidate_take(struct candidate *c, const struct alloc *a); /* it leaves: gives back */
void candidate_base(struct sched *s, struct candidate *c);	 /* totals and reserved ports */

#endif
