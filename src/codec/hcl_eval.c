/*
 * hcl_eval.c: what an expression comes to.
 */
#include "codec/hcl_ast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVAL_DEPTH_MAX = 1000, EVAL_STEPS_MAX = 2000000, EVAL_BYTES_MAX = 256 << 20 };

struct eval {
	struct hcl_diags *d;
	struct arena *mem;
	int depth, steps;
	bool stopped;
};

static struct any *value_of(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s);

static struct any *
bad(struct eval *v, struct hcl_range at, const char *summary, const char *detail)
{
	hcl_error(v->d, at, summary, "%s", detail);
	return NULL;
}

/* --- conversions --- */

struct any *
hcl_to_string(struct arena *a, struct any *v)
{
	const char *s = any_scalar_text(v, a);

	if (any_type(v) == ANY_STR)
		return v;
	return s == NULL ? NULL : any_str(a, s);
}

struct any *
hcl_to_number(struct arena *a, struct any *v)
{
	char *end;
	double d;

	if (any_type(v) == ANY_INT || any_type(v) == ANY_DOUBLE)
		return v;
	if (any_type(v) != ANY_STR || v->n == 0 || strspn(v->s, "0123456789+-.eE") != v->n)
		return NULL;
	if (strspn(v->s, "0123456789") == v->n && v->n < 19)
		return any_int(a, strtoll(v->s, NULL, 10));
	d = strtod(v->s, &end);
	return *end == '\0' && isfinite(d) ? any_double(a, d) : NULL;
}

struct any *
hcl_to_bool(struct arena *a, struct any *v)
{
	if (any_type(v) == ANY_BOOL)
		return v;
	if (any_type(v) != ANY_STR)
		return NULL;
	if (strcmp(v->s, "true") == 0)
		return any_bool(a, true);
	return strcmp(v->s, "false") == 0 ? any_bool(a, false) : NULL;
}

/* --- names --- */

static const struct hcl_scope *
find_name(const struct hcl_scope *s, const char *name)
{
	while (s != NULL && strcmp(s->name, name) != 0)
		s = s->up;
	return s;
}

/* The name at the root of a.b["c"], or NULL when it is rooted in something else. */
static const struct hcl_expr *
root_name(const struct hcl_expr *x)
{
	while (x->kind == X_ATTR || x->kind == X_INDEX || x->kind == X_SPLAT)
		x = x->a;
	return x->kind == X_NAME ? x : NULL;
}

/* Nobody here knows the reference: it stays as it was written, for those who will. */
static struct any *
left_as_written(struct eval *v, const struct hcl_expr *x)
{
	return any_str(v->mem, arena_printf(v->mem, "${%.*s}", (int)(x->at.end - x->at.start),
				   x->at.source->text + x->at.start));
}

static struct any *
attribute(
    struct eval *v, const struct hcl_expr *x, struct any *of, const char *name, struct hcl_range at)
{
	struct any *value = any_get(of, name);

	if (value != NULL)
		return value;
	if (any_type(of) != ANY_MAP)
		return bad(v, at, "Unsupported attribute",
		    arena_printf(v->mem, "This value is a %s and has no attribute named \"%s\".",
			any_type_name(of), name));
	if (x != NULL && x->kind == X_NAME &&
	    (strcmp(x->name, "var") == 0 || strcmp(x->name, "local") == 0))
		return bad(v, at,
		    strcmp(x->name, "var") == 0 ? "Unknown variable" : "Unknown local value",
		    arena_printf(v->mem, "There is no %s named \"%s\".",
			strcmp(x->name, "var") == 0 ? "variable" : "local value", name));
	return bad(v, at, "Unsupported attribute",
	    arena_printf(v->mem, "This object does not have an attribute named \"%s\".", name));
}

