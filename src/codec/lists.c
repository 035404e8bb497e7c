/*
 * lists.c: the small lists and maps inside models.
 *
 * Capacities are powers of two, so the number of elements says when one is used up.
 */
#include "codec/lists.h"

#include "base/str.h"

#include <string.h>

static size_t
key_at(const char *const *keys, size_t n, const char *key)
{
	size_t i = 0;

	while (i < n && !str_eq(keys[i], key))
		i++;
	return i;
}

void
strs_add(struct strs *l, struct arena *a, const char *s)
{
	LIST_GROW(a, l->at, l->n);
	l->at[l->n++] = arena_strdup(a, s == NULL ? "" : s);
}

bool
strs_has(const struct strs *l, const char *s)
{
	return key_at(l->at, l->n, s) < l->n;
}

void
ints_add(struct ints *l, struct arena *a, int64_t n)
{
	LIST_GROW(a, l->at, l->n);
	l->at[l->n++] = n;
}

void
strmap_set(struct strmap *m, struct arena *a, const char *key, const char *value)
{
	size_t i = key_at(m->key, m->n, key);

	if (i == m->n) {
		MAP_PUSH(a, m, key);
	}
	m->value[i] = arena_strdup(a, value == NULL ? "" : value);
}

const char *
strmap_get(const struct strmap *m, const char *key)
{
	size_t i = key_at(m->key, m->n, key);

	return i < m->n ? m->value[i] : NULL;
}

struct strs *
strsmap_at(struct strsmap *m, struct arena *a, const char *key)
{
	size_t i = key_at(m->key, m->n, key);

	if (i == m->n) {
		MAP_PUSH(a, m, key);
		m->value[i] = (struct strs){ 0 };
	}
	return &m->value[i];
}

void
intmap_set(struct intmap *m, struct arena *a, const char *key, int64_t value)
{
	size_t i = key_at(m->key, m->n, key);

	if (i == m->n) {
		MAP_PUSH(a, m, key);
	}
	m->value[i] = value;
}

int64_t *
intmap_get(const struct intmap *m, const char *key)
{
	size_t i = key_at(m->key, m->n, key);

	return i < m->n ? &m->value[i] : NULL;
}

void
floatmap_set(struct floatmap *m, struct arena *a, const char *key, double value)
{
	size_t i = key_at(m->key, m->n, key);

	if (i == m->n) {
		MAP_PUSH(a, m, key);
	}
	m->value[i] = value;
}

void
objs_add(struct objs *l, struct arena *a, void *obj)
{
	LIST_GROW(a, l->at, l->n);
	l->at[l->n++] = obj;
}

void
objmap_set(struct objmap *m, struct arena *a, const char *key, void *obj)
{
	size_t i = key_at(m->key, m->n, key);

	if (i == m->n) {
		MAP_PUSH(a, m, key);
	}
	m->value[i] = obj;
}

void *
objmap_get(const struct objmap *m, const char *key)
{
	size_t i = key_at(m->key, m->n, key);

	return i < m->n ? m->value[i] : NULL;
}
