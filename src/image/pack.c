#include "image/tool.h"

#include "base/buf.h"
#include "base/str.h"
#include "codec/skein.h"
#include "image/meta.h"

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
new_writer(int level)
{
	struct archive *a = archive_write_new();
	char text[16];

	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_xz(a);
	snprintf(text, sizeof(text), "%d", level);
	archive_write_set_filter_option(a, "xz", "compression-level", text);
	archive_write_set_filter_option(a, "xz", "threads", "0"); /* one per processor */
	archive_write_set_bytes_in_last_block(a, 1);
	return a;
}

static int
write_image(struct output *o, const struct pack *what, struct err *e)
{
	o->a = new_writer(what->level);
	if (archive_write_open(o->a, o, NULL, write_out, NULL) != ARCHIVE_OK)
		return write_failed(o, "start the image", e);
	if (walk(o->tool, what->conf_dir, "conf", pack_entry, o, e) < 0 ||
	    walk(o->tool, what->root_dir, "m", pack_entry, o, e) < 0)
		return -1;
	if (archive_write_close(o->a) != ARCHIVE_OK)
		return write_failed(o, "finish the image", e);
	report_progress(&o->tool->report, "pack", o->read, o->read);
	return 0;
}

static int
write_small(const char *path, const char *text, struct err *e)
{
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_sys(e, "make %s", path);
	if (fd_write_all(fd, text, strlen(text), e) < 0)
		return err_ctx(e, "%s", path);
	if (fsync(fd) < 0)
		return err_sys(e, "write %s", path);
	return 0;
}

enum { IMAGE, META, SKEIN, FILES };
static const char *const suffixes[FILES] = { "", ".meta", ".skein" };

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

static int
write_files(struct output *o, const struct names *n, const struct pack *what, struct err *e)
{
	uint8_t digest[SKEIN_DIGEST];
	char hex[SKEIN_HEX + 1];

	o->fd = open(n->temp[IMAGE], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (o->fd < 0)
		return err_sys(e, "make %s", n->temp[IMAGE]);
	skein_init(&o->digest);
	if (write_image(o, what, e) < 0)
		return -1;
	if (fsync(o->fd) < 0)
		return err_sys(e, "write %s", n->temp[IMAGE]);
	skein_add(&o->digest, "-\n", 2);
	skein_end(&o->digest, digest);
	skein_hex(digest, hex);
	hex[SKEIN_HEX - 1] = '\n';
	hex[SKEIN_HEX] = '\0';
	if (write_small(n->temp[META], "-\n", e) < 0 || write_small(n->temp[SKEIN], hex, e) < 0)
		return -1;
	for (int i = 0; i < FILES; i++)
		if (rename(n->temp[i], n->final[i]) < 0) {
			err_sys(e, "rename to %s", n->final[i]);
			while (i-- > 0)
				(void)unlink(n->final[i]);
			return -1;
		}
	return 0;
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
	names_make(&n, what);
	if (!what->replace && access(n.final[IMAGE], F_OK) == 0)
		err_new(e, ERR_EXISTS, "%s: exists already", n.final[IMAGE]);
	else
		rc = write_files(&o, &n, what, e);
	if (rc == 0) {
		report_result(&t->report, "path", n.final[IMAGE]);
		report_result(&t->report, "meta", "-");
	}
	if (o.a != NULL)
		archive_write_free(
		    o.a); /* after a failure: without writing more than libarchive must */
	if (o.fd >= 0)
		close(o.fd);
	names_fini(&n);
	return rc;
}
