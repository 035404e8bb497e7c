/* The API over a real server whose state is in memory; nodes report as a client would. */
#include "world.h"

#include "base/log.h"
#include "base/str.h"
#include "server/server.h"

#include <fcntl.h>
#include <inttypes.h>

#define NODE   "aaaaaaaa-2222-3333-4444-555555555555"
#define SECRET "bbbbbbbb-2222-3333-4444-555555555555"

static struct world w;
static struct server *server;
static struct answer a;

#define GET(path)	ask(&w, &a, "GET", path, NULL)
#define PUT(path, body) ask(&w, &a, "PUT", path, body)

/* A call with the node's secret. */
static void
as_node(const char *method, const char *path, const char *secret, const char *body)
{
	const char *const headers[] = { "X-Nomad-Token", secret, NULL };
	struct http_spec s = { .base = w.base,
		.path = path,
		.method = method,
		.headers = headers,
		.body = body,
		.len = body != NULL ? strlen(body) : 0,
		.timeout_ms = 20000,
		.done = world_done,
		.ctx = &a };

	answer_fini(&a);
	http_call(w.loop, &s);
	wait_for(&w, &a);
}

static const char node_body[] =
    "{\"ID\":\"" NODE "\",\"SecretID\":\"" SECRET
    "\",\"Datacenter\":\"dc1\",\"Name\":\"n1\",\"NodePool\":\"default\","
    "\"HTTPAddr\":\"127.0.0.1:1\",\"Status\":\"ready\",\"Attributes\":{\"kernel.name\":\"linux\","
    "\"driver.pot\":\"1\"},"
    "\"Drivers\":{\"pot\":{\"Detected\":true,\"Healthy\":true},\"raw_exec\":{\"Detected\":true,"
    "\"Healthy\":true}},"
    "\"NodeResources\":{\"Cpu\":{\"CpuShares\":4000},\"Memory\":{\"MemoryMB\":4096},\"Disk\":{"
    "\"DiskMB\":10000},"
    "\"Networks\":[{\"Mode\":\"host\",\"Device\":\"eth0\",\"IP\":\"192.0.2.1\",\"CIDR\":\"192.0.2."
    "1/32\"}]},"
    "\"ReservedResources\":{\"Cpu\":{},\"Memory\":{},\"Disk\":{},\"Networks\":{}}}";

static const char job_body[] = "{\"Job\":{\"ID\":\"web\",\"Name\":\"web\",\"Type\":\"service\","
			       "\"Datacenters\":[\"dc1\"],\"TaskGroups\":[{\"Name\":\"g\","
			       "\"Count\":2,\"Tasks\":[{\"Name\":\"t\",\"Driver\":\"raw_exec\","
			       "\"Config\":{\"command\":\"/bin/true\"},"
			       "\"Resources\":{\"CPU\":100,\"MemoryMB\":64}}]}]}}";

static const json_t *
first(void)
{
	return json_array_get(a.json, 0);
}

static void
a_node_registers_and_is_listed_without_its_secret(void **state)
{
	(void)state;

	GET("/v1/nodes");
	assert_string_equal(buf_str(&a.body), "[]");
	assert_true(atoi(a.index) >= 1);
	PUT("/v1/internal/node/register", node_body);
	assert_int_equal(a.status, 200);
	assert_true(json_int(a.json, "HeartbeatTTL", 0) > 0);
	GET("/v1/nodes?resources=true&os=true");
	assert_int_equal(json_array_size(a.json), 1);
	assert_string_equal(json_str(first(), "Status", ""), "ready");
	assert_string_equal(json_str(first(), "SchedulingEligibility", ""), "eligible");
	assert_non_null(json_object_get(first(), "NodeResources"));
	GET("/v1/node/" NODE);
	assert_int_equal(a.status, 200);
	assert_string_equal(json_str(a.json, "SecretID", ""), "");
	assert_null(strstr(buf_str(&a.body), SECRET));
	GET("/v1/nodes?prefix=aaaa");
	assert_int_equal(json_array_size(a.json), 1);
	GET("/v1/nodes?prefix=zz");
	assert_int_equal(a.status, 500);
	as_node("PUT", "/v1/internal/node/heartbeat", SECRET,
	    "{\"NodeID\":\"" NODE "\",\"Status\":\"ready\"}");
	assert_int_equal(a.status, 200);
	as_node("PUT", "/v1/internal/node/heartbeat", "wrong",
	    "{\"NodeID\":\"" NODE "\",\"Status\":\"ready\"}");
	assert_int_equal(a.status, 403);
	as_node("GET", "/v1/internal/node/" NODE "/allocs", "wrong", NULL);
	assert_int_equal(a.status, 403);
}

