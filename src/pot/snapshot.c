#include "base/clock.h"
#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Snapshots are taken of all datasets of a pot under one name, the time in seconds. What is taken
 * or put back in several steps is announced on disk first, so that a pot never stays between two
 * of its states.
 */

enum { SNAP_SIZE = 32, SNAP_DATASETS = 8 };

int
pot_tree(struct pot_env *env, const char *name, struct names *out, struct err *e)
{
	char dataset[DATASET_SIZE], prefix[DATASET_SIZE + 1];

	names_add(out, ds_pot(dataset, name));
	snprintf(prefix, sizeof(prefix), "%s/", dataset);
	return env->host->dataset->list(env->host, prefix, out, e);
}

/* Ours are named by the time; what others took of the dataset is not for us to go back to. */
static bool
is_ours(const char *snap)
{
	return snap[strspn(snap, "0123456789")] == '\0';
}

/* The newest of ours among them, or NULL. */
static const char *
newest_ours(const struct names *all)
{
	for (size_t i = all->n; i > 0; i--)
		if (is_ours(all->at[i - 1]))
			return all->at[i - 1];
	return NULL;
}

int
newest_snapshot(struct pot_env *env, const char *dataset, char **snap, struct err *e)
{
	autonames struct names all = NAMES_INIT;
	const char *newest;

	if (env->host->dataset->snapshots(env->host, dataset, &all, e) < 0)
		return -1;
	newest = newest_ours(&all);
	*snap = newest != NULL ? xstrdup(newest) : NULL;
	return 0;
}

int
newest_snapshots(struct pot_env *env, const char *const *datasets, size_t n, struct arena *mem,
    const char **snap, size_t *absent, struct err *e)
{
	struct names all[SNAP_DATASETS] = { NAMES_INIT };
	int rc = n > NELEM(all) ? err_new(e, ERR_INPUT, "too many datasets at once")
				: dataset_snapshots_of(env->host, datasets, n, all, e);

	*absent = n;
	for (size_t i = 0; i < n && i < NELEM(all); i++) {
		const char *newest = rc == 0 ? newest_ours(&all[i]) : NULL;

		snap[i] = newest != NULL ? arena_strdup(mem, newest) : NULL;
		names_fini(&all[i]);
	}
	if (rc == 0 || e->kind != ERR_ABSENT)
		return rc;
	for (size_t i = 0; i < n; i++) { /* which one? */
		struct err why = ERR_INIT;

		if (env->host->dataset->exists(env->host, datasets[i], &why) == 0) {
			*absent = i;
			break;
		}
	}
	return -1;
}

static bool
is_taken(const struct names *taken, size_t n, const char *snap)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < taken[i].n; k++)
			if (strcmp(taken[i].at[k], snap) == 0)
				return true;
	return false;
}

/* The time in seconds, or the next second that is free on all: two in one second do not collide. */
static int
free_name(struct pot_env *env, const struct names *datasets, char *out, size_t size, struct err *e)
{
	struct names *taken = xcalloc(datasets->n, sizeof(*taken));
	int64_t now = clock_wall_ns() / NS_PER_SEC, later = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < datasets->n; i += SNAP_DATASETS) {
		size_t n = datasets->n - i < SNAP_DATASETS ? datasets->n - i : SNAP_DATASETS;

		rc = dataset_snapshots_of(
		    env->host, (const char *const *)datasets->at + i, n, taken + i, e);
	}
	do
		snprintf(out, size, "%" PRId64, now + later);
	while (is_taken(taken, datasets->n, out) && ++later < 1000);
	for (size_t i = 0; i < datasets->n; i++)
		names_fini(&taken[i]);
	free(taken);
	return rc < 0 || later < 1000 ? rc : err_new(e, ERR_FULL, "no free snapshot name");
}

int
snapshot_all(struct pot_env *env, const char *name, char *snap, size_t size, struct err *e)
{
	autonames struct names tree = NAMES_INIT;
	char intent[SNAP_SIZE + 8];
	struct err ignored = ERR_INIT;
	int making = intent_exists(env, name, INTENT_POT, e);

	if (making < 0 || pot_tree(env, name, &tree, e) < 0 ||
	    free_name(env, &tree, snap, size, e) < 0)
		return -1;
	if (making) /* a pot in the making goes as a whole */
		return env->host->dataset->snapshot(env->host, tree.at[0], snap, true, e);
	snprintf(intent, sizeof(intent), "snap=%s\n", snap);
	if (intent_note(env, name, INTENT_SNAPSHOT, intent, e) < 0)
		return -1;
	if (env->host->dataset->snapshot(env->host, tree.at[0], snap, true, e) < 0) {
		(void)intent_undo(env, name, INTENT_SNAPSHOT, &ignored);
		return -1;
	}
	return intent_done(env, name, INTENT_SNAPSHOT, e);
}

