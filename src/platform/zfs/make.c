/*
 * Making datasets: empty ones, clones and copies, several at a time. Most of what such a command
 * takes is its own start and the wait for the pool's next transaction group, so that those which
 * do not need each other run at once.
 */
#include "base/str.h"
#include "platform/zfs/zfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 16 };

enum stage { MAKING, CLEARING /* of the snapshot that came with a copy */, OVER };

struct end {
	struct zfs_child child;
	struct buf said;
};

struct job {
	struct dataset_new what; /* strings are owned */
	char *set, *from;	 /* full names */
	enum stage stage;
	struct end main, feed; /* feed: who sends what main receives */
	bool failed;
	struct err why;
};

struct batch {
	struct job *job;
	size_t n;
};

static void
end_fini(struct end *s)
{
	zfs_child_fini(&s->child);
	buf_fini(&s->said);
	*s = (struct end){ .child = ZFS_CHILD_INIT, .said = BUF_INIT };
}

static void
batch_free(struct batch **at)
{
	struct batch *b = *at;

	for (size_t i = 0; b != NULL && i < b->n; i++) {
		struct job *j = &b->job[i];

		end_fini(&j->main);
		end_fini(&j->feed);
		free((char *)(uintptr_t)j->what.name);
		free((char *)(uintptr_t)j->what.from);
		free((char *)(uintptr_t)j->what.snap);
		free(j->set);
		free(j->from);
	}
	if (b != NULL)
		free(b->job);
	free(b);
}

#define autobatch CLEANUP(batch_free)

/* ---- one job ---- */

static int
job_init(struct host *h, struct job *j, const struct dataset_new *d, struct err *e)
{
	*j = (struct job){ .what = { .kind = d->kind, .copy = d->copy },
		.main = { .child = ZFS_CHILD_INIT, .said = BUF_INIT },
		.feed = { .child = ZFS_CHILD_INIT, .said = BUF_INIT } };
	if (dataset_check_name(d->name, e) < 0 ||
	    (d->from != NULL && dataset_check_snapshot(d->snap, e) < 0))
		return -1;
	j->what.name = xstrdup(d->name);
	j->set = zfs_full(h, d->name);
	if (d->from != NULL) {
		autofree char *from = zfs_full(h, d->from);

		j->what.from = xstrdup(d->from);
		j->what.snap = xstrdup(d->snap);
		j->from = xasprintf("%s@%s", from, d->snap);
	}
	return 0;
}

/* zfs send | zfs receive */
static int
copy_start(const char *program, struct job *j, struct err *e)
{
	const char *const send[] = { "zfs", "send", j->from, NULL };
	const char *const receive[] = { "zfs", "receive", j->set, NULL };
	autofd int read_end = -1, write_end = -1;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(e, "make a pipe");
	read_end = pair[0];
	write_end = pair[1];
	return zfs_spawn(program, receive, read_end, -1, &j->main.child, e) < 0 ||
		       zfs_spawn(program, send, -1, write_end, &j->feed.child, e) < 0
		   ? -1
		   : 0;
}

static int
job_start(struct host *h, struct job *j, struct err *e)
{
	const char *const create[] = { "zfs", "create", j->set, NULL };
	const char *const clone[] = { "zfs", "clone", j->from, j->set, NULL };
	const char *program;

	end_fini(&j->main);
	end_fini(&j->feed);
	j->stage = MAKING;
	j->failed = false;
	if (zfs_find(h, &program, e) < 0)
		return -1;
	if (j->from != NULL && j->what.copy)
		return copy_start(program, j, e);
	return zfs_spawn(program, j->from != NULL ? clone : create, -1, -1, &j->main.child, e);
}

/* The other end of its pipe went away first: the other end knows why. */
static bool
lost_its_reader(int status, struct buf *said)
{
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE) ||
	       strstr(buf_str(said), "Broken pipe") != NULL;
}

static int
made(struct job *j, struct err *e)
{
	int status, sent;
	bool copied = j->from != NULL && j->what.copy;

	if ((copied && zfs_child_wait(&j->feed.child, &sent, e) < 0) ||
	    zfs_child_wait(&j->main.child, &status, e) < 0)
		return -1;
	if (!copied)
		return zfs_verdict(status, j->from != NULL ? "clone" : "create", &j->main.said, e);
	if (lost_its_reader(sent, &j->feed.said) &&
	    zfs_verdict(status, "receive", &j->main.said, e) < 0)
		return -1;
	if (zfs_verdict(sent, "send", &j->feed.said, e) < 0)
		return -1;
	return zfs_verdict(status, "receive", &j->main.said, e);
}

static int
clear_start(struct host *h, struct job *j, struct err *e)
{
	autofree char *received = xasprintf("%s@%s", j->set, j->what.snap);
	const char *const destroy[] = { "zfs", "destroy", received, NULL };
	const char *program;

	end_fini(&j->main);
	return zfs_find(h, &program, e) < 0
		   ? -1
		   : zfs_spawn(program, destroy, -1, -1, &j->main.child, e);
}

static int
cleared(struct job *j, struct err *e)
{
	int status;

	return zfs_child_wait(&j->main.child, &status, e) < 0
		   ? -1
		   : zfs_verdict(status, "destroy", &j->main.said, e);
}

/* What ran for it has nothing more to say. */
static void
job_step(struct host *h, struct job *j)
{
	int rc = j->stage == MAKING ? made(j, &j->why) : cleared(j, &j->why);

	if (rc == 0 && j->stage == MAKING && j->from != NULL && j->what.copy) {
		j->stage = CLEARING;
		rc = clear_start(h, j, &j->why);
		if (rc == 0)
			return;
	}
	j->failed = rc < 0;
	j->stage = OVER;
}

