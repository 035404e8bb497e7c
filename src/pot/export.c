#include "pot/export.h"

#include "pot/priv.h"
#include "pot/run.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * Exports are of snapshots. Which snapshot was exported as what is noted on the pot: as pot does in
 * the properties :pot.tag and :pot.snap for the last one, and in :pot.image.<snapshot> for each, so
 * that a layer finds the name of the image below it, whatever was exported since.
 */

struct export
{
	struct pot_env *env;
	const struct pot_export_options *o;
	struct arena *mem;
	struct pot_exported x;
	struct mount_root root, below;
	bool below_is_stream;
	pot_export_fn *fn;
	void *ctx;
};

int
exported_note(struct pot_env *env, const char *pot, const char *snapshot, const char *image,
    const char *tag, bool is_stream, struct err *e)
{
	const struct dataset_ops *ds = env->host->dataset;
	autofree char *key = xasprintf(":pot.image.%s", snapshot),
		      *value = xasprintf("%s:%s", image, tag),
		      *kind = xasprintf(":pot.kind.%s", snapshot);
	char dataset[DATASET_SIZE];

	ds_pot(dataset, pot);
	if (ds->property_set(env->host, dataset, key, value, e) < 0 ||
	    ds->property_set(env->host, dataset, kind, is_stream ? "stream" : NULL, e) < 0 ||
	    ds->property_set(env->host, dataset, ":pot.tag", tag, e) < 0 ||
	    ds->property_set(env->host, dataset, ":pot.snap", snapshot, e) < 0)
		return err_ctx(e, "note what snapshot %s of pot %s was exported as", snapshot, pot);
	return 0;
}

/* ---- versions ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int
version_compare(const char *a, const char *b)
{
	while (*a != '\0' && *b != '\0') {
		if (!is_digit(*a) || !is_digit(*b)) {
			if (*a != *b)
				return (unsigned char)*a - (unsigned char)*b;
			a++;
			b++;
			continue;
		}
		a += strspn(a, "0");
		b += strspn(b, "0");
		size_t na = strspn(a, "0123456789"), nb = strspn(b, "0123456789");
		if (na != nb)
			return na < nb ? -1 : 1;
		int order = strncmp(a, b, na);
		if (order != 0)
			return order;
		a += na;
		b += nb;
	}
	return (*a != '\0') - (*b != '\0');
}

/* Asked before a snapshot is chosen, with NULL, and then once more. */
static int
check_tag(struct export *x, const char *snapshot, struct err *e)
{
	const struct dataset_ops *ds = x->env->host->dataset;
	autofree char *tag = NULL, *snap = NULL;
	const char *wanted = x->o->tag != NULL ? x->o->tag : snapshot;
	char dataset[DATASET_SIZE];

	ds_pot(dataset, x->o->name);
	if (!x->o->check || wanted == NULL)
		return 0;
	if (ds->property_get(x->env->host, dataset, ":pot.tag", &tag, e) < 0 ||
	    ds->property_get(x->env->host, dataset, ":pot.snap", &snap, e) < 0)
		return -1;
	int order = tag != NULL ? version_compare(wanted, tag) : 1;
	bool another = snapshot == NULL ? x->o->now : snap != NULL && strcmp(snap, snapshot) != 0;
	if (order < 0)
		return err_new(e, ERR_INPUT, "tag %s is older than %s, the last one of pot %s",
		    wanted, tag, x->o->name);
	if (order == 0 && another)
		return err_new(e, ERR_INPUT,
		    "tag %s of pot %s is given to snapshot %s already; another one needs another "
		    "tag",
		    tag, x->o->name, snap != NULL ? snap : "?");
	return 0;
}

/* ---- which snapshot ---- */

static int
take_one(struct export *x, struct err *e)
{
	char snap[POT_NAME_MAX + 1];

	if (run_recover(x->env, x->o->name, e) < 0)
		return -1;
	if (run_is_live(x->env, x->o->name) != 0)
		return err_new(e, ERR_BUSY,
		    "pot %s is running: stop it, or take no snapshot now and export an earlier one",
		    x->o->name);
	if (snapshot_all(x->env, x->o->name, snap, sizeof(snap), e) < 0)
		return -1;
	x->x.snapshot = arena_strdup(x->mem, snap);
	return 0;
}

