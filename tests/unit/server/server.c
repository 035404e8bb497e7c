#include "world.h"

#include "base/log.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static struct world w;
static char text[2048];

static int
setup(void **state)
{
	(void)state;
	world_init(&w, 42);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_fini(&w);
	return 0;
}

static void
a_job_is_placed_as_soon_as_it_is_registered(void **state)
{
	(void)state;
	node_add(&w);
	assert_int_equal(submit(&w, web(text, 2, "1", NULL, NULL)), 0);
	const struct eval *ev = last_eval(&w);
	assert_non_null(ev);
	assert_string_equal(ev->status, "complete");
	assert_int_equal(census(&w, "web").pending, 2);
	const struct deployment *d = deployment_of(&w, "web");
	assert_non_null(d);
	assert_string_equal(ev->deployment_id, d->id);
	world_advance(&w, 5 * SEC);
	assert_int_equal(census(&w, "web").running, 2);
	assert_string_equal(deployment_of(&w, "web")->status, "successful");
	assert_string_equal(state_job(server_state(w.server), "default", "web")->status, "running");
	assert_true(state_job(server_state(w.server), "default", "web")->stable);
}

static void
ports_are_given_and_shown_in_all_places(void **state)
{
	(void)state;
	node_add(&w);
	submit(&w, web(text, 3, "1", NULL, NULL));
	autorows struct rows list = state_job_allocs(server_state(w.server), "default", "web");
	int64_t seen[3];
	assert_int_equal(list.n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct alloc *a = list.at[i];
		const struct allocated_shared *sh = a->allocated_resources->shared;
		const struct port *p = sh->ports.at[0];
		seen[i] = p->value;
		assert_in_range(p->value, 20000, 32000);
		assert_string_equal(p->host_ip, "10.0.0.1");
		assert_string_equal(p->label, "http");
		const struct network *n = sh->networks.at[0];
		assert_int_equal(((const struct port *)n->dynamic_ports.at[0])->value, p->value);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(seen[k], p->value);
	}
	assert_string_equal(((const struct alloc *)list.at[0])->node_name, "node-0");
}

