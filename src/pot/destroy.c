#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <string.h>
#include <unistd.h>

/*
 * Removing. The intent goes to disk first: from then on the pot counts as gone, and whoever meets
 * its name finishes the work.
 */

static int
remove_announced(struct pot_env *env, const char *name, struct err *e)
{
	if (intent_begin(env, name, INTENT_POT, e) < 0)
		return -1;
	return intent_undo(env, name, INTENT_POT, e);
}

struct family {
	struct pot_strs children; /* made from it by copying (create -P); clones live without it */
	struct pot_strs dependents; /* start after it */
};

static int
family_of(
    struct pot_env *env, const char *name, struct arena *mem, struct family *out, struct err *e)
{
	struct strs_builder children = STRS_BUILDER(&out->children, mem),
			    dependents = STRS_BUILDER(&out->dependents, mem);
	struct pot_strs all;

	*out = (struct family){ .children = { 0 } };
	if (all_pots(env, mem, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		struct err ignored = ERR_INIT;
		struct pot_spec *spec;
		if (strcmp(all.at[i], name) == 0 ||
		    pot_spec_load(env, all.at[i], mem, &spec, &ignored) < 0)
			continue;
		if (strcmp(spec->potbase, name) == 0)
			list_add(&children, all.at[i]);
		if (list_has(&spec->depend, name))
			list_add(&dependents, all.at[i]);
	}
	return 0;
}

enum { STOPS_MAX = 3 };

static int
destroy_locked(
    struct pot_env *env, const char *name, const struct pot_destroy_options *o, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec *spec = NULL;
	struct family family;
	int live;

	if (pot_spec_load(env, name, &mem, &spec, e) < 0 && (e->kind != ERR_CORRUPT || !o->force))
		return -1;
	if (spec != NULL && spec->type == POT_MULTI && spec->level == 0 && !o->force &&
	    !o->with_base)
		return err_new(e, ERR_INPUT,
		    "it is of level 0, base %s itself: 'pot destroy -b %s' removes both, -F the "
		    "pot "
		    "alone",
		    spec->base, spec->base);
	if (!env->dry_run && run_recover(env, name, e) < 0 && !o->force)
		return -1;
	live = run_is_live(env, name);
	if (live != 0 && !(env->dry_run && o->force))
		return err_new(e, ERR_BUSY,
		    live > 0 && o->force ? "it is started again and again"
		    : live > 0		 ? "it is running; stop it first, or use -F"
			       : "whether it runs cannot be told now; 'pot doctor' says more");
	if (only_told(env, "pot %s", name))
		return 0;
	/* one may have been made before we had the lock */
	if (family_of(env, name, &mem, &family, e) < 0)
		return -1;
	if (family.children.n > 0)
		return err_new(e, ERR_BUSY, "pot %s was made from it", family.children.at[0]);
	if (remove_announced(env, name, e) < 0)
		return -1;
	for (size_t i = 0; i < family.dependents.n; i++)
		pot_say(env, POT_SAY_INFO, "pot %s depends on %s, and does not start without it",
		    family.dependents.at[i], name);
	lock_forget(env, name);
	return 0;
}

/* With its lock; with -F stopped then. A start that had the lock may have made it run: it is
 * stopped again, a few times. */
static int
lock_stopped(struct pot_env *env, const char *name, bool force, struct err *e)
{
	for (unsigned left = force && !env->dry_run ? STOPS_MAX : 0;; left--) {
		if (left > 0 && run_is_live(env, name) != 0 && pot_stop(env, name, NULL, e) < 0)
			return -1;
		int lock = lock_pot(env, name, LOCK_WAIT, e);
		if (lock < 0 || left == 0 || run_is_live(env, name) == 0)
			return lock;
		(void)close(lock);
	}
}

static int
destroy_one(
    struct pot_env *env, const char *name, const struct pot_destroy_options *o, struct err *e)
{
	autofd int lock = lock_stopped(env, name, o->force, e);
	if (lock < 0)
		return -1;
	int there = pot_exists(env, name, e);
	if (there <= 0) {
		if (there == 0)
			lock_forget(env, name);
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "no pot is named '%s'", name);
	}
	return destroy_locked(env, name, o, e);
}

static int
destroy_tree(struct pot_env *env, const char *name, const struct pot_destroy_options *o,
    unsigned depth, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct family family;

	if (depth > 32)
		return err_new(
		    e, ERR_CORRUPT, "pots name each other as their origin (pot.potbase)");
	if (family_of(env, name, &mem, &family, e) < 0)
		return -1;
	const struct pot_strs children = family.children;
	if (children.n > 0 && !o->recursive)
		return err_new(e, ERR_BUSY, "pot %s was made from it; -r destroys that as well",
		    children.at[0]);
	for (size_t i = 0; i < children.n; i++)
		if (destroy_tree(env, children.at[i], o, depth + 1, e) < 0 && e->kind != ERR_ABSENT)
			return err_ctx(e, "pot %s, made from it", children.at[i]);
	return destroy_one(env, name, o, e);
}

