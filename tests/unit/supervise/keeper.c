/* Keepers, and the pots inside them, on this machine's kernel. */
#include "potbox.h"

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
	/* who stays to hear it needs no file */
	struct launch l = a_pot(SH("exit 5"));
	l.attended = true;
	unlink(path("run/exit"));
	assert_non_null(run(&l, &x));
	assert_int_equal(x.code, 5);
	assert_int_equal(keeper_exit_read(path("run"), &y, &e), -1);
	assert_int_equal(e.kind, ERR_ABSENT);
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

	assert_non_null(strstr(out, "CapEff:\t00000000a00425fb"));
	assert_non_null(strstr(out, "CapBnd:\t00000000a00425fb"));
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
	const struct isolate_file files[] = {
		{ .path = "/etc/hosts",
		    .mode = 0644,
		    .content = "127.0.0.1 localhost\n",
		    .len = 20,
		    .only_if_parent = true },
		{ .path = "/tmp/environment.sh",
		    .mode = 0600,
		    .content = "export A=1\n",
		    .len = 11,
		    .only_if_parent = true },
		{ .path = "/absent/file",
		    .mode = 0644,
		    .content = "x",
		    .len = 1,
		    .only_if_parent = true },
	};
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
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