int
snapshot_undo(struct pot_env *env, const char *name, const char *intent, struct err *e)
{
	autonames struct names tree = NAMES_INIT;
	char snap[SNAP_SIZE];
	size_t len;

	if (!str_starts(intent, "snap="))
		return 0;
	len = strcspn(intent += strlen("snap="), "\n");
	if (len == 0 || len >= sizeof(snap) || intent[len] != '\n')
		return 0; /* cut off by a power failure, so nothing was begun */
	memcpy(snap, intent, len);
	snap[len] = '\0';
	if (pot_tree(env, name, &tree, e) < 0)
		return -1;
	for (size_t i = 0; i < tree.n; i++)
		if (env->host->dataset->snapshot_destroy(env->host, tree.at[i], snap, e) < 0 &&
		    e->kind != ERR_ABSENT)
			return -1;
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

/* What all verbs on a pot begin with: its lock. */
static int
take_pot(struct pot_env *env, const char *name, const char *act, bool stopped, struct err *e)
{
	if (need_root(act, e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0)
		return -1;
	int there = pot_exists(env, name, e);
	if (there == 0)
		lock_forget(env, name);
	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "no pot is named '%s'", name);
	if (stopped && must_be_stopped(env, name, act, e) < 0)
		return -1;
	return take_fd(&lock);
}

static int
take_fscomp(struct pot_env *env, const char *fscomp, const char *act, char dataset[DATASET_SIZE],
    struct err *e)
{
	char lock_name[DATASET_SIZE];

	if (pot_word_check("fscomp", fscomp, e) < 0 || need_root(act, e) < 0 ||
	    pot_env_ready(env, e) < 0)
		return -1;
	snprintf(lock_name, sizeof(lock_name), "fscomp:%s", fscomp);
	snprintf(dataset, DATASET_SIZE, "fscomp/%s", fscomp);
	autofd int lock = lock_named(env, lock_name, LOCK_WAIT, e);
	int there = lock < 0 ? -1 : env->host->dataset->exists(env->host, dataset, e);
	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "no fscomp is named '%s'", fscomp);
	return take_fd(&lock);
}

/* ---- taking ---- */

static int
drop_oldest(struct pot_env *env, const char *dataset, struct err *e)
{
	autonames struct names all = NAMES_INIT;

	size_t ours = 0;
	const char *oldest = NULL;

	if (env->host->dataset->snapshots(env->host, dataset, &all, e) < 0)
		return -1;
	for (size_t i = all.n; i-- > 0;)
		if (is_ours(all.at[i])) {
			oldest = all.at[i];
			ours++;
		}
	if (ours < 2)
		return 0;
	return env->host->dataset->snapshot_destroy(env->host, dataset, oldest, e);
}

/* A pot of level 0 is its base: what is made from the base from now on has what was changed. */
static int
snapshot_base(struct pot_env *env, const char *base, struct err *e)
{
	autonames struct names tree = NAMES_INIT;
	char dataset[DATASET_SIZE], prefix[DATASET_SIZE + 1], snap[SNAP_SIZE];
	autofd int lock = lock_base(env, base, LOCK_WAIT, e);

	names_add(&tree, ds_base(dataset, base, NULL));
	snprintf(prefix, sizeof(prefix), "%s/", dataset);
	if (lock < 0 || env->host->dataset->list(env->host, prefix, &tree, e) < 0 ||
	    free_name(env, &tree, snap, sizeof(snap), e) < 0)
		return -1;
	return env->host->dataset->snapshot(env->host, dataset, snap, true, e);
}

int
pot_snapshot(struct pot_env *env, const char *name, bool replace_oldest, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	autonames struct names tree = NAMES_INIT;
	char snap[SNAP_SIZE];
	struct pot_spec *spec;
	autofd int lock = take_pot(env, name, "snapshot", true, e);

	if (lock < 0 || pot_spec_load(env, name, &mem, &spec, e) < 0)
		return -1;
	if (snapshot_all(env, name, snap, sizeof(snap), e) < 0)
		return err_ctx(e, "snapshot of pot %s", name);
	if (spec->type == POT_MULTI && spec->level == 0 && snapshot_base(env, spec->base, e) < 0)
		return err_ctx(e, "snapshot of base %s", spec->base);
	if (replace_oldest && pot_tree(env, name, &tree, e) < 0)
		return err_ctx(e, "pot %s: snapshot %s was taken, an older one stays", name, snap);
	for (size_t i = tree.n; replace_oldest && i-- > 0;)
		if (drop_oldest(env, tree.at[i], e) < 0)
			return err_ctx(
			    e, "pot %s: snapshot %s was taken, an older one stays", name, snap);
	return 0;
}

