/* Files of name="value" lines: one value changes, all the rest stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "platform/settings.h"

#include <string.h>

static void
reads(const char *text, const char *name, const char *wanted)
{
	autoarena struct arena a = ARENA_INIT;
	const char *got = settings_get(text, name, &a);

	if (wanted == NULL)
		assert_null(got);
	else
		assert_string_equal(got != NULL ? got : "(nothing)", wanted);
}

static void
sets(const char *text, const char *name, const char *value, const char *wanted)
{
	autobuf struct buf out = BUF_INIT;

	assert_int_equal(settings_set(text, name, value, &out), strcmp(text, wanted) != 0);
	assert_string_equal(buf_str(&out), wanted);
}

static void
values_are_read_as_a_shell_reads_them(void **state)
{
	(void)state;
	reads("a=\"b c\"\n", "a", "b c");
	reads("a='b \"c'\n", "a", "b \"c");
	reads("a=b # not this\n", "a", "b");
	reads("  a=b'c'\"d\"; e=f\n", "a", "bcd");
	reads("a=1\na=2", "a", "2");
	reads("a=\"x \\\"y\\\"\"\n", "a", "x \"y\"");
	reads("a=\n", "a", "");
	reads("# a=1\nxa=2\na =3\nab=4\n", "a", NULL);
	reads("b=\"first\na=inside\n\"\n", "a", NULL);
	reads("# it's said\na=1\n", "a", "1");
	reads("a=x#y\n", "a", "x#y");
}

static void
a_value_changes_and_the_rest_stays(void **state)
{
	(void)state;
	sets("", "a", "YES", "a=\"YES\"\n");
	sets("b=1", "a", "YES", "b=1\na=\"YES\"\n");
	sets("b=1\na=\"NO\"  # off\nc=2\n", "a", "YES", "b=1\na=\"YES\"  # off\nc=2\n");
	sets("a=1\na=2\n", "a", "3", "a=1\na=\"3\"\n");
	sets("a='YES'\n", "a", "YES", "a='YES'\n");
	sets("a=\"one\ntwo\"\nb=1\n", "a", "3", "a=\"3\"\nb=1\n");
}

static void
a_value_goes_with_all_its_lines(void **state)
{
	(void)state;
	sets("b=1\na=1\nc=2\na=2\n", "a", NULL, "b=1\nc=2\n");
	sets("b=1\n", "a", NULL, "b=1\n");
	sets("a=\"one\ntwo\"\n", "a", NULL, "");
}

static void
what_a_shell_would_expand_is_no_value(void **state)
{
	(void)state;
	assert_true(settings_valid("-b 127.0.0.1 -a 10.192.0.0/10"));
	assert_false(settings_valid("$(reboot)"));
	assert_false(settings_valid("a\"b"));
	assert_false(settings_valid("a\nb"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read_as_a_shell_reads_them),
		cmocka_unit_test(a_value_changes_and_the_rest_stays),
		cmocka_unit_test(a_value_goes_with_all_its_lines),
		cmocka_unit_test(what_a_shell_would_expand_is_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
