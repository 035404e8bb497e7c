#include "image/source.h"

#include "base/clock.h"
#include "platform/confine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * Expanding costs more than all else of an import, so it has threads of its own: one here, and more
 * in liblzma when the image was written in several blocks, as `pot export` does. Expanded pieces go
 * through a ring to whoever writes files.
 */
enum {
	IN_BLOCK = 256 * 1024,
	OUT_BLOCK = 512 * 1024,
	RING = 6,
	WAKE_EVERY_MS = 200,
	THREADS_MAX = 16
};
/* Dictionaries of `xz -9` take 64 MiB; more than this is an attempt to use up memory. */
#define MEMORY_MAX	(512ULL << 20)
#define MEMORY_PARALLEL (256ULL << 20)

struct piece {
	size_t len;
	uint8_t data[OUT_BLOCK];
};

struct xz {
	struct expander *apart; /* does it all, when not NULL */
	struct source *source;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct piece *ring;
	size_t first, held; /* filled pieces */
	bool lent;	    /* the first of them is with the reader */
	bool ended, stop;
	bool stop_reading; /* belongs to the source's lock */
	uint64_t taken;
	struct err why;
};

int
xz_is(struct source *s, struct err *e)
{
	static const uint8_t magic[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	uint8_t head[sizeof(magic)];
	size_t have = 0;

	while (have < sizeof(head)) {
		ssize_t n = source_read(s, head + have, sizeof(head) - have, have, NULL, e);
		if (n < 0)
			return -1;
		if (n == 0)
			return 0;
		have += (size_t)n;
	}
	return memcmp(head, magic, sizeof(magic)) == 0;
}

int
xz_explain(lzma_ret rc, struct err *e)
{
	switch (rc) {
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return err_new(e, ERR_FULL, "expanding it takes more memory than is allowed");
	case LZMA_OPTIONS_ERROR:
		return err_new(
		    e, ERR_UNSUPPORTED, "it is compressed in a way that liblzma does not know");
	default:
		return err_new(e, ERR_CORRUPT, "it is cut short or damaged");
	}
}

lzma_ret
xz_decoder(lzma_stream *z)
{
#if LZMA_VERSION >= 50040002
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	lzma_mt how = { .flags = LZMA_CONCATENATED,
		.threads = cores < 1		 ? 1
			   : cores > THREADS_MAX ? THREADS_MAX
						 : (uint32_t)cores,
		.memlimit_threading = MEMORY_PARALLEL,
		.memlimit_stop = MEMORY_MAX };

	return lzma_stream_decoder_mt(z, &how);
#else
	return lzma_stream_decoder(z, MEMORY_MAX, LZMA_CONCATENATED);
#endif
}

/* A free piece of the ring, or NULL when nobody wants more. */
static struct piece *
claim(struct xz *x)
{
	struct piece *p = NULL;

	pthread_mutex_lock(&x->lock);
	while (x->held == RING && !x->stop)
		pthread_cond_wait(&x->changed, &x->lock);
	if (!x->stop)
		p = &x->ring[(x->first + x->held) % RING];
	pthread_mutex_unlock(&x->lock);
	return p;
}

static void
hand_over(struct xz *x, struct piece *p, size_t len, uint64_t taken)
{
	p->len = len;
	pthread_mutex_lock(&x->lock);
	x->held++;
	x->taken = taken;
	pthread_cond_broadcast(&x->changed);
	pthread_mutex_unlock(&x->lock);
}

static int
expand_to_ring(struct xz *x, lzma_stream *z, uint8_t *in, struct err *e)
{
	struct piece *p = claim(x);
	uint64_t at = 0;
	lzma_action action = LZMA_RUN;

	if (p == NULL)
		return 0;
	z->next_out = p->data;
	z->avail_out = OUT_BLOCK;
	for (;;) {
		if (z->avail_in == 0 && action == LZMA_RUN) {
			ssize_t n = source_read(x->source, in, IN_BLOCK, at, &x->stop_reading, e);
			if (n < 0)
				return -1;
			if (n == 0)
				action = LZMA_FINISH;
			z->next_in = in;
			z->avail_in = (size_t)n;
			at += (uint64_t)n;
		}
		lzma_ret rc = lzma_code(z, action);
		if (rc != LZMA_OK && rc != LZMA_STREAM_END)
			return xz_explain(rc, e);
		if (z->avail_out == 0 || rc == LZMA_STREAM_END) {
			hand_over(x, p, OUT_BLOCK - z->avail_out, at - z->avail_in);
			if (rc == LZMA_STREAM_END)
				return 0;
			p = claim(x);
			if (p == NULL)
				return 0;
			z->next_out = p->data;
			z->avail_out = OUT_BLOCK;
		}
	}
}

static void *
expand_all(void *ctx)
{
	struct xz *x = ctx;
	lzma_stream z = LZMA_STREAM_INIT;
	struct err e = ERR_INIT;
	uint8_t *in = xmalloc(IN_BLOCK);
	lzma_ret rc = xz_decoder(&z);

	if (rc != LZMA_OK)
		xz_explain(rc, &e);
	else
		(void)expand_to_ring(x, &z, in, &e);
	lzma_end(&z);
	free(in);
	pthread_mutex_lock(&x->lock);
	x->why = e;
	x->ended = true;
	pthread_cond_broadcast(&x->changed);
	pthread_mutex_unlock(&x->lock);
	return NULL;
}

int
xz_open(struct source *s, struct xz **out, struct err *e)
{
	struct xz *x = xcalloc(1, sizeof(*x));
	pthread_condattr_t attr;
	sigset_t before;

	if (confine_possible()) {
		if (expander_open(s, &x->apart, e) == 0) {
			*out = x;
			return 0;
		}
		free(x);
		return -1;
	}
	x->source = s;
	x->ring = xmalloc(RING * sizeof(*x->ring));
	pthread_mutex_init(&x->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&x->changed, &attr);
	pthread_condattr_destroy(&attr);
	threads_begin(&before);
	int rc = pthread_create(&x->thread, NULL, expand_all, x);
	threads_end(&before);
	if (rc == 0) {
		*out = x;
		return 0;
	}
	errno = rc;
	err_sys(e, "start a thread");
	x->ended = true;
	pthread_cond_destroy(&x->changed);
	pthread_mutex_destroy(&x->lock);
	free(x->ring);
	free(x);
	return -1;
}

static void
wait_a_moment(struct xz *x)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAKE_EVERY_MS * NS_PER_MS;
	if (until.tv_nsec >= NS_PER_SEC) {
		until.tv_nsec -= NS_PER_SEC;
		until.tv_sec++;
	}
	(void)pthread_cond_timedwait(&x->changed, &x->lock, &until);
}

