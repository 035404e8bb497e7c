#include "plugin/task.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "codec/msgpack.h"
#include "plugin/env.h"
#include "plugin/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * StartTask: prepare (clone, command, settings), where needed the image before it, copies, start. A
 * failure, and a host that does not wait any longer, take back what was made.
 */

struct start {
	struct task *task;
	struct grpc_call *call; /* NULL: cancelled */
	Np__TaskConfig *asked;	/* a copy, which the answer echoes */
	struct arena mem;
	struct task_config config;
	struct strs ports, env;
	struct pull_want *pull;
	size_t copied;
	bool imported, cleared;
	const char *resolver;	  /* text of its resolv.conf; NULL: as the machine's */
	const char *network_path; /* that Nomad has made for the allocation; NULL: none */
};

static void
start_free(struct start *s)
{
	if (s->call != NULL)
		grpc_on_gone(s->call, NULL, NULL);
	if (s->asked != NULL)
		np__task_config__free_unpacked(s->asked, NULL);
	task_config_fini(&s->config);
	arena_fini(&s->mem);
	free(s);
}

/* ---- how it ends ---- */

static void
answer_failure(struct start *s, const struct err *e, bool retry)
{
	const char *text = text_utf8(e->text, &s->mem);

	if (s->call == NULL)
		return;
	if (retry)
		grpc_fail_recoverable(s->call, text);
	else
		grpc_fail(s->call, GRPC_UNKNOWN, text);
	s->call = NULL;
}

struct undo {
	struct start *start;
	struct err why;
	bool retry;
};

static void
on_undone(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct undo *u = ctx;

	(void)r;
	if (e != NULL)
		log_warn("task", "after the failed start of %s: %s", u->start->task->pot, e->text);
	answer_failure(u->start, &u->why, u->retry);
	task_free(u->start->task);
	start_free(u->start);
	free(u);
}

/* Nothing of it stays, then the answer. */
static void
give_up(struct start *s, const struct err *e, bool retry)
{
	struct runner_request req = {
		.op = RUNNER_POT_DESTROY, .pot = s->task->pot, .force = true
	};
	struct undo *u = xcalloc(1, sizeof(*u));
	struct err ignored = ERR_INIT;

	u->start = s;
	u->why = *e;
	u->retry = retry;
	log_warn("task", "%s: %s", s->task->pot, e->text);
	runner_call(plugin_runner(s->task->plugin, &ignored), &req, NULL, 0, NULL, on_undone, u);
}

/* What the job must change does not get better by trying again. */
static bool
worth_a_retry(const struct err *e)
{
	return e->kind != ERR_INPUT && e->kind != ERR_UNSUPPORTED && e->kind != ERR_RIGHTS;
}

static bool
cancelled(struct start *s)
{
	struct err e = ERR_INIT;

	if (s->call != NULL)
		return false;
	err_new(&e, ERR_TIMEOUT, "the start was cancelled");
	give_up(s, &e, true);
	return true;
}

static void
on_gone(void *ctx)
{
	struct start *s = ctx;

	s->call = NULL;
	/* a download is the one step that may take long */
	if (s->pull != NULL) {
		image_want_free(s->pull);
		s->pull = NULL;
		(void)cancelled(s);
	}
}

static void
call_runner(struct start *s, const struct runner_request *req, runner_done *done)
{
	struct err e = ERR_INIT;
	struct runner *r = plugin_runner(s->task->plugin, &e);

	runner_call(r, req, NULL, 0, NULL, done, s);
}

/* ---- start ---- */

static bool
is_host(const char *mode)
{
	return strcmp(mode, "host") == 0 || strcmp(mode, "inherit") == 0;
}

static const char *const *
list(const struct strs *l, struct arena *a)
{
	const char **out = arena_array(a, l->n + 1, const char *);

	if (l->n > 0)
		memcpy(out, l->at, l->n * sizeof(*out));
	return out;
}

