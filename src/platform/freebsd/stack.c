/* The network stack of a jail, as sockets that were made in it. */
#include "platform/freebsd/jail.h"
#include "platform/freebsd/links.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOCKETS = 3 };

/* What the child says: errno of what failed, 0 for all is well, and the sockets. */
struct answer {
	int sys;
	int at; /* 1: it could not get into the jail, 2: a socket */
	int n;
};

union rights {
	struct cmsghdr head;
	char room[CMSG_SPACE(SOCKETS * sizeof(int))];
};

/* After fork() in a program with threads: nothing here takes a lock. */
static NORETURN void
child(int jid, int out)
{
	struct answer a = { .sys = 0 };
	struct iovec io = { .iov_base = &a, .iov_len = sizeof(a) };
	union rights control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	int fds[SOCKETS];

	if (jail_attach(jid) < 0) {
		a.sys = errno;
		a.at = 1;
	} else {
		fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		fds[1] = socket(PF_ROUTE, SOCK_RAW | SOCK_CLOEXEC, 0);
		fds[2] = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		a.n = fds[2] >= 0 ? 3 : 2;
		if (fds[0] < 0 || fds[1] < 0) {
			a.sys = errno;
			a.at = 2;
		}
	}
	if (a.sys == 0) {
		m.msg_control = control.room;
		m.msg_controllen = (socklen_t)CMSG_SPACE((unsigned)a.n * sizeof(int));
		control.head.cmsg_len = (socklen_t)CMSG_LEN((unsigned)a.n * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.head), fds, (unsigned)a.n * sizeof(int));
	}
	_exit(sendmsg(out, &m, 0) < 0);
}

static int
receive(int in, struct answer *a, struct stack *s)
{
	struct iovec io = { .iov_base = a, .iov_len = sizeof(*a) };
	union rights control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	int fds[SOCKETS] = { -1, -1, -1 };
	ssize_t got;

	do
		got = recvmsg(in, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(*a))
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len <= CMSG_LEN(sizeof(fds)))
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	s->inet = fds[0];
	s->route = fds[1];
	s->inet6 = fds[2];
	return 0;
}

int
stack_of_jail(pid_t pid, int jid, struct stack *s, int *at, struct err *e)
{
	struct answer a = { .sys = 0 };
	int pair[2], got;
	pid_t helper;

	*at = jid > 0 ? jid : jail_of(pid, e);
	if (*at < 0)
		return -1;
	if (*at == 0)
		return err_new(
		    e, ERR_INPUT, "process %d has no network stack of its own", (int)pid);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make a socket");
	autofd int ours = pair[0], theirs = pair[1];
	helper = fork();
	if (helper < 0)
		return err_sys(e, "make a process");
	if (helper == 0)
		child(*at, theirs);
	own_close(&theirs);
	theirs = -1;
	got = receive(ours, &a, s);
	while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
	if (got < 0)
		return err_new(e, ERR_SYS, "a process in the jail %d ended without an answer", *at);
	if (a.sys == 0)
		return 0;
	errno = a.sys;
	if (a.at == 1 && (errno == EINVAL || errno == ENOENT))
		return err_new(e, ERR_ABSENT, "the jail %d is gone", *at);
	return err_sys(e, a.at == 1 ? "enter the jail %d" : "make a socket in the jail %d", *at);
}
