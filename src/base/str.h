/*
 * str.h: small helpers on text.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_eq(const char *a, const char *b); /* NULL equals NULL and only that */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Decimal digits only, no sign, blanks or trailing text; false also when above max. */
bool str_u64(const char *s, uint64_t max, uint64_t *out);
/* Copies with cut to size, always terminated; false when it was cut. */
bool str_copy(char *out, size_t size, const char *s);
/* Splits at each `sep`, empty fields kept; the array and its strings live in the arena, ended by
 * NULL. */
char **str_split(struct arena *a, const char *s, char sep, size_t *n);
/* The candidate nearest to `word` by edit distance, at most 2 away (3 for long words), or NULL. */
const char *str_nearest(const char *word, const char *const *candidates, size_t n);

#endif
