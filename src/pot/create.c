#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Making pots. An intent is on disk before the first dataset is made and goes when the pot is
 * complete; whatever happens in between, the pot is either whole or removed again.
 */

int
pot_exists(struct pot_env *env, const char *name, struct err *e)
{
	char path[PATH_SIZE];

	path_at(path, "%s/jails/%s", env->conf.fs_root, name);
	if (access(path, F_OK) == 0)
		return 1;
	return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, "look for %s", path);
}

int
mkdir_conf(struct pot_env *env, const char *name, struct err *e)
{
	char path[PATH_SIZE];

	return make_dirs(path_at(path, "%s/jails/%s/conf", env->conf.fs_root, name), 0755, e);
}

int
destroy_datasets(struct pot_env *env, const char *name, struct err *e)
{
	char path[PATH_SIZE], dataset[DATASET_SIZE];

	if (env->host->dataset->destroy(env->host, ds_pot(dataset, name), true, e) < 0)
		return -1;
	if (remove_tree(path_at(path, "%s/jails/%s", env->conf.fs_root, name), e) < 0)
		return -1;
	return remove_tree(path_at(path, "%s/runs/%s", env->conf.run_dir, name), e);
}

int
mount_root_of(struct pot_env *env, const char *dataset, struct arena *mem, struct mount_root *out,
    struct err *e)
{
	autodataset_root struct dataset_root r = DATASET_ROOT_INIT;

	if (env->host->dataset->root(env->host, dataset, &r, e) < 0)
		return -1;
	*out = (struct mount_root){ 0 };
	if (r.plain != NULL) {
		out->plain = arena_strdup(mem, r.plain);
		return 0;
	}
	const char **lower = arena_array(mem, r.lower.n + 1, const char *);
	for (size_t i = 0; i < r.lower.n; i++)
		lower[i] = arena_strdup(mem, r.lower.at[i]);
	out->lower = lower;
	out->upper = r.upper != NULL ? arena_strdup(mem, r.upper) : NULL;
	out->work = r.work != NULL ? arena_strdup(mem, r.work) : NULL;
	return 0;
}

/* ---- the frame of every making ---- */

int
making_announce(struct making *m, struct err *e)
{
	struct pot_env *env = m->env;
	autofd int alloc = lock_named(env, LOCK_ALLOC, LOCK_WAIT, e);

	const struct net_want want = {
		.net = m->net, .stack = m->stack, .ip = m->ip, .bridge = m->bridge, .mac = m->mac
	};
	if (alloc < 0 || net_choose(env, m->name, &want, &m->choice, e) < 0)
		return -1;
	return intent_making(env, m->name, &m->choice, m->whole, e);
}

static void
making_undo(struct making *m)
{
	struct err e = ERR_INIT;

	if (m->keep)
		(void)intent_done(m->env, m->name, INTENT_POT, &e);
	else if (intent_undo(m->env, m->name, INTENT_POT, &e) < 0)
		pot_say(m->env, POT_SAY_ERROR, "%s is left half made ('pot doctor' removes it): %s",
		    m->name, e.text);
}

int
making_run(struct making *m, struct err *e)
{
	struct pot_env *env = m->env;
	autofd int base = -1;
	int there = pot_exists(env, m->name, e);

	if (there != 0)
		return there < 0
			   ? -1
			   : err_new(e, ERR_EXISTS, "a pot named '%s' exists already", m->name);
	if (flavours_check(env, m->flavours, e) < 0)
		return -1;
	/* nobody removes it meanwhile */
	if (m->base != NULL && *m->base != '\0' &&
	    (base = lock_base(env, m->base, LOCK_WAIT, e)) < 0)
		return -1;
	int rc = making_announce(m, e) < 0 ? -1 : m->make(m, e);
	/* from here on the pot's own configuration tells what it was made from */
	own_close(&base);
	base = -1;
	if (m->origin_lock != NULL) {
		own_close(m->origin_lock);
		*m->origin_lock = -1;
	}
	if (rc < 0 || flavours_apply(env, m->name, m->flavours, e) < 0 ||
	    intent_done(env, m->name, INTENT_POT, e) < 0) {
		making_undo(m);
		return -1;
	}
	return 0;
}

int
net_options(struct pot_env *env, const struct pot_net_options *o, enum pot_net net,
    enum pot_stack stack, struct making *m, struct err *e)
{
	struct pot_spec defaults = { .stack = stack };

	if (o->net != NULL && pot_net_named(o->net, &net, e) < 0)
		return -1;
	if (o->stack != NULL && pot_stack_named(o->stack, &stack, e) < 0)
		return -1;
	defaults.stack = stack;
	m->net = net;
	m->stack_stored = stack;
	m->stack = pot_spec_stack(env, &defaults);
	if (stack == POT_STACK_UNSET)
		m->stack_stored = m->stack;
	m->ip = o->ip;
	m->bridge = o->bridge;
	m->mac = o->mac;
	return 0;
}

