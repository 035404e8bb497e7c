/*
 * hcl_parse.c: expressions, by recursive descent straight over the characters.
 */
#include "codec/hcl_ast.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* --- characters --- */

int
hcl_peek(const struct hcl_parser *p, size_t ahead)
{
	return p->at + ahead < p->src->len ? (unsigned char)p->src->text[p->at + ahead] : -1;
}

void
hcl_step(struct hcl_parser *p, size_t bytes)
{
	for (; bytes > 0 && p->at < p->src->len; bytes--, p->at++) {
		unsigned char c = (unsigned char)p->src->text[p->at];

		if (c == '\n') {
			p->line++;
			p->column = 1;
		} else if ((c & 0xc0) != 0x80) {
			p->column++;
		}
	}
}

struct hcl_mark
hcl_here(const struct hcl_parser *p)
{
	return (struct hcl_mark){ .at = p->at, .line = p->line, .column = p->column };
}

struct hcl_range
hcl_since(const struct hcl_parser *p, struct hcl_mark from)
{
	return (struct hcl_range){ .source = p->src,
		.line = from.line,
		.column = from.column,
		.end_line = p->line,
		.end_column = p->column,
		.start = from.at,
		.end = p->at };
}

struct hcl_range
hcl_next_char(const struct hcl_parser *p)
{
	struct hcl_range r = hcl_since(p, hcl_here(p));

	r.end_column++;
	r.end++;
	return r;
}

void *
hcl_fail(struct hcl_parser *p, struct hcl_range at, const char *summary, const char *fmt, ...)
{
	va_list ap;

	if (!p->failed) {
		va_start(ap, fmt);
		hcl_error(p->diags, at, summary, "%s", arena_vprintf(p->mem, fmt, ap));
		va_end(ap);
	}
	p->failed = true;
	return NULL;
}

static void
skip_comment(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);

	if (hcl_peek(p, 0) != '/' || hcl_peek(p, 1) != '*') {
		while (hcl_peek(p, 0) != -1 && hcl_peek(p, 0) != '\n')
			hcl_step(p, 1);
		return;
	}
	hcl_step(p, 2);
	while (hcl_peek(p, 0) != -1 && !(hcl_peek(p, 0) == '*' && hcl_peek(p, 1) == '/'))
		hcl_step(p, 1);
	if (hcl_peek(p, 0) == -1)
		hcl_fail(p, hcl_since(p, from), "Unterminated comment",
		    "This comment has no closing */.");
	hcl_step(p, 2);
}

void
hcl_blanks(struct hcl_parser *p)
{
	for (;;) {
		int c = hcl_peek(p, 0);

		if (c == ' ' || c == '\t' || (c == '\r' && hcl_peek(p, 1) == '\n') ||
		    (c == '\n' && p->quiet_newlines > 0))
			hcl_step(p, 1);
		else if (c == '#' || (c == '/' && (hcl_peek(p, 1) == '/' || hcl_peek(p, 1) == '*')))
			skip_comment(p);
		else
			return;
	}
}

void
hcl_blank_lines(struct hcl_parser *p)
{
	p->quiet_newlines++;
	hcl_blanks(p);
	p->quiet_newlines--;
}

