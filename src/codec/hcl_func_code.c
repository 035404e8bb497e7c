/*
 * hcl_func_code.c: functions that encode, decode and digest.
 */
#include "codec/digest.h"
#include "codec/hcl_ast.h"

#include "base/ids.h"

#include <ctype.h>
#include <string.h>

static const char *
text_arg(struct hcl_call *c, size_t i)
{
	struct any *s = hcl_to_string(c->mem, c->args[i]);

	if (s == NULL) {
		hcl_fault(c, "argument %zu must be a string", i + 1);
		return NULL;
	}
	return s->s;
}

/* --- base64, URLs --- */

static struct any *
fn_base64encode(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	if (s == NULL)
		return NULL;
	jsonw_base64(&w, s, strlen(s));
	return any_strn(c->mem, out.data + 1, out.len - 2); /* without the quotes */
}

static struct any *
fn_base64decode(struct hcl_call *c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *s = text_arg(c, 0), *at;
	autobuf struct buf out = BUF_INIT;
	unsigned bits = 0;
	size_t n = 0;

	if (s == NULL)
		return NULL;
	for (; *s != '\0' && *s != '='; s++, n++) {
		if ((at = strchr(digits, *s)) == NULL)
			return hcl_fault(c, "this is no base64 text");
		bits = bits << 6 | (unsigned)(at - digits);
		if (n % 4 != 0)
			buf_addc(&out, (char)(bits >> (6 - 2 * (n % 4))));
	}
	if (n % 4 == 1 || strspn(s, "=") != strlen(s) || (n + strlen(s)) % 4 != 0)
		return hcl_fault(c, "this is no base64 text");
	if (memchr(buf_str(&out), '\0', out.len) != NULL)
		return hcl_fault(c, "the decoded bytes are no text");
	return any_strn(c->mem, buf_str(&out), out.len);
}

static struct any *
fn_urlencode(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);
	autobuf struct buf out = BUF_INIT;

	if (s == NULL)
		return NULL;
	for (; *s != '\0'; s++)
		if (isalnum((unsigned char)*s) || strchr("-_.~", *s) != NULL)
			buf_addc(&out, *s);
		else if (*s == ' ')
			buf_addc(&out, '+');
		else
			buf_addf(&out, "%%%02X", (unsigned char)*s);
	return any_strn(c->mem, buf_str(&out), out.len);
}

/* --- JSON, CSV --- */

static int
by_key(const struct any *map, size_t a, size_t b)
{
	return strcmp(map->map.key[a], map->map.key[b]);
}

/* As Go writes it: keys in order, at every level. */
static struct any *
ordered(struct arena *a, struct any *v)
{
	struct any *out;
	size_t *order;

	if (any_type(v) == ANY_LIST) {
		out = any_list(a);
		for (size_t i = 0; i < v->n; i++)
			any_append(a, out, ordered(a, v->list[i]));
		return out;
	}
	if (any_type(v) != ANY_MAP)
		return v;
	order = arena_array(a, v->n + 1, size_t);
	for (size_t i = 0; i < v->n; i++) {
		size_t k = i;

		for (; k > 0 && by_key(v, order[k - 1], i) > 0; k--)
			order[k] = order[k - 1];
		order[k] = i;
	}
	out = any_map(a);
	for (size_t i = 0; i < v->n; i++)
		any_put(a, out, v->map.key[order[i]], ordered(a, v->map.value[order[i]]));
	return out;
}

static struct any *
fn_jsonencode(struct hcl_call *c)
{
	autobuf struct buf out = BUF_INIT;
	struct jsonw w = JSONW_INIT(&out);

	any_to_json(ordered(c->mem, c->args[0]), &w);
	return any_strn(c->mem, out.data, out.len);
}

static struct any *
fn_jsondecode(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);
	autojson json_t *v = NULL;
	struct err e = ERR_INIT;

	if (s == NULL)
		return NULL;
	if (json_read(s, strlen(s), &v, &e) < 0)
		return hcl_fault(c, "%.200s", e.text);
	return any_from_json(v, c->mem);
}

/* One cell; *s moves behind it. false: a quote is not closed. */
static bool
csv_cell(const char **s, struct buf *out)
{
	const char *p = *s;

	if (*p != '"') {
		while (*p != '\0' && *p != ',' && *p != '\n' && *p != '\r')
			buf_addc(out, *p++);
		*s = p;
		return true;
	}
	for (p++; *p != '\0'; p++) {
		if (*p == '"' && p[1] != '"') {
			*s = p + 1;
			return true;
		}
		if (*p == '"')
			p++;
		buf_addc(out, *p);
	}
	return false;
}

static struct any *
csv_row(struct hcl_call *c, const char **s)
{
	struct any *row = any_list(c->mem);

	for (;;) {
		autobuf struct buf cell = BUF_INIT;

		if (!csv_cell(s, &cell))
			return hcl_fault(c, "a quoted cell does not end");
		any_append(c->mem, row, any_strn(c->mem, buf_str(&cell), cell.len));
		if (**s == ',') {
			(*s)++;
			continue;
		}
		if (**s == '\r')
			(*s)++;
		if (**s != '\0' && **s != '\n')
			return hcl_fault(c, "extra characters behind a quoted cell");
		if (**s == '\n')
			(*s)++;
		return row;
	}
}

