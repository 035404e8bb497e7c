#include "image/source.h"

#include "base/arena.h"
#include "base/buf.h"
#include "platform/confine.h"
#include "platform/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Images come from others, and an xz decoder is a lot of code for bytes that nobody has checked
 * yet: the digest is known when all of it has arrived. So `pot-image expand` does that, a process
 * that has given up all but three descriptors: what is compressed, what is in it, and a word at the
 * end. A thread here feeds it with what has arrived.
 */
enum { IN_BLOCK = 64 * 1024, OUT_BLOCK = 256 * 1024, LOOK_EVERY_MS = 200, WORDS_MAX = 64 * 1024 };

extern char **environ;

/* ---- the process ---- */

static int
run_through(lzma_stream *z, struct err *e)
{
	autofree uint8_t *in = xmalloc(IN_BLOCK);
	autofree uint8_t *out = xmalloc(OUT_BLOCK);
	lzma_action action = LZMA_RUN;
	lzma_ret rc;

	z->next_out = out;
	z->avail_out = OUT_BLOCK;
	do {
		if (z->avail_in == 0 && action == LZMA_RUN) {
			ssize_t n = read(STDIN_FILENO, in, IN_BLOCK);
			if (n < 0)
				return err_sys(e, "read what is to be expanded");
			if (n == 0)
				action = LZMA_FINISH;
			z->next_in = in;
			z->avail_in = (size_t)n;
		}
		rc = lzma_code(z, action);
		/* the end only when its checks are right: an archive may be whole before */
		if ((z->avail_out == 0 && rc == LZMA_OK) || rc == LZMA_STREAM_END) {
			if (fd_write_all(STDOUT_FILENO, out, OUT_BLOCK - z->avail_out, e) < 0)
				return -1;
			z->next_out = out;
			z->avail_out = OUT_BLOCK;
		}
	} while (rc == LZMA_OK);
	return rc == LZMA_STREAM_END ? 0 : xz_explain(rc, e);
}

int
expand(struct err *e)
{
	static const unsigned may[] = { CONFINE_READ, CONFINE_WRITE, CONFINE_WRITE };
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_ret rc = xz_decoder(&z); /* asks for the processors: later it could not */

	if (rc != LZMA_OK)
		return xz_explain(rc, e);
	int result = confine_enter(may, NELEM(may), e);
	if (result == 0)
		result = run_through(&z, e);
	lzma_end(&z);
	return result;
}

/* ---- who started it ---- */

struct expander {
	struct source *source;
	pid_t pid;
	int in, out, words; /* our ends of its descriptors 0, 1, 2 */
	pthread_t feeder;
	bool fed;	   /* the thread is gone */
	bool stop_reading; /* belongs to the source's lock */
	_Atomic uint64_t taken;
	struct err why; /* of the source */
	uint8_t *block;
};

static void *
feed_all(void *ctx)
{
	struct expander *x = ctx;
	struct err gone;
	uint8_t *in = xmalloc(IN_BLOCK);
	uint64_t at = 0;
	ssize_t n;

	while ((n = source_read(x->source, in, IN_BLOCK, at, &x->stop_reading, &x->why)) > 0) {
		/* one that has ended says itself why */
		if (fd_write_all(x->in, in, (size_t)n, &gone) < 0)
			break;
		at += (uint64_t)n;
		x->taken = at;
	}
	free(in);
	close(take_fd(&x->in));
	return NULL;
}

static int
spawn_it(struct expander *x, const int theirs[3], struct err *e)
{
	static const char *const argv[] = { "pot-image", "--report", "2", "expand", NULL };
	struct arena mem = ARENA_INIT;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	const char *program = facts_program(&mem);
	int rc = ENOENT;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (program != NULL)
		rc = posix_spawn(&x->pid, program, &actions, &attr,
		    (char **)(uintptr_t)(const void *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	arena_fini(&mem);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "start pot-image to expand the image");
	}
	return 0;
}

