/*
 * canonical.c: what a job means where it says nothing.
 */
#include "job/job.h"

#include "base/clock.h"
#include "base/str.h"

#include <string.h>

#define SECONDS(n) ((n)*NS_PER_SEC)
#define HOURS(n)   SECONDS((n)*3600LL)

static bool
empty(const char *s)
{
	return s == NULL || s[0] == '\0';
}

static bool
is_given(const struct model *m, const void *obj, const char *json)
{
	return field_given(m, model_field(m, json), obj);
}

/* base overlaid with what own says; either may be NULL, the result is a new object or NULL. */
static void *
merged(const struct model *m, const void *base, const void *own, struct arena *a)
{
	void *out = model_copy(m, base != NULL ? base : own, a);

	for (size_t i = 0; base != NULL && own != NULL && i < m->n; i++) {
		const struct field *f = &m->fields[i];
		size_t size = f->type == F_STR	  ? sizeof(char *)
			      : f->type == F_BOOL ? sizeof(bool)
						  : sizeof(int64_t);

		if (f->type <= F_DURATION && field_given(m, f, own)) {
			memcpy(field_at(f, out), field_at(f, own), size);
			field_mark(m, f, out);
		}
	}
	return out;
}

static void
each(const struct model *m, const struct objs *l)
{
	void *obj;

	OBJS_FOREACH (obj, l)
		model_defaults(m, obj);
}

static void
resources_fill(struct resources *r)
{
	const struct model *m = &resources_model;

	if (!is_given(m, r, "CPU") && !is_given(m, r, "Cores"))
		r->cpu = 100;
	model_defaults(m, r);
	each(&requested_device_model, &r->devices);
}

static void
check_fill(struct service_check *c, const struct service *s, struct arena *a)
{
	const struct check_restart *all = s->check_restart, *own = c->check_restart;
	struct check_restart *r = model_copy(&check_restart_model, all != NULL ? all : own, a);

	if (all != NULL && own != NULL) {
		if (own->limit > 0)
			r->limit = own->limit;
		if (is_given(&check_restart_model, own, "Grace"))
			r->grace = own->grace;
		r->ignore_warnings = r->ignore_warnings || own->ignore_warnings;
	}
	if (r != NULL)
		model_defaults(&check_restart_model, r);
	c->check_restart = r;
	if (empty(c->name))
		c->name = arena_printf(a, "service: \"%s\" check", s->name);
	if (empty(c->on_update))
		c->on_update = s->on_update;
}

static const char *
service_name(const struct service *s, const struct job *j, const struct task_group *g,
    const struct task *t, struct arena *a)
{
	if (!empty(s->name))
		return s->name;
	if (t == NULL)
		return arena_printf(a, "%s-%s", j->name, g->name);
	return arena_printf(a, "%s-%s-%s", j->name, g->name, t->name);
}

struct names {
	const struct job *job;
	const struct task_group *group;
	const struct task *task; /* NULL: a service of the group */
	struct arena *mem;
};

/* The few references that are known before placement: JOB, TASKGROUP, TASK, BASE. */
static const char *
name_part(void *ctx, const char *name)
{
	const struct names *n = ctx;
	const char *task = n->task != NULL ? n->task->name : "group";

	if (strcmp(name, "JOB") == 0)
		return n->job->name;
	if (strcmp(name, "TASKGROUP") == 0)
		return n->group->name;
	if (strcmp(name, "TASK") == 0)
		return task;
	if (strcmp(name, "BASE") == 0)
		return arena_printf(n->mem, "%s-%s-%s", n->job->name, n->group->name, task);
	return NULL;
}

static void
services_fill(
    const struct objs *l, struct job *j, struct task_group *g, struct task *t, struct arena *a)
{
	struct names names = { .job = j, .group = g, .task = t, .mem = a };
	struct service_check *c;
	struct service *s;

	OBJS_FOREACH (s, l) {
		s->name = service_name(s, j, g, t, a);
		s->name = job_interpolate(s->name, name_part, &names, a);
		if (empty(s->address_mode))
			s->address_mode = "auto";
		if (empty(s->on_update))
			s->on_update = "require_healthy";
		OBJS_FOREACH (c, &s->checks)
			check_fill(c, s, a);
	}
}

static void
artifact_fill(struct artifact *f, struct arena *a)
{
	const char *base;

	model_defaults(&artifact_model, f);
	if (!empty(f->destination))
		return;
	f->destination = "local/";
	if (str_eq(f->mode, "file") && !empty(f->source)) {
		base = strrchr(f->source, '/');
		f->destination = arena_printf(a, "local/%s", base != NULL ? base + 1 : f->source);
	}
}

