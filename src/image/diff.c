#include "image/tool.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "platform/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What a clone has changed. A file that nobody touched since the clone was made is the very same
 * one in both trees, with the same time of its last change of state; that time cannot be set back,
 * so contents need not be compared.
 */
enum { DEPTH_MAX = 512 };

struct differ {
	struct tool *tool;
	struct map *changed;
	struct buf *removed;
	unsigned depth;
};

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       (S_ISDIR(a->st_mode) || a->st_size == b->st_size) && a->st_rdev == b->st_rdev &&
	       same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static bool
is_dot(const char *name)
{
	return str_eq(name, ".") || str_eq(name, "..");
}

static char *
join(const char *rel, const char *name)
{
	return str_eq(rel, ".") ? xstrdup(name) : xasprintf("%s/%s", rel, name);
}

static int
open_below(int dir, const char *name, struct err *e)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open directory %s", name) : fd;
}

static int
each_name(int dir, int (*fn)(void *ctx, const char *name, struct err *e), void *ctx, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *f;

	if (d == NULL) {
		err_sys(e, "read a directory");
		own_close(&fd);
		return -1;
	}
	while (rc == 0 && (f = readdir(d)) != NULL)
		rc = is_dot(f->d_name) ? 0 : fn(ctx, f->d_name, e);
	closedir(d);
	return rc;
}

/* One directory that is in the new tree; below is -1 where the old one has none. */
struct pair {
	struct differ *d;
	int below, now;
	const char *rel;
	bool touched;
};
static int pair_walk(
    struct differ *d, int below, int now, const char *rel, bool *touched, struct err *e);

static void
mark(struct pair *p, const char *rel)
{
	map_set(p->d->changed, rel, NULL);
	p->touched = true;
}

static int
enter(struct pair *p, const char *name, const char *rel, bool both, bool *touched, struct err *e)
{
	autofd int now = open_below(p->now, name, e), below = -1;

	if (now < 0 || (both && (below = open_below(p->below, name, e)) < 0))
		return -1;
	return pair_walk(p->d, below, now, rel, touched, e);
}

static int
compare_name(void *ctx, const char *name, struct err *e)
{
	struct pair *p = ctx;
	autofree char *rel = join(p->rel, name);
	struct stat now, below;
	bool touched = false;

	if (tool_check(p->d->tool, e) < 0)
		return err_ctx(e, "compare %s", rel);
	if (fstatat(p->now, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "look at %s", rel);
	bool there = p->below >= 0 && fstatat(p->below, name, &below, AT_SYMLINK_NOFOLLOW) == 0;
	bool alike = there && (now.st_mode & S_IFMT) == (below.st_mode & S_IFMT);
	if (there && !alike)
		buf_add(p->d->removed, rel, strlen(rel) + 1);
	if (S_ISDIR(now.st_mode) && enter(p, name, rel, alike, &touched, e) < 0)
		return -1;
	if (!alike || touched || !same(&now, &below))
		mark(p, rel);
	return 0;
}

static int
find_gone(void *ctx, const char *name, struct err *e)
{
	struct pair *p = ctx;
	struct stat st;

	if (fstatat(p->now, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return err_sys(e, "look at %s/%s", p->rel, name);
	autofree char *rel = join(p->rel, name);
	buf_add(p->d->removed, rel, strlen(rel) + 1);
	p->touched = true;
	return 0;
}

static int
pair_walk(struct differ *d, int below, int now, const char *rel, bool *touched, struct err *e)
{
	struct pair p = { .d = d, .below = below, .now = now, .rel = rel };

	if (++d->depth > DEPTH_MAX)
		return err_new(e, ERR_INPUT, "%s: lies too deep", rel);
	if (each_name(now, compare_name, &p, e) < 0 ||
	    (below >= 0 && each_name(below, find_gone, &p, e) < 0))
		return -1;
	d->depth--;
	*touched = p.touched;
	return 0;
}

int
diff(struct tool *t, const char *below, const char *root, struct map *changed, struct buf *removed,
    struct err *e)
{
	struct differ d = { .tool = t, .changed = changed, .removed = removed };
	autofd int old = open(below, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		   now = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool touched;

	if (old < 0 || now < 0)
		return err_sys(e, "open directory %s", old < 0 ? below : root);
	if (pair_walk(&d, old, now, ".", &touched, e) < 0)
		return -1;
	map_set(changed, ".", NULL); /* so that the walk begins */
	return 0;
}

/* ---- on the other side ---- */

static bool
leads_out(const char *name)
{
	if (name[0] == '\0' || name[0] == '/')
		return true;
	for (const char *at = name; *at != '\0';) {
		size_t len = strcspn(at, "/");
		if (len <= 2 && strncmp(at, "..", len) == 0)
			return true;
		at += len + (at[len] == '/');
	}
	return false;
}

static int
remove_one(int root, const char *name, struct err *e)
{
	const char *slash = strrchr(name, '/');
	autofree char *parent = slash != NULL ? xstrndup(name, (size_t)(slash - name)) : NULL;
	autofd int dir = -1;

	if (leads_out(name))
		return err_new(
		    e, ERR_INPUT, "removed \"%s\": it would leave the target directory", name);
	if (parent != NULL) {
		autofd int pin = beneath_pin(root, parent, e);
		if (pin < 0)
			return e->kind == ERR_ABSENT ? 0 : err_ctx(e, "remove \"%s\"", name);
		dir = openat(pin, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return err_sys(e, "remove \"%s\"", name);
	}
	tree_remove_at(dir >= 0 ? dir : root, slash != NULL ? slash + 1 : name);
	return 0;
}

int
diff_remove(struct tool *t, const char *dir, const char *list, size_t len, struct err *e)
{
	autofd int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_sys(e, "open directory %s", dir);
	if (len > 0 && list[len - 1] != '\0')
		return err_new(e, ERR_INPUT, "the list of removed names is cut short");
	for (size_t at = 0; at < len; at += strlen(list + at) + 1)
		if (tool_check(t, e) < 0 || remove_one(root, list + at, e) < 0)
			return -1;
	return 0;
}
