/*
 * map.h: a hash table from strings to pointers, with stable order of insertion left undefined.
 *
 * Keys are copied and owned; values belong to the caller. Iteration may not run while the map
 * changes, except that map_del() of the current key is allowed.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map_entry {
	char *key; /* NULL: free slot; MAP_GONE: deleted */
	void *value;
	unsigned hash;
};

struct map {
	struct map_entry *at;
	size_t cap;  /* power of two, or 0 */
	size_t n;    /* live entries */
	size_t used; /* live and deleted */
};

#define MAP_INIT                                                                                   \
	{                                                                                          \
		.at = NULL, .cap = 0, .n = 0, .used = 0                                            \
	}

void map_fini(struct map *m);
void *map_get(const struct map *m, const char *key); /* NULL: absent */
bool map_has(const struct map *m, const char *key);
void *map_set(struct map *m, const char *key, void *value); /* the value that was there, or NULL */
void *map_del(struct map *m, const char *key);		    /* the value that was there, or NULL */

/* size_t i = 0; const char *k; void *v; while (map_next(m, &i, &k, &v)) … ; k and v may be NULL */
bool map_next(const struct map *m, size_t *i, const char **key, void **value);

#endif
