/* The run record is what recovery has to go by. */
#include "pot/priv.h"
#include "pot/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

#define HEAD "potter-run 1\npot web\nrun 0123456789ab\nboot 1-2-3\nstarter 7 99\nstop 15 10000\n"

static void
a_record_tells_how_far_a_run_came(void **state)
{
	static const char text[] =
	    HEAD "begun limits\nbegun isolate\nkeeper 12 345\ninit 13 346\n"
		 "begun network\nalias eth0 192.0.2.7\nalias ext1 2001:db8::7\n"
		 "begun ports\nport tcp 30080 80\nport udp 53 53\n"
		 "begun process\nrunning 1700000000000000000\nstopping 14 347\n";
	char group[POT_NAME_MAX + 1 + RUN_ID_TEXT + 1], link[16];
	struct run r;

	(void)state;
	assert_int_equal(run_parse(text, strlen(text), &r, &e), 0);
	assert_string_equal(r.name, "web");
	assert_string_equal(r.id, "0123456789ab");
	assert_int_equal(r.begun, (1u << RUN_PHASES) - 1);
	assert_int_equal(r.keeper, 12);
	assert_int_equal(r.keeper_start, 345);
	assert_int_equal(r.init, 13);
	assert_int_equal(r.n_ports, 2);
	assert_int_equal(r.ports[0].host_port, 30080);
	assert_true(r.ports[1].udp);
	assert_int_equal(r.n_aliases, 2);
	assert_string_equal(r.aliases[1].nic, "ext1");
	assert_true(r.running_ns == 1700000000000000000);
	assert_true(r.stopping);
	assert_int_equal(r.stopper, 14);
	assert_int_equal(r.stopper_start, 347);
	assert_int_equal(r.stop_timeout_ms, 10000);
	assert_string_equal(run_group(&r, group), "web.0123456789ab");
	assert_string_equal(run_link(&r, link), "p0123456789ab");
}

static void
a_line_that_was_not_finished_does_not_count(void **state)
{
	static const char text[] = HEAD "begun limits\nkeeper 12 3";
	struct run r;

	(void)state;
	assert_int_equal(run_parse(text, strlen(text), &r, &e), 0);
	assert_int_equal(r.begun, 1u << RUN_LIMITS);
	assert_int_equal(r.keeper, 0);
}

static void
what_is_no_record_is_refused(void **state)
{
	static const char *const texts[] = { "", "potter-run 2\n", HEAD "begun moon\n",
		HEAD "keeper x 1\n", HEAD "port tcp 70000 80\n", HEAD "alias eth0\n",
		HEAD "alias eth0 10.0.0.0/8\n", HEAD "alias an-interface-of-18 10.0.0.1\n",
		"potter-run 1\npot web\nrun 0123456789ab\n", "potter-run 1\npot ../x\n",
		"potter-run 1\npot web\nrun 0123\n", HEAD "anything\n" };
	struct run r;

	(void)state;
	for (size_t i = 0; i < NELEM(texts); i++) {
		assert_int_equal(run_parse(texts[i], strlen(texts[i]), &r, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
}

static void
a_control_group_tells_its_run(void **state)
{
	struct run r;

	(void)state;
	assert_true(run_of_group("web.0123456789ab", &r));
	assert_string_equal(r.name, "web");
	assert_false(run_of_group("web", &r));
	assert_false(run_of_group("web.0123456789aX", &r));
	assert_false(run_of_group("system.slice", &r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_tells_how_far_a_run_came),
		cmocka_unit_test(a_line_that_was_not_finished_does_not_count),
		cmocka_unit_test(what_is_no_record_is_refused),
		cmocka_unit_test(a_control_group_tells_its_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
