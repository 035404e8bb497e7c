#include "base/map.h"
#include "platform/overlay/set.h"

/* Which datasets name which layers, as "<layer> <dataset>" keys. */
static int
collect(struct store *s, struct map *ids, struct map *refs, struct err *e)
{
	autonames struct names sets = NAMES_INIT;

	if (sets_list(s, "", &sets, e) < 0)
		return -1;
	for (size_t i = 0; i < sets.n; i++) {
		autometa struct meta m = META_INIT;
		autonames struct names layers = NAMES_INIT;
		char id[RUN_ID_TEXT];

		/* What cannot be read keeps all that it may need: nothing is swept then. */
		if (set_find(s, sets.at[i], id, e) < 0 || data_load(s, id, &m, e) < 0)
			return err_ctx(e, "dataset %s", sets.at[i]);
		(void)map_set(ids, id, ids);
		meta_layers(&m, &layers);
		for (size_t k = 0; k < layers.n; k++) {
			autofree char *key = xasprintf("%s %s", layers.at[k], id);

			(void)map_set(refs, key, refs);
		}
	}
	return 0;
}

static int
sweep_layer(struct store *s, const char *layer, const struct map *wanted, struct err *e)
{
	autonames struct names refs = NAMES_INIT;
	size_t live = 0;

	if (layer_refs(s, layer, &refs, e) < 0)
		return -1;
	for (size_t i = 0; i < refs.n; i++) {
		autofree char *key = xasprintf("%s %s", layer, refs.at[i]);

		if (map_has(wanted, key))
			live++;
		else if (layer_unref(s, layer, refs.at[i], e) < 0)
			return -1;
	}
	if (live > 0)
		return 0;
	autofree char *path = xasprintf("l/%s", layer);

	return trash_move(s, s->top, path, e) < 0 ? -1 : 1;
}

int
store_sweep(struct store *s, struct err *e)
{
	autonames struct names data = NAMES_INIT, layers = NAMES_INIT;
	CLEANUP(map_fini) struct map ids = MAP_INIT, refs = MAP_INIT;
	int n = 0, one;

	if (collect(s, &ids, &refs, e) < 0 || dir_names(s->top, "data", &data, e) < 0 ||
	    dir_names(s->top, "l", &layers, e) < 0)
		return err_ctx(e, "sweep %s", s->fs_root);
	for (size_t i = 0; i < data.n; i++) {
		autofree char *path = xasprintf("data/%s", data.at[i]);

		if (map_has(&ids, data.at[i]))
			continue;
		if (trash_move(s, s->top, path, e) < 0)
			return -1;
		n++;
	}
	for (size_t i = 0; i < layers.n; i++) {
		if ((one = sweep_layer(s, layers.at[i], &refs, e)) < 0)
			return err_ctx(e, "sweep %s", s->fs_root);
		n += one;
	}
	own_close(&s->lock);
	s->lock = -1; /* the rest is in nobody's way */
	return trash_empty(s, true, e) < 0 ? -1 : n;
}
