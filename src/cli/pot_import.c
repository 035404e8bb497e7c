#include "cli/pot_import.h"

#include "base/str.h"
#include "pot/import.h"

struct importer {
	struct pot_env *env;
	const struct image_tool *tool;
	const char *url, *key;
};

/* What is known of one image, and who fetches it ahead. */
struct known {
	struct image_facts facts;
	pid_t ahead; /* 0: nobody */
};

static struct image_from
from(const struct importer *i, const char *pot, const char *tag)
{
	return (struct image_from){
		.url = i->url, .pot = pot, .tag = tag, .cache = i->env->conf.cache, .key = i->key
	};
}

static int
look(void *ctx, const char *pot, const char *tag, bool streams, struct arena *mem,
    struct pot_image *out, struct err *e)
{
	const struct importer *i = ctx;
	struct image_from f = from(i, pot, tag);
	struct known *known = arena_new(mem, struct known);
	struct image_facts *facts = &known->facts;

	if (image_look(i->tool, &f, streams, facts, e) < 0)
		return -1;
	known->ahead = 0;
	out->facts = known;
	out->is_stream = facts->is_stream;
	if (!str_copy(out->below, sizeof(out->below), facts->below) ||
	    !str_copy(out->below_tag, sizeof(out->below_tag), facts->below_tag) ||
	    !str_copy(out->below_snapshot, sizeof(out->below_snapshot), facts->below_snapshot) ||
	    !str_copy(out->snapshot, sizeof(out->snapshot), facts->snapshot))
		return err_new(
		    e, ERR_INPUT, "%s_%s: its meta file holds too long a name", pot, tag);
	return 0;
}

/* Of images from afar; where one lies on a disk there is nothing to gain. */
static void
ahead(void *ctx, const char *pot, const char *tag, const struct pot_image *image)
{
	const struct importer *i = ctx;
	struct image_from f = from(i, pot, tag);
	struct known *known = image->facts;
	struct err ignored;

	if ((str_starts(i->url, "http://") || str_starts(i->url, "https://")) &&
	    image_ahead(i->tool, &f, &known->facts, &known->ahead, &ignored) < 0)
		known->ahead = 0;
}

static void
ahead_end(void *ctx, const struct pot_image *image, bool give_up)
{
	struct known *known = image->facts;

	(void)ctx;
	if (known->ahead > 0)
		image_ahead_end(known->ahead, give_up);
	known->ahead = 0;
}

static int
fill(void *ctx, const char *pot, const char *tag, const struct pot_image *image,
    const char *conf_dir, const char *root_dir, bool layer, struct err *e)
{
	const struct importer *i = ctx;
	struct image_from f = from(i, pot, tag);

	return image_import(
	    i->tool, &f, &((struct known *)image->facts)->facts, conf_dir, root_dir, layer, e);
}

static int
stream(void *ctx, const char *pot, const char *tag, const struct pot_image *image, int fd,
    struct err *e)
{
	const struct importer *i = ctx;
	struct image_from f = from(i, pot, tag);

	return image_stream(i->tool, &f, &((struct known *)image->facts)->facts, fd, e);
}

int
import_image(struct pot_env *env, const struct image_tool *tool, const char *url, const char *key,
    const char *pot, const char *tag, struct err *e)
{
	static const struct pot_import_ops ops = {
		.look = look, .ahead = ahead, .ahead_end = ahead_end, .fill = fill, .stream = stream
	};
	struct importer i = { .env = env, .tool = tool, .url = url, .key = key };

	return pot_import(env, pot, tag, &ops, &i, e);
}

int
import_key(struct pot_env *env, const char *asked, const char **key, struct err *e)
{
	const char *wanted = asked != NULL ? asked : env->conf.signature_pubkey;

	*key = *wanted != '\0' ? wanted : NULL;
	if (*key == NULL && !str_eq(env->conf.signatures, "auto"))
		return err_new(e, ERR_RIGHTS,
		    "POT_SIGNATURES demands that images are signed: name the key with -C, or set "
		    "POT_DEFAULT_SIGNATURE_PUBKEY");
	return 0;
}
