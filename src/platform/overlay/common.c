#include "platform/overlay/common.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the whole ---- */

int
common_share(struct host *h, unsigned gid, struct err *e)
{
	return store_share(h->roots.fs_root, h->dataset->store, gid, e);
}

int
common_root_destroy(struct host *h, struct err *e)
{
	autostore struct store s = STORE_OF(h);

	if (store_open(&s, h->roots.fs_root, STORE_ALONE, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return store_destroy(&s, e);
}

/* Names whose content was never made. */
static int
drop_unmade_names(struct store *s, struct err *e)
{
	autonames struct names all = NAMES_INIT;

	if (s->kind->there == NULL)
		return 0;
	if (sets_list(s, "", &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		int there = set_there(s, all.at[i], e);

		if (there < 0 || (there == 0 && set_unlink(s, all.at[i], e) < 0))
			return err_ctx(e, "sweep %s", s->fs_root);
	}
	return 0;
}

int
common_sweep(struct host *h, struct err *e)
{
	autostore struct store s = STORE_OF(h);
	int alone;

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	if ((alone = store_try_alone(&s, e)) <= 0)
		return alone;
	return drop_unmade_names(&s, e) < 0 ? -1 : store_sweep(&s, e);
}

/* ---- names ---- */

/* 1 and the id when the dataset is there, 0 when it is not. */
static int
find_there(const struct store *s, const char *name, char id[RUN_ID_TEXT], struct err *e)
{
	int found = set_find(s, name, id, e);

	return found <= 0 ? found : set_there(s, name, e);
}

int
common_exists(struct host *h, const char *name, struct err *e)
{
	autostore struct store s = STORE_OF(h);
	char id[RUN_ID_TEXT];

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return e->kind == ERR_ABSENT ? 0 : -1;
	return find_there(&s, name, id, e);
}

int
common_list(struct host *h, const char *prefix, struct names *out, struct err *e)
{
	autostore struct store s = STORE_OF(h);
	autonames struct names all = NAMES_INIT;

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0 ||
	    sets_list(&s, prefix, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		int there = set_there(&s, all.at[i], e);

		if (there < 0)
			return -1;
		if (there > 0)
			names_add(out, all.at[i]);
	}
	return 0;
}

/* A dataset begins, and ends, with its content or with its name, as its kind has it. */
static int
end(struct store *s, const char *name, struct err *e)
{
	if (s->kind->content_first)
		return trash_move(s, s->fs, name, e) < 0 ? -1 : set_unlink(s, name, e);
	return set_unlink(s, name, e) < 0 ? -1 : trash_move(s, s->fs, name, e);
}

int
common_destroy_one(struct store *s, const char *name, struct err *e)
{
	autometa struct meta m = META_INIT;
	autonames struct names layers = NAMES_INIT;
	autofree char *data = NULL;
	char id[RUN_ID_TEXT];
	struct err unreadable = ERR_INIT;
	int found = set_find(s, name, id, e);

	if (found <= 0)
		return found;
	/* An unreadable description does not keep a dataset alive: sweep() finds its layers. */
	if (data_load(s, id, &m, &unreadable) == 0)
		meta_layers(&m, &layers);
	if (end(s, name, e) < 0)
		return -1;
	for (size_t i = 0; i < layers.n; i++)
		if (layer_unref(s, layers.at[i], id, e) < 0)
			return -1;
	data = xasprintf("data/%s", id);
	return trash_move(s, s->top, data, e);
}

int
common_destroy(struct host *h, const char *name, bool recursive, struct err *e)
{
	autostore struct store s = STORE_OF(h);
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

		if (common_destroy_one(&s, sub, e) < 0)
			return err_ctx(e, "destroy %s", sub);
	}
	if (common_destroy_one(&s, name, e) < 0 || trash_empty(&s, false, e) < 0)
		return err_ctx(e, "destroy %s", name);
	return 0;
}

int
common_rename(struct host *h, const char *from, const char *to, struct err *e)
{
	autostore struct store s = STORE_OF(h);
	autofree char *inside = xasprintf("%s/", from);
	char id[RUN_ID_TEXT];
	int found;

	if (store_open(&s, h->roots.fs_root, STORE_ALONE, e) < 0)
		return -1;
	if ((found = find_there(&s, from, id, e)) <= 0)
		return found < 0 ? -1 : set_absent(from, e);
	if (set_claim(&s, to, e) < 0)
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

/* ---- snapshots ---- */

int
common_snapshot(struct host *h, const char *name, const char *snap, bool recursive, struct err *e)
{
	autonames struct names all = NAMES_INIT;
	autofree char *prefix = xasprintf("%s/", name);

	if (dataset_check_snapshot(snap, e) < 0 || dataset_check_name(name, e) < 0)
		return -1;
	names_add(&all, name);
	if (recursive && common_list(h, prefix, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (h->dataset->store->snapshot(h, all.at[i], snap, e) < 0) {
			struct err ignored = ERR_INIT;

			while (i-- > 0)
				(void)common_snapshot_destroy(h, all.at[i], snap, &ignored);
			return -1;
		}
	return 0;
}

int
common_snapshots(struct host *h, const char *name, struct names *out, struct err *e)
{
	autoset struct set set = SET_OF(h);

	if (set_open(h, &set, name, STORE_READ, e) < 0)
		return -1;
	for (size_t i = 0; i < set.m.snapshots_n; i++)
		names_add(out, set.m.snapshots[i].name);
	return 0;
}

int
common_snapshot_destroy(struct host *h, const char *name, const char *snap, struct err *e)
{
	autoset struct set set = SET_OF(h);
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

int
common_clone(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	return h->dataset->store->derive(h, name, snap, to, true, e) < 0
		   ? err_ctx(e, "clone %s@%s to %s", name, snap, to)
		   : 0;
}

int
common_copy(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	return h->dataset->store->derive(h, name, snap, to, false, e) < 0
		   ? err_ctx(e, "copy %s@%s to %s", name, snap, to)
		   : 0;
}

int
common_origin(struct host *h, const char *name, char **out, struct err *e)
{
	autoset struct set set = SET_OF(h);
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

/* ---- properties ---- */

int
common_property_get(struct host *h, const char *name, const char *key, char **out, struct err *e)
{
	autoset struct set set = SET_OF(h);
	const char *value;

	*out = NULL;
	if (set_open(h, &set, name, STORE_READ, e) < 0)
		return -1;
	value = meta_property(&set.m, key);
	if (value != NULL)
		*out = xstrdup(value);
	return 0;
}

int
common_property_set(
    struct host *h, const char *name, const char *key, const char *value, struct err *e)
{
	autoset struct set set = SET_OF(h);

	if (dataset_check_property(key, value, e) < 0 ||
	    set_open(h, &set, name, STORE_CHANGE, e) < 0)
		return -1;
	meta_property_set(&set.m, key, value);
	return set_save(&set, false, e);
}
