#include "codec/msgpack.h"

#include <string.h>

struct reader {
	const uint8_t *start, *at, *end;
	struct arena *mem;
	struct err *e;
};

static struct any *
bad(struct reader *r, const char *what)
{
	err_new(r->e, ERR_INPUT, "msgpack, byte %zu: %s", (size_t)(r->at - r->start), what);
	return NULL;
}

static bool
number(struct reader *r, unsigned bytes, uint64_t *out)
{
	if ((size_t)(r->end - r->at) < bytes) {
		bad(r, "it ends early");
		return false;
	}
	*out = 0;
	for (unsigned i = 0; i < bytes; i++)
		*out = *out << 8 | *r->at++;
	return true;
}

static struct any *value(struct reader *r, unsigned depth);

static struct any *
text(struct reader *r, uint64_t n)
{
	if ((uint64_t)(r->end - r->at) < n)
		return bad(r, "a text ends early");
	if (n > 0 && memchr(r->at, '\0', (size_t)n) != NULL)
		return bad(r, "a text holds a zero byte");
	struct any *v = any_strn(r->mem, (const char *)r->at, (size_t)n);
	r->at += n;
	return v;
}

static struct any *
array(struct reader *r, uint64_t n, unsigned depth)
{
	struct any *list = any_list(r->mem);

	for (uint64_t i = 0; i < n; i++) {
		struct any *v = value(r, depth);
		if (v == NULL)
			return NULL;
		any_append(r->mem, list, v);
	}
	return list;
}

/* any_put() looks for the key each time: enough for configurations, and so bounded. */
enum { KEYS_MAX = 4096 };

static struct any *
map(struct reader *r, uint64_t n, unsigned depth)
{
	struct any *m = any_map(r->mem);

	if (n > KEYS_MAX)
		return bad(r, "a map has too many keys");
	for (uint64_t i = 0; i < n; i++) {
		struct any *k = value(r, depth);
		if (k == NULL)
			return NULL;
		if (any_type(k) != ANY_STR)
			return bad(r, "a key is not a text");
		struct any *v = value(r, depth);
		if (v == NULL)
			return NULL;
		any_put(r->mem, m, any_text(k), v);
	}
	return m;
}

static struct any *
whole(struct reader *r, unsigned bytes, bool is_signed)
{
	uint64_t v;

	if (!number(r, bytes, &v))
		return NULL;
	if (is_signed) {
		unsigned spare = 64 - 8 * bytes;
		return any_int(r->mem, (int64_t)(v << spare) >> spare);
	}
	return v > INT64_MAX ? any_double(r->mem, (double)v) : any_int(r->mem, (int64_t)v);
}

static struct any *
real(struct reader *r, unsigned bytes)
{
	uint64_t bits;
	double d;
	float f;

	if (!number(r, bytes, &bits))
		return NULL;
	if (bytes == 8) {
		memcpy(&d, &bits, sizeof(d));
	} else {
		uint32_t half = (uint32_t)bits;
		memcpy(&f, &half, sizeof(f));
		d = (double)f;
	}
	if (d != d)
		return bad(r, "not a number");
	return any_double(r->mem, d);
}

enum shape { NONE, STR, ARRAY, MAP, UINT, INT, FLOAT };

/* The types from 0xc4 on: what they are and how many bytes their length or value has. */
static const struct {
	enum shape shape;
	unsigned bytes;
} typed[] = {
	[0xc4 - 0xc4] = { STR, 1 },
	[0xc5 - 0xc4] = { STR, 2 },
	[0xc6 - 0xc4] = { STR, 4 },
	[0xca - 0xc4] = { FLOAT, 4 },
	[0xcb - 0xc4] = { FLOAT, 8 },
	[0xcc - 0xc4] = { UINT, 1 },
	[0xcd - 0xc4] = { UINT, 2 },
	[0xce - 0xc4] = { UINT, 4 },
	[0xcf - 0xc4] = { UINT, 8 },
	[0xd0 - 0xc4] = { INT, 1 },
	[0xd1 - 0xc4] = { INT, 2 },
	[0xd2 - 0xc4] = { INT, 4 },
	[0xd3 - 0xc4] = { INT, 8 },
	[0xd9 - 0xc4] = { STR, 1 },
	[0xda - 0xc4] = { STR, 2 },
	[0xdb - 0xc4] = { STR, 4 },
	[0xdc - 0xc4] = { ARRAY, 2 },
	[0xdd - 0xc4] = { ARRAY, 4 },
	[0xde - 0xc4] = { MAP, 2 },
	[0xdf - 0xc4] = { MAP, 4 },
};