bool
hcl_ident_start(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool
digit(int c)
{
	return c >= '0' && c <= '9';
}

const char *
hcl_identifier(struct hcl_parser *p)
{
	size_t n = 0;

	if (!hcl_ident_start(hcl_peek(p, 0)))
		return NULL;
	while (hcl_ident_start(hcl_peek(p, n)) || digit(hcl_peek(p, n)) || hcl_peek(p, n) == '-')
		n++;

	const char *name = arena_strndup(p->mem, p->src->text + p->at, n);

	hcl_step(p, n);
	return name;
}

static bool
accept(struct hcl_parser *p, const char *text)
{
	size_t n = strlen(text);

	hcl_blanks(p);
	if (p->src->len - p->at < n || memcmp(p->src->text + p->at, text, n) != 0)
		return false;
	hcl_step(p, n);
	return true;
}

/* The keyword, and not a longer name that begins with it. */
static bool
accept_word(struct hcl_parser *p, const char *word)
{
	size_t n = strlen(word);

	hcl_blanks(p);
	if (p->src->len - p->at < n || memcmp(p->src->text + p->at, word, n) != 0)
		return false;
	if (hcl_ident_start(hcl_peek(p, n)) || digit(hcl_peek(p, n)) || hcl_peek(p, n) == '-')
		return false;
	hcl_step(p, n);
	return true;
}

struct hcl_expr *
hcl_new(struct hcl_parser *p, enum hcl_kind kind, struct hcl_mark from)
{
	struct hcl_expr *x = arena_new(p->mem, struct hcl_expr);

	x->kind = kind;
	x->at = hcl_since(p, from);
	return x;
}

void
hcl_add_part(struct hcl_parser *p, struct hcl_expr *x, struct hcl_expr *part)
{
	x->parts = arena_grown(p->mem, x->parts, x->n, sizeof(*x->parts));
	x->parts[x->n++] = part;
}

/* --- terms --- */

static struct hcl_expr *
literal(struct hcl_parser *p, struct hcl_mark from, struct any *value)
{
	struct hcl_expr *x = hcl_new(p, X_LITERAL, from);

	x->value = value;
	return x;
}

static struct hcl_expr *
number(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	bool whole = true;
	size_t n = 0;

	while (digit(hcl_peek(p, n)))
		n++;
	if (hcl_peek(p, n) == '.' && digit(hcl_peek(p, n + 1))) {
		whole = false;
		for (n++; digit(hcl_peek(p, n));)
			n++;
	}
	if (hcl_peek(p, n) == 'e' || hcl_peek(p, n) == 'E') {
		size_t e = n + 1;

		if (hcl_peek(p, e) == '+' || hcl_peek(p, e) == '-')
			e++;
		if (digit(hcl_peek(p, e))) {
			whole = false;
			for (n = e; digit(hcl_peek(p, n));)
				n++;
		}
	}

	const char *text = arena_strndup(p->mem, p->src->text + p->at, n);

	hcl_step(p, n);
	errno = 0;
	long long i = whole ? strtoll(text, NULL, 10) : 0;
	if (whole && errno == 0)
		return literal(p, from, any_int(p->mem, i));
	return literal(p, from, any_double(p->mem, strtod(text, NULL)));
}

static struct hcl_expr *
call(struct hcl_parser *p, const char *name, struct hcl_mark from)
{
	struct hcl_expr *x = hcl_new(p, X_CALL, from), *arg;

	x->name = name;
	x->a = hcl_new(p, X_NAME, from); /* where the name stands, for messages */
	hcl_step(p, 1);
	p->quiet_newlines++;
	while (!accept(p, ")")) {
		if ((arg = hcl_expression(p)) == NULL)
			return NULL;
		hcl_add_part(p, x, arg);
		if (accept(p, "...")) {
			x->expand = true;
			if (accept(p, ")"))
				break;
			return hcl_fail(p, hcl_next_char(p), "Missing closing parenthesis",
			    "An expanded function argument (with ...) must be immediately followed "
			    "by closing parentheses.");
		}
		if (accept(p, ","))
			continue;
		if (accept(p, ")"))
			break;
		return hcl_fail(p, hcl_next_char(p), "Missing argument separator",
		    "A comma is required to separate each function argument from the next.");
	}
	p->quiet_newlines--;
	x->at = hcl_since(p, from);
	return x;
}

bool
hcl_for_intro(struct hcl_parser *p, struct hcl_expr *x)
{
	hcl_blanks(p);
	x->value_name = hcl_identifier(p);
	if (x->value_name != NULL && accept(p, ",")) {
		x->name = x->value_name;
		hcl_blanks(p);
		x->value_name = hcl_identifier(p);
	}
	if (x->value_name == NULL || !accept_word(p, "in")) {
		hcl_fail(p, hcl_next_char(p), "Invalid 'for' expression",
		    "For expression requires the names of its variables and the 'in' keyword.");
		return false;
	}
	return (x->a = hcl_expression(p)) != NULL;
}

/* After "[for" or "{for". */
static struct hcl_expr *
for_expression(struct hcl_parser *p, struct hcl_mark from, bool is_map)
{
	struct hcl_expr *x = hcl_new(p, X_FOR, from);

	x->is_map = is_map;
	p->quiet_newlines++;
	if (!hcl_for_intro(p, x))
		return NULL;
	if (!accept(p, ":"))
		return hcl_fail(p, hcl_next_char(p), "Invalid 'for' expression",
		    "For expression requires a colon after the collection expression.");
	if ((x->b = hcl_expression(p)) == NULL)
		return NULL;
	if (is_map) {
		if (!accept(p, "=>"))
			return hcl_fail(p, hcl_next_char(p), "Invalid 'for' expression",
			    "An object 'for' expression requires a key, then =>, then a value.");
		x->key = x->b;
		if ((x->b = hcl_expression(p)) == NULL)
			return NULL;
		x->expand = accept(p, "...");
	}
	if (accept_word(p, "if") && (x->c = hcl_expression(p)) == NULL)
		return NULL;
	if (!accept(p, is_map ? "}" : "]"))
		return hcl_fail(p, hcl_next_char(p), "Invalid 'for' expression",
		    "Extra characters after the end of the 'for' expression.");
	p->quiet_newlines--;
	x->at = hcl_since(p, from);
	return x;
}

static struct hcl_expr *
tuple(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	struct hcl_expr *x, *item;

	hcl_step(p, 1);
	p->quiet_newlines++;
	if (accept_word(p, "for")) {
		p->quiet_newlines--;
		return for_expression(p, from, false);
	}
	x = hcl_new(p, X_TUPLE, from);
	while (!accept(p, "]")) {
		if ((item = hcl_expression(p)) == NULL)
			return NULL;
		hcl_add_part(p, x, item);
		if (accept(p, ","))
			continue;
		if (accept(p, "]"))
			break;
		return hcl_fail(p, hcl_next_char(p), "Missing item separator",
		    "Expected a comma to mark the beginning of the next item.");
	}
	p->quiet_newlines--;
	x->at = hcl_since(p, from);
	return x;
}

/* A bare name is its own text; (x) and anything else are evaluated. */
static struct hcl_expr *
object_key(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	bool parens = hcl_peek(p, 0) == '(';
	struct hcl_expr *x = hcl_expression(p);

	if (x == NULL)
		return NULL;
	if (x->kind == X_NAME && !parens)
		return literal(p, from, any_str(p->mem, x->name));
	x->in_parens = parens;
	return x;
}

static struct hcl_expr *
object_items(struct hcl_parser *p, struct hcl_mark from)
{
	struct hcl_expr *x = hcl_new(p, X_OBJECT, from), *key, *value;

	for (;;) {
		hcl_blank_lines(p);
		if (accept(p, "}"))
			break;
		if (hcl_peek(p, 0) == -1)
			return hcl_fail(p, hcl_since(p, from),
			    "Unterminated object constructor expression",
			    "There is no corresponding closing brace before the end of the file.");
		if ((key = object_key(p)) == NULL)
			return NULL;
		if (!accept(p, "=") && !accept(p, ":"))
			return hcl_fail(p, hcl_next_char(p), "Missing attribute value",
			    "Expected an attribute value, introduced by an equals sign (\"=\").");
		if ((value = hcl_expression(p)) == NULL)
			return NULL;
		if (x->n > 2 * HCL_ATTRS_MAX)
			return hcl_fail(p, key->at, "Object too large",
			    "An object may have %d attributes.", HCL_ATTRS_MAX);
		hcl_add_part(p, x, key);
		hcl_add_part(p, x, value);
		hcl_blanks(p);
		if (hcl_peek(p, 0) == '\n' || accept(p, ","))
			continue;
		if (accept(p, "}"))
			break;
		return hcl_fail(p, hcl_next_char(p), "Missing attribute separator",
		    "Expected a newline or comma to mark the beginning of the next attribute.");
	}
	x->at = hcl_since(p, from);
	return x;
}

static struct hcl_expr *
object(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	int quiet = p->quiet_newlines;
	struct hcl_expr *x;

	hcl_step(p, 1);
	hcl_blank_lines(p);
	if (accept_word(p, "for"))
		return for_expression(p, from, true);
	p->quiet_newlines = 0; /* newlines end items again, whatever is around */
	x = object_items(p, from);
	p->quiet_newlines = quiet;
	return x;
}

static struct hcl_expr *
parenthesis(struct hcl_parser *p)
{
	struct hcl_expr *x;

	hcl_step(p, 1);
	p->quiet_newlines++;
	if ((x = hcl_expression(p)) == NULL)
		return NULL;
	if (!accept(p, ")"))
		return hcl_fail(p, hcl_next_char(p), "Unbalanced parentheses",
		    "Expected a closing parenthesis to terminate the expression.");
	p->quiet_newlines--;
	return x;
}

static struct hcl_expr *
name_or_call(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	const char *name = hcl_identifier(p);
	struct hcl_expr *x;

	if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)
		return literal(p, from, any_bool(p->mem, name[0] == 't'));
	if (strcmp(name, "null") == 0)
		return literal(p, from, any_null(p->mem));
	if (hcl_peek(p, 0) == '(')
		return call(p, name, from);
	x = hcl_new(p, X_NAME, from);
	x->name = name;
	return x;
}

