/*
 * services.c: the services of an allocation: in the directory while all its tasks run, out of it
 * before any of them is told to stop; probed in between.
 */
#include "client/priv.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
tell(struct client_service *s)
{
	struct client_alloc *a = s->alloc;
	autoarena struct arena mem = ARENA_INIT;
	struct service_row row = {
		.id = s->id,
		.service_name = s->name,
		.namespace = a->row->namespace,
		.node_id = a->client->id,
		.node_name = a->client->conf.node_name,
		.datacenter = a->client->conf.datacenter,
		.job_id = a->row->job_id,
		.alloc_id = a->id,
		.task_group = a->row->task_group,
		.tags = s->tags,
		.address = s->address,
		.port = s->port,
		.meta = s->meta,
	};
	enum health_status worst = HEALTH_PASSING;

	for (size_t i = 0; i < s->n_checks; i++) {
		const struct client_check *c = &s->check[i];
		struct check_state *st = arena_new(&mem, struct check_state);
		*st = (struct check_state){ .check_id = c->id,
			.name = c->name,
			.type = c->job_check->type,
			.status = health_status_name(c->status),
			.output = c->probe != NULL ? health_output(c->probe) : "",
			.interval = c->job_check->interval,
			.timeout = c->job_check->timeout };
		objs_add(&row.checks, &mem, st);
		if (c->status < worst)
			worst = c->status;
	}
	row.status = health_status_name(worst);
	sync_service(a->client, s->id, &row);
}

/* ---- check_restart ---- */

static const struct check_restart *
restart_rule(const struct client_check *c)
{
	const struct check_restart *r = c->job_check->check_restart;

	return r != NULL ? r : c->service->job_service->check_restart;
}

static void
count_bad_run(struct client_check *c)
{
	const struct check_restart *r = restart_rule(c);
	struct client_task *t = c->service->task;
	bool bad = c->status == HEALTH_CRITICAL ||
		   (r != NULL && !r->ignore_warnings && c->status == HEALTH_WARNING);

	if (r == NULL || r->limit <= 0 || !bad) {
		c->bad_runs = 0;
		return;
	}
	if (clock_mono_ns() - c->bad_since_ns < r->grace)
		return;
	if (++c->bad_runs >= r->limit) {
		c->bad_runs = 0;
		task_restart(t, "healthcheck: check unhealthy");
	}
}

static void
on_check(void *arg, struct health_probe *probe, enum health_status status, const char *output)
{
	struct client_check *c = arg;
	struct client_alloc *a = c->service->alloc;

	(void)probe;
	if (status != c->status)
		log_info("client.service", "alloc_id=%s check=\"%s\": %s: %s", a->id, c->name,
		    health_status_name(status), output);
	c->status = status;
	tell(c->service);
	count_bad_run(c);
	alloc_task_changed(a);
}

/* ---- building ---- */

static const char *
check_id(struct client_service *s, const struct service_check *jc, size_t i)
{
	autobuf struct buf key = BUF_INIT;

	buf_addf(&key, "%s/%s/%s/%zu", s->id, jc->type, jc->path != NULL ? jc->path : "", i);
	uint64_t a = ids_hash64(key.data, key.len);
	buf_addc(&key, 'x');
	uint64_t b = ids_hash64(key.data, key.len);
	return arena_printf(&s->mem, "_nomad-check-%016" PRIx64 "%016" PRIx64 "%08" PRIx64, a, b,
	    (a ^ b) & 0xffffffff);
}

static void
start_check(
    struct client_service *s, struct client_check *c, const struct service_check *jc, size_t i)
{
	struct client_alloc *a = s->alloc;
	struct err e = ERR_INIT;
	struct taskenv env;
	autoarena struct arena mem = ARENA_INIT;
	int64_t to, port = s->port;

	*c = (struct client_check){ .service = s,
		.job_check = jc,
		.id = check_id(s, jc, i),
		.bad_since_ns = clock_mono_ns() };
	taskenv_init(&env, a, s->task->job_task, &mem);
	c->name = jc->name != NULL && jc->name[0] != '\0'
		      ? arena_strdup(&s->mem, taskenv_text(&env, jc->name, &mem))
		      : arena_printf(&s->mem, "service: \"%s\" check", s->name);
	if (jc->port_label != NULL && jc->port_label[0] != '\0')
		port = alloc_port(a, s->task->job_task, jc->port_label, &to);
	if (jc->initial_status == NULL || !health_status_named(jc->initial_status, &c->status))
		c->status = HEALTH_CRITICAL;
	const char **headers = NULL;
	size_t n = 0, room = 0;
	for (size_t k = 0; k < jc->header.n; k++)
		room += jc->header.value[k].n;
	headers = arena_array(&mem, room + 1, const char *);
	for (size_t k = 0; k < jc->header.n; k++)
		for (size_t v = 0; v < jc->header.value[k].n; v++)
			headers[n++] = arena_printf(
			    &mem, "%s: %s", jc->header.key[k], jc->header.value[k].at[v]);
	struct health_spec spec = {
		.type = jc->type,
		.address = s->address,
		.port = (int)port,
		.protocol = jc->protocol != NULL && jc->protocol[0] != '\0' ? jc->protocol : NULL,
		.method = jc->method != NULL && jc->method[0] != '\0' ? jc->method : NULL,
		.path = jc->path != NULL && jc->path[0] != '\0' ? taskenv_text(&env, jc->path, &mem)
								: NULL,
		.body = jc->body,
		.headers = headers,
		.interval_ns = jc->interval,
		.timeout_ns = jc->timeout,
		.success_before_passing = (unsigned)jc->success_before_passing,
		.failures_before_critical = (unsigned)jc->failures_before_critical,
		.initial = c->status,
	};
	c->probe = health_start(a->client->loop, &spec, on_check, c, &e);
	if (c->probe == NULL) {
		log_error("client.service", "alloc_id=%s check=\"%s\": %s", a->id, c->name, e.text);
		const char *details[] = { "check", c->name, NULL };
		task_event(s->task, "Check Failure", e.text, details);
	}
}

