#include "platform/linux/init.h"

#include "base/own.h"
#include "platform/linux/mount_set.h"
#include "platform/linux/rights.h"
#include "platform/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- /proc, /dev, /sys; the working directory is the pot's root, and "/" is it as well ---- */

static int
mount_at(const char *type, const char *target, unsigned long flags, const char *data, struct err *e)
{
	if (mount(type, target, type, flags, data) == 0)
		return 0;
	if (errno == ENOENT && (mkdir(target, 0755) == 0 || errno == EEXIST) &&
	    mount(type, target, type, flags, data) == 0)
		return 0;
	return err_sys(e, "mount %s", target);
}

static int
fill_dev(struct err *e)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} nodes[] = { { "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 }, { "/dev/full", 1, 7 },
		{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 } };
	static const char *const links[][2] = { { "pts/ptmx", "/dev/ptmx" },
		{ "/proc/self/fd", "/dev/fd" }, { "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" } };

	for (size_t i = 0; i < NELEM(nodes); i++)
		if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) <
		    0)
			return err_sys(e, "make %s", nodes[i].path);
	for (size_t i = 0; i < NELEM(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			return err_sys(e, "make %s", links[i][1]);
	if (mkdir("/dev/pts", 0755) < 0 || mkdir("/dev/shm", 01777) < 0)
		return err_sys(e, "make directories in /dev");
	return 0;
}

/* What would tell of, or act on, the whole machine. Absent ones are none the worse. */
static int
mask(struct err *e)
{
	static const char *const files[] = { "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/sched_debug", "/proc/interrupts" };
	static const char *const directories[] = { "/proc/acpi", "/proc/asound", "/proc/scsi",
		"/sys/firmware", "/sys/devices/virtual/powercap" };
	static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
		"/proc/sysrq-trigger" };

	for (size_t i = 0; i < NELEM(files); i++)
		if (mount("/dev/null", files[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			return err_sys(e, "mask %s", files[i]);
	/* a directory of the read-only /sys in which nothing is: cgroups are not mounted in pots */
	for (size_t i = 0; i < NELEM(directories); i++)
		if (mount("/sys/fs/cgroup", directories[i], NULL, MS_BIND, NULL) < 0 &&
		    errno != ENOENT)
			return err_sys(e, "mask %s", directories[i]);
	for (size_t i = 0; i < NELEM(read_only); i++) {
		const unsigned long same = MS_NOSUID | MS_NODEV | MS_NOEXEC;
		if (mount(read_only[i], read_only[i], NULL, MS_BIND, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			return err_sys(e, "mask %s", read_only[i]);
		}
		if (mount(NULL, read_only[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | same, NULL) <
		    0)
			return err_sys(e, "make %s read-only", read_only[i]);
	}
	return 0;
}

static int
write_sysctl(const char *path, const char *value)
{
	autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(value);

	return fd >= 0 && write(fd, value, n) == (ssize_t)n ? 0 : -1;
}

/* Settings of the namespaces that are the pot's own, while /proc/sys can still be written. */
static int
set_own_sysctls(const struct isolate_spec *spec, struct err *e)
{
	static const struct {
		unsigned bit;
		const char *path, *value;
	} ipc[] = {
		{ ISOLATE_NO_SHM, "/proc/sys/kernel/shmmni", "0" },
		{ ISOLATE_NO_SEM, "/proc/sys/kernel/sem", "32000 1024000000 500 0" },
		{ ISOLATE_NO_MSG, "/proc/sys/kernel/msgmni", "0" },
	};

	/* ping needs no raw socket then; kernels without it do as before */
	if (spec->what & ISOLATE_NET)
		(void)write_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	for (size_t i = 0; i < NELEM(ipc) && (spec->what & ISOLATE_IPC); i++)
		if ((spec->no_ipc & ipc[i].bit) && write_sysctl(ipc[i].path, ipc[i].value) < 0)
			return err_sys(e, "write '%s' to %s", ipc[i].value, ipc[i].path);
	return 0;
}

static int
mount_standard(const struct isolate_spec *spec, struct err *e)
{
	const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount_at("proc", "/proc", safe, NULL, e) < 0)
		return -1;
	if (mount_at("tmpfs", "/dev", MS_NOSUID, "mode=755,size=64k", e) < 0 || fill_dev(e) < 0)
		return -1;
	if (mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
		"newinstance,ptmxmode=0666,mode=620,gid=5", e) < 0)
		return -1;
	if (mount_at("tmpfs", "/dev/shm", safe, "mode=1777,size=64m", e) < 0)
		return -1;
	if (mount_at("sysfs", "/sys", safe | MS_RDONLY, NULL, e) < 0)
		return -1;
	if (spec->what & ISOLATE_IPC) {
		if (mkdir("/dev/mqueue", 01777) < 0)
			return err_sys(e, "make /dev/mqueue");
		struct err absent; /* kernels without POSIX queues */
		if (mount_at("mqueue", "/dev/mqueue", safe, NULL, &absent) < 0)
			(void)rmdir("/dev/mqueue");
	}
	if (set_own_sysctls(spec, e) < 0)
		return -1;
	return mask(e);
}

static int
make_root(const struct isolate_spec *spec, struct err *e)
{
	struct mount_set set;

	if (mount_private(e) < 0 || mount_set_open(&set, spec->mounts, spec->n_mounts, e) < 0)
		return -1;
	if (mount_root_here(&spec->root, e) < 0 || mount_pivot(e) < 0)
		return -1;
	/* from here on no path can mean anything of the host */
	if (mount_standard(spec, e) < 0)
		return -1;
	autofd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open the root");
	if (mount_set_attach(&set, spec->mounts, root, e) < 0)
		return -1;
	return isolate_write_files(spec, root, e);
}

/* ---- before the command ---- */

static int
join_cgroups(const struct init_start *s, struct err *e)
{
	for (size_t i = 0; i < s->n_cgroup_fds; i++) {
		/* "0": the thread that writes; unlike a pid in cgroup.procs it needs no lock of the
		 * kernel's on all thread groups, which takes milliseconds */
		if (write(s->cgroup_fds[i], "0", 1) != 1)
			return err_sys(e, "join the cgroup %s", s->spec->cgroups[i]);
		close(s->cgroup_fds[i]);
	}
	if (s->new_cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, "make a cgroup namespace");
	return 0;
}

/* Some who make a network leave its loopback down. */
static int
loopback_up(struct err *e)
{
	struct ifreq lo = { .ifr_name = "lo" };
	autofd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || ioctl(sock, SIOCGIFFLAGS, &lo) < 0)
		return err_sys(e, "look at the loopback");
	if (lo.ifr_flags & IFF_UP)
		return 0;
	lo.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &lo) < 0 ? err_sys(e, "set the loopback up") : 0;
}

/* Before the root: /sys shows the network of whoever mounts it. */
static int
join_network(const char *path, struct err *e)
{
	autofd int network = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (network < 0)
		return err_sys(e, "open the network %s", path);
	if (setns(network, CLONE_NEWNET) < 0)
		return err_sys(e, "join the network %s", path);
	return loopback_up(e);
}

static int
set_up(const struct init_start *s, struct err *e)
{
	const struct isolate_spec *spec = s->spec;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_sys(e, "ask for the signal of the keeper's end");
	/* no program of the pot may look into this copy of ours */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!(spec->what & ISOLATE_PID) && proc_subreaper(e) < 0)
		return -1;
	if (join_cgroups(s, e) < 0)
		return -1;
	if (spec->network != NULL && join_network(spec->network, e) < 0)
		return -1;
	if (spec->what & ISOLATE_MOUNT && make_root(spec, e) < 0)
		return -1;
	if (spec->what & ISOLATE_HOSTNAME && spec->hostname != NULL &&
	    sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return err_sys(e, "set the host name");
	return 0;
}

static void
tell(int channel, const struct isolate_event *event)
{
	(void)!send(channel, event, sizeof(*event), MSG_NOSIGNAL);
}

static NORETURN void
fail(int channel, const struct err *why)
{
	struct isolate_event event = { .kind = ISOLATE_FAILED, .code = 125, .failure = *why };

	tell(channel, &event);
	_exit(125);
}

/* ---- the command ---- */

struct spawn {
	const struct process_ready *ready;
	struct err failure;
};

static int
command_main(void *ctx)
{
	struct spawn *s = ctx;

	(void)process_exec(s->ready, &s->failure);
	_exit(127);
}

/* The child shares our memory until it has become the command, so its failure is simply there. */
static pid_t
spawn_command(const struct process_ready *ready, struct err *e)
{
	enum { STACK = 64 * 1024 };
	struct spawn s = { .ready = ready, .failure = ERR_INIT };
	char *stack = malloc(STACK);

	if (stack == NULL)
		return err_sys(e, "memory for the command's start");
	pid_t pid = clone(command_main, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
	if (pid < 0)
		err_sys(e, "make the command's process");
	free(stack);
	if (pid > 0 && s.failure.kind != ERR_NONE) {
		*e = s.failure;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return -1;
	}
	return pid;
}

/* ---- afterwards ---- */

struct life {
	const struct init_start *start;
	pid_t command; /* 0: has ended */
	bool stopping;
	int code;
};

static void
forward(struct life *l, int sig)
{
	if (l->command > 0)
		(void)kill(l->command, sig);
	else if (l->start->spec->what & ISOLATE_PID)
		(void)kill(-1, sig); /* all that is left of a persistent pot; never outside one */
}

static void
command_ended(struct life *l, int status)
{
	struct isolate_event event = { .kind = ISOLATE_ENDED };

	if (WIFSIGNALED(status)) {
		event.signal = WTERMSIG(status);
		event.code = 128 + event.signal;
	} else {
		event.code = WEXITSTATUS(status);
	}
	l->command = 0;
	l->code = event.code;
	tell(l->start->channel, &event);
}

/* False: nothing is left to live for. */
static bool
reap(struct life *l, int stop_signal)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != l->command)
			continue;
		command_ended(l, status);
		if (!l->start->spec->persist)
			return false;
		if (l->stopping)
			forward(l, stop_signal);
	}
	return !(pid < 0 && errno == ECHILD && l->command == 0 && l->stopping);
}

