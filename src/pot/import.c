#include "pot/import.h"

#include "pot/priv.h"

#include <string.h>

enum { LAYERS_MAX = 32 };

struct import {
	struct pot_env *env;
	const struct pot_import_ops *ops;
	void *ctx;
	const char *chain[LAYERS_MAX]; /* what is being imported, the topmost first */
	unsigned depth;
};

/* What fill() needs to know, on its way through pot_receive_fill(). */
struct filling {
	struct import *import;
	const char *pot, *tag;
	const struct pot_image *image;
	bool layer;
};

static int import_one(struct import *i, const char *pot, const char *tag, struct err *e);

static int
fill(const char *conf_dir, const char *root_dir, void *ctx, struct err *e)
{
	const struct filling *f = ctx;

	return f->import->ops->fill(
	    f->import->ctx, f->pot, f->tag, f->image, conf_dir, root_dir, f->layer, e);
}

/* 1: it is there, and not only half of it. */
static int
is_complete(struct pot_env *env, const char *name, struct err *e)
{
	int there = pot_exists(env, name, e);
	int half = there > 0 ? intent_exists(env, name, INTENT_POT, e) : 0;

	return there < 0 || half < 0 ? -1 : there && !half;
}

/* The image below is there, with the very snapshot that the layer was made upon. */
static int
need_below(struct import *i, const char *pot, const char *tag, const struct pot_image *image,
    const char *below, struct err *e)
{
	autonames struct names snaps = NAMES_INIT;
	char dataset[DATASET_SIZE];
	int there = is_complete(i->env, below, e);

	if (there == 0) {
		pot_say(i->env, POT_SAY_INFO, "%s is needed below: it is imported first", below);
		if (i->ops->ahead != NULL)
			i->ops->ahead(i->ctx, pot, tag, image);
		int rc = import_one(i, image->below, image->below_tag, e);
		/* another import may have brought it meanwhile */
		bool failed = rc < 0 && e->kind != ERR_EXISTS;
		if (i->ops->ahead_end != NULL)
			i->ops->ahead_end(i->ctx, image, failed);
		if (failed)
			return -1;
	}
	if (there < 0 ||
	    i->env->host->dataset->snapshots(i->env->host, ds_root(dataset, below), &snaps, e) < 0)
		return -1;
	for (size_t n = 0; n < snaps.n; n++)
		if (strcmp(snaps.at[n], image->below_snapshot) == 0)
			return 0;
	return err_new(e, ERR_ABSENT,
	    "it is a layer upon snapshot %s of pot %s, which has no such snapshot: it is another "
	    "image of that name; destroy it, and import again",
	    image->below_snapshot, below);
}

static int
write_stream(int fd, void *ctx, struct err *e)
{
	const struct filling *f = ctx;

	return f->import->ops->stream(f->import->ctx, f->pot, f->tag, f->image, fd, e);
}

static int
receive(struct import *i, const char *pot, const char *tag, const char *name,
    const struct pot_image *image, const char *below, struct err *e)
{
	static const struct pot_net_options as_it_is;
	struct filling f = { .import = i, .pot = pot, .tag = tag, .image = image };
	const char *snap = image->below_snapshot;
	struct pot_receive r;

	f.layer = below != NULL;
	if ((image->is_stream ? pot_receive_begin_stream(i->env, name, &r, e)
			      : pot_receive_begin(i->env, name, below, snap, &r, e)) < 0)
		return -1;
	str_copy(r.image, sizeof(r.image), pot);
	str_copy(r.tag, sizeof(r.tag), tag);
	str_copy(r.snapshot, sizeof(r.snapshot), image->snapshot);
	if ((image->is_stream ? pot_receive_stream(i->env, &r, below, snap, write_stream, &f, e)
			      : pot_receive_fill(i->env, &r, fill, &f, e)) < 0) {
		pot_receive_abort(i->env, &r);
		return -1;
	}
	return pot_receive_commit(i->env, &r, &as_it_is, e);
}

static int
try_once(struct import *i, const char *pot, const char *tag, const char *name, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_image image = { .facts = NULL };
	const char *below = NULL;

	if (i->ops->look(
		i->ctx, pot, tag, i->env->host->dataset->receive != NULL, &mem, &image, e) < 0)
		return -1;
	if (image.below[0] != '\0') {
		below = pot_image_name(image.below, image.below_tag, &mem);
		if (need_below(i, pot, tag, &image, below, e) < 0)
			return -1;
	}
	return receive(i, pot, tag, name, &image, below, e);
}

static int
enter(struct import *i, const char *name, struct err *e)
{
	for (unsigned k = 0; k < i->depth; k++)
		if (strcmp(i->chain[k], name) == 0)
			return err_new(e, ERR_INPUT, "%s is a layer upon itself", name);
	if (i->depth == LAYERS_MAX)
		return err_new(e, ERR_INPUT, "%s has more than %d layers below it", i->chain[0],
		    LAYERS_MAX - 1);
	i->chain[i->depth++] = name;
	return 0;
}

static int
import_one(struct import *i, const char *pot, const char *tag, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;

	if (pot_word_check("image", pot, e) < 0 || pot_word_check("tag", tag, e) < 0)
		return -1;
	const char *name = pot_image_name(pot, tag, &mem);
	int there = pot_name_check(name, e) < 0 ? -1 : is_complete(i->env, name, e);
	if (there != 0)
		return there < 0 ? -1
				 : err_new(e, ERR_EXISTS, "a pot named '%s' exists already", name);
	if (enter(i, name, e) < 0)
		return -1;
	int rc = try_once(i, pot, tag, name, e);
	if (rc < 0 && e->kind == ERR_CORRUPT) {
		/* a damaged copy is gone by now; or the image was published anew between two
		 * questions */
		pot_say(i->env, POT_SAY_INFO, "%s; once more", e->text);
		rc = try_once(i, pot, tag, name, e);
	}
	i->depth--;
	return rc;
}

int
pot_import(struct pot_env *env, const char *pot, const char *tag, const struct pot_import_ops *ops,
    void *ctx, struct err *e)
{
	struct import i = { .env = env, .ops = ops, .ctx = ctx };

	if (need_root("import", e) < 0 || pot_env_ready(env, e) < 0)
		return -1;
	return import_one(&i, pot, tag, e);
}
