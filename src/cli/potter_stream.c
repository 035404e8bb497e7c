/* potter_stream.c: alloc logs, alloc exec: what goes on while it is shown. */
#include "cli/potter.h"

#include "base/str.h"
#include "io/http.h"
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* ---- shared ---- */

/* Standard base64; what is malformed gives nothing. */
static void
add_decoded(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len % 4 != 0)
		return;
	buf_reserve(out, len);
	int n = EVP_DecodeBlock(
	    (unsigned char *)out->data + out->len, (const unsigned char *)text, (int)len);
	if (n < 0)
		return;
	for (size_t i = len; i > len - 2 && text[i - 1] == '='; i--)
		n--;
	out->len += (size_t)n;
}

static const char *
encoded(struct arena *a, const void *data, size_t len)
{
	char *out = arena_alloc(a, (len + 2) / 3 * 4 + 1);

	EVP_EncodeBlock((unsigned char *)out, data, (int)len);
	return out;
}

/* The task that is meant: the one named, or the only one. */
static const char *
choose_task(const json_t *alloc, const char *named)
{
	const json_t *states = json_object_get(alloc, "TaskStates");
	void *first = json_object_iter((json_t *)states);

	if (named != NULL)
		return named;
	if (json_object_size(states) == 1)
		return json_object_iter_key(first);
	potter_fail("Allocation \"%s\" is running the following tasks:", json_str(alloc, "ID", ""));
	for (; first != NULL; first = json_object_iter_next((json_t *)states, first))
		fprintf(stderr, "  * %s\n", json_object_iter_key(first));
	potter_fail("Please specify the task.");
	return NULL;
}

/* ---- logs ---- */

struct logs {
	struct potter_call *call;
	struct buf in;
	int out;
	int status;
	struct err e;
};

static void
on_frames(void *ctx, const char *data, size_t len)
{
	struct logs *l = ctx;

	buf_add(&l->in, data, len);
	while (l->in.len > 0) {
		json_error_t je;
		json_t *v = json_loadb(l->in.data, l->in.len, JSON_DISABLE_EOF_CHECK, &je);
		if (v == NULL)
			return; /* the rest of the frame is still to come */
		autobuf struct buf text = BUF_INIT;
		struct err e = ERR_INIT;
		add_decoded(&text, json_str(v, "Data", ""));
		json_decref(v);
		buf_drop(&l->in, (size_t)je.position);
		if (text.len > 0 && fd_write_all(l->out, text.data, text.len, &e) < 0)
			loop_stop(l->call->loop); /* nobody reads any more */
	}
}

static void
on_logs_done(void *ctx, const struct http_result *res)
{
	struct logs *l = ctx;

	if (res->status != 200) {
		l->status = 1;
		if (res->status == 0)
			l->e = *res->err;
		else
			err_new(&l->e, ERR_REMOTE, "Unexpected response code: %d (%s)", res->status,
			    res->body);
	}
	loop_stop(l->call->loop);
}

static void
on_interrupt(void *ctx, int signo)
{
	(void)signo;
	loop_stop(ctx);
}

static int
alloc_logs(struct potter_call *c)
{
	struct logs l = { .call = c, .in = BUF_INIT, .out = STDOUT_FILENO };
	const char *n = potter_value(c, "n"), *bytes = potter_value(c, "c");

	if (c->argc < 1 || c->argc > 2)
		return potter_usage(c, "an allocation ID and optionally a task name");
	autojson json_t *a = potter_find_alloc(c, c->argv[0]);
	if (a == NULL)
		return 1;
	const char *task = choose_task(a, c->argc > 1 ? c->argv[1] : NULL);
	if (task == NULL)
		return 1;
	bool tail = potter_on(c, "tail") || n != NULL || bytes != NULL;
	/* Nomad's own estimate: a line is at most 120 bytes where lines are asked for. */
	long long offset = !tail	   ? 0
			   : bytes != NULL ? strtoll(bytes, NULL, 10)
					   : (n != NULL ? strtoll(n, NULL, 10) : 10) * 120;
	struct http_spec spec = {
		.base = c->address,
		.path = arena_printf(&c->mem,
		    "/v1/client/fs/logs/%s?task=%s&type=%s&follow=%s&origin=%s&offset=%lld",
		    json_str(a, "ID", ""), potter_escape(c, task),
		    potter_on(c, "stderr") ? "stderr" : "stdout",
		    potter_on(c, "f") ? "true" : "false", tail ? "end" : "start", offset),
		.timeout_ms = -1,
		.chunk = on_frames,
		.done = on_logs_done,
		.ctx = &l,
	};
	struct loop_signal *sig = loop_signal(c->loop, SIGINT, on_interrupt, c->loop);
	struct http_call *call = http_call(c->loop, &spec);
	loop_run(c->loop);
	loop_signal_free(&sig);
	(void)call;
	buf_fini(&l.in);
	return l.status == 0 ? 0 : potter_fail("Error reading file: %s", l.e.text);
}