static struct any *
fn_csvdecode(struct hcl_call *c)
{
	struct any *out = any_list(c->mem), *head = NULL, *row, *map;
	const char *s = text_arg(c, 0);

	if (s == NULL)
		return NULL;
	while (*s != '\0') {
		if (*s == '\n' || (*s == '\r' && s[1] == '\n')) {
			s++;
			continue;
		}
		if ((row = csv_row(c, &s)) == NULL)
			return NULL;
		if (head == NULL) {
			head = row;
			if (head->n > 1000)
				return hcl_fault(c, "more than 1000 columns");
			continue;
		}
		if (row->n != head->n)
			return hcl_fault(c, "row %zu has %zu cells, the header has %zu", out->n + 2,
			    row->n, head->n);
		map = any_map(c->mem);
		for (size_t i = 0; i < row->n; i++)
			any_put(c->mem, map, head->list[i]->s, row->list[i]);
		any_append(c->mem, out, map);
	}
	return head != NULL ? out : hcl_fault(c, "missing header line");
}

/* --- digests --- */

static struct any *
hex(struct hcl_call *c, size_t (*digest)(const void *, size_t, uint8_t *))
{
	const char *s = text_arg(c, 0);
	autobuf struct buf out = BUF_INIT;
	uint8_t sum[DIGEST_MAX];
	size_t n;

	if (s == NULL)
		return NULL;
	n = digest(s, strlen(s), sum);
	for (size_t i = 0; i < n; i++)
		buf_addf(&out, "%02x", sum[i]);
	return any_strn(c->mem, out.data, out.len);
}

static struct any *
fn_md5(struct hcl_call *c)
{
	return hex(c, digest_md5);
}

static struct any *
fn_sha1(struct hcl_call *c)
{
	return hex(c, digest_sha1);
}

static struct any *
fn_sha256(struct hcl_call *c)
{
	return hex(c, digest_sha256);
}

static struct any *
fn_sha512(struct hcl_call *c)
{
	return hex(c, digest_sha512);
}

/* --- UUIDs (RFC 4122) --- */

static struct any *
fn_uuidv4(struct hcl_call *c)
{
	char text[UUID_TEXT];

	return any_str(c->mem, ids_uuid(text));
}

static bool
uuid_bytes(const char *s, uint8_t out[16])
{
	size_t n = 0;

	if (!ids_is_uuid(s))
		return false;
	for (; *s != '\0'; s++) {
		unsigned d;

		if (*s == '-')
			continue;
		d = (unsigned)(isdigit((unsigned char)*s) ? *s - '0' : (*s | 0x20) - 'a' + 10);
		out[n / 2] = (uint8_t)(n % 2 == 0 ? d << 4 : out[n / 2] | d);
		n++;
	}
	return true;
}

static struct any *
fn_uuidv5(struct hcl_call *c)
{
	static const struct {
		const char *name, *uuid;
	} spaces[] = { { "dns", "6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
		{ "url", "6ba7b811-9dad-11d1-80b4-00c04fd430c8" },
		{ "oid", "6ba7b812-9dad-11d1-80b4-00c04fd430c8" },
		{ "x500", "6ba7b814-9dad-11d1-80b4-00c04fd430c8" } };
	const char *space = text_arg(c, 0), *name = text_arg(c, 1);
	autobuf struct buf in = BUF_INIT;
	uint8_t id[16], u[DIGEST_MAX];

	if (space == NULL || name == NULL)
		return NULL;
	for (size_t i = 0; i < NELEM(spaces); i++)
		if (strcmp(space, spaces[i].name) == 0)
			space = spaces[i].uuid;
	if (!uuid_bytes(space, id))
		return hcl_fault(c, "the namespace is dns, url, oid, x500 or a UUID");
	buf_add(&in, id, sizeof(id));
	buf_adds(&in, name);
	(void)digest_sha1(in.data, in.len, u);
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x50);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	return any_str(
	    c->mem, arena_printf(c->mem,
			"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
			u[12], u[13], u[14], u[15]));
}

const struct hcl_function hcl_code_functions[] = {
	{ "base64decode", 1, 1, fn_base64decode },
	{ "base64encode", 1, 1, fn_base64encode },
	{ "csvdecode", 1, 1, fn_csvdecode },
	{ "jsondecode", 1, 1, fn_jsondecode },
	{ "jsonencode", 1, 1, fn_jsonencode },
	{ "md5", 1, 1, fn_md5 },
	{ "sha1", 1, 1, fn_sha1 },
	{ "sha256", 1, 1, fn_sha256 },
	{ "sha512", 1, 1, fn_sha512 },
	{ "urlencode", 1, 1, fn_urlencode },
	{ "uuidv4", 0, 0, fn_uuidv4 },
	{ "uuidv5", 2, 2, fn_uuidv5 },
	{ NULL, 0, 0, NULL },
};
