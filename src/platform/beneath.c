/* Files of a pot, by the two ways in that each system has of its own: beneath_open() and
 * beneath_mkdirs(). */
#include "platform/isolate.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Splits "a/b/c" into the directory "a/b" and the name "c". */
static int
split(const char *path, char dir[PATH_MAX], const char **name, struct err *e)
{
	size_t len = strlen(path);

	while (len > 0 && path[len - 1] == '/')
		len--;
	size_t start = len;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (len == start || len >= PATH_MAX || path[len] != '\0' ||
	    strcmp(path + start, "..") == 0 || strcmp(path + start, ".") == 0)
		return err_new(e, ERR_INPUT, "\"%s\" does not name a file in the pot", path);
	memcpy(dir, path, start);
	dir[start] = '\0';
	if (start == 0)
		memcpy(dir, ".", 2);
	*name = path + start;
	return 0;
}

static int
parent_open(int root_fd, const char *path, const char **name, struct err *e)
{
	char dir[PATH_MAX];

	if (split(path, dir, name, e) < 0)
		return -1;
	return beneath_open(root_fd, dir, O_PATH | O_DIRECTORY, 0, e);
}

/* Is it there already, just so? A file of a layer is then not copied up, and one that would only
 * be cut and filled again costs no writing. */
static bool
holds(int parent, const char *name, mode_t mode, const char *data, size_t len)
{
	char was[4096];
	struct stat st;
	autofd int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	return fd >= 0 && len < sizeof(was) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 07777) == mode && st.st_uid == 0 && (size_t)st.st_size == len &&
	       st.st_nlink == 1 && read(fd, was, sizeof(was)) == (ssize_t)len &&
	       memcmp(was, data, len) == 0;
}

int
beneath_write(
    int root_fd, const char *path, mode_t mode, const void *data, size_t len, struct err *e)
{
	char dir[PATH_MAX];
	const char *name = NULL;
	const char *p = data;

	if (split(path, dir, &name, e) < 0)
		return -1;
	autofd int parent = beneath_mkdirs(root_fd, dir, 0755, e);
	if (parent < 0)
		return -1;
	if (holds(parent, name, mode, data, len))
		return 0;
	autofd int fd = openat(
	    parent, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		own_close(&fd);
		if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
			return err_sys(e, "replace %s in the pot", path);
		fd = openat(
		    parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return err_sys(e, "create %s in the pot", path);
	}
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "write %s in the pot", path);
		p += n;
		len -= (size_t)n;
	}
	return fchmod(fd, mode) < 0 ? err_sys(e, "set the mode of %s in the pot", path) : 0;
}

int
beneath_exists(int root_fd, const char *path, struct err *e)
{
	struct err why;
	const char *name = NULL;
	struct stat st;
	autofd int parent = parent_open(root_fd, path, &name, &why);

	if (parent < 0 && why.kind == ERR_ABSENT)
		return 0;
	if (parent < 0) {
		*e = why;
		return -1;
	}
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, "look at %s in the pot", path);
}

int
beneath_remove(int root_fd, const char *path, struct err *e)
{
	const char *name = NULL;
	autofd int parent = parent_open(root_fd, path, &name, e);

	if (parent < 0)
		return -1;
	assert(name != NULL);
	/* what systems say of a directory differs */
	if (unlinkat(parent, name, 0) == 0 ||
	    ((errno == EISDIR || errno == EPERM) && unlinkat(parent, name, AT_REMOVEDIR) == 0))
		return 0;
	return err_sys(e, "remove %s in the pot", path);
}

int
isolate_write_files(const struct isolate_spec *spec, int root, struct err *e)
{
	for (size_t i = 0; i < spec->n_files; i++) {
		const struct isolate_file *f = &spec->files[i];
		if (f->only_if_parent) {
			char parent[PATH_MAX];
			const char *slash = strrchr(f->path, '/');
			size_t n = slash != NULL ? (size_t)(slash - f->path) : 0;
			if (n >= sizeof(parent))
				return err_new(
				    e, ERR_INPUT, "path of a file in the pot is too long");
			memcpy(parent, f->path, n);
			parent[n] = '\0';
			autofd int dir =
			    beneath_open(root, n > 0 ? parent : "/", O_PATH | O_DIRECTORY, 0, e);
			if (dir < 0 && e->kind == ERR_ABSENT)
				continue;
			if (dir < 0)
				return -1;
		}
		if (beneath_write(root, f->path, f->mode, f->content, f->len, e) < 0)
			return -1;
	}
	return 0;
}
