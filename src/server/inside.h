/*
 * inside.h: what the server's files share. The folder's own.
 */
#ifndef SERVER_INSIDE_H
#define SERVER_INSIDE_H

#include "server/server.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "sched/sched.h"
#include "state/command.h"
#include "store/log.h"

#include <string.h>

#define SEC_NS 1000000000LL
#define MS_NS  1000000LL

/* A command on its way to the log. */
struct proposal {
	char *type;
	struct buf payload;
	char eval_id[40];
	struct server_result result;
	server_done *done; /* NULL: nobody waits */
	void *ctx;
	bool read_only;	    /* nothing to write: only answers, after what is before it */
	uint64_t index;	    /* once it is in the log */
	struct err refused; /* by the state; kind ERR_NONE: it was not */
};

typedef VEC(const struct eval *) eval_list; /* references */
struct broker {
	eval_list ready, blocked;
	eval_list waiting; /* their wait_until lies ahead */
	void *timer;
};

struct beat {
	struct server *server;
	char *node_id;
	void *timer;
};

struct server {
	struct server_config config;
	struct server_env env;
	struct state *state;
	struct store_log *store;
	VEC(struct proposal *) queue;
	VEC(struct proposal *) open; /* applied, not yet on disk */
	bool flush_due, flushing, closing, settling;
	struct broker broker;
	struct map beats; /* node id -> struct beat */
	struct map
	    looks; /* deployment id -> &look_marker or &eval_marker: the watcher's next turn */
	void *deadline_timer;
	void *drain_timer;
	bool draining, drains_changed;
	void *gc_timer, *retry_timer;
	uint64_t plans;
};

/* ---- server.c ---- */
int64_t server_now(struct server *s);
const char *server_uuid(struct server *s, struct arena *mem);
/* Queues it; encodes now. r: what is known already; eval_id may be NULL. */
void server_propose(struct server *s, const struct command *c, const char *eval_id,
    const struct server_result *r, server_done *done, void *ctx);
/* Answers in its turn, without a change. */
void server_answer(struct server *s, const struct server_result *r, server_done *done, void *ctx);
void server_wake(struct server *s); /* there is something to do at the end of this turn */
struct command server_command(struct server *s, const char *type); /* with the time */
/* An evaluation of a job, pending; in the arena. */
struct eval *server_eval(
    struct server *s, struct arena *mem, const struct job *job, const char *triggered_by);
void *server_after(struct server *s, int64_t ns, void (*fn)(void *), void *arg);
void server_cancel(struct server *s, void **timer);

/* ---- broker.c ---- */
void broker_changed(struct server *s, const struct eval *old, const struct eval *now);
void broker_restore(struct server *s);
void broker_free(struct server *s);
const struct eval *broker_next(struct server *s);	    /* a reference, or NULL */
void broker_block(struct server *s, const struct eval *ev); /* back, after a fruitless look */
/* Room on nodes of this class; NULL: any. */
void broker_unblock(struct server *s, const char *computed_class);
bool broker_has_job(const struct server *s, const char *namespace, const char *job_id);

/* ---- worker.c ---- */
void worker_run(struct server *s, const struct eval *next);

/* ---- watcher.c: deployments ---- */
void watcher_look(struct server *s, const char *deployment_id, bool with_eval);
void watcher_turn(struct server *s);
void watcher_arm(struct server *s);

/* ---- nodes.c ---- */
void nodes_restore(struct server *s);
void nodes_free(struct server *s);
void nodes_add_evals(struct server *s, struct arena *mem, struct command *c, const char *node_id,
    const char *triggered_by);

/* ---- drain.c ---- */
void drain_turn(struct server *s);

/* ---- gc.c ---- */
void gc_arm(struct server *s);

static inline const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

#endif
