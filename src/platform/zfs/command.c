#include "base/str.h"
#include "platform/zfs/zfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its words are for us: not in the language of whoever calls. */
static char *const environment[] = { "LC_ALL=C",
	"PATH=/sbin:/usr/sbin:/bin:/usr/bin:/usr/local/sbin", NULL };

int
zfs_find(struct host *h, const char **program, struct err *e)
{
	static const char *const places[] = { "/sbin/zfs", "/usr/sbin/zfs", "/usr/local/sbin/zfs" };

	if (h->roots.zfs_command != NULL) {
		*program = h->roots.zfs_command;
		return access(*program, X_OK) < 0 ? err_sys(e, "run %s", *program) : 0;
	}
	for (size_t i = 0; i < NELEM(places); i++)
		if (access(places[i], X_OK) == 0) {
			*program = places[i];
			return access("/dev/zfs", F_OK) == 0
				   ? 0
				   : err_new(e, ERR_UNSUPPORTED,
					 "ZFS is not in this kernel: there is no /dev/zfs");
		}
	return err_new(e, ERR_UNSUPPORTED, "there is no program zfs on this machine");
}

enum err_kind
zfs_error_kind(const char *text)
{
	static const struct {
		const char *says;
		enum err_kind kind;
	} rows[] = {
		{ "does not exist", ERR_ABSENT }, /* a dataset, snapshot, parent or origin */
		{ "could not find any snapshots to destroy", ERR_ABSENT },
		{ "no such pool", ERR_ABSENT },
		{ "already exists", ERR_EXISTS },
		{ "must specify -F to overwrite", ERR_EXISTS },
		{ "has children", ERR_BUSY },
		{ "dependent clones", ERR_BUSY },
		{ "clones of previous snapshots exist", ERR_BUSY },
		{ "is busy", ERR_BUSY },
		{ "permission denied", ERR_RIGHTS },
		{ "out of space", ERR_FULL },
		{ "quota exceeded", ERR_FULL },
		{ "greater than available space", ERR_FULL },
		{ "ZFS modules are not loaded", ERR_UNSUPPORTED },
		{ "failed to initialize ZFS library", ERR_UNSUPPORTED },
	};

	for (size_t i = 0; i < NELEM(rows); i++)
		if (strstr(text, rows[i].says) != NULL)
			return rows[i].kind;
	return ERR_REMOTE;
}

/* ---- running ---- */

void
zfs_child_fini(struct zfs_child *c)
{
	own_close(&c->out);
	own_close(&c->err);
	if (c->pid > 0) {
		(void)kill(c->pid, SIGKILL);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

int
zfs_spawn(const char *program, const char *const *argv, int in, int out, struct zfs_child *c,
    struct err *e)
{
	posix_spawn_file_actions_t actions;
	autofd int out_end = -1, err_end = -1;
	int pair[2], why;

	if (out < 0) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return err_sys(e, "make a pipe");
		c->out = pair[0];
		out = out_end = pair[1];
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	c->err = pair[0];
	err_end = pair[1];
	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	else
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, err_end, 2);
	why = posix_spawn(
	    &c->pid, program, &actions, NULL, (char *const *)(uintptr_t)argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	if (why != 0) {
		c->pid = 0;
		errno = why;
		return err_sys(e, "run %s", program);
	}
	return 0;
}

int
zfs_drain(int *fd, struct buf *into, size_t max, struct err *e)
{
	char part[16384];
	ssize_t n = read(*fd, part, sizeof(part));

	if (n < 0)
		return errno == EINTR ? 0 : err_sys(e, "read what zfs says");
	if (n == 0) {
		own_close(fd);
		*fd = -1;
	}
	if (n > 0 && into != NULL && into->len + (size_t)n <= max)
		buf_add(into, part, (size_t)n);
	return 0;
}

/* Both ends to their end; what one fills does not hold up the other. */
static int
listen_to(struct zfs_child *c, struct buf *out, struct buf *said, struct err *e)
{
	while (c->out >= 0 || c->err >= 0) {
		struct pollfd p[2] = { { .fd = c->out, .events = POLLIN },
			{ .fd = c->err, .events = POLLIN } };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(e, "wait for zfs");
		if (p[0].revents != 0 && zfs_drain(&c->out, out, ZFS_OUTPUT_MAX, e) < 0)
			return -1;
		if (p[1].revents != 0 && zfs_drain(&c->err, said, 65536, e) < 0)
			return -1;
	}
	return 0;
}

int
zfs_child_wait(struct zfs_child *c, int *status, struct err *e)
{
	pid_t got;

	do
		got = waitpid(c->pid, status, 0);
	while (got < 0 && errno == EINTR);
	c->pid = 0;
	return got < 0 ? err_sys(e, "wait for zfs") : 0;
}

int
zfs_verdict(int status, const char *verb, struct buf *said, struct err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	const char *text = buf_str(said);
	int first = (int)strcspn(text, "\n");
	if (first == 0)
		return err_new(e, ERR_REMOTE, "zfs %s failed without a word (status %d)", verb,
		    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return err_new(e, zfs_error_kind(text), "zfs %s: %.*s", verb, first, text);
}

int
zfs_run_list(struct host *h, const char *const *argv, struct buf *out, struct err *e)
{
	CLEANUP(zfs_child_fini) struct zfs_child c = ZFS_CHILD_INIT;
	autobuf struct buf said = BUF_INIT;
	const char *program;
	int status;

	if (zfs_find(h, &program, e) < 0 || zfs_spawn(program, argv, -1, -1, &c, e) < 0 ||
	    listen_to(&c, out, &said, e) < 0 || zfs_child_wait(&c, &status, e) < 0)
		return -1;
	return zfs_verdict(status, argv[1], &said, e);
}

int
zfs_run(struct host *h, struct buf *out, struct err *e, ...)
{
	const char *argv[ZFS_ARGS] = { "zfs" }, *word;
	size_t n = 1;
	va_list ap;

	va_start(ap, e);
	while ((word = va_arg(ap, const char *)) != NULL && n + 1 < ZFS_ARGS)
		argv[n++] = word;
	va_end(ap);
	argv[n] = NULL;
	return zfs_run_list(h, argv, out, e);
}

int
zfs_stream(struct host *h, const char *const *argv, int in, int out, struct dataset_stream *s,
    struct err *e)
{
	CLEANUP(zfs_child_fini) struct zfs_child c = ZFS_CHILD_INIT;
	const char *program;

	if (zfs_find(h, &program, e) < 0 || zfs_spawn(program, argv, in, out, &c, e) < 0)
		return -1;
	*s = (struct dataset_stream){ .pid = c.pid, .said = take_fd(&c.err), .verb = argv[1] };
	c.pid = 0;
	return 0;
}

int
zfs_stream_end(struct dataset_stream *s, bool give_up, struct err *e)
{
	CLEANUP(zfs_child_fini) struct zfs_child c = { .pid = s->pid, .out = -1, .err = s->said };
	autobuf struct buf said = BUF_INIT;
	int status;

	s->pid = 0;
	s->said = -1;
	if (give_up)
		return 0; /* it is killed */
	if (listen_to(&c, NULL, &said, e) < 0 || zfs_child_wait(&c, &status, e) < 0)
		return -1;
	return zfs_verdict(status, s->verb, &said, e);
}
