/*
 * change.c, diff.c: comparing jobs.
 */
#include "job/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char base[] =
    "{\"ID\":\"web\",\"Datacenters\":[\"dc1\"],\"Meta\":{\"owner\":\"me\"},\"TaskGroups\":[{"
    "\"Name\":\"g\",\"Count\":2,"
    "\"Networks\":[{\"DynamicPorts\":[{\"Label\":\"http\"}]}],"
    "\"Tasks\":[{\"Name\":\"t\",\"Driver\":\"pot\",\"Config\":{\"image\":\"a\",\"args\":[\"x\","
    "\"y\"]},"
    "\"Env\":{\"A\":\"1\"},\"Resources\":{\"CPU\":100,\"MemoryMB\":64},"
    "\"Services\":[{\"Name\":\"web\",\"PortLabel\":\"http\",\"Tags\":[\"a\",\"b\"],\"Checks\":[{"
    "\"Name\":\"c\","
    "\"Type\":\"tcp\",\"Interval\":5000000000,\"Timeout\":2000000000}]}]}]}]}";

static struct job *
job_of(struct arena *a, const char *text)
{
	struct err e = ERR_INIT;
	struct job *j = NULL;

	if (job_parse_json(text, strlen(text), a, &j, &e) < 0)
		fail_msg("%s", e.text);
	job_canonicalize(j, a);
	return j;
}

/* The base with one piece of text replaced. */
static struct job *
changed(struct arena *a, const char *from, const char *to)
{
	const char *at = strstr(base, from);

	if (at == NULL)
		fail_msg("no %s", from);
	return job_of(
	    a, arena_printf(a, "%.*s%s%s", (int)(at - base), base, to, at + strlen(from)));
}

static void
what_runs_is_replaced_only_when_it_must(void **state)
{
	static const struct {
		const char *from, *to;
		bool changed, replaced;
	} rows[] = {
		{ "\"ID\"", "\"Version\":7,\"Status\":\"running\",\"ModifyIndex\":9,\"ID\"", false,
		    false },
		{ "\"Count\":2", "\"Count\":3", true, false },
		{ "\"pot\"", "\"raw_exec\"", true, true },
		{ "\"image\":\"a\"", "\"image\":\"b\"", true, true },
		{ "{\"image\":\"a\",\"args\":[\"x\",\"y\"]}",
		    "{\"args\":[\"x\",\"y\"],\"image\":\"a\"}", false, false },
		{ "\"A\":\"1\"", "\"A\":\"2\"", true, true },
		{ "\"CPU\":100", "\"CPU\":200", true, true },
		{ "\"Label\":\"http\"", "\"Label\":\"http\",\"To\":80", true, true },
		{ "[\"a\",\"b\"]", "[\"a\"]", true, false },
		{ "\"Interval\":5000000000", "\"Interval\":6000000000", true, false },
		{ "\"Driver\"", "\"KillTimeout\":9000000000,\"Driver\"", true, false },
		{ "\"owner\":\"me\"", "\"owner\":\"you\"", true, true },
		{ "\"Driver\"", "\"Meta\":{\"owner\":\"me\"},\"Driver\"", true, true },
		{ "\"Name\":\"g\"", "\"Name\":\"g\",\"RestartPolicy\":{\"Attempts\":5}", true,
		    false },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(rows); i++) {
		autoarena struct arena a = ARENA_INIT;
		struct job *x = job_of(&a, base), *y = changed(&a, rows[i].from, rows[i].to);

		if (job_spec_changed(x, y) != rows[i].changed ||
		    job_tasks_updated(x, y, "g") != rows[i].replaced)
			fail_msg("%s -> %s: changed %d, replaced %d", rows[i].from, rows[i].to,
			    job_spec_changed(x, y), job_tasks_updated(x, y, "g"));
	}
}

static const char *
diff_text(struct arena *a, const struct job *x, const struct job *y, bool contextual,
    const struct group_updates *u)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);
	struct job_diff *d = job_diff(x, y, contextual, a);

	if (u != NULL)
		job_diff_annotate(d, "g", u, a);
	model_to_json(&job_diff_model, d, &w);
	return arena_strdup(a, buf_str(&out));
}

