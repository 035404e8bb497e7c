#include "client/allocdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIR_MODE = 0777, TMP_MODE = 01777, DEPTH_MAX = 256 };

static int
make_dir(int at, const char *name, mode_t mode, struct err *e)
{
	if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return err_sys(e, "make directory %s", name);
	if (fchmodat(at, name, mode, 0) < 0)
		return err_sys(e, "chmod %s", name);
	return 0;
}

static int
open_alloc(const char *root, const char *alloc_id, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", root, alloc_id);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return fd;
}

int
allocdir_make(const char *root, const char *alloc_id, struct err *e)
{
	static const char *const shared[] = { "alloc", "alloc/logs", "alloc/data" };
	autofree char *path = xasprintf("%s/%s", root, alloc_id);

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make directory %s", path);
	autofd int fd = open_alloc(root, alloc_id, e);
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < NELEM(shared); i++)
		if (make_dir(fd, shared[i], DIR_MODE, e) < 0)
			return -1;
	return make_dir(fd, "alloc/tmp", TMP_MODE, e);
}

int
allocdir_make_task(const char *root, const char *alloc_id, const char *task, struct err *e)
{
	static const struct {
		const char *name;
		mode_t mode;
	} own[] = { { "local", DIR_MODE }, { "secrets", 0700 }, { "tmp", TMP_MODE } };
	autofd int fd = open_alloc(root, alloc_id, e);

	if (fd < 0 || make_dir(fd, task, DIR_MODE, e) < 0)
		return -1;
	autofd int dir = openat(fd, task, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return err_sys(e, "open %s/%s", alloc_id, task);
	for (size_t i = 0; i < NELEM(own); i++)
		if (make_dir(dir, own[i].name, own[i].mode, e) < 0)
			return -1;
	return 0;
}

static int
remove_tree(int at, const char *name, int depth, struct err *e)
{
	if (depth > DEPTH_MAX)
		return err_new(e, ERR_INPUT, "%s: directories nest too deeply", name);
	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", name);
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return err_sys(e, "read %s", name);
	}
	int result = 0;
	for (struct dirent *d; result == 0 && (d = readdir(dir)) != NULL;)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			result = remove_tree(fd, d->d_name, depth + 1, e);
	closedir(dir);
	if (result == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, "remove %s", name);
	return result;
}

int
allocdir_remove(const char *root, const char *alloc_id, struct err *e)
{
	autofd int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", root);
	return remove_tree(fd, alloc_id, 0, e);
}
