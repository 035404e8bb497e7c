/*
 * model_json.c: objects to JSON and back, by their tables.
 */
#include "codec/model.h"

#include "codec/lists.h"

#include "base/clock.h"
#include "base/str.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* --- reading --- */

struct path {
	const struct path *up;
	const char *name; /* of a member or key; NULL: an index */
	size_t index;
};

struct reader {
	struct arena *mem;
	struct err *e;
};

static void
path_text(const struct path *p, struct buf *out)
{
	if (p == NULL)
		return;
	path_text(p->up, out);
	if (p->name == NULL)
		buf_addf(out, "[%zu]", p->index);
	else
		buf_addf(out, "%s%s", out->len > 0 ? "." : "", p->name);
}

static int
wrong_type(struct reader *r, const struct path *p, const char *wanted, const json_t *v)
{
	static const char *const names[] = { [JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "a list",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a number",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "null" };
	autobuf struct buf path = BUF_INIT;

	path_text(p, &path);
	return err_new(r->e, ERR_INPUT, "%.200s%s expected %s, not %s", buf_str(&path),
	    path.len > 0 ? ":" : "JSON:", wanted, names[json_typeof(v)]);
}

static int
read_int(struct reader *r, const struct path *p, const json_t *v, int64_t *out)
{
	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return 0;
	}
	if (json_is_real(v)) {
		double d = json_real_value(v);

		if (d == floor(d) && fabs(d) < 9.2e18) {
			*out = (int64_t)d;
			return 0;
		}
	}
	return wrong_type(r, p, "a whole number", v);
}

static int
read_duration(struct reader *r, const struct path *p, const json_t *v, int64_t *out)
{
	if (!json_is_string(v))
		return read_int(r, p, v, out);
	if (!duration_parse(json_string_value(v), out))
		return wrong_type(r, p, "a duration (nanoseconds, or text as \"30s\")", v);
	return 0;
}

static int
read_time(struct reader *r, const struct path *p, const json_t *v, int64_t *out)
{
	if (json_is_integer(v))
		return read_int(r, p, v, out);
	if (!json_is_string(v) || !clock_parse_rfc3339(json_string_value(v), out))
		return wrong_type(r, p, "a time in RFC 3339 form", v);
	return 0;
}

static int
read_text(struct reader *r, const struct path *p, const json_t *v, const char **out)
{
	if (!json_is_string(v))
		return wrong_type(r, p, "a string", v);
	*out = arena_strdup(r->mem, json_string_value(v)); /* a NUL inside ends it */
	return 0;
}

static int
read_strs(struct reader *r, const struct path *p, const json_t *v, struct strs *out)
{
	const json_t *item;
	const char *s = "";
	size_t i;

	if (!json_is_array(v))
		return wrong_type(r, p, "a list of strings", v);
	json_array_foreach (v, i, item) {
		struct path at = { .up = p, .index = i };

		if (json_is_null(item))
			s = "";
		else if (read_text(r, &at, item, &s) < 0)
			return -1;
		strs_add(out, r->mem, s);
	}
	return 0;
}

static int
read_ints(struct reader *r, const struct path *p, const json_t *v, struct ints *out)
{
	const json_t *item;
	int64_t n = 0;
	size_t i;

	if (!json_is_array(v))
		return wrong_type(r, p, "a list of numbers", v);
	json_array_foreach (v, i, item) {
		struct path at = { .up = p, .index = i };

		if (read_int(r, &at, item, &n) < 0)
			return -1;
		ints_add(out, r->mem, n);
	}
	return 0;
}

static int read_members(
    struct reader *r, const struct path *p, const struct model *m, const json_t *v, void *obj);

static int
read_objs(struct reader *r, const struct path *p, const struct model *sub, const json_t *v,
    struct objs *out)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(v))
		return wrong_type(r, p, "a list", v);
	json_array_foreach (v, i, item) {
		struct path at = { .up = p, .index = i };
		void *obj;

		if (json_is_null(item))
			continue;
		obj = model_new(sub, r->mem);
		if (read_members(r, &at, sub, item, obj) < 0)
			return -1;
		objs_add(out, r->mem, obj);
	}
	return 0;
}

