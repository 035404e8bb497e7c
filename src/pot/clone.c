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

enum { PARTS_MAX = 2 };

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

/* Of what is to be cloned: the snapshot that was named, the newest, or one that is taken now. */
static int
choose_snapshots(
    struct making *m, struct cloning *c, struct dataset_new *parts, size_t n, struct err *e)
{
	const struct pot_clone_options *o = c->o;
	const char *from[PARTS_MAX], *snap[PARTS_MAX];
	bool lacking = false;
	char taken[32];
	size_t absent;

	for (size_t i = 0; i < n; i++) {
		from[i] = parts[i].from;
		parts[i].snap = o->snapshot;
	}
	if (o->snapshot != NULL || n == 0)
		return 0;
	if (newest_snapshots(m->env, from, n, &m->mem, snap, &absent, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		parts[i].snap = snap[i];
		lacking = lacking || snap[i] == NULL;
	}
	if (!lacking)
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
	for (size_t i = 0; i < n; i++)
		parts[i].snap = arena_strdup(&m->mem, taken);
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

/* What is cloned, of which snapshots. */
static int
clone_plan(struct making *m, struct cloning *c, struct multi_parts *parts, struct err *e)
{
	char from[DATASET_SIZE], to[DATASET_SIZE];

	*parts = (struct multi_parts){ .n = 1 };
	parts->at[0] = (struct dataset_new){
		.name = arena_strdup(&m->mem, ds_root(to, m->name)),
		.from = arena_strdup(&m->mem, ds_root(from, c->o->source)),
	};
	if (c->source->type == POT_MULTI && multi_clone(m, c->o->source, parts, e) < 0)
		return -1;
	return choose_snapshots(m, c, parts->at, parts->n, e);
}

/* What stands beside the clones. */
static int
clone_files(struct making *m, struct cloning *c, const struct multi_parts *parts, struct err *e)
{
	if (c->source->type == POT_MULTI && multi_save(m, parts, e) < 0)
		return -1;
	return clone_pot_conf(m, c, e);
}

/* What became of the clones; who named their snapshot hears of the others. */
static int
clones_told(const struct cloning *c, int rc, struct err *e)
{
	if (rc < 0 && e->kind == ERR_ABSENT && c->o->snapshot != NULL)
		err_new(e, ERR_ABSENT,
		    "pot %s has no snapshot '%s'; 'pot info -s -p %s' shows those there are",
		    c->o->source, c->o->snapshot, c->o->source);
	return rc;
}

/* What does not need each other is done at the same time: the pot's own dataset and the question
 * for snapshots, the clones and the files beside them. But where things go to disk in order, the
 * root is last: the pot is complete with it. */
static int
clone_make(struct making *m, struct err *e)
{
	autodataset_work struct dataset_work own = DATASET_WORK_INIT, clones = DATASET_WORK_INIT;
	struct host *host = m->env->host;
	struct cloning *c = m->ctx;
	char dataset[DATASET_SIZE];
	const struct dataset_new pot = { .name = ds_pot(dataset, m->name), .kind = DATASET_PLAIN };
	struct multi_parts parts;

	if (dataset_begin(host, &pot, 1, &own, e) < 0 || clone_plan(m, c, &parts, e) < 0 ||
	    dataset_end(&own, e) < 0 || mkdir_conf(m->env, m->name, e) < 0)
		return -1;
	bool root_last = host->dataset->give_out != NULL && c->source->type == POT_SINGLE;
	if (root_last && clone_files(m, c, &parts, e) < 0)
		return -1;
	int rc = dataset_begin(host, parts.at, parts.n, &clones, e);
	if (clones_told(c, rc, e) < 0 || (!root_last && clone_files(m, c, &parts, e) < 0))
		return -1;
	return clones_told(c, dataset_end(&clones, e), e);
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
