/*
 * model.c: objects by tables: looking at members, comparing, copying.
 */
#include "codec/model.h"

#include "codec/lists.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

void *
model_new(const struct model *m, struct arena *a)
{
	void *obj = arena_alloc(a, m->size);

	for (size_t i = 0; i < m->n; i++)
		if (m->fields[i].type == F_STR)
			*(const char **)field_at(&m->fields[i], obj) = "";
	return obj;
}

const struct field *
model_field(const struct model *m, const char *json)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->fields[i].json != NULL && strcmp(m->fields[i].json, json) == 0)
			return &m->fields[i];
	return NULL;
}

void *
field_at(const struct field *f, const void *obj)
{
	return (char *)(uintptr_t)obj + f->offset;
}

/* All list and map structs end in their count; their size differs. */
static size_t
count_of(enum field_type type, const void *at)
{
	switch (type) {
	case F_STRS:
		return ((const struct strs *)at)->n;
	case F_INTS:
		return ((const struct ints *)at)->n;
	case F_STRMAP:
		return ((const struct strmap *)at)->n;
	case F_STRSMAP:
		return ((const struct strsmap *)at)->n;
	case F_INTMAP:
	case F_BOOLMAP:
		return ((const struct intmap *)at)->n;
	case F_FLOATMAP:
		return ((const struct floatmap *)at)->n;
	case F_OBJS:
		return ((const struct objs *)at)->n;
	case F_OBJMAP:
		return ((const struct objmap *)at)->n;
	default:
		return 0;
	}
}

bool
field_empty(const struct field *f, const void *obj)
{
	const void *at = field_at(f, obj);

	switch (f->type) {
	case F_STR: {
		const char *s = *(const char *const *)at;

		return s == NULL || s[0] == '\0';
	}
	case F_BOOL:
		return !*(const bool *)at;
	case F_INT:
	case F_DURATION:
	case F_TIME:
		return *(const int64_t *)at == 0;
	case F_FLOAT:
		return *(const double *)at == 0;
	case F_OBJ:
		return *(void *const *)at == NULL;
	case F_ANY:
		return any_type(*(const struct any *const *)at) == ANY_NULL;
	default:
		return count_of(f->type, at) == 0;
	}
}

bool
field_given(const struct model *m, const struct field *f, const void *obj)
{
	if (m->has_set && (*(const uint64_t *)obj >> (f - m->fields) & 1) != 0)
		return true;
	return !field_empty(f, obj);
}

void
field_mark(const struct model *m, const struct field *f, void *obj)
{
	if (m->has_set)
		*(uint64_t *)obj |= (uint64_t)1 << (f - m->fields);
}

static void
set_default(const struct field *f, void *at)
{
	uint64_t n = 0;

	switch (f->type) {
	case F_STR:
		*(const char **)at = f->def;
		break;
	case F_BOOL:
		*(bool *)at = strcmp(f->def, "true") == 0;
		break;
	case F_INT:
		(void)str_u64(f->def, INT64_MAX, &n);
		*(int64_t *)at = (int64_t)n;
		break;
	case F_DURATION:
		(void)duration_parse(f->def, at);
		break;
	default: /* lists and objects have no default as text */
		break;
	}
}

void
model_defaults(const struct model *m, void *obj)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];

		if (f->def != NULL && !field_given(m, f, obj))
			set_default(f, field_at(f, obj));
		if (f->type <= F_DURATION)
			field_mark(m, f, obj);
	}
}

/* --- equality --- */

static bool
text_equal(const char *a, const char *b)
{
	return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

static bool
strs_equal(const struct strs *a, const struct strs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!text_equal(a->at[i], b->at[i]))
			return false;
	return true;
}

static size_t
find_key(const char *const *keys, size_t n, const char *key, size_t guess)
{
	if (guess < n && text_equal(keys[guess], key))
		return guess;
	for (size_t i = 0; i < n; i++)
		if (text_equal(keys[i], key))
			return i;
	return n;
}

/* Maps: equal keys with equal values, in any order. All map structs begin with key and value. */
#define MAPS_EQUAL(type, a, b, same)                                                               \
	do {                                                                                       \
		const type *x = (a), *y = (b);                                                     \
		if (x->n != y->n)                                                                  \
			return false;                                                              \
		for (size_t i = 0; i < x->n; i++) {                                                \
			size_t k = find_key(y->key, y->n, x->key[i], i);                           \
			if (k == y->n || !(same))                                                  \
				return false;                                                      \
		}                                                                                  \
		return true;                                                                       \
	} while (0)

static bool
lists_equal(const struct field *f, const void *a, const void *b, unsigned skip)
{
	switch (f->type) {
	case F_STRS:
		return strs_equal(a, b);
	case F_INTS: {
		const struct ints *x = a, *y = b;

		return x->n == y->n &&
		       (x->n == 0 || memcmp(x->at, y->at, x->n * sizeof(*x->at)) == 0);
	}
	case F_OBJS: {
		const struct objs *x = a, *y = b;

		if (x->n != y->n)
			return false;
		for (size_t i = 0; i < x->n; i++)
			if (!model_equal_but(f->sub, x->at[i], y->at[i], skip))
				return false;
		return true;
	}
	case F_STRMAP:
		MAPS_EQUAL(struct strmap, a, b, text_equal(x->value[i], y->value[k]));
	case F_STRSMAP:
		MAPS_EQUAL(struct strsmap, a, b, strs_equal(&x->value[i], &y->value[k]));
	case F_INTMAP:
	case F_BOOLMAP:
		MAPS_EQUAL(struct intmap, a, b, x->value[i] == y->value[k]);
	case F_FLOATMAP:
		MAPS_EQUAL(struct floatmap, a, b, x->value[i] == y->value[k]);
	case F_OBJMAP:
		MAPS_EQUAL(
		    struct objmap, a, b, model_equal_but(f->sub, x->value[i], y->value[k], skip));
	default:
		return false;
	}
}

