/*
 * lists.h: growing the lists and maps of model.h. The folder's own.
 */
#ifndef CODEC_LISTS_H
#define CODEC_LISTS_H

#include "codec/model.h"

#define LIST_GROW(a, array, n) ((array) = arena_grown((a), (array), (n), sizeof(*(array))))

/* Adds a key that the caller knows to be new; its value is the last one. */
#define MAP_PUSH(a, m, k)                                                                          \
	(LIST_GROW(a, (m)->key, (m)->n), LIST_GROW(a, (m)->value, (m)->n),                         \
	    (m)->key[(m)->n++] = arena_strdup((a), (k)))
#define MAP_ADD(a, m, k, v) (MAP_PUSH(a, m, k), (m)->value[(m)->n - 1] = (v))

#endif