static struct any *
element(struct eval *v, const struct hcl_expr *x, struct any *of, struct any *key)
{
	struct any *n;

	if (any_type(of) == ANY_MAP) {
		key = hcl_to_string(v->mem, key);
		if (key == NULL)
			return bad(v, x->at, "Invalid index", "A key of a map must be a string.");
		return attribute(v, NULL, of, key->s, x->at);
	}
	if (any_type(of) != ANY_LIST)
		return bad(v, x->at, "Invalid index",
		    arena_printf(
			v->mem, "This value is a %s and has no elements.", any_type_name(of)));
	n = hcl_to_number(v->mem, key);
	if (n == NULL || n->type != ANY_INT)
		return bad(
		    v, x->at, "Invalid index", "The index of a list must be a whole number.");
	if (n->i < 0 || (uint64_t)n->i >= of->n)
		return bad(v, x->at, "Invalid index",
		    "The given key does not identify an element in this collection value.");
	return any_at(of, (size_t)n->i);
}

static struct any *
postfix_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	const struct hcl_expr *root = root_name(x);
	struct any *of, *key;

	if (root != NULL && find_name(s, root->name) == NULL)
		return left_as_written(v, x);
	if ((of = value_of(v, x->a, s)) == NULL)
		return NULL;
	if (x->kind == X_ATTR)
		return attribute(v, x->a, of, x->name, x->at);
	if ((key = value_of(v, x->b, s)) == NULL)
		return NULL;
	return element(v, x, of, key);
}

static struct any *
splat(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	const struct hcl_expr *root = root_name(x->a);
	struct any *of, *out, *one;

	if (root != NULL && find_name(s, root->name) == NULL)
		return left_as_written(v, x);
	if ((of = value_of(v, x->a, s)) == NULL)
		return NULL;
	out = any_list(v->mem);
	if (of->type == ANY_NULL)
		return out;
	for (size_t i = 0; i < (of->type == ANY_LIST ? of->n : 1); i++) {
		struct hcl_scope item = {
			.up = s, .name = "*", .value = of->type == ANY_LIST ? of->list[i] : of
		};

		if ((one = value_of(v, x->b, &item)) == NULL)
			return NULL;
		any_append(v->mem, out, one);
	}
	return out;
}

/* --- operators --- */

static struct any *
arithmetic(struct eval *v, const struct hcl_expr *x, struct any *a, struct any *b)
{
	double p = 0, q = 0;
	int64_t r;
	bool whole = a->type == ANY_INT && b->type == ANY_INT;

	(void)any_number(a, &p);
	(void)any_number(b, &q);
	if ((x->op == OP_DIV || x->op == OP_MOD) && q == 0)
		return bad(v, x->at, "Division by zero", "The divisor is zero.");
	switch (x->op) {
	case OP_ADD:
		return whole && !__builtin_add_overflow(a->i, b->i, &r) ? any_int(v->mem, r)
									: any_double(v->mem, p + q);
	case OP_SUB:
		return whole && !__builtin_sub_overflow(a->i, b->i, &r) ? any_int(v->mem, r)
									: any_double(v->mem, p - q);
	case OP_MUL:
		return whole && !__builtin_mul_overflow(a->i, b->i, &r) ? any_int(v->mem, r)
									: any_double(v->mem, p * q);
	case OP_DIV:
		if (whole && b->i != -1 && a->i % b->i == 0)
			return any_int(v->mem, a->i / b->i);
		return any_double(v->mem, p / q);
	case OP_MOD:
		if (whole)
			return any_int(v->mem, b->i == -1 ? 0 : a->i % b->i);
		return any_double(v->mem, fmod(p, q));
	case OP_LT:
		return any_bool(v->mem, whole ? a->i < b->i : p < q);
	case OP_LE:
		return any_bool(v->mem, whole ? a->i <= b->i : p <= q);
	case OP_GT:
		return any_bool(v->mem, whole ? a->i > b->i : p > q);
	default:
		return any_bool(v->mem, whole ? a->i >= b->i : p >= q);
	}
}

static struct any *
operand(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s,
    struct any *(*convert)(struct arena *, struct any *), const char *wanted)
{
	struct any *value = value_of(v, x, s), *converted;

