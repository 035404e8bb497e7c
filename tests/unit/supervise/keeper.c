/* Keepers, and the pots inside them, on this machine's kernel. Needs root and a static busybox; all
 * is made below one temporary directory and in namespaces of its own. */
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

static const char *
path(const char *name)
{
	static char out[8][512];
	static unsigned turn;
	char *p = out[turn++ % 8];

	snprintf(p, sizeof(out[0]), "%s/%s", top, name);
	return p;
}

static void
put(const char *name, const char *text)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static const char *
get(const char *name)
{
	static struct buf text = BUF_INIT;
	struct err absent;

	buf_reset(&text);
	return buf_read_file(&text, path(name), 1 << 24, &absent) < 0 ? "(absent)" : buf_str(&text);
}

static bool
there(const char *name)
{
	struct stat st;

	return lstat(path(name), &st) == 0;
}

static int
remove_one(const char *p, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(p);
}

static int
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

static int
tear_down(void **state)
{
	(void)state;
	umount2(top, MNT_DETACH);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A fresh overlay over the root for each pot. */
static struct launch
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
static const char *
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

static const char *
run_sh(const char *script, struct keeper_exit *x)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	struct launch l = a_pot(argv);
	const char *out = run(&l, x);

	if (out == NULL)
		fail_msg("%s", e.text);
	return out;
}

/* ---- exits ---- */

static void
the_exit_code_comes_back_and_is_written_down(void **state)
{
	(void)state;
	struct keeper_exit x, y;

	run_sh("exit 7", &x);
	assert_int_equal(x.code, 7);
	assert_int_equal(x.signal, 0);
	assert_false(x.oom_killed);
	assert_true(x.ended_ns >= x.started_ns && x.started_ns > 0);
	CHECK_OK(keeper_exit_read(path("run"), &y, &e));
	assert_int_equal(y.code, 7);
	assert_int_equal(y.ended_ns, x.ended_ns);
	assert_string_equal(get("conf/.last_run_stats"), "{ \"ExitCode\": 7 }\n");
	run_sh("kill -9 $$", &x);
	assert_int_equal(x.code, 137);
	assert_int_equal(x.signal, 9);
}