static void
a_job_is_registered_placed_and_seen_from_all_sides(void **state)
{
	char path[200], eval[40], alloc[40];
	(void)state;

	PUT("/v1/jobs", job_body);
	assert_int_equal(a.status, 200);
	snprintf(eval, sizeof(eval), "%s", json_str(a.json, "EvalID", ""));
	assert_int_equal(strlen(eval), 36);
	assert_true(json_int(a.json, "JobModifyIndex", 0) > 0);
	snprintf(path, sizeof(path), "/v1/evaluation/%s", eval);
	for (int i = 0; i < 100; i++) {
		GET(path);
		if (strcmp(json_str(a.json, "Status", ""), "complete") == 0)
			break;
	}
	assert_string_equal(json_str(a.json, "Status", ""), "complete");
	assert_int_equal(strlen(json_str(a.json, "DeploymentID", "")), 36);
	snprintf(path, sizeof(path), "/v1/evaluation/%s/allocations", eval);
	GET(path);
	assert_int_equal(json_array_size(a.json), 2);
	snprintf(alloc, sizeof(alloc), "%s", json_str(first(), "ID", ""));
	snprintf(path, sizeof(path), "/v1/allocation/%s", alloc);
	GET(path);
	assert_true(json_is_object(json_object_get(a.json, "Job")));
	assert_true(json_is_object(json_object_get(a.json, "Metrics")));
	const json_t *task = json_object_get(json_object_get(a.json, "TaskResources"), "t");
	assert_int_equal(json_int(task, "CPU", 0), 100);
	assert_int_equal(json_int(json_object_get(a.json, "Resources"), "MemoryMB", 0), 64);
	GET("/v1/jobs");
	assert_string_equal(
	    json_str(json_object_get(first(), "JobSummary"), "Namespace", ""), "default");
	GET("/v1/job/web");
	assert_string_equal(json_str(a.json, "ID", ""), "web");
	GET("/v1/job/web/summary");
	assert_true(json_is_object(json_object_get(json_object_get(a.json, "Summary"), "g")));
	GET("/v1/job/web/allocations?resources=true");
	assert_int_equal(json_array_size(a.json), 2);
	assert_non_null(json_object_get(first(), "AllocatedResources"));
	GET("/v1/job/web/evaluations");
	assert_true(json_array_size(a.json) >= 1);
	GET("/v1/job/web/deployment");
	assert_string_equal(json_str(a.json, "JobID", ""), "web");
	GET("/v1/job/web/deployments");
	assert_int_equal(json_array_size(a.json), 1);
	GET("/v1/job/web/versions?diffs=true");
	assert_int_equal(json_array_size(json_object_get(a.json, "Versions")), 1);
	GET("/v1/job/web/scale");
	assert_int_equal(
	    json_int(json_object_get(json_object_get(a.json, "TaskGroups"), "g"), "Desired", 0), 2);
	as_node("GET", "/v1/internal/node/" NODE "/allocs?index=1&wait=1s", SECRET, NULL);
	assert_int_equal(json_array_size(json_object_get(a.json, "Allocs")), 2);
	GET("/v1/node/" NODE "/allocations");
	assert_int_equal(json_array_size(a.json), 2);
}

