#include "image/tool.h"

#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"
#include "codec/skein.h"
#include "image/meta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The cache: <cache>/<16 hex digits of the registry's URL>/<pot>_<tag>.xz, with .meta and .skein
 * beside it. Two registries cannot take each other's place, and an image published again under
 * its old name is noticed, because the small digest file is always asked for.
 */
struct image {
	struct tool *tool;
	const char *pot, *tag;
	char *url;  /* of the image file */
	char *dir;  /* its directory in the cache */
	char *path; /* its place there */
	char *part; /* the file being filled */
	uint8_t digest[SKEIN_DIGEST];
	struct buf meta, skein;
};

static int
to_small(void *ctx, const void *data, size_t len, struct err *e)
{
	struct buf *b = ctx;

	if (b->len + len > META_FILE_MAX)
		return err_new(e, ERR_INPUT, "is longer than %d bytes", META_FILE_MAX);
	buf_add(b, data, len);
	return 0;
}

/* The two small files. A registry without the meta file is one that stands alone. */
static int
fetch_small(struct image *i, struct err *e)
{
	autofree char *skein = xasprintf("%s.skein", i->url), *meta = xasprintf("%s.meta", i->url);
	struct meta parsed;

	if (download(i->tool, skein, NULL, to_small, &i->skein, e) < 0) {
		if (e->kind == ERR_ABSENT)
			return err_ctx(
			    e, "the registry has no image of pot %s with tag %s", i->pot, i->tag);
		return err_ctx(e, "ask the registry");
	}
	if (digest_parse(i->skein.data, i->skein.len, i->digest, e) < 0)
		return err_ctx(e, "%s", skein);
	if (download(i->tool, meta, NULL, to_small, &i->meta, e) < 0) {
		if (e->kind != ERR_ABSENT)
			return -1;
		report_note(&i->tool->report,
		    "the registry has no %s: taken as an image that stands alone", meta);
		buf_reset(&i->meta);
	}
	if (meta_parse(buf_str(&i->meta), i->meta.len, &parsed, e) < 0)
		return err_ctx(e, "%s", meta);
	if (parsed.origin[0] != '\0')
		return err_new(e, ERR_UNSUPPORTED,
		    "%s: is a layer upon %s_%s; layered images: not available yet: export it from "
		    "a pot that is no clone",
		    i->url, parsed.origin, parsed.tag);
	return 0;
}

/* ---- what is in the cache already ---- */

static int
digest_file(struct image *i, const char *path, uint8_t out[SKEIN_DIGEST], struct err *e)
{
	char block[128 * 1024];
	struct skein s;
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	skein_init(&s);
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0)
			return err_sys(e, "read %s", path);
		if (n == 0)
			break;
		if (tool_check(i->tool, e) < 0)
			return -1;
		skein_add(&s, block, (size_t)n);
	}
	skein_add(&s, buf_str(&i->meta), i->meta.len);
	skein_end(&s, out);
	return 0;
}

/* 1: the cached file is this image. 0: absent, or another, or damaged. */
static int
cached(struct image *i, struct err *e)
{
	uint8_t found[SKEIN_DIGEST];

	if (access(i->path, F_OK) < 0)
		return 0;
	if (digest_file(i, i->path, found, e) < 0)
		return -1;
	return memcmp(found, i->digest, sizeof(found)) == 0;
}

/* When the registry is away: an image of that name whose three files agree will do. */
static int
use_cache_alone(struct image *i, struct err *e)
{
	autofree char *skein = xasprintf("%s.skein", i->path),
		      *meta = xasprintf("%s.meta", i->path);
	struct err why;

	buf_reset(&i->skein);
	buf_reset(&i->meta);
	if (buf_read_file(&i->skein, skein, META_FILE_MAX, &why) < 0 ||
	    buf_read_file(&i->meta, meta, META_FILE_MAX, &why) < 0 ||
	    digest_parse(i->skein.data, i->skein.len, i->digest, &why) < 0 || cached(i, &why) != 1)
		return -1;
	report_note(&i->tool->report, "%s; the copy in the cache is used", e->text);
	return 0;
}

/* ---- filling it ---- */

