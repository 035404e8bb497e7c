#include "base/map.h"

#include "base/own.h"

#include <stdlib.h>
#include <string.h>

static char gone_mark;
#define MAP_GONE (&gone_mark)

/* FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static unsigned
hash_of(const char *key)
{
	unsigned h = 2166136261u;

	for (const unsigned char *p = (const unsigned char *)key; *p != '\0'; p++)
		h = (h ^ *p) * 16777619u;
	return h;
}

static bool
live(const struct map_entry *entry)
{
	return entry->key != NULL && entry->key != MAP_GONE;
}

static struct map_entry *
find(const struct map *m, const char *key, unsigned hash)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_entry *entry = &m->at[i];
		if (entry->key == NULL)
			return NULL;
		if (live(entry) && entry->hash == hash && strcmp(entry->key, key) == 0)
			return entry;
	}
}

static void
insert(struct map_entry *at, size_t cap, char *key, void *value, unsigned hash)
{
	size_t i = hash & (cap - 1);

	while (at[i].key != NULL)
		i = (i + 1) & (cap - 1);
	at[i] = (struct map_entry){ .key = key, .value = value, .hash = hash };
}

static void
grow(struct map *m)
{
	if (m->cap != 0 && (m->used + 1) * 4 <= m->cap * 3)
		return;
	size_t cap = m->cap == 0 ? 16 : (m->n + 1) * 2 > m->cap ? m->cap * 2 : m->cap;
	struct map_entry *at = xcalloc(cap, sizeof(*at));
	for (size_t i = 0; i < m->cap; i++)
		if (live(&m->at[i]))
			insert(at, cap, m->at[i].key, m->at[i].value, m->at[i].hash);
	free(m->at);
	m->at = at;
	m->cap = cap;
	m->used = m->n;
}

void
map_fini(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		if (live(&m->at[i]))
			free(m->at[i].key);
	free(m->at);
	*m = (struct map)MAP_INIT;
}

void *
map_get(const struct map *m, const char *key)
{
	struct map_entry *entry = find(m, key, hash_of(key));

	return entry != NULL ? entry->value : NULL;
}

bool
map_has(const struct map *m, const char *key)
{
	return find(m, key, hash_of(key)) != NULL;
}

void *
map_set(struct map *m, const char *key, void *value)
{
	unsigned hash = hash_of(key);
	struct map_entry *entry = find(m, key, hash);

	if (entry != NULL) {
		void *old = entry->value;
		entry->value = value;
		return old;
	}
	grow(m);
	insert(m->at, m->cap, xstrdup(key), value, hash);
	m->n++;
	m->used++;
	return NULL;
}

void *
map_del(struct map *m, const char *key)
{
	struct map_entry *entry = find(m, key, hash_of(key));

	if (entry == NULL)
		return NULL;
	void *old = entry->value;
	free(entry->key);
	entry->key = MAP_GONE;
	entry->value = NULL;
	m->n--;
	return old;
}

bool
map_next(const struct map *m, size_t *i, const char **key, void **value)
{
	for (; *i < m->cap; (*i)++) {
		struct map_entry *entry = &m->at[*i];
		if (!live(entry))
			continue;
		if (key != NULL)
			*key = entry->key;
		if (value != NULL)
			*value = entry->value;
		(*i)++;
		return true;
	}
	return false;
}
