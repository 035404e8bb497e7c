#include "platform/btrfs/btrfs.h"

#include "base/str.h"
#include "platform/btrfs/subvolume.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one dataset ---- */

void
bset_forget_unmade(const struct store *s, struct meta *m)
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

int
bset_open(struct host *h, struct set *set, const char *name, enum store_lock how, struct err *e)
{
	int found;

	if (store_open(&set->s, h->roots.fs_root, how, e) < 0)
		return -1;
	if ((found = set_find(&set->s, name, set->id, e)) > 0)
		found = place_exists(&set->s, name, e);
	if (found <= 0)
		return found < 0 ? -1 : set_absent(name, e);
	if (how != STORE_READ && (set->lock = data_lock(&set->s, set->id, e)) < 0)
		return -1;
	if (data_load(&set->s, set->id, &set->m, e) < 0)
		return err_ctx(e, "dataset %s", name);
	bset_forget_unmade(&set->s, &set->m);
	if (set->m.fill == NULL)
		return 0;
	/* It was going back when somebody stopped: that comes first. */
	if (how != STORE_READ)
		return bset_fill(set, name, e);
	autoset struct set again = BSET_INIT;

	if (bset_open(h, &again, name, STORE_CHANGE, e) < 0)
		return -1;
	meta_fini(&set->m);
	return data_load(&set->s, set->id, &set->m, e);
}

/* A name whose subvolume was never made: nobody's, unless somebody is at it just now. */
static int
drop_unmade(struct store *s, const char *name, const char *id, struct err *e)
{
	char path[64];
	int made = place_exists(s, name, e);

	if (made != 0)
		return made < 0 ? -1 : err_new(e, ERR_EXISTS, "dataset %s exists already", name);
	snprintf(path, sizeof(path), "data/%s", id);
	autofd int lock = openat(s->top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0)
		return err_new(e, ERR_BUSY, "dataset %s is just being made", name);
	return set_unlink(s, name, e) < 0 ? -1 : trash_move(s, s->top, path, e);
}

/* The name leads to a description from here on; the dataset begins with its subvolume. */
static int
begin(struct host *h, struct set *set, const char *name, enum dataset_kind kind, struct err *e)
{
	int found;

	if (store_open(&set->s, h->roots.fs_root, STORE_CHANGE, e) < 0)
		return -1;
	found = set_find(&set->s, name, set->id, e);
	if (found < 0 || (found > 0 && drop_unmade(&set->s, name, set->id, e) < 0))
		return -1;
	if (data_create(&set->s, set->id, e) < 0 ||
	    (set->lock = data_lock(&set->s, set->id, e)) < 0)
		return -1;
	set->m.kind = kind;
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
	autoset struct set set = BSET_INIT;

	if (begin(h, &set, name, kind, e) < 0)
		return err_ctx(e, "create %s", name);
	if (commit(&set, name, -1, e) < 0) {
		abandon(&set, name);
		return err_ctx(e, "create %s", name);
	}
	return 0;
}

