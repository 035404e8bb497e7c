/*
 * hcl_func.c: finding functions, and those on numbers, lists and maps.
 */
#include "codec/hcl_ast.h"

#include "base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 20000 }; /* elements of what functions make */

static const struct hcl_function *const tables[] = { hcl_list_functions, hcl_text_functions,
	hcl_code_functions, hcl_time_functions };

static const struct {
	const char *name, *why;
} refused[] = {
	{ "abspath", "job files do not read the file system" },
	{ "basename", "job files do not read the file system" },
	{ "dirname", "job files do not read the file system" },
	{ "file", "job files do not read the file system; pass the text with -var" },
	{ "filebase64", "job files do not read the file system" },
	{ "fileexists", "job files do not read the file system" },
	{ "fileset", "job files do not read the file system" },
	{ "pathexpand", "job files do not read the file system" },
	{ "bcrypt", "passwords are not hashed here" },
	{ "rsadecrypt", "keys are not used here" },
	{ "yamldecode", "YAML is not supported; use jsondecode" },
	{ "yamlencode", "YAML is not supported; JSON is valid YAML: use jsonencode" },
};

const struct hcl_function *
hcl_function_named(const char *name)
{
	for (size_t t = 0; t < NELEM(tables); t++)
		for (const struct hcl_function *f = tables[t]; f->name != NULL; f++)
			if (strcmp(f->name, name) == 0)
				return f;
	return NULL;
}

const char *
hcl_function_refused(const char *name)
{
	for (size_t i = 0; i < NELEM(refused); i++)
		if (strcmp(refused[i].name, name) == 0)
			return refused[i].why;
	return NULL;
}

const char *
hcl_function_at(size_t i, const char **why)
{
	static const char *const special[] = { "can", "convert",
		"try" }; /* hcl_eval.c does these */

	*why = NULL;
	for (size_t t = 0; t < NELEM(tables); t++)
		for (const struct hcl_function *f = tables[t]; f->name != NULL; f++)
			if (i-- == 0)
				return f->name;
	if (i < NELEM(special))
		return special[i];
	i -= NELEM(special);
	if (i >= NELEM(refused))
		return NULL;
	*why = refused[i].why;
	return refused[i].name;
}

const char *
hcl_function_like(const char *name)
{
	const char *names[200];
	size_t n = 0;

	for (size_t t = 0; t < NELEM(tables); t++)
		for (const struct hcl_function *f = tables[t]; f->name != NULL && n < NELEM(names);
		     f++)
			names[n++] = f->name;
	return str_nearest(name, names, n);
}

struct any *
hcl_fault(struct hcl_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return NULL;
}

/* --- arguments --- */

static bool
number_arg(struct hcl_call *c, size_t i, double *out)
{
	struct any *v = hcl_to_number(c->mem, c->args[i]);

	if (v != NULL && any_number(v, out))
		return true;
	hcl_fault(c, "argument %zu must be a number", i + 1);
	return false;
}

static bool
whole_arg(struct hcl_call *c, size_t i, int64_t *out)
{
	struct any *v = hcl_to_number(c->mem, c->args[i]);

	if (any_type(v) == ANY_INT) {
		*out = v->i;
		return true;
	}
	hcl_fault(c, "argument %zu must be a whole number", i + 1);
	return false;
}

static bool
list_arg(struct hcl_call *c, size_t i)
{
	if (any_type(c->args[i]) == ANY_LIST && c->args[i]->n <= LIST_MAX)
		return true;
	hcl_fault(c, "argument %zu must be a list%s", i + 1,
	    any_type(c->args[i]) == ANY_LIST ? " of at most 20000 elements" : "");
	return false;
}

static bool
map_arg(struct hcl_call *c, size_t i)
{
	if (any_type(c->args[i]) == ANY_MAP)
		return true;
	hcl_fault(c, "argument %zu must be a map", i + 1);
	return false;
}

/* --- numbers --- */

