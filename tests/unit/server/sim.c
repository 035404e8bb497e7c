/*
 * Random histories: jobs come, change, turn bad and go; nodes fall silent and come back; the server
 * is killed in between. Whatever happens, no node is ever overfull and no port given twice, and
 * when it is quiet again everything runs once, on the version that was asked for.
 *
 * SIM_SEED=<n> repeats one history; SIM_RUNS=<n> says how many.
 */
#include "world.h"

#include "base/log.h"

#include <unistd.h>

enum { JOBS = 3, NODES = 4 };

struct wish {
	bool there, bad;
	int count, version;
	int last_good; /* version text that was healthy */
};

static struct world w;
static struct wish wishes[JOBS];
static uint64_t seed;

static uint64_t
chance(uint64_t n)
{
	return world_random(&w) % n;
}

static const char *
job_name(int i)
{
	static const char *const names[JOBS] = { "web", "api", "db" };

	return names[i];
}

/* ---- what must hold at every moment ---- */

static void
check_ports(bool *used, const struct alloc *a)
{
	const struct port *p;

	OBJS_FOREACH (p, &a->allocated_resources->shared->ports) {
		if (used[p->value])
			fail_msg("seed %llu: port %lld given twice on one node",
			    (unsigned long long)seed, (long long)p->value);
		used[p->value] = true;
	}
}

static void
check_node(int i)
{
	static bool used[65536];
	int64_t memory = 0, cpu = 0;
	autorows struct rows list = state_node_allocs(server_state(w.server), w.nodes[i].id);

	memset(used, 0, sizeof(used));
	for (size_t k = 0; k < list.n; k++) {
		const struct alloc *a = list.at[k];
		if (alloc_client_terminal(a))
			continue;
		check_ports(used, a);
		if (alloc_server_terminal(a))
			continue;
		memory += a->resources->memory_mb;
		cpu += a->resources->cpu;
	}
	if (memory > w.nodes[i].memory || cpu > w.nodes[i].cpu)
		fail_msg("seed %llu: node %d is overfull", (unsigned long long)seed, i);
}

static void
check_always(void)
{
	for (int i = 0; i < w.node_count; i++)
		check_node(i);
}

/* ---- events ---- */

static void
put(int i)
{
	struct wish *wish = &wishes[i];
	char text[2048], version[16], update[200];
	const char *id = job_name(i);

	snprintf(version, sizeof(version), "%d", wish->version);
	snprintf(update, sizeof(update),
	    "{\"MaxParallel\":%d,\"AutoRevert\":true,\"ProgressDeadline\":60000000000,"
	    "\"HealthyDeadline\":30000000000,\"MinHealthyTime\":1000000000}",
	    i + 1);
	web(text, wish->count, version, update, wish->bad ? ",\"Meta\":{\"bad\":\"1\"}" : NULL);
	autofree char *named =
	    xasprintf("{\"ID\":\"%s\",\"Name\":\"%s\"%s", id, id, strstr(text, ",\"Datacenters\""));
	if (submit(&w, named) < 0)
		fail_msg("seed %llu: %s", (unsigned long long)seed, w.last_error);
	wish->there = true;
}

static void
change_job(int i)
{
	wishes[i].count = 1 + (int)chance(6);
	if (chance(2) == 0)
		wishes[i].version++;
	wishes[i].bad = chance(4) == 0;
	put(i);
}

static void
remove_job(int i)
{
	struct err e = ERR_INIT;

	if (wishes[i].there)
		assert_int_equal(server_job_deregister(w.server, "default", job_name(i),
				     chance(2) == 0, world_done, &w, &e),
		    0);
	world_settle(&w);
	wishes[i].there = false;
}

static void
toggle_node(int i)
{
	if (w.nodes[i].alive)
		w.nodes[i].alive = false;
	else
		node_up(&w, i);
}

static void
stop_something(void)
{
	struct err e = ERR_INIT;
	autorows struct rows all = state_list(server_state(w.server), STATE_ALLOCS, NULL);

	if (all.n == 0)
		return;
	const struct alloc *a = all.at[chance(all.n)];
	(void)server_alloc_stop(w.server, a->id, false, world_done, &w, &e);
	world_settle(&w);
}

static void
drain_something(void)
{
	struct drain_strategy spec = { .deadline = (int64_t)chance(30) * SEC };
	struct err e = ERR_INIT;
	int i = (int)chance((uint64_t)w.node_count);
	bool drain = chance(2) == 0;

	(void)server_node_drain(
	    w.server, w.nodes[i].id, drain ? &spec : NULL, true, world_done, &w, &e);
	world_settle(&w);
}

