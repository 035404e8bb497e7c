#include "image/tool.h"

#include "base/buf.h"
#include "base/str.h"
#include "image/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BLOCK = 256 * 1024, REMOVED_MAX = 64 << 20 };

static void
free_reader(struct archive **a)
{
	if (*a != NULL)
		archive_read_free(*a);
}
#define autoreader CLEANUP(free_reader)

static void
free_place(struct place **p)
{
	place_free(*p);
}
#define autoplace CLEANUP(free_place)

/* Compressed by any of these, or not at all; xz is expanded before it comes here. */
static void
add_filters(struct archive *a)
{
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_lzma(a);
}

enum { ZFS_HEAD = 16 };

static bool
is_zfs(const void *head, size_t len)
{
	static const unsigned char magic[] = { 0xac, 0xcb, 0xba, 0xf5, 0x02 };

	return len >= ZFS_HEAD && memcmp((const char *)head + 8, magic, sizeof(magic)) == 0;
}

static int
explain_zfs(const char *name, struct err *e)
{
	return err_new(e, ERR_UNSUPPORTED,
	    "%s: is a ZFS stream, as pot writes it on ZFS; here an image is a tar archive: export "
	    "it on a machine of this kind",
	    name);
}

static int
not_tar(const char *name, struct err *e)
{
	return err_new(e, ERR_CORRUPT, "%s: is not a tar archive", name);
}

/* The reader's failures: a file cut short, or damaged. */
static int
read_failed(struct archive *a, const char *name, struct err *e)
{
	int sys = archive_errno(a);

	archive_err(a, ERR_CORRUPT, "it is cut short or damaged", e);
	err_ctx(e, "%s", name);
	if (sys == EIO || sys == EACCES || sys == ENOENT)
		e->kind = err_kind_of_errno(sys);
	return -1;
}

static int
unpack_data(struct archive *a, struct place *p, const char *name, struct err *e)
{
	const void *data;
	size_t len;
	la_int64_t offset;

	for (;;) {
		int rc = archive_read_data_block(a, &data, &len, &offset);

		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc < ARCHIVE_WARN || (rc == ARCHIVE_WARN && data == NULL))
			return read_failed(a, name, e);
		if (len > 0 && place_data(p, data, len, offset, e) < 0)
			return -1;
	}
}

/* What libarchive reads from: expanded beside it when it is xz, else as it is. */
struct feed {
	struct tool *tool;
	struct source *source;
	const char *name, *act; /* for messages and progress */
	struct xz *xz;
	uint8_t *block;
	uint64_t at; /* bytes given */
	struct err why;
};

static void
feed_progress(struct feed *f)
{
	uint64_t ready, total, taken = f->xz != NULL ? xz_taken(f->xz) : f->at;

	source_progress(f->source, &ready, &total);
	report_progress(
	    &f->tool->report, f->act, total == 0 || taken < total ? taken : total, total);
}

static int
feed_waiting(void *ctx, struct err *e)
{
	struct feed *f = ctx;

	if (tool_check(f->tool, e) < 0)
		return err_ctx(e, "unpack %s", f->name);
	feed_progress(f);
	return 0;
}

static la_ssize_t
feed_read(struct archive *a, void *ctx, const void **data)
{
	struct feed *f = ctx;
	ssize_t n;

	if (f->xz != NULL) {
		n = xz_read(f->xz, data, feed_waiting, f, &f->why);
	} else {
		n = source_read(f->source, f->block, READ_BLOCK, f->at, NULL, &f->why);
		*data = f->block;
	}
	if (n > 0 && f->at == 0 && is_zfs(*data, (size_t)n))
		n = explain_zfs(f->name, &f->why);
	if (n < 0)
		archive_set_error(a, f->why.sys != 0 ? f->why.sys : EIO, "%s", f->why.text);
	else
		f->at += (uint64_t)n;
	return n;
}

/* A failed download names its address by itself. */
static int
with_name(const struct feed *f, struct err *e)
{
	return strstr(e->text, f->name) != NULL ? -1 : err_ctx(e, "%s", f->name);
}

/* The reader's own reason, which libarchive cannot carry. */
static int
feed_failed(const struct feed *f, struct err *e)
{
	if (f->why.kind == ERR_NONE)
		return 0;
	*e = f->why;
	return f->why.kind == ERR_CORRUPT || f->why.kind == ERR_FULL ? with_name(f, e) : -1;
}

/* One archive on its way into directories. */
struct unpacking {
	struct tool *tool;
	struct archive *a;
	struct place *place;
	const char *name;      /* for messages */
	struct feed *feed;     /* where the archive comes from */
	const char *layer_dir; /* where an image's list of removed names applies, or NULL */
};

