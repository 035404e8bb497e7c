#include "platform/freebsd/mounts.h"

#include "base/own.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- nmount(2) ---- */

enum { OPTIONS = 12, SAID = 256 };

struct options {
	struct iovec v[2 * OPTIONS];
	unsigned n;
	char said[SAID]; /* the kernel's own words about a failure */
};

static void
option(struct options *o, const char *name, const char *value)
{
	if (o->n + 2 > NELEM(o->v))
		return;
	o->v[o->n++] = (struct iovec){ (void *)(uintptr_t)name, strlen(name) + 1 };
	o->v[o->n++] =
	    (struct iovec){ (void *)(uintptr_t)value, value != NULL ? strlen(value) + 1 : 0 };
}

static void
flags_as_options(struct options *o, unsigned flags)
{
	static const struct {
		unsigned flag;
		const char *option;
	} map[] = { { MOUNT_RO, "ro" }, { MOUNT_NOSUID, "nosuid" }, { MOUNT_NOEXEC, "noexec" } };

	for (size_t i = 0; i < NELEM(map); i++)
		if (flags & map[i].flag)
			option(o, map[i].option, NULL);
}

/* At the name in the directory that was entered; the kernel looks twice that the path which it
 * notes leads to what is covered. */
static int
mount_here(struct options *o, const char *type, const char *name, struct err *e)
{
	option(o, "fstype", type);
	option(o, "fspath", name);
	o->said[0] = '\0';
	if (o->n + 2 > NELEM(o->v))
		return err_new(e, ERR_INPUT, "mount %s: too many options", type);
	option(o, "errmsg", "");
	o->v[o->n - 1] = (struct iovec){ o->said, sizeof(o->said) };
	if (nmount(o->v, o->n, 0) == 0)
		return 0;
	int sys = errno;
	err_sys(e, "mount %s", type);
	if (o->said[0] != '\0')
		err_new(e, e->kind, "mount %s: %s (%s)", type, strerror(sys), o->said);
	e->sys = sys;
	return -1;
}

static int
mount_at(struct options *o, const char *type, int dir, const char *name, struct err *e)
{
	if (fchdir(dir) < 0)
		return err_sys(e, "enter a mount point");
	int result = mount_here(o, type, name, e);
	if (chdir("/") < 0 && result == 0)
		return err_sys(e, "enter /");
	return result;
}

/* ---- the table of mounts ---- */

static int
unmount_fs(const struct statfs *fs, struct err *e)
{
	char id[64];

	/* by its number: no path, which somebody might change */
	snprintf(id, sizeof(id), "FSID:%d:%d", fs->f_fsid.val[0], fs->f_fsid.val[1]);
	if (unmount(id, MNT_BYFSID | MNT_FORCE) == 0 || errno == ENOENT || errno == EINVAL)
		return 0;
	return err_sys(e, "unmount %s", fs->f_mntonname);
}

/* All mounts there are, to be freed. */
static int
list_mounts(struct statfs **out, struct err *e)
{
	for (;;) {
		int n = getfsstat(NULL, 0, MNT_NOWAIT);
		if (n < 0)
			return err_sys(e, "list the mounts");
		size_t room = ((size_t)n + 16) * sizeof(**out);
		struct statfs *all = xmalloc(room);
		n = getfsstat(all, (long)room, MNT_NOWAIT);
		if (n >= 0 && (size_t)n < room / sizeof(*all)) {
			*out = all;
			return n;
		}
		free(all);
		if (n < 0)
			return err_sys(e, "list the mounts");
	}
}

/* ---- one item ---- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int
target_directory(int root_fd, const char *target, struct err *e)
{
	int fd = beneath_mkdirs(root_fd, target, 0755, e);

	return fd < 0 ? err_ctx(e, "mount point %s", target) : fd;
}

static int
mount_directory(int root_fd, const char *source, const struct stat *is, const char *target,
    unsigned flags, struct err *e)
{
	struct options o = { .n = 0 };
	struct stat st;
	autofd int dir = target_directory(root_fd, target, e);

	if (dir < 0)
		return -1;
	/* a dataset that pot has moved here by its mount point, for instance */
	if (fstat(dir, &st) == 0 && same_file(&st, is))
		return 0;
	option(&o, "from", source);
	flags_as_options(&o, flags);
	return mount_at(&o, "nullfs", dir, ".", e);
}

/* Where a file is mounted: looked for along links within the pot, made when there is none. As on
 * Linux, a link that leads nowhere gives way to an empty file. */
