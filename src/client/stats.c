/* stats.c: figures of the node and of allocations, restart and signal, as the API asks for them. */
#include "client/priv.h"

#include "base/clock.h"
#include "base/str.h"
#include "client/allocdir.h"
#include "platform/facts.h"
#include "platform/proc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *
node_id(struct client *c)
{
	return c->id;
}

static struct client_alloc *
find(struct client *c, const char *id, struct err *e)
{
	struct client_alloc *a = map_get(&c->allocs, id);

	if (a == NULL)
		err_new(e, ERR_ABSENT, "Unknown allocation \"%s\"", id);
	return a;
}

static bool
has_alloc(struct client *c, const char *id)
{
	return map_has(&c->allocs, id);
}

/* ---- the host ---- */

static double
percent(uint64_t part, uint64_t whole)
{
	return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void
host_stats(struct client *c, client_json *reply, void *ctx)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf text = BUF_INIT;
	struct jsonw w = JSONW_INIT(&text);
	struct facts f;
	struct facts_cpu cpu;

	facts_read(&f, c->conf.data_dir, &mem);
	facts_cpu(&cpu);
	jsonw_object(&w);
	jsonw_key(&w, "Memory");
	jsonw_object(&w);
	jsonw_kuint(&w, "Total", f.memory_bytes);
	jsonw_kuint(&w, "Available", f.memory_available_bytes);
	jsonw_kuint(&w, "Used", f.memory_bytes - f.memory_available_bytes);
	jsonw_kuint(&w, "Free", f.memory_free_bytes);
	jsonw_end_object(&w);
	jsonw_key(&w, "CPU");
	jsonw_array(&w);
	jsonw_object(&w);
	jsonw_kstr(&w, "CPU", "cpu");
	jsonw_kdouble(&w, "User", percent(cpu.user, cpu.total));
	jsonw_kdouble(&w, "System", percent(cpu.system, cpu.total));
	jsonw_kdouble(&w, "Idle", percent(cpu.idle, cpu.total));
	jsonw_kdouble(&w, "Total", percent(cpu.user + cpu.system, cpu.total));
	jsonw_end_object(&w);
	jsonw_end_array(&w);
	for (int i = 0; i < 2; i++) {
		jsonw_key(&w, i == 0 ? "DiskStats" : "AllocDirStats");
		if (i == 0)
			jsonw_array(&w);
		jsonw_object(&w);
		jsonw_kstr(&w, "Device", "");
		jsonw_kstr(&w, "Mountpoint", c->conf.data_dir);
		jsonw_kuint(&w, "Size", f.disk_bytes);
		jsonw_kuint(&w, "Used", f.disk_bytes - f.disk_free_bytes);
		jsonw_kuint(&w, "Available", f.disk_free_bytes);
		jsonw_kdouble(
		    &w, "UsedPercent", percent(f.disk_bytes - f.disk_free_bytes, f.disk_bytes));
		jsonw_kdouble(&w, "InodesUsedPercent", 0);
		jsonw_end_object(&w);
		if (i == 0)
			jsonw_end_array(&w);
	}
	jsonw_key(&w, "DeviceStats");
	jsonw_array(&w);
	jsonw_end_array(&w);
	jsonw_kuint(&w, "Uptime", f.uptime_s);
	jsonw_kdouble(&w, "CPUTicksConsumed",
	    percent(cpu.user + cpu.system, cpu.total) / 100 * (double)c->conf.cpu_mhz);
	jsonw_kint(&w, "Timestamp", clock_wall_ns());
	jsonw_end_object(&w);
	reply(ctx, buf_str(&text), text.len, NULL);
}

/* ---- one allocation: every task is asked, the last answer writes the reply ---- */

struct usage_call {
	struct client *client;
	size_t waiting, n;
	struct usage_row {
		struct usage_call *call;
		char *task;
		struct driver_usage usage;
		int64_t ran_ns;
		bool known;
	} * row;
	client_json *reply;
	void *ctx;
};

