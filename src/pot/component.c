#include "pot/run.h"
#include "pot/tree.h"

#include <string.h>

/*
 * File system components: datasets that any number of pots may have mounted. Each call is one call
 * of the backend, which does it whole or not at all.
 */

static int
lock_fscomp(struct pot_env *env, const char *name, const char *act, char dataset[DATASET_SIZE],
    struct err *e)
{
	char lock[DATASET_SIZE];

	if (pot_word_check("fscomp", name, e) < 0 || need_root(act, e) < 0 ||
	    pot_env_ready(env, e) < 0)
		return -1;
	snprintf(lock, sizeof(lock), "fscomp:%s", name);
	snprintf(dataset, DATASET_SIZE, "fscomp/%s", name);
	return lock_named(env, lock, LOCK_WAIT, e);
}

int
pot_fscomp_create(struct pot_env *env, const char *name, struct err *e)
{
	char dataset[DATASET_SIZE];
	autofd int lock = lock_fscomp(env, name, "create-fscomp", dataset, e);
	int there = lock < 0 ? -1 : env->host->dataset->exists(env->host, dataset, e);

	if (there != 0)
		return there < 0 ? -1 : 1;
	if (env->host->dataset->create(env->host, dataset, DATASET_PLAIN, e) < 0)
		return err_ctx(e, "create fscomp %s", name);
	return 0;
}

int
pot_fscomp_clone(struct pot_env *env, const char *source, const char *name, struct err *e)
{
	char from[DATASET_SIZE], to[DATASET_SIZE];
	autofree char *snap = NULL;

	if (strcmp(source, name) == 0)
		return err_new(e, ERR_INPUT, "fscomp %s cannot be cloned to its own name", name);
	bool swapped = strcmp(source, name) > 0; /* an order that cannot deadlock */
	autofd int first =
	    lock_fscomp(env, swapped ? name : source, "clone-fscomp", swapped ? to : from, e);
	autofd int second = first < 0 ? -1
				      : lock_fscomp(env, swapped ? source : name, "clone-fscomp",
					    swapped ? from : to, e);
	if (second < 0)
		return -1;
	int there = env->host->dataset->exists(env->host, to, e);
	if (there != 0)
		return there < 0
			   ? -1
			   : err_new(e, ERR_EXISTS, "a fscomp named '%s' exists already", name);
	there = env->host->dataset->exists(env->host, from, e);
	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "no fscomp is named '%s'", source);
	if (newest_snapshot(env, from, &snap, e) < 0)
		return -1;
	if (snap == NULL)
		return err_new(e, ERR_ABSENT,
		    "fscomp %s has no snapshot; 'pot snapshot -f %s' takes one", source, source);
	if (env->host->dataset->clone(env->host, from, snap, to, e) < 0)
		return err_ctx(e, "clone fscomp %s to %s", source, name);
	return 0;
}

/* A pot that names the component in its fscomp.conf, running ones first, or NULL. */
static const char *
user_of(struct pot_env *env, const char *dataset, bool *running, struct arena *mem)
{
	const char *found = NULL;
	struct pot_strs all;
	struct err e = ERR_INIT;

	*running = false;
	if (pot_names(env, POT_KIND_POT, mem, &all, &e) < 0)
		return NULL;
	for (size_t i = 0; i < all.n && !*running; i++) {
		struct fscomps l;
		if (fscomp_load(env, all.at[i], mem, &l, &e) < 0)
			continue;
		for (size_t k = 0; k < l.n; k++) {
			const char *name;
			if (l.at[k].source[0] == '/' ||
			    dataset_of_source(env, l.at[k].source, &name, &e) < 0 ||
			    strcmp(name, dataset) != 0)
				continue;
			found = all.at[i];
			*running = run_is_live(env, found) != 0;
		}
	}
	return found;
}

int
pot_fscomp_destroy(struct pot_env *env, const char *name, bool force, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	char dataset[DATASET_SIZE];
	autofd int lock = lock_fscomp(env, name, "destroy", dataset, e);
	int there = lock < 0 ? -1 : env->host->dataset->exists(env->host, dataset, e);
	bool running;

	if (there <= 0)
		return there < 0 ? -1 : err_new(e, ERR_ABSENT, "no fscomp is named '%s'", name);
	const char *user = user_of(env, dataset, &running, &mem);
	if (running && !force)
		return err_new(e, ERR_BUSY,
		    "destroy fscomp %s: pot %s is running and has it mounted; stop it first, or "
		    "use "
		    "-F",
		    name, user);
	if (only_told(env, "fscomp %s", name))
		return 0;
	if (env->host->dataset->destroy(env->host, dataset, true, e) < 0)
		return err_ctx(e, "destroy fscomp %s", name);
	if (user != NULL)
		pot_say(env, POT_SAY_INFO,
		    "pot %s still names fscomp %s, and does not start without it: 'pot mount-out'",
		    user, name);
	return 0;
}
