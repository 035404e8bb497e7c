#include "image/image.h"

#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "image/meta.h"
#include "image/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { REPORT_FD = 3, STREAM_FD = 4 };

/* What the lines of one run add up to. */
struct run {
	const struct image_tool *tool;
	struct image_result *out;
	struct err *e;
	bool failed, done;
};

static void
take_result(struct image_result *out, const struct report_line *l)
{
	const struct {
		const char *key;
		char *at;
		size_t size;
	} places[] = { { "path", out->path, sizeof(out->path) },
		{ "skein", out->skein, sizeof(out->skein) },
		{ "meta", out->meta, sizeof(out->meta) }, { "sig", out->sig, sizeof(out->sig) } };

	for (size_t i = 0; i < NELEM(places); i++)
		if (str_eq(l->key, places[i].key))
			str_copy(places[i].at, places[i].size, l->text);
}

static int
take_line(struct run *r, const char *text, size_t len)
{
	static _Thread_local struct report_line l;
	struct err bad;

	if (report_parse(text, len, &l, &bad) < 0)
		return err_new(r->e, ERR_REMOTE, "%s: %s", r->tool->program, bad.text);
	switch (l.kind) {
	case REPORT_HELLO:
		if (l.total != REPORT_VERSION)
			return err_new(r->e, ERR_UNSUPPORTED,
			    "%s speaks version %llu of its report, not %d: install both from one "
			    "release",
			    r->tool->program, (unsigned long long)l.total, REPORT_VERSION);
		break;
	case REPORT_PROGRESS:
		if (r->tool->progress != NULL)
			r->tool->progress(r->tool->ctx, l.text, l.done, l.total);
		break;
	case REPORT_NOTE:
		if (r->tool->note != NULL)
			r->tool->note(r->tool->ctx, l.text);
		break;
	case REPORT_RESULT:
		if (r->out != NULL)
			take_result(r->out, &l);
		break;
	case REPORT_ERROR:
		*r->e = l.error;
		r->failed = true;
		break;
	case REPORT_DONE:
		r->done = true;
		break;
	}
	return 0;
}

static int
take_lines(struct run *r, struct buf *held)
{
	char *newline;

	while (held->len > 0 && (newline = memchr(held->data, '\n', held->len)) != NULL) {
		size_t len = (size_t)(newline - held->data);

		if (take_line(r, held->data, len) < 0)
			return -1;
		buf_drop(held, len + 1);
	}
	if (held->len >= REPORT_LINE)
		return err_new(r->e, ERR_REMOTE, "%s: report line too long", r->tool->program);
	return 0;
}

static bool
should_stop(const struct image_tool *tool)
{
	return tool->stop != NULL && *tool->stop != 0;
}

static int
read_report(struct run *r, int fd)
{
	autobuf struct buf held = BUF_INIT;
	char chunk[4096];

	for (;;) {
		if (should_stop(r->tool)) {
			err_new(r->e, ERR_SYS, "interrupted");
			r->e->sys = EINTR;
			return -1;
		}
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(r->e, "read from %s", r->tool->program);
		if (n == 0)
			return 0;
		buf_add(&held, chunk, (size_t)n);
		if (take_lines(r, &held) < 0)
			return -1;
	}
}

static int
start(const struct image_tool *tool, const char *const argv[], int write_end, int stream,
    pid_t *pid, struct err *e)
{
	VEC(const char *) args = VEC_INIT;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;

	VEC_PUSH(&args, "pot-image");
	VEC_PUSH(&args, "--report");
	VEC_PUSH(&args, "3");
	for (size_t i = 0; argv[i] != NULL; i++)
		VEC_PUSH(&args, argv[i]);
	VEC_PUSH(&args, NULL);

	posix_spawn_file_actions_init(&actions);
	/* both may have the number that the other is to get: the first copy is out of the way */
	int report = fcntl(write_end, F_DUPFD_CLOEXEC, STREAM_FD + 1);
	int extra = stream >= 0 ? fcntl(stream, F_DUPFD_CLOEXEC, STREAM_FD + 1) : -1;
	posix_spawn_file_actions_adddup2(&actions, report, REPORT_FD);
	if (extra >= 0)
		posix_spawn_file_actions_adddup2(&actions, extra, STREAM_FD);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int rc =
	    posix_spawn(pid, tool->program, &actions, &attr, (char **)(void *)args.at, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	own_close(&report);
	own_close(&extra);
	VEC_FINI(&args);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "start %s", tool->program);
	}
	return 0;
}

