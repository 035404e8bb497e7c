#include "pot/runner_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Paths in requests. The directories below the roots belong to the agent, who could exchange one
 * for a link between our look and our use; so what was looked at is held by a descriptor and used
 * through it.
 */

static bool
has_dots(const char *path)
{
	for (const char *p = path; *p != '\0';) {
		size_t n = strcspn(p, "/");
		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return true;
		p += n + (p[n] == '/');
	}
	return false;
}

/* The root that path lies below, and what follows it ("" for the root itself). */
static const char *
root_of(const struct runner_config *c, const char *path, const char **rest)
{
	for (size_t i = 0; c->roots != NULL && c->roots[i] != NULL; i++) {
		size_t n = strlen(c->roots[i]);
		while (n > 1 && c->roots[i][n - 1] == '/')
			n--;
		if (strncmp(path, c->roots[i], n) == 0 &&
		    (n == 1 || path[n] == '/' || path[n] == '\0')) {
			*rest = path + n + strspn(path + n, "/");
			return c->roots[i];
		}
	}
	return NULL;
}

static int
refused(const char *path, struct err *e)
{
	return err_new(e, ERR_RIGHTS,
	    "%s lies outside of what pot-runner may touch for the agent; the operator allows more "
	    "with its option --root",
	    path);
}

int
runner_path_check(const struct runner_config *c, const char *path, struct err *e)
{
	const char *rest;

	if (path == NULL || path[0] != '/' || has_dots(path))
		return err_new(e, ERR_INPUT, "\"%s\" is not an absolute path without dots",
		    path != NULL ? path : "");
	return root_of(c, path, &rest) != NULL ? 0 : refused(path, e);
}

bool
runner_everywhere(const struct runner_config *c)
{
	for (size_t i = 0; c->roots != NULL && c->roots[i] != NULL; i++)
		if (c->roots[i][strspn(c->roots[i], "/")] == '\0')
			return true;
	return false;
}

/* Of a walk that failed at a link: which one it is. */
static void
blame_link(int base, char *dir, const char *path, struct err *e)
{
	char to[1];

	for (char *p = dir; *p != '\0';) {
		p += strcspn(p, "/");
		char kept = *p;
		*p = '\0';
		bool link = readlinkat(base, dir, to, sizeof(to)) >= 0;
		if (link)
			err_new(e, ERR_INPUT,
			    "%s: \"%s\" is a symbolic link, and pot-runner follows none below a "
			    "--root: name what it leads to",
			    path, dir);
		*p = kept;
		if (link)
			return;
		p += strspn(p, "/");
	}
}

int
runner_pin(struct runner_child *child, const char *path, struct pinned *out, struct err *e)
{
	const char *rest = "";
	char dir[PATH_SIZE];

	if (runner_path_check(child->config, path, e) < 0)
		return -1;
	out->root = root_of(child->config, path, &rest);
	if (!str_copy(dir, sizeof(dir), rest))
		return err_new(e, ERR_INPUT, "path too long: %s", path);
	size_t len = strlen(dir);
	while (len > 0 && dir[len - 1] == '/')
		dir[--len] = '\0';
	out->below = out->name = arena_strdup(&child->mem, dir);
	if (out->keep_name) {
		char *slash = strrchr(dir, '/');
		out->name += slash != NULL ? slash + 1 - dir : 0;
		*(slash != NULL ? slash : dir) = '\0';
	}
	autofd int base = open(out->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return err_sys(e, "open %s", out->root);
	out->fd = beneath_pin(base, dir, e);
	if (out->fd >= 0)
		return 0;
	err_ctx(e, "%s", path);
	blame_link(base, dir, path, e);
	return -1;
}

int
runner_path(struct runner_child *child, const char *path, bool keep_name, char **out, struct err *e)
{
	struct pinned pinned = { .keep_name = keep_name };
	char at[PATH_OF_FD];

	if (runner_pin(child, path, &pinned, e) < 0)
		return -1;
	path_of_fd(pinned.fd, at);
	*out = keep_name && *pinned.name != '\0'
		   ? arena_printf(&child->mem, "%s/%s", at, pinned.name)
		   : arena_strdup(&child->mem, at);
	return 0;
}

enum { READER_SECONDS = 10 };

static void
too_late(int sig)
{
	(void)sig; /* open(2) ends with EINTR */
}

int
runner_open_output(struct runner_child *child, const char *path, struct err *e)
{
	struct sigaction act = { .sa_handler = too_late };
	struct stat st;
	char *at;

	if (strcmp(path, "/dev/null") == 0) {
		int null = open(path, O_WRONLY | O_CLOEXEC);
		return null < 0 ? err_sys(e, "open %s", path) : null;
	}
	if (runner_path(child, path, true, &at, e) < 0)
		return -1;
	if (lstat(at, &st) < 0)
		return err_sys(e, "output to %s", path);
	if (!S_ISFIFO(st.st_mode))
		return err_new(e, ERR_INPUT, "output to %s: it is no FIFO", path);
	/* waits for the reader; never opened and closed in between, which the reader would take for
	 * the end */
	(void)sigaction(SIGALRM, &act, NULL);
	(void)alarm(READER_SECONDS);
	int fd = open(at, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	int why = errno;
	(void)alarm(0);
	if (fd < 0 && why == EINTR)
		return err_new(e, ERR_TIMEOUT, "output to %s: nobody reads it after %d seconds",
		    path, READER_SECONDS);
	errno = why;
	return fd < 0 ? err_sys(e, "output to %s", path) : fd;
}
