#include "platform/mount.h"

static int
mount_probe(struct err *e)
{
	return err_new(e, ERR_UNSUPPORTED,
	    "mounts of pots are not there yet: this build keeps pots on Linux only");
}

static int
mount_with_root(const struct mount_root *root, const struct mount_item *items, size_t n_items,
    mount_fn *fn, void *ctx, struct err *e)
{
	(void)root;
	(void)items;
	(void)n_items;
	(void)fn;
	(void)ctx;
	return mount_probe(e);
}

static int
mount_with_running(pid_t pid, uint64_t start, mount_fn *fn, void *ctx, struct err *e)
{
	(void)pid;
	(void)start;
	(void)fn;
	(void)ctx;
	return mount_probe(e);
}

static int
mount_add(pid_t pid, uint64_t start, const struct mount_item *item, struct err *e)
{
	(void)pid;
	(void)start;
	(void)item;
	return mount_probe(e);
}

static int
mount_remove(pid_t pid, uint64_t start, const char *target, struct err *e)
{
	(void)pid;
	(void)start;
	(void)target;
	return mount_probe(e);
}

const struct mount_ops mount_native = {
	.name = "nullfs",
	.probe = mount_probe,
	.with_root = mount_with_root,
	.with_running = mount_with_running,
	.add = mount_add,
	.remove = mount_remove,
};

int
beneath_open(int root_fd, const char *path, int flags, mode_t mode, struct err *e)
{
	(void)root_fd;
	(void)path;
	(void)flags;
	(void)mode;
	return mount_probe(e);
}

int
beneath_mkdirs(int root_fd, const char *path, mode_t mode, struct err *e)
{
	(void)root_fd;
	(void)path;
	(void)mode;
	return mount_probe(e);
}

int
beneath_write(
    int root_fd, const char *path, mode_t mode, const void *data, size_t len, struct err *e)
{
	(void)root_fd;
	(void)path;
	(void)mode;
	(void)data;
	(void)len;
	return mount_probe(e);
}

int
beneath_exists(int root_fd, const char *path, struct err *e)
{
	(void)root_fd;
	(void)path;
	return mount_probe(e);
}

int
beneath_remove(int root_fd, const char *path, struct err *e)
{
	(void)root_fd;
	(void)path;
	return mount_probe(e);
}

int
beneath_pin(int root_fd, const char *path, struct err *e)
{
	(void)root_fd;
	(void)path;
	return mount_probe(e);
}

void
path_of_fd(int fd, char out[PATH_OF_FD])
{
	(void)fd;
	out[0] = '\0';
}
