#include "pot/export.h"
#include "pot/net.h"
#include "pot/priv.h"
#include "pot/run.h"
#include "pot/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Files that come from elsewhere: images become pots, trees become bases. An image is not trusted:
 * what its conf/ asks of this machine is left out unless the operator allows it.
 */

static int
root_dir_of(struct pot_env *env, const char *dataset, struct pot_receive *r, struct err *e)
{
	struct mount_root root;

	if (mount_root_of(env, dataset, &r->mem, &root, e) < 0)
		return -1;
	const char *dir = root.plain != NULL ? root.plain : root.upper;
	if (dir == NULL)
		return err_new(e, ERR_UNSUPPORTED, "%s cannot be filled here", dataset);
	r->root_dir = arena_strdup(&r->mem, dir);
	return 0;
}

static void
receive_end(struct pot_receive *r)
{
	arena_fini(&r->mem);
	own_close(&r->lock);
	r->lock = -1;
}

/* An empty root, or one that begins as a snapshot of another pot. */
static int
make_root(struct pot_env *env, const char *name, const char *below, const char *snapshot,
    struct pot_receive *r, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	char dataset[DATASET_SIZE], source[DATASET_SIZE];

	ds_root(dataset, name);
	if (below != NULL)
		return ds->clone(env->host, ds_root(source, below), snapshot, dataset, e);
	if (ds->create(env->host, dataset, DATASET_LAYERED, e) < 0)
		return -1;
	return root_dir_of(env, dataset, r, e);
}

/* The name, its lock and the intent; with the lock of what is cloned, so that it stays until then.
 */
