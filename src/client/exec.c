/*
 * exec.c: a command inside a running task, its input and output carried by this process.
 *
 * Without a terminal three pipes go to the runner, with one the runner sends back the terminal's
 * descriptor. The session ends when the command has ended and its output has come to its end.
 */
#include "client/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { PENDING_MAX = 1 << 20 };

struct stream {
	struct client_exec *exec;
	int fd; /* -1: closed */
	struct loop_watch *watch;
	bool is_stderr;
};

struct client_exec {
	struct client *client;
	struct client_exec_ops ops;
	void *ctx;
	uint64_t call;
	bool tty, in_closed, ended;
	int code;
	unsigned rows, columns;
	struct stream out[2]; /* of a terminal only the first is used */
	int in;		      /* where input goes; of a terminal the same as out[0].fd */
	struct loop_watch *in_watch;
	struct buf pending;
};

static void
stream_close(struct stream *s)
{
	loop_watch_free(&s->watch);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void
close_input(struct client_exec *x)
{
	loop_watch_free(&x->in_watch);
	if (x->in >= 0)
		close(x->in);
	x->in = -1;
}

static void
exec_free(struct client_exec *x)
{
	stream_close(&x->out[0]);
	stream_close(&x->out[1]);
	close_input(x);
	buf_fini(&x->pending);
	free(x);
}

static void
maybe_done(struct client_exec *x)
{
	if (!x->ended || x->out[0].fd >= 0 || x->out[1].fd >= 0)
		return;
	x->ops.exited(x->ctx, x->code);
	exec_free(x);
}

static void
on_output(void *ctx, int fd, unsigned what)
{
	struct stream *s = ctx;
	struct client_exec *x = s->exec;
	char data[16384];
	ssize_t n = read(fd, data, sizeof(data));

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		x->ops.output(x->ctx, s->is_stderr, data, (size_t)n);
		return;
	}
	/* A terminal answers EIO when its last user has gone. */
	stream_close(s);
	x->ops.output(x->ctx, s->is_stderr, NULL, 0);
	maybe_done(x);
}

static void
watch_stream(struct client_exec *x, int i, int fd)
{
	x->out[i] = (struct stream){ .exec = x, .fd = fd, .is_stderr = i == 1 };
	fcntl(fd, F_SETFL, O_NONBLOCK);
	x->out[i].watch = loop_watch(x->client->loop, fd, LOOP_READ, on_output, &x->out[i]);
}

static void
on_writable(void *ctx, int fd, unsigned what)
{
	struct client_exec *x = ctx;
	ssize_t n = x->pending.len > 0 ? write(fd, x->pending.data, x->pending.len) : 0;

	(void)what;
	if (n > 0)
		buf_drop(&x->pending, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_input(x);
		return;
	}
	if (x->pending.len == 0) {
		loop_watch_set(x->in_watch, 0);
		if (x->in_closed && !x->tty)
			close_input(x);
	}
}

static void
use_input(struct client_exec *x, int fd)
{
	x->in = fd;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	x->in_watch = loop_watch(x->client->loop, fd,
	    x->pending.len > 0 || x->in_closed ? LOOP_WRITE : 0, on_writable, x);
}

static void
on_event(void *ctx, const struct runner_reply *r, int fd)
{
	struct client_exec *x = ctx;

	if (r->kind != RUNNER_STARTED) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd >= 0) {
		struct winsize size = { .ws_row = (unsigned short)x->rows,
			.ws_col = (unsigned short)x->columns };
		if (x->rows > 0)
			ioctl(fd, TIOCSWINSZ, &size);
		int input = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		watch_stream(x, 0, fd);
		if (input >= 0)
			use_input(x, input);
	}
	if (x->ops.started != NULL)
		x->ops.started(x->ctx);
}

static void
on_done(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct client_exec *x = ctx;

	if (e != NULL) {
		x->ops.failed(x->ctx, e);
		exec_free(x);
		return;
	}
	x->ended = true;
	x->code = r->signal != 0 ? 128 + r->signal : r->code;
	if (x->tty)
		stream_close(&x->out[0]);
	maybe_done(x);
}