static void
remove_files(const struct isolate_spec *spec)
{
	struct err e = ERR_INIT;
	struct stat st;
	autofd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; root >= 0 && i < spec->n_files; i++) {
		const char *path = spec->files[i].path, *name = strrchr(path, '/') + 1;
		char parent[4096];
		if (!spec->files[i].for_this_run || (size_t)(name - path) >= sizeof(parent))
			continue;
		memcpy(parent, path, (size_t)(name - path));
		parent[name - path] = '\0';
		autofd int dir = beneath_open(root, parent, O_PATH | O_DIRECTORY, 0, &e);
		if (dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			(void)unlinkat(dir, name, 0);
	}
}

static NORETURN void
live(struct life *l)
{
	sigset_t all;
	siginfo_t info;
	int stop_signal = SIGTERM;

	sigfillset(&all);
	while (reap(l, stop_signal)) {
		int sig = sigwaitinfo(&all, &info);
		if (sig == SIGCHLD || sig < 0)
			continue;
		if (sig == INIT_CARRIER && info.si_code == SI_QUEUE) {
			if (info.si_value.sival_int & INIT_STOP) {
				l->stopping = true;
				stop_signal = info.si_value.sival_int & INIT_SIGNAL_MASK;
			}
			sig = info.si_value.sival_int & INIT_SIGNAL_MASK;
		}
		if (sig > 0 && sig < NSIG)
			forward(l, sig);
	}
	if (l->start->spec->what & ISOLATE_MOUNT)
		remove_files(l->start->spec);
	_exit(l->code);
}

