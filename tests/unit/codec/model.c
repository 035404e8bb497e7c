/*
 * model.c: the tables drive JSON in and out, copies and equality.
 */
#include "codec/model.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct wheel {
	uint64_t set;
	const char *name;
	int64_t size;
};

struct car {
	uint64_t set;
	const char *name;
	int64_t doors, timeout, built;
	double weight;
	bool open;
	struct strs tags;
	struct ints years;
	struct strmap meta;
	struct strsmap header;
	struct intmap counts, flags;
	struct floatmap scores;
	struct wheel *spare;
	struct objs wheels;
	struct objmap by_side;
	const struct any *config;
};

static const struct field wheel_fields[] = {
	FIELDX(struct wheel, name, F_STR, "Name", .flags = MF_NULL, .def = "round"),
	FIELDX(struct wheel, size, F_INT, "Size", .flags = MF_NULL, .def = "17"),
};
static const struct model wheel_model = MODEL_SET("Wheel", struct wheel, wheel_fields);

static const struct field car_fields[] = {
	FIELD(struct car, name, F_STR, "Name"),
	FIELDX(struct car, doors, F_INT, "Doors", .flags = MF_NULL, .def = "4"),
	FIELDX(struct car, timeout, F_DURATION, "Timeout", .flags = MF_OMIT),
	FIELDX(struct car, built, F_TIME, "Built", .flags = MF_OMIT),
	FIELDX(struct car, weight, F_FLOAT, "Weight", .flags = MF_OMIT),
	FIELDX(struct car, open, F_BOOL, "Open", .flags = MF_NULL),
	FIELDX(struct car, tags, F_STRS, "Tags", .flags = MF_EMPTY),
	FIELDX(struct car, years, F_INTS, "Years", .flags = MF_OMIT),
	FIELDX(struct car, meta, F_STRMAP, "Meta", .flags = MF_OMIT),
	FIELDX(struct car, header, F_STRSMAP, "Header", .flags = MF_OMIT),
	FIELDX(struct car, counts, F_INTMAP, "Counts", .flags = MF_OMIT),
	FIELDX(struct car, flags, F_BOOLMAP, "Flags", .flags = MF_OMIT),
	FIELDX(struct car, scores, F_FLOATMAP, "Scores", .flags = MF_OMIT),
	FIELDX(struct car, spare, F_OBJ, "Spare", .sub = &wheel_model, .flags = MF_OMIT),
	FIELDX(struct car, wheels, F_OBJS, "Wheels", .sub = &wheel_model),
	FIELDX(struct car, by_side, F_OBJMAP, "BySide", .sub = &wheel_model, .flags = MF_OMIT),
	FIELDX(struct car, config, F_ANY, "Config", .flags = MF_OMIT),
};
static const struct model car_model = MODEL_SET("Car", struct car, car_fields);

static void
read_car(const char *text, struct arena *a, struct car *out)
{
	struct err e = ERR_INIT;

	*out = (struct car){ 0 };
	if (model_read(&car_model, text, strlen(text), a, out, &e) < 0)
		fail_msg("%s", e.text);
}

static void
expect_json(const struct car *c, const char *expected)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	model_to_json(&car_model, c, &w);
	assert_string_equal(buf_str(&out), expected);
}

static const char full[] =
    "{\"Name\":\"a\\\"b\",\"Doors\":0,\"Timeout\":30000000000,\"Built\":\"2021-02-03T04:05:06Z\","
    "\"Weight\":1.5,\"Open\":true,\"Tags\":[\"x\",\"y\"],\"Years\":[1,2,3],\"Meta\":{\"k\":\"v\","
    "\"a\":\"b\"},"
    "\"Header\":{\"X\":[\"1\",\"2\"]},\"Counts\":{\"g\":3},\"Flags\":{\"t\":true,\"f\":false},"
    "\"Scores\":{\"s\":0.5},\"Spare\":{\"Name\":\"s\",\"Size\":null},\"Wheels\":[{\"Name\":null,"
    "\"Size\":18}],"
    "\"BySide\":{\"left\":{\"Name\":\"l\",\"Size\":1}},\"Config\":{\"image\":\"i\",\"n\":[1,2.5,"
    "null,{}]}}";

static void
what_was_read_is_written_again(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct car c;

	(void)state;
	read_car(full, &a, &c);
	assert_int_equal(c.timeout, 30 * NS_PER_SEC);
	assert_string_equal(strmap_get(&c.meta, "a"), "b");
	expect_json(&c, full);
}

static void
nothing_given_differs_from_zero(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct car c;

	(void)state;
	read_car("{\"Doors\":null}", &a, &c);
	expect_json(&c, "{\"Name\":\"\",\"Doors\":null,\"Open\":null,\"Tags\":[],\"Wheels\":null}");
	model_defaults(&car_model, &c);
	assert_int_equal(c.doors, 4);
	read_car("{\"Doors\":0,\"Open\":false}", &a, &c);
	expect_json(&c, "{\"Name\":\"\",\"Doors\":0,\"Open\":false,\"Tags\":[],\"Wheels\":null}");
	model_defaults(&car_model, &c);
	assert_int_equal(c.doors, 0);
}

