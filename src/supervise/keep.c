#include "supervise/keep.h"

#include "base/buf.h"
#include "base/clock.h"
#include "codec/wire.h"
#include "platform/proc.h"
#include "supervise/exit.h"
#include "supervise/launch.h"
#include "supervise/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct keep {
	struct launch launch;
	struct arena mem;
	struct isolate isolate;
	struct logs logs[2];
	struct keeper_exit exit;
	int sock; /* -1: nobody listens any more */
	bool running, command_ended, stopping, killed, init_gone;
	int64_t kill_at_ns; /* 0: never */
	uint64_t dropped;
};

/* ---- signals: only noted in the handler ---- */

static volatile sig_atomic_t asked_stop, asked_value, asked_kill, asked_no_finish;

static void
on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	int value = info->si_code == SI_QUEUE ? info->si_value.sival_int : 0;

	if (value & KEEP_NO_FINISH)
		asked_no_finish = 1;
	if (sig == SIGUSR1) {
		asked_kill = 1;
		return;
	}
	asked_value = value & (KEEP_NO_FINISH - 1);
	asked_stop = 1;
}

static void
take_signals(void)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigset_t all;

	sigfillset(&act.sa_mask);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGUSR1, &act, NULL);
	sigfillset(&all); /* let in by ppoll() alone */
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
}

static void
waiting_mask(sigset_t *mask)
{
	sigfillset(mask);
	sigdelset(mask, SIGTERM);
	sigdelset(mask, SIGINT);
	sigdelset(mask, SIGUSR1);
}

/* ---- words to the starter ---- */

static void
say(struct keep *k, const struct buf *body)
{
	struct err e;

	if (k->sock >= 0 && wire_send(k->sock, body, NULL, 0, &e) < 0) {
		close(k->sock);
		k->sock = -1;
	}
}

static void
say_word(struct keep *k, enum keep_word word)
{
	autobuf struct buf body = BUF_INIT;

	wire_begin(&body, word, 0);
	say(k, &body);
}

static void
say_failed(struct keep *k, const struct err *failure)
{
	autobuf struct buf body = BUF_INIT;

	wire_begin(&body, KEEP_FAILED, 0);
	wire_err(&body, KEEP_TAG_FAILURE, failure);
	say(k, &body);
}

static void
say_init(struct keep *k, uint64_t start)
{
	autobuf struct buf body = BUF_INIT;

	wire_begin(&body, KEEP_INIT, 0);
	wire_i64(&body, KEEP_TAG_PID, k->isolate.pid);
	wire_u64(&body, KEEP_TAG_START, start);
	say(k, &body);
}

static void
say_exit(struct keep *k, enum keep_word word)
{
	autobuf struct buf body = BUF_INIT;

	wire_begin(&body, word, 0);
	wire_i64(&body, KEEP_TAG_CODE, k->exit.code);
	wire_i64(&body, KEEP_TAG_SIGNAL, k->exit.signal);
	wire_bool(&body, KEEP_TAG_OOM, k->exit.oom_killed);
	wire_i64(&body, KEEP_TAG_STARTED, k->exit.started_ns);
	wire_i64(&body, KEEP_TAG_ENDED, k->exit.ended_ns);
	say(k, &body);
}

/* ---- starting ---- */

static int
open_log(struct keep *k, int which, int *write_end, struct err *e)
{
	static const char *const names[] = { "stdout", "stderr" };
	struct logs *l = &k->logs[which];
	const struct launch *launch = &k->launch;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	*write_end = p[1];
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	l->max_files = launch->log_max_files != 0 ? launch->log_max_files : 10;
	l->max_file_bytes =
	    launch->log_max_file_bytes != 0 ? launch->log_max_file_bytes : 10ULL << 20;
	l->mode = launch->log_mode != 0 ? launch->log_mode : 0640;
	l->uid = launch->log_uid;
	l->gid = launch->log_gid;
	return logs_open(l, p[0], launch->log_dir,
	    arena_printf(&k->mem, "%s.%s", launch->log_prefix, names[which]), e);
}

static int
open_stdio(struct keep *k, int stdio[3], struct err *e)
{
	stdio[0] = stdio[1] = stdio[2] = -1;
	if (k->launch.stdio == LAUNCH_INHERIT)
		for (int i = 0; i < 3; i++)
			stdio[i] = i;
	if (k->launch.stdio == LAUNCH_FILES)
		for (int i = 0; i < 2; i++)
			if (open_log(k, i, &stdio[i + 1], e) < 0)
				return -1;
	return 0;
}

