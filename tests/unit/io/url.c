#include "io/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
a_url_is_taken_apart(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct url u;
	struct err e;
	(void)state;

	assert_int_equal(url_parse("http://example.net:8080/a%20b/c?x=1&y=2#frag", &a, &u, &e), 0);
	assert_string_equal(u.scheme, "http");
	assert_string_equal(u.host, "example.net");
	assert_int_equal(u.port, 8080);
	assert_string_equal(u.path, "/a%20b/c");
	assert_string_equal(u.query, "x=1&y=2");
	assert_int_equal(url_parse("https://[2001:db8::1]", &a, &u, &e), 0);
	assert_string_equal(u.host, "2001:db8::1");
	assert_int_equal(u.port, 443);
	assert_string_equal(u.path, "/");
	assert_string_equal(u.query, "");
	assert_int_equal(url_parse("http://h?q", &a, &u, &e), 0);
	assert_string_equal(u.host, "h");
	assert_string_equal(u.query, "q");
	assert_int_equal(url_parse("unix:///run/potter.sock", &a, &u, &e), 0);
	assert_string_equal(u.host, "/run/potter.sock");
}

static void
what_is_no_url_is_refused_by_name(void **state)
{
	static const char *const bad[] = { "", "example.net", "ftp://x", "http://", "http://a b",
		"http://x:99999", "http://x:", "http://user@x", "http://[::1", "http://[x]",
		"unix://relative", "http://:80", "http://x\r\n/" };
	autoarena struct arena a = ARENA_INIT;
	struct url u;
	(void)state;

	for (size_t i = 0; i < NELEM(bad); i++) {
		struct err e = ERR_INIT;
		if (url_parse(bad[i], &a, &u, &e) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(e.kind, ERR_INPUT);
	}
}

static void
addresses_may_carry_ports(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf b = BUF_INIT;
	struct err e;
	char *host;
	uint16_t port;
	(void)state;

	assert_int_equal(url_host_port("::1", 4646, &a, &host, &port, &e), 0);
	assert_string_equal(host, "::1");
	assert_int_equal(port, 4646);
	assert_int_equal(url_host_port("[::1]:80", 4646, &a, &host, &port, &e), 0);
	assert_int_equal(port, 80);
	assert_int_equal(url_host_port("10.0.0.1:81", 4646, &a, &host, &port, &e), 0);
	assert_string_equal(host, "10.0.0.1");
	assert_int_equal(port, 81);
	url_add_host_port(&b, "::1", 80);
	assert_string_equal(buf_str(&b), "[::1]:80");
}

static void
escapes_go_both_ways_and_bad_ones_are_refused(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	char *out;
	(void)state;

	assert_string_equal(url_escaped(&a, "a/b c\xc3\xa4~"), "a%2Fb%20c%C3%A4~");
	assert_true(url_unescape(&a, "a%2fb+c", 7, true, &out));
	assert_string_equal(out, "a/b c");
	assert_true(url_unescape(&a, "a+b", 3, false, &out));
	assert_string_equal(out, "a+b");
	assert_false(url_unescape(&a, "%", 1, true, &out));
	assert_false(url_unescape(&a, "%4", 2, true, &out));
	assert_false(url_unescape(&a, "%zz", 3, true, &out));
	assert_false(url_unescape(&a, "%00", 3, true, &out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_is_taken_apart),
		cmocka_unit_test(what_is_no_url_is_refused_by_name),
		cmocka_unit_test(addresses_may_carry_ports),
		cmocka_unit_test(escapes_go_both_ways_and_bad_ones_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
