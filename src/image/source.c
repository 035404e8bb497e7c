#include "image/source.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void
source_init(struct source *s, int fd)
{
	pthread_condattr_t attr;

	*s = (struct source){ .fd = fd, .why = ERR_INIT };
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->grown, &attr);
	pthread_condattr_destroy(&attr);
}

void
source_fini(struct source *s)
{
	pthread_cond_destroy(&s->grown);
	pthread_mutex_destroy(&s->lock);
	own_close(&s->fd);
}

int
source_open(struct source *s, const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_new(e, ERR_INPUT, "%s: is not a file", path);
	source_init(s, take_fd(&fd));
	s->ready = s->total = (uint64_t)st.st_size;
	s->whole = true;
	return 0;
}

void
source_grow(struct source *s, uint64_t ready, uint64_t total)
{
	pthread_mutex_lock(&s->lock);
	if (ready > s->ready)
		s->ready = ready;
	s->total = total;
	pthread_cond_broadcast(&s->grown);
	pthread_mutex_unlock(&s->lock);
}

void
source_complete(struct source *s)
{
	pthread_mutex_lock(&s->lock);
	s->whole = true;
	pthread_cond_broadcast(&s->grown);
	pthread_mutex_unlock(&s->lock);
}

void
source_fail(struct source *s, const struct err *why)
{
	pthread_mutex_lock(&s->lock);
	if (s->why.kind == ERR_NONE)
		s->why = *why;
	pthread_cond_broadcast(&s->grown);
	pthread_mutex_unlock(&s->lock);
}

ssize_t
source_read(
    struct source *s, void *out, size_t len, uint64_t offset, const bool *stop, struct err *e)
{
	uint64_t there;

	pthread_mutex_lock(&s->lock);
	while (
	    s->ready <= offset && !s->whole && s->why.kind == ERR_NONE && (stop == NULL || !*stop))
		pthread_cond_wait(&s->grown, &s->lock);
	there = s->ready > offset ? s->ready - offset : 0;
	bool failed = s->why.kind != ERR_NONE;
	if (failed)
		*e = s->why;
	pthread_mutex_unlock(&s->lock);
	if (failed)
		return -1;
	if (there == 0)
		return 0;
	ssize_t n = pread(s->fd, out, there < len ? (size_t)there : len, (off_t)offset);
	if (n < 0)
		return err_sys(e, "read the image");
	/* there were more when it was looked at: somebody cuts the file */
	return n == 0 ? err_new(e, ERR_CORRUPT, "the image became shorter while it was read") : n;
}

void
source_stop(struct source *s, bool *stop)
{
	pthread_mutex_lock(&s->lock);
	*stop = true;
	pthread_cond_broadcast(&s->grown);
	pthread_mutex_unlock(&s->lock);
}

int
source_wait(struct source *s, int timeout_ms, struct err *e)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)timeout_ms % 1000 * NS_PER_MS;
	until.tv_sec += timeout_ms / 1000 + until.tv_nsec / NS_PER_SEC;
	until.tv_nsec %= NS_PER_SEC;
	pthread_mutex_lock(&s->lock);
	if (!s->whole && s->why.kind == ERR_NONE)
		(void)pthread_cond_timedwait(&s->grown, &s->lock, &until);
	if (s->why.kind != ERR_NONE) {
		*e = s->why;
		result = -1;
	} else if (s->whole) {
		result = 1;
	}
	pthread_mutex_unlock(&s->lock);
	return result;
}

void
source_progress(struct source *s, uint64_t *ready, uint64_t *total)
{
	pthread_mutex_lock(&s->lock);
	*ready = s->ready;
	*total = s->total;
	pthread_mutex_unlock(&s->lock);
}

void
threads_begin(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

void
threads_end(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}
