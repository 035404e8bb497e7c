/* Unit tests of image/meta and image/report: small texts from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/meta.h"
#include "image/report.h"

#include <string.h>

static void
meta_files_name_an_origin_or_none(void **state)
{
	struct meta m;
	struct err e;

	(void)state;
	assert_int_equal(image_meta_parse("-\n", 2, &m, &e), 0);
	assert_string_equal(m.origin, "");
	assert_int_equal(image_meta_parse("", 0, &m, &e), 0);
	assert_int_equal(image_meta_parse("base:1.2@1700000000\n", 20, &m, &e), 0);
	assert_string_equal(m.origin, "base");
	assert_string_equal(m.tag, "1.2");
	assert_string_equal(m.snapshot, "1700000000");
	assert_int_equal(image_meta_parse("../x:1@2", 8, &m, &e), -1);
	assert_int_equal(image_meta_parse("a:b", 3, &m, &e), -1);
	assert_int_equal(image_meta_parse("a@b:c", 5, &m, &e), -1);
	assert_int_equal(image_meta_parse("a:b@c\nx", 7, &m, &e), -1);
	assert_int_equal(image_meta_parse("-\n\0", 3, &m, &e), -1);
}

static void
meta_files_hold_notes(void **state)
{
	static const char text[] = "base:1.2@17\nformat=pax\nsnapshot=18\nos=linux\narch=amd64\n";
	static const char more[] = "-\nlater=a b c\nos=linux";
	struct buf again = BUF_INIT;
	struct meta m;
	struct err e;

	(void)state;
	assert_int_equal(image_meta_parse(text, strlen(text), &m, &e), 0);
	assert_int_equal(m.format, META_PAX);
	assert_string_equal(m.own_snapshot, "18");
	assert_string_equal(m.snapshot, "17");
	image_meta_text(&m, &again);
	assert_string_equal(buf_str(&again), text);
	buf_fini(&again);
	assert_int_equal(image_meta_parse(more, strlen(more), &m, &e), 0);
	assert_string_equal(m.os, "linux");
	assert_int_equal(image_meta_parse("-\nformat=zfs\n", 13, &m, &e), 0);
	assert_int_equal(m.format, META_ZFS);
	assert_int_equal(image_meta_parse("-\nformat=x\n", 11, &m, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_int_equal(image_meta_parse("-\nos=\n", 6, &m, &e), -1);
}

static void
digests_are_hex_of_one_length(void **state)
{
	uint8_t digest[SKEIN_DIGEST];
	char text[257];
	struct err e;

	(void)state;
	memset(text, 'a', 256);
	text[256] = '\n';
	assert_int_equal(digest_parse(text, 257, digest, &e), 0);
	assert_int_equal(digest[127], 0xaa);
	assert_int_equal(digest_parse(text, 256, digest, &e), 0);
	assert_int_equal(digest_parse(text, 255, digest, &e), -1);
	text[9] = 'g';
	assert_int_equal(digest_parse(text, 257, digest, &e), -1);
	assert_int_equal(digest_parse("", 0, digest, &e), -1);
}

static void
names_hold_no_surprises(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(name_check_pot("pot name", "web-1_a", &e), 0);
	assert_int_equal(name_check_pot("pot name", "web.1", &e), -1);
	assert_int_equal(name_check_pot("pot name", "-web", &e), -1);
	assert_int_equal(name_check_pot("pot name", "12", &e), -1);
	assert_int_equal(name_check_pot("pot name", "a/b", &e), -1);
	assert_int_equal(name_check_tag("tag", "1.0-rc1", &e), 0);
	assert_int_equal(name_check_tag("tag", "..", &e), -1);
}

static void
report_lines_carry_errors_unchanged(void **state)
{
	static struct report_line l;
	struct err e;
	const char *line = "error full 28 write \\\\ here\\nand there";

	(void)state;
	assert_int_equal(report_parse(line, strlen(line), &l, &e), 0);
	assert_int_equal(l.kind, REPORT_ERROR);
	assert_int_equal(l.error.kind, ERR_FULL);
	assert_int_equal(l.error.sys, 28);
	assert_string_equal(l.error.text, "write \\ here\nand there");
	assert_int_equal(report_parse("progress 5 10 down load", 23, &l, &e), 0);
	assert_int_equal(l.done, 5);
	assert_string_equal(l.text, "down load");
	assert_int_equal(report_parse("done", 4, &l, &e), 0);
	assert_int_equal(report_parse("progress x 10 y", 15, &l, &e), -1);
	assert_int_equal(report_parse("", 0, &l, &e), -1);
	assert_int_equal(report_parse("gossip 1", 8, &l, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meta_files_name_an_origin_or_none),
		cmocka_unit_test(meta_files_hold_notes),
		cmocka_unit_test(digests_are_hex_of_one_length),
		cmocka_unit_test(names_hold_no_surprises),
		cmocka_unit_test(report_lines_carry_errors_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
