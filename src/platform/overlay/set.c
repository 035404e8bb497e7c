#include "platform/overlay/set.h"

#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
set_close(struct set *set)
{
	meta_fini(&set->m);
	own_close(&set->lock);
	store_close(&set->s);
}

int
set_absent(const char *name, struct err *e)
{
	return err_new(e, ERR_ABSENT, "dataset %s does not exist", name);
}

int
set_open(struct host *h, struct set *set, const char *name, enum store_lock how, struct err *e)
{
	int found;

	if (store_open(&set->s, h->roots.fs_root, how, e) < 0)
		return -1;
	found = set_find(&set->s, name, set->id, e);
	if (found <= 0)
		return found < 0 ? -1 : set_absent(name, e);
	if (how != STORE_READ && (set->lock = data_lock(&set->s, set->id, e)) < 0)
		return -1;
	if (data_load(&set->s, set->id, &set->m, e) < 0)
		return err_ctx(e, "dataset %s", name);
	if (set->m.kind == DATASET_LAYERED && set->m.upper == NULL)
		return err_new(e, ERR_CORRUPT, "dataset %s has no upper layer", name);
	if (set->m.fill == NULL)
		return 0;
	/* Its content was being replaced when somebody stopped: that comes first. */
	if (how != STORE_READ)
		return set_fill(set, name, e);
	autoset struct set again = SET_INIT;

	if (set_open(h, &again, name, STORE_CHANGE, e) < 0)
		return -1;
	meta_fini(&set->m);
	return data_load(&set->s, set->id, &set->m, e);
}

int
set_save(struct set *set, bool durable, struct err *e)
{
	return data_save(&set->s, set->id, &set->m, durable, e);
}

int
set_drop_layers(struct set *set, const struct names *before, struct err *e)
{
	autonames struct names now = NAMES_INIT;

	meta_layers(&set->m, &now);
	for (size_t i = 0; i < before->n; i++)
		if (!names_have(&now, before->at[i]) &&
		    layer_unref(&set->s, before->at[i], set->id, e) < 0)
			return -1;
	return 0;
}

int
set_content(struct set *set, const char *name, struct err *e)
{
	int fd = openat(set->s.fs, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "open %s/%s", set->s.fs_root, name) : fd;
}

/* ---- content of plain datasets ---- */

static bool
is_kept(const struct names *below, const char *entry)
{
	size_t len = strlen(entry);

	for (size_t i = 0; i < below->n; i++)
		if (strncmp(below->at[i], entry, len) == 0 &&
		    (below->at[i][len] == '\0' || below->at[i][len] == '/'))
			return true;
	return false;
}

int
set_fill(struct set *set, const char *name, struct err *e)
{
	autonames struct names old = NAMES_INIT, before = NAMES_INIT, below = NAMES_INIT;
	autofd int from = layer_open(&set->s, set->m.fill, e), to = -1;

	if (from < 0 || mkdir_parents(set->s.fs, name, e) < 0)
		return -1;
	if (mkdirat(set->s.fs, name, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make %s/%s", set->s.fs_root, name);
	if ((to = set_content(set, name, e)) < 0 || dir_names(to, ".", &old, e) < 0 ||
	    sets_below(&set->s, name, &below, e) < 0)
		return -1;
	for (size_t i = 0; i < old.n; i++)
		if (!is_kept(&below, old.at[i]) && trash_move(&set->s, to, old.at[i], e) < 0)
			return -1;
	if (tree_copy(from, to, &below, e) < 0)
		return err_ctx(e, "fill %s/%s", set->s.fs_root, name);
	meta_layers(&set->m, &before);
	free(set->m.fill);
	set->m.fill = NULL;
	if (set_save(set, false, e) < 0 || set_drop_layers(set, &before, e) < 0)
		return -1;
	return trash_empty(&set->s, false, e);
}