static void
what_a_client_reports_shows_in_the_allocation(void **state)
{
	char id[40], body[1024], path[128];
	(void)state;

	GET("/v1/allocations");
	snprintf(id, sizeof(id), "%s", json_str(first(), "ID", ""));
	snprintf(body, sizeof(body),
	    "{\"NodeID\":\"" NODE
	    "\",\"Allocs\":[{\"ID\":\"%s\",\"ClientStatus\":\"running\",\"ClientDescription\":"
	    "\"Tasks are "
	    "running\",\"TaskStates\":{\"t\":{\"State\":\"running\",\"StartedAt\":\"2021-08-20T13:"
	    "05:33Z\",\"Events\":"
	    "[{\"Type\":\"Started\",\"Time\":1629464733000000000}]}},\"ModifyTime\":"
	    "1629464733000000000}]}",
	    id);
	as_node("PUT", "/v1/internal/allocs", SECRET, body);
	assert_int_equal(a.status, 200);
	snprintf(path, sizeof(path), "/v1/allocation/%s", id);
	GET(path);
	assert_string_equal(json_str(a.json, "ClientStatus", ""), "running");
	const json_t *task = json_object_get(json_object_get(a.json, "TaskStates"), "t");
	assert_string_equal(json_str(task, "State", ""), "running");
	assert_int_equal(json_array_size(json_object_get(task, "Events")), 1);
	as_node("PUT", "/v1/internal/services", SECRET,
	    "{\"NodeID\":\"" NODE "\",\"Register\":[{\"ID\":\"s1\",\"ServiceName\":\"hello\","
	    "\"Namespace\":\"default\",\"Address\":"
	    "\"192.0.2.1\",\"Port\":80,\"Tags\":[\"x\"],\"Status\":\"passing\"}],\"Deregister\":[]"
	    "}");
	assert_int_equal(a.status, 200);
	GET("/v1/services");
	const json_t *names = json_object_get(first(), "Services");
	assert_string_equal(json_str(json_array_get(names, 0), "ServiceName", ""), "hello");
	GET("/v1/service/hello");
	assert_int_equal(json_int(first(), "Port", 0), 80);
}

static void
a_blocking_query_waits_for_news_and_no_longer_than_asked(void **state)
{
	struct answer later = { 0 }, timed = { 0 };
	char path[100];
	(void)state;

	GET("/v1/nodes");
	snprintf(path, sizeof(path), "/v1/nodes?index=%s&wait=10s", a.index);
	ask_later(&w, &later, "GET", path, NULL, false);
	snprintf(path, sizeof(path), "/v1/nodes?index=%s&wait=100ms", a.index);
	ask_later(&w, &timed, "GET", path, NULL, false);
	wait_for(&w, &timed);
	assert_int_equal(timed.status, 200);
	assert_string_equal(timed.index, a.index);
	assert_false(later.done);
	PUT("/v1/node/" NODE "/eligibility",
	    "{\"NodeID\":\"" NODE "\",\"Eligibility\":\"ineligible\"}");
	assert_int_equal(a.status, 200);
	wait_for(&w, &later);
	assert_true(atoi(later.index) > atoi(timed.index));
	assert_string_equal(
	    json_str(json_array_get(later.json, 0), "SchedulingEligibility", ""), "ineligible");
	PUT("/v1/node/" NODE "/eligibility",
	    "{\"NodeID\":\"" NODE "\",\"Eligibility\":\"eligible\"}");
	answer_fini(&later);
	answer_fini(&timed);
}

static void
changes_are_streamed_to_those_who_asked_for_their_topic(void **state)
{
	struct answer nodes = { 0 }, jobs = { 0 };
	(void)state;

	struct http_call *c1 =
	    ask_later(&w, &nodes, "GET", "/v1/event/stream?topic=Node&index=1000000", NULL, true);
	struct http_call *c2 =
	    ask_later(&w, &jobs, "GET", "/v1/event/stream?topic=Job:web", NULL, true);
	UNTIL(&w, nodes.streamed.len > 0 && jobs.streamed.len > 10);
	assert_string_equal(buf_str(&nodes.streamed), "{}\n");
	assert_non_null(strstr(buf_str(&jobs.streamed), "\"Type\":\"JobRegistered\""));
	PUT("/v1/node/" NODE "/eligibility",
	    "{\"NodeID\":\"" NODE "\",\"Eligibility\":\"ineligible\"}");
	UNTIL(&w, strstr(buf_str(&nodes.streamed), "\"Type\":\"NodeEligibility\"") != NULL);
	assert_null(strstr(buf_str(&jobs.streamed), "NodeEligibility"));
	assert_null(strstr(buf_str(&nodes.streamed), SECRET));
	PUT("/v1/node/" NODE "/eligibility",
	    "{\"NodeID\":\"" NODE "\",\"Eligibility\":\"eligible\"}");
	http_cancel(&c1);
	http_cancel(&c2);
	for (int i = 0; i < 5; i++)
		loop_turn(w.loop, 5);
	answer_fini(&nodes);
	answer_fini(&jobs);
	GET("/v1/event/stream?topic=Nonsense");
	assert_int_equal(a.status, 400);
}

