#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A clone shares the files of a snapshot and has a configuration of its own: the source's, but for
 * names, addresses and what only a run sets.
 */

struct cloning {
	const struct pot_clone_options *o;
	struct pot_spec *source;
	int (*adapt)(struct conf *, void *ctx, struct err *);
	void *ctx;
};

static int
copy_conf_files(struct making *m, const struct pot_spec *source, bool resolver_given, struct err *e)
{
	static const struct {
		const char *file;
		mode_t mode;
	} files[] = { { "prestart.sh", 0755 }, { "poststart.sh", 0755 }, { "prestop.sh", 0755 },
		{ "poststop.sh", 0755 }, { "resolv.conf", 0644 }, { "fscomp.conf", 0644 } };
	char path[PATH_SIZE];

	for (size_t i = 0; i < NELEM(files); i++) {
		autobuf struct buf text = BUF_INIT;
		struct stat st;
		path_at(
		    path, "%s/jails/%s/conf/%s", m->env->conf.fs_root, source->name, files[i].file);
		if (resolver_given && strcmp(files[i].file, "resolv.conf") == 0)
			continue;
		/* that of a multi pot names its own datasets */
		if (source->type == POT_MULTI && strcmp(files[i].file, "fscomp.conf") == 0)
			continue;
		if (buf_read_file(&text, path, CONF_MAX, e) < 0) {
			if (e->kind != ERR_ABSENT)
				return -1;
			continue;
		}
		/* a hook that was switched off stays so */
		mode_t mode = stat(path, &st) == 0 ? st.st_mode & 0777 : files[i].mode;
		if (conf_file_new(
			m->env, m->name, files[i].file, buf_str(&text), text.len, mode, e) < 0)
			return -1;
	}
	return 0;
}

static int
choose_snapshot(struct making *m, struct cloning *c, const char *root, char **snap, struct err *e)
{
	const struct pot_clone_options *o = c->o;
	char taken[32];

	if (o->snapshot != NULL) {
		*snap = xstrdup(o->snapshot);
		return 0;
	}
	if (newest_snapshot(m->env, root, snap, e) < 0)
		return -1;
	if (*snap != NULL)
		return 0;
	if (!o->take_snapshot)
		return err_new(e, ERR_ABSENT,
		    "pot %s has no snapshot; 'pot snapshot -p %s' takes one, or -F here", o->source,
		    o->source);
	if (run_is_live(m->env, o->source) != 0)
		return err_new(
		    e, ERR_BUSY, "pot %s is running: no snapshot can be taken now", o->source);
	if (snapshot_all(m->env, o->source, taken, sizeof(taken), e) < 0)
		return -1;
	*snap = xstrdup(taken);
	return 0;
}

static int
clone_conf(struct making *m, struct cloning *c, struct conf *conf, struct err *e)
{
	const struct pot_clone_options *o = c->o;
	static const char *const dropped[] = { "host.hostname", "bridge", "ip", "ip6", "mac",
		"vnet", "network_type", "pot.stack", "pot.attr.to-be-pruned" };

	if (conf_load(conf, m->env, o->source, e) < 0)
		return -1;
	for (size_t i = 0; i < NELEM(dropped); i++)
		conf_set(conf, dropped[i], NULL);
	conf_add(conf, "host.hostname",
	    arena_printf(&m->mem, "\"%s\"", hostname_for(m->env, m->name, &m->mem)));
	net_store(conf, &m->choice, m->stack_stored);
	if (o->net.dns != NULL && dns_store(m, conf, o->net.dns, e) < 0)
		return -1;
	if (c->adapt != NULL && c->adapt(conf, c->ctx, e) < 0)
		return -1;
	return conf_save(conf, m->env, m->name, e);
}

/* conf/ of the new pot. */
static int
clone_pot_conf(struct making *m, struct cloning *c, struct err *e)
{
	const struct pot_clone_options *o = c->o;
	autoconf struct conf conf = CONF_INIT(&m->mem);

	if (copy_conf_files(
		m, c->source, o->net.dns != NULL && str_starts(o->net.dns, "custom:"), e) < 0)
		return -1;
	return clone_conf(m, c, &conf, e);
}

static int
clone_multi(struct making *m, struct cloning *c, struct err *e)
{
	const struct pot_clone_options *o = c->o;
	autofree char *snap = NULL;
	char source[DATASET_SIZE];

	snprintf(source, sizeof(source), "jails/%s/custom", o->source);
	if (choose_snapshot(m, c, source, &snap, e) < 0 ||
	    multi_clone(m, o->source, o->snapshot, snap, e) < 0)
		return -1;
	return clone_pot_conf(m, c, e);
}