	if (value == NULL)
		return NULL;
	converted = convert(v->mem, value);
	if (converted == NULL)
		return bad(v, x->at, "Invalid operand",
		    arena_printf(v->mem,
			"Unsuitable value for operand: a %s is required, not a %s.", wanted,
			any_type_name(value)));
	return converted;
}

static struct any *
binary_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *a, *b;

	switch (x->op) {
	case OP_OR:
	case OP_AND:
		a = operand(v, x->a, s, hcl_to_bool, "bool");
		b = operand(v, x->b, s, hcl_to_bool, "bool");
		if (a == NULL || b == NULL)
			return NULL;
		return any_bool(v->mem, x->op == OP_OR ? a->b || b->b : a->b && b->b);
	case OP_EQ:
	case OP_NE:
		a = value_of(v, x->a, s);
		b = value_of(v, x->b, s);
		if (a == NULL || b == NULL)
			return NULL;
		return any_bool(v->mem, any_equal(a, b) == (x->op == OP_EQ));
	default:
		a = operand(v, x->a, s, hcl_to_number, "number");
		b = operand(v, x->b, s, hcl_to_number, "number");
		return a == NULL || b == NULL ? NULL : arithmetic(v, x, a, b);
	}
}

static struct any *
unary_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *a;

	if (x->op == OP_NOT) {
		a = operand(v, x->a, s, hcl_to_bool, "bool");
		return a == NULL ? NULL : any_bool(v->mem, !a->b);
	}
	a = operand(v, x->a, s, hcl_to_number, "number");
	if (a == NULL)
		return NULL;
	if (a->type == ANY_INT && a->i != INT64_MIN)
		return any_int(v->mem, -a->i);
	return any_double(v->mem, a->type == ANY_INT ? -(double)a->i : -a->d);
}

/* --- collections --- */

static struct any *
object_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *out = any_map(v->mem), *key, *text, *value;

	for (size_t i = 0; i + 1 < x->n; i += 2) {
		key = value_of(v, x->parts[i], s);
		value = value_of(v, x->parts[i + 1], s);
		if (key == NULL || value == NULL)
			return NULL;
		text = hcl_to_string(v->mem, key);
		if (text == NULL)
			return bad(v, x->parts[i]->at, "Incorrect key type",
			    "Can't use this value as a key: string required.");
		any_put(v->mem, out, text->s, value);
	}
	return out;
}

/* One turn of a loop: false after an error. `into` gets what it gives. */
static bool
turn(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s, struct any *into,
    struct buf *text)
{
	struct any *when, *value, *key = NULL, *group;

	if (x->c != NULL) {
		if ((when = operand(v, x->c, s, hcl_to_bool, "bool")) == NULL)
			return false;
		if (!when->b)
			return true;
	}
	if ((value = value_of(v, x->b, s)) == NULL)
		return false;
	if (x->is_text) {
		buf_adds(text, any_text(value) != NULL ? any_text(value) : "");
		return true;
	}
	if (!x->is_map) {
		any_append(v->mem, into, value);
		return true;
	}
	key = value_of(v, x->key, s);
	if (key == NULL || (key = hcl_to_string(v->mem, key)) == NULL) {
		if (!v->stopped)
			bad(v, x->key->at, "Invalid object key",
			    "The key of an object must be a string.");
		return false;
	}
	v->steps += (int)(into->n / 16); /* looking for the key takes time */
	group = any_get(into, key->s);
	if (!x->expand) {
		if (group != NULL) {
			bad(v, x->key->at, "Duplicate object key",
			    arena_printf(v->mem,
				"Two different items produced the key \"%s\" in this 'for' "
				"expression. Use \"...\" after the "
				"value to group them.",
				key->s));
			return false;
		}
		any_put(v->mem, into, key->s, value);
		return true;
	}
	if (group == NULL) {
		group = any_list(v->mem);
		any_put(v->mem, into, key->s, group);
	}
	any_append(v->mem, group, value);
	return true;
}

