/*
 * hcl_decode.c: bodies into objects, by their tables.
 */
#include "codec/hcl.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

enum { DYNAMIC_MAX = 10000 }; /* blocks that one dynamic block makes */

/* --- values into members --- */

static bool
wrong(struct hcl_decoder *d, const struct field *f, struct hcl_range at, const char *wanted)
{
	hcl_error(d->diags, at, "Incorrect attribute value type",
	    "Inappropriate value for attribute \"%s\": %s required.", f->hcl, wanted);
	return false;
}

static bool
set_number(struct hcl_decoder *d, const struct field *f, void *at, const struct any *v,
    struct hcl_range where)
{
	char *end;
	double n;

	if (any_type(v) == ANY_INT) {
		*(int64_t *)at = v->i;
		return true;
	}
	if (any_type(v) == ANY_STR && v->n > 0 && v->n < 19) {
		const char *digits = v->s[0] == '-' ? v->s + 1 : v->s;

		*(int64_t *)at = strtoll(v->s, &end, 10);
		if (*digits >= '0' && *digits <= '9' && *end == '\0')
			return true;
	}
	if (any_number(v, &n))
		return wrong(d, f, where, "a whole number is");
	return wrong(d, f, where, "a number is");
}

static bool
set_duration(struct hcl_decoder *d, const struct field *f, void *at, const struct any *v,
    struct hcl_range where)
{
	if (any_type(v) != ANY_STR)
		return set_number(d, f, at, v, where);
	if (duration_parse(v->s, at))
		return true;
	hcl_error(d->diags, where, "Unsuitable value type",
	    "Unsuitable duration value \"%.40s\": a number with a unit is required, as \"30s\", "
	    "\"5m\" or \"1h30m\".",
	    v->s);
	return false;
}

static bool
set_strs(struct hcl_decoder *d, const struct field *f, struct strs *at, const struct any *v,
    struct hcl_range where)
{
	if (any_type(v) != ANY_LIST)
		return wrong(d, f, where, "a list of strings is");
	*at = (struct strs){ 0 };
	for (size_t i = 0; i < v->n; i++) {
		const char *s = any_scalar_text(v->list[i], d->mem);

		if (s == NULL)
			return wrong(d, f, where, "a list of strings is");
		strs_add(at, d->mem, s);
	}
	return true;
}

static bool
set_strmap(struct hcl_decoder *d, const struct field *f, struct strmap *at, const struct any *v,
    struct hcl_range where)
{
	if (any_type(v) != ANY_MAP)
		return wrong(d, f, where, "a map of strings is");
	for (size_t i = 0; i < v->n; i++) {
		const char *s = any_scalar_text(v->map.value[i], d->mem);

		if (s == NULL && any_type(v->map.value[i]) != ANY_NULL)
			return wrong(d, f, where,
			    arena_printf(d->mem, "element \"%s\": string", v->map.key[i]));
		if (s != NULL)
			strmap_set(at, d->mem, v->map.key[i], s);
	}
	return true;
}

static bool
set_strsmap(struct hcl_decoder *d, const struct field *f, struct strsmap *at, const struct any *v,
    struct hcl_range where)
{
	if (any_type(v) != ANY_MAP)
		return wrong(d, f, where, "a map of lists is");
	for (size_t i = 0; i < v->n; i++)
		if (!set_strs(d, f, strsmap_at(at, d->mem, v->map.key[i]), v->map.value[i], where))
			return false;
	return true;
}

bool
hcl_set_field(struct hcl_decoder *d, const struct model *m, const struct field *f, void *obj,
    const struct any *v, struct hcl_range where)
{
	void *at = field_at(f, obj);
	const char *s;
	double n;

	if (any_type(v) == ANY_NULL)
		return true; /* as if it were not there */
	field_mark(m, f, obj);
	switch (f->type) {
	case F_STR:
		s = any_scalar_text(v, d->mem);
		if (s == NULL)
			return wrong(d, f, where, "string");
		*(const char **)at = s;
		return true;
	case F_BOOL:
		if (any_type(v) == ANY_STR && (str_eq(v->s, "true") || str_eq(v->s, "false"))) {
			*(bool *)at = v->s[0] == 't';
			return true;
		}
		if (any_type(v) != ANY_BOOL)
			return wrong(d, f, where, "bool");
		*(bool *)at = v->b;
		return true;
	case F_INT:
		return set_number(d, f, at, v, where);
	case F_DURATION:
		return set_duration(d, f, at, v, where);
	case F_FLOAT:
		if (!any_number(v, &n))
			return wrong(d, f, where, "a number is");
		*(double *)at = n;
		return true;
	case F_STRS:
		return set_strs(d, f, at, v, where);
	case F_STRMAP:
		return set_strmap(d, f, at, v, where);
	case F_STRSMAP:
		return set_strsmap(d, f, at, v, where);
	case F_ANY:
		*(const struct any **)at = v;
		return true;
	default:
		return wrong(d, f, where, "a block is");
	}
}

