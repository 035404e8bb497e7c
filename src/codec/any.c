/*
 * any.c: values of any shape.
 */
#include "codec/any.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct any *
new_value(struct arena *a, enum any_type type)
{
	struct any *v = arena_new(a, struct any);

	v->type = type;
	return v;
}

struct any *
any_null(struct arena *a)
{
	return new_value(a, ANY_NULL);
}

struct any *
any_bool(struct arena *a, bool b)
{
	struct any *v = new_value(a, ANY_BOOL);

	v->b = b;
	return v;
}

struct any *
any_int(struct arena *a, int64_t i)
{
	struct any *v = new_value(a, ANY_INT);

	v->i = i;
	return v;
}

struct any *
any_double(struct arena *a, double d)
{
	if (d >= -9007199254740992.0 && d <= 9007199254740992.0 && d == floor(d))
		return any_int(a, (int64_t)d);

	struct any *v = new_value(a, ANY_DOUBLE);

	v->d = d;
	return v;
}

struct any *
any_strn(struct arena *a, const char *s, size_t n)
{
	struct any *v = new_value(a, ANY_STR);
	const char *nul = n > 0 ? memchr(s, '\0', n) : NULL;

	if (nul != NULL)
		n = (size_t)(nul - s);
	v->s = arena_strndup(a, n > 0 ? s : "", n);
	v->n = n;
	return v;
}

struct any *
any_str(struct arena *a, const char *s)
{
	return any_strn(a, s, strlen(s));
}

struct any *
any_list(struct arena *a)
{
	return new_value(a, ANY_LIST);
}

struct any *
any_map(struct arena *a)
{
	return new_value(a, ANY_MAP);
}

void
any_append(struct arena *a, struct any *list, struct any *value)
{
	list->list = arena_grown(a, list->list, list->n, sizeof(*list->list));
	list->list[list->n++] = value;
}

/* Without looking for the key: the caller knows that it is new. */
static void
put_new(struct arena *a, struct any *map, const char *key, struct any *value)
{
	map->map.key = arena_grown(a, map->map.key, map->n, sizeof(*map->map.key));
	map->map.value = arena_grown(a, map->map.value, map->n, sizeof(*map->map.value));
	map->map.key[map->n] = arena_strdup(a, key);
	map->map.value[map->n++] = value;
}

void
any_put(struct arena *a, struct any *map, const char *key, struct any *value)
{
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->map.key[i], key) == 0) {
			map->map.value[i] = value;
			return;
		}
	put_new(a, map, key, value);
}

enum any_type
any_type(const struct any *v)
{
	return v == NULL ? ANY_NULL : v->type;
}

const char *
any_type_name(const struct any *v)
{
	static const char *const names[] = { [ANY_NULL] = "null",
		[ANY_BOOL] = "bool",
		[ANY_INT] = "number",
		[ANY_DOUBLE] = "number",
		[ANY_STR] = "string",
		[ANY_LIST] = "list",
		[ANY_MAP] = "map" };

	return names[any_type(v)];
}

struct any *
any_get(const struct any *map, const char *key)
{
	if (any_type(map) != ANY_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->map.key[i], key) == 0)
			return map->map.value[i];
	return NULL;
}

struct any *
any_at(const struct any *list, size_t i)
{
	return any_type(list) == ANY_LIST && i < list->n ? list->list[i] : NULL;
}

const char *
any_text(const struct any *v)
{
	return any_type(v) == ANY_STR ? v->s : NULL;
}

bool
any_number(const struct any *v, double *out)
{
	switch (any_type(v)) {
	case ANY_INT:
		*out = (double)v->i;
		return true;
	case ANY_DOUBLE:
		*out = v->d;
		return true;
	default:
		return false;
	}
}

bool
any_empty(const struct any *v)
{
	switch (any_type(v)) {
	case ANY_NULL:
		return true;
	case ANY_BOOL:
		return !v->b;
	case ANY_INT:
		return v->i == 0;
	case ANY_DOUBLE:
		return v->d == 0;
	case ANY_STR:
		return v->n == 0;
	case ANY_LIST:
		for (size_t i = 0; i < v->n; i++)
			if (!any_empty(v->list[i]))
				return false;
		return true;
	case ANY_MAP:
		for (size_t i = 0; i < v->n; i++)
			if (!any_empty(v->map.value[i]))
				return false;
		return true;
	}
	return true;
}

