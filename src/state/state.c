#include "state/state.h"

#include "state/tables.h"

#include "base/str.h"
#include "job/job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

const char *
job_key(const char *namespace, const char *id, char out[JOB_KEY])
{
	snprintf(out, JOB_KEY, "%s/%s", namespace != NULL && namespace[0] ? namespace : "default",
	    id != NULL ? id : "");
	return out;
}

/* The id of a row; uses `out` where it has to be put together. */
static const char *
key_of(enum state_table t, const void *row, char out[JOB_KEY])
{
	switch (t) {
	case STATE_JOBS: {
		const struct job *j = row;
		return job_key(j->namespace, j->id, out);
	}
	case STATE_JOB_SUMMARIES: {
		const struct job_summary *sum = row;
		return job_key(sum->namespace, sum->job_id, out);
	}
	case STATE_NODES:
		return ((const struct node *)row)->id;
	case STATE_ALLOCS:
		return ((const struct alloc *)row)->id;
	case STATE_EVALS:
		return ((const struct eval *)row)->id;
	case STATE_DEPLOYMENTS:
		return ((const struct deployment *)row)->id;
	case STATE_SERVICES:
		return ((const struct service_row *)row)->id;
	case STATE_KV:
		return ((const struct kv_row *)row)->key;
	case STATE_TABLES:
		break;
	}
	assert(!"a table");
	return "";
}

static const char *
group_key(enum grouping g, const void *row, char out[JOB_KEY])
{
	const struct alloc *a = row;
	const struct eval *ev = row;
	const struct deployment *d = row;
	const struct service_row *sv = row;

	switch (g) {
	case ALLOCS_OF_JOB:
		return job_key(a->namespace, a->job_id, out);
	case ALLOCS_OF_NODE:
		return a->node_id;
	case ALLOCS_OF_EVAL:
		return a->eval_id;
	case ALLOCS_OF_DEPLOYMENT:
		return a->deployment_id;
	case EVALS_OF_JOB:
		return job_key(ev->namespace, ev->job_id, out);
	case DEPLOYMENTS_OF_JOB:
		return job_key(d->namespace, d->job_id, out);
	case SERVICES_NAMED:
		return sv->service_name;
	case SERVICES_OF_ALLOC:
		return sv->alloc_id;
	case SERVICES_OF_NODE:
		return sv->node_id;
	case GROUPINGS:
		break;
	}
	assert(!"a grouping");
	return NULL;
}

static const enum state_table grouped[GROUPINGS] = {
	[ALLOCS_OF_JOB] = STATE_ALLOCS,
	[ALLOCS_OF_NODE] = STATE_ALLOCS,
	[ALLOCS_OF_EVAL] = STATE_ALLOCS,
	[ALLOCS_OF_DEPLOYMENT] = STATE_ALLOCS,
	[EVALS_OF_JOB] = STATE_EVALS,
	[DEPLOYMENTS_OF_JOB] = STATE_DEPLOYMENTS,
	[SERVICES_NAMED] = STATE_SERVICES,
	[SERVICES_OF_ALLOC] = STATE_SERVICES,
	[SERVICES_OF_NODE] = STATE_SERVICES,
};

/* ---- the whole ---- */

struct state *
state_new(void)
{
	return xcalloc(1, sizeof(struct state));
}

static void
free_watches(struct state *s)
{
	size_t i = 0;
	void *value;

	while (map_next(&s->watches, &i, NULL, &value)) {
		struct watch_list *l = value;
		for (struct state_watch *w = l->first, *next; w != NULL; w = next) {
			next = w->next;
			free(w);
		}
		free(l->key);
		free(l);
	}
	map_fini(&s->watches);
}

static void
drop_versions(struct state *s)
{
	size_t i = 0;
	void *value;

	while (map_next(&s->versions, &i, NULL, &value)) {
		struct job_versions *v = value;
		for (size_t k = 0; k < v->n; k++)
			row_unref(v->at[k]);
		free(v);
	}
	map_fini(&s->versions);
}

void
state_free(struct state *s)
{
	size_t i;
	void *value;

	if (s == NULL)
		return;
	free_watches(s);
	for (int t = 0; t < STATE_TABLES; t++) {
		for (i = 0; map_next(&s->tables[t].rows, &i, NULL, &value);)
			row_unref(value);
		map_fini(&s->tables[t].rows);
	}
	for (int g = 0; g < GROUPINGS; g++) {
		for (i = 0; map_next(&s->groups[g], &i, NULL, &value);) {
			struct row_set *set = value;
			VEC_FINI(&set->rows);
			free(set);
		}
		map_fini(&s->groups[g]);
	}
	drop_versions(s);
	VEC_FINI(&s->listeners);
	free(s);
}