int
pot_destroy(
    struct pot_env *env, const char *name, const struct pot_destroy_options *o, struct err *e)
{
	static const struct pot_destroy_options careful = { .force = false };

	if (pot_name_check(name, e) < 0 || need_root("destroy", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	if (destroy_tree(env, name, o != NULL ? o : &careful, 0, e) < 0)
		return err_ctx(e, "destroy pot %s", name);
	return 0;
}

/* The pots that share the base, those that depend on others first. */
static int
destroy_users(
    struct pot_env *env, const char *base, const struct pot_destroy_options *o, struct err *e)
{
	const struct pot_destroy_options with_base = {
		.force = o->force, .recursive = true, .with_base = true
	};
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec **users;
	size_t n;

	if (multi_users(env, base, &mem, &users, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n && !o->recursive; i++)
		if (users[i]->level > 0)
			return err_new(e, ERR_BUSY,
			    "pot %s shares it; -r destroys the pots that do as well",
			    users[i]->name);
	for (unsigned level = 3; level-- > 0;)
		for (size_t i = 0; i < n; i++)
			if (users[i]->level == level &&
			    destroy_tree(env, users[i]->name, &with_base, 0, e) < 0 &&
			    e->kind != ERR_ABSENT)
				return err_ctx(e, "pot %s", users[i]->name);
	return 0;
}

int
pot_destroy_base(
    struct pot_env *env, const char *base, const struct pot_destroy_options *o, struct err *e)
{
	static const struct pot_destroy_options careful = { .force = false };
	autoarena struct arena mem = ARENA_INIT;
	struct pot_spec **users;
	char dataset[DATASET_SIZE];
	size_t n;

	if (pot_word_check("base", base, e) < 0 || need_root("destroy", e) < 0 ||
	    pot_env_ready(env, e) < 0)
		return -1;
	ds_base(dataset, base, NULL);
	int there = env->host->dataset->exists(env->host, dataset, e);
	if (there > 0 && destroy_users(env, base, o != NULL ? o : &careful, e) < 0)
		return err_ctx(e, "destroy base %s", base);
	if (there > 0 && only_told(env, "base %s", base))
		return 0;
	autofd int lock = lock_base(env, base, LOCK_WAIT, e);
	if (lock < 0)
		return -1;
	/* a pot may have come meanwhile */
	if (there > 0 &&
	    (multi_users(env, base, &mem, &users, &n, e) < 0 ||
		(n > 0 && err_new(e, ERR_BUSY, "pot %s shares it", users[0]->name) < 0)))
		return err_ctx(e, "destroy base %s", base);
	if (there > 0)
		there = env->host->dataset->exists(env->host, dataset, e);
	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "no base is named '%s'", base);
	if (intent_begin(env, base, INTENT_BASE, e) < 0 ||
	    intent_undo(env, base, INTENT_BASE, e) < 0)
		return err_ctx(e, "destroy base %s", base);
	return 0;
}

/* ---- prune ---- */

static bool
prunable(struct pot_env *env, const char *name)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;
	struct pot_spec *spec;

	return pot_spec_load(env, name, &mem, &spec, &e) == 0 && pot_spec_yes(spec, "prunable") &&
	       pot_spec_yes(spec, "to-be-pruned") && run_is_live(env, name) == 0;
}

/* 1: gone; 0: not now (it runs, or somebody is at it). */
static int
prune_one(struct pot_env *env, const char *name, struct err *e)
{
	static const struct pot_destroy_options careful = { .force = false };
	autofd int lock = lock_pot(env, name, LOCK_TRY, e);

	if (lock < 0)
		return e->kind == ERR_BUSY ? 0 : -1;
	/* look again, now that nobody can start it */
	if (!prunable(env, name))
		return 0;
	return destroy_locked(env, name, &careful, e) < 0 ? -1 : 1;
}

int
pot_prune(struct pot_env *env, const struct pot_prune_options *o, struct arena *mem,
    struct pot_strs *gone, struct err *e)
{
	struct strs_builder b = STRS_BUILDER(gone, mem);
	struct pot_strs all;
	struct err first = ERR_INIT;
	char path[PATH_SIZE];

	*gone = (struct pot_strs){ 0 };
	if (need_root("prune", e) < 0 || pot_env_ready(env, e) < 0 ||
	    pot_names(env, POT_KIND_POT, mem, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		struct err why = ERR_INIT;
		if (!prunable(env, all.at[i]))
			continue;
		path_at(path, "%s/jails/%s/conf/.last_run_stats", env->conf.fs_root, all.at[i]);
		if (o->grace && file_age_seconds(path) < 60)
			continue;
		int rc = o->dry_run ? 1 : prune_one(env, all.at[i], &why);
		if (rc > 0)
			list_add(&b, all.at[i]);
		if (rc < 0 && first.kind == ERR_NONE) {
			first = why;
			err_ctx(&first, "prune pot %s", all.at[i]);
		}
	}
	if (first.kind != ERR_NONE)
		*e = first;
	return first.kind != ERR_NONE ? -1 : 0;
}