static struct any *
with_length(struct reader *r, uint8_t tag, unsigned depth)
{
	enum shape shape = typed[tag - 0xc4].shape;
	unsigned bytes = typed[tag - 0xc4].bytes;
	uint64_t n;

	switch (shape) {
	case UINT:
	case INT:
		return whole(r, bytes, shape == INT);
	case FLOAT:
		return real(r, bytes);
	case STR:
		return number(r, bytes, &n) ? text(r, n) : NULL;
	case ARRAY:
		return number(r, bytes, &n) ? array(r, n, depth) : NULL;
	case MAP:
		return number(r, bytes, &n) ? map(r, n, depth) : NULL;
	case NONE:
		break;
	}
	return bad(r, "a type that no configuration holds");
}

static struct any *
value(struct reader *r, unsigned depth)
{
	uint64_t tag;

	if (depth == MSGPACK_DEPTH)
		return bad(r, "nested too deep");
	if (!number(r, 1, &tag))
		return NULL;
	if (tag < 0x80)
		return any_int(r->mem, (int64_t)tag);
	if (tag < 0x90)
		return map(r, tag & 0x0f, depth + 1);
	if (tag < 0xa0)
		return array(r, tag & 0x0f, depth + 1);
	if (tag < 0xc0)
		return text(r, tag & 0x1f);
	if (tag >= 0xe0)
		return any_int(r->mem, (int64_t)tag - 0x100);
	if (tag == 0xc0)
		return any_null(r->mem);
	if (tag == 0xc2 || tag == 0xc3)
		return any_bool(r->mem, tag == 0xc3);
	if (tag == 0xc1)
		return bad(r, "a type that does not exist");
	return with_length(r, (uint8_t)tag, depth + 1);
}

struct any *
msgpack_read(const void *data, size_t len, struct arena *a, struct err *e)
{
	struct reader r = { .start = data, .at = data, .mem = a, .e = e };

	if (len == 0)
		return any_null(a);
	r.end = r.start + len;
	struct any *v = value(&r, 0);
	if (v != NULL && r.at != r.end)
		return bad(&r, "something follows the value");
	return v;
}

/* ---- writing ---- */

static void
put(struct buf *out, uint8_t tag, uint64_t v, unsigned bytes)
{
	buf_addc(out, (char)tag);
	while (bytes > 0)
		buf_addc(out, (char)(v >> 8 * --bytes));
}

static void
put_count(struct buf *out, uint8_t small, uint32_t small_max, uint8_t tag16, uint32_t n)
{
	if (n <= small_max)
		buf_addc(out, (char)(small | n));
	else if (n <= UINT16_MAX)
		put(out, tag16, n, 2);
	else
		put(out, (uint8_t)(tag16 + 1), n, 4);
}

void
msgpack_map(struct buf *out, uint32_t n)
{
	put_count(out, 0x80, 15, 0xde, n);
}

void
msgpack_array(struct buf *out, uint32_t n)
{
	put_count(out, 0x90, 15, 0xdc, n);
}

void
msgpack_str(struct buf *out, const char *s)
{
	size_t n = strlen(s);

	if (n > 31 && n <= UINT8_MAX)
		put(out, 0xd9, n, 1);
	else
		put_count(out, 0xa0, 31, 0xda, (uint32_t)n);
	buf_add(out, s, n);
}

void
msgpack_int(struct buf *out, int64_t v)
{
	if (v >= -32 && v <= 127)
		buf_addc(out, (char)v);
	else if (v >= INT16_MIN && v <= INT16_MAX)
		put(out, 0xd1, (uint64_t)v, 2);
	else if (v >= INT32_MIN && v <= INT32_MAX)
		put(out, 0xd2, (uint64_t)v, 4);
	else
		put(out, 0xd3, (uint64_t)v, 8);
}

void
msgpack_bool(struct buf *out, bool v)
{
	buf_addc(out, (char)(v ? 0xc3 : 0xc2));
}

void
msgpack_nil(struct buf *out)
{
	buf_addc(out, (char)0xc0);
}
