#include "image/tool.h"

#include "base/str.h"
#include "image/cache.h"
#include "image/meta.h"

#include <stdlib.h>
#include <string.h>

/*
 * An image from its registry into a pot's directories, in one go: while it arrives, one thread
 * computes the digest, others expand it, and this one writes files. The digest decides at the end;
 * until then nobody can use the directories.
 */
enum { LOOK_UP_EVERY_MS = 200 };

struct importing {
	struct tool *tool;
	const struct import *what;
	struct cache cache;
	struct filling filling;
	struct source source;
	struct digesting digesting;
	struct small small;
	uint8_t digest[SKEIN_DIGEST];
};

static void
tell_progress(struct importing *i)
{
	uint64_t ready, total;

	source_progress(&i->source, &ready, &total);
	report_progress(&i->tool->report, "download", ready, total);
}

/* The download to its end, for nobody but the digest and the cache. */
static int
wait_for_all(struct importing *i, struct err *e)
{
	int rc;

	while ((rc = source_wait(&i->source, LOOK_UP_EVERY_MS, e)) == 0) {
		if (tool_check(i->tool, e) < 0)
			return err_ctx(e, "get %s", i->cache.url);
		if (i->filling.part != NULL)
			tell_progress(i);
	}
	return rc < 0 ? -1 : 0;
}

/* 1: it is what the digest file says. 0: it is not. */
static int
check_digest(struct importing *i, struct err *e)
{
	uint8_t found[SKEIN_DIGEST];

	if (digesting_end(&i->digesting, buf_str(&i->small.meta), i->small.meta.len, found, e) < 0)
		return -1;
	return memcmp(found, i->digest, sizeof(found)) == 0;
}

static int
wrong_digest(struct importing *i, struct err *e)
{
	cache_drop(&i->cache);
	return err_new(e, ERR_CORRUPT,
	    "%s: the checksum is wrong: the file is damaged, or its .skein belongs to another",
	    i->cache.url);
}

/* Is a failure to unpack perhaps only that of bytes that are not the image's? Then the digest says
 * so, and that is the better word. */
static bool
may_be_damage(const struct err *e)
{
	return e->kind == ERR_CORRUPT || e->kind == ERR_INPUT || e->kind == ERR_UNSUPPORTED;
}

static int
import_all(struct importing *i, struct err *e)
{
	const struct import *what = i->what;
	struct err why;
	int rc = 0;

	if (what->stream > 0)
		rc = unpack_stream(i->tool, &i->source, i->cache.url, what->stream, e);
	else if (what->root_dir != NULL)
		rc = unpack_source(i->tool, &i->source, i->cache.url, what, e);
	if (rc < 0 && !may_be_damage(e))
		return -1;
	if (rc < 0) {
		if (wait_for_all(i, &why) == 0 && check_digest(i, &why) == 0)
			return wrong_digest(i, e);
		return -1;
	}
	if (wait_for_all(i, e) < 0)
		return -1;
	int right = check_digest(i, e);
	if (right <= 0)
		return right < 0 ? -1 : wrong_digest(i, e);
	return cache_keep(&i->filling, &i->small, e);
}

static int
run(struct importing *i, struct err *e)
{
	if (cache_open(i->tool, &i->cache, &i->small.skein, &i->filling, &i->source, e) < 0)
		return -1;
	int rc = digesting_start(&i->digesting, &i->source, e);
	if (rc == 0)
		rc = import_all(i, e);
	if (rc < 0)
		source_fail(&i->source, e); /* whoever still waits for more */
	/* A full disk gets its space back; bytes that proved wrong are of no use either. */
	cache_close(&i->filling, rc < 0 && (e->kind == ERR_CORRUPT || e->kind == ERR_FULL));
	if (i->digesting.started) {
		struct err ignored;
		uint8_t unused[SKEIN_DIGEST];
		(void)digesting_end(&i->digesting, "", 0, unused, &ignored);
	}
	source_fini(&i->source);
	return rc;
}

int
import(struct tool *t, const struct import *what, struct err *e)
{
	struct importing i = { .tool = t, .what = what, .small = SMALL_INIT };
	int rc = -1;

	buf_adds(&i.small.skein, what->skein);
	buf_adds(&i.small.meta, what->meta);
	buf_adds(&i.small.sig, what->sig != NULL ? what->sig : "");
	if (digest_parse(what->skein, strlen(what->skein), i.digest, e) == 0 &&
	    cache_place(&i.cache, what->cache, what->url, what->pot, what->tag, e) == 0)
		rc = run(&i, e);
	if (rc == 0)
		report_result(&t->report, "path", i.cache.local ? i.cache.url : i.cache.path);
	cache_fini(&i.cache);
	small_fini(&i.small);
	return rc;
}
