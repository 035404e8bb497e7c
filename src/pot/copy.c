#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * copy-in and copy-out. Descriptors of the host are opened on the host before the pot's tree is
 * entered; everything in the tree is reached beneath its root, one component at a time, without
 * following links.
 */

enum { CHUNK = 128 * 1024, DEPTH_MAX = 256 };

struct copying {
	int source_dir;	    /* copy-in: holds it */
	const char *source; /* copy-in: one component; copy-out: in the pot */
	int dest_dir;	    /* copy-out */
	const char *dest;   /* copy-in: in the pot */
	bool make_parent;
};

static int
same_attributes(int fd, const struct stat *st, const char *name, struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(fd, st->st_uid, st->st_gid) < 0 || fchmod(fd, st->st_mode & 07777) < 0 ||
	    futimens(fd, times) < 0)
		return err_sys(e, "set owner, mode and times of %s", name);
	return 0;
}

static int
copy_data(int in, int out, const char *name, struct err *e)
{
	autofree char *data = xmalloc(CHUNK);

	for (;;) {
		ssize_t n = read(in, data, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", name);
		if (n == 0)
			return 0;
		if (fd_write_all(out, data, (size_t)n, e) < 0)
			return err_ctx(e, "%s", name);
	}
}

static int
copy_file(int from, const char *name, int to, const char *as, struct err *e)
{
	struct stat st;
	autofd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (in < 0 || fstat(in, &st) < 0)
		return err_sys(e, "open %s", name);
	if (unlinkat(to, as, 0) < 0 && errno != ENOENT)
		return err_sys(e, "replace %s", as);
	autofd int out = openat(to, as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(e, "create %s", as);
	if (copy_data(in, out, as, e) < 0)
		return -1;
	return same_attributes(out, &st, as, e);
}

static int
copy_directory(int from, const char *name, int to, const char *as, unsigned depth, struct err *e)
{
	struct dirent *d;
	struct stat st;
	int rc = 0;

	if (depth > DEPTH_MAX)
		return err_new(e, ERR_INPUT, "%s: more than %d directories deep", name, DEPTH_MAX);
	if (mkdirat(to, as, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "create directory %s", as);
	autofd int out = openat(to, as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0 || in < 0) {
		own_close(&in);
		return err_sys(e, "open directory %s", name);
	}
	DIR *dir = fdopendir(in);
	if (dir == NULL || fstat(in, &st) < 0) {
		err_sys(e, "read directory %s", name);
		dir != NULL ? (void)closedir(dir) : own_close(&in);
		return -1;
	}
	while (rc == 0 && (d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = copy_entry(in, d->d_name, out, d->d_name, depth + 1, e);
	closedir(dir);
	return rc < 0 ? err_ctx(e, "%s", name) : same_attributes(out, &st, as, e);
}

static int
copy_link(int from, const char *name, int to, const char *as, const struct stat *st, struct err *e)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(e, "read link %s", name);
	target[n] = '\0';
	if (unlinkat(to, as, 0) < 0 && errno != ENOENT)
		return err_sys(e, "replace %s", as);
	if (symlinkat(target, to, as) < 0 ||
	    fchownat(to, as, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "create link %s", as);
	return 0;
}

int
copy_entry(int from, const char *name, int to, const char *as, unsigned depth, struct err *e)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "look at %s", name);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(from, name, to, as, e);
	case S_IFDIR:
		return copy_directory(from, name, to, as, depth, e);
	case S_IFLNK:
		return copy_link(from, name, to, as, &st, e);
	case S_IFIFO:
		if (mkfifoat(to, as, st.st_mode & 07777) < 0 && errno != EEXIST)
			return err_sys(e, "create %s", as);
		return 0;
	default:
		return err_new(e, ERR_INPUT, "%s is neither file, directory, link nor pipe", name);
	}
}

static const char *
last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Inside a directory that is there, under its own name; else as dest itself. */
static int
place(int root, const struct copying *c, int *dir, char *as, size_t size, struct err *e)
{
	char parent[PATH_SIZE];
	struct err absent = ERR_INIT;

	*dir = beneath_open(root, c->dest, O_RDONLY | O_DIRECTORY, 0, &absent);
	if (*dir >= 0)
		return str_copy(as, size, c->source) ? 0 : err_new(e, ERR_INPUT, "name too long");
	if (!str_copy(parent, sizeof(parent), c->dest))
		return err_new(e, ERR_INPUT, "destination too long");
	for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--)
		parent[n - 1] = '\0';
	const char *name = last_component(parent);
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    !str_copy(as, size, name))
		return err_new(e, ERR_INPUT, "destination '%s' does not name a file", c->dest);
	parent[name - parent] = '\0';
	if (c->make_parent) {
		int made = beneath_mkdirs(root, parent, 0755, e);
		if (made < 0)
			return -1;
		close(made);
	}
	*dir = beneath_open(root, parent, O_RDONLY | O_DIRECTORY, 0, e);
	return *dir < 0 ? err_ctx(e, "destination directory %s in the pot (-c makes it)", parent)
			: 0;
}

