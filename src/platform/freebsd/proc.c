#include "platform/proc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <sys/procctl.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <sys/ucred.h>
#include <sys/un.h>
#include <sys/user.h>
#include <unistd.h>

static int
proc_start_time(pid_t pid, uint64_t *start, struct err *e)
{
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, pid };
	struct kinfo_proc info;
	size_t len = sizeof(info);

	if (sysctl(mib, 4, &info, &len, NULL, 0) < 0 && errno != ESRCH)
		return err_sys(e, "look at process %d", pid);
	if (len != sizeof(info) || info.ki_stat == SZOMB)
		return err_new(e, ERR_ABSENT, "process %d does not exist", pid);
	*start = (uint64_t)info.ki_start.tv_sec * 1000000U + (uint64_t)info.ki_start.tv_usec;
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

static int
not_yet(struct err *e)
{
	return err_new(e, ERR_UNSUPPORTED, "handles of processes are not there yet on this system");
}

static int
proc_open(pid_t pid, uint64_t start, struct err *e)
{
	(void)pid;
	(void)start;
	return not_yet(e);
}

static int
proc_signal(int handle, int sig, struct err *e)
{
	(void)handle;
	(void)sig;
	return not_yet(e);
}

static int
proc_queue(int handle, int sig, int value, struct err *e)
{
	(void)handle;
	(void)sig;
	(void)value;
	return not_yet(e);
}

static int
proc_wait(int handle, int timeout_ms, struct err *e)
{
	(void)handle;
	(void)timeout_ms;
	return not_yet(e);
}

static int
proc_boot_id(char out[PROC_BOOT_ID_TEXT], struct err *e)
{
	struct timeval boot;
	size_t len = sizeof(boot);

	if (sysctlbyname("kern.boottime", &boot, &len, NULL, 0) < 0)
		return err_sys(e, "read kern.boottime");
	snprintf(out, PROC_BOOT_ID_TEXT, "%lld.%06ld", (long long)boot.tv_sec, (long)boot.tv_usec);
	return 0;
}

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
	int mib[4] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, pid };
	struct kinfo_proc info;
	size_t len = sizeof(info);

	*out = (struct proc_info){ .pid = pid, .inner = pid };
	if (sysctl(mib, 4, &info, &len, NULL, 0) < 0 && errno != ESRCH)
		return err_sys(e, "look at process %d", pid);
	if (len != sizeof(info))
		return err_new(e, ERR_ABSENT, "process %d does not exist", pid);
	out->start = (uint64_t)info.ki_start.tv_sec * 1000000U + (uint64_t)info.ki_start.tv_usec;
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
	setproctitle("%s", name);
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
