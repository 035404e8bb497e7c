#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Mounts that belong to a pot: a line of fscomp.conf, and at once when the pot runs. The live mount
 * comes first: a line that is written can be mounted.
 */

static int
check_target(const char *target, struct err *e)
{
	if (target == NULL || target[0] != '/' || target[1] == '\0')
		return err_new(e, ERR_INPUT,
		    "the mount point must be an absolute path in the pot, and not '/'");
	if (strpbrk(target, " \t\n") != NULL)
		return err_new(e, ERR_INPUT,
		    "mount point '%s': blanks cannot be stored in fscomp.conf", target);
	for (const char *p = target; (p = strchr(p, '/')) != NULL; p++)
		if (strncmp(p, "/../", 4) == 0 || strcmp(p, "/..") == 0)
			return err_new(e, ERR_INPUT, "mount point '%s' holds '..'", target);
	return 0;
}

/* One canonical form: no trailing and no double slashes. */
static char *
clean_target(const char *target, struct arena *mem)
{
	char *out = arena_strdup(mem, target), *to = out;

	for (const char *p = target; *p != '\0'; p++)
		if (*p != '/' || (p[1] != '/' && p[1] != '\0'))
			*to++ = *p;
	*to = '\0';
	return out;
}

static int
source_of(struct pot_env *env, const struct pot_mount_in_options *o, struct arena *mem, char **out,
    struct err *e)
{
	char real[PATH_MAX];
	struct stat st;

	if ((o->fscomp != NULL) + (o->dir != NULL) + (o->dataset != NULL) != 1)
		return err_new(
		    e, ERR_INPUT, "one of -f fscomp, -d directory, -z dataset is needed");
	if (o->remount && o->dir != NULL)
		return err_new(e, ERR_INPUT, "-w is for datasets (-f, -z), not for a directory");
	if (o->fscomp != NULL) {
		if (pot_word_check("fscomp", o->fscomp, e) < 0)
			return -1;
		*out = arena_printf(mem, "%s/fscomp/%s", env->conf.zfs_root, o->fscomp);
	} else if (o->dataset != NULL) {
		*out = arena_strdup(mem, o->dataset);
	} else {
		if (realpath(o->dir, real) == NULL || stat(real, &st) < 0)
			return err_sys(e, "directory %s", o->dir);
		if (!S_ISDIR(st.st_mode))
			return err_new(e, ERR_INPUT, "%s is not a directory", real);
		*out = arena_strdup(mem, real);
	}
	if (strpbrk(*out, " \t\n") != NULL)
		return err_new(e, ERR_INPUT, "'%s': blanks cannot be stored in fscomp.conf", *out);
	return 0;
}

static int
check_free(const struct fscomps *l, const struct pot_fscomp *f, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->at[i].source, f->source) == 0)
			return err_new(e, ERR_EXISTS, "%s is mounted already, at %s", f->source,
			    l->at[i].target);
		if (strcmp(l->at[i].target, f->target) == 0)
			return err_new(e, ERR_EXISTS, "%s is a mount point already, of %s",
			    f->target, l->at[i].source);
	}
	return 0;
}

/* 1: it runs, r is its run; 0: it does not. */
static int
live_run(struct pot_env *env, const char *name, struct run *r, struct err *e)
{
	if (run_recover(env, name, e) < 0)
		return -1;
	int live = run_is_live(env, name);
	if (live < 0)
		return err_new(e, ERR_BUSY, "whether the pot runs cannot be told now");
	return live == 0 ? 0 : run_read(env, name, r, e) < 0 ? -1 : 1;
}