static int
make_pipes(int ours[3], int theirs[3], struct err *e)
{
	for (int i = 0; i < 3; i++) {
		int p[2];
		if (pipe(p) < 0) {
			for (int k = 0; k < i; k++) {
				close(ours[k]);
				close(theirs[k]);
			}
			return err_sys(e, "pipe");
		}
		fcntl(p[0], F_SETFD, FD_CLOEXEC);
		fcntl(p[1], F_SETFD, FD_CLOEXEC);
		ours[i] = i == 0 ? p[1] : p[0];
		theirs[i] = i == 0 ? p[0] : p[1];
	}
	return 0;
}

static struct client_task *
find_task(struct client *c, const struct client_exec_spec *spec, struct err *e)
{
	struct client_alloc *a = map_get(&c->allocs, spec->alloc_id);

	if (a == NULL) {
		err_new(e, ERR_ABSENT, "Unknown allocation \"%s\"", spec->alloc_id);
		return NULL;
	}
	struct client_task *t = alloc_task(a, spec->task);
	if (t == NULL)
		err_new(e, ERR_INPUT, "task not found \"%s\"", spec->task);
	else if (t->phase != TASK_RUNNING) {
		err_new(e, ERR_INPUT, "task \"%s\" is not running.", spec->task);
		t = NULL;
	}
	return t;
}

static struct client_exec *
exec_begin(struct client *c, const struct client_exec_spec *spec, const struct client_exec_ops *ops,
    void *ctx, struct err *e)
{
	struct client_task *t = find_task(c, spec, e);
	int ours[3] = { -1, -1, -1 }, theirs[3] = { -1, -1, -1 };
	autoarena struct arena mem = ARENA_INIT;
	struct taskenv env;

	if (t == NULL || (!spec->tty && make_pipes(ours, theirs, e) < 0))
		return NULL;
	taskenv_init(&env, t->alloc, t->job_task, &mem);
	const char **vars = arena_array(&mem, env.vars.n + 2, const char *);
	for (size_t i = 0; i < env.vars.n; i++)
		vars[i] = arena_printf(&mem, "%s=%s", env.vars.key[i], env.vars.value[i]);
	if (spec->tty)
		vars[env.vars.n] = "TERM=xterm";
	struct client_exec *x = xcalloc(1, sizeof(*x));
	*x = (struct client_exec){
		.client = c, .ops = *ops, .ctx = ctx, .tty = spec->tty, .in = -1
	};
	x->out[0].fd = x->out[1].fd = -1;
	if (!spec->tty) {
		watch_stream(x, 0, ours[1]);
		watch_stream(x, 1, ours[2]);
		use_input(x, ours[0]);
	}
	struct driver_exec dx = { .argv = spec->argv, .env = vars, .tty = spec->tty };
	x->call = t->driver->ops->exec(t->driver, t->handle, &dx, theirs, on_event, on_done, x);
	for (int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	return x;
}

static void
exec_stdin(struct client_exec *x, const char *data, size_t len)
{
	static const char end_of_input = 4; /* what a terminal takes for it */

	if (x->in_closed)
		return;
	if (len == 0) {
		x->in_closed = true;
		if (x->tty)
			buf_add(&x->pending, &end_of_input, 1);
	} else if (x->pending.len < PENDING_MAX)
		buf_add(&x->pending, data, len);
	if (x->in_watch != NULL)
		loop_watch_set(x->in_watch, LOOP_WRITE);
}

static size_t
exec_pending(struct client_exec *x)
{
	return x->pending.len;
}

static void
exec_resize(struct client_exec *x, unsigned rows, unsigned columns)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	x->rows = rows;
	x->columns = columns;
	if (x->tty && x->in >= 0)
		ioctl(x->in, TIOCSWINSZ, &size);
}

static void
exec_close(struct client_exec *x)
{
	if (!x->ended) {
		runner_cancel(x->client->runner, x->call);
		runner_forget(x->client->runner, x->call);
	}
	exec_free(x);
}

void
exec_api(struct client_api *api)
{
	api->exec = exec_begin;
	api->exec_stdin = exec_stdin;
	api->exec_pending = exec_pending;
	api->exec_resize = exec_resize;
	api->exec_close = exec_close;
}