static void
write_usage(struct jsonw *w, const struct driver_usage *u, double mhz, double share)
{
	jsonw_key(w, "ResourceUsage");
	jsonw_object(w);
	jsonw_key(w, "MemoryStats");
	jsonw_object(w);
	jsonw_kuint(w, "RSS", u->rss_bytes);
	jsonw_kuint(w, "Cache", u->cache_bytes);
	jsonw_kuint(w, "Swap", u->swap_bytes);
	jsonw_kuint(w, "Usage", u->rss_bytes + u->cache_bytes);
	jsonw_kuint(w, "MaxUsage", 0);
	jsonw_kuint(w, "KernelUsage", 0);
	jsonw_kuint(w, "KernelMaxUsage", 0);
	jsonw_key(w, "Measured");
	jsonw_array(w);
	jsonw_str(w, "RSS");
	jsonw_str(w, "Cache");
	jsonw_str(w, "Swap");
	jsonw_end_array(w);
	jsonw_end_object(w);
	jsonw_key(w, "CpuStats");
	jsonw_object(w);
	jsonw_kdouble(w, "SystemMode", 0);
	jsonw_kdouble(w, "UserMode", 0);
	jsonw_kdouble(w, "TotalTicks", share * mhz);
	jsonw_kuint(w, "ThrottledPeriods", 0);
	jsonw_kuint(w, "ThrottledTime", 0);
	jsonw_kdouble(w, "Percent", share * 100);
	jsonw_key(w, "Measured");
	jsonw_array(w);
	jsonw_str(w, "Percent");
	jsonw_end_array(w);
	jsonw_end_object(w);
	jsonw_key(w, "DeviceStats");
	jsonw_array(w);
	jsonw_end_array(w);
	jsonw_end_object(w);
}

static void
usage_reply(struct usage_call *call)
{
	autobuf struct buf text = BUF_INIT;
	struct jsonw w = JSONW_INIT(&text);
	struct driver_usage sum = { 0 };
	struct facts_cpu cpu;
	double all = 0, mhz = (double)call->client->conf.cpu_mhz;

	facts_cpu(&cpu);
	jsonw_object(&w);
	jsonw_key(&w, "Tasks");
	jsonw_object(&w);
	for (size_t i = 0; i < call->n; i++) {
		struct usage_row *r = &call->row[i];
		double share = r->ran_ns > 0 ? (double)r->usage.cpu_ns / (double)r->ran_ns : 0;
		if (r->known) {
			jsonw_key(&w, r->task);
			jsonw_object(&w);
			write_usage(&w, &r->usage, mhz, share);
			jsonw_kint(&w, "Timestamp", clock_wall_ns());
			jsonw_key(&w, "Pids");
			jsonw_null(&w);
			jsonw_end_object(&w);
		}
		sum.rss_bytes += r->usage.rss_bytes;
		sum.cache_bytes += r->usage.cache_bytes;
		sum.swap_bytes += r->usage.swap_bytes;
		all += share;
		free(r->task);
	}
	jsonw_end_object(&w);
	write_usage(&w, &sum, mhz, all);
	jsonw_kint(&w, "Timestamp", clock_wall_ns());
	jsonw_end_object(&w);
	call->reply(call->ctx, buf_str(&text), text.len, NULL);
	free(call->row);
	free(call);
}

static void
on_usage(void *ctx, const struct driver_usage *usage, const struct err *e)
{
	struct usage_row *r = ctx;

	r->known = e == NULL;
	if (e == NULL)
		r->usage = *usage;
	if (--r->call->waiting == 0)
		usage_reply(r->call);
}

static void
alloc_stats(struct client *c, const char *id, const char *task, client_json *reply, void *ctx)
{
	struct err e = ERR_INIT;
	struct client_alloc *a = find(c, id, &e);

	if (a == NULL) {
		reply(ctx, NULL, 0, &e);
		return;
	}
	struct usage_call *call = xcalloc(1, sizeof(*call));
	*call = (struct usage_call){ .client = c, .waiting = 1, .reply = reply, .ctx = ctx };
	call->row = xcalloc(a->n_tasks + 1, sizeof(*call->row));
	for (size_t i = 0; i < a->n_tasks; i++) {
		struct client_task *t = &a->task[i];
		if (t->phase != TASK_RUNNING ||
		    (task != NULL && task[0] != '\0' && strcmp(task, t->job_task->name) != 0))
			continue;
		struct usage_row *r = &call->row[call->n++];
		*r = (struct usage_row){ .call = call,
			.task = xstrdup(t->job_task->name),
			.ran_ns = clock_wall_ns() - t->started_at };
		call->waiting++;
		t->driver->ops->usage(t->driver, t->handle, on_usage, r);
	}
	if (--call->waiting == 0)
		usage_reply(call);
}

/* ---- restart, signal, collection ---- */

static void
restart(struct client *c, const char *id, const char *task, bool all, client_done *done, void *ctx)
{
	struct err e = ERR_INIT;
	struct client_alloc *a = find(c, id, &e);
	struct client_task *one =
	    a != NULL && task != NULL && task[0] != '\0' ? alloc_task(a, task) : NULL;

	(void)all;
	if (a != NULL && task != NULL && task[0] != '\0' && one == NULL)
		err_new(&e, ERR_INPUT, "task named %s not found", task);
	else if (a != NULL && one != NULL && one->phase != TASK_RUNNING)
		err_new(&e, ERR_INPUT, "Task not running");
	for (size_t i = 0; e.kind == ERR_NONE && i < a->n_tasks; i++)
		if ((one == NULL || one == &a->task[i]) && a->task[i].phase == TASK_RUNNING)
			task_restart(&a->task[i], "User requested restart");
	done(ctx, e.kind == ERR_NONE ? NULL : &e);
}