static void
wait_for_go(int channel)
{
	char c;
	ssize_t n;

	do
		n = read(channel, &c, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(125); /* the keeper has gone, or given up */
}

void
init_main(const struct init_start *s)
{
	struct err e = ERR_INIT;
	struct process_ready ready;
	struct life life = { .start = s };
	struct isolate_event event = { .kind = ISOLATE_STARTED };

	proc_title("pot-init");
	if (set_up(s, &e) < 0)
		fail(s->channel, &e);
	bool command = s->spec->process.argv != NULL || !s->spec->persist;
	if (command && process_prepare(&s->spec->process, &ready, &e) < 0)
		fail(s->channel, &e);
	wait_for_go(s->channel);
	if (command) {
		memcpy(ready.stdio, s->stdio, sizeof(ready.stdio));
		life.command = spawn_command(&ready, &e);
		if (life.command < 0)
			fail(s->channel, &e);
	}
	tell(s->channel, &event);
	/* only the command holds its descriptors from now on */
	for (int i = 0; i < 3; i++)
		if (s->stdio[i] > 2)
			close(s->stdio[i]);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && null >= 0; i++)
		(void)dup2(null, i);
	if (null > 2)
		close(null);
	if (process_shed_rights(&e) < 0)
		fail(s->channel, &e);
	live(&life);
}
