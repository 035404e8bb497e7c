/*
 * client_api.h: what the HTTP API may ask of the node it runs on (/v1/client/…).
 *
 * The client fills the table and hands it to api/ when both run in one process. All calls are made
 * on the loop and must not block; file access that may be slow is the client's to put on a worker.
 * "Later" results come through the callback, exactly once, also when the allocation goes away; they
 * may come before the call returns (but for exec's). Errors: ERR_ABSENT unknown allocation, task or
 * file (404), ERR_INPUT (400), ERR_RIGHTS a path outside the allocation or in secrets/ (403),
 * others 500.
 */
#ifndef CLIENT_CLIENT_API_H
#define CLIENT_CLIENT_API_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

/* A running exec. Output and end come through the ops; the session is freed after exited/failed, or
 * by exec_close(). */
struct client_exec;
struct client_exec_spec {
	const char *alloc_id, *task;
	const char *const *argv; /* ended by NULL */
	bool tty;
};
struct client_exec_ops {
	void (*started)(void *ctx);
	void (*output)(
	    void *ctx, bool is_stderr, const char *data, size_t len); /* len 0: that stream ended */
	void (*taken)(void *ctx);		  /* exec_pending() has fallen to 0 */
	void (*exited)(void *ctx, int exit_code); /* 128 + signal when killed */
	void (*failed)(void *ctx, const struct err *e);
};

typedef void client_done(void *ctx, const struct err *e); /* NULL: it is done */
/* json: the reply's body, valid during the call. */
typedef void client_json(void *ctx, const char *json, size_t len, const struct err *e);

struct client_api {
	struct client *self;
	const char *(*node_id)(struct client *);
	bool (*has_alloc)(
	    struct client *, const char *alloc_id); /* its directory is on this node */

	/* Statistics, as nomad-surface lists them: host, one allocation (task NULL: all). */
	void (*host_stats)(struct client *, client_json *, void *ctx);
	void (*alloc_stats)(
	    struct client *, const char *alloc_id, const char *task, client_json *, void *ctx);

	/* task "" with all_tasks false: every main task. */
	void (*restart)(struct client *, const char *alloc_id, const char *task, bool all_tasks,
	    client_done *, void *ctx);
	void (*signal)(struct client *, const char *alloc_id, const char *task, const char *signal,
	    client_done *, void *ctx);
	void (*gc)(struct client *, const char *alloc_id /* NULL: all */, client_done *, void *ctx);

	/* Opens the allocation's directory (O_PATH or O_DIRECTORY | O_RDONLY); the API walks below
	 * it itself with RESOLVE_BENEATH and refuses secrets/ and private/. -1: *e. The caller
	 * closes. */
	int (*alloc_dir)(struct client *, const char *alloc_id, struct err *);
	/* Is this a task of the allocation (else ERR_INPUT), and did it ever start (else
	 * ERR_ABSENT)? *running tells whether a follower may still expect output. */
	int (*log_task)(
	    struct client *, const char *alloc_id, const char *task, bool *running, struct err *);

	/* NULL: *e, and nothing is called. The ops are never called before this has returned. */
	struct client_exec *(*exec)(struct client *, const struct client_exec_spec *,
	    const struct client_exec_ops *, void *ctx, struct err *);
	void (*exec_stdin)(
	    struct client_exec *, const char *data, size_t len); /* len 0: end of input */
	size_t (*exec_pending)(struct client_exec *); /* input not yet taken by the command */
	void (*exec_pause)(struct client_exec *, bool pause); /* of its output: the asker is slow */
	void (*exec_resize)(struct client_exec *, unsigned rows, unsigned columns);
	void (*exec_close)(struct client_exec *); /* kills what still runs; no callback follows */

	/* Figures for /v1/metrics: calls emit once for each. labels: "k", "v", …, NULL. */
	void (*metrics)(struct client *,
	    void (*emit)(void *ctx, const char *name, const char *const *labels, double value),
	    void *ctx);
	/* stats.client and the like of /v1/agent/self: key, value pairs. */
	void (*agent_stats)(struct client *,
	    void (*emit)(void *ctx, const char *key, const char *value), void *ctx);
};

#endif
