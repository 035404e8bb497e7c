#include "platform/proc.h"

#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Field 22 of proc_pid_stat(5); the command in field 2 may hold blanks and brackets. */
static int
parse_stat(const char *text, char *state, uint64_t *start)
{
	const char *p = strrchr(text, ')');

	if (p == NULL || p[1] != ' ' || p[2] == '\0')
		return -1;
	*state = p[2];
	p += 2;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return -1;
		p++;
	}
	char *end;
	*start = strtoull(p, &end, 10);
	return end == p ? -1 : 0;
}

static int
proc_start_time(pid_t pid, uint64_t *start, struct err *e)
{
	char path[32], text[1024], state = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_new(e, ERR_ABSENT, "process %d does not exist", pid);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0 && errno == ESRCH)
		return err_new(e, ERR_ABSENT, "process %d does not exist", pid);
	if (n < 0)
		return err_sys(e, "read %s", path);
	text[n] = '\0';
	uint64_t value;
	if (parse_stat(text, &state, &value) < 0)
		return err_new(e, ERR_CORRUPT, "%s: not understood", path);
	if (state == 'Z' || state == 'X')
		return err_new(e, ERR_ABSENT, "process %d has ended", pid);
	*start = value;
	return 0;
}

static int
proc_alive(pid_t pid, uint64_t start, struct err *e)
{
	uint64_t now = 0;
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
proc_open(pid_t pid, uint64_t start, struct err *e)
{
	autofd int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return err_sys(e, "open process %d", pid);
	/* only now, with the descriptor held, does the start time prove whose it is */
	int alive = proc_alive(pid, start, e);
	if (alive == 0)
		return err_new(e, ERR_ABSENT, "process %d has ended", pid);
	return alive < 0 ? -1 : take_fd(&fd);
}

static int
proc_signal(int handle, int sig, struct err *e)
{
	if (syscall(SYS_pidfd_send_signal, handle, sig, NULL, 0) < 0)
		return err_sys(e, "send signal %s", proc_signal_name(sig));
	return 0;
}

static int
proc_queue(int handle, int sig, int value, struct err *e)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_value.sival_int = value;
	if (syscall(SYS_pidfd_send_signal, handle, sig, &info, 0) < 0)
		return err_sys(e, "send signal %s", proc_signal_name(sig));
	return 0;
}

static int
proc_wait(int handle, int timeout_ms, struct err *e)
{
	struct pollfd p = { .fd = handle, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(e, "wait for a process") : n > 0;
}

static int
proc_boot_id(char out[PROC_BOOT_ID_TEXT], struct err *e)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	ssize_t n = read(fd, out, PROC_BOOT_ID_TEXT - 1);
	if (n < 0)
		return err_sys(e, "read %s", path);
	while (n > 0 && out[n - 1] == '\n')
		n--;
	out[n] = '\0';
	return 0;
}

static ssize_t
read_proc(pid_t pid, const char *file, char *out, size_t size, struct err *e)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
	if (n < 0 && (errno == ENOENT || errno == ESRCH))
		return err_new(e, ERR_ABSENT, "process %d does not exist", pid);
	if (n < 0)
		return err_sys(e, "read %s", path);
	out[n] = '\0';
	return n;
}

/* The value of a line "Key:\tvalue" of proc_pid_status(5); "" when it is not there. */
static const char *
status_line(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, n) == 0 && p[n] == ':')
			return p + n + 1 + strspn(p + n + 1, " \t");
	}
	return "";
}

static void
look_status(const char *text, struct proc_info *out)
{
	const char *name = status_line(text, "Name"), *inner = status_line(text, "NSpid");
	size_t n = strcspn(name, "\n");

	if (n >= sizeof(out->name))
		n = sizeof(out->name) - 1;
	memcpy(out->name, name, n);
	out->name[n] = '\0';
	out->state = *status_line(text, "State");
	out->uid = (unsigned)strtoul(status_line(text, "Uid"), NULL, 10);
	out->rss_bytes = strtoull(status_line(text, "VmRSS"), NULL, 10) * 1024;
	/* one number for each namespace it is in, the innermost last */
	out->inner = out->pid;
	while (*inner >= '0' && *inner <= '9') {
		char *end;
		out->inner = (pid_t)strtol(inner, &end, 10);
		inner = end + strspn(end, " \t");
	}
}

/* Fields 14 and 15: ticks in user and kernel mode. */
static uint64_t
cpu_ticks(const char *stat)
{
	const char *p = strrchr(stat, ')');
	uint64_t ticks = 0;

	if (p == NULL)
		return 0;
	p += 2;
	for (int field = 3; field < 16 && p != NULL; field++) {
		if (field >= 14)
			ticks += strtoull(p, NULL, 10);
		p = strchr(p, ' ');
		p = p != NULL ? p + 1 : NULL;
	}
	return ticks;
}

