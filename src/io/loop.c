#include "io/loop.h"

#include "base/own.h"
#include "base/vec.h"
#include "io/work.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>

struct deferred {
	loop_fn *fn;
	void *ctx;
};

struct loop {
	struct event_base *base;
	struct event *alarm;
	bool stop;
	bool turning; /* inside loop_turn() */
	VEC(struct deferred) later;
	VEC(struct deferred) now; /* being run */
	struct work_pool *pool;
	struct loop_signal *chld;
	VEC(struct loop_child *) children;
};

static struct timeval
timeval_of_ms(int64_t ms)
{
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

/* Ends a bounded wait. */
static void
on_alarm(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what, (void)ctx;
}

struct loop *
loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->base = event_base_new();
	if (l->base == NULL || (l->alarm = evtimer_new(l->base, on_alarm, l)) == NULL)
		abort(); /* no epoll descriptor: nothing can work */
	return l;
}

static void
run_deferred(struct loop *l)
{
	if (l->later.n == 0)
		return;
	assert(l->now.n == 0);
	__typeof__(l->now) swap = l->now;
	l->now.at = l->later.at;
	l->now.n = l->later.n;
	l->now.cap = l->later.cap;
	l->later.at = swap.at;
	l->later.n = 0;
	l->later.cap = swap.cap;
	for (size_t i = 0; i < l->now.n; i++)
		if (l->now.at[i].fn != NULL)
			l->now.at[i].fn(l->now.at[i].ctx);
	l->now.n = 0;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	if (l->pool != NULL)
		work_pool_free(&l->pool);
	while (l->later.n > 0)
		run_deferred(l);
	while (l->children.n > 0) {
		struct loop_child *c = l->children.at[l->children.n - 1];
		loop_child_free(&c);
	}
	loop_signal_free(&l->chld);
	VEC_FINI(&l->later);
	VEC_FINI(&l->now);
	VEC_FINI(&l->children);
	event_free(l->alarm);
	event_base_free(l->base);
	free(l);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

void
loop_turn(struct loop *l, int64_t max_ms)
{
	assert(!l->turning);
	l->turning = true;
	if (l->later.n > 0)
		max_ms = 0;
	if (max_ms > 0) {
		struct timeval tv = timeval_of_ms(max_ms);
		evtimer_add(l->alarm, &tv);
	}
	event_base_loop(
	    l->base, EVLOOP_ONCE | (max_ms == 0 ? EVLOOP_NONBLOCK : EVLOOP_NO_EXIT_ON_EMPTY));
	if (max_ms > 0)
		evtimer_del(l->alarm);
	run_deferred(l);
	l->turning = false;
}

void
loop_run(struct loop *l)
{
	for (l->stop = false; !l->stop;)
		loop_turn(l, -1);
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
	event_base_loopbreak(l->base);
}

/* Deferred ----------------------------------------------------------------------------------- */

void
loop_defer(struct loop *l, loop_fn *fn, void *ctx)
{
	struct deferred d = { fn, ctx };

	/* Outside a turn (before loop_run) nothing wakes the loop, but the next turn does not wait.
	 */
	VEC_PUSH(&l->later, d);
}

void
loop_defer_cancel(struct loop *l, loop_fn *fn, void *ctx)
{
	for (size_t i = 0; i < l->now.n; i++)
		if (l->now.at[i].fn == fn && l->now.at[i].ctx == ctx)
			l->now.at[i].fn = NULL;
	for (size_t i = 0; i < l->later.n;)
		if (l->later.at[i].fn == fn && l->later.at[i].ctx == ctx)
			VEC_REMOVE(&l->later, i);
		else
			i++;
}

/* Timers ------------------------------------------------------------------------------------- */

struct loop_timer {
	struct event *ev;
	int64_t every_ms;
	loop_fn *fn;
	void *ctx;
};

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct loop_timer *t = ctx;
	(void)fd, (void)what;

	if (t->every_ms > 0)
		loop_timer_set(t, t->every_ms);
	t->fn(t->ctx); /* may free t */
}

struct loop_timer *
loop_timer(struct loop *l, int64_t after_ms, int64_t every_ms, loop_fn *fn, void *ctx)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));

	*t = (struct loop_timer){ .every_ms = every_ms, .fn = fn, .ctx = ctx };
	t->ev = evtimer_new(l->base, on_timer, t);
	if (t->ev == NULL)
		abort();
	loop_timer_set(t, after_ms);
	return t;
}

void
loop_timer_set(struct loop_timer *t, int64_t after_ms)
{
	if (after_ms < 0) {
		evtimer_del(t->ev);
		return;
	}
	struct timeval tv = timeval_of_ms(after_ms);
	evtimer_add(t->ev, &tv);
}

bool
loop_timer_armed(const struct loop_timer *t)
{
	return evtimer_pending(t->ev, NULL) != 0;
}