static int
claim(struct pot_env *env, const char *name, const char *below, int *below_lock,
    struct pot_receive *r, struct err *e)
{
	*r = (struct pot_receive){ .mem = ARENA_INIT, .lock = -1 };
	if (pot_name_check(name, e) < 0 || need_root("import", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	if (below == NULL)
		r->lock = lock_pot(env, name, LOCK_WAIT, e);
	else if (lock_pots(env, name, below, &r->lock, below_lock, e) < 0)
		r->lock = -1;
	int there = r->lock < 0 ? -1 : pot_exists(env, name, e);
	if (there != 0) {
		receive_end(r);
		return there < 0 ? -1
				 : err_new(e, ERR_EXISTS, "a pot named '%s' exists already", name);
	}
	str_copy(r->name, sizeof(r->name), name);
	r->conf_dir = arena_printf(&r->mem, "%s/jails/%s/conf", env->conf.fs_root, name);
	if (intent_begin(env, name, INTENT_POT, e) < 0) {
		pot_receive_abort(env, r);
		return err_ctx(e, "receive pot %s", name);
	}
	return 0;
}

int
pot_receive_begin(struct pot_env *env, const char *name, const char *below, const char *snapshot,
    struct pot_receive *r, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	char dataset[DATASET_SIZE];
	autofd int below_lock = -1;

	if (claim(env, name, below, &below_lock, r, e) < 0)
		return -1;
	if (ds->create(env->host, ds_pot(dataset, name), DATASET_PLAIN, e) < 0 ||
	    mkdir_conf(env, name, e) < 0 || make_root(env, name, below, snapshot, r, e) < 0) {
		pot_receive_abort(env, r);
		return err_ctx(e, "receive pot %s", name);
	}
	return 0;
}

int
pot_receive_begin_stream(
    struct pot_env *env, const char *name, struct pot_receive *r, struct err *e)
{
	int unused = -1;

	if (claim(env, name, NULL, &unused, r, e) < 0)
		return -1;
	r->is_stream = true;
	return 0;
}

int
pot_receive_stream(struct pot_env *env, struct pot_receive *r, const char *below,
    const char *snapshot, pot_stream_fn *fn, void *ctx, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	autofree char *origin = NULL;
	char dataset[DATASET_SIZE], source[DATASET_SIZE];
	struct dataset_stream stream;
	struct err why = ERR_INIT;
	int ends[2];

	if (below != NULL)
		origin = xasprintf("%s@%s", ds_root(source, below), snapshot);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	autofd int from = ends[0], to = ends[1];
	if (ds->receive(env->host, ds_pot(dataset, r->name), origin, from, &stream, e) < 0)
		return -1;
	close(take_fd(&from));
	int rc = fn(take_fd(&to), ctx, e);
	/* a receiver that gave up has the better word for a pipe that nobody reads */
	if (ds->stream_end(&stream, rc < 0 && e->kind != ERR_REMOTE, &why) < 0) {
		*e = why;
		rc = -1;
	}
	return rc;
}

struct fill_call {
	const char *conf_dir;
	pot_fill_fn *fn;
	void *ctx;
};

/* Programs started from here reach the root through this process's descriptor; the dot makes the
 * name that of the directory, not of a link. */
static int
fill_root(int root_fd, void *ctx, struct err *e)
{
	const struct fill_call *c = ctx;
	char path[PATH_OF_FD], root[PATH_OF_FD + 2];

	path_of_fd(root_fd, path);
	snprintf(root, sizeof(root), "%s/.", path);
	return c->fn(c->conf_dir, root, c->ctx, e);
}

int
pot_receive_fill(
    struct pot_env *env, struct pot_receive *r, pot_fill_fn *fn, void *ctx, struct err *e)
{
	struct fill_call c = { .conf_dir = r->conf_dir, .fn = fn, .ctx = ctx };
	struct mount_root root;
	char dataset[DATASET_SIZE];

	if (r->root_dir != NULL)
		return fn(r->conf_dir, r->root_dir, ctx, e);
	if (mount_root_of(env, ds_root(dataset, r->name), &r->mem, &root, e) < 0)
		return -1;
	return env->host->mount->with_root(&root, NULL, 0, fill_root, &c, e);
}

void
pot_receive_abort(struct pot_env *env, struct pot_receive *r)
{
	struct err e = ERR_INIT;

	if (r->lock >= 0) {
		if (intent_undo(env, r->name, INTENT_POT, &e) < 0)
			pot_say(env, POT_SAY_ERROR,
			    "%s is left half made ('pot doctor' removes it): %s", r->name, e.text);
		else
			lock_forget(env, r->name);
	}
	receive_end(r);
}

/* Only plain files belong into conf/; links and the like are somebody's trick. */
static int
only_files(const char *path, struct err *e)
{
	struct dirent *d;
	DIR *dir = opendir(path);
	int rc = 0;

	if (dir == NULL)
		return err_sys(e, "read %s", path);
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		struct stat st;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			rc = err_sys(e, "look at conf/%s", d->d_name);
		else if (!S_ISREG(st.st_mode))
			rc = err_new(
			    e, ERR_INPUT, "the image's conf/%s is not a plain file", d->d_name);
	}
	closedir(dir);
	return rc;
}

static int
check_mounts(struct pot_env *env, const char *name, struct arena *mem, struct err *e)
{
	struct fscomps l;

	if (fscomp_load(env, name, mem, &l, e) < 0)
		return -1;
	if (l.n > 0 && !env->conf.image_host_mounts)
		return err_new(e, ERR_RIGHTS,
		    "the image wants %s of this machine mounted at %s: POT_IMAGE_HOST_MOUNTS "
		    "allows that",
		    l.at[0].source, l.at[0].target);
	return fscomp_save(env, name, &l, e);
}

/* What the image's network becomes here, when nobody says otherwise: alias addresses were another
 * machine's, so such a pot goes onto the public bridge; a private bridge counts by its name, and
 * while it is not here the pot keeps what it says and does not start. 1: keep. */
static int
adapt_network(struct pot_env *env, const struct pot_spec *spec, struct pot_net_options *want,
    enum pot_net *net, struct err *e)
{
	struct bridge b;

