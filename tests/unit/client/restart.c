/* Unit tests of client/restart.c: when may a task that ended start again? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "client/restart.h"

static const struct restart service = {
	.attempts = 2, .interval_ns = 1800 * NS_PER_SEC, .delay_ns = 15 * NS_PER_SEC
};

static void
attempts_are_counted_within_the_interval(void **state)
{
	struct restart r = service;
	struct restart_answer a;

	(void)state;
	for (int i = 0; i < 2; i++) {
		restart_ended(&r, (1 + i) * NS_PER_SEC, false, true, 0, &a);
		assert_int_equal(a.verdict, RESTART_NOW_OR_LATER);
		assert_int_equal(a.wait_ns, 15 * NS_PER_SEC);
		assert_string_equal(a.reason, "Restart within policy");
	}
	restart_ended(&r, 3 * NS_PER_SEC, false, true, 0, &a);
	assert_int_equal(a.verdict, RESTART_FAILED);
	assert_string_equal(
	    a.reason, "Exceeded allowed attempts 2 in interval 30m0s and mode is \"fail\"");
}

static void
a_new_interval_gives_new_attempts(void **state)
{
	struct restart r = service;
	struct restart_answer a;

	(void)state;
	for (int i = 0; i < 2; i++)
		restart_ended(&r, NS_PER_SEC, false, true, 0, &a);
	restart_ended(&r, 1802 * NS_PER_SEC, false, true, 0, &a);
	assert_int_equal(a.verdict, RESTART_NOW_OR_LATER);
	assert_int_equal(r.used, 1);
}

static void
mode_delay_waits_for_the_next_interval(void **state)
{
	struct restart r = service;
	struct restart_answer a;

	(void)state;
	r.mode_delay = true;
	for (int i = 0; i < 3; i++)
		restart_ended(&r, NS_PER_SEC, false, true, 0, &a);
	assert_int_equal(a.verdict, RESTART_NOW_OR_LATER);
	assert_int_equal(a.wait_ns, 1800 * NS_PER_SEC);
}

static void
chance_adds_a_quarter_at_most(void **state)
{
	struct restart r = service;
	struct restart_answer a;

	(void)state;
	restart_ended(&r, NS_PER_SEC, false, true, 0.999, &a);
	assert_in_range(a.wait_ns, 15 * NS_PER_SEC, 15 * NS_PER_SEC * 5 / 4);
	assert_true(a.wait_ns > 18 * NS_PER_SEC);
}

static void
a_batch_task_that_ended_well_is_done(void **state)
{
	struct restart r = service;
	struct restart_answer a;

	(void)state;
	r.only_failed = true;
	restart_ended(&r, NS_PER_SEC, true, true, 0, &a);
	assert_int_equal(a.verdict, RESTART_DONE);
	r.only_failed = false;
	restart_ended(&r, NS_PER_SEC, true, true, 0, &a);
	assert_int_equal(a.verdict, RESTART_NOW_OR_LATER);
}

static void
what_cannot_be_mended_is_not_tried_again(void **state)
{
	struct restart r = service;
	struct restart_answer a;

	(void)state;
	restart_ended(&r, NS_PER_SEC, false, false, 0, &a);
	assert_int_equal(a.verdict, RESTART_FAILED);
	assert_string_equal(a.reason, "Error was unrecoverable");
	r.attempts = 0;
	restart_ended(&r, NS_PER_SEC, false, true, 0, &a);
	assert_string_equal(a.reason, "Policy allows no restarts");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempts_are_counted_within_the_interval),
		cmocka_unit_test(a_new_interval_gives_new_attempts),
		cmocka_unit_test(mode_delay_waits_for_the_next_interval),
		cmocka_unit_test(chance_adds_a_quarter_at_most),
		cmocka_unit_test(a_batch_task_that_ended_well_is_done),
		cmocka_unit_test(what_cannot_be_mended_is_not_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