static int
choose(struct export *x, struct err *e)
{
	const struct pot_export_options *o = x->o;
	autonames struct names all = NAMES_INIT;
	char dataset[DATASET_SIZE];
	size_t gone = 0;
	struct err why;

	if (o->now)
		return take_one(x, e);
	if (x->env->host->dataset->snapshots(x->env->host, ds_root(dataset, o->name), &all, e) < 0)
		return -1;
	if (all.n == 0 && o->take)
		return take_one(x, e);
	if (all.n == 0)
		return err_new(e, ERR_ABSENT,
		    "pot %s has no snapshot: 'pot snapshot -p %s' takes one, or -A here", o->name,
		    o->name);
	if (all.n > 1 && !o->take && !o->several)
		return err_new(e, ERR_INPUT,
		    "pot %s has %zu snapshots: -F exports the newest, -A removes the others "
		    "before, 'pot purge-snapshots -p %s' does so for good",
		    o->name, all.n, o->name);
	if (all.n > 1 && o->take && pot_purge_snapshots(x->env, o->name, false, &gone, &why) < 0)
		pot_say(x->env, POT_SAY_INFO, "older snapshots stay: %s", why.text);
	x->x.snapshot = arena_strdup(x->mem, all.at[all.n - 1]);
	return 0;
}

/* ---- what is below ---- */

static int
name_below(struct export *x, const char *pot, const char *snap, struct err *e)
{
	const struct dataset_ops *ds = x->env->host->dataset;
	autofree char *image = NULL, *tag = NULL, *last = NULL, *kind = NULL;
	autofree char *image_key = xasprintf(":pot.image.%s", snap),
		      *kind_key = xasprintf(":pot.kind.%s", snap);
	char dataset[DATASET_SIZE];

	ds_pot(dataset, pot);
	if (ds->property_get(x->env->host, dataset, image_key, &image, e) < 0 ||
	    ds->property_get(x->env->host, dataset, kind_key, &kind, e) < 0 ||
	    ds->property_get(x->env->host, dataset, ":pot.tag", &tag, e) < 0 ||
	    ds->property_get(x->env->host, dataset, ":pot.snap", &last, e) < 0)
		return -1;
	if (image != NULL) {
		x->x.below = arena_printf(x->mem, "%s@%s", image, snap);
		x->below_is_stream = kind != NULL;
	} else if (tag != NULL && last != NULL && strcmp(last, snap) == 0) {
		x->x.below = arena_printf(x->mem, "%s:%s@%s", pot, tag, snap);
		x->below_is_stream = true; /* pot's own doing */
	} else {
		return err_new(e, ERR_INPUT,
		    "pot %s is a clone of pot %s (snapshot %s), which was never exported: export "
		    "that one first, or this one as a whole (-w)",
		    x->o->name, pot, snap);
	}
	return 0;
}

/* A clone of a pot is a layer; one of a base, or of nothing, stands alone. */
static int
find_below(struct export *x, struct err *e)
{
	const struct dataset_ops *ds = x->env->host->dataset;
	autofree char *origin = NULL;
	char dataset[DATASET_SIZE];

	ds_root(dataset, x->o->name);
	if (ds->origin(x->env->host, dataset, &origin, e) < 0)
		return -1;
	x->x.is_stream = ds->send != NULL && !x->o->portable && origin == NULL;
	if (origin == NULL || !str_starts(origin, "jails/") || x->o->whole)
		return 0;
	char *pot = arena_strdup(x->mem, origin + strlen("jails/"));
	char *end = strstr(pot, "/m@");
	if (end == NULL)
		return 0;
	*end = '\0';
	if (name_below(x, pot, end + strlen("/m@"), e) < 0)
		return -1;
	x->x.is_stream = ds->send != NULL && !x->o->portable && x->below_is_stream;
	return mount_root_of(x->env, origin, x->mem, &x->below, e);
}

/* ---- lending ---- */

/* Programs started from here reach a root through this process's descriptor; the dot makes the name
 * that of the directory, not of a link. */
static const char *
path_of_root(int fd, struct arena *mem)
{
	char path[PATH_OF_FD];

	path_of_fd(fd, path);
	return arena_printf(mem, "%s/.", path);
}