/* A pipe whose ends have numbers that no descriptor of the process gets. */
static int
pipe_beyond(int ends[2], struct err *e)
{
	int made[2];

	if (pipe2(made, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	for (int i = 0; i < 2; i++) {
		ends[i] = fcntl(made[i], F_DUPFD_CLOEXEC, 3);
		close(made[i]);
	}
	return ends[0] < 0 || ends[1] < 0 ? err_sys(e, "make a pipe") : 0;
}

static int
start(struct expander *x, struct err *e)
{
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } }, rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = pipe_beyond(p[i], e);
	const int theirs[3] = { p[0][0], p[1][1], p[2][1] };
	x->in = p[0][1];
	x->out = p[1][0];
	x->words = p[2][0];
	if (rc == 0)
		rc = spawn_it(x, theirs, e);
	for (int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (rc < 0)
		return -1;
	sigset_t before;
	threads_begin(&before);
	rc = pthread_create(&x->feeder, NULL, feed_all, x);
	threads_end(&before);
	if (rc == 0)
		return 0;
	x->fed = true;
	errno = rc;
	return err_sys(e, "start a thread");
}

int
expander_open(struct source *s, struct expander **out, struct err *e)
{
	struct expander *x = xcalloc(1, sizeof(*x));

	*x = (struct expander){ .source = s, .pid = -1, .why = ERR_INIT };
	x->block = xmalloc(OUT_BLOCK);
	if (start(x, e) == 0) {
		*out = x;
		return 0;
	}
	if (x->pid < 0)
		x->fed = true;
	expander_close(x);
	return -1;
}

static void
join(struct expander *x)
{
	if (!x->fed)
		pthread_join(x->feeder, NULL);
	x->fed = true;
}

/* Its last word: what failed, or that nothing did. */
static int
last_word(struct expander *x, struct err *e)
{
	autobuf struct buf words = BUF_INIT;
	autofree struct report_line *line = xmalloc(sizeof(*line));
	struct err bad;
	char chunk[1024];
	ssize_t n;

	while (words.len < WORDS_MAX && (n = read(x->words, chunk, sizeof(chunk))) > 0)
		buf_add(&words, chunk, (size_t)n);
	for (const char *at = buf_str(&words), *end; (end = strchr(at, '\n')) != NULL;
	     at = end + 1) {
		if (report_parse(at, (size_t)(end - at), line, &bad) < 0)
			break;
		if (line->kind == REPORT_DONE)
			return 0;
		if (line->kind == REPORT_ERROR) {
			*e = line->error;
			return -1;
		}
	}
	return err_new(e, ERR_REMOTE, "the process that expands it ended without a word");
}

static int
ended(struct expander *x, struct err *e)
{
	join(x);
	if (x->why.kind != ERR_NONE) { /* then it had to end early */
		*e = x->why;
		return -1;
	}
	return last_word(x, e);
}

ssize_t
expander_read(
    struct expander *x, const void **data, xz_waiting_fn *waiting, void *ctx, struct err *e)
{
	struct pollfd p = { .fd = x->out, .events = POLLIN };
	ssize_t n;

	do {
		/* a slow network: whoever asked for this may have gone meanwhile */
		while (poll(&p, 1, LOOK_EVERY_MS) <= 0)
			if (waiting(ctx, e) < 0)
				return -1;
		n = read(x->out, x->block, OUT_BLOCK);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "read what is expanded");
	*data = x->block;
	return n > 0 ? n : ended(x, e);
}

uint64_t
expander_taken(struct expander *x)
{
	return x->taken;
}

void
expander_close(struct expander *x)
{
	if (x->pid > 0)
		(void)kill(x->pid, SIGKILL);
	while (x->pid > 0 && waitpid(x->pid, NULL, 0) < 0 && errno == EINTR)
		;
	own_close(&x->out);
	own_close(&x->words);
	if (!x->fed)
		source_stop(x->source, &x->stop_reading);
	join(x);
	own_close(&x->in);
	free(x->block);
	free(x);
}
