/*
 * task.h: a task from its start to its removal.
 *
 *	starting → running → exited
 *
 * Nomad's id is the key; the pot's name follows from it. Whoever waits for the end is in `waits`,
 * statistics in `stats`.
 */
#ifndef PLUGIN_TASK_H
#define PLUGIN_TASK_H

#include "plugin/plugin.h"

enum task_state { TASK_STARTING, TASK_RUNNING, TASK_EXITED, TASK_STATES };

struct task {
	struct plugin *plugin;
	int state;
	char *id, *name, *alloc_id, *pot;
	char *run_id; /* "" until it runs */
	char *image;  /* the pot it was made of; "" unknown */
	struct stream *waits;
	struct sampler *samplers; /* stats.c */
	struct arena env_mem;
	struct strs env;  /* for commands that run in it later */
	uint64_t waiting; /* the request to the runner; 0: none */
	int code, signal;
	bool oom, lost;
	int64_t started_ns, ended_ns;
	char *ip;
};

struct task *task_find(struct plugin *p, const char *id); /* NULL: unknown */
struct task *task_new(struct plugin *p, const char *id, const char *name, const char *alloc_id);
void task_free(struct task *t); /* calls that wait get an answer */
/* Copies what env_gather() gave. */
void task_env(struct task *t, const struct strs *env);
/* From now on: running, and its end is waited for. */
void task_runs(struct task *t, const char *run_id);
/* What Nomad keeps of it, and back; -1: it is not ours or of another time. */
void task_state_write(const struct task *t, struct buf *out);
struct task_kept {
	const char *pot, *run_id, *image, *alloc_id, *name;
	int64_t started_ns;
};
int task_state_read(const void *data, size_t len, struct arena *a, struct task_kept *out);
/* "task not found for given id", as Nomad's own drivers say it. */
struct task *task_of(struct plugin *p, struct grpc_call *call, const char *id);
void task_timestamp(Np__Timestamp *out, int64_t ns);
void task_result(const struct task *t, Np__ExitResult *out);

/* ---- task_start.c, task_end.c, task_recover.c, exec.c, stats.c, fingerprint.c: the methods ----
 */
grpc_handler on_start_task, on_recover_task, on_wait_task, on_stop_task, on_destroy_task,
    on_inspect_task, on_signal_task, on_task_stats, on_exec_task, on_exec_streaming, on_fingerprint,
    on_task_events;
/* The task has ended: its last sample goes out and its streams end. */
void stats_end(struct task *t);
void fingerprint_fini(struct plugin *p);

#endif
