/*
 * priv.h: what the files of this folder share: the client, its allocations, their tasks.
 *
 * Ownership: the client owns allocations by id, an allocation owns its tasks and the row it was
 * given (own arena). Objects with requests under way (ops > 0) are freed when those have answered.
 */
#ifndef CLIENT_PRIV_H
#define CLIENT_PRIV_H

#include "client/client.h"
#include "client/driver.h"
#include "client/restart.h"
#include "base/log.h"
#include "base/map.h"
#include "health/health.h"
#include "io/http.h"
#include "io/loop.h"
#include "job/job.h"
#include "state/rows.h"

enum { DRIVERS = 2, TASK_EVENTS_MAX = 10 };

struct client {
	struct loop *loop;
	struct client_config conf;
	struct arena mem;
	struct client_api api;
	struct runner *runner; /* NULL: none */
	struct driver driver[DRIVERS];
	void (*lost)(void *ctx);
	void *lost_ctx;
	char *alloc_root, *state_dir;
	/* node.c */
	char id[40], secret[40];
	bool registered;
	int64_t heartbeat_ttl_ns;
	struct loop_timer *node_timer;
	struct http_call *node_call;
	/* sync.c */
	uint64_t allocs_index;
	struct http_call *poll_call, *update_call, *services_call;
	struct loop_timer *poll_timer, *update_timer, *services_timer;
	struct map allocs;   /* id -> struct client_alloc */
	struct map services; /* row id -> struct service_out: what must be told */
	bool first_list_done;
	/* stopping */
	struct loop_timer *stop_timer; /* told to stop before the first list has come; else NULL */
	bool stopping;
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

enum task_phase {
	TASK_PENDING,  /* nothing began yet, or the directories are being made */
	TASK_ADOPTING, /* an earlier agent started it: does it still run? */
	TASK_STARTING, /* the driver works */
	TASK_RUNNING,  /* waiting for its end */
	TASK_STOPPING, /* told to end */
	TASK_CLEANING, /* ended; what the driver made is being removed */
	TASK_BACKOFF,  /* waits before the next attempt */
	TASK_DEAD      /* for good */
};

struct client_task {
	struct client_alloc *alloc;
	const struct task *job_task;
	struct driver *driver; /* NULL: this node does not have it */
	enum task_phase phase;
	bool kill_wanted;	 /* for good */
	bool restart_wanted;	 /* by a person or a failing check: start again after the stop */
	bool failed, force_down; /* force_down: client_stop_all() */
	bool ever_ran, outside_stop;
	char *handle; /* of the driver; NULL: nothing is there */
	char ip[64], ip6[64];
	struct restart restart;
	struct restart_answer after; /* what the policy said when it ended */
	struct loop_timer *timer;
	int ops; /* callbacks that will still come */
	/* as reported */
	const char *state; /* "pending", "running", "dead" */
	int64_t restarts, last_restart, started_at, finished_at;
	struct arena event_mem[2]; /* events live in [event_now]; copied over when it has grown */
	int event_now;
	struct objs events; /* struct task_event */
};

struct client_service { /* one instance of one service */
	struct client_alloc *alloc;
	struct client_task *task; /* whose it is, or the first of the group */
	const struct service *job_service;
	bool of_group;
	struct arena mem;
	const char *id, *name, *address;
	int64_t port;
	struct strs tags;
	struct strmap meta;
	bool registered;
	struct client_check {
		struct client_service *service;
		const struct service_check *job_check;
		struct health_probe *probe;
		const char *id, *name;
		enum health_status status;
		bool passed;	      /* since it was registered */
		int64_t bad_since_ns; /* monotonic; for check_restart */
		int64_t bad_runs;
	} * check;
	size_t n_checks;
};

struct client_alloc {
	struct client *client;
	struct arena mem; /* of the row */
	struct alloc *row;
	const struct task_group *group;
	char id[40];
	struct client_task *task;
	size_t n_tasks;
	struct client_service *service;
	size_t n_services;
	bool dirs_made;
	bool stop_wanted, gone_from_server, destroyed;
	bool held;	    /* begins when who has one of its ports is down */
	const char *status; /* "pending", "running", "complete", "failed" */
	const char *description;
	int health; /* -1 not known, 0, 1 */
	int64_t health_time;
	bool services_up;
	bool adopted;	       /* an earlier agent started what runs now */
	int64_t good_since_ns; /* monotonic; 0: not all is well now */
	struct loop_timer *health_timer, *deadline_timer, *drain_timer;
	bool dirty;    /* the servers do not know it all yet */
	bool in_batch; /* told by the request under way */
};

/* client.c */
void client_knows_all(struct client *c); /* the first list of allocations has come */

/* node.c */
int node_load(struct client *c, struct err *e);
void node_start(struct client *c);
void node_stop(struct client *c);

/* sync.c */
void sync_start(struct client *c);
void sync_stop(struct client *c);
void sync_alloc_changed(struct client_alloc *a); /* will be told soon */
/* row NULL: take it out of the directory. */
void sync_service(struct client *c, const char *id, const struct service_row *row);
const char *const *sync_headers(struct client *c, struct arena *a);

/* alloc.c */
struct client_alloc *alloc_new(
    struct client *c, struct arena *mem, struct alloc *row); /* takes the arena */
void alloc_update(struct client_alloc *a, struct arena *mem, struct alloc *row); /* takes it too */
void alloc_task_changed(struct client_alloc *a); /* a task has another state: look at the whole */
void alloc_remove(struct client_alloc *a);	 /* the server has forgotten it */
void alloc_stop(struct client_alloc *a, const char *why);
void alloc_free(struct client_alloc *a);
bool alloc_is_down(const struct client_alloc *a); /* no task runs or will */
void alloc_save(struct client_alloc *a);	  /* handles, for the next agent */
struct client_task *alloc_task(struct client_alloc *a, const char *name);
/* What a driver is told of the ports: of the task's own (old style) and the group's network. */
const struct driver_port *alloc_ports(
    const struct client_alloc *a, const struct task *t, struct arena *mem, size_t *n);
/* The host port of a label, 0 when there is none; *to: what the job says of the inside. */
int64_t alloc_port(
    const struct client_alloc *a, const struct task *t, const char *label, int64_t *to);

/* task.c */
void task_init(struct client_task *t, struct client_alloc *a, const struct task *jt);
void task_fini(struct client_task *t);
void task_begin(
    struct client_task *t, const char *handle); /* handle: of an earlier agent, or NULL */
void task_kill(struct client_task *t, const char *reason);
void task_restart(struct client_task *t, const char *reason);
void task_force_down(struct client_task *t);
void task_event(
    struct client_task *t, const char *type, const char *display, const char *const *details);
void task_events_from(struct client_task *t, const struct task_state *s);

/* taskenv.c: what a task sees. */
struct taskenv {
	struct strmap vars;
	struct client_alloc *alloc;
	const struct task *task;
};
void taskenv_init(
    struct taskenv *env, struct client_alloc *a, const struct task *t, struct arena *mem);
const char *taskenv_text(const struct taskenv *env, const char *text, struct arena *mem);
const struct any *taskenv_any(const struct taskenv *env, const struct any *v, struct arena *mem);

/* services.c */
void services_up(struct client_alloc *a);   /* all main tasks run: register and probe */
void services_down(struct client_alloc *a); /* before the tasks are told to stop */
void services_again(struct client *c);	    /* all that are up are told once more */
bool services_pass(const struct client_alloc *a);
bool services_any(const struct client_alloc *a);

/* exec.c, stats.c: tables of client_api */
void exec_api(struct client_api *api);
void stats_api(struct client_api *api);

#endif
