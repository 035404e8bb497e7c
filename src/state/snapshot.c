/*
 * snapshot.c: every row as JSON, and back.
 */
#include "state/tables.h"

#include "base/str.h"
#include "job/job.h"

#include <string.h>

/* Allocations come after the versions of jobs that they name. One whose version has been dropped
 * carries its job with it. */
enum { T_VERSION = STATE_TABLES, T_ALLOC_WITH_JOB, T_ALL };

static const struct {
	const char *name;
	const struct model *model;
} kinds[T_ALL] = {
	[T_VERSION] = { "job_version", &job_model },
	[STATE_JOBS] = { "job", &job_model },
	[STATE_JOB_SUMMARIES] = { "job_summary", &job_summary_model },
	[STATE_NODES] = { "node", &node_secret_model },
	[STATE_ALLOCS] = { "alloc", &alloc_bare_model },
	[T_ALLOC_WITH_JOB] = { "alloc_with_job", &alloc_model },
	[STATE_EVALS] = { "eval", &eval_model },
	[STATE_DEPLOYMENTS] = { "deployment", &deployment_model },
	[STATE_SERVICES] = { "service", &service_row_model },
	[STATE_KV] = { "kv", &kv_row_model },
};

struct dump {
	state_dump_fn *fn;
	void *ctx;
	struct buf text;
};

static int
dump_row(struct dump *d, int kind, const void *row, struct err *e)
{
	struct jsonw w = JSONW_INIT(&d->text);

	buf_reset(&d->text);
	model_to_json(kinds[kind].model, row, &w);
	return d->fn(d->ctx, kinds[kind].name, buf_str(&d->text), d->text.len, e);
}

static const struct job *
known_version(const struct state *s, const struct alloc *a)
{
	const struct job *job = state_job_version(s, a->namespace, a->job_id, a->job_version);

	return job != NULL && a->job != NULL && job->create_index == a->job->create_index ? job
											  : NULL;
}

static int
dump_versions(const struct state *s, struct dump *d, struct err *e)
{
	size_t i = 0;
	void *value;

	while (map_next(&s->versions, &i, NULL, &value)) {
		const struct job_versions *v = value;
		for (size_t k = v->n; k-- > 0;)
			if (dump_row(d, T_VERSION, v->at[k], e) < 0)
				return -1;
	}
	return 0;
}

static int
dump_indexes(const struct state *s, struct dump *d, struct err *e)
{
	struct jsonw w = JSONW_INIT(&d->text);

	buf_reset(&d->text);
	jsonw_array(&w);
	for (int t = 0; t < STATE_TABLES; t++)
		jsonw_uint(&w, s->tables[t].index);
	jsonw_end_array(&w);
	return d->fn(d->ctx, "indexes", buf_str(&d->text), d->text.len, e);
}

static int
dump_all(const struct state *s, struct dump *d, struct err *e)
{
	if (dump_versions(s, d, e) < 0)
		return -1;
	for (int t = 0; t < STATE_TABLES; t++) {
		size_t i = 0;
		void *row;
		while (map_next(&s->tables[t].rows, &i, NULL, &row)) {
			int kind = t == STATE_ALLOCS && known_version(s, row) == NULL
				       ? T_ALLOC_WITH_JOB
				       : t;
			if (dump_row(d, kind, row, e) < 0)
				return -1;
		}
	}
	return dump_indexes(s, d, e);
}

int
state_dump(const struct state *s, state_dump_fn *fn, void *ctx, struct err *e)
{
	struct dump d = { .fn = fn, .ctx = ctx, .text = BUF_INIT };
	int rc = dump_all(s, &d, e);

	buf_fini(&d.text);
	return rc;
}

/* ---- back ---- */

