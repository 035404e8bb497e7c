#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "platform/overlay/set.h"
#include "platform/overlay/size.h"
#include "platform/overlay/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Sizes without walking through what did not change.
 *
 * A layer that was measured has its size beside it (`bytes`). That size is right as long as the
 * layer carries no mark `open`: the mark is set by whoever is given the layer to write into, and
 * taken away again by a measurement of a layer nobody can be writing into. While somebody may be
 * writing, a size is used for a while that grows with what it costs to measure.
 */

struct counting {
	struct store *s;
	const struct dataset_watch *watch;
	struct map names; /* id → name of the dataset */
	struct map sizes; /* layer → struct size * */
};

static int
measure(int fd, const struct names *skip, struct size *z, struct err *e)
{
	int64_t begun = clock_mono_ns();

	if (tree_bytes(fd, skip, &z->bytes, e) < 0)
		return -1;
	z->refer = z->key = 0;
	z->measured_ns = clock_wall_ns();
	z->cost_ns = clock_mono_ns() - begun;
	return 0;
}

static bool
is_busy(const struct counting *c, const char *dataset)
{
	return c->watch == NULL || c->watch->busy(c->watch->ctx, dataset);
}

/* `writer`: the dataset whose upper layer it is, or NULL for a frozen one. */
static int
layer_size(
    struct counting *c, const char *layer, const char *writer, uint64_t *bytes, struct err *e)
{
	struct size *known = map_get(&c->sizes, layer), z;
	char path[64], mark[64];
	bool open;

	if (known != NULL) {
		*bytes = known->bytes;
		return 0;
	}
	snprintf(path, sizeof(path), "l/%s/bytes", layer);
	snprintf(mark, sizeof(mark), "l/%s/open", layer);
	open = faccessat(c->s->top, mark, F_OK, 0) == 0;
	if (open && (writer == NULL || !is_busy(c, writer))) {
		/* before it is measured: who is given it from now on sets it again */
		(void)unlinkat(c->s->top, mark, 0);
		open = false;
		(void)unlinkat(c->s->top, path, 0);
	}
	if (!size_read(c->s, path, &z) || (open && !size_still_good(&z))) {
		autofd int fd = layer_open(c->s, layer, e);

		if (fd < 0 || measure(fd, NULL, &z, e) < 0)
			return -1;
		size_write(c->s, path, &z);
	}
	known = xmalloc(sizeof(*known));
	*known = z;
	map_set(&c->sizes, layer, known);
	*bytes = z.bytes;
	return 0;
}

/* The datasets below one, their paths relative to it: those who start alike stand together. */
static void
names_below(const struct names *all, size_t i, struct names *below)
{
	size_t n = strlen(all->at[i]);

	for (size_t k = i + 1; k < all->n && strncmp(all->at[k], all->at[i], n) == 0; k++)
		if (all->at[k][n] == '/')
			names_add(below, all->at[k] + n + 1);
}

static int
content_size(struct counting *c, const struct names *all, size_t i, const char *id, uint64_t *bytes,
    struct err *e)
{
	autonames struct names below = NAMES_INIT;
	const char *name = all->at[i];
	struct set set = { .s = *c->s, .lock = -1, .m = META_INIT };
	char path[64];
	struct size z;

	snprintf(path, sizeof(path), "data/%s/bytes", id);
	if (!size_read(c->s, path, &z) || !size_still_good(&z)) {
		autofd int fd = set_content(&set, name, e);

		names_below(all, i, &below);
		if (fd < 0 || measure(fd, &below, &z, e) < 0)
			return -1;
		if (!size_is_cheap(&z))
			size_write(c->s, path, &z);
	}
	*bytes = z.bytes;
	return 0;
}

/* What a clone has from its origin counts there, as long as that exists. */
static bool
is_own(const struct counting *c, const struct meta *m, const char *layer)
{
	char path[96];

	if (m->origin_id == NULL)
		return true;
	snprintf(path, sizeof(path), "l/%s/refs/%s", layer, m->origin_id);
	return faccessat(c->s->top, path, F_OK, 0) != 0;
}