static void
a_command_that_cannot_run_says_why(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l = a_pot(ARGV("no-such-command"));

	assert_null(run(&l, &x));
	assert_int_equal(e.kind, ERR_ABSENT);
	assert_non_null(strstr(e.text, "no-such-command"));
	l = a_pot(ARGV("true"));
	l.isolate.process.user = "nobody-here";
	assert_null(run(&l, &x));
	if (strstr(e.text, "nobody-here") == NULL)
		fail_msg("%s", e.text);
	l = a_pot(ARGV("true"));
	l.isolate.process.cwd = "/not/there";
	assert_null(run(&l, &x));
	assert_non_null(strstr(e.text, "/not/there"));
	l = a_pot(ARGV("true"));
	l.isolate.root.upper = "/not/there";
	assert_null(run(&l, &x));
	l = a_pot(ARGV("true"));
	l.isolate.root.work = NULL;
	struct keeper k;
	assert_int_equal(keeper_native.spawn(keeper, &l, NULL, &k, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_int_equal(keeper_native.spawn("/not/there", &l, NULL, &k, &e), -1);
	assert_int_equal(e.kind, ERR_ABSENT);
}

static void
a_script_without_a_head_runs_by_the_pots_shell(void **state)
{
	(void)state;
	struct keeper_exit x;
	const struct isolate_file files[] = { { "/bin/plain", 0755, "echo plain $1\n", 14,
	    false } };
	struct launch l = a_pot(ARGV("plain", "text"));

	l.isolate.files = files;
	l.isolate.n_files = 1;
	assert_string_equal(run(&l, &x), "plain text\n");
}

/* ---- what is inside ---- */

static void
a_pot_is_a_machine_of_its_own(void **state)
{
	(void)state;
	struct keeper_exit x;

	assert_string_equal(
	    run_sh(
		"cd /proc/self/fd; for i in *; do [ $i -gt 2 ] && readlink $i; done; exit 0", &x),
	    "");
	const char *out = run_sh("hostname; echo $$; readlink /proc/1/exe || echo hidden; ls /dev; "
				 "ls /; grep -c . /proc/net/dev;"
				 "cat /proc/self/cgroup | wc -l; ls /proc/scsi /sys/firmware; cat "
				 "/proc/self/oom_score_adj; echo $HOME $USER",
	    &x);
	assert_non_null(strstr(out, "web.test\n2\n"));
	assert_non_null(strstr(out, "hidden\n"));
	assert_non_null(strstr(out, "null\n"));
	assert_non_null(strstr(out, "shm\n"));
	assert_null(strstr(out, "keeper-test"));
	assert_non_null(strstr(out, "\n3\n")); /* the heads and lo */
	assert_int_equal(x.code, 0);
}

static void
a_command_has_the_rights_of_a_container_and_no_more(void **state)
{
	(void)state;
	struct keeper_exit x;
	const char *out =
	    run_sh("grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status;"
		   "mount -t tmpfs x /tmp && echo mounted; echo x > /proc/sys/kernel/hostname && "
		   "echo wrote;"
		   "echo x > /proc/sysrq-trigger && echo triggered; chroot / true && echo chroot",
		&x);

	assert_non_null(strstr(out, "CapEff:\t00000000a80425fb"));
	assert_non_null(strstr(out, "CapBnd:\t00000000a80425fb"));
	assert_non_null(strstr(out, "NoNewPrivs:\t1"));
	assert_non_null(strstr(out, "Seccomp:\t2"));
	assert_null(strstr(out, "mounted"));
	assert_null(strstr(out, "wrote"));
	assert_null(strstr(out, "triggered"));
	assert_non_null(strstr(out, "chroot\n")); /* usual containers may */
	struct launch l = a_pot(ARGV("sh", "-c",
	    "id; grep CapEff /proc/self/status; echo $HOME; kill -9 1; echo alive > /dev/stdout"));
	l.isolate.process.user = "web";
	out = run(&l, &x);
	if (out == NULL)
		fail_msg("%s", e.text);
	assert_non_null(strstr(out, "uid=1234(web) gid=1235(web) groups=77(more),1235(web)"));
	assert_non_null(strstr(out, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(out, "/home/web"));
	assert_non_null(strstr(out, "alive\n"));
	l.isolate.process.user = "4000:77";
	l.isolate.root = a_pot(ARGV("true")).isolate.root;
	assert_non_null(strstr(run(&l, &x), "uid=4000 gid=77(more)"));
}

static void
changes_go_to_the_upper_layer(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l = a_pot(SH("echo new > /etc/new; echo $?"));
	char file[512];

	run(&l, &x);
	assert_false(there("lower/etc/new"));
	snprintf(file, sizeof(file), "%s/etc/new", l.isolate.root.upper);
	assert_int_equal(access(file, F_OK), 0);
	l = a_pot(SH("echo new > /etc/new; ls /etc"));
	l.isolate.root.read_only = true;
	const char *out = run(&l, &x);
	assert_non_null(out);
	assert_non_null(strstr(out, "Read-only"));
	l.isolate.root = (struct mount_root){ .plain = lower };
	l.isolate.process.argv = SH("ls /etc; touch /tmp/by-plain");
	out = run(&l, &x);
	assert_non_null(out);
	assert_non_null(strstr(out, "passwd"));
	assert_true(there("lower/tmp/by-plain"));
	assert_int_equal(unlink(path("lower/tmp/by-plain")), 0);
}

static void
many_layers_and_odd_names_are_mounted(void **state)
{
	(void)state;
	struct keeper_exit x;
	static char names[60][512];
	const char *layers[62] = { NULL };
	struct launch l = a_pot(SH("cat /mark"));

	for (int i = 0; i < 60; i++) {
		char name[128], mark[160];
		snprintf(name, sizeof(name),
		    "layer,%02d:with-a-rather-long-name-so-that-they-do-not-fit-into-a-page-of-"
		    "options",
		    i);
		assert_int_equal(mkdir(path(name), 0755), 0);
		snprintf(names[i], sizeof(names[i]), "%s", path(name));
		layers[i] = names[i];
		snprintf(mark, sizeof(mark), "%s/mark", name);
		put(mark, name + 6);
	}
	layers[60] = lower;
	l.isolate.root.lower = layers;
	const char *out = run(&l, &x);
	if (out == NULL)
		fail_msg("%s", e.text);
	assert_memory_equal(out, "00:", 3);
}

static void
mounts_and_files_are_put_into_the_root(void **state)
{
	(void)state;
	struct keeper_exit x;
	mkdir(path("data"), 0755);
	put("data/file", "host data\n");
	put("single", "one file\n");
	char data[256], single[256];
	snprintf(data, sizeof(data), "%s", path("data"));
	snprintf(single, sizeof(single), "%s", path("single"));
	const struct mount_item mounts[] = {
		{ .kind = MOUNT_TMPFS, .target = "/tmp", .flags = MOUNT_NOSUID | MOUNT_NODEV },
		{ .kind = MOUNT_BIND, .source = data, .target = "/mnt/data", .flags = MOUNT_RO },
		{ .kind = MOUNT_BIND, .source = data, .target = "/mnt/rw" },
		{ .kind = MOUNT_BIND, .source = single, .target = "/etc/one" },
		{ .kind = MOUNT_BIND,
		    .source = "/not/there",
		    .target = "/mnt/none",
		    .flags = MOUNT_MAY_LACK }
	};
	const struct isolate_file files[] = { { "/etc/hosts", 0644, "127.0.0.1 localhost\n", 20,
						  true },
		{ "/tmp/environment.sh", 0600, "export A=1\n", 11, true },
		{ "/absent/file", 0644, "x", 1, true } };
	struct launch l = a_pot(
	    SH("cat /etc/hosts /tmp/environment.sh /mnt/data/file /etc/one; echo no > /mnt/data/x;"
	       "echo yes > /mnt/rw/y; ls /absent /mnt/none"));
	l.isolate.mounts = mounts;
	l.isolate.n_mounts = NELEM(mounts);
	l.isolate.files = files;
	l.isolate.n_files = NELEM(files);
	const char *out = run(&l, &x);
	if (out == NULL)
		fail_msg("%s", e.text);
	assert_non_null(strstr(out, "127.0.0.1 localhost\nexport A=1\nhost data\none file\n"));
	assert_false(there("data/x"));
	assert_true(there("data/y"));
	assert_non_null(strstr(out, "/absent: No such"));
	assert_non_null(strstr(out, "/mnt/none: No such"));
}

static void
links_in_the_root_cannot_lead_to_the_host(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l = a_pot(SH("cat /etc/hosts; ls -d /proc/1 /dev/null"));
	char link[512], victim[256];

	/* in the pot's own layer: /etc, /proc, /dev, /mnt lead to a directory of the host */
	mkdir(path("victim"), 0755);
	put("victim/hosts", "host's own\n");
	snprintf(victim, sizeof(victim), "%s", path("victim"));
	const char *const names[] = { "etc", "proc", "dev", "sys", "mnt" };
	for (size_t i = 0; i < NELEM(names); i++) {
		snprintf(link, sizeof(link), "%s/%s", l.isolate.root.upper, names[i]);
		assert_int_equal(symlink(victim, link), 0);
	}
	const struct mount_item mounts[] = { { .kind = MOUNT_TMPFS, .target = "/mnt/x" } };
	const struct isolate_file files[] = { { "/etc/hosts", 0644, "pot's\n", 6, false } };
	l.isolate.mounts = mounts;
	l.isolate.n_mounts = 1;
	l.isolate.files = files;
	l.isolate.n_files = 1;
	(void)run(&l, &x); /* may run or fail; the host is untouched in any case */
	assert_string_equal(get("victim/hosts"), "host's own\n");
	DIR *d = opendir(victim);
	int n = 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	assert_int_equal(n, 3); /* ., .., hosts */
	/* the same from outside, on a stopped root */
	autofd int root = open(l.isolate.root.upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	struct err why;
	(void)beneath_write(root, "/etc/hosts", 0644, "pot's\n", 6, &why);
	(void)beneath_write(root, "../../victim/hosts", 0644, "pot's\n", 6, &why);
	int fd = beneath_open(root, "/etc/../../../../../etc/passwd", O_RDONLY, 0, &why);
	assert_int_equal(fd, -1);
	assert_string_equal(get("victim/hosts"), "host's own\n");
}

/* ---- stopping ---- */

static struct keeper
running(const struct launch *l)
{
	struct keeper k;

	CHECK_OK(keeper_native.spawn(keeper, l, NULL, &k, &e));
	CHECK_OK(keeper_native.go(&k, &e));
	return k;
}

static void
wait_for_file(const char *file)
{
	for (int i = 0; i < 5000 && access(file, F_OK) < 0; i++)
		poll(NULL, 0, 2);
	assert_int_equal(access(file, F_OK), 0);
}

static const char *
inside(const struct launch *l, const char *name)
{
	static char out[512];

	snprintf(out, sizeof(out), "%s/%s", l->isolate.root.upper, name);
	return out;
}

static void
stop_sends_the_signal_to_the_command(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l =
	    a_pot(SH("trap 'exit 3' TERM; touch /ready; while :; do sleep 0.01; done"));
	struct keeper k = running(&l);

	wait_for_file(inside(&l, "ready"));
	CHECK_OK(keeper_stop(k.pid, k.start, -1, &e));
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
	assert_int_equal(x.code, 3);
	assert_int_equal(keeper_alive(k.pid, k.start, &e), 0);
	CHECK_OK(keeper_stop(k.pid, k.start, -1, &e)); /* again: nothing to do */
}

static void
what_does_not_stop_is_killed_when_time_is_up(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l = a_pot(SH("trap '' TERM; touch /ready; while :; do sleep 0.01; done"));
	l.stop_timeout_ms = 100;
	struct keeper k = running(&l);
	int64_t before = clock_mono_ns();

	wait_for_file(inside(&l, "ready"));
	CHECK_OK(keeper_stop(k.pid, k.start, -1, &e));
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
	assert_int_equal(x.signal, SIGKILL);
	assert_true(clock_mono_ns() - before >= 100 * NS_PER_MS);
	/* asked otherwise than launched */
	l = a_pot(
	    SH("trap 'exit 5' USR2; trap '' TERM; touch /ready; while :; do sleep 0.01; done"));
	k = running(&l);
	wait_for_file(inside(&l, "ready"));
	CHECK_OK(keeper_stop_with(k.pid, k.start, SIGUSR2, 5000, -1, &e));
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
	assert_int_equal(x.code, 5);
}

static void
signals_are_forwarded_to_the_command(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l =
	    a_pot(SH("trap 'exit 4' HUP; touch /ready; while :; do sleep 0.01; done"));
	struct keeper k = running(&l);

	wait_for_file(inside(&l, "ready"));
	CHECK_OK(isolate_native.forward(k.init_pid, k.init_start, SIGHUP, &e));
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
	assert_int_equal(x.code, 4);
}

static void
a_persistent_pot_outlives_its_command(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l = a_pot(SH("sleep 1000 & exit 6"));
	l.isolate.persist = true;
	struct keeper k = running(&l);

	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 2);
	assert_int_equal(x.code, 6);
	assert_int_equal(keeper_alive(k.pid, k.start, &e), 1);
	assert_int_equal(keeper_native.wait(&k, 20, &x, &e), 0);
	CHECK_OK(keeper_stop(k.pid, k.start, -1, &e));
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
	assert_int_equal(x.code, 6);
	l = a_pot(NULL);
	l.isolate.persist = true;
	k = running(&l);
	assert_int_equal(keeper_native.wait(&k, 20, &x, &e), 0);
	CHECK_OK(keeper_stop(k.pid, k.start, -1, &e));
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
}

static void
with_a_killed_keeper_the_pot_is_gone(void **state)
{
	(void)state;
	struct launch l = a_pot(SH("touch /ready; while :; do sleep 0.01; done"));
	struct keeper k = running(&l);
	int handle = proc_native.open(k.init_pid, k.init_start, &e);
	struct keeper_exit x;

	assert_true(handle >= 0);
	kill(k.pid, SIGKILL);
	assert_int_equal(proc_native.wait(handle, 5000, &e), 1);
	close(handle);
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	keeper_native.abort(&k);
}

static void
left_alone_it_finishes_by_itself(void **state)
{
	(void)state;
	char done[256];
	snprintf(done, sizeof(done), "%s", path("done"));
	const char *finish[] = { "/bin/busybox", "touch", done, NULL };
	struct launch l = a_pot(SH("sleep 0.05; exit 9"));
	l.finish = finish;
	unlink(path("run/exit"));
	struct keeper k = running(&l);
	struct keeper_exit x;

	keeper_native.detach(&k);
	assert_int_equal(waitpid(k.pid, NULL, 0), k.pid);
	assert_true(there("done"));
	CHECK_OK(keeper_exit_read(path("run"), &x, &e));
	assert_int_equal(x.code, 9);
	unlink(done);
	/* given up before it ran: the same */
	CHECK_OK(keeper_native.spawn(keeper, &l, NULL, &k, &e));
	keeper_native.detach(&k);
	assert_int_equal(waitpid(k.pid, NULL, 0), k.pid);
	assert_true(there("done"));
	unlink(done);
	/* stopped by somebody who clears up himself: not */
	l.isolate.process.argv = SH("sleep 1000");
	l.isolate.root = a_pot(ARGV("true")).isolate.root;
	k = running(&l);
	keeper_native.detach(&k);
	CHECK_OK(keeper_kill(k.pid, k.start, &e));
	assert_int_equal(waitpid(k.pid, NULL, 0), k.pid);
	assert_false(there("done"));
	CHECK_OK(keeper_native.spawn(keeper, &l, NULL, &k, &e));
	keeper_native.abort(&k);
	assert_false(there("done"));
}

/* ---- memory ---- */

static const char *
memory_cgroup(void)
{
	static char dir[256];
	static const char *const mounts[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
	static const char *const limits[] = { "memory.limit_in_bytes", "memory.max" };

	for (size_t i = 0; i < NELEM(mounts); i++) {
		char file[512];
		snprintf(dir, sizeof(dir), "%s/keeper-test-%d", mounts[i], (int)getpid());
		if (mkdir(dir, 0755) < 0)
			continue;
		snprintf(file, sizeof(file), "%s/%s", dir, limits[i]);
		int fd = open(file, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, "16000000", 8) == 8) {
			close(fd);
			return dir;
		}
		own_close(&fd);
		rmdir(dir);
	}
	return NULL;
}

static void
too_much_memory_is_told_as_such(void **state)
{
	(void)state;
	struct keeper_exit x;
	const char *dir = memory_cgroup();
	const char *dirs[] = { dir, NULL };

	if (dir == NULL)
		skip();
	struct launch l =
	    a_pot(ARGV("dd", "if=/dev/zero", "of=/dev/null", "bs=60000000", "count=1"));
	l.isolate.cgroups = dirs;
	(void)run(&l, &x);
	for (int i = 0; i < 1000 && rmdir(dir) < 0 && errno == EBUSY; i++)
		poll(NULL, 0, 1);
	assert_int_equal(x.signal, SIGKILL);
	assert_true(x.oom_killed);
}

/* ---- output ---- */

static void
output_goes_to_files_that_turn_over(void **state)
{
	(void)state;
	struct keeper_exit x;
	struct launch l = a_pot(SH("seq 1 30000; echo oops >&2"));
	char logs[256], name[64];

	snprintf(logs, sizeof(logs), "%s", path("logs"));
	l.stdio = LAUNCH_FILES;
	l.log_dir = logs;
	l.log_prefix = "web";
	l.log_max_files = 3;
	l.log_max_file_bytes = 40000;
	assert_int_equal(chown(logs, 1234, 1235), 0);
	l.log_uid = 1234;
	l.log_gid = 1235;
	struct keeper k = running(&l);
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
	assert_string_equal(get("logs/web.stderr.0"), "oops\n");
	assert_false(there("logs/web.stdout.0"));
	/* 168,894 bytes in whole lines; the last three files are kept and no line is torn or lost
	 */
	int next = -1, files = 0;
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "logs/web.stdout.%d", i);
		if (!there(name))
			continue;
		const char *text = get(name);
		files++;
		assert_true(strlen(text) <= 40000);
		assert_int_equal(text[strlen(text) - 1], '\n');
		for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1) {
			int value = atoi(p);
			if (next >= 0)
				assert_int_equal(value, next);
			next = value + 1;
		}
	}
	assert_int_equal(next, 30001);
	assert_int_equal(files, 3);
	struct stat st;
	assert_int_equal(stat(path("logs/web.stderr.0"), &st), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_mode & 07777, 0640);
	/* the next run goes on in the newest file */
	l.isolate.root = a_pot(ARGV("true")).isolate.root;
	l.isolate.process.argv = SH("echo again >&2");
	k = running(&l);
	assert_int_equal(keeper_native.wait(&k, -1, &x, &e), 1);
	assert_string_equal(get("logs/web.stderr.0"), "oops\nagain\n");
	/* a link set in the way is not followed */
	assert_int_equal(unlink(path("logs/web.stderr.0")), 0);
	assert_int_equal(symlink(path("victim/hosts"), path("logs/web.stderr.0")), 0);
	assert_int_equal(keeper_native.spawn(keeper, &l, NULL, &k, &e), -1);
	assert_string_equal(get("victim/hosts"), "host's own\n");
}