static struct any *
fn_abs(struct hcl_call *c)
{
	double d;

	return number_arg(c, 0, &d) ? any_double(c->mem, fabs(d)) : NULL;
}

static struct any *
fn_ceil(struct hcl_call *c)
{
	double d;

	return number_arg(c, 0, &d) ? any_double(c->mem, ceil(d)) : NULL;
}

static struct any *
fn_floor(struct hcl_call *c)
{
	double d;

	return number_arg(c, 0, &d) ? any_double(c->mem, floor(d)) : NULL;
}

static struct any *
fn_signum(struct hcl_call *c)
{
	double d;

	return number_arg(c, 0, &d) ? any_int(c->mem, (d > 0) - (d < 0)) : NULL;
}

static struct any *
fn_log(struct hcl_call *c)
{
	double d, base;

	if (!number_arg(c, 0, &d) || !number_arg(c, 1, &base))
		return NULL;
	if (d <= 0 || base <= 0 || base == 1)
		return hcl_fault(c, "there is no such logarithm");
	return any_double(c->mem, log(d) / log(base));
}

static struct any *
fn_pow(struct hcl_call *c)
{
	double d, power;

	if (!number_arg(c, 0, &d) || !number_arg(c, 1, &power))
		return NULL;
	d = pow(d, power);
	return isfinite(d) ? any_double(c->mem, d) : hcl_fault(c, "the result is not a number");
}

static struct any *
extreme(struct hcl_call *c, int sign)
{
	struct any *best = NULL;
	double d, best_d = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (!number_arg(c, i, &d))
			return NULL;
		if (best == NULL || (d - best_d) * sign > 0) {
			best = hcl_to_number(c->mem, c->args[i]);
			best_d = d;
		}
	}
	return best;
}

static struct any *
fn_max(struct hcl_call *c)
{
	return extreme(c, 1);
}

static struct any *
fn_min(struct hcl_call *c)
{
	return extreme(c, -1);
}

static struct any *
fn_parseint(struct hcl_call *c)
{
	const char *s = any_text(c->args[0]);
	char *end;
	int64_t base;
	long long n;

	if (s == NULL)
		return hcl_fault(c, "argument 1 must be a string");
	if (!whole_arg(c, 1, &base))
		return NULL;
	if (base < 2 || base > 36)
		return hcl_fault(c, "base must be a whole number between 2 and 36");
	n = strtoll(s, &end, (int)base);
	if (*s == '\0' || *s == ' ' || *end != '\0' || n == INT64_MAX || n == INT64_MIN)
		return hcl_fault(c, "cannot parse \"%.60s\" as a base %d integer", s, (int)base);
	return any_int(c->mem, n);
}

static struct any *
fn_range(struct hcl_call *c)
{
	double from = 0, to, step;
	struct any *out = any_list(c->mem);

	if (!number_arg(c, c->n == 1 ? 0 : 1, &to) || (c->n > 1 && !number_arg(c, 0, &from)))
		return NULL;
	step = to < from ? -1 : 1;
	if (c->n == 3 && !number_arg(c, 2, &step))
		return NULL;
	if (step == 0)
		return hcl_fault(c, "step must not be zero");
	for (double d = from; step > 0 ? d < to : d > to; d += step) {
		if (out->n == 1024)
			return hcl_fault(c, "more than 1024 values were generated");
		any_append(c->mem, out, any_double(c->mem, d));
	}
	return out;
}

/* --- lists --- */

static struct any *
fn_length(struct hcl_call *c)
{
	switch (any_type(c->args[0])) {
	case ANY_LIST:
	case ANY_MAP:
		return any_int(c->mem, (int64_t)c->args[0]->n);
	default:
		return hcl_fault(
		    c, "argument must be a list or a map; for strings there is strlen");
	}
}

static struct any *
fn_concat(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);

	for (size_t i = 0; i < c->n; i++) {
		if (!list_arg(c, i))
			return NULL;
		for (size_t k = 0; k < c->args[i]->n; k++)
			any_append(c->mem, out, c->args[i]->list[k]);
	}
	return out;
}

