#include "io/loop.h"

#include "io/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *l;

static void
count_and_stop(void *ctx)
{
	++*(int *)ctx;
	loop_stop(l);
}

static void
a_one_shot_timer_fires_once_and_can_be_set_again(void **state)
{
	int fired = 0;
	struct loop_timer *t = loop_timer(l, 1, 0, count_and_stop, &fired);
	(void)state;

	assert_true(loop_timer_armed(t));
	loop_run(l);
	assert_false(loop_timer_armed(t));
	loop_turn(l, 5);
	assert_int_equal(fired, 1);
	loop_timer_set(t, 0);
	loop_run(l);
	assert_int_equal(fired, 2);
	loop_timer_free(&t);
	assert_null(t);
	loop_timer_free(&t);
}

struct ticker {
	int n;
	struct loop_timer *t;
};

static void
tick(void *ctx)
{
	struct ticker *k = ctx;

	if (++k->n == 3) {
		loop_timer_free(&k->t);
		loop_stop(l);
	}
}

static void
a_periodic_timer_goes_on_until_it_is_freed_by_its_own_callback(void **state)
{
	struct ticker k = { 0 };
	(void)state;

	k.t = loop_timer(l, 0, 1, tick, &k);
	loop_run(l);
	loop_turn(l, 5);
	assert_int_equal(k.n, 3);
}

static int order[8], n_order;

static void
note(void *ctx)
{
	order[n_order++] = *(int *)ctx;
}

static int one = 1, two = 2;

static void
defer_two(void *ctx)
{
	(void)ctx;

	order[n_order++] = 0;
	loop_defer(l, note, &two);
}

static void
deferred_work_runs_at_the_end_of_the_turn_and_its_own_in_the_next(void **state)
{
	(void)state;

	n_order = 0;
	loop_defer(l, defer_two, NULL);
	loop_defer(l, note, &one);
	loop_turn(l, -1); /* does not wait: something is deferred */
	assert_int_equal(n_order, 2);
	assert_int_equal(order[1], 1);
	loop_turn(l, -1);
	assert_int_equal(n_order, 3);
	assert_int_equal(order[2], 2);
	loop_defer(l, note, &one);
	loop_defer_cancel(l, note, &one);
	loop_turn(l, 0);
	assert_int_equal(n_order, 3);
}

static void
on_pipe(void *ctx, int fd, unsigned what)
{
	char c;

	assert_int_equal(what, LOOP_READ);
	assert_int_equal(read(fd, &c, 1), 1);
	*(char *)ctx = c;
	loop_stop(l);
}

static void
a_watch_tells_that_a_descriptor_is_readable(void **state)
{
	int p[2];
	char got = 0;
	(void)state;

	assert_int_equal(pipe(p), 0);
	struct loop_watch *w = loop_watch(l, p[0], LOOP_READ, on_pipe, &got);
	assert_int_equal(write(p[1], "x", 1), 1);
	loop_run(l);
	assert_int_equal(got, 'x');
	loop_watch_free(&w);
	close(p[0]);
	close(p[1]);
}

struct job {
	int worked, done;
};

static void
work(void *ctx)
{
	struct job *j = ctx;

	j->worked = 1;
}

static void
done(void *ctx)
{
	struct job *j = ctx;

	assert_int_equal(j->worked, 1);
	j->done = 1;
}

static void
work_is_done_and_reported_on_the_loop(void **state)
{
	struct job jobs[50];
	(void)state;

	memset(jobs, 0, sizeof(jobs));
	for (int i = 0; i < 50; i++)
		loop_work(l, work, done, &jobs[i]);
	for (int i = 0; i < 50; i++)
		while (!jobs[i].done)
			loop_turn(l, 1000);
}

static void
all_work_is_finished_when_the_loop_is_freed(void **state)
{
	struct loop *mine = loop_new();
	struct job j = { 0 };
	(void)state;

	loop_work(mine, work, done, &j);
	loop_free(mine);
	assert_int_equal(j.done, 1);
}

static int child_status;

static void
on_child(void *ctx, pid_t pid, int status)
{
	assert_int_equal(pid, *(pid_t *)ctx);
	child_status = status;
	loop_stop(l);
}

static void
the_end_of_a_child_is_told_with_its_status(void **state)
{
	pid_t pid = fork();
	(void)state;

	if (pid == 0)
		_exit(7);
	loop_child(l, pid, on_child, &pid);
	loop_run(l);
	assert_true(WIFEXITED(child_status));
	assert_int_equal(WEXITSTATUS(child_status), 7);
}

struct dialed {
	int fd;
	struct err e;
};

static void
on_dial(void *ctx, int fd, const struct err *e)
{
	struct dialed *d = ctx;

	d->fd = fd;
	if (e != NULL)
		d->e = *e;
	loop_stop(l);
}

static void
dialing_tells_of_success_and_of_refusal(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct dialed d = { .fd = -2 };
	(void)state;

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	getsockname(fd, (struct sockaddr *)&in, &len);
	dial_tcp(l, "127.0.0.1", ntohs(in.sin_port), 1000, on_dial, &d);
	assert_int_equal(d.fd, -2); /* not from within */
	loop_run(l);
	assert_int_equal(d.fd, -1);
	assert_int_equal(d.e.sys, ECONNREFUSED);
	assert_non_null(strstr(d.e.text, "connect to 127.0.0.1:"));
	listen(fd, 1);
	dial_tcp(l, "localhost", ntohs(in.sin_port), 1000, on_dial, &d);
	loop_run(l);
	assert_true(d.fd >= 0);
	close(d.fd);
	close(fd);
	struct dial *cancelled = dial_tcp(l, "localhost", 1, 1000, on_dial, &d);
	dial_cancel(&cancelled);
	assert_null(cancelled);
	dial_unix(l, "/nonexistent/socket", on_dial, &d);
	loop_run(l);
	assert_int_equal(d.e.kind, ERR_ABSENT);
}

static int
setup(void **state)
{
	(void)state;
	l = loop_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(l);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_one_shot_timer_fires_once_and_can_be_set_again),
		cmocka_unit_test(a_periodic_timer_goes_on_until_it_is_freed_by_its_own_callback),
		cmocka_unit_test(deferred_work_runs_at_the_end_of_the_turn_and_its_own_in_the_next),
		cmocka_unit_test(a_watch_tells_that_a_descriptor_is_readable),
		cmocka_unit_test(work_is_done_and_reported_on_the_loop),
		cmocka_unit_test(all_work_is_finished_when_the_loop_is_freed),
		cmocka_unit_test(the_end_of_a_child_is_told_with_its_status),
		cmocka_unit_test(dialing_tells_of_success_and_of_refusal),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