/* The root last: where things go to disk in order, the pot is complete with it. */
static int
clone_single(struct making *m, struct cloning *c, struct err *e)
{
	autofree char *snap = NULL;
	char source[DATASET_SIZE], root[DATASET_SIZE];

	ds_root(source, c->o->source);
	if (choose_snapshot(m, c, source, &snap, e) < 0 || clone_pot_conf(m, c, e) < 0)
		return -1;
	const char *to = ds_root(root, m->name);
	if (m->env->host->dataset->clone(m->env->host, source, snap, to, e) == 0)
		return 0;
	if (e->kind == ERR_ABSENT && c->o->snapshot != NULL)
		err_new(e, ERR_ABSENT,
		    "pot %s has no snapshot '%s'; 'pot info -s -p %s' shows those there are",
		    c->o->source, c->o->snapshot, c->o->source);
	return -1;
}

static int
clone_make(struct making *m, struct err *e)
{
	struct cloning *c = m->ctx;
	char dataset[DATASET_SIZE];

	if (m->env->host->dataset->create(
		m->env->host, ds_pot(dataset, m->name), DATASET_PLAIN, e) < 0 ||
	    mkdir_conf(m->env, m->name, e) < 0)
		return -1;
	return c->source->type == POT_MULTI ? clone_multi(m, c, e) : clone_single(m, c, e);
}

static int
clone_locked(struct making *m, struct cloning *c, struct err *e)
{
	const struct pot_clone_options *o = c->o;

	if (pot_spec_load(m->env, o->source, &m->mem, &c->source, e) < 0)
		return -1;
	if (c->source->type == POT_MULTI && c->source->level == 0)
		return err_new(e, ERR_INPUT,
		    "pot %s is of level 0, its base itself: 'pot create -b %s' makes pots of it",
		    o->source, c->source->base);
	if (net_options(m->env, &o->net, c->source->net, c->source->stack, m, e) < 0)
		return -1;
	if (c->source->type == POT_MULTI)
		m->base = c->source->base;
	char root[DATASET_SIZE];
	bool flavoured = o->flavours != NULL && o->flavours[0] != NULL;
	if (c->source->type == POT_SINGLE && !flavoured) {
		m->env->making = true;
		if (m->env->host->dataset->give_out != NULL)
			m->whole = ds_root(root, m->name);
	}
	int rc = making_run(m, e);
	m->env->making = false;
	return rc;
}

int
clone_adapted(struct pot_env *env, const struct pot_clone_options *o,
    int (*adapt)(struct conf *, void *ctx, struct err *), void *ctx, struct err *e)
{
	struct cloning c = { .o = o, .adapt = adapt, .ctx = ctx };
	struct making m = { .env = env,
		.name = o->name,
		.keep = o->keep,
		.make = clone_make,
		.flavours = o->flavours,
		.options = o,
		.ctx = &c,
		.mem = ARENA_INIT };
	autofd int lock = -1, source_lock = -1;
	enum pot_dns dns;
	const char *file;

	if (pot_name_check(o->name, e) < 0 || pot_name_check(o->source, e) < 0)
		return -1;
	if (strcmp(o->name, o->source) == 0)
		return err_new(
		    e, ERR_INPUT, "clone %s: a pot cannot be cloned to its own name", o->name);
	if (o->snapshot != NULL && o->take_snapshot)
		return err_new(
		    e, ERR_INPUT, "a snapshot can be named (-s) or taken (-F), not both");
	if (o->net.dns != NULL && dns_check(o->net.dns, &dns, &file, e) < 0)
		return -1;
	if (need_root("clone", e) < 0 || pot_env_ready(env, e) < 0 ||
	    lock_pots(env, o->name, o->source, &lock, &source_lock, e) < 0)
		return -1;
	m.origin_lock = &source_lock;
	lock_share(env, o->name, lock);
	int rc = clone_locked(&m, &c, e);
	lock_share(env, NULL, -1);
	if (rc < 0 && e->kind != ERR_EXISTS)
		lock_forget(env, o->name);
	arena_fini(&m.mem);
	return rc < 0 ? err_ctx(e, "clone %s to %s", o->source, o->name) : 0;
}

int
pot_clone(struct pot_env *env, const struct pot_clone_options *o, struct err *e)
{
	return clone_adapted(env, o, NULL, NULL, e);
}