static bool
contains(const struct any *list, const struct any *v)
{
	for (size_t i = 0; i < list->n; i++)
		if (any_equal(list->list[i], v))
			return true;
	return false;
}

static struct any *
fn_contains(struct hcl_call *c)
{
	return list_arg(c, 0) ? any_bool(c->mem, contains(c->args[0], c->args[1])) : NULL;
}

static struct any *
add_distinct(struct hcl_call *c, struct any *out, const struct any *from)
{
	for (size_t i = 0; i < from->n; i++)
		if (!contains(out, from->list[i])) {
			if (out->n >= 2000)
				return hcl_fault(c, "more than 2000 different elements");
			any_append(c->mem, out, from->list[i]);
		}
	return out;
}

static struct any *
fn_distinct(struct hcl_call *c)
{
	return list_arg(c, 0) ? add_distinct(c, any_list(c->mem), c->args[0]) : NULL;
}

static struct any *
fn_setunion(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);

	for (size_t i = 0; i < c->n; i++)
		if (!list_arg(c, i) || add_distinct(c, out, c->args[i]) == NULL)
			return NULL;
	return out;
}

static struct any *
fn_setintersection(struct hcl_call *c)
{
	struct any *out = any_list(c->mem), *all;

	for (size_t i = 0; i < c->n; i++)
		if (!list_arg(c, i))
			return NULL;
	if ((all = add_distinct(c, any_list(c->mem), c->args[0])) == NULL)
		return NULL;
	for (size_t k = 0; k < all->n; k++) {
		bool everywhere = true;

		for (size_t i = 1; everywhere && i < c->n; i++)
			everywhere = contains(c->args[i], all->list[k]);
		if (everywhere)
			any_append(c->mem, out, all->list[k]);
	}
	return out;
}

static struct any *
fn_setproduct(struct hcl_call *c)
{
	struct any *out = any_list(c->mem), *one;
	size_t total = 1;

	for (size_t i = 0; i < c->n; i++) {
		if (!list_arg(c, i))
			return NULL;
		total *= c->args[i]->n;
		if (total > LIST_MAX)
			return hcl_fault(c, "the result has more than %d elements", LIST_MAX);
	}
	for (size_t t = 0; t < total; t++) {
		size_t rest = t, width = total;

		one = any_list(c->mem);
		for (size_t i = 0; i < c->n; i++) {
			width /= c->args[i]->n;
			any_append(c->mem, one, c->args[i]->list[rest / width]);
			rest %= width;
		}
		any_append(c->mem, out, one);
	}
	return out;
}

static struct any *
fn_chunklist(struct hcl_call *c)
{
	struct any *out = any_list(c->mem), *chunk = NULL;
	int64_t size;

	if (!list_arg(c, 0) || !whole_arg(c, 1, &size))
		return NULL;
	if (size < 0)
		return hcl_fault(c, "the size argument must be positive");
	for (size_t i = 0; i < c->args[0]->n; i++) {
		if (chunk == NULL || (size > 0 && chunk->n == (size_t)size)) {
			chunk = any_list(c->mem);
			any_append(c->mem, out, chunk);
		}
		any_append(c->mem, chunk, c->args[0]->list[i]);
	}
	return out;
}

static struct any *
fn_coalesce(struct hcl_call *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (any_type(c->args[i]) != ANY_NULL)
			return c->args[i];
	return hcl_fault(c, "no non-null arguments");
}

static struct any *
fn_coalescelist(struct hcl_call *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (any_type(c->args[i]) == ANY_LIST && c->args[i]->n > 0)
			return c->args[i];
	return hcl_fault(c, "no non-empty list");
}

