/* Paths of a pot, resolved as its own root would, never leaving it. */
#include "platform/mount.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd;

	/* EAGAIN: something was renamed while ".." was resolved; the kernel asks for another try */
	for (int tries = 0; tries < 64; tries++) {
		fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int
beneath_open(int root_fd, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = open_in_root(root_fd, path, flags, mode);

	return fd < 0 ? err_sys(e, "open %s in the pot", path) : fd;
}

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

int
beneath_mkdirs(int root_fd, const char *path, mode_t mode, struct err *e)
{
	char name[NAME_MAX + 1];
	autofd int at = open_in_root(root_fd, path, O_PATH | O_DIRECTORY, 0);

	if (at >= 0)
		return take_fd(&at);
	if (errno != ENOENT)
		return err_sys(e, "open directory %s in the pot", path);
	/* Walk down prefix by prefix, so that links on the way are followed inside the root. */
	char whole[PATH_MAX];
	if (snprintf(whole, sizeof(whole), "%s", path) >= (int)sizeof(whole))
		return err_new(e, ERR_INPUT, "path in the pot is too long");
	at = open_in_root(root_fd, ".", O_PATH | O_DIRECTORY, 0);
	if (at < 0)
		return err_sys(e, "open the pot's root");
	for (char *p = whole; *p != '\0';) {
		while (*p == '/')
			p++;
		size_t n = strcspn(p, "/");
		if (n == 0)
			break;
		if (n > NAME_MAX)
			return err_new(e, ERR_INPUT, "path in the pot: name too long");
		memcpy(name, p, n);
		name[n] = '\0';
		p += n;
		char kept = *p;
		*p = '\0';
		int next = open_in_root(root_fd, whole, O_PATH | O_DIRECTORY, 0);
		if (next < 0 && errno == ENOENT) {
			if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
				return err_sys(e, "make directory %s in the pot", whole);
			next = open_in_root(root_fd, whole, O_PATH | O_DIRECTORY, 0);
		}
		if (next < 0)
			return err_sys(e, "open directory %s in the pot", whole);
		*p = kept;
		close(at);
		at = next;
	}
	return take_fd(&at);
}

static int
parent_open(int root_fd, const char *path, const char **name, struct err *e)
{
	char dir[PATH_MAX];

	if (split(path, dir, name, e) < 0)
		return -1;
	int fd = open_in_root(root_fd, dir, O_PATH | O_DIRECTORY, 0);
	return fd < 0 ? err_sys(e, "open directory %s in the pot", dir) : fd;
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
	if (unlinkat(parent, name, 0) == 0 ||
	    (errno == EISDIR && unlinkat(parent, name, AT_REMOVEDIR) == 0))
		return 0;
	return err_sys(e, "remove %s in the pot", path);
}

int
beneath_pin(int root_fd, const char *path, struct err *e)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, root_fd, *path != '\0' ? path : ".", &how, sizeof(how));

	return fd < 0 ? err_sys(e, "open %s", path) : fd;
}

void
path_of_fd(int fd, char out[PATH_OF_FD])
{
	snprintf(out, PATH_OF_FD, "/proc/%d/fd/%d", (int)getpid(), fd);
}
