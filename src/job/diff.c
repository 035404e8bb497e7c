/*
 * diff.c: what changes between two jobs, as `plan` and `job history -p` show it.
 *
 * Members are compared by the tables. Lists are paired by name where their objects have one (the
 * row with MF_KEY); others are sets: what is only on one side was added or deleted.
 */
#include "job/change.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

struct differ {
	struct arena *mem;
	bool contextual;
};

/* Members as texts: "Count" = "3", "Meta[owner]" = "me". Empty text is the same as absent. */
struct flat {
	struct strmap map;
};

static const char none[] = "None", added[] = "Added", deleted[] = "Deleted", edited[] = "Edited";

static const char *
text(const char *s)
{
	return s == NULL ? "" : s;
}

/* --- flattening --- */

static void
flatten_any(const struct any *v, const char *name, struct flat *out, struct arena *a)
{
	const char *s = any_scalar_text(v, a);

	if (s != NULL)
		strmap_set(&out->map, a, name, s);
	else if (any_type(v) == ANY_LIST)
		for (size_t i = 0; i < v->n; i++)
			flatten_any(v->list[i], arena_printf(a, "%s[%zu]", name, i), out, a);
	else if (any_type(v) == ANY_MAP)
		for (size_t i = 0; i < v->n; i++)
			flatten_any(v->map.value[i],
			    *name == '\0' ? v->map.key[i]
					  : arena_printf(a, "%s[%s]", name, v->map.key[i]),
			    out, a);
}

static const char *
scalar_text(const struct model *m, const struct field *f, const void *obj, struct arena *a)
{
	const void *at = field_at(f, obj);

	if ((f->flags & MF_NULL) != 0 && !field_given(m, f, obj))
		return "";
	switch (f->type) {
	case F_STR:
		return text(*(const char *const *)at);
	case F_BOOL:
		return *(const bool *)at ? "true" : "false";
	case F_FLOAT:
		return any_scalar_text(any_double(a, *(const double *)at), a);
	default:
		return arena_printf(a, "%lld", (long long)*(const int64_t *)at);
	}
}

/* Of a dynamic port the host port is no wish. */
static void
flatten(const struct model *m, const void *obj, unsigned skip, const char *without,
    struct flat *out, struct arena *a)
{
	for (size_t i = 0; obj != NULL && i < m->n; i++) {
		const struct field *f = &m->fields[i];

		if ((f->flags & (skip | MF_SECRET)) != 0 || str_eq(f->json, without))
			continue;
		if (f->type <= F_TIME)
			strmap_set(&out->map, a, f->json, scalar_text(m, f, obj, a));
		else if (f->type == F_STRMAP) {
			const struct strmap *l = field_at(f, obj);

			for (size_t k = 0; k < l->n; k++)
				strmap_set(&out->map, a,
				    arena_printf(a, "%s[%s]", f->json, l->key[k]), l->value[k]);
		}
	}
}

/* --- fields --- */

static void
add_field(struct differ *d, struct objs *out, const char *name, const char *old, const char *new_,
    bool contextual)
{
	struct field_diff *f;

	if (str_eq(old, new_) && !contextual)
		return;
	f = arena_new(d->mem, struct field_diff);
	*f = (struct field_diff){ .type = str_eq(old, new_) ? none
					  : *old == '\0'    ? added
					  : *new_ == '\0'   ? deleted
							    : edited,
		.name = name,
		.old = old,
		.new_ = new_ };
	objs_add(out, d->mem, f);
}

static int
by_name(const void *a, const void *b)
{
	const struct field_diff *const *x = a, *const *y = b;
	int r = strcmp((*x)->name, (*y)->name);

	if (r == 0)
		r = strcmp((*x)->old, (*y)->old);
	return r != 0 ? r : strcmp((*x)->new_, (*y)->new_);
}

static void
compare_flat(struct differ *d, const struct flat *old, const struct flat *new_, bool contextual,
    struct objs *out)
{
	for (size_t i = 0; i < old->map.n; i++) {
		const char *now = strmap_get(&new_->map, old->map.key[i]);

		add_field(
		    d, out, old->map.key[i], old->map.value[i], now == NULL ? "" : now, contextual);
	}
	for (size_t i = 0; i < new_->map.n; i++)
		if (strmap_get(&old->map, new_->map.key[i]) == NULL)
			add_field(d, out, new_->map.key[i], "", new_->map.value[i], contextual);
	if (out->n > 1)
		qsort(out->at, out->n, sizeof(*out->at), by_name);
}

