#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/msgpack.h"

#include <string.h>

#define READ(bytes, a, e) msgpack_read(bytes, sizeof(bytes) - 1, a, e)

static void
values(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;

	(void)state;
	const struct any *v = READ("\x81\xa7"
				   "enabled\xc3",
	    &mem, &e);
	assert_true(any_get(v, "enabled")->b);
	v = READ("\xcb\x3f\xf8\0\0\0\0\0\0", &mem, &e);
	assert_true(any_type(v) == ANY_DOUBLE && v->d > 1.4 && v->d < 1.6);
	v = READ("\x91\x81\xa4http\xa2"
		 "80",
	    &mem, &e);
	assert_string_equal(any_text(any_get(any_at(v, 0), "http")), "80");
	assert_int_equal(READ("\xff", &mem, &e)->i, -1);
	assert_int_equal(READ("\xd1\xff\xfe", &mem, &e)->i, -2);
	assert_int_equal(READ("\xcd\xff\xff", &mem, &e)->i, 65535);
	assert_int_equal(any_type(READ("", &mem, &e)), ANY_NULL);
}

static void
refusals(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = { { "\xc1", 1 }, { "\xc7\x01\x01\x01", 4 }, { "\xdd\xff\xff\xff\xff", 5 },
		{ "\xdb\xff\xff\xff\xff", 5 }, { "\x81\x01\x01", 3 },
		{ "\xa2"
		  "a\0",
		    3 },
		{ "\xc0\xc0", 2 }, { "\xdf\xff\xff\xff\xff", 5 }, { "\x92\xc0", 2 } };
	char deep[64];

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++) {
		autoarena struct arena mem = ARENA_INIT;
		struct err e = ERR_INIT;
		assert_null(msgpack_read(bad[i].bytes, bad[i].len, &mem, &e));
		assert_int_equal(e.kind, ERR_INPUT);
	}
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;
	memset(deep, 0x91, sizeof(deep));
	assert_null(msgpack_read(deep, sizeof(deep), &mem, &e));
}

static void
round_trip(void **state)
{
	static const int64_t numbers[] = { 0, 127, 128, -32, -33, 40000, -40000, INT64_MAX,
		INT64_MIN };
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	char text[70000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	msgpack_array(&b, NELEM(numbers) + 3);
	for (size_t i = 0; i < NELEM(numbers); i++)
		msgpack_int(&b, numbers[i]);
	msgpack_str(&b, text);
	msgpack_str(&b, text + sizeof(text) - 200);
	msgpack_nil(&b);
	const struct any *v = msgpack_read(b.data, b.len, &mem, &e);
	assert_non_null(v);
	for (size_t i = 0; i < NELEM(numbers); i++)
		assert_true(any_at(v, i)->i == numbers[i]);
	assert_string_equal(any_text(any_at(v, NELEM(numbers))), text);
	assert_int_equal(any_at(v, NELEM(numbers) + 1)->n, 199);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(values), cmocka_unit_test(refusals),
		cmocka_unit_test(round_trip) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