static bool
members_equal(const struct field *f, const void *a, const void *b, unsigned skip)
{
	const void *x = field_at(f, a), *y = field_at(f, b);

	switch (f->type) {
	case F_STR:
		return text_equal(*(const char *const *)x, *(const char *const *)y);
	case F_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case F_INT:
	case F_DURATION:
	case F_TIME:
		return *(const int64_t *)x == *(const int64_t *)y;
	case F_FLOAT:
		return *(const double *)x == *(const double *)y;
	case F_OBJ:
		return model_equal_but(f->sub, *(void *const *)x, *(void *const *)y, skip);
	case F_ANY:
		return any_equal(*(const struct any *const *)x, *(const struct any *const *)y);
	default:
		return lists_equal(f, x, y, skip);
	}
}

bool
field_equal(const struct field *f, const void *a, const void *b)
{
	return members_equal(f, a, b, 0);
}

bool
model_equal_but(const struct model *m, const void *a, const void *b, unsigned skip)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (size_t i = 0; i < m->n; i++)
		if ((m->fields[i].flags & skip) == 0 && !members_equal(&m->fields[i], a, b, skip))
			return false;
	return true;
}

bool
model_equal(const struct model *m, const void *a, const void *b)
{
	return model_equal_but(m, a, b, 0);
}

/* --- copies --- */

static void
copy_strs(struct strs *to, const struct strs *from, struct arena *a)
{
	*to = (struct strs){ 0 };
	for (size_t i = 0; i < from->n; i++)
		strs_add(to, a, from->at[i]);
}

/* The arrays are made as the builders of lists.c make them, so that copies can grow. */
static void
copy_list(const struct field *f, void *to, const void *from, struct arena *a)
{
	switch (f->type) {
	case F_STRS:
		copy_strs(to, from, a);
		break;
	case F_INTS: {
		const struct ints *l = from;

		*(struct ints *)to = (struct ints){ 0 };
		for (size_t i = 0; i < l->n; i++)
			ints_add(to, a, l->at[i]);
		break;
	}
	case F_STRMAP: {
		const struct strmap *l = from;
		struct strmap *copy = to;

		*copy = (struct strmap){ 0 };
		for (size_t i = 0; i < l->n; i++)
			MAP_ADD(a, copy, l->key[i],
			    arena_strdup(a, l->value[i] == NULL ? "" : l->value[i]));
		break;
	}
	case F_STRSMAP: {
		const struct strsmap *l = from;

		*(struct strsmap *)to = (struct strsmap){ 0 };
		for (size_t i = 0; i < l->n; i++) {
			struct strs copied;

			copy_strs(&copied, &l->value[i], a);
			MAP_ADD(a, (struct strsmap *)to, l->key[i], copied);
		}
		break;
	}
	case F_INTMAP:
	case F_BOOLMAP: {
		const struct intmap *l = from;

		*(struct intmap *)to = (struct intmap){ 0 };
		for (size_t i = 0; i < l->n; i++)
			MAP_ADD(a, (struct intmap *)to, l->key[i], l->value[i]);
		break;
	}
	case F_FLOATMAP: {
		const struct floatmap *l = from;

		*(struct floatmap *)to = (struct floatmap){ 0 };
		for (size_t i = 0; i < l->n; i++)
			MAP_ADD(a, (struct floatmap *)to, l->key[i], l->value[i]);
		break;
	}
	case F_OBJS: {
		const struct objs *l = from;

		*(struct objs *)to = (struct objs){ 0 };
		for (size_t i = 0; i < l->n; i++)
			objs_add(to, a, model_copy(f->sub, l->at[i], a));
		break;
	}
	case F_OBJMAP: {
		const struct objmap *l = from;

		*(struct objmap *)to = (struct objmap){ 0 };
		for (size_t i = 0; i < l->n; i++)
			MAP_ADD(
			    a, (struct objmap *)to, l->key[i], model_copy(f->sub, l->value[i], a));
		break;
	}
	default:
		break;
	}
}

void *
model_copy(const struct model *m, const void *obj, struct arena *a)
{
	if (obj == NULL)
		return NULL;

	void *copy = arena_memdup(a, obj, m->size);

	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];
		void *to = field_at(f, copy);
		const void *from = field_at(f, obj);

		switch (f->type) {
		case F_STR: {
			const char *s = *(const char *const *)from;

			*(const char **)to = s == NULL ? "" : arena_strdup(a, s);
			break;
		}
		case F_OBJ:
			*(void **)to = model_copy(f->sub, *(void *const *)from, a);
			break;
		case F_ANY:
			*(const struct any **)to = any_copy(*(const struct any *const *)from, a);
			break;
		default:
			copy_list(f, to, from, a);
		}
	}
	return copy;
}