static void
names_in_other_case_floats_and_texts_are_understood(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct car c;

	(void)state;
	read_car("{\"name\":\"n\",\"DOORS\":2.0,\"Timeout\":6e10,\"Unknown\":{\"x\":1}}", &a, &c);
	assert_string_equal(c.name, "n");
	assert_int_equal(c.doors, 2);
	assert_int_equal(c.timeout, 60 * NS_PER_SEC);
	read_car("{\"Timeout\":\"1m30s\"}", &a, &c);
	assert_int_equal(c.timeout, 90 * NS_PER_SEC);
}

static void
wrong_types_are_named_with_their_path(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{\"Wheels\":[{},{\"Size\":\"x\"}]}",
		    "Wheels[1].Size: expected a whole number, not a string" },
		{ "{\"Wheels\":{}}", "Wheels: expected a list, not an object" },
		{ "{\"Open\":\"true\"}", "Open: expected true or false, not a string" },
		{ "{\"Doors\":1.5}", "Doors: expected a whole number, not a number" },
		{ "{\"Meta\":{\"k\":1}}", "Meta.k: expected a string, not a number" },
		{ "[]", "JSON: expected an object, not a list" },
		{ "{\"Name\":", "JSON line 1, column 8: " },
	};
	autoarena struct arena a = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct car c = { .name = "untouched" };
		struct err e = ERR_INIT;

		assert_int_equal(
		    model_read(&car_model, cases[i].text, strlen(cases[i].text), &a, &c, &e), -1);
		assert_int_equal(e.kind, ERR_INPUT);
		assert_true(strncmp(e.text, cases[i].error, strlen(cases[i].error)) == 0);
		assert_string_equal(c.name, "untouched");
	}
}

static void
a_copy_is_equal_and_shares_nothing(void **state)
{
	struct arena first = ARENA_INIT;
	autoarena struct arena second = ARENA_INIT;
	struct car c, *copy, *again;

	(void)state;
	read_car(full, &first, &c);
	copy = model_copy(&car_model, &c, &second);
	assert_true(model_equal(&car_model, &c, copy));
	arena_fini(&first);
	expect_json(copy, full);
	again = model_copy(&car_model, copy, &second);
	((struct wheel *)again->wheels.at[0])->size++;
	assert_false(model_equal(&car_model, copy, again));
	strs_add(&again->tags, &second, "z"); /* a copied list can grow */
	assert_int_equal(again->tags.n, 3);
	assert_int_equal(copy->tags.n, 2);
}

static void
maps_are_equal_in_any_order(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct car x, y;

	(void)state;
	read_car("{\"Meta\":{\"a\":\"1\",\"b\":\"2\"},\"Config\":{\"a\":1,\"b\":2}}", &a, &x);
	read_car("{\"Meta\":{\"b\":\"2\",\"a\":\"1\"},\"Config\":{\"b\":2,\"a\":1}}", &a, &y);
	assert_true(model_equal(&car_model, &x, &y));
	strmap_set(&y.meta, &a, "a", "3");
	assert_false(model_equal(&car_model, &x, &y));
}

static void
text_is_escaped_and_bad_utf8_replaced(void **state)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	(void)state;
	jsonw_array(&w);
	jsonw_str(&w, "a\"\\\n\x01\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	jsonw_str(&w, "\xff\xc3(\xed\xa0\x80\xe2\x82");
	jsonw_base64(&w, "Man", 3);
	jsonw_base64(&w, "Ma", 2);
	jsonw_base64(&w, "M", 1);
	jsonw_double(&w, 0.1);
	jsonw_double(&w, 1e300 * 1e300);
	jsonw_int(&w, INT64_MIN);
	jsonw_uint(&w, UINT64_MAX);
	jsonw_time(&w, 0);
	jsonw_end_array(&w);
	assert_string_equal(buf_str(&out),
	    "[\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\","
	    "\"\xef\xbf\xbd\xef\xbf\xbd("
	    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
	    "\"TWFu\",\"TWE=\",\"TQ==\",0.1,null,-9223372036854775808,18446744073709551615,"
	    "\"0001-01-01T00:00:00Z\"]");
}

static void
indented_output_is_for_people(void **state)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INDENT(&out, 2);

	(void)state;
	jsonw_object(&w);
	jsonw_kstr(&w, "a", "x");
	jsonw_key(&w, "b");
	jsonw_array(&w);
	jsonw_int(&w, 1);
	jsonw_int(&w, 2);
	jsonw_end_array(&w);
	jsonw_key(&w, "c");
	jsonw_object(&w);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	assert_string_equal(
	    buf_str(&out), "{\n  \"a\": \"x\",\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\": {}\n}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_is_written_again),
		cmocka_unit_test(nothing_given_differs_from_zero),
		cmocka_unit_test(names_in_other_case_floats_and_texts_are_understood),
		cmocka_unit_test(wrong_types_are_named_with_their_path),
		cmocka_unit_test(a_copy_is_equal_and_shares_nothing),
		cmocka_unit_test(maps_are_equal_in_any_order),
		cmocka_unit_test(text_is_escaped_and_bad_utf8_replaced),
		cmocka_unit_test(indented_output_is_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
