/*
 * change.c: is it another job, and can what runs become it in place?
 */
#include "job/change.h"

#include "base/str.h"

bool
job_spec_changed(const struct job *a, const struct job *b)
{
	if (a == NULL || b == NULL)
		return a != b;
	return a->stop != b->stop || !model_equal_but(&job_model, a, b, MF_SERVER);
}

/* Dynamic ports count by label; which host port they got is no part of the wish. */
static bool
ports_same(const struct objs *a, const struct objs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!model_equal(&port_model, a->at[i], b->at[i]))
			return false;
	return true;
}

static bool
networks_same(const struct objs *a, const struct objs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct network *x = a->at[i], *y = b->at[i];

		if (!str_eq(x->mode ? x->mode : "", y->mode ? y->mode : "") ||
		    !str_eq(x->hostname ? x->hostname : "", y->hostname ? y->hostname : "") ||
		    !model_equal(&dns_config_model, x->dns, y->dns) ||
		    !ports_same(&x->reserved_ports, &y->reserved_ports) ||
		    !ports_same(&x->dynamic_ports, &y->dynamic_ports))
			return false;
	}
	return true;
}

static bool
resources_same(const struct resources *a, const struct resources *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->cpu == b->cpu && a->cores == b->cores && a->memory_mb == b->memory_mb &&
	       a->memory_max_mb == b->memory_max_mb && networks_same(&a->networks, &b->networks) &&
	       field_equal(model_field(&resources_model, "Devices"), a, b);
}

bool
task_replaced(const struct task *a, const struct task *b)
{
	for (size_t i = 0; i < task_model.n; i++) {
		const struct field *f = &task_model.fields[i];

		if ((f->flags & MF_REPLACE) != 0 && !field_equal(f, a, b))
			return true;
	}
	if ((a->log_config != NULL && a->log_config->disabled) !=
	    (b->log_config != NULL && b->log_config->disabled))
		return true;
	return !resources_same(a->resources, b->resources);
}

/* What a task finds in its environment: its own meta over the group's over the job's. */
static const char *
meta_of(const struct job *j, const struct task_group *g, const struct task *t, const char *key)
{
	const char *v = strmap_get(&t->meta, key);

	if (v == NULL)
		v = strmap_get(&g->meta, key);
	return v != NULL ? v : strmap_get(&j->meta, key);
}

static bool
keys_agree(const struct strmap *keys, const struct job *a, const struct task_group *ag,
    const struct task *at, const struct job *b, const struct task_group *bg, const struct task *bt)
{
	for (size_t i = 0; i < keys->n; i++)
		if (!str_eq(meta_of(a, ag, at, keys->key[i]), meta_of(b, bg, bt, keys->key[i])))
			return false;
	return true;
}

static bool
meta_same(const struct job *a, const struct task_group *ag, const struct task *at,
    const struct job *b, const struct task_group *bg, const struct task *bt)
{
	const struct strmap *const all[] = { &a->meta, &ag->meta, &at->meta, &b->meta, &bg->meta,
		&bt->meta };

	for (size_t i = 0; i < NELEM(all); i++)
		if (!keys_agree(all[i], a, ag, at, b, bg, bt))
			return false;
	return true;
}

bool
job_tasks_updated(const struct job *a, const struct job *b, const char *group)
{
	const struct task_group *ag = job_group(a, group), *bg = job_group(b, group);
	struct task *at, *bt;

	if (ag == NULL || bg == NULL)
		return ag != bg;
	if (ag->tasks.n != bg->tasks.n ||
	    !model_equal(&ephemeral_disk_model, ag->ephemeral_disk, bg->ephemeral_disk) ||
	    !networks_same(&ag->networks, &bg->networks) ||
	    !field_equal(model_field(&task_group_model, "Volumes"), ag, bg))
		return true;
	OBJS_FOREACH (at, &ag->tasks) {
		bt = group_task(bg, at->name);
		if (bt == NULL || task_replaced(at, bt) || !meta_same(a, ag, at, b, bg, bt))
			return true;
	}
	return false;
}
