#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "platform/btrfs/btrfs.h"
#include "platform/btrfs/subvolume.h"
#include "platform/overlay/size.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each extent knows the transaction that wrote it: what a dataset has of its own is what was
 * written after the snapshot it was cloned from, and the search skips all that is older. What did
 * not change since it was measured has the same generation as then.
 */

struct counting {
	struct store *s;
	struct map names;  /* id → name of the dataset */
	struct map layers; /* layer → struct layer * */
};

struct layer {
	uint64_t born, refer;
};

static int
measure(int fd, uint64_t since, uint64_t key, struct size *z, struct err *e)
{
	int64_t begun = clock_mono_ns();

	if (subvolume_bytes(fd, since, &z->bytes, e) < 0)
		return -1;
	if (since == 0)
		z->refer = z->bytes;
	else if (subvolume_bytes(fd, 0, &z->refer, e) < 0)
		return -1;
	z->key = key;
	z->measured_ns = clock_wall_ns();
	z->cost_ns = clock_mono_ns() - begun;
	return 0;
}

/* What a snapshot has beyond the one before it. */
static int
layer_size(struct counting *c, const char *layer, uint64_t since, struct size *z,
    struct subvolume *v, struct err *e)
{
	char path[64];
	autofd int fd = layer_open(c->s, layer, e);

	if (fd < 0 || subvolume_look(fd, v, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "l/%s/bytes", layer);
	if (size_read(c->s, path, z) && z->key == since)
		return 0;
	if (measure(fd, since, since, z, e) < 0)
		return -1;
	size_write(c->s, path, z);
	return 0;
}

/* The layer a clone was made of: remembered for its thousand siblings. */
static struct layer *
layer_of(struct counting *c, const char *id)
{
	struct layer *l = map_get(&c->layers, id);
	struct err ignored = ERR_INIT;
	struct subvolume v;
	struct size z;

	if (l != NULL)
		return l;
	char path[64];
	autofd int fd = layer_open(c->s, id, &ignored);
	if (fd < 0 || subvolume_look(fd, &v, &ignored) < 0)
		return NULL;
	/* whoever owns it may have measured it already, from another point on */
	snprintf(path, sizeof(path), "l/%s/bytes", id);
	if (!size_read(c->s, path, &z) && subvolume_bytes(fd, 0, &z.refer, &ignored) < 0)
		return NULL;
	l = xmalloc(sizeof(*l));
	*l = (struct layer){ .born = v.born, .refer = z.refer };
	map_set(&c->layers, id, l);
	return l;
}

static int
head_size(struct counting *c, const char *name, const char *id, uint64_t since,
    const struct layer *unchanged, struct size *z, struct err *e)
{
	struct set set = { .s = *c->s, .lock = -1, .m = META_INIT };
	struct subvolume v;
	char path[64];
	autofd int fd = set_content(&set, name, e);

	if (fd < 0 || subvolume_look(fd, &v, e) < 0)
		return -1;
	if (unchanged != NULL && v.generation <= (v.born > since ? v.born : since)) {
		*z = (struct size){ .bytes = 0, .refer = unchanged->refer };
		return 0;
	}
	snprintf(path, sizeof(path), "data/%s/bytes", id);
	if (size_read(c->s, path, z) && (z->key == v.generation || size_still_good(z)))
		return 0;
	if (measure(fd, since, v.generation, z, e) < 0)
		return -1;
	if (!size_is_cheap(z))
		size_write(c->s, path, z);
	return 0;
}

/* Up to which transaction it shares what its origin has; 0: with nobody. */
static uint64_t
shared_until(struct counting *c, const struct meta *m, struct layer **of)
{
	const char *text = meta_property(m, BTRFS_CLONE_OF);
	char layer[RUN_ID_TEXT];
	uint64_t born = 0;

	*of = NULL;
	if (text == NULL || sscanf(text, "%12[0-9a-f] %" SCNu64, layer, &born) != 2)
		return 0;
	*of = layer_of(c, layer);
	return m->origin_id == NULL || !map_has(&c->names, m->origin_id) ? 0 : born;
}

static int
sizes_of(struct counting *c, const char *id, const struct meta *m, struct dataset_facts *row,
    struct err *e)
{
	struct layer *unchanged, last;
	uint64_t since = shared_until(c, m, &unchanged);
	struct size z;

	if (since == 0)
		unchanged = NULL;
	for (size_t i = 0; i < m->snapshots_n; i++) {
		struct subvolume v;

		if (layer_size(c, m->snapshots[i].chain.at[0], since, &z, &v, e) < 0)
			return -1;
		row->used_bytes += z.bytes;
		since = v.born;
		last = (struct layer){ .born = v.born, .refer = z.refer };
		unchanged = &last;
	}
	if (head_size(c, row->name, id, since, unchanged, &z, e) < 0)
		return -1;
	row->used_bytes += z.bytes;
	row->refer_bytes = z.refer;
	return 0;
}

static int
facts_of(void *ctx, const struct names *all, size_t i, struct dataset_facts *row, struct err *e)
{
	struct counting *c = ctx;
	const char *name = all->at[i];
	autometa struct meta m = META_INIT;
	char id[RUN_ID_TEXT];
	const char *of;
	int found = set_find(c->s, name, id, e);

	if (found <= 0 || (found = place_exists(c->s, name, e)) <= 0)
		return found < 0 ? -1 : set_absent(name, e);
	if (data_load(c->s, id, &m, e) < 0)
		return -1;
	btrfs_forget_unmade(c->s, &m);
	row->kind = m.kind;
	for (size_t k = 0; k < m.snapshots_n; k++)
		names_add(&row->snapshots, m.snapshots[k].name);
	if (m.origin_id != NULL && (of = map_get(&c->names, m.origin_id)) != NULL)
		row->origin = xasprintf("%s@%s", of, m.origin_snap);
	return sizes_of(c, id, &m, row, e);
}

static void
counting_fini(struct counting *c)
{
	size_t i = 0, k = 0;
	void *value;

	while (map_next(&c->names, &i, NULL, &value))
		free(value);
	while (map_next(&c->layers, &k, NULL, &value))
		free(value);
	map_fini(&c->names);
	map_fini(&c->layers);
}

int
btrfs_survey(struct host *h, const char *name, const struct dataset_watch *watch,
    struct dataset_survey *out, struct err *e)
{
	autostore struct store s = STORE_OF(h);
	CLEANUP(counting_fini)
	struct counting c = { .s = &s, .names = MAP_INIT, .layers = MAP_INIT };

	(void)watch; /* a subvolume tells by its generation whether it changed */
	if (store_open(&s, h->roots.fs_root, STORE_READ, e) < 0)
		return -1;
	return store_survey(&s, name, &c.names, facts_of, &c, out, e);
}