static int
start(struct keep *k, struct err *e)
{
	autobuf struct buf body = BUF_INIT;
	int stdio[3];
	uint64_t since;

	int got = wire_recv(k->sock, &body, NULL, NULL, e);
	if (got == 0)
		return err_new(e, ERR_REMOTE, "the starter closed before it sent the launch");
	if (got < 0 || launch_decode(body.data, body.len, &k->mem, &k->launch, e) < 0)
		return -1;
	if (open_stdio(k, stdio, e) < 0)
		return -1;
	int result = isolate_native.create(&k->launch.isolate, stdio, &k->isolate, e);
	for (int i = 0; i < 3; i++)
		if (stdio[i] > 2)
			close(stdio[i]);
	if (result < 0)
		return -1;
	if (proc_native.start_time(k->isolate.pid, &since, e) < 0)
		since = 0; /* has ended already; its failure follows */
	say_init(k, since);
	return 0;
}

/* ---- living ---- */

static const char *const *
raw_cgroups(const struct keep *k)
{
	/* a pot's processes end with its init; others have to be found by their cgroup */
	return k->launch.isolate.what & ISOLATE_PID ? NULL : k->launch.isolate.cgroups;
}

static void
kill_all(struct keep *k)
{
	struct err e;

	k->killed = true;
	k->kill_at_ns = 0;
	(void)isolate_native.kill(&k->isolate, raw_cgroups(k), &e);
}

static void
stop(struct keep *k)
{
	int sig = asked_value & ((1 << KEEP_STOP_SIGNAL_BITS) - 1);
	int64_t grace = asked_value >> KEEP_STOP_SIGNAL_BITS;
	struct err e;

	if (k->stopping && asked_value == 0)
		return; /* who only wants it to end leaves signal and patience of who was first */
	if (sig == 0)
		sig = k->launch.stop_signal != 0 ? k->launch.stop_signal : SIGTERM;
	grace = grace > 0 ? (grace - 1) * KEEP_GRACE_UNIT_MS : k->launch.stop_timeout_ms;
	if (!k->running || grace == 0 || sig == SIGKILL) {
		kill_all(k);
		return;
	}
	k->stopping = true;
	k->kill_at_ns = clock_mono_ns() + grace * NS_PER_MS;
	(void)isolate_native.signal(&k->isolate, sig, true, &e);
}

static void
on_starter(struct keep *k)
{
	autobuf struct buf body = BUF_INIT;
	struct wire_head head;
	struct wire_reader r;
	struct err e;

	int got = wire_recv(k->sock, &body, NULL, NULL, &e);
	if (got > 0 && wire_read(body.data, body.len, &head, &r, &e) < 0)
		got = -1;
	if (got > 0 && head.kind == KEEP_GO) {
		k->exit.started_ns = clock_wall_ns();
		if (isolate_native.go(&k->isolate, &e) < 0)
			kill_all(k);
		return;
	}
	if (got > 0 && head.kind == KEEP_ABORT) {
		kill_all(k);
		return;
	}
	/* the starter waits to hear that we noticed; init holds a copy of the descriptor */
	(void)shutdown(k->sock, SHUT_RDWR);
	close(k->sock);
	k->sock = -1;
	if (!k->running && !k->command_ended)
		kill_all(k); /* the start was given up */
}

static void
let_stdio_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3 && null >= 0; i++)
		(void)dup2(null, i);
	if (null > 2)
		close(null);
}

static void
on_event(struct keep *k)
{
	struct isolate_event event;
	struct err e;

	if (isolate_native.event(&k->isolate, &event, &e) <= 0) {
		own_close(&k->isolate.channel);
		k->isolate.channel = -1;
		return;
	}
	switch (event.kind) {
	case ISOLATE_STARTED:
		k->running = true;
		let_stdio_go(); /* whoever reads the command's output waits for the command alone */
		say_word(k, KEEP_RUNNING);
		break;
	case ISOLATE_FAILED:
		k->command_ended = true;
		k->exit.code = 125;
		say_failed(k, &event.failure);
		break;
	case ISOLATE_ENDED:
		k->command_ended = true;
		k->exit.code = event.code;
		k->exit.signal = event.signal;
		k->exit.ended_ns = clock_wall_ns();
		if (k->launch.isolate.persist && !k->stopping && !k->killed) {
			(void)exit_write_stats(k->launch.stats_path, &k->exit, &e);
			say_exit(k, KEEP_COMMAND_ENDED);
		}
		break;
	}
}