static void
on_started(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;
	struct task *t = s->task;
	Np__StartTaskResponse reply = NP__START_TASK_RESPONSE__INIT;
	Np__TaskHandle handle = NP__TASK_HANDLE__INIT;
	autobuf struct buf state = BUF_INIT;

	if (e != NULL) { /* absent: its command, a user, what it mounts */
		give_up(s, e, worth_a_retry(e) && e->kind != ERR_ABSENT);
		return;
	}
	task_runs(t, r->runs[0].run_id);
	if (r->runs[0].ip != NULL)
		t->ip = xstrdup(r->runs[0].ip);
	if (cancelled(s))
		return;
	task_state_write(t, &state);
	handle.version = 3;
	handle.config = s->asked;
	handle.state = 1;
	handle.driver_state.data = (uint8_t *)state.data;
	handle.driver_state.len = state.len;
	reply.handle = &handle;
	grpc_reply(s->call, &reply.base);
	s->call = NULL;
	log_info("task", "%s runs", t->pot);
	start_free(s);
}

static void
add_bind(struct runner_request *req, struct runner_bind *binds, const char *source,
    const char *target, bool read_only)
{
	binds[req->n_binds++] = (struct runner_bind){ source, target, read_only };
}

/* The allocation's directories where jobs look for them, volumes, and the job's own mounts. */
static void
gather_binds(struct start *s, struct runner_request *req)
{
	const Np__TaskConfig *a = s->asked;
	struct runner_bind *binds = arena_array(
	    &s->mem, 3 + a->n_mounts + a->n_devices + s->config.mounts.n, struct runner_bind);

	req->binds = binds;
	if (*a->alloc_dir == '/') {
		add_bind(
		    req, binds, arena_printf(&s->mem, "%s/alloc", a->alloc_dir), "/alloc", false);
		add_bind(req, binds, arena_printf(&s->mem, "%s/%s/local", a->alloc_dir, a->name),
		    "/local", false);
		add_bind(req, binds, arena_printf(&s->mem, "%s/%s/secrets", a->alloc_dir, a->name),
		    "/secrets", false);
	}
	for (size_t i = 0; i < a->n_mounts; i++)
		add_bind(req, binds, a->mounts[i]->host_path, a->mounts[i]->task_path,
		    a->mounts[i]->readonly);
	for (size_t i = 0; i < a->n_devices; i++)
		add_bind(req, binds, a->devices[i]->host_path, a->devices[i]->task_path, false);
	VEC_FOREACH (struct task_pair *, p, &s->config.mounts)
		add_bind(req, binds, p->source, p->target, p->read_only);
}

static void
do_start(struct start *s)
{
	const Np__TaskConfig *a = s->asked;
	const Np__Allocated *allocated = a->resources != NULL ? a->resources->allocated : NULL;
	struct runner_request req = {
		.op = RUNNER_POT_START, .pot = s->task->pot, .take_over = true
	};

	if (cancelled(s))
		return;
	gather_binds(s, &req);
	req.env = list(&s->env, &s->mem);
	req.hosts = list(&s->config.hosts, &s->mem);
	req.network_path = s->network_path;
	req.user = *a->user != '\0' ? a->user : NULL;
	req.stdout_path = a->stdout_path;
	req.stderr_path = a->stderr_path;
	if (allocated != NULL && allocated->memory != NULL) {
		int64_t mb = allocated->memory->memory_max_mb > allocated->memory->memory_mb
				 ? allocated->memory->memory_max_mb
				 : allocated->memory->memory_mb;
		req.memory_bytes = mb > 0 ? (uint64_t)mb << 20 : 0;
	}
	if (allocated != NULL && allocated->cpu != NULL && allocated->cpu->cpu_shares > 1)
		req.cpu_shares = allocated->cpu->cpu_shares < 262144
				     ? (unsigned)allocated->cpu->cpu_shares
				     : 262144;
	call_runner(s, &req, on_started);
}

/* What lies in the allocation is the task's to change: a link there could lead to any file of the
 * machine the next time. */
static bool
is_of_allocation(const struct start *s, const char *path)
{
	size_t n = strlen(s->asked->alloc_dir);

	return n > 0 && strncmp(path, s->asked->alloc_dir, n) == 0 && path[n] == '/';
}