static int
copy_inside(int root, void *ctx, struct err *e)
{
	const struct copying *c = ctx;
	char as[256];
	autofd int dir = -1;
	struct stat st;

	if (place(root, c, &dir, as, sizeof(as), e) < 0)
		return -1;
	bool fresh = fstatat(dir, as, &st, AT_SYMLINK_NOFOLLOW) < 0;
	if (copy_entry(c->source_dir, c->source, dir, as, 0, e) == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (fresh && unlinkat(dir, as, 0) < 0)
		(void)remove_tree_at(dir, as, &ignored);
	return -1;
}

/* Where both ways lead: the pot's tree, as it runs or put together for this call. */
static int
with_tree(struct pot_env *env, const char *name, bool force, mount_fn *fn, struct copying *c,
    struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	const struct mount_ops *mount = env->host->mount;
	struct pot_tree tree;
	struct pot_spec *spec;
	struct run r;

	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0 || pot_spec_load(env, name, &mem, &spec, e) < 0 ||
	    run_recover(env, name, e) < 0)
		return -1;
	int live = run_is_live(env, name);
	if (live != 0 && !force)
		return err_new(e, ERR_BUSY, "the pot is running: -F copies all the same");
	if (live > 0)
		return run_read(env, name, &r, e) < 0
			   ? -1
			   : mount->with_running(r.init, r.init_start, fn, c, e);
	if (tree_of(env, spec, &mem, &tree, e) < 0)
		return -1;
	return mount->with_root(&tree.root, tree.items, tree.n, fn, c, e);
}

int
pot_copy_in(
    struct pot_env *env, const char *name, const struct pot_copy_in_options *o, struct err *e)
{
	char real[PATH_MAX];
	struct copying c = { .dest = o->dest, .make_parent = o->make_parent };

	if (pot_name_check(name, e) < 0)
		return -1;
	if (o->dest == NULL || o->dest[0] != '/')
		return err_new(
		    e, ERR_INPUT, "copy-in: the destination must be an absolute path in the pot");
	if (realpath(o->source, real) == NULL)
		return err_sys(e, "copy-in: source %s", o->source);
	if (need_root("copy-in", e) < 0)
		return -1;
	char *slash = strrchr(real, '/');
	c.source = slash + 1;
	if (*c.source == '\0')
		return err_new(e, ERR_INPUT, "copy-in: '/' cannot be the source");
	*slash = '\0';
	autofd int dir = open_dir(slash == real ? "/" : real, e);
	if (dir < 0)
		return -1;
	c.source_dir = dir;
	if (with_tree(env, name, o->force_running, copy_inside, &c, e) < 0)
		return err_ctx(e, "copy %s into pot %s", o->source, name);
	return 0;
}

/* ---- copy-out ---- */

static int
copy_outside(int root, void *ctx, struct err *e)
{
	const struct copying *c = ctx;
	char parent[PATH_SIZE];
	struct stat st;

	if (!str_copy(parent, sizeof(parent), c->source))
		return err_new(e, ERR_INPUT, "source too long");
	for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/'; n--)
		parent[n - 1] = '\0';
	const char *name = last_component(parent);
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_new(e, ERR_INPUT, "source '%s' does not name a file", c->source);
	autofree char *as = xstrdup(name);
	parent[name - parent] = '\0';
	autofd int from = beneath_open(root, parent, O_RDONLY | O_DIRECTORY, 0, e);
	if (from < 0)
		return -1;
	bool fresh = fstatat(c->dest_dir, as, &st, AT_SYMLINK_NOFOLLOW) < 0;
	if (copy_entry(from, as, c->dest_dir, as, 0, e) == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (fresh && unlinkat(c->dest_dir, as, 0) < 0)
		(void)remove_tree_at(c->dest_dir, as, &ignored);
	return -1;
}

int
pot_copy_out(
    struct pot_env *env, const char *name, const struct pot_copy_out_options *o, struct err *e)
{
	struct copying c = { .source = o->source };

	if (pot_name_check(name, e) < 0)
		return -1;
	if (o->source == NULL || o->source[0] != '/')
		return err_new(
		    e, ERR_INPUT, "copy-out: the source must be an absolute path in the pot");
	if (need_root("copy-out", e) < 0)
		return -1;
	autofd int dir = open_dir(o->dest, e);
	if (dir < 0)
		return err_ctx(e, "copy-out: destination");
	c.dest_dir = dir;
	if (with_tree(env, name, o->force_running, copy_outside, &c, e) < 0)
		return err_ctx(e, "copy %s out of pot %s", o->source, name);
	return 0;
}
