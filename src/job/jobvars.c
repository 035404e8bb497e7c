/*
 * jobvars.c: variables and locals of a job file.
 *
 * A variable's value: its default, then NOMAD_VAR_<name>, then the files, then -var; the last one
 * wins. Locals may use variables and each other, in any order.
 */
#include "job/jobfile.h"

#include "base/str.h"

#include <string.h>

struct variable {
	const char *name;
	const struct hcl_block *block; /* NULL: from a `variables` block */
	const struct hcl_expr *type;   /* NULL: any */
	struct any *value;	       /* NULL: none yet */
	struct hcl_range at;
};

struct variables {
	struct hcl_diags *d;
	struct variable *list;
	size_t n;
};

/* --- declarations --- */

static struct variable *
find(const struct variables *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->list[i].name, name))
			return &v->list[i];
	return NULL;
}

static struct variable *
declare(struct variables *v, const char *name, struct hcl_range at)
{
	if (find(v, name) != NULL) {
		hcl_error(v->d, at, "Duplicate variable",
		    "Duplicate \"%s\" variable definition found.", name);
		return NULL;
	}
	v->list = arena_grown(v->d->mem, v->list, v->n, sizeof(*v->list));
	v->list[v->n] = (struct variable){ .name = name, .at = at };
	return &v->list[v->n++];
}

static void
set_value(struct variables *v, struct variable *var, struct any *value, struct hcl_range at)
{
	struct any *fit = value == NULL ? NULL : hcl_convert(var->type, value, v->d->mem);

	if (fit != NULL)
		var->value = fit;
	else if (value != NULL)
		hcl_error(v->d, at, "Invalid value for variable",
		    "The value for the variable \"%s\" is a %s, which its type does not allow.",
		    var->name, any_type_name(value));
}

static void
declare_block(struct variables *v, const struct hcl_block *b)
{
	static const char *const known[] = { "type", "default", "description", "sensitive" };
	const struct hcl_attr *a;
	struct variable *var;

	if (b->n_labels != 1) {
		hcl_error(v->d, b->type_at, "Missing name for variable",
		    "All variable blocks must have 1 labels (name).");
		return;
	}
	if ((var = declare(v, b->labels[0], b->labels_at[0])) == NULL)
		return;
	var->block = b;
	for (size_t i = 0; i < b->body.n_attrs; i++) {
		bool ok = false;

		for (size_t k = 0; k < NELEM(known); k++)
			ok = ok || str_eq(b->body.attrs[i].name, known[k]);
		if (!ok)
			hcl_error(v->d, b->body.attrs[i].name_at, "Unsupported argument",
			    "An argument named \"%s\" is not expected here.",
			    b->body.attrs[i].name);
	}
	if ((a = hcl_find_attr(&b->body, "type")) != NULL) {
		if (hcl_type_ok(a->value))
			var->type = a->value;
		else
			hcl_error(v->d, hcl_expr_range(a->value), "Invalid type specification",
			    "A type is string, number, bool, any, or list, set, map, object or "
			    "tuple of such.");
	}
	if ((a = hcl_find_attr(&b->body, "default")) != NULL)
		set_value(v, var, hcl_eval(a->value, NULL, v->d), hcl_expr_range(a->value));
}

static void
declare_all(struct variables *v, const struct hcl_body *file)
{
	for (size_t i = 0; i < file->n_blocks; i++) {
		const struct hcl_block *b = &file->blocks[i];
		struct variable *var;

		if (str_eq(b->type, "variable"))
			declare_block(v, b);
		for (size_t k = 0; str_eq(b->type, "variables") && k < b->body.n_attrs; k++) {
			const struct hcl_attr *a = &b->body.attrs[k];

			if ((var = declare(v, a->name, a->name_at)) != NULL)
				set_value(v, var, hcl_eval(a->value, NULL, v->d),
				    hcl_expr_range(a->value));
		}
	}
}

/* --- inputs --- */

static bool
takes_text(const struct variable *var)
{
	const char *word = var->type != NULL ? hcl_keyword(var->type) : NULL;

	if (var->type == NULL)
		return var->value == NULL || any_type(var->value) == ANY_STR ||
		       any_type(var->value) == ANY_NULL;
	return word != NULL && !str_eq(word, "any");
}

