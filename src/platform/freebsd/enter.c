/*
 * Into a jail that runs already: one process suffices, it attaches itself and becomes the command.
 * Nothing in there can look into it meanwhile (PROC_TRACE_CTL), so that a copy of the caller does,
 * unless it has threads: a copy of such a process may not do much before it runs a program.
 */
#include "platform/enter.h"

#include "base/own.h"
#include "platform/freebsd/jail.h"
#include "platform/proc.h"
#include "platform/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/jail.h>
#include <sys/procctl.h>
#include <sys/sysctl.h>
#include <sys/user.h>
#include <termios.h>
#include <unistd.h>

/* A terminal made inside is the jail's own, and seen in its /dev. */
static int
open_terminal(const struct isolate_enter *how, int *master_out, struct err *e)
{
	struct winsize size = { .ws_row = how->rows, .ws_col = how->cols };
	char name[64];
	autofd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0)
		return err_sys(e, "make a terminal in the pot");
	if (ptsname_r(master, name, sizeof(name)) != 0)
		return err_sys(e, "name a terminal of the pot");
	int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NOFOLLOW);
	if (slave < 0)
		return err_sys(e, "open %s in the pot, the other end of a terminal", name);
	if (size.ws_row > 0 && size.ws_col > 0)
		(void)ioctl(slave, TIOCSWINSZ, &size);
	*master_out = take_fd(&master);
	return slave;
}

static int
which_jail(const struct isolate_enter *how, struct err *e)
{
	int found;

	if (how->pid == 0)
		found = jail_of_pot(how->name, how->place, e);
	else
		found = proc_native.alive(how->pid, how->start, e);
	if (found <= 0)
		return found < 0 ? -1 : err_new(e, ERR_ABSENT, "the pot has ended");
	return how->pid == 0 ? found : jail_of(how->pid, e);
}

static int
attach(const struct isolate_enter *how, struct err *e)
{
	int off = PROC_TRACE_CTL_DISABLE;
	int jid = which_jail(how, e);

	if (jid < 0)
		return -1;
	/* until it runs a program of the pot, nothing in there may look into this process */
	(void)procctl(P_PID, 0, PROC_TRACE_CTL, &off);
	return jid > 0 && jail_attach(jid) < 0 ? err_sys(e, "enter jail %d", jid) : 0;
}

void
enter_inside(const struct isolate_enter *how)
{
	struct process_ready ready;
	struct err e = ERR_INIT;
	int stdio[3] = { 0, 1, 2 }, master = -1;

	if (attach(how, &e) < 0)
		enter_say_failure(&e);
	if (how->tty && (stdio[0] = stdio[1] = stdio[2] = open_terminal(how, &master, &e)) < 0)
		enter_say_failure(&e);
	if (process_prepare(&how->process, &ready, &e) < 0)
		enter_say_failure(&e);
	if (enter_say_pid(getpid(), master) < 0)
		_exit(ENTER_NO_COMMAND);
	own_close(&master);
	memcpy(ready.stdio, stdio, sizeof(ready.stdio));
	ready.tty = how->tty;
	(void)process_exec(&ready, &e);
	enter_say_failure(&e);
}

static bool
has_threads(void)
{
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, getpid() };
	struct kinfo_proc info;
	size_t len = sizeof(info);

	return sysctl(mib, 4, &info, &len, NULL, 0) < 0 || len != sizeof(info) ||
	       info.ki_numthreads != 1;
}

/* The caller's words are not for who looks at processes in there. setproctitle(3) does more, which
 * costs each exec 0.04 ms. */
static void
hide_words(void)
{
	static const char words[] = "pot-keeper";
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_ARGS, getpid() };

	(void)sysctl(mib, 4, NULL, NULL, words, sizeof(words));
}

/* With all signals blocked until process_exec() lets them in, at their defaults. */
static NORETURN void
copy_enters(const struct isolate_enter *how, const int fds[4])
{
	static const char *const nothing[] = { NULL };
	struct isolate_enter in = *how;

	for (int i = 0; i < 4; i++)
		if (dup2(fds[i], i) < 0)
			_exit(ENTER_NO_COMMAND);
	(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	proc_close_from(4);
	if (in.process.env == NULL)
		in.process.env = nothing;
	hide_words();
	enter_inside(&in);
}

int
enter_directly(const struct isolate_enter *how, const int fds[4], pid_t *pid, struct err *e)
{
	sigset_t all, before;

	if (has_threads())
		return 0;
	/* what comes for the copy meanwhile is not for the caller's handlers */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	*pid = fork();
	if (*pid == 0)
		copy_enters(how, fds);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return *pid < 0 ? err_sys(e, "start a process") : 1;
}
