/*
 * validate.c: can this job be run at all? All that is wrong is told at once.
 */
#include "job/faults.h"

#include "base/str.h"

#include <string.h>

static bool
empty(const char *s)
{
	return s == NULL || s[0] == '\0';
}

/* Constraints, affinities and spreads of a job, group or task. */
static void
placement_faults(struct faults *f, const char *type, const struct objs *constraints,
    const struct objs *affinities, const struct objs *spreads)
{
	struct constraint *c;
	struct affinity *a;
	struct spread *s;

	OBJS_FOREACH (c, constraints) {
		struct faults own = { .mem = f->mem };

		constraint_faults(&own, c);
		faults_nest(f, &own, "Constraint %zu validation failed", c_i + 1);
	}
	if (str_eq(type, "system")) {
		if (affinities->n > 0)
			faults_add(f, "System jobs may not have an affinity stanza");
		if (spreads != NULL && spreads->n > 0)
			faults_add(f, "System jobs may not have a spread stanza");
		return;
	}
	OBJS_FOREACH (a, affinities) {
		struct faults own = { .mem = f->mem };

		affinity_faults(&own, a);
		faults_nest(f, &own, "Affinity %zu validation failed", a_i + 1);
	}
	if (spreads != NULL)
		OBJS_FOREACH (s, spreads) {
			struct faults own = { .mem = f->mem };

			spread_faults(&own, s);
			faults_nest(f, &own, "Spread %zu validation failed", s_i + 1);
		}
}

static void
resources_faults(struct faults *f, const struct resources *r)
{
	if (r->cores > 0 && r->cpu > 0)
		faults_add(f, "Task can only ask for 'cpu' or 'cores' resource, not both.");
	if (r->cores < 0)
		faults_add(f, "cores can't be negative; got %lld", (long long)r->cores);
	if (r->cpu < 1 && r->cores <= 0)
		faults_add(f, "minimum CPU value is 1; got %lld", (long long)r->cpu);
	if (r->memory_mb < 10)
		faults_add(f, "minimum MemoryMB value is 10; got %lld", (long long)r->memory_mb);
	if (r->disk_mb > 0)
		faults_add(f, "Task can't ask for disk resources, they have to be specified at the "
			      "task group level.");
	if (r->memory_max_mb != 0 && r->memory_max_mb < r->memory_mb)
		faults_add(f,
		    "MemoryMaxMB value (%lld) should be larger than MemoryMB value (%lld)",
		    (long long)r->memory_max_mb, (long long)r->memory_mb);
}

static void
log_faults(struct faults *f, const struct log_config *l, const struct ephemeral_disk *d)
{
	if (l->max_files < 1)
		faults_add(f, "minimum number of files is 1; got %lld", (long long)l->max_files);
	if (l->max_file_size_mb < 1)
		faults_add(f, "minimum file size is 1MB; got %lld", (long long)l->max_file_size_mb);
	if (d == NULL)
		return;

	int64_t use = 0;

	if (__builtin_mul_overflow(l->max_files, l->max_file_size_mb, &use))
		use = INT64_MAX;
	if (d->size_mb <= use)
		faults_add(f,
		    "log storage (%lld MB) must be less than requested disk capacity (%lld MB)",
		    (long long)use, (long long)d->size_mb);
}

static void
name_faults(struct faults *f, const struct task *t)
{
	if (empty(t->name))
		faults_add(f, "Missing task name");
	else if (strpbrk(t->name, "/\\") != NULL)
		faults_add(f, "Task name cannot include slashes");
	else if (str_eq(t->name, "alloc") || t->name[0] == '.')
		faults_add(f, "Task name \"%s\" is reserved", t->name);
}

static void
task_faults(struct faults *f, const struct task *t, const struct task_group *g, const char *type)
{
	struct constraint *c;

	name_faults(f, t);
	if (empty(t->driver))
		faults_add(f, "Missing task driver");
	if (t->kill_timeout < 0)
		faults_add(f, "KillTimeout must be a positive value");
	if (t->shutdown_delay < 0)
		faults_add(f, "ShutdownDelay must be a positive value");
	if (t->resources != NULL)
		resources_faults(f, t->resources);
	if (t->log_config != NULL)
		log_faults(f, t->log_config, g->ephemeral_disk);
	if (any_type(t->config) != ANY_MAP && any_type(t->config) != ANY_NULL)
		faults_add(f, "config must be a map, not a %s", any_type_name(t->config));
	placement_faults(f, type, &t->constraints, &t->affinities, NULL);
	OBJS_FOREACH (c, &t->constraints)
		if (str_eq(c->operand, "distinct_hosts") || str_eq(c->operand, "distinct_property"))
			faults_add(f, "Constraint %zu has disallowed Operand at task level: %s",
			    c_i + 1, c->operand);
	task_service_faults(f, t, g);
	if (t->restart_policy != NULL)
		restart_faults(f, t->restart_policy);
	faults_by_status(f, &task_model, t, FS_REFUSED);
}

