#include "image/tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t caught;

static void catch (int signal)
{
	caught = signal;
}

void
tool_catch_signals(void)
{
	struct sigaction act = { .sa_handler = catch };

	sigemptyset(&act.sa_mask);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
	caught = 0;
}

int
tool_check(struct tool *t, struct err *e)
{
	struct pollfd reader = { .fd = t->report.fd };

	if (t->report.fd >= 0 && poll(&reader, 1, 0) > 0 &&
	    (reader.revents & (POLLERR | POLLHUP)) != 0)
		t->report.lost = true;
	if (caught == 0 && !t->report.lost)
		return 0;
	if (caught != 0)
		err_new(e, ERR_SYS, "interrupted by signal %d", (int)caught);
	else
		err_new(e, ERR_SYS, "interrupted: the program that asked for this is gone");
	e->sys = EINTR;
	return -1;
}
