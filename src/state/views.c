/*
 * views.c: reading the tables.
 */
#include "state/tables.h"

#include "base/str.h"
#include "job/job.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const void *
get(const struct state *s, enum state_table t, const char *key)
{
	return key != NULL ? map_get(&s->tables[t].rows, key) : NULL;
}

const struct job *
state_job(const struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];

	return get(s, STATE_JOBS, job_key(namespace, id, key));
}

const struct job *
state_job_version(const struct state *s, const char *namespace, const char *id, int64_t version)
{
	struct job_versions *v = state_versions(s, namespace, id);

	for (size_t i = 0; v != NULL && i < v->n; i++)
		if (v->at[i]->version == version)
			return v->at[i];
	return NULL;
}

const struct job_summary *
state_job_summary(const struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];

	return get(s, STATE_JOB_SUMMARIES, job_key(namespace, id, key));
}

const struct node *
state_node(const struct state *s, const char *id)
{
	return get(s, STATE_NODES, id);
}

const struct alloc *
state_alloc(const struct state *s, const char *id)
{
	return get(s, STATE_ALLOCS, id);
}

const struct eval *
state_eval(const struct state *s, const char *id)
{
	return get(s, STATE_EVALS, id);
}

const struct deployment *
state_deployment(const struct state *s, const char *id)
{
	return get(s, STATE_DEPLOYMENTS, id);
}

const struct service_row *
state_service(const struct state *s, const char *id)
{
	return get(s, STATE_SERVICES, id);
}

const struct kv_row *
state_kv(const struct state *s, const char *key)
{
	return get(s, STATE_KV, key);
}

const struct deployment *
state_job_deployment(const struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];
	const struct row_set *set = state_group(s, DEPLOYMENTS_OF_JOB, job_key(namespace, id, key));
	const struct deployment *newest = NULL;

	for (size_t i = 0; set != NULL && i < set->rows.n; i++) {
		const struct deployment *d = set->rows.at[i];
		if (newest == NULL || d->create_index >= newest->create_index)
			newest = d;
	}
	return newest;
}

/* ---- lists ---- */

void
rows_fini(struct rows *r)
{
	VEC_FINI(r);
}

static int
by_job(const void *a, const void *b)
{
	const struct job *x = *(const struct job *const *)a, *y = *(const struct job *const *)b;
	int order = strcmp(x->namespace, y->namespace);

	return order != 0 ? order : strcmp(x->id, y->id);
}

static int
by_summary(const void *a, const void *b)
{
	const struct job_summary *x = *(const struct job_summary *const *)a;
	const struct job_summary *y = *(const struct job_summary *const *)b;
	int order = strcmp(x->namespace, y->namespace);

	return order != 0 ? order : strcmp(x->job_id, y->job_id);
}

#define ID_ORDER(name, type)                                                                       \
	static int name(const void *a, const void *b)                                              \
	{                                                                                          \
		return strcmp(                                                                     \
		    (*(const struct type *const *)a)->id, (*(const struct type *const *)b)->id);   \
	}
ID_ORDER(by_node, node)
ID_ORDER(by_alloc, alloc)
ID_ORDER(by_eval, eval)
ID_ORDER(by_deployment, deployment)
ID_ORDER(by_service, service_row)

static int
by_key(const void *a, const void *b)
{
	return strcmp(
	    (*(const struct kv_row *const *)a)->key, (*(const struct kv_row *const *)b)->key);
}

static int (*const orders[STATE_TABLES])(const void *, const void *) = {
	[STATE_JOBS] = by_job,
	[STATE_JOB_SUMMARIES] = by_summary,
	[STATE_NODES] = by_node,
	[STATE_ALLOCS] = by_alloc,
	[STATE_EVALS] = by_eval,
	[STATE_DEPLOYMENTS] = by_deployment,
	[STATE_SERVICES] = by_service,
	[STATE_KV] = by_key,
};

static bool
uuid_starts(const char *id, const char *prefix)
{
	for (;; id++, prefix++) {
		while (*prefix == '-')
			prefix++;
		while (*id == '-')
			id++;
		if (*prefix == '\0')
			return true;
		if (tolower((unsigned char)*id) != tolower((unsigned char)*prefix))
			return false;
	}
}

static bool
matches(enum state_table t, const void *row, const char *key, const char *prefix)
{
	switch (t) {
	case STATE_JOBS:
		return str_starts(((const struct job *)row)->id, prefix);
	case STATE_JOB_SUMMARIES:
		return str_starts(((const struct job_summary *)row)->job_id, prefix);
	case STATE_SERVICES:
	case STATE_KV:
		return str_starts(key, prefix);
	default:
		return uuid_starts(key, prefix);
	}
}

struct rows
state_list(const struct state *s, enum state_table t, const char *prefix)
{
	struct rows out = { 0 };
	size_t i = 0;
	const char *key;
	void *row;

	while (map_next(&s->tables[t].rows, &i, &key, &row))
		if (prefix == NULL || prefix[0] == '\0' || matches(t, row, key, prefix))
			VEC_PUSH(&out, row);
	if (out.n > 1)
		qsort(out.at, out.n, sizeof(out.at[0]), orders[t]);
	return out;
}

struct rows
state_job_versions(const struct state *s, const char *namespace, const char *id)
{
	struct rows out = { 0 };
	struct job_versions *v = state_versions(s, namespace, id);

	for (size_t i = 0; v != NULL && i < v->n; i++)
		VEC_PUSH(&out, v->at[i]);
	return out;
}

