/* The two processes that enter a pot: how they are started, and what they say, see
 * platform/enter.c. */
#include "platform/enter.h"

#include "platform/linux/child.h"
#include "platform/linux/join.h"
#include "platform/process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
	NAMESPACES = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
		     CLONE_NEWCGROUP
};

/* A terminal of the pot's own devpts; what lies at that path belongs to the pot, so it is looked
 * at. */
static int
open_terminal(const struct isolate_enter *how, int *master_out, struct err *e)
{
	struct winsize size = { .ws_row = how->rows, .ws_col = how->cols };
	int unlock = 0;
	struct stat st;
	autofd int master =
	    open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

	if (master < 0)
		return err_sys(e, "open a terminal of the pot");
	if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_new(
		    e, ERR_INPUT, "the pot's /dev/pts/ptmx is not a terminal multiplexer");
	if (fcntl(master, F_SETFL, 0) < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "unlock a terminal of the pot");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, "open the other end of a terminal of the pot");
	if (size.ws_row > 0 && size.ws_col > 0)
		(void)ioctl(slave, TIOCSWINSZ, &size);
	*master_out = take_fd(&master);
	return slave;
}

static NORETURN void
second(const struct isolate_enter *how, const int stdio[3])
{
	struct process_ready ready;
	struct err e = ERR_INIT;

	if (process_prepare(&how->process, &ready, &e) < 0)
		enter_say_failure(&e);
	memcpy(ready.stdio, stdio, sizeof(ready.stdio));
	ready.tty = how->tty;
	(void)process_exec(&ready, &e);
	enter_say_failure(&e);
}

void
enter_inside(const struct isolate_enter *how)
{
	struct joins joins;
	struct err e = ERR_INIT;
	int stdio[3] = { 0, 1, 2 }, master = -1;

	if (joins_open(&joins, how->cgroups, &e) < 0 || joins_write(&joins, &e) < 0)
		enter_say_failure(&e);
	if (child_enter(how->pid, how->start, NAMESPACES, &e) < 0)
		enter_say_failure(&e);
	if (how->tty && (stdio[0] = stdio[1] = stdio[2] = open_terminal(how, &master, &e)) < 0)
		enter_say_failure(&e);
	struct clone_args args = { .flags = CLONE_PARENT };
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0) {
		err_sys(&e, "make a process in the pot");
		enter_say_failure(&e);
	}
	if (pid == 0)
		second(how, stdio);
	_exit(enter_say_pid((pid_t)pid, master) < 0 ? ENTER_NO_COMMAND : 0);
}

int
enter_directly(const struct isolate_enter *how, const int fds[4], pid_t *pid, struct err *e)
{
	(void)how, (void)fds, (void)pid, (void)e;
	return 0; /* /proc/<pid>/exe */
}
