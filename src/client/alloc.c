/* alloc.c: one allocation: its tasks together, its health for the deployment, its end. */
#include "client/priv.h"

#include "base/clock.h"
#include "base/str.h"
#include "client/allocdir.h"
#include "store/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* From "out of the directory" to the signal, so that requests which were already on their
	 * way to the instance have their answer. */
	DRAIN_MS = 300,
};

struct client_task *
alloc_task(struct client_alloc *a, const char *name)
{
	for (size_t i = 0; i < a->n_tasks; i++)
		if (strcmp(a->task[i].job_task->name, name) == 0)
			return &a->task[i];
	return NULL;
}

/* ---- ports ---- */

static void
add_ports(const struct objs *list, struct driver_port *out, size_t *n)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct port *p = list->at[i];
		out[(*n)++] = (struct driver_port){ p->label, p->value, p->to };
	}
}

const struct driver_port *
alloc_ports(const struct client_alloc *a, const struct task *t, struct arena *mem, size_t *n)
{
	const struct allocated_resources *r = a->row->allocated_resources;
	const struct allocated_task *own = r != NULL ? objmap_get(&r->tasks, t->name) : NULL;
	size_t room = r != NULL && r->shared != NULL ? r->shared->ports.n : 0;

	for (size_t i = 0; own != NULL && i < own->networks.n; i++) {
		const struct network *net = own->networks.at[i];
		room += net->reserved_ports.n + net->dynamic_ports.n;
	}
	struct driver_port *out = arena_array(mem, room + 1, struct driver_port);
	*n = 0;
	for (size_t i = 0; own != NULL && i < own->networks.n; i++) {
		const struct network *net = own->networks.at[i];
		add_ports(&net->reserved_ports, out, n);
		add_ports(&net->dynamic_ports, out, n);
	}
	if (r != NULL && r->shared != NULL)
		add_ports(&r->shared->ports, out, n);
	return out;
}

int64_t
alloc_port(const struct client_alloc *a, const struct task *t, const char *label, int64_t *to)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t n;
	const struct driver_port *ports = alloc_ports(a, t, &mem, &n);

	for (size_t i = 0; i < n; i++)
		if (str_eq(ports[i].label, label)) {
			*to = ports[i].to;
			return ports[i].host_port;
		}
	return 0;
}

static bool
has_port(const struct client_alloc *a, int64_t host_port)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t n;

	for (size_t i = 0; i < a->n_tasks; i++) {
		const struct driver_port *ports = alloc_ports(a, a->task[i].job_task, &mem, &n);
		for (size_t k = 0; k < n; k++)
			if (ports[k].host_port == host_port)
				return true;
	}
	return false;
}

/* Who still has a port that this one was given: the servers count a port as free from the moment
 * they want its holder stopped. NULL: nobody; else *port tells which. */
static const struct client_alloc *
port_holder(const struct client_alloc *a, int64_t *port)
{
	autoarena struct arena mem = ARENA_INIT;
	size_t at = 0, n;
	void *value;

	while (map_next(&a->client->allocs, &at, NULL, &value)) {
		const struct client_alloc *other = value;
		if (other == a || other->held || alloc_is_down(other))
			continue;
		for (size_t i = 0; i < a->n_tasks; i++) {
			const struct driver_port *ports =
			    alloc_ports(a, a->task[i].job_task, &mem, &n);
			for (size_t k = 0; k < n; k++)
				if (has_port(other, *port = ports[k].host_port))
					return other;
		}
	}
	return NULL;
}

/* ---- handles, kept for the next agent ---- */

static char *
state_name(const struct client_alloc *a, struct arena *mem)
{
	return arena_printf(mem, "%s.json", a->id);
}

void
alloc_save(struct client_alloc *a)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf text = BUF_INIT;
	struct jsonw w = JSONW_INIT(&text);
	struct err e = ERR_INIT;
	bool any = false;
	autofd int dir = open(a->client->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	jsonw_object(&w);
	for (size_t i = 0; i < a->n_tasks; i++) {
		const struct client_task *t = &a->task[i];
		if (t->handle == NULL)
			continue;
		any = true;
		jsonw_key(&w, t->job_task->name);
		jsonw_object(&w);
		jsonw_kstr(&w, "Driver", t->driver->ops->name);
		jsonw_kstr(&w, "Handle", t->handle);
		jsonw_end_object(&w);
	}
	jsonw_end_object(&w);
	/* Not synced: after a power cut nothing of what it names is there. */
	int rc = any ? file_swap(dir, state_name(a, &mem), buf_str(&text), text.len, 0600, &e)
		     : (unlinkat(dir, state_name(a, &mem), 0), 0);
	if (dir < 0 || rc < 0)
		log_error("client.alloc", "alloc_id=%s: keep its handles: %s", a->id, e.text);
}

