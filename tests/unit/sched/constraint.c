#include "sched/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct arena mem;
static struct node node;

static int
setup(void **state)
{
	(void)state;
	node =
	    (struct node){ .id = "n-1", .name = "box", .datacenter = "dc1", .node_class = "big" };
	strmap_set(&node.attributes, &mem, "kernel.name", "linux");
	strmap_set(&node.attributes, &mem, "cpu.numcores", "8");
	strmap_set(&node.attributes, &mem, "load", "0.5");
	strmap_set(&node.attributes, &mem, "os.version", "12.4");
	strmap_set(&node.attributes, &mem, "driver.pot.version", "0.15.3");
	strmap_set(&node.attributes, &mem, "os.signals", "SIGHUP,SIGINT, SIGTERM");
	strmap_set(&node.attributes, &mem, "pre", "1.2.0-beta2");
	strmap_set(&node.meta, &mem, "rack", "r1");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_fini(&mem);
	return 0;
}

static const struct {
	const char *left, *operand, *right;
	bool holds;
} rows[] = {
	{ "${attr.kernel.name}", "=", "linux", true },
	{ "${attr.kernel.name}", "==", "linux", true },
	{ "${attr.kernel.name}", "is", "freebsd", false },
	{ "${attr.kernel.name}", "", "linux", true },
	{ "${attr.kernel.name}", "!=", "freebsd", true },
	{ "${attr.nothing}", "!=", "x", true },
	{ "${attr.nothing}", "not", "x", true },
	{ "${attr.nothing}", "=", "", false },
	{ "${attr.nothing}", "is_not_set", "", true },
	{ "${attr.nothing}", "is_set", "", false },
	{ "${meta.rack}", "is_set", "", true },
	{ "${node.datacenter}", "=", "dc1", true },
	{ "${node.unique.id}", "=", "n-1", true },
	{ "${node.unique.name}", "=", "box", true },
	{ "${node.class}", "=", "big", true },
	{ "literal", "=", "literal", true },
	{ "${node.nonsense}", "=", "x", false },
	{ "${attr.cpu.numcores}", ">", "10", false }, /* numbers, not text */
	{ "${attr.cpu.numcores}", ">=", "8", true },
	{ "${attr.cpu.numcores}", "<", "10", true },
	{ "${attr.load}", "<", "0.75", true },
	{ "${attr.load}", "<=", "0.5", true },
	{ "${meta.rack}", "<", "r2", true }, /* text */
	{ "${meta.rack}", ">", "r2", false },
	{ "${attr.os.version}", "regexp", "^12\\.\\d+$", true },
	{ "${attr.os.version}", "regexp", "^13", false },
	{ "${attr.os.version}", "regexp", "(", false },
	{ "${meta.rack}", "regexp", "^\\w+$", true },
	{ "${attr.os.version}", "version", ">= 12.0, < 13", true },
	{ "${attr.os.version}", "version", "> 12.4", false },
	{ "${attr.driver.pot.version}", "version", "~> 0.15", true },
	{ "${attr.driver.pot.version}", "version", "~> 0.15.1", true },
	{ "${attr.driver.pot.version}", "version", "~> 0.14.1", false },
	{ "${attr.driver.pot.version}", "semver", ">= 0.15.3", true },
	{ "${attr.os.version}", "semver", ">= 12.0.0", false }, /* "12.4" is none */
	{ "${attr.pre}", "version", ">= 1.0", false },
	{ "${attr.pre}", "version", ">= 1.2.0-beta1", true },
	{ "${attr.pre}", "semver", ">= 1.0.0", true },
	{ "${attr.kernel.name}", "version", ">= 1", false },
	{ "${attr.os.signals}", "set_contains", "SIGTERM", true },
	{ "${attr.os.signals}", "set_contains", "SIGTERM, SIGHUP", true },
	{ "${attr.os.signals}", "set_contains_all", "SIGTERM,SIGUSR1", false },
	{ "${attr.os.signals}", "set_contains_any", "SIGUSR1,SIGINT", true },
	{ "${attr.os.signals}", "set_contains_any", "SIGUSR1,SIG", false },
	{ NULL, "distinct_hosts", "true", true }, /* not about the node */
	{ "${attr.kernel.name}", "no such operator", "linux", false },
};

static void
each_operator_means_what_the_reference_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++)
		if (sched_constraint(&node, rows[i].left, rows[i].operand, rows[i].right) !=
		    rows[i].holds)
			fail_msg("%s %s %s: expected %s", rows[i].left, rows[i].operand,
			    rows[i].right, rows[i].holds ? "true" : "false");
}

static const struct {
	const char *version, *constraints;
	bool semver, holds;
} versions[] = {
	{ "1.2.3", "1.2.3", false, true },
	{ "v1.2.3", "= 1.2.3", false, true },
	{ "1.2", "1.2.0", false, true },
	{ "1.2.3", "!= 1.2.3", false, false },
	{ "1.2.3", "~> 1", false, true },
	{ "2.0", "~> 1.2", false, false },
	{ "1.2.3", ">= 1.2, < 1.2.3", false, false },
	{ "1.2.3+build", "1.2.3", false, true },
	{ "1.0.0-alpha", "< 1.0.0", true, true },
	{ "1.0.0-alpha.1", "> 1.0.0-alpha", true, true },
	{ "1.0.0-alpha.beta", "> 1.0.0-alpha.1", true, true },
	{ "1.0.0-rc.11", "> 1.0.0-rc.2", true, true },
	{ "01.0.0", ">= 1.0.0", true, false },
	{ "1.0.0", "~> 1.0.0", true, false },
	{ "", "1", false, false },
	{ "1", "", false, false },
	{ "1..2", "1", false, false },
	{ "1.2.3 x", "1.2.3", false, false },
	{ "1.2.3", ">= 1.2.3,", false, false },
	{ "99999999999999999999.1", "> 1", false, true },
};

static void
versions_are_compared_by_their_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(versions); i++)
		if (sched_version_matches(versions[i].version, versions[i].constraints,
			versions[i].semver) != versions[i].holds)
			fail_msg("%s against %s: expected %s", versions[i].version,
			    versions[i].constraints, versions[i].holds ? "true" : "false");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    each_operator_means_what_the_reference_says, setup, teardown),
		cmocka_unit_test(versions_are_compared_by_their_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
