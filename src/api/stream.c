/* /v1/client/fs/logs and /stream: files as they grow, as frames. */
#include "api/frames.h"
#include "api/fs.h"

#include "base/str.h"
#include "platform/filewatch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	REST_MS = 50
}; /* between two looks at a file that grows: what comes meanwhile makes one frame */

struct follow {
	struct call *call;
	struct frames frames;
	bool follow;
	int root;	  /* the allocation's directory */
	int dir;	  /* the directory of the file */
	int fd;		  /* -1: not there yet */
	int64_t offset;	  /* in that file */
	const char *path; /* of the directory, within the allocation */
	const char *name; /* of the file; logs: "<task>.<type>." */
	bool logs;	  /* name is followed by a number */
	const char *task;
	uint64_t number;  /* of the log file that is open, or wanted next */
	struct buf label; /* the file's name within the allocation */
	int watch_fd;
	struct loop_watch *watch;
	struct loop_timer *rest; /* armed: changes wait */
	bool changed;
};

static void pump(struct follow *f);

static void
shut(int *fd)
{
	own_close(fd);
	*fd = -1;
}

/* Ending --------------------------------------------------------------------------------------- */

static void
follow_free(struct follow *f)
{
	loop_watch_free(&f->watch);
	loop_timer_free(&f->rest);
	frames_stop(&f->frames);
	buf_fini(&f->label);
	shut(&f->watch_fd);
	shut(&f->fd);
	shut(&f->dir);
	shut(&f->root);
}

static void
on_gone(void *ctx)
{
	follow_free(ctx);
}

static void
finish(struct follow *f)
{
	struct http_req *r = f->call->req;

	follow_free(f); /* f lives in the request's arena */
	http_reply_end(r);
}

/* The files ------------------------------------------------------------------------------------ */

/* The file's name within the allocation; its last part is at file_name(). */
static const char *
full_name(struct follow *f)
{
	buf_reset(&f->label);
	buf_addf(&f->label, "%s%s%s", f->path, f->path[0] != '\0' ? "/" : "", f->name);
	if (f->logs)
		buf_addf(&f->label, "%" PRIu64, f->number);
	return buf_str(&f->label);
}

static const char *
file_name(struct follow *f)
{
	return full_name(f) + strlen(f->path) + (f->path[0] != '\0');
}

/* The lowest number from `from` upwards among the log files; false: none. *last: the highest. */
static bool
next_number(struct follow *f, uint64_t from, uint64_t *next, uint64_t *last)
{
	int copy = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	bool found = false;
	uint64_t n;

	if (dir == NULL) {
		shut(&copy);
		return false;
	}
	*last = 0;
	for (struct dirent *d; (d = readdir(dir)) != NULL;) {
		if (!str_starts(d->d_name, f->name) ||
		    !str_u64(d->d_name + strlen(f->name), INT32_MAX, &n))
			continue;
		*last = n > *last ? n : *last;
		if (n >= from && (!found || n < *next)) {
			*next = n;
			found = true;
		}
	}
	closedir(dir);
	return found;
}

static bool
open_file(struct follow *f)
{
	struct err e;

	if (f->fd < 0)
		f->fd =
		    openat(f->dir, file_name(f), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f->fd >= 0 && f->watch_fd >= 0)
		(void)filewatch_file(f->watch_fd, f->fd, &e);
	return f->fd >= 0;
}

static int64_t
file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* Origin "end": `back` bytes before the end, across the files. */
static void
seek_back(struct follow *f, int64_t back)
{
	uint64_t last, next;

	if (f->logs && next_number(f, 0, &next, &last))
		f->number = last;
	while (open_file(f)) {
		int64_t size = file_size(f->fd);
		if (size >= back || !f->logs || f->number == 0) {
			f->offset = size > back ? size - back : 0;
			return;
		}
		back -= size;
		f->number--;
		shut(&f->fd);
	}
	if (f->logs && next_number(f, f->number, &next, &last)) /* older ones were rotated away */
		f->number = next;
	f->offset = 0;
}