/* One entry of any kind of map. */
static int
read_entry(struct reader *r, const struct path *p, const struct field *f, const char *key,
    const json_t *v, void *at)
{
	const char *s = "";
	int64_t n = 0;
	void *obj;

	switch (f->type) {
	case F_STRMAP:
		if (!json_is_null(v) && read_text(r, p, v, &s) < 0)
			return -1;
		MAP_ADD(r->mem, (struct strmap *)at, key, s);
		return 0;
	case F_STRSMAP:
		if (json_is_null(v))
			return 0;
		MAP_ADD(r->mem, (struct strsmap *)at, key, (struct strs){ 0 });
		return read_strs(
		    r, p, v, &((struct strsmap *)at)->value[((struct strsmap *)at)->n - 1]);
	case F_INTMAP:
		if (read_int(r, p, v, &n) < 0)
			return -1;
		MAP_ADD(r->mem, (struct intmap *)at, key, n);
		return 0;
	case F_BOOLMAP:
		if (!json_is_boolean(v))
			return wrong_type(r, p, "true or false", v);
		MAP_ADD(r->mem, (struct intmap *)at, key, json_is_true(v));
		return 0;
	case F_FLOATMAP:
		if (!json_is_number(v))
			return wrong_type(r, p, "a number", v);
		MAP_ADD(r->mem, (struct floatmap *)at, key, json_number_value(v));
		return 0;
	default: /* F_OBJMAP */
		if (json_is_null(v))
			return 0;
		obj = model_new(f->sub, r->mem);
		if (read_members(r, p, f->sub, v, obj) < 0)
			return -1;
		MAP_ADD(r->mem, (struct objmap *)at, key, obj);
		return 0;
	}
}

static int
read_map(struct reader *r, const struct path *p, const struct field *f, const json_t *v, void *at)
{
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return wrong_type(r, p, "an object", v);
	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		struct path entry = { .up = p, .name = key };

		if (read_entry(r, &entry, f, key, item, at) < 0)
			return -1;
	}
	return 0;
}

static int
read_field(struct reader *r, const struct path *p, const struct field *f, const json_t *v, void *at)
{
	void *sub;

	switch (f->type) {
	case F_STR:
		return read_text(r, p, v, at);
	case F_BOOL:
		if (!json_is_boolean(v))
			return wrong_type(r, p, "true or false", v);
		*(bool *)at = json_is_true(v);
		return 0;
	case F_INT:
		return read_int(r, p, v, at);
	case F_FLOAT:
		if (!json_is_number(v))
			return wrong_type(r, p, "a number", v);
		*(double *)at = json_number_value(v);
		return 0;
	case F_DURATION:
		return read_duration(r, p, v, at);
	case F_TIME:
		return read_time(r, p, v, at);
	case F_STRS:
		return read_strs(r, p, v, at);
	case F_INTS:
		return read_ints(r, p, v, at);
	case F_OBJ:
		sub = model_new(f->sub, r->mem);
		if (read_members(r, p, f->sub, v, sub) < 0)
			return -1;
		*(void **)at = sub;
		return 0;
	case F_OBJS:
		return read_objs(r, p, f->sub, v, at);
	case F_ANY:
		*(const struct any **)at = any_from_json(v, r->mem);
		return 0;
	default:
		return read_map(r, p, f, v, at);
	}
}

static const struct field *
field_named(const struct model *m, const char *key)
{
	const struct field *f = model_field(m, key);

	for (size_t i = 0; f == NULL && i < m->n; i++)
		if (m->fields[i].json != NULL && strcasecmp(m->fields[i].json, key) == 0)
			f = &m->fields[i];
	return f;
}

static void
reset_list(const struct field *f, void *at)
{
	if (f->type == F_STRS || f->type == F_INTS || f->type == F_OBJS)
		memset(at, 0, sizeof(struct objs));
	else if (f->type > F_TIME && f->type != F_OBJ && f->type != F_ANY)
		memset(at, 0, sizeof(struct objmap));
}

static int
read_members(
    struct reader *r, const struct path *p, const struct model *m, const json_t *v, void *obj)
{
	const char *key;
	json_t *item;

	if (!json_is_object(v))
		return wrong_type(r, p, "an object", v);
	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		const struct field *f = field_named(m, key);
		struct path at = { .up = p, .name = key };

		if (f == NULL || json_is_null(item))
			continue;
		reset_list(f, field_at(f, obj)); /* a name may come twice, in other case */
		if (read_field(r, &at, f, item, field_at(f, obj)) < 0)
			return -1;
		field_mark(m, f, obj);
	}
	return 0;
}

int
model_from_json(const struct model *m, const json_t *v, struct arena *a, void *out, struct err *e)
{
	struct reader r = { .mem = a, .e = e };
	void *obj = model_new(m, a); /* *out stays untouched when reading fails */

	if (read_members(&r, NULL, m, v, obj) < 0)
		return -1;
	memcpy(out, obj, m->size);
	return 0;
}

