/*
 * runner.h: the agent's end of the socket to pot-runner: requests with callbacks.
 *
 * When the runner dies the monitor hands over the socket of a new one. Requests that may be
 * repeated without harm (waits, stops, lists, removals) are then sent again; the others fail with
 * ERR_BUSY. Everything happens on the loop; callbacks come exactly once and never from within
 * runner_call(), unless the handle is freed first.
 */
#ifndef CLIENT_RUNNER_H
#define CLIENT_RUNNER_H

#include "base/err.h"
#include "pot/runner_proto.h"

struct loop;
struct runner;

/* sock: RUNNER_FD_ENV's, monitor: RUNNER_MONITOR_FD_ENV's (-1: none, then a dead runner stays
 * dead). Both are owned from now. lost(ctx) is called when the monitor has gone: the agent must
 * end. */
struct runner *runner_new(
    struct loop *l, int sock, int monitor, void (*lost)(void *ctx), void *ctx);
void runner_free(struct runner *r); /* callbacks of what is pending are dropped */
bool runner_up(const struct runner *r);
/* gone(ctx): its socket has closed, and another one is due from the monitor's. */
void runner_on_gone(struct runner *r, void (*gone)(void *ctx), void *ctx);

/* r is NULL when the request failed, then e says why; fd of a reply is the callback's. */
typedef void runner_done(void *ctx, const struct runner_reply *r, const struct err *e);
/* Progress and STARTED replies; fd (-1: none) is the callback's. */
typedef void runner_event(void *ctx, const struct runner_reply *r, int fd);

/* Sends the request (its id is set here) and gives its id. event may be NULL. */
uint64_t runner_call(struct runner *r, const struct runner_request *req, const int *fds,
    size_t n_fds, runner_event *event, runner_done *done, void *ctx);
/* Ends the request's process; done still comes. Unknown ids are fine. */
void runner_cancel(struct runner *r, uint64_t id);
/* No callback of this request comes any more; it goes on. */
void runner_forget(struct runner *r, uint64_t id);

#endif