static struct hcl_expr *
term(struct hcl_parser *p)
{
	int c;

	hcl_blanks(p);
	c = hcl_peek(p, 0);
	if (digit(c))
		return number(p);
	if (hcl_ident_start(c))
		return name_or_call(p);
	switch (c) {
	case '"':
		return hcl_quoted(p);
	case '(':
		return parenthesis(p);
	case '[':
		return tuple(p);
	case '{':
		return object(p);
	case '<':
		if (hcl_peek(p, 1) == '<')
			return hcl_heredoc(p);
		break;
	default:
		break;
	}
	return hcl_fail(p, hcl_next_char(p), "Invalid expression",
	    "Expected the start of an expression, but found %s.",
	    c == -1	? "the end of the file"
	    : c == '\n' ? "the end of the line"
	    : c < 0x20	? "an invalid character"
			: arena_printf(p->mem, "\"%c\"", c));
}

/* --- what follows a term --- */

static struct hcl_expr *
attribute_of(struct hcl_parser *p, struct hcl_expr *of, struct hcl_mark from)
{
	struct hcl_expr *x;
	const char *name;

	if (digit(hcl_peek(p, 0))) { /* list.0, as in old files */
		x = hcl_new(p, X_INDEX, from);
		x->b = number(p);
	} else {
		x = hcl_new(p, X_ATTR, from);
		name = hcl_identifier(p);
		if (name == NULL)
			return hcl_fail(p, hcl_next_char(p), "Invalid attribute name",
			    "An attribute name is required after a dot.");
		x->name = name;
	}
	x->a = of;
	x->at = hcl_since(p, from);
	return x;
}