/* A layer begins with the names that are gone. */
static int
take_removed(struct unpacking *u, struct archive_entry *entry, struct err *e)
{
	autobuf struct buf list = BUF_INIT;
	const void *data;
	size_t len;
	la_int64_t offset;
	int rc;

	(void)entry;
	while ((rc = archive_read_data_block(u->a, &data, &len, &offset)) == ARCHIVE_OK) {
		if (list.len + len > REMOVED_MAX || (uint64_t)offset != list.len)
			return err_new(
			    e, ERR_INPUT, "%s: its list of removed names is too long", u->name);
		buf_add(&list, data, len);
	}
	if (rc != ARCHIVE_EOF)
		return read_failed(u->a, u->name, e);
	if (diff_remove(u->tool, u->layer_dir, buf_str(&list), list.len, e) < 0)
		return err_ctx(e, "%s", u->name);
	return 0;
}

static int
unpack_entry(struct unpacking *u, struct archive_entry *entry, struct err *e)
{
	if (u->layer_dir != NULL && str_eq(archive_entry_pathname(entry), "removed"))
		return take_removed(u, entry, e);
	int wanted = place_entry(u->place, entry, e);
	if (wanted < 0)
		return -1;
	if (wanted > 0 && archive_entry_hardlink(entry) == NULL)
		return unpack_data(u->a, u->place, u->name, e);
	return 0;
}

static int
unpack_entries(struct unpacking *u, struct err *e)
{
	struct archive_entry *entry;
	bool any = false;

	for (;;) {
		int rc = archive_read_next_header(u->a, &entry);

		if (rc == ARCHIVE_EOF)
			break;
		if (rc < ARCHIVE_WARN && feed_failed(u->feed, e) < 0)
			return -1;
		if (rc < ARCHIVE_WARN && !any)
			return archive_format(u->a) == 0 ? not_tar(u->name, e)
							 : read_failed(u->a, u->name, e);
		if (rc < ARCHIVE_WARN)
			return read_failed(u->a, u->name, e);
		any = true;
		if (unpack_entry(u, entry, e) < 0) {
			(void)feed_failed(u->feed, e);
			return -1;
		}
		feed_progress(u->feed);
	}
	if (feed_failed(u->feed, e) < 0)
		return -1;
	if (!any)
		return err_new(e, ERR_CORRUPT, "%s: is empty", u->name);
	return place_finish(u->place, e);
}

static int
unpack_feed(
    struct feed *f, const struct place_to *to, size_t n, const char *layer_dir, struct err *e)
{
	autoreader struct archive *a = archive_read_new();
	autoplace struct place *p = NULL;
	int xz = xz_is(f->source, e);

	if (xz < 0 || (xz > 0 && xz_open(f->source, &f->xz, e) < 0) ||
	    place_open(f->tool, f->name, to, n, &p, e) < 0)
		return -1;
	if (xz == 0) {
		f->block = xmalloc(READ_BLOCK);
		add_filters(a);
	}
	archive_read_support_format_tar(a);
	struct unpacking u = { .tool = f->tool,
		.a = a,
		.place = p,
		.name = f->name,
		.feed = f,
		.layer_dir = layer_dir };
	if (archive_read_open(a, f, NULL, feed_read, NULL) != ARCHIVE_OK)
		return feed_failed(f, e) < 0 ? -1 : not_tar(f->name, e);
	return unpack_entries(&u, e);
}

static int
unpack_fed(
    struct feed *f, const struct place_to *to, size_t n, const char *layer_dir, struct err *e)
{
	int rc = unpack_feed(f, to, n, layer_dir, e);

	xz_close(f->xz);
	free(f->block);
	return rc;
}

static int
unpack_file(struct tool *t, const char *path, const char *name, const struct place_to *to, size_t n,
    struct err *e)
{
	struct source s;

	if (source_open(&s, path, e) < 0)
		return -1;
	struct feed f = { .tool = t, .source = &s, .name = name, .act = "unpack", .why = ERR_INIT };
	int rc = unpack_fed(&f, to, n, NULL, e);
	source_fini(&s);
	return rc;
}

static int
to_fd(void *ctx, const void *data, size_t len, struct err *e)
{
	return fd_write_all(*(const int *)ctx, data, len, e);
}

/* A URL's content in a file without a name's worth of trust: made for this run, removed after it.
 */
static int
download_temp(struct tool *t, const char *url, const char *dir, char **path, struct err *e)
{
	autofree char *temp = xasprintf("%s/.pot-image.XXXXXX", dir);
	autofd int fd = mkstemp(temp);

	if (fd < 0)
		return err_sys(e, "make a file in %s", dir);
	if (download(t, url, "download", to_fd, &fd, e) < 0) {
		(void)unlink(temp);
		return -1;
	}
	*path = take(&temp);
	return 0;
}

