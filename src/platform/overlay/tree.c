#include "platform/overlay/tree.h"

#include "base/buf.h"
#include "base/ids.h"
#include "base/map.h"
#include "platform/btrfs/subvolume.h"
#include "platform/overlay/meta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/fs.h>
#include <sys/xattr.h>
#endif

/* One descriptor or two are open for each level. */
enum { REMOVE_DEPTH = 64, COPY_DEPTH = 200 };

static bool
is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static void
close_dir(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}
#define autodir CLEANUP(close_dir)

/* A stream over a directory of its own descriptor, so that the caller's offset stays. */
static DIR *
open_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && d == NULL)
		close(fd);
	return d;
}

/* ---- removing ---- */

/* Files marked immutable are in the way of their own removal. */
static void
clear_flags(int dir_fd, const char *name)
{
#ifdef __linux__
	autofd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int flags = 0;

	if (fd >= 0)
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
#else
	(void)chflagsat(dir_fd, name, 0, AT_SYMLINK_NOFOLLOW);
#endif
}

static int
unlink_any(int dir_fd, const char *name, int flags)
{
	if (unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT)
		return 0;
	if (errno != EPERM)
		return -1;
	clear_flags(dir_fd, ".");
	clear_flags(dir_fd, name);
	return unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT ? 0 : -1;
}

static int
remove_below(int dir_fd, int top_fd, int depth, struct err *e)
{
	autodir DIR *d = open_dir(dir_fd, ".");
	struct dirent *entry;

	if (d == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "open a directory to remove it");
	while ((entry = readdir(d)) != NULL) {
		const char *name = entry->d_name;

		if (is_dots(name))
			continue;
		if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) {
			if (unlink_any(dir_fd, name, 0) < 0)
				return err_sys(e, "remove %s", name);
			continue;
		}
		autofd int sub =
		    openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		char up[RUN_ID_TEXT];

		if (sub >= 0 && subvolume_is(sub)) {
			if (subvolume_remove(dir_fd, name, e) < 0)
				return -1;
		} else if (sub < 0) {
			if (unlink_any(dir_fd, name, 0) < 0)
				return err_sys(e, "remove %s", name);
		} else if (depth >= REMOVE_DEPTH) {
			if (renameat(dir_fd, name, top_fd, ids_run(up)) < 0 && errno != ENOENT)
				return err_sys(e, "move %s up to remove it", name);
		} else {
			if (remove_below(sub, top_fd, depth + 1, e) < 0)
				return -1;
			if (unlink_any(dir_fd, name, AT_REMOVEDIR) < 0)
				return err_sys(e, "remove directory %s", name);
		}
	}
	return 0;
}

static int
is_empty(int dir_fd)
{
	autodir DIR *d = open_dir(dir_fd, ".");
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (!is_dots(entry->d_name))
			return 0;
	return 1;
}

int
tree_empty(int dir_fd, struct err *e)
{
	do {
		if (remove_below(dir_fd, dir_fd, 0, e) < 0)
			return -1;
	} while (!is_empty(dir_fd));
	return 0;
}

/* ---- copying ---- */

struct copy {
	const struct names *skip;
	struct buf
	    path; /* of the directory being copied, below the root, with a slash at its end */
	struct map links; /* "device:inode" of a file with several names → its first path, owned */
	int to_root;
};

static void
copy_fini(struct copy *c)
{
	const char *key;
	void *value;

	for (size_t i = 0; map_next(&c->links, &i, &key, &value);)
		free(value);
	map_fini(&c->links);
	buf_fini(&c->path);
}

static bool
is_skipped(const struct names *skip, const char *dir, const char *name)
{
	size_t len = strlen(dir);

	for (size_t i = 0; skip != NULL && i < skip->n; i++)
		if (strncmp(skip->at[i], dir, len) == 0 && strcmp(skip->at[i] + len, name) == 0)
			return true;
	return false;
}

