#include "image/tool.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "codec/skein.h"
#include "image/meta.h"
#include "image/sign.h"
#include "platform/facts.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The image being written: digested on its way to the disk. */
struct output {
	struct tool *tool;
	int fd;
	struct skein digest;
	struct err why; /* a failed write, kept while libarchive gives up */
	struct archive *a;
	uint64_t read; /* bytes of files so far */
};

static la_ssize_t
write_out(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct output *o = ctx;

	if (fd_write_all(o->fd, data, len, &o->why) < 0) {
		archive_set_error(a, o->why.sys, "%s", o->why.text);
		return -1;
	}
	skein_add(&o->digest, data, len);
	return (la_ssize_t)len;
}

static int
write_failed(struct output *o, const char *what, struct err *e)
{
	if (o->why.kind != ERR_NONE) {
		*e = o->why;
		return err_ctx(e, "write the image");
	}
	return archive_err(o->a, ERR_SYS, what, e);
}

static int
pack_entry(void *ctx, struct archive_entry *entry, int fd, struct err *e)
{
	struct output *o = ctx;
	char block[64 * 1024];
	const char *name = archive_entry_pathname(entry);
	int64_t left = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;

	if (archive_write_header(o->a, entry) < ARCHIVE_WARN)
		return write_failed(o, name != NULL ? name : "entry", e);
	while (fd >= 0 && left > 0) {
		ssize_t n =
		    read(fd, block, left < (int64_t)sizeof(block) ? (size_t)left : sizeof(block));

		if (n < 0)
			return err_sys(e, "read %s", archive_entry_sourcepath(entry));
		if (n == 0)
			return err_new(e, ERR_BUSY, "%s: became shorter while it was read",
			    archive_entry_sourcepath(entry));
		if (archive_write_data(o->a, block, (size_t)n) < 0)
			return write_failed(o, name, e);
		left -= n;
		o->read += (uint64_t)n;
		if (tool_check(o->tool, e) < 0)
			return err_ctx(e, "pack");
		report_progress(&o->tool->report, "pack", o->read, 0);
	}
	return 0;
}

static struct archive *
new_writer(int level, bool raw)
{
	struct archive *a = archive_write_new();
	char text[16];

	if (raw)
		archive_write_set_format_raw(a);
	else
		archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_xz(a);
	snprintf(text, sizeof(text), "%d", level);
	archive_write_set_filter_option(a, "xz", "compression-level", text);
	archive_write_set_filter_option(a, "xz", "threads", "0"); /* one per processor */
	archive_write_set_bytes_in_last_block(a, 1);
	return a;
}

/* The list of names that are gone, before the files, so that a reader can take them away first. */
static int
pack_removed(struct output *o, const struct buf *list, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, "removed");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (int64_t)list->len);
	int rc = archive_write_header(o->a, entry);
	if (rc >= ARCHIVE_WARN && list->len > 0 &&
	    archive_write_data(o->a, list->data, list->len) < 0)
		rc = ARCHIVE_FATAL;
	archive_entry_free(entry);
	return rc < ARCHIVE_WARN ? write_failed(o, "removed", e) : 0;
}

static int
pack_root(struct output *o, const struct pack *what, struct err *e)
{
	struct map changed = MAP_INIT;
	autobuf struct buf removed = BUF_INIT;
	int rc;

	if (what->below_root == NULL)
		return walk(o->tool, what->root_dir, "m", NULL, pack_entry, o, e);
	rc = diff(o->tool, what->below_root, what->root_dir, &changed, &removed, e);
	if (rc == 0)
		rc = pack_removed(o, &removed, e);
	if (rc == 0)
		rc = walk(o->tool, what->root_dir, "m", &changed, pack_entry, o, e);
	map_fini(&changed);
	return rc;
}

/* A ZFS stream, compressed as it is. */
static int
pack_stream(struct output *o, int fd, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();
	char block[64 * 1024];
	ssize_t n = 1;
	int rc;

	archive_entry_set_pathname(entry, "stream");
	archive_entry_set_filetype(entry, AE_IFREG);
	rc = archive_write_header(o->a, entry);
	archive_entry_free(entry);
	if (rc < ARCHIVE_WARN)
		return write_failed(o, "stream", e);
	while (n > 0) {
		n = read(fd, block, sizeof(block));
		if (n < 0)
			return err_sys(e, "read the stream");
		if (n > 0 && archive_write_data(o->a, block, (size_t)n) < 0)
			return write_failed(o, "stream", e);
		o->read += (uint64_t)n;
		if (tool_check(o->tool, e) < 0)
			return err_ctx(e, "pack");
		report_progress(&o->tool->report, "pack", o->read, 0);
	}
	return o->read > 0 ? 0 : err_new(e, ERR_CORRUPT, "the stream is empty");
}

static int
write_image(struct output *o, const struct pack *what, struct err *e)
{
	o->a = new_writer(what->level, what->stream > 0);
	if (archive_write_open(o->a, o, NULL, write_out, NULL) != ARCHIVE_OK)
		return write_failed(o, "start the image", e);
	if (what->stream > 0 ? pack_stream(o, what->stream, e) < 0
			     : walk(o->tool, what->conf_dir, "conf", NULL, pack_entry, o, e) < 0 ||
				   pack_root(o, what, e) < 0)
		return -1;
	if (archive_write_close(o->a) != ARCHIVE_OK)
		return write_failed(o, "finish the image", e);
	report_progress(&o->tool->report, "pack", o->read, o->read);
	return 0;
}

