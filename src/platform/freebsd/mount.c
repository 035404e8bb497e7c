#include "platform/mount.h"

#include "base/own.h"
#include "base/str.h"
#include "platform/child.h"
#include "platform/freebsd/jail.h"
#include "platform/freebsd/mounts.h"
#include "platform/proc.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/param.h>
#include <sys/mount.h>

static int
mount_probe(struct err *e)
{
	struct xvfsconf fs;

	/* asking for it does not load it: the first mount does */
	if (getvfsbyname("nullfs", &fs) < 0 && getvfsbyname("zfs", &fs) < 0)
		return err_new(e, ERR_UNSUPPORTED, "this kernel has neither nullfs nor ZFS loaded");
	return 0;
}

/* ---- a pot that does not run ---- */

struct root_call {
	const struct mount_root *root;
	const struct mount_item *items;
	size_t n_items;
	mount_fn *fn;
	void *ctx;
};

static int
put_together(const struct root_call *c, int *root, struct err *e)
{
	if (mounts_root(c->root, root, e) < 0)
		return -1;
	for (size_t i = 0; i < c->n_items; i++)
		if (mounts_item(*root, &c->items[i], e) < 0)
			return -1;
	return 0;
}

static int
in_root(void *ctx, struct err *e)
{
	struct root_call *c = ctx;
	const char *place = mounts_place(c->root);
	struct err later = ERR_INIT;
	autofd int root = -1;
	bool mounts = c->root->at != NULL || c->n_items > 0;

	/* what an interrupted call left; the pot does not run */
	if (mounts && mounts_clear(place, e) < 0)
		return -1;
	int result = put_together(c, &root, e);
	if (result == 0)
		result = c->fn(root, c->ctx, e);
	own_close(&root);
	root = -1;
	if (mounts && mounts_clear(place, &later) < 0 && result == 0) {
		*e = later;
		return -1;
	}
	return result;
}

/* In a child, which goes on when its caller is killed: what it mounted it takes away. */
static int
mount_with_root(const struct mount_root *root, const struct mount_item *items, size_t n_items,
    mount_fn *fn, void *ctx, struct err *e)
{
	struct root_call c = { root, items, n_items, fn, ctx };

	return child_run(in_root, &c, e);
}

/* ---- one that runs ---- */

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
	char place[PATH_MAX];

	int alive = proc_native.alive(c->pid, c->start, e);
	if (alive <= 0)
		return alive < 0 ? -1 : err_new(e, ERR_ABSENT, "the pot has ended");
	int jid = jail_of(c->pid, e);
	if (jid == 0)
		return err_new(e, ERR_INPUT, "process %d has no root of its own", (int)c->pid);
	if (jid < 0 || jail_root(jid, place, sizeof(place), e) < 0)
		return -1;
	autofd int root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "open the root of the pot, %s", place);
	return c->fn(root, c->ctx, e);
}

static int
mount_with_running(pid_t pid, uint64_t start, mount_fn *fn, void *ctx, struct err *e)
{
	struct running_call c = { pid, start, fn, ctx };

	return child_run(in_running, &c, e);
}

static int
add_here(int root_fd, void *ctx, struct err *e)
{
	return mounts_item(root_fd, ctx, e);
}

static int
mount_add(pid_t pid, uint64_t start, const struct mount_item *item, struct err *e)
{
	/* the callback does not write to it */
	return mount_with_running(pid, start, add_here, (void *)(uintptr_t)item, e);
}

static int
remove_here(int root_fd, void *ctx, struct err *e)
{
	return mounts_remove(root_fd, ctx, e);
}

static int
mount_remove(pid_t pid, uint64_t start, const char *target, struct err *e)
{
	return mount_with_running(pid, start, remove_here, (void *)(uintptr_t)target, e);
}

static const char *const places[] = { "dev", "proc", NULL };

const struct mount_ops mount_native = {
	.name = "nullfs",
	.probe = mount_probe,
	.with_root = mount_with_root,
	.with_running = mount_with_running,
	.add = mount_add,
	.remove = mount_remove,
	.places = places,
};