static void
restart_server(void)
{
	server_close(w.server);
	assert_int_equal(w.timers.n, 0);
	world_open(&w);
	world_settle(&w);
}

static void
event(void)
{
	switch (chance(10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		change_job((int)chance(JOBS));
		break;
	case 4:
		remove_job((int)chance(JOBS));
		break;
	case 5:
	case 6:
		toggle_node((int)chance((uint64_t)w.node_count));
		break;
	case 7:
		stop_something();
		break;
	case 8:
		drain_something();
		break;
	default:
		restart_server();
	}
}

/* ---- what must hold in the end ---- */

static void
make_quiet(void)
{
	struct err e = ERR_INIT;

	for (int i = 0; i < w.node_count; i++) {
		if (!w.nodes[i].alive)
			node_up(&w, i);
		(void)server_node_drain(w.server, w.nodes[i].id, NULL, true, world_done, &w, &e);
		(void)server_node_eligibility(w.server, w.nodes[i].id, true, world_done, &w, &e);
	}
	for (int i = 0; i < JOBS; i++)
		if (wishes[i].there) {
			wishes[i].bad = false;
			wishes[i].version++;
			put(i);
		}
	world_settle(&w);
	for (int i = 0; i < 600; i++) {
		world_advance(&w, SEC);
		check_always();
	}
}

static void
check_job(int i)
{
	struct census c = census(&w, job_name(i));
	int want = wishes[i].there ? wishes[i].count : 0;

	if (c.running != want || c.pending != 0 || (want > 0 && c.on_version != want))
		fail_msg("seed %llu: %s: %d running, %d pending, %d on the version, wanted %d",
		    (unsigned long long)seed, job_name(i), c.running, c.pending, c.on_version,
		    want);
	if (!wishes[i].there)
		return;
	const struct deployment *d = deployment_of(&w, job_name(i));
	if (d == NULL || !str_eq(d->status, "successful"))
		fail_msg("seed %llu: %s: its deployment is %s", (unsigned long long)seed,
		    job_name(i), d != NULL ? d->status : "missing");
}

static void
check_names(void)
{
	struct map seen = MAP_INIT;
	autorows struct rows all = state_list(server_state(w.server), STATE_ALLOCS, NULL);

	for (size_t i = 0; i < all.n; i++) {
		const struct alloc *a = all.at[i];
		if (alloc_terminal(a))
			continue;
		if (map_set(&seen, a->name, &seen) != NULL)
			fail_msg("seed %llu: %s runs twice", (unsigned long long)seed, a->name);
	}
	map_fini(&seen);
}

static void
check_evals(void)
{
	autorows struct rows all = state_list(server_state(w.server), STATE_EVALS, NULL);

	for (size_t i = 0; i < all.n; i++) {
		const struct eval *ev = all.at[i];
		if (!eval_terminal(ev) &&
		    !(str_eq(ev->status, "pending") && ev->wait_until > w.now))
			fail_msg("seed %llu: evaluation %s (%s) is left %s",
			    (unsigned long long)seed, ev->id, ev->triggered_by, ev->status);
	}
}

static void
one_history(uint64_t number)
{
	/* what is synced a thousand times had better lie in memory */
	char dir[40] = "/dev/shm/potter-sim.XXXXXX", path[64];

	seed = number;
	memset(&w, 0, sizeof(w));
	memset(wishes, 0, sizeof(wishes));
	if (mkdtemp(dir) == NULL) {
		strcpy(dir, "/tmp/potter-sim.XXXXXX");
		assert_non_null(mkdtemp(dir));
	}
	w.now = 1700000000 * SEC;
	w.random = seed;
	w.dir = dir;
	world_open(&w);
	world_settle(&w);
	for (int i = 0; i < NODES; i++) { /* room for five each: two nodes cannot hold all jobs */
		node_add(&w);
		w.nodes[i].memory = 5 * 64;
		node_up(&w, i);
	}
	for (int i = 0; i < 40; i++) {
		event();
		check_always();
		world_advance(&w, (int64_t)chance(8000) * MS);
		check_always();
	}
	make_quiet();
	for (int i = 0; i < JOBS; i++)
		check_job(i);
	check_names();
	check_evals();
	world_fini(&w);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/state.db.backup", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

static void
every_history_ends_well(void **state)
{
	const char *one = getenv("SIM_SEED"), *runs = getenv("SIM_RUNS");
	uint64_t n = runs != NULL ? strtoull(runs, NULL, 10) : 8;

	(void)state;
	log_set_level(LOG_ERROR_);
	if (one != NULL) {
		one_history(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= n; i++)
		one_history(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_history_ends_well) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
