/* What keepers write, what others do in a pot that runs, and commands without a pot. */
#include "potbox.h"

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
	put("victim", "host's own\n");
	assert_int_equal(symlink(path("victim"), path("logs/web.stderr.0")), 0);
	assert_int_equal(keeper_native.spawn(keeper, &l, NULL, &k, &e), -1);
	assert_string_equal(get("victim"), "host's own\n");
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
	assert_int_equal(mkdir(path("data"), 0755), 0);
	put("data/file", "host data\n");
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
		cmocka_unit_test(too_much_memory_is_told_as_such),
		cmocka_unit_test(output_goes_to_files_that_turn_over),
		cmocka_unit_test(a_second_command_can_enter),
		cmocka_unit_test(a_stopped_root_is_there_for_one_call),
		cmocka_unit_test(a_raw_command_is_kept_the_same_way),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