static void
a_waiter_that_leaves_is_forgotten(void **state)
{
	struct answer later = { 0 };
	char path[100];
	(void)state;

	GET("/v1/jobs");
	snprintf(path, sizeof(path), "/v1/jobs?index=%s", a.index);
	struct http_call *c = ask_later(&w, &later, "GET", path, NULL, false);
	for (int i = 0; i < 5; i++)
		loop_turn(w.loop, 5);
	http_cancel(&c);
	for (int i = 0; i < 5; i++)
		loop_turn(w.loop, 5);
	PUT("/v1/jobs", job_body); /* wakes whoever is still there */
	assert_int_equal(a.status, 200);
	assert_false(later.done);
}

static void
requests_that_are_wrong_are_told_so_in_the_usual_words(void **state)
{
	static const struct {
		const char *method, *path, *body;
		int status;
		const char *text;
	} cases[] = {
		{ "GET", "/v1/job/absent", NULL, 404, "job not found" },
		{ "GET", "/v1/job/absent/versions", NULL, 404, "job versions not found" },
		{ "GET", "/v1/job/absent/deployment", NULL, 200, "null" },
		{ "GET", "/v1/job/absent/allocations", NULL, 200, "[]" },
		{ "GET", "/v1/allocation/short", NULL, 500,
		    "index error: UUID must be 36 characters" },
		{ "GET", "/v1/allocation/" SECRET, NULL, 404, "alloc not found" },
		{ "GET", "/v1/node/" SECRET, NULL, 404, "node not found" },
		{ "GET", "/v1/evaluation/" SECRET, NULL, 404, "eval not found" },
		{ "GET", "/v1/deployment/" SECRET, NULL, 404, "deployment not found" },
		{ "DELETE", "/v1/jobs", NULL, 405, "Invalid method" },
		{ "PUT", "/v1/nodes", "{}", 405, "Invalid method" },
		{ "GET", "/v1/jobs?index=x", NULL, 400, "Invalid index" },
		{ "GET", "/v1/jobs?wait=soon", NULL, 400, "Invalid wait time" },
		{ "GET", "/v1/jobs?stale=maybe", NULL, 400, NULL },
		{ "GET", "/v1/jobs?region=mars", NULL, 500, "No path to region" },
		{ "GET", "/v1/jobs?filter=x", NULL, 400, NULL },
		{ "PUT", "/v1/jobs", "", 400, NULL },
		{ "PUT", "/v1/jobs", "{", 400, NULL },
		{ "PUT", "/v1/jobs", "{}", 400, "Job must be specified" },
		{ "PUT", "/v1/job/other", job_body, 400, "Job ID does not match name" },
		{ "GET", "/v1/acl/tokens", NULL, 400, "ACL support disabled" },
		{ "PUT", "/v1/acl/bootstrap", NULL, 400, "ACL support disabled" },
		{ "GET", "/v1/nothing", NULL, 404, "" },
		{ "GET", "/v1/client/fs/ls/" SECRET "?path=/", NULL, 404,
		    "Unknown allocation \"" SECRET "\"" },
		{ "PUT", "/v1/deployment/promote/" SECRET, "{\"DeploymentID\":\"x\",\"All\":true}",
		    400, "Deployment ID does not match" },
	};
	(void)state;

	for (size_t i = 0; i < NELEM(cases); i++) {
		ask(&w, &a, cases[i].method, cases[i].path, cases[i].body);
		if (a.status != cases[i].status)
			fail_msg("%s %s: %d %s", cases[i].method, cases[i].path, a.status,
			    buf_str(&a.body));
		if (cases[i].text != NULL)
			assert_string_equal(buf_str(&a.body), cases[i].text);
	}
}

