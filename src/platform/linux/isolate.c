#include "platform/isolate.h"

#include "base/own.h"
#include "platform/enter.h"
#include "platform/linux/init.h"
#include "platform/linux/join.h"
#include "platform/linux/orphans.h"
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int
isolate_probe(struct err *e)
{
	struct clone_args args = { .flags = CLONE_PARENT_SETTID | CLONE_PIDFD };

	/* refused for its arguments by a kernel that knows it */
	if (syscall(SYS_clone3, &args, (size_t)0) < 0 && errno == ENOSYS)
		return err_new(e, ERR_UNSUPPORTED,
		    "this kernel lacks clone3(2); Linux 5.12 or newer is needed");
	if (access("/proc/self/ns/cgroup", F_OK) < 0)
		return err_new(e, ERR_UNSUPPORTED,
		    "this kernel lacks cgroup namespaces, or /proc is not mounted");
	return 0;
}

/* ---- create ---- */

static uint64_t
clone_flags(unsigned what)
{
	static const struct {
		unsigned what;
		uint64_t flag;
	} map[] = { { ISOLATE_PID, CLONE_NEWPID }, { ISOLATE_MOUNT, CLONE_NEWNS },
		{ ISOLATE_HOSTNAME, CLONE_NEWUTS }, { ISOLATE_IPC, CLONE_NEWIPC },
		{ ISOLATE_NET, CLONE_NEWNET } };
	uint64_t flags = CLONE_PIDFD;

	for (size_t i = 0; i < NELEM(map); i++)
		if (what & map[i].what)
			flags |= map[i].flag;
	return flags; /* the cgroup namespace is made after joining, so that its root is the pot's
			 group */
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The clone has all of the keeper's descriptors. What init does not need goes, lest it keeps open
 * what the keeper closes: a starter waits for that. */
static void
close_others(const struct init_start *s)
{
	int keep[7 + CGROUPS_MAX] = { 0, 1, 2, s->channel, s->stdio[0], s->stdio[1], s->stdio[2] },
		     from = 3;
	size_t n = 7;

	for (size_t i = 0; i < s->n_cgroup_fds && n < NELEM(keep); i++)
		keep[n++] = s->cgroup_fds[i];
	qsort(keep, n, sizeof(*keep), by_number);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] > from)
			(void)syscall(SYS_close_range, (unsigned)from, (unsigned)keep[i] - 1, 0U);
		if (keep[i] >= from)
			from = keep[i] + 1;
	}
	(void)syscall(SYS_close_range, (unsigned)from, ~0U, 0U);
}

static int
isolate_create(
    const struct isolate_spec *spec, const int stdio[3], struct isolate *out, struct err *e)
{
	int pair[2], handle = -1;
	struct joins joins;
	sigset_t all, before;

	if (spec->persist && !(spec->what & ISOLATE_PID))
		return err_new(e, ERR_INPUT,
		    "only what has processes of its own can persist without a command");
	if (joins_open(&joins, spec->cgroups, e) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		joins_close(&joins);
		return err_sys(e, "make the channel to the pot's init");
	}
	struct clone_args args = { .flags = clone_flags(spec->what),
		.exit_signal = SIGCHLD,
		.pidfd = (uintptr_t)&handle };
	if (joins.v2 >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)joins.v2;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before); /* init waits for all of them by name */
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		struct init_start start = { .spec = spec,
			.channel = pair[1],
			.stdio = { stdio[0], stdio[1], stdio[2] },
			.cgroup_fds = joins.tasks,
			.n_cgroup_fds = joins.n_tasks,
			.new_cgroup = (spec->what & ISOLATE_CGROUP) != 0 };
		close_others(&start);
		init_main(&start);
	}
	int sys = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	joins_close(&joins);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		errno = sys;
		return err_sys(e, "make the pot's init");
	}
	*out = (struct isolate){ .pid = (pid_t)pid, .handle = handle, .channel = pair[0] };
	if (spec->what & ISOLATE_NET) {
		int *netns = out->own = xmalloc(sizeof(*netns));
		*netns = orphans_watch(out->pid);
	}
	return 0;
}

static int
isolate_go(struct isolate *i, struct err *e)
{
	if (send(i->channel, "g", 1, MSG_NOSIGNAL) != 1)
		return err_sys(e, "tell the pot's init to go");
	return 0;
}

