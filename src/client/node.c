/* node.c: who this node is, what it has, and that it is alive. */
#include "client/priv.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/str.h"
#include "platform/facts.h"
#include "store/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_MS = 1000 };

#define IDENTITY "node.json"

/* ---- identity ---- */

static int
make_identity(struct client *c, int dir, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	struct jsonw w = JSONW_INIT(&text);

	ids_uuid(c->id);
	ids_uuid(c->secret);
	jsonw_object(&w);
	jsonw_kstr(&w, "ID", c->id);
	jsonw_kstr(&w, "SecretID", c->secret);
	jsonw_end_object(&w);
	return file_replace(dir, IDENTITY, buf_str(&text), text.len, 0600, e);
}

int
node_load(struct client *c, struct err *e)
{
	autobuf struct buf text = BUF_INIT;
	autojson json_t *v = NULL;
	autofd int dir = open(c->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, "open %s", c->state_dir);
	if (faccessat(dir, IDENTITY, F_OK, 0) < 0)
		return make_identity(c, dir, e);
	if (file_load(dir, IDENTITY, 4096, &text, e) < 0)
		return -1;
	if (json_read(buf_str(&text), text.len, &v, e) < 0 || !ids_is_uuid(json_str(v, "ID", "")) ||
	    !ids_is_uuid(json_str(v, "SecretID", "")))
		return err_new(e, ERR_CORRUPT,
		    "%s/" IDENTITY
		    " does not hold a node's identity; remove it to join as a new node",
		    c->state_dir);
	str_copy(c->id, sizeof(c->id), json_str(v, "ID", ""));
	str_copy(c->secret, sizeof(c->secret), json_str(v, "SecretID", ""));
	return 0;
}

/* ---- what it has ---- */

static void
attribute(struct node *n, struct arena *a, const char *key, const char *value)
{
	if (value != NULL && value[0] != '\0')
		strmap_set(&n->attributes, a, key, value);
}

static void
number(struct node *n, struct arena *a, const char *key, uint64_t value)
{
	attribute(n, a, key, arena_printf(a, "%llu", (unsigned long long)value));
}

static void
add_facts(struct client *c, struct node *n, const struct facts *f, struct arena *a)
{
	attribute(n, a, "kernel.name", f->kernel_name);
	attribute(n, a, "kernel.version", f->kernel_version);
	attribute(n, a, "kernel.arch", f->arch);
	attribute(n, a, "cpu.arch", f->arch);
	number(n, a, "cpu.numcores", f->cores);
	number(n, a, "cpu.frequency", f->mhz);
	number(n, a, "cpu.totalcompute", (uint64_t)c->conf.cpu_mhz);
	attribute(n, a, "cpu.modelname", f->cpu_model);
	number(n, a, "memory.totalbytes", f->memory_bytes);
	attribute(n, a, "os.name", f->os_name);
	attribute(n, a, "os.version", f->os_version);
	attribute(n, a, "os.signals",
	    "SIGABRT,SIGALRM,SIGHUP,SIGINT,SIGKILL,SIGQUIT,SIGTERM,SIGUSR1,SIGUSR2,SIGWINCH");
	attribute(n, a, "unique.hostname", f->hostname);
	attribute(n, a, "unique.network.ip-address", c->conf.address);
	number(n, a, "unique.storage.bytestotal", f->disk_bytes);
	number(n, a, "unique.storage.bytesfree", f->disk_free_bytes);
	attribute(n, a, "unique.storage.volume", c->conf.data_dir);
	attribute(n, a, "nomad.version", "1.1.18");
	attribute(n, a, "nomad.revision", "potter-" POTTER_VERSION);
	attribute(n, a, "nomad.advertise.address", c->conf.http_addr);
	attribute(n, a, "nomad.service_discovery", "true");
	attribute(n, a, "potter.version", POTTER_VERSION);
	attribute(n, a, "consul.version", "1.8.7");
	attribute(n, a, "consul.datacenter", c->conf.datacenter);
	attribute(n, a, "consul.server", "true");
	attribute(n, a, "unique.consul.name", c->conf.node_name);
}

static void
add_drivers(struct client *c, struct node *n, struct arena *a)
{
	for (size_t i = 0; i < DRIVERS; i++) {
		struct driver *d = &c->driver[i];
		struct driver_info *info = arena_new(a, struct driver_info);
		*info = (struct driver_info){ .detected = d->detected,
			.healthy = d->detected,
			.health_description = d->detected ? "Healthy" : d->why,
			.update_time = clock_wall_ns() };
		if (d->detected) {
			attribute(n, a, arena_printf(a, "driver.%s", d->ops->name), "1");
			attribute(n, a, arena_printf(a, "driver.%s.version", d->ops->name),
			    POTTER_VERSION);
		}
		objmap_set(&n->drivers, a, d->ops->name, info);
	}
}

static struct cpu_resources *
cpu_of(struct arena *a, int64_t mhz, int64_t cores)
{
	struct cpu_resources *cpu = arena_new(a, struct cpu_resources);

	cpu->cpu_shares = mhz;
	cpu->total_cpu_cores = cores;
	for (int64_t i = 0; i < cores; i++)
		ints_add(&cpu->reservable_cpu_cores, a, i);
	return cpu;
}

