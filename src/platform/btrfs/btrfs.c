#include "platform/btrfs/btrfs.h"

#include "base/str.h"
#include "platform/btrfs/subvolume.h"
#include "platform/overlay/common.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one dataset ---- */

void
btrfs_forget_unmade(const struct store *s, struct meta *m)
{
	while (m->snapshots_n > 0) {
		char path[64];

		snprintf(
		    path, sizeof(path), "l/%s/fs", m->snapshots[m->snapshots_n - 1].chain.at[0]);
		if (faccessat(s->top, path, F_OK, 0) == 0 || errno != ENOENT)
			return;
		meta_snapshots_cut(m, m->snapshots_n - 1);
	}
}

static int
loaded(const struct store *s, struct meta *m, const char *name, struct err *e)
{
	(void)name;
	(void)e;
	btrfs_forget_unmade(s, m);
	return 0;
}

static void
abandon(struct set *set, const char *name)
{
	autofree char *path = xasprintf("data/%s", set->id);
	char id[RUN_ID_TEXT];
	struct err ignored = ERR_INIT;

	if (set_find(&set->s, name, id, &ignored) == 1 && str_eq(id, set->id))
		(void)set_unlink(&set->s, name, &ignored);
	(void)trash_move(&set->s, set->s.top, path, &ignored);
	(void)trash_empty(&set->s, false, &ignored);
}

