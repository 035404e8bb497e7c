#include "image/source.h"

#include <errno.h>
#include <stdlib.h>

enum { DIGEST_BLOCK = 256 * 1024 };

static void *
digest_all(void *ctx)
{
	struct digesting *d = ctx;
	char *block = xmalloc(DIGEST_BLOCK);
	uint64_t at = 0;
	ssize_t n;

	while ((n = source_read(d->source, block, DIGEST_BLOCK, at, NULL, &d->why)) > 0) {
		skein_add(&d->state, block, (size_t)n);
		at += (uint64_t)n;
	}
	free(block);
	return NULL;
}

int
digesting_start(struct digesting *d, struct source *s, struct err *e)
{
	sigset_t before;

	*d = (struct digesting){ .source = s, .why = ERR_INIT };
	skein_init(&d->state);
	threads_begin(&before);
	int rc = pthread_create(&d->thread, NULL, digest_all, d);
	threads_end(&before);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "start a thread");
	}
	d->started = true;
	return 0;
}

int
digesting_end(
    struct digesting *d, const void *tail, size_t len, uint8_t out[SKEIN_DIGEST], struct err *e)
{
	if (!d->started)
		return 0;
	pthread_join(d->thread, NULL);
	d->started = false;
	if (d->why.kind != ERR_NONE) {
		*e = d->why;
		return -1;
	}
	skein_add(&d->state, tail, len);
	skein_end(&d->state, out);
	return 0;
}