/* ---- several ---- */

static bool
is_silent(const struct job *j)
{
	return j->main.child.out < 0 && j->main.child.err < 0 && j->feed.child.out < 0 &&
	       j->feed.child.err < 0;
}

static int
hear(struct end *s, const struct pollfd p[2], struct err *e)
{
	return (p[0].revents != 0 && zfs_drain(&s->child.out, NULL, 0, e) < 0) ||
		       (p[1].revents != 0 && zfs_drain(&s->child.err, &s->said, 65536, e) < 0)
		   ? -1
		   : 0;
}

/* Until all are over, each at its own pace. */
static int
settle(struct host *h, struct job *jobs, size_t n, struct err *e)
{
	for (;;) {
		struct pollfd p[JOBS_MAX * 4];
		size_t open = 0;

		for (size_t i = 0; i < n; i++) {
			struct job *j = &jobs[i];

			while (j->stage != OVER && is_silent(j))
				job_step(h, j);
			open += j->stage != OVER;
			p[i * 4] = (struct pollfd){ .fd = j->main.child.out, .events = POLLIN };
			p[i * 4 + 1] = (struct pollfd){ .fd = j->main.child.err, .events = POLLIN };
			p[i * 4 + 2] = (struct pollfd){ .fd = j->feed.child.out, .events = POLLIN };
			p[i * 4 + 3] = (struct pollfd){ .fd = j->feed.child.err, .events = POLLIN };
		}
		if (open == 0)
			return 0;
		if (poll(p, (nfds_t)(n * 4), -1) < 0) {
			if (errno != EINTR)
				return err_sys(e, "wait for zfs");
			continue;
		}
		for (size_t i = 0; i < n; i++)
			if (hear(&jobs[i].main, &p[i * 4], e) < 0 ||
			    hear(&jobs[i].feed, &p[i * 4 + 2], e) < 0)
				return -1;
	}
}

/* ZFS wants datasets where others take directories. */
static int
make_parents(struct host *h, const char *name, struct err *e)
{
	autofree char *set = zfs_full(h, name);

	if (zfs_run(h, NULL, e, "list", "-H", "-o", "name", h->roots.zfs_root, NULL) < 0)
		return e->kind != ERR_ABSENT
			   ? -1
			   : err_new(e, ERR_ABSENT, "there is no dataset %s: run pot init",
				 h->roots.zfs_root);
	*strrchr(set, '/') = '\0';
	return zfs_run(h, NULL, e, "create", "-p", set, NULL);
}

/* Does it want its parent made first? receive speaks of the destination itself. */
static bool
wants_parent(struct host *h, const struct job *j)
{
	struct err ignored = ERR_INIT;

	if (j->why.kind != ERR_ABSENT)
		return false;
	if (j->from == NULL || !j->what.copy)
		return strstr(j->why.text, "parent") != NULL;
	return zfs_exists(h, j->what.name, &ignored) == 0;
}

/* Once more where a parent was missing; else what is wrong with it. */
static int
job_end(struct host *h, struct job *j, struct err *e)
{
	struct err why = ERR_INIT;

	if (j->failed && wants_parent(h, j) &&
	    (make_parents(h, j->what.name, &j->why) < 0 || job_start(h, j, &j->why) < 0 ||
		settle(h, j, 1, &j->why) < 0))
		j->failed = true;
	if (!j->failed)
		return 0;
	/* a source that is missing is told as a stream that ends early */
	if (j->from != NULL && j->what.copy &&
	    zfs_run(h, NULL, &why, "list", "-H", "-t", "snapshot", "-o", "name", j->from, NULL) < 0)
		j->why = why;
	*e = j->why;
	if (j->from == NULL)
		return err_ctx(e, "create %s", j->what.name);
	return err_ctx(e, "%s %s@%s to %s", j->what.copy ? "copy" : "clone", j->what.from,
	    j->what.snap, j->what.name);
}

int
zfs_begin(struct host *h, const struct dataset_new *list, size_t n, void **work, struct err *e)
{
	autobatch struct batch *b = xcalloc(1, sizeof(*b));

	if (n > JOBS_MAX)
		return err_new(e, ERR_INPUT, "too many datasets at once");
	b->job = xcalloc(n + 1, sizeof(*b->job));
	for (size_t i = 0; i < n; i++) {
		b->n = i + 1;
		if (job_init(h, &b->job[i], &list[i], e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (job_start(h, &b->job[i], e) < 0)
			return -1;
	*work = take(&b);
	return 0;
}

int
zfs_end(struct host *h, void *work, struct err *e)
{
	autobatch struct batch *b = work;
	struct err why = ERR_INIT;
	int rc = settle(h, b->job, b->n, e);

	for (size_t i = 0; rc == 0 && i < b->n; i++)
		if (job_end(h, &b->job[i], &why) < 0 && rc == 0) {
			*e = why;
			rc = -1;
		}
	return rc;
}

/* ---- one at a time ---- */

static int
make_one(struct host *h, const struct dataset_new *d, struct err *e)
{
	void *work;

	return zfs_begin(h, d, 1, &work, e) < 0 ? -1 : zfs_end(h, work, e);
}

int
zfs_create(struct host *h, const char *name, enum dataset_kind kind, struct err *e)
{
	return make_one(h, &(struct dataset_new){ .name = name, .kind = kind }, e);
}

int
zfs_clone(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	return make_one(h, &(struct dataset_new){ .name = to, .from = name, .snap = snap }, e);
}

int
zfs_copy(struct host *h, const char *name, const char *snap, const char *to, struct err *e)
{
	const struct dataset_new d = { .name = to, .from = name, .snap = snap, .copy = true };

	return make_one(h, &d, e);
}