static void
wait_for_something(struct keep *k)
{
	struct pollfd p[] = { { .fd = k->sock, .events = POLLIN },
		{ .fd = k->isolate.channel, .events = POLLIN },
		{ .fd = k->isolate.handle, .events = POLLIN },
		{ .fd = k->logs[0].pipe, .events = POLLIN },
		{ .fd = k->logs[1].pipe, .events = POLLIN } };
	struct timespec *limit = NULL, left;
	sigset_t mask;

	if (k->kill_at_ns != 0) {
		int64_t ns = k->kill_at_ns - clock_mono_ns();
		ns = ns < 0 ? 0 : ns;
		left = (struct timespec){ .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };
		limit = &left;
	}
	waiting_mask(&mask);
	int n = ppoll(p, NELEM(p), limit, &mask);
	if (n < 0)
		return; /* a signal */
	if (p[1].revents != 0)
		on_event(k);
	for (int i = 0; i < 2; i++)
		if (p[3 + i].revents != 0)
			(void)logs_pump(&k->logs[i], &k->dropped);
	if (p[0].revents != 0)
		on_starter(k);
	if (p[2].revents != 0)
		k->init_gone = true;
}

static void
live(struct keep *k)
{
	/* the starter was gone before it could be told of init: nobody will say go */
	if (k->sock < 0)
		kill_all(k);
	while (!k->init_gone) {
		wait_for_something(k);
		if (asked_kill) {
			asked_kill = 0;
			kill_all(k);
		}
		if (asked_stop) {
			asked_stop = 0;
			stop(k);
		}
		if (k->kill_at_ns != 0 && clock_mono_ns() >= k->kill_at_ns)
			kill_all(k);
	}
}

/* ---- ending ---- */

/* Its writers are dead: what the pipe holds is all there will ever be. One that could not be killed
 * may write on, and does not hold up the end. */
static void
drain(struct keep *k, struct logs *l)
{
	enum { TURNS = 64 }; /* of 256 KB, which is more than pipes hold */

	for (int i = 0; i < TURNS && l->pipe >= 0 && logs_pump(l, &k->dropped) > 0; i++) {
		struct pollfd p = { .fd = l->pipe, .events = POLLIN };
		if (poll(&p, 1, 0) <= 0)
			break;
	}
}

static void
collect(struct keep *k)
{
	int status;
	struct err e;

	/* what the command left behind; until it is waited for, init's number means nobody else */
	(void)isolate_native.kill(&k->isolate, raw_cgroups(k), &e);
	while (waitpid(k->isolate.pid, &status, 0) < 0 && errno == EINTR)
		;
	while (k->isolate.channel >= 0)
		on_event(k); /* what init said last, then its end */
	for (int i = 0; i < 2; i++) {
		drain(k, &k->logs[i]);
		logs_close(&k->logs[i]);
	}
	if (!k->command_ended) { /* killed with everything */
		k->exit.signal = SIGKILL;
		k->exit.code = 128 + SIGKILL;
	}
	if (k->exit.ended_ns == 0)
		k->exit.ended_ns = clock_wall_ns();
	k->exit.oom_killed = k->exit.code != 0 &&
			     isolate_native.oom_kills(&k->isolate, k->launch.isolate.cgroups) > 0;
	isolate_native.close(&k->isolate);
}

/* There is one already, empty: somebody beside the starter waits for it. */
static bool
is_wanted(const struct launch *l)
{
	char path[4096];

	return l->run_dir != NULL &&
	       snprintf(path, sizeof(path), "%s/exit", l->run_dir) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

static int
finish(struct keep *k)
{
	const struct launch *l = &k->launch;
	struct err e;
	static char *const env[] = { (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		NULL };

	if (k->running || k->command_ended) {
		/* who only starts it may still listen at this moment, and others read the file */
		if (k->sock < 0 || !l->attended || is_wanted(l))
			(void)exit_write(l->run_dir, l->run_id, &k->exit, &e);
		if (k->running)
			(void)exit_write_stats(l->stats_path, &k->exit, &e);
	}
	say_exit(k, KEEP_ENDED);
	if (k->sock >= 0 || l->finish == NULL || asked_no_finish)
		return 0;
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	execve(l->finish[0], (char *const *)(uintptr_t)l->finish, env);
	return 1; /* the sweeper finds the record */
}

int
keep_main(int sock)
{
	static struct keep k = { .logs = { { .pipe = -1, .dir = -1, .file = -1 },
				     { .pipe = -1, .dir = -1, .file = -1 } } };
	struct err e = ERR_INIT;

	k.sock = sock;
	(void)fcntl(sock, F_SETFD, FD_CLOEXEC);
	proc_close_from(
	    sock + 1); /* whatever the starter had open is not held for the length of a run */
	proc_title("pot-keeper");
	take_signals();
	(void)setsid();
	if ((chdir("/") < 0 ? err_sys(&e, "enter /") : start(&k, &e)) < 0) {
		say_failed(&k, &e);
		return 1;
	}
	live(&k);
	collect(&k);
	int status = finish(&k);
	arena_fini(&k.mem);
	return status;
}
