/* Unit tests of base: each helper against the promise of its header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fsm.h"
#include "base/ids.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void
errors_read_from_the_outside_in(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&e, "open %s", "/x"), -1);
	err_ctx(&e, "start %s", "web");
	assert_string_equal(e.text, "start web: open /x: No such file or directory");
	assert_int_equal(e.kind, ERR_ABSENT);
	assert_int_equal(err_kind_named(err_kind_name(ERR_FULL)), ERR_FULL);
}

static void
buffers_grow_and_drop(void **state)
{
	autobuf struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "%d,", i);
	assert_int_equal(b.len, 3890);
	buf_drop(&b, 2);
	assert_memory_equal(b.data, "1,2,", 4);
}

static void
a_file_over_the_limit_is_refused(void **state)
{
	autobuf struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "12345", 5), 5);
	close(p[1]);
	assert_int_equal(buf_read_fd(&b, p[0], 4, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	close(p[0]);
}

static void
arenas_align_and_zero(void **state)
{
	autoarena struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 1; i < 5000; i += 7) {
		char *p = arena_alloc(&a, i);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_int_equal(p[i - 1], 0);
	}
	assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
}

static void
maps_survive_deletion_and_growth(void **state)
{
	struct map m = MAP_INIT;
	char key[16];

	(void)state;
	for (intptr_t i = 1; i <= 2000; i++) {
		snprintf(key, sizeof(key), "k%d", (int)i);
		assert_null(map_set(&m, key, (void *)i));
	}
	for (intptr_t i = 1; i <= 2000; i += 2) {
		snprintf(key, sizeof(key), "k%d", (int)i);
		assert_ptr_equal(map_del(&m, key), (void *)i);
	}
	assert_int_equal(m.n, 1000);
	size_t i = 0, seen = 0;
	void *v;
	while (map_next(&m, &i, NULL, &v))
		seen += (intptr_t)v % 2 == 0;
	assert_int_equal(seen, 1000);
	map_fini(&m);
}

static void
durations_are_those_of_go(void **state)
{
	static const struct {
		const char *in, *out;
		int64_t ns;
	} rows[] = {
		{ "0", "0s", 0 },
		{ "1h2m3.5s", "1h2m3.5s", 3723500000000 },
		{ "300ms", "300ms", 300000000 },
		{ "90s", "1m30s", 90000000000 },
		{ "-5s", "-5s", -5000000000 },
		{ "10h", "10h0m0s", 36000000000000 },
		{ "1.5ms", "1.5ms", 1500000 },
	};
	char text[CLOCK_TEXT];
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++) {
		assert_true(duration_parse(rows[i].in, &ns));
		assert_int_equal(ns, rows[i].ns);
		assert_string_equal(duration_text(ns, text), rows[i].out);
	}
	assert_false(duration_parse("", &ns));
	assert_false(duration_parse("5", &ns));
	assert_false(duration_parse("5 s", &ns));
	assert_false(duration_parse("99999999999999h", &ns));
}

static void
times_make_the_round_trip(void **state)
{
	char text[CLOCK_TEXT];
	int64_t ns;

	(void)state;
	assert_string_equal(clock_rfc3339(1700000000123000000, text), "2023-11-14T22:13:20.123Z");
	assert_true(clock_parse_rfc3339(text, &ns));
	assert_int_equal(ns, 1700000000123000000);
	assert_true(clock_parse_rfc3339("2023-11-14T23:13:20+01:00", &ns));
	assert_int_equal(ns, 1700000000000000000);
	assert_string_equal(clock_rfc3339(0, text), "0001-01-01T00:00:00Z");
}

static void
ids_have_their_form(void **state)
{
	char uuid[UUID_TEXT], run[RUN_ID_TEXT];

	(void)state;
	assert_true(ids_is_uuid(ids_uuid(uuid)));
	assert_int_equal(strlen(ids_run(run)), 12);
	assert_false(ids_is_uuid("not-one"));
}

static void
the_nearest_word_is_suggested(void **state)
{
	static const char *const words[] = { "start", "stop", "status", "snapshot" };
	uint64_t n;

	(void)state;
	assert_string_equal(str_nearest("strat", words, 4), "start");
	assert_string_equal(str_nearest("snapshoot", words, 4), "snapshot");
	assert_null(str_nearest("frobnicate", words, 4));
	assert_true(str_u64("65535", 65535, &n));
	assert_false(str_u64("65536", 65535, &n));
	assert_false(str_u64("1x", 65535, &n));
	assert_false(str_u64("", 65535, &n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_read_from_the_outside_in),
		cmocka_unit_test(buffers_grow_and_drop),
		cmocka_unit_test(a_file_over_the_limit_is_refused),
		cmocka_unit_test(arenas_align_and_zero),
		cmocka_unit_test(maps_survive_deletion_and_growth),
		cmocka_unit_test(durations_are_those_of_go),
		cmocka_unit_test(times_make_the_round_trip),
		cmocka_unit_test(ids_have_their_form),
		cmocka_unit_test(the_nearest_word_is_suggested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