static int
copy_xattrs(int from, int to, struct err *e)
{
#ifdef __linux__
	autofree char *names = NULL, *value = NULL;
	ssize_t n = flistxattr(from, NULL, 0);

	if (n <= 0)
		return n == 0 || errno == ENOTSUP ? 0 : err_sys(e, "list extended attributes");
	names = xmalloc((size_t)n);
	value = xmalloc(XATTR_SIZE_MAX);
	n = flistxattr(from, names, (size_t)n);
	for (char *at = names; n > 0 && at < names + n; at += strlen(at) + 1) {
		ssize_t len = fgetxattr(from, at, value, XATTR_SIZE_MAX);

		/* How a layer of overlayfs marks its own things means nothing elsewhere. */
		if (len < 0 || strncmp(at, "trusted.overlay.", 16) == 0)
			continue;
		if (fsetxattr(to, at, value, (size_t)len, 0) < 0 && errno != ENOTSUP)
			return err_sys(e, "set extended attribute %s", at);
	}
#else
	(void)from, (void)to, (void)e;
#endif
	return 0;
}

static int
set_owner_mode_times(int fd, const struct stat *st, struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	/* the owner first: changing it takes set-user-id bits away */
	if (fchown(fd, st->st_uid, st->st_gid) < 0 || fchmod(fd, st->st_mode & 07777) < 0 ||
	    futimens(fd, times) < 0)
		return err_sys(e, "set owner, mode and times");
	return 0;
}

int
tree_attributes(int from, int to, struct err *e)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_sys(e, "stat");
	if (fchown(to, st.st_uid, st.st_gid) < 0 || copy_xattrs(from, to, e) < 0 ||
	    set_owner_mode_times(to, &st, e) < 0)
		return -1;
	return 0;
}

static int
copy_bytes(int from, int to, off_t size, struct err *e)
{
	enum { CHUNK = 1 << 16 };
	autofree char *chunk = NULL;
	ssize_t n = 1;

#ifdef __linux__
	if (ioctl(to, FICLONE, from) == 0)
		return 0;
#endif
	while (size > 0 && (n = copy_file_range(from, NULL, to, NULL, (size_t)size, 0)) > 0)
		size -= n;
	if (n == 0)
		return 0; /* it became shorter meanwhile */
	if (n > 0)
		return 0;
	if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
		return err_sys(e, "copy");
	chunk = xmalloc(CHUNK);
	while ((n = read(from, chunk, CHUNK)) > 0)
		if (fd_write_all(to, chunk, (size_t)n, e) < 0)
			return -1;
	return n < 0 ? err_sys(e, "read") : 0;
}

static int
copy_file(int from_dir, int to_dir, const char *name, const struct stat *st, struct err *e)
{
	autofd int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autofd int to = -1;

	if (from < 0)
		return err_sys(e, "open");
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return err_sys(e, "make");
	if (copy_bytes(from, to, st->st_size, e) < 0 || fchown(to, st->st_uid, st->st_gid) < 0 ||
	    copy_xattrs(from, to, e) < 0)
		return -1;
	return set_owner_mode_times(to, st, e);
}

static int
copy_special(int from_dir, int to_dir, const char *name, const struct stat *st, struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	char target[4096];

	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

		if (n < 0)
			return err_sys(e, "read link");
		target[n] = '\0';
		if (symlinkat(target, to_dir, name) < 0)
			return err_sys(e, "make link");
	} else if (S_ISSOCK(st->st_mode)) {
		return 0; /* means nothing without the process that made it */
	} else if (mknodat(to_dir, name, st->st_mode & (S_IFMT | 07777), st->st_rdev) < 0) {
		return err_sys(e, "make device or pipe");
	} else if (fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0) {
		return err_sys(e, "set mode");
	}
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "set owner and times");
	return 0;
}

/* 1: a further name of a file that was copied, now linked; 0: not. */
static int
copy_hard_link(struct copy *c, int to_dir, const char *name, const struct stat *st, struct err *e)
{
	char key[64];
	const char *first;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return 0;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->st_dev,
	    (unsigned long long)st->st_ino);
	first = map_get(&c->links, key);
	if (first == NULL) {
		(void)map_set(&c->links, key, xasprintf("%s%s", buf_str(&c->path), name));
		return 0;
	}
	if (linkat(c->to_root, first, to_dir, name, 0) < 0)
		return err_sys(e, "link to %s", first);
	return 1;
}

