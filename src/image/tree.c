#include "image/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int
tree_claim(const char *dir, bool *made, struct err *e)
{
	if (mkdir(dir, 0755) == 0) {
		*made = true;
		return 0;
	}
	if (errno != EEXIST)
		return err_sys(e, "make directory %s", dir);
	DIR *d = opendir(dir);
	if (d == NULL)
		return err_sys(e, "open directory %s", dir);
	const struct dirent *found;
	while ((found = readdir(d)) != NULL && is_dot(found->d_name))
		;
	bool full = found != NULL;
	closedir(d);
	if (full)
		return err_new(e, ERR_EXISTS, "%s: is not empty", dir);
	*made = false;
	return 0;
}

/* Takes ownership of fd. Depth is bounded by what the file system allows in one path, and each
 * level holds one descriptor, so a hostile depth ends here with EMFILE and is told by the caller's
 * rmdir. */
static void
clear_fd(int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *found;

	if (d == NULL) {
		close(fd);
		return;
	}
	while ((found = readdir(d)) != NULL) {
		if (!is_dot(found->d_name))
			tree_remove_at(dirfd(d), found->d_name);
	}
	closedir(d);
}

void
tree_remove_at(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0)
		return;
	int below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below >= 0)
		clear_fd(below);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}

void
tree_clear(const char *dir, bool itself)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		clear_fd(fd);
	if (itself)
		(void)rmdir(dir);
}