static int
sizes_of(struct counting *c, const struct meta *m, struct dataset_facts *row, struct err *e)
{
	autonames struct names layers = NAMES_INIT;

	meta_layers(m, &layers);
	for (size_t i = 0; i < layers.n; i++) {
		const char *layer = layers.at[i];
		bool upper = str_eq(layer, m->upper), own = is_own(c, m, layer);
		bool read = upper || names_have(&m->chain, layer);
		uint64_t bytes = 0;

		if ((own || read) && layer_size(c, layer, upper ? row->name : NULL, &bytes, e) < 0)
			return -1;
		row->used_bytes += own ? bytes : 0;
		row->refer_bytes += read ? bytes : 0;
	}
	return 0;
}

static int
facts_of(void *ctx, const struct names *all, size_t i, struct dataset_facts *row, struct err *e)
{
	struct counting *c = ctx;
	const char *name = all->at[i];
	uint64_t bytes = 0;
	autometa struct meta m = META_INIT;
	char id[RUN_ID_TEXT];
	const char *of;
	int found = set_find(c->s, name, id, e);

	if (found <= 0)
		return found < 0 ? -1 : set_absent(name, e);
	if (data_load(c->s, id, &m, e) < 0)
		return -1;
	row->kind = m.kind;
	for (size_t k = 0; k < m.snapshots_n; k++)
		names_add(&row->snapshots, m.snapshots[k].name);
	if (m.origin_id != NULL && (of = map_get(&c->names, m.origin_id)) != NULL)
		row->origin = xasprintf("%s@%s", of, m.origin_snap);
	if (sizes_of(c, &m, row, e) < 0 ||
	    (m.kind == DATASET_PLAIN && content_size(c, all, i, id, &bytes, e) < 0))
		return -1;
	row->used_bytes += bytes;
	row->refer_bytes += bytes;
	return 0;
}

static void
counting_fini(struct counting *c)
{
	size_t i = 0, k = 0;
	void *value;

	while (map_next(&c->names, &i, NULL, &value))
		free(value);
	while (map_next(&c->sizes, &k, NULL, &value))
		free(value);
	map_fini(&c->names);
	map_fini(&c->sizes);
}

static int
learn_names(const struct store *s, const struct names *all, struct map *out, struct err *e)
{
	char id[RUN_ID_TEXT];

	for (size_t i = 0; i < all->n; i++) {
		int found = set_find(s, all->at[i], id, e);

		if (found < 0)
			return -1;
		if (found > 0)
			free(map_set(out, id, xstrdup(all->at[i])));
	}
	return 0;
}

static bool
is_wanted(const char *name, const char *below)
{
	size_t n = below != NULL ? strlen(below) : 0;

	return below == NULL ||
	       (strncmp(name, below, n) == 0 && (name[n] == '\0' || name[n] == '/'));
}

static void
drop_last(struct dataset_survey *rows)
{
	struct dataset_facts *last = &rows->at[--rows->n];

	free(last->name);
	free(last->origin);
	names_fini(&last->snapshots);
}

int
store_survey(struct store *s, const char *name, struct map *names, survey_fn *fn, void *ctx,
    struct dataset_survey *out, struct err *e)
{
	autonames struct names all = NAMES_INIT;
	autodataset_survey struct dataset_survey rows = DATASET_SURVEY_INIT;
	char id[RUN_ID_TEXT];

	if (sets_list(s, "", &all, e) < 0 || learn_names(s, &all, names, e) < 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		struct err gone = ERR_INIT;

		if (!is_wanted(all.at[i], name) ||
		    fn(ctx, &all, i, dataset_survey_add(&rows, all.at[i]), &gone) == 0)
			continue;
		/* One that is removed while we look is simply no more in the list. */
		if (gone.kind != ERR_ABSENT && set_find(s, all.at[i], id, e) != 0) {
			*e = gone;
			return err_ctx(e, "dataset %s", all.at[i]);
		}
		drop_last(&rows);
	}
	if (name != NULL && rows.n == 0)
		return set_absent(name, e);
	*out = rows;
	rows = (struct dataset_survey)DATASET_SURVEY_INIT;
	return 0;
}

int
overlay_survey(struct host *h, const char *name, const struct dataset_watch *watch,
    struct dataset_survey *out, struct err *e)
{
	autostore struct store s = STORE_OF(h);
	CLEANUP(counting_fini)
	struct counting c = { .s = &s, .watch = watch, .names = MAP_INIT, .sizes = MAP_INIT };

	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return -1;
	return store_survey(&s, name, &c.names, facts_of, &c, out, e);
}