void
state_clear(struct state *s)
{
	for (int t = 0; t < STATE_TABLES; t++) {
		autorows struct rows all = state_list(s, (enum state_table)t, NULL);
		for (size_t i = 0; i < all.n; i++)
			table_remove(s, (enum state_table)t, all.at[i]);
		s->tables[t].index = 0;
	}
	drop_versions(s);
	s->index = 0;
}

uint64_t
state_index(const struct state *s)
{
	return s->index;
}

uint64_t
state_table_index(const struct state *s, enum state_table t)
{
	return s->tables[t].index > 0 ? s->tables[t].index : 1;
}

/* ---- watches ---- */

static const char *
watch_key(char letter, const char *key, char *out, size_t size)
{
	snprintf(out, size, "%c:%s", letter, key != NULL ? key : "");
	return out;
}

/* Tables as a whole are small letters, their rows capitals, groupings digits. */
#define TABLE_LETTER(t) ((char)('a' + (int)(t)))
#define ROW_LETTER(t)	((char)('A' + (int)(t)))
#define GROUP_LETTER(g) ((char)('0' + (int)(g)))

static void
link_watch(struct watch_list *l, struct state_watch *w)
{
	w->list = l;
	w->next = l->first;
	w->link = &l->first;
	if (w->next != NULL)
		w->next->link = &w->next;
	l->first = w;
}

static void
unlink_watch(struct state_watch *w)
{
	*w->link = w->next;
	if (w->next != NULL)
		w->next->link = w->link;
	w->next = NULL;
	w->link = NULL;
}

static void
drop_list(struct state *s, struct watch_list *l)
{
	map_del(&s->watches, l->key);
	free(l->key);
	free(l);
}

static struct state_watch *
add_watch(struct state *s, char letter, const char *key, state_watch_fn *fn, void *ctx)
{
	char text[JOB_KEY + 2];
	struct watch_list *l = map_get(&s->watches, watch_key(letter, key, text, sizeof(text)));
	struct state_watch *w = xcalloc(1, sizeof(*w));

	if (l == NULL) {
		l = xcalloc(1, sizeof(*l));
		l->key = xstrdup(text);
		map_set(&s->watches, text, l);
	}
	*w = (struct state_watch){ .state = s, .fn = fn, .ctx = ctx };
	link_watch(l, w);
	return w;
}

struct state_watch *
state_watch(struct state *s, enum state_table t, const char *key, state_watch_fn *fn, void *ctx)
{
	return add_watch(s, key == NULL ? TABLE_LETTER(t) : ROW_LETTER(t), key, fn, ctx);
}

struct state_watch *
state_watch_node_allocs(struct state *s, const char *node_id, state_watch_fn *fn, void *ctx)
{
	return add_watch(s, GROUP_LETTER(ALLOCS_OF_NODE), node_id, fn, ctx);
}

struct state_watch *
state_watch_named_services(struct state *s, const char *name, state_watch_fn *fn, void *ctx)
{
	return add_watch(s, GROUP_LETTER(SERVICES_NAMED), name, fn, ctx);
}

void
state_watch_cancel(struct state_watch **w)
{
	if (*w == NULL)
		return;
	struct watch_list *l = (*w)->list;
	unlink_watch(*w);
	if (l->key != NULL && l->first == NULL)
		drop_list((*w)->state, l);
	free(*w);
	*w = NULL;
}

/* Moves the watches of a key to those that are called once the change is whole. */
static void
mark(struct state *s, char letter, const char *key)
{
	char text[JOB_KEY + 2];

	if (s->watches.n == 0)
		return;
	struct watch_list *l = map_get(&s->watches, watch_key(letter, key, text, sizeof(text)));
	if (l == NULL)
		return;
	while (l->first != NULL) {
		struct state_watch *w = l->first;
		unlink_watch(w);
		link_watch(&s->fired, w);
	}
	drop_list(s, l);
}

void
state_fire(struct state *s)
{
	while (!s->held && s->fired.first != NULL) {
		struct state_watch *w = s->fired.first;
		state_watch_fn *fn = w->fn;
		void *ctx = w->ctx;
		unlink_watch(w);
		free(w);
		fn(ctx);
	}
}

void
state_hold(struct state *s, bool hold)
{
	s->held = hold;
	state_fire(s);
}

void
state_listen(struct state *s, state_change_fn *fn, void *ctx)
{
	VEC_PUSH(&s->listeners, ((struct listener){ fn, ctx }));
}

void
state_unlisten(struct state *s, state_change_fn *fn, void *ctx)
{
	for (size_t i = 0; i < s->listeners.n; i++)
		if (s->listeners.at[i].fn == fn && s->listeners.at[i].ctx == ctx) {
			VEC_REMOVE(&s->listeners, i);
			return;
		}
}

/* ---- changing a table ---- */

struct row_set *
state_group(const struct state *s, enum grouping g, const char *key)
{
	return key != NULL ? map_get(&s->groups[g], key) : NULL;
}

