#include "platform/xattr.h"
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
	int dest_dir;	    /* copy-out: it is open */
	const char *dest;   /* copy-in: in the pot */
	bool make_parent;
	/* who hears of each entry (0: nobody), and how the two ends are called */
	int tell;
	const char *from_text, *to_text;
};

/* Where the walk is: `below` is what both ends have in common, "" or "/a/b". */
struct walk {
	const struct copying *c; /* NULL: nobody hears of it */
	struct buf below;
	unsigned depth;
};

static int copy_any(
    struct walk *, int from, const char *name, int to, const char *as, struct err *);

/* Without slashes at its end. */
static int
length(const char *path)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	return (int)n;
}

static void
tell(const struct walk *w)
{
	const struct copying *c = w->c;

	if (c != NULL && c->tell > 0)
		(void)dprintf(c->tell, "%.*s%s -> %.*s%s\n", length(c->from_text), c->from_text,
		    buf_str(&w->below), length(c->to_text), c->to_text, buf_str(&w->below));
}

static int
same_attributes(int from, int to, const struct stat *st, const char *name, struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	/* the owner first, which takes other rights away; the times last */
	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return err_sys(e, "set the owner of %s", name);
	if (xattrs_copy(from, to, e) < 0)
		return err_ctx(e, "%s", name);
	if (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0)
		return err_sys(e, "set mode and times of %s", name);
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
	return same_attributes(in, out, &st, as, e);
}

static int
copy_below(struct walk *w, DIR *dir, int out, struct err *e)
{
	struct dirent *d;
	size_t len = w->below.len;
	int rc = 0;

	w->depth++;
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		buf_addf(&w->below, "/%s", d->d_name);
		rc = copy_any(w, dirfd(dir), d->d_name, out, d->d_name, e);
		w->below.len = len;
		w->below.data[len] = '\0';
	}
	w->depth--;
	return rc;
}

static int
copy_directory(struct walk *w, int from, const char *name, int to, const char *as, struct err *e)
{
	struct stat st;

	if (w->depth > DEPTH_MAX)
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
	int rc = copy_below(w, dir, out, e);
	rc = rc < 0 ? err_ctx(e, "%s", name) : same_attributes(in, out, &st, as, e);
	closedir(dir);
	return rc;
}

static int
copy_link(int from, const char *name, int to, const char *as, const struct stat *st, struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(e, "read link %s", name);
	target[n] = '\0';
	if (unlinkat(to, as, 0) < 0 && errno != ENOENT)
		return err_sys(e, "replace %s", as);
	if (symlinkat(target, to, as) < 0 ||
	    fchownat(to, as, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(to, as, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "create link %s", as);
	return 0;
}

static int
copy_any(struct walk *w, int from, const char *name, int to, const char *as, struct err *e)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "look at %s", name);
	tell(w);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(from, name, to, as, e);
	case S_IFDIR:
		return copy_directory(w, from, name, to, as, e);
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

static int
copy_told(
    const struct copying *c, int from, const char *name, int to, const char *as, struct err *e)
{
	struct walk w = { .c = c, .below = BUF_INIT };
	int rc = copy_any(&w, from, name, to, as, e);

	buf_fini(&w.below);
	return rc;
}

int
copy_entry(int from, const char *name, int to, const char *as, struct err *e)
{
	return copy_told(NULL, from, name, to, as, e);
}

static const char *
last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Inside a directory that is there, under its own name: 1; else as dest itself: 0. */
static int
place(int root, const struct copying *c, int *dir, char *as, size_t size, struct err *e)
{
	char parent[PATH_SIZE];
	struct err absent = ERR_INIT;

	*dir = beneath_open(root, c->dest, O_RDONLY | O_DIRECTORY, 0, &absent);
	if (*dir >= 0)
		return str_copy(as, size, c->source) ? 1 : err_new(e, ERR_INPUT, "name too long");
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
	struct copying *c = ctx;
	autofree char *to_text = NULL;
	char as[256];
	autofd int dir = -1;
	struct stat st;

	int inside = place(root, c, &dir, as, sizeof(as), e);
	if (inside < 0)
		return -1;
	bool fresh = fstatat(dir, as, &st, AT_SYMLINK_NOFOLLOW) < 0;
	to_text = inside ? xasprintf("%.*s/%s", length(c->dest), c->dest, as) : xstrdup(c->dest);
	c->to_text = to_text;
	if (copy_told(c, c->source_dir, c->source, dir, as, e) == 0)
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

/* Where the source lies, and its name there (part of `text`): what its path leads to. */
static int
source_by_path(const char *source, char text[PATH_MAX], const char **name, struct err *e)
{
	if (realpath(source, text) == NULL)
		return err_sys(e, "copy-in: source %s", source);
	char *slash = strrchr(text, '/');
	*name = slash + 1;
	if (**name == '\0')
		return err_new(e, ERR_INPUT, "copy-in: '/' cannot be the source");
	*slash = '\0';
	return open_dir(slash == text ? "/" : text, e);
}

/* The same for what lies in a directory that is held: the entry that is there. One that becomes a
 * link after this look is copied as a link. */
static int
source_in(int dir, const char *source, char text[PATH_MAX], const char **name, struct err *e)
{
	struct stat st;

	if (!str_copy(text, PATH_MAX, source))
		return err_new(e, ERR_INPUT, "copy-in: source too long: %s", source);
	for (size_t n = strlen(text); n > 1 && text[n - 1] == '/'; n--)
		text[n - 1] = '\0';
	*name = last_component(text);
	if (fstatat(dir, *name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "copy-in: source %s", source);
	if (S_ISLNK(st.st_mode))
		return err_new(e, ERR_INPUT,
		    "copy-in: source %s is a symbolic link, and none is followed here: name what "
		    "it leads to",
		    source);
	int held = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	return held < 0 ? err_sys(e, "copy-in: source %s", source) : held;
}

int
pot_copy_in(
    struct pot_env *env, const char *name, const struct pot_copy_in_options *o, struct err *e)
{
	char text[PATH_MAX];
	struct copying c = { .dest = o->dest,
		.make_parent = o->make_parent,
		.tell = o->tell,
		.from_text = o->source };

	if (pot_name_check(name, e) < 0)
		return -1;
	if (o->dest == NULL || o->dest[0] != '/')
		return err_new(
		    e, ERR_INPUT, "copy-in: the destination must be an absolute path in the pot");
	autofd int dir = o->source_dir > 0 ? source_in(o->source_dir, o->source, text, &c.source, e)
					   : source_by_path(o->source, text, &c.source, e);
	if (dir < 0 || need_root("copy-in", e) < 0)
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
	struct copying *c = ctx;
	autofree char *to_text = NULL;
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
	to_text = xasprintf("%.*s/%s", length(c->dest), c->dest, as);
	c->to_text = to_text;
	if (copy_told(c, from, as, c->dest_dir, as, e) == 0)
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
	struct copying c = {
		.source = o->source, .dest = o->dest, .tell = o->tell, .from_text = o->source
	};

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
