#include "base/clock.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <string.h>

int
newest_snapshot(struct pot_env *env, const char *dataset, char **snap, struct err *e)
{
	autonames struct names all = NAMES_INIT;

	if (env->host->dataset->snapshots(env->host, dataset, &all, e) < 0)
		return -1;
	*snap = all.n > 0 ? take(&all.at[all.n - 1]) : NULL;
	return 0;
}

static int
has_snapshot(struct pot_env *env, const char *dataset, const char *snap, struct err *e)
{
	autonames struct names all = NAMES_INIT;

	if (env->host->dataset->snapshots(env->host, dataset, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (strcmp(all.at[i], snap) == 0)
			return 1;
	return 0;
}

/* The time in seconds, or the next second that is free on both: two in one second do not collide.
 */
static int
free_name(
    struct pot_env *env, const char *conf, const char *root, char *out, size_t size, struct err *e)
{
	int64_t now = clock_wall_ns() / NS_PER_SEC;

	for (int i = 0; i < 1000; i++) {
		snprintf(out, size, "%lld", (long long)now + i);
		int a = has_snapshot(env, conf, out, e);
		int b = a == 0 ? has_snapshot(env, root, out, e) : a;
		if (a < 0 || b < 0)
			return -1;
		if (b == 0)
			return 0;
	}
	return err_new(e, ERR_FULL, "no free snapshot name");
}

int
snapshot_both(struct pot_env *env, const char *name, char *snap, size_t size, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	char conf[DATASET_SIZE], root[DATASET_SIZE];
	struct err ignored = ERR_INIT;

	ds_pot(conf, name);
	ds_root(root, name);
	if (free_name(env, conf, root, snap, size, e) < 0)
		return -1;
	/* the root last: a snapshot counts when the root has it */
	if (ds->snapshot(env->host, conf, snap, e) < 0)
		return -1;
	if (ds->snapshot(env->host, root, snap, e) < 0) {
		(void)ds->snapshot_destroy(env->host, conf, snap, &ignored);
		return -1;
	}
	return 0;
}

static int
must_be_stopped(struct pot_env *env, const char *name, const char *act, struct err *e)
{
	if (run_recover(env, name, e) < 0)
		return -1;
	if (run_is_live(env, name) != 0)
		return err_new(e, ERR_BUSY, "%s: pot %s is running; stop it first", act, name);
	return 0;
}

static int
drop_oldest(struct pot_env *env, const char *dataset, struct err *e)
{
	autonames struct names all = NAMES_INIT;

	if (env->host->dataset->snapshots(env->host, dataset, &all, e) < 0)
		return -1;
	if (all.n < 2)
		return 0;
	return env->host->dataset->snapshot_destroy(env->host, dataset, all.at[0], e);
}

int
pot_snapshot(struct pot_env *env, const char *name, bool replace_oldest, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	char snap[32], conf[DATASET_SIZE], root[DATASET_SIZE];
	struct pot_spec *spec;

	if (need_root("snapshot", e) < 0)
		return -1;
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0 || pot_spec_load(env, name, &mem, &spec, e) < 0 ||
	    must_be_stopped(env, name, "snapshot", e) < 0)
		return -1;
	if (snapshot_both(env, name, snap, sizeof(snap), e) < 0)
		return err_ctx(e, "snapshot of pot %s", name);
	if (replace_oldest && (drop_oldest(env, ds_root(root, name), e) < 0 ||
				  drop_oldest(env, ds_pot(conf, name), e) < 0))
		return err_ctx(
		    e, "pot %s: snapshot %s was taken, the oldest one stays", name, snap);
	return 0;
}

int
pot_revert(struct pot_env *env, const char *name, struct err *e)
{
	const char *deepest_first[2];
	char conf[DATASET_SIZE], root[DATASET_SIZE];

	if (need_root("revert", e) < 0)
		return -1;
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0)
		return -1;
	int there = pot_exists(env, name, e);
	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "no pot is named '%s'", name);
	if (must_be_stopped(env, name, "revert", e) < 0)
		return -1;
	deepest_first[0] = ds_root(root, name);
	deepest_first[1] = ds_pot(conf, name);
	for (size_t i = 0; i < NELEM(deepest_first); i++) {
		autofree char *snap = NULL;
		if (newest_snapshot(env, deepest_first[i], &snap, e) < 0)
			return err_ctx(e, "revert pot %s", name);
		if (snap == NULL)
			pot_say(env, POT_SAY_INFO, "%s has no snapshot: left as it is",
			    deepest_first[i]);
		else if (env->host->dataset->rollback(env->host, deepest_first[i], snap, e) < 0)
			return err_ctx(e, "revert pot %s", name);
	}
	return 0;
}
