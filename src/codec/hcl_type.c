/*
 * hcl_type.c: type expressions, as list(string), and values made to fit them.
 */
#include "codec/hcl_ast.h"

#include "base/str.h"

#include <string.h>

static struct any *
scalar(struct arena *a, const char *type, struct any *v)
{
	if (str_eq(type, "any"))
		return v;
	if (str_eq(type, "string"))
		return hcl_to_string(a, v);
	if (str_eq(type, "bool"))
		return hcl_to_bool(a, v);
	return str_eq(type, "number") ? hcl_to_number(a, v) : NULL;
}

static struct any *
each_element(const struct hcl_expr *type, struct any *v, enum any_type wanted, struct arena *a)
{
	struct any *out, *one;

	if (any_type(v) != wanted)
		return NULL;
	out = wanted == ANY_LIST ? any_list(a) : any_map(a);
	for (size_t i = 0; i < v->n; i++) {
		one = hcl_convert(type, wanted == ANY_LIST ? v->list[i] : v->map.value[i], a);
		if (one == NULL)
			return NULL;
		if (wanted == ANY_LIST)
			any_append(a, out, one);
		else
			any_put(a, out, v->map.key[i], one);
	}
	return out;
}

/* object({ name = type … }): those members and no others; a missing one is an error. */
static struct any *
object_members(const struct hcl_expr *type, struct any *v, struct arena *a)
{
	struct any *out = any_map(a), *one;

	if (any_type(v) != ANY_MAP || type->kind != X_OBJECT)
		return NULL;
	for (size_t i = 0; i + 1 < type->n; i += 2) {
		const char *name = any_text(type->parts[i]->value);

		one = name == NULL ? NULL : any_get(v, name);
		if (one == NULL || (one = hcl_convert(type->parts[i + 1], one, a)) == NULL)
			return NULL;
		any_put(a, out, name, one);
	}
	return out;
}

static struct any *
tuple_members(const struct hcl_expr *type, struct any *v, struct arena *a)
{
	struct any *out = any_list(a), *one;

	if (any_type(v) != ANY_LIST || type->kind != X_TUPLE || v->n != type->n)
		return NULL;
	for (size_t i = 0; i < type->n; i++) {
		if ((one = hcl_convert(type->parts[i], v->list[i], a)) == NULL)
			return NULL;
		any_append(a, out, one);
	}
	return out;
}

struct any *
hcl_convert(const struct hcl_expr *type, struct any *v, struct arena *a)
{
	if (type == NULL || any_type(v) == ANY_NULL)
		return v;
	if (type->kind == X_NAME)
		return scalar(a, type->name, v);
	if (type->kind != X_CALL || type->n != 1)
		return NULL;
	if (str_eq(type->name, "list") || str_eq(type->name, "set"))
		return each_element(type->parts[0], v, ANY_LIST, a);
	if (str_eq(type->name, "map"))
		return each_element(type->parts[0], v, ANY_MAP, a);
	if (str_eq(type->name, "object"))
		return object_members(type->parts[0], v, a);
	return str_eq(type->name, "tuple") ? tuple_members(type->parts[0], v, a) : NULL;
}

static bool
members_ok(const struct hcl_expr *x, bool object)
{
	for (size_t i = 0; i < x->n; i += object ? 2 : 1) {
		if (object &&
		    (x->parts[i]->kind != X_LITERAL || any_text(x->parts[i]->value) == NULL))
			return false;
		if (!hcl_type_ok(x->parts[object ? i + 1 : i]))
			return false;
	}
	return true;
}

bool
hcl_type_ok(const struct hcl_expr *type)
{
	static const char *const words[] = { "string", "number", "bool", "any" };

	for (size_t i = 0; type->kind == X_NAME && i < NELEM(words); i++)
		if (str_eq(type->name, words[i]))
			return true;
	if (type->kind != X_CALL || type->n != 1)
		return false;
	if (str_eq(type->name, "object"))
		return type->parts[0]->kind == X_OBJECT && members_ok(type->parts[0], true);
	if (str_eq(type->name, "tuple"))
		return type->parts[0]->kind == X_TUPLE && members_ok(type->parts[0], false);
	return (str_eq(type->name, "list") || str_eq(type->name, "set") ||
		   str_eq(type->name, "map")) &&
	       hcl_type_ok(type->parts[0]);
}
