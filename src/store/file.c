#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
check_name(const char *name, struct err *e)
{
	if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0 || strlen(name) > 200)
		return err_new(e, ERR_INPUT, "\"%s\" is no file name", name);
	return 0;
}

static int
write_new(int dirfd, const char *temp, const void *data, size_t len, mode_t mode, bool durable,
    struct err *e)
{
	autofd int fd =
	    openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "create");
	if (fd_write_all(fd, data, len, e) < 0)
		return -1;
	if (fchmod(fd, mode) < 0)
		return err_sys(e, "set the mode");
	if (durable && fsync(fd) < 0)
		return err_sys(e, "sync");
	return 0;
}

static int
sync_dir(int dirfd, struct err *e)
{
	/* dirfd may be AT_FDCWD or opened with O_PATH, which cannot be synced itself */
	autofd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open the directory");
	if (fsync(fd) < 0)
		return err_sys(e, "sync the directory");
	return 0;
}

static int
put(int dirfd, const char *name, const void *data, size_t len, mode_t mode, bool durable,
    struct err *e)
{
	static atomic_uint serial;
	char temp[256];

	if (check_name(name, e) < 0)
		return -1;
	snprintf(temp, sizeof(temp), ".%s.new.%ld-%u", name, (long)getpid(),
	    atomic_fetch_add(&serial, 1));
	(void)unlinkat(dirfd, temp, 0); /* a process of this id died here in an earlier boot */
	if (write_new(dirfd, temp, data, len, mode, durable, e) < 0) {
		(void)unlinkat(dirfd, temp, 0);
		return err_ctx(e, "write %s", name);
	}
	if (renameat(dirfd, temp, dirfd, name) < 0) {
		err_sys(e, "write %s: rename", name);
		(void)unlinkat(dirfd, temp, 0);
		return -1;
	}
	if (durable && sync_dir(dirfd, e) < 0)
		return err_ctx(e, "write %s", name);
	return 0;
}

int
file_replace(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *e)
{
	return put(dirfd, name, data, len, mode, true, e);
}

int
file_swap(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *e)
{
	return put(dirfd, name, data, len, mode, false, e);
}

int
file_load(int dirfd, const char *name, size_t max, struct buf *out, struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	autofd int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", name);
	if (buf_read_fd(out, fd, max, e) < 0)
		return err_ctx(e, "read %s", name);
	return 0;
}

int
file_remove(int dirfd, const char *name, struct err *e)
{
	if (check_name(name, e) < 0)
		return -1;
	if (unlinkat(dirfd, name, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_sys(e, "remove %s", name);
	}
	return sync_dir(dirfd, e) < 0 ? err_ctx(e, "remove %s", name) : 0;
}