static void
on_copied(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	(void)r;
	if (e != NULL) {
		give_up(s, e, false);
		return;
	}
	if (cancelled(s))
		return;
	if (s->copied == s->config.copies.n) {
		do_start(s);
		return;
	}
	const struct task_pair *c = &s->config.copies.at[s->copied++];
	struct runner_request req = { .op = RUNNER_POT_COPY_IN,
		.pot = s->task->pot,
		.source = c->source,
		.target = c->target,
		.no_links = is_of_allocation(s, c->source) };
	call_runner(s, &req, on_copied);
}

/* ---- prepare, and the image ---- */

static void do_prepare(struct start *s);

static void
on_note(void *ctx, const char *text)
{
	const struct start *s = ctx;

	event_say(s->task->plugin, s->task->id, s->task->alloc_id, s->task->name, "%s", text);
}

static void
on_pulled(void *ctx, const struct err *e)
{
	struct start *s = ctx;

	s->pull = NULL;
	s->imported = true;
	if (e != NULL)
		give_up(s, e, e->kind != ERR_INPUT);
	else if (!cancelled(s))
		do_prepare(s);
}

static void
on_cleared(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	(void)r;
	if (e != NULL)
		give_up(s, e, true);
	else if (!cancelled(s))
		do_prepare(s);
}

/* Half a start, by a plugin that died over it: nobody else wants what is there. */
static void
clear(struct start *s)
{
	struct runner_request req = {
		.op = RUNNER_POT_DESTROY, .pot = s->task->pot, .force = true
	};

	s->cleared = true;
	call_runner(s, &req, on_cleared);
}

static void
on_prepared(void *ctx, const struct runner_reply *r, const struct err *e)
{
	struct start *s = ctx;

	if (e == NULL && r->n_runs > 0) {
		/* a plugin died that had started it, and Nomad, which never got its handle, asks
		 * once more: a second start would run the command twice, and lose how it ended */
		on_started(s, r, NULL);
	} else if (e == NULL) {
		on_copied(s, NULL, NULL);
	} else if (e->kind == ERR_ABSENT && !s->imported && *s->config.path == '\0') {
		if (cancelled(s))
			return;
		on_note(s, "Downloading image");
		s->pull = image_pull(s->task->plugin, s->config.pot, s->config.tag, s->config.image,
		    on_note, on_pulled, s);
	} else if (e->kind == ERR_BUSY && !s->cleared) {
		clear(s);
	} else {
		give_up(s, e, worth_a_retry(e));
	}
}

/* Cores that Nomad has reserved for the task, "0,1", unless the job says itself which ones. */
static const char *
pinned_to(const struct start *s)
{
	const Np__Resources *r = s->asked->resources;

	if (s->config.pin != NULL || s->config.cpus != NULL)
		return s->config.pin;
	return r != NULL && r->linux_resources != NULL && *r->linux_resources->cpuset_cpus != '\0'
		   ? r->linux_resources->cpuset_cpus
		   : NULL;
}

static void
do_prepare(struct start *s)
{
	const struct task_config *c = &s->config;
	struct runner_request req = { .op = RUNNER_POT_PREPARE,
		.pot = s->task->pot,
		.image = *c->path == '\0' ? c->pot : NULL,
		.tag = *c->path == '\0' ? c->tag : NULL,
		.source = *c->path != '\0' ? c->path : NULL,
		.command = c->command,
		.take_over = true,
		.ports = list(&s->ports, &s->mem),
		.attributes = list(&c->attributes, &s->mem),
		.limit_cpus = c->cpus,
		.limit_pin = pinned_to(s),
		.limit_processes = c->processes,
		.limit_files = c->files,
		.limit_io_weight = c->io_weight };

	if (s->network_path != NULL || is_host(c->network_mode))
		req.network = "inherit";
	else if (*c->network_mode != '\0')
		req.network = c->network_mode;
	else if (s->ports.n > 0)
		req.network = "public-bridge";
	if (c->addresses.n > 0)
		req.addresses = list(&c->addresses, &s->mem);
	req.bridge = *c->bridge != '\0' ? c->bridge : NULL;
	req.resolver = s->resolver;
	call_runner(s, &req, on_prepared);
}