/* --- names --- */

static const struct field *
field_called(const struct model *m, const char *hcl)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->fields[i].hcl != NULL && (m->fields[i].flags & MF_LABEL) == 0 &&
		    str_eq(m->fields[i].hcl, hcl))
			return &m->fields[i];
	return NULL;
}

static const struct field *
label_field(const struct model *m)
{
	for (size_t i = 0; i < m->n; i++)
		if ((m->fields[i].flags & MF_LABEL) != 0)
			return &m->fields[i];
	return NULL;
}

static bool
is_block(const struct field *f)
{
	return f->type == F_OBJ || f->type == F_OBJS || f->type == F_OBJMAP;
}

static bool
may_be_block(const struct field *f)
{
	return is_block(f) || f->type == F_STRMAP || f->type == F_STRSMAP || f->type == F_ANY;
}

static const char *
suggestion(struct hcl_decoder *d, const struct model *m, const char *name, bool blocks)
{
	const char *names[MODEL_FIELDS_MAX];
	const char *like;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct field *f = &m->fields[i];

		if (f->hcl != NULL && (f->flags & MF_LABEL) == 0 &&
		    (blocks ? may_be_block(f) : !is_block(f)))
			names[n++] = f->hcl;
	}
	like = str_nearest(name, names, n);
	return like == NULL ? "" : arena_printf(d->mem, " Did you mean \"%s\"?", like);
}

/* --- bodies --- */

static void
decode_attr(struct hcl_decoder *d, const struct model *m, void *obj, const struct hcl_attr *attr,
    const struct hcl_scope *scope)
{
	const struct field *f = field_called(m, attr->name);
	struct any *v;

	if (d->attr != NULL && d->attr(d, m, obj, attr, scope))
		return;
	if (f == NULL) {
		hcl_error(d->diags, attr->name_at, "Unsupported argument",
		    "An argument named \"%s\" is not expected here.%s", attr->name,
		    suggestion(d, m, attr->name, false));
		return;
	}
	if (is_block(f)) {
		hcl_error(d->diags, attr->name_at, "Unsupported argument",
		    "An argument named \"%s\" is not expected here. Did you mean to define a block "
		    "of type \"%s\"?",
		    attr->name, attr->name);
		return;
	}
	if ((v = hcl_eval(attr->value, scope, d->diags)) != NULL)
		hcl_set_field(d, m, f, obj, v, hcl_expr_range(attr->value));
}

static bool
labels_fit(struct hcl_decoder *d, const struct hcl_block *b, size_t wanted)
{
	if (b->n_labels == wanted)
		return true;
	if (b->n_labels < wanted)
		hcl_error(d->diags, b->type_at,
		    arena_printf(d->mem, "Missing name for %s", b->type),
		    "All %s blocks must have %zu labels (name).", b->type, wanted);
	else
		hcl_error(d->diags, b->labels_at[wanted],
		    arena_printf(d->mem, "Extraneous label for %s", b->type),
		    wanted == 0 ? "No labels are expected for %s blocks."
				: "Only one label is expected for %s blocks.",
		    b->type);
	return false;
}

void *
hcl_decode_block(struct hcl_decoder *d, const struct model *m, const struct hcl_block *b,
    const struct hcl_scope *scope)
{
	const struct field *label = label_field(m);
	void *obj = model_new(m, d->mem);

	if (labels_fit(d, b, label != NULL ? 1 : 0) && label != NULL) {
		*(const char **)field_at(label, obj) = b->labels[0];
		field_mark(m, label, obj);
	}
	hcl_decode(d, m, obj, &b->body, scope);
	return obj;
}

static void
duplicate(struct hcl_decoder *d, const struct hcl_block *b)
{
	hcl_error(d->diags, b->type_at, arena_printf(d->mem, "Duplicate %s block", b->type),
	    "Only one %s block is allowed.", b->type);
}

