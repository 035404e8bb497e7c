#include "client/client.h"

#include "base/clock.h"
#include "base/str.h"
#include "client/priv.h"
#include "platform/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	STOP_LIST_MS = 10000 /* how long a stop waits for servers that do not answer */
};

/* ---- set-up ---- */

static const char *
keep(struct client *c, const char *s, const char *otherwise)
{
	return arena_strdup(&c->mem, s != NULL && s[0] != '\0' ? s : otherwise);
}

static void
copy_config(struct client *c, const struct client_config *from)
{
	struct client_config *to = &c->conf;
	struct facts f;

	*to = *from;
	facts_read(&f, from->data_dir, &c->mem);
	to->data_dir = keep(c, from->data_dir, ".");
	to->server = keep(c, from->server, "http://127.0.0.1:4646");
	to->node_name = keep(c, from->node_name, f.hostname);
	to->datacenter = keep(c, from->datacenter, "dc1");
	to->region = keep(c, from->region, "global");
	to->node_class = keep(c, from->node_class, "");
	to->node_pool = keep(c, from->node_pool, "default");
	to->http_addr = keep(c, from->http_addr, "127.0.0.1:4646");
	to->address = keep(c, from->address, f.address);
	to->reserved_ports = keep(c, from->reserved_ports, "");
	to->meta = (struct strmap){ 0 };
	for (size_t i = 0; i < from->meta.n; i++)
		strmap_set(&to->meta, &c->mem, from->meta.key[i], from->meta.value[i]);
	if (to->max_kill_timeout_ns == 0)
		to->max_kill_timeout_ns = 30 * NS_PER_SEC;
	if (to->cpu_mhz == 0)
		to->cpu_mhz = (int64_t)(f.cores * f.mhz);
	if (to->memory_mb == 0)
		to->memory_mb = (int64_t)(f.memory_bytes >> 20);
}

static int
make_dir(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", path);
	return 0;
}

static void
set_drivers(struct client *c)
{
	bool runner = c->runner != NULL;

	c->driver[0] = (struct driver){ .ops = &driver_pot,
		.runner = c->runner,
		.detected = runner,
		.why = "pots need root: the agent was started without pot-runner" };
	c->driver[1] = (struct driver){ .ops = &driver_raw,
		.runner = c->runner,
		.detected = runner && c->conf.raw_exec,
		.why = runner ? "disabled by the configuration (plugin \"raw_exec\")"
			      : "the agent was started without pot-runner" };
}

static void
on_lost(void *ctx)
{
	struct client *c = ctx;

	c->lost(c->lost_ctx);
}

int
client_new(struct loop *l, const struct client_config *conf, void (*lost)(void *ctx), void *ctx,
    struct client **out, struct err *e)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->lost = lost;
	c->lost_ctx = ctx;
	copy_config(c, conf);
	c->alloc_root = arena_printf(&c->mem, "%s/alloc", c->conf.data_dir);
	c->state_dir = arena_printf(&c->mem, "%s/client", c->conf.data_dir);
	if (make_dir(c->alloc_root, 0711, e) < 0 || make_dir(c->state_dir, 0700, e) < 0 ||
	    node_load(c, e) < 0) {
		arena_fini(&c->mem);
		free(c);
		return -1;
	}
	if (conf->runner_fd >= 0)
		c->runner = runner_new(l, conf->runner_fd, conf->monitor_fd, on_lost, c);
	set_drivers(c);
	exec_api(&c->api);
	stats_api(&c->api);
	c->api.self = c;
	*out = c;
	return 0;
}

void
client_start(struct client *c)
{
	node_start(c);
}

static void
go_down(void *ctx)
{
	struct client *c = ctx;
	bool down = true;
	size_t i = 0;
	void *value;

	loop_timer_free(&c->stop_timer);
	c->stopping = true;
	http_cancel(&c->poll_call);
	while (map_next(&c->allocs, &i, NULL, &value)) {
		struct client_alloc *a = value;
		down = down && alloc_is_down(a);
		services_down(a);
		for (size_t k = 0; k < a->n_tasks; k++)
			task_force_down(&a->task[k]);
	}
	if (down) {
		loop_defer(c->loop, c->stopped, c->stopped_ctx);
		c->stopped = NULL;
	}
}

void
client_stop_all(struct client *c, void (*done)(void *ctx), void *ctx)
{
	c->stopped = done;
	c->stopped_ctx = ctx;
	/* Until the first list has come nobody here knows what an earlier agent has started. */
	if (c->first_list_done)
		go_down(c);
	else
		c->stop_timer = loop_timer(c->loop, STOP_LIST_MS, 0, go_down, c);
}

void
client_knows_all(struct client *c)
{
	if (c->stop_timer != NULL)
		go_down(c);
}

void
client_free(struct client *c)
{
	size_t i = 0;
	void *value;

	if (c == NULL)
		return;
	runner_free(c->runner);
	loop_timer_free(&c->stop_timer);
	while (map_next(&c->allocs, &i, NULL, &value))
		alloc_free(value);
	map_fini(&c->allocs);
	sync_stop(c);
	node_stop(c);
	arena_fini(&c->mem);
	free(c);
}

const struct client_api *
client_api(struct client *c)
{
	return &c->api;
}

bool
client_registered(const struct client *c)
{
	return c->registered;
}
