/*
 * tables.h: the inside of struct state. The folder's own.
 */
#ifndef STATE_TABLES_H
#define STATE_TABLES_H

#include "state/row.h"
#include "state/state.h"

#include "base/map.h"
#include "base/vec.h"

enum { JOB_VERSIONS_MAX = 6 };

/* Rows of one table that share a key, in order of creation. */
enum grouping {
	ALLOCS_OF_JOB,
	ALLOCS_OF_NODE,
	ALLOCS_OF_EVAL,
	ALLOCS_OF_DEPLOYMENT,
	EVALS_OF_JOB,
	DEPLOYMENTS_OF_JOB,
	SERVICES_NAMED,
	SERVICES_OF_ALLOC,
	SERVICES_OF_NODE,
	GROUPINGS
};

struct row_set {
	VEC(const void *) rows;
	uint64_t index; /* of the last change of a member */
};

struct table {
	struct map rows; /* id or "namespace/id" -> row, one reference each */
	uint64_t index;
};

struct job_versions { /* newest first, one reference each */
	const struct job *at[JOB_VERSIONS_MAX + 1];
	size_t n;
};

struct watch_list {
	struct state_watch *first;
	char *key; /* in state.watches; NULL: the list of fired ones */
};

struct state_watch {
	struct state *state;
	struct watch_list *list;
	struct state_watch *next, **link;
	state_watch_fn *fn;
	void *ctx;
};

struct listener {
	state_change_fn *fn;
	void *ctx;
};

struct state {
	uint64_t index;
	bool held; /* watches wait */
	struct table tables[STATE_TABLES];
	struct map groups[GROUPINGS]; /* key -> struct row_set */
	struct map versions;	      /* "namespace/id" -> struct job_versions */
	struct map watches;	      /* "<letter>:<key>" -> struct watch_list */
	struct watch_list fired;
	VEC(struct listener) listeners;
};

/* "namespace/id" */
enum { JOB_KEY = 512 };
const char *job_key(const char *namespace, const char *id, char out[JOB_KEY]);

/* Puts a row in place of the one with its id, or removes that. Takes
 * over the caller's reference of `now`. Indexes, groups, watches, listeners follow. */
void table_put(struct state *s, enum state_table t, void *now);
void table_remove(struct state *s, enum state_table t, const void *row);

struct row_set *state_group(const struct state *s, enum grouping g, const char *key);
struct job_versions *state_versions(const struct state *s, const char *namespace, const char *id);
void state_versions_put(struct state *s, const struct job *job); /* references it */
void state_versions_drop(struct state *s, const char *namespace, const char *id);

void state_fire(struct state *s); /* calls what table_put() has marked */

/* ---- derive.c: members that follow from others ---- */

void node_derive(struct node *n, struct arena *mem);
void alloc_derive(struct alloc *a, struct arena *mem);
/* Status of the job, its summary; of an active deployment, its counters. */
struct derive_job {
	const char *namespace, *id;
	const struct eval *queued; /* says what could not be placed; may be NULL */
};
void derive_job(struct state *s, uint64_t index, const struct derive_job *d);
void derive_deployment(struct state *s, uint64_t index, int64_t now, const char *id);

#endif
