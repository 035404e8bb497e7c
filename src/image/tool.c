#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int wake[2] = { -1,
	-1 }; /* a byte for each signal, for threads that wait for other things */

static void catch (int signal)
{
	int before = errno;

	caught = signal;
	if (wake[1] >= 0)
		(void)!write(wake[1], "", 1);
	errno = before;
}

void
tool_catch_signals(void)
{
	struct sigaction act = { .sa_handler = catch };

	if (wake[0] < 0 && pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
		wake[0] = wake[1] = -1; /* then a wait ends by its own timeout */
	sigemptyset(&act.sa_mask);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
	caught = 0;
}

int
tool_wake_fd(void)
{
	return wake[0];
}

static bool
reader_gone(const struct tool *t)
{
	struct pollfd reader = { .fd = t->report.fd };

	return t->report.fd >= 0 && poll(&reader, 1, 0) > 0 &&
	       (reader.revents & (POLLERR | POLLHUP)) != 0;
}

int
tool_unwanted(const struct tool *t, struct err *e)
{
	if (caught != 0)
		err_new(e, ERR_SYS, "interrupted by signal %d", (int)caught);
	else if (reader_gone(t))
		err_new(e, ERR_SYS, "interrupted: the program that asked for this is gone");
	else
		return 0;
	e->sys = EINTR;
	return -1;
}

int
tool_check(struct tool *t, struct err *e)
{
	if (tool_unwanted(t, e) == 0)
		return 0;
	if (reader_gone(t))
		t->report.lost = true;
	return -1;
}
