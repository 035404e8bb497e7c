#include "base/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static void
addresses_of_both_families_parse_and_print(void **state)
{
	struct ip a;
	char text[IP_TEXT];

	(void)state;
	assert_true(ip_parse("10.192.0.3", &a));
	assert_int_equal(a.family, AF_INET);
	assert_string_equal(ip_text(&a, text), "10.192.0.3");
	assert_true(ip_parse("fd00:0::1", &a));
	assert_string_equal(ip_text(&a, text), "fd00::1");
	assert_false(ip_parse("10.192.0", &a));
	assert_false(ip_parse("10.192.0.3/24", &a));
	assert_false(ip_parse("", &a));
	assert_string_equal(ip_text(&(struct ip){ 0 }, text), "");
}

static void
networks_know_what_they_contain(void **state)
{
	struct ipnet n;
	struct ip a, b;
	char text[IPNET_TEXT];

	(void)state;
	assert_true(ipnet_parse("10.192.0.1/10", &n));
	assert_string_equal(ipnet_text(&n, text), "10.192.0.1/10");
	assert_true(ip_parse("10.255.255.255", &a) && ipnet_contains(&n, &a));
	b = ipnet_last(&n);
	assert_true(ip_eq(&a, &b));
	assert_true(ip_parse("10.191.0.0", &a) && !ipnet_contains(&n, &a));
	assert_true(ip_parse("::", &a) && !ipnet_contains(&n, &a));
	b = ipnet_first(&n);
	assert_string_equal(ip_text(&b, text), "10.192.0.0");
	assert_true(ipnet_parse("fd00::/64", &n));
	assert_true(ip_parse("fd00::ffff", &a) && ipnet_contains(&n, &a));
	assert_true(ip_parse("fd00:0:0:1::", &a) && !ipnet_contains(&n, &a));
	assert_false(ipnet_parse("10.0.0.0/33", &n));
	assert_false(ipnet_parse("10.0.0.0/", &n));
	assert_false(ipnet_parse("10.0.0.0/-1", &n));
	assert_true(
	    ipnet_parse("0.0.0.0/0", &n) && ip_parse("8.8.8.8", &a) && ipnet_contains(&n, &a));
}

static void
counting_carries_and_ends(void **state)
{
	struct ip a;
	char text[IP_TEXT];

	(void)state;
	assert_true(ip_parse("10.0.0.255", &a) && ip_next(&a));
	assert_string_equal(ip_text(&a, text), "10.0.1.0");
	assert_true(ip_parse("255.255.255.255", &a));
	assert_false(ip_next(&a));
}

static void
masks_become_prefixes(void **state)
{
	struct ip m;

	(void)state;
	assert_true(ip_parse("255.192.0.0", &m));
	assert_int_equal(ip_mask_prefix(&m), 10);
	assert_true(ip_parse("255.0.255.0", &m));
	assert_int_equal(ip_mask_prefix(&m), -1);
	assert_true(ip_parse("0.0.0.0", &m));
	assert_int_equal(ip_mask_prefix(&m), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_both_families_parse_and_print),
		cmocka_unit_test(networks_know_what_they_contain),
		cmocka_unit_test(counting_carries_and_ends),
		cmocka_unit_test(masks_become_prefixes),
	};

	return cmocka_run_group_tests_name("ip", tests, NULL, NULL);
}
