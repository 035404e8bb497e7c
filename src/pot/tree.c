#include "pot/tree.h"

#include <string.h>
#include <sys/stat.h>

/*
 * What a pot's files are put together from. A single pot has one dataset, m; a multi pot has the
 * base at "/" and the datasets of its fscomp.conf on it. Both may have more mounts there.
 */

int
root_of_dataset(struct pot_env *env, const char *dataset, bool read_only, struct arena *mem,
    struct mount_root *out, struct err *e)
{
	if (mount_root_of(env, dataset, mem, out, e) < 0)
		return -1;
	if (!read_only)
		return 0;
	out->read_only = true;
	if (out->upper == NULL)
		return 0;
	/* Who only looks must not claim the layer that somebody else may be writing to. */
	size_t n = 0;
	while (out->lower[n] != NULL)
		n++;
	const char **lower = arena_array(mem, n + 2, const char *);
	lower[0] = out->upper;
	memcpy(lower + 1, out->lower, n * sizeof(*lower));
	out->lower = lower;
	out->upper = out->work = NULL;
	return 0;
}

int
dataset_of_source(struct pot_env *env, const char *source, const char **name, struct err *e)
{
	size_t n = strlen(env->conf.zfs_root);

	*name = source;
	if (strncmp(source, env->conf.zfs_root, n) == 0 && source[n] == '/')
		*name = source + n + 1;
	else if (!str_starts(source, "fscomp/"))
		return err_new(e, ERR_UNSUPPORTED, "mount %s: it is not a dataset below %s", source,
		    env->conf.zfs_root);
	return dataset_check_name(*name, e);
}

/* pot 0.16 mounts such a dataset in the pot's tree by its mount point, and moves it back when the
 * pot is stopped, which may not have happened. Here it stays where it belongs. */
static int
put_back(
    struct pot_env *env, const char *name, struct arena *mem, const char **plain, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	const char *place = arena_printf(mem, "%s/%s", env->conf.fs_root, name);

	if (ds->place == NULL || strcmp(*plain, place) == 0)
		return 0;
	*plain = place;
	return ds->place(env->host, name, place, e);
}

/* A dataset of the machine that is none of ours: it stays where it is, and is seen in the pot too.
 */
static int
mounted_elsewhere(
    struct pot_env *env, const char *source, struct arena *mem, const char **plain, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	size_t n = strlen(env->conf.zfs_root);
	autofree char *at = NULL;

	if (ds->mounted == NULL || str_starts(source, "fscomp/") ||
	    (strncmp(source, env->conf.zfs_root, n) == 0 && source[n] == '/'))
		return 0;
	if (ds->mounted(env->host, source, &at, e) < 0)
		return -1;
	*plain = arena_strdup(mem, at);
	return 1;
}

int
mount_of(struct pot_env *env, const struct pot_fscomp *f, struct arena *mem,
    struct mount_item *item, struct err *e)
{
	unsigned flags = f->read_only ? MOUNT_RO : 0u;
	struct mount_root root = { .plain = f->source };
	const char *name = NULL;
	struct stat st;

	int elsewhere =
	    f->source[0] == '/' ? 1 : mounted_elsewhere(env, f->source, mem, &root.plain, e);
	if (elsewhere < 0 ||
	    (elsewhere == 0 && (dataset_of_source(env, f->source, &name, e) < 0 ||
				   root_of_dataset(env, name, f->read_only, mem, &root, e) < 0)))
		return err_ctx(e, "mount %s at %s", f->source, f->target);
	if (f->remount && elsewhere == 0 && root.plain != NULL &&
	    put_back(env, name, mem, &root.plain, e) < 0)
		return err_ctx(e, "mount %s at %s", f->source, f->target);
	if (root.plain != NULL) {
		if (stat(root.plain, &st) < 0)
			return err_sys(e, "mount %s at %s", root.plain, f->target);
		*item = (struct mount_item){ .kind = MOUNT_BIND,
			.source = root.plain,
			.target = f->target,
			.flags = flags | MOUNT_RECURSIVE };
	} else {
		*item = (struct mount_item){
			.kind = MOUNT_TREE, .target = f->target, .flags = flags, .tree = root
		};
	}
	return 0;
}

void
tree_layers_in(const char *plain, const char *below, struct arena *mem, struct mount_root *out)
{
	const char **lower = arena_array(mem, 2, const char *);

	lower[0] = below;
	*out = (struct mount_root){ .lower = lower,
		.upper = arena_printf(mem, "%s/upper", plain),
		.work = arena_printf(mem, "%s/work", plain) };
}

