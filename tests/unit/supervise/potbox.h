/*
 * potbox.h: a small root, keepers to run in it, and everything below one temporary directory and in
 * namespaces of its own. Needs root and a static busybox; without them the tests are skipped.
 */
#ifndef POTBOX_H
#define POTBOX_H

#include "supervise/keeper.h"

#include "base/buf.h"
#include "base/clock.h"
#include "platform/proc.h"
#include "supervise/exit.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_OK(call)                                                                             \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, e.text);                                         \
	} while (0)

static char top[64], lower[128], keeper[1024];
static struct err e;

static inline const char *
path(const char *name)
{
	static char out[8][512];
	static unsigned turn;
	char *p = out[turn++ % 8];

	snprintf(p, sizeof(out[0]), "%s/%s", top, name);
	return p;
}

static inline void
put(const char *name, const char *text)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline const char *
get(const char *name)
{
	static struct buf text = BUF_INIT;
	struct err absent;

	buf_reset(&text);
	return buf_read_file(&text, path(name), 1 << 24, &absent) < 0 ? "(absent)" : buf_str(&text);
}

static inline bool
there(const char *name)
{
	struct stat st;

	return lstat(path(name), &st) == 0;
}

static inline int
remove_one(const char *p, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(p);
}

static inline int
set_up(void **state)
{
	static const char *const applets[] = { "sh", "true", "false", "cat", "echo", "sleep", "id",
		"hostname", "ls", "touch", "mount", "mkdir", "kill", "seq", "ps", "tty", "head",
		"tail", "dd", "env", "grep", "mkfifo", "readlink", "wc", "yes", "chroot", "trap" };
	char self[512], file[256];

	(void)state;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(keeper, sizeof(keeper), "%s/../../src/bin/pot-keeper", self);
	if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0 || access(keeper, X_OK) < 0) {
		print_message("skipped: needs root, busybox and pot-keeper\n");
		exit(77);
	}
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(top, sizeof(top), "/tmp/keeper-test-XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_int_equal(mount("tmpfs", top, "tmpfs", 0, "mode=755"), 0);
	snprintf(lower, sizeof(lower), "%s/lower", top);
	const char *const dirs[] = { "lower", "lower/bin", "lower/etc", "lower/tmp", "lower/proc",
		"lower/dev", "lower/sys", "run", "conf", "logs" };
	for (size_t i = 0; i < NELEM(dirs); i++)
		assert_int_equal(mkdir(path(dirs[i]), 0755), 0);
	autobuf struct buf busybox = BUF_INIT;
	CHECK_OK(buf_read_file(&busybox, "/bin/busybox", 16 << 20, &e));
	int fd = open(path("lower/bin/busybox"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	CHECK_OK(fd_write_all(fd, busybox.data, busybox.len, &e));
	close(fd);
	for (size_t i = 0; i < NELEM(applets); i++) {
		snprintf(file, sizeof(file), "lower/bin/%s", applets[i]);
		assert_int_equal(symlink("busybox", path(file)), 0);
	}
	put("lower/etc/passwd",
	    "root:x:0:0:root:/root:/bin/sh\nweb:x:1234:1235::/home/web:/bin/sh\n");
	put("lower/etc/group", "root:x:0:\nweb:x:1235:\nmore:x:77:other,web\n");
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	umount2(top, MNT_DETACH);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A fresh overlay over the root for each pot. */
static inline struct launch
a_pot(const char *const *argv)
{
	static const char *layers[2];
	static char upper[256], work[256];
	static unsigned serial;

	serial++;
	snprintf(upper, sizeof(upper), "%s/u%u", top, serial);
	snprintf(work, sizeof(work), "%s/w%u", top, serial);
	assert_int_equal(mkdir(upper, 0755), 0);
	assert_int_equal(mkdir(work, 0755), 0);
	layers[0] = lower;
	return (struct launch){ .run_id = "0123456789ab",
		.pot = "web",
		.isolate = { .what = ISOLATE_ALL,
		    .hostname = "web.test",
		    .root = { .lower = layers, .upper = upper, .work = work },
		    .process = { .argv = argv, .caps = ISOLATE_CAPS_DEFAULT } },
		.stop_timeout_ms = 10000,
		.run_dir = path("run"),
		.stats_path = path("conf/.last_run_stats") };
}

/* Runs to its end with output in a pipe; the text of it. */
static inline const char *
run(const struct launch *l, struct keeper_exit *x)
{
	static struct buf out = BUF_INIT;
	struct keeper k;
	int p[2];

	buf_reset(&out);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	int stdio[3] = { -1, p[1], p[1] };
	CHECK_OK(keeper_native.spawn(keeper, l, stdio, &k, &e));
	close(p[1]);
	int ran = keeper_native.go(&k, &e);
	if (ran < 0) {
		close(p[0]);
		keeper_native.abort(&k);
		return NULL;
	}
	CHECK_OK(buf_read_fd(&out, p[0], 1 << 20, &e));
	close(p[0]);
	int ended = keeper_native.wait(&k, -1, x, &e);
	if (ended < 0)
		fail_msg("wait: %s", e.text);
	assert_int_equal(ended, 1);
	return buf_str(&out);
}

#define ARGV(...)  ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(script) ARGV("/bin/sh", "-c", script)

static inline const char *
run_sh(const char *script, struct keeper_exit *x)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct launch l = a_pot(argv);
	const char *out = run(&l, x);

	if (out == NULL)
		fail_msg("%s", e.text);
	return out;
}

static inline struct keeper
running(const struct launch *l)
{
	struct keeper k;

	CHECK_OK(keeper_native.spawn(keeper, l, NULL, &k, &e));
	CHECK_OK(keeper_native.go(&k, &e));
	return k;
}

static inline void
wait_for_file(const char *file)
{
	for (int i = 0; i < 5000 && access(file, F_OK) < 0; i++)
		poll(NULL, 0, 2);
	assert_int_equal(access(file, F_OK), 0);
}

static inline const char *
inside(const struct launch *l, const char *name)
{
	static char out[512];

	snprintf(out, sizeof(out), "%s/%s", l->isolate.root.upper, name);
	return out;
}

#endif