int
dns_store(struct making *m, struct conf *conf, const char *dns, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	enum pot_dns kind;
	const char *file;

	if (dns_check(dns, &kind, &file, e) < 0)
		return -1;
	conf_set(conf, "pot.dns", pot_dns_text(kind));
	if (kind == POT_DNS_POT) {
		const char *server = m->env->conf.dns_name;
		int there = pot_exists(m->env, server, e);
		if (there <= 0)
			return there < 0 ? -1
					 : err_new(e, ERR_ABSENT,
					       "dns 'pot': no pot is named '%s' (POT_DNS_NAME), "
					       "which is to answer",
					       server);
		conf_add(conf, "pot.depend", server);
	}
	if (file == NULL)
		return 0;
	if (buf_read_file(&text, file, 65536, e) < 0)
		return -1;
	return conf_file_put(m->env, m->name, "resolv.conf", buf_str(&text), text.len, 0644, e);
}

/* ---- create ---- */

static enum pot_type
type_of(const struct pot_create_options *o)
{
	return o->type != NULL && strcmp(o->type, "multi") == 0 ? POT_MULTI : POT_SINGLE;
}

static unsigned
level_of(const struct pot_create_options *o)
{
	return o->level != NULL ? *o->level : type_of(o) == POT_MULTI ? 1 : 0;
}

static int
root_from_base(
    struct making *m, const char *base, const char *known, struct dataset_new *root, struct err *e)
{
	struct pot_env *env = m->env;
	char dataset[DATASET_SIZE];
	autofree char *snap = NULL;

	ds_base(dataset, base, NULL);
	if (known != NULL)
		snap = xstrdup(known);
	else if (env->host->dataset->property_get(env->host, dataset, BASE_PRISTINE, &snap, e) < 0)
		return e->kind == ERR_ABSENT
			   ? err_new(e, ERR_ABSENT,
				 "no base is named '%s'; 'pot create-base' makes one", base)
			   : -1;
	if (snap == NULL && newest_snapshot(env, dataset, &snap, e) < 0)
		return -1;
	if (snap == NULL)
		return err_new(
		    e, ERR_CORRUPT, "base %s has no snapshot: its making did not end", base);
	root->from = arena_strdup(&m->mem, dataset);
	root->snap = arena_strdup(&m->mem, snap);
	return 0;
}

static int
root_from_pot(struct making *m, const char *potbase, struct dataset_new *root, struct err *e)
{
	char from[DATASET_SIZE];
	autofree char *snap = NULL;

	if (newest_snapshot(m->env, ds_root(from, potbase), &snap, e) < 0)
		return -1;
	if (snap == NULL)
		return err_new(e, ERR_ABSENT,
		    "pot %s has no snapshot; 'pot snapshot -p %s' takes one", potbase, potbase);
	root->from = arena_strdup(&m->mem, from);
	root->snap = arena_strdup(&m->mem, snap);
	root->copy = true;
	return 0;
}

static char *
base_release(struct pot_env *env, const char *base, struct arena *mem)
{
	struct err ignored = ERR_INIT;
	autofree char *value = NULL;
	autobuf struct buf text = BUF_INIT;
	char dataset[DATASET_SIZE], path[PATH_SIZE];

	/* in its files, where they can be read as they are */
	path_at(path, "%s/bases/%s/.osrelease", env->conf.fs_root, base);
	if (*base != '\0' && buf_read_file(&text, path, 256, &ignored) == 0 && text.len > 1)
		return arena_strndup(mem, buf_str(&text), strcspn(buf_str(&text), "\n"));
	snprintf(dataset, sizeof(dataset), "bases/%s", base);
	if (*base == '\0' ||
	    env->host->dataset->property_get(
		env->host, dataset, ":pot.osrelease", &value, &ignored) < 0 ||
	    value == NULL)
		return arena_strdup(mem, base);
	return arena_strdup(mem, value);
}

static void
conf_defaults(
    struct making *m, struct conf *conf, const struct pot_create_options *o, const char *base)
{
	struct pot_env *env = m->env;
	size_t n;
	const struct pot_attr *attr = pot_attrs(&n);