	*net = spec->net;
	if (want->net != NULL)
		return 0;
	if (*net == POT_NET_ALIAS) {
		*net = POT_NET_PUBLIC;
		pot_say(env, POT_SAY_INFO,
		    "%s: the image's addresses (%s) are not this machine's: it gets one of the "
		    "public bridge",
		    spec->name, spec->ip);
	}
	if (*net != POT_NET_PRIVATE || want->bridge != NULL)
		return 0;
	want->bridge = spec->bridge;
	if (bridge_load(env, spec->bridge, &b, e) == 0)
		return 0;
	if (e->kind != ERR_ABSENT)
		return -1;
	pot_say(env, POT_SAY_INFO, "%s does not start before its private bridge %s is made",
	    spec->name, spec->bridge);
	return 1;
}

static int
adapt_conf(
    struct pot_env *env, struct pot_receive *r, const struct pot_net_options *o, struct err *e)
{
	autoconf struct conf conf = CONF_INIT(&r->mem);
	struct making m = { .env = env, .name = r->name, .mem = ARENA_INIT };
	struct pot_spec *spec;
	enum pot_net net;
	static const char *const dropped[] = { "pot.attr.to-be-pruned", "pot.hook", "pot.root",
		"pot.root.no-links" };

	if (conf_load(&conf, env, r->name, e) < 0 ||
	    pot_spec_load(env, r->name, &r->mem, &spec, e) < 0)
		return e->kind == ERR_ABSENT
			   ? err_new(e, ERR_INPUT, "the image has no conf/pot.conf")
			   : -1;
	if (spec->type != POT_SINGLE)
		return err_new(e, ERR_INPUT, "the image holds a pot of type multi");
	struct pot_net_options want = { .net = NULL };
	if (o != NULL)
		want = *o;
	int keep = adapt_network(env, spec, &want, &net, e);
	if (keep < 0 || (keep == 0 && (net_options(env, &want, net, spec->stack, &m, e) < 0 ||
					  making_announce(&m, e) < 0)))
		return -1;
	for (size_t i = 0; i < NELEM(dropped); i++)
		conf_set(&conf, dropped[i], NULL);
	conf_set(&conf, "host.hostname",
	    arena_printf(&r->mem, "\"%s\"", hostname_for(env, r->name, &r->mem)));
	conf_set(&conf, "pot.image", "yes");
	if (keep == 0)
		net_store(&conf, &m.choice, m.stack_stored);
	return conf_save(&conf, env, r->name, e);
}

/* The first snapshot, under the name by which layers upon this image refer to it. */
static int
first_snapshot(struct pot_env *env, struct pot_receive *r, struct err *e)
{
	char dataset[DATASET_SIZE], snap[POT_NAME_MAX + 1];

	if (r->is_stream) { /* has brought its own */
		autofree char *newest = NULL;
		if (newest_snapshot(env, ds_root(dataset, r->name), &newest, e) < 0)
			return -1;
		return newest == NULL
			   ? err_new(e, ERR_INPUT, "the image's stream holds no snapshot")
			   : exported_note(env, r->name, newest, r->image, r->tag, true, e);
	}
	if (r->snapshot[0] == '\0')
		return snapshot_all(env, r->name, snap, sizeof(snap), e);
	if (env->host->dataset->snapshot(
		env->host, ds_pot(dataset, r->name), r->snapshot, true, e) < 0)
		return -1;
	return r->image[0] == '\0'
		   ? 0
		   : exported_note(env, r->name, r->snapshot, r->image, r->tag, false, e);
}

int
pot_receive_commit(
    struct pot_env *env, struct pot_receive *r, const struct pot_net_options *o, struct err *e)
{
	char path[PATH_SIZE];

