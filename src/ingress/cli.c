#include "ingress/cli.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "base/vec.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* HAProxy reads commands into one buffer; so much is sent before the replies come. */
enum { IN_FLIGHT_MAX = 4096, REPLY_MAX = 64 << 20 };

struct command {
	char *text; /* with its newline; owned */
	cli_reply_fn *reply;
	void *ctx;
};

struct cli {
	struct loop *loop;
	int fd;
	struct loop_watch *watch;
	loop_fn *lost;
	void *ctx;
	VEC(struct command) queue; /* from `first` on: sent ones, then those to be sent */
	size_t first, sent;
	size_t in_flight; /* bytes of sent commands without a reply */
	struct buf out, in;
	bool closed; /* inside a reply: the struct goes when it returns */
	bool busy;
};

static void
free_cli(struct cli *c)
{
	for (size_t i = c->first; i < c->queue.n; i++)
		free(c->queue.at[i].text);
	VEC_FINI(&c->queue);
	buf_fini(&c->out);
	buf_fini(&c->in);
	free(c);
}

static void
fill(struct cli *c)
{
	while (c->sent < c->queue.n) {
		struct command *cmd = &c->queue.at[c->sent];
		size_t len = strlen(cmd->text);
		if (c->in_flight > 0 && c->in_flight + len > IN_FLIGHT_MAX)
			return;
		buf_add(&c->out, cmd->text, len);
		c->in_flight += len;
		c->sent++;
	}
}

static void
lose(struct cli *c)
{
	loop_watch_free(&c->watch);
	c->lost(c->ctx);
}

/* Sends what can be sent now. False: the connection is lost, and c may be gone. */
static bool
flush(struct cli *c)
{
	fill(c);
	while (c->out.len > 0) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		buf_drop(&c->out, (size_t)n);
	}
	loop_watch_set(c->watch, c->out.len > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	return true;
}

/* One reply is whole when it ends with the prompt. Returns its length with the prompt, or 0. */
static size_t
whole_reply(const struct buf *in)
{
	static const char prompt[] = "\n> ";

	const char *end = strstr(buf_str(in), prompt);
	return end != NULL ? (size_t)(end - in->data) + sizeof(prompt) - 1 : 0;
}

static void
take_replies(struct cli *c)
{
	size_t n;

	while (!c->closed && (n = whole_reply(&c->in)) > 0 && c->first < c->sent) {
		struct command cmd = c->queue.at[c->first++];
		autofree char *text = xstrndup(buf_str(&c->in), n - 3);
		buf_drop(&c->in, n);
		c->in_flight -= strlen(cmd.text);
		free(cmd.text);
		size_t len = strlen(text);
		while (len > 0 && text[len - 1] == '\n')
			text[--len] = '\0';
		if (cmd.reply != NULL)
			cmd.reply(cmd.ctx, text);
	}
	if (c->first == c->queue.n)
		c->first = c->sent = c->queue.n = 0;
}

static void
ready(void *ctx, int fd, unsigned what)
{
	struct cli *c = ctx;
	char piece[16384];

	if (what & LOOP_READ) {
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
		    c->in.len > REPLY_MAX) {
			lose(c);
			return;
		}
		if (n > 0)
			buf_add(&c->in, piece, (size_t)n);
	}
	c->busy = true;
	take_replies(c);
	c->busy = false;
	if (c->closed)
		free_cli(c);
	else if (!flush(c))
		lose(c);
}

struct cli *
cli_open(struct loop *l, const char *path, loop_fn *lost, void *ctx, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, "make a socket for HAProxy"), NULL;
	if (!str_copy(to.sun_path, sizeof(to.sun_path), path))
		return err_new(e, ERR_INPUT, "HAProxy's socket %s: the path is too long", path),
		       NULL;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_sys(e, "connect to HAProxy at %s", path), NULL;
	struct cli *c = xcalloc(1, sizeof(*c));
	*c = (struct cli){ .loop = l, .fd = take_fd(&fd), .lost = lost, .ctx = ctx };
	c->watch = loop_watch(l, c->fd, LOOP_READ, ready, c);
	cli_send(c, NULL, NULL, "prompt");
	return c;
}

void
cli_close(struct cli **pc)
{
	struct cli *c = *pc;

	if (c == NULL)
		return;
	*pc = NULL;
	loop_watch_free(&c->watch);
	close(c->fd);
	for (size_t i = c->first; i < c->queue.n; i++)
		if (c->queue.at[i].reply != NULL)
			c->queue.at[i].reply(c->queue.at[i].ctx, NULL);
	if (c->busy)
		c->closed = true;
	else
		free_cli(c);
}

void
cli_send(struct cli *c, cli_reply_fn *reply, void *ctx, const char *fmt, ...)
{
	autobuf struct buf text = BUF_INIT;
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line)) {
		log_error(
		    "ingress", "a command for HAProxy is too long and was not sent: %.100s", line);
		return;
	}
	buf_addf(&text, "%s\n", line);
	VEC_PUSH(&c->queue, ((struct command){ buf_take(&text), reply, ctx }));
	/* written when the socket is ready: many commands of one turn go together */
	if (!c->closed)
		loop_watch_set(c->watch, LOOP_READ | LOOP_WRITE);
}
