/*
 * arena.h: memory of things that die together (one job file, one request, one plan).
 *
 * Nothing inside is freed by itself. Memory is zeroed.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/own.h"

#include <stdarg.h>

struct arena_block;
struct arena {
	struct arena_block *head;
	size_t total; /* bytes obtained from the system */
};

#define ARENA_INIT                                                                                 \
	{                                                                                          \
		.head = NULL, .total = 0                                                           \
	}

void arena_fini(struct arena *a);
#define autoarena CLEANUP(arena_fini)

void *arena_alloc(struct arena *a, size_t size); /* aligned for any type, zeroed */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTFLIKE(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap);
void *arena_memdup(struct arena *a, const void *p, size_t size);

/* Room for one more behind the n elements of an array that only this function grew: capacities are
 * powers of two, so n says when one is used up. The result replaces `old`. */
void *arena_grown(struct arena *a, void *old, size_t n, size_t size);

#define arena_new(a, type)	((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, n, type) ((type *)arena_alloc((a), (n) * sizeof(type)))

#endif
