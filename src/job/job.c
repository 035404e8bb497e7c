/*
 * job.c: looking things up in a job, and jobs from JSON.
 */
#include "job/job.h"

#include "base/str.h"

struct task_group *
job_group(const struct job *j, const char *name)
{
	struct task_group *g;

	OBJS_FOREACH (g, &j->groups)
		if (str_eq(g->name, name))
			return g;
	return NULL;
}

struct task *
group_task(const struct task_group *g, const char *name)
{
	struct task *t;

	OBJS_FOREACH (t, &g->tasks)
		if (str_eq(t->name, name))
			return t;
	return NULL;
}

struct port *
network_port(const struct network *n, const char *label)
{
	struct port *p;

	OBJS_FOREACH (p, &n->reserved_ports)
		if (str_eq(p->label, label))
			return p;
	OBJS_FOREACH (p, &n->dynamic_ports)
		if (str_eq(p->label, label))
			return p;
	return NULL;
}

int
job_from_json(const json_t *v, struct arena *a, struct job **out, struct err *e)
{
	const json_t *inner = json_object_get(v, "Job");
	struct job *j = model_new(&job_model, a);

	if (model_from_json(&job_model, inner != NULL ? inner : v, a, j, e) < 0)
		return err_ctx(e, "job");
	*out = j;
	return 0;
}

int
job_parse_json(const char *text, size_t len, struct arena *a, struct job **out, struct err *e)
{
	autojson json_t *v = NULL;

	if (len > JOB_TEXT_MAX)
		return err_new(e, ERR_INPUT,
		    "job: %zu bytes are more than the %d that a job may have", len, JOB_TEXT_MAX);
	if (json_read(text, len, &v, e) < 0)
		return err_ctx(e, "job");
	return job_from_json(v, a, out, e);
}
