#include "sched/sched.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SEC 1000000000LL

static struct state *st;
static struct arena mem;
static uint64_t applied;
static int64_t now = 1000 * SEC;

static void
apply(const char *fmt, ...)
{
	struct err e = ERR_INIT;
	autobuf struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	char *text = NULL;
	assert_true(vasprintf(&text, fmt, ap) > 0);
	va_end(ap);
	buf_adds(&b, text);
	free(text);
	if (state_apply(st, ++applied, "test", buf_str(&b), b.len, &e) < 0)
		fail_msg("%s: %s", e.text, buf_str(&b));
}

static int
setup(void **state)
{
	(void)state;
	st = state_new();
	applied = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	state_free(st);
	arena_fini(&mem);
	return 0;
}

static void
add_node(const char *id, const char *extra)
{
	apply(
	    "{\"Now\":1,\"Node\":{\"ID\":\"%s\",\"SecretID\":\"s\",\"Name\":\"%s\",\"Datacenter\":"
	    "\"dc1\",\"Status\":\"ready\",\"NodeClass\":\"c\",\"NodeResources\":{\"Cpu\":{"
	    "\"CpuShares\":1000},\"Memory\":{\"MemoryMB\":1000},\"Disk\":{\"DiskMB\":10000},"
	    "\"Networks\":[{\"Mode\":\"host\",\"Device\":\"e0\",\"IP\":\"10.0.0.9\"}]},\"Drivers\":"
	    "{\"pot\":{\"Detected\":true,\"Healthy\":true}}%s}}",
	    id, id, extra);
}

/* One group "g" with one task; its members, the group's and the job's as further JSON. */
static void
put_job(int count, const char *resources, const char *group, const char *job)
{
	autofree char *text = xasprintf(
	    "{\"ID\":\"j\",\"Name\":\"j\",\"Type\":\"service\",\"Datacenters\":[\"dc1\"],"
	    "\"TaskGroups\":[{\"Name\":\"g\",\"Count\":%d,\"EphemeralDisk\":{\"SizeMB\":100},"
	    "\"Tasks\":[{\"Name\":\"t\",\"Driver\":\"pot\",\"Config\":{\"tag\":\"1\"},"
	    "\"Resources\":{%s}}]%s}]%s}",
	    count, resources[0] ? resources : "\"CPU\":100,\"MemoryMB\":100", group, job);
	struct job *j;
	struct err e = ERR_INIT;
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	if (job_parse_json(text, strlen(text), &mem, &j, &e) < 0)
		fail_msg("%s: %s", e.text, text);
	job_canonicalize(j, &mem);
	model_to_json(&job_model, j, &w);
	apply("{\"Now\":2,\"Job\":%s}", buf_str(&out));
}