static char *
saved_handle(const json_t *saved, const struct client_task *t)
{
	const json_t *row = json_object_get(saved, t->job_task->name);
	const char *driver = json_str(row, "Driver", ""), *handle = json_str(row, "Handle", NULL);

	return handle != NULL && str_eq(driver, t->job_task->driver) ? xstrdup(handle) : NULL;
}

static json_t *
load_saved(struct client_alloc *a)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	json_t *saved = NULL;
	autofd int dir = open(a->client->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || file_load(dir, state_name(a, &mem), 1 << 20, &text, &e) < 0)
		return NULL;
	if (json_read(buf_str(&text), text.len, &saved, &e) < 0)
		log_warn(
		    "client.alloc", "alloc_id=%s: its handles cannot be read: %s", a->id, e.text);
	return saved;
}

/* ---- status ---- */

static void
set_status(struct client_alloc *a, const char *status, const char *description)
{
	if (strcmp(a->status, status) == 0 && strcmp(a->description, description) == 0)
		return;
	a->status = status;
	a->description = description;
	sync_alloc_changed(a);
}

bool
alloc_is_down(const struct client_alloc *a)
{
	for (size_t i = 0; i < a->n_tasks; i++)
		if (a->task[i].phase != TASK_DEAD)
			return false;
	return true;
}

static bool
all_running(const struct client_alloc *a)
{
	for (size_t i = 0; i < a->n_tasks; i++)
		if (a->task[i].phase != TASK_RUNNING)
			return false;
	return a->n_tasks > 0;
}

static void
kill_siblings(
    struct client_alloc *a, const struct client_task *cause, const char *type, const char *text)
{
	for (size_t i = 0; i < a->n_tasks; i++) {
		struct client_task *t = &a->task[i];
		const char *details[] = { "failed_sibling", cause->job_task->name, NULL };
		if (t == cause || t->phase == TASK_DEAD || t->kill_wanted)
			continue;
		task_event(t, type, text, details);
		task_kill(t, NULL);
	}
}

static void
look_at_tasks(struct client_alloc *a)
{
	for (size_t i = 0; i < a->n_tasks; i++) {
		struct client_task *t = &a->task[i];
		if (t->phase != TASK_DEAD || t->force_down)
			continue;
		if (t->failed && !t->kill_wanted)
			kill_siblings(a, t, "Sibling Task Failed", "Task's sibling failed");
		else if (t->job_task->leader)
			kill_siblings(a, t, "Leader Task Dead", "Leader Task in Group dead");
	}
}

static void
find_status(struct client_alloc *a)
{
	bool running = false, failed = false, down = alloc_is_down(a), forced = false;

	for (size_t i = 0; i < a->n_tasks; i++) {
		running = running || strcmp(a->task[i].state, "running") == 0;
		failed = failed || (a->task[i].phase == TASK_DEAD && a->task[i].failed);
		forced = forced || a->task[i].force_down;
	}
	if (forced)
		return; /* the node stops; the servers are not told that the work is over */
	if (failed)
		set_status(a, "failed", "Failed tasks");
	else if (down)
		set_status(a, "complete", "All tasks have completed");
	else if (running)
		set_status(a, "running", "Tasks are running");
	else
		set_status(a, "pending", "No tasks have started");
}

/* ---- health, for the deployment ---- */

static void
set_health(struct client_alloc *a, int health)
{
	if (a->health >= 0)
		return;
	a->health = health;
	a->health_time = clock_wall_ns();
	loop_timer_set(a->health_timer, -1);
	loop_timer_set(a->deadline_timer, -1);
	if (health == 0)
		for (size_t i = 0; i < a->n_tasks; i++)
			task_event(&a->task[i], "Alloc Unhealthy",
			    "Task not running for min_healthy_time before the deadline, or its "
			    "checks did not pass",
			    NULL);
	sync_alloc_changed(a);
}

static const struct update_strategy *
strategy(const struct client_alloc *a)
{
	bool watched = a->row->deployment_id != NULL && a->row->deployment_id[0] != '\0';

	return watched ? a->group->update : NULL;
}

static void
on_healthy(void *ctx)
{
	set_health(ctx, 1);
}

static void
on_deadline(void *ctx)
{
	set_health(ctx, 0);
}

