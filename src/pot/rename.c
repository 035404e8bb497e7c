#include "pot/run.h"
#include "pot/tree.h"
#include "base/vec.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * Another name. The note rename:<new>, "from=<old>", is on disk before the datasets are renamed,
 * which is the one step that counts: before it nothing has happened, after it whoever meets the new
 * name brings to an end what names the pot: its own configuration, and that of the pots which
 * depend on it, were made from it, or share its packages.
 */

/* ---- what names a pot ---- */

/* "zroot/pot/jails/<old>[/…]" and "<fs_root>/jails/<old>[/…]"; NULL: another pot's. */
static char *
renamed_path(
    struct pot_env *env, const char *source, const char *old, const char *new, struct arena *mem)
{
	const char *const tops[] = { env->conf.zfs_root, env->conf.fs_root };

	for (size_t i = 0; i < NELEM(tops); i++) {
		const char *was = arena_printf(mem, "%s/jails/%s", tops[i], old);
		size_t n = strlen(was);
		if (strncmp(source, was, n) == 0 && (source[n] == '/' || source[n] == '\0'))
			return arena_printf(mem, "%s/jails/%s%s", tops[i], new, source + n);
	}
	return NULL;
}

/* Number of lines that changed. */
static int
rename_in_fscomp(struct pot_env *env, const char *pot, const char *old, const char *new, bool write,
    struct arena *mem, struct err *e)
{
	struct fscomps l;
	int changed = 0;

	if (fscomp_load(env, pot, mem, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		char *source = renamed_path(env, l.at[i].source, old, new, mem);
		if (source != NULL) {
			l.at[i].source = source;
			changed++;
		}
	}
	return changed == 0 || !write || fscomp_save(env, pot, &l, e) == 0 ? changed : -1;
}

static int
rename_in_conf(struct pot_env *env, const char *pot, const char *old, const char *new, bool write,
    struct arena *mem, struct err *e)
{
	static const char *const keys[] = { "pot.depend", "pot.potbase" };
	autoconf struct conf conf = CONF_INIT(mem);
	int changed = 0;

	if (conf_load(&conf, env, pot, e) < 0)
		return -1;
	for (size_t i = 0; i < conf.lines.n; i++) {
		struct conf_line *line = &conf.lines.at[i];
		for (size_t k = 0; k < NELEM(keys); k++) {
			if (line->gone || !conf_line_key(line->text, keys[k]) ||
			    strcmp(strchr(line->text, '=') + 1, old) != 0)
				continue;
			line->text = arena_printf(mem, "%s=%s", keys[k], new);
			changed++;
		}
	}
	if (strcmp(pot, new) == 0 && write) {
		conf_set(&conf, "host.hostname",
		    arena_printf(mem, "\"%s\"", hostname_for(env, new, mem)));
		changed++;
	}
	return changed == 0 || !write || conf_save(&conf, env, pot, e) == 0 ? changed : -1;
}

/* Does the pot name the other? What cannot be read names nobody. */
static bool
refers(struct pot_env *env, const char *pot, const char *old, struct arena *mem)
{
	struct err e = ERR_INIT;

	return rename_in_conf(env, pot, old, old, false, mem, &e) > 0 ||
	       rename_in_fscomp(env, pot, old, old, false, mem, &e) > 0;
}

/* Those that do, sorted, and the two names themselves. */
static int
concerned(struct pot_env *env, const char *old, const char *new, struct arena *mem,
    struct pot_strs *out, struct err *e)
{
	struct strs_builder b = STRS_BUILDER(out, mem);
	struct pot_strs all;

