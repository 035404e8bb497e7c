#include "platform/proc.h"

#include "base/clock.h"
#include "base/own.h"
#include "platform/freebsd/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/event.h>
#include <sys/procctl.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/ucred.h>
#include <sys/un.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

static int
boot_time(struct timeval *boot, struct err *e)
{
	static const int mib[2] = { CTL_KERN, KERN_BOOTTIME };
	size_t len = sizeof(*boot);

	return sysctl(mib, 2, boot, &len, NULL, 0) < 0 ? err_sys(e, "read kern.boottime") : 0;
}

/* The kernel knows when a process began after the boot, and tells it with the time of the boot
 * added, which moves when somebody sets the clock (fill_kinfo_proc_only() in sys/kern/kern_proc.c).
 * ki_start becomes what the kernel knows. */
static int
read_info(pid_t pid, struct kinfo_proc *info, struct err *e)
{
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, pid };
	struct timeval before, after;
	size_t len;

	do { /* with the clock at rest */
		len = sizeof(*info);
		if (boot_time(&before, e) < 0)
			return -1;
		if (sysctl(mib, 4, info, &len, NULL, 0) < 0 && errno != ESRCH)
			return err_sys(e, "look at process %d", pid);
		if (boot_time(&after, e) < 0)
			return -1;
	} while (timercmp(&before, &after, !=));
	if (len != sizeof(*info))
		return err_new(e, ERR_ABSENT, "process %d does not exist", pid);
	timersub(&info->ki_start, &before, &info->ki_start);
	return 0;
}

static uint64_t
start_of(const struct kinfo_proc *info)
{
	return (uint64_t)info->ki_start.tv_sec * 1000000U + (uint64_t)info->ki_start.tv_usec;
}

static int
proc_start_time(pid_t pid, uint64_t *start, struct err *e)
{
	struct kinfo_proc info;

	if (read_info(pid, &info, e) < 0)
		return -1;
	if (info.ki_stat == SZOMB)
		return err_new(e, ERR_ABSENT, "process %d has ended", pid);
	*start = start_of(&info);
	return 0;
}

static int
proc_alive(pid_t pid, uint64_t start, struct err *e)
{
	uint64_t now;
	struct err why;

	if (pid <= 0)
		return 0;
	if (proc_start_time(pid, &now, &why) == 0)
		return now == start;
	if (why.kind == ERR_ABSENT)
		return 0;
	*e = why;
	return -1;
}

/* ---- handles: an event queue that tells of the end, and whose it is ---- */

/* By the number of the descriptor. A row means nothing once that is closed: handing it out again
 * writes it anew. */
static struct handle {
	pid_t pid;
	uint64_t start;
} * handles;
static size_t n_handles;

static void
note_handle(int fd, pid_t pid, uint64_t start)
{
	if ((size_t)fd >= n_handles) {
		handles = xrealloc(handles, ((size_t)fd + 16) * sizeof(*handles));
		n_handles = (size_t)fd + 16;
	}
	handles[fd] = (struct handle){ pid, start };
}

static int
proc_open(pid_t pid, uint64_t start, struct err *e)
{
	struct kevent ev;
	autofd int fd = kqueue();

	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(e, "make an event queue");
	EV_SET(&ev, (uintptr_t)pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
	if (kevent(fd, &ev, 1, NULL, 0, NULL) < 0)
		return errno == ESRCH ? err_new(e, ERR_ABSENT, "process %d has ended", pid)
				      : err_sys(e, "watch process %d", pid);
	/* only now, with the watch held, does the start time prove whose it is */
	int alive = proc_alive(pid, start, e);
	if (alive == 0)
		return err_new(e, ERR_ABSENT, "process %d has ended", pid);
	if (alive < 0)
		return -1;
	note_handle(fd, pid, start);
	return take_fd(&fd);
}

/* Still the one that was opened; between this look and the signal lies no more than the system call
 * itself, and a number is given again after all others have been. */
static int
checked(int handle, pid_t *pid, struct err *e)
{
	if (handle < 0 || (size_t)handle >= n_handles)
		return err_new(e, ERR_INPUT, "%d is no handle of a process", handle);
	*pid = handles[handle].pid;
	int alive = proc_alive(*pid, handles[handle].start, e);
	return alive == 0 ? err_new(e, ERR_ABSENT, "process %d has ended", *pid)
			  : (alive < 0 ? -1 : 0);
}

static int
proc_signal(int handle, int sig, struct err *e)
{
	pid_t pid;

	if (checked(handle, &pid, e) < 0)
		return -1;
	return kill(pid, sig) < 0 ? err_sys(e, "send signal %s", proc_signal_name(sig)) : 0;
}

static int
proc_queue(int handle, int sig, int value, struct err *e)
{
	union sigval v = { .sival_int = value };
	pid_t pid;

	if (checked(handle, &pid, e) < 0)
		return -1;
	return sigqueue(pid, sig, v) < 0 ? err_sys(e, "send signal %s", proc_signal_name(sig)) : 0;
}

/* Who begins to watch a process that is ending already is told at once that it has. */
static int
await_end(int handle, int64_t until_ns, struct err *e)
{
	struct ending ending = ENDING_INIT;
	struct err gone = ERR_INIT;
	pid_t pid;

	while (checked(handle, &pid, &gone) == 0) {
		if (clock_mono_ns() >= until_ns)
			return 0;
		ending_pause(&ending);
	}
	if (gone.kind == ERR_ABSENT)
		return 1;
	*e = gone;
	return -1;
}

static int
proc_wait(int handle, int timeout_ms, struct err *e)
{
	struct pollfd p = { .fd = handle, .events = POLLIN };
	int64_t until = timeout_ms < 0 ? INT64_MAX : clock_mono_ns() + timeout_ms * NS_PER_MS;
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? err_sys(e, "wait for a process") : 0;
	return await_end(handle, until, e);
}

/* ---- this boot ---- */

static int
proc_boot_id(char out[PROC_BOOT_ID_TEXT], struct err *e)
{
	unsigned char id[16];
	struct timeval boot;
	size_t len = sizeof(id);

	/* made anew at each boot; kernels without it tell the time, which ntpd(8) may move */
	if (sysctlbyname("kern.boot_id", id, &len, NULL, 0) == 0 && len == sizeof(id)) {
		for (size_t i = 0; i < sizeof(id); i++)
			snprintf(out + 2 * i, 3, "%02x", id[i]);
		return 0;
	}
	if (boot_time(&boot, e) < 0)
		return -1;
	snprintf(out, PROC_BOOT_ID_TEXT, "%lld", (long long)boot.tv_sec);
	return 0;
}

/* ---- looking ---- */

static void
look_args(pid_t pid, struct proc_info *out)
{
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_ARGS, pid };
	size_t len = sizeof(out->command) - 1;

	if (sysctl(mib, 4, out->command, &len, NULL, 0) < 0 || len == 0) {
		snprintf(out->command, sizeof(out->command), "[%s]", out->name);
		return;
	}
	out->command[len] = '\0';
	for (size_t i = 0; i + 1 < len; i++)
		if ((unsigned char)out->command[i] < ' ')
			out->command[i] = ' ';
}