	conf_set(conf, "pot.level", arena_printf(&m->mem, "%u", level_of(o)));
	conf_set(conf, "pot.type", pot_type_text(type_of(o)));
	conf_set(conf, "pot.base", base);
	conf_set(conf, "pot.potbase", o->potbase != NULL ? o->potbase : "");
	conf_set(conf, "pot.dns", "inherit");
	conf_set(conf, "pot.cmd", "sh /etc/rc");
	conf_set(conf, "host.hostname",
	    arena_printf(&m->mem, "\"%s\"", hostname_for(env, m->name, &m->mem)));
	conf_set(conf, "osrelease",
	    arena_printf(&m->mem, "\"%s\"",
		o->release != NULL ? o->release : base_release(env, base, &m->mem)));
	for (size_t i = 0; i < n; i++)
		if (attr[i].at_creation)
			conf_set(
			    conf, arena_printf(&m->mem, "pot.attr.%s", attr[i].name), attr[i].def);
}

/* Files that come from elsewhere, into a root of the pot's own. */
static int
root_fill(struct making *m, const struct pot_create_options *o, const char *to, struct err *e)
{
	struct mount_root root;

	if (mount_root_of(m->env, to, &m->mem, &root, e) < 0)
		return -1;
	if (root.plain == NULL)
		return err_new(e, ERR_UNSUPPORTED,
		    "a root of layers cannot be filled directly: make a base ('pot create-base')");
	return o->fill(o->fill_ctx, root.plain, e);
}

/* A single pot's root: empty, unless it comes from somewhere. */
static int
single_plan(
    struct making *m, const struct pot_create_options *o, struct multi_parts *parts, struct err *e)
{
	const struct pot_spec *parent = m->ctx;
	struct dataset_new *root = &parts->at[0];
	char dataset[DATASET_SIZE];

	*parts = (struct multi_parts){ .n = 1 };
	root->name = arena_strdup(&m->mem, ds_root(dataset, m->name));
	root->kind = DATASET_LAYERED;
	if (parent != NULL)
		return root_from_pot(m, parent->name, root, e);
	return o->fill == NULL && o->base != NULL
		   ? root_from_base(m, o->base, o->base_snapshot, root, e)
		   : 0;
}

/* conf/ of the new pot. */
static int
create_conf(struct making *m, const char *base, struct err *e)
{
	const struct pot_create_options *o = m->options;
	const struct pot_spec *parent = m->ctx;
	autoconf struct conf conf = CONF_INIT(&m->mem);

	conf_defaults(m, &conf, o, base);
	if (parent != NULL)
		conf_set_cmd(&conf, parent->cmd,
		    parent->argv.n > 0 ? (const char *const *)parent->argv.at : NULL);
	if (dns_store(m, &conf, o->net.dns != NULL ? o->net.dns : "inherit", e) < 0)
		return -1;
	net_store(&conf, &m->choice, m->stack_stored);
	return conf_save(&conf, m->env, m->name, e);
}

/* fscomp.conf of a single pot is empty. */
static int
create_files(struct making *m, const struct multi_parts *parts, const char *base, struct err *e)
{
	int rc = type_of(m->options) == POT_MULTI
		     ? multi_save(m, parts, e)
		     : conf_file_new(m->env, m->name, "fscomp.conf", "", 0, 0644, e);

	return rc < 0 ? -1 : create_conf(m, base, e);
}

/* What does not need each other is done at the same time: the pot's own dataset and the question
 * for snapshots, then the datasets in it and the files beside them. */
static int
create_make(struct making *m, struct err *e)
{
	autodataset_work struct dataset_work own = DATASET_WORK_INIT, inner = DATASET_WORK_INIT;
	const struct pot_create_options *o = m->options;
	const struct pot_spec *parent = m->ctx;
	struct host *host = m->env->host;
	char dataset[DATASET_SIZE];
	const struct dataset_new pot = { .name = ds_pot(dataset, m->name), .kind = DATASET_PLAIN };
	const char *base = o->base != NULL ? o->base : parent != NULL ? parent->base : "";
	struct multi_parts parts;

	if (dataset_begin(host, &pot, 1, &own, e) < 0 ||
	    (type_of(o) == POT_MULTI ? multi_make(m, parent, base, level_of(o), &parts, e)
				     : single_plan(m, o, &parts, e)) < 0 ||
	    dataset_end(&own, e) < 0 || mkdir_conf(m->env, m->name, e) < 0 ||
	    dataset_begin(host, parts.at, parts.n, &inner, e) < 0 ||
	    create_files(m, &parts, base, e) < 0 || dataset_end(&inner, e) < 0)
		return -1;
	return o->fill != NULL && parent == NULL && type_of(o) == POT_SINGLE
		   ? root_fill(m, o, parts.at[0].name, e)
		   : 0;
}

