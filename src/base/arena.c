#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_FIRST = 1024, BLOCK_MAX = 64 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char data[];
};

void
arena_fini(struct arena *a)
{
	struct arena_block *b = a->head;

	while (b != NULL) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
	*a = (struct arena)ARENA_INIT;
}

static struct arena_block *
block_new(struct arena *a, size_t least)
{
	/* A quarter more each time: thousands of rows live in arenas of a few kB each. */
	size_t size = a->total / 4;

	if (size < BLOCK_FIRST)
		size = BLOCK_FIRST;
	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < least)
		size = least;
	struct arena_block *b = xmalloc(sizeof(*b) + size);
	b->next = a->head;
	b->used = 0;
	b->size = size;
	a->head = b;
	a->total += sizeof(*b) + size;
	return b;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	size_t room = (size + align - 1) & ~(align - 1);
	struct arena_block *b = a->head;

	if (b == NULL || b->size - b->used < room)
		b = block_new(a, room);
	void *p = b->data + b->used;
	b->used += room;
	memset(p, 0, room);
	return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = arena_alloc(a, len + 1);

	memcpy(p, s, len);
	return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *p = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
	if (n > 0)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

void *
arena_memdup(struct arena *a, const void *p, size_t size)
{
	void *q = arena_alloc(a, size);

	if (size > 0)
		memcpy(q, p, size);
	return q;
}

void *
arena_grown(struct arena *a, void *old, size_t n, size_t size)
{
	void *at = old;

	if ((n & (n - 1)) == 0) {
		at = arena_alloc(a, (n == 0 ? 1 : 2 * n) * size);
		if (n > 0)
			memcpy(at, old, n * size);
	}
	return at;
}