/* stream: a descriptor that pot-image gets as number 4, closed here; -1: none. */
static int
run_with(const struct image_tool *tool, const char *const argv[], int stream_fd,
    struct image_result *out, struct err *e)
{
	autofd int stream = stream_fd;
	struct err why = ERR_INIT;
	struct run r = { .tool = tool, .out = out, .e = &why };
	int ends[2], status = 0;
	pid_t pid;

	if (out != NULL)
		*out = (struct image_result){ .path = "" };
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe to %s", tool->program);
	autofd int read_end = ends[0], write_end = ends[1];

	if (start(tool, argv, write_end, stream, &pid, e) < 0)
		return -1;
	close(take_fd(&write_end));
	if (stream >= 0)
		close(take_fd(&stream));
	int rc = read_report(&r, read_end);
	close(take_fd(&read_end)); /* a confused pot-image sees that nobody listens */
	if (rc < 0)
		(void)kill(pid, SIGTERM); /* it cleans up and ends */
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for %s", tool->program);

	if (rc == 0 && !r.failed && r.done && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (rc == 0 && !r.failed) {
		if (WIFSIGNALED(status))
			err_new(&why, ERR_REMOTE, "%s %s: killed by signal %d", tool->program,
			    argv[0], WTERMSIG(status));
		else
			err_new(&why, ERR_REMOTE, "%s %s: ended with code %d and no word",
			    tool->program, argv[0], WEXITSTATUS(status));
	}
	*e = why;
	return -1;
}

int
image_run(const struct image_tool *tool, const char *const argv[], struct image_result *out,
    struct err *e)
{
	return run_with(tool, argv, -1, out, e);
}

int
image_look(const struct image_tool *tool, const struct image_from *from, bool streams,
    struct image_facts *out, struct err *e)
{
	struct image_result *r = xcalloc(1, sizeof(*r));
	VEC(const char *) argv = VEC_INIT;
	const char *const words[] = { "look", "--url", from->url, "--pot", from->pot, "--tag",
		from->tag, "--cache", from->cache };
	struct meta m;

	for (size_t i = 0; i < NELEM(words); i++)
		VEC_PUSH(&argv, words[i]);
	if (from->key != NULL) {
		VEC_PUSH(&argv, "--key");
		VEC_PUSH(&argv, from->key);
	}
	if (streams)
		VEC_PUSH(&argv, "--streams");
	VEC_PUSH(&argv, NULL);
	int rc = image_run(tool, argv.at, r, e);
	VEC_FINI(&argv);
	if (rc == 0)
		rc = image_meta_parse(r->meta, strlen(r->meta), &m, e);
	if (rc == 0) {
		str_copy(out->skein, sizeof(out->skein), r->skein);
		str_copy(out->meta, sizeof(out->meta), r->meta);
		str_copy(out->sig, sizeof(out->sig), r->sig);
		str_copy(out->below, sizeof(out->below), m.origin);
		str_copy(out->below_tag, sizeof(out->below_tag), m.tag);
		str_copy(out->below_snapshot, sizeof(out->below_snapshot), m.snapshot);
		str_copy(out->snapshot, sizeof(out->snapshot), m.own_snapshot);
		out->is_stream = streams && m.format != META_PAX;
	}
	free(r);
	return rc;
}

int
image_import(const struct image_tool *tool, const struct image_from *from,
    const struct image_facts *facts, const char *conf_dir, const char *root_dir, bool layer,
    struct err *e)
{
	const char *const argv[] = { "import", "--url", from->url, "--pot", from->pot, "--tag",
		from->tag, "--cache", from->cache, "--skein", facts->skein, "--meta", facts->meta,
		"--sig", facts->sig, "--conf", conf_dir, "--root", root_dir,
		layer ? "--layer" : NULL, NULL };

