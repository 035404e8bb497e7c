#include "platform/linux/orphans.h"

#include "base/clock.h"
#include "base/own.h"
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOPBACK = 1 }; /* the index of lo, in every namespace */
/* inet_diag_msg.idiag_timer of one that is only remembered, whatever state it tells; it holds
 * nothing. See sock_diag(7). */
enum { TIMER_TIME_WAIT = 3 };

/* The kernel's answers to questions, and its word of each connection that has gone. */
struct diag {
	int ask, gone;
};

int
orphans_watch(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* How often the kernel tries again when nothing comes back; see tcp(7). */
static void
few_retries(void)
{
	autofd int fd = open("/proc/sys/net/ipv4/tcp_orphan_retries", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "3", 1);
}

/* In the namespace. Without sock_diag in the kernel nothing is known and nothing done. */
static void
diag_open(struct diag *d)
{
	static const int groups[] = { SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY };

	d->ask = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	d->gone = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	for (size_t i = 0; i < NELEM(groups); i++)
		(void)setsockopt(
		    d->gone, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]));
	few_retries();
}

static void
diag_close(struct diag *d)
{
	own_close(&d->ask);
	own_close(&d->gone);
}

/* Connections in one piece of an answer; *last: no more of it comes. */
static int
count_answer(const char *answer, ssize_t len, bool *last)
{
	const struct nlmsghdr *h = (const void *)answer;
	int n = 0;

	for (; len > 0 && NLMSG_OK(h, (unsigned)len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			*last = true;
		else if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			n += ((const struct inet_diag_msg *)NLMSG_DATA(h))->idiag_timer !=
			     TIMER_TIME_WAIT;
	}
	return n;
}

static int
count_family(const struct diag *d, int family)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 what;
	} q = { .head = { .nlmsg_len = sizeof(q),
		    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.what = { .sdiag_family = (uint8_t)family,
		    .sdiag_protocol = IPPROTO_TCP,
		    .idiag_states = ~(1U << TCP_LISTEN) } };
	_Alignas(struct nlmsghdr) char answer[8192];
	bool last = false;
	int n = 0;

	if (send(d->ask, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		return 0;
	while (!last) {
		ssize_t len = recv(d->ask, answer, sizeof(answer), 0);
		if (len <= 0 && errno != EINTR)
			break;
		n += count_answer(answer, len, &last);
	}
	return n;
}

static int
connections(const struct diag *d)
{
	return count_family(d, AF_INET) + count_family(d, AF_INET6);
}

/* In the namespace. What is still to be delivered finds no way, and the kernel gives up. */
static void
remove_interfaces(void)
{
	autofd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct if_nameindex *all = if_nameindex();
	char answer[1024];

	for (struct if_nameindex *i = all; i != NULL && i->if_index != 0; i++) {
		struct {
			struct nlmsghdr head;
			struct ifinfomsg link;
		} q = { .head = { .nlmsg_len = sizeof(q),
			    .nlmsg_type = RTM_DELLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
			.link = { .ifi_index = (int)i->if_index } };

		if (i->if_index != LOOPBACK && send(fd, &q, sizeof(q), 0) == (ssize_t)sizeof(q))
			(void)!recv(fd, answer, sizeof(answer), 0);
	}
	if (all != NULL)
		if_freenameindex(all);
}

static void
wait_for_connections(const struct diag *d)
{
	int64_t end = clock_mono_ns() + ORPHANS_GRACE_MS * NS_PER_MS;
	char word[8192];

	while (connections(d) > 0) {
		struct pollfd p = { .fd = d->gone, .events = POLLIN };
		int64_t left = (end - clock_mono_ns()) / NS_PER_MS;

		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			remove_interfaces();
			return;
		}
		while (recv(d->gone, word, sizeof(word), MSG_DONTWAIT) > 0)
			;
	}
}

/* Nothing of the keeper stays in it, and who ends it by a signal may. */
static NORETURN void
pot_ending(int netns, struct diag *d)
{
	static const char *const line[] = { "pot-ending", NULL };
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t none;

	/* the two that stay get the lowest numbers, so that one call closes all others */
	if (setns(netns, CLONE_NEWNET) < 0 || dup2(d->ask, STDIN_FILENO) < 0 ||
	    dup2(d->gone, STDOUT_FILENO) < 0)
		_exit(1);
	(void)syscall(SYS_close_range, (unsigned)STDERR_FILENO, ~0U, 0U);
	*d = (struct diag){ .ask = STDIN_FILENO, .gone = STDOUT_FILENO };
	for (size_t i = 0; i < NELEM(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	proc_title(line[0]);
	proc_command_line(line);
	wait_for_connections(d);
	_exit(0);
}

void
orphans_end(int netns)
{
	autofd int own = netns >= 0 ? open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
	struct diag d;

	if (own < 0 || setns(netns, CLONE_NEWNET) < 0)
		return;
	diag_open(&d);
	if (setns(own, CLONE_NEWNET) < 0)
		_exit(71); /* whatever the caller does next would be done in the wrong network */
	if (connections(&d) > 0 && fork() == 0)
		pot_ending(netns, &d);
	diag_close(&d);
}