ssize_t
xz_read(struct xz *x, const void **data, xz_waiting_fn *waiting, void *ctx, struct err *e)
{
	ssize_t n = 0;

	if (x->apart != NULL)
		return expander_read(x->apart, data, waiting, ctx, e);
	pthread_mutex_lock(&x->lock);
	if (x->lent) {
		x->lent = false;
		x->first = (x->first + 1) % RING;
		x->held--;
		pthread_cond_broadcast(&x->changed);
	}
	while (x->held == 0 && !x->ended) {
		wait_a_moment(x);
		if (x->held > 0 || x->ended)
			break;
		/* a slow network: whoever asked for this may have gone meanwhile */
		pthread_mutex_unlock(&x->lock);
		if (waiting(ctx, e) < 0)
			return -1;
		pthread_mutex_lock(&x->lock);
	}
	if (x->held > 0) {
		*data = x->ring[x->first].data;
		n = (ssize_t)x->ring[x->first].len;
		x->lent = true;
	} else if (x->why.kind != ERR_NONE) {
		*e = x->why;
		n = -1;
	}
	pthread_mutex_unlock(&x->lock);
	return n;
}

uint64_t
xz_taken(struct xz *x)
{
	if (x->apart != NULL)
		return expander_taken(x->apart);
	pthread_mutex_lock(&x->lock);
	uint64_t taken = x->taken;
	pthread_mutex_unlock(&x->lock);
	return taken;
}

void
xz_close(struct xz *x)
{
	if (x == NULL)
		return;
	if (x->apart != NULL) {
		expander_close(x->apart);
		free(x);
		return;
	}
	pthread_mutex_lock(&x->lock);
	x->stop = true;
	pthread_cond_broadcast(&x->changed);
	pthread_mutex_unlock(&x->lock);
	source_stop(x->source, &x->stop_reading);
	pthread_join(x->thread, NULL);
	pthread_cond_destroy(&x->changed);
	pthread_mutex_destroy(&x->lock);
	free(x->ring);
	free(x);
}