static void
a_wrong_job_is_refused_with_all_its_faults(void **state)
{
	(void)state;

	PUT("/v1/jobs", "{\"Job\":{\"ID\":\"bad "
			"job\",\"Type\":\"service\",\"Datacenters\":[\"dc1\"],\"TaskGroups\":[]}}");
	assert_int_equal(a.status, 500);
	assert_non_null(strstr(buf_str(&a.body), "error"));
	assert_non_null(strstr(buf_str(&a.body), "* "));
	PUT("/v1/validate/job",
	    "{\"Job\":{\"ID\":\"bad "
	    "job\",\"Type\":\"service\",\"Datacenters\":[\"dc1\"],\"TaskGroups\":[]}}");
	assert_int_equal(a.status, 200);
	assert_true(json_array_size(json_object_get(a.json, "ValidationErrors")) >= 2);
}

static void
a_check_index_that_is_stale_is_refused_in_the_words_the_command_line_looks_for(void **state)
{
	char body[1024];
	(void)state;

	snprintf(
	    body, sizeof(body), "{\"EnforceIndex\":true,\"JobModifyIndex\":1,%s", job_body + 1);
	PUT("/v1/jobs", body);
	assert_int_equal(a.status, 500);
	assert_non_null(strstr(buf_str(&a.body), "Enforcing job modify index 1"));
}

static void
a_plan_tells_what_would_happen(void **state)
{
	char body[1024];
	(void)state;

	snprintf(body, sizeof(body), "{\"Diff\":true,%s", job_body + 1);
	PUT("/v1/job/web/plan", body);
	assert_int_equal(a.status, 200);
	assert_string_equal(json_str(json_object_get(a.json, "Diff"), "Type", ""), "None");
	assert_true(json_is_object(json_object_get(a.json, "Annotations")));
}

static void
job_ids_may_hold_slashes(void **state)
{
	autofree char *body = xstrdup(job_body);
	(void)state;

	memcpy(strstr(body, "\"ID\":\"web\""), "\"ID\":\"a/b\"", 10);
	PUT("/v1/jobs", body);
	assert_int_equal(a.status, 200);
	GET("/v1/job/a/b");
	assert_string_equal(json_str(a.json, "ID", ""), "a/b");
	GET("/v1/job/a%2Fb/allocations");
	assert_int_equal(a.status, 200);
	GET("/v1/job/a/b/summary");
	assert_string_equal(json_str(a.json, "JobID", ""), "a/b");
	ask(&w, &a, "DELETE", "/v1/job/a%2Fb?purge=true", NULL);
	assert_int_equal(a.status, 200);
	GET("/v1/job/a/b");
	assert_int_equal(a.status, 404);
}

static void
lists_come_in_pages(void **state)
{
	char path[200];
	size_t n = 0;
	(void)state;

	GET("/v1/allocations");
	size_t all = json_array_size(a.json);
	assert_true(all >= 2);
	snprintf(path, sizeof(path), "/v1/allocations?per_page=1");
	for (int i = 0; i < 50; i++) {
		GET(path);
		n += json_array_size(a.json);
		if (a.token[0] == '\0')
			break;
		snprintf(path, sizeof(path), "/v1/allocations?per_page=1&next_token=%s", a.token);
	}
	assert_int_equal(n, all);
}

static void
a_job_is_searched_stopped_and_collected(void **state)
{
	(void)state;

	PUT("/v1/search", "{\"Prefix\":\"we\",\"Context\":\"all\"}");
	assert_int_equal(a.status, 200);
	const json_t *jobs = json_object_get(json_object_get(a.json, "Matches"), "jobs");
	assert_string_equal(json_string_value(json_array_get(jobs, 0)), "web");
	PUT("/v1/job/web/evaluate", "{\"JobID\":\"web\"}");
	assert_int_equal(strlen(json_str(a.json, "EvalID", "")), 36);
	ask(&w, &a, "DELETE", "/v1/job/web", NULL);
	assert_int_equal(strlen(json_str(a.json, "EvalID", "")), 36);
	GET("/v1/job/web");
	assert_true(json_bool(a.json, "Stop", false));
	PUT("/v1/system/gc", NULL);
	assert_int_equal(a.status, 200);
}