/* ---- what the job asks for ---- */

static const Np__Port *
port_in(Np__Port *const *ports, size_t n, const char *label)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(ports[i]->label, label) == 0)
			return ports[i];
	return NULL;
}

/* Of the group's network, of the task's own, else as the environment has it; 0: nowhere. */
static unsigned
host_port(const Np__TaskConfig *a, const char *label, struct arena *mem)
{
	const Np__Resources *r = a->resources;
	const Np__Port *p = r != NULL ? port_in(r->ports, r->n_ports, label) : NULL;
	char *name = arena_printf(mem, "NOMAD_HOST_PORT_%s", label);
	uint64_t n;

	for (size_t i = 0;
	     p == NULL && r != NULL && r->allocated != NULL && i < r->allocated->n_networks; i++) {
		const Np__Network *net = r->allocated->networks[i];
		p = port_in(net->dynamic_ports, net->n_dynamic_ports, label);
		if (p == NULL)
			p = port_in(net->reserved_ports, net->n_reserved_ports, label);
	}
	if (p != NULL && p->value > 0 && p->value <= 65535)
		return (unsigned)p->value;
	for (char *c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.')
			*c = '_';
	for (size_t i = 0; i < a->n_env; i++)
		if (strcmp(a->env[i]->key, name) == 0 && str_u64(a->env[i]->value, 65535, &n))
			return (unsigned)n;
	return 0;
}

static bool
mapped(const struct task_config *c, const char *label)
{
	VEC_FOREACH (const struct task_port *, p, &c->ports)
		if (strcmp(p->label, label) == 0)
			return true;
	return false;
}

static int
gather_ports(struct start *s, struct err *e)
{
	const Np__TaskConfig *a = s->asked;

	/* no address of its own that ports could lead to, or one to which Nomad leads them */
	if (is_host(s->config.network_mode) || strcmp(s->config.network_mode, "alias") == 0 ||
	    s->network_path != NULL)
		return 0;
	VEC_FOREACH (const struct task_port *, p, &s->config.ports) {
		unsigned outside = host_port(a, p->label, &s->mem);
		if (outside == 0)
			return err_new(e, ERR_INPUT,
			    "config of driver pot: port_map: no port of the job is labelled \"%s\"",
			    p->label);
		strs_add(&s->ports, &s->mem,
		    arena_printf(&s->mem, "%s:%u:%u", p->udp ? "udp" : "tcp", p->inside, outside));
	}
	/* ports of the group's network that say themselves where they lead */
	for (size_t i = 0; a->resources != NULL && i < a->resources->n_ports; i++) {
		const Np__Port *p = a->resources->ports[i];
		if (p->to > 0 && p->to <= 65535 && p->value > 0 && p->value <= 65535 &&
		    !mapped(&s->config, p->label))
			strs_add(&s->ports, &s->mem,
			    arena_printf(&s->mem, "tcp:%d:%d", (int)p->to, (int)p->value));
	}
	return 0;
}

/* A group's network is a place that Nomad has made; a pot that says otherwise goes its own way. */
static int
gather_network(struct start *s, struct err *e)
{
	const Np__NetworkIsolation *n = s->asked->network_isolation;

	if (n == NULL || *n->path == '\0' || is_host(s->config.network_mode))
		return 0;
	if (*s->config.network_mode != '\0')
		return err_new(e, ERR_INPUT,
		    "config of driver pot: network_mode: \"%s\" and the group's network, which "
		    "Nomad makes, exclude each other: leave one out",
		    s->config.network_mode);
	if (n->hosts != NULL && *n->hosts->address != '\0' && *n->hosts->hostname != '\0')
		strs_add(&s->config.hosts, &s->mem,
		    arena_printf(&s->mem, "%s %s", n->hosts->address, n->hosts->hostname));
	s->network_path = n->path;
	return 0;
}

/* A device becomes a file of the pot. Which use of it is allowed cannot be said for one pot alone.
 */
static int
check_devices(const Np__TaskConfig *a, struct err *e)
{
	for (size_t i = 0; i < a->n_devices; i++) {
		const Np__Device *d = a->devices[i];
		const char *may = d->cgroup_permissions;
		if (*d->host_path != '/' || *d->task_path != '/')
			return err_new(e, ERR_INPUT, "device \"%s\" at \"%s\": no absolute path",
			    d->host_path, d->task_path);
		if (*may != '\0' && (strchr(may, 'r') == NULL || strchr(may, 'w') == NULL))
			return err_new(e, ERR_UNSUPPORTED,
			    "device %s: it can be given to a pot with reading and writing, not "
			    "with "
			    "\"%s\" alone",
			    d->host_path, may);
	}
	return 0;
}

static int
gather(struct start *s, struct err *e)
{
	const Np__TaskConfig *a = s->asked;
	const struct any *v =
	    msgpack_read(a->msgpack_driver_config.data, a->msgpack_driver_config.len, &s->mem, e);

	if (v == NULL)
		return err_ctx(e, "config of driver pot");
	if (task_config_read(&s->config, v, &s->mem, e) < 0)
		return -1;
	if (check_devices(a, e) < 0 || gather_network(s, e) < 0)
		return -1;
	if (*a->stdout_path != '/' || *a->stderr_path != '/')
		return err_new(e, ERR_INPUT, "the task has no paths for its output");
	return gather_ports(s, e) < 0 ||
		       env_gather(&s->env, a, s->config.env_file, &s->mem, e) < 0 ||
		       resolver_text(&s->resolver, &s->config.dns, a->dns, &s->mem, e) < 0
		   ? -1
		   : 0;
}

static Np__TaskConfig *
copy_of(const Np__TaskConfig *m)
{
	autobuf struct buf packed = BUF_INIT;

	buf_reserve(&packed, np__task_config__get_packed_size(m) + 1);
	packed.len = np__task_config__pack(m, (uint8_t *)packed.data);
	return np__task_config__unpack(NULL, packed.len, (const uint8_t *)packed.data);
}

static void
refuse(struct start *s, const struct err *e, bool retry)
{
	log_warn("task", "%s: %s", s->asked->id, e->text);
	answer_failure(s, e, retry);
	start_free(s);
}

void
on_start_task(void *ctx, struct grpc_call *call, const ProtobufCMessage *message)
{
	const Np__StartTask *m = (const Np__StartTask *)message;
	struct plugin *p = ctx;
	struct err e = ERR_INIT;

	if (m->task == NULL || *m->task->id == '\0' || *m->task->name == '\0' ||
	    strchr(m->task->name, '/') != NULL) {
		grpc_fail(call, GRPC_UNKNOWN, "the request has no task");
		return;
	}
	struct start *s = xcalloc(1, sizeof(*s));
	s->call = call;
	s->asked = copy_of(m->task);
	if (task_find(p, m->task->id) != NULL) {
		err_new(&e, ERR_EXISTS, "task %s was started already", m->task->id);
		refuse(s, &e, false);
	} else if (!p->config.enabled) {
		err_new(&e, ERR_UNSUPPORTED, "the driver is disabled in the agent's configuration");
		refuse(s, &e, false);
	} else if (gather(s, &e) < 0) {
		refuse(s, &e, false);
	} else if (plugin_runner(p, &e) == NULL) {
		refuse(s, &e, true);
	} else {
		grpc_on_gone(call, on_gone, s);
		s->task = task_new(p, m->task->id, m->task->name, m->task->alloc_id);
		free(s->task->image);
		s->task->image =
		    xstrdup(*s->config.path != '\0'
				? ""
				: arena_printf(&s->mem, "%s_%s", s->config.pot, s->config.tag));
		for (char *c = s->task->image; *c != '\0'; c++)
			if (*c == '.')
				*c = '_';
		task_env(s->task, &s->env);
		image_used(p, s->task->image, 1);
		do_prepare(s);
	}
}
