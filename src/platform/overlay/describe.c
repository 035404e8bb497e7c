#include "platform/overlay/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/xattr.h>
#endif

/*
 * A description is an extended attribute of its directory where there are such: replaced at once,
 * and on disk in order with the directories and links it speaks of, without being waited for. One
 * that does not fit goes into a file beside it, which has to be synced before it takes its name.
 */

enum { ATTRIBUTE_MAX = 8192 };

int
data_open(const struct store *s, const char *id, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "data/%s", id);
	fd = openat(s->top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open %s/%s/%s", s->fs_root, s->kind->top, path) : fd;
}

#ifdef __linux__
static const char attribute[] = "user.potter.meta";

/* Bytes, 0: it has none. */
static ssize_t
attribute_read(int dir, struct buf *text, struct err *e)
{
	ssize_t n;

	buf_reserve(text, ATTRIBUTE_MAX + 1);
	n = fgetxattr(dir, attribute, text->data, ATTRIBUTE_MAX);
	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP
			   ? 0
			   : err_sys(e, "read its attribute %s", attribute);
	text->len = (size_t)n;
	text->data[n] = '\0';
	return n;
}

/* 1: it is there, 0: it does not fit. */
static int
attribute_write(int dir, const struct buf *text, struct err *e)
{
	if (text->len > ATTRIBUTE_MAX)
		return 0;
	if (fsetxattr(dir, attribute, text->data, text->len, 0) == 0)
		return 1;
	if (errno == ENOTSUP || errno == ENOSPC || errno == E2BIG || errno == ERANGE)
		return 0; /* when the disk is full the file will say so */
	return err_sys(e, "write its attribute %s", attribute);
}

static int
attribute_remove(int dir, struct err *e)
{
	if (fremovexattr(dir, attribute) == 0 || errno == ENODATA || errno == ENOTSUP)
		return 0;
	return err_sys(e, "remove its attribute %s", attribute);
}
#else
static ssize_t
attribute_read(int dir, struct buf *text, struct err *e)
{
	(void)dir, (void)text, (void)e;
	return 0;
}

static int
attribute_write(int dir, const struct buf *text, struct err *e)
{
	(void)dir, (void)text, (void)e;
	return 0;
}

static int
attribute_remove(int dir, struct err *e)
{
	(void)dir, (void)e;
	return 0;
}
#endif

static int
read_text(int dir, struct buf *text, struct err *e)
{
	ssize_t n = attribute_read(dir, text, e);

	if (n != 0)
		return n < 0 ? -1 : 0;
	autofd int fd = openat(dir, "meta", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "open meta") : buf_read_fd(text, fd, META_MAX, e);
}

int
data_load(const struct store *s, const char *id, struct meta *m, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autofd int dir = data_open(s, id, e);

	if (dir < 0)
		return -1;
	if (read_text(dir, &text, e) < 0 || meta_parse(buf_str(&text), text.len, m, e) < 0)
		return err_ctx(e, "read %s/%s/data/%s", s->fs_root, s->kind->top, id);
	return 0;
}

static int
write_file(int dir, const struct buf *text, struct err *e)
{
	autofd int fd =
	    openat(dir, "meta.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0)
		return err_sys(e, "make meta.new");
	if (fd_write_all(fd, text->data, text->len, e) < 0)
		return err_ctx(e, "write meta.new");
	/* without this a power cut may leave the new name on an empty file */
	if (fdatasync(fd) < 0 || renameat(dir, "meta.new", dir, "meta") < 0)
		return err_sys(e, "write meta");
	return attribute_remove(dir, e);
}

int
data_save(const struct store *s, const char *id, const struct meta *m, bool durable, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autofd int dir = data_open(s, id, e);
	int fits;

	if (dir < 0)
		return -1;
	meta_write(m, &text);
	if (text.len > META_MAX)
		return err_new(e, ERR_FULL, "too much is to be remembered about one dataset");
	fits = attribute_write(dir, &text, e);
	if (fits < 0 || (fits == 0 && write_file(dir, &text, e) < 0))
		return err_ctx(e, "write %s/%s/data/%s", s->fs_root, s->kind->top, id);
	if (durable && !s->kind->in_order && fsync(dir) < 0)
		return err_sys(e, "sync %s/%s/data/%s", s->fs_root, s->kind->top, id);
	return 0;
}