static void
the_agent_tells_about_itself(void **state)
{
	(void)state;

	GET("/v1/agent/self?pretty");
	assert_string_equal(json_str(json_object_get(a.json, "config"), "Datacenter", ""), "dc1");
	assert_string_equal(
	    json_str(json_object_get(json_object_get(a.json, "stats"), "nomad"), "leader", ""),
	    "true");
	assert_true(a.body.data[a.body.len - 1] == '\n');
	GET("/v1/agent/members");
	assert_int_equal(json_array_size(json_object_get(a.json, "Members")), 1);
	GET("/v1/agent/health?type=server");
	assert_true(json_bool(json_object_get(a.json, "server"), "ok", false));
	GET("/v1/agent/health?type=client");
	assert_int_equal(a.status, 500);
	GET("/v1/status/leader");
	assert_string_equal(buf_str(&a.body), "\"127.0.0.1:4647\"");
	GET("/v1/regions");
	assert_string_equal(buf_str(&a.body), "[\"global\"]");
	GET("/v1/metrics");
	assert_true(json_array_size(json_object_get(a.json, "Gauges")) > 5);
	GET("/v1/metrics?format=prometheus");
	assert_non_null(strstr(buf_str(&a.body), "# TYPE nomad_nomad_job_status_running gauge\n"));
}

static void
a_job_file_is_read_for_those_who_cannot(void **state)
{
	(void)state;

	PUT("/v1/jobs/parse", "{\"JobHCL\":\"job \\\"x\\\" { group \\\"g\\\" { task \\\"t\\\" { "
			      "driver = \\\"pot\\\" } } }\",\"Canonicalize\":true}");
	assert_int_equal(a.status, 200);
	assert_string_equal(json_str(a.json, "ID", ""), "x");
	assert_string_equal(json_str(a.json, "Type", ""), "service");
	PUT("/v1/jobs/parse", "{\"JobHCL\":\"job \\\"x\\\" { nonsense = 1 }\"}");
	assert_int_equal(a.status, 400);
	assert_non_null(strstr(buf_str(&a.body), "nonsense"));
}

/* Set-up --------------------------------------------------------------------------------------- */

static int
setup(void **state)
{
	struct server_config sc = { .region = "global", .name = "n1.global" };
	struct err e;
	(void)state;

	log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
	w.loop = loop_new();
	struct server_env env = server_env_loop(w.loop);
	if (server_open(&sc, &env, &server, &e) < 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	struct api_config c = { .loop = w.loop,
		.server = server,
		.name = "n1",
		.region = "global",
		.datacenter = "dc1",
		.bind_address = "127.0.0.1",
		.port = 4646 };
	w.api = api_new(&c);
	world_listen(&w);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	answer_fini(&a);
	http_server_free(w.http);
	api_free(w.api);
	server_close(server);
	loop_free(w.loop);
	return 0;
}

int
main(void)
{
	/* In this order: each goes on from what the one before left. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_registers_and_is_listed_without_its_secret),
		cmocka_unit_test(a_job_is_registered_placed_and_seen_from_all_sides),
		cmocka_unit_test(what_a_client_reports_shows_in_the_allocation),
		cmocka_unit_test(a_blocking_query_waits_for_news_and_no_longer_than_asked),
		cmocka_unit_test(changes_are_streamed_to_those_who_asked_for_their_topic),
		cmocka_unit_test(a_waiter_that_leaves_is_forgotten),
		cmocka_unit_test(requests_that_are_wrong_are_told_so_in_the_usual_words),
		cmocka_unit_test(a_wrong_job_is_refused_with_all_its_faults),
		cmocka_unit_test(
		    a_check_index_that_is_stale_is_refused_in_the_words_the_command_line_looks_for),
		cmocka_unit_test(a_plan_tells_what_would_happen),
		cmocka_unit_test(job_ids_may_hold_slashes),
		cmocka_unit_test(lists_come_in_pages),
		cmocka_unit_test(a_job_is_searched_stopped_and_collected),
		cmocka_unit_test(the_agent_tells_about_itself),
		cmocka_unit_test(a_job_file_is_read_for_those_who_cannot),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