static int
lend_below(int root_fd, void *ctx, struct err *e)
{
	struct export *x = ctx;

	x->x.below_root = path_of_root(root_fd, x->mem);
	return x->fn(&x->x, x->ctx, e);
}

/* The tree below is put together inside, not outside: a tree may be mounted on its topmost layer's
 * directory, which hides what is in there from then on; the clone's own layer is no part of what
 * lies below it. */
static int
lend(int root_fd, void *ctx, struct err *e)
{
	struct export *x = ctx;

	x->x.root_dir = path_of_root(root_fd, x->mem);
	return x->x.below == NULL
		   ? x->fn(&x->x, x->ctx, e)
		   : x->env->host->mount->with_root(&x->below, NULL, 0, lend_below, x, e);
}

static int
find_roots(struct export *x, struct err *e)
{
	struct mount_root conf;
	char dataset[DATASET_SIZE];

	ds_root(dataset, x->o->name);
	if (mount_root_of(x->env, arena_printf(x->mem, "%s@%s", dataset, x->x.snapshot), x->mem,
		&x->root, e) < 0)
		return -1;
	ds_pot(dataset, x->o->name);
	if (mount_root_of(x->env, arena_printf(x->mem, "%s@%s", dataset, x->x.snapshot), x->mem,
		&conf, e) < 0)
		return -1;
	if (conf.plain == NULL)
		return err_new(e, ERR_UNSUPPORTED, "%s cannot be read by path", dataset);
	x->x.conf_dir = arena_printf(x->mem, "%s/conf", conf.plain);
	x->root.read_only = x->below.read_only = true;
	return 0;
}

/* A stream by its own process, through a pipe to whoever packs it. */
static int
export_stream(struct export *x, struct err *e)
{
	const struct dataset_ops *ds = x->env->host->dataset;
	struct dataset_stream stream;
	char dataset[DATASET_SIZE];
	struct err why = ERR_INIT;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	autofd int from = ends[0], to = ends[1];
	if (ds->send(x->env->host, ds_pot(dataset, x->o->name), x->x.snapshot, to, &stream, e) < 0)
		return -1;
	close(take_fd(&to));
	x->x.stream = from;
	int rc = x->fn(&x->x, x->ctx, e);
	close(take_fd(&from));
	/* what the sender says is the better word for a stream that ended early */
	if (ds->stream_end(&stream, rc < 0 && e->kind != ERR_CORRUPT, &why) < 0) {
		*e = why;
		rc = -1;
	}
	return rc;
}

static int
export_locked(struct export *x, struct err *e)
{
	struct pot_spec *spec;

	if (pot_spec_load(x->env, x->o->name, x->mem, &spec, e) < 0)
		return -1;
	if (spec->type != POT_SINGLE)
		return err_new(e, ERR_UNSUPPORTED,
		    "pot %s is of type multi: only single pots can be exported", x->o->name);
	/* what can be refused is, before a snapshot is taken */
	if (find_below(x, e) < 0 || check_tag(x, NULL, e) < 0 || choose(x, e) < 0 ||
	    check_tag(x, x->x.snapshot, e) < 0 || find_roots(x, e) < 0)
		return -1;
	x->x.tag = x->o->tag != NULL ? x->o->tag : x->x.snapshot;
	int rc = x->x.is_stream ? export_stream(x, e)
				: x->env->host->mount->with_root(&x->root, NULL, 0, lend, x, e);
	return rc < 0 ? -1
		      : exported_note(x->env, x->o->name, x->x.snapshot, x->o->name, x->x.tag,
			    x->x.is_stream, e);
}

int
pot_export(struct pot_env *env, const struct pot_export_options *o, pot_export_fn *fn, void *ctx,
    struct arena *mem, const char **tag, struct err *e)
{
	struct export x = { .env = env, .o = o, .mem = mem, .fn = fn, .ctx = ctx };

	if (pot_name_check(o->name, e) < 0 ||
	    (o->tag != NULL && pot_word_check("tag", o->tag, e) < 0) ||
	    need_root("export", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	autofd int lock = lock_pot(env, o->name, LOCK_WAIT, e);
	if (lock < 0)
		return -1;
	lock_share(env, o->name, lock);
	int rc = export_locked(&x, e);
	lock_share(env, NULL, -1);
	if (rc == 0)
		*tag = x.x.tag;
	return rc;
}