static int
check_origin(const struct pot_create_options *o, struct err *e)
{
	unsigned level = level_of(o);

	if (o->base != NULL && pot_word_check("base", o->base, e) < 0)
		return -1;
	if (o->potbase != NULL && pot_name_check(o->potbase, e) < 0)
		return -1;
	if (type_of(o) == POT_SINGLE && level != 0)
		return err_new(e, ERR_INPUT, "a single pot has level 0 only, not %u", level);
	if (level > 2)
		return err_new(e, ERR_INPUT, "level %u is none of 0, 1, 2", level);
	if (type_of(o) == POT_MULTI && level == 0 && (o->potbase != NULL || o->base == NULL))
		return err_new(e, ERR_INPUT, "a pot of level 0 is its base: -b, and no -P");
	if (level == 2 && o->potbase == NULL)
		return err_new(
		    e, ERR_INPUT, "a pot of level 2 needs the pot that it shares with (-P)");
	if (o->base == NULL && o->potbase == NULL && !o->empty)
		return err_new(e, ERR_INPUT, "a base (-b) or a pot to copy (-P) is needed");
	return 0;
}

static int
create_check(
    struct pot_env *env, const struct pot_create_options *o, struct making *m, struct err *e)
{
	enum pot_dns dns;
	const char *file;

	if (pot_name_check(o->name, e) < 0)
		return -1;
	if (o->type != NULL && strcmp(o->type, "multi") != 0 && strcmp(o->type, "single") != 0)
		return err_new(e, ERR_INPUT, "type '%s' is neither single nor multi", o->type);
	if (check_origin(o, e) < 0)
		return -1;
	if (o->net.dns != NULL && dns_check(o->net.dns, &dns, &file, e) < 0)
		return -1;
	if (net_options(env, &o->net, POT_NET_INHERIT, POT_STACK_UNSET, m, e) < 0)
		return -1;
	if (need_root("create", e) < 0)
		return -1;
	return pot_env_ready(env, e);
}

static int
check_parent(const struct pot_create_options *o, const struct pot_spec *parent, struct err *e)
{
	if (parent->type != type_of(o))
		return err_new(e, ERR_INPUT, "pot %s is not of type %s", o->potbase,
		    pot_type_text(type_of(o)));
	if (parent->type == POT_MULTI && parent->level == 0)
		return err_new(e, ERR_INPUT, "pot %s is of level 0: use its base (-b %s)",
		    o->potbase, parent->base);
	if (parent->type == POT_MULTI && parent->level > level_of(o))
		return err_new(e, ERR_INPUT, "pot %s is of level %u, above level %u", o->potbase,
		    parent->level, level_of(o));
	if (o->base != NULL && strcmp(o->base, parent->base) != 0)
		return err_new(e, ERR_INPUT, "pot %s was made from base %s, not %s", o->potbase,
		    parent->base, o->base);
	return 0;
}

static int
create_locked(struct making *m, const struct pot_create_options *o, struct err *e)
{
	struct pot_spec *parent = NULL;

	if (o->potbase != NULL) {
		if (pot_spec_load(m->env, o->potbase, &m->mem, &parent, e) < 0)
			return -1;
		if (check_parent(o, parent, e) < 0)
			return -1;
	}
	m->ctx = parent;
	m->base = o->fill != NULL   ? NULL
		  : o->base != NULL ? o->base
		  : parent != NULL  ? parent->base
				    : NULL;
	pot_say(m->env, POT_SAY_DEBUG, "%s: type %s, level %u, base %s%s%s, network %s, stack %s",
	    m->name, pot_type_text(type_of(o)), level_of(o), m->base != NULL ? m->base : "none",
	    parent != NULL ? ", from pot " : "", parent != NULL ? parent->name : "",
	    pot_net_text(m->net), pot_stack_text(m->stack));
	return making_run(m, e);
}

int
pot_create(struct pot_env *env, const struct pot_create_options *o, struct err *e)
{
	struct making m = { .env = env,
		.name = o->name,
		.keep = o->keep,
		.make = create_make,
		.flavours = o->flavours,
		.options = o,
		.mem = ARENA_INIT };
	autofd int lock = -1, parent_lock = -1;

	if (create_check(env, o, &m, e) < 0)
		return -1;
	if (o->potbase != NULL) {
		if (lock_pots(env, o->name, o->potbase, &lock, &parent_lock, e) < 0)
			return -1;
	} else if ((lock = lock_pot(env, o->name, LOCK_WAIT, e)) < 0) {
		return -1;
	}
	m.origin_lock = &parent_lock;
	lock_share(env, o->name, lock);
	int rc = create_locked(&m, o, e);
	lock_share(env, NULL, -1);
	if (rc < 0 && e->kind != ERR_EXISTS)
		lock_forget(env, o->name);
	arena_fini(&m.mem);
	return rc < 0 ? err_ctx(e, "create pot %s", o->name) : 0;
}
