#include "platform/overlay/set.h"

#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
set_there(const struct store *s, const char *name, struct err *e)
{
	return s->kind->there != NULL ? s->kind->there(s, name, e) : 1;
}

/* A name whose content was never made: nobody's, unless somebody is at it just now. */
static int
drop_unmade(struct store *s, const char *name, const char *id, struct err *e)
{
	autofree char *path = xasprintf("data/%s", id);
	autofd int lock = openat(s->top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0)
		return err_new(e, ERR_BUSY, "dataset %s is just being made", name);
	return set_unlink(s, name, e) < 0 ? -1 : trash_move(s, s->top, path, e);
}

int
set_claim(struct store *s, const char *name, struct err *e)
{
	char id[RUN_ID_TEXT];
	int found = set_find(s, name, id, e), made;

	if (found <= 0)
		return found;
	if ((made = set_there(s, name, e)) != 0)
		return made < 0 ? -1 : err_new(e, ERR_EXISTS, "dataset %s exists already", name);
	return drop_unmade(s, name, id, e);
}

int
set_begin(struct host *h, struct set *set, const char *name, enum dataset_kind kind, struct err *e)
{
	if (store_open(&set->s, h->roots.fs_root, STORE_CHANGE, e) < 0 ||
	    set_claim(&set->s, name, e) < 0 || data_create(&set->s, set->id, e) < 0 ||
	    (set->lock = data_lock(&set->s, set->id, e)) < 0)
		return -1;
	set->m.kind = kind;
	return 0;
}

int
set_open(struct host *h, struct set *set, const char *name, enum store_lock how, struct err *e)
{
	int found;

	if (store_open(&set->s, h->roots.fs_root, how, e) < 0)
		return -1;
	if ((found = set_find(&set->s, name, set->id, e)) > 0)
		found = set_there(&set->s, name, e);
	if (found <= 0)
		return found < 0 ? -1 : set_absent(name, e);
	if (how != STORE_READ && (set->lock = data_lock(&set->s, set->id, e)) < 0)
		return -1;
	if (data_load(&set->s, set->id, &set->m, e) < 0)
		return err_ctx(e, "dataset %s", name);
	if (set->s.kind->loaded(&set->s, &set->m, name, e) < 0)
		return -1;
	if (set->m.fill == NULL)
		return 0;
	/* Its content was being replaced when somebody stopped: that comes first. */
	if (how != STORE_READ)
		return set->s.kind->fill(set, name, e);
	autoset struct set again = SET_OF(h);

	if (set_open(h, &again, name, STORE_CHANGE, e) < 0)
		return -1;
	meta_fini(&set->m);
	return data_load(&set->s, set->id, &set->m, e);
}

struct meta_snapshot *
set_snapshot(struct set *set, const char *name, const char *snap, struct err *e)
{
	struct meta_snapshot *found = meta_snapshot(&set->m, snap);

	if (found == NULL)
		err_new(e, ERR_ABSENT, "snapshot %s@%s does not exist", name, snap);
	return found;
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
overlay_fill(struct set *set, const char *name, struct err *e)
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