const struct potter_command potter_alloc_logs = {
	.name = "alloc logs",
	.alias = "logs",
	.args = "<allocation> [task]",
	.what = "Streams the logs of a task",
	.options =
	    (const struct potter_option[]){
		{ "stderr", NULL, "standard error in place of standard output" },
		{ "f", NULL, "go on as more is written" },
		{ "tail", NULL, "only the end" },
		{ "n", "lines", "how much of the end" },
		{ "c", "bytes", "how much of the end" },
		{ "verbose", NULL, "full ids" },
		{ NULL, NULL, NULL },
	    },
	.run = alloc_logs,
};

/* ---- exec ---- */

struct exec {
	struct potter_call *call;
	struct ws *ws;
	struct loop_watch *input;
	struct loop_signal *winch;
	bool tty, done;
	int code;
	char escape; /* 0: none */
	bool line_start, escaped;
	struct termios saved;
};

static void
send_size(void *ctx, int signo)
{
	struct exec *x = ctx;
	struct winsize size;
	char text[96];

	(void)signo;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || x->ws == NULL)
		return;
	int n = snprintf(text, sizeof(text), "{\"tty_size\":{\"height\":%d,\"width\":%d}}",
	    size.ws_row, size.ws_col);
	ws_send(x->ws, text, (size_t)n);
}

/* "~." at the beginning of a line ends the session, as in ssh(1). */
static bool
wants_out(struct exec *x, const char *data, ssize_t len)
{
	for (ssize_t i = 0; x->tty && x->escape != 0 && i < len; i++) {
		if (x->escaped && data[i] == '.')
			return true;
		x->escaped = x->line_start && data[i] == x->escape;
		x->line_start = data[i] == '\r' || data[i] == '\n';
	}
	return false;
}

static void
on_input(void *ctx, int fd, unsigned what)
{
	struct exec *x = ctx;
	char data[8192];
	ssize_t n = read(fd, data, sizeof(data));
	autoarena struct arena mem = ARENA_INIT;

	(void)what;
	if (n < 0 && errno == EINTR)
		return;
	if (n > 0 && wants_out(x, data, n)) {
		x->code = 1;
		x->done = true;
		loop_stop(x->call->loop);
		return;
	}
	const char *text = n > 0 ? arena_printf(&mem, "{\"stdin\":{\"data\":\"%s\"}}",
				       encoded(&mem, data, (size_t)n))
				 : "{\"stdin\":{\"close\":true}}";
	if (n <= 0)
		loop_watch_free(&x->input);
	ws_send(x->ws, text, strlen(text));
}

static void
write_out(int fd, const json_t *part)
{
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	add_decoded(&text, json_str(part, "data", ""));
	if (text.len > 0)
		(void)fd_write_all(fd, text.data, text.len, &e);
}

static void
on_message(void *ctx, const char *data, size_t len, bool text)
{
	struct exec *x = ctx;
	autojson json_t *v = NULL;
	struct err e = ERR_INIT;

	(void)text;
	if (json_read(data, len, &v, &e) < 0)
		return;
	write_out(STDOUT_FILENO, json_object_get(v, "stdout"));
	write_out(STDERR_FILENO, json_object_get(v, "stderr"));
	if (json_bool(v, "exited", false)) {
		x->code = (int)json_int(json_object_get(v, "result"), "exit_code", 0);
		x->done = true;
		loop_stop(x->call->loop);
	}
}

