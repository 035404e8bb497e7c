/*
 * dataset_trial.h: a dataset backend under test, and files in its datasets. A test sets ds and
 * host, makes dir (on a file system that it mounts there) and says in root where the datasets lie.
 * After <cmocka.h>.
 */
#ifndef TESTS_DATASET_TRIAL_H
#define TESTS_DATASET_TRIAL_H

#include "base/buf.h"
#include "base/str.h"
#include "platform/dataset.h"

#include "outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct dataset_ops *ds;
static struct host host;
static char dir[] = "/tmp/potter-datasets-XXXXXX";
static char root[64];

/* A path below root; the last four answers stay. */
static inline char *
path(const char *fmt, ...)
{
	static char out[4][1024];
	static int turn;
	char *p = out[turn++ % 4];
	int n = snprintf(p, 1024, "%s/", root);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p + n, 1024 - (size_t)n, fmt, ap);
	va_end(ap);
	return p;
}

static inline void
put(const char *file, const char *text)
{
	autofd int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || fd_write_all(fd, text, strlen(text), &err) < 0)
		fail_msg("%s: %s", file, strerror(errno));
}

static inline void
has(const char *file, const char *text)
{
	autobuf struct buf b = BUF_INIT;

	OK(buf_read_file(&b, file, 4096, &err));
	assert_string_equal(buf_str(&b), text);
}

static inline bool
is_there(const char *file)
{
	return access(file, F_OK) == 0;
}

/* The content of a dataset, mounted as a pot would have it. */
static inline const char *
mounted(const char *name)
{
	static char where[1100];
	autodataset_root struct dataset_root r = DATASET_ROOT_INIT;
	autobuf struct buf lower = BUF_INIT;
	autofree char *options = NULL;

	OK(ds->root(&host, name, &r, &err));
	snprintf(where, sizeof(where), "%s/mnt", dir);
	if (mkdir(where, 0755) < 0)
		assert_int_equal(errno, EEXIST);
	if (r.plain != NULL) {
		assert_int_equal(mount(r.plain, where, NULL, MS_BIND, NULL), 0);
		return where;
	}
	for (size_t i = 0; i < r.lower.n; i++)
		buf_addf(&lower, "%s%s", i ? ":" : "", r.lower.at[i]);
	options = r.upper != NULL ? xasprintf("lowerdir=%s,upperdir=%s,workdir=%s", buf_str(&lower),
					r.upper, r.work)
				  : xasprintf("lowerdir=%s", buf_str(&lower));
	if (mount("overlay", where, "overlay", 0, options) < 0)
		fail_msg("mount %s: %s", options, strerror(errno));
	return where;
}

static inline void
unmount(void)
{
	char where[64];

	snprintf(where, sizeof(where), "%s/mnt", dir);
	assert_int_equal(umount2(where, 0), 0);
}

static inline void
in_dataset_put(const char *name, const char *file, const char *text)
{
	char full[1200];

	snprintf(full, sizeof(full), "%s/%s", mounted(name), file);
	put(full, text);
	unmount();
}

static inline void
in_dataset_has(const char *name, const char *file, const char *text)
{
	char full[1200];

	snprintf(full, sizeof(full), "%s/%s", mounted(name), file);
	if (text == NULL)
		assert_false(is_there(full));
	else
		has(full, text);
	unmount();
}

#endif
