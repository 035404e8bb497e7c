#include "platform/fake/fake.h"

#include "base/str.h"
#include "platform/dataset.h"
#include "platform/limits.h"
#include "platform/overlay/tree.h"
#include "platform/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char run_id[] = "0123456789ab";
static char dir[] = "/tmp/potter-fake-XXXXXX";
static struct err err;

/* A small life: a group, a process, a pair, a port; and its undo, which must do from anywhere. */
static int
begin(struct host *h)
{
	static const char *const bridges[] = { "br0", NULL };
	struct filter_net net = { .bridges = bridges };
	struct filter_port port = { .proto = 6, .host_port = 8080, .pot_port = 80 };
	struct netif_inside in = { .name = NULL };
	struct limits l = { .pids = 10 };
	struct netif_pair pair = { .name = "p0123456789ab", .bridge = "br0", .netns = -1 };

	if (h->dataset->create(h, "jails/web", DATASET_PLAIN, &err) < 0 ||
	    h->netif->bridge_ensure(h, "br0", NULL, 0, &err) < 0 ||
	    h->filter->setup(h, &net, &err) < 0 ||
	    h->limits->create(h, "web.0123456789ab", &l, &err) < 0)
		return -1;
	pair.pid = fake_process_start(h->self, "web.0123456789ab", NULL);
	if (h->netif->pair_up(h, &pair, &in, &err) < 0)
		return -1;
	(void)ip_parse("10.0.0.2", &port.to);
	return h->filter->ports_add(h, run_id, &port, 1, &err);
}

static int
undo(struct host *h)
{
	return h->filter->ports_remove(h, run_id, &err) < 0 ||
		       h->netif->link_remove(h, "p0123456789ab", &err) < 0 ||
		       h->limits->kill(h, "web.0123456789ab", &err) < 0 ||
		       h->limits->remove(h, "web.0123456789ab", &err) < 0 ||
		       h->dataset->destroy(h, "jails/web", true, &err) < 0
		   ? -1
		   : 0;
}

static int
in_child(struct host *h, int (*body)(struct host *))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(body(h) < 0 ? 1 : 0);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
sweep(enum fake_mode mode, int ended_with)
{
	for (int n = 0;; n++) {
		struct fake_host *f = fake_new(dir);
		autohost struct host h = host_fake(f);
		autobuf struct buf left = BUF_INIT;
		int code;
		bool fired;

		if (h.dataset->root_create(&h, &err) < 0)
			fail_msg("%s", err.text);
		fake_arm(f, mode, n);
		code = in_child(&h, begin);
		fired = f->fired;
		assert_int_equal(code, fired ? ended_with : 0);
		fake_disarm(f);
		if (undo(&h) < 0)
			fail_msg("%s", err.text);
		if (fake_leftovers(f, &left) != 0)
			fail_msg("call %d (%s): %s", n, f->where, buf_str(&left));
		fake_free(f);
		if (!fired) {
			assert_int_equal(n, 6);
			break;
		}
	}
}

static void
each_call_can_be_refused(void **state)
{
	(void)state;
	sweep(FAKE_REFUSE, 1);
}

static void
the_machine_can_stop_before_each_call(void **state)
{
	(void)state;
	sweep(FAKE_CRASH_BEFORE, FAKE_CRASHED);
}

static void
the_machine_can_stop_after_each_call(void **state)
{
	(void)state;
	sweep(FAKE_CRASH_AFTER, FAKE_CRASHED);
}

static void
what_is_left_is_told(void **state)
{
	struct fake_host *f = fake_new(dir);
	autohost struct host h = host_fake(f);
	autobuf struct buf left = BUF_INIT;

	(void)state;
	assert_true(h.dataset->root_create(&h, &err) == 0 && begin(&h) == 0);
	assert_int_equal(fake_leftovers(f, &left), 4);
	assert_non_null(strstr(buf_str(&left), "pair p0123456789ab"));
	assert_non_null(strstr(buf_str(&left), "port 8080 of run 0123456789ab"));
	assert_non_null(strstr(buf_str(&left), "group web.0123456789ab"));
	assert_int_equal(undo(&h), 0);
	fake_free(f);
}

static void
a_power_cut_takes_all_but_the_disk(void **state)
{
	struct fake_host *f = fake_new(dir);
	autohost struct host h = host_fake(f);
	char before[PROC_BOOT_ID_TEXT], after[PROC_BOOT_ID_TEXT];
	uint64_t start;
	pid_t pid;

	(void)state;
	assert_true(h.dataset->root_create(&h, &err) == 0 && begin(&h) == 0);
	pid = fake_process_start(f, NULL, &start);
	assert_int_equal(h.proc->alive(pid, start, &err), 1);
	assert_int_equal(h.proc->boot_id(before, &err), 0);
	fake_power_cut(f);
	assert_int_equal(h.proc->alive(pid, start, &err), 0);
	assert_int_equal(h.proc->boot_id(after, &err), 0);
	assert_string_not_equal(before, after);
	assert_int_equal(fake_leftovers(f, NULL), 0);
	assert_int_equal(h.filter->ready(&h, false, &err), 0);
	assert_int_equal(h.dataset->exists(&h, "jails/web", &err), 1);
	assert_int_equal(undo(&h), 0);
	fake_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_can_be_refused),
		cmocka_unit_test(the_machine_can_stop_before_each_call),
		cmocka_unit_test(the_machine_can_stop_after_each_call),
		cmocka_unit_test(what_is_left_is_told),
		cmocka_unit_test(a_power_cut_takes_all_but_the_disk),
	};
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests_name("fake", tests, NULL, NULL);
	autofd int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return top < 0 || tree_empty(top, &err) < 0 || rmdir(dir) < 0 ? 1 : failed;
}
