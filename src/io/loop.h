/*
 * loop.h: what is ready now? One event loop per process, over libevent (epoll, kqueue).
 *
 * Everything but the work functions of loop_work() runs on the thread that calls loop_run(); no
 * call here may be made from another thread. Times are milliseconds of the monotonic clock.
 * Callbacks may free the handle they were called for, and any other.
 *
 * Handles belong to the caller and are freed by it, before loop_free().
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct loop_timer;
struct loop_watch;
struct loop_signal;
struct loop_child;

typedef void loop_fn(void *ctx);

struct loop *loop_new(void);
/* Finishes all work (its done functions run), runs what was deferred, then frees. NULL is fine. */
void loop_free(struct loop *l);
void loop_run(struct loop *l); /* until loop_stop() */
void loop_stop(struct loop *l);
/* One turn: waits at most max_ms (-1: without bound) for something to be ready, does it, then what
 * was deferred. For tests, and for programs that have their own loop around it. */
void loop_turn(struct loop *l, int64_t max_ms);
struct event_base *loop_base(struct loop *l);

/* A timer is armed when made: first after after_ms, then each every_ms (0: once). A one-shot timer
 * that has fired rests until loop_timer_set(). loop_timer_free() takes the address of the handle,
 * sets it to NULL, and accepts NULL in it. after_ms < 0 makes a resting timer. */
struct loop_timer *loop_timer(
    struct loop *l, int64_t after_ms, int64_t every_ms, loop_fn *fn, void *ctx);
void loop_timer_set(struct loop_timer *t, int64_t after_ms); /* again; < 0: rest */
bool loop_timer_armed(const struct loop_timer *t);
void loop_timer_free(struct loop_timer **t);

/* fn(ctx) once at the end of this turn of the loop, after all that is ready now was handled: the
 * place for a group commit. What is deferred by deferred functions runs at the end of the next
 * turn, which then does not wait. */
void loop_defer(struct loop *l, loop_fn *fn, void *ctx);
void loop_defer_cancel(struct loop *l, loop_fn *fn, void *ctx); /* every pending pair (fn, ctx) */

/* Level-triggered readiness of a descriptor, which stays the caller's: free the watch before close.
 */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void loop_watch_fn(void *ctx, int fd, unsigned what);
struct loop_watch *loop_watch(struct loop *l, int fd, unsigned what, loop_watch_fn *fn, void *ctx);
void loop_watch_set(struct loop_watch *w, unsigned what); /* 0: rests */
void loop_watch_free(struct loop_watch **w);

typedef void loop_signal_fn(void *ctx, int signo);
struct loop_signal *loop_signal(struct loop *l, int signo, loop_signal_fn *fn, void *ctx);
void loop_signal_free(struct loop_signal **s);

/* fn(ctx, pid, status of waitpid(2)) once when this child has ended; it is reaped then. The handle
 * is freed after fn by the loop; loop_child_free() only to stop listening (nobody reaps then). */
typedef void loop_child_fn(void *ctx, pid_t pid, int status);
struct loop_child *loop_child(struct loop *l, pid_t pid, loop_child_fn *fn, void *ctx);
void loop_child_free(struct loop_child **c);

/* work(ctx) on a thread of a small pool, then done(ctx) on the loop. work must own or copy all that
 * it touches. Every work that was given is done. */
void loop_work(struct loop *l, loop_fn *work, loop_fn *done, void *ctx);

#endif