	return image_run(tool, argv, NULL, e);
}

int
image_ahead(const struct image_tool *tool, const struct image_from *from,
    const struct image_facts *facts, pid_t *pid, struct err *e)
{
	const char *const argv[] = { "pot-image", "fetch", "--url", from->url, "--pot", from->pot,
		"--tag", from->tag, "--cache", from->cache, "--skein", facts->skein, "--meta",
		facts->meta, "--sig", facts->sig, NULL };
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	for (int fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	int rc = posix_spawn(
	    pid, tool->program, &actions, NULL, (char **)(uintptr_t)(const void *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "start %s", tool->program);
	}
	return 0;
}

void
image_ahead_end(pid_t pid, bool give_up)
{
	if (give_up)
		(void)kill(pid, SIGTERM);
	/* interrupted: the wish to stop is for it as well */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		(void)kill(pid, SIGTERM);
}

int
image_stream(const struct image_tool *tool, const struct image_from *from,
    const struct image_facts *facts, int fd, struct err *e)
{
	const char *const argv[] = { "stream", "--url", from->url, "--pot", from->pot, "--tag",
		from->tag, "--cache", from->cache, "--skein", facts->skein, "--meta", facts->meta,
		"--sig", facts->sig, "--stream", "4", NULL };

	return run_with(tool, argv, fd, NULL, e);
}

int
image_unpack(const struct image_tool *tool, const char *archive, const char *conf_dir,
    const char *root_dir, struct err *e)
{
	const char *const image[] = { "unpack", "--from", archive, "--conf", conf_dir, "--root",
		root_dir, NULL };
	const char *const plain[] = { "unpack", "--from", archive, "--root", root_dir, NULL };

	return image_run(tool, conf_dir != NULL ? image : plain, NULL, e);
}

struct words {
	const char *option, *value; /* left out when NULL */
};

static int
run_pack(const struct image_tool *tool, const char *verb, const struct words *words, size_t n,
    int stream, struct err *e)
{
	VEC(const char *) argv = VEC_INIT;

	VEC_PUSH(&argv, verb);
	for (size_t i = 0; i < n; i++)
		if (words[i].value != NULL) {
			VEC_PUSH(&argv, words[i].option);
			VEC_PUSH(&argv, words[i].value);
		}
	VEC_PUSH(&argv, NULL);
	int rc = run_with(tool, argv.at, stream, NULL, e);
	VEC_FINI(&argv);
	return rc;
}

int
image_pack(const struct image_tool *tool, const struct image_to *to, const char *conf_dir,
    const char *root_dir, const char *below_root, struct err *e)
{
	char level[16];
	const struct words words[] = { { "--conf", conf_dir }, { "--root", root_dir },
		{ "--out", to->dir }, { "--pot", to->pot }, { "--tag", to->tag },
		{ "--level", level }, { "--key", to->key }, { "--snapshot", to->snapshot },
		{ "--below", below_root != NULL ? to->below : NULL },
		{ "--below-root", below_root } };

	snprintf(level, sizeof(level), "%d", to->level);
	return run_pack(tool, "pack", words, NELEM(words), -1, e);
}

int
image_pack_stream(const struct image_tool *tool, const struct image_to *to, int fd, struct err *e)
{
	char level[16];
	const struct words words[] = { { "--stream", "4" }, { "--out", to->dir },
		{ "--pot", to->pot }, { "--tag", to->tag }, { "--level", level },
		{ "--key", to->key }, { "--below", to->below } };
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return err_sys(e, "pass the stream on");
	snprintf(level, sizeof(level), "%d", to->level);
	return run_pack(tool, "pack-stream", words, NELEM(words), copy, e);
}

int
image_copy(const struct image_tool *tool, const char *from, const char *to, struct err *e)
{
	const char *const argv[] = { "copy", "--from", from, "--root", to, NULL };

	return image_run(tool, argv, NULL, e);
}

int
image_fetch(const struct image_tool *tool, const char *url, const char *path, struct err *e)
{
	const char *const argv[] = { "get", "--url", url, "--out", path, NULL };

	return image_run(tool, argv, NULL, e);
}

int
image_suite(const struct image_tool *tool, const char *suite, const char *mirror,
    const char *root_dir, struct err *e)
{
	const char *const argv[] = { "suite", "--suite", suite, "--root", root_dir,
		mirror != NULL ? "--mirror" : NULL, mirror, NULL };

	return image_run(tool, argv, NULL, e);
}