	*out = (struct pot_strs){ 0 };
	if (all_pots(env, mem, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (strcmp(all.at[i], old) != 0 && strcmp(all.at[i], new) != 0 &&
		    refers(env, all.at[i], old, mem))
			list_add(&b, all.at[i]);
	return 0;
}

/* ---- after the datasets ---- */

static int
move_run_files(struct pot_env *env, const char *old, const char *new, struct err *e)
{
	char from[PATH_SIZE], to[PATH_SIZE];

	path_at(from, "%s/runs/%s", env->conf.run_dir, old);
	path_at(to, "%s/runs/%s", env->conf.run_dir, new);
	if (remove_tree(to, e) < 0)
		return -1;
	if (rename(from, to) < 0 && errno != ENOENT)
		return err_sys(e, "rename %s", from);
	return 0;
}

/* The caller holds the locks of all that are concerned. Twice is harmless. */
static int
rename_names(struct pot_env *env, const char *old, const char *new, const struct pot_strs *others,
    struct arena *mem, struct err *e)
{
	if (rename_in_fscomp(env, new, old, new, true, mem, e) < 0 ||
	    rename_in_conf(env, new, old, new, true, mem, e) < 0)
		return -1;
	for (size_t i = 0; i < others->n; i++)
		if (rename_in_fscomp(env, others->at[i], old, new, true, mem, e) < 0 ||
		    rename_in_conf(env, others->at[i], old, new, true, mem, e) < 0)
			return err_ctx(e, "pot %s, which names it", others->at[i]);
	return move_run_files(env, old, new, e);
}

int
rename_again(struct pot_env *env, const char *new, const char *note, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	char old[POT_NAME_MAX + 1], dataset[DATASET_SIZE];
	VEC(int) locks = VEC_INIT;
	struct pot_strs others;
	struct err ignored = ERR_INIT;
	int rc;

	if (!str_starts(note, "from="))
		return 0; /* cut off by a power failure, so nothing was begun */
	note += strlen("from=");
	size_t n = strcspn(note, "\n");
	if (n >= sizeof(old))
		return 0;
	memcpy(old, note, n);
	old[n] = '\0';
	int there = env->host->dataset->exists(env->host, ds_pot(dataset, new), e);
	if (there <= 0 || pot_name_check(old, &ignored) < 0)
		return there < 0 ? -1 : 0; /* it was not renamed, and keeps its name */
	rc = concerned(env, old, new, &mem, &others, e);
	/* in the middle of somebody's locking, so nobody is waited for */
	for (size_t i = 0; rc == 0 && i < others.n; i++) {
		int lock = lock_named(env, others.at[i], LOCK_TRY, e);
		if (lock >= 0)
			VEC_PUSH(&locks, lock);
		else
			rc = -1;
	}
	if (rc == 0)
		rc = rename_names(env, old, new, &others, &mem, e);
	for (size_t i = 0; i < locks.n; i++)
		close(locks.at[i]);
	VEC_FINI(&locks);
	return rc;
}

/* ---- the verb ---- */

/* Before the locks of all others are held: a hook that is told may want theirs. */
static int
clear_run(struct pot_env *env, const char *name, struct err *e)
{
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);

	return lock < 0 ? -1 : run_recover(env, name, e);
}

/* 1: a run of it has ended this moment; all again. */
static int
rename_locked(struct pot_env *env, const char *old, const char *new, const struct pot_strs *others,
    struct arena *mem, struct err *e)
{
	char from[DATASET_SIZE], to[DATASET_SIZE];
	const char *note = arena_printf(mem, "from=%s\n", old);
	struct pot_spec *spec;
	struct run dead;
	int there;

	if (pot_spec_load(env, old, mem, &spec, e) < 0)
		return -1;
	if ((there = pot_exists(env, new, e)) != 0)
		return there < 0 ? -1
				 : err_new(e, ERR_EXISTS, "a pot named '%s' exists already", new);
	if (run_is_live(env, old) != 0)
		return err_new(e, ERR_BUSY, "it is running; stop it first");
	if (run_read(env, old, &dead, e) == 0)
		return 1;
	if (e->kind != ERR_ABSENT)
		return -1;
	if (intent_note(env, new, INTENT_RENAME, note, e) < 0)
		return -1;
	if (env->host->dataset->rename(env->host, ds_pot(from, old), ds_pot(to, new), e) < 0) {
		struct err ignored = ERR_INIT;
		(void)intent_done(env, new, INTENT_RENAME, &ignored);
		return -1;
	}
	if (rename_names(env, old, new, others, mem, e) < 0)
		return err_ctx(e, "the datasets have their new name; 'pot doctor' does the rest");
	return intent_done(env, new, INTENT_RENAME, e);
}

/* All in one order, which cannot deadlock. */
static int
lock_all(struct pot_env *env, const char *old, const char *new, const struct pot_strs *others,
    int *locks, size_t *n, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs all = { 0 };
	struct strs_builder b = STRS_BUILDER(&all, &mem);

	list_add(&b, arena_strdup(&mem, old));
	list_add(&b, arena_strdup(&mem, new));
	for (size_t i = 0; i < others->n; i++)
		list_add(&b, others->at[i]);
	list_sort(&all);
	for (*n = 0; *n < all.n; ++*n) {
		locks[*n] = lock_pot(env, all.at[*n], LOCK_WAIT, e);
		if (locks[*n] < 0)
			return -1;
	}
	return 0;
}

static bool
same_list(const struct pot_strs *a, const struct pot_strs *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->at[i], b->at[i]) == 0;
	return same;
}

/* 1: what was found out is no longer true; all again. */
static int
rename_try(struct pot_env *env, const char *old, const char *new, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs others, now;
	size_t n = 0;

	if (clear_run(env, old, e) < 0 || concerned(env, old, new, &mem, &others, e) < 0)
		return -1;
	int *locks = arena_array(&mem, others.n + 2, int);
	int rc = lock_all(env, old, new, &others, locks, &n, e);
	if (rc == 0)
		rc = concerned(env, old, new, &mem, &now, e);
	if (rc == 0)
		rc = same_list(&others, &now) ? rename_locked(env, old, new, &others, &mem, e) : 1;
	if (rc == 0)
		lock_forget(env, old);
	else if (rc < 0 && n == others.n + 2 && pot_exists(env, new, &(struct err)ERR_INIT) == 0)
		lock_forget(env, new);
	while (n-- > 0)
		close(locks[n]);
	return rc;
}

int
pot_rename(struct pot_env *env, const char *old, const char *new, struct err *e)
{
	int rc;

	if (pot_name_check(old, e) < 0 || pot_name_check(new, e) < 0)
		return -1;
	if (strcmp(old, new) == 0)
		return err_new(e, ERR_INPUT, "rename %s: that is its name already", old);
	if (need_root("rename", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	do
		rc = rename_try(env, old, new, e);
	while (rc > 0);
	return rc < 0 ? err_ctx(e, "rename %s to %s", old, new) : 0;
}