void
loop_timer_free(struct loop_timer **t)
{
	if (*t == NULL)
		return;
	event_free((*t)->ev);
	free(*t);
	*t = NULL;
}

/* Descriptors -------------------------------------------------------------------------------- */

struct loop_watch {
	struct loop *loop;
	struct event *ev;
	int fd;
	unsigned what;
	loop_watch_fn *fn;
	void *ctx;
};

static void
on_ready(evutil_socket_t fd, short what, void *ctx)
{
	struct loop_watch *w = ctx;

	w->fn(w->ctx, (int)fd,
	    (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u));
}

struct loop_watch *
loop_watch(struct loop *l, int fd, unsigned what, loop_watch_fn *fn, void *ctx)
{
	struct loop_watch *w = xcalloc(1, sizeof(*w));

	*w = (struct loop_watch){ .loop = l, .fd = fd, .fn = fn, .ctx = ctx };
	w->ev = event_new(l->base, fd, EV_PERSIST, on_ready, w);
	if (w->ev == NULL)
		abort();
	loop_watch_set(w, what);
	return w;
}

void
loop_watch_set(struct loop_watch *w, unsigned what)
{
	if (w->what == what)
		return;
	w->what = what;
	event_del(w->ev);
	if (what == 0)
		return;
	event_assign(w->ev, w->loop->base, w->fd,
	    (short)(EV_PERSIST | (what & LOOP_READ ? EV_READ : 0) |
		    (what & LOOP_WRITE ? EV_WRITE : 0)),
	    on_ready, w);
	event_add(w->ev, NULL);
}

void
loop_watch_free(struct loop_watch **w)
{
	if (*w == NULL)
		return;
	event_free((*w)->ev);
	free(*w);
	*w = NULL;
}

/* Signals and children ------------------------------------------------------------------------ */

struct loop_signal {
	struct event *ev;
	loop_signal_fn *fn;
	void *ctx;
};

static void
on_signal(evutil_socket_t signo, short what, void *ctx)
{
	struct loop_signal *s = ctx;
	(void)what;

	s->fn(s->ctx, (int)signo);
}

struct loop_signal *
loop_signal(struct loop *l, int signo, loop_signal_fn *fn, void *ctx)
{
	struct loop_signal *s = xcalloc(1, sizeof(*s));

	s->fn = fn;
	s->ctx = ctx;
	s->ev = evsignal_new(l->base, signo, on_signal, s);
	if (s->ev == NULL || evsignal_add(s->ev, NULL) < 0)
		abort();
	return s;
}

void
loop_signal_free(struct loop_signal **s)
{
	if (*s == NULL)
		return;
	event_free((*s)->ev);
	free(*s);
	*s = NULL;
}

struct loop_child {
	struct loop *loop;
	pid_t pid;
	loop_child_fn *fn;
	void *ctx;
};

/* Signals merge, so each SIGCHLD asks for every child. A callback may change the list: start again
 * after each one. */
static void
reap(void *ctx)
{
	struct loop *l = ctx;

	for (size_t i = 0; i < l->children.n;) {
		struct loop_child *c = l->children.at[i];
		int status;
		pid_t pid = waitpid(c->pid, &status, WNOHANG);

		if (pid != c->pid) {
			i++;
			continue;
		}
		loop_child_fn *fn = c->fn;
		void *fn_ctx = c->ctx;
		loop_child_free(&c);
		fn(fn_ctx, pid, status);
		i = 0;
	}
}

static void
on_sigchld(void *ctx, int signo)
{
	(void)signo;
	reap(ctx);
}

struct loop_child *
loop_child(struct loop *l, pid_t pid, loop_child_fn *fn, void *ctx)
{
	struct loop_child *c = xcalloc(1, sizeof(*c));

	*c = (struct loop_child){ .loop = l, .pid = pid, .fn = fn, .ctx = ctx };
	if (l->chld == NULL)
		l->chld = loop_signal(l, SIGCHLD, on_sigchld, l);
	VEC_PUSH(&l->children, c);
	loop_defer(l, reap, l); /* it may have ended before the signal was listened to */
	return c;
}

void
loop_child_free(struct loop_child **c)
{
	if (*c == NULL)
		return;
	struct loop *l = (*c)->loop;
	for (size_t i = 0; i < l->children.n; i++)
		if (l->children.at[i] == *c) {
			VEC_REMOVE(&l->children, i);
			break;
		}
	if (l->children.n == 0)
		loop_defer_cancel(l, reap, l);
	free(*c);
	*c = NULL;
}

/* Workers ------------------------------------------------------------------------------------ */

void
loop_work(struct loop *l, loop_fn *work, loop_fn *done, void *ctx)
{
	if (l->pool == NULL)
		l->pool = work_pool_new(l);
	work_pool_add(l->pool, work, done, ctx);
}
