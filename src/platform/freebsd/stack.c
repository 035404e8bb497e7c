/* The network stack of a jail, as sockets that were made in it. */
#include "platform/freebsd/jail.h"
#include "platform/freebsd/links.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>
#include <sys/ioctl.h>
#include <sys/jail.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/socketvar.h>
#include <sys/sockio.h>
#include <sys/sysctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/in_pcb.h>
#include <netinet/tcp.h>
#include <netinet/tcp_var.h>

enum { SOCKETS = 3, ANSWER_FD = 3 };

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

/* Connections of the past, which wait a minute before they are forgotten, keep a stack from going.
 */
static void
drop_connections(void)
{
	static const char list[] = "net.inet.tcp.pcblist", drop[] = "net.inet.tcp.drop";
	size_t len = 0;

	if (sysctlbyname(list, NULL, &len, NULL, 0) < 0)
		return;
	autofree char *all = xcalloc(1, len);
	if (sysctlbyname(list, all, &len, NULL, 0) < 0)
		return;
	const struct xinpgen *head = (const void *)all;
	for (size_t at = head->xig_len; at + sizeof(struct xtcpcb) <= len;) {
		const struct xtcpcb *t = (const void *)(all + at);
		const struct in_conninfo *c = &t->xt_inp.inp_inc;
		struct sockaddr_storage ends[2] = { { .ss_len = 0 } };
		struct sockaddr_in *to = (void *)&ends[0], *from = (void *)&ends[1];
		struct sockaddr_in6 *to6 = (void *)to, *from6 = (void *)from;

		if (t->xt_len < sizeof(*t))
			break; /* the last one, or of another kernel */
		at += t->xt_len;
		if (c->inc_fport == 0)
			continue;
		if (t->xt_inp.inp_vflag & INP_IPV4) {
			*to = (struct sockaddr_in){ sizeof(*to), AF_INET, c->inc_fport,
				c->inc_faddr, "" };
			*from = (struct sockaddr_in){ sizeof(*from), AF_INET, c->inc_lport,
				c->inc_laddr, "" };
		} else {
			*to6 = (struct sockaddr_in6){ .sin6_len = sizeof(*to6),
				.sin6_family = AF_INET6,
				.sin6_port = c->inc_fport,
				.sin6_addr = c->inc6_faddr };
			*from6 = (struct sockaddr_in6){ .sin6_len = sizeof(*from6),
				.sin6_family = AF_INET6,
				.sin6_port = c->inc_lport,
				.sin6_addr = c->inc6_laddr };
		}
		(void)sysctlbyname(drop, NULL, NULL, ends, sizeof(ends));
	}
}

/* After fork() in a program with threads: nothing here takes a lock, unless at the end of a jail,
 * where there are none. */
static NORETURN void
child(int jid, bool end, int out)
{
	struct answer a = { .sys = 0 };
	struct iovec io = { .iov_base = &a, .iov_len = sizeof(a) };
	union rights control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	int fds[SOCKETS];

	/* who holds a directory open may be refused a change of the root, which this is */
	if (out != ANSWER_FD && dup2(out, ANSWER_FD) == ANSWER_FD)
		out = ANSWER_FD;
	closefrom(out + 1);
	if (jail_attach(jid) < 0) {
		a.sys = errno;
		a.at = 1;
	} else {
		if (end)
			drop_connections();
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

static int
sockets_of(int jid, bool end, struct stack *s, struct err *e)
{
	struct answer a = { .sys = 0 };
	int pair[2], got;
	pid_t helper;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make a socket");
	autofd int ours = pair[0], theirs = pair[1];
	helper = fork();
	if (helper < 0)
		return err_sys(e, "make a process");
	if (helper == 0)
		child(jid, end, theirs);
	own_close(&theirs);
	theirs = -1;
	got = receive(ours, &a, s);
	while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
	if (got < 0)
		return err_new(e, ERR_SYS, "a process in the jail %d ended without an answer", jid);
	if (a.sys == 0)
		return 0;
	errno = a.sys;
	if (a.at == 1 && (errno == EINVAL || errno == ENOENT))
		return err_new(e, ERR_ABSENT, "the jail %d is gone", jid);
	return err_sys(e, a.at == 1 ? "enter the jail %d" : "make a socket in the jail %d", jid);
}

/* Else it is the host's, or that of the jail around it. */
static bool
stack_is_own(int jid)
{
	char jid_key[] = "jid", vnet_key[] = "vnet";
	int vnet = 0;
	struct iovec v[] = { { jid_key, sizeof(jid_key) }, { &jid, sizeof(jid) },
		{ vnet_key, sizeof(vnet_key) }, { &vnet, sizeof(vnet) } };

	return jail_get(v, NELEM(v), 0) >= 0 && vnet == JAIL_SYS_NEW;
}

int
stack_of_jail(pid_t pid, int jid, struct stack *s, int *at, struct err *e)
{
	*at = jid > 0 ? jid : jail_of(pid, e);
	if (*at < 0)
		return -1;
	if (*at == 0)
		return err_new(
		    e, ERR_INPUT, "process %d has no network stack of its own", (int)pid);
	return sockets_of(*at, false, s, e);
}

void
stack_empty(int jid, struct stack *s)
{
	struct err ignored = ERR_INIT;

	if (stack_is_own(jid))
		(void)sockets_of(jid, true, s, &ignored);
}

void
stack_end(struct stack *s)
{
	struct ifgroupreq r = { .ifgr_name = "epair" };
	struct err ignored = ERR_INIT;
	struct ifg_req at[32];

	r.ifgr_len = sizeof(at);
	r.ifgr_groups = at;
	memset(at, 0, sizeof(at));
	if (s->inet < 0 || ioctl(s->inet, SIOCGIFGMEMB, &r) < 0)
		return;
	for (size_t i = 0; i < NELEM(at) && at[i].ifgrq_member[0] != '\0'; i++)
		(void)link_destroy(s->inet, at[i].ifgrq_member, &ignored);
}