/* Sets are kept in the order in which rows joined them, which is by create index already; equal
 * ones (of one plan) are put in order of their id. */
static struct rows
list_of(const struct state *s, enum grouping g, const char *key)
{
	struct rows out = { 0 };
	const struct row_set *set = state_group(s, g, key);

	for (size_t i = 0; set != NULL && i < set->rows.n; i++)
		VEC_PUSH(&out, set->rows.at[i]);
	return out;
}

#define CREATION_ORDER(name, type)                                                                 \
	static int name(const void *a, const void *b)                                              \
	{                                                                                          \
		const struct type *x = *(const struct type *const *)a;                             \
		const struct type *y = *(const struct type *const *)b;                             \
		if (x->create_index != y->create_index)                                            \
			return x->create_index < y->create_index ? -1 : 1;                         \
		return strcmp(x->id, y->id);                                                       \
	}
CREATION_ORDER(alloc_created, alloc)
CREATION_ORDER(eval_created, eval)
CREATION_ORDER(deployment_created, deployment)
CREATION_ORDER(service_created, service_row)

static struct rows
sorted(struct rows r, int (*order)(const void *, const void *))
{
	if (r.n > 1)
		qsort(r.at, r.n, sizeof(r.at[0]), order);
	return r;
}

struct rows
state_job_allocs(const struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];

	return sorted(list_of(s, ALLOCS_OF_JOB, job_key(namespace, id, key)), alloc_created);
}

struct rows
state_job_evals(const struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];

	return sorted(list_of(s, EVALS_OF_JOB, job_key(namespace, id, key)), eval_created);
}

struct rows
state_job_deployments(const struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];

	return sorted(
	    list_of(s, DEPLOYMENTS_OF_JOB, job_key(namespace, id, key)), deployment_created);
}

struct rows
state_node_allocs(const struct state *s, const char *node_id)
{
	return sorted(list_of(s, ALLOCS_OF_NODE, node_id), alloc_created);
}

struct rows
state_eval_allocs(const struct state *s, const char *eval_id)
{
	return sorted(list_of(s, ALLOCS_OF_EVAL, eval_id), alloc_created);
}

struct rows
state_deployment_allocs(const struct state *s, const char *deployment_id)
{
	return sorted(list_of(s, ALLOCS_OF_DEPLOYMENT, deployment_id), alloc_created);
}

struct rows
state_named_services(const struct state *s, const char *service_name)
{
	return sorted(list_of(s, SERVICES_NAMED, service_name), service_created);
}

struct rows
state_alloc_services(const struct state *s, const char *alloc_id)
{
	return sorted(list_of(s, SERVICES_OF_ALLOC, alloc_id), service_created);
}

struct rows
state_node_services(const struct state *s, const char *node_id)
{
	return sorted(list_of(s, SERVICES_OF_NODE, node_id), service_created);
}

/* A set that is empty now was left behind by something that changed its table. */
static uint64_t
group_index(const struct state *s, enum grouping g, enum state_table t, const char *key)
{
	const struct row_set *set = state_group(s, g, key);

	return set != NULL ? set->index : state_table_index(s, t);
}

uint64_t
state_node_allocs_index(const struct state *s, const char *node_id)
{
	return group_index(s, ALLOCS_OF_NODE, STATE_ALLOCS, node_id);
}

uint64_t
state_named_services_index(const struct state *s, const char *service_name)
{
	return group_index(s, SERVICES_NAMED, STATE_SERVICES, service_name);
}

/* ---- the stub of a job ---- */

void
state_job_stub_to_json(const struct state *s, const struct job *job, bool meta, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_kstr(w, "ID", job->id);
	jsonw_kstr(w, "ParentID", job->parent_id != NULL ? job->parent_id : "");
	jsonw_kstr(w, "Name", job->name);
	jsonw_kstr(w, "Namespace", job->namespace);
	jsonw_key(w, "Datacenters");
	jsonw_array(w);
	for (size_t i = 0; i < job->datacenters.n; i++)
		jsonw_str(w, job->datacenters.at[i]);
	jsonw_end_array(w);
	jsonw_kstr(w, "Type", job->type);
	jsonw_kint(w, "Priority", job->priority);
	jsonw_kbool(w, "Periodic", job->periodic != NULL);
	jsonw_kbool(w, "ParameterizedJob", job->parameterized != NULL);
	jsonw_kbool(w, "Stop", job->stop);
	jsonw_kstr(w, "Status", job->status != NULL ? job->status : "");
	jsonw_kstr(
	    w, "StatusDescription", job->status_description != NULL ? job->status_description : "");
	jsonw_key(w, "JobSummary");
	model_to_json(&job_summary_model, state_job_summary(s, job->namespace, job->id), w);
	if (meta) {
		jsonw_key(w, "Meta");
		jsonw_object(w);
		for (size_t i = 0; i < job->meta.n; i++)
			jsonw_kstr(w, job->meta.key[i], job->meta.value[i]);
		jsonw_end_object(w);
	}
	jsonw_kint(w, "CreateIndex", job->create_index);
	jsonw_kint(w, "ModifyIndex", job->modify_index);
	jsonw_kint(w, "JobModifyIndex", job->job_modify_index);
	jsonw_kint(w, "SubmitTime", job->submit_time);
	jsonw_end_object(w);
}