static int
isolate_event(struct isolate *i, struct isolate_event *event, struct err *e)
{
	bool reset = false;

	for (;;) {
		ssize_t n = recv(i->channel, event, sizeof(*event), 0);
		if (n >= 0)
			return n == (ssize_t)sizeof(*event);
		if (errno == EINTR)
			continue;
		if (errno != ECONNRESET)
			return err_sys(e, "hear the pot's init");
		/* an init that ends before it reads "go" leaves this error in front of its last
		 * words */
		if (reset)
			return 0;
		reset = true;
	}
}

static int
isolate_signal(struct isolate *i, int sig, bool stop, struct err *e)
{
	return proc_native.queue(
	    i->handle, INIT_CARRIER, (sig & INIT_SIGNAL_MASK) | (stop ? INIT_STOP : 0), e);
}

static int
isolate_forward(pid_t init, uint64_t start, int sig, struct err *e)
{
	autofd int handle = proc_native.open(init, start, e);

	if (handle < 0)
		return -1;
	if (sig <= 0 || sig >= NSIG)
		return err_new(e, ERR_INPUT, "there is no signal %d", sig);
	return proc_native.queue(handle, INIT_CARRIER, sig, e);
}

/* ---- the end ---- */

/* Kills what a cgroup lists; true when it listed something. Repeated until nothing is left, since
 * what is being forked is not listed yet. */
static bool
kill_listed(const char *dir)
{
	char path[4096], text[4096];
	bool some = false;
	size_t kept = 0;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (;;) {
		ssize_t n = fd < 0 ? 0 : read(fd, text + kept, sizeof(text) - 1 - kept);
		if (n <= 0)
			return some;
		text[kept + (size_t)n] = '\0';
		char *p = text, *end;
		while ((end = strchr(p, '\n')) != NULL) {
			pid_t pid = (pid_t)strtol(p, NULL, 10);
			if (pid > 1 && pid != getpid()) {
				(void)kill(pid, SIGKILL);
				some = true;
			}
			p = end + 1;
		}
		kept = strlen(p);
		memmove(text, p, kept);
	}
}

static int
isolate_kill(struct isolate *i, const char *const *cgroups, struct err *e)
{
	if (syscall(SYS_pidfd_send_signal, i->handle, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return err_sys(e, "kill the pot's init");
	if (cgroups == NULL || cgroups[0] == NULL)
		return 0;
	/* bounded: each round ends processes, and forks of the dead do not go on */
	for (int round = 0; round < 100 && kill_listed(cgroups[0]); round++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sched_yield();
	}
	return 0;
}

static void
isolate_close(struct isolate *i)
{
	int *netns = i->own;

	if (netns != NULL) {
		orphans_end(*netns);
		own_close(netns);
		free(netns);
		i->own = NULL;
	}
	own_close(&i->handle);
	own_close(&i->channel);
	i->handle = i->channel = -1;
}

static int64_t
count_in(const char *dir, const char *file, const char *key)
{
	char path[4096], text[1024];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -1;
	text[n] = '\0';
	char *at = strstr(text, key);
	return at == NULL ? -1 : strtoll(at + strlen(key), NULL, 10);
}

static int64_t
isolate_oom_kills(const struct isolate *i, const char *const *cgroups)
{
	(void)i;
	for (; cgroups != NULL && *cgroups != NULL; cgroups++) {
		int64_t n = count_in(*cgroups, "memory.events", "oom_kill ");
		if (n < 0)
			n = count_in(*cgroups, "memory.oom_control", "oom_kill ");
		if (n >= 0)
			return n;
	}
	return -1;
}

static const char *const attributes[] = { "raw_sockets", "sysvshm", "sysvsem", "sysvmsg", "mlock",
	NULL };

const struct isolate_ops isolate_native = {
	.name = "namespaces",
	.joins_networks = true,
	.probe = isolate_probe,
	.create = isolate_create,
	.go = isolate_go,
	.event = isolate_event,
	.signal = isolate_signal,
	.kill = isolate_kill,
	.close = isolate_close,
	.oom_kills = isolate_oom_kills,
	.enter = enter_command,
	.forward = isolate_forward,
	.attributes = attributes,
	.ipc_is_one = true,
	.init_counts = true,
};