static int
target_file(int root_fd, const char *target, char name[NAME_MAX + 1], struct err *e)
{
	struct stat st;

	if (str_ends(target, "/"))
		return err_new(e, ERR_INPUT, "mount point %s does not name a file", target);
	for (bool made = false;; made = true) {
		struct err absent = ERR_INIT;
		autofd int dir = beneath_parent(root_fd, target, name, &absent);

		if (dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return S_ISREG(st.st_mode)
				   ? take_fd(&dir)
				   : err_new(e, ERR_INPUT,
					 "mount point %s is not a regular file, as its source is",
					 target);
		if (dir >= 0)
			err_sys(&absent, "look at it");
		if (absent.kind != ERR_ABSENT || made) {
			*e = absent;
			return err_ctx(e, "mount point %s", target);
		}
		if (beneath_write(root_fd, target, 0644, "", 0, e) < 0)
			return err_ctx(e, "mount point %s", target);
	}
}

/* A file has no descriptor that could be entered: its name in its directory is looked at again by
 * the kernel, which follows links from the machine's root. Where that led is looked at here. */
static bool
mounted_there(int dir, const char *name, const char *path)
{
	struct statfs fs;
	autofd int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && fstatfs(fd, &fs) == 0 && strcmp(fs.f_mntonname, path) == 0;
}

/* Takes away what was mounted last from the source, wherever that is: a name that was a file when
 * the kernel looked may be gone by now, with the mount on it. */
static int
unmount_newest(const char *source, struct err *e)
{
	autofree struct statfs *all = NULL;
	int n = list_mounts(&all, e);

	for (int i = n - 1; i >= 0; i--)
		if (strcmp(all[i].f_fstypename, "nullfs") == 0 &&
		    strcmp(all[i].f_mntfromname, source) == 0)
			return unmount_fs(&all[i], e);
	return n < 0 ? -1 : 0;
}

static int
mount_file(int root_fd, const char *source, const char *target, unsigned flags, struct err *e)
{
	struct options o = { .n = 0 };
	char name[NAME_MAX + 1], in[PATH_OF_FD], path[PATH_OF_FD + NAME_MAX + 2];
	autofd int dir = target_file(root_fd, target, name, e);

	if (dir < 0)
		return -1;
	option(&o, "from", source);
	flags_as_options(&o, flags);
	if (mount_at(&o, "nullfs", dir, name, e) < 0)
		return -1;
	path_of_fd(dir, in);
	snprintf(path, sizeof(path), "%s/%s", in, name);
	if (mounted_there(dir, name, path))
		return 0;
	if (unmount_newest(source, e) < 0)
		return err_ctx(e, "mount point %s was replaced meanwhile", target);
	return err_new(e, ERR_INPUT, "mount point %s was replaced by a link meanwhile", target);
}

/* Where the source lies, when no link may be on its way: held fast, and asked for its name. */
static int
pin_source(const char *source, char path[PATH_OF_FD], struct err *e)
{
	autofd int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = slash < 0 ? err_sys(e, "open /") : beneath_pin(slash, source, e);

	if (fd >= 0)
		path_of_fd(fd, path);
	return fd;
}

static int
mount_source(
    int root_fd, const struct mount_item *item, const char *source, unsigned flags, struct err *e)
{
	char pinned[PATH_OF_FD] = "";
	struct stat is, now;
	autofd int pin = -1;

	if (item->flags & MOUNT_NO_LINKS) {
		pin = pin_source(source, pinned, e);
		if (pin < 0)
			return e->kind == ERR_ABSENT && (item->flags & MOUNT_MAY_LACK)
				   ? 0
				   : err_ctx(e, "mount %s: source %s", item->target, source);
	}
	if ((pin >= 0 ? fstat(pin, &is) : stat(source, &is)) < 0)
		return errno == ENOENT && (item->flags & MOUNT_MAY_LACK)
			   ? 0
			   : err_sys(e, "mount %s: source %s", item->target, source);
	/* nullfs mounts directories and plain files, and nothing is mounted in devfs */
	if (S_ISCHR(is.st_mode) || S_ISBLK(is.st_mode))
		return err_new(e, ERR_UNSUPPORTED,
		    "%s is a device, which on this system cannot be mounted at %s: a pot has the "
		    "devices that its attribute devfs_ruleset shows",
		    source, item->target);
	if (pin >= 0 && pinned[0] == '\0')
		return err_new(
		    e, ERR_SYS, "mount %s: source %s has no name any more", item->target, source);
	if (pin >= 0)
		source = pinned;
	int result = S_ISDIR(is.st_mode)
			 ? mount_directory(root_fd, source, &is, item->target, flags, e)
			 : mount_file(root_fd, source, item->target, flags, e);
	if (result < 0)
		return err_ctx(e, "mount %s at %s", source, item->target);
	/* the name may have come to mean another place while it was mounted */
	if (pin >= 0 && (lstat(source, &now) < 0 || !same_file(&is, &now)))
		return err_new(e, ERR_INPUT, "mount %s: source %s was replaced meanwhile",
		    item->target, source);
	return 0;
}

static int
mount_tmpfs(int root_fd, const struct mount_item *item, struct err *e)
{
	struct options o = { .n = 0 };
	char mode[16], size[32];
	autofd int dir = beneath_mkdirs(root_fd, item->target, 0755, e);

	if (dir < 0)
		return e->sys == EROFS && (item->flags & MOUNT_MAY_LACK)
			   ? 0
			   : err_ctx(e, "mount point %s", item->target);
	snprintf(mode, sizeof(mode), "%o", item->mode != 0 ? item->mode : 01777U);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)item->size_bytes);
	option(&o, "from", "tmpfs");
	option(&o, "mode", mode);
	if (item->size_bytes != 0)
		option(&o, "size", size);
	flags_as_options(&o, item->flags);
	return mount_at(&o, "tmpfs", dir, ".", e) < 0 ? err_ctx(e, "at %s", item->target) : 0;
}