static int
proc_look(pid_t pid, struct proc_info *out, struct err *e)
{
	char text[4096], state = '?';
	struct err gone;

	*out = (struct proc_info){ .pid = pid };
	if (read_proc(pid, "stat", text, sizeof(text), e) < 0)
		return -1;
	if (parse_stat(text, &state, &out->start) < 0)
		return err_new(e, ERR_CORRUPT, "/proc/%d/stat: not understood", pid);
	out->cpu_ns = cpu_ticks(text) * (1000000000U / (uint64_t)sysconf(_SC_CLK_TCK));
	if (read_proc(pid, "status", text, sizeof(text), e) < 0)
		return -1;
	look_status(text, out);
	ssize_t n = read_proc(pid, "cmdline", out->command, sizeof(out->command), &gone);
	for (ssize_t i = 0; i + 1 < n; i++)
		if ((unsigned char)out->command[i] < ' ')
			out->command[i] = ' ';
	if (n <= 0)
		snprintf(out->command, sizeof(out->command), "[%s]", out->name);
	return 0;
}

const struct proc_ops proc_native = {
	.name = "procfs",
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
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? err_sys(e, "become a subreaper") : 0;
}

int
proc_die_with_parent(pid_t parent, int sig, struct err *e)
{
	if (prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0) < 0)
		return err_sys(e, "ask for the signal of the parent's end");
	if (getppid() != parent)
		return err_new(e, ERR_ABSENT, "the parent has ended");
	return 0;
}

void
proc_title(const char *name)
{
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

/* The bounds of this process's memory as the kernel knows them; see proc_pid_stat(5). */
static int
read_bounds(struct prctl_mm_map *map)
{
	char text[1024];
	unsigned long long value[53] = { 0 };
	autofd int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	const char *p = strrchr(text, ')');
	if (p == NULL || p[1] == '\0')
		return -1;
	p += 3; /* field 3, a letter */
	for (int field = 4; field <= 51; field++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return -1;
		value[field] = strtoull(++p, NULL, 10);
	}
	*map = (struct prctl_mm_map){
		.start_code = value[26],
		.end_code = value[27],
		.start_stack = value[28],
		.start_data = value[45],
		.end_data = value[46],
		.start_brk = value[47],
		.brk = (uintptr_t)sbrk(0),
		.env_start = value[50],
		.env_end = value[51],
		.exe_fd = (uint32_t)-1,
	};
	return 0;
}

void
proc_command_line(const char *const *words)
{
	struct prctl_mm_map map;
	size_t used = 0;
	/* For as long as the process lives; the kernel reads it from anonymous memory only, which
	 * our variables need not lie in. */
	char *line =
	    mmap(NULL, PROC_LINE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (; line != MAP_FAILED && *words != NULL; words++) {
		size_t len = strlen(*words) + 1;
		if (len > PROC_LINE_MAX - used)
			return;
		memcpy(line + used, *words, len);
		used += len;
	}
	if (line == MAP_FAILED || read_bounds(&map) < 0)
		return;
	/* all of it at once needs no right, unlike one bound at a time */
	map.arg_start = (uintptr_t)line;
	map.arg_end = (uintptr_t)line + used;
	(void)prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0);
}

int
proc_program(const char *program, char path_out[PROC_PROGRAM_PATH])
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE };
	autofd int tree =
	    (int)syscall(SYS_open_tree, AT_FDCWD, program, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	(void)str_copy(path_out, PROC_PROGRAM_PATH, program);
	if (tree < 0 ||
	    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -1;
	/* above the numbers that a child is given */
	int fd = fcntl(tree, F_DUPFD_CLOEXEC, 10);
	if (fd >= 0)
		snprintf(path_out, PROC_PROGRAM_PATH, "/proc/self/fd/%d", fd);
	return fd;
}

int
proc_peer(int sock, struct proc_peer *out, struct err *e)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	*out = (struct proc_peer){ .n_groups = 0 };
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return err_sys(e, "tell who connected");
	out->uid = who.uid;
	out->gid = who.gid;
	len = sizeof(out->groups);
	/* kernels that cannot tell leave the first group alone */
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, out->groups, &len) == 0)
		out->n_groups = len / sizeof(*out->groups);
	return 0;
}

void
proc_close_from(int first)
{
	(void)syscall(SYS_close_range, (unsigned)first, ~0U, 0);
}

int
proc_keep_from_command(int first)
{
	return (int)syscall(SYS_close_range, (unsigned)first, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
}