static void
group_policy_faults(struct faults *f, const struct task_group *g, const char *type)
{
	bool service = str_eq(type, "service"), system = str_eq(type, "system");

	if (g->restart_policy != NULL)
		restart_faults(f, g->restart_policy);
	if (system && g->reschedule_policy != NULL)
		faults_add(f, "System jobs should not have a reschedule policy");
	else if (g->reschedule_policy != NULL)
		reschedule_faults(f, g->reschedule_policy);
	if (g->ephemeral_disk != NULL && g->ephemeral_disk->size_mb < 10)
		faults_add(f, "minimum DiskMB value is 10; got %lld",
		    (long long)g->ephemeral_disk->size_mb);
	if (g->update != NULL) {
		if (!service && !system)
			faults_add(f, "Job type \"%s\" does not allow update block", type);
		update_faults(f, g->update);
	}
	if (g->migrate != NULL) {
		if (service)
			migrate_faults(f, g->migrate);
		else
			faults_add(f, "Job type \"%s\" does not allow migrate block", type);
	}
	if (g->scaling != NULL &&
	    (g->scaling->min > g->count || (g->scaling->max > 0 && g->count > g->scaling->max)))
		faults_add(f, "Task group count %lld is outside of scaling's %lld to %lld",
		    (long long)g->count, (long long)g->scaling->min, (long long)g->scaling->max);
}

static void
task_name_faults(struct faults *f, const struct task_group *g)
{
	struct strs names = { 0 };
	struct task *t;
	int leaders = 0;

	OBJS_FOREACH (t, &g->tasks) {
		if (strs_has(&names, t->name))
			faults_add(f, "Task %zu redefines '%s'", t_i + 1, t->name);
		strs_add(&names, f->mem, t->name);
		leaders += t->leader;
	}
	if (leaders > 1)
		faults_add(f, "Only one task may be marked as leader");
}

static void
group_faults(struct faults *f, const struct task_group *g, const char *type)
{
	struct faults networks = { .mem = f->mem }, services = { .mem = f->mem };
	struct task *t;

	if (g->count < 0)
		faults_add(f, "Task group count can't be negative");
	if (g->tasks.n == 0)
		faults_add(f, "Missing tasks for task group");
	if (g->shutdown_delay < 0)
		faults_add(f, "ShutdownDelay must be a positive value");
	placement_faults(f, type, &g->constraints, &g->affinities, &g->spreads);
	group_policy_faults(f, g, type);
	task_name_faults(f, g);
	network_faults(&networks, g);
	faults_nest(f, &networks, "Task group network validation failed");
	group_service_faults(&services, g);
	faults_nest(f, &services, "Task group service validation failed");
	faults_by_status(f, &task_group_model, g, FS_REFUSED);
	OBJS_FOREACH (t, &g->tasks) {
		struct faults own = { .mem = f->mem };

		task_faults(&own, t, g, type);
		faults_nest(f, &own, "Task %s validation failed", t->name == NULL ? "" : t->name);
	}
}

static void
head_faults(struct faults *f, const struct job *j)
{
	if (empty(j->region))
		faults_add(f, "Missing job region");
	if (empty(j->id))
		faults_add(f, "Missing job ID");
	else if (strchr(j->id, ' ') != NULL)
		faults_add(f, "Job ID contains a space");
	if (empty(j->name))
		faults_add(f, "Missing job name");
	if (empty(j->namespace))
		faults_add(f, "Job must be in a namespace");
	if (empty(j->type))
		faults_add(f, "Missing job type");
	else if (str_eq(j->type, "system") || str_eq(j->type, "sysbatch"))
		faults_add(f,
		    "Job type \"%s\" is not supported yet; there are \"service\" and \"batch\"",
		    j->type);
	else if (!str_eq(j->type, "service") && !str_eq(j->type, "batch"))
		faults_add(f, "Invalid job type: \"%s\"", j->type);
	if (j->priority < 1 || j->priority > 100)
		faults_add(f, "Job priority must be between [1, 100]");
	if (j->datacenters.n == 0)
		faults_add(f, "Missing job datacenters");
	for (size_t i = 0; i < j->datacenters.n; i++)
		if (empty(j->datacenters.at[i]))
			faults_add(f, "Job datacenter must be non-empty string");
	if (j->groups.n == 0)
		faults_add(f, "Missing job task groups");
}

