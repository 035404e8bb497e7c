/* heap.c: the small programs' malloc, here under names of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define malloc	       heap_malloc
#define free	       heap_free
#define calloc	       heap_calloc
#define realloc	       heap_realloc
#define aligned_alloc  heap_aligned_alloc
#define posix_memalign heap_posix_memalign
void *heap_malloc(size_t);
void heap_free(void *);
void *heap_calloc(size_t, size_t);
void *heap_realloc(void *, size_t);
void *heap_aligned_alloc(size_t, size_t);
int heap_posix_memalign(void **, size_t, size_t);
#include "../../../src/bin/heap.c"

enum { BLOCKS = 300, ROUNDS = 20000 };

struct live {
	unsigned char *at;
	size_t size;
	unsigned char mark;
};

static uint32_t
next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static bool
whole(const struct live *l)
{
	for (size_t i = 0; i < l->size; i++)
		if (l->at[i] != l->mark)
			return false;
	return true;
}

/* Small ones mostly, now and then one of any class and above. */
static size_t
some_size(uint32_t *state)
{
	return next(state) % 16 == 0 ? next(state) % 400000 : next(state) % 3000;
}

static void
no_block_reaches_into_another(void **state)
{
	static struct live live[BLOCKS];
	uint32_t chance = 1;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct live *l = &live[next(&chance) % BLOCKS];
		size_t size = some_size(&chance), kept = l->size < size ? l->size : size;
		if (l->at != NULL)
			assert_true(whole(l));
		if (l->at != NULL && next(&chance) % 2 == 0) {
			heap_free(l->at);
			*l = (struct live){ NULL, 0, 0 };
			continue;
		}
		l->at = heap_realloc(l->at, size);
		assert_non_null(l->at);
		assert_int_equal((uintptr_t)l->at % 16, 0);
		struct live before = { l->at, kept, l->mark };
		assert_true(whole(&before));
		l->size = size;
		l->mark = (unsigned char)(i | 1);
		memset(l->at, l->mark, size);
	}
	for (int i = 0; i < BLOCKS; i++) {
		assert_true(live[i].at == NULL || whole(&live[i]));
		heap_free(live[i].at);
	}
}

static void
used_ones_come_back_clear_from_calloc(void **state)
{
	(void)state;
	for (size_t size = 1; size < 300000; size = size * 3 + 1) {
		unsigned char *p = heap_malloc(size);
		memset(p, 0xff, size);
		heap_free(p);
		unsigned char *q = heap_calloc(1, size);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(q[i], 0);
		heap_free(q);
	}
}

static void
what_does_not_fit_is_refused(void **state)
{
	volatile size_t most = SIZE_MAX;

	(void)state;
	errno = 0;
	assert_null(heap_calloc(most / 2, 3));
	assert_int_equal(errno, ENOMEM);
	assert_null(heap_malloc(most - 8));
	assert_int_equal(errno, ENOMEM);
	assert_null(heap_aligned_alloc(24, 8));
	assert_int_equal(errno, EINVAL);
}

static void
alignment_is_as_asked(void **state)
{
	(void)state;
	for (size_t align = 8; align <= 4096; align *= 2) {
		void *p = heap_aligned_alloc(align, 100), *q = NULL;
		assert_int_equal((uintptr_t)p % align, 0);
		memset(p, 1, 100);
		assert_int_equal(heap_posix_memalign(&q, align, 10), 0);
		assert_int_equal((uintptr_t)q % align, 0);
		heap_free(p);
		heap_free(q);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_block_reaches_into_another),
		cmocka_unit_test(used_ones_come_back_clear_from_calloc),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(alignment_is_as_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