static void
decode_block(struct hcl_decoder *d, const struct model *m, void *obj, const struct hcl_block *b,
    const struct hcl_scope *scope)
{
	const struct field *f = field_called(m, b->type);
	void *at, *sub;

	if (d->block != NULL && d->block(d, m, obj, b, scope))
		return;
	if (f == NULL || !may_be_block(f)) {
		hcl_error(d->diags, b->type_at, "Unsupported block type",
		    "Blocks of type \"%s\" are not expected here.%s", b->type,
		    f != NULL ? arena_printf(d->mem,
				    " Did you mean to define argument \"%s\"? If so, use the "
				    "equals sign to assign it a value.",
				    b->type)
			      : suggestion(d, m, b->type, true));
		return;
	}
	at = field_at(f, obj);
	if (f->type != F_OBJS && f->type != F_OBJMAP && !field_empty(f, obj)) {
		duplicate(d, b);
		return;
	}
	field_mark(m, f, obj);
	if (!is_block(f)) {
		if (labels_fit(d, b, 0))
			hcl_set_field(d, m, f, obj, hcl_decode_any(d, &b->body, scope), b->type_at);
		return;
	}
	sub = hcl_decode_block(d, f->sub, b, scope);
	if (f->type == F_OBJ)
		*(void **)at = sub;
	else if (f->type == F_OBJS)
		objs_add(at, d->mem, sub);
	else if (b->n_labels > 0 && objmap_get(at, b->labels[0]) != NULL)
		duplicate(d, b);
	else if (b->n_labels > 0)
		objmap_set(at, d->mem, b->labels[0], sub);
}

/* --- dynamic "type" { for_each, iterator, labels, content {} } --- */

typedef void each_block(
    struct hcl_decoder *d, void *ctx, const struct hcl_block *b, const struct hcl_scope *scope);

static const struct hcl_block *
content_of(struct hcl_decoder *d, const struct hcl_block *b)
{
	for (size_t i = 0; i < b->body.n_blocks; i++)
		if (str_eq(b->body.blocks[i].type, "content"))
			return &b->body.blocks[i];
	hcl_error(d->diags, b->type_at, "Missing content block",
	    "A dynamic block must have a nested block \"content\".");
	return NULL;
}

static bool
dynamic_labels(struct hcl_decoder *d, struct hcl_block *made, const struct hcl_attr *attr,
    const struct hcl_scope *s)
{
	struct strs labels = { 0 };
	struct any *v = hcl_eval(attr->value, s, d->diags);

	if (v == NULL)
		return false;
	for (size_t i = 0; v->type == ANY_LIST && i < v->n; i++) {
		const char *text = any_scalar_text(v->list[i], d->mem);

		strs_add(&labels, d->mem, text);
	}
	made->labels = labels.at;
	made->n_labels = labels.n;
	made->labels_at = arena_array(d->mem, labels.n + 1, struct hcl_range);
	for (size_t i = 0; i < labels.n; i++)
		made->labels_at[i] = hcl_expr_range(attr->value);
	return true;
}

static bool
dynamic_known(struct hcl_decoder *d, const struct hcl_block *b)
{
	static const char *const known[] = { "for_each", "iterator", "labels" };

	if (!labels_fit(d, b, 1))
		return false;
	for (size_t i = 0; i < b->body.n_attrs; i++) {
		const struct hcl_attr *a = &b->body.attrs[i];
		bool ok = false;

		for (size_t k = 0; k < NELEM(known); k++)
			ok = ok || str_eq(a->name, known[k]);
		if (!ok)
			hcl_error(d->diags, a->name_at, "Unsupported argument",
			    "An argument named \"%s\" is not expected here.", a->name);
	}
	return true;
}

