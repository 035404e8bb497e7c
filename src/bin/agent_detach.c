#include "agent_detach.h"

#include "base/buf.h"
#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { START_MS = 30000 };

/* One line comes through the pipe: "ready", or why the agent cannot start. */
static int
wait_ready(int fd, const char *log, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		int n = poll(&p, 1, START_MS);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return err_new(e, ERR_TIMEOUT,
			    "the agent was not ready within %d s; see %s", START_MS / 1000, log);
		char part[512];
		ssize_t got = read(fd, part, sizeof(part));
		if (got <= 0)
			return err_new(
			    e, ERR_REMOTE, "the agent ended before it was ready; see %s", log);
		buf_add(&text, part, (size_t)got);
		if (strchr(buf_str(&text), '\n') == NULL)
			continue;
		if (str_starts(buf_str(&text), "ready"))
			return 1;
		return err_new(
		    e, ERR_REMOTE, "%.*s", (int)strcspn(buf_str(&text), "\n"), buf_str(&text));
	}
}

/* The agent outlives the terminal, and holds no directory that its user may not look at. */
static void
become_background(int in, int out, int ready)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", ready);
	if (setsid() < 0 || chdir("/") < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(out, 2) < 0 || setenv("POTTER_READY_FD", number, 1) < 0)
		_exit(127);
}

int
agent_detach(const struct agent_config *c, int *ready_fd, struct err *e)
{
	const char *log = c->log_file != NULL && *c->log_file != '\0' ? c->log_file : "/dev/null";
	autofd int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autofd int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	int p[2];

	if (in < 0 || out < 0)
		return err_sys(e, "open %s", log);
	if (pipe(p) < 0)
		return err_sys(e, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(p[0]);
		become_background(in, out, p[1]);
		*ready_fd = p[1]; /* without close-on-exec: for what the monitor starts */
		return 0;
	}
	close(p[1]);
	int result = pid < 0 ? err_sys(e, "start the agent") : wait_ready(p[0], log, e);
	close(p[0]);
	return result;
}