int
model_read(
    const struct model *m, const char *text, size_t len, struct arena *a, void *out, struct err *e)
{
	autojson json_t *v = NULL;

	if (json_read(text, len, &v, e) < 0)
		return -1;
	return model_from_json(m, v, a, out, e);
}

/* --- writing --- */

static void
write_strs(const struct strs *l, struct jsonw *w)
{
	jsonw_array(w);
	for (size_t i = 0; i < l->n; i++)
		jsonw_str(w, l->at[i] == NULL ? "" : l->at[i]);
	jsonw_end_array(w);
}

static void
write_list(const struct field *f, const void *at, struct jsonw *w)
{
	if (f->type == F_STRS) {
		write_strs(at, w);
		return;
	}
	jsonw_array(w);
	if (f->type == F_INTS) {
		const struct ints *l = at;

		for (size_t i = 0; i < l->n; i++)
			jsonw_int(w, l->at[i]);
	} else {
		const struct objs *l = at;

		for (size_t i = 0; i < l->n; i++)
			model_to_json(f->sub, l->at[i], w);
	}
	jsonw_end_array(w);
}

#define EACH_ENTRY(type, map, write_value)                                                         \
	do {                                                                                       \
		const type *l = (map);                                                             \
		for (size_t i = 0; i < l->n; i++) {                                                \
			jsonw_key(w, l->key[i]);                                                   \
			write_value;                                                               \
		}                                                                                  \
	} while (0)

static void
write_map(const struct field *f, const void *at, struct jsonw *w)
{
	jsonw_object(w);
	switch (f->type) {
	case F_STRMAP:
		EACH_ENTRY(struct strmap, at, jsonw_str(w, l->value[i] == NULL ? "" : l->value[i]));
		break;
	case F_STRSMAP:
		EACH_ENTRY(struct strsmap, at, write_strs(&l->value[i], w));
		break;
	case F_INTMAP:
		EACH_ENTRY(struct intmap, at, jsonw_int(w, l->value[i]));
		break;
	case F_BOOLMAP:
		EACH_ENTRY(struct intmap, at, jsonw_bool(w, l->value[i] != 0));
		break;
	case F_FLOATMAP:
		EACH_ENTRY(struct floatmap, at, jsonw_double(w, l->value[i]));
		break;
	default:
		EACH_ENTRY(struct objmap, at, model_to_json(f->sub, l->value[i], w));
	}
	jsonw_end_object(w);
}

static bool
is_list(enum field_type t)
{
	return t == F_STRS || t == F_INTS || t == F_OBJS;
}

static void
write_empty(const struct field *f, struct jsonw *w)
{
	if ((f->flags & MF_EMPTY) == 0)
		jsonw_null(w);
	else
		jsonw_raw(w, is_list(f->type) ? "[]" : "{}", 2);
}

static void
write_value(const struct field *f, const void *obj, struct jsonw *w)
{
	const void *at = field_at(f, obj);

	switch (f->type) {
	case F_STR:
		jsonw_str(w, *(const char *const *)at == NULL ? "" : *(const char *const *)at);
		break;
	case F_BOOL:
		jsonw_bool(w, *(const bool *)at);
		break;
	case F_INT:
	case F_DURATION:
		jsonw_int(w, *(const int64_t *)at);
		break;
	case F_FLOAT:
		jsonw_double(w, *(const double *)at);
		break;
	case F_TIME:
		jsonw_time(w, *(const int64_t *)at);
		break;
	case F_OBJ:
		model_to_json(f->sub, *(void *const *)at, w);
		break;
	case F_ANY:
		any_to_json(*(const struct any *const *)at, w);
		break;
	default:
		if (is_list(f->type))
			write_list(f, at, w);
		else
			write_map(f, at, w);
	}
}

void
model_members_to_json(const struct model *m, const void *obj, struct jsonw *w)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];
		bool empty = field_empty(f, obj);

		if (f->json == NULL || (empty && (f->flags & MF_OMIT) != 0))
			continue;
		jsonw_key(w, f->json);
		if (empty && f->type > F_TIME)
			write_empty(f, w);
		else if (empty && (f->flags & MF_NULL) != 0 && !field_given(m, f, obj))
			jsonw_null(w);
		else
			write_value(f, obj, w);
	}
}

void
model_to_json(const struct model *m, const void *obj, struct jsonw *w)
{
	if (obj == NULL) {
		jsonw_null(w);
		return;
	}
	jsonw_object(w);
	model_members_to_json(m, obj, w);
	jsonw_end_object(w);
}
