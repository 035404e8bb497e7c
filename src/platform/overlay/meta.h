/*
 * meta.h: what is known about one dataset: the text file .overlay/data/<id>/meta.
 *
 * Layers are named by ids, chains are listed lowest first. Owns all its strings.
 */
#ifndef PLATFORM_OVERLAY_META_H
#define PLATFORM_OVERLAY_META_H

#include "base/buf.h"
#include "platform/dataset.h"

#include <stdbool.h>

enum { META_MAX = 1 << 20 };

struct meta_snapshot {
	char *name;
	struct names chain; /* plain datasets: the one layer that holds the copy */
};

struct meta_property {
	char *key, *value;
};

struct meta {
	enum dataset_kind kind;
	struct names chain; /* frozen layers below the upper one */
	char *upper;	    /* NULL for plain datasets */
	char *origin_id;    /* NULL: none */
	char *origin_snap;
	char
	    *fill; /* plain: content is to become that of this layer; was interrupted. NULL: none */
	struct meta_snapshot *snapshots; /* oldest first */
	size_t snapshots_n;
	struct meta_property *properties;
	size_t properties_n;
};

#define META_INIT                                                                                  \
	{                                                                                          \
		.kind = DATASET_PLAIN                                                              \
	}

void meta_fini(struct meta *m);
#define autometa CLEANUP(meta_fini)

int meta_parse(const char *text, size_t len, struct meta *out, struct err *e); /* ERR_CORRUPT */
void meta_write(const struct meta *m, struct buf *out);

struct meta_snapshot *meta_snapshot(struct meta *m, const char *name); /* NULL: none */
void meta_snapshot_add(struct meta *m, const char *name, const struct names *chain);
void meta_snapshots_cut(struct meta *m, size_t n); /* keeps the n oldest */
void meta_snapshot_remove(struct meta *m, size_t i);
const char *meta_property(const struct meta *m, const char *key); /* NULL: unset */
void meta_property_set(struct meta *m, const char *key, const char *value);
/* Every layer that is named anywhere in it, once each. */
void meta_layers(const struct meta *m, struct names *out);
void names_copy(struct names *to, const struct names *from);
bool names_have(const struct names *l, const char *name);

#endif