static void
add_resources(struct client *c, struct node *n, const struct facts *f, struct arena *a)
{
	struct node_resources *r = arena_new(a, struct node_resources);
	struct node_reserved *kept = arena_new(a, struct node_reserved);
	struct network *net = arena_new(a, struct network);

	r->cpu = cpu_of(a, c->conf.cpu_mhz, (int64_t)f->cores);
	r->memory = arena_new(a, struct memory_resources);
	r->memory->memory_mb = c->conf.memory_mb;
	r->disk = arena_new(a, struct disk_resources);
	r->disk->disk_mb = (int64_t)(f->disk_free_bytes >> 20);
	*net = (struct network){ .mode = "host",
		.device = f->interface_name,
		.ip = c->conf.address,
		.cidr = arena_printf(
		    a, "%s/%d", c->conf.address, strchr(c->conf.address, ':') != NULL ? 128 : 32),
		.mbits = 1000 };
	objs_add(&r->networks, a, net);
	r->min_dynamic_port = 20000;
	r->max_dynamic_port = 32000;
	kept->cpu = cpu_of(a, c->conf.reserved_cpu_mhz, 0);
	kept->memory = arena_new(a, struct memory_resources);
	kept->memory->memory_mb = c->conf.reserved_memory_mb;
	kept->disk = arena_new(a, struct disk_resources);
	kept->disk->disk_mb = c->conf.reserved_disk_mb;
	kept->networks = arena_new(a, struct node_reserved_networks);
	kept->networks->reserved_host_ports =
	    c->conf.reserved_ports != NULL ? c->conf.reserved_ports : "";
	n->node_resources = r;
	n->reserved_resources = kept;
}

static void
describe(struct client *c, struct node *n, struct arena *a)
{
	struct facts f;

	facts_read(&f, c->conf.data_dir, a);
	*n = (struct node){
		.id = c->id,
		.secret_id = c->secret,
		.datacenter = c->conf.datacenter,
		.name = c->conf.node_name,
		.node_class = c->conf.node_class,
		.node_pool = c->conf.node_pool,
		.http_addr = c->conf.http_addr,
		.meta = c->conf.meta,
		.status = "ready",
		.scheduling_eligibility = "eligible",
	};
	add_facts(c, n, &f, a);
	add_drivers(c, n, a);
	add_resources(c, n, &f, a);
}

/* ---- registration and heartbeats ---- */

static void beat(void *ctx);

static void
answered(struct client *c, const struct http_result *res)
{
	autojson json_t *v = NULL;
	struct err e = ERR_INIT;

	if (json_read(res->body, res->len, &v, &e) == 0)
		c->heartbeat_ttl_ns = json_int(v, "HeartbeatTTL", 10 * NS_PER_SEC);
	/* Half of what is granted, so that one lost beat does no harm. */
	loop_timer_set(c->node_timer, c->heartbeat_ttl_ns / 2 / NS_PER_MS);
}

static void
on_registered(void *ctx, const struct http_result *res)
{
	struct client *c = ctx;

	c->node_call = NULL;
	if (res->status != 200) {
		log_error(
		    "client.node", "register: %s", res->status == 0 ? res->err->text : res->body);
		loop_timer_set(c->node_timer, RETRY_MS);
		return;
	}
	log_info("client.node", "registered node_id=%s", c->id);
	c->registered = true;
	answered(c, res);
	/* While the servers took the node for lost they forgot its services. */
	services_again(c);
	sync_start(c);
}

static void
on_beat(void *ctx, const struct http_result *res)
{
	struct client *c = ctx;

	c->node_call = NULL;
	if (res->status == 200) {
		answered(c, res);
		return;
	}
	log_warn("client.node", "heartbeat: %s", res->status == 0 ? res->err->text : res->body);
	if (res->status == 404 || res->status == 403)
		c->registered = false;
	loop_timer_set(c->node_timer, RETRY_MS);
}

static void
send_node(struct client *c, const char *path, const struct buf *body, http_done *done)
{
	autoarena struct arena mem = ARENA_INIT;
	struct http_spec spec = { .base = c->conf.server,
		.path = path,
		.method = "PUT",
		.body = buf_str(body),
		.len = body->len,
		.headers = sync_headers(c, &mem),
		.done = done,
		.ctx = c };

	c->node_call = http_call(c->loop, &spec);
}

static void
register_node(struct client *c)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);
	struct node n;

	describe(c, &n, &mem);
	jsonw_object(&w);
	jsonw_key(&w, "Node");
	model_to_json(&node_secret_model, &n, &w);
	jsonw_end_object(&w);
	send_node(c, "/v1/internal/node/register", &body, on_registered);
}

static void
beat(void *ctx)
{
	struct client *c = ctx;
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);

	if (c->node_call != NULL)
		return;
	if (!c->registered) {
		register_node(c);
		return;
	}
	jsonw_object(&w);
	jsonw_kstr(&w, "NodeID", c->id);
	jsonw_kstr(&w, "Status", "ready");
	jsonw_end_object(&w);
	send_node(c, "/v1/internal/node/heartbeat", &body, on_beat);
}

void
node_start(struct client *c)
{
	c->node_timer = loop_timer(c->loop, -1, 0, beat, c);
	beat(c);
}

void
node_stop(struct client *c)
{
	http_cancel(&c->node_call);
	loop_timer_free(&c->node_timer);
}