static struct hcl_expr *
index_of(struct hcl_parser *p, struct hcl_expr *of, struct hcl_mark from)
{
	struct hcl_expr *x = hcl_new(p, X_INDEX, from);

	p->quiet_newlines++;
	x->a = of;
	if ((x->b = hcl_expression(p)) == NULL)
		return NULL;
	if (!accept(p, "]"))
		return hcl_fail(p, hcl_next_char(p), "Missing close bracket on index",
		    "The index operator must end with a closing bracket (\"]\").");
	p->quiet_newlines--;
	x->at = hcl_since(p, from);
	return x;
}

static struct hcl_expr *postfix(
    struct hcl_parser *p, struct hcl_expr *x, struct hcl_mark from, bool attrs_only);

/* full: a[*].b[0], else a.*.b: indexes then apply to the whole result. */
static struct hcl_expr *
splat_of(struct hcl_parser *p, struct hcl_expr *of, struct hcl_mark from, bool full)
{
	struct hcl_expr *x = hcl_new(p, X_SPLAT, from), *item = hcl_new(p, X_ITEM, from);

	x->a = of;
	if (++p->depth > HCL_DEPTH_MAX)
		return hcl_fail(p, hcl_next_char(p), "Expression too deep",
		    "Expressions may nest %d levels.", HCL_DEPTH_MAX);
	if ((x->b = postfix(p, item, from, !full)) == NULL)
		return NULL;
	p->depth--;
	x->at = hcl_since(p, from);
	return x;
}

static bool
at_full_splat(const struct hcl_parser *p)
{
	return hcl_peek(p, 0) == '[' && hcl_peek(p, 1) == '*' && hcl_peek(p, 2) == ']';
}

static struct hcl_expr *
postfix(struct hcl_parser *p, struct hcl_expr *x, struct hcl_mark from, bool attrs_only)
{
	while (x != NULL && !p->failed) {
		if (hcl_peek(p, 0) == '.' && hcl_peek(p, 1) == '.')
			return x; /* the dots of f(list...) */
		if (hcl_peek(p, 0) == '.' && hcl_peek(p, 1) == '*' && !attrs_only) {
			hcl_step(p, 2);
			x = splat_of(p, x, from, false);
		} else if (hcl_peek(p, 0) == '.') {
			hcl_step(p, 1);
			x = attribute_of(p, x, from);
		} else if (at_full_splat(p) && !attrs_only) {
			hcl_step(p, 3);
			x = splat_of(p, x, from, true);
		} else if (hcl_peek(p, 0) == '[' && !attrs_only) {
			hcl_step(p, 1);
			x = index_of(p, x, from);
		} else
			return x;
	}
	return x;
}

/* --- operators --- */