/* Origin "start": skips whole files. */
static void
seek_forward(struct follow *f, int64_t skip)
{
	uint64_t next, last;

	if (f->logs && next_number(f, 0, &next, &last))
		f->number = next;
	while (f->logs && open_file(f) && file_size(f->fd) < skip &&
	       next_number(f, f->number + 1, &next, &last)) {
		skip -= file_size(f->fd);
		shut(&f->fd);
		f->number = next;
	}
	f->offset = skip;
}

/* Reading -------------------------------------------------------------------------------------- */

static bool
still_running(struct follow *f)
{
	const struct client_api *n = f->call->api->c.client;
	bool running = false;
	struct err e;

	if (f->task == NULL)
		return true;
	return n->log_task(n->self, f->call->arg, f->task, &running, &e) == 0 && running;
}

/* At the end of the file that is open. true: there is more to read, in another one. */
static bool
at_end(struct follow *f)
{
	uint64_t next, last;

	if (f->fd >= 0 && f->offset > file_size(f->fd)) {
		f->offset = 0;
		frames_send(&f->frames, full_name(f), 0, NULL, 0, "file truncated");
		return true;
	}
	if (f->logs && next_number(f, f->fd >= 0 ? f->number + 1 : f->number, &next, &last)) {
		/* What was written between the last look and the rotation is read first. */
		if (f->fd >= 0 && f->offset < file_size(f->fd))
			return true;
		shut(&f->fd);
		f->number = next;
		f->offset = 0;
		return open_file(f);
	}
	if (!f->logs && f->fd >= 0 && faccessat(f->dir, f->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		shut(&f->fd);
		frames_send(&f->frames, full_name(f), 0, NULL, 0, "file deleted");
		f->follow = false;
	}
	return false;
}

static void
on_rest(void *ctx)
{
	struct follow *f = ctx;

	if (f->changed)
		pump(f);
}

static void
on_changed(void *ctx, int fd, unsigned what)
{
	struct follow *f = ctx;
	(void)what;

	filewatch_drain(fd);
	f->changed = true;
	if (!loop_timer_armed(f->rest))
		pump(f);
}

static void
pump(struct follow *f)
{
	char data[FRAME_BYTES];

	f->changed = false;
	loop_timer_set(f->rest, REST_MS);
	while (!frames_full(&f->frames)) {
		ssize_t n = open_file(f) ? pread(f->fd, data, sizeof(data), f->offset) : 0;
		if (n > 0) {
			frames_send(&f->frames, full_name(f), f->offset, data, (size_t)n, NULL);
			f->offset += n;
			continue;
		}
		if (at_end(f))
			continue;
		/* A task that has ended writes no more: its log is whole. */
		if (!f->follow || !still_running(f))
			finish(f);
		return;
	}
	f->changed = true; /* goes on when the reader has taken what is pending */
}

static void
on_drain(void *ctx)
{
	struct follow *f = ctx;

	if (f->changed)
		pump(f);
}

/* The end of a task changes no file. */
static void
on_beat(void *ctx)
{
	struct follow *f = ctx;

	if (f->logs && f->follow && !f->changed && !still_running(f))
		pump(f);
}

static void
start(struct follow *f, bool plain)
{
	struct call *c = f->call;
	struct err e;

	if (f->follow && (f->watch_fd = filewatch_open(f->dir, f->fd, &e)) < 0) {
		follow_free(f);
		call_err(c, &e);
		return;
	}
	f->rest = loop_timer(c->api->c.loop, -1, 0, on_rest, f);
	frames_start(&f->frames, c, plain);
	f->frames.on_beat = on_beat;
	f->frames.on_beat_ctx = f;
	if (f->watch_fd >= 0)
		f->watch = loop_watch(c->api->c.loop, f->watch_fd, LOOP_READ, on_changed, f);
	http_on_close(c->req, on_gone, f);
	http_on_drain(c->req, on_drain, f);
	pump(f);
}

/* Parameters ----------------------------------------------------------------------------------- */

static bool
origin_and_offset(struct call *c, bool *end, int64_t *offset)
{
	const char *origin = http_query(c->req, "origin"), *text = http_query(c->req, "offset");
	uint64_t n = 0;

	*end = origin != NULL && strcmp(origin, "end") == 0;
	if (origin != NULL && *origin != '\0' && !*end && strcmp(origin, "start") != 0)
		call_fail(c, 400, "origin must be start or end");
	else if (text != NULL && *text != '\0' && !str_u64(text, INT64_MAX, &n))
		call_fail(c, 400, "error parsing offset: \"%s\" is not a number", text);
	*offset = (int64_t)n;
	return !c->answered;
}

static struct follow *
follow_new(struct call *c)
{
	struct follow *f = arena_new(c->mem, struct follow);

	*f = (struct follow){ .call = c, .root = -1, .dir = -1, .fd = -1, .watch_fd = -1 };
	f->follow = call_flag(c, "follow");
	return f;
}

static void
run_logs(struct call *c)
{
	const char *task = http_query(c->req, "task"), *type = http_query(c->req, "type");
	const struct client_api *n;
	bool end, running = false;
	int64_t offset;
	struct err e;

	if (task == NULL || *task == '\0')
		call_fail(c, 400, "must provide task name");
	else if (type == NULL || (strcmp(type, "stdout") != 0 && strcmp(type, "stderr") != 0))
		call_fail(c, 400, "must provide log type (stdout/stderr)");
	else if (origin_and_offset(c, &end, &offset) && (n = call_client(c, c->arg)) != NULL) {
		struct follow *f = follow_new(c);
		f->logs = true;
		f->task = task;
		f->path = "alloc/logs";
		f->name = arena_printf(c->mem, "%s.%s.", task, type);
		if (n->log_task(n->self, c->arg, task, &running, &e) < 0 ||
		    (f->root = n->alloc_dir(n->self, c->arg, &e)) < 0 ||
		    (f->dir = fs_open_at(f->root, "alloc/logs", O_DIRECTORY, &e)) < 0) {
			follow_free(f);
			fs_fail(c, &e);
			return;
		}
		end ? seek_back(f, offset) : seek_forward(f, offset);
		start(f, call_flag(c, "plain"));
	}
}

static void
run_stream(struct call *c)
{
	const char *path = http_query(c->req, "path"), *slash,
		   *follow = http_query(c->req, "follow");
	const struct client_api *n;
	struct stat st;
	bool end;
	int64_t offset;
	struct err e;

	if (path == NULL || *path == '\0') {
		call_fail(c, 400, "must provide a file name");
		return;
	}
	if (!origin_and_offset(c, &end, &offset) || (n = call_client(c, c->arg)) == NULL)
		return;
	struct follow *f = follow_new(c);
	f->follow = follow == NULL || call_flag(c, "follow"); /* here the default is to follow */
	path += strspn(path, "/");
	slash = strrchr(path, '/');
	f->path = slash != NULL ? arena_strndup(c->mem, path, (size_t)(slash - path)) : "";
	f->name = slash != NULL ? slash + 1 : path;
	if ((f->root = n->alloc_dir(n->self, c->arg, &e)) < 0 ||
	    (f->fd = fs_open_at(f->root, path, 0, &e)) < 0 ||
	    (f->dir = fs_open_at(f->root, f->path, O_DIRECTORY, &e)) < 0) {
		follow_free(f);
		fs_fail(c, &e);
	} else if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		follow_free(f);
		call_fail(c, 400, "file \"%s\" is a directory or no ordinary file", path);
	} else {
		end ? seek_back(f, offset) : seek_forward(f, offset);
		start(f, call_flag(c, "plain"));
	}
}

const struct route stream_routes[] = {
	{ .methods = "GET", .pattern = "/v1/client/fs/logs/:", .run = run_logs, .local = true },
	{ .methods = "GET", .pattern = "/v1/client/fs/stream/:", .run = run_stream, .local = true },
	{ .pattern = NULL },
};
