#include "pot/run.h"
#include "pot/tree.h"

#include <string.h>
#include <sys/stat.h>

/*
 * Pots of type multi: the base's root, and on it usr.local and custom, which are the base's own at
 * level 0, private copies at level 1, and at level 2 a private custom beside the usr.local of the
 * pot it was made from. What is where stands in fscomp.conf.
 */

enum { PART_LOCAL, PART_CUSTOM, PARTS };

static const struct {
	const char *name, *target;
} parts[PARTS] = { { "usr.local", "/usr/local" }, { "custom", "/opt/custom" } };

static int
missing_part(const char *dataset, const char *base, struct err *e)
{
	if (e->kind != ERR_ABSENT)
		return -1;
	return err_new(e, ERR_ABSENT,
	    base == NULL ? "%s is not there"
			 : "%s is not there: no base of that name was made for pots of type multi "
			   "('pot create-base' makes one)",
	    dataset);
}

/* The newest snapshots of what is copied. */
static int
newest_of_parts(struct making *m, const struct pot_spec *parent, const char *base,
    struct multi_parts *parts_of, struct err *e)
{
	const char *from[PARTS], *snap[PARTS];
	size_t absent = 0;

	for (size_t i = 0; i < parts_of->n; i++)
		from[i] = parts_of->at[i].from;
	if (newest_snapshots(m->env, from, parts_of->n, &m->mem, snap, &absent, e) < 0)
		return absent == parts_of->n
			   ? -1
			   : missing_part(from[absent], parent == NULL ? base : NULL, e);
	for (size_t i = 0; i < parts_of->n; i++) {
		if (snap[i] == NULL)
			return parent == NULL
				   ? err_new(e, ERR_CORRUPT, "%s has no snapshot", from[i])
				   : err_new(e, ERR_ABSENT,
					 "pot %s has no snapshot; 'pot snapshot -p %s' takes one",
					 parent->name, parent->name);
		parts_of->at[i].snap = snap[i];
	}
	return 0;
}

/* An independent copy of one part. */
static void
part_copy(struct making *m, const struct pot_spec *parent, const char *base, int part,
    struct multi_parts *out)
{
	char from[DATASET_SIZE];

	if (parent != NULL)
		snprintf(from, sizeof(from), "jails/%s/%s", parent->name, parts[part].name);
	else
		ds_base(from, base, parts[part].name);
	out->at[out->n++] = (struct dataset_new){
		.name = arena_printf(&m->mem, "jails/%s/%s", m->name, parts[part].name),
		.from = arena_strdup(&m->mem, from),
		.copy = true,
	};
}

