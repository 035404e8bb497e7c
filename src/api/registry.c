/* /registry/…: the static pot registry: files of one directory, GET and HEAD, with ranges. */
#include "api/call.h"

#include "base/str.h"
#include "platform/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* No empty, hidden or upward part: what an upload leaves half-done begins with a dot. */
static bool
plain_path(const char *path)
{
	for (const char *p = path;; p = strchr(p, '/') + 1) {
		if (*p == '/' || *p == '\0' || *p == '.')
			return false;
		if (strchr(p, '/') == NULL)
			return true;
	}
}

static void
http_time(time_t t, char out[40])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 40, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* "bytes=a-b", "bytes=a-", "bytes=-n"; anything else is not a range (0). -1: outside. */
static int
parse_range(const char *text, int64_t size, int64_t *from, int64_t *len)
{
	autoarena struct arena mem = ARENA_INIT;
	uint64_t a = 0, b = 0;

	if (text == NULL || !str_starts(text, "bytes=") || strchr(text, ',') != NULL ||
	    strchr(text, '-') == NULL)
		return 0;
	const char *dash = strchr(text, '-');
	const char *first = arena_strndup(&mem, text + 6, (size_t)(dash - text - 6)),
		   *last = dash + 1;
	if ((*first != '\0' && !str_u64(first, INT64_MAX, &a)) ||
	    (*last != '\0' && !str_u64(last, INT64_MAX, &b)) || (*first == '\0' && *last == '\0'))
		return 0;
	if (*first == '\0') {
		if (b == 0)
			return -1;
		*from = (int64_t)b < size ? size - (int64_t)b : 0;
		*len = size - *from;
		return size > 0 ? 1 : -1;
	}
	if ((int64_t)a >= size)
		return -1;
	int64_t end = *last != '\0' && (int64_t)b < size ? (int64_t)b + 1 : size;
	if (end <= (int64_t)a)
		return 0;
	*from = (int64_t)a;
	*len = end - (int64_t)a;
	return 1;
}

static void
send(struct call *c, int fd, const struct stat *st)
{
	int64_t from = 0, len = st->st_size;
	char modified[40], tag[64];

	http_time(st->st_mtime, modified);
	snprintf(tag, sizeof(tag), "\"%" PRIx64 "-%" PRIx64 "\"",
	    (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec,
	    (uint64_t)st->st_size);
	http_set(c->req, "Last-Modified", modified);
	http_set(c->req, "ETag", tag);
	http_set(c->req, "Accept-Ranges", "bytes");
	http_set(c->req, "X-Content-Type-Options", "nosniff");
	if (str_eq(http_header(c->req, "If-None-Match"), tag)) {
		close(fd);
		http_reply(c->req, 304, NULL, "", 0);
		return;
	}
	const char *if_range = http_header(c->req, "If-Range");
	int range = if_range == NULL || strcmp(if_range, tag) == 0
			? parse_range(http_header(c->req, "Range"), st->st_size, &from, &len)
			: 0;
	if (range < 0) {
		close(fd);
		http_setf(c->req, "Content-Range", "bytes */%" PRId64, (int64_t)st->st_size);
		http_reply_text(c->req, 416, "the range lies outside the file");
		return;
	}
	if (range > 0)
		http_setf(c->req, "Content-Range", "bytes %" PRId64 "-%" PRId64 "/%" PRId64, from,
		    from + len - 1, (int64_t)st->st_size);
	http_reply_file(c->req, range > 0 ? 206 : 200, "application/octet-stream", fd, from, len);
}

static void
run_get(struct call *c)
{
	const char *dir = c->api->c.registry_dir;
	struct stat st;
	struct err e;

	if (dir == NULL || !plain_path(c->arg)) {
		call_fail(c, 404, "image not found");
		return;
	}
	autofd int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofd int fd =
	    root >= 0 ? beneath_open(root, c->arg, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &e) : -1;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		call_fail(c, 404, "image not found");
		return;
	}
	send(c, take_fd(&fd), &st);
}

const struct route registry_routes[] = {
	{ .methods = "GET", .pattern = "/registry/*", .run = run_get, .local = true },
	{ .pattern = NULL },
};
