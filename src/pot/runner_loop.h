/*
 * runner_loop.h: the state of pot-runner's loop (runner.c, runner_wait.c).
 */
#ifndef POT_RUNNER_LOOP_H
#define POT_RUNNER_LOOP_H

#include "pot/runner_priv.h"

/* Bytes for the agent; a frame's descriptors go with its first byte. */
struct outgoing {
	struct buf bytes;
	int fds[WIRE_FDS_MAX];
	size_t n_fds, sent;
};

struct request {
	struct arena mem;
	struct runner_request q;
	struct buf body;
	int fds[WIRE_FDS_MAX];
	size_t n_fds;
};

struct job { /* a request in a child */
	uint64_t id;
	enum runner_op op;
	pid_t pid;
	int sock;
	struct buf in;
	int fds[WIRE_FDS_MAX];
	size_t n_fds;
	bool answered;
};

struct waiter { /* a WAIT: the end of a keeper */
	struct request *request;
	int handle;
};

struct runner_loop {
	const struct runner_config *config;
	VEC(struct job) jobs;
	VEC(struct waiter) waiters;
	VEC(struct request *) queue; /* for a free place */
	VEC(struct outgoing) out;
	struct buf in;
	int in_fds[64];
	size_t n_in_fds;
	bool agent_gone;
};

void runner_reply(struct runner_loop *, struct runner_reply *, uint64_t id);
void runner_fail(struct runner_loop *, uint64_t id, const struct err *);
/* Starts the request in a child; takes it. */
void runner_fork(struct runner_loop *, struct request *);
void request_free(struct request *);

/* ---- runner_wait.c ---- */
/* A WAIT is answered at once or kept until the keeper ends; takes the request. */
void runner_wait(struct runner_loop *, struct request *);
void runner_wait_ended(struct runner_loop *, size_t i);

#endif
