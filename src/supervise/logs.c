#include "supervise/logs.h"

#include "base/own.h"
#include "base/str.h"
#include "platform/move.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PUMP_BYTES = 256 * 1024, /* at most in one call, so that two streams share */
	LINE_REACH = 4096	 /* how near its end a file is searched for a line's */
};

/* The directory may belong to a user who is not to be trusted with our rights: files are opened as
 * that user, and never through a link. */
static void
as_user(const struct logs *l)
{
	if (l->gid != 0 && geteuid() == 0)
		(void)!setegid(l->gid);
	if (l->uid != 0 && geteuid() == 0)
		(void)!seteuid(l->uid);
}

static void
as_self(void)
{
	if (geteuid() != getuid())
		(void)!seteuid(getuid());
	if (getegid() != getgid())
		(void)!setegid(getgid());
}

static void
file_name(const struct logs *l, unsigned index, char out[NAME_MAX + 1])
{
	snprintf(out, NAME_MAX + 1, "%s.%u", l->prefix, index);
}

static int
open_index(struct logs *l, unsigned index)
{
	char name[NAME_MAX + 1];
	struct stat st;

	file_name(l, index, name);
	/* not O_APPEND, which splice(2) refuses: nobody else writes here */
	autofd int fd =
	    openat(l->dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, l->mode);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
		errno = EINVAL;
		return -1;
	}
	off_t end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -1;
	(void)!fchmod(fd, l->mode);
	own_close(&l->file);
	l->file = take_fd(&fd);
	l->index = index;
	l->size = (uint64_t)end;
	return 0;
}

/* Calls fn with each number that a file of ours carries. */
static void
each_index(struct logs *l, void (*fn)(struct logs *, unsigned, unsigned *), unsigned *ctx)
{
	size_t len = strlen(l->prefix);
	int fd = openat(l->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t index;

	if (d == NULL) {
		own_close(&fd);
		return;
	}
	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, l->prefix, len) == 0 && entry->d_name[len] == '.' &&
		    str_u64(entry->d_name + len + 1, 0x7fffffff, &index))
			fn(l, (unsigned)index, ctx);
	closedir(d);
}

static void
find_newest(struct logs *l, unsigned index, unsigned *newest)
{
	(void)l;
	if (index > *newest)
		*newest = index;
}

static void
remove_old(struct logs *l, unsigned index, unsigned *oldest_kept)
{
	char name[NAME_MAX + 1];

	if (index >= *oldest_kept)
		return;
	file_name(l, index, name);
	(void)unlinkat(l->dir, name, 0);
}

static int
turn_over(struct logs *l)
{
	as_user(l);
	int result = open_index(l, l->index + 1);
	if (result == 0 && l->index + 1 > l->max_files) {
		/* one has become too many; the whole directory is read only where numbers have gaps
		 */
		char name[NAME_MAX + 1];
		unsigned oldest_kept = l->index + 1 - l->max_files;
		file_name(l, oldest_kept - 1, name);
		if (unlinkat(l->dir, name, 0) < 0)
			each_index(l, remove_old, &oldest_kept);
	}
	as_self();
	return result;
}

int
logs_open(struct logs *l, int pipe, const char *dir, const char *prefix, struct err *e)
{
	unsigned newest = 0;
	int result = 0;

	l->pipe = pipe;
	l->prefix = prefix;
	l->file = -1;
	as_user(l);
	l->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dir < 0) {
		result = err_sys(e, "open the directory of the logs %s", dir);
	} else {
		each_index(l, find_newest, &newest);
		if (open_index(l, newest) < 0)
			result = err_sys(e, "open the log %s/%s.%u", dir, prefix, newest);
		unsigned oldest_kept = newest + 1 > l->max_files ? newest + 1 - l->max_files : 0;
		if (oldest_kept > 0)
			each_index(l, remove_old, &oldest_kept);
	}
	as_self();
	if (result < 0)
		logs_close(l);
	return result;
}

static bool
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static void
put(struct logs *l, const char *p, size_t n, uint64_t *dropped)
{
	if (write_all(l->file, p, n))
		l->size += n;
	else
		*dropped += n;
}

/* How much of it goes into the current file, and whether that ends there. */
static size_t
fitting(struct logs *l, const char *p, size_t len)
{
	uint64_t room = l->size < l->max_file_bytes ? l->max_file_bytes - l->size : 0;
	size_t cut = len < room ? len : (size_t)room;

	if (len + LINE_REACH <= room)
		return len;
	while (cut > 0 && p[cut - 1] != '\n')
		cut--;
	if (cut == 0 && len <= room)
		return len; /* a long line goes on */
	l->full = true;
	if (cut == 0 && l->size == 0)
		return (size_t)room; /* one that is longer than a file */
	return cut;
}

/* Through a small buffer: near a file's end, where a line's end is looked for. */
static ssize_t
copy_some(struct logs *l, uint64_t *dropped)
{
	char bytes[LINE_REACH];
	ssize_t n = read(l->pipe, bytes, sizeof(bytes));

	for (size_t at = 0; n > 0 && at < (size_t)n;) {
		if (l->full) {
			if (turn_over(l) <
			    0) { /* the old file grows beyond its bound rather than losing output */
				put(l, bytes + at, (size_t)n - at, dropped);
				break;
			}
			l->full = false;
		}
		size_t len = fitting(l, bytes + at, (size_t)n - at);
		put(l, bytes + at, len, dropped);
		at += len;
	}
	return n;
}

static ssize_t
pump_once(struct logs *l, uint64_t *dropped)
{
	if (l->copied || l->full || l->size + 2 * LINE_REACH >= l->max_file_bytes)
		return copy_some(l, dropped);
	ssize_t n =
	    move_bytes(l->pipe, l->file, (size_t)(l->max_file_bytes - l->size - LINE_REACH));
	if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == ENOSPC || errno == EDQUOT ||
			 errno == EIO)) {
		l->copied = errno == EINVAL || errno == ENOSYS || l->copied;
		return copy_some(l, dropped);
	}
	if (n > 0)
		l->size += (uint64_t)n;
	return n;
}

int
logs_pump(struct logs *l, uint64_t *dropped)
{
	size_t moved = 0;

	while (l->pipe >= 0 && moved < PUMP_BYTES) {
		ssize_t n = pump_once(l, dropped);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 1;
		if (n <= 0) {
			close(l->pipe);
			l->pipe = -1;
			return 0;
		}
		moved += (size_t)n;
	}
	return l->pipe >= 0;
}

void
logs_close(struct logs *l)
{
	own_close(&l->pipe);
	own_close(&l->dir);
	own_close(&l->file);
	l->pipe = l->dir = l->file = -1;
}
