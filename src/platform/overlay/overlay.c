#include "platform/overlay/overlay.h"

#include "base/str.h"
#include "platform/mount.h"
#include "platform/overlay/set.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the mount options of one overlay may take: a page, less the upper layer's part. */
enum { LOWER_OPTION_MAX = 3600, CHAIN_MAX = 400 };

/* ---- making and removing ---- */

/* What create() and clone() begin with: a description that nothing leads to yet. */
static int
begin(struct host *h, struct set *set, const char *name, enum dataset_kind kind, struct err *e)
{
	char upper[RUN_ID_TEXT];
	int found;

	if (store_open(&set->s, h->roots.fs_root, STORE_CHANGE, e) < 0)
		return -1;
	found = set_find(&set->s, name, set->id, e);
	if (found != 0)
		return found < 0 ? -1 : err_new(e, ERR_EXISTS, "dataset %s exists already", name);
	/* Locked from the start, so that nobody takes a copy in the making for an interrupted one.
	 */
	if (data_create(&set->s, set->id, e) < 0 ||
	    (set->lock = data_lock(&set->s, set->id, e)) < 0)
		return -1;
	set->m.kind = kind;
	if (kind == DATASET_LAYERED) {
		if (layer_create(&set->s, set->id, upper, e) < 0)
			return -1;
		set->m.upper = xstrdup(upper);
	}
	return 0;
}

/* Undoes begin(): whatever the description names, and itself. */
static void
abandon(struct set *set)
{
	autonames struct names layers = NAMES_INIT;
	autofree char *path = xasprintf("data/%s", set->id);
	struct err ignored = ERR_INIT;

	meta_layers(&set->m, &layers);
	for (size_t i = 0; i < layers.n; i++)
		(void)layer_unref(&set->s, layers.at[i], set->id, &ignored);
	(void)trash_move(&set->s, set->s.top, path, &ignored);
	(void)trash_empty(&set->s, false, &ignored);
}

static int
commit(struct set *set, const char *name, struct err *e)
{
	if (set_save(set, false, e) < 0 || mkdir_parents(set->s.fs, name, e) < 0)
		return -1;
	/* An empty directory may be there since a crash, or as a child's mount point. */
	if (mkdirat(set->s.fs, name, 0755) < 0) {
		if (errno != EEXIST)
			return err_sys(e, "make %s/%s", set->s.fs_root, name);
		if (unlinkat(set->s.fs, name, AT_REMOVEDIR) < 0 ||
		    mkdirat(set->s.fs, name, 0755) < 0)
			return err_new(e, ERR_EXISTS, "%s/%s exists, and is not a dataset",
			    set->s.fs_root, name);
	}
	return set_link(&set->s, name, set->id, e);
}

static int
overlay_create(struct host *h, const char *name, enum dataset_kind kind, struct err *e)
{
	autoset struct set set = SET_INIT;

	if (begin(h, &set, name, kind, e) < 0)
		return err_ctx(e, "create %s", name);
	if (commit(&set, name, e) < 0) {
		abandon(&set);
		return err_ctx(e, "create %s", name);
	}
	return 0;
}

/* One dataset without regard to others: the name first, then all that it leads to. */
static int
destroy_one(struct store *s, const char *name, struct err *e)
{
	struct set set = { .s = *s, .lock = -1, .m = META_INIT };
	autonames struct names layers = NAMES_INIT;
	autofree char *data = NULL;
	struct err unreadable = ERR_INIT;
	int result = -1, found = set_find(s, name, set.id, e);

	if (found <= 0)
		return found;
	/* An unreadable description does not keep a dataset alive: sweep() finds its layers. */
	if (data_load(s, set.id, &set.m, &unreadable) == 0)
		meta_layers(&set.m, &layers);
	data = xasprintf("data/%s", set.id);
	if (set_unlink(s, name, e) == 0 && trash_move(s, s->fs, name, e) == 0) {
		result = 0;
		for (size_t i = 0; i < layers.n && result == 0; i++)
			result = layer_unref(s, layers.at[i], set.id, e);
		if (result == 0)
			result = trash_move(s, s->top, data, e);
	}
	meta_fini(&set.m);
	return result;
}

