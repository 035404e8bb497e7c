#include "image/tool.h"

#include "base/buf.h"
#include "base/str.h"
#include "platform/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { LOOK_EVERY_MS = 200 };

static const char *
find_debootstrap(void)
{
	static const char *const places[] = { "/usr/sbin/debootstrap",
		"/usr/local/sbin/debootstrap", "/usr/bin/debootstrap",
		"/usr/local/bin/debootstrap" };

	for (size_t i = 0; i < NELEM(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

static int
check_suite(const char *suite, struct err *e)
{
	if (suite[0] == '\0' || suite[0] == '-' ||
	    strspn(suite, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(suite))
		return err_new(
		    e, ERR_INPUT, "suite \"%s\": is not the name of a Debian suite", suite);
	return 0;
}

/* Its lines become progress; the last one explains a failure. */
static int
follow(struct tool *t, pid_t pid, int fd, char last[256], struct err *e)
{
	autobuf struct buf held = BUF_INIT;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char chunk[4096], *newline;
	uint64_t lines = 0;
	bool asked = false;

	for (;;) {
		if (!asked && tool_check(t, e) < 0) {
			asked = true;
			(void)kill(-pid, SIGTERM);
		}
		/* The timeout only serves to look for a wish to stop that came in between. */
		if (poll(&p, 1, LOOK_EVERY_MS) <= 0)
			continue;
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return asked ? -1 : 0;
		buf_add(&held, chunk, (size_t)n);
		while (held.len > 0 && (newline = memchr(held.data, '\n', held.len)) != NULL) {
			*newline = '\0';
			str_copy(last, 256, held.data);
			report_progress(&t->report, last, ++lines, 0);
			buf_drop(&held, (size_t)(newline - held.data) + 1);
		}
	}
}

static int
start(const char *const argv[], int out, pid_t *pid, struct err *e)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, out, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setpgroup(&attr, 0); /* so that its helpers can be stopped with it */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	int rc = posix_spawn(pid, argv[0], &actions, &attr, (char **)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "start %s", argv[0]);
	}
	return 0;
}

struct making {
	struct tool *tool;
	const char *suite;
	const char *const *argv;
};

/* In a mount namespace of our own: what debootstrap mounts in the new root (/proc, /sys) is gone
 * with it, however it ends, and is never there when the root is cleared. */
static int
run_debootstrap(int root_fd, void *ctx, struct err *e)
{
	const struct making *m = ctx;
	char last[256] = "";
	int ends[2], status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe to debootstrap");
	autofd int read_end = ends[0], write_end = ends[1];
	(void)root_fd;
	if (start(m->argv, write_end, &pid, e) < 0)
		return -1;
	close(take_fd(&write_end));
	int rc = follow(m->tool, pid, read_end, last, e);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc < 0)
		return err_ctx(e, "debootstrap %s", m->suite);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_new(e, ERR_REMOTE, "debootstrap %s: failed with code %d: %s", m->suite,
	    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), last);
}

int
suite_make(
    struct tool *t, const char *suite, const char *mirror, const char *root_dir, struct err *e)
{
	const char *program = find_debootstrap();
	const char *const argv[] = { program, "--variant=minbase", suite, root_dir, mirror, NULL };
	struct making m = { .tool = t, .suite = suite, .argv = argv };
	struct mount_root root = { .plain = root_dir };
	bool made = false;

	if (check_suite(suite, e) < 0)
		return -1;
	if (program == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "suite %s: the program debootstrap is missing: install the package "
		    "\"debootstrap\", or use a directory or a tarball",
		    suite);
	if (geteuid() != 0)
		return err_new(e, ERR_RIGHTS, "suite %s: debootstrap needs root", suite);
	if (tree_claim(root_dir, &made, e) < 0)
		return -1;
	if (mount_native.with_root(&root, NULL, 0, run_debootstrap, &m, e) < 0) {
		tree_clear(root_dir, made);
		return -1;
	}
	return 0;
}
