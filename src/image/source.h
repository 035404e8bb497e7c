/*
 * source.h: an image's bytes while they arrive: a file that grows, and readers that follow it.
 *
 * One thread lets it grow (a download; a local file is whole from the start); any number of threads
 * read it, each at its own pace, from the page cache. A failure on either side ends both.
 */
#ifndef IMAGE_SOURCE_H
#define IMAGE_SOURCE_H

#include "base/err.h"
#include "codec/skein.h"
#include "image/tool.h"

#include <lzma.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct source {
	int fd; /* readable with pread(2); owned */
	pthread_mutex_t lock;
	pthread_cond_t grown;
	uint64_t ready; /* bytes from the beginning that are there */
	uint64_t total; /* 0: not known yet */
	bool whole;	/* all are there */
	struct err why; /* kind ERR_NONE while nothing failed */
};

void source_init(struct source *s, int fd);
void source_fini(struct source *s);
/* A file that is complete. */
int source_open(struct source *s, const char *path, struct err *e);

void source_grow(struct source *s, uint64_t ready, uint64_t total);
void source_complete(struct source *s);
/* The first failure stays. Readers get it once they want more than there is. */
void source_fail(struct source *s, const struct err *why);

/* Waits until there is something at `offset`. 0: the end, or *stop was set by source_stop() (stop
 * may be NULL). */
ssize_t source_read(
    struct source *s, void *out, size_t len, uint64_t offset, const bool *stop, struct err *e);
/* Ends the waiting of the one reader that gave this flag. */
void source_stop(struct source *s, bool *stop);
/* Waits until it is whole or has failed, or timeout_ms passed: 1, -1, 0. */
int source_wait(struct source *s, int timeout_ms, struct err *e);
void source_progress(struct source *s, uint64_t *ready, uint64_t *total);

/* ---- its digest, computed by a thread while it arrives (digest_thread.c) ---- */
struct digesting {
	struct source *source;
	pthread_t thread;
	struct skein state;
	struct err why;
	bool started;
};
int digesting_start(struct digesting *d, struct source *s, struct err *e);
/* Waits for the end; then `tail` is added to the digest. */
int digesting_end(
    struct digesting *d, const void *tail, size_t len, uint8_t out[SKEIN_DIGEST], struct err *e);

/* ---- what is compressed in it, expanded by threads (xz.c) ---- */
struct xz;
/* 1: begins like xz; 0: does not. */
int xz_is(struct source *s, struct err *e);
int xz_open(struct source *s, struct xz **out, struct err *e);
/* The next piece, valid until the next call; 0: the end; -1: failed. `each` is called while
 * waiting, now and then, and may end that by returning -1. */
typedef int xz_waiting_fn(void *ctx, struct err *e);
ssize_t xz_read(struct xz *x, const void **data, xz_waiting_fn *waiting, void *ctx, struct err *e);
uint64_t xz_taken(struct xz *x); /* compressed bytes used so far */
void xz_close(struct xz *x);	 /* may be NULL */

/* The same work in a process of its own that has given up all but its descriptors, which xz_open()
 * chooses wherever the system can do that (expander.c). */
struct expander;
int expander_open(struct source *s, struct expander **out, struct err *e);
ssize_t expander_read(
    struct expander *x, const void **data, xz_waiting_fn *waiting, void *ctx, struct err *e);
uint64_t expander_taken(struct expander *x);
void expander_close(struct expander *x);
/* What both decode with. */
lzma_ret xz_decoder(lzma_stream *z);
int xz_explain(lzma_ret rc, struct err *e);

/* Blocks all signals in the calling thread while it starts threads; give the result back. */
void threads_begin(sigset_t *before);
void threads_end(const sigset_t *before);

/* ---- downloads that go on where they stopped (transfer.c) ---- */
struct transfer_to {
	struct tool *tool; /* whose wish to stop ends it */
	const char *url;
	int fd;	     /* the part file */
	int have_fd; /* notes which pieces of it are there */
};
struct transfer;
/* Starts a thread that lets the source grow; the descriptors stay the caller's. */
int transfer_start(
    struct source *s, const struct transfer_to *to, struct transfer **out, struct err *e);
/* Ends the thread, at once when it has not finished. */
void transfer_end(struct transfer *x); /* may be NULL */

#endif