/* The usr.local that a pot of level 1 or 2 has mounted. */
static int
local_of(struct making *m, const struct pot_spec *parent, char **source, struct err *e)
{
	struct fscomps l;

	if (fscomp_load(m->env, parent->name, &m->mem, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++)
		if (strcmp(l.at[i].target, parts[PART_LOCAL].target) == 0) {
			*source = l.at[i].source;
			return 0;
		}
	return err_new(e, ERR_CORRUPT, "fscomp.conf of pot %s has no %s", parent->name,
	    parts[PART_LOCAL].target);
}

/* The source and option of one part's line; private parts are to be made. */
static int
part_line(struct making *m, const struct pot_spec *parent, const char *base, unsigned level,
    int part, struct multi_parts *out, struct pot_fscomp *f, struct err *e)
{
	const char *root = m->env->conf.zfs_root;
	char dataset[DATASET_SIZE];

	*f = (struct pot_fscomp){ .target = arena_strdup(&m->mem, parts[part].target) };
	if (level == 0) {
		int there = m->env->host->dataset->exists(
		    m->env->host, ds_base(dataset, base, parts[part].name), e);
		if (there <= 0) {
			if (there == 0)
				e->kind = ERR_ABSENT;
			return missing_part(dataset, base, e);
		}
		f->source = arena_printf(&m->mem, "%s/%s", root, dataset);
		return 0;
	}
	if (level == 2 && part == PART_LOCAL) {
		f->read_only = true;
		return local_of(m, parent, &f->source, e);
	}
	f->remount = true;
	f->source = arena_printf(&m->mem, "%s/jails/%s/%s", root, m->name, parts[part].name);
	part_copy(m, parent, base, part, out);
	return 0;
}

int
multi_make(struct making *m, const struct pot_spec *parent, const char *base, unsigned level,
    struct multi_parts *out, struct err *e)
{
	struct pot_fscomp f = { .target = arena_strdup(&m->mem, "/"), .read_only = level > 0 };

	*out = (struct multi_parts){ .n = 0 };
	f.source = arena_printf(&m->mem, "%s/bases/%s", m->env->conf.zfs_root, base);
	fscomp_add(&out->mounts, &m->mem, &f);
	for (int part = 0; part < PARTS; part++) {
		if (part_line(m, parent, base, level, part, out, &f, e) < 0)
			return -1;
		fscomp_add(&out->mounts, &m->mem, &f);
	}
	return out->n > 0 ? newest_of_parts(m, parent, base, out, e) : 0;
}

int
multi_save(struct making *m, const struct multi_parts *made, struct err *e)
{
	char path[PATH_SIZE];

	path_at(path, "%s/jails/%s/m", m->env->conf.fs_root, m->name);
	if (make_dirs(path, 0755, e) < 0)
		return -1;
	return fscomp_save(m->env, m->name, &made->mounts, e);
}

/* ---- clone ---- */

/* The part of the pot's own that a line names, or NULL. */
static const char *
own_part(struct pot_env *env, const char *pot, const struct pot_fscomp *f)
{
	size_t n = strlen(env->conf.zfs_root);

	for (int part = 0; part < PARTS; part++) {
		char dataset[DATASET_SIZE];
		snprintf(dataset, sizeof(dataset), "/jails/%s/%s", pot, parts[part].name);
		if (strncmp(f->source, env->conf.zfs_root, n) == 0 &&
		    strcmp(f->source + n, dataset) == 0)
			return parts[part].name;
	}
	return NULL;
}

int
multi_clone(struct making *m, const char *source, struct multi_parts *out, struct err *e)
{
	*out = (struct multi_parts){ .n = 0 };
	if (fscomp_load(m->env, source, &m->mem, &out->mounts, e) < 0)
		return -1;
	for (size_t i = 0; i < out->mounts.n; i++) {
		struct pot_fscomp *f = &out->mounts.at[i];
		const char *part = own_part(m->env, source, f);

		if (part == NULL)
			continue;
		if (out->n == NELEM(out->at))
			return err_new(
			    e, ERR_CORRUPT, "fscomp.conf of pot %s names %s twice", source, part);
		out->at[out->n++] = (struct dataset_new){
			.name = arena_printf(&m->mem, "jails/%s/%s", m->name, part),
			.from = arena_printf(&m->mem, "jails/%s/%s", source, part),
		};
		f->source =
		    arena_printf(&m->mem, "%s/jails/%s/%s", m->env->conf.zfs_root, m->name, part);
	}
	return 0;
}

/* ---- who shares a base ---- */

int
multi_users(struct pot_env *env, const char *base, struct arena *mem, struct pot_spec ***out,
    size_t *n, struct err *e)
{
	struct pot_strs all;

	*n = 0;
	if (all_pots(env, mem, &all, e) < 0)
		return -1;
	*out = arena_array(mem, all.n + 1, struct pot_spec *);
	for (size_t i = 0; i < all.n; i++) {
		struct err ignored = ERR_INIT;
		struct pot_spec *spec;
		if (pot_spec_load(env, all.at[i], mem, &spec, &ignored) == 0 &&
		    spec->type == POT_MULTI && strcmp(spec->base, base) == 0)
			(*out)[(*n)++] = spec;
	}
	return 0;
}

int
multi_may_start(struct pot_env *env, const struct pot_spec *spec, struct arena *mem, struct err *e)
{
	struct pot_strs names;

	if (run_names(env, mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct err ignored = ERR_INIT;
		struct pot_spec *other;
		if (strcmp(names.at[i], spec->name) == 0 || run_is_live(env, names.at[i]) == 0 ||
		    pot_spec_load(env, names.at[i], mem, &other, &ignored) < 0 ||
		    other->type != POT_MULTI || strcmp(other->base, spec->base) != 0)
			continue;
		if (spec->level == 0 || other->level == 0)
			return err_new(e, ERR_BUSY,
			    "pot %s is running: who changes a base (level 0) and who shares it "
			    "cannot run at the same time; stop it first",
			    other->name);
	}
	return 0;
}

int
multi_may_revert(struct pot_env *env, const char *name, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_strs names;

	if (run_names(env, &mem, &names, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct err ignored = ERR_INIT;
		struct fscomps l;
		if (strcmp(names.at[i], name) == 0 || run_is_live(env, names.at[i]) == 0 ||
		    fscomp_load(env, names.at[i], &mem, &l, &ignored) < 0)
			continue;
		for (size_t k = 0; k < l.n; k++)
			if (own_part(env, name, &l.at[k]) != NULL)
				return err_new(e, ERR_BUSY,
				    "pot %s is running with the packages of %s; stop it first",
				    names.at[i], name);
	}
	return 0;
}