/* `from`: the layer whose content it gets, or -1. */
static int
commit(struct set *set, const char *name, int from, struct err *e)
{
	const char *last;
	autofd int parent = place_parent(&set->s, name, &last, e);

	if (parent < 0)
		return -1;
	/* An empty directory may be there, as a child's mount point or the trace of a snapshot. */
	if (unlinkat(parent, last, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_new(
		    e, ERR_EXISTS, "%s/%s exists, and is not a dataset", set->s.fs_root, name);
	if (set_save(set, false, e) < 0 || set_link(&set->s, name, set->id, e) < 0)
		return -1;
	return from >= 0 ? subvolume_snapshot(from, parent, last, false, e)
			 : subvolume_create(parent, last, e);
}

static int
btrfs_create(struct host *h, const char *name, enum dataset_kind kind, struct err *e)
{
	autoset struct set set = SET_OF(h);

	if (set_begin(h, &set, name, kind, e) < 0)
		return err_ctx(e, "create %s", name);
	if (commit(&set, name, -1, e) < 0) {
		abandon(&set, name);
		return err_ctx(e, "create %s", name);
	}
	return 0;
}

/* ---- snapshots ---- */

/* A layer without files yet. */
static int
new_layer(struct set *set, char layer[RUN_ID_TEXT], struct err *e)
{
	char path[64];

	if (layer_create(&set->s, set->id, layer, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "l/%s/fs", layer);
	return unlinkat(set->s.top, path, AT_REMOVEDIR) < 0 ? err_sys(e, "prepare %s", path) : 0;
}

static int
make_layer(struct set *set, const char *name, const char *layer, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "l/%s", layer);
	autofd int from = set_content(set, name, e);
	autofd int dir = openat(set->s.top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return -1;
	if (dir < 0)
		return err_sys(e, "open %s/.btrfs/%s", set->s.fs_root, path);
	return subvolume_snapshot(from, dir, "fs", true, e);
}

static int
btrfs_snapshot(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = SET_OF(h);
	autonames struct names chain = NAMES_INIT;
	char layer[RUN_ID_TEXT];
	struct err ignored = ERR_INIT;

	if (set_open(h, &set, name, STORE_CHANGE, e) < 0)
		return -1;
	if (meta_snapshot(&set.m, snap) != NULL)
		return err_new(e, ERR_EXISTS, "snapshot %s@%s exists already", name, snap);
	if (new_layer(&set, layer, e) < 0)
		return err_ctx(e, "snapshot %s@%s", name, snap);
	names_add(&chain, layer);
	meta_snapshot_add(&set.m, snap, &chain);
	/* described first: making it is what puts both on disk */
	if (set_save(&set, false, e) == 0 && make_layer(&set, name, layer, e) == 0)
		return 0;
	meta_snapshot_remove(&set.m, set.m.snapshots_n - 1);
	(void)set_save(&set, false, &ignored);
	(void)layer_unref(&set.s, layer, set.id, &ignored);
	(void)trash_empty(&set.s, false, &ignored);
	return err_ctx(e, "snapshot %s@%s", name, snap);
}

static int
btrfs_rollback(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = SET_OF(h);
	autonames struct names before = NAMES_INIT;
	struct meta_snapshot *to;

	if (set_open(h, &set, name, STORE_CHANGE, e) < 0 ||
	    (to = set_snapshot(&set, name, snap, e)) == NULL)
		return -1;
	meta_layers(&set.m, &before);
	set.m.fill = xstrdup(to->chain.at[0]);
	meta_snapshots_cut(&set.m, (size_t)(to - set.m.snapshots) + 1);
	if (set_save(&set, false, e) < 0 || btrfs_fill(&set, name, e) < 0 ||
	    set_drop_layers(&set, &before, e) < 0 || trash_empty(&set.s, false, e) < 0)
		return err_ctx(e, "roll %s back to %s", name, snap);
	return 0;
}

/* ---- clones ---- */

static int
btrfs_derive(
    struct host *h, const char *name, const char *snap, const char *to, bool origin, struct err *e)
{
	autoset struct set src = SET_OF(h), dst = SET_OF(h);
	struct meta_snapshot *of;
	struct subvolume v;
	autofd int from = -1;

	if (set_open(h, &src, name, STORE_READ, e) < 0 ||
	    (of = set_snapshot(&src, name, snap, e)) == NULL ||
	    (from = layer_open(&src.s, of->chain.at[0], e)) < 0 ||
	    subvolume_look(from, &v, e) < 0 || set_begin(h, &dst, to, src.m.kind, e) < 0)
		return -1;
	if (origin) {
		autofree char *text = xasprintf("%s %" PRIu64, of->chain.at[0], v.born);

		dst.m.origin_id = xstrdup(src.id);
		dst.m.origin_snap = xstrdup(snap);
		meta_property_set(&dst.m, BTRFS_CLONE_OF, text);
	}
	if (commit(&dst, to, from, e) < 0) {
		abandon(&dst, to);
		return -1;
	}
	return 0;
}

static int
btrfs_root(struct host *h, const char *name, struct dataset_root *out, struct err *e)
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
	out->plain = snap != NULL ? layer_path(&set.s, snap->chain.at[0], "fs")
				  : xasprintf("%s/%s", set.s.fs_root, name);
	return 0;
}

/* ---- the whole ---- */

static int
btrfs_probe(struct host *h, struct err *e)
{
	autofree char *path = xstrdup(h->roots.fs_root);
	int fd;

	/* the nearest directory that is there */
	while ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 && errno == ENOENT) {
		char *slash = strrchr(path, '/');

		if (slash == NULL || slash == path)
			return err_new(e, ERR_UNSUPPORTED, "%s is not on btrfs", h->roots.fs_root);
		*slash = '\0';
	}
	if (fd < 0)
		return err_sys(e, "look at %s", path);
	bool there = btrfs_is(fd);
	close(fd);
	return there ? 0 : err_new(e, ERR_UNSUPPORTED, "%s is not on btrfs", h->roots.fs_root);
}

/* The dataset is there from its subvolume's making to its removal. */
static const struct store_kind store_btrfs = {
	.top = ".btrfs",
	.format = "btrfs datasets 1\n",
	.in_order = true,
	.content_first = true,
	.there = place_exists,
	.loaded = loaded,
	.fill = btrfs_fill,
	.snapshot = btrfs_snapshot,
	.derive = btrfs_derive,
};

static int
btrfs_root_create(struct host *h, struct err *e)
{
	return btrfs_probe(h, e) < 0 ? -1 : store_create(h->roots.fs_root, &store_btrfs, e);
}

static int
give_out(struct host *h, int fd, struct err *e)
{
	(void)h;
	return btrfs_give_out(fd, e);
}

const struct dataset_ops dataset_btrfs = {
	.name = "btrfs",
	.store = &store_btrfs,
	.probe = btrfs_probe,
	.root_create = btrfs_root_create,
	.root_destroy = common_root_destroy,
	.share = common_share,
	.create = btrfs_create,
	.destroy = common_destroy,
	.rename = common_rename,
	.exists = common_exists,
	.list = common_list,
	.snapshot = common_snapshot,
	.snapshots = common_snapshots,
	.rollback = btrfs_rollback,
	.snapshot_destroy = common_snapshot_destroy,
	.clone = common_clone,
	.copy = common_copy,
	.origin = common_origin,
	.survey = btrfs_survey,
	.property_get = common_property_get,
	.property_set = common_property_set,
	.root = btrfs_root,
	.give_out = give_out,
	.sweep = common_sweep,
};