static int
no_layers(const struct mount_root *r, struct err *e)
{
	if (r->plain != NULL)
		return 0;
	return err_new(e, ERR_UNSUPPORTED,
	    "trees of layers are not there on this system: keep the pots on ZFS");
}

int
mounts_item(int root_fd, const struct mount_item *item, struct err *e)
{
	switch (item->kind) {
	case MOUNT_TMPFS:
		return mount_tmpfs(root_fd, item, e);
	case MOUNT_TREE:
		if (no_layers(&item->tree, e) < 0)
			return -1;
		return mount_source(root_fd, item, item->tree.plain,
		    item->flags | (item->tree.read_only ? MOUNT_RO : 0U), e);
	default:
		return mount_source(root_fd, item, item->source, item->flags, e);
	}
}

int
mounts_kernel_fs(int root_fd, const char *type, const char *target, const char *name,
    const char *value, struct err *e)
{
	struct options o = { .n = 0 };
	autofd int dir = target_directory(root_fd, target, e);

	if (dir < 0)
		return -1;
	option(&o, "from", type);
	if (name != NULL)
		option(&o, name, value);
	return mount_at(&o, type, dir, ".", e) < 0 ? err_ctx(e, "at %s", target) : 0;
}

/* ---- the root ---- */

const char *
mounts_place(const struct mount_root *root)
{
	return root->at != NULL ? root->at : root->plain;
}

int
mounts_root(const struct mount_root *root, int *fd, struct err *e)
{
	const char *place = mounts_place(root);
	struct options o = { .n = 0 };
	struct stat here, there;

	if (no_layers(root, e) < 0)
		return -1;
	autofd int dir = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &here) < 0)
		return err_sys(e, "open %s", place);
	if (stat(root->plain, &there) < 0)
		return err_sys(e, "look at %s", root->plain);
	if (same_file(&here, &there)) {
		*fd = take_fd(&dir);
		return 0;
	}
	option(&o, "from", root->plain);
	flags_as_options(&o, root->read_only ? MOUNT_RO : 0);
	if (mount_at(&o, "nullfs", dir, ".", e) < 0)
		return err_ctx(e, "mount %s at %s", root->plain, place);
	*fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(e, "open %s", place) : 0;
}

/* ---- taking away ---- */

static bool
is_of_place(const struct statfs *fs, const char *place)
{
	size_t n = strlen(place);

	if (strncmp(fs->f_mntonname, place, n) != 0)
		return false;
	return fs->f_mntonname[n] == '/'    ? strcmp(fs->f_fstypename, "zfs") != 0
	       : fs->f_mntonname[n] == '\0' ? strcmp(fs->f_fstypename, "nullfs") == 0
					    : false;
}

int
mounts_clear(const char *place, struct err *e)
{
	autofree struct statfs *all = NULL;
	char real[PATH_MAX];
	int result = 0;

	/* the kernel notes the real path */
	if (realpath(place, real) == NULL)
		return errno == ENOENT ? 0 : err_sys(e, "look for %s", place);
	int n = list_mounts(&all, e);
	/* what was mounted last lies on top */
	for (int i = n - 1; i >= 0; i--) {
		struct err why = ERR_INIT;
		if (!is_of_place(&all[i], real) || unmount_fs(&all[i], &why) == 0)
			continue;
		if (result == 0)
			*e = why;
		result = -1;
	}
	return n < 0 ? -1 : result;
}

int
mounts_remove(int root_fd, const char *target, struct err *e)
{
	autofd int fd = beneath_open(root_fd, target, O_PATH | O_NOFOLLOW, 0, e);
	char path[PATH_OF_FD];
	struct statfs fs;

	if (fd < 0)
		return -1;
	if (fstatfs(fd, &fs) < 0)
		return err_sys(e, "look at what is mounted at %s", target);
	path_of_fd(fd, path);
	if (strcmp(path, fs.f_mntonname) != 0)
		return err_new(e, ERR_ABSENT, "nothing is mounted at %s", target);
	return unmount_fs(&fs, e);
}
