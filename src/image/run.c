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

enum { REPORT_FD = 3 };

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
start(const struct image_tool *tool, const char *const argv[], int write_end, pid_t *pid,
    struct err *e)
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
	posix_spawn_file_actions_adddup2(&actions, write_end, REPORT_FD);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	int rc =
	    posix_spawn(pid, tool->program, &actions, &attr, (char **)(void *)args.at, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	VEC_FINI(&args);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, "start %s", tool->program);
	}
	return 0;
}

int
image_run(const struct image_tool *tool, const char *const argv[], struct image_result *out,
    struct err *e)
{
	struct err why = ERR_INIT;
	struct run r = { .tool = tool, .out = out, .e = &why };
	int ends[2], status = 0;
	pid_t pid;

	if (out != NULL)
		*out = (struct image_result){ .path = "" };
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "pipe to %s", tool->program);
	autofd int read_end = ends[0], write_end = ends[1];

	if (start(tool, argv, write_end, &pid, e) < 0)
		return -1;
	close(take_fd(&write_end));
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
image_look(const struct image_tool *tool, const struct image_from *from, struct image_facts *out,
    struct err *e)
{
	struct image_result *r = xcalloc(1, sizeof(*r));
	const char *const argv[] = { "look", "--url", from->url, "--pot", from->pot, "--tag",
		from->tag, "--cache", from->cache, from->key != NULL ? "--key" : NULL, from->key,
		NULL };
	struct meta m;

	int rc = image_run(tool, argv, r, e);
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
image_unpack(const struct image_tool *tool, const char *archive, const char *conf_dir,
    const char *root_dir, struct err *e)
{
	const char *const image[] = { "unpack", "--from", archive, "--conf", conf_dir, "--root",
		root_dir, NULL };
	const char *const plain[] = { "unpack", "--from", archive, "--root", root_dir, NULL };

	return image_run(tool, conf_dir != NULL ? image : plain, NULL, e);
}

int
image_pack(const struct image_tool *tool, const struct image_to *to, const char *conf_dir,
    const char *root_dir, const char *below_root, struct err *e)
{
	VEC(const char *) argv = VEC_INIT;
	char level[16];
	const struct {
		const char *option, *value;
	} options[] = { { "--conf", conf_dir }, { "--root", root_dir }, { "--out", to->dir },
		{ "--pot", to->pot }, { "--tag", to->tag }, { "--level", level },
		{ "--key", to->key }, { "--snapshot", to->snapshot },
		{ "--below", below_root != NULL ? to->below : NULL },
		{ "--below-root", below_root } };

	snprintf(level, sizeof(level), "%d", to->level);
	VEC_PUSH(&argv, "pack");
	for (size_t i = 0; i < NELEM(options); i++)
		if (options[i].value != NULL) {
			VEC_PUSH(&argv, options[i].option);
			VEC_PUSH(&argv, options[i].value);
		}
	VEC_PUSH(&argv, NULL);
	int rc = image_run(tool, argv.at, NULL, e);
	VEC_FINI(&argv);
	return rc;
}

int
image_copy(const struct image_tool *tool, const char *from, const char *to, struct err *e)
{
	const char *const argv[] = { "copy", "--from", from, "--root", to, NULL };

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