/* Parts whose maker has died: nobody holds their lock. */
static void
remove_dead_parts(const struct image *i)
{
	DIR *d = opendir(i->dir);
	const struct dirent *f;

	if (d == NULL)
		return;
	while ((f = readdir(d)) != NULL) {
		if (!str_starts(f->d_name, ".part."))
			continue;
		int fd = openat(dirfd(d), f->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)unlinkat(dirfd(d), f->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	closedir(d);
}

struct filling {
	int fd;
	struct skein digest;
};

static int
to_part(void *ctx, const void *data, size_t len, struct err *e)
{
	struct filling *f = ctx;

	skein_add(&f->digest, data, len);
	return fd_write_all(f->fd, data, len, e);
}

static int
fill_part(struct image *i, struct filling *f, struct err *e)
{
	uint8_t found[SKEIN_DIGEST];

	if (download(i->tool, i->url, "download", to_part, f, e) < 0)
		return -1;
	skein_add(&f->digest, buf_str(&i->meta), i->meta.len);
	skein_end(&f->digest, found);
	if (memcmp(found, i->digest, sizeof(found)) != 0)
		return err_new(e, ERR_CORRUPT,
		    "%s: the checksum is wrong: the file is damaged, or its .skein belongs to "
		    "another",
		    i->url);
	if (fsync(f->fd) < 0)
		return err_sys(e, "write %s", i->part);
	return 0;
}

static int
store_small(const struct image *i, const char *suffix, const struct buf *text, struct err *e)
{
	autofree char *path = xasprintf("%s%s", i->path, suffix);
	autofree char *temp = xasprintf("%s%s", i->part, suffix);
	autofd int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_sys(e, "make %s", temp);
	if (fd_write_all(fd, buf_str(text), text->len, e) < 0 || fsync(fd) < 0 ||
	    rename(temp, path) < 0) {
		err_sys(e, "write %s", path);
		(void)unlink(temp);
		return -1;
	}
	return 0;
}

static int
fill_cache(struct image *i, struct err *e)
{
	struct filling f;
	autofd int fd = -1;

	remove_dead_parts(i);
	i->part = xasprintf("%s/.part.%ld.%s_%s", i->dir, (long)getpid(), i->pot, i->tag);
	fd = open(i->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "make %s", i->part);
	(void)flock(fd, LOCK_EX | LOCK_NB);
	f.fd = fd;
	skein_init(&f.digest);
	int rc = fill_part(i, &f, e);
	if (rc == 0)
		rc = store_small(i, ".meta", &i->meta, e);
	if (rc == 0)
		rc = store_small(i, ".skein", &i->skein, e);
	if (rc == 0 && rename(i->part, i->path) < 0)
		rc = err_sys(e, "rename to %s", i->path);
	if (rc < 0)
		(void)unlink(i->part);
	return rc;
}

static int
get_image(struct image *i, struct err *e)
{
	if (fetch_small(i, e) < 0) {
		bool away = e->kind == ERR_REMOTE || e->kind == ERR_TIMEOUT;

		return away && use_cache_alone(i, e) == 0 ? 0 : -1;
	}
	int have = cached(i, e);
	if (have != 0)
		return have < 0 ? -1 : 0;
	return fill_cache(i, e);
}

static int
make_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(e, "make directory %s", path);
	return 0;
}

int
fetch(struct tool *t, const struct fetch *what, struct err *e)
{
	struct image i = {
		.tool = t, .pot = what->pot, .tag = what->tag, .meta = BUF_INIT, .skein = BUF_INIT
	};
	const char *base = what->url[0] != '\0' ? what->url : ".";
	size_t len = strlen(base);

	if (name_check_pot("pot name", what->pot, e) < 0 || name_check_tag("tag", what->tag, e) < 0)
		return -1;
	while (len > 1 && base[len - 1] == '/' && base[len - 2] != '/')
		len--;
	i.url = xasprintf("%.*s/%s_%s.xz", (int)len, base, what->pot, what->tag);
	i.dir = xasprintf("%s/%016" PRIx64, what->cache, ids_hash64(base, len));
	i.path = xasprintf("%s/%s_%s.xz", i.dir, what->pot, what->tag);
	int rc = make_dir(what->cache, e) < 0 || make_dir(i.dir, e) < 0 ? -1 : get_image(&i, e);
	if (rc == 0) {
		report_result(&t->report, "path", i.path);
		report_result(&t->report, "meta", "-");
	}
	(void)rmdir(i.dir); /* only when nothing came into it */
	free(i.url);
	free(i.dir);
	free(i.path);
	free(i.part);
	buf_fini(&i.meta);
	buf_fini(&i.skein);
	return rc;
}
