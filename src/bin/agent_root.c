#include "agent_root.h"

#include "agent_bridge.h"
#include "base/str.h"
#include "platform/facts.h"
#include "pot/runner_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
agent_root_needed(void)
{
	return geteuid() == 0 && getenv(RUNNER_FD_ENV) == NULL;
}

int
agent_pid_file(const char *path, struct err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[24];
	int fd = open(path, O_RDWR | O_CREAT,
	    0644); /* stays open, also through exec: closing drops the lock */

	if (fd < 0)
		return err_sys(e, "pid file %s", path);
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		(void)fcntl(fd, F_GETLK, &lock);
		close(fd);
		return err_new(e, ERR_BUSY, "pid file %s: an agent runs already (pid %ld)", path,
		    (long)lock.l_pid);
	}
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0)
		return err_sys(e, "pid file %s", path);
	return fd_write_all(fd, text, (size_t)n, e);
}

static int
own_dir(const char *path, mode_t mode, const struct passwd *pw, struct err *e)
{
	/* Opened first and changed by descriptor: nobody can put a link in its place in between. */
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", path);
	autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", path);
	if (st.st_uid == 0 && (fchown(fd, pw->pw_uid, pw->pw_gid) < 0 || fchmod(fd, mode) < 0))
		return err_sys(e, "give %s to the user %s", path, pw->pw_name);
	return 0;
}

/* The data directory belongs to the agent's user; in -dev it is a new one. */
static int
data_dir(struct agent_config *c, struct arena *a, struct err *e)
{
	const struct passwd *pw = getpwnam(AGENT_USER);

	if (pw == NULL)
		return err_new(e, ERR_ABSENT,
		    "there is no user \"%s\", as which the agent runs: make it with "
		    "`useradd --system %s`, or run `minipot init`",
		    AGENT_USER, AGENT_USER);
	if (c->data_dir == NULL || *c->data_dir == '\0') {
		char *dir = arena_strdup(a, "/tmp/potter-dev-XXXXXX");
		if (mkdtemp(dir) == NULL)
			return err_sys(e, "make %s", dir);
		c->data_dir = dir;
	}
	return own_dir(c->data_dir, 0755, pw, e);
}

/* The agent opens its log itself, again and again: each time that it is told to. */
static int
give_log(const char *path, struct err *e)
{
	const struct passwd *pw = getpwnam(AGENT_USER);
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0 || (pw != NULL && fchown(fd, pw->pw_uid, pw->pw_gid) < 0))
		return err_sys(e, "log file %s", path);
	return 0;
}

static char *
runner_program(const char *self, struct arena *a)
{
	const char *dir = getenv("POTTER_LIBEXEC"), *slash = strrchr(self, '/');

	/* Only who is root anyway may choose the program. */
	if (dir != NULL && getuid() == geteuid())
		return arena_printf(a, "%s/pot-runner", dir);
	return arena_printf(a, "%.*s/../libexec/potter/pot-runner", (int)(slash - self), self);
}

int
agent_root_exec(struct agent_config *c, int argc, char **argv, struct arena *a, struct err *e)
{
	const char *self = facts_program(a);
	const char **args = arena_array(a, (size_t)argc + 16, const char *);
	size_t n = 0;

	if (self == NULL)
		return err_new(
		    e, ERR_SYS, "cannot tell the path of this program: is /proc mounted?");
	bool made = c->data_dir == NULL || *c->data_dir == '\0';
	if (data_dir(c, a, e) < 0)
		return -1;
	if (c->pid_file != NULL && *c->pid_file != '\0' && agent_pid_file(c->pid_file, e) < 0)
		return -1;
	if (c->log_file != NULL && *c->log_file != '\0' && give_log(c->log_file, e) < 0)
		return -1;
	args[n++] = runner_program(self, a);
	args[n++] = "--monitor";
	args[n++] = "--user";
	args[n++] = AGENT_USER;
	args[n++] = "--root"; /* what the agent may name to the runner */
	args[n++] = c->data_dir;
	if (agent_raw_exec(c, "root"))
		args[n++] = "--raw-root";
	if (made) {
		args[n++] = "--remove";
		args[n++] = c->data_dir;
	}
	args[n++] = "--";
	args[n++] = self;
	args[n++] = "agent";
	for (int i = 0; i < argc; i++)
		args[n++] = argv[i];
	if (made) {
		args[n++] = "-data-dir";
		args[n++] = c->data_dir;
	}
	if (c->server->enabled && c->catalog->enabled && c->catalog->bridge_dns)
		agent_bridge_open();
	execv(args[0], (char **)args);
	return err_sys(e, "start %s", args[0]);
}
