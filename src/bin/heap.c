/*
 * heap.c: malloc for the small static programs (pot, pot-keeper), which have one thread, live for
 * milliseconds or hold next to nothing. The C library's gives every block of a page back to the
 * kernel at once: some eighty calls in one `pot start`, a tenth of its time.
 *
 * Blocks come in powers of two from one growing area; what is freed waits in a list of its size.
 * From LARGE on the kernel is asked for each block.
 */
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	SMALLEST = 5, /* 32 bytes, the head among them */
	LARGEST = 17, /* 128 kB; above: LARGE */
	LARGE = LARGEST + 1,
	FIRST = 16 * 1024,
	CHUNK = 256 * 1024,
};

struct head {
	size_t room;	 /* bytes after the head */
	unsigned class;	 /* its power of two, or LARGE */
	uint32_t before; /* LARGE: bytes in front of the head, for the alignment asked for */
};
_Static_assert(sizeof(struct head) == 16, "what follows the head stays aligned");

struct free_block {
	struct free_block *next;
};

static struct free_block *free_blocks[LARGEST + 1];
static alignas(16) char first[FIRST];
static char *at = first, *end = first + FIRST;

static struct head *
head_of(void *p)
{
	return (struct head *)p - 1;
}

static unsigned
class_of(size_t bytes)
{
	unsigned class = SMALLEST;

	while (((size_t)1 << class) < bytes)
		class ++;
	return class;
}

static void *
map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void *
take_large(size_t size, size_t align)
{
	size_t before = align > sizeof(struct head) ? align - sizeof(struct head) : 0;
	size_t total = before + sizeof(struct head) + size;
	char *p;

	if (total < size || (p = map(total)) == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	struct head *h = (struct head *)(void *)(p + before);
	*h = (struct head){ .room = size, .class = LARGE, .before = (uint32_t)before };
	return h + 1;
}

/* What is left of the area is too small for this block: it becomes free blocks. */
static void
use_up(void)
{
	for (unsigned class = LARGEST; class >= SMALLEST; class --)
		while ((size_t)(end - at) >= (size_t)1 << class) {
			struct head *h = (struct head *)(void *)at;
			struct free_block *b = (struct free_block *)(void *)(h + 1);
			*h = (struct head){ .room = ((size_t)1 << class) - sizeof(*h),
				.class = class };
			b->next = free_blocks[class];
			free_blocks[class] = b;
			at += (size_t)1 << class;
		}
}

static void *
take(unsigned class)
{
	struct free_block *b = free_blocks[class];
	size_t bytes = (size_t)1 << class;

	if (b != NULL) {
		free_blocks[class] = b->next;
		return b;
	}
	if ((size_t)(end - at) < bytes) {
		char *more = map(CHUNK);
		if (more == NULL) {
			errno = ENOMEM;
			return NULL;
		}
		use_up();
		at = more;
		end = more + CHUNK;
	}
	struct head *h = (struct head *)(void *)at;
	*h = (struct head){ .room = bytes - sizeof(*h), .class = class };
	at += bytes;
	return h + 1;
}

static void *
block(size_t size)
{
	if (size > ((size_t)1 << LARGEST) - sizeof(struct head))
		return take_large(size, 0);
	return take(class_of(size + sizeof(struct head)));
}

void *
malloc(size_t size)
{
	return block(size);
}

void
free(void *p)
{
	if (p == NULL)
		return;
	struct head *h = head_of(p);
	if (h->class == LARGE) {
		int sys = errno;
		(void)munmap((char *)h - h->before, h->before + sizeof(*h) + h->room);
		errno = sys;
		return;
	}
	struct free_block *b = p;
	b->next = free_blocks[h->class];
	free_blocks[h->class] = b;
}

void *
calloc(size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	void *p = block(n * size); /* malloc() and memset(): that is calloc() to a compiler */
	if (p != NULL && head_of(p)->class != LARGE) /* the kernel's are clear already */
		memset(p, 0, n * size);
	return p;
}

void *
realloc(void *old, size_t size)
{
	if (old == NULL)
		return malloc(size);
	size_t room = head_of(old)->room;
	if (size <= room && (size >= room / 4 || head_of(old)->class != LARGE))
		return old;
	void *p = malloc(size);
	if (p == NULL)
		return NULL;
	memcpy(p, old, room < size ? room : size);
	free(old);
	return p;
}

void *
aligned_alloc(size_t align, size_t size)
{
	if (align <= sizeof(struct head))
		return malloc(size);
	if (align > 4096 || (align & (align - 1)) != 0) {
		errno = EINVAL;
		return NULL;
	}
	return take_large(size, align);
}

int
posix_memalign(void **out, size_t align, size_t size)
{
	void *p = aligned_alloc(align, size);

	if (p == NULL)
		return errno;
	*out = p;
	return 0;
}