/* --- objects --- */

static int
by_object(const void *a, const void *b)
{
	const struct object_diff *const *x = a, *const *y = b;
	int r = strcmp((*x)->name, (*y)->name);

	for (size_t i = 0; r == 0 && i < (*x)->fields.n && i < (*y)->fields.n; i++)
		r = by_name(&(*x)->fields.at[i], &(*y)->fields.at[i]);
	return r;
}

static void
sort_objects(struct objs *l)
{
	if (l->n > 1)
		qsort(l->at, l->n, sizeof(*l->at), by_object);
}

static const char *
change_type(const void *old, const void *new_)
{
	return old == NULL ? added : new_ == NULL ? deleted : edited;
}

static struct object_diff *
new_object(struct differ *d, struct objs *out, const char *name, const char *type)
{
	struct object_diff *o = arena_new(d->mem, struct object_diff);

	o->name = name;
	o->type = type;
	objs_add(out, d->mem, o);
	return o;
}

static void compare_members(struct differ *d, const struct model *m, const void *old,
    const void *new_, const char *const *leave_out, struct objs *out);

static void
compare_object(struct differ *d, const struct model *m, const char *name, const void *old,
    const void *new_, const char *without, struct objs *out)
{
	struct flat was = { 0 }, is = { 0 };
	struct object_diff *o;

	if (old == new_ || model_equal(m, old, new_))
		return;
	o = new_object(d, out, name, change_type(old, new_));
	flatten(m, old, 0, without, &was, d->mem);
	flatten(m, new_, 0, without, &is, d->mem);
	compare_flat(d, &was, &is, d->contextual, &o->fields);
	compare_members(d, m, old, new_, NULL, &o->objects);
}

static const struct field *
key_field(const struct model *m)
{
	for (size_t i = 0; i < m->n; i++)
		if ((m->fields[i].flags & MF_KEY) != 0)
			return &m->fields[i];
	return NULL;
}

static void *
partner(const struct model *m, const struct objs *in, const void *obj)
{
	const struct field *key = key_field(m);
	void *item;

	OBJS_FOREACH (item, in)
		if (key != NULL ? field_equal(key, obj, item) : model_equal(m, obj, item))
			return item;
	return NULL;
}

static void
compare_lists(struct differ *d, const struct field *f, const struct objs *old,
    const struct objs *new_, struct objs *out)
{
	const char *name = f->sub->name, *without = NULL;
	void *item;

	if (f->sub == &port_model) {
		bool dynamic = str_eq(f->json, "DynamicPorts");

		name = dynamic ? "Dynamic Port" : "Static Port";
		without = dynamic ? "Value" : NULL;
	}
	OBJS_FOREACH (item, old)
		compare_object(d, f->sub, name, item, partner(f->sub, new_, item), without, out);
	OBJS_FOREACH (item, new_)
		if (partner(f->sub, old, item) == NULL)
			compare_object(d, f->sub, name, NULL, item, without, out);
}

static void
compare_strs(struct differ *d, const char *name, const struct strs *old, const struct strs *new_,
    struct objs *out)
{
	struct objs fields = { 0 };
	bool more = false, less = false;

	for (size_t i = 0; i < old->n; i++) {
		bool stays = strs_has(new_, old->at[i]);

		less = less || !stays;
		add_field(
		    d, &fields, name, old->at[i], stays ? old->at[i] : "", d->contextual && stays);
	}
	for (size_t i = 0; i < new_->n; i++)
		if (!strs_has(old, new_->at[i])) {
			more = true;
			add_field(d, &fields, name, "", new_->at[i], false);
		}
	if (!more && !less)
		return;
	if (fields.n > 1)
		qsort(fields.at, fields.n, sizeof(*fields.at), by_name);
	new_object(d, out, name, more && less ? edited : more ? added : deleted)->fields = fields;
}

static void
compare_any(struct differ *d, const char *name, const struct any *old, const struct any *new_,
    struct objs *out)
{
	struct flat was = { 0 }, is = { 0 };
	struct object_diff *o;