static struct any *
fn_compact(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);

	if (!list_arg(c, 0))
		return NULL;
	for (size_t i = 0; i < c->args[0]->n; i++) {
		struct any *v = c->args[0]->list[i];

		if (any_type(v) != ANY_NULL && !(any_type(v) == ANY_STR && v->n == 0))
			any_append(c->mem, out, v);
	}
	return out;
}

static struct any *
fn_element(struct hcl_call *c)
{
	int64_t i;

	if (!list_arg(c, 0) || !whole_arg(c, 1, &i))
		return NULL;
	if (c->args[0]->n == 0 || i < 0)
		return hcl_fault(c, i < 0 ? "cannot use element function with a negative index"
					  : "cannot use element function with an empty list");
	return c->args[0]->list[(uint64_t)i % c->args[0]->n];
}

static bool
add_flat(struct hcl_call *c, struct any *out, const struct any *list, int depth)
{
	for (size_t i = 0; i < list->n; i++)
		if (any_type(list->list[i]) == ANY_LIST && depth < HCL_DEPTH_MAX) {
			if (!add_flat(c, out, list->list[i], depth + 1))
				return false;
		} else if (out->n >= LIST_MAX) {
			hcl_fault(c, "the result has more than %d elements", LIST_MAX);
			return false;
		} else
			any_append(c->mem, out, list->list[i]);
	return true;
}

static struct any *
fn_flatten(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);

	return list_arg(c, 0) && add_flat(c, out, c->args[0], 0) ? out : NULL;
}

static struct any *
fn_index(struct hcl_call *c)
{
	struct any *v = NULL;
	int64_t i;

	if (any_type(c->args[0]) == ANY_MAP && any_text(c->args[1]) != NULL)
		v = any_get(c->args[0], any_text(c->args[1]));
	else if (!list_arg(c, 0) || !whole_arg(c, 1, &i))
		return NULL;
	else if (i >= 0)
		v = any_at(c->args[0], (size_t)i);
	return v != NULL ? v : hcl_fault(c, "there is no such element");
}

static struct any *
fn_slice(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);
	int64_t from, to;

	if (!list_arg(c, 0) || !whole_arg(c, 1, &from) || !whole_arg(c, 2, &to))
		return NULL;
	if (from < 0 || to < from || (uint64_t)to > c->args[0]->n)
		return hcl_fault(
		    c, "the indexes must lie within the list, the first before the second");
	for (int64_t i = from; i < to; i++)
		any_append(c->mem, out, c->args[0]->list[i]);
	return out;
}

static int
by_text(const void *a, const void *b)
{
	const struct any *const *x = a, *const *y = b;

	return strcmp((*x)->s, (*y)->s);
}

static struct any *
fn_sort(struct hcl_call *c)
{
	struct any *out = any_list(c->mem), *s;

	if (!list_arg(c, 0))
		return NULL;
	for (size_t i = 0; i < c->args[0]->n; i++) {
		if ((s = hcl_to_string(c->mem, c->args[0]->list[i])) == NULL)
			return hcl_fault(c, "only lists of strings can be sorted");
		any_append(c->mem, out, s);
	}
	if (out->n > 1)
		qsort(out->list, out->n, sizeof(*out->list), by_text);
	return out;
}

/* --- maps --- */

/* The indexes of a map's keys in order. */
static size_t *
sorted_keys(struct hcl_call *c, const struct any *map)
{
	size_t *order = arena_array(c->mem, map->n + 1, size_t);

	for (size_t i = 0; i < map->n; i++) {
		size_t k = i;

		for (; k > 0 && strcmp(map->map.key[order[k - 1]], map->map.key[i]) > 0; k--)
			order[k] = order[k - 1];
		order[k] = i;
	}
	return order;
}

static struct any *
fn_keys(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);

	if (!map_arg(c, 0))
		return NULL;
	size_t *order = sorted_keys(c, c->args[0]);
	for (size_t i = 0; i < c->args[0]->n; i++)
		any_append(c->mem, out, any_str(c->mem, c->args[0]->map.key[order[i]]));
	return out;
}

