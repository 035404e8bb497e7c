#include "api/fs.h"

#include "base/clock.h"
#include "base/str.h"
#include "platform/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 100000, LINKS_MAX = 40 };

/* Opening -------------------------------------------------------------------------------------- */

/* The path without links, "." and "..", as seen from the allocation's directory. Links are followed
 * here, so that one into secrets/ is seen as what it is; the opening itself cannot leave anyway. */
struct walk {
	struct arena *mem;
	VEC(const char *) parts;
	unsigned links;
};

static const char *
walk_text(struct walk *w)
{
	autobuf struct buf b = BUF_INIT;

	for (size_t i = 0; i < w->parts.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? "/" : "", w->parts.at[i]);
	return arena_strdup(w->mem, w->parts.n > 0 ? buf_str(&b) : ".");
}

static int
walk_path(struct walk *w, int dir, const char *path, struct err *e)
{
	char target[4096];
	size_t n;
	char **p = str_split(w->mem, path, '/', &n);

	if (path[0] == '/')
		w->parts.n = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i][0] == '\0' || strcmp(p[i], ".") == 0)
			continue;
		if (strcmp(p[i], "..") == 0) {
			w->parts.n -= w->parts.n > 0;
			continue;
		}
		VEC_PUSH(&w->parts, p[i]);
		ssize_t len = readlinkat(dir, walk_text(w), target, sizeof(target) - 1);
		if (len < 0)
			continue; /* no link, or not there: opening tells */
		if (++w->links > LINKS_MAX)
			return err_new(e, ERR_INPUT, "%s: too many symbolic links", path);
		target[len] = '\0';
		w->parts.n--;
		if (walk_path(w, dir, target, e) < 0)
			return -1;
	}
	return 0;
}

static bool
is_secret(const struct walk *w)
{
	return w->parts.n >= 2 &&
	       (strcmp(w->parts.at[1], "secrets") == 0 || strcmp(w->parts.at[1], "private") == 0);
}

int
fs_open_at(int dir, const char *path, int flags, struct err *e)
{
	autoarena struct arena mem = ARENA_INIT;
	struct walk w = { .mem = &mem };
	int fd = -1;

	if (walk_path(&w, dir, path, e) == 0) {
		if (is_secret(&w))
			(void)err_new(e, ERR_RIGHTS, "Reading secret file prohibited: %s", path);
		else
			fd = beneath_open(dir, walk_text(&w),
			    flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0,
			    e);
	}
	VEC_FINI(&w.parts);
	return fd;
}

void
fs_fail(struct call *c, const struct err *e)
{
	if (e->kind == ERR_ABSENT)
		call_fail(c, 404, "%s", e->text);
	else
		call_err_input(c, e);
}

int
fs_open(struct call *c, const char *alloc_id, const char *path, int flags)
{
	const struct client_api *n = call_client(c, alloc_id);
	struct err e;

	if (n == NULL)
		return -1;
	autofd int dir = n->alloc_dir(n->self, alloc_id, &e);
	if (dir < 0) {
		fs_fail(c, &e);
		return -1;
	}
	int fd = fs_open_at(dir, path, flags, &e);
	if (fd < 0)
		fs_fail(c, &e);
	return fd;
}

/* Listing -------------------------------------------------------------------------------------- */

static const char *
mode_text(mode_t m, char out[12])
{
	static const char bits[] = "rwxrwxrwx";
	size_t n = 0;

	/* As Go writes file modes. */
	if (S_ISDIR(m))
		out[n++] = 'd';
	else if (S_ISLNK(m))
		out[n++] = 'L';
	else if (S_ISFIFO(m))
		out[n++] = 'p';
	else if (S_ISSOCK(m))
		out[n++] = 'S';
	else if (S_ISCHR(m) || S_ISBLK(m))
		out[n++] = 'D';
	if (m & S_ISVTX)
		out[n++] = 't';
	if (n == 0)
		out[n++] = '-';
	for (size_t i = 0; i < 9; i++)
		out[n++] = (m & (0400u >> i)) ? bits[i] : '-';
	out[n] = '\0';
	return out;
}

