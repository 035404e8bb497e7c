/*
 * cache.h: where an image comes from, and where a copy of it is kept.
 *
 * The cache: <cache>/<16 hex digits of the registry's URL>/<pot>_<tag>.xz, with .meta, .skein and
 * .skein.sig beside it, so that two registries cannot take each other's place. What is on its way
 * lies beside it as .part.<pot>_<tag>.xz.<16 hex digits of its digest>, with a note of what is
 * there already (.have); an interrupted download goes on from them. An image that lies on a disk of
 * this machine is read where it is.
 */
#ifndef IMAGE_CACHE_H
#define IMAGE_CACHE_H

#include "base/buf.h"
#include "codec/skein.h"
#include "image/source.h"

struct cache {
	char *url;	 /* of the image file */
	bool local;	 /* it is a path, in url */
	char *dir;	 /* its directory in the cache; NULL when local */
	char *path;	 /* its place there; NULL when local */
	const char *pot; /* borrowed */
	const char *tag;
};
/* ERR_INPUT: names, or a URL that is none. Makes no directory. */
int cache_place(struct cache *c, const char *cache_dir, const char *url, const char *pot,
    const char *tag, struct err *e);
void cache_fini(struct cache *c);
#define autocache CLEANUP(cache_fini)

/* What an image is made known by. */
struct small {
	struct buf skein, meta, sig;
};
#define SMALL_INIT                                                                                 \
	{                                                                                          \
		.skein = BUF_INIT, .meta = BUF_INIT, .sig = BUF_INIT                               \
	}
void small_fini(struct small *s);
#define autosmall CLEANUP(small_fini)

/* Reads them from the cache; -1 when one of the first two is missing. */
int cache_small(const struct cache *c, struct small *out);

/* ---- a copy in the making ---- */
struct filling {
	struct tool *tool;
	struct cache *cache;
	char *part, *have;
	int part_fd, have_fd;
	struct transfer *transfer;
};
/* Opens the image: the cached copy when its digest file says the same, the local file, or a
 * download that begins now (f->part is set then). */
int cache_open(struct tool *t, struct cache *c, const struct buf *skein, struct filling *f,
    struct source *out, struct err *e);
/* After a download whose digest is right: the copy and its small files get their names. */
int cache_keep(struct filling *f, const struct small *s, struct err *e);
/* Ends a download. `useless`: what came is not to be continued from. */
void cache_close(struct filling *f, bool useless);
/* The cached copy is damaged. */
void cache_drop(struct cache *c);

#endif
