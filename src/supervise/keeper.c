#include "supervise/keeper.h"

#include "base/buf.h"
#include "base/clock.h"
#include "codec/wire.h"
#include "platform/proc.h"
#include "supervise/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEEPER_FD = 3, ABOVE = 10 };

static void
reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- starting ---- */

/* sock becomes 3 and stdio 0 to 2 in the child; sources lie above, so that none overwrites another.
 */
static int
spawn_program(const char *program, const struct launch *l, int sock, const int stdio[3], pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char *const argv[] = { (char *)(uintptr_t) "pot-keeper", (char *)(uintptr_t)l->pot,
		(char *)(uintptr_t)l->run_id, NULL };
	char *const env[] = { NULL };

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions, stdio[i], i);
	posix_spawn_file_actions_adddup2(&actions, sock, KEEPER_FD);
	int result = posix_spawn(pid, program, &actions, &attr, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return result;
}

static int
start_program(const char *program, const struct launch *l, int sock, const int stdio[3],
    struct keeper *k, struct err *e)
{
	char path[PROC_PROGRAM_PATH];
	int fds[3] = { -1, -1, -1 }, result = 0;
	autofd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	autofd int lifted = fcntl(sock, F_DUPFD_CLOEXEC, ABOVE);

	if (null < 0 || lifted < 0)
		return err_sys(e, "prepare the start of %s", program);
	for (int i = 0; i < 3 && result == 0; i++) {
		int from =
		    l->stdio == LAUNCH_INHERIT && stdio != NULL && stdio[i] >= 0 ? stdio[i] : null;
		fds[i] = fcntl(from, F_DUPFD_CLOEXEC, ABOVE);
		if (fds[i] < 0)
			result = err_sys(e, "pass standard descriptor %d", i);
	}
	if (result == 0) {
		k->program = proc_program(program, path);
		errno = spawn_program(path, l, lifted, fds, &k->pid);
		if (errno != 0)
			result = err_sys(e, "start %s", program);
	}
	for (int i = 0; i < 3; i++)
		own_close(&fds[i]);
	return result;
}

/* ---- hearing ---- */

struct heard {
	enum keep_word word;
	struct err failure;
	int64_t pid;
	uint64_t start;
	struct keeper_exit exit;
};

static int
heard_field(const struct wire_field *f, struct heard *h, struct err *e)
{
	switch (f->tag) {
	case KEEP_TAG_PID:
		return wire_get_i64(f, &h->pid, e);
	case KEEP_TAG_START:
		return wire_get_u64(f, &h->start, e);
	case KEEP_TAG_FAILURE:
		return wire_get_err(f, &h->failure, e);
	case KEEP_TAG_CODE:
		return wire_get_int(f, 0, 255, &h->exit.code, e);
	case KEEP_TAG_SIGNAL:
		return wire_get_int(f, 0, 128, &h->exit.signal, e);
	case KEEP_TAG_OOM:
		return wire_get_bool(f, &h->exit.oom_killed, e);
	case KEEP_TAG_STARTED:
		return wire_get_i64(f, &h->exit.started_ns, e);
	case KEEP_TAG_ENDED:
		return wire_get_i64(f, &h->exit.ended_ns, e);
	default:
		return 0;
	}
}

static int
hear(int sock, struct heard *h, struct err *e)
{
	autobuf struct buf body = BUF_INIT;
	struct wire_head head;
	struct wire_reader r;
	struct wire_field f;
	int got = wire_recv(sock, &body, NULL, NULL, e), more;

	if (got == 0)
		return err_new(e, ERR_REMOTE,
		    "the pot's keeper has ended without a word; it was killed, and the pot with "
		    "it");
	if (got < 0 || wire_read(body.data, body.len, &head, &r, e) < 0)
		return -1;
	*h = (struct heard){ .word = (enum keep_word)head.kind };
	while ((more = wire_next(&r, &f, e)) > 0)
		if (heard_field(&f, h, e) < 0)
			return -1;
	return more;
}

static int
expect(int sock, enum keep_word word, struct heard *h, struct err *e)
{
	if (hear(sock, h, e) < 0)
		return -1;
	if (h->word == KEEP_FAILED) {
		*e = h->failure;
		return -1;
	}
	if (h->word == KEEP_ENDED) /* it was stopped before it ran */
		return err_new(e, ERR_REMOTE, "the pot was stopped while it started");
	if (h->word != word)
		return err_new(e, ERR_REMOTE, "the pot's keeper said %d where %d was due",
		    (int)h->word, (int)word);
	return 0;
}

/* ---- the table ---- */

static void
hang_up(struct keeper *k)
{
	own_close(&k->sock);
	own_close(&k->program);
	k->sock = k->program = -1;
}

/* A start that has come to nothing, whose reason has been heard. */
static int
spawn_failed(struct keeper *k)
{
	hang_up(k);
	if (k->pid > 0)
		reap(k->pid);
	return -1;
}

/* Our end is closed first; what the keeper still says tells whether it had noticed before its end.
 */
static int
keeper_detach(struct keeper *k)
{
	struct heard h = { .word = KEEP_FAILED };
	struct err e;
	bool ended = false;

	(void)shutdown(k->sock, SHUT_WR);
	while (!ended && hear(k->sock, &h, &e) == 0)
		ended = h.word == KEEP_ENDED;
	hang_up(k);
	if (ended)
		reap(k->pid);
	return ended;
}

static void
keeper_abort(struct keeper *k)
{
	autobuf struct buf body = BUF_INIT;
	struct heard h = { .word = KEEP_FAILED };
	struct err e;

	wire_begin(&body, KEEP_ABORT, 0);
	/* listening until the end keeps it from finishing the run, which the caller does */
	if (wire_send(k->sock, &body, NULL, 0, &e) == 0)
		while (hear(k->sock, &h, &e) == 0 && h.word != KEEP_ENDED)
			;
	hang_up(k);
	reap(k->pid);
}