static int
overlay_destroy(struct host *h, const char *name, bool recursive, struct err *e)
{
	autostore struct store s = STORE_INIT;
	autonames struct names below = NAMES_INIT;

	if (dataset_check_name(name, e) < 0 ||
	    store_open(&s, h->roots.fs_root, STORE_CHANGE, e) < 0 ||
	    sets_below(&s, name, &below, e) < 0)
		return -1;
	if (below.n > 0 && !recursive)
		return err_new(e, ERR_BUSY, "destroy %s: there are datasets below it (%s/%s)", name,
		    name, below.at[0]);
	for (size_t i = below.n; i-- > 0;) {
		autofree char *sub = xasprintf("%s/%s", name, below.at[i]);

		if (destroy_one(&s, sub, e) < 0)
			return err_ctx(e, "destroy %s", sub);
	}
	if (destroy_one(&s, name, e) < 0 || trash_empty(&s, false, e) < 0)
		return err_ctx(e, "destroy %s", name);
	return 0;
}

static int
overlay_rename(struct host *h, const char *from, const char *to, struct err *e)
{
	autostore struct store s = STORE_INIT;
	autofree char *inside = xasprintf("%s/", from);
	char id[RUN_ID_TEXT];
	int found;

	if (store_open(&s, h->roots.fs_root, STORE_ALONE, e) < 0)
		return -1;
	if ((found = set_find(&s, from, id, e)) <= 0)
		return found < 0 ? -1 : set_absent(from, e);
	if ((found = set_find(&s, to, id, e)) != 0)
		return found < 0 ? -1
				 : err_new(e, ERR_EXISTS, "rename %s: dataset %s exists already",
				       from, to);
	if (str_starts(to, inside))
		return err_new(e, ERR_INPUT, "rename %s: %s lies inside it", from, to);
	if (mkdir_parents(s.fs, to, e) < 0)
		return -1;
	if (unlinkat(s.fs, to, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_new(e, ERR_EXISTS, "rename %s: %s/%s exists, and is not a dataset", from,
		    s.fs_root, to);
	return set_rename(&s, from, to, e);
}

static int
overlay_exists(struct host *h, const char *name, struct err *e)
{
	autostore struct store s = STORE_INIT;
	char id[RUN_ID_TEXT];

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return set_find(&s, name, id, e);
}

static int
overlay_list(struct host *h, const char *prefix, struct names *out, struct err *e)
{
	autostore struct store s = STORE_INIT;

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return -1;
	return sets_list(&s, prefix, out, e);
}

/* ---- snapshots ---- */

static size_t
lower_option_length(const struct set *set, size_t layers)
{
	/* "<fs_root>/.overlay/l/<id>/fs:" each */
	return layers * (strlen(set->s.fs_root) + strlen("/.overlay/l//fs:") + RUN_ID_TEXT - 1);
}

static int
same_attributes(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_mode == y.st_mode &&
	       x.st_uid == y.st_uid && x.st_gid == y.st_gid;
}

/* Nothing was changed above the last frozen layer. */
static int
upper_unchanged(struct set *set, int upper, struct err *e)
{
	autonames struct names entries = NAMES_INIT;
	autofd int top = -1;

	if (set->m.chain.n == 0)
		return 0;
	if (dir_names(upper, ".", &entries, e) < 0 ||
	    (top = layer_open(&set->s, set->m.chain.at[set->m.chain.n - 1], e)) < 0)
		return -1;
	return entries.n == 0 && same_attributes(upper, top);
}

static int
copy_merged(int root_fd, void *ctx, struct err *e)
{
	/* the root's descriptor is for finding paths only */
	autofd int from = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return from < 0 ? err_sys(e, "open the root") : tree_copy(from, *(int *)ctx, NULL, e);
}

/* One layer in place of a chain which has become too long for one mount. */
static int
flatten(struct host *h, struct set *set, struct err *e)
{
	autonames struct names paths = NAMES_INIT;
	autofd int to = -1;
	char layer[RUN_ID_TEXT];
	struct mount_root root = { .read_only = true };

	for (size_t i = set->m.chain.n; i-- > 0;) {
		autofree char *path = layer_path(&set->s, set->m.chain.at[i], "fs");

		names_add(&paths, path);
	}
	paths.at = xrealloc(paths.at, (paths.n + 1) * sizeof(*paths.at));
	paths.at[paths.n] = NULL;
	root.lower = (const char *const *)paths.at;
	if (layer_create(&set->s, set->id, layer, e) < 0 ||
	    (to = layer_open(&set->s, layer, e)) < 0)
		return -1;
	if (h->mount->with_root(&root, NULL, 0, copy_merged, &to, e) < 0) {
		struct err ignored = ERR_INIT;

		(void)layer_unref(&set->s, layer, set->id, &ignored);
		return err_ctx(e, "make one layer of %zu", paths.n);
	}
	names_fini(&set->m.chain);
	names_add(&set->m.chain, layer);
	return 0;
}

static int
snapshot_layered(struct host *h, struct set *set, const char *snap, struct err *e)
{
	autofd int old = layer_open(&set->s, set->m.upper, e), new = -1;
	char upper[RUN_ID_TEXT];
	int unchanged;

	if (old < 0 || (unchanged = upper_unchanged(set, old, e)) < 0)
		return -1;
	if (!unchanged) {
		if ((lower_option_length(set, set->m.chain.n + 1) > LOWER_OPTION_MAX ||
			set->m.chain.n >= CHAIN_MAX) &&
		    flatten(h, set, e) < 0)
			return -1;
		if (layer_create(&set->s, set->id, upper, e) < 0 ||
		    (new = layer_open(&set->s, upper, e)) < 0 || tree_attributes(old, new, e) < 0)
			return -1;
#ifdef __linux__
		/* A snapshot is meant to be there after a power cut, with its content. */
		if (syncfs(old) < 0)
			return err_sys(e, "sync the layer");
#else
		sync();
#endif
		names_add(&set->m.chain, set->m.upper);
		free(set->m.upper);
		set->m.upper = xstrdup(upper);
	}
	meta_snapshot_add(&set->m, snap, &set->m.chain);
	return 0;
}

static int
snapshot_plain(struct set *set, const char *name, const char *snap, struct err *e)
{
	autonames struct names below = NAMES_INIT, chain = NAMES_INIT;
	autofd int from = set_content(set, name, e), to = -1;
	char layer[RUN_ID_TEXT];

	if (from < 0 || sets_below(&set->s, name, &below, e) < 0 ||
	    layer_create(&set->s, set->id, layer, e) < 0)
		return -1;
	names_add(&chain, layer);
	if ((to = layer_open(&set->s, layer, e)) < 0 || tree_copy(from, to, &below, e) < 0) {
		struct err ignored = ERR_INIT;

		(void)layer_unref(&set->s, layer, set->id, &ignored);
		(void)trash_empty(&set->s, false, &ignored);
		return -1;
	}
	meta_snapshot_add(&set->m, snap, &chain);
	return 0;
}

static int
snapshot_one(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = SET_INIT;
	int made;

	if (set_open(h, &set, name, STORE_CHANGE, e) < 0)
		return -1;
	if (meta_snapshot(&set.m, snap) != NULL)
		return err_new(e, ERR_EXISTS, "snapshot %s@%s exists already", name, snap);
	made = set.m.kind == DATASET_LAYERED ? snapshot_layered(h, &set, snap, e)
					     : snapshot_plain(&set, name, snap, e);
	if (made < 0 || set_save(&set, true, e) < 0)
		return err_ctx(e, "snapshot %s@%s", name, snap);
	return 0;
}

static int overlay_snapshot_destroy(
    struct host *h, const char *name, const char *snap, struct err *e);

static int
overlay_snapshot(struct host *h, const char *name, const char *snap, bool recursive, struct err *e)
{
	autonames struct names all = NAMES_INIT;

	if (dataset_check_snapshot(snap, e) < 0 || dataset_check_name(name, e) < 0)
		return -1;
	names_add(&all, name);
	if (recursive) {
		autostore struct store s = STORE_INIT;
		autofree char *prefix = xasprintf("%s/", name);

		if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0 ||
		    sets_list(&s, prefix, &all, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < all.n; i++)
		if (snapshot_one(h, all.at[i], snap, e) < 0) {
			struct err ignored = ERR_INIT;

			while (i-- > 0)
				(void)overlay_snapshot_destroy(h, all.at[i], snap, &ignored);
			return -1;
		}
	return 0;
}

static int
overlay_snapshots(struct host *h, const char *name, struct names *out, struct err *e)
{
	autoset struct set set = SET_INIT;

	if (set_open(h, &set, name, STORE_READ, e) < 0)
		return -1;
	for (size_t i = 0; i < set.m.snapshots_n; i++)
		names_add(out, set.m.snapshots[i].name);
	return 0;
}

static struct meta_snapshot *
find_snapshot(struct set *set, const char *name, const char *snap, struct err *e)
{
	struct meta_snapshot *found = meta_snapshot(&set->m, snap);

	if (found == NULL)
		err_new(e, ERR_ABSENT, "snapshot %s@%s does not exist", name, snap);
	return found;
}

/* A new upper layer over a snapshot's chain. */
static int
rebase(struct set *set, const struct meta_snapshot *to, struct err *e)
{
	autofd int top = layer_open(&set->s, to->chain.at[to->chain.n - 1], e), fs = -1;
	char upper[RUN_ID_TEXT];

	if (top < 0 || layer_create(&set->s, set->id, upper, e) < 0 ||
	    (fs = layer_open(&set->s, upper, e)) < 0 || tree_attributes(top, fs, e) < 0)
		return -1;
	free(set->m.upper);
	set->m.upper = xstrdup(upper);
	names_fini(&set->m.chain);
	names_copy(&set->m.chain, &to->chain);
	return 0;
}

static int
overlay_rollback(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = SET_INIT;
	autonames struct names before = NAMES_INIT;
	struct meta_snapshot *to;

	if (set_open(h, &set, name, STORE_CHANGE, e) < 0 ||
	    (to = find_snapshot(&set, name, snap, e)) == NULL)
		return -1;
	meta_layers(&set.m, &before);
	if (set.m.kind == DATASET_LAYERED) {
		if (rebase(&set, to, e) < 0)
			return err_ctx(e, "roll %s back to %s", name, snap);
	} else {
		set.m.fill = xstrdup(to->chain.at[0]);
	}
	meta_snapshots_cut(&set.m, (size_t)(to - set.m.snapshots) + 1);
	if (set_save(&set, true, e) < 0 || set_drop_layers(&set, &before, e) < 0 ||
	    (set.m.fill != NULL && set_fill(&set, name, e) < 0) ||
	    trash_empty(&set.s, false, e) < 0)
		return err_ctx(e, "roll %s back to %s", name, snap);
	return 0;
}

static int
overlay_snapshot_destroy(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = SET_INIT;
	autonames struct names before = NAMES_INIT;
	struct meta_snapshot *gone;

	if (set_open(h, &set, name, STORE_CHANGE, e) < 0)
		return -1;
	gone = meta_snapshot(&set.m, snap);
	if (gone == NULL)
		return 0;
	meta_layers(&set.m, &before);
	meta_snapshot_remove(&set.m, (size_t)(gone - set.m.snapshots));
	if (set_save(&set, false, e) < 0 || set_drop_layers(&set, &before, e) < 0 ||
	    trash_empty(&set.s, false, e) < 0)
		return err_ctx(e, "destroy snapshot %s@%s", name, snap);
	return 0;
}

/* ---- clones ---- */

static int
derive(
    struct host *h, const char *name, const char *snap, const char *to, bool origin, struct err *e)
{
	autoset struct set src = SET_INIT, dst = SET_INIT;
	struct meta_snapshot *from;
	int result = 0;

	if (set_open(h, &src, name, STORE_READ, e) < 0 ||
	    (from = find_snapshot(&src, name, snap, e)) == NULL ||
	    begin(h, &dst, to, src.m.kind, e) < 0)
		return -1;
	if (origin) {
		dst.m.origin_id = xstrdup(src.id);
		dst.m.origin_snap = xstrdup(snap);
	}
	for (size_t i = 0; i < from->chain.n && result == 0; i++)
		result = layer_ref(&dst.s, from->chain.at[i], dst.id, e);
	if (result == 0 && src.m.kind == DATASET_LAYERED) {
		autofd int top = layer_open(&dst.s, from->chain.at[from->chain.n - 1], e);
		autofd int upper = layer_open(&dst.s, dst.m.upper, e);

		names_copy(&dst.m.chain, &from->chain);
		result = top < 0 || upper < 0 ? -1 : tree_attributes(top, upper, e);
	} else if (result == 0) {
		dst.m.fill = xstrdup(from->chain.at[0]);
	}
	if (result < 0 || commit(&dst, to, e) < 0) {
		abandon(&dst);
		return -1;
	}
	if (dst.m.fill != NULL && set_fill(&dst, to, e) < 0) {
		struct err ignored = ERR_INIT;

		(void)destroy_one(&dst.s, to, &ignored);
		(void)trash_empty(&dst.s, false, &ignored);
		return -1;
	}
	return 0;
}

static int
overlay_clone(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	return derive(h, name, snap, to, true, e) < 0
		   ? err_ctx(e, "clone %s@%s to %s", name, snap, to)
		   : 0;
}

static int
overlay_copy(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	return derive(h, name, snap, to, false, e) < 0
		   ? err_ctx(e, "copy %s@%s to %s", name, snap, to)
		   : 0;
}

static int
overlay_origin(struct host *h, const char *name, char **out, struct err *e)
{
	autoset struct set set = SET_INIT;
	autofree char *of = NULL;

	*out = NULL;
	if (set_open(h, &set, name, STORE_READ, e) < 0)
		return -1;
	if (set.m.origin_id == NULL)
		return 0;
	if (set_named(&set.s, set.m.origin_id, &of, e) < 0)
		return -1;
	if (of != NULL)
		*out = xasprintf("%s@%s", of, set.m.origin_snap);
	return 0;
}

/* ---- looking ---- */

static int
overlay_property_get(struct host *h, const char *name, const char *key, char **out, struct err *e)
{
	autoset struct set set = SET_INIT;
	const char *value;

	*out = NULL;
	if (set_open(h, &set, name, STORE_READ, e) < 0)
		return -1;
	value = meta_property(&set.m, key);
	if (value != NULL)
		*out = xstrdup(value);
	return 0;
}

static int
overlay_property_set(
    struct host *h, const char *name, const char *key, const char *value, struct err *e)
{
	autoset struct set set = SET_INIT;

	if (dataset_check_property(key, value, e) < 0 ||
	    set_open(h, &set, name, STORE_CHANGE, e) < 0)
		return -1;
	meta_property_set(&set.m, key, value);
	return set_save(&set, false, e);
}

static void
root_of_chain(
    struct set *set, const struct names *chain, const char *upper, struct dataset_root *out)
{
	if (upper != NULL && chain->n == 0) {
		out->plain = layer_path(&set->s, upper, "fs");
		return;
	}
	if (upper == NULL && chain->n == 1) {
		out->plain = layer_path(&set->s, chain->at[0], "fs");
		return;
	}
	for (size_t i = chain->n; i-- > 0;) {
		autofree char *path = layer_path(&set->s, chain->at[i], "fs");

		names_add(&out->lower, path);
	}
	if (upper != NULL) {
		out->upper = layer_path(&set->s, upper, "fs");
		out->work = layer_path(&set->s, upper, "work");
	}
}

static int
overlay_root(struct host *h, const char *name, struct dataset_root *out, struct err *e)
{
	autoset struct set set = SET_INIT;
	autofree char *dataset = xstrdup(name);
	char *at = strchr(dataset, '@');
	struct meta_snapshot *snap = NULL;

	if (at != NULL)
		*at++ = '\0';
	if (set_open(h, &set, dataset, STORE_READ, e) < 0 ||
	    (at != NULL && (snap = find_snapshot(&set, dataset, at, e)) == NULL))
		return -1;
	if (snap != NULL)
		root_of_chain(&set, &snap->chain, NULL, out);
	else if (set.m.kind == DATASET_LAYERED) {
		if (layer_touched(&set.s, set.m.upper, e) < 0)
			return err_ctx(e, "dataset %s", name);
		root_of_chain(&set, &set.m.chain, set.m.upper, out);
	} else
		out->plain = xasprintf("%s/%s", set.s.fs_root, name);
	return 0;
}

/* ---- the whole ---- */

static int
overlay_probe(struct host *h, struct err *e)
{
	(void)h;
#ifdef __linux__
	(void)e;
	return 0; /* whether the kernel has overlayfs is seen when a layered root is mounted */
#else
	return err_new(
	    e, ERR_UNSUPPORTED, "datasets: layers need overlayfs, which this system does not have");
#endif
}

static int
overlay_root_create(struct host *h, struct err *e)
{
	return store_create(h->roots.fs_root, &store_overlay, e);
}

static int
overlay_share(struct host *h, unsigned gid, struct err *e)
{
	return store_share(h->roots.fs_root, &store_overlay, gid, e);
}

static int
overlay_root_destroy(struct host *h, struct err *e)
{
	autostore struct store s = STORE_INIT;

	if (store_open(&s, h->roots.fs_root, STORE_ALONE, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return store_destroy(&s, e);
}

const struct dataset_ops dataset_overlay = {
	.name = "overlay",
	.probe = overlay_probe,
	.root_create = overlay_root_create,
	.root_destroy = overlay_root_destroy,
	.share = overlay_share,
	.create = overlay_create,
	.destroy = overlay_destroy,
	.rename = overlay_rename,
	.exists = overlay_exists,
	.list = overlay_list,
	.snapshot = overlay_snapshot,
	.snapshots = overlay_snapshots,
	.rollback = overlay_rollback,
	.snapshot_destroy = overlay_snapshot_destroy,
	.clone = overlay_clone,
	.copy = overlay_copy,
	.origin = overlay_origin,
	.survey = overlay_survey,
	.property_get = overlay_property_get,
	.property_set = overlay_property_set,
	.root = overlay_root,
	.sweep = overlay_sweep,
};
