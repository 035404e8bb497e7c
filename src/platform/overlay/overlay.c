#include "platform/overlay/overlay.h"

#include "base/str.h"
#include "platform/mount.h"
#include "platform/overlay/common.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the mount options of one overlay may take: a page, less the upper layer's part. */
enum { LOWER_OPTION_MAX = 3600, CHAIN_MAX = 400 };

/* ---- making and removing ---- */

static int
begin(struct host *h, struct set *set, const char *name, enum dataset_kind kind, struct err *e)
{
	char upper[RUN_ID_TEXT];

	if (set_begin(h, set, name, kind, e) < 0)
		return -1;
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
	autoset struct set set = SET_OF(h);

	if (begin(h, &set, name, kind, e) < 0)
		return err_ctx(e, "create %s", name);
	if (commit(&set, name, e) < 0) {
		abandon(&set);
		return err_ctx(e, "create %s", name);
	}
	return 0;
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
overlay_snapshot(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = SET_OF(h);
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
	autoset struct set set = SET_OF(h);
	autonames struct names before = NAMES_INIT;
	struct meta_snapshot *to;

	if (set_open(h, &set, name, STORE_CHANGE, e) < 0 ||
	    (to = set_snapshot(&set, name, snap, e)) == NULL)
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
	    (set.m.fill != NULL && overlay_fill(&set, name, e) < 0) ||
	    trash_empty(&set.s, false, e) < 0)
		return err_ctx(e, "roll %s back to %s", name, snap);
	return 0;
}

/* ---- clones ---- */

static int
overlay_derive(
    struct host *h, const char *name, const char *snap, const char *to, bool origin, struct err *e)
{
	autoset struct set src = SET_OF(h), dst = SET_OF(h);
	struct meta_snapshot *from;
	int result = 0;

	if (set_open(h, &src, name, STORE_READ, e) < 0 ||
	    (from = set_snapshot(&src, name, snap, e)) == NULL ||
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
	if (dst.m.fill != NULL && overlay_fill(&dst, to, e) < 0) {
		struct err ignored = ERR_INIT;

		(void)common_destroy_one(&dst.s, to, &ignored);
		(void)trash_empty(&dst.s, false, &ignored);
		return -1;
	}
	return 0;
}

/* ---- looking ---- */

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
	autoset struct set set = SET_OF(h);
	autofree char *dataset = xstrdup(name);
	char *at = strchr(dataset, '@');
	struct meta_snapshot *snap = NULL;

	if (at != NULL)
		*at++ = '\0';
	if (set_open(h, &set, dataset, STORE_READ, e) < 0 ||
	    (at != NULL && (snap = set_snapshot(&set, dataset, at, e)) == NULL))
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
loaded(const struct store *s, struct meta *m, const char *name, struct err *e)
{
	(void)s;
	return m->kind == DATASET_LAYERED && m->upper == NULL
		   ? err_new(e, ERR_CORRUPT, "dataset %s has no upper layer", name)
		   : 0;
}

const struct store_kind store_overlay = {
	.top = ".overlay",
	.format = "overlay datasets 1\n",
	.loaded = loaded,
	.fill = overlay_fill,
	.snapshot = overlay_snapshot,
	.derive = overlay_derive,
};

static int
overlay_root_create(struct host *h, struct err *e)
{
	return store_create(h->roots.fs_root, &store_overlay, e);
}

const struct dataset_ops dataset_overlay = {
	.name = "overlay",
	.store = &store_overlay,
	.probe = overlay_probe,
	.root_create = overlay_root_create,
	.root_destroy = common_root_destroy,
	.share = common_share,
	.create = overlay_create,
	.destroy = common_destroy,
	.rename = common_rename,
	.exists = common_exists,
	.list = common_list,
	.snapshot = common_snapshot,
	.snapshots = common_snapshots,
	.rollback = overlay_rollback,
	.snapshot_destroy = common_snapshot_destroy,
	.clone = common_clone,
	.copy = common_copy,
	.origin = common_origin,
	.survey = overlay_survey,
	.property_get = common_property_get,
	.property_set = common_property_set,
	.root = overlay_root,
	.sweep = common_sweep,
};
