#include "platform/filter.h"
#include "platform/limits.h"
#include "pot/net.h"
#include "pot/priv.h"
#include "pot/run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const top_datasets[] = { "bases", "jails", "fscomp" };
#define CACHE_MARK ".made-by-pot-init"

static const struct pot_init_options everything;

static int
set_group(struct pot_env *env, struct err *e)
{
	const char *root = env->conf.fs_root;
	struct group *g = getgrnam(env->conf.group);
	gid_t gid = g != NULL ? g->gr_gid : 0;
	char intents[PATH_SIZE];

	if (g == NULL && strcmp(env->conf.group, "pot") != 0)
		return err_new(e, ERR_INPUT,
		    "POT_GROUP=%s: there is no such group; add it, or name another",
		    env->conf.group);
	if (g == NULL)
		pot_say(env, POT_SAY_DEBUG,
		    "there is no group '%s' (POT_GROUP): %s is for root alone", env->conf.group,
		    root);
	if (chown(root, 0, gid) < 0 || chmod(root, 0750) < 0)
		return err_sys(e, "set owner and mode of %s", root);
	/* looking at pots is looking at what of them does not count yet as well */
	if (make_dirs(path_at(intents, "%s/.intents", root), 0750, e) < 0)
		return -1;
	if (chown(intents, 0, gid) < 0 || chmod(intents, 0750) < 0)
		return err_sys(e, "set owner and mode of %s", intents);
	if (env->host->dataset->share == NULL)
		return 0;
	return env->host->dataset->share(env->host, gid, e);
}