static struct plan *
plan_seeded(uint64_t seed)
{
	static const struct eval ev = { .id = "eval",
		.namespace = "default",
		.job_id = "j",
		.type = "service",
		.priority = 50,
		.status = "pending" };
	struct sched_input in = { .state = st, .eval = &ev, .now = now, .seed = { seed, 7 } };
	struct plan *p = NULL;
	struct err e = ERR_INIT;

	if (sched_run(&in, &mem, &p, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(sched_verify(st, p, &mem), 0);
	return p;
}

static struct plan *
plan(void)
{
	static uint64_t seed; /* ids are made of it */

	return plan_seeded(++seed);
}

static void
commit(const struct plan *p)
{
	struct command c = { .now = now,
		.deployment = p->deployment,
		.deployment_updates = p->deployment_updates,
		.alloc_stops = p->stops,
		.allocs = p->allocs };
	autobuf struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	command_encode(&c, &out);
	if (state_apply(st, ++applied, "plan", buf_str(&out), out.len, &e) < 0)
		fail_msg("%s", e.text);
}

static void
all_say(const char *status, const char *health)
{
	autorows struct rows list = state_job_allocs(st, "default", "j");

	for (size_t i = 0; i < list.n; i++)
		if (!alloc_terminal(list.at[i])) {
			/* the row is replaced by the change that names it */
			autofree char *id = xstrdup(((const struct alloc *)list.at[i])->id);
			apply("{\"Now\":%lld,\"ClientAllocs\":[{\"ID\":\"%s\",\"ClientStatus\":\"%"
			      "s\"%s}]}",
			    (long long)now, id, status, health);
		}
}

#define HEALTHY ",\"DeploymentStatus\":{\"Healthy\":true}"

static const struct alloc_metric *
failure(const struct plan *p)
{
	return objmap_get(&p->failed, "g");
}

static void
expect_failure(const struct plan *p, const char *filtered, const char *exhausted)
{
	const struct alloc_metric *m = failure(p);

	assert_non_null(m);
	if (filtered != NULL && intmap_get(&m->constraint_filtered, filtered) == NULL)
		fail_msg("not filtered by %s but by %s", filtered,
		    m->constraint_filtered.n > 0 ? m->constraint_filtered.key[0] : "nothing");
	if (exhausted != NULL && intmap_get(&m->dimension_exhausted, exhausted) == NULL)
		fail_msg("not exhausted in %s but in %s", exhausted,
		    m->dimension_exhausted.n > 0 ? m->dimension_exhausted.key[0] : "nothing");
}

/* ---- placing ---- */

static void
the_same_input_gives_the_same_plan(void **state)
{
	struct buf text[3] = { BUF_INIT, BUF_INIT, BUF_INIT };

	(void)state;
	for (int i = 0; i < 5; i++) {
		char id[4] = { 'n', (char)('0' + i), 0 };
		add_node(id, "");
	}
	put_job(4,
	    "\"CPU\":100,\"MemoryMB\":100,\"Networks\":[{\"DynamicPorts\":[{\"Label\":\"p\"}]}]",
	    "", "");
	for (int i = 0; i < 3; i++) {
		const struct plan *p = plan_seeded(i < 2 ? 5 : 6);
		struct jsonw w = JSONW_INIT(&text[i]);
		assert_int_equal(p->allocs.n, 4);
		for (size_t k = 0; k < 4; k++)
			model_to_json(&alloc_bare_model, p->allocs.at[k], &w);
	}
	assert_string_equal(buf_str(&text[0]), buf_str(&text[1]));
	assert_string_not_equal(buf_str(&text[0]), buf_str(&text[2]));
	for (int i = 0; i < 3; i++)
		buf_fini(&text[i]);
}

static void
a_node_is_filled_before_the_next_but_groups_are_spread(void **state)
{
	(void)state;
	add_node("n1", "");
	add_node("n2", "");
	put_job(2, "", "", "");
	const struct plan *p = plan();
	assert_int_equal(p->allocs.n, 2);
	/* anti-affinity outweighs packing for allocations of one group */
	assert_string_not_equal(
	    ((struct alloc *)p->allocs.at[0])->node_id, ((struct alloc *)p->allocs.at[1])->node_id);
	const struct alloc_metric *m = ((struct alloc *)p->allocs.at[1])->metrics;
	assert_int_equal(m->nodes_evaluated, 2);
	assert_true(m->score_meta_data.n == 2);
	const struct node_score *best = m->score_meta_data.at[0];
	assert_string_equal(best->node_id, ((struct alloc *)p->allocs.at[1])->node_id);
}

static void
each_dimension_that_is_short_is_named(void **state)
{
	static const struct {
		const char *resources, *group, *dimension;
	} rows[] = {
		{ "\"CPU\":2000,\"MemoryMB\":10", "", "cpu" },
		{ "\"CPU\":10,\"MemoryMB\":2000", "", "memory" },
		{ "\"CPU\":10,\"MemoryMB\":10", ",\"EphemeralDisk\":{\"SizeMB\":20000}", "disk" },
		{ "\"CPU\":10,\"MemoryMB\":10",
		    ",\"Networks\":[{\"ReservedPorts\":[{\"Label\":\"h\",\"Value\":22}]}]",
		    "network: reserved port collision h=22" },
	};

	(void)state;
	add_node(
	    "n1", ",\"ReservedResources\":{\"Networks\":{\"ReservedHostPorts\":\"20-25,80\"}}");
	for (size_t i = 0; i < NELEM(rows); i++) {
		put_job(1, rows[i].resources, rows[i].group, "");
		const struct plan *p = plan();
		expect_failure(p, NULL, rows[i].dimension);
		assert_int_equal(failure(p)->nodes_exhausted, 1);
		assert_int_equal(*intmap_get(&failure(p)->class_exhausted, "c"), 1);
		assert_int_equal(p->allocs.n, 0);
	}
}

static void
reservations_are_taken_off(void **state)
{
	(void)state;
	add_node("n1", ",\"ReservedResources\":{\"Memory\":{\"MemoryMB\":950}}");
	put_job(1, "", "", "");
	expect_failure(plan(), NULL, "memory");
}

static void
what_filters_a_node_is_named(void **state)
{
	(void)state;
	add_node("n1", ",\"Attributes\":{\"kernel.name\":\"linux\"}");
	put_job(1, "", "",
	    ",\"Constraints\":[{\"LTarget\":\"${attr.kernel.name}\",\"RTarget\":"
	    "\"freebsd\",\"Operand\":\"=\"}]");
	expect_failure(plan(), "${attr.kernel.name} = freebsd", NULL);
	put_job(1, "",
	    ",\"Volumes\":{\"v\":{\"Name\":\"v\",\"Type\":\"host\",\"Source\":\"data\"}}", "");
	expect_failure(plan(), "missing compatible host volumes", NULL);
	apply("{\"Node\":{\"ID\":\"n1\",\"SecretID\":\"s\",\"Datacenter\":\"dc1\",\"Status\":"
	      "\"ready\","
	      "\"Drivers\":{\"pot\":{\"Detected\":true,\"Healthy\":false}}}}");
	put_job(1, "", "", "");
	const struct plan *p = plan();
	expect_failure(p, "missing drivers", NULL);
	assert_int_equal(p->class_eligibility.n, 1);
	assert_int_equal(p->class_eligibility.value[0], 0);
	assert_false(p->escaped);
}

static void
nodes_that_are_not_ready_or_elsewhere_are_not_looked_at(void **state)
{
	(void)state;
	add_node("n1", "");
	add_node("n2", "");
	add_node("n3", "");
	apply(
	    "{\"NodeUpdates\":[{\"ID\":\"n1\",\"Status\":\"down\"},{\"ID\":\"n2\",\"Eligibility\":"
	    "\"ineligible\"},{\"ID\":\"n3\",\"DrainStrategy\":{\"Deadline\":5}}]}");
	put_job(1, "", "", "");
	const struct plan *p = plan();
	assert_int_equal(failure(p)->nodes_evaluated, 0);
	assert_int_equal(*intmap_get(&failure(p)->nodes_available, "dc1"), 0);
	assert_int_equal(*intmap_get(&p->queued, "g"), 1);
}

static void
distinct_hosts_gives_each_its_own(void **state)
{
	(void)state;
	add_node("n1", "");
	add_node("n2", "");
	put_job(
	    3, "", "", ",\"Constraints\":[{\"Operand\":\"distinct_hosts\",\"RTarget\":\"true\"}]");
	const struct plan *p = plan();
	assert_int_equal(p->allocs.n, 2);
	expect_failure(p, "distinct_hosts", NULL);
	assert_string_not_equal(
	    ((struct alloc *)p->allocs.at[0])->node_id, ((struct alloc *)p->allocs.at[1])->node_id);
}

static void
distinct_property_limits_each_value(void **state)
{
	(void)state;
	add_node("n1", ",\"Meta\":{\"rack\":\"a\"}");
	add_node("n2", ",\"Meta\":{\"rack\":\"a\"}");
	add_node("n3", ",\"Meta\":{\"rack\":\"b\"}");
	put_job(4, "", "",
	    ",\"Constraints\":[{\"Operand\":\"distinct_property\",\"LTarget\":"
	    "\"${meta.rack}\",\"RTarget\":\"1\"}]");
	assert_int_equal(plan()->allocs.n, 2);
}

static void
a_spread_follows_its_percentages(void **state)
{
	int a = 0;

	(void)state;
	add_node("n1", ",\"Meta\":{\"rack\":\"a\"}");
	add_node("n2", ",\"Meta\":{\"rack\":\"b\"}");
	put_job(8, "\"CPU\":10,\"MemoryMB\":10",
	    ",\"Spreads\":[{\"Attribute\":\"${meta.rack}\",\"Weight\":100,\"SpreadTarget\":[{"
	    "\"Value\":\"a\",\"Percent\":75},{\"Value\":\"b\",\"Percent\":25}]}]",
	    "");
	const struct plan *p = plan();
	assert_int_equal(p->allocs.n, 8);
	for (size_t i = 0; i < 8; i++)
		a += str_eq(((struct alloc *)p->allocs.at[i])->node_id, "n1");
	assert_in_range(a, 5, 6);
}

static void
an_affinity_pulls(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		char id[4] = { 'n', (char)('0' + i), 0 };
		add_node(id, i == 4 ? ",\"Meta\":{\"disk\":\"ssd\"}" : "");
	}
	put_job(1, "",
	    ",\"Affinities\":[{\"LTarget\":\"${meta.disk}\",\"RTarget\":\"ssd\","
	    "\"Operand\":\"=\",\"Weight\":100}]",
	    "");
	for (uint64_t seed = 1; seed < 9; seed++)
		assert_string_equal(
		    ((struct alloc *)plan_seeded(seed)->allocs.at[0])->node_id, "n4");
}

/* ---- ports ---- */

static const char static_port[] =
    ",\"Networks\":[{\"ReservedPorts\":[{\"Label\":\"h\",\"Value\":8080,\"To\":80}]}]";

static void
a_static_port_is_there_once_per_node(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(2, "", static_port, "");
	const struct plan *p = plan();
	assert_int_equal(p->allocs.n, 1);
	expect_failure(p, NULL, "network: reserved port collision h=8080");
	const struct port *port =
	    ((struct alloc *)p->allocs.at[0])->allocated_resources->shared->ports.at[0];
	assert_int_equal(port->value, 8080);
	assert_int_equal(port->to, 80);
}

static void
an_update_of_a_static_port_takes_its_place(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(1, "", static_port, "");
	commit(plan());
	all_say("running", HEALTHY);
	commit(plan());
	put_job(1, "\"CPU\":200,\"MemoryMB\":100", static_port, "");
	const struct plan *p = plan();
	assert_int_equal(p->stops.n, 1);
	assert_int_equal(p->allocs.n, 1);
	assert_string_equal(((struct alloc *)p->allocs.at[0])->previous_allocation,
	    ((struct alloc_stop *)p->stops.at[0])->id);
}

static void
a_deprecated_task_network_gets_its_ports_too(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(1,
	    "\"CPU\":50,\"MemoryMB\":64,\"Networks\":[{\"MBits\":10,\"DynamicPorts\":[{"
	    "\"Label\":\"http\"}]}]",
	    "", "");
	const struct plan *p = plan();
	const struct allocated_task *t =
	    objmap_get(&((struct alloc *)p->allocs.at[0])->allocated_resources->tasks, "t");
	const struct network *n = t->networks.at[0];
	assert_string_equal(n->ip, "10.0.0.9");
	assert_int_equal(n->mbits, 10);
	assert_in_range(((struct port *)n->dynamic_ports.at[0])->value, 20000, 32000);
	commit(p);
	const struct alloc *a = state_alloc(st, ((struct alloc *)p->allocs.at[0])->id);
	const struct resources *r = objmap_get(&a->task_resources, "t");
	assert_int_equal(r->networks.n, 1);
}

static void
a_dynamic_port_of_what_still_stops_is_not_given_again(void **state)
{
	(void)state;
	add_node("n1", ""); /* two ports in all */
	apply("{\"Node\":{\"ID\":\"n1\",\"SecretID\":\"s\",\"Datacenter\":\"dc1\",\"Status\":"
	      "\"ready\","
	      "\"NodeResources\":{\"Cpu\":{\"CpuShares\":1000},\"Memory\":{\"MemoryMB\":1000},"
	      "\"Disk\":{\"DiskMB\":1000},\"MinDynamicPort\":20000,\"MaxDynamicPort\":20001,"
	      "\"Networks\":[{\"IP\":\"10.0.0.9\"}]},\"Drivers\":{\"pot\":{\"Detected\":true,"
	      "\"Healthy\":true}}}}");
	put_job(1, "", ",\"Networks\":[{\"DynamicPorts\":[{\"Label\":\"p\"}]}]", "");
	commit(plan());
	all_say("running", HEALTHY);
	commit(plan());
	put_job(1, "\"CPU\":200,\"MemoryMB\":100",
	    ",\"Networks\":[{\"DynamicPorts\":[{\"Label\":\"p\"}]}]", "");
	const struct plan *p = plan();
	assert_int_equal(p->allocs.n, 1);
	autorows struct rows list = state_job_allocs(st, "default", "j");
	const struct alloc *old = list.at[0], *fresh = p->allocs.at[0];
	assert_int_not_equal(((struct port *)old->allocated_resources->shared->ports.at[0])->value,
	    ((struct port *)fresh->allocated_resources->shared->ports.at[0])->value);
}

/* ---- updating ---- */

static void
a_new_policy_is_taken_over_in_place(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(2, "", "", "");
	commit(plan());
	all_say("running", HEALTHY);
	commit(plan());
	put_job(2, "", ",\"RestartPolicy\":{\"Attempts\":5}", "");
	const struct plan *p = plan();
	assert_int_equal(p->allocs.n, 2);
	assert_int_equal(p->stops.n, 0);
	const struct group_updates *u = objmap_get(&p->updates, "g");
	assert_int_equal(u->in_place, 2);
	assert_non_null(p->deployment);
	commit(p);
	autorows struct rows list = state_job_allocs(st, "default", "j");
	assert_int_equal(list.n, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct alloc *a = list.at[i];
		assert_int_equal(a->job_version, 1);
		assert_string_equal(a->client_status, "running");
		assert_int_equal(alloc_health(a), -1);
		assert_string_equal(a->deployment_id, p->deployment->id);
	}
}

static void
a_paused_deployment_stops_nothing_more(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(3, "", "", "");
	commit(plan());
	all_say("running", HEALTHY);
	commit(plan());
	put_job(3, "\"CPU\":101,\"MemoryMB\":100", "", "");
	const struct plan *p = plan();
	assert_int_equal(p->stops.n, 1);
	commit(p);
	const struct deployment *d = state_job_deployment(st, "default", "j");
	autofree char *id = xstrdup(d->id);
	apply("{\"DeploymentUpdates\":[{\"ID\":\"%s\",\"Status\":\"paused\"}]}", id);
	all_say("running", HEALTHY);
	assert_true(plan_is_empty(plan()));
	apply("{\"DeploymentUpdates\":[{\"ID\":\"%s\",\"Status\":\"running\"}]}", id);
	assert_int_equal(plan()->stops.n, 1);
}

static void
an_unhealthy_one_holds_the_rest_back(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(3, "", "", "");
	commit(plan());
	all_say("running", HEALTHY);
	commit(plan());
	put_job(3, "\"CPU\":101,\"MemoryMB\":100", "", "");
	commit(plan());
	assert_true(plan_is_empty(plan())); /* the first is not healthy yet */
	autorows struct rows list = state_job_allocs(st, "default", "j");
	autofree char *id = xstrdup(((const struct alloc *)list.at[3])->id);
	apply(
	    "{\"ClientAllocs\":[{\"ID\":\"%s\",\"ClientStatus\":\"running\",\"DeploymentStatus\":{"
	    "\"Healthy\":false}}]}",
	    id);
	assert_true(plan_is_empty(plan()));
}

static void
max_parallel_is_the_step(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(5, "", ",\"Update\":{\"MaxParallel\":2}", "");
	commit(plan());
	all_say("running", HEALTHY);
	commit(plan());
	put_job(5, "\"CPU\":101,\"MemoryMB\":100", ",\"Update\":{\"MaxParallel\":2}", "");
	for (int left = 5; left > 0; left -= 2) {
		const struct plan *p = plan();
		assert_int_equal(p->stops.n, left < 2 ? left : 2);
		commit(p);
		all_say("running", HEALTHY);
	}
	const struct plan *p = plan();
	assert_int_equal(p->deployment_updates.n, 1);
	assert_string_equal(
	    ((struct deployment_update *)p->deployment_updates.at[0])->status, "successful");
}

static void
a_lost_node_gives_replacements_with_the_same_names(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(2, "", "", "");
	commit(plan());
	all_say("running", HEALTHY);
	commit(plan());
	add_node("n2", "");
	apply("{\"NodeUpdates\":[{\"ID\":\"n1\",\"Status\":\"down\"}]}");
	const struct plan *p = plan();
	assert_int_equal(p->stops.n, 2);
	assert_int_equal(p->allocs.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(((struct alloc_stop *)p->stops.at[i])->client_status, "lost");
		assert_string_equal(((struct alloc *)p->allocs.at[i])->node_id, "n2");
		assert_non_null(((struct alloc *)p->allocs.at[i])->previous_allocation);
	}
	commit(p);
	assert_true(plan_is_empty(plan()));
}

static void
all_at_once_places_all_or_none(void **state)
{
	(void)state;
	add_node("n1", "");
	put_job(12, "", "", ",\"AllAtOnce\":true");
	const struct plan *p = plan();
	assert_int_equal(p->allocs.n, 0);
	assert_int_equal(*intmap_get(&p->queued, "g"), 12);
}

static void
other_kinds_of_jobs_are_refused_by_name(void **state)
{
	static const struct eval ev = { .id = "e", .namespace = "default", .job_id = "j" };
	struct sched_input in = { .state = st, .eval = &ev, .now = now };
	struct plan *p;
	struct err e = ERR_INIT;

	(void)state;
	apply("{\"Job\":{\"ID\":\"j\",\"Namespace\":\"default\",\"Type\":\"system\"}}");
	assert_int_equal(sched_run(&in, &mem, &p, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "\"system\""));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_same_input_gives_the_same_plan),
		T(a_node_is_filled_before_the_next_but_groups_are_spread),
		T(each_dimension_that_is_short_is_named),
		T(reservations_are_taken_off),
		T(what_filters_a_node_is_named),
		T(nodes_that_are_not_ready_or_elsewhere_are_not_looked_at),
		T(distinct_hosts_gives_each_its_own),
		T(distinct_property_limits_each_value),
		T(a_spread_follows_its_percentages),
		T(an_affinity_pulls),
		T(a_static_port_is_there_once_per_node),
		T(an_update_of_a_static_port_takes_its_place),
		T(a_deprecated_task_network_gets_its_ports_too),
		T(a_dynamic_port_of_what_still_stops_is_not_given_again),
		T(a_new_policy_is_taken_over_in_place),
		T(a_paused_deployment_stops_nothing_more),
		T(an_unhealthy_one_holds_the_rest_back),
		T(max_parallel_is_the_step),
		T(a_lost_node_gives_replacements_with_the_same_names),
		T(all_at_once_places_all_or_none),
		T(other_kinds_of_jobs_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
