#include "pot/datasets.h"

#include "base/map.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <string.h>
#include <sys/statvfs.h>

/* Does anybody hold the pot that a dataset belongs to? Then its files may be changing. */
static bool
is_busy(void *ctx, const char *dataset)
{
	struct pot_env *env = ctx;
	char name[POT_NAME_MAX + 1];
	struct err e = ERR_INIT;
	const char *rest, *slash;

	/* what several pots may share is nobody's to vouch for */
	if (!str_starts(dataset, "jails/"))
		return true;
	rest = dataset + strlen("jails/");
	slash = strchr(rest, '/');
	size_t n = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
	if (n > POT_NAME_MAX)
		return true;
	memcpy(name, rest, n);
	name[n] = '\0';
	/* "cannot tell" is busy as well */
	autofd int lock = lock_pot(env, name, LOCK_TRY, &e);
	return lock < 0 || run_is_live(env, name) != 0;
}

int
datasets_survey(struct pot_env *env, const char *name, struct dataset_survey *out, struct err *e)
{
	struct dataset_watch watch = { .busy = is_busy, .ctx = env };

	return env->host->dataset->survey(env->host, name, &watch, out, e);
}

static void
fill_row(struct pot_env *env, const struct dataset_facts *f, uint64_t available, struct arena *mem,
    struct pot_dataset *row)
{
	row->name = arena_printf(mem, "%s/%s", env->conf.zfs_root, f->name);
	row->mountpoint = arena_printf(mem, "%s/%s", env->conf.fs_root, f->name);
	row->origin =
	    f->origin != NULL ? arena_printf(mem, "%s/%s", env->conf.zfs_root, f->origin) : NULL;
	row->used_bytes = f->used_bytes;
	row->available_bytes = available;
	row->refer_bytes = f->refer_bytes;
	row->snapshots = (struct pot_strs){ .at = arena_array(mem, f->snapshots.n + 1, char *),
		.n = f->snapshots.n };
	for (size_t i = 0; i < f->snapshots.n; i++)
		row->snapshots.at[i] = arena_strdup(mem, f->snapshots.at[i]);
}

/* As ZFS counts: what lies below counts above as well. */
static void
add_upwards(struct pot_dataset *rows, size_t n)
{
	CLEANUP(map_fini) struct map named = MAP_INIT;

	for (size_t i = 0; i < n; i++)
		map_set(&named, rows[i].name, &rows[i]);
	for (size_t i = n; i-- > 0;) { /* sorted: what lies below comes later */
		autofree char *name = xstrdup(rows[i].name);
		struct pot_dataset *parent = NULL;
		char *slash;

		while (parent == NULL && (slash = strrchr(name, '/')) != NULL) {
			*slash = '\0';
			parent = map_get(&named, name);
		}
		if (parent != NULL)
			parent->used_bytes += rows[i].used_bytes;
	}
}

int
pot_datasets(struct pot_env *env, const char *pot, struct arena *mem, struct pot_dataset **out,
    size_t *n, struct err *e)
{
	autodataset_survey struct dataset_survey found = DATASET_SURVEY_INIT;
	char dataset[DATASET_SIZE], path[PATH_SIZE];
	struct statvfs fs;
	size_t top = pot == NULL ? 1 : 0;

	if (pot_env_ready(env, e) < 0)
		return -1;
	if (datasets_survey(env, pot != NULL ? ds_pot(dataset, pot) : NULL, &found, e) < 0)
		return e->kind == ERR_ABSENT && pot != NULL
			   ? err_new(e, ERR_ABSENT, "no pot is named '%s'", pot)
			   : -1;
	/* the root itself may be a directory of another file system */
	if (statvfs(path_at(path, "%s/jails", env->conf.fs_root), &fs) < 0)
		return err_sys(e, "look at %s", path);
	uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
	struct pot_dataset *rows = arena_array(mem, found.n + 1, struct pot_dataset);
	if (top > 0)
		rows[0] = (struct pot_dataset){ .name = env->conf.zfs_root,
			.mountpoint = env->conf.fs_root,
			.available_bytes = available };
	for (size_t i = 0; i < found.n; i++)
		fill_row(env, &found.at[i], available, mem, &rows[top + i]);
	*out = rows;
	*n = found.n + top;
	add_upwards(rows, *n);
	return 0;
}