static bool
canary_of(const struct client_alloc *a)
{
	return alloc_canary(a->row) && a->health < 0;
}

static void
start_service(struct client_service *s)
{
	struct client_alloc *a = s->alloc;
	const struct service *js = s->job_service;
	autoarena struct arena mem = ARENA_INIT;
	struct taskenv env;
	int64_t to;
	uint64_t number;

	taskenv_init(&env, a, s->task->job_task, &mem);
	s->name = arena_strdup(&s->mem, taskenv_text(&env, js->name, &mem));
	const char *label = js->port_label != NULL ? js->port_label : "";
	s->id = s->of_group ? arena_printf(&s->mem, "_nomad-task-%s-group-%s-%s-%s", a->id,
				  a->group->name, s->name, label)
			    : arena_printf(&s->mem, "_nomad-task-%s-%s-%s-%s", a->id,
				  s->task->job_task->name, s->name, label);
	s->address = a->client->conf.address;
	s->port = alloc_port(a, s->task->job_task, label, &to);
	if (s->port == 0 && str_u64(label, 65535, &number))
		s->port = (int64_t)number;
	const struct strs *tags =
	    canary_of(a) && js->canary_tags.n > 0 ? &js->canary_tags : &js->tags;
	const struct strmap *meta =
	    canary_of(a) && js->canary_meta.n > 0 ? &js->canary_meta : &js->meta;
	for (size_t i = 0; i < tags->n; i++)
		strs_add(&s->tags, &s->mem, taskenv_text(&env, tags->at[i], &mem));
	for (size_t i = 0; i < meta->n; i++)
		strmap_set(
		    &s->meta, &s->mem, meta->key[i], taskenv_text(&env, meta->value[i], &mem));
	strmap_set(&s->meta, &s->mem, "external-source", "nomad");
	s->n_checks = js->checks.n;
	s->check = arena_array(&s->mem, s->n_checks + 1, struct client_check);
	for (size_t i = 0; i < s->n_checks; i++)
		start_check(s, &s->check[i], js->checks.at[i], i);
	/* An adopted instance is in the directory already; it stays as it is until its checks
	 * speak. */
	s->registered = true;
	if (!a->adopted || s->n_checks == 0)
		tell(s);
}

static void
add_services(struct client_alloc *a, struct client_task *t, const struct objs *list, bool of_group)
{
	for (size_t i = 0; i < list->n; i++)
		a->service[a->n_services++] = (struct client_service){
			.alloc = a, .task = t, .of_group = of_group, .job_service = list->at[i]
		};
}

void
services_up(struct client_alloc *a)
{
	size_t n = a->group->services.n;

	a->services_up = true;
	for (size_t i = 0; i < a->n_services; i++)
		arena_fini(&a->service[i].mem);
	for (size_t i = 0; i < a->n_tasks; i++)
		n += a->task[i].job_task->services.n;
	a->service = xrealloc(a->service, (n + 1) * sizeof(*a->service));
	a->n_services = 0;
	add_services(a, &a->task[0], &a->group->services, true);
	for (size_t i = 0; i < a->n_tasks; i++)
		add_services(a, &a->task[i], &a->task[i].job_task->services, false);
	for (size_t i = 0; i < a->n_services; i++)
		start_service(&a->service[i]);
}

void
services_down(struct client_alloc *a)
{
	a->services_up = false;
	for (size_t i = 0; i < a->n_services; i++) {
		struct client_service *s = &a->service[i];
		for (size_t k = 0; k < s->n_checks; k++) {
			health_stop(s->check[k].probe);
			s->check[k].probe = NULL;
		}
		if (s->registered)
			sync_service(a->client, s->id, NULL);
		s->registered = false;
	}
}

bool
services_any(const struct client_alloc *a)
{
	return a->n_services > 0;
}

bool
services_pass(const struct client_alloc *a)
{
	if (!a->services_up)
		return false;
	for (size_t i = 0; i < a->n_services; i++)
		for (size_t k = 0; k < a->service[i].n_checks; k++)
			if (a->service[i].check[k].status != HEALTH_PASSING)
				return false;
	return true;
}

void
services_again(struct client *c)
{
	size_t i = 0;
	void *value;

	while (map_next(&c->allocs, &i, NULL, &value)) {
		struct client_alloc *a = value;
		for (size_t k = 0; a->services_up && k < a->n_services; k++)
			tell(&a->service[k]);
	}
}
