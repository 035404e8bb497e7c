#include "image/tool.h"

#include "base/str.h"
#include "base/buf.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BLOCK = 256 * 1024 };

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

/* Compressed by any of these, or not at all; only tar inside. */
static struct archive *
new_reader(bool raw)
{
	struct archive *a = archive_read_new();

	archive_read_support_filter_xz(a);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_lzma(a);
	if (raw)
		archive_read_support_format_raw(a);
	else
		archive_read_support_format_tar(a);
	return a;
}

/* Why a file is no tar archive: the streams that pot writes on FreeBSD get a word of their own. */
static int
explain_format(const char *path, const char *name, struct err *e)
{
	static const unsigned char magic[] = { 0xac, 0xcb, 0xba, 0xf5, 0x02 };
	autoreader struct archive *a = new_reader(true);
	struct archive_entry *entry;
	unsigned char head[16] = { 0 };

	if (archive_read_open_filename(a, path, READ_BLOCK) == ARCHIVE_OK &&
	    archive_read_next_header(a, &entry) == ARCHIVE_OK &&
	    archive_read_data(a, head, sizeof(head)) == (la_ssize_t)sizeof(head) &&
	    memcmp(head + 8, magic, sizeof(magic)) == 0)
		return err_new(e, ERR_UNSUPPORTED,
		    "%s: is a ZFS stream, as pot writes it on FreeBSD; here an image is a tar "
		    "archive: export it on a machine of this kind",
		    name);
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

static int
unpack_entries(struct tool *t, struct archive *a, struct place *p, const char *path,
    const char *name, uint64_t total, struct err *e)
{
	struct archive_entry *entry;
	bool any = false;

	for (;;) {
		int rc = archive_read_next_header(a, &entry);

		if (rc == ARCHIVE_EOF)
			break;
		if (rc < ARCHIVE_WARN && !any)
			return archive_format(a) == 0 ? explain_format(path, name, e)
						      : read_failed(a, name, e);
		if (rc < ARCHIVE_WARN)
			return read_failed(a, name, e);
		any = true;
		int wanted = place_entry(p, entry, e);
		if (wanted < 0)
			return -1;
		if (wanted > 0 && archive_entry_hardlink(entry) == NULL &&
		    unpack_data(a, p, name, e) < 0)
			return -1;
		report_progress(&t->report, "unpack", (uint64_t)archive_filter_bytes(a, -1), total);
	}
	if (!any)
		return err_new(e, ERR_CORRUPT, "%s: is empty", name);
	return place_finish(p, e);
}

static int
unpack_into(struct tool *t, const char *path, const char *name, const struct place_to *to, size_t n,
    struct err *e)
{
	autoreader struct archive *a = new_reader(false);
	autoplace struct place *p = NULL;
	struct stat st;

	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open %s", name);
	if (!S_ISREG(st.st_mode))
		return err_new(e, ERR_INPUT, "%s: is not a file", name);
	if (place_open(t, name, to, n, &p, e) < 0)
		return -1;
	if (archive_read_open_fd(a, fd, READ_BLOCK) != ARCHIVE_OK)
		return explain_format(path, name, e);
	return unpack_entries(t, a, p, path, name, (uint64_t)st.st_size, e);
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
			rc = unpack_into(t, temp != NULL ? temp : what->from, what->from,
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