int
pot_fscomp_snapshot(struct pot_env *env, const char *fscomp, bool replace_oldest, struct err *e)
{
	char dataset[DATASET_SIZE], snap[SNAP_SIZE];
	autofd int lock = take_fscomp(env, fscomp, "snapshot", dataset, e);
	char *all = dataset;
	const struct names one = { .at = &all, .n = 1 };

	if (lock < 0 || free_name(env, &one, snap, sizeof(snap), e) < 0)
		return -1;
	if (env->host->dataset->snapshot(env->host, dataset, snap, false, e) < 0)
		return err_ctx(e, "snapshot of fscomp %s", fscomp);
	if (replace_oldest && drop_oldest(env, dataset, e) < 0)
		return err_ctx(
		    e, "fscomp %s: snapshot %s was taken, the oldest one stays", fscomp, snap);
	return 0;
}

/* ---- going back ---- */

/* 1: went back, 0: there is nothing to go back to. */
static int
revert_one(struct pot_env *env, const char *dataset, struct err *e)
{
	autofree char *snap = NULL;

	if (newest_snapshot(env, dataset, &snap, e) < 0)
		return -1;
	if (snap == NULL) {
		pot_say(env, POT_SAY_INFO, "%s has no snapshot: left as it is", dataset);
		return 0;
	}
	return env->host->dataset->rollback(env->host, dataset, snap, e) < 0 ? -1 : 1;
}

int
revert_again(struct pot_env *env, const char *name, struct err *e)
{
	autonames struct names tree = NAMES_INIT;

	if (pot_tree(env, name, &tree, e) < 0)
		return -1;
	for (size_t i = tree.n; i-- > 0;) /* the deepest first */
		if (revert_one(env, tree.at[i], e) < 0)
			return -1;
	return 0;
}

int
pot_revert(struct pot_env *env, const char *name, struct err *e)
{
	autofd int lock = take_pot(env, name, "revert", true, e);

	if (lock < 0 || multi_may_revert(env, name, e) < 0)
		return -1;
	if (only_told(env, "what pot %s has changed since its newest snapshot", name))
		return 0;
	if (intent_note(env, name, INTENT_REVERT, "", e) < 0 || revert_again(env, name, e) < 0 ||
	    intent_done(env, name, INTENT_REVERT, e) < 0)
		return err_ctx(e, "revert pot %s", name);
	return 0;
}

int
pot_fscomp_revert(struct pot_env *env, const char *fscomp, struct err *e)
{
	char dataset[DATASET_SIZE];
	autofd int lock = take_fscomp(env, fscomp, "revert", dataset, e);

	if (lock < 0)
		return -1;
	if (only_told(env, "what fscomp %s has changed since its newest snapshot", fscomp))
		return 0;
	return revert_one(env, dataset, e) < 0 ? err_ctx(e, "revert fscomp %s", fscomp) : 0;
}

/* ---- clearing up ---- */

static int
purge_one(struct pot_env *env, const char *dataset, bool all, size_t *gone, struct err *e)
{
	autonames struct names snaps = NAMES_INIT;
	autofree char *newest = NULL;

	if (env->host->dataset->snapshots(env->host, dataset, &snaps, e) < 0 ||
	    newest_snapshot(env, dataset, &newest, e) < 0)
		return -1;
	for (size_t i = 0; i < snaps.n; i++) {
		if (!all && (!is_ours(snaps.at[i]) || str_eq(snaps.at[i], newest)))
			continue;
		if (only_told(env, "snapshot %s@%s", dataset, snaps.at[i]))
			continue;
		if (env->host->dataset->snapshot_destroy(env->host, dataset, snaps.at[i], e) < 0)
			return -1;
		if (gone != NULL)
			++*gone;
	}
	return 0;
}

int
pot_purge_snapshots(struct pot_env *env, const char *name, bool all, size_t *gone, struct err *e)
{
	autonames struct names tree = NAMES_INIT;
	/* a running pot keeps its files, with fewer ways back */
	autofd int lock = take_pot(env, name, "purge-snapshots", false, e);

	if (lock < 0 || pot_tree(env, name, &tree, e) < 0)
		return -1;
	for (size_t i = 0; i < tree.n; i++)
		if (purge_one(env, tree.at[i], all, gone, e) < 0)
			return err_ctx(e, "purge the snapshots of pot %s", name);
	return 0;
}

int
pot_fscomp_purge_snapshots(
    struct pot_env *env, const char *fscomp, bool all, size_t *gone, struct err *e)
{
	char dataset[DATASET_SIZE];
	autofd int lock = take_fscomp(env, fscomp, "purge-snapshots", dataset, e);

	if (lock < 0)
		return -1;
	return purge_one(env, dataset, all, gone, e) < 0
		   ? err_ctx(e, "purge the snapshots of fscomp %s", fscomp)
		   : 0;
}
