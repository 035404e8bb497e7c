#include "pot/datasets.h"

#include "pot/priv.h"

#include <string.h>
#include <sys/statvfs.h>

static int
fill_row(struct pot_env *env, const char *name, uint64_t available, struct arena *mem,
    struct pot_dataset *row, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	autonames struct names snaps = NAMES_INIT;
	autofree char *origin = NULL;

	if (ds->used_bytes(env->host, name, &row->used_bytes, e) < 0 ||
	    ds->snapshots(env->host, name, &snaps, e) < 0 ||
	    ds->origin(env->host, name, &origin, e) < 0)
		return -1;
	row->name = arena_printf(mem, "%s/%s", env->conf.zfs_root, name);
	row->mountpoint = arena_printf(mem, "%s/%s", env->conf.fs_root, name);
	row->origin =
	    origin != NULL ? arena_printf(mem, "%s/%s", env->conf.zfs_root, origin) : NULL;
	row->available_bytes = available;
	row->snapshots =
	    (struct pot_strs){ .at = arena_array(mem, snaps.n + 1, char *), .n = snaps.n };
	for (size_t i = 0; i < snaps.n; i++)
		row->snapshots.at[i] = arena_strdup(mem, snaps.at[i]);
	return 0;
}

int
pot_datasets(
    struct pot_env *env, struct arena *mem, struct pot_dataset **out, size_t *n, struct err *e)
{
	autonames struct names names = NAMES_INIT;
	struct statvfs fs;
	size_t filled = 0;

	if (env->host->dataset->list(env->host, "", &names, e) < 0)
		return -1;
	if (statvfs(env->conf.fs_root, &fs) < 0)
		return err_sys(e, "look at %s", env->conf.fs_root);
	struct pot_dataset *rows = arena_array(mem, names.n + 1, struct pot_dataset);
	for (size_t i = 0; i < names.n; i++) {
		struct err gone;

		/* One that is removed while we look is simply no more in the list. */
		if (fill_row(env, names.at[i], (uint64_t)fs.f_bavail * fs.f_frsize, mem,
			&rows[filled], &gone) == 0)
			filled++;
		else if (gone.kind != ERR_ABSENT) {
			*e = gone;
			return err_ctx(e, "dataset %s", names.at[i]);
		}
	}
	*out = rows;
	*n = filled;
	return 0;
}