static bool
is_remote(const char *from)
{
	return strstr(from, "://") != NULL;
}

static char *
parent_of(const char *dir)
{
	size_t len = strlen(dir);

	while (len > 1 && dir[len - 1] == '/')
		len--;
	while (len > 0 && dir[len - 1] != '/')
		len--;
	return len == 0 ? xstrdup(".") : xstrndup(dir, len);
}

int
unpack(struct tool *t, const struct unpack *what, struct err *e)
{
	struct place_to image[] = { { "m", what->root_dir }, { "conf", what->conf_dir } };
	struct place_to plain[] = { { "", what->root_dir } };
	bool with_conf = what->conf_dir != NULL, made_root = false, made_conf = false;
	autofree char *temp = NULL;
	autofree char *dir = what->cache != NULL ? xstrdup(what->cache) : parent_of(what->root_dir);

	if (is_remote(what->from) && download_temp(t, what->from, dir, &temp, e) < 0)
		return -1;
	int rc = -1;
	if (tree_claim(what->root_dir, &made_root, e) == 0) {
		if (!with_conf || tree_claim(what->conf_dir, &made_conf, e) == 0) {
			rc = unpack_file(t, temp != NULL ? temp : what->from, what->from,
			    with_conf ? image : plain, with_conf ? 2 : 1, e);
			if (rc < 0 && with_conf)
				tree_clear(what->conf_dir, made_conf);
			if (rc < 0)
				tree_clear(what->root_dir, false);
		}
		if (rc < 0 && made_root)
			(void)rmdir(what->root_dir);
	}
	if (temp != NULL)
		(void)unlink(temp);
	return rc;
}

/* ---- an image, while it arrives ---- */

static int
unpack_image(
    struct tool *t, struct source *s, const char *name, const struct import *what, struct err *e)
{
	const struct place_to to[] = { { "m", what->root_dir }, { "conf", what->conf_dir } };
	struct feed f = { .tool = t, .source = s, .name = name, .act = "import", .why = ERR_INIT };

	return unpack_fed(&f, to, NELEM(to), what->layer ? what->root_dir : NULL, e);
}

int
unpack_source(
    struct tool *t, struct source *s, const char *name, const struct import *what, struct err *e)
{
	bool made_root = false, made_conf = false;

	if (what->layer)
		return tree_claim(what->conf_dir, &made_conf, e) < 0
			   ? -1
			   : unpack_image(t, s, name, what, e);
	if (tree_claim(what->root_dir, &made_root, e) < 0)
		return -1;
	int rc = tree_claim(what->conf_dir, &made_conf, e);
	if (rc == 0) {
		rc = unpack_image(t, s, name, what, e);
		if (rc < 0)
			tree_clear(what->conf_dir, made_conf);
	}
	if (rc < 0)
		tree_clear(what->root_dir, made_root);
	return rc;
}

/* A ZFS stream is handed on as it is. */
static int
hand_on(struct feed *f, int fd, struct err *e)
{
	const void *data;
	ssize_t n;

	for (bool first = true;; first = false) {
		if (f->xz != NULL) {
			n = xz_read(f->xz, &data, feed_waiting, f, e);
		} else {
			n = source_read(f->source, f->block, READ_BLOCK, f->at, NULL, e);
			data = f->block;
		}
		if (n < 0)
			return with_name(f, e);
		if (first && (n == 0 || !is_zfs(data, (size_t)n)))
			return err_new(e, ERR_INPUT,
			    "%s: is no ZFS stream, and its meta file does not say what else",
			    f->name);
		if (n == 0)
			return 0;
		f->at += (uint64_t)n;
		if (fd_write_all(fd, data, (size_t)n, e) < 0) {
			e->kind = ERR_REMOTE; /* who receives it knows why */
			return err_ctx(e, "hand on the stream");
		}
		if (feed_waiting(f, e) < 0)
			return -1;
	}
}

int
unpack_stream(struct tool *t, struct source *s, const char *name, int fd, struct err *e)
{
	struct feed f = { .tool = t, .source = s, .name = name, .act = "import", .why = ERR_INIT };
	int xz = xz_is(s, e), rc = -1;

	if (xz == 0)
		f.block = xmalloc(READ_BLOCK);
	if (xz == 0 || (xz > 0 && xz_open(s, &f.xz, e) == 0))
		rc = hand_on(&f, fd, e);
	xz_close(f.xz);
	free(f.block);
	return rc;
}