static void
the_same_job_has_no_differences(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *x = job_of(&a, base), *y = job_of(&a, base);

	(void)state;
	assert_string_equal(diff_text(&a, x, y, true, NULL),
	    "{\"Type\":\"None\",\"ID\":\"web\",\"Fields\":null,\"Objects\":null,\"TaskGroups\":[{"
	    "\"Type\":\"None\",\"Name\":"
	    "\"g\",\"Fields\":null,\"Objects\":null,\"Tasks\":[{\"Type\":\"None\",\"Name\":\"t\","
	    "\"Fields\":null,\"Objects\":"
	    "null,\"Annotations\":null}],\"Updates\":null}]}");
}

static void
a_new_count_forces_allocations(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct group_updates u = { .ignore = 2, .place = 1 };

	(void)state;
	assert_string_equal(
	    diff_text(&a, job_of(&a, base), changed(&a, "\"Count\":2", "\"Count\":3"), true, &u),
	    "{\"Type\":\"Edited\",\"ID\":\"web\",\"Fields\":null,\"Objects\":null,\"TaskGroups\":[{"
	    "\"Type\":\"Edited\",\"Name\":"
	    "\"g\",\"Fields\":[{\"Type\":\"Edited\",\"Name\":\"Count\",\"Old\":\"2\",\"New\":\"3\","
	    "\"Annotations\":[\"forces "
	    "create\"]}],\"Objects\":null,\"Tasks\":[{\"Type\":\"None\",\"Name\":\"t\",\"Fields\":"
	    "null,\"Objects\":null,"
	    "\"Annotations\":null}],\"Updates\":{\"ignore\":2,\"create\":1}}]}");
}

static void
objects_are_paired_by_name_and_shown_with_context(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct group_updates u = { .in_place = 2 };
	const char *text = diff_text(&a, job_of(&a, base),
	    changed(&a, "\"Interval\":5000000000", "\"Interval\":6000000000"), true, &u);

	(void)state;
	assert_non_null(strstr(text, "{\"Type\":\"Edited\",\"Name\":\"Service\""));
	assert_non_null(strstr(text, "{\"Type\":\"Edited\",\"Name\":\"Check\""));
	assert_non_null(strstr(text, "{\"Type\":\"Edited\",\"Name\":\"Interval\",\"Old\":"
				     "\"5000000000\",\"New\":\"6000000000\""));
	assert_non_null(strstr(text, "{\"Type\":\"None\",\"Name\":\"Timeout\",\"Old\":"
				     "\"2000000000\",\"New\":\"2000000000\""));
	assert_non_null(strstr(text, "\"Annotations\":[\"forces in-place update\"]"));
}

static void
config_is_compared_by_path(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct group_updates u = { .destructive = 2 };
	const char *text = diff_text(
	    &a, job_of(&a, base), changed(&a, "[\"x\",\"y\"]", "[\"x\",\"z\"]"), false, &u);

	(void)state;
	assert_non_null(
	    strstr(text, "{\"Type\":\"Edited\",\"Name\":\"Config\",\"Fields\":[{\"Type\":"
			 "\"Edited\",\"Name\":\"args[1]\",\"Old\":\"y\",\"New\":"
			 "\"z\",\"Annotations\":null}]"));
	assert_non_null(strstr(text, "\"Annotations\":[\"forces create/destroy update\"]"));
	assert_non_null(strstr(text, "\"Updates\":{\"create/destroy update\":2}"));
}

static void
new_and_stopped_jobs(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct job *x = job_of(&a, base);
	const char *text = diff_text(&a, NULL, x, true, NULL);

	(void)state;
	assert_non_null(strstr(text, "{\"Type\":\"Added\",\"ID\":\"web\""));
	assert_non_null(
	    strstr(text, "{\"Type\":\"Added\",\"Name\":\"Priority\",\"Old\":\"\",\"New\":\"50\""));
	assert_non_null(strstr(text, "{\"Type\":\"Added\",\"Name\":\"Datacenters\""));
	assert_non_null(strstr(text, "{\"Type\":\"Added\",\"Name\":\"Dynamic Port\""));
	text = diff_text(&a, x, NULL, false, NULL);
	assert_non_null(strstr(text, "{\"Type\":\"Deleted\",\"ID\":\"web\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_runs_is_replaced_only_when_it_must),
		cmocka_unit_test(the_same_job_has_no_differences),
		cmocka_unit_test(a_new_count_forces_allocations),
		cmocka_unit_test(objects_are_paired_by_name_and_shown_with_context),
		cmocka_unit_test(config_is_compared_by_path),
		cmocka_unit_test(new_and_stopped_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
