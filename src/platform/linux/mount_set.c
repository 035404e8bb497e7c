#include "platform/linux/mount_set.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int
mount_private(struct err *e)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, "make the mounts private");
	return 0;
}

/* ---- the root ---- */

static int
open_without_links(const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(O_PATH | O_CLOEXEC | flags),
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* The options of one overlay must fit in a page, and know no commas or colons in paths: with
 * `by_fd` each directory is named by a descriptor of its own. */
struct overlay_text {
	char text[4096];
	size_t len;
	bool fits, by_fd;
	int fds[256];
	size_t n_fds;
};

static bool
plain_path(const char *path)
{
	return strpbrk(path, ",:\\\"") == NULL;
}

static int
overlay_add(
    struct overlay_text *o, const char *before, const char *path, bool no_links, struct err *e)
{
	char by_fd[40];

	if (o->by_fd) {
		if (o->n_fds == NELEM(o->fds))
			return err_new(e, ERR_FULL, "more than %zu layers", NELEM(o->fds));
		int fd = no_links ? open_without_links(path, O_DIRECTORY)
				  : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "open layer %s%s", path,
			    no_links && errno == ELOOP ? ", where no symbolic link may be" : "");
		o->fds[o->n_fds++] = fd;
		snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
		path = by_fd;
	} else if (!plain_path(path)) {
		o->fits = false;
	}
	int n = snprintf(o->text + o->len, sizeof(o->text) - o->len, "%s%s", before, path);
	if (n < 0 || (size_t)n >= sizeof(o->text) - o->len)
		o->fits = false;
	else
		o->len += (size_t)n;
	return 0;
}

static int
overlay_text(struct overlay_text *o, const struct mount_root *r, bool by_fd, struct err *e)
{
	o->len = o->n_fds = 0;
	o->fits = true;
	o->by_fd = by_fd;
	for (size_t i = 0; r->lower[i] != NULL; i++)
		if (overlay_add(o, i == 0 ? "lowerdir=" : ":", r->lower[i],
			r->no_links && r->lower[i + 1] == NULL, e) < 0)
			return -1;
	if (r->upper == NULL)
		return 0;
	if (overlay_add(o, ",upperdir=", r->upper, false, e) < 0)
		return -1;
	return overlay_add(o, ",workdir=", r->work, false, e);
}

static int
mount_overlay(const struct mount_root *r, const char *target, struct err *e)
{
	struct overlay_text o;
	/* what an image brings as a device is none: those of a pot are in its /dev */
	unsigned long flags = MS_NODEV | (r->upper == NULL || r->read_only ? MS_RDONLY : 0UL);
	int result = r->no_links ? 0 : overlay_text(&o, r, false, e);

	if (result == 0 && (r->no_links || !o.fits))
		result = overlay_text(&o, r, true, e);
	if (result == 0 && !o.fits)
		result = err_new(e, ERR_FULL, "too many layers below %s", target);
	if (result == 0 && mount("overlay", target, "overlay", flags, o.text) < 0)
		result = err_sys(e, "mount the layers of %s", target);
	for (size_t i = 0; i < o.n_fds; i++)
		close(o.fds[i]);
	return result;
}

/* A tree without layers of its own is one directory, read-only. */
static bool
has_layers(const struct mount_root *r)
{
	return r->plain == NULL && (r->upper != NULL || (r->lower != NULL && r->lower[0] != NULL &&
							    (r->lower[1] != NULL || r->no_links)));
}

/* Any directory serves as the mount point: what is mounted is entered or taken, not named, from
 * then on. */
static const char *
some_directory(const struct mount_root *r)
{
	return r->plain != NULL	  ? r->plain
	       : r->upper != NULL ? r->upper
	       : r->lower != NULL ? r->lower[0]
				  : NULL;
}

