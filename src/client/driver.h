/*
 * driver.h: how a task's process comes to be: the drivers `pot` and `raw_exec`.
 *
 * A driver_task is one task of one allocation as a driver sees it: all text interpolated, the ports
 * chosen, the directories made. The calls are asynchronous; each ends in exactly one callback,
 * never from within the call. A handle names a started task so that a later agent finds it again;
 * it is text, kept by the client, understood by the driver that made it.
 */
#ifndef CLIENT_DRIVER_H
#define CLIENT_DRIVER_H

#include "client/runner.h"
#include "codec/model.h"

#include <stdbool.h>
#include <stdint.h>

struct any;
struct driver;

struct driver_port {
	const char *label;
	int64_t host_port;
	int64_t
	    to; /* inside, as the job's network block says; 0: not said, -1: same as host_port */
};

struct driver_bind {
	const char *source, *target;
	bool read_only;
};

struct driver_task {
	const char *alloc_id, *task, *job_id, *group;
	const struct any *config;
	struct strs env; /* NAME=value */
	const char *user;
	int64_t cpu_mhz, memory_mb;
	const struct driver_port *ports;
	size_t n_ports;
	const struct driver_bind *binds; /* the allocation's directories */
	size_t n_binds;
	const char *task_dir; /* on the host; where raw commands begin */
	const char *log_dir;  /* files <task>.stdout.N */
	unsigned log_max_files;
	uint64_t log_max_bytes;
	int stop_signal; /* 0: the driver's own */
	int64_t stop_timeout_ms;
};

/* A task that runs. Text is good during the callback. */
struct driver_run {
	const char *handle;
	const char *ip, *ip6; /* of the pot's own network, or NULL: it shares the host's */
};

struct driver_end {
	int code, signal;
	bool oom;
	bool lost; /* it is gone, and nobody knows how it ended */
};

struct driver_usage {
	uint64_t rss_bytes, cache_bytes, swap_bytes, cpu_ns;
	unsigned pids;
};

/* e: why not; retry tells whether a further attempt may succeed. */
typedef void driver_started(
    void *ctx, const struct driver_run *run, const struct err *e, bool retry);
typedef void driver_note(
    void *ctx, const char *text); /* what is going on: an image being fetched */
typedef void driver_ended(void *ctx, const struct driver_end *end, const struct err *e);
typedef void driver_done(void *ctx, const struct err *e);
typedef void driver_usage_fn(void *ctx, const struct driver_usage *usage, const struct err *e);

struct driver_exec {
	const char *const *argv, *const *env;
	bool tty;
	unsigned rows, columns;
};

struct driver_ops {
	const char *name; /* "pot" */
	/* Refuses what the task's config says wrongly, by key; at once. NULL ops accept all. */
	int (*check)(const struct any *config, struct err *e);
	void (*start)(struct driver *d, const struct driver_task *t, driver_note *note,
	    driver_started *started, void *ctx);
	/* Is the task behind this handle still running? Else started gets ERR_ABSENT. */
	void (*adopt)(struct driver *d, const char *handle, driver_started *started, void *ctx);
	void (*wait)(struct driver *d, const char *handle, driver_ended *ended, void *ctx);
	/* stop_signal 0 and timeout -1: what the start said. Done when it has ended. */
	void (*stop)(struct driver *d, const char *handle, int stop_signal, int64_t timeout_ms,
	    driver_done *done, void *ctx);
	void (*signal)(struct driver *d, const char *handle, int sig, driver_done *done, void *ctx);
	/* Removes what a start made, also one that failed; handle may be that of driver_handle().
	 */
	void (*destroy)(struct driver *d, const char *handle, driver_done *done, void *ctx);
	void (*usage)(struct driver *d, const char *handle, driver_usage_fn *fn, void *ctx);
	/* fds: input, output, error; with tty the terminal comes by event. The request's id, for
	 * runner_cancel(). */
	uint64_t (*exec)(struct driver *d, const char *handle, const struct driver_exec *x,
	    const int fds[3], runner_event *event, runner_done *done, void *ctx);
	/* The handle that a start of this task will have, known before it is made. */
	char *(*handle)(const struct driver_task *t, struct arena *a);
};

struct driver {
	const struct driver_ops *ops;
	struct runner *runner;
	bool detected;
	const char *why; /* not detected: "needs root: pot-runner does not run" */
};

extern const struct driver_ops driver_pot, driver_raw;

#endif
