/*
 * jobfile.c: a job file becomes a job.
 *
 * The tables do most of it. Here is what the language says differently from the model: tasks
 * straight in a job, ports whose kind depends on `static`, the short forms of constraints, vault
 * for all tasks.
 */
#include "job/jobfile.h"

#include "base/str.h"

#include <string.h>

struct group_vault {
	const struct task_group *group;
	struct vault *vault;
};

struct jobfile {
	struct objs alone;     /* struct task: straight in the job */
	struct vault *vault;   /* of the job: for all tasks without one */
	struct objs of_groups; /* struct group_vault */
};

/* --- short forms: distinct_hosts = true, version = ">= 1.2" and so on --- */

struct comparison { /* what constraint and affinity share */
	const char **value, **operand;
};

static bool
short_form(struct hcl_decoder *d, struct comparison c, const struct hcl_attr *attr,
    const struct hcl_scope *scope)
{
	static const char *const names[] = { "distinct_hosts", "distinct_property", "regexp",
		"set_contains", "set_contains_all", "set_contains_any", "version", "semver",
		"is_set", "is_not_set" };
	struct any *v;
	bool known = false;

	for (size_t i = 0; i < NELEM(names); i++)
		known = known || str_eq(names[i], attr->name);
	if (!known)
		return false;
	if ((v = hcl_eval(attr->value, scope, d->diags)) == NULL || any_type(v) == ANY_NULL)
		return true;
	if (str_eq(attr->name, "distinct_hosts") || str_starts(attr->name, "is_")) {
		if (any_type(v) != ANY_BOOL && !str_eq(any_text(v), "true") &&
		    !str_eq(any_text(v), "false"))
			hcl_error(d->diags, hcl_expr_range(attr->value),
			    "Incorrect attribute value type",
			    "Inappropriate value for attribute \"%s\": bool required.", attr->name);
		else if ((any_type(v) == ANY_BOOL && v->b) || str_eq(any_text(v), "true"))
			*c.operand = attr->name;
		return true;
	}
	*c.operand = attr->name;
	if (any_scalar_text(v, d->mem) == NULL)
		hcl_error(d->diags, hcl_expr_range(attr->value), "Incorrect attribute value type",
		    "Inappropriate value for attribute \"%s\": string required.", attr->name);
	else if (str_eq(attr->name, "distinct_property"))
		return false; /* its value is the attribute: handled below */
	else
		*c.value = any_scalar_text(v, d->mem);
	return true;
}

static bool
special_attr(struct hcl_decoder *d, const struct model *m, void *obj, const struct hcl_attr *attr,
    const struct hcl_scope *scope)
{
	if (m == &constraint_model) {
		struct constraint *c = obj;

		if (str_eq(attr->name, "distinct_property")) {
			struct any *v = hcl_eval(attr->value, scope, d->diags);

			c->operand = attr->name;
			if (any_text(v) != NULL)
				c->l_target = any_text(v);
			return true;
		}
		return short_form(d, (struct comparison){ &c->r_target, &c->operand }, attr, scope);
	}
	if (m == &affinity_model) {
		struct affinity *a = obj;

		return short_form(d, (struct comparison){ &a->r_target, &a->operand }, attr, scope);
	}
	return false;
}

static bool
special_block(struct hcl_decoder *d, const struct model *m, void *obj, const struct hcl_block *b,
    const struct hcl_scope *scope)
{
	struct jobfile *f = d->ctx;

	if (m == &task_group_model && str_eq(b->type, "vault")) {
		struct group_vault *v = arena_new(d->mem, struct group_vault);

		*v = (struct group_vault){ obj, hcl_decode_block(d, &vault_model, b, scope) };
		objs_add(&f->of_groups, d->mem, v);
		return true;
	}
	if (m != &job_model)
		return false;
	if (str_eq(b->type, "task")) {
		objs_add(&f->alone, d->mem, hcl_decode_block(d, &task_model, b, scope));
		return true;
	}
	if (str_eq(b->type, "vault")) {
		f->vault = hcl_decode_block(d, &vault_model, b, scope);
		return true;
	}
	return false;
}

/* --- after the tables --- */

static void
sort_ports(struct network *n, struct arena *a)
{
	struct objs all = n->dynamic_ports;
	struct port *p;

	n->dynamic_ports = (struct objs){ 0 };
	OBJS_FOREACH (p, &all)
		objs_add(p->value > 0 ? &n->reserved_ports : &n->dynamic_ports, a, p);
}

static void
operand_default(const struct objs *constraints, const struct objs *affinities)
{
	struct constraint *c;
	struct affinity *f;

	OBJS_FOREACH (c, constraints)
		if (c->operand[0] == '\0')
			c->operand = "=";
	OBJS_FOREACH (f, affinities)
		if (f->operand[0] == '\0')
			f->operand = "=";
}

static const struct vault *
vault_for(const struct task_group *g, const struct jobfile *f)
{
	const struct group_vault *v;

	OBJS_FOREACH (v, &f->of_groups)
		if (v->group == g)
			return v->vault;
	return f->vault;
}