	if (any_equal(old, new_) || (any_empty(old) && any_empty(new_)))
		return;
	o = new_object(d, out, name, any_empty(old) ? added : any_empty(new_) ? deleted : edited);
	flatten_any(old, "", &was, d->mem);
	flatten_any(new_, "", &is, d->mem);
	compare_flat(d, &was, &is, d->contextual, &o->fields);
}

static void
compare_headers(struct differ *d, const char *name, const struct strsmap *old,
    const struct strsmap *new_, struct objs *out)
{
	static const struct strs nothing = { 0 };
	struct objs entries = { 0 };

	for (size_t i = 0; i < old->n; i++) {
		const struct strs *now = &nothing;

		for (size_t k = 0; k < new_->n; k++)
			if (str_eq(old->key[i], new_->key[k]))
				now = &new_->value[k];
		compare_strs(d, old->key[i], &old->value[i], now, &entries);
	}
	for (size_t k = 0; k < new_->n; k++) {
		bool known = false;

		for (size_t i = 0; i < old->n; i++)
			known = known || str_eq(old->key[i], new_->key[k]);
		if (!known)
			compare_strs(d, new_->key[k], &nothing, &new_->value[k], &entries);
	}
	if (entries.n > 0)
		new_object(d, out, name,
		    old->n == 0	   ? added
		    : new_->n == 0 ? deleted
				   : edited)
		    ->objects = entries;
}

static void
compare_maps(struct differ *d, const struct field *f, const struct objmap *old,
    const struct objmap *new_, struct objs *out)
{
	for (size_t i = 0; i < old->n; i++)
		compare_object(d, f->sub, f->sub->name, old->value[i],
		    objmap_get(new_, old->key[i]), NULL, out);
	for (size_t i = 0; i < new_->n; i++)
		if (objmap_get(old, new_->key[i]) == NULL)
			compare_object(d, f->sub, f->sub->name, NULL, new_->value[i], NULL, out);
}

static bool
left_out(const struct field *f, const char *const *names)
{
	for (; names != NULL && *names != NULL; names++)
		if (str_eq(f->json, *names))
			return true;
	return false;
}

/* Everything that is not a single text; either side may be NULL. */
static void
compare_members(struct differ *d, const struct model *m, const void *old, const void *new_,
    const char *const *leave_out, struct objs *out)
{
	void *empty = model_new(m, d->mem);
	const void *a = old != NULL ? old : empty, *b = new_ != NULL ? new_ : empty;

	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];
		const void *x = field_at(f, a), *y = field_at(f, b);

		if (left_out(f, leave_out))
			continue;
		if (f->type == F_OBJ)
			compare_object(d, f->sub, f->sub->name, *(void *const *)x,
			    *(void *const *)y, NULL, out);
		else if (f->type == F_OBJS)
			compare_lists(d, f, x, y, out);
		else if (f->type == F_OBJMAP)
			compare_maps(d, f, x, y, out);
		else if (f->type == F_STRS)
			compare_strs(d, f->json, x, y, out);
		else if (f->type == F_STRSMAP)
			compare_headers(d, f->json, x, y, out);
		else if (f->type == F_ANY)
			compare_any(d, f->json, *(const struct any *const *)x,
			    *(const struct any *const *)y, out);
	}
	sort_objects(out);
}

/* --- tasks, groups, jobs --- */

static void
compare_top(struct differ *d, const struct model *m, const void *old, const void *new_,
    unsigned skip, const char *const *leave_out, struct objs *fields, struct objs *objects)
{
	struct flat was = { 0 }, is = { 0 };

	flatten(m, old, skip, NULL, &was, d->mem);
	flatten(m, new_, skip, NULL, &is, d->mem);
	compare_flat(d, &was, &is, false, fields);
	compare_members(d, m, old, new_, leave_out, objects);
}

/* A task mostly has its group's restart policy: then the change is the group's. */
static bool
restart_inherited(const struct task *t, const struct task_group *g)
{
	return t == NULL || g == NULL ||
	       model_equal(&restart_policy_model, t->restart_policy, g->restart_policy);
}

static void
compare_task(struct differ *d, const struct task_group *og, const struct task_group *ng,
    const struct task *old, const struct task *new_, struct objs *out)
{
	const char *inherited[] = { "RestartPolicy", NULL };
	struct task_diff *t = arena_new(d->mem, struct task_diff);
	bool same = restart_inherited(old, og) && restart_inherited(new_, ng);

	t->name = text(old != NULL ? old->name : new_->name);
	t->replaces = old != NULL && new_ != NULL && task_replaced(old, new_);
	compare_top(
	    d, &task_model, old, new_, MF_KEY, same ? inherited : NULL, &t->fields, &t->objects);
	if (old == NULL || new_ == NULL)
		t->type = change_type(old, new_);
	else
		t->type = t->fields.n + t->objects.n > 0 ? edited : none;
	objs_add(out, d->mem, t);
}

