/* Limits as rules, what is kept of a run, sets of CPUs. */
#include "platform/rctl/rctl.h"

#include "base/str.h"
#include "platform/cpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_names(void **state)
{
	char jail[RCTL_JAIL];

	(void)state;
	assert_true(rctl_jail_of("web.0123456789ab", jail));
	assert_string_equal(jail, "web");
	assert_true(rctl_jail_of("a.b.0123456789ab", jail));
	assert_string_equal(jail, "a.b");
	assert_false(rctl_jail_of("web", jail));
	assert_false(rctl_jail_of(".0123456789ab", jail));
	assert_false(rctl_jail_of("web.0123456789aX", jail));
	assert_false(rctl_jail_of("w:eb.0123456789ab", jail));
}

static void
test_rules(void **state)
{
	autonames struct names rules = NAMES_INIT;
	const struct limits l = { .memory_bytes = 64 << 20, .pids = 20, .cpu_quota_percent = 150 };
	autofree char *filter = NULL;
	bool memory = false;

	(void)state;
	rctl_rules("web", &l, &rules);
	for (size_t i = 0; i < rules.n; i++)
		memory = memory || str_eq(rules.at[i], "jail:web:memoryuse:deny=67108864");
	assert_true(memory);
	filter = rctl_filter("jail:web:pcpu:deny=150");
	assert_string_equal(filter, "jail:web:pcpu:deny");
}

static void
test_values(void **state)
{
	static const char text[] = "cputime=3,datasize=0,memoryuse=4096,vmemoryuse=9,pcpu=150";
	uint64_t v = 0;

	(void)state;
	assert_true(rctl_value(text, "memoryuse", &v));
	assert_int_equal(v, 4096);
	assert_true(rctl_value(text, "pcpu", &v));
	assert_int_equal(v, 150);
	assert_false(rctl_value(text, "maxproc", &v));
	assert_false(rctl_value("memoryuse=,x=", "memoryuse", &v));
	assert_false(rctl_value("", "x", &v));
}

static void
test_told(void **state)
{
	static const char text[] = "pid 3 (x), jid 1, uid 0, was killed: failed to reclaim memory\n"
				   "rctl: rule \"jail:web:memoryuse:log=67108864\" matched by pid "
				   "70 (awk), uid 0, jail web\n"
				   "rctl: rule \"jail:web2:memoryuse:log=67108864\" matched by pid "
				   "71 (awk), uid 0, jail web2\n"
				   "rctl: rule \"jail:web:memoryuse:log=67108864\" matched by pid "
				   "72 (awk), uid 0, jail web\n"
				   "rctl: rule \"jail:web:memoryuse:lo";

	const struct {
		const char *text, *jail, *last;
		int64_t found;
	} rows[] = {
		{ text, "web", "", 2 },
		{ text, "web2", "", 1 },
		{ text, "we", "", 0 },
		{ "", "web", "", 0 },
		/* what came after it */
		{ text, "web",
		    "rctl: rule \"jail:web:memoryuse:log=67108864\" matched by pid 70 (awk), uid "
		    "0, "
		    "jail web",
		    1 },
		{ text, "web2",
		    "rctl: rule \"jail:web2:memoryuse:log=67108864\" matched by pid 71 (awk), uid "
		    "0, "
		    "jail web2",
		    0 },
		/* it has been forgotten */
		{ text, "web", "rctl: rule \"jail:web:memoryuse:log=67108864\" matched by pid 1",
		    2 },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++) {
		char last[RCTL_LINE] = "";

		str_copy(last, sizeof(last), rows[i].last);
		assert_int_equal(rctl_told(rows[i].text, strlen(rows[i].text), rows[i].jail, last),
		    rows[i].found);
		assert_int_equal(
		    rctl_told(rows[i].text, strlen(rows[i].text), rows[i].jail, last), 0);
	}
}

static void
test_weights(void **state)
{
	struct limits l = { .cpu_shares = 500 };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(rctl_check(&l, &e), 0); /* comes with every task */
	l.shares_asked = true;
	l.io_weight = 10;
	assert_int_equal(rctl_check(&l, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "disks"));
	l.io_weight = 0;
	assert_int_equal(rctl_check(&l, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "processors"));
}

static void
test_kept(void **state)
{
	autorctl_run struct rctl_run r = RCTL_RUN_INIT, back = RCTL_RUN_INIT;
	autobuf struct buf text = BUF_INIT;
	struct err e;

	(void)state;
	(void)str_copy(r.jail, sizeof(r.jail), "web");
	(void)str_copy(r.cpus, sizeof(r.cpus), "0-1,3");
	names_add(&r.rules, "jail:web:pcpu:deny=10");
	r.jid = 7;
	rctl_run_write(&r, &text);
	assert_int_equal(rctl_run_parse(buf_str(&text), &back, &e), 0);
	assert_string_equal(back.jail, "web");
	assert_string_equal(back.cpus, "0-1,3");
	assert_int_equal(back.jid, 7);
	assert_int_equal(back.rules.n, 1);
	assert_int_equal(rctl_run_parse("jid -3\n", &back, &e), -1);
	assert_int_equal(rctl_run_parse("what\n", &back, &e), -1);
}

static void
test_cpus(void **state)
{
	autofree bool *from = xcalloc(CPUS_MAX, sizeof(*from));
	autofree bool *out = xcalloc(CPUS_MAX, sizeof(*out));
	autofree unsigned *used = xcalloc(CPUS_MAX, sizeof(*used));
	autobuf struct buf text = BUF_INIT;
	struct err e;

	(void)state;
	assert_int_equal(cpus_parse("0-3,8", from, &e), 5);
	used[0] = 2;
	used[1] = 1;
	cpus_least(from, used, 3, out);
	cpus_write(out, &text);
	assert_string_equal(buf_str(&text), "2-3,8");
	autofree char *command = rctl_cpuset("web", "1,3");
	assert_string_equal(command, "cpuset -l 1,3 -j web");
	assert_int_equal(cpus_parse("3-1", from, &e), -1);
	assert_int_equal(cpus_parse("1,", from, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