static void
the_same_job_again_changes_nothing_but_is_evaluated(void **state)
{
	(void)state;
	node_add(&w);
	submit(&w, web(text, 2, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	const struct job *job = state_job(server_state(w.server), "default", "web");
	int64_t index = job->job_modify_index;
	submit(&w, text);
	job = state_job(server_state(w.server), "default", "web");
	assert_int_equal(job->version, 0);
	assert_int_equal(job->job_modify_index, index);
	assert_string_equal(last_eval(&w)->status, "complete");
	assert_int_equal(census(&w, "web").running, 2);
}

static void
a_count_that_changes_starts_and_stops_without_touching_the_others(void **state)
{
	(void)state;
	node_add(&w);
	submit(&w, web(text, 3, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	submit(&w, web(text, 30, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	assert_int_equal(census(&w, "web").running, 30);
	assert_int_equal(census(&w, "web").complete, 0);
	submit(&w, web(text, 3, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	struct census c = census(&w, "web");
	assert_int_equal(c.running, 3);
	assert_int_equal(c.complete, 27);
	assert_int_equal(c.on_version, 3);
	autorows struct rows list = state_job_allocs(server_state(w.server), "default", "web");
	for (size_t i = 0; i < list.n; i++) {
		const struct alloc *a = list.at[i];
		int n = atoi(strchr(a->name, '[') + 1);
		assert_int_equal(alloc_server_terminal(a), n >= 3);
	}
}

static void
a_new_image_rolls_over_one_at_a_time(void **state)
{
	(void)state;
	node_add(&w);
	submit(&w, web(text, 4, "1", NULL, NULL));
	world_advance(&w, 10 * SEC);
	submit(&w, web(text, 4, "2", NULL, NULL));
	for (int i = 0; i < 200; i++) {
		struct census c = census(&w, "web");
		assert_true(c.running >= 3);
		assert_true(c.running + c.pending <= 4);
		world_advance(&w, 100 * MS);
	}
	struct census c = census(&w, "web");
	assert_int_equal(c.running, 4);
	assert_int_equal(c.on_version, 4);
	assert_string_equal(deployment_of(&w, "web")->status, "successful");
	assert_string_equal(
	    deployment_of(&w, "web")->status_description, "Deployment completed successfully");
}

static void
what_cannot_be_placed_says_why_and_waits_for_room(void **state)
{
	(void)state;
	int n = node_add(&w);
	w.nodes[n].memory = 100;
	node_up(&w, n);
	submit(&w, web(text, 3, "1", NULL, NULL));
	const struct eval *ev = last_eval(&w);
	assert_string_equal(ev->status, "complete");
	const struct alloc_metric *m = objmap_get(&ev->failed_tg_allocs, "g");
	assert_non_null(m);
	assert_int_equal(m->nodes_evaluated, 1);
	assert_int_equal(m->nodes_exhausted, 1);
	assert_int_equal(m->coalesced_failures, 1);
	assert_int_equal(*intmap_get(&m->dimension_exhausted, "memory"), 1);
	assert_int_equal(*intmap_get(&ev->queued_allocations, "g"), 2);
	const struct eval *blocked = ROW_REF(state_eval(server_state(w.server), ev->blocked_eval));
	assert_string_equal(blocked->status, "blocked");
	const struct job_summary *sum = state_job_summary(server_state(w.server), "default", "web");
	assert_int_equal(((const struct group_summary *)objmap_get(&sum->summary, "g"))->queued, 2);
	node_add(&w);
	world_advance(&w, 5 * SEC);
	assert_int_equal(census(&w, "web").running, 3);
	assert_string_equal(state_eval(server_state(w.server), blocked->id)->status, "complete");
	row_unref(blocked);
	sum = state_job_summary(server_state(w.server), "default", "web");
	assert_int_equal(((const struct group_summary *)objmap_get(&sum->summary, "g"))->queued, 0);
}

static void
a_constraint_that_no_node_meets_is_named(void **state)
{
	(void)state;
	node_add(&w);
	submit(&w, web(text, 1, "1", NULL,
		       ",\"Constraints\":[{\"LTarget\":\"${attr.kernel.name}\",\"RTarget\":"
		       "\"freebsd\",\"Operand\":\"=\"}]"));
	const struct alloc_metric *m = objmap_get(&last_eval(&w)->failed_tg_allocs, "g");
	assert_non_null(m);
	assert_int_equal(m->nodes_filtered, 1);
	assert_int_equal(*intmap_get(&m->constraint_filtered, "${attr.kernel.name} = freebsd"), 1);
	assert_string_equal(state_job(server_state(w.server), "default", "web")->status, "pending");
}

static void
no_node_at_all_is_said_by_datacenter(void **state)
{
	(void)state;
	submit(&w, web(text, 1, "1", NULL, NULL));
	const struct alloc_metric *m = objmap_get(&last_eval(&w)->failed_tg_allocs, "g");
	assert_int_equal(m->nodes_evaluated, 0);
	assert_int_equal(*intmap_get(&m->nodes_available, "dc1"), 0);
	node_add(&w);
	world_advance(&w, 3 * SEC);
	assert_int_equal(census(&w, "web").running, 1);
}

static void
a_node_that_falls_silent_loses_its_allocations_to_others(void **state)
{
	(void)state;
	int a = node_add(&w), b = node_add(&w);
	submit(&w, web(text, 4, "1", NULL, NULL));
	world_advance(&w, 10 * SEC);
	w.nodes[a].alive = false;
	world_advance(&w, 40 * SEC);
	assert_string_equal(state_node(server_state(w.server), w.nodes[a].id)->status, "down");
	struct census c = census(&w, "web");
	assert_int_equal(c.running, 4);
	autorows struct rows list = state_node_allocs(server_state(w.server), w.nodes[b].id);
	assert_int_equal(list.n, 4);
	node_up(&w, a);
	assert_string_equal(state_node(server_state(w.server), w.nodes[a].id)->status, "ready");
	world_advance(&w, 5 * SEC);
	assert_int_equal(census(&w, "web").running, 4);
}

static void
a_failed_allocation_comes_back_later_and_later(void **state)
{
	(void)state;
	node_add(&w);
	submit(&w, web(text, 1, "1", "{\"MaxParallel\":0}", ",\"Meta\":{\"bad\":\"1\"}"));
	world_advance(&w, 2 * SEC);
	assert_int_equal(census(&w, "web").failed, 1);
	assert_int_equal(census(&w, "web").pending, 0);
	autorows struct rows one = state_job_allocs(server_state(w.server), "default", "web");
	const struct alloc *a = one.at[0];
	const struct eval *follow = state_eval(server_state(w.server), a->follow_up_eval_id);
	assert_non_null(follow);
	assert_string_equal(follow->status, "pending");
	assert_string_equal(follow->triggered_by, "alloc-failure");
	world_advance(&w, 31 * SEC);
	assert_int_equal(census(&w, "web").failed, 2);
	autorows struct rows two = state_job_allocs(server_state(w.server), "default", "web");
	const struct alloc *second = two.at[1];
	assert_int_equal(second->reschedule_tracker->events.n, 1);
	assert_string_equal(second->previous_allocation, ((const struct alloc *)two.at[0])->id);
	world_advance(&w, 31 * SEC);
	assert_int_equal(census(&w, "web").failed, 2); /* the second wait is 60 s */
	world_advance(&w, 40 * SEC);
	assert_int_equal(census(&w, "web").failed, 3);
}

static void
a_bad_version_fails_its_deployment_and_goes_back(void **state)
{
	static const char update[] = "{\"MaxParallel\":1,\"AutoRevert\":true,\"ProgressDeadline\":"
				     "60000000000,\"HealthyDeadline\":30000000000,"
				     "\"MinHealthyTime\":1000000000}";

	(void)state;
	node_add(&w);
	submit(&w, web(text, 3, "1", update, NULL));
	world_advance(&w, 10 * SEC);
	submit(&w, web(text, 3, "2", update, ",\"Meta\":{\"bad\":\"1\"}"));
	world_advance(&w, 20 * SEC);
	assert_true(census(&w, "web").running >= 2);
	world_advance(&w, 100 * SEC);
	const struct job *job = state_job(server_state(w.server), "default", "web");
	assert_int_equal(job->version, 2);
	assert_null(strmap_get(&job->meta, "bad"));
	autorows struct rows d = state_job_deployments(server_state(w.server), "default", "web");
	const struct deployment *failed = d.at[1];
	assert_string_equal(failed->status, "failed");
	assert_string_equal(failed->status_description,
	    "Failed due to progress deadline - rolling back to job version 0");
	assert_int_equal(census(&w, "web").running, 3);
	assert_int_equal(census(&w, "web").on_version, 3);
	assert_string_equal(deployment_of(&w, "web")->status, "successful");
}

static void
canaries_wait_for_promotion(void **state)
{
	static const char update[] = "{\"MaxParallel\":2,\"Canary\":1}";
	struct err e = ERR_INIT;

	(void)state;
	node_add(&w);
	submit(&w, web(text, 3, "1", update, NULL));
	world_advance(&w, 10 * SEC);
	assert_string_equal(deployment_of(&w, "web")->status, "successful");
	submit(&w, web(text, 3, "2", update, NULL));
	world_advance(&w, 60 * SEC);
	struct census c = census(&w, "web");
	assert_int_equal(c.running, 4);
	assert_int_equal(c.on_version, 1);
	const struct deployment *d = deployment_of(&w, "web");
	assert_string_equal(
	    d->status_description, "Deployment is running but requires manual promotion");
	if (server_deployment_promote(w.server, d->id, NULL, world_done, &w, &e) < 0)
		fail_msg("%s", e.text);
	world_settle(&w);
	world_advance(&w, 20 * SEC);
	c = census(&w, "web");
	assert_int_equal(c.running, 3);
	assert_int_equal(c.on_version, 3);
	assert_string_equal(deployment_of(&w, "web")->status, "successful");
}

static void
canaries_of_a_given_up_version_are_stopped(void **state)
{
	static const char update[] = "{\"MaxParallel\":2,\"Canary\":2}";

	(void)state;
	node_add(&w);
	submit(&w, web(text, 3, "1", update, NULL));
	world_advance(&w, 10 * SEC);
	submit(&w, web(text, 3, "2", update, NULL));
	world_advance(&w, 5 * SEC);
	assert_int_equal(census(&w, "web").running, 5);
	submit(&w, web(text, 3, "1", update, NULL));
	world_advance(&w, 20 * SEC);
	assert_int_equal(census(&w, "web").running, 3);
	assert_int_equal(census(&w, "web").on_version, 3);
}

static void
a_stopped_job_is_dead_and_a_purged_one_gone(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	node_add(&w);
	submit(&w, web(text, 2, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	assert_int_equal(
	    server_job_deregister(w.server, "default", "web", false, world_done, &w, &e), 0);
	world_settle(&w);
	assert_string_equal(last_eval(&w)->status, "complete");
	world_advance(&w, 2 * SEC);
	assert_string_equal(state_job(server_state(w.server), "default", "web")->status, "dead");
	assert_int_equal(census(&w, "web").complete, 2);
	assert_int_equal(submit(&w, text), 0);
	world_advance(&w, 5 * SEC);
	assert_int_equal(census(&w, "web").running, 2);
	assert_int_equal(
	    server_job_deregister(w.server, "default", "web", true, world_done, &w, &e), 0);
	world_settle(&w);
	world_advance(&w, 2 * SEC);
	assert_null(state_job(server_state(w.server), "default", "web"));
	assert_int_equal(census(&w, "web").running, 0);
	assert_int_equal(
	    server_job_deregister(w.server, "default", "web", true, world_done, &w, &e), -1);
	assert_string_equal(e.text, "job not found");
	assert_int_equal(server_system_gc(w.server, world_done, &w, &e), 0);
	world_settle(&w);
	assert_int_equal(census(&w, "web").complete, 0);
}

static void
a_batch_job_ends(void **state)
{
	(void)state;
	node_add(&w);
	snprintf(text, sizeof(text),
	    "{\"ID\":\"b\",\"Name\":\"b\",\"Type\":\"batch\",\"Datacenters\":[\"dc1\"],"
	    "\"TaskGroups\":[{\"Name\":\"g\",\"Count\":2,\"EphemeralDisk\":{\"SizeMB\":110},"
	    "\"Tasks\":[{\"Name\":\"t\",\"Driver\":\"pot\",\"Config\":{\"image\":\"http://x/y\","
	    "\"pot\":\"p\",\"tag\":\"1\"},\"Resources\":{\"CPU\":50,\"MemoryMB\":64}}]}]}");
	assert_int_equal(submit(&w, text), 0);
	assert_null(deployment_of(&w, "b"));
	world_advance(&w, 10 * SEC);
	assert_int_equal(census(&w, "b").complete, 2);
	assert_string_equal(state_job(server_state(w.server), "default", "b")->status, "dead");
	struct err e = ERR_INIT;
	server_job_evaluate(w.server, "default", "b", false, world_done, &w, &e);
	world_settle(&w);
	world_advance(&w, 10 * SEC);
	assert_int_equal(census(&w, "b").complete, 2); /* done is done */
}

static void
a_stopped_allocation_is_replaced(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	node_add(&w);
	submit(&w, web(text, 1, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	autorows struct rows list = state_job_allocs(server_state(w.server), "default", "web");
	assert_int_equal(server_alloc_stop(w.server, ((const struct alloc *)list.at[0])->id, false,
			     world_done, &w, &e),
	    0);
	world_settle(&w);
	world_advance(&w, 5 * SEC);
	struct census c = census(&w, "web");
	assert_int_equal(c.running, 1);
	assert_int_equal(c.complete, 1);
}

static void
a_drained_node_is_emptied_step_by_step(void **state)
{
	struct drain_strategy spec = { .deadline = 3600 * SEC };
	struct err e = ERR_INIT;

	(void)state;
	int a = node_add(&w);
	submit(&w, web(text, 4, "1", NULL, NULL));
	world_advance(&w, 10 * SEC);
	node_add(&w);
	assert_int_equal(
	    server_node_drain(w.server, w.nodes[a].id, &spec, false, world_done, &w, &e), 0);
	for (int i = 0; i < 300; i++) {
		world_advance(&w, 100 * MS);
		assert_true(census(&w, "web").running >= 3);
	}
	const struct node *n = state_node(server_state(w.server), w.nodes[a].id);
	assert_null(n->drain_strategy);
	assert_string_equal(n->scheduling_eligibility, "ineligible");
	assert_string_equal(n->last_drain->status, "complete");
	assert_int_equal(census(&w, "web").running, 4);
	autorows struct rows list = state_node_allocs(server_state(w.server), w.nodes[a].id);
	for (size_t i = 0; i < list.n; i++)
		assert_true(alloc_client_terminal(list.at[i]));
}

static void
wrong_requests_are_refused_in_words(void **state)
{
	struct err e = ERR_INIT;
	autoarena struct arena mem = ARENA_INIT;

	(void)state;
	assert_int_equal(submit(&w, "{\"ID\":\"x\",\"Type\":\"service\"}"), -1);
	if (strstr(w.last_error, "errors occurred") == NULL)
		fail_msg("%s", w.last_error);
	assert_int_equal(submit(&w, web(text, 1, "1", NULL, ",\"Region\":\"mars\"")), -1);
	assert_string_equal(w.last_error, "No path to region");
	node_add(&w);
	submit(&w, web(text, 1, "1", NULL, NULL));
	struct server_register r = {
		.job = job_text(&mem, text), .enforce_index = true, .job_modify_index = 0
	};
	assert_int_equal(server_job_register(w.server, &r, world_done, &w, &e), -1);
	assert_non_null(strstr(e.text, "Enforcing job modify index 0: job exists"));
	assert_int_equal(
	    server_job_revert(w.server, "default", "web", 0, -1, world_done, &w, &e), -1);
	assert_string_equal(e.text, "can't revert to current version");
	assert_int_equal(
	    server_node_heartbeat(w.server, w.nodes[0].id, "wrong", "ready", world_done, &w, &e),
	    -1);
	assert_int_equal(e.kind, ERR_RIGHTS);
	assert_int_equal(server_deployment_fail(w.server, "nothing", world_done, &w, &e), -1);
	assert_string_equal(e.text, "deployment not found");
}

static void
a_dry_run_tells_and_changes_nothing(void **state)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf out = BUF_INIT;
	struct jsonw jw = JSONW_INIT(&out);
	struct err e = ERR_INIT;

	(void)state;
	node_add(&w);
	submit(&w, web(text, 2, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	uint64_t index = state_index(server_state(w.server));
	if (server_job_plan(
		w.server, job_text(&mem, web(text, 3, "2", NULL, NULL)), true, &jw, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(state_index(server_state(w.server)), index);
	autojson json_t *v = NULL;
	assert_int_equal(json_read(buf_str(&out), out.len, &v, &e), 0);
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(v, "Diff"), "Type")), "Edited");
	const json_t *u = json_object_get(
	    json_object_get(json_object_get(v, "Annotations"), "DesiredTGUpdates"), "g");
	assert_int_equal(json_int(u, "Place", -1), 1);
	assert_int_equal(json_int(u, "DestructiveUpdate", -1), 0);
	assert_int_equal(json_int(u, "Ignore", -1), 2);
}

/* ---- what survives ---- */

static void
everything_is_back_after_a_restart(void **state)
{
	char dir[] = "/tmp/potter-server.XXXXXX", path[64];

	(void)state;
	world_fini(&w);
	assert_non_null(mkdtemp(dir));
	memset(&w, 0, sizeof(w));
	w.now = 1700000000 * SEC;
	w.random = 7;
	w.dir = dir;
	world_open(&w);
	world_settle(&w);
	node_add(&w);
	submit(&w, web(text, 3, "1", NULL, NULL));
	world_advance(&w, 2 * SEC);
	submit(&w, web(text, 3, "2", NULL, NULL));
	world_advance(&w, 1 * SEC); /* in the middle of it */
	uint64_t index = state_index(server_state(w.server));
	server_close(w.server);
	assert_int_equal(w.timers.n, 0);
	world_open(&w);
	assert_int_equal(state_index(server_state(w.server)), index);
	world_advance(&w, 30 * SEC);
	assert_int_equal(census(&w, "web").running, 3);
	assert_int_equal(census(&w, "web").on_version, 3);
	assert_string_equal(deployment_of(&w, "web")->status, "successful");
	world_fini(&w);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/state.db.backup", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	world_init(&w, 1);
}

static void
count_call(void *ctx)
{
	++*(int *)ctx;
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit l;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
what_cannot_be_written_did_not_happen(void **state)
{
	char dir[] = "/tmp/potter-server.XXXXXX", path[64];
	int watched = 0;

	(void)state;
	world_fini(&w);
	assert_non_null(mkdtemp(dir));
	memset(&w, 0, sizeof(w));
	w.now = 1700000000 * SEC;
	w.dir = dir;
	world_open(&w);
	world_settle(&w);
	node_add(&w);
	submit(&w, web(text, 1, "1", NULL, NULL));
	world_advance(&w, 5 * SEC);
	uint64_t index = state_index(server_state(w.server));
	(void)state_watch(server_state(w.server), STATE_JOBS, NULL, count_call, &watched);
	int refusals = w.refusals;
	log_set_level(LOG_ERROR_ + 1);
	limit_files(1);
	assert_int_equal(submit(&w, web(text, 5, "2", NULL, NULL)), 0);
	assert_int_equal(w.refusals, refusals + 1);
	assert_non_null(strstr(w.last_error, "the change was not made"));
	assert_int_equal(state_index(server_state(w.server)), index);
	assert_int_equal(state_job(server_state(w.server), "default", "web")->version, 0);
	assert_int_equal(census(&w, "web").running, 1);
	limit_files(RLIM_INFINITY);
	log_set_level(LOG_INFO_);
	submit(&w, text);
	world_advance(&w, 20 * SEC);
	assert_int_equal(census(&w, "web").running, 5);
	assert_int_equal(census(&w, "web").on_version, 5);
	assert_int_equal(watched, 1);
	world_fini(&w);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/state.db.backup", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	world_init(&w, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_job_is_placed_as_soon_as_it_is_registered),
		T(ports_are_given_and_shown_in_all_places),
		T(the_same_job_again_changes_nothing_but_is_evaluated),
		T(a_count_that_changes_starts_and_stops_without_touching_the_others),
		T(a_new_image_rolls_over_one_at_a_time),
		T(what_cannot_be_placed_says_why_and_waits_for_room),
		T(a_constraint_that_no_node_meets_is_named),
		T(no_node_at_all_is_said_by_datacenter),
		T(a_node_that_falls_silent_loses_its_allocations_to_others),
		T(a_failed_allocation_comes_back_later_and_later),
		T(a_bad_version_fails_its_deployment_and_goes_back),
		T(canaries_wait_for_promotion),
		T(canaries_of_a_given_up_version_are_stopped),
		T(a_stopped_job_is_dead_and_a_purged_one_gone),
		T(a_batch_job_ends),
		T(a_stopped_allocation_is_replaced),
		T(a_drained_node_is_emptied_step_by_step),
		T(wrong_requests_are_refused_in_words),
		T(a_dry_run_tells_and_changes_nothing),
		T(everything_is_back_after_a_restart),
		T(what_cannot_be_written_did_not_happen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
