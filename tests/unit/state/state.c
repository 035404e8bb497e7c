#include "state/command.h"
#include "state/state.h"

#include "base/map.h"
#include "base/str.h"
#include "job/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint64_t next_index;

static int
try(struct state *s, const char *json, struct err *e)
{
	return state_apply(s, ++next_index, "test", json, strlen(json), e);
}

static void
apply(struct state *s, const char *json)
{
	struct err e = ERR_INIT;

	if (try(s, json, &e) < 0)
		fail_msg("%s", e.text);
}

#define JOB(id, extra)                                                                             \
	"\"Job\":{\"ID\":\"" id "\",\"Name\":\"" id "\",\"Namespace\":\"default\",\"Type\":"       \
	"\"service\",\"TaskGroups\":[{\"Name\":\"g\",\"Count\":2}]" extra "}"
#define EVAL(id, job, status)                                                                      \
	"\"Evals\":[{\"ID\":\"" id "\",\"Namespace\":\"default\",\"JobID\":\"" job "\","           \
	"\"Status\":\"" status "\",\"QueuedAllocations\":{\"g\":0}}]"
#define ALLOC(id, version)                                                                         \
	"{\"ID\":\"" id "\",\"Namespace\":\"default\",\"JobID\":\"web\",\"TaskGroup\":\"g\","      \
	"\"NodeID\":\"n1\",\"EvalID\":\"e1\",\"DeploymentID\":\"d1\",\"JobVersion\":" version ","  \
	"\"AllocatedResources\":{\"Tasks\":{\"t\":{\"Cpu\":{\"CpuShares\":100},\"Memory\":{"       \
	"\"MemoryMB\":64}}},\"Shared\":{\"DiskMB\":300}}}"

static struct state *
fresh(void)
{
	next_index = 0;
	return state_new();
}

static struct state *
running(void)
{
	struct state *s = fresh();

	apply(s, "{\"Now\":1000," JOB("web", "") "," EVAL("e1", "web", "pending") "}");
	apply(s, "{\"Now\":2000,\"Node\":{\"ID\":\"n1\",\"SecretID\":\"s\",\"Status\":\"ready\","
		 "\"HTTPAddr\":\"10.0.0.1:4646\",\"Datacenter\":\"dc1\",\"Attributes\":{"
		 "\"unique.x\":\"1\"}}}");
	apply(s, "{\"Now\":3000,\"Deployment\":{\"ID\":\"d1\",\"Namespace\":\"default\",\"JobID\":"
		 "\"web\",\"JobCreateIndex\":1,\"Status\":\"running\",\"TaskGroups\":{\"g\":{"
		 "\"DesiredTotal\":2,\"ProgressDeadline\":500}}},\"Allocs\":[" ALLOC(
		     "a1", "0") "," ALLOC("a2", "0") "]," EVAL("e1", "web", "complete") "}");
	return s;
}

static void
a_job_is_pending_then_running_then_dead(void **state)
{
	struct state *s = running();

	(void)state;
	const struct job *job = state_job(s, "default", "web");
	assert_string_equal(job->status, "running");
	assert_int_equal(job->create_index, 1);
	assert_int_equal(job->job_modify_index, 1);
	assert_int_equal(job->modify_index, 3);
	apply(s, "{\"Now\":4000,\"ClientAllocs\":[{\"ID\":\"a1\",\"ClientStatus\":\"complete\"},"
		 "{\"ID\":\"a2\",\"ClientStatus\":\"failed\"}]}");
	job = state_job(s, "default", "web");
	assert_string_equal(job->status, "dead");
	const struct group_summary *g =
	    objmap_get(&state_job_summary(s, "default", "web")->summary, "g");
	assert_int_equal(g->complete, 1);
	assert_int_equal(g->failed, 1);
	assert_int_equal(g->running, 0);
	state_free(s);
}

