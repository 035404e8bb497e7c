/*
 * json.h: writing JSON straight into a buffer, without a tree.
 *
 * The writer keeps the commas; the caller keeps the nesting right (a broken nesting is a mistake of
 * ours and ends in malformed output, never in a crash). Text is written as valid UTF-8: bytes that
 * are none become U+FFFD. Numbers that JSON cannot say (NaN, infinity) become null.
 *
 *	struct jsonw w = JSONW_INIT(&buf);
 *	jsonw_object(&w);
 *	jsonw_key(&w, "Name");
 *	jsonw_str(&w, name);
 *	jsonw_end_object(&w);
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonw {
	struct buf *out; /* borrowed */
	int indent;	 /* blanks per level; 0: all on one line */
	int depth;
	bool comma; /* something stands before us on this level */
	bool key;   /* a key was written, its value is due */
};

#define JSONW_INIT(buf)                                                                            \
	{                                                                                          \
		.out = (buf)                                                                       \
	}
#define JSONW_INDENT(buf, blanks)                                                                  \
	{                                                                                          \
		.out = (buf), .indent = (blanks)                                                   \
	}

void jsonw_object(struct jsonw *w);
void jsonw_end_object(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_end_array(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);

void jsonw_str(struct jsonw *w, const char *s); /* NULL writes null */
void jsonw_strn(struct jsonw *w, const char *s, size_t len);
void jsonw_int(struct jsonw *w, int64_t n);
void jsonw_uint(struct jsonw *w, uint64_t n);
void jsonw_double(struct jsonw *w, double d);
void jsonw_bool(struct jsonw *w, bool b);
void jsonw_null(struct jsonw *w);
void jsonw_time(struct jsonw *w, int64_t wall_ns);		  /* RFC 3339 in quotes */
void jsonw_base64(struct jsonw *w, const void *data, size_t len); /* standard alphabet, padded */
void jsonw_raw(struct jsonw *w, const char *json, size_t len);	  /* one value, copied as it is */
void jsonw_json(struct jsonw *w, const json_t *value);		  /* NULL writes null */

/* key and value in one line */
void jsonw_kstr(struct jsonw *w, const char *key, const char *s);
void jsonw_kint(struct jsonw *w, const char *key, int64_t n);
void jsonw_kuint(struct jsonw *w, const char *key, uint64_t n);
void jsonw_kdouble(struct jsonw *w, const char *key, double d);
void jsonw_kbool(struct jsonw *w, const char *key, bool b);
void jsonw_knull(struct jsonw *w, const char *key);

/* Parses one JSON text (anything JSON allows at the top), at most 512 levels deep. Errors say line
 * and column. The caller owns the result: json_decref(), or autojson. */
int json_read(const char *text, size_t len, json_t **out, struct err *e);
void own_json(json_t **value);
#define autojson CLEANUP(own_json)

/* The members of an object by kind, with a fallback for "absent or of another kind". */
const char *json_str(const json_t *object, const char *key, const char *fallback);
int64_t json_int(const json_t *object, const char *key, int64_t fallback); /* floats are cut */
bool json_bool(const json_t *object, const char *key, bool fallback);

#endif