int
mount_root_here(const struct mount_root *r, struct err *e)
{
	const char *target = some_directory(r);

	if (target == NULL)
		return err_new(e, ERR_INPUT, "a root without a directory");
	if (has_layers(r)) {
		if (mount_overlay(r, target, e) < 0)
			return -1;
	} else {
		bool read_only = r->plain == NULL || r->read_only;
		/* alone where it must not change: read-only it would be, but not what is mounted
		 * below (datasets of a base) */
		unsigned long flags = MS_BIND | (read_only ? 0UL : (unsigned long)MS_REC);
		if (mount(target, target, NULL, flags, NULL) < 0)
			return err_sys(e, "bind the root %s", target);
		struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV |
						       (read_only ? MOUNT_ATTR_RDONLY : 0U) };
		if (syscall(SYS_mount_setattr, AT_FDCWD, target, read_only ? 0U : AT_RECURSIVE,
			&attr, sizeof(attr)) < 0)
			return err_sys(e, "make the root %s without devices%s", target,
			    read_only ? ", read-only" : "");
	}
	if (chdir(target) < 0)
		return err_sys(e, "enter the root %s", target);
	return 0;
}

int
mount_pivot(struct err *e)
{
	/* both on one directory: the old root lies below the new one until it is let go */
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return err_sys(e, "let the host's tree go");
	} else if (errno == EINVAL) { /* the host runs from an initramfs, which cannot be pivoted */
		if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
			return err_sys(e, "move to the new root");
	} else {
		return err_sys(e, "change to the new root");
	}
	return chdir("/") < 0 ? err_sys(e, "enter the new root") : 0;
}

/* ---- mounts in it ---- */

static uint64_t
attributes(unsigned flags)
{
	return (flags & MOUNT_RO ? MOUNT_ATTR_RDONLY : 0U) |
	       (flags & MOUNT_NOSUID ? MOUNT_ATTR_NOSUID : 0U) |
	       (flags & MOUNT_NODEV ? MOUNT_ATTR_NODEV : 0U) |
	       (flags & MOUNT_NOEXEC ? MOUNT_ATTR_NOEXEC : 0U);
}

/* The source, cloned. It is looked up in this mount namespace: a descriptor from another one cannot
 * be cloned here, so whoever distrusts the path asks for one without links instead. */
static int
source_clone(const struct mount_item *item, unsigned recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive;

	if ((item->flags & MOUNT_NO_LINKS) == 0)
		return (int)syscall(SYS_open_tree, AT_FDCWD, item->source, flags);
	autofd int fd = open_without_links(item->source, 0);
	return fd < 0 ? -1 : (int)syscall(SYS_open_tree, fd, "", flags | AT_EMPTY_PATH);
}

static int
bind_open(const struct mount_item *item, struct err *e)
{
	unsigned recursive = item->flags & MOUNT_RECURSIVE ? AT_RECURSIVE : 0U;
	autofd int tree = source_clone(item, recursive);
	struct mount_attr attr = { .attr_set = attributes(item->flags) };

	if (tree < 0 && errno == ENOENT && (item->flags & MOUNT_MAY_LACK))
		return -2;
	if (tree < 0)
		return err_sys(e, "mount %s: source %s", item->target, item->source);
	if (attr.attr_set != 0 && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | recursive,
				      &attr, sizeof(attr)) < 0)
		return err_sys(e, "mount %s: set its attributes", item->target);
	return take_fd(&tree);
}

static int
tmpfs_option(int fs, const char *key, unsigned long long value, bool octal)
{
	char text[32];

	snprintf(text, sizeof(text), octal ? "%llo" : "%llu", value);
	return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, text, 0);
}

static int
tmpfs_open(const struct mount_item *item, struct err *e)
{
	autofd int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0)
		return err_sys(e, "mount %s: tmpfs", item->target);
	if (tmpfs_option(fs, "mode", item->mode != 0 ? item->mode : 01777, true) < 0 ||
	    (item->size_bytes != 0 && tmpfs_option(fs, "size", item->size_bytes, false) < 0) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(e, "mount %s: make a tmpfs", item->target);
	int tree = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes(item->flags));
	return tree < 0 ? err_sys(e, "mount %s: tmpfs", item->target) : tree;
}

