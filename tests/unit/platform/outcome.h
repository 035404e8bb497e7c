/*
 * outcome.h: a call of src/platform and how it ended. Each test here has one error for all its
 * calls; what it says is printed when a call ends otherwise than the test wants. After <cmocka.h>.
 */
#ifndef TESTS_OUTCOME_H
#define TESTS_OUTCOME_H

#include "base/err.h"

static struct err err;

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.text);                                       \
	} while (0)
#define FAILS(call, why)                                                                           \
	do {                                                                                       \
		assert_int_equal(call, -1);                                                        \
		if (err.kind != (why))                                                             \
			fail_msg("%s: %s: %s", #call, err_kind_name(err.kind), err.text);          \
	} while (0)

#endif
