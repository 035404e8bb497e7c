/*
 * vec.h: a typed growing array, by macros.
 *
 *	VEC(int) v = VEC_INIT;      VEC_PUSH(&v, 3);      v.at[0]      v.n      VEC_FINI(&v);
 *	VEC_FOREACH (int *, p, &v) …
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/own.h"

#include <stdlib.h>
#include <string.h>

#define VEC(type)                                                                                  \
	struct {                                                                                   \
		type *at;                                                                          \
		size_t n, cap;                                                                     \
	}
#define VEC_INIT                                                                                   \
	{                                                                                          \
		.at = NULL, .n = 0, .cap = 0                                                       \
	}
#define VEC_GROW(v)                                                                                \
	((v)->n < (v)->cap ? (void)0                                                               \
			   : (void)((v)->cap = (v)->cap ? (v)->cap * 2 : 8,                        \
				 (v)->at = xrealloc((v)->at, (v)->cap * sizeof(*(v)->at))))
#define VEC_PUSH(v, value) (VEC_GROW(v), (v)->at[(v)->n++] = (value))
/* Adds a zeroed element and gives its address. */
#define VEC_ADD(v) (VEC_GROW(v), memset(&(v)->at[(v)->n], 0, sizeof(*(v)->at)), &(v)->at[(v)->n++])
#define VEC_REMOVE(v, i)                                                                           \
	(memmove(&(v)->at[i], &(v)->at[(i) + 1], ((v)->n - (i)-1) * sizeof(*(v)->at)), (v)->n--)
#define VEC_FINI(v)                                                                                \
	do {                                                                                       \
		free((v)->at);                                                                     \
		(v)->at = NULL;                                                                    \
		(v)->n = (v)->cap = 0;                                                             \
	} while (0)
#define VEC_FOREACH(type, p, v) for (type p = (v)->at; p != NULL && p < (v)->at + (v)->n; p++)

#endif