static int
restore_indexes(struct state *s, const char *json, size_t len, struct err *e)
{
	autojson json_t *v = NULL;

	if (json_read(json, len, &v, e) < 0)
		return -1;
	if (!json_is_array(v))
		return err_new(e, ERR_CORRUPT, "the indexes are no list");
	for (size_t t = 0; t < STATE_TABLES; t++)
		s->tables[t].index = (uint64_t)json_integer_value(json_array_get(v, t));
	return 0;
}

static int
restore_alloc(struct state *s, int kind, struct alloc *a, struct arena *mem, struct err *e)
{
	if (kind == STATE_ALLOCS) {
		const struct job *job =
		    state_job_version(s, a->namespace, a->job_id, a->job_version);
		if (job == NULL) {
			err_new(e, ERR_CORRUPT, "allocation %s without its job \"%s\"", a->id,
			    a->job_id != NULL ? a->job_id : "");
			row_unref(a);
			return -1;
		}
		a->job = job;
		row_hold(a, job);
	} else if (a->job == NULL) {
		err_new(e, ERR_CORRUPT, "allocation %s without its job", a->id);
		row_unref(a);
		return -1;
	} else { /* a row of its own: later copies of the allocation share it */
		struct arena *job_mem;
		struct job *job = row_make(&job_model, a->job, &job_mem);
		a->job = job;
		row_hold(a, job);
		row_unref(job);
	}
	alloc_derive(a, mem);
	table_put(s, STATE_ALLOCS, a);
	return 0;
}

static int
restore(struct state *s, int kind, void *row, struct arena *mem, struct err *e)
{
	switch (kind) {
	case T_VERSION:
		state_versions_put(s, row);
		row_unref(row);
		return 0;
	case STATE_JOBS: {
		struct job *job = row;
		state_versions_put(s, job);
		table_put(s, STATE_JOBS, job);
		return 0;
	}
	case STATE_ALLOCS:
	case T_ALLOC_WITH_JOB:
		return restore_alloc(s, kind, row, mem, e);
	case STATE_NODES:
		node_derive(row, mem);
		break;
	default:
		break;
	}
	table_put(s, (enum state_table)kind, row);
	return 0;
}

static const char *
id_of(int kind, const void *row)
{
	switch (kind) {
	case T_VERSION:
	case STATE_JOBS:
		return ((const struct job *)row)->id;
	case STATE_JOB_SUMMARIES:
		return ((const struct job_summary *)row)->job_id;
	case STATE_NODES:
		return ((const struct node *)row)->id;
	case STATE_EVALS:
		return ((const struct eval *)row)->id;
	case STATE_DEPLOYMENTS:
		return ((const struct deployment *)row)->id;
	case STATE_SERVICES:
		return ((const struct service_row *)row)->id;
	case STATE_KV:
		return ((const struct kv_row *)row)->key;
	default:
		return ((const struct alloc *)row)->id;
	}
}

int
state_restore_row(struct state *s, const char *table, const char *json, size_t len, struct err *e)
{
	struct arena *mem;

	if (strcmp(table, "indexes") == 0)
		return restore_indexes(s, json, len, e);
	for (int kind = 0; kind < T_ALL; kind++) {
		if (strcmp(table, kinds[kind].name) != 0)
			continue;
		void *row = row_new(kinds[kind].model, &mem);
		if (model_read(kinds[kind].model, json, len, mem, row, e) < 0 ||
		    (id_of(kind, row) == NULL && err_new(e, ERR_CORRUPT, "a row without ID") < 0)) {
			row_unref(row);
			return err_ctx(e, "a row of table \"%s\"", table);
		}
		return restore(s, kind, row, mem, e);
	}
	return err_new(
	    e, ERR_CORRUPT, "a row of table \"%s\", which this version does not know", table);
}

void
state_restore_done(struct state *s, uint64_t index)
{
	s->index = index;
	for (int g = 0; g < GROUPINGS; g++) {
		size_t i = 0;
		void *set;
		while (map_next(&s->groups[g], &i, NULL, &set))
			((struct row_set *)set)->index = index;
	}
	state_fire(s);
}