static void
an_allocation_keeps_the_version_that_it_runs(void **state)
{
	struct state *s = running();
	struct err e = ERR_INIT;

	(void)state;
	apply(s, "{\"Now\":4000," JOB("web", ",\"Meta\":{\"v\":\"2\"}") "}");
	assert_int_equal(state_job(s, "default", "web")->version, 1);
	assert_int_equal(state_alloc(s, "a1")->job->version, 0);
	assert_int_equal(state_alloc(s, "a1")->job->meta.n, 0);
	assert_int_equal(state_alloc(s, "a1")->alloc_modify_index, 3);
	apply(s, "{\"Now\":5000,\"ClientAllocs\":[{\"ID\":\"a1\",\"ClientStatus\":\"running\"}]}");
	apply(s, "{\"Now\":6000,\"Allocs\":[" ALLOC("a1", "1") "]}");
	assert_int_equal(state_alloc(s, "a1")->job->meta.n, 1);
	assert_string_equal(state_alloc(s, "a1")->client_status, "running");
	assert_int_equal(state_alloc(s, "a1")->create_index, 3);
	assert_int_equal(state_alloc(s, "a1")->alloc_modify_index, 6);
	assert_int_equal(try(s, "{\"Allocs\":[" ALLOC("a9", "7") "]}", &e), -1);
	assert_non_null(strstr(e.text, "version 7"));
	assert_null(state_alloc(s, "a9"));
	assert_int_equal(state_index(s), 6);
	state_free(s);
}

static void
six_versions_are_kept_and_the_stable_one_among_them(void **state)
{
	struct state *s = fresh();

	(void)state;
	apply(s, "{" JOB("web", "") "}");
	apply(s, "{\"JobStables\":[{\"Namespace\":\"default\",\"ID\":\"web\",\"Version\":0,"
		 "\"Stable\":true}]}");
	assert_true(state_job(s, "default", "web")->stable);
	for (int i = 0; i < 9; i++)
		apply(s, "{" JOB("web", "") "}");
	autorows struct rows v = state_job_versions(s, "default", "web");
	assert_int_equal(v.n, 6);
	assert_int_equal(((const struct job *)v.at[0])->version, 9);
	assert_int_equal(((const struct job *)v.at[4])->version, 5);
	assert_int_equal(((const struct job *)v.at[5])->version, 0);
	state_free(s);
}

static void
a_deployment_counts_its_allocations_and_its_deadline_moves(void **state)
{
	struct state *s = running();

	(void)state;
	const struct deployment *d = state_job_deployment(s, "default", "web");
	const struct deployment_group *g = objmap_get(&d->task_groups, "g");
	assert_int_equal(g->placed_allocs, 2);
	assert_int_equal(g->require_progress_by, 3500);
	apply(s, "{\"Now\":4000,\"ClientAllocs\":[{\"ID\":\"a1\",\"ClientStatus\":\"running\","
		 "\"DeploymentStatus\":{\"Healthy\":true}},{\"ID\":\"a2\",\"ClientStatus\":"
		 "\"running\",\"DeploymentStatus\":{\"Healthy\":false}}]}");
	g = objmap_get(&state_deployment(s, "d1")->task_groups, "g");
	assert_int_equal(g->healthy_allocs, 1);
	assert_int_equal(g->unhealthy_allocs, 1);
	assert_int_equal(g->require_progress_by, 4500);
	assert_int_equal(alloc_health(state_alloc(s, "a1")), 1);
	assert_int_equal(alloc_health(state_alloc(s, "a2")), 0);
	apply(
	    s, "{\"Now\":5000,\"DeploymentUpdates\":[{\"ID\":\"d1\",\"Status\":\"successful\"}]}");
	assert_true(state_job(s, "default", "web")->stable);
	state_free(s);
}

static void
services_go_with_their_allocation_and_their_node(void **state)
{
	struct state *s = running();

	(void)state;
	apply(s,
	    "{\"Services\":[{\"ID\":\"s1\",\"ServiceName\":\"w\",\"NodeID\":\"n1\",\"AllocID\":"
	    "\"a1\"},{\"ID\":\"s2\",\"ServiceName\":\"w\",\"NodeID\":\"n1\",\"AllocID\":\"a2\"},"
	    "{\"ID\":\"s3\",\"ServiceName\":\"w\",\"NodeID\":\"n1\",\"AllocID\":\"unknown\"}]}");
	autorows struct rows two = state_named_services(s, "w");
	assert_int_equal(two.n, 2);
	apply(s, "{\"AllocStops\":[{\"ID\":\"a1\",\"Description\":\"x\"}]}");
	assert_null(state_service(s, "s1"));
	assert_non_null(state_service(s, "s2"));
	assert_int_equal(state_named_services_index(s, "w"), 5);
	apply(s, "{\"NodeUpdates\":[{\"ID\":\"n1\",\"Status\":\"down\"}]}");
	assert_null(state_service(s, "s2"));
	apply(s, "{\"Services\":[{\"ID\":\"s1\",\"ServiceName\":\"w\",\"AllocID\":\"a1\"}]}");
	assert_null(state_service(s, "s1")); /* its allocation is stopped */
	state_free(s);
}

