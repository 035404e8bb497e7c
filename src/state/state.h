/*
 * state.h: what the cluster believes: tables of immutable, counted rows in memory.
 *
 * The only way to change anything is state_apply() with a committed command: a type and a JSON
 * payload, which also holds every id and time, so that the same log always gives the same state.
 * Everything happens on one thread. Pointers that the read functions hand out are good until the
 * next state_apply(); keep them longer with row_ref() (rows.h).
 *
 * Every change has the index of its command, which rises from 1. A row knows the index that made it
 * and the last that changed it, a table the last that changed anything in it.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "state/rows.h"

struct state;
struct job;

enum state_table {
	STATE_JOBS,
	STATE_JOB_SUMMARIES,
	STATE_NODES,
	STATE_ALLOCS,
	STATE_EVALS,
	STATE_DEPLOYMENTS,
	STATE_SERVICES,
	STATE_KV,
	STATE_TABLES /* how many */
};

struct state *state_new(void);
void state_free(struct state *s); /* watches still there are dropped without a call */

uint64_t state_index(const struct state *s); /* of the last command; 0: none yet */
/* At least 1, as blocking queries need it. */
uint64_t state_table_index(const struct state *s, enum state_table t);

/* ---- one row; NULL: absent ---- */

const struct job *state_job(const struct state *s, const char *namespace, const char *id);
const struct job *state_job_version(
    const struct state *s, const char *namespace, const char *id, int64_t version);
const struct job_summary *state_job_summary(
    const struct state *s, const char *namespace, const char *id);
const struct node *state_node(const struct state *s, const char *id);
const struct alloc *state_alloc(const struct state *s, const char *id);
const struct eval *state_eval(const struct state *s, const char *id);
const struct deployment *state_deployment(const struct state *s, const char *id);
const struct service_row *state_service(const struct state *s, const char *id);
const struct kv_row *state_kv(const struct state *s, const char *key);
/* The newest deployment of a job (by create index). */
const struct deployment *state_job_deployment(
    const struct state *s, const char *namespace, const char *id);

/* ---- lists ---- */

/* The caller owns the array, not the rows: VEC_FINI(), or autorows. Ordered by id (jobs: namespace,
 * then id; versions: newest first; what is listed "of" something: by create index, then id).
 *
 *	autorows struct rows list = state_list(s, STATE_ALLOCS, "3f");
 *	for (size_t i = 0; i < list.n; i++) { const struct alloc *a = list.at[i]; … }
 */
struct rows {
	const void **at;
	size_t n, cap;
};
void rows_fini(struct rows *r);
#define autorows CLEANUP(rows_fini)

/* prefix: of the id, NULL or "" for all; hyphens count only for jobs, services and keys. */
struct rows state_list(const struct state *s, enum state_table t, const char *prefix);
struct rows state_job_versions(const struct state *s, const char *namespace, const char *id);
struct rows state_job_allocs(const struct state *s, const char *namespace, const char *id);
struct rows state_job_evals(const struct state *s, const char *namespace, const char *id);
struct rows state_job_deployments(const struct state *s, const char *namespace, const char *id);
struct rows state_node_allocs(const struct state *s, const char *node_id);
struct rows state_eval_allocs(const struct state *s, const char *eval_id);
struct rows state_deployment_allocs(const struct state *s, const char *deployment_id);
struct rows state_named_services(const struct state *s, const char *service_name);
struct rows state_alloc_services(const struct state *s, const char *alloc_id);
struct rows state_node_services(const struct state *s, const char *node_id);

/* The last index at which anything in such a set changed; at least 1. */
uint64_t state_node_allocs_index(const struct state *s, const char *node_id);
uint64_t state_named_services_index(const struct state *s, const char *service_name);

/* ---- watches ---- */

/* fn(ctx) once, at the end of the state_apply() that changes what is watched; then the handle is
 * freed. Nothing is compared here: who holds an index asks for it first, and watches if there is
 * nothing new. key: the row's id ("namespace/id" for jobs and summaries), or NULL for the whole
 * table. Callbacks may read, watch anew and cancel, not apply. */
struct state_watch;
typedef void state_watch_fn(void *ctx);
struct state_watch *state_watch(
    struct state *s, enum state_table t, const char *key, state_watch_fn *fn, void *ctx);
/* Allocations of a node, instances of a service. */
struct state_watch *state_watch_node_allocs(
    struct state *s, const char *node_id, state_watch_fn *fn, void *ctx);
struct state_watch *state_watch_named_services(
    struct state *s, const char *service_name, state_watch_fn *fn, void *ctx);
void state_watch_cancel(struct state_watch **w); /* sets it to NULL, accepts NULL in it */

/* Called for every changed row, while the change is made: old or now may be NULL. One listener for
 * the catalog's index, one for the server; they stay until state_unlisten(). */
typedef void state_change_fn(
    void *ctx, enum state_table t, const void *old, const void *now, uint64_t index);
void state_listen(struct state *s, state_change_fn *fn, void *ctx);
void state_unlisten(struct state *s, state_change_fn *fn, void *ctx);

/* The members that lists of jobs show, with JobSummary. */
void state_job_stub_to_json(
    const struct state *s, const struct job *job, bool meta, struct jsonw *w);

/* ---- changes: for the server and its recovery ---- */

/* Pure but for the state itself: no clock, no chance. -1: the payload is not what this version
 * writes; nothing was changed. */
int state_apply(struct state *s, uint64_t index, const char *type, const char *payload, size_t len,
    struct err *e);

/* While held, no watch is called: for commands that are applied before they are on disk. Letting go
 * calls what has been held back. */
void state_hold(struct state *s, bool hold);
/* Forgets every row (listeners hear of each), so that it can be restored again. */
void state_clear(struct state *s);
/* A command that was refused keeps its index. */
void state_skip(struct state *s, uint64_t index);

/* Snapshot: each row as (table name, JSON), in an order in which they can be restored. */
typedef int state_dump_fn(
    void *ctx, const char *table, const char *json, size_t len, struct err *e);
int state_dump(const struct state *s, state_dump_fn *fn, void *ctx, struct err *e);
int state_restore_row(
    struct state *s, const char *table, const char *json, size_t len, struct err *e);
void state_restore_done(struct state *s, uint64_t index);

#endif