/* The subvolume first: the dataset ends with it. */
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
	if (data_load(s, set.id, &set.m, &unreadable) == 0)
		meta_layers(&set.m, &layers);
	data = xasprintf("data/%s", set.id);
	if (trash_move(s, s->fs, name, e) == 0 && set_unlink(s, name, e) == 0) {
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
btrfs_destroy(struct host *h, const char *name, bool recursive, struct err *e)
{
	autostore struct store s = BSTORE_INIT;
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
btrfs_rename(struct host *h, const char *from, const char *to, struct err *e)
{
	autostore struct store s = BSTORE_INIT;
	autofree char *inside = xasprintf("%s/", from);
	char id[RUN_ID_TEXT];
	int found;

	if (store_open(&s, h->roots.fs_root, STORE_ALONE, e) < 0)
		return -1;
	if ((found = set_find(&s, from, id, e)) > 0)
		found = place_exists(&s, from, e);
	if (found <= 0)
		return found < 0 ? -1 : set_absent(from, e);
	if ((found = set_find(&s, to, id, e)) < 0 || (found > 0 && drop_unmade(&s, to, id, e) < 0))
		return err_ctx(e, "rename %s", from);
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
btrfs_exists(struct host *h, const char *name, struct err *e)
{
	autostore struct store s = BSTORE_INIT;
	char id[RUN_ID_TEXT];
	int found;

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	found = set_find(&s, name, id, e);
	return found <= 0 ? found : place_exists(&s, name, e);
}

static int
btrfs_list(struct host *h, const char *prefix, struct names *out, struct err *e)
{
	autostore struct store s = BSTORE_INIT;
	autonames struct names all = NAMES_INIT;

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0 ||
	    sets_list(&s, prefix, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		int there = place_exists(&s, all.at[i], e);

		if (there < 0)
			return -1;
		if (there > 0)
			names_add(out, all.at[i]);
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
snapshot_one(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = BSET_INIT;
	autonames struct names chain = NAMES_INIT;
	char layer[RUN_ID_TEXT];
	struct err ignored = ERR_INIT;

	if (bset_open(h, &set, name, STORE_CHANGE, e) < 0)
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
btrfs_snapshot_destroy(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = BSET_INIT;
	autonames struct names before = NAMES_INIT;
	struct meta_snapshot *gone;

	if (bset_open(h, &set, name, STORE_CHANGE, e) < 0)
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

static int
btrfs_snapshot(struct host *h, const char *name, const char *snap, bool recursive, struct err *e)
{
	autonames struct names all = NAMES_INIT;
	autofree char *prefix = xasprintf("%s/", name);

	if (dataset_check_snapshot(snap, e) < 0 || dataset_check_name(name, e) < 0)
		return -1;
	names_add(&all, name);
	if (recursive && btrfs_list(h, prefix, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (snapshot_one(h, all.at[i], snap, e) < 0) {
			struct err ignored = ERR_INIT;

			while (i-- > 0)
				(void)btrfs_snapshot_destroy(h, all.at[i], snap, &ignored);
			return -1;
		}
	return 0;
}

static int
btrfs_snapshots(struct host *h, const char *name, struct names *out, struct err *e)
{
	autoset struct set set = BSET_INIT;

	if (bset_open(h, &set, name, STORE_READ, e) < 0)
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

static int
btrfs_rollback(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = BSET_INIT;
	autonames struct names before = NAMES_INIT;
	struct meta_snapshot *to;

	if (bset_open(h, &set, name, STORE_CHANGE, e) < 0 ||
	    (to = find_snapshot(&set, name, snap, e)) == NULL)
		return -1;
	meta_layers(&set.m, &before);
	set.m.fill = xstrdup(to->chain.at[0]);
	meta_snapshots_cut(&set.m, (size_t)(to - set.m.snapshots) + 1);
	if (set_save(&set, false, e) < 0 || bset_fill(&set, name, e) < 0 ||
	    set_drop_layers(&set, &before, e) < 0 || trash_empty(&set.s, false, e) < 0)
		return err_ctx(e, "roll %s back to %s", name, snap);
	return 0;
}

/* ---- clones ---- */

static int
derive(
    struct host *h, const char *name, const char *snap, const char *to, bool origin, struct err *e)
{
	autoset struct set src = BSET_INIT, dst = BSET_INIT;
	struct meta_snapshot *of;
	struct subvolume v;
	autofd int from = -1;

	if (bset_open(h, &src, name, STORE_READ, e) < 0 ||
	    (of = find_snapshot(&src, name, snap, e)) == NULL ||
	    (from = layer_open(&src.s, of->chain.at[0], e)) < 0 ||
	    subvolume_look(from, &v, e) < 0 || begin(h, &dst, to, src.m.kind, e) < 0)
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
btrfs_clone(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	return derive(h, name, snap, to, true, e) < 0
		   ? err_ctx(e, "clone %s@%s to %s", name, snap, to)
		   : 0;
}

static int
btrfs_copy(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	return derive(h, name, snap, to, false, e) < 0
		   ? err_ctx(e, "copy %s@%s to %s", name, snap, to)
		   : 0;
}

static int
btrfs_origin(struct host *h, const char *name, char **out, struct err *e)
{
	autoset struct set set = BSET_INIT;
	autofree char *of = NULL;

	*out = NULL;
	if (bset_open(h, &set, name, STORE_READ, e) < 0)
		return -1;
	if (set.m.origin_id == NULL)
		return 0;
	if (set_named(&set.s, set.m.origin_id, &of, e) < 0)
		return -1;
	if (of != NULL)
		*out = xasprintf("%s@%s", of, set.m.origin_snap);
	return 0;
}

static int
btrfs_property_get(struct host *h, const char *name, const char *key, char **out, struct err *e)
{
	autoset struct set set = BSET_INIT;
	const char *value;

	*out = NULL;
	if (bset_open(h, &set, name, STORE_READ, e) < 0)
		return -1;
	value = meta_property(&set.m, key);
	if (value != NULL)
		*out = xstrdup(value);
	return 0;
}

static int
btrfs_property_set(
    struct host *h, const char *name, const char *key, const char *value, struct err *e)
{
	autoset struct set set = BSET_INIT;

	if (dataset_check_property(key, value, e) < 0 ||
	    bset_open(h, &set, name, STORE_CHANGE, e) < 0)
		return -1;
	meta_property_set(&set.m, key, value);
	return set_save(&set, false, e);
}

static int
btrfs_root(struct host *h, const char *name, struct dataset_root *out, struct err *e)
{
	autoset struct set set = BSET_INIT;
	autofree char *dataset = xstrdup(name);
	char *at = strchr(dataset, '@');
	struct meta_snapshot *snap = NULL;

	if (at != NULL)
		*at++ = '\0';
	if (bset_open(h, &set, dataset, STORE_READ, e) < 0 ||
	    (at != NULL && (snap = find_snapshot(&set, dataset, at, e)) == NULL))
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

static int
btrfs_root_create(struct host *h, struct err *e)
{
	return btrfs_probe(h, e) < 0 ? -1 : store_create(h->roots.fs_root, &store_btrfs, e);
}

static int
btrfs_share(struct host *h, unsigned gid, struct err *e)
{
	return store_share(h->roots.fs_root, &store_btrfs, gid, e);
}

static int
btrfs_root_destroy(struct host *h, struct err *e)
{
	autostore struct store s = BSTORE_INIT;

	if (store_open(&s, h->roots.fs_root, STORE_ALONE, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return store_destroy(&s, e);
}

static int
give_out(struct host *h, int fd, struct err *e)
{
	(void)h;
	return btrfs_give_out(fd, e);
}

static int
btrfs_sweep(struct host *h, struct err *e)
{
	autostore struct store s = BSTORE_INIT;
	autonames struct names all = NAMES_INIT;
	int alone;

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if ((alone = store_try_alone(&s, e)) <= 0)
		return alone;
	if (sets_list(&s, "", &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		int there = place_exists(&s, all.at[i], e);

		if (there < 0 || (there == 0 && set_unlink(&s, all.at[i], e) < 0))
			return err_ctx(e, "sweep %s", s.fs_root);
	}
	return store_sweep(&s, e);
}

const struct dataset_ops dataset_btrfs = {
	.name = "btrfs",
	.probe = btrfs_probe,
	.root_create = btrfs_root_create,
	.root_destroy = btrfs_root_destroy,
	.share = btrfs_share,
	.create = btrfs_create,
	.destroy = btrfs_destroy,
	.rename = btrfs_rename,
	.exists = btrfs_exists,
	.list = btrfs_list,
	.snapshot = btrfs_snapshot,
	.snapshots = btrfs_snapshots,
	.rollback = btrfs_rollback,
	.snapshot_destroy = btrfs_snapshot_destroy,
	.clone = btrfs_clone,
	.copy = btrfs_copy,
	.origin = btrfs_origin,
	.survey = btrfs_survey,
	.property_get = btrfs_property_get,
	.property_set = btrfs_property_set,
	.root = btrfs_root,
	.give_out = give_out,
	.sweep = btrfs_sweep,
};