static int
proc_look(pid_t pid, struct proc_info *out, struct err *e)
{
	static const char states[] = "?IRSTZWL";
	struct kinfo_proc info;

	*out = (struct proc_info){ .pid = pid, .inner = pid };
	if (read_info(pid, &info, e) < 0)
		return -1;
	out->start = start_of(&info);
	snprintf(out->name, sizeof(out->name), "%s", info.ki_comm);
	out->state = info.ki_stat > 0 && info.ki_stat < (char)sizeof(states) - 1
			 ? states[(int)info.ki_stat]
			 : '?';
	out->uid = info.ki_uid;
	out->cpu_ns = (uint64_t)info.ki_runtime * 1000U;
	out->rss_bytes = (uint64_t)info.ki_rssize * (uint64_t)getpagesize();
	look_args(pid, out);
	return 0;
}

const struct proc_ops proc_native = {
	.name = "sysctl",
	.start_time = proc_start_time,
	.alive = proc_alive,
	.open = proc_open,
	.signal = proc_signal,
	.queue = proc_queue,
	.wait = proc_wait,
	.boot_id = proc_boot_id,
	.look = proc_look,
};

/* ---- this process ---- */

int
proc_subreaper(struct err *e)
{
	return procctl(P_PID, 0, PROC_REAP_ACQUIRE, NULL) < 0 && errno != EBUSY
		   ? err_sys(e, "become a reaper")
		   : 0;
}

int
proc_die_with_parent(pid_t parent, int sig, struct err *e)
{
	if (procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &sig) < 0)
		return err_sys(e, "ask for the signal of the parent's end");
	if (getppid() != parent)
		return err_new(e, ERR_ABSENT, "the parent has ended");
	return 0;
}

void
proc_title(const char *name)
{
	setproctitle("-%s", name);
}

void
proc_command_line(const char *const *words)
{
	char line[PROC_LINE_MAX] = "";
	size_t used = 0;

	for (; *words != NULL; words++) {
		int n =
		    snprintf(line + used, sizeof(line) - used, "%s%s", used > 0 ? " " : "", *words);
		if (n < 0 || (size_t)n >= sizeof(line) - used)
			return;
		used += (size_t)n;
	}
	setproctitle("-%s", line);
}

int
proc_program(const char *program, char path_out[PROC_PROGRAM_PATH])
{
	snprintf(path_out, PROC_PROGRAM_PATH, "%s", program);
	return -1;
}

int
proc_peer(int sock, struct proc_peer *out, struct err *e)
{
	struct xucred who;
	socklen_t len = sizeof(who);

	*out = (struct proc_peer){ .n_groups = 0 };
	if (getsockopt(sock, SOL_LOCAL, LOCAL_PEERCRED, &who, &len) < 0)
		return err_sys(e, "tell who connected");
	if (len != sizeof(who) || who.cr_version != XUCRED_VERSION || who.cr_ngroups < 1)
		return err_new(e, ERR_UNSUPPORTED, "this kernel does not tell who connected");
	out->uid = who.cr_uid;
	out->gid = who.cr_groups[0];
	for (int i = 1; i < who.cr_ngroups && out->n_groups < PROC_GROUPS_MAX; i++)
		out->groups[out->n_groups++] = who.cr_groups[i];
	return 0;
}

void
proc_close_from(int first)
{
	closefrom(first);
}

int
proc_keep_from_command(int first)
{
	return close_range((unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC);
}
