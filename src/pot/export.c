#include "pot/export.h"

#include "pot/priv.h"
#include "pot/run.h"

#include <unistd.h>

struct lending {
	const char *conf_dir;
	pot_lend_fn *fn;
	void *ctx;
};

/* In the child that holds the tree together. Programs started from here reach the root through
 * this process's descriptor; the dot makes the name that of the directory, not of a link. */
static int
lend(int root_fd, void *ctx, struct err *e)
{
	const struct lending *l = ctx;
	char root[64];

	snprintf(root, sizeof(root), "/proc/%ld/fd/%d/.", (long)getpid(), root_fd);
	return l->fn(l->conf_dir, root, l->ctx, e);
}

int
pot_lend(struct pot_env *env, const char *name, pot_lend_fn *fn, void *ctx, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	char dataset[DATASET_SIZE], conf[PATH_SIZE];
	struct lending l = { .fn = fn, .ctx = ctx };
	struct mount_root root;
	struct pot_spec *spec;

	if (pot_name_check(name, e) < 0 || need_root("export", e) < 0)
		return -1;
	autofd int lock = lock_pot(env, name, LOCK_WAIT, e);
	if (lock < 0 || pot_spec_load(env, name, &mem, &spec, e) < 0 ||
	    run_recover(env, name, e) < 0)
		return -1;
	if (spec->type != POT_SINGLE)
		return err_new(e, ERR_UNSUPPORTED,
		    "pot %s is of type multi: only single pots can be exported", name);
	if (run_is_live(env, name) != 0)
		return err_new(e, ERR_BUSY, "pot %s is running: stop it first", name);
	if (mount_root_of(env, ds_root(dataset, name), &mem, &root, e) < 0)
		return -1;
	root.read_only = true;
	l.conf_dir = path_at(conf, "%s/jails/%s/conf", env->conf.fs_root, name);
	return env->host->mount->with_root(&root, NULL, 0, lend, &l, e);
}
