#include "platform/mount.h"

#include "base/own.h"
#include "platform/linux/child.h"
#include "platform/linux/mount_set.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
mount_probe(struct err *e)
{
	/* a bad descriptor tells apart a kernel that has the call and one that has not */
	if (syscall(SYS_mount_setattr, -1, NULL, 0, NULL, 0) < 0 && errno == ENOSYS)
		return err_new(e, ERR_UNSUPPORTED,
		    "this kernel lacks mount_setattr(2); Linux 5.12 or newer is needed");
	return 0;
}

struct root_call {
	const struct mount_root *root;
	const struct mount_item *items;
	size_t n_items;
	mount_fn *fn;
	void *ctx;
};

static int
in_root(void *ctx, struct err *e)
{
	struct root_call *c = ctx;
	struct mount_set set;

	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, "make a mount namespace");
	if (mount_private(e) < 0 || mount_set_open(&set, c->items, c->n_items, e) < 0)
		return -1;
	if (mount_root_here(c->root, e) < 0)
		return -1;
	autofd int root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open the root");
	if (mount_set_attach(&set, c->items, root, e) < 0)
		return -1;
	return c->fn(root, c->ctx, e);
}

static int
mount_with_root(const struct mount_root *root, const struct mount_item *items, size_t n_items,
    mount_fn *fn, void *ctx, struct err *e)
{
	struct root_call c = { root, items, n_items, fn, ctx };

	return child_run(in_root, &c, e);
}

struct running_call {
	pid_t pid;
	uint64_t start;
	mount_fn *fn;
	void *ctx;
};

static int
in_running(void *ctx, struct err *e)
{
	struct running_call *c = ctx;

	if (child_enter(c->pid, c->start, CLONE_NEWNS, e) < 0)
		return -1;
	autofd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open the root of the pot");
	return c->fn(root, c->ctx, e);
}

static int
mount_with_running(pid_t pid, uint64_t start, mount_fn *fn, void *ctx, struct err *e)
{
	struct running_call c = { pid, start, fn, ctx };

	return child_run(in_running, &c, e);
}

struct add_call {
	const struct mount_item *item;
	int tree;
};

static int
add_here(int root_fd, void *ctx, struct err *e)
{
	struct add_call *c = ctx;

	return mount_item_attach(c->tree, c->item, root_fd, e);
}

static int
mount_add(pid_t pid, uint64_t start, const struct mount_item *item, struct err *e)
{
	/* layers are put together in a namespace that is ours alone, which a caller's is not */
	if (item->kind == MOUNT_TREE)
		return err_new(e, ERR_UNSUPPORTED,
		    "mount %s: layers are mounted when the pot starts: stop it first",
		    item->target);
	int tree = mount_item_open(item, e);

	if (tree == -1)
		return -1;
	if (tree < 0)
		return 0; /* its source may lack, and does */
	struct add_call c = { item, tree };
	int result = mount_with_running(pid, start, add_here, &c, e);
	close(tree);
	return result;
}

static int
remove_here(int root_fd, void *ctx, struct err *e)
{
	const char *target = ctx;
	autofd int fd = beneath_open(root_fd, target, O_PATH | O_NOFOLLOW, 0, e);
	char path[40];

	if (fd < 0)
		return -1;
	/* Named through a /proc of our own: the pot's does not show this process. It is attached to
	 * nothing and goes with this child. A file may be a mount as well, so fchdir() would not
	 * do. */
	autofd int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(e, "unmount %s: proc", target);
	autofd int proc = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (proc < 0 || fchdir(proc) < 0)
		return err_sys(e, "unmount %s: proc", target);
	snprintf(path, sizeof(path), "self/fd/%d", fd);
	return umount2(path, MNT_DETACH) < 0 ? err_sys(e, "unmount %s", target) : 0;
}

static int
mount_remove(pid_t pid, uint64_t start, const char *target, struct err *e)
{
	/* the callback's context is not written to */
	return mount_with_running(pid, start, remove_here, (void *)(uintptr_t)target, e);
}

static const char *const places[] = { "dev", "proc", "sys", "run", NULL };

const struct mount_ops mount_native = {
	.name = "mount namespaces",
	.probe = mount_probe,
	.with_root = mount_with_root,
	.with_running = mount_with_running,
	.add = mount_add,
	.remove = mount_remove,
	.places = places,
};
