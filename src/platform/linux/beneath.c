/* Paths of a pot, resolved as its own root would, never leaving it. */
#include "platform/mount.h"

#include "base/own.h"

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
