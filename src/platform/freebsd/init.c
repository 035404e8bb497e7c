#include "platform/freebsd/init.h"

#include "base/own.h"
#include "platform/freebsd/jail.h"
#include "platform/freebsd/links.h"
#include "platform/freebsd/mounts.h"
#include "platform/proc.h"
#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/procctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the end of all ---- */

static void
remove_files(const struct isolate_spec *spec)
{
	const char *place = mounts_place(&spec->root);
	struct err e = ERR_INIT;
	struct stat st;
	autofd int root = place != NULL ? open(place, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	for (size_t i = 0; root >= 0 && i < spec->n_files; i++) {
		const char *path = spec->files[i].path, *name = strrchr(path, '/') + 1;
		char parent[PATH_MAX];
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

static void
first_of(int *result, const struct err *why, struct err *e)
{
	if (*result == 0)
		*e = *why;
	*result = -1;
}

int
pot_take_down(const struct isolate_spec *spec, int jid, bool apart, struct err *e)
{
	autostack struct stack s = STACK_INIT;
	struct err why = ERR_INIT;
	int result = 0;

	if (jid > 0 && jail_empty(jid, &s, &why) < 0)
		first_of(&result, &why, e);
	if (spec->what & ISOLATE_MOUNT) {
		remove_files(spec);
		if (mounts_clear(mounts_place(&spec->root), &why) < 0)
			first_of(&result, &why, e);
	}
	if (jid > 0 && jail_end(jid, &s, apart, &why) < 0)
		first_of(&result, &why, e);
	return result;
}

/* Whatever this process has started, and what that left. */
static void
kill_descendants(void)
{
	struct procctl_reaper_kill all = { .rk_sig = SIGKILL };

	(void)procctl(P_PID, getpid(), PROC_REAP_KILL, &all);
}

static NORETURN void
orphaned(const struct init_start *s)
{
	struct err ignored = ERR_INIT;

	(void)pot_take_down(s->spec, s->jid, false, &ignored);
	kill_descendants();
	_exit(125);
}

/* ---- words to the keeper ---- */

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

static void
wait_for_go(const struct init_start *s)
{
	char c;
	ssize_t n;

	do
		n = read(s->channel, &c, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		orphaned(s); /* the keeper has given up, or is gone */
}

/* ---- the command ---- */

static NORETURN void
command_main(const struct init_start *s, int report)
{
	struct process_ready ready;
	struct err e = ERR_INIT;
	int off = PROC_TRACE_CTL_DISABLE, none = 0;

	(void)procctl(P_PID, 0, PROC_TRACE_CTL, &off);
	(void)procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &none);
	if (s->jid > 0 && jail_attach(s->jid) < 0)
		err_sys(&e, "enter jail %d", s->jid);
	else if (process_prepare(&s->spec->process, &ready, &e) == 0) {
		memcpy(ready.stdio, s->stdio, sizeof(ready.stdio));
		(void)process_exec(&ready, &e);
	}
	(void)!write(report, &e, sizeof(e));
	_exit(127);
}

/* The report closes when the command runs, or says why it does not. */
static pid_t
spawn_command(const struct init_start *s, struct err *e)
{
	int report[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		command_main(s, report[1]);
	close(report[1]);
	struct err failure;
	ssize_t n;
	do
		n = pid < 0 ? 0 : read(report[0], &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (pid < 0)
		return err_sys(e, "make the command's process");
	if (n != (ssize_t)sizeof(failure))
		return pid;
	*e = failure;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -1;
}

/* ---- afterwards ---- */

struct life {
	const struct init_start *start;
	pid_t command; /* 0: has ended */
	bool stopping;
	int code;
};

/* All that is left of a persistent pot, by one of us who is in there with them. */
static void
signal_jail(int jid, int sig)
{
	pid_t pid = jid > 0 ? fork() : -1;

	if (pid != 0)
		return; /* reaped with the others */
	_exit(jail_attach(jid) == 0 && kill(-1, sig) == 0 ? 0 : 1);
}

static void
forward(struct life *l, int sig)
{
	if (l->command > 0)
		(void)kill(l->command, sig);
	else
		signal_jail(l->start->jid, sig);
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

/* What somebody started in there by an exec has its parent elsewhere. A shell that somebody types
 * into pays no heed to SIGTERM, but knows what a terminal does that goes away. */
static bool
others_live(int jid)
{
	autofree struct kinfo_proc *all = NULL;
	struct err ignored = ERR_INIT;
	size_t n;

	if (jid <= 0 || jail_processes(jid, &all, &n, &ignored) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((all[i].ki_kiflag & KI_SLEADER) && (all[i].ki_kiflag & KI_CTTY))
			(void)kill(all[i].ki_pid, SIGHUP);
	return n > 0;
}

/* By one of us whose end is heard of as that of the others is. */
static void
await_others(int jid)
{
	struct err ignored = ERR_INIT;

	if (fork() != 0)
		return;
	closefrom(0);
	_exit(jail_await(jid, &ignored) < 0);
}

enum reaped { REAP_SOME, REAP_NONE_LEFT, REAP_END /* nothing is left to live for */ };

static enum reaped
reap(struct life *l, int stop_signal)
{
	struct err gone = ERR_INIT;
	char place[PATH_MAX];
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != l->command)
			continue;
		command_ended(l, status);
		if (!l->start->spec->persist)
			return REAP_END;
		if (l->stopping)
			forward(l, stop_signal);
	}
	if (pid == 0 || errno != ECHILD || l->command != 0)
		return REAP_SOME;
	if (l->stopping && others_live(l->start->jid)) {
		await_others(l->start->jid);
		return REAP_SOME;
	}
	/* a jail that somebody else has removed does not come back */
	if (l->stopping || l->start->jid <= 0 ||
	    jail_root(l->start->jid, place, sizeof(place), &gone) < 0)
		return REAP_END;
	return REAP_NONE_LEFT;
}

/* Without a process in it a jail can be removed by somebody else with nobody told; FreeBSD 14 has
 * no event for that, so then it is looked after now and then. */
static int
next_signal(enum reaped left, siginfo_t *info)
{
	static const struct timespec now_and_then = { 2, 0 };
	sigset_t all;

	sigfillset(&all);
	return left == REAP_NONE_LEFT ? sigtimedwait(&all, info, &now_and_then)
				      : sigwaitinfo(&all, info);
}

static NORETURN void
live(struct life *l)
{
	enum reaped left;
	siginfo_t info;
	int stop_signal = SIGTERM;

	proc_keep_sigchld();
	while ((left = reap(l, stop_signal)) != REAP_END) {
		int sig = next_signal(left, &info);
		/* the kernel's word; the parent's number may still be the old one now */
		if (sig == INIT_ORPHANED && info.si_code == SI_KERNEL)
			orphaned(l->start);
		if (sig == SIGCHLD || sig < 0)
			continue;
		if (sig == INIT_CARRIER && info.si_code == SI_QUEUE) {
			if (info.si_value.sival_int & INIT_STOP) {
				l->stopping = true;
				stop_signal = info.si_value.sival_int & INIT_SIGNAL_MASK;
			}
			sig = info.si_value.sival_int & INIT_SIGNAL_MASK;
		}
		if (sig > 0 && sig < INIT_ORPHANED)
			forward(l, sig);
	}
	/* who is in a jail ends with it, by the keeper */
	if (l->start->jid == 0)
		kill_descendants();
	_exit(l->code);
}

static void
only_noted(int sig)
{
	(void)sig; /* never called: all signals are blocked */
}

/* What is ignored unless a program says otherwise never becomes pending here, so that nobody could
 * wait for it: with a handler it does. */
static void
want_all_signals(void)
{
	static const int ignored[] = { SIGCHLD, SIGCONT, SIGINFO, SIGIO, SIGURG, SIGWINCH };
	struct sigaction act = { .sa_handler = only_noted };

	for (size_t i = 0; i < NELEM(ignored); i++)
		(void)sigaction(ignored[i], &act, NULL);
}

static int
set_up(const struct init_start *s, struct err *e)
{
	int off = PROC_TRACE_CTL_DISABLE;

	want_all_signals();

	if (s->jid > 0)
		setproctitle("-pot-init: jail %d (%s)", s->jid, s->spec->name);
	else
		setproctitle("-pot-init");
	(void)procctl(P_PID, 0, PROC_TRACE_CTL, &off);
	if (proc_subreaper(e) < 0)
		return -1;
	return proc_die_with_parent(s->keeper, INIT_ORPHANED, e);
}

static void
let_stdio_go(const struct init_start *s)
{
	for (int i = 0; i < 3; i++)
		if (s->stdio[i] > 2)
			close(s->stdio[i]);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && null >= 0; i++)
		(void)dup2(null, i);
	if (null > 2)
		close(null);
}

void
init_main(const struct init_start *s)
{
	struct err e = ERR_INIT;
	struct life life = { .start = s };
	struct isolate_event event = { .kind = ISOLATE_STARTED };

	if (set_up(s, &e) < 0)
		fail(s->channel, &e);
	/* from now on this process can be asked which jail it stands for */
	if (send(s->channel, "r", 1, MSG_NOSIGNAL) != 1)
		orphaned(s);
	wait_for_go(s);
	if (s->spec->process.argv != NULL || !s->spec->persist) {
		life.command = spawn_command(s, &e);
		if (life.command < 0)
			fail(s->channel, &e);
	}
	tell(s->channel, &event);
	/* only the command holds its descriptors from now on */
	let_stdio_go(s);
	live(&life);
}