static struct any *
for_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *over = value_of(v, x->a, s), *into;
	autobuf struct buf text = BUF_INIT;

	if (over == NULL)
		return NULL;
	if (over->type != ANY_LIST && over->type != ANY_MAP)
		return bad(v, x->a->at, "Iteration over non-iterable value",
		    arena_printf(v->mem,
			"A value of type %s cannot be used as the collection in a 'for' "
			"expression.",
			any_type_name(over)));
	into = x->is_map ? any_map(v->mem) : any_list(v->mem);
	for (size_t i = 0; i < over->n; i++) {
		struct hcl_scope key = { .up = s,
			.name = x->name != NULL ? x->name : "",
			.value = over->type == ANY_LIST ? any_int(v->mem, (int64_t)i)
							: any_str(v->mem, over->map.key[i]) };
		struct hcl_scope item = { .up = &key,
			.name = x->value_name,
			.value = over->type == ANY_LIST ? over->list[i] : over->map.value[i] };

		if (!turn(v, x, &item, into, &text))
			return NULL;
	}
	return x->is_text ? any_strn(v->mem, buf_str(&text), text.len) : into;
}

static struct any *
template_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	autobuf struct buf out = BUF_INIT;
	struct any *part, *text;

	if (x->wrapped)
		return value_of(v, x->parts[0], s);
	for (size_t i = 0; i < x->n; i++) {
		if ((part = value_of(v, x->parts[i], s)) == NULL)
			return NULL;
		text = hcl_to_string(v->mem, part);
		if (text == NULL)
			return bad(v, x->parts[i]->at, "Invalid template interpolation value",
			    arena_printf(v->mem,
				"Cannot include the given value in a string template: string "
				"required, not a %s.",
				any_type_name(part)));
		buf_add(&out, text->s, text->n);
	}
	return any_strn(v->mem, buf_str(&out), out.len);
}

/* --- calls --- */

/* The value without the complaints: for try() and can(). */
static struct any *
attempt(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	size_t before = v->d->n;
	struct any *value = value_of(v, x, s);

	if (!v->stopped)
		v->d->n = before;
	return value;
}

static struct any *
try_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *value;

	for (size_t i = 0; i < x->n; i++)
		if ((value = attempt(v, x->parts[i], s)) != NULL || v->stopped)
			return value;
	return bad(v, x->at, "Error in function call",
	    "Call to function \"try\" failed: no expression succeeded.");
}

static struct any *
convert_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *value = value_of(v, x->parts[0], s), *fit;

	if (value == NULL)
		return NULL;
	if (!hcl_type_ok(x->parts[1]))
		return bad(v, x->parts[1]->at, "Invalid type specification",
		    "A type is string, number, bool, any, or list, set, map, object or tuple of "
		    "such.");
	fit = hcl_convert(x->parts[1], value, v->mem);
	return fit != NULL
		   ? fit
		   : bad(v, x->at, "Error in function call",
			 arena_printf(v->mem,
			     "Call to function \"convert\" failed: the %s does not fit the type.",
			     any_type_name(value)));
}

static struct any *
unknown_function(struct eval *v, const struct hcl_expr *x)
{
	const char *refused = hcl_function_refused(x->name), *like;

	if (refused != NULL)
		return bad(v, x->a->at, "Function not available",
		    arena_printf(
			v->mem, "The function \"%s\" is not available: %s.", x->name, refused));
	like = hcl_function_like(x->name);
	return bad(v, x->a->at, "Call to unknown function",
	    arena_printf(v->mem, "There is no function named \"%s\".%s%s%s", x->name,
		like ? " Did you mean \"" : "", like ? like : "", like ? "\"?" : ""));
}

static bool
arguments(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s, struct hcl_call *c)
{
	size_t plain = x->expand ? x->n - 1 : x->n;
	struct any *last = NULL, *value;

	if (x->expand &&
	    ((last = value_of(v, x->parts[plain], s)) == NULL || last->type != ANY_LIST)) {
		if (last != NULL)
			bad(v, x->parts[plain]->at, "Invalid expanding argument value",
			    "The expanding argument (indicated by ...) must be a list.");
		return false;
	}
	c->n = plain + (last != NULL ? last->n : 0);
	c->args = arena_array(v->mem, c->n + 1, struct any *);
	for (size_t i = 0; i < plain; i++) {
		if ((value = value_of(v, x->parts[i], s)) == NULL)
			return false;
		c->args[i] = value;
	}
	for (size_t i = plain; i < c->n; i++)
		c->args[i] = last->list[i - plain];
	return true;
}