static void
finish_resources(struct resources *r, struct arena *a)
{
	struct requested_device *v;
	struct network *n;

	OBJS_FOREACH (n, &r->networks)
		sort_ports(n, a);
	OBJS_FOREACH (v, &r->devices)
		operand_default(&v->constraints, &v->affinities);
}

static void
finish_group(struct task_group *g, const struct jobfile *f, struct arena *a)
{
	struct network *n;
	struct task *t;

	operand_default(&g->constraints, &g->affinities);
	OBJS_FOREACH (n, &g->networks)
		sort_ports(n, a);
	OBJS_FOREACH (t, &g->tasks) {
		operand_default(&t->constraints, &t->affinities);
		if (t->resources != NULL)
			finish_resources(t->resources, a);
		if (t->vault == NULL)
			t->vault = model_copy(&vault_model, vault_for(g, f), a);
	}
}

static void
finish_job(struct job *j, const struct jobfile *f, const char *label, struct arena *a)
{
	struct objs groups = { 0 };
	struct task_group *g;
	struct task *t;

	if (j->id[0] == '\0')
		j->id = label;
	if (j->name[0] == '\0')
		j->name = label;
	if (j->periodic != NULL && j->periodic->spec[0] != '\0')
		j->periodic->spec_type = "cron";
	OBJS_FOREACH (t, &f->alone) {
		g = model_new(&task_group_model, a);
		g->name = t->name;
		objs_add(&g->tasks, a, t);
		objs_add(&groups, a, g);
	}
	OBJS_FOREACH (g, &j->groups)
		objs_add(&groups, a, g);
	j->groups = groups;
	operand_default(&j->constraints, &j->affinities);
	OBJS_FOREACH (g, &j->groups)
		finish_group(g, f, a);
}

/* The one job block of the file; what else is there must be variables. */
static const struct hcl_block *
job_block(const struct hcl_body *file, struct hcl_diags *d)
{
	static const char *const others[] = { "variable", "variables", "locals" };
	const struct hcl_block *found = NULL;

	for (size_t i = 0; i < file->n_attrs; i++)
		hcl_error(d, file->attrs[i].name_at, "Unsupported argument",
		    "An argument named \"%s\" is not expected here.", file->attrs[i].name);
	for (size_t i = 0; i < file->n_blocks; i++) {
		const struct hcl_block *b = &file->blocks[i];
		bool other = false;

		for (size_t k = 0; k < NELEM(others); k++)
			other = other || str_eq(b->type, others[k]);
		if (other)
			continue;
		if (!str_eq(b->type, "job"))
			hcl_error(d, b->type_at, "Unsupported block type",
			    "Blocks of type \"%s\" are not expected here.", b->type);
		else if (found != NULL)
			hcl_error(d, b->type_at, "Duplicate job block",
			    "Only one block of type \"job\" is allowed. Previous definition was at "
			    "%s:%d,%d-%d.",
			    found->type_at.source->name, found->type_at.line, found->type_at.column,
			    found->type_at.end_column);
		else
			found = b;
	}
	if (found == NULL && d->n == 0)
		hcl_error(d, file->end, "Missing job block", "A job block is required.");
	return found;
}

static struct job *
decode(const struct hcl_source *src, const struct job_vars *vars, struct hcl_diags *d)
{
	struct jobfile f = { 0 };
	struct hcl_decoder decoder = {
		.diags = d, .mem = d->mem, .ctx = &f, .attr = special_attr, .block = special_block
	};
	struct hcl_body *file = hcl_parse(src, d->mem, d);
	const struct hcl_scope *scope;
	const struct hcl_block *b;
	struct job *j;

	if (file == NULL)
		return NULL;
	b = job_block(file, d);
	scope = jobvars_scope(file, vars, d);
	if (b == NULL || d->n > 0)
		return NULL;
	if (b->n_labels != 1) {
		hcl_error(d, b->n_labels == 0 ? b->type_at : b->labels_at[1],
		    b->n_labels == 0 ? "Missing name for job" : "Extraneous label for job",
		    "A job block has one label, its name.");
		return NULL;
	}
	j = model_new(&job_model, d->mem);
	hcl_decode(&decoder, &job_model, j, &b->body, scope);
	finish_job(j, &f, b->labels[0], d->mem);
	return j;
}

int
job_parse_hcl(const char *text, size_t len, const char *filename, const struct job_vars *vars,
    struct arena *a, struct job **out, const char **report, struct err *e)
{
	struct hcl_source *src = arena_new(a, struct hcl_source);
	struct hcl_diags d = { .mem = a };
	struct job *j;

	if (len > JOB_TEXT_MAX)
		return err_new(e, ERR_INPUT,
		    "%s: %zu bytes are more than the %d that a job may have", filename, len,
		    JOB_TEXT_MAX);
	*src = (struct hcl_source){
		.name = filename, .text = arena_strndup(a, len > 0 ? text : "", len), .len = len
	};
	if (memchr(src->text, '\0', len) != NULL)
		return err_new(
		    e, ERR_INPUT, "%s: contains a NUL byte, so it is no job file", filename);
	j = decode(src, vars, &d);
	if (d.n > 0) {
		if (report != NULL)
			*report = hcl_diags_report(&d);
		return hcl_diags_err(&d, e);
	}
	*out = j;
	return 0;
}