static int
by_task(const void *a, const void *b)
{
	const struct task_diff *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void
compare_tasks(
    struct differ *d, const struct task_group *old, const struct task_group *new_, struct objs *out)
{
	struct task *t;

	if (old != NULL)
		OBJS_FOREACH (t, &old->tasks)
			compare_task(
			    d, old, new_, t, new_ != NULL ? group_task(new_, t->name) : NULL, out);
	if (new_ != NULL)
		OBJS_FOREACH (t, &new_->tasks)
			if (old == NULL || group_task(old, t->name) == NULL)
				compare_task(d, old, new_, NULL, t, out);
	if (out->n > 1)
		qsort(out->at, out->n, sizeof(*out->at), by_task);
}

static void
compare_group(
    struct differ *d, const struct task_group *old, const struct task_group *new_, struct objs *out)
{
	static const char *const apart[] = { "Tasks", NULL };
	struct group_diff *g = arena_new(d->mem, struct group_diff);

	g->name = text(old != NULL ? old->name : new_->name);
	compare_top(d, &task_group_model, old, new_, MF_KEY, apart, &g->fields, &g->objects);
	compare_tasks(d, old, new_, &g->tasks);
	if (old == NULL || new_ == NULL)
		g->type = change_type(old, new_);
	else
		g->type = model_equal(&task_group_model, old, new_) ? none : edited;
	objs_add(out, d->mem, g);
}

static int
by_group(const void *a, const void *b)
{
	const struct group_diff *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static bool
any_change(const struct job_diff *d)
{
	struct group_diff *g;

	if (d->fields.n + d->objects.n > 0)
		return true;
	OBJS_FOREACH (g, &d->groups)
		if (g->type != none)
			return true;
	return false;
}

struct job_diff *
job_diff(const struct job *old, const struct job *new_, bool contextual, struct arena *mem)
{
	/* what the groups have taken over, and what is compared apart */
	static const char *const apart[] = { "TaskGroups", "Update", "Reschedule", "Migrate",
		NULL };
	struct differ d = { .mem = mem, .contextual = contextual };
	struct job_diff *out = arena_new(mem, struct job_diff);
	struct task_group *g;

	out->type = none;
	out->id = "";
	if (old == NULL && new_ == NULL)
		return out;
	out->id = text(new_ != NULL ? new_->id : old->id);
	compare_top(
	    &d, &job_model, old, new_, MF_KEY | MF_SERVER, apart, &out->fields, &out->objects);
	if ((old != NULL && old->stop) != (new_ != NULL && new_->stop)) {
		add_field(&d, &out->fields, "Stop",
		    old == NULL ? ""
		    : old->stop ? "true"
				: "false",
		    new_ == NULL ? ""
		    : new_->stop ? "true"
				 : "false",
		    false);
		qsort(out->fields.at, out->fields.n, sizeof(*out->fields.at), by_name);
	}
	if (old != NULL)
		OBJS_FOREACH (g, &old->groups)
			compare_group(
			    &d, g, new_ != NULL ? job_group(new_, g->name) : NULL, &out->groups);
	if (new_ != NULL)
		OBJS_FOREACH (g, &new_->groups)
			if (old == NULL || job_group(old, g->name) == NULL)
				compare_group(&d, NULL, g, &out->groups);
	if (out->groups.n > 1)
		qsort(out->groups.at, out->groups.n, sizeof(*out->groups.at), by_group);
	if (old == NULL || new_ == NULL)
		out->type = change_type(old, new_);
	else if (any_change(out))
		out->type = edited;
	return out;
}

/* --- annotations --- */

static void
annotate_count(struct group_diff *g, struct arena *mem)
{
	struct field_diff *f;

	OBJS_FOREACH (f, &g->fields) {
		long long old = strtoll(f->old, NULL, 10), now = strtoll(f->new_, NULL, 10);

		if (str_eq(f->name, "Count") && old != now)
			strs_add(
			    &f->annotations, mem, old < now ? "forces create" : "forces destroy");
	}
}

static void
annotate_task(struct task_diff *t, const struct group_diff *g, struct arena *mem)
{
	if (t->type == none)
		return;
	if (g->type == added || g->type == deleted)
		strs_add(
		    &t->annotations, mem, g->type == added ? "forces create" : "forces destroy");
	else if (t->replaces || t->type != edited)
		strs_add(&t->annotations, mem, "forces create/destroy update");
	else
		strs_add(&t->annotations, mem, "forces in-place update");
}

void
job_diff_annotate(
    struct job_diff *d, const char *group, const struct group_updates *u, struct arena *mem)
{
	const struct {
		const char *name;
		int64_t n;
	} rows[] = { { "ignore", u->ignore }, { "create", u->place }, { "migrate", u->migrate },
		{ "destroy", u->stop }, { "canary", u->canary }, { "in-place update", u->in_place },
		{ "create/destroy update", u->destructive }, { "preemptions", u->preemptions } };
	struct group_diff *g;
	struct task_diff *t;

	OBJS_FOREACH (g, &d->groups) {
		if (!str_eq(g->name, group))
			continue;
		for (size_t i = 0; i < NELEM(rows); i++)
			if (rows[i].n != 0)
				intmap_set(&g->updates, mem, rows[i].name, rows[i].n);
		annotate_count(g, mem);
		OBJS_FOREACH (t, &g->tasks)
			annotate_task(t, g, mem);
	}
}

/* --- to JSON --- */

static const struct field field_diff_fields[] = {
	FIELD(struct field_diff, type, F_STR, "Type"),
	FIELD(struct field_diff, name, F_STR, "Name"),
	FIELD(struct field_diff, old, F_STR, "Old"),
	FIELD(struct field_diff, new_, F_STR, "New"),
	FIELD(struct field_diff, annotations, F_STRS, "Annotations"),
};
const struct model field_diff_model = MODEL("FieldDiff", struct field_diff, field_diff_fields);

static const struct field object_diff_fields[] = {
	FIELD(struct object_diff, type, F_STR, "Type"),
	FIELD(struct object_diff, name, F_STR, "Name"),
	FIELDX(struct object_diff, fields, F_OBJS, "Fields", .sub = &field_diff_model),
	FIELDX(struct object_diff, objects, F_OBJS, "Objects", .sub = &object_diff_model),
};
const struct model object_diff_model = MODEL("ObjectDiff", struct object_diff, object_diff_fields);

static const struct field task_diff_fields[] = {
	FIELD(struct task_diff, type, F_STR, "Type"),
	FIELD(struct task_diff, name, F_STR, "Name"),
	FIELDX(struct task_diff, fields, F_OBJS, "Fields", .sub = &field_diff_model),
	FIELDX(struct task_diff, objects, F_OBJS, "Objects", .sub = &object_diff_model),
	FIELD(struct task_diff, annotations, F_STRS, "Annotations"),
};
const struct model task_diff_model = MODEL("TaskDiff", struct task_diff, task_diff_fields);

static const struct field group_diff_fields[] = {
	FIELD(struct group_diff, type, F_STR, "Type"),
	FIELD(struct group_diff, name, F_STR, "Name"),
	FIELDX(struct group_diff, fields, F_OBJS, "Fields", .sub = &field_diff_model),
	FIELDX(struct group_diff, objects, F_OBJS, "Objects", .sub = &object_diff_model),
	FIELDX(struct group_diff, tasks, F_OBJS, "Tasks", .sub = &task_diff_model),
	FIELD(struct group_diff, updates, F_INTMAP, "Updates"),
};
const struct model group_diff_model = MODEL("TaskGroupDiff", struct group_diff, group_diff_fields);

static const struct field job_diff_fields[] = {
	FIELD(struct job_diff, type, F_STR, "Type"),
	FIELD(struct job_diff, id, F_STR, "ID"),
	FIELDX(struct job_diff, fields, F_OBJS, "Fields", .sub = &field_diff_model),
	FIELDX(struct job_diff, objects, F_OBJS, "Objects", .sub = &object_diff_model),
	FIELDX(struct job_diff, groups, F_OBJS, "TaskGroups", .sub = &group_diff_model),
};
const struct model job_diff_model = MODEL("JobDiff", struct job_diff, job_diff_fields);
