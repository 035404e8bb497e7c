/* Unit tests of cli/progress: a line for a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/progress.h"

#include <string.h>

#define S INT64_C(1000000000)
#define M UINT64_C(1048576)

static char *
line(const struct progress *p, int64_t now, unsigned columns)
{
	static struct buf out;

	buf_reset(&out);
	progress_text(p, now, columns, &out);
	return (char *)(uintptr_t)buf_str(&out);
}

static void
a_bar_with_rate_and_time_left(void **state)
{
	struct progress p = { .what = "" };

	(void)state;
	progress_step(&p, "import", 0, 100 * M, 5 * S);
	assert_string_equal(line(&p, 5 * S, 40), "import   0% [>              ] 0B of 100M");
	progress_step(&p, "import", 20 * M, 100 * M, 7 * S);
	assert_string_equal(line(&p, 7 * S, 70),
	    "import  20% [====>                 ] 20.0M of 100M  10.0M/s  0:08 left");
	/* narrow terminals get no bar, and never more than they hold */
	assert_string_equal(line(&p, 7 * S, 48), "import  20% 20.0M of 100M  10.0M/s  0:08 left");
	assert_string_equal(line(&p, 7 * S, 10), "import  20");
	/* a download that goes on where it stopped: what was there before is no merit of the rate
	 */
	progress_step(&p, "download", 90 * M, 100 * M, 10 * S);
	progress_step(&p, "download", 91 * M, 100 * M, 11 * S);
	assert_non_null(strstr(line(&p, 11 * S, 79), "1.00M/s  0:09 left"));
}

static void
without_a_total(void **state)
{
	struct progress p = { .what = "" };

	(void)state;
	progress_step(&p, "copy", 0, 0, 0);
	progress_step(&p, "copy", 10 * M, 0, 5 * S);
	assert_string_equal(line(&p, 5 * S, 79), "copy 10.0M  2.00M/s");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bar_with_rate_and_time_left),
		cmocka_unit_test(without_a_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
