#include "image/tool.h"

#include "base/str.h"
#include "image/cache.h"
#include "image/meta.h"
#include "image/sign.h"
#include "platform/facts.h"

#include <stdlib.h>
#include <string.h>

/*
 * What a registry says about an image: digest, meta, signature. The digest file is always asked
 * for, so an image published again under its old name is noticed.
 */
static int
to_small(void *ctx, const void *data, size_t len, struct err *e)
{
	struct buf *b = ctx;

	if (b->len + len > META_FILE_MAX)
		return err_new(e, ERR_INPUT, "is longer than %d bytes", META_FILE_MAX);
	buf_add(b, data, len);
	return 0;
}

static int
ask(struct tool *t, const struct cache *c, struct small *s, bool signature, struct err *e)
{
	autofree char *skein = xasprintf("%s.skein", c->url), *meta = xasprintf("%s.meta", c->url),
		      *sig = xasprintf("%s.skein.sig", c->url);

	if (download(t, skein, NULL, to_small, &s->skein, e) < 0)
		return e->kind == ERR_ABSENT
			   ? err_ctx(e, "the registry has no image of pot %s with tag %s", c->pot,
				 c->tag)
			   : err_ctx(e, "ask the registry");
	if (signature && download(t, sig, NULL, to_small, &s->sig, e) < 0)
		return e->kind == ERR_ABSENT
			   ? err_ctx(e, "%s_%s is not signed, and a signature is wanted", c->pot,
				 c->tag)
			   : err_ctx(e, "ask the registry");
	if (download(t, meta, NULL, to_small, &s->meta, e) < 0) {
		if (e->kind != ERR_ABSENT)
			return err_ctx(e, "ask the registry");
		report_note(&t->report,
		    "the registry has no %s: taken as an image that stands alone", meta);
		buf_reset(&s->meta);
	}
	return 0;
}

static int
check_signature(const struct look *what, const struct cache *c, struct small *s, struct err *e)
{
	autofree char *name = xasprintf("%s.skein.sig", c->url);

	if (what->key == NULL)
		return 0;
	return sign_verify(what->key, &s->skein, &s->sig, name, e);
}

static int
check_meta(struct tool *t, const struct cache *c, const struct meta *m, bool streams, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct facts here;

	if (m->format == META_ZFS && !streams)
		return err_new(e, ERR_UNSUPPORTED,
		    "%s: is a ZFS stream, as pot writes it on ZFS; here an image is a tar archive: "
		    "export it on a machine of this kind",
		    c->url);
	facts_read(&here, "/", &mem);
	if (m->os[0] != '\0' && !str_eq(m->os, here.kernel_name))
		return err_new(e, ERR_UNSUPPORTED, "%s: is made for %s, and this is %s", c->url,
		    m->os, here.kernel_name);
	if (m->arch[0] != '\0' && !str_eq(m->arch, here.arch))
		report_note(&t->report, "%s: is made for processors of kind %s, and this one is %s",
		    c->url, m->arch, here.arch);
	return 0;
}

static int
get(struct tool *t, const struct look *what, const struct cache *c, struct small *s, struct err *e)
{
	struct err why;

	if (ask(t, c, s, what->key != NULL, e) == 0)
		return 0;
	if (c->local || (e->kind != ERR_REMOTE && e->kind != ERR_TIMEOUT) ||
	    cache_small(c, s) < 0 || check_signature(what, c, s, &why) < 0)
		return -1;
	report_note(&t->report, "%s; the copy in the cache is used", e->text);
	return 0;
}

int
look(struct tool *t, const struct look *what, struct err *e)
{
	autocache struct cache c = { .url = NULL };
	autosmall struct small s = SMALL_INIT;
	uint8_t digest[SKEIN_DIGEST];
	struct meta m;

	if (cache_place(&c, what->cache, what->url, what->pot, what->tag, e) < 0 ||
	    get(t, what, &c, &s, e) < 0 || check_signature(what, &c, &s, e) < 0)
		return -1;
	if (digest_parse(buf_str(&s.skein), s.skein.len, digest, e) < 0)
		return err_ctx(e, "%s.skein", c.url);
	if (image_meta_parse(buf_str(&s.meta), s.meta.len, &m, e) < 0)
		return err_ctx(e, "%s.meta", c.url);
	if (check_meta(t, &c, &m, what->streams, e) < 0)
		return -1;
	report_result(&t->report, "skein", buf_str(&s.skein));
	report_result(&t->report, "meta", buf_str(&s.meta));
	report_result(&t->report, "sig", buf_str(&s.sig));
	return 0;
}