static int
keeper_spawn(const char *program, const struct launch *l, const int stdio[3], struct keeper *out,
    struct err *e)
{
	autobuf struct buf body = BUF_INIT;
	struct heard h = { .word = KEEP_FAILED };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "make the channel to the keeper");
	autofd int theirs = pair[1];
	struct keeper k = { .sock = pair[0], .program = -1 };
	launch_encode(l, &body);
	/* the message waits in the socket while the program loads; a long one needs its reader */
	if (start_program(program, l, theirs, stdio, &k, e) < 0)
		return spawn_failed(&k);
	close(take_fd(&theirs));
	if (wire_send(k.sock, &body, NULL, 0, e) < 0 || expect(k.sock, KEEP_INIT, &h, e) < 0)
		return spawn_failed(&k);
	k.init_pid = (pid_t)h.pid;
	k.init_start = h.start;
	/* one that has ended already has said why, which keeper_go() hears */
	if (proc_native.start_time(k.pid, &k.start, e) < 0)
		k.start = 0;
	*out = k;
	return 0;
}

static int
keeper_go(struct keeper *k, struct err *e)
{
	autobuf struct buf body = BUF_INIT;
	struct heard h = { .word = KEEP_FAILED };

	wire_begin(&body, KEEP_GO, 0);
	/* a keeper whose init failed meanwhile has said why: that is heard even when it is gone */
	struct err unsent;
	(void)wire_send(k->sock, &body, NULL, 0, &unsent);
	/* letting a view go takes the kernel a moment, which is free here: the root is being
	 * mounted */
	own_close(&k->program);
	k->program = -1;
	return expect(k->sock, KEEP_RUNNING, &h, e);
}

static int
wait_held(struct pollfd *p, int timeout_ms, const sigset_t *held)
{
	const struct timespec bound = { .tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L };

	if (held == NULL)
		return poll(p, 1, timeout_ms);
	return ppoll(p, 1, timeout_ms < 0 ? NULL : &bound, held);
}

static int
keeper_wait(struct keeper *k, int timeout_ms, struct keeper_exit *x, struct err *e)
{
	struct pollfd p = { .fd = k->sock, .events = POLLIN };
	struct heard h = { .word = KEEP_FAILED };
	int n;

	do
		n = wait_held(&p, timeout_ms, k->held);
	while (n < 0 && errno == EINTR && timeout_ms < 0 && k->held == NULL);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		return err_sys(e, "wait for the keeper");
	if (n == 0)
		return 0;
	if (hear(k->sock, &h, e) < 0)
		return -1;
	*x = h.exit;
	if (h.word == KEEP_COMMAND_ENDED)
		return 2;
	if (h.word != KEEP_ENDED)
		return err_new(
		    e, ERR_REMOTE, "the pot's keeper said %d where its end was due", (int)h.word);
	hang_up(k);
	reap(k->pid);
	return 1;
}

const struct keeper_ops keeper_native = {
	.spawn = keeper_spawn,
	.go = keeper_go,
	.wait = keeper_wait,
	.detach = keeper_detach,
	.abort = keeper_abort,
};

/* ---- those found in a record ---- */

int
keeper_alive(pid_t pid, uint64_t start, struct err *e)
{
	return proc_native.alive(pid, start, e);
}

static int
stop_by(pid_t pid, uint64_t start, int sig, int value, int timeout_ms, struct err *e)
{
	struct err why;
	autofd int handle = proc_native.open(pid, start, &why);

	if (handle < 0 || proc_native.queue(handle, sig, value, &why) < 0) {
		if (why.kind == ERR_ABSENT)
			return 0;
		*e = why;
		return -1;
	}
	int ended = proc_native.wait(handle, timeout_ms, e);
	if (ended == 0) {
		if (proc_native.signal(handle, SIGKILL, e) < 0 && e->kind != ERR_ABSENT)
			return -1;
		ended = proc_native.wait(handle, -1, e);
	}
	return ended < 0 ? -1 : 0;
}

static int
stop_value(int signal, long long grace_ms)
{
	long long units = grace_ms < 0 ? 0 : grace_ms / KEEP_GRACE_UNIT_MS + 1;

	if (units > KEEP_GRACE_MAX)
		units = KEEP_GRACE_MAX;
	return (signal & ((1 << KEEP_STOP_SIGNAL_BITS) - 1)) |
	       (int)(units << KEEP_STOP_SIGNAL_BITS);
}

int
keeper_ask(pid_t pid, uint64_t start, struct err *e)
{
	struct err why;
	autofd int handle = proc_native.open(pid, start, &why);

	if (handle >= 0 && proc_native.queue(handle, SIGTERM, KEEP_NO_FINISH, &why) == 0)
		return 0;
	if (why.kind == ERR_ABSENT)
		return 0;
	*e = why;
	return -1;
}

int
keeper_stop_with(
    pid_t pid, uint64_t start, int signal, int64_t grace_ms, int timeout_ms, struct err *e)
{
	return stop_by(
	    pid, start, SIGTERM, stop_value(signal, grace_ms) | KEEP_NO_FINISH, timeout_ms, e);
}

int
keeper_stop(pid_t pid, uint64_t start, int timeout_ms, struct err *e)
{
	return keeper_stop_with(pid, start, 0, -1, timeout_ms, e);
}

int
keeper_kill(pid_t pid, uint64_t start, struct err *e)
{
	/* a keeper that does not answer is killed itself: its pot dies with it */
	return stop_by(pid, start, SIGUSR1, KEEP_NO_FINISH, 10000, e);
}