/* ---- entering ---- */

static int
enter(const struct keeper *k, const char *const *argv, bool tty, char *out, size_t size)
{
	int p[2], pty, status;
	pid_t child;
	size_t n = 0;
	ssize_t got;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	struct isolate_enter how = { .pid = k->init_pid,
		.start = k->init_start,
		.process = { .argv = argv,
		    .env = (const char *const[]){ "WORD=a word", "LD_DEBUG=all", NULL },
		    .caps = ISOLATE_CAPS_DEFAULT },
		.stdio = { -1, p[1], p[1] },
		.tty = tty,
		.rows = 33,
		.cols = 44,
		.program = keeper };
	int result = isolate_native.enter(&how, &child, &pty, &e);
	close(p[1]);
	if (result < 0) {
		close(p[0]);
		return -1;
	}
	while (n < size - 1 && (got = read(tty ? pty : p[0], out + n, size - 1 - n)) > 0)
		n += (size_t)got;
	out[n] = '\0';
	close(p[0]);
	own_close(&pty);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
a_second_command_can_enter(void **state)
{
	(void)state;
	char out[4096];
	struct launch l = a_pot(SH("while :; do sleep 1; done"));
	struct keeper k = running(&l);

	assert_int_equal(enter(&k,
			     SH("hostname; ls /proc/1 >/dev/null && ps | grep -c 'sleep 1'; grep "
				"Seccomp: /proc/self/status; exit 12"),
			     false, out, sizeof(out)),
	    12);
	assert_memory_equal(out, "web.test\n", 9);
	assert_non_null(strstr(out, "Seccomp:\t2"));
	assert_int_equal(
	    enter(&k, SH("tty; test -t 0 && echo terminal; stty size 2>/dev/null; exit 0"), true,
		out, sizeof(out)),
	    0);
	assert_non_null(strstr(out, "/dev/pts/0"));
	assert_int_equal(enter(&k, ARGV("no-such"), false, out, sizeof(out)), -1);
	assert_int_equal(e.kind, ERR_ABSENT);
	assert_int_equal(enter(&k, SH("echo $WORD $LD_DEBUG"), false, out, sizeof(out)), 0);
	assert_string_equal(out, "a word all\n");
	/* what enters cannot be written to, by whatever way it is reached */
	assert_int_equal(enter(&k, ARGV("/proc/self/exe"), false, out, sizeof(out)), 2);
	assert_non_null(strstr(out, "not by hand"));
	struct statvfs fs;
	char exe[64];
	snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)k.pid);
	assert_int_equal(statvfs(exe, &fs), 0);
	assert_true(fs.f_flag & ST_RDONLY);
	/* mounting while it runs */
	char data[256];
	snprintf(data, sizeof(data), "%s", path("data"));
	const struct mount_item item = {
		.kind = MOUNT_BIND, .source = data, .target = "/srv/data", .flags = MOUNT_RO
	};
	CHECK_OK(mount_native.add(k.init_pid, k.init_start, &item, &e));
	assert_int_equal(enter(&k, SH("cat /srv/data/file"), false, out, sizeof(out)), 0);
	assert_string_equal(out, "host data\n");
	CHECK_OK(mount_native.remove(k.init_pid, k.init_start, "/srv/data", &e));
	assert_int_equal(enter(&k, SH("cat /srv/data/file"), false, out, sizeof(out)), 1);
	keeper_native.abort(&k);
	assert_int_equal(enter(&k, ARGV("true"), false, out, sizeof(out)), -1);
	assert_int_equal(e.kind, ERR_ABSENT);
}

