#include "plugin/task.h"

#include "base/log.h"
#include "plugin/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/*
 * Commands in a pot that runs: ExecTask gathers what they say, ExecTaskStreaming relays both ways.
 * The runner gets the command's ends of three pipes, or gives back a terminal.
 */

enum { OUT, ERR, OUTS };
enum { CHUNK = 16384, BEHIND = 256 * 1024, INPUT_MAX = 256 * 1024, KEPT_MAX = 1 << 20 };
enum { HELD_MAX = 1 << 20 }; /* by a pipe, or a terminal */

struct exec {
	struct plugin *plugin;
	struct grpc_call *call; /* NULL: cancelled, or answered */
	uint64_t request;	/* 0: not begun, or over */
	bool streaming, tty, timed_out, over;
	int in, out[OUTS]; /* ours; with tty all is out[OUT] */
	struct loop_watch *in_watch, *out_watch[OUTS];
	struct loop_timer *timer;
	struct buf input, kept[OUTS];
	bool input_ends;
	unsigned short rows, columns;
};

static void
exec_free(struct exec *x)
{
	for (int i = 0; i < OUTS; i++) {
		loop_watch_free(&x->out_watch[i]);
		own_close(&x->out[i]);
		buf_fini(&x->kept[i]);
	}
	loop_watch_free(&x->in_watch);
	own_close(&x->in);
	loop_timer_free(&x->timer);
	buf_fini(&x->input);
	if (x->call != NULL)
		grpc_on_gone(x->call, NULL, NULL);
	free(x);
}

static void
shut(int *fd, struct loop_watch **w)
{
	loop_watch_free(w);
	own_close(fd);
	*fd = -1;
}

/* ---- what it says ---- */

static void
relay(struct exec *x, int which, const char *bytes, size_t n, bool closed)
{
	Np__ExecOutput m = NP__EXEC_OUTPUT__INIT;
	Np__ExecIo io = NP__EXEC_IO__INIT;

	if (x->call == NULL)
		return;
	if (!x->streaming) {
		size_t room = KEPT_MAX - x->kept[which].len;
		buf_add(&x->kept[which], bytes, n < room ? n : room);
		return;
	}
	io.data.data = (uint8_t *)(uintptr_t)bytes;
	io.data.len = n;
	io.close = closed;
	if (which == OUT)
		m.out = &io;
	else
		m.err = &io;
	grpc_send(x->call, &m.base);
}

