/* Unit tests of ingress/rules: what a rule means, and which rules are refused and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "ingress/rules.h"

#include <string.h>

/* The normalised rule as text: "A=x & !B=y | C=k:v". */
static char *
meaning(const char *text)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf b = BUF_INIT;
	struct err e = ERR_INIT;
	struct rule r;

	if (rule_parse(text, &a, &r, &e) < 0) {
		buf_adds(&b, e.text);
		return buf_take(&b);
	}
	for (size_t i = 0; i < r.n; i++)
		for (size_t j = 0; j < r.at[i].n; j++) {
			const struct match *m = &r.at[i].at[j];
			buf_addf(&b, "%s%s%s=",
			    j > 0   ? " & "
			    : i > 0 ? " | "
				    : "",
			    m->negate ? "!" : "", match_kind_name(m->kind));
			if (m->key != NULL)
				buf_addf(&b, "%s:", m->key);
			buf_adds(&b, m->value != NULL ? m->value : "*");
		}
	return buf_take(&b);
}

static void
means(const char *rule, const char *expected)
{
	autofree char *got = meaning(rule);

	assert_string_equal(got, expected);
}

static void
fails_with(const char *rule, const char *part)
{
	autofree char *got = meaning(rule);

	if (strstr(got, part) == NULL)
		fail_msg("%s: got \"%s\", expected \"…%s…\"", rule, got, part);
}

static void
one_matcher_of_each_kind(void **state)
{
	(void)state;
	means("Host(`Web.Minipot`)", "Host=web.minipot");
	means("Host(\"a\")", "Host=a");
	means("HostRegexp(`^.+\\.example\\.com$`)", "HostRegexp=^.+\\.example\\.com$");
	means("Path(`/a`)", "Path=/a");
	means("PathPrefix(`/a`)", "PathPrefix=/a");
	means("PathRegexp(`^/[0-9]+$`)", "PathRegexp=^/[0-9]+$");
	means("Header(`X-A`, `b`)", "Header=X-A:b");
	means("HeaderRegexp(`X-A`, `^b`)", "HeaderRegexp=X-A:^b");
	means("Method(`post`)", "Method=POST");
	means("Query(`k`)", "Query=k:*");
	means("Query(`k`, `v`)", "Query=k:v");
	means("QueryRegexp(`k`, `v+`)", "QueryRegexp=k:v+");
	means("ClientIP(`10.0.0.0/8`)", "ClientIP=10.0.0.0/8");
	means("ClientIP(`::1`)", "ClientIP=::1");
	means("Host(`*.a.b`)", "HostRegexp=^[^.]+\\.a\\.b$");
}

static void
version_2_means_the_same(void **state)
{
	(void)state;
	means("Host(`a`, `b`)", "Host=a | Host=b");
	means("HostRegexp(`{sub:[a-z]{2,3}}.a.b`)", "HostRegexp=^(?:[a-z]{2,3})\\.a\\.b$");
	means("Path(`/a/{id:[0-9]+}`, `/b/{x}`)",
	    "PathRegexp=^/a/(?:[0-9]+)$ | PathRegexp=^/b/[^/]+$");
	means("PathPrefix(`/a/{id}`)", "PathRegexp=^/a/[^/]+");
	means("Headers(`X-A`, `b`) && HeadersRegexp(`X-C`, `d`)",
	    "Header=X-A:b & HeaderRegexp=X-C:d");
	means("Query(`a=1`, `b=`)", "Query=a:1 & Query=b:");
	means("Method(`GET`, `HEAD`)", "Method=GET | Method=HEAD");
}

static void
and_binds_tighter_and_not_reaches_inside(void **state)
{
	(void)state;
	means("Host(`a`) || Host(`b`) && Path(`/x`)", "Host=a | Host=b & Path=/x");
	means("(Host(`a`) || Host(`b`)) && Path(`/x`)", "Host=a & Path=/x | Host=b & Path=/x");
	means("!(Host(`a`) || Path(`/x`))", "!Host=a & !Path=/x");
	means("!(Host(`a`) && Path(`/x`))", "!Host=a | !Path=/x");
	means("!!Host(`a`)", "Host=a");
	means("!Host(`a`,`b`)", "!Host=a & !Host=b");
	means("Host(`a`) && Host(`a`)", "Host=a");
}

static void
errors_name_the_place_and_the_way_out(void **state)
{
	(void)state;
	fails_with("", "column 1: the rule ends");
	fails_with("Host(`a`", "column 9: expected , or )");
	fails_with("Host(`a", "column 6: the value is not closed by `");
	fails_with("Host(a)", "back-ticks or double quotes");
	fails_with("Host()", "needs a value");
	fails_with("Hots(`a`)", "unknown matcher Hots (did you mean Host?)");
	fails_with("HostSNI(`a`)", "TCP routers");
	fails_with("Host(`a`) Path(`/`)", "column 11: expected && or ||");
	fails_with("Host(`a`) &&", "the rule ends");
	fails_with("(Host(`a`)", "parenthesis is not closed");
	fails_with("Host(`a b`)", "not a host name");
	fails_with("Path(`a`)", "does not begin with /");
	fails_with("Header(`a`)", "takes a name and a value");
	fails_with("Header(`a b`, `c`)", "only letters");
	fails_with("ClientIP(`10.0.0.0/33`)", "neither an address nor a CIDR");
	fails_with("PathRegexp(`(?=a)`)", "no look-around");
	fails_with("PathRegexp(`(a)\\1`)", "back references");
	fails_with("PathRegexp(`a(`)", "not closed");
	fails_with("PathRegexp(`a**`)", "nothing to repeat");
	fails_with("PathRegexp(`[b-a]`)", "range");
}

static void
a_rule_that_explodes_is_refused(void **state)
{
	autobuf struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 7; i++)
		buf_addf(&b, "%s(Host(`a%d`) || Path(`/%d`))", i > 0 ? " && " : "", i, i);
	fails_with(buf_str(&b), "more than 64 alternatives");
	buf_reset(&b);
	for (int i = 0; i < 100; i++)
		buf_addc(&b, '(');
	fails_with(buf_str(&b), "nested deeper");
}

static void
rules_of_hosts_alone_are_known(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct err e = ERR_INIT;
	struct rule r;

	(void)state;
	assert_int_equal(rule_parse("Host(`a`) || Host(`b`)", &a, &r, &e), 0);
	assert_true(rule_is_hosts(&r));
	assert_int_equal(rule_parse("Host(`a`) && Path(`/`)", &a, &r, &e), 0);
	assert_false(rule_is_hosts(&r));
	assert_int_equal(rule_parse("!Host(`a`)", &a, &r, &e), 0);
	assert_false(rule_is_hosts(&r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_matcher_of_each_kind),
		cmocka_unit_test(version_2_means_the_same),
		cmocka_unit_test(and_binds_tighter_and_not_reaches_inside),
		cmocka_unit_test(errors_name_the_place_and_the_way_out),
		cmocka_unit_test(a_rule_that_explodes_is_refused),
		cmocka_unit_test(rules_of_hosts_alone_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
