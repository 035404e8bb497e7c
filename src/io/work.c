#include "io/work.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORKERS = 4 };

struct work {
	struct work *next;
	loop_fn *work, *done;
	void *ctx;
};

struct work_list {
	struct work *first, **last;
};

struct work_pool {
	struct loop *loop;
	pthread_mutex_t lock; /* guards the members up to `quit` */
	pthread_cond_t more;
	struct work_list todo, finished;
	unsigned idle;
	bool quit;
	unsigned threads;
	pthread_t thread[WORKERS];
	int wake[2]; /* a pipe: one byte when `finished` stops being empty */
	struct loop_watch *watch;
};

static void
list_init(struct work_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void
list_push(struct work_list *l, struct work *w)
{
	w->next = NULL;
	*l->last = w;
	l->last = &w->next;
}

static struct work *
list_pop(struct work_list *l)
{
	struct work *w = l->first;

	if (w != NULL && (l->first = w->next) == NULL)
		l->last = &l->first;
	return w;
}

static void *
worker(void *arg)
{
	struct work_pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct work *w = list_pop(&p->todo);
		if (w == NULL) {
			if (p->quit)
				break;
			p->idle++;
			pthread_cond_wait(&p->more, &p->lock);
			p->idle--;
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		w->work(w->ctx);
		pthread_mutex_lock(&p->lock);
		bool first = p->finished.first == NULL;
		list_push(&p->finished, w);
		if (first)
			while (write(p->wake[1], "", 1) < 0 && errno == EINTR)
				;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Runs the done functions of all that is finished now. */
static void
deliver(struct work_pool *p)
{
	for (;;) {
		pthread_mutex_lock(&p->lock);
		struct work *w = list_pop(&p->finished);
		pthread_mutex_unlock(&p->lock);
		if (w == NULL)
			return;
		w->done(w->ctx);
		free(w);
	}
}

static void
on_wake(void *ctx, int fd, unsigned what)
{
	char drop[64];
	(void)what;

	while (read(fd, drop, sizeof(drop)) > 0)
		;
	deliver(ctx);
}

struct work_pool *
work_pool_new(struct loop *l)
{
	struct work_pool *p = xcalloc(1, sizeof(*p));

	p->loop = l;
	list_init(&p->todo);
	list_init(&p->finished);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	if (pipe2(p->wake, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	p->watch = loop_watch(l, p->wake[0], LOOP_READ, on_wake, p);
	return p;
}

static void
start_thread(struct work_pool *p)
{
	sigset_t all, old;
	pthread_attr_t attr;

	/* Signals are the loop's; a worker's stack need not be large. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	if (pthread_create(&p->thread[p->threads], &attr, worker, p) == 0)
		p->threads++;
	else if (p->threads == 0)
		abort(); /* nobody could ever do the work */
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void
work_pool_add(struct work_pool *p, loop_fn *work, loop_fn *done, void *ctx)
{
	struct work *w = xcalloc(1, sizeof(*w));

	*w = (struct work){ .work = work, .done = done, .ctx = ctx };
	pthread_mutex_lock(&p->lock);
	assert(!p->quit);
	list_push(&p->todo, w);
	bool need = p->idle == 0 && p->threads < WORKERS;
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
	if (need)
		start_thread(p);
}

void
work_pool_free(struct work_pool **pp)
{
	struct work_pool *p = take(pp);

	pthread_mutex_lock(&p->lock);
	p->quit = true; /* workers end when nothing is left to do */
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	loop_watch_free(&p->watch);
	/* A done function that gives new work here finds quit set: done functions must not. */
	deliver(p);
	close(p->wake[0]);
	close(p->wake[1]);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
