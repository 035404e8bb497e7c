/*
 * hcl_body.c: bodies: arguments and blocks.
 */
#include "codec/hcl_ast.h"

#include <string.h>

static bool parse_body(struct hcl_parser *p, struct hcl_body *b, bool to_brace);

/* The end of an argument or block: a newline, the end of the file, or the brace of a one-line
 * block. */
static bool
line_end(struct hcl_parser *p, const char *what)
{
	hcl_blanks(p);
	if (hcl_peek(p, 0) == '\n' || hcl_peek(p, 0) == -1 || hcl_peek(p, 0) == '}')
		return true;
	hcl_fail(p, hcl_next_char(p), arena_printf(p->mem, "Missing newline after %s", what),
	    "%s definition must end with a newline.",
	    strcmp(what, "argument") == 0 ? "An argument" : "A block");
	return false;
}

static bool
add_attr(struct hcl_parser *p, struct hcl_body *b, const char *name, struct hcl_range at)
{
	struct hcl_expr *value = hcl_expression(p);

	if (value == NULL)
		return false;
	if (b->n_attrs >= HCL_ATTRS_MAX) {
		hcl_fail(
		    p, at, "Too many arguments", "A body may have %d arguments.", HCL_ATTRS_MAX);
		return false;
	}
	for (size_t i = 0; i < b->n_attrs; i++)
		if (strcmp(b->attrs[i].name, name) == 0) {
			hcl_error(p->diags, at, "Attribute redefined",
			    "The argument \"%s\" was already set at %s:%d,%d-%d. Each argument may "
			    "be set only once.",
			    name, p->src->name, b->attrs[i].name_at.line,
			    b->attrs[i].name_at.column, b->attrs[i].name_at.end_column);
			return line_end(p, "argument");
		}
	b->attrs = arena_grown(p->mem, b->attrs, b->n_attrs, sizeof(*b->attrs));
	b->attrs[b->n_attrs++] = (struct hcl_attr){ .name = name, .name_at = at, .value = value };
	return line_end(p, "argument");
}

static bool
add_label(struct hcl_parser *p, struct hcl_block *k)
{
	struct hcl_mark from = hcl_here(p);
	const char *label = hcl_peek(p, 0) == '"' ? hcl_plain_quoted(p) : hcl_identifier(p);

	if (label == NULL) {
		hcl_fail(p, hcl_next_char(p), "Invalid block definition",
		    "Either a quoted string block label or an opening brace (\"{\") is expected "
		    "here.");
		return false;
	}
	k->labels = arena_grown(p->mem, k->labels, k->n_labels, sizeof(*k->labels));
	k->labels_at = arena_grown(p->mem, k->labels_at, k->n_labels, sizeof(*k->labels_at));
	k->labels[k->n_labels] = label;
	k->labels_at[k->n_labels++] = hcl_since(p, from);
	return true;
}

static bool
add_block(struct hcl_parser *p, struct hcl_body *b, const char *type, struct hcl_range at)
{
	struct hcl_block k = { .type = type, .type_at = at };

	for (;;) {
		hcl_blanks(p);
		if (hcl_peek(p, 0) == '{')
			break;
		if (hcl_peek(p, 0) == '\n' || hcl_peek(p, 0) == -1) {
			hcl_fail(p, at, "Invalid block definition",
			    "A block definition must have block content delimited by \"{\" and "
			    "\"}\", starting on the "
			    "same line as the block header.");
			return false;
		}
		if (!add_label(p, &k))
			return false;
	}
	hcl_step(p, 1);
	if (!parse_body(p, &k.body, true))
		return false;
	b->blocks = arena_grown(p->mem, b->blocks, b->n_blocks, sizeof(*b->blocks));
	b->blocks[b->n_blocks++] = k;
	return line_end(p, "block");
}

/* Names may be quoted and dotted: meta { "a.b" = 1 }, as files in the wild have them. */
static const char *
item_name(struct hcl_parser *p)
{
	const char *name = hcl_peek(p, 0) == '"' ? hcl_plain_quoted(p) : hcl_identifier(p);

	while (name != NULL && hcl_peek(p, 0) == '.' && hcl_ident_start(hcl_peek(p, 1))) {
		hcl_step(p, 1);
		name = arena_printf(p->mem, "%s.%s", name, hcl_identifier(p));
	}
	if (name == NULL)
		hcl_fail(p, hcl_next_char(p), "Argument or block definition required",
		    "An argument or block definition is required here.");
	return name;
}

static bool
parse_item(struct hcl_parser *p, struct hcl_body *b)
{
	struct hcl_mark from = hcl_here(p);
	const char *name = item_name(p);
	struct hcl_range at;

	if (name == NULL)
		return false;
	at = hcl_since(p, from);
	hcl_blanks(p);
	if (hcl_peek(p, 0) == '=' && hcl_peek(p, 1) != '=') {
		hcl_step(p, 1);
		return add_attr(p, b, name, at);
	}
	return add_block(p, b, name, at);
}

static bool
parse_body(struct hcl_parser *p, struct hcl_body *b, bool to_brace)
{
	struct hcl_mark from = hcl_here(p);
	int quiet = p->quiet_newlines;

	if (++p->depth > HCL_DEPTH_MAX) {
		hcl_fail(p, hcl_next_char(p), "Blocks too deep", "Blocks may nest %d levels.",
		    HCL_DEPTH_MAX);
		return false;
	}
	p->quiet_newlines = 0;
	for (;;) {
		hcl_blank_lines(p);
		if (p->failed)
			return false;
		if (hcl_peek(p, 0) == -1) {
			if (to_brace) {
				hcl_fail(p, hcl_since(p, from), "Unclosed configuration block",
				    "There is no closing brace for this block before the end of "
				    "the file.");
				return false;
			}
			break;
		}
		if (hcl_peek(p, 0) == '}' && to_brace)
			break;
		if (!parse_item(p, b))
			return false;
	}
	b->end = hcl_next_char(p);
	if (to_brace)
		hcl_step(p, 1);
	p->quiet_newlines = quiet;
	p->depth--;
	return !p->failed;
}

struct hcl_body *
hcl_parse(const struct hcl_source *src, struct arena *a, struct hcl_diags *d)
{
	struct hcl_parser p = { .src = src, .mem = a, .diags = d, .line = 1, .column = 1 };
	struct hcl_body *b = arena_new(a, struct hcl_body);

	if (src->len >= 3 && memcmp(src->text, "\xef\xbb\xbf", 3) == 0)
		p.at = 3; /* byte order mark */
	return parse_body(&p, b, false) ? b : NULL;
}

struct hcl_range
hcl_expr_range(const struct hcl_expr *x)
{
	return x->at;
}

const char *
hcl_keyword(const struct hcl_expr *x)
{
	return x->kind == X_NAME ? x->name : NULL;
}

const char *
hcl_call(const struct hcl_expr *x, struct hcl_expr *const **args, size_t *n)
{
	if (x->kind != X_CALL)
		return NULL;
	*args = x->parts;
	*n = x->n;
	return x->name;
}

const struct hcl_attr *
hcl_find_attr(const struct hcl_body *b, const char *name)
{
	for (size_t i = 0; i < b->n_attrs; i++)
		if (strcmp(b->attrs[i].name, name) == 0)
			return &b->attrs[i];
	return NULL;
}
