/*
 * own.h: ownership that is visible in the line which acquires.
 *
 * A variable declared with one of the auto* attributes is released when it goes out of scope.
 * take() moves the value out and leaves NULL (or -1 for descriptors: take_fd()), so the cleanup
 * then has nothing to do.
 */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stddef.h>

#define CLEANUP(fn)	      __attribute__((cleanup(fn)))
#define PRINTFLIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NODISCARD	      __attribute__((warn_unused_result))
#define NORETURN	      __attribute__((noreturn))
#define NELEM(a)	      (sizeof(a) / sizeof((a)[0]))

/* The struct of type `type` that holds `ptr` as its member `member`. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

void own_free(void *pointer_to_pointer);
void own_close(int *fd);

#define autofree CLEANUP(own_free)
#define autofd	 CLEANUP(own_close)

void *own_take(void *pointer_to_pointer);
int own_take_fd(int *fd);

/* take(&p): p's value; p becomes NULL. */
#define take(pp)    ((__typeof__(*(pp)))own_take(pp))
#define take_fd(pf) own_take_fd(pf)

/* Allocation that ends the process when memory is out: for the programs that restart from their
 * records. The keeper and the runner use plain malloc and report. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTFLIKE(1, 2);

#endif