/* The pot's own layers stay on top: what it writes goes there. */
static int
put_below(const struct pot_spec *spec, struct arena *mem, struct mount_root *root, struct err *e)
{
	size_t n = 0;

	if (spec->root_dir[0] != '/' || strpbrk(spec->root_dir, ":,\\") != NULL)
		return err_new(e, ERR_CORRUPT, "pot.root=%s cannot be the lowest layer of a root",
		    spec->root_dir);
	if (root->plain != NULL) {
		tree_layers_in(root->plain, spec->root_dir, mem, root);
		root->no_links = spec->root_strict;
		return 0;
	}
	while (root->lower != NULL && root->lower[n] != NULL)
		n++;
	const char **lower = arena_array(mem, n + 2, const char *);
	if (n > 0)
		memcpy(lower, root->lower, n * sizeof(*lower));
	lower[n] = spec->root_dir;
	root->lower = lower;
	root->no_links = spec->root_strict;
	return 0;
}

static int
root_of(struct pot_env *env, const struct pot_spec *spec, const struct pot_fscomp *f,
    struct arena *mem, struct mount_root *out, struct err *e)
{
	char dataset[DATASET_SIZE];
	const char *name;

	if (spec->type == POT_SINGLE) {
		if (mount_root_of(env, ds_root(dataset, spec->name), mem, out, e) < 0)
			return -1;
		/* an image may name no directory of this machine */
		return *spec->root_dir != '\0' && !spec->imported ? put_below(spec, mem, out, e)
								  : 0;
	}
	if (f == NULL)
		return err_new(e, ERR_CORRUPT, "fscomp.conf of pot %s names no root", spec->name);
	if (f->source[0] == '/') {
		*out = (struct mount_root){ .plain = f->source, .read_only = f->read_only };
		return 0;
	}
	if (dataset_of_source(env, f->source, &name, e) < 0)
		return -1;
	if (root_of_dataset(env, name, f->read_only, mem, out, e) < 0)
		return e->kind == ERR_ABSENT ? err_new(e, ERR_CORRUPT,
						   "its base, dataset %s, is not there", f->source)
					     : -1;
	return 0;
}

char *
pot_place(struct pot_env *env, const char *name, struct arena *mem)
{
	return arena_printf(mem, "%s/jails/%s/m", env->conf.fs_root, name);
}

int
tree_of(struct pot_env *env, const struct pot_spec *spec, struct arena *mem, struct pot_tree *out,
    struct err *e)
{
	const struct pot_fscomp *root = NULL;
	struct fscomps l;

	*out = (struct pot_tree){ .n = 0 };
	if (fscomp_load(env, spec->name, mem, &l, e) < 0)
		return -1;
	out->items = arena_array(mem, l.n + 1, struct mount_item);
	for (size_t i = 0; i < l.n; i++) {
		if (strcmp(l.at[i].target, "/") == 0)
			root = &l.at[i];
		else if (mount_of(env, &l.at[i], mem, &out->items[out->n++], e) < 0)
			return err_ctx(e, "pot %s", spec->name);
	}
	if (root_of(env, spec, root, mem, &out->root, e) < 0)
		return err_ctx(e, "pot %s", spec->name);
	out->root.at = pot_place(env, spec->name, mem);
	return 0;
}

static bool
layer_has(const char *layer, const char *file)
{
	struct err e = ERR_INIT;

	if (layer == NULL)
		return false;
	autofd int dir = open_dir(layer, &e);
	return dir >= 0 && beneath_exists(dir, file, &e) > 0;
}

static bool
root_has(const struct mount_root *root, const char *file)
{
	bool found = layer_has(root->plain, file) || layer_has(root->upper, file);

	for (size_t i = 0; !found && root->lower != NULL && root->lower[i] != NULL; i++)
		found = layer_has(root->lower[i], file);
	return found;
}

bool
tree_has(const struct pot_tree *t, const char *file)
{
	bool found = root_has(&t->root, file);

	/* where the links of a rearranged base lead to */
	for (size_t i = 0; !found && i < t->n; i++)
		if (strcmp(t->items[i].target, "/opt/custom") == 0)
			found = t->items[i].kind == MOUNT_TREE
				    ? root_has(&t->items[i].tree, file)
				    : layer_has(t->items[i].source, file);
	return found;
}