static void
look_at_health(struct client_alloc *a)
{
	const struct update_strategy *u = strategy(a);
	bool by_checks =
	    u != NULL && u->health_check != NULL && strcmp(u->health_check, "checks") == 0;

	if (u == NULL || a->health >= 0 || str_eq(u->health_check, "manual"))
		return;
	if (strcmp(a->status, "failed") == 0) {
		set_health(a, 0);
		return;
	}
	bool good = all_running(a) && (!by_checks || services_pass(a));
	if (!good) {
		a->good_since_ns = 0;
		loop_timer_set(a->health_timer, -1);
	} else if (a->good_since_ns == 0) {
		a->good_since_ns = clock_mono_ns();
		loop_timer_set(a->health_timer, u->min_healthy_time / NS_PER_MS);
	}
}

/* ---- the end ---- */

static void
remove_saved(struct client_alloc *a)
{
	if (!a->gone_from_server || !alloc_is_down(a))
		return;
	struct err e = ERR_INIT;
	if (allocdir_remove(a->client->alloc_root, a->id, &e) < 0)
		log_warn("client.alloc", "alloc_id=%s: remove its directory: %s", a->id, e.text);
	a->destroyed = true;
}

static void
on_drained(void *ctx)
{
	struct client_alloc *a = ctx;

	for (size_t i = 0; i < a->n_tasks; i++)
		task_kill(&a->task[i], NULL);
	alloc_task_changed(a);
}

void
alloc_stop(struct client_alloc *a, const char *why)
{
	if (a->stop_wanted)
		return;
	a->stop_wanted = true;
	log_info("client.alloc", "alloc_id=%s: stopping: %s", a->id, why);
	bool routed = a->services_up && services_any(a);
	services_down(a);
	int64_t delay = a->group->shutdown_delay / NS_PER_MS;
	if (routed && delay < DRAIN_MS)
		delay = DRAIN_MS;
	if (delay == 0)
		on_drained(a);
	else
		loop_timer_set(a->drain_timer, delay);
}

static void begin_held(struct client *c);

void
alloc_task_changed(struct client_alloc *a)
{
	look_at_tasks(a);
	find_status(a);
	bool up = all_running(a) && !a->stop_wanted;
	if (up && !a->services_up)
		services_up(a);
	else if (!up && a->services_up)
		services_down(a);
	look_at_health(a);
	remove_saved(a);
	if (alloc_is_down(a))
		begin_held(a->client);
	if (a->client->stopping && a->client->stopped != NULL) {
		size_t i = 0;
		void *value;
		while (map_next(&a->client->allocs, &i, NULL, &value))
			if (!alloc_is_down(value))
				return;
		loop_defer(a->client->loop, a->client->stopped, a->client->stopped_ctx);
		a->client->stopped = NULL;
	}
}

/* ---- birth ---- */

static void
restore_states(struct client_alloc *a)
{
	for (size_t i = 0; i < a->n_tasks; i++) {
		const struct task_state *s =
		    objmap_get(&a->row->task_states, a->task[i].job_task->name);
		if (s != NULL)
			task_events_from(&a->task[i], s);
	}
	int health = alloc_health(a->row);
	if (health >= 0) {
		a->health = health;
		a->health_time = a->row->deployment_status->timestamp;
	}
}

static void
begin_tasks(struct client_alloc *a, const json_t *saved)
{
	for (size_t i = 0; i < a->n_tasks; i++) {
		struct client_task *t = &a->task[i];
		char *handle = saved_handle(saved, t);
		if (t->events.n == 0) {
			task_event(t, "Received", "Task received by client", NULL);
			task_event(t, "Task Setup", "Building Task Directory", NULL);
		}
		task_begin(t, handle);
		free(handle);
	}
}

static int
make_dirs(struct client_alloc *a, struct err *e)
{
	if (allocdir_make(a->client->alloc_root, a->id, e) < 0)
		return -1;
	for (size_t i = 0; i < a->n_tasks; i++)
		if (allocdir_make_task(a->client->alloc_root, a->id, a->task[i].job_task->name, e) <
		    0)
			return -1;
	return 0;
}

/* An allocation that is over: only what an earlier agent may have left of it is taken away. */
static void
begin_ended(struct client_alloc *a, const json_t *saved)
{
	a->stop_wanted = true;
	for (size_t i = 0; i < a->n_tasks; i++) {
		struct client_task *t = &a->task[i];
		char *handle = saved_handle(saved, t);
		t->kill_wanted = true;
		if (handle != NULL)
			task_begin(t, handle);
		else
			t->phase = TASK_DEAD;
		if (handle == NULL && !alloc_client_terminal(a->row))
			t->state = "dead";
		free(handle);
	}
	if (alloc_client_terminal(a->row)) {
		a->status = a->row->client_status;
		a->description =
		    a->row->client_description != NULL ? a->row->client_description : "";
	} else
		alloc_task_changed(a);
}

