#include "base/str.h"
#include "platform/btrfs/btrfs.h"
#include "platform/btrfs/subvolume.h"
#include "platform/overlay/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h> /* RENAME_EXCHANGE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h> /* renameat2(), which not every C library has */
#include <unistd.h>

/* ---- where a dataset lies ---- */

int
place_exists(const struct store *s, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(s->fs, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "look at %s/%s", s->fs_root, name);
	return S_ISDIR(st.st_mode) && st.st_ino == SUBVOLUME_INODE;
}

int
place_parent(const struct store *s, const char *name, const char **last, struct err *e)
{
	autofree char *copy = xstrdup(name);
	char *slash = strrchr(copy, '/');
	int fd;

	if (mkdir_parents(s->fs, name, e) < 0)
		return -1;
	*last = slash != NULL ? name + (slash + 1 - copy) : name;
	if (slash != NULL)
		*slash = '\0';
	fd = openat(
	    s->fs, slash != NULL ? copy : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open %s/%s", s->fs_root, copy) : fd;
}

/* ---- going back ---- */

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

static int
remove_entry(int dir, const char *name, struct err *e)
{
	autofd int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (sub < 0)
		return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? err_sys(e, "remove %s", name)
								     : 0;
	if (subvolume_is(sub))
		return subvolume_remove(dir, name, e);
	if (tree_empty(sub, e) < 0)
		return -1;
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? err_sys(e, "remove %s", name) : 0;
}

/* The directory and what is mounted from it stay, as do the datasets below; blocks are shared. */
static int
fill_in_place(struct set *set, const char *name, int from, const struct names *below, struct err *e)
{
	autonames struct names old = NAMES_INIT, skip = NAMES_INIT;
	autofd int to = set_content(set, name, e);

	if (to < 0 || dir_names(to, ".", &old, e) < 0)
		return -1;
	for (size_t i = 0; i < old.n; i++)
		if (!is_kept(below, old.at[i]) && remove_entry(to, old.at[i], e) < 0)
			return -1;
	names_copy(&skip, below);
	return tree_copy(from, to, &skip, e);
}

/* A new subvolume takes the place of the old one. */
static int
fill_exchange(struct set *set, const char *name, int from, struct err *e)
{
	autofree char *path = xasprintf("data/%s/new", set->id);
	autofd int data = data_open(&set->s, set->id, e);

	if (data < 0 || subvolume_remove(data, "new", e) < 0 ||
	    subvolume_snapshot(from, data, "new", false, e) < 0)
		return -1;
	if (syscall(SYS_renameat2, set->s.top, path, set->s.fs, name, RENAME_EXCHANGE) < 0)
		return err_sys(e, "put the snapshot in place of %s", name);
	return trash_move(&set->s, set->s.top, path, e);
}

int
btrfs_fill(struct set *set, const char *name, struct err *e)
{
	autonames struct names below = NAMES_INIT, before = NAMES_INIT;
	autofd int from = layer_open(&set->s, set->m.fill, e);
	int done;

	if (from < 0 || sets_below(&set->s, name, &below, e) < 0)
		return -1;
	done = set->m.kind == DATASET_LAYERED && below.n == 0
		   ? fill_exchange(set, name, from, e)
		   : fill_in_place(set, name, from, &below, e);
	if (done < 0)
		return err_ctx(e, "fill %s/%s", set->s.fs_root, name);
	meta_layers(&set->m, &before);
	free(set->m.fill);
	set->m.fill = NULL;
	if (set_save(set, false, e) < 0 || set_drop_layers(set, &before, e) < 0)
		return -1;
	return trash_empty(&set->s, false, e);
}