static struct any *
call_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct hcl_call c = { .mem = v->mem };
	const struct hcl_function *f;
	struct any *value;

	if (strcmp(x->name, "try") == 0)
		return try_value(v, x, s);
	if (strcmp(x->name, "can") == 0 && x->n == 1)
		return any_bool(v->mem, attempt(v, x->parts[0], s) != NULL);
	if (strcmp(x->name, "convert") == 0 && x->n == 2)
		return convert_value(v, x, s);
	if ((f = hcl_function_named(x->name)) == NULL)
		return unknown_function(v, x);
	if (!arguments(v, x, s, &c))
		return NULL;
	if ((int)c.n < f->min || (f->max >= 0 && (int)c.n > f->max))
		return bad(v, x->at,
		    (int)c.n < f->min ? "Not enough function arguments"
				      : "Too many function arguments",
		    arena_printf(v->mem,
			"Function \"%s\" expects %s%d argument(s), and was given %zu.", x->name,
			f->max == f->min    ? ""
			: (int)c.n < f->min ? "at least "
					    : "at most ",
			(int)c.n < f->min ? f->min : f->max, c.n));
	value = f->fn(&c);
	if (value == NULL)
		return bad(v, x->at, "Error in function call",
		    arena_printf(v->mem, "Call to function \"%s\" failed: %s.", x->name, c.why));
	return value;
}

static struct any *
cond_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *when = operand(v, x->a, s, hcl_to_bool, "bool");

	return when == NULL ? NULL : value_of(v, when->b ? x->b : x->c, s);
}

static struct any *
tuple_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *out = any_list(v->mem), *item;

	for (size_t i = 0; i < x->n; i++) {
		if ((item = value_of(v, x->parts[i], s)) == NULL)
			return NULL;
		any_append(v->mem, out, item);
	}
	return out;
}

static struct any *
kind_value(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	const struct hcl_scope *found;

	switch (x->kind) {
	case X_LITERAL:
		return x->value;
	case X_TEMPLATE:
		return template_value(v, x, s);
	case X_NAME:
		found = find_name(s, x->name);
		return found != NULL ? found->value : left_as_written(v, x);
	case X_ITEM:
		return find_name(s, "*")->value;
	case X_ATTR:
	case X_INDEX:
		return postfix_value(v, x, s);
	case X_SPLAT:
		return splat(v, x, s);
	case X_CALL:
		return call_value(v, x, s);
	case X_UNARY:
		return unary_value(v, x, s);
	case X_BINARY:
		return binary_value(v, x, s);
	case X_COND:
		return cond_value(v, x, s);
	case X_TUPLE:
		return tuple_value(v, x, s);
	case X_OBJECT:
		return object_value(v, x, s);
	case X_FOR:
		return for_value(v, x, s);
	}
	return NULL;
}

/* Every value passes here: what strangers wrote may not use up stack, time or memory. */
static struct any *
value_of(struct eval *v, const struct hcl_expr *x, const struct hcl_scope *s)
{
	struct any *value;

	if (v->stopped)
		return NULL;
	if (v->depth >= EVAL_DEPTH_MAX || ++v->steps > EVAL_STEPS_MAX ||
	    v->mem->total > EVAL_BYTES_MAX) {
		v->stopped = true;
		return bad(v, x->at, "Expression too large",
		    "Evaluating this takes more depth, steps or memory than allowed.");
	}
	v->depth++;
	value = kind_value(v, x, s);
	v->depth--;
	return value;
}

struct any *
hcl_eval(const struct hcl_expr *x, const struct hcl_scope *scope, struct hcl_diags *d)
{
	struct eval v = { .d = d, .mem = d->mem };

	return value_of(&v, x, scope);
}