static int copy_dir(struct copy *c, int from, int to, int depth, struct err *e);

static int
copy_entry(struct copy *c, int from_dir, int to_dir, const char *name, int depth, struct err *e)
{
	struct stat st;
	int linked;

	if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "stat");
	linked = copy_hard_link(c, to_dir, name, &st, e);
	if (linked != 0)
		return linked < 0 ? -1 : 0;
	if (S_ISREG(st.st_mode))
		return copy_file(from_dir, to_dir, name, &st, e);
	if (!S_ISDIR(st.st_mode))
		return copy_special(from_dir, to_dir, name, &st, e);

	autofd int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autofd int to = -1;
	size_t path_len = c->path.len;
	int result;

	if (from < 0 || mkdirat(to_dir, name, 0700) < 0 ||
	    (to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return err_sys(e, "make directory");
	if (depth >= COPY_DEPTH)
		return err_new(
		    e, ERR_UNSUPPORTED, "directories are nested more than %d deep", COPY_DEPTH);
	buf_addf(&c->path, "%s/", name);
	result = copy_dir(c, from, to, depth + 1, e);
	c->path.data[path_len] = '\0';
	c->path.len = path_len;
	return result;
}

static int
copy_dir(struct copy *c, int from, int to, int depth, struct err *e)
{
	autodir DIR *d = open_dir(from, ".");
	struct dirent *entry;

	if (d == NULL)
		return err_sys(e, "open directory %s", buf_str(&c->path));
	while ((entry = readdir(d)) != NULL) {
		if (is_dots(entry->d_name) || is_skipped(c->skip, buf_str(&c->path), entry->d_name))
			continue;
		if (copy_entry(c, from, to, entry->d_name, depth, e) < 0)
			return depth > 0
				   ? -1
				   : err_ctx(e, "copy %s%s", buf_str(&c->path), entry->d_name);
	}
	return tree_attributes(from, to, e);
}

int
tree_copy(int from, int to, const struct names *skip, struct err *e)
{
	CLEANUP(copy_fini) struct copy c = { .skip = skip, .to_root = to };

	return copy_dir(&c, from, to, 0, e);
}

/* ---- counting ---- */

struct count {
	const struct names *skip;
	struct buf path;
	struct map seen;
	uint64_t blocks;
};

static int
count_dir(struct count *c, int dir_fd, int depth, struct err *e)
{
	autodir DIR *d = open_dir(dir_fd, ".");
	struct dirent *entry;
	struct stat st;

	if (d == NULL || fstat(dir_fd, &st) < 0)
		return err_sys(e, "open directory %s", buf_str(&c->path));
	c->blocks += (uint64_t)st.st_blocks;
	while ((entry = readdir(d)) != NULL) {
		const char *name = entry->d_name;

		if (is_dots(name) || is_skipped(c->skip, buf_str(&c->path), name) ||
		    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < COPY_DEPTH) {
			autofd int sub =
			    openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			size_t path_len = c->path.len;

			if (sub < 0)
				continue; /* removed meanwhile */
			buf_addf(&c->path, "%s/", name);
			if (count_dir(c, sub, depth + 1, e) < 0)
				return -1;
			c->path.data[path_len] = '\0';
			c->path.len = path_len;
			continue;
		}
		if (st.st_nlink > 1) {
			char key[64];

			snprintf(key, sizeof(key), "%llx", (unsigned long long)st.st_ino);
			if (map_set(&c->seen, key, c) != NULL)
				continue;
		}
		c->blocks += (uint64_t)st.st_blocks;
	}
	return 0;
}

int
tree_bytes(int dir_fd, const struct names *skip, uint64_t *bytes, struct err *e)
{
	struct count c = { .skip = skip };
	int result = count_dir(&c, dir_fd, 0, e);

	map_fini(&c.seen);
	buf_fini(&c.path);
	if (result == 0)
		*bytes = c.blocks * 512;
	return result;
}
