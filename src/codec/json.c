/*
 * json.c: the streaming writer, and reading with our limits.
 */
#include "codec/json.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
line_break(struct jsonw *w)
{
	if (w->indent == 0)
		return;
	buf_addc(w->out, '\n');
	for (int i = 0; i < w->depth * w->indent; i++)
		buf_addc(w->out, ' ');
}

/* What stands before a value or a key: the comma, the line break. */
static void
before(struct jsonw *w)
{
	if (w->key) {
		w->key = false;
		w->comma = true;
		return;
	}
	if (w->comma)
		buf_addc(w->out, ',');
	if (w->depth > 0)
		line_break(w);
	w->comma = true;
}

static void
open_level(struct jsonw *w, char c)
{
	before(w);
	buf_addc(w->out, c);
	w->depth++;
	w->comma = false;
}

static void
close_level(struct jsonw *w, char c)
{
	w->depth--;
	if (w->comma)
		line_break(w);
	buf_addc(w->out, c);
	w->comma = true;
}

void
jsonw_object(struct jsonw *w)
{
	open_level(w, '{');
}

void
jsonw_end_object(struct jsonw *w)
{
	close_level(w, '}');
}

void
jsonw_array(struct jsonw *w)
{
	open_level(w, '[');
}

void
jsonw_end_array(struct jsonw *w)
{
	close_level(w, ']');
}

/* Length of the UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates), 0 if it is none.
 */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80	 ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void
add_control(struct buf *out, unsigned char c)
{
	switch (c) {
	case '\n':
		buf_add(out, "\\n", 2);
		break;
	case '\r':
		buf_add(out, "\\r", 2);
		break;
	case '\t':
		buf_add(out, "\\t", 2);
		break;
	default:
		buf_addf(out, "\\u%04x", c);
	}
}

static void
add_quoted(struct buf *out, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t plain = 0; /* start of the run that is copied as it is */

	buf_addc(out, '"');
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len(s + i, len - i);
		bool special = s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f;

		if (n > 0 && !special) {
			i += n;
			continue;
		}
		buf_add(out, text + plain, i - plain);
		if (n == 0)
			buf_add(out, "\xef\xbf\xbd", 3);
		else if (s[i] == '"' || s[i] == '\\') {
			buf_addc(out, '\\');
			buf_addc(out, text[i]);
		} else
			add_control(out, s[i]);
		plain = ++i;
	}
	buf_add(out, text + plain, len - plain);
	buf_addc(out, '"');
}

void
jsonw_key(struct jsonw *w, const char *key)
{
	before(w);
	add_quoted(w->out, key, strlen(key));
	buf_addc(w->out, ':');
	if (w->indent > 0)
		buf_addc(w->out, ' ');
	w->key = true;
}

void
jsonw_strn(struct jsonw *w, const char *s, size_t len)
{
	before(w);
	add_quoted(w->out, len > 0 ? s : "", len);
}

void
jsonw_str(struct jsonw *w, const char *s)
{
	if (s == NULL)
		jsonw_null(w);
	else
		jsonw_strn(w, s, strlen(s));
}

void
jsonw_int(struct jsonw *w, int64_t n)
{
	before(w);
	buf_addf(w->out, "%lld", (long long)n);
}

void
jsonw_uint(struct jsonw *w, uint64_t n)
{
	before(w);
	buf_addf(w->out, "%llu", (unsigned long long)n);
}

void
jsonw_double(struct jsonw *w, double d)
{
	char text[40];

	if (!__builtin_isfinite(d)) { /* FreeBSD's needs the library for mathematics */
		jsonw_null(w);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
		(void)snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	before(w);
	buf_adds(w->out, text);
}

void
jsonw_bool(struct jsonw *w, bool b)
{
	before(w);
	buf_adds(w->out, b ? "true" : "false");
}

void
jsonw_null(struct jsonw *w)
{
	before(w);
	buf_adds(w->out, "null");
}

void
jsonw_time(struct jsonw *w, int64_t wall_ns)
{
	char text[CLOCK_TEXT];

	jsonw_str(w, clock_rfc3339(wall_ns, text));
}

void
jsonw_base64(struct jsonw *w, const void *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = data;

	before(w);
	buf_addc(w->out, '"');
	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)p[i] << 16 | (have > 1 ? (unsigned)p[i + 1] << 8 : 0) |
			     (have > 2 ? p[i + 2] : 0);
		char four[4] = { digits[v >> 18], digits[v >> 12 & 63],
			have > 1 ? digits[v >> 6 & 63] : '=', have > 2 ? digits[v & 63] : '=' };

		buf_add(w->out, four, sizeof(four));
	}
	buf_addc(w->out, '"');
}

void
jsonw_raw(struct jsonw *w, const char *json, size_t len)
{
	before(w);
	buf_add(w->out, json, len);
}

void
jsonw_json(struct jsonw *w, const json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	switch (value == NULL ? JSON_NULL : json_typeof(value)) {
	case JSON_OBJECT:
		jsonw_object(w);
		json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
			jsonw_key(w, key);
			jsonw_json(w, member);
		}
		jsonw_end_object(w);
		break;
	case JSON_ARRAY:
		jsonw_array(w);
		json_array_foreach (value, i, member)
			jsonw_json(w, member);
		jsonw_end_array(w);
		break;
	case JSON_STRING:
		jsonw_strn(w, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		jsonw_int(w, json_integer_value(value));
		break;
	case JSON_REAL:
		jsonw_double(w, json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		jsonw_bool(w, json_is_true(value));
		break;
	case JSON_NULL:
		jsonw_null(w);
		break;
	}
}

void
jsonw_kstr(struct jsonw *w, const char *key, const char *s)
{
	jsonw_key(w, key);
	jsonw_str(w, s);
}

void
jsonw_kint(struct jsonw *w, const char *key, int64_t n)
{
	jsonw_key(w, key);
	jsonw_int(w, n);
}

void
jsonw_kuint(struct jsonw *w, const char *key, uint64_t n)
{
	jsonw_key(w, key);
	jsonw_uint(w, n);
}

void
jsonw_kdouble(struct jsonw *w, const char *key, double d)
{
	jsonw_key(w, key);
	jsonw_double(w, d);
}

void
jsonw_kbool(struct jsonw *w, const char *key, bool b)
{
	jsonw_key(w, key);
	jsonw_bool(w, b);
}

void
jsonw_knull(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_null(w);
}

int
json_read(const char *text, size_t len, json_t **out, struct err *e)
{
	json_error_t at;
	json_t *value = json_loadb(len > 0 ? text : "", len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);

	if (value == NULL)
		return err_new(
		    e, ERR_INPUT, "JSON line %d, column %d: %s", at.line, at.column, at.text);
	*out = value;
	return 0;
}

void
own_json(json_t **value)
{
	json_decref(*value);
}

const char *
json_str(const json_t *object, const char *key, const char *fallback)
{
	const json_t *v = json_object_get(object, key);

	return json_is_string(v) ? json_string_value(v) : fallback;
}

int64_t
json_int(const json_t *object, const char *key, int64_t fallback)
{
	const json_t *v = json_object_get(object, key);

	if (json_is_integer(v))
		return json_integer_value(v);
	if (json_is_real(v) && fabs(json_real_value(v)) < 9.2e18)
		return (int64_t)json_real_value(v);
	return fallback;
}

bool
json_bool(const json_t *object, const char *key, bool fallback)
{
	const json_t *v = json_object_get(object, key);

	return json_is_boolean(v) ? json_is_true(v) : fallback;
}
