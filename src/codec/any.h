/*
 * any.h: a value of any shape, living in an arena.
 *
 * What a job file's `config` block holds, and what the expressions of a job file compute. Values
 * are never changed once they are shared; they die with their arena. NULL is the same as null.
 */
#ifndef CODEC_ANY_H
#define CODEC_ANY_H

#include "base/arena.h"
#include "codec/json.h"

enum any_type { ANY_NULL, ANY_BOOL, ANY_INT, ANY_DOUBLE, ANY_STR, ANY_LIST, ANY_MAP };

struct any {
	enum any_type type;
	size_t n; /* bytes of text, elements of a list or map */
	union {
		bool b;
		int64_t i;
		double d;
		const char *s; /* NUL-terminated, and no other NUL inside */
		struct any **list;
		struct {
			const char **key; /* unique; in the order in which they were given */
			struct any **value;
		} map;
	};
};

struct any *any_null(struct arena *a);
struct any *any_bool(struct arena *a, bool b);
struct any *any_int(struct arena *a, int64_t i);
struct any *any_double(struct arena *a, double d);   /* whole numbers below 2^53 become ANY_INT */
struct any *any_str(struct arena *a, const char *s); /* copies */
struct any *any_strn(struct arena *a, const char *s, size_t n); /* cut at a NUL */
struct any *any_list(struct arena *a);
struct any *any_map(struct arena *a);
/* Building: only while nobody else holds the list or map. */
void any_append(struct arena *a, struct any *list, struct any *value);
void any_put(struct arena *a, struct any *map, const char *key, struct any *value); /* replaces */

enum any_type any_type(const struct any *v); /* NULL: ANY_NULL */
const char *any_type_name(
    const struct any *v); /* "string", "number", "bool", "list", "map", "null" */
struct any *any_get(const struct any *map, const char *key); /* NULL: absent, or not a map */
struct any *any_at(const struct any *list, size_t i);	     /* NULL: outside, or not a list */
const char *any_text(const struct any *v); /* the string; NULL when it is not one */
bool any_number(const struct any *v, double *out);
bool any_empty(const struct any *v); /* null, false, 0, "", and what holds nothing but such */
bool any_equal(const struct any *a, const struct any *b); /* maps without regard to order */
struct any *any_copy(const struct any *v, struct arena *a);
/* A scalar as text ("true", "8080"; numbers as short as possible); NULL for lists, maps and null.
 */
const char *any_scalar_text(const struct any *v, struct arena *a);

struct any *any_from_json(const json_t *v, struct arena *a); /* depth is bounded by json_read() */
void any_to_json(const struct any *v, struct jsonw *w);

#endif