static void
group_name_faults(struct faults *f, const struct job *j)
{
	struct strs names = { 0 };
	struct task_group *g;

	OBJS_FOREACH (g, &j->groups) {
		if (empty(g->name))
			faults_add(f, "Job task group %zu missing name", g_i + 1);
		else if (strs_has(&names, g->name))
			faults_add(f, "Job task group %zu redefines '%s'", g_i + 1, g->name);
		strs_add(&names, f->mem, g->name);
	}
}

static void
job_faults(struct faults *f, const struct job *j)
{
	struct task_group *g;

	head_faults(f, j);
	placement_faults(f, j->type, &j->constraints, &j->affinities, &j->spreads);
	group_name_faults(f, j);
	OBJS_FOREACH (g, &j->groups) {
		struct faults own = { .mem = f->mem };

		group_faults(&own, g, j->type);
		faults_nest(
		    f, &own, "Task group %s validation failed", g->name == NULL ? "" : g->name);
	}
	faults_by_status(f, &job_model, j, FS_REFUSED);
}

void
job_problems(const struct job *j, struct arena *a, struct strs *out)
{
	struct faults f = { .mem = a };

	job_faults(&f, j);
	*out = f.lines;
}

int
job_validate(const struct job *j, struct arena *a, struct err *e)
{
	struct faults f = { .mem = a };

	job_faults(&f, j);
	return f.lines.n == 0 ? 0 : err_new(e, ERR_INPUT, "%s", faults_text(&f));
}

/* --- warnings --- */

static void
task_warnings(struct faults *f, const struct task *t)
{
	struct faults own = { .mem = f->mem };

	if (t->resources != NULL && t->resources->iops != 0)
		faults_add(&own,
		    "Task \"%s\": IOPS has been deprecated as of Nomad 0.9.0. Please remove IOPS "
		    "from resource stanza.",
		    t->name);
	if (t->resources != NULL && t->resources->networks.n > 0)
		faults_add(&own,
		    "Task \"%s\": task network resources have been deprecated as of Nomad 0.12.0. "
		    "Please configure "
		    "networking via group network block.",
		    t->name);

	struct faults ignored = { .mem = f->mem };

	faults_by_status(&ignored, &task_model, t, FS_WARNED);
	for (size_t i = 0; i < ignored.lines.n; i++)
		faults_add(&own, "Task \"%s\": %s", t->name, ignored.lines.at[i]);
	if (own.lines.n > 0)
		faults_add(f, "%s", faults_text(&own));
}

static void
group_warnings(struct faults *f, const struct task_group *g)
{
	struct network *n;
	struct task *t;

	if (g->update != NULL && g->update->max_parallel > g->count)
		faults_add(f,
		    "Update max parallel count is greater than task group count (%lld > %lld). A "
		    "destructive change "
		    "would result in the simultaneous replacement of all allocations.",
		    (long long)g->update->max_parallel, (long long)g->count);
	OBJS_FOREACH (n, &g->networks)
		if (str_eq(n->mode, "bridge") || str_eq(n->mode, "none"))
			faults_add(f,
			    "network mode \"%s\" has no effect here: for pots network_mode in "
			    "config decides",
			    n->mode);
	OBJS_FOREACH (n, &g->networks)
		if (n->mbits > 0)
			faults_add(f,
			    "mbits has been deprecated as of Nomad 0.12.0. Please remove mbits "
			    "from the network block");
	faults_by_status(f, &task_group_model, g, FS_WARNED);
	OBJS_FOREACH (t, &g->tasks)
		task_warnings(f, t);
}

const char *
job_warnings(const struct job *j, struct arena *a)
{
	bool some = false, all = true;
	struct faults f = { .mem = a };
	autobuf struct buf out = BUF_INIT;
	struct task_group *g;

	OBJS_FOREACH (g, &j->groups) {
		struct faults own = { .mem = a };

		group_warnings(&own, g);
		if (own.lines.n > 0)
			faults_add(&f, "Group \"%s\" has warnings: %s", g->name, faults_text(&own));
		if (g->update != NULL) {
			some = some || g->update->auto_promote;
			all = all && (g->update->canary == 0 || g->update->auto_promote);
		}
	}
	if (some && !all)
		faults_add(
		    &f, "auto_promote must be true for all groups to enable automatic promotion");
	faults_by_status(&f, &job_model, j, FS_WARNED);
	if (f.lines.n == 0)
		return "";
	buf_addf(&out, "%zu warning(s):\n", f.lines.n);
	for (size_t i = 0; i < f.lines.n; i++)
		buf_addf(&out, "\n* %s", f.lines.at[i]);
	return arena_strdup(a, buf_str(&out));
}