static void
set_drop(struct state *s, enum grouping g, const char *key, const void *row)
{
	struct row_set *set = state_group(s, g, key);

	if (set == NULL)
		return;
	for (size_t i = set->rows.n; i-- > 0;)
		if (set->rows.at[i] == row) {
			VEC_REMOVE(&set->rows, i);
			break;
		}
	set->index = s->index;
	if (set->rows.n > 0)
		return;
	VEC_FINI(&set->rows);
	free(map_del(&s->groups[g], key));
}

static void
set_add(struct state *s, enum grouping g, const char *key, const void *row)
{
	struct row_set *set = state_group(s, g, key);

	if (key == NULL || key[0] == '\0')
		return;
	if (set == NULL) {
		set = xcalloc(1, sizeof(*set));
		map_set(&s->groups[g], key, set);
	}
	VEC_PUSH(&set->rows, row);
	set->index = s->index;
}

static void
regroup_one(struct state *s, enum grouping g, const void *old, const void *now)
{
	char old_text[JOB_KEY], now_text[JOB_KEY];
	const char *old_key = old != NULL ? group_key(g, old, old_text) : NULL;
	const char *now_key = now != NULL ? group_key(g, now, now_text) : NULL;
	struct row_set *set;

	if (old_key != NULL)
		mark(s, GROUP_LETTER(g), old_key);
	if (now_key != NULL)
		mark(s, GROUP_LETTER(g), now_key);
	if (old_key != NULL && str_eq(old_key, now_key) &&
	    (set = state_group(s, g, old_key)) != NULL) {
		for (size_t i = set->rows.n; i-- > 0;)
			if (set->rows.at[i] == old)
				set->rows.at[i] = now;
		set->index = s->index;
		return;
	}
	if (old_key != NULL)
		set_drop(s, g, old_key, old);
	if (now_key != NULL)
		set_add(s, g, now_key, now);
}

static void
changed(struct state *s, enum state_table t, const char *key, const void *old, const void *now)
{
	s->tables[t].index = s->index;
	mark(s, TABLE_LETTER(t), NULL);
	mark(s, ROW_LETTER(t), key);
	for (int g = 0; g < GROUPINGS; g++)
		if (grouped[g] == t)
			regroup_one(s, (enum grouping)g, old, now);
	for (size_t i = 0; i < s->listeners.n; i++)
		s->listeners.at[i].fn(s->listeners.at[i].ctx, t, old, now, s->index);
}

void
table_put(struct state *s, enum state_table t, void *now)
{
	char text[JOB_KEY];
	const char *key = key_of(t, now, text);
	const void *old = map_set(&s->tables[t].rows, key, now);

	changed(s, t, key, old, now);
	row_unref(old);
}

void
table_remove(struct state *s, enum state_table t, const void *row)
{
	char text[JOB_KEY];
	const char *key = key_of(t, row, text);
	const void *old = map_del(&s->tables[t].rows, key);

	if (old == NULL)
		return;
	changed(s, t, key, old, NULL);
	row_unref(old);
}

/* ---- versions of jobs ---- */

struct job_versions *
state_versions(const struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];

	return map_get(&s->versions, job_key(namespace, id, key));
}

/* The oldest goes, but the last stable one stays: it is what a failed deployment goes back to. */
static void
versions_trim(struct job_versions *v)
{
	size_t last_stable = v->n, victim = v->n - 1;

	for (size_t i = 0; i < v->n && last_stable == v->n; i++)
		if (v->at[i]->stable)
			last_stable = i;
	if (victim == last_stable)
		victim--;
	row_unref(v->at[victim]);
	memmove(&v->at[victim], &v->at[victim + 1], (v->n - victim - 1) * sizeof(v->at[0]));
	v->n--;
}

void
state_versions_put(struct state *s, const struct job *job)
{
	char key[JOB_KEY];
	struct job_versions *v = map_get(&s->versions, job_key(job->namespace, job->id, key));

	if (v == NULL) {
		v = xcalloc(1, sizeof(*v));
		map_set(&s->versions, key, v);
	}
	size_t i = 0;
	while (i < v->n && v->at[i]->version > job->version)
		i++;
	if (i < v->n && v->at[i]->version == job->version) {
		const struct job *old = v->at[i];
		v->at[i] = ROW_REF(job);
		row_unref(old);
		return;
	}
	memmove(&v->at[i + 1], &v->at[i], (v->n - i) * sizeof(v->at[0]));
	v->at[i] = ROW_REF(job);
	if (++v->n > JOB_VERSIONS_MAX)
		versions_trim(v);
}

void
state_versions_drop(struct state *s, const char *namespace, const char *id)
{
	char key[JOB_KEY];
	struct job_versions *v = map_del(&s->versions, job_key(namespace, id, key));

	if (v == NULL)
		return;
	for (size_t i = 0; i < v->n; i++)
		row_unref(v->at[i]);
	free(v);
}