static const char *
upper(const char *s, struct arena *a)
{
	char *copy = arena_strdup(a, s);

	for (char *p = copy; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return copy;
}

static void
task_fill(struct task *t, struct job *j, struct task_group *g, struct arena *a)
{
	struct task_template *tmpl;
	struct artifact *f;

	model_defaults(&task_model, t);
	if (t->resources == NULL)
		t->resources = model_new(&resources_model, a);
	resources_fill(t->resources);
	if (t->log_config == NULL)
		t->log_config = model_new(&log_config_model, a);
	model_defaults(&log_config_model, t->log_config);
	OBJS_FOREACH (f, &t->artifacts)
		artifact_fill(f, a);
	OBJS_FOREACH (tmpl, &t->templates) {
		if (!empty(tmpl->change_signal))
			tmpl->change_signal = upper(tmpl->change_signal, a);
		else if (str_eq(tmpl->change_mode, "signal"))
			tmpl->change_signal = "SIGHUP";
		model_defaults(&task_template_model, tmpl);
	}
	if (t->vault != NULL)
		model_defaults(&vault_model, t->vault);
	if (t->lifecycle != NULL && empty(t->lifecycle->hook) && !t->lifecycle->sidecar)
		t->lifecycle = NULL;
	services_fill(&t->services, j, g, t, a);
	each(&affinity_model, &t->affinities);
	each(&volume_mount_model, &t->volume_mounts);
	t->restart_policy = merged(&restart_policy_model, g->restart_policy, t->restart_policy, a);
}

static struct reschedule_policy *
reschedule_default(const char *type, struct arena *a)
{
	struct reschedule_policy *p = model_new(&reschedule_policy_model, a);

	if (str_eq(type, "service"))
		*p = (struct reschedule_policy){ .delay = SECONDS(30),
			.delay_function = "exponential",
			.max_delay = HOURS(1),
			.unlimited = true };
	else if (str_eq(type, "batch"))
		*p = (struct reschedule_policy){ .attempts = 1,
			.interval = HOURS(24),
			.delay = SECONDS(5),
			.delay_function = "constant" };
	return p;
}

static void
policies_fill(struct task_group *g, const struct job *j, struct arena *a)
{
	bool service = str_eq(j->type, "service"), system = str_eq(j->type, "system");
	struct restart_policy restart = {
		.interval = HOURS(24), .attempts = 3, .delay = SECONDS(15), .mode = "fail"
	};
	struct reschedule_policy *own;

	if (service || system) {
		restart.interval = SECONDS(30 * 60LL);
		restart.attempts = 2;
	}
	g->restart_policy = merged(&restart_policy_model, &restart, g->restart_policy, a);
	model_defaults(&restart_policy_model, g->restart_policy);

	own = merged(&reschedule_policy_model, j->reschedule, g->reschedule_policy, a);
	g->reschedule_policy = own;
	if (!system || own != NULL) {
		g->reschedule_policy =
		    merged(&reschedule_policy_model, reschedule_default(j->type, a), own, a);
		if (own != NULL && own->attempts > 0 &&
		    !is_given(&reschedule_policy_model, own, "Unlimited"))
			g->reschedule_policy->unlimited = false;
		model_defaults(&reschedule_policy_model, g->reschedule_policy);
	}
	g->update = merged(&update_strategy_model, j->update, g->update, a);
	if (g->update != NULL)
		model_defaults(&update_strategy_model, g->update);
	g->migrate = merged(&migrate_strategy_model, j->migrate, g->migrate, a);
	if (g->migrate == NULL && service)
		g->migrate = model_new(&migrate_strategy_model, a);
	if (g->migrate != NULL)
		model_defaults(&migrate_strategy_model, g->migrate);
}

static void
group_fill(struct task_group *g, struct job *j, struct arena *a)
{
	const struct model *m = &task_group_model;
	struct task *t;

	if (!is_given(m, g, "Count"))
		g->count = g->scaling != NULL && is_given(&scaling_policy_model, g->scaling, "Min")
			       ? g->scaling->min
			       : 1;
	field_mark(m, model_field(m, "Count"), g);
	if (g->scaling != NULL) {
		if (!is_given(&scaling_policy_model, g->scaling, "Min"))
			g->scaling->min = g->count;
		if (empty(g->scaling->type))
			g->scaling->type = "horizontal";
		model_defaults(&scaling_policy_model, g->scaling);
	}
	if (g->ephemeral_disk == NULL)
		g->ephemeral_disk = model_new(&ephemeral_disk_model, a);
	model_defaults(&ephemeral_disk_model, g->ephemeral_disk);
	policies_fill(g, j, a);
	OBJS_FOREACH (t, &g->tasks)
		task_fill(t, j, g, a);
	each(&spread_model, &g->spreads);
	each(&affinity_model, &g->affinities);
	services_fill(&g->services, j, g, NULL, a);
}

void
job_canonicalize(struct job *j, struct arena *a)
{
	struct task_group *g;

	if (empty(j->name))
		j->name = j->id;
	model_defaults(&job_model, j);
	if (j->periodic != NULL)
		model_defaults(&periodic_model, j->periodic);
	if (j->parameterized != NULL && empty(j->parameterized->payload))
		j->parameterized->payload = "optional";
	if (j->update == NULL && str_eq(j->type, "service"))
		j->update = model_new(&update_strategy_model, a);
	if (j->update != NULL)
		model_defaults(&update_strategy_model, j->update);
	OBJS_FOREACH (g, &j->groups)
		group_fill(g, j, a);
	each(&spread_model, &j->spreads);
	each(&affinity_model, &j->affinities);
}