static void
legacy_resources_and_addresses_are_filled_in(void **state)
{
	struct state *s = running();

	(void)state;
	const struct alloc *a = state_alloc(s, "a1");
	assert_int_equal(a->resources->cpu, 100);
	assert_int_equal(a->resources->disk_mb, 300);
	const struct resources *t = objmap_get(&a->task_resources, "t");
	assert_int_equal(t->memory_mb, 64);
	const struct node *n = state_node(s, "n1");
	assert_string_equal(n->address, "10.0.0.1");
	assert_string_equal(n->scheduling_eligibility, "eligible");
	assert_non_null(n->reserved_resources);
	char *class = strdup(n->computed_class);
	apply(s,
	    "{\"Node\":{\"ID\":\"n1\",\"Status\":\"ready\",\"Datacenter\":\"dc1\",\"Attributes\":{"
	    "\"unique.x\":\"2\"}}}");
	assert_string_equal(state_node(s, "n1")->computed_class, class);
	assert_int_equal(state_node(s, "n1")->create_index, 2);
	apply(s, "{\"Node\":{\"ID\":\"n1\",\"Status\":\"ready\",\"Datacenter\":\"dc2\"}}");
	assert_string_not_equal(state_node(s, "n1")->computed_class, class);
	free(class);
	state_free(s);
}

/* ---- watches ---- */

static void
count_call(void *ctx)
{
	++*(int *)ctx;
}

static void
a_watch_fires_once_for_its_row_and_can_be_cancelled(void **state)
{
	struct state *s = running();
	int table = 0, row = 0, other = 0, node = 0, never = 0;

	(void)state;
	struct state_watch *w[5] = {
		state_watch(s, STATE_ALLOCS, NULL, count_call, &table),
		state_watch(s, STATE_ALLOCS, "a1", count_call, &row),
		state_watch(s, STATE_ALLOCS, "a2", count_call, &other),
		state_watch_node_allocs(s, "n1", count_call, &node),
		state_watch(s, STATE_ALLOCS, "a1", count_call, &never),
	};
	state_watch_cancel(&w[4]);
	assert_null(w[4]);
	for (int i = 0; i < 2; i++)
		apply(s, "{\"ClientAllocs\":[{\"ID\":\"a1\",\"ClientStatus\":\"running\"}]}");
	assert_int_equal(table, 1);
	assert_int_equal(row, 1);
	assert_int_equal(other, 0);
	assert_int_equal(node, 1);
	assert_int_equal(never, 0);
	state_watch_cancel(&w[2]);
	(void)state_watch(s, STATE_JOBS, "default/web", count_call, &never);
	state_free(s);
}

static void
rows_outlive_their_table_while_somebody_counts_on_them(void **state)
{
	struct state *s = running();

	(void)state;
	const struct alloc *a = ROW_REF(state_alloc(s, "a1"));
	apply(s, "{\"Deletion\":{\"Allocs\":[\"a1\"],\"Jobs\":[\"default/web\"]}}");
	assert_null(state_alloc(s, "a1"));
	assert_null(state_job(s, "default", "web"));
	assert_null(state_job_summary(s, "default", "web"));
	state_free(s);
	assert_string_equal(a->job->id, "web");
	row_unref(a);
}

static void
prefixes_ignore_hyphens_in_ids(void **state)
{
	struct state *s = fresh();

	(void)state;
	apply(s, "{\"Evals\":[{\"ID\":\"0123abcd-0000-4000-8000-000000000002\",\"JobID\":\"j\"},"
		 "{\"ID\":\"0123abcd-0000-4000-8000-000000000001\",\"JobID\":\"j\"},"
		 "{\"ID\":\"ffffffff-0000-4000-8000-000000000001\",\"JobID\":\"j\"}]}");
	autorows struct rows r = state_list(s, STATE_EVALS, "0123abcd00004");
	assert_int_equal(r.n, 2);
	assert_true(str_ends(((const struct eval *)r.at[0])->id, "1"));
	autorows struct rows none = state_list(s, STATE_EVALS, "0123abcd00005");
	assert_int_equal(none.n, 0);
	state_free(s);
}

/* ---- snapshots ---- */

struct copy {
	struct state *to;
	struct buf all;
	bool restore;
};