/* Its ports are another's who is still on the way down: it waits for that. */
static bool
hold(struct client_alloc *a)
{
	int64_t port;
	const struct client_alloc *holder = port_holder(a, &port);
	char text[128];

	a->held = holder != NULL;
	if (holder == NULL)
		return false;
	snprintf(text, sizeof(text), "Waiting for port %" PRId64 " of allocation %.8s to be free",
	    port, holder->id);
	log_info("client.alloc", "alloc_id=%s: %s", a->id, text);
	for (size_t i = 0; i < a->n_tasks; i++) {
		task_event(&a->task[i], "Received", "Task received by client", NULL);
		task_event(&a->task[i], "Waiting", text, NULL);
	}
	return true;
}

static void
begin(struct client_alloc *a)
{
	autojson json_t *saved = load_saved(a);
	struct err e = ERR_INIT;
	const struct update_strategy *u = strategy(a);

	restore_states(a);
	if (alloc_terminal(a->row)) {
		begin_ended(a, saved);
		return;
	}
	if (make_dirs(a, &e) < 0) {
		for (size_t i = 0; i < a->n_tasks; i++) {
			a->task[i].phase = TASK_DEAD;
			a->task[i].failed = true;
			a->task[i].state = "dead";
			task_event(&a->task[i], "Setup Failure", e.text, NULL);
		}
		alloc_task_changed(a);
		return;
	}
	if (u != NULL && a->health < 0 && u->healthy_deadline > 0 &&
	    !str_eq(u->health_check, "manual"))
		loop_timer_set(a->deadline_timer, u->healthy_deadline / NS_PER_MS);
	if (saved == NULL && hold(a))
		return;
	begin_tasks(a, saved);
}

static void
begin_held(struct client *c)
{
	size_t i = 0;
	void *value;
	int64_t port;

	while (map_next(&c->allocs, &i, NULL, &value)) {
		struct client_alloc *a = value;
		if (!a->held || a->stop_wanted || port_holder(a, &port) != NULL)
			continue;
		a->held = false;
		begin_tasks(a, NULL);
	}
}

struct client_alloc *
alloc_new(struct client *c, struct arena *mem, struct alloc *row)
{
	struct client_alloc *a = xcalloc(1, sizeof(*a));

	a->client = c;
	a->mem = *mem;
	*mem = (struct arena)ARENA_INIT;
	a->row = row;
	a->health = -1;
	a->status = "pending";
	a->description = "";
	str_copy(a->id, sizeof(a->id), row->id);
	a->group = job_group(row->job, row->task_group);
	a->health_timer = loop_timer(c->loop, -1, 0, on_healthy, a);
	a->deadline_timer = loop_timer(c->loop, -1, 0, on_deadline, a);
	a->drain_timer = loop_timer(c->loop, -1, 0, on_drained, a);
	map_set(&c->allocs, a->id, a);
	if (a->group == NULL) {
		log_error("client.alloc", "alloc_id=%s: its job has no group \"%s\"", a->id,
		    row->task_group);
		set_status(a, "failed", "the job has no such group");
		return a;
	}
	a->n_tasks = a->group->tasks.n;
	a->task = xcalloc(a->n_tasks + 1, sizeof(*a->task));
	for (size_t i = 0; i < a->n_tasks; i++)
		task_init(&a->task[i], a, a->group->tasks.at[i]);
	begin(a);
	return a;
}

/* In place: what the servers want now. A task's own description only changes with the allocation,
 * so the arena of the first row stays as long as the tasks do; of the new row only wishes are
 * taken. */
void
alloc_update(struct client_alloc *a, struct arena *mem, struct alloc *row)
{
	if (alloc_server_terminal(row))
		alloc_stop(a, row->desired_description != NULL ? row->desired_description
							       : "not wanted any more");
	a->row->alloc_modify_index = row->alloc_modify_index;
	if (!str_eq(a->row->deployment_id, row->deployment_id) && row->deployment_id != NULL) {
		/* An update in place has a deployment of its own, which wants to hear of health
		 * again. */
		a->row->deployment_id = arena_strdup(&a->mem, row->deployment_id);
		a->health = -1;
		a->good_since_ns = 0;
		look_at_health(a);
	}
	arena_fini(mem);
}

void
alloc_remove(struct client_alloc *a)
{
	a->gone_from_server = true;
	alloc_stop(a, "the servers have forgotten it");
	remove_saved(a);
}

void
alloc_free(struct client_alloc *a)
{
	loop_timer_free(&a->health_timer);
	loop_timer_free(&a->deadline_timer);
	loop_timer_free(&a->drain_timer);
	services_down(a);
	for (size_t i = 0; i < a->n_services; i++)
		arena_fini(&a->service[i].mem);
	free(a->service);
	for (size_t i = 0; i < a->n_tasks; i++)
		task_fini(&a->task[i]);
	free(a->task);
	arena_fini(&a->mem);
	free(a);
}
