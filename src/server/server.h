/*
 * server.h: who decides, in what order?
 *
 * One struct server holds the state, its log on disk, the evaluation broker, the scheduler's
 * worker, the deployment watcher, heartbeats and collection. Everything runs on the thread of its
 * loop.
 *
 * Calls that change something take a callback. They return -1 with *e when the request is refused
 * at once (the callback is not called then), or 0, and the callback is called exactly once, later,
 * when the change is on disk and applied, or could not be written. Arguments are copied where
 * needed; the result is good during the callback. Error kinds map to HTTP: ERR_ABSENT 404,
 * ERR_INPUT 400 (job validation and check-index conflicts: 500, as Nomad), others 500; the texts
 * are those of Nomad's API.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "job/job.h"
#include "state/state.h"

struct loop;
struct server;

/* What the server needs of its world; the simulation brings its own. */
struct server_env {
	void *ctx;
	int64_t (*now_ns)(void *ctx); /* wall clock */
	void (*uuid)(void *ctx, char out[37]);
	void (*defer)(void *ctx, void (*fn)(void *), void *arg); /* at the end of this turn */
	void (*defer_cancel)(void *ctx, void (*fn)(void *), void *arg);
	/* Timers of one shot: fn(arg) after `after_ms`; cancel takes the handle back. */
	void *(*timer)(void *ctx, int64_t after_ms, void (*fn)(void *), void *arg);
	void (*timer_cancel)(void *ctx, void *timer); /* also of one that has fired: frees it */
};
struct server_env server_env_loop(struct loop *l);

struct server_config {
	const char *data_dir; /* holds state.db; NULL: memory only, nothing survives */
	const char *region;   /* "global" */
	const char *name;     /* of this server: "host.global" */
	int64_t heartbeat_min_ttl_ns, heartbeat_grace_ns; /* 0: 10 s and 10 s */
	int64_t gc_interval_ns;				  /* 0: 5 min */
};

/* ERR_CORRUPT names the file and the way out; it is left as it was found. */
int server_open(const struct server_config *c, const struct server_env *env, struct server **out,
    struct err *e);
void server_close(struct server *s); /* writes what is pending; callbacks get an error after that */

struct state *server_state(struct server *s); /* to read and to watch; never state_apply() */
const char *server_region(const struct server *s);
struct server_stats {
	uint64_t log_index, log_entries, evals_ready, evals_blocked, evals_waiting, plans, nodes;
};
struct server_stats server_stats(const struct server *s);

struct server_result {
	uint64_t index;
	const char *eval_id; /* "" if none was made */
	uint64_t eval_create_index;
	uint64_t job_modify_index;
	uint64_t node_modify_index;
	uint64_t deployment_modify_index;
	int64_t reverted_version; /* of deployment fail; -1: none */
	const char *warnings;	  /* as in the API's Warnings, "" if none */
	struct strs eval_ids;	  /* of calls that make several */
	int64_t heartbeat_ttl_ns; /* node calls */
};
typedef void server_done(
    void *ctx, const struct server_result *r, const struct err *e); /* e NULL: fine */

/* ---- jobs ---- */

struct server_register {
	const struct job *job; /* as submitted; canonicalized and validated here, copied */
	bool enforce_index;
	uint64_t job_modify_index;
	bool preserve_counts;
	int64_t eval_priority; /* 0: the job's */
};
int server_job_register(
    struct server *s, const struct server_register *r, server_done *done, void *ctx, struct err *e);
int server_job_deregister(struct server *s, const char *namespace, const char *id, bool purge,
    server_done *done, void *ctx, struct err *e);
int server_job_evaluate(struct server *s, const char *namespace, const char *id,
    bool force_reschedule, server_done *done, void *ctx, struct err *e);
/* enforce_prior: -1 for no check */
int server_job_revert(struct server *s, const char *namespace, const char *id, int64_t version,
    int64_t enforce_prior, server_done *done, void *ctx, struct err *e);
int server_job_stable(struct server *s, const char *namespace, const char *id, int64_t version,
    bool stable, server_done *done, void *ctx, struct err *e);
/* count < 0: only a note; group must exist */
int server_job_scale(struct server *s, const char *namespace, const char *id, const char *group,
    int64_t count, server_done *done, void *ctx, struct err *e);

/* Dry run, at once: writes the reply of /v1/job/:id/plan. */
int server_job_plan(
    struct server *s, const struct job *job, bool diff, struct jsonw *w, struct err *e);

/* ---- allocations, nodes: commands of people ---- */

int server_alloc_stop(struct server *s, const char *alloc_id, bool no_shutdown_delay,
    server_done *done, void *ctx, struct err *e);
int server_node_eligibility(struct server *s, const char *node_id, bool eligible, server_done *done,
    void *ctx, struct err *e);
/* spec NULL: stop draining */
int server_node_drain(struct server *s, const char *node_id, const struct drain_strategy *spec,
    bool mark_eligible, server_done *done, void *ctx, struct err *e);
int server_node_evaluate(
    struct server *s, const char *node_id, server_done *done, void *ctx, struct err *e);
int server_node_purge(
    struct server *s, const char *node_id, server_done *done, void *ctx, struct err *e);

/* ---- what nodes report; secret_id must be the node's ---- */

int server_node_register(
    struct server *s, const struct node *n, server_done *done, void *ctx, struct err *e);
/* status: "ready" or "initializing" */
int server_node_heartbeat(struct server *s, const char *node_id, const char *secret_id,
    const char *status, server_done *done, void *ctx, struct err *e);
/* allocs: struct alloc with ID, ClientStatus, ClientDescription, TaskStates, DeploymentStatus,
 * NetworkStatus, ModifyTime; the rest is not looked at. */
int server_allocs_update(struct server *s, const char *node_id, const char *secret_id,
    const struct objs *allocs, server_done *done, void *ctx, struct err *e);
int server_services_update(struct server *s, const char *node_id, const char *secret_id,
    const struct objs *add, const struct strs *remove, server_done *done, void *ctx, struct err *e);
/* Is this the secret of that node? For reads by a node. */
int server_node_check(struct server *s, const char *node_id, const char *secret_id, struct err *e);

/* ---- deployments ---- */

/* groups NULL or empty: all */
int server_deployment_promote(struct server *s, const char *id, const struct strs *groups,
    server_done *done, void *ctx, struct err *e);
int server_deployment_fail(
    struct server *s, const char *id, server_done *done, void *ctx, struct err *e);
int server_deployment_pause(
    struct server *s, const char *id, bool pause, server_done *done, void *ctx, struct err *e);
int server_deployment_health(struct server *s, const char *id, const struct strs *healthy,
    const struct strs *unhealthy, server_done *done, void *ctx, struct err *e);

/* ---- the catalog ---- */

/* Services that people register and the key-value table: of `given` the members services,
 * service_removals and kv_ops. Services may not be a node's own. */
struct command;
int server_catalog(
    struct server *s, const struct command *given, server_done *done, void *ctx, struct err *e);

/* ---- the rest ---- */

int server_system_gc(struct server *s, server_done *done, void *ctx, struct err *e);
/* Writes {Matches, Truncations, Index…}; context "all" or one of jobs, allocs, nodes, evals,
 * deployment. 20 per context. */
int server_search(struct server *s, const char *namespace, const char *prefix, const char *context,
    struct jsonw *w, struct err *e);

#endif