static const struct {
	const char *text;
	enum hcl_op op;
	int level;
} operators[] = {
	{ "||", OP_OR, 1 },
	{ "&&", OP_AND, 2 },
	{ "==", OP_EQ, 3 },
	{ "!=", OP_NE, 3 },
	{ "<=", OP_LE, 4 },
	{ ">=", OP_GE, 4 },
	{ "<", OP_LT, 4 },
	{ ">", OP_GT, 4 },
	{ "+", OP_ADD, 5 },
	{ "-", OP_SUB, 5 },
	{ "*", OP_MUL, 6 },
	{ "/", OP_DIV, 6 },
	{ "%", OP_MOD, 6 },
};

static int
operator_here(struct hcl_parser *p)
{
	hcl_blanks(p);
	if (hcl_peek(p, 0) == '%' && hcl_peek(p, 1) == '{')
		return -1;
	for (size_t i = 0; i < NELEM(operators); i++) {
		size_t n = strlen(operators[i].text);

		if (p->src->len - p->at >= n &&
		    memcmp(p->src->text + p->at, operators[i].text, n) == 0)
			return (int)i;
	}
	return -1;
}

static struct hcl_expr *
unary(struct hcl_parser *p)
{
	struct hcl_mark from;
	struct hcl_expr *x;
	int c;

	hcl_blanks(p);
	from = hcl_here(p);
	c = hcl_peek(p, 0);
	if (c != '!' && c != '-')
		return postfix(p, term(p), from, false);
	if (++p->depth > HCL_DEPTH_MAX)
		return hcl_fail(p, hcl_next_char(p), "Expression too deep",
		    "Expressions may nest %d levels.", HCL_DEPTH_MAX);
	hcl_step(p, 1);
	x = hcl_new(p, X_UNARY, from);
	x->op = c == '!' ? OP_NOT : OP_NEG;
	x->a = unary(p);
	x->at = hcl_since(p, from);
	p->depth--;
	return x->a == NULL ? NULL : x;
}

static struct hcl_expr *
binary(struct hcl_parser *p, int level)
{
	struct hcl_mark from;
	struct hcl_expr *left, *x;
	int i;

	hcl_blanks(p);
	from = hcl_here(p);
	if ((left = unary(p)) == NULL)
		return NULL;
	while ((i = operator_here(p)) >= 0 && operators[i].level >= level) {
		hcl_step(p, strlen(operators[i].text));
		x = hcl_new(p, X_BINARY, from);
		x->op = operators[i].op;
		x->a = left;
		if ((x->b = binary(p, operators[i].level + 1)) == NULL)
			return NULL;
		x->at = hcl_since(p, from);
		left = x;
	}
	return left;
}

static struct hcl_expr *
conditional(struct hcl_parser *p)
{
	struct hcl_mark from;
	struct hcl_expr *when, *x;

	hcl_blanks(p);
	from = hcl_here(p);
	when = binary(p, 1);
	if (when == NULL || !accept(p, "?"))
		return when;
	x = hcl_new(p, X_COND, from);
	x->a = when;
	if ((x->b = hcl_expression(p)) == NULL)
		return NULL;
	if (!accept(p, ":"))
		return hcl_fail(p, hcl_next_char(p), "Missing false expression in conditional",
		    "The conditional operator (...?...:...) requires a false expression, delimited "
		    "by a colon.");
	if ((x->c = hcl_expression(p)) == NULL)
		return NULL;
	x->at = hcl_since(p, from);
	return x;
}

struct hcl_expr *
hcl_expression(struct hcl_parser *p)
{
	struct hcl_expr *x;

	if (p->failed)
		return NULL;
	if (++p->depth > HCL_DEPTH_MAX)
		return hcl_fail(p, hcl_next_char(p), "Expression too deep",
		    "Expressions may nest %d levels.", HCL_DEPTH_MAX);
	x = conditional(p);
	p->depth--;
	return p->failed ? NULL : x;
}

struct hcl_expr *
hcl_parse_expr(const struct hcl_source *src, struct arena *a, struct hcl_diags *d)
{
	struct hcl_parser p = {
		.src = src, .mem = a, .diags = d, .line = 1, .column = 1, .quiet_newlines = 1
	};
	struct hcl_expr *x = hcl_expression(&p);

	hcl_blanks(&p);
	if (x != NULL && p.at < src->len)
		return hcl_fail(&p, hcl_next_char(&p), "Extra characters after expression",
		    "An expression was successfully parsed, but extra characters were found after "
		    "it.");
	return x;
}