static int
make_target(int root, void *ctx, struct err *e)
{
	const char *target = ctx;
	autofd int fd = beneath_open(root, target, O_PATH, 0, e);

	if (fd >= 0 || e->kind != ERR_ABSENT)
		return fd >= 0 ? 0 : -1;
	autofd int made = beneath_mkdirs(root, target, 0755, e);
	if (made < 0 && e->sys == EROFS)
		return err_new(e, ERR_INPUT,
		    "%s is not there, and the root is its base's, read-only: choose a place in "
		    "/mnt, /media, /usr/local or /opt/custom",
		    target);
	return made < 0 ? -1 : 0;
}

/* What can be mounted is written: the mount point is made, and in a pot that runs the mount. 1: it
 * runs. */
static int
mount_now(struct pot_env *env, const struct pot_spec *spec, const struct pot_fscomp *f,
    struct run *r, struct arena *mem, struct err *e)
{
	const struct mount_ops *mount = env->host->mount;
	struct mount_item item;
	struct pot_tree tree;

	if (mount_of(env, f, mem, &item, e) < 0)
		return -1;
	if (item.kind == MOUNT_TREE && item.tree.upper != NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "%s is what a pot's or a base's own files are made of, and can have one writer "
		    "only: mount it read-only (-r), or a fscomp",
		    f->source);
	int live = live_run(env, spec->name, r, e);
	if (live > 0)
		return mount->add(r->init, r->init_start, &item, e) < 0 ? -1 : 1;
	if (live < 0 || tree_of(env, spec, mem, &tree, e) < 0)
		return -1;
	return mount->with_root(&tree.root, tree.items, tree.n, make_target, f->target, e);
}

static int
mount_in_locked(struct pot_env *env, const struct pot_spec *spec, const struct pot_fscomp *f,
    struct arena *mem, struct err *e)
{
	struct fscomps l;
	struct run r;

	if (fscomp_load(env, spec->name, mem, &l, e) < 0 || check_free(&l, f, e) < 0)
		return -1;
	int live = mount_now(env, spec, f, &r, mem, e);
	if (live < 0)
		return -1;
	fscomp_add(&l, mem, f);
	if (fscomp_save(env, spec->name, &l, e) == 0)
		return 0;
	struct err ignored = ERR_INIT;
	if (live > 0)
		(void)env->host->mount->remove(r.init, r.init_start, f->target, &ignored);
	return -1;
}

int
pot_mount_in(
    struct pot_env *env, const char *name, const struct pot_mount_in_options *o, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_fscomp f = { .read_only = o->read_only, .remount = o->remount && !o->read_only };
	struct pot_spec *spec;

	if (pot_name_check(name, e) < 0 || check_target(o->target, e) < 0 ||
	    source_of(env, o, &mem, &f.source, e) < 0 || need_root("mount-in", e) < 0)
		return -1;
	f.target = clean_target(o->target, &mem);
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0 || pot_spec_load(env, name, &mem, &spec, e) < 0 ||
	    mount_in_locked(env, spec, &f, &mem, e) < 0)
		return err_ctx(e, "mount-in for pot %s", name);
	return 0;
}

int
pot_mount_out(struct pot_env *env, const char *name, const char *target, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *spec;
	struct fscomps l;
	struct run r;
	size_t n = 0;

	if (pot_name_check(name, e) < 0 || check_target(target, e) < 0 ||
	    need_root("mount-out", e) < 0)
		return -1;
	const char *clean = clean_target(target, &mem);
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0 || pot_spec_load(env, name, &mem, &spec, e) < 0 ||
	    fscomp_load(env, name, &mem, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++)
		if (strcmp(l.at[i].target, clean) != 0)
			l.at[n++] = l.at[i];
	if (n == l.n)
		return err_new(e, ERR_ABSENT, "pot %s has no mount at %s", name, clean);
	l.n = n;
	int live = live_run(env, name, &r, e);
	if (live < 0 || (live > 0 && env->host->mount->remove(r.init, r.init_start, clean, e) < 0 &&
			    e->kind != ERR_ABSENT))
		return err_ctx(e, "mount-out for pot %s", name);
	return fscomp_save(env, name, &l, e);
}