static int
write_small(const char *path, const struct buf *text, struct err *e)
{
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_sys(e, "make %s", path);
	if (fd_write_all(fd, buf_str(text), text->len, e) < 0)
		return err_ctx(e, "%s", path);
	if (fsync(fd) < 0)
		return err_sys(e, "write %s", path);
	return 0;
}

/* In the order in which they get their names: a registry's reader asks for the digest first. */
enum { IMAGE, META, SIGNATURE, DIGEST, FILES };
static const char *const suffixes[FILES] = { "", ".meta", ".skein.sig", ".skein" };

struct names {
	char *temp[FILES], *final[FILES];
};

static void
names_make(struct names *n, const struct pack *what)
{
	for (int i = 0; i < FILES; i++) {
		n->final[i] =
		    xasprintf("%s/%s_%s.xz%s", what->out_dir, what->pot, what->tag, suffixes[i]);
		n->temp[i] = xasprintf("%s/.%s_%s.xz%s.%ld", what->out_dir, what->pot, what->tag,
		    suffixes[i], (long)getpid());
	}
}

static void
names_fini(struct names *n)
{
	for (int i = 0; i < FILES; i++) {
		(void)unlink(n->temp[i]);
		free(n->temp[i]);
		free(n->final[i]);
	}
}

static void
make_meta(const struct pack *what, struct meta *m)
{
	autoarena struct arena mem = ARENA_INIT;
	struct facts here;

	facts_read(&here, "/", &mem);
	m->format = META_PAX;
	str_copy(
	    m->own_snapshot, sizeof(m->own_snapshot), what->snapshot != NULL ? what->snapshot : "");
	str_copy(m->os, sizeof(m->os), here.kernel_name);
	str_copy(m->arch, sizeof(m->arch), here.arch);
}

/* The texts of the small files; the signature's stays empty without a key. */
static int
make_small(struct output *o, const struct pack *what, struct buf text[FILES], struct err *e)
{
	uint8_t digest[SKEIN_DIGEST];
	char hex[SKEIN_HEX + 1];
	struct meta m = { .origin = "" };

	if (what->below != NULL && image_meta_parse(what->below, strlen(what->below), &m, e) < 0)
		return err_ctx(e, "image below");
	if (what->stream <= 0) /* else nothing but pot's own line: pot on ZFS reads it */
		make_meta(what, &m);
	image_meta_text(&m, &text[META]);
	skein_add(&o->digest, buf_str(&text[META]), text[META].len);
	skein_end(&o->digest, digest);
	buf_addf(&text[DIGEST], "%s\n", skein_hex(digest, hex));
	return what->key != NULL ? sign_make(what->key, &text[DIGEST], &text[SIGNATURE], e) : 0;
}

static int
publish(const struct names *n, bool have_signature, struct err *e)
{
	for (int i = 0; i < FILES; i++) {
		if (i == SIGNATURE && !have_signature) {
			(void)unlink(n->final[i]); /* an older image's */
			continue;
		}
		if (rename(n->temp[i], n->final[i]) < 0)
			return err_sys(e, "rename to %s", n->final[i]);
	}
	return 0;
}

static int
write_files(struct output *o, const struct names *n, const struct pack *what, struct err *e)
{
	struct buf text[FILES] = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT };
	int rc;

	o->fd = open(n->temp[IMAGE], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (o->fd < 0)
		return err_sys(e, "make %s", n->temp[IMAGE]);
	skein_init(&o->digest);
	if (write_image(o, what, e) < 0)
		return -1;
	if (fsync(o->fd) < 0)
		return err_sys(e, "write %s", n->temp[IMAGE]);
	rc = make_small(o, what, text, e);
	for (int i = META; rc == 0 && i < FILES; i++)
		if (text[i].len > 0)
			rc = write_small(n->temp[i], &text[i], e);
	if (rc == 0)
		rc = publish(n, text[SIGNATURE].len > 0, e);
	for (int i = 0; i < FILES; i++)
		buf_fini(&text[i]);
	return rc;
}

int
pack(struct tool *t, const struct pack *what, struct err *e)
{
	struct output o = { .tool = t, .fd = -1, .why = ERR_INIT };
	struct names n;
	int rc = -1;

	if (name_check_pot("pot name", what->pot, e) < 0 || name_check_tag("tag", what->tag, e) < 0)
		return -1;
	if (what->level < 0 || what->level > 9)
		return err_new(e, ERR_INPUT, "compression level %d: must be 0 to 9", what->level);
	if (what->key != NULL && sign_check_key(what->key, e) < 0)
		return -1;
	names_make(&n, what);
	rc = write_files(&o, &n, what, e);
	if (rc == 0)
		report_result(&t->report, "path", n.final[IMAGE]);
	if (o.a != NULL)
		archive_write_free(
		    o.a); /* after a failure: without writing more than libarchive must */
	if (o.fd >= 0)
		close(o.fd);
	names_fini(&n);
	return rc;
}