struct signal_call {
	client_done *done;
	void *ctx;
};

static void
on_signalled(void *ctx, const struct err *e)
{
	struct signal_call *call = ctx;

	call->done(call->ctx, e);
	free(call);
}

static void
send_signal(struct client *c, const char *id, const char *task, const char *name, client_done *done,
    void *ctx)
{
	struct err e = ERR_INIT;
	struct client_alloc *a = find(c, id, &e);
	int sig = a != NULL
		      ? proc_signal_named(name != NULL && name[0] != '\0' ? name : "SIGKILL", &e)
		      : -1;
	struct client_task *t = NULL;

	for (size_t i = 0; sig >= 0 && i < a->n_tasks; i++)
		if ((task == NULL || task[0] == '\0' ||
			strcmp(task, a->task[i].job_task->name) == 0) &&
		    a->task[i].phase == TASK_RUNNING)
			t = &a->task[i];
	if (sig >= 0 && t == NULL)
		err_new(&e, ERR_INPUT, "Task not running");
	if (e.kind != ERR_NONE) {
		done(ctx, &e);
		return;
	}
	const char *details[] = { "task_signal", name, NULL };
	task_event(t, "Signaling", "Task being sent a signal", details);
	struct signal_call *call = xcalloc(1, sizeof(*call));
	*call = (struct signal_call){ done, ctx };
	t->driver->ops->signal(t->driver, t->handle, sig, on_signalled, call);
}

static void
collect(struct client *c, const char *id, client_done *done, void *ctx)
{
	size_t i = 0;
	void *value;
	struct err e = ERR_INIT;

	while (map_next(&c->allocs, &i, NULL, &value)) {
		struct client_alloc *a = value;
		if ((id != NULL && strcmp(id, a->id) != 0) || !alloc_is_down(a) ||
		    !alloc_terminal(a->row))
			continue;
		if (allocdir_remove(c->alloc_root, a->id, &e) < 0) {
			done(ctx, &e);
			return;
		}
	}
	if (id != NULL && !map_has(&c->allocs, id)) {
		err_new(&e, ERR_ABSENT, "Unknown allocation \"%s\"", id);
		done(ctx, &e);
		return;
	}
	done(ctx, NULL);
}

/* ---- files ---- */

static int
alloc_dir(struct client *c, const char *id, struct err *e)
{
	if (find(c, id, e) == NULL)
		return -1;
	autofree char *path = xasprintf("%s/%s", c->alloc_root, id);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(e, "open the directory of allocation %s", id) : fd;
}

static int
log_task(struct client *c, const char *id, const char *task, bool *running, struct err *e)
{
	struct client_alloc *a = find(c, id, e);

	if (a == NULL)
		return -1;
	struct client_task *t = alloc_task(a, task);
	if (t == NULL)
		return err_new(e, ERR_INPUT, "unknown task name \"%s\"", task);
	if (t->started_at == 0)
		return err_new(
		    e, ERR_ABSENT, "task \"%s\" not started yet. No logs available", task);
	*running = t->phase != TASK_DEAD;
	return 0;
}

/* ---- figures ---- */

static void
metrics(struct client *c,
    void (*emit)(void *ctx, const char *name, const char *const *labels, double value), void *ctx)
{
	size_t i = 0, running = 0, pending = 0, terminal = 0;
	void *value;
	const char *labels[] = { "node_id", c->id, "datacenter", c->conf.datacenter, NULL };

	while (map_next(&c->allocs, &i, NULL, &value)) {
		const struct client_alloc *a = value;
		running += strcmp(a->status, "running") == 0;
		pending += strcmp(a->status, "pending") == 0;
		terminal += alloc_is_down(a);
	}
	emit(ctx, "nomad_client_allocations_running", labels, (double)running);
	emit(ctx, "nomad_client_allocations_pending", labels, (double)pending);
	emit(ctx, "nomad_client_allocations_terminal", labels, (double)terminal);
}

static void
agent_stats(
    struct client *c, void (*emit)(void *ctx, const char *key, const char *value), void *ctx)
{
	autofree char *n = xasprintf("%zu", c->allocs.n);

	emit(ctx, "node_id", c->id);
	emit(ctx, "known_servers", c->conf.server);
	emit(ctx, "num_allocations", n);
}

void
stats_api(struct client_api *api)
{
	api->node_id = node_id;
	api->has_alloc = has_alloc;
	api->host_stats = host_stats;
	api->alloc_stats = alloc_stats;
	api->restart = restart;
	api->signal = send_signal;
	api->gc = collect;
	api->alloc_dir = alloc_dir;
	api->log_task = log_task;
	api->metrics = metrics;
	api->agent_stats = agent_stats;
}