	path_at(path, "%s/.last_run_stats", r->conf_dir);
	if (only_files(r->conf_dir, e) < 0 || (unlink(path) < 0 && errno != ENOENT) ||
	    check_mounts(env, r->name, &r->mem, e) < 0 || adapt_conf(env, r, o, e) < 0 ||
	    first_snapshot(env, r, e) < 0 || intent_done(env, r->name, INTENT_POT, e) < 0) {
		err_ctx(e, "import %s", r->name);
		pot_receive_abort(env, r);
		return -1;
	}
	receive_end(r);
	return 0;
}

/* ---- bases ---- */

int
pot_base_begin(struct pot_env *env, const char *base, struct pot_receive *r, struct err *e)
{
	char dataset[DATASET_SIZE];

	*r = (struct pot_receive){ .mem = ARENA_INIT, .lock = -1 };
	if (pot_word_check("base", base, e) < 0 || need_root("create-base", e) < 0 ||
	    pot_env_ready(env, e) < 0)
		return -1;
	snprintf(dataset, sizeof(dataset), "bases/%s", base);
	r->lock = lock_base(env, base, LOCK_WAIT, e);
	int there = r->lock < 0 ? -1 : env->host->dataset->exists(env->host, dataset, e);
	if (there != 0) {
		receive_end(r);
		return there < 0 ? -1
				 : err_new(e, ERR_EXISTS, "a base named '%s' exists already", base);
	}
	str_copy(r->name, sizeof(r->name), base);
	if (intent_begin(env, base, INTENT_BASE, e) < 0 ||
	    env->host->dataset->create(env->host, dataset, DATASET_LAYERED, e) < 0 ||
	    root_dir_of(env, dataset, r, e) < 0) {
		pot_base_abort(env, r);
		return err_ctx(e, "create base %s", base);
	}
	return 0;
}

void
pot_base_abort(struct pot_env *env, struct pot_receive *r)
{
	struct err e = ERR_INIT;

	if (r->lock >= 0 && intent_undo(env, r->name, INTENT_BASE, &e) < 0)
		pot_say(env, POT_SAY_ERROR,
		    "base %s is left half made ('pot doctor' removes it): %s", r->name, e.text);
	receive_end(r);
}

int
pot_base_commit(struct pot_env *env, struct pot_receive *r, const char *osrelease, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	char dataset[DATASET_SIZE], snap[32];

	snprintf(dataset, sizeof(dataset), "bases/%s", r->name);
	snprintf(snap, sizeof(snap), "%lld", (long long)(now_seconds()));
	if (ds->property_set(env->host, dataset, ":pot.osrelease", osrelease, e) < 0 ||
	    ds->snapshot(env->host, dataset, snap, true, e) < 0 ||
	    ds->property_set(env->host, dataset, BASE_PRISTINE, snap, e) < 0 ||
	    base_rearrange(env, r->name, osrelease != NULL ? osrelease : r->name, e) < 0 ||
	    intent_done(env, r->name, INTENT_BASE, e) < 0) {
		err_ctx(e, "create base %s", r->name);
		pot_base_abort(env, r);
		return -1;
	}
	receive_end(r);
	return 0;
}

int
pot_base_pot(struct pot_env *env, const char *base, struct err *e)
{
	static const char *const update[] = { "fbsd-update", NULL };
	const unsigned level = 0;
	struct err ignored = ERR_INIT;
	char name[POT_NAME_MAX + 1], part[DATASET_SIZE];
	bool flavoured = flavours_check(env, update, &ignored) == 0;

	int shared = env->host->dataset->exists(env->host, ds_base(part, base, "custom"), e);
	if (shared <= 0)
		return shared;
	if ((size_t)snprintf(name, sizeof(name), "base-%s", base) >= sizeof(name))
		return err_new(
		    e, ERR_INPUT, "base %s: its pot of level 0 has too long a name", base);
	for (char *dot = name; (dot = strchr(dot, '.')) != NULL;)
		*dot = '_';
	const struct pot_create_options o = { .name = name,
		.type = "multi",
		.base = base,
		.level = &level,
		.keep = true,
		.flavours = flavoured ? update : NULL };
	if (pot_create(env, &o, e) < 0) {
		if (!flavoured || pot_exists(env, name, &ignored) != 1)
			return -1;
		pot_say(env, POT_SAY_ERROR, "base %s is as it came: %s", base, e->text);
	}
	/* what is made from the base has what the flavour changed */
	return flavoured ? pot_snapshot(env, name, false, e) : 0;
}