/* The mark says that the directory is ours to remove. */
static int
make_cache(struct pot_env *env, struct err *e)
{
	const char *cache = env->conf.cache;
	char mark[PATH_SIZE];
	struct stat st;

	if (stat(cache, &st) == 0)
		return 0;
	if (make_dirs(cache, 0755, e) < 0)
		return -1;
	autofd int fd =
	    open(path_at(mark, "%s/%s", cache, CACHE_MARK), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return fd < 0 ? err_sys(e, "write %s", mark) : 0;
}

/* The packet filter's file, where the machine has one. */
static int
filter_file(struct pot_env *env, const char *file, bool undo, struct err *e)
{
	const struct filter_ops *filter = env->host->filter;
	char path[PATH_SIZE] = "";

	if (filter->install == NULL || (file != NULL && *file == '\0'))
		return 0;
	int changed = filter->install(env->host, file, undo, path, sizeof(path), e);
	if (changed < 0)
		return err_ctx(e, "edit the packet filter's file");
	if (changed > 0 && undo)
		pot_say(env, POT_SAY_INFO, "what pots need was taken out of %s", path);
	if (changed > 0 && !undo)
		pot_say(env, POT_SAY_INFO,
		    "%s calls the pots' rules now; what it was is kept as %s.bkp-pot", path, path);
	return 0;
}

int
pot_init(struct pot_env *env, const struct pot_init_options *o, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	char path[PATH_SIZE];
	struct nets nets;

	o = o != NULL ? o : &everything;
	if (need_root("init", e) < 0 || nets_read(env, &nets, e) < 0)
		return -1;
	if (ds->probe != NULL && ds->probe(env->host, e) < 0)
		return err_ctx(e, "datasets");
	if (ds->root_create(env->host, e) < 0)
		return err_ctx(e, "create %s", env->conf.fs_root);
	if (set_group(env, e) < 0)
		return -1;
	for (size_t i = 0; i < NELEM(top_datasets); i++) {
		if (ds->create(env->host, top_datasets[i], DATASET_PLAIN, e) < 0 &&
		    e->kind != ERR_EXISTS)
			return err_ctx(e, "create %s", top_datasets[i]);
		if (make_dirs(path_at(path, "%s/%s", env->conf.fs_root, top_datasets[i]), 0755, e) <
		    0)
			return -1;
	}
	if (make_dirs(path_at(path, "%s/bridges", env->conf.fs_root), 0755, e) < 0 ||
	    make_cache(env, e) < 0 || make_dirs(env->conf.run_dir, 0711, e) < 0 ||
	    (!o->no_syslogd && syslogd_setup(env, e) < 0) ||
	    filter_file(env, o->filter_file, false, e) < 0)
		return -1;
	pot_say(env, POT_SAY_INFO, "datasets lie in %s, kept by %s", env->conf.fs_root, ds->name);
	/* what is made stays: with the right names init is run again */
	return vnet_check_outside(env, e);
}

/* ---- taking it all away ---- */

static int
stop_all(struct pot_env *env, bool force, struct arena *mem, struct err *e)
{
	struct pot_strs names;

	if (run_names(env, mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		int live = run_is_live(env, names.at[i]);
		if (live != 0 && !force)
			return err_new(
			    e, ERR_BUSY, "%s is running; stop it first, or use -f", names.at[i]);
		if (str_starts(names.at[i], RUN_RAW_PREFIX) || env->dry_run)
			continue;
		if (pot_stop(env, names.at[i], NULL, e) < 0 && e->kind != ERR_ABSENT)
			return -1;
	}
	return 0;
}

static int
remove_run_dir(struct pot_env *env, struct err *e)
{
	static const char *const parts[] = { "runs", "locks" };
	char path[PATH_SIZE];

	for (size_t i = 0; i < NELEM(parts); i++)
		if (remove_tree(path_at(path, "%s/%s", env->conf.run_dir, parts[i]), e) < 0)
			return -1;
	if (rmdir(env->conf.run_dir) < 0 && errno != ENOENT && errno != ENOTEMPTY &&
	    errno != EBUSY && errno != EEXIST)
		return err_sys(e, "remove %s", env->conf.run_dir);
	return 0;
}

/* A dry run: all that there is. */
static int
tell_all(struct pot_env *env, struct arena *mem, struct err *e)
{
	static const struct {
		enum pot_kind kind;
		const char *what;
	} kinds[] = { { POT_KIND_POT, "pot" }, { POT_KIND_FSCOMP, "fscomp" },
		{ POT_KIND_BASE, "base" }, { POT_KIND_BRIDGE, "bridge" } };
	struct pot_strs names;

	for (size_t i = 0; i < NELEM(kinds); i++) {
		if (pot_names(env, kinds[i].kind, mem, &names, e) < 0)
			return -1;
		for (size_t k = 0; k < names.n; k++)
			(void)only_told(env, "%s %s", kinds[i].what, names.at[k]);
	}
	return 0;
}

int
pot_deinit(struct pot_env *env, bool force, const struct pot_init_options *o, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	char path[PATH_SIZE];

	o = o != NULL ? o : &everything;
	if (need_root("de-init", e) < 0 || stop_all(env, force, &mem, e) < 0)
		return -1;
	if (env->dry_run)
		return tell_all(env, &mem, e);
	if (pot_vnet_stop(env, e) < 0 || env->host->limits->teardown(env->host, e) < 0 ||
	    filter_file(env, o->filter_file, true, e) < 0 ||
	    (!o->no_syslogd && syslogd_undo(env, e) < 0))
		return -1;
	for (size_t i = 0; i < NELEM(top_datasets); i++) {
		if (env->host->dataset->destroy(env->host, top_datasets[i], true, e) < 0)
			return err_ctx(e, "destroy %s", top_datasets[i]);
		if (remove_tree(path_at(path, "%s/%s", env->conf.fs_root, top_datasets[i]), e) < 0)
			return -1;
	}
	if (remove_tree(path_at(path, "%s/.intents", env->conf.fs_root), e) < 0 ||
	    remove_tree(path_at(path, "%s/bridges", env->conf.fs_root), e) < 0 ||
	    env->host->dataset->root_destroy(env->host, e) < 0)
		return -1;
	if (access(path_at(path, "%s/%s", env->conf.cache, CACHE_MARK), F_OK) == 0 &&
	    remove_tree(env->conf.cache, e) < 0)
		return -1;
	return remove_run_dir(env, e);
}
