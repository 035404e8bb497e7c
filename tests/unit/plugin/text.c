#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "codec/json.h"
#include "plugin/plugin.h"
#include "plugin/text.h"

#include <signal.h>
#include <string.h>

static void
names(void **state)
{
	autoarena struct arena mem = ARENA_INIT;

	(void)state;
	assert_string_equal(
	    text_pot_name("81d9f209-93db/www1/223ab329", &mem), "www1_223ab329_81d9f209-93db");
	assert_string_equal(text_pot_name("a-b/my.web 1/00", &mem), "my_web_1_00_a-b");
	assert_string_equal(text_pot_name("../../etc", &mem), "x__etc___");
	assert_string_equal(text_pot_name("-x", &mem), "xx");
}

static void
utf8(void **state)
{
	autoarena struct arena mem = ARENA_INIT;

	(void)state;
	assert_string_equal(text_utf8("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", &mem),
	    "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_string_equal(text_utf8("a\xff"
				      "b\xc3",
				&mem),
	    "a?b?");
	assert_string_equal(
	    text_utf8("\xed\xa0\x80|\xc0\xaf|\xf4\x90\x80\x80", &mem), "???|\?\?|\?\?\?\?");
}

static void
signals(void **state)
{
	(void)state;
	assert_int_equal(text_signal("SIGHUP"), 1);
	assert_int_equal(text_signal("hup"), 1);
	assert_int_equal(text_signal("SIGUSR1"), SIGUSR1);
	assert_int_equal(text_signal("SIGBOGUS"), 0);
	assert_int_equal(text_signal(""), 0);
}

/* Strings where Nomad wants strings, whatever is said. */
static void
journal(void **state)
{
	autobuf struct buf out = BUF_INIT, long_text = BUF_INIT;

	(void)state;
	journal_line(&out, "warn", "pot.x", "a \"quote\"\nand \x01 and \xff");
	json_t *j = json_loads(buf_str(&out), 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "@level")), "warn");
	const char *at = json_string_value(json_object_get(j, "@timestamp"));
	assert_int_equal(strlen(at), strlen("2026-01-01T00:00:00.000000Z"));
	assert_int_equal(at[26], 'Z');
	assert_non_null(json_string_value(json_object_get(j, "@message")));
	json_decref(j);
	for (int i = 0; i < 100000; i++)
		buf_addc(&long_text, '\x01');
	buf_reset(&out);
	journal_line(&out, "info", "m", buf_str(&long_text));
	assert_true(out.len < 65536);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(names), cmocka_unit_test(utf8),
		cmocka_unit_test(signals), cmocka_unit_test(journal) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
