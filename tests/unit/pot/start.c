/* What a start does by itself, without a machine. */
#include "pot/start.h"

#include "platform/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
a_weight_is_left_out_where_there_is_none(void **state)
{
	static const struct limits_ops there = { .name = "cgroups" },
				       optional = { .name = "rctl", .optional = true };
	struct limits want = { .memory_bytes = 1, .cpu_shares = 512, .io_weight = 50 };

	(void)state;
	/* the weight of disks everywhere, nothing else where limits belong to the kernel */
	assert_true(limits_leave_out(&there, &want));
	assert_int_equal(want.io_weight, 0);
	want.shares_asked = true;
	assert_false(limits_leave_out(&there, &want));
	assert_true(want.shares_asked && want.memory_bytes == 1);
	/* elsewhere the weight of processors is told before the rest is */
	assert_true(limits_leave_out(&optional, &want));
	assert_true(!want.shares_asked && want.cpu_shares == 512 && want.memory_bytes == 1);
	assert_true(limits_leave_out(&optional, &want));
	assert_int_equal(want.memory_bytes, 0);
	assert_false(limits_leave_out(&optional, &want));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_weight_is_left_out_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