static int
take_row(void *ctx, const char *table, const char *json, size_t len, struct err *e)
{
	struct copy *c = ctx;

	buf_addf(&c->all, "%s %.*s\n", table, (int)len, json);
	return c->restore ? state_restore_row(c->to, table, json, len, e) : 0;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
sorted_dump(struct state *s)
{
	struct copy c = { .all = BUF_INIT };
	struct err e = ERR_INIT;
	autoarena struct arena mem = ARENA_INIT;
	struct buf out = BUF_INIT;
	size_t n;

	assert_int_equal(state_dump(s, take_row, &c, &e), 0);
	char **lines = str_split(&mem, buf_str(&c.all), '\n', &n);
	qsort(lines, n, sizeof(lines[0]), by_text);
	for (size_t i = 0; i < n; i++)
		buf_addf(&out, "%s\n", lines[i]);
	buf_fini(&c.all);
	return buf_take(&out);
}

static void
a_snapshot_restores_the_same_state(void **state)
{
	struct state *s = running();
	struct copy c = { .to = state_new(), .all = BUF_INIT, .restore = true };
	struct err e = ERR_INIT;

	(void)state;
	apply(s,
	    "{\"Services\":[{\"ID\":\"s1\",\"ServiceName\":\"w\",\"NodeID\":\"n1\",\"AllocID\":"
	    "\"a1\"}],\"ClientAllocs\":[{\"ID\":\"a1\",\"ClientStatus\":\"running\","
	    "\"DeploymentStatus\":{\"Healthy\":false}}]}");
	apply(s, "{\"JobStops\":[{\"Namespace\":\"default\",\"ID\":\"web\",\"Purge\":true}]}");
	apply(s, "{" JOB("web", "") "}"); /* version 0 again, but another job */
	if (state_dump(s, take_row, &c, &e) < 0)
		fail_msg("%s", e.text);
	state_restore_done(c.to, state_index(s));
	autofree char *before = sorted_dump(s), *after = sorted_dump(c.to);
	size_t at = 0;
	while (before[at] != '\0' && before[at] == after[at])
		at++;
	size_t from = at > 80 ? at - 80 : 0;
	if (before[at] != after[at])
		fail_msg("%.160s … became %.160s", before + from, after + from);
	assert_int_equal(state_alloc(c.to, "a1")->job->create_index, 1);
	assert_int_equal(state_job(c.to, "default", "web")->create_index, 6);
	assert_int_equal(state_table_index(c.to, STATE_NODES), 2);
	assert_int_equal(alloc_health(state_alloc(c.to, "a1")), 0);
	struct state *again = c.to; /* an allocation that brought its job changes like others */
	assert_int_equal(
	    state_apply(again, state_index(again) + 1, "t",
		"{\"ClientAllocs\":[{\"ID\":\"a1\",\"ClientStatus\":\"failed\"}]}", 54, &e),
	    0);
	assert_string_equal(state_alloc(again, "a1")->job->id, "web");
	buf_fini(&c.all);
	state_free(c.to);
	state_free(s);
}

static void
what_is_no_command_changes_nothing(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{\"Job\":{}}", "{\"Evals\":[{}]}",
		"{\"Node\":{\"ID\":7}}", "{\"Deployment\":{}}", "{\"Allocs\":[{\"ID\":\"a\"}]}" };
	struct state *s = fresh();
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < NELEM(bad); i++)
		if (try(s, bad[i], &e) == 0)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(state_index(s), 0);
	assert_int_equal(state_table_index(s, STATE_EVALS), 1);
	state_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_is_pending_then_running_then_dead),
		cmocka_unit_test(an_allocation_keeps_the_version_that_it_runs),
		cmocka_unit_test(six_versions_are_kept_and_the_stable_one_among_them),
		cmocka_unit_test(a_deployment_counts_its_allocations_and_its_deadline_moves),
		cmocka_unit_test(services_go_with_their_allocation_and_their_node),
		cmocka_unit_test(legacy_resources_and_addresses_are_filled_in),
		cmocka_unit_test(a_watch_fires_once_for_its_row_and_can_be_cancelled),
		cmocka_unit_test(rows_outlive_their_table_while_somebody_counts_on_them),
		cmocka_unit_test(prefixes_ignore_hyphens_in_ids),
		cmocka_unit_test(a_snapshot_restores_the_same_state),
		cmocka_unit_test(what_is_no_command_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