static const char *
content_type(const char *name)
{
	static const char *const known[][2] = { { ".json", "application/json" },
		{ ".html", "text/html; charset=utf-8" }, { ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" }, { ".png", "image/png" },
		{ ".gz", "application/gzip" }, { ".xz", "application/x-xz" },
		{ ".tar", "application/x-tar" } };

	for (size_t i = 0; i < NELEM(known); i++)
		if (str_ends(name, known[i][0]))
			return known[i][1];
	return "text/plain; charset=utf-8";
}

static void
write_stat(struct jsonw *w, const char *name, const struct stat *st)
{
	char mode[12];

	jsonw_object(w);
	jsonw_kstr(w, "Name", name);
	jsonw_kbool(w, "IsDir", S_ISDIR(st->st_mode));
	jsonw_kint(w, "Size", st->st_size);
	jsonw_kstr(w, "FileMode", mode_text(st->st_mode, mode));
	jsonw_key(w, "ModTime");
	jsonw_time(w, st->st_mtim.tv_sec * NS_PER_SEC + st->st_mtim.tv_nsec);
	jsonw_kstr(w, "ContentType", S_ISREG(st->st_mode) ? content_type(name) : "");
	jsonw_end_object(w);
}

static const char *
query_path(struct call *c)
{
	const char *path = http_query(c->req, "path");

	return path != NULL ? path : "/";
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
write_entries(struct call *c, DIR *dir, struct jsonw *w)
{
	VEC(char *) names = VEC_INIT;
	struct stat st;

	for (struct dirent *d; (d = readdir(dir)) != NULL && names.n < NAMES_MAX;)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0) {
			char *copy = arena_strdup(c->mem, d->d_name);
			VEC_PUSH(&names, copy);
		}
	if (names.n > 0)
		qsort(names.at, names.n, sizeof(names.at[0]), by_name);
	jsonw_array(w);
	VEC_FOREACH (char **, name, &names)
		if (fstatat(dirfd(dir), *name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			write_stat(w, *name, &st);
	jsonw_end_array(w);
	VEC_FINI(&names);
}

static void
run_ls(struct call *c)
{
	autofd int fd = fs_open(c, c->arg, query_path(c), O_DIRECTORY);
	struct buf out = BUF_INIT;

	if (fd < 0)
		return;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		call_fail(c, 500, "%s: %s", query_path(c), strerror(errno));
		return;
	}
	(void)take_fd(&fd);
	struct jsonw w = call_json(c, &out);
	write_entries(c, dir, &w);
	closedir(dir);
	call_json_end(c, &w);
}

static void
run_stat(struct call *c)
{
	const char *path = query_path(c), *slash = strrchr(path, '/');
	autofd int fd = fs_open(c, c->arg, path, 0);
	struct buf out = BUF_INIT;
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0) {
		call_fail(c, 500, "%s: %s", path, strerror(errno));
		return;
	}
	struct jsonw w = call_json(c, &out);
	write_stat(&w, slash != NULL ? slash + 1 : path, &st);
	call_json_end(c, &w);
}

/* Contents ------------------------------------------------------------------------------------- */

static bool
query_offset(struct call *c, const char *name, int64_t *out)
{
	const char *text = http_query(c->req, name);
	uint64_t n;

	if (text == NULL || *text == '\0')
		return true;
	if (!str_u64(text, INT64_MAX, &n)) {
		call_fail(c, 400, "error parsing %s: \"%s\" is not a number", name, text);
		return false;
	}
	*out = (int64_t)n;
	return true;
}

/* Sends the file from offset, at most limit bytes. What a pot wrote is never shown as a page. */
static void
send_file(struct call *c, int64_t offset, int64_t limit)
{
	autofd int fd = fs_open(c, c->arg, query_path(c), 0);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		call_fail(c, 400, "%s is %s, not a file", query_path(c),
		    S_ISDIR(st.st_mode) ? "a directory" : "something else");
		return;
	}
	int64_t left = st.st_size > offset ? st.st_size - offset : 0;
	http_set(c->req, "X-Content-Type-Options", "nosniff");
	json_decref(c->body);
	http_reply_file(c->req, 200, "text/plain; charset=utf-8", take_fd(&fd), offset,
	    left < limit ? left : limit);
}

static void
run_cat(struct call *c)
{
	send_file(c, 0, INT64_MAX);
}

static void
run_readat(struct call *c)
{
	int64_t offset = 0, limit = INT64_MAX;

	if (query_offset(c, "offset", &offset) && query_offset(c, "limit", &limit))
		send_file(c, offset, limit);
}

const struct route fs_routes[] = {
	{ .methods = "GET", .pattern = "/v1/client/fs/ls/:", .run = run_ls, .local = true },
	{ .methods = "GET", .pattern = "/v1/client/fs/stat/:", .run = run_stat, .local = true },
	{ .methods = "GET", .pattern = "/v1/client/fs/cat/:", .run = run_cat, .local = true },
	{ .methods = "GET", .pattern = "/v1/client/fs/readat/:", .run = run_readat, .local = true },
	{ .pattern = NULL },
};