static int
list_root(int root, void *ctx, struct err *why)
{
	(void)ctx;
	autofd int fd = beneath_open(root, "/etc/passwd", O_RDONLY, 0, why);
	if (fd < 0)
		return -1;
	if (beneath_write(root, "/made/by/hand", 0600, "x", 1, why) < 0)
		return -1;
	return err_new(why, ERR_BUSY, "seen");
}

static void
a_stopped_root_is_there_for_one_call(void **state)
{
	(void)state;
	struct launch l = a_pot(ARGV("true"));

	assert_int_equal(mount_native.with_root(&l.isolate.root, NULL, 0, list_root, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_string_equal(e.text, "seen");
	assert_int_equal(access(inside(&l, "made/by/hand"), F_OK), 0);
}

/* ---- without a pot ---- */

static void
a_raw_command_is_kept_the_same_way(void **state)
{
	(void)state;
	struct keeper_exit x;
	char cwd[256];
	snprintf(cwd, sizeof(cwd), "%s", path("conf"));
	struct launch l = { .run_id = "0123456789ab",
		.pot = "raw",
		.isolate = { .process = { .argv = ARGV(
					      "/bin/busybox", "sh", "-c", "pwd; id -u; exit 8"),
				 .cwd = cwd,
				 .user = "1234:1235",
				 .caps = ISOLATE_CAPS_KEEP,
				 .no_filter = true } },
		.stop_timeout_ms = 100 };
	char want[300];

	snprintf(want, sizeof(want), "%s\n1234\n", cwd);
	assert_string_equal(run(&l, &x), want);
	assert_int_equal(x.code, 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_exit_code_comes_back_and_is_written_down),
		cmocka_unit_test(a_command_that_cannot_run_says_why),
		cmocka_unit_test(a_script_without_a_head_runs_by_the_pots_shell),
		cmocka_unit_test(a_pot_is_a_machine_of_its_own),
		cmocka_unit_test(a_command_has_the_rights_of_a_container_and_no_more),
		cmocka_unit_test(changes_go_to_the_upper_layer),
		cmocka_unit_test(many_layers_and_odd_names_are_mounted),
		cmocka_unit_test(mounts_and_files_are_put_into_the_root),
		cmocka_unit_test(links_in_the_root_cannot_lead_to_the_host),
		cmocka_unit_test(stop_sends_the_signal_to_the_command),
		cmocka_unit_test(what_does_not_stop_is_killed_when_time_is_up),
		cmocka_unit_test(signals_are_forwarded_to_the_command),
		cmocka_unit_test(a_persistent_pot_outlives_its_command),
		cmocka_unit_test(with_a_killed_keeper_the_pot_is_gone),
		cmocka_unit_test(left_alone_it_finishes_by_itself),
		cmocka_unit_test(too_much_memory_is_told_as_such),
		cmocka_unit_test(output_goes_to_files_that_turn_over),
		cmocka_unit_test(a_second_command_can_enter),
		cmocka_unit_test(a_stopped_root_is_there_for_one_call),
		cmocka_unit_test(a_raw_command_is_kept_the_same_way),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