/* From outside: plain text where a scalar is wanted, else an expression. */
static void
set_text(struct variables *v, struct variable *var, const char *text, const char *origin)
{
	struct hcl_source *src = arena_new(v->d->mem, struct hcl_source);
	struct hcl_range at = {
		.source = src, .line = 1, .column = 1, .end_line = 1, .end_column = 2
	};
	struct hcl_expr *x;

	*src = (struct hcl_source){
		.name = origin, .text = arena_strdup(v->d->mem, text), .len = strlen(text)
	};
	at.end = src->len;
	at.end_column = (int)src->len + 1;
	if (takes_text(var))
		set_value(v, var, any_str(v->d->mem, text), at);
	else if ((x = hcl_parse_expr(src, v->d->mem, v->d)) != NULL)
		set_value(v, var, hcl_eval(x, NULL, v->d), at);
}

static void
from_env(struct variables *v, const char *const *env)
{
	static const char prefix[] = "NOMAD_VAR_";

	for (; env != NULL && *env != NULL; env++) {
		const char *eq = strchr(*env, '=');
		struct variable *var;

		if (eq == NULL || !str_starts(*env, prefix))
			continue;
		var = find(v, arena_strndup(v->d->mem, *env + strlen(prefix),
				  (size_t)(eq - *env) - strlen(prefix)));
		if (var != NULL)
			set_text(
			    v, var, eq + 1, arena_strndup(v->d->mem, *env, (size_t)(eq - *env)));
	}
}

static void
undefined(struct variables *v, const char *name, struct hcl_range at)
{
	hcl_error(v->d, at, "Undefined variable",
	    "A \"%s\" variable was set but was not found in known variables. To declare it, place "
	    "a block "
	    "variable \"%s\" {} in the job file.",
	    name, name);
}

/* A variables file may also be one JSON object. */
static void
from_json_file(struct variables *v, const struct hcl_source *src)
{
	struct hcl_range at = {
		.source = src, .line = 1, .column = 1, .end_line = 1, .end_column = 2, .end = 1
	};
	autojson json_t *json = NULL;
	struct err e = ERR_INIT;
	const char *name;
	json_t *value;

	if (json_read(src->text, src->len, &json, &e) < 0) {
		hcl_error(v->d, at, "Invalid variables file", "%s", e.text);
		return;
	}
	json_object_foreach (json, name, value) {
		struct variable *var = find(v, name);

		if (var == NULL)
			undefined(v, name, at);
		else
			set_value(v, var, any_from_json(value, v->d->mem), at);
	}
}

static bool
is_json(const struct hcl_source *src)
{
	size_t i = 0;

	while (i < src->len && strchr(" \t\r\n", src->text[i]) != NULL)
		i++;
	return i < src->len && src->text[i] == '{';
}

static void
from_file(struct variables *v, const struct job_var_file *f)
{
	struct hcl_source *src = arena_new(v->d->mem, struct hcl_source);
	struct hcl_body *b;

	*src = (struct hcl_source){ .name = f->name, .text = f->text, .len = f->len };
	if (is_json(src)) {
		from_json_file(v, src);
		return;
	}
	if ((b = hcl_parse(src, v->d->mem, v->d)) == NULL)
		return;
	for (size_t i = 0; i < b->n_blocks; i++)
		hcl_error(v->d, b->blocks[i].type_at, "Unsupported block type",
		    "A variables file assigns values; it declares nothing.");
	for (size_t i = 0; i < b->n_attrs; i++) {
		struct variable *var = find(v, b->attrs[i].name);

		if (var == NULL)
			undefined(v, b->attrs[i].name, b->attrs[i].name_at);
		else
			set_value(v, var, hcl_eval(b->attrs[i].value, NULL, v->d),
			    hcl_expr_range(b->attrs[i].value));
	}
}

static void
from_assignment(struct variables *v, const char *text)
{
	const char *eq = strchr(text, '=');
	struct variable *var = NULL;
	const char *name;

	if (eq == NULL) {
		hcl_error(v->d, (struct hcl_range){ 0 }, "Invalid -var option",
		    "The given -var option \"%s\" is not correctly specified. Must be a variable "
		    "name and value separated by "
		    "an equals sign, like -var=\"key=value\".",
		    text);
		return;
	}
	name = arena_strndup(v->d->mem, text, (size_t)(eq - text));
	if ((var = find(v, name)) == NULL)
		hcl_error(v->d, (struct hcl_range){ 0 }, "Undefined -var variable",
		    "A \"%s\" variable was passed in the command line but was not found in known "
		    "variables. To declare it, "
		    "place a block variable \"%s\" {} in the job file.",
		    name, name);
	else
		set_text(v, var, eq + 1, arena_printf(v->d->mem, "-var %s", name));
}

/* --- what is left to check --- */

static struct hcl_scope *
scope_of(struct arena *a, const struct hcl_scope *up, const char *name, struct any *value)
{
	struct hcl_scope *s = arena_new(a, struct hcl_scope);

	*s = (struct hcl_scope){ .up = up, .name = name, .value = value };
	return s;
}