/* false: there is no more, now or ever. */
static bool
read_some(struct exec *x, int which)
{
	char bytes[CHUNK];
	ssize_t n = read(x->out[which], bytes, sizeof(bytes));

	if (n > 0) {
		relay(x, which, bytes, (size_t)n, false);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		shut(&x->out[which], &x->out_watch[which]);
	return n < 0 && errno == EINTR;
}

static void
on_drained(void *ctx)
{
	struct exec *x = ctx;

	for (int i = 0; i < OUTS; i++)
		if (x->out_watch[i] != NULL)
			loop_watch_set(x->out_watch[i], LOOP_READ);
}

static void
on_output(void *ctx, int fd, unsigned what)
{
	struct exec *x = ctx;

	(void)what;
	(void)read_some(x, fd == x->out[ERR] ? ERR : OUT);
	/* the command waits when nobody takes what it says */
	if (x->call != NULL && x->streaming && grpc_pending(x->call) > BEHIND)
		for (int i = 0; i < OUTS; i++)
			if (x->out_watch[i] != NULL)
				loop_watch_set(x->out_watch[i], 0);
}

/* ---- what it is told ---- */

static void
on_input_room(void *ctx, int fd, unsigned what)
{
	struct exec *x = ctx;

	(void)what;
	ssize_t n = x->input.len > 0 ? write(fd, x->input.data, x->input.len) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		buf_reset(&x->input); /* it does not read any more */
	else
		buf_drop(&x->input, (size_t)n);
	if (x->call != NULL && x->streaming)
		grpc_hold(x->call, x->input.len > INPUT_MAX);
	if (x->input.len > 0)
		return;
	if (!x->input_ends && n >= 0) {
		loop_watch_set(x->in_watch, 0);
	} else {
		loop_watch_free(&x->in_watch);
		own_close(&x->in); /* of a terminal a second descriptor: the first stays */
		x->in = -1;
	}
}

static void
input(struct exec *x, const Np__ExecIo *io)
{
	static const char end_of_file = 4; /* as typed on a terminal */

	if (x->input_ends || x->over)
		return;
	buf_add(&x->input, io->data.data, io->data.len);
	if (io->close && x->tty)
		buf_addc(&x->input, end_of_file);
	x->input_ends = io->close;
	grpc_hold(x->call, x->input.len > INPUT_MAX);
	if (x->in_watch != NULL)
		loop_watch_set(x->in_watch, LOOP_WRITE);
	else if (x->in < 0 && x->request != 0 && !x->tty)
		buf_reset(&x->input);
}

static void
resize(struct exec *x)
{
	struct winsize size = { .ws_row = x->rows, .ws_col = x->columns };

	if (x->tty && x->out[OUT] >= 0 && x->rows > 0 && x->columns > 0)
		(void)ioctl(x->out[OUT], TIOCSWINSZ, &size);
}

/* ---- how it ends ---- */

static void
answer(struct exec *x, const struct runner_reply *r)
{
	Np__ExitResult result = NP__EXIT_RESULT__INIT;
	Np__ExecOutput last = NP__EXEC_OUTPUT__INIT;
	Np__ExecTaskResponse reply = NP__EXEC_TASK_RESPONSE__INIT;

	result.exit_code = r->code;
	result.signal = r->signal;
	if (x->streaming) {
		relay(x, OUT, NULL, 0, true);
		if (!x->tty)
			relay(x, ERR, NULL, 0, true);
		last.exited = 1;
		last.result = &result;
		grpc_reply(x->call, &last.base);
	} else {
		reply.out.data = (uint8_t *)x->kept[OUT].data;
		reply.out.len = x->kept[OUT].len;
		reply.err.data = (uint8_t *)x->kept[ERR].data;
		reply.err.len = x->kept[ERR].len;
		reply.result = &result;
		grpc_reply(x->call, &reply.base);
	}
	x->call = NULL;
}

/* A command that is not there, or is none: to its caller that is a result, as from a shell. */
static bool
answer_no_command(struct exec *x, const struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_reply shell = { .code = e->sys == ENOENT ? 127 : 126 };
	const char *text =
	    arena_printf(&mem, "%s%s", text_utf8(e->text, &mem), x->tty ? "\r\n" : "\n");

	if (e->sys != ENOENT && e->sys != EACCES && e->sys != ENOEXEC)
		return false;
	relay(x, x->tty ? OUT : ERR, text, strlen(text), false);
	answer(x, &shell);
	return true;
}

static void
on_done(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct exec *x = ctx;
	autoarena struct arena mem = ARENA_INIT;

	x->request = 0;
	x->over = true;
	/* what it said before its end; not what those go on to say that it left behind */
	for (int i = 0; i < OUTS; i++)
		for (int left = HELD_MAX / CHUNK; left > 0 && x->out[i] >= 0; left--)
			if (!read_some(x, i))
				break;
	if (x->call != NULL && x->timed_out)
		grpc_fail(x->call, GRPC_UNKNOWN, "the command did not end in time and was killed");
	else if (x->call != NULL && e != NULL && !answer_no_command(x, e))
		grpc_fail(x->call, GRPC_UNKNOWN, text_utf8(e->text, &mem));
	else if (x->call != NULL && e == NULL)
		answer(x, r);
	x->call = NULL;
	exec_free(x);
}

static void
on_terminal(void *ctx, const struct runner_reply *r, int fd)
{
	struct exec *x = ctx;

	if (fd < 0)
		return;
	if (r->kind != RUNNER_STARTED || !x->tty || x->out[OUT] >= 0) {
		close(fd);
		return;
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	x->out[OUT] = fd;
	x->in = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	x->out_watch[OUT] = loop_watch(x->plugin->loop, fd, LOOP_READ, on_output, x);
	x->in_watch =
	    loop_watch(x->plugin->loop, x->in, x->input.len > 0 ? LOOP_WRITE : 0, on_input_room, x);
	resize(x);
}

static void
cancel(struct exec *x)
{
	struct err e = ERR_INIT;

	if (x->request != 0)
		runner_cancel(plugin_runner(x->plugin, &e), x->request);
}

static void
on_gone(void *ctx)
{
	struct exec *x = ctx;

	x->call = NULL;
	if (x->request != 0)
		cancel(x);
	else
		exec_free(x);
}

static void
on_timeout(void *ctx)
{
	struct exec *x = ctx;

	x->timed_out = true;
	cancel(x);
}

/* ---- how it begins ---- */

static int
open_pipes(struct exec *x, int theirs[3], struct err *e)
{
	for (int i = 0; i < 3; i++) {
		int pair[2];
		if (pipe2(pair, O_CLOEXEC) < 0)
			return err_sys(e, "make a pipe");
		int ours = i == 0 ? pair[1] : pair[0];
		theirs[i] = i == 0 ? pair[0] : pair[1];
		(void)fcntl(ours, F_SETFL, O_NONBLOCK);
		if (i == 0)
			x->in = ours;
		else
			x->out[i - 1] = ours;
	}
	return 0;
}

static void
watch_pipes(struct exec *x)
{
	struct loop *l = x->plugin->loop;

	x->in_watch = loop_watch(
	    l, x->in, x->input.len > 0 || x->input_ends ? LOOP_WRITE : 0, on_input_room, x);
	for (int i = 0; i < OUTS; i++)
		x->out_watch[i] = loop_watch(l, x->out[i], LOOP_READ, on_output, x);
}

static const char *const *
environment(const struct task *t, bool tty, struct arena *a)
{
	const char **env = arena_array(a, t->env.n + 2, const char *);

	if (tty)
		env[0] = "TERM=xterm";
	if (t->env.n > 0)
		memcpy(env + (tty ? 1 : 0), t->env.at, t->env.n * sizeof(*env));
	return env;
}

static int
run(struct exec *x, const struct task *t, char *const *command, size_t n, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct runner_request req = { .op = RUNNER_POT_EXEC, .pot = t->pot, .tty = x->tty };
	const char **argv = arena_array(&mem, n + 1, const char *);
	struct runner *r = plugin_runner(x->plugin, e);
	int theirs[3] = { -1, -1, -1 };
	int rc = -1;

	for (size_t i = 0; i < n; i++)
		argv[i] = command[i];
	req.argv = argv;
	req.env = environment(t, x->tty, &mem);
	req.rows = x->rows;
	req.columns = x->columns;
	if (n == 0 || *command[0] == '\0')
		err_new(e, ERR_INPUT, "there is no command");
	else if (t->state != TASK_RUNNING)
		err_new(e, ERR_BUSY, "the task does not run");
	else if (r != NULL && (x->tty || open_pipes(x, theirs, e) == 0)) {
		x->request = runner_call(r, &req, theirs, x->tty ? 0 : 3, on_terminal, on_done, x);
		if (!x->tty)
			watch_pipes(x);
		rc = 0;
	}
	for (int i = 0; i < 3; i++)
		own_close(&theirs[i]);
	return rc;
}

static struct exec *
exec_new(struct plugin *p, struct grpc_call *call)
{
	struct exec *x = xcalloc(1, sizeof(*x));

	x->plugin = p;
	x->call = call;
	x->in = x->out[OUT] = x->out[ERR] = -1;
	grpc_on_gone(call, on_gone, x);
	return x;
}

static void
refuse(struct exec *x, const struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct grpc_call *call = x->call;

	grpc_set_data(call, NULL);
	grpc_fail(call, GRPC_UNKNOWN, text_utf8(e->text, &mem));
	x->call = NULL;
	exec_free(x);
}

void
on_exec_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__ExecTask *m = (const Np__ExecTask *)message;
	struct task *t = task_of(ctx, call, m->task_id);
	struct err e = ERR_INIT;

	if (t == NULL)
		return;
	struct exec *x = exec_new(ctx, call);
	x->input_ends = true;
	if (run(x, t, m->command, m->n_command, &e) < 0) {
		refuse(x, &e);
		return;
	}
	int64_t ms =
	    m->timeout != NULL ? m->timeout->seconds * 1000 + m->timeout->nanos / 1000000 : 0;
	if (ms > 0 && ms < (int64_t)30 * 86400 * 1000)
		x->timer = loop_timer(x->plugin->loop, ms, 0, on_timeout, x);
}

static void
take_size(struct exec *x, const Np__ExecSize *size)
{
	if (size->height > 0 && size->height <= 65535 && size->width > 0 && size->width <= 65535) {
		x->rows = (unsigned short)size->height;
		x->columns = (unsigned short)size->width;
		resize(x);
	}
}

static void
first(struct plugin *p, struct grpc_call *call, const Np__ExecInput *m)
{
	struct err e = ERR_INIT;

	if (m->setup == NULL) {
		grpc_fail(call, GRPC_UNKNOWN, "the first message says no command");
		return;
	}
	struct task *t = task_of(p, call, m->setup->task_id);
	if (t == NULL)
		return;
	struct exec *x = exec_new(p, call);
	grpc_set_data(call, x);
	grpc_on_drained(call, on_drained, x);
	x->streaming = true;
	x->tty = m->setup->tty;
	if (m->tty_size != NULL)
		take_size(x, m->tty_size);
	if (run(x, t, m->setup->command, m->setup->n_command, &e) < 0)
		refuse(x, &e);
	else if (m->in != NULL)
		input(x, m->in);
}

void
on_exec_streaming(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__ExecInput *m = (const Np__ExecInput *)message;
	struct exec *x = grpc_data(call);
	const Np__ExecIo end = { .base = PROTOBUF_C_MESSAGE_INIT(&np__exec_io__descriptor),
		.close = 1 };

	if (x == NULL) {
		if (m != NULL)
			first(ctx, call, m);
		else
			grpc_fail(call, GRPC_UNKNOWN, "the first message says no command");
		return;
	}
	if (m == NULL) {
		input(x, &end);
		return;
	}
	if (m->tty_size != NULL)
		take_size(x, m->tty_size);
	if (m->in != NULL)
		input(x, m->in);
}
