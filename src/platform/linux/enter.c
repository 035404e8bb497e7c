#include "platform/linux/enter.h"

#include "base/own.h"
#include "platform/linux/child.h"
#include "platform/linux/join.h"
#include "platform/linux/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAMESPACES = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP };

/* Two processes: the first enters the namespaces, but a process cannot change its own pid namespace;
 * the second is born in it, as a child of the caller, and becomes the command. What both have to say
 * goes through one pipe, which ends when the command runs. */
struct message {
	pid_t pid; /* of the second, from the first */
	struct err failure;
};

struct entering {
	const struct isolate_enter *how;
	int out;     /* messages */
	int tty_out; /* a socket for the terminal's master; -1 without */
};

static NORETURN void
say(const struct entering *by, pid_t pid, const struct err *failure)
{
	struct message m = { .pid = pid };

	if (failure != NULL)
		m.failure = *failure;
	/* shorter than PIPE_BUF: whole or not at all */
	_exit(write(by->out, &m, sizeof(m)) == (ssize_t)sizeof(m) && failure == NULL ? 0 : 126);
}

union fd_room {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int
send_fd(int sock, int fd, struct err *e)
{
	union fd_room room;
	char c = 't';
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room) };

	memset(&room, 0, sizeof(room));
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	return sendmsg(sock, &m, MSG_NOSIGNAL) == 1 ? 0 : err_sys(e, "pass the terminal");
}

static int
receive_fd(int sock)
{
	union fd_room room;
	char c;
	int fd = -1;
	struct iovec v = { &c, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room) };

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
		return -1;
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	return fd;
}

/* A terminal of the pot's own devpts; what lies at that path belongs to the pot, so it is looked at. */
static int
open_terminal(const struct entering *by, struct err *e)
{
	struct winsize size = { .ws_row = by->how->rows, .ws_col = by->how->cols };
	int unlock = 0;
	struct stat st;
	autofd int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

	if (master < 0)
		return err_sys(e, "open a terminal of the pot");
	if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_new(e, ERR_INPUT, "the pot's /dev/pts/ptmx is not a terminal multiplexer");
	if (fcntl(master, F_SETFL, 0) < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(e, "unlock a terminal of the pot");
	autofd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(e, "open the other end of a terminal of the pot");
	if (size.ws_row > 0 && size.ws_col > 0)
		(void)ioctl(slave, TIOCSWINSZ, &size);
	return send_fd(by->tty_out, master, e) < 0 ? -1 : take_fd(&slave);
}

static NORETURN void
second(const struct entering *by, const int stdio[3])
{
	struct process_ready ready;
	struct err e = ERR_INIT;

	if (process_prepare(&by->how->process, &ready, &e) < 0)
		say(by, 0, &e);
	memcpy(ready.stdio, stdio, sizeof(ready.stdio));
	ready.tty = by->how->tty;
	(void)process_exec(&ready, &e);
	say(by, 0, &e);
}

static NORETURN void
first(const struct entering *by)
{
	const struct isolate_enter *how = by->how;
	struct joins joins;
	struct err e = ERR_INIT;
	int stdio[3] = { how->stdio[0], how->stdio[1], how->stdio[2] };

	if (joins_open(&joins, how->cgroups, &e) < 0 || joins_write(&joins, &e) < 0)
		say(by, 0, &e);
	if (child_enter(how->pid, how->start, NAMESPACES, &e) < 0)
		say(by, 0, &e);
	if (how->tty && (stdio[0] = stdio[1] = stdio[2] = open_terminal(by, &e)) < 0)
		say(by, 0, &e);
	struct clone_args args = { .flags = CLONE_PARENT };
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0) {
		err_sys(&e, "make a process in the pot");
		say(by, 0, &e);
	}
	if (pid == 0)
		second(by, stdio);
	say(by, (pid_t)pid, NULL);
}

/* Until both writers are gone: what was said last about each. */
static int
hear(int in, pid_t *pid, struct err *e)
{
	struct message m;
	ssize_t n;
	int result = 0;

	*pid = 0;
	while ((n = read(in, &m, sizeof(m))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(m))
			return err_sys(e, "hear a process that enters the pot");
		if (m.pid != 0)
			*pid = m.pid;
		if (m.failure.kind != ERR_NONE) {
			*e = m.failure;
			result = -1;
		}
	}
	if (result == 0 && *pid == 0)
		return err_new(e, ERR_SYS, "the process that was to enter the pot ended early");
	return result;
}

static void
reap(pid_t pid)
{
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int
enter_command(const struct isolate_enter *how, pid_t *child, int *pty, struct err *e)
{
	int p[2], tty[2] = { -1, -1 };
	pid_t second_pid;

	if (how->tty && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, tty) < 0)
		return err_sys(e, "make a channel for the terminal");
	autofd int tty_in = tty[0], tty_out = tty[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	autofd int in = p[0], out = p[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, "make a process");
	if (pid == 0) {
		struct entering by = { .how = how, .out = out, .tty_out = tty_out };
		first(&by);
	}
	close(take_fd(&out));
	reap(pid);
	if (hear(in, &second_pid, e) < 0) {
		reap(second_pid);
		return -1;
	}
	*pty = how->tty ? receive_fd(tty_in) : -1;
	*child = second_pid;
	return 0;
}