static void
validation(struct variables *v, const struct variable *var, const struct hcl_block *b,
    const struct hcl_scope *scope)
{
	const struct hcl_attr *condition = hcl_find_attr(&b->body, "condition"),
			      *message = hcl_find_attr(&b->body, "error_message");
	struct any *ok, *text = NULL;

	if (condition == NULL) {
		hcl_error(v->d, b->type_at, "Missing required argument",
		    "The argument \"condition\" is required.");
		return;
	}
	if ((ok = hcl_eval(condition->value, scope, v->d)) == NULL)
		return;
	if (any_type(ok) == ANY_BOOL && ok->b)
		return;
	if (message != NULL)
		text = hcl_eval(message->value, scope, v->d);
	hcl_error(v->d, var->at, "Invalid value for variable", "%s",
	    any_text(text) != NULL ? any_text(text)
				   : "The value does not meet the variable's validation.");
}

static const struct hcl_scope *
finish(struct variables *v)
{
	struct any *map = any_map(v->d->mem);
	const struct hcl_scope *scope = scope_of(v->d->mem, NULL, "var", map);

	for (size_t i = 0; i < v->n; i++) {
		struct variable *var = &v->list[i];

		if (var->value == NULL && v->d->n == 0)
			hcl_error(v->d, var->at, "Unset variable",
			    "The variable \"%s\" must be set (with -var, a variables file or "
			    "NOMAD_VAR_%s) or have a default value.",
			    var->name, var->name);
		any_put(v->d->mem, map, var->name,
		    var->value != NULL ? var->value : any_null(v->d->mem));
	}
	for (size_t i = 0; v->d->n == 0 && i < v->n; i++)
		for (size_t k = 0; v->list[i].block != NULL && k < v->list[i].block->body.n_blocks;
		     k++) {
			const struct hcl_block *b = &v->list[i].block->body.blocks[k];

			if (str_eq(b->type, "validation"))
				validation(v, &v->list[i], b, scope);
			else
				hcl_error(v->d, b->type_at, "Unsupported block type",
				    "Blocks of type \"%s\" are not expected here.", b->type);
		}
	return scope;
}

/* --- locals --- */

enum { LOCALS_ROUNDS = 50 }; /* how deep locals may refer to each other */

struct pending {
	const struct hcl_attr **at;
	size_t n;
};

static struct pending
all_locals(const struct hcl_body *file, struct hcl_diags *d)
{
	struct pending p = { 0 };

	for (size_t i = 0; i < file->n_blocks; i++)
		for (size_t k = 0;
		     str_eq(file->blocks[i].type, "locals") && k < file->blocks[i].body.n_attrs;
		     k++) {
			p.at = arena_grown(d->mem, p.at, p.n, sizeof(*p.at));
			p.at[p.n++] = &file->blocks[i].body.attrs[k];
		}
	return p;
}

static const struct hcl_scope *
locals_scope(const struct hcl_body *file, const struct hcl_scope *vars, struct hcl_diags *d)
{
	struct pending p = all_locals(file, d);
	struct any *map = any_map(d->mem), *value;
	const struct hcl_scope *scope = scope_of(d->mem, vars, "local", map);
	bool moved = true;

	for (int round = 0; p.n > 0 && moved && round < LOCALS_ROUNDS; round++) {
		size_t left = 0;

		moved = false;
		for (size_t i = 0; i < p.n; i++) {
			struct hcl_diags quiet = { .mem = d->mem };

			value = hcl_eval(p.at[i]->value, scope, &quiet);
			if (value != NULL && quiet.n == 0) {
				any_put(d->mem, map, p.at[i]->name, value);
				moved = true;
			} else
				p.at[left++] = p.at[i];
		}
		p.n = left;
	}
	for (size_t i = 0; i < p.n; i++) /* now with what is wrong */
		(void)hcl_eval(p.at[i]->value, scope, d);
	return scope;
}

const struct hcl_scope *
jobvars_scope(const struct hcl_body *file, const struct job_vars *vars, struct hcl_diags *d)
{
	struct variables v = { .d = d };
	const struct job_var_file *f;
	const struct hcl_scope *scope;

	declare_all(&v, file);
	if (vars != NULL) {
		from_env(&v, vars->env);
		OBJS_FOREACH (f, &vars->files)
			from_file(&v, f);
		for (size_t i = 0; i < vars->assignments.n; i++)
			from_assignment(&v, vars->assignments.at[i]);
	}
	scope = finish(&v);
	return d->n > 0 ? scope : locals_scope(file, scope, d);
}