static void
on_closed(void *ctx, int code, const char *reason)
{
	struct exec *x = ctx;

	x->ws = NULL;
	if (!x->done) {
		x->code = potter_fail("failed to exec into task: %s",
		    reason[0] ? reason : "the connection was closed");
		(void)code;
	}
	loop_stop(x->call->loop);
}

static void
raw_terminal(struct exec *x)
{
	struct termios raw;

	if (!x->tty || tcgetattr(STDIN_FILENO, &x->saved) < 0)
		return;
	raw = x->saved;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void
on_opened(void *ctx, struct ws *w, const struct http_result *res)
{
	struct exec *x = ctx;

	if (w == NULL) {
		x->code = potter_fail(
		    "failed to exec into task: %s", res->status == 0 ? res->err->text : res->body);
		loop_stop(x->call->loop);
		return;
	}
	x->ws = w;
	raw_terminal(x);
	if (x->tty)
		send_size(x, 0);
	x->input = loop_watch(x->call->loop, STDIN_FILENO, LOOP_READ, on_input, x);
}

static const char *
command_json(struct potter_call *c, char **argv)
{
	autobuf struct buf text = BUF_INIT;
	struct jsonw w = JSONW_INIT(&text);

	jsonw_array(&w);
	for (; *argv != NULL; argv++)
		jsonw_str(&w, *argv);
	jsonw_end_array(&w);
	return potter_escape(c, arena_strdup(&c->mem, buf_str(&text)));
}

static int
session(struct potter_call *c, const json_t *alloc, const char *task, bool tty, char **argv)
{
	static const struct ws_ops ops = { .message = on_message, .closed = on_closed };
	const char *esc = potter_value(c, "e");
	struct exec x = { .call = c,
		.tty = tty,
		.line_start = true,
		.escape = esc == NULL		     ? '~'
			  : strcmp(esc, "none") == 0 ? '\0'
						     : esc[0] };
	struct http_spec spec = {
		.base = c->address,
		.path =
		    arena_printf(&c->mem, "/v1/client/allocation/%s/exec?task=%s&tty=%s&command=%s",
			json_str(alloc, "ID", ""), potter_escape(c, task), tty ? "true" : "false",
			command_json(c, argv)),
		.ctx = &x,
	};

	x.winch = loop_signal(c->loop, SIGWINCH, send_size, &x);
	struct ws_dial *d = ws_dial(c->loop, &spec, &ops, on_opened);
	(void)d;
	loop_run(c->loop);
	if (x.tty && x.ws != NULL)
		tcsetattr(STDIN_FILENO, TCSANOW, &x.saved);
	loop_signal_free(&x.winch);
	loop_watch_free(&x.input);
	return x.code;
}

static int
alloc_exec(struct potter_call *c)
{
	const char *tty = potter_value(c, "t"), *named = potter_value(c, "task");
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	char **argv = c->argv + 1;

	if (c->argc < 2)
		return potter_usage(c, "an allocation ID and a command");
	if (strcmp(argv[0], "--") == 0)
		argv++;
	if (*argv == NULL)
		return potter_usage(c, "an allocation ID and a command");
	autojson json_t *a = potter_find_alloc(c, c->argv[0]);
	if (a == NULL)
		return 1;
	const char *task = choose_task(a, named);
	if (task == NULL)
		return 1;
	bool want = tty == NULL ? terminal : strcmp(tty, "false") != 0;
	return session(c, a, task, want && isatty(STDIN_FILENO), argv);
}

const struct potter_command potter_alloc_exec = {
	.name = "alloc exec",
	.alias = "exec",
	.args = "<allocation> <command>",
	.what = "Execute commands in task",
	.options =
	    (const struct potter_option[]){
		{ "task", "name", "which task, where there are several" },
		{ "i", NULL, "pass input (it always is)" },
		{ "t", "bool", "with a terminal; by default when there is one" },
		{ "e", "char", "what leaves the session together with a dot: ~, or none" },
		{ NULL, NULL, NULL },
	    },
	.run = alloc_exec,
};