static bool
map_equal(const struct any *a, const struct any *b)
{
	for (size_t i = 0; i < a->n; i++) {
		size_t k = i; /* mostly the order is the same */

		if (strcmp(a->map.key[i], b->map.key[k]) != 0)
			for (k = 0; k < b->n && strcmp(a->map.key[i], b->map.key[k]) != 0;)
				k++;
		if (k == b->n || !any_equal(a->map.value[i], b->map.value[k]))
			return false;
	}
	return true;
}

bool
any_equal(const struct any *a, const struct any *b)
{
	double x, y;

	if (any_number(a, &x) && any_number(b, &y))
		return a->type == ANY_INT && b->type == ANY_INT ? a->i == b->i : x == y;
	if (any_type(a) != any_type(b))
		return false;
	switch (any_type(a)) {
	case ANY_BOOL:
		return a->b == b->b;
	case ANY_STR:
		return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
	case ANY_LIST:
		if (a->n != b->n)
			return false;
		for (size_t i = 0; i < a->n; i++)
			if (!any_equal(a->list[i], b->list[i]))
				return false;
		return true;
	case ANY_MAP:
		return a->n == b->n && map_equal(a, b);
	default:
		return true;
	}
}

struct any *
any_copy(const struct any *v, struct arena *a)
{
	struct any *copy;

	if (v == NULL)
		return NULL;
	switch (v->type) {
	case ANY_STR:
		return any_strn(a, v->s, v->n);
	case ANY_LIST:
		copy = any_list(a);
		for (size_t i = 0; i < v->n; i++)
			any_append(a, copy, any_copy(v->list[i], a));
		return copy;
	case ANY_MAP:
		copy = any_map(a);
		for (size_t i = 0; i < v->n; i++)
			put_new(a, copy, v->map.key[i], any_copy(v->map.value[i], a));
		return copy;
	default:
		return arena_memdup(a, v, sizeof(*v));
	}
}

const char *
any_scalar_text(const struct any *v, struct arena *a)
{
	char text[40];

	switch (any_type(v)) {
	case ANY_BOOL:
		return v->b ? "true" : "false";
	case ANY_INT:
		return arena_printf(a, "%lld", (long long)v->i);
	case ANY_DOUBLE:
		for (int digits = 15; digits <= 17; digits++) {
			(void)snprintf(text, sizeof(text), "%.*g", digits, v->d);
			if (strtod(text, NULL) == v->d)
				break;
		}
		return arena_strdup(a, text);
	case ANY_STR:
		return v->s;
	default:
		return NULL;
	}
}

struct any *
any_from_json(const json_t *v, struct arena *a)
{
	struct any *out;
	const char *key;
	json_t *member;
	size_t i;

	switch (v == NULL ? JSON_NULL : json_typeof(v)) {
	case JSON_OBJECT:
		out = any_map(a);
		json_object_foreach ((json_t *)(uintptr_t)v, key, member)
			put_new(a, out, key, any_from_json(member, a));
		return out;
	case JSON_ARRAY:
		out = any_list(a);
		json_array_foreach (v, i, member)
			any_append(a, out, any_from_json(member, a));
		return out;
	case JSON_STRING:
		return any_strn(a, json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		return any_int(a, json_integer_value(v));
	case JSON_REAL:
		return any_double(a, json_real_value(v));
	case JSON_TRUE:
	case JSON_FALSE:
		return any_bool(a, json_is_true(v));
	default:
		return any_null(a);
	}
}

void
any_to_json(const struct any *v, struct jsonw *w)
{
	switch (any_type(v)) {
	case ANY_NULL:
		jsonw_null(w);
		break;
	case ANY_BOOL:
		jsonw_bool(w, v->b);
		break;
	case ANY_INT:
		jsonw_int(w, v->i);
		break;
	case ANY_DOUBLE:
		jsonw_double(w, v->d);
		break;
	case ANY_STR:
		jsonw_strn(w, v->s, v->n);
		break;
	case ANY_LIST:
		jsonw_array(w);
		for (size_t i = 0; i < v->n; i++)
			any_to_json(v->list[i], w);
		jsonw_end_array(w);
		break;
	case ANY_MAP:
		jsonw_object(w);
		for (size_t i = 0; i < v->n; i++) {
			jsonw_key(w, v->map.key[i]);
			any_to_json(v->map.value[i], w);
		}
		jsonw_end_object(w);
		break;
	}
}