static void
dynamic(struct hcl_decoder *d, const struct hcl_block *b, const struct hcl_scope *scope,
    each_block *fn, void *ctx)
{
	const struct hcl_attr *each = hcl_find_attr(&b->body, "for_each"),
			      *name = hcl_find_attr(&b->body, "iterator"),
			      *labels = hcl_find_attr(&b->body, "labels");
	const struct hcl_block *content;
	const char *iterator;
	struct any *over;

	if (!dynamic_known(d, b) || (content = content_of(d, b)) == NULL)
		return;
	if (each == NULL) {
		hcl_error(d->diags, b->type_at, "Missing required argument",
		    "The argument \"for_each\" is required.");
		return;
	}
	if ((over = hcl_eval(each->value, scope, d->diags)) == NULL)
		return;
	iterator = name != NULL ? hcl_keyword(name->value) : b->labels[0];
	if (iterator == NULL || (over->type != ANY_LIST && over->type != ANY_MAP) ||
	    over->n > DYNAMIC_MAX) {
		hcl_error(d->diags, iterator == NULL ? name->name_at : hcl_expr_range(each->value),
		    "Invalid dynamic block",
		    iterator == NULL
			? "iterator must be a name."
			: "for_each must be a list or a map of at most 10000 elements.");
		return;
	}
	for (size_t i = 0; i < over->n; i++) {
		struct any *value = over->type == ANY_LIST ? over->list[i] : over->map.value[i];
		struct any *it = any_map(d->mem);
		struct hcl_scope inner = { .up = scope, .name = iterator, .value = it };
		struct hcl_block made = {
			.type = b->labels[0], .type_at = b->labels_at[0], .body = content->body
		};

		any_put(d->mem, it, "key",
		    over->type == ANY_LIST ? any_int(d->mem, (int64_t)i)
					   : any_str(d->mem, over->map.key[i]));
		any_put(d->mem, it, "value", value);
		if (labels != NULL && !dynamic_labels(d, &made, labels, &inner))
			return;
		fn(d, ctx, &made, &inner);
	}
}

struct target {
	const struct model *m;
	void *obj;
};

static void
into_object(
    struct hcl_decoder *d, void *ctx, const struct hcl_block *b, const struct hcl_scope *scope)
{
	struct target *t = ctx;

	decode_block(d, t->m, t->obj, b, scope);
}

void
hcl_decode(struct hcl_decoder *d, const struct model *m, void *obj, const struct hcl_body *body,
    const struct hcl_scope *scope)
{
	struct target t = { .m = m, .obj = obj };

	if (d->mem->total > (size_t)256 << 20) {
		hcl_error(d->diags, body->end, "File too large",
		    "What this file asks for takes too much memory.");
		return;
	}
	for (size_t i = 0; i < body->n_attrs; i++)
		decode_attr(d, m, obj, &body->attrs[i], scope);
	for (size_t i = 0; i < body->n_blocks; i++)
		if (str_eq(body->blocks[i].type, "dynamic"))
			dynamic(d, &body->blocks[i], scope, into_object, &t);
		else
			decode_block(d, m, obj, &body->blocks[i], scope);
}

/* --- bodies without a table --- */

struct map_target {
	struct any *map;
	const struct hcl_body *body;
};

static void
into_map(struct hcl_decoder *d, void *ctx, const struct hcl_block *b, const struct hcl_scope *scope)
{
	struct map_target *t = ctx;
	struct any *map = t->map, *inner = hcl_decode_any(d, &b->body, scope), *wrapped, *list;

	if (hcl_find_attr(t->body, b->type) != NULL) {
		hcl_error(d->diags, b->type_at, "Attribute redefined",
		    "\"%s\" is given as an argument and as a block.", b->type);
		return;
	}

	for (size_t i = b->n_labels; i > 0; i--) {
		wrapped = any_map(d->mem);
		list = any_list(d->mem);
		any_append(d->mem, list, inner);
		any_put(d->mem, wrapped, b->labels[i - 1], list);
		inner = wrapped;
	}
	list = any_get(map, b->type);
	if (list == NULL) {
		list = any_list(d->mem);
		any_put(d->mem, map, b->type, list);
	}
	any_append(d->mem, list, inner);
}

struct any *
hcl_decode_any(struct hcl_decoder *d, const struct hcl_body *body, const struct hcl_scope *scope)
{
	struct any *map = any_map(d->mem), *v, *one;
	struct map_target t = { .map = map, .body = body };

	if (d->mem->total > (size_t)256 << 20) {
		hcl_error(d->diags, body->end, "File too large",
		    "What this file asks for takes too much memory.");
		return map;
	}
	for (size_t i = 0; i < body->n_attrs; i++) {
		v = hcl_eval(body->attrs[i].value, scope, d->diags);
		if (any_type(v) == ANY_NULL)
			continue;
		if (v->type == ANY_MAP) { /* x = { … } is the same as x { … } */
			one = any_list(d->mem);
			any_append(d->mem, one, v);
			v = one;
		}
		any_put(d->mem, map, body->attrs[i].name, v);
	}
	for (size_t i = 0; i < body->n_blocks; i++)
		if (str_eq(body->blocks[i].type, "dynamic"))
			dynamic(d, &body->blocks[i], scope, into_map, &t);
		else
			into_map(d, &t, &body->blocks[i], scope);
	return map;
}