/* The layers are mounted where nobody looks, taken from there, and let go. */
static int
layers_open(const struct mount_root *r, struct err *e)
{
	const char *target = some_directory(r);

	if (mount_overlay(r, target, e) < 0)
		return -1;
	int tree =
	    (int)syscall(SYS_open_tree, AT_FDCWD, target, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		err_sys(e, "take the layers of %s", target);
	(void)umount2(target, MNT_DETACH);
	return tree;
}

static int
tree_open(const struct mount_item *item, struct err *e)
{
	const struct mount_root *r = &item->tree;
	bool read_only = r->plain == NULL ? r->upper == NULL : r->read_only;
	struct mount_attr attr = { .attr_set = attributes(item->flags) | MOUNT_ATTR_NODEV |
					       (read_only ? MOUNT_ATTR_RDONLY : 0U) };

	if (some_directory(r) == NULL)
		return err_new(e, ERR_INPUT, "mount %s: a tree without a directory", item->target);
	autofd int tree = has_layers(r) ? layers_open(r, e)
					: (int)syscall(SYS_open_tree, AT_FDCWD, some_directory(r),
					      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return has_layers(r) ? err_ctx(e, "mount %s", item->target)
				     : err_sys(e, "mount %s: %s", item->target, some_directory(r));
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(e, "mount %s: set its attributes", item->target);
	return take_fd(&tree);
}

int
mount_item_open(const struct mount_item *item, struct err *e)
{
	switch (item->kind) {
	case MOUNT_TMPFS:
		return tmpfs_open(item, e);
	case MOUNT_TREE:
		return tree_open(item, e);
	default:
		return bind_open(item, e);
	}
}

/* The mount point, made as a directory or an empty file as the tree is. */
static int
target_open(int tree, const struct mount_item *item, int root_fd, struct err *e)
{
	struct stat st;

	if (fstat(tree, &st) < 0)
		return err_sys(e, "mount %s: look at its source", item->target);
	if (S_ISDIR(st.st_mode))
		return beneath_mkdirs(root_fd, item->target, 0755, e);
	struct err absent;
	int fd = beneath_open(root_fd, item->target, O_PATH, 0, &absent);
	if (fd >= 0 || absent.kind != ERR_ABSENT) {
		if (fd < 0)
			*e = absent;
		return fd;
	}
	if (beneath_write(root_fd, item->target, 0644, "", 0, e) < 0)
		return -1;
	return beneath_open(root_fd, item->target, O_PATH, 0, e);
}

int
mount_item_attach(int tree, const struct mount_item *item, int root_fd, struct err *e)
{
	autofd int target = target_open(tree, item, root_fd, e);

	if (target < 0 && item->kind == MOUNT_TMPFS && (item->flags & MOUNT_MAY_LACK) &&
	    e->sys == EROFS)
		return 0;
	if (target < 0)
		return err_ctx(e, "mount point %s", item->target);
	if (syscall(SYS_move_mount, tree, "", target, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(e, "mount %s", item->target);
	return 0;
}

int
mount_set_open(struct mount_set *set, const struct mount_item *items, size_t n, struct err *e)
{
	*set = (struct mount_set){ .trees = NULL };
	if (n == 0)
		return 0;
	set->trees = xcalloc(n, sizeof(*set->trees));
	for (; set->n < n; set->n++) {
		int tree = mount_item_open(&items[set->n], e);
		if (tree == -1) {
			mount_set_close(set);
			return -1;
		}
		set->trees[set->n] = tree < 0 ? -1 : tree;
	}
	return 0;
}

void
mount_set_close(struct mount_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->trees[i] >= 0)
			close(set->trees[i]);
	free(set->trees);
	*set = (struct mount_set){ .trees = NULL };
}

int
mount_set_attach(struct mount_set *set, const struct mount_item *items, int root_fd, struct err *e)
{
	int result = 0;

	for (size_t i = 0; i < set->n && result == 0; i++)
		if (set->trees[i] >= 0)
			result = mount_item_attach(set->trees[i], &items[i], root_fd, e);
	mount_set_close(set);
	return result;
}