static struct any *
fn_values(struct hcl_call *c)
{
	struct any *out = any_list(c->mem);

	if (!map_arg(c, 0))
		return NULL;
	size_t *order = sorted_keys(c, c->args[0]);
	for (size_t i = 0; i < c->args[0]->n; i++)
		any_append(c->mem, out, c->args[0]->map.value[order[i]]);
	return out;
}

static struct any *
fn_lookup(struct hcl_call *c)
{
	const char *key = any_text(c->args[1]);
	struct any *v;

	if (!map_arg(c, 0))
		return NULL;
	if (key == NULL)
		return hcl_fault(c, "argument 2 must be a string");
	v = any_get(c->args[0], key);
	if (v == NULL && c->n == 3)
		v = c->args[2];
	return v != NULL ? v : hcl_fault(c, "lookup failed to find key \"%.80s\"", key);
}

static struct any *
fn_merge(struct hcl_call *c)
{
	struct any *out = any_map(c->mem);

	for (size_t i = 0; i < c->n; i++) {
		if (any_type(c->args[i]) == ANY_NULL)
			continue;
		if (!map_arg(c, i))
			return NULL;
		if (out->n + c->args[i]->n > LIST_MAX)
			return hcl_fault(c, "the result has more than %d elements", LIST_MAX);
		for (size_t k = 0; k < c->args[i]->n; k++)
			any_put(c->mem, out, c->args[i]->map.key[k], c->args[i]->map.value[k]);
	}
	return out;
}

static struct any *
fn_zipmap(struct hcl_call *c)
{
	struct any *out = any_map(c->mem), *key;

	if (!list_arg(c, 0) || !list_arg(c, 1))
		return NULL;
	if (c->args[0]->n != c->args[1]->n)
		return hcl_fault(c, "number of keys (%zu) does not match number of values (%zu)",
		    c->args[0]->n, c->args[1]->n);
	for (size_t i = 0; i < c->args[0]->n; i++) {
		if ((key = hcl_to_string(c->mem, c->args[0]->list[i])) == NULL)
			return hcl_fault(c, "keys must be strings");
		any_put(c->mem, out, key->s, c->args[1]->list[i]);
	}
	return out;
}

const struct hcl_function hcl_list_functions[] = {
	{ "abs", 1, 1, fn_abs },
	{ "ceil", 1, 1, fn_ceil },
	{ "chunklist", 2, 2, fn_chunklist },
	{ "coalesce", 1, -1, fn_coalesce },
	{ "coalescelist", 1, -1, fn_coalescelist },
	{ "compact", 1, 1, fn_compact },
	{ "concat", 1, -1, fn_concat },
	{ "contains", 2, 2, fn_contains },
	{ "distinct", 1, 1, fn_distinct },
	{ "element", 2, 2, fn_element },
	{ "flatten", 1, 1, fn_flatten },
	{ "floor", 1, 1, fn_floor },
	{ "index", 2, 2, fn_index },
	{ "keys", 1, 1, fn_keys },
	{ "length", 1, 1, fn_length },
	{ "log", 2, 2, fn_log },
	{ "lookup", 2, 3, fn_lookup },
	{ "max", 1, -1, fn_max },
	{ "merge", 0, -1, fn_merge },
	{ "min", 1, -1, fn_min },
	{ "parseint", 2, 2, fn_parseint },
	{ "pow", 2, 2, fn_pow },
	{ "range", 1, 3, fn_range },
	{ "setintersection", 1, -1, fn_setintersection },
	{ "setproduct", 1, -1, fn_setproduct },
	{ "setunion", 1, -1, fn_setunion },
	{ "signum", 1, 1, fn_signum },
	{ "slice", 3, 3, fn_slice },
	{ "sort", 1, 1, fn_sort },
	{ "values", 1, 1, fn_values },
	{ "zipmap", 2, 2, fn_zipmap },
	{ NULL, 0, 0, NULL },
};
