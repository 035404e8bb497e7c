/*
 * hcl_template.c: quoted texts and heredocs, with ${…} and %{…} inside.
 *
 * First a flat list of pieces (text, interpolation, directive), then blanks are trimmed where ~
 * asks for it, then directives become a tree.
 */
#include "codec/hcl_ast.h"

#include <string.h>

enum piece_kind { P_TEXT, P_VALUE, P_IF, P_ELSE, P_ENDIF, P_FOR, P_ENDFOR };

struct piece {
	enum piece_kind kind;
	struct hcl_expr *x; /* the value; of P_FOR the loop without its body */
	struct hcl_range at;
	char *text;
	size_t len;
	bool trim_left, trim_right;
};

struct pieces {
	struct piece *at;
	size_t n;
};

static struct piece *
add_piece(struct hcl_parser *p, struct pieces *l, enum piece_kind kind)
{
	l->at = arena_grown(p->mem, l->at, l->n, sizeof(*l->at));
	l->at[l->n] = (struct piece){ .kind = kind, .at = hcl_since(p, hcl_here(p)) };
	return &l->at[l->n++];
}

static void
add_text(struct hcl_parser *p, struct pieces *l, const struct buf *text)
{
	struct piece *t;

	if (text->len == 0)
		return;
	t = add_piece(p, l, P_TEXT);
	t->text = arena_strndup(p->mem, text->data, text->len);
	t->len = text->len;
}

/* At "}" or "~}". */
static bool
sequence_end(struct hcl_parser *p, struct piece *t, struct hcl_mark from)
{
	hcl_blanks(p);
	t->trim_right = hcl_peek(p, 0) == '~' && hcl_peek(p, 1) == '}';
	if (t->trim_right)
		hcl_step(p, 1);
	if (hcl_peek(p, 0) != '}') {
		hcl_fail(p, hcl_since(p, from), "Invalid template sequence",
		    "Expected a closing brace to end this template sequence.");
		return false;
	}
	hcl_step(p, 1);
	t->at = hcl_since(p, from);
	return true;
}

static bool
directive(struct hcl_parser *p, struct piece *t, struct hcl_mark from)
{
	const char *word;

	hcl_blanks(p);
	word = hcl_identifier(p);
	if (word != NULL && strcmp(word, "if") == 0) {
		t->kind = P_IF;
		t->x = hcl_expression(p);
		return t->x != NULL;
	}
	if (word != NULL && strcmp(word, "for") == 0) {
		t->kind = P_FOR;
		t->x = hcl_new(p, X_FOR, from);
		t->x->is_text = true;
		return hcl_for_intro(p, t->x);
	}
	if (word != NULL && strcmp(word, "else") == 0)
		t->kind = P_ELSE;
	else if (word != NULL && strcmp(word, "endif") == 0)
		t->kind = P_ENDIF;
	else if (word != NULL && strcmp(word, "endfor") == 0)
		t->kind = P_ENDFOR;
	else {
		hcl_fail(p, hcl_since(p, from), "Invalid template directive",
		    "A template directive is one of if, else, endif, for, endfor.");
		return false;
	}
	return true;
}

/* At "${" or "%{". */
static bool
sequence(struct hcl_parser *p, struct pieces *l)
{
	struct hcl_mark from = hcl_here(p);
	bool value = hcl_peek(p, 0) == '$';
	struct piece t = { .kind = P_VALUE };

	hcl_step(p, 2);
	if (hcl_peek(p, 0) == '~') {
		t.trim_left = true;
		hcl_step(p, 1);
	}
	p->quiet_newlines++;
	if (value ? (t.x = hcl_expression(p)) == NULL : !directive(p, &t, from))
		return false;
	if (!sequence_end(p, &t, from))
		return false;
	p->quiet_newlines--;
	*add_piece(p, l, t.kind) = t;
	return true;
}

static bool
add_unicode(struct hcl_parser *p, struct buf *out, size_t digits)
{
	uint32_t c = 0;

	for (size_t i = 0; i < digits; i++) {
		int d = hcl_peek(p, 2 + i);

		if (d >= '0' && d <= '9')
			c = c << 4 | (uint32_t)(d - '0');
		else if ((d | 0x20) >= 'a' && (d | 0x20) <= 'f')
			c = c << 4 | (uint32_t)((d | 0x20) - 'a' + 10);
		else
			return false;
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return false;
	if (c < 0x80)
		buf_addc(out, (char)c);
	else if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | c >> 6));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_addc(out, (char)(0xe0 | c >> 12));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_addc(out, (char)(0xf0 | c >> 18));
		buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (c & 0x3f)));
	}
	hcl_step(p, 2 + digits);
	return true;
}

/* At a backslash. */
static bool
escape(struct hcl_parser *p, struct buf *out)
{
	static const char from[] = "nrt\"\\", to[] = "\n\r\t\"\\";
	int c = hcl_peek(p, 1);
	const char *at = c > 0 ? strchr(from, c) : NULL;
	struct hcl_mark here = hcl_here(p);

	if (at != NULL) {
		buf_addc(out, to[at - from]);
		hcl_step(p, 2);
		return true;
	}
	if ((c == 'u' && add_unicode(p, out, 4)) || (c == 'U' && add_unicode(p, out, 8)))
		return true;
	hcl_step(p, 2);
	hcl_fail(p, hcl_since(p, here), "Invalid escape sequence",
	    "The escapes are \\n, \\r, \\t, \\\", \\\\, \\uNNNN and \\UNNNNNNNN.");
	return false;
}

/* "$${" and "%%{" stand for "${" and "%{". */
static bool
escaped_sequence(const struct hcl_parser *p)
{
	int c = hcl_peek(p, 0);

	return (c == '$' || c == '%') && hcl_peek(p, 1) == c && hcl_peek(p, 2) == '{';
}

static bool
starts_sequence(const struct hcl_parser *p)
{
	return (hcl_peek(p, 0) == '$' || hcl_peek(p, 0) == '%') && hcl_peek(p, 1) == '{';
}

static bool
quoted_pieces(struct hcl_parser *p, struct pieces *l)
{
	struct hcl_mark from = hcl_here(p);
	autobuf struct buf text = BUF_INIT;

	hcl_step(p, 1);
	for (;;) {
		int c = hcl_peek(p, 0);

		if (c == '"')
			break;
		if (c == -1 || c == '\n') {
			hcl_fail(p, hcl_since(p, from),
			    c == -1 ? "Unterminated template string" : "Invalid multi-line string",
			    "A quoted text must end on its line; a longer one is written as a "
			    "heredoc (<<EOF).");
			return false;
		}
		if (c == '\\') {
			if (!escape(p, &text))
				return false;
		} else if (escaped_sequence(p)) {
			buf_addc(&text, (char)c);
			buf_addc(&text, '{');
			hcl_step(p, 3);
		} else if (starts_sequence(p)) {
			add_text(p, l, &text);
			buf_reset(&text);
			if (!sequence(p, l))
				return false;
		} else {
			buf_addc(&text, (char)c);
			hcl_step(p, 1);
		}
	}
	add_text(p, l, &text);
	hcl_step(p, 1);
	return true;
}

const char *
hcl_plain_quoted(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	struct pieces l = { 0 };

	if (!quoted_pieces(p, &l))
		return NULL;
	if (l.n == 0)
		return "";
	if (l.n > 1 || l.at[0].kind != P_TEXT)
		return hcl_fail(p, hcl_since(p, from), "Invalid string literal",
		    "Template sequences are not allowed in this string.");
	return l.at[0].text;
}

/* --- blanks --- */

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
trim_pieces(struct pieces *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct piece *t = &l->at[i];

		if (t->kind != P_TEXT)
			continue;
		if (i + 1 < l->n && l->at[i + 1].trim_left)
			while (t->len > 0 && blank(t->text[t->len - 1]))
				t->len--;
		if (i > 0 && l->at[i - 1].trim_right)
			while (t->len > 0 && blank(t->text[0])) {
				t->text++;
				t->len--;
			}
	}
}

/* Calls fn for each beginning of a line inside the texts; returns when all were seen. */
static size_t
line_blanks(const struct piece *t, size_t at)
{
	size_t n = 0;

	while (at + n < t->len && (t->text[at + n] == ' ' || t->text[at + n] == '\t'))
		n++;
	return n;
}

static size_t
least_indent(const struct pieces *l)
{
	size_t least = SIZE_MAX;
	bool start = true; /* a line begins here */

	for (size_t i = 0; i < l->n; i++) {
		const struct piece *t = &l->at[i];

		if (t->kind != P_TEXT) {
			if (start)
				least = 0;
			start = false;
			continue;
		}
		for (size_t at = 0; at < t->len;) {
			const char *nl = memchr(t->text + at, '\n', t->len - at);
			size_t n = line_blanks(t, at);

			if (start &&
			    !(at + n < t->len &&
				(t->text[at + n] == '\n' || t->text[at + n] == '\r')) &&
			    n < least)
				least = n;
			start = nl != NULL;
			at = nl != NULL ? (size_t)(nl - t->text) + 1 : t->len;
		}
	}
	return least == SIZE_MAX ? 0 : least;
}

static void
cut_indent(struct hcl_parser *p, struct pieces *l)
{
	size_t least = least_indent(l);
	bool start = true;

	for (size_t i = 0; least > 0 && i < l->n; i++) {
		struct piece *t = &l->at[i];
		autobuf struct buf out = BUF_INIT;

		if (t->kind != P_TEXT) {
			start = false;
			continue;
		}
		for (size_t at = 0; at < t->len;) {
			const char *nl = memchr(t->text + at, '\n', t->len - at);
			size_t end = nl != NULL ? (size_t)(nl - t->text) + 1 : t->len,
			       n = line_blanks(t, at);

			if (start)
				at += n < least ? n : least;
			buf_add(&out, t->text + at, end - at);
			start = nl != NULL;
			at = end;
		}
		t->text = arena_strndup(p->mem, buf_str(&out), out.len);
		t->len = out.len;
	}
}

/* --- the tree --- */

struct builder {
	struct hcl_parser *p;
	struct pieces *l;
	size_t at;
	int depth;
};

static struct hcl_expr *build_until_end(
    struct builder *b, struct hcl_mark from, const struct piece *open);

static struct hcl_expr *
empty_template(struct builder *b, const struct hcl_range *at)
{
	struct hcl_expr *x = hcl_new(b->p, X_TEMPLATE, hcl_here(b->p));

	x->at = *at;
	return x;
}

static struct hcl_expr *
build_if(struct builder *b, struct hcl_mark from, const struct piece *open)
{
	struct hcl_expr *x = hcl_new(b->p, X_COND, from);

	x->at = open->at;
	x->is_text = true;
	x->a = open->x;
	if ((x->b = build_until_end(b, from, open)) == NULL)
		return NULL;
	if (b->l->at[b->at].kind == P_ELSE) {
		b->at++;
		if ((x->c = build_until_end(b, from, open)) == NULL)
			return NULL;
	} else
		x->c = empty_template(b, &open->at);
	if (b->l->at[b->at].kind != P_ENDIF)
		return hcl_fail(
		    b->p, b->l->at[b->at].at, "Unexpected directive", "Expected endif here.");
	b->at++;
	return x;
}

static struct hcl_expr *
build_for(struct builder *b, struct hcl_mark from, const struct piece *open)
{
	struct hcl_expr *x = open->x;

	x->at = open->at;
	if ((x->b = build_until_end(b, from, open)) == NULL)
		return NULL;
	if (b->l->at[b->at].kind != P_ENDFOR)
		return hcl_fail(
		    b->p, b->l->at[b->at].at, "Unexpected directive", "Expected endfor here.");
	b->at++;
	return x;
}

/* Up to the piece that ends or divides the directive `open` (not consumed); NULL: to the end. */
static struct hcl_expr *
build_until_end(struct builder *b, struct hcl_mark from, const struct piece *open)
{
	struct hcl_expr *x = hcl_new(b->p, X_TEMPLATE, from), *part;

	if (++b->depth > HCL_DEPTH_MAX)
		return hcl_fail(b->p, hcl_since(b->p, from), "Template too deep",
		    "Directives may nest %d levels.", HCL_DEPTH_MAX);
	while (b->at < b->l->n) {
		const struct piece *t = &b->l->at[b->at];

		if (t->kind == P_ELSE || t->kind == P_ENDIF || t->kind == P_ENDFOR) {
			if (open == NULL)
				return hcl_fail(b->p, t->at, "Unexpected directive",
				    "There is no open if or for that this would belong to.");
			b->depth--;
			return x;
		}
		b->at++;
		if (t->kind == P_TEXT) {
			part = hcl_new(b->p, X_LITERAL, from);
			part->value = any_strn(b->p->mem, t->text, t->len);
		} else if (t->kind == P_VALUE)
			part = t->x;
		else
			part = t->kind == P_IF ? build_if(b, from, t) : build_for(b, from, t);
		if (part == NULL)
			return NULL;
		hcl_add_part(b->p, x, part);
	}
	if (open != NULL)
		return hcl_fail(b->p, open->at, "Unterminated template directive",
		    "There is no matching %s for this.", open->kind == P_IF ? "endif" : "endfor");
	b->depth--;
	return x;
}

static struct hcl_expr *
finish(struct hcl_parser *p, struct pieces *l, struct hcl_mark from)
{
	struct builder b = { .p = p, .l = l };
	struct hcl_expr *x;

	if (p->failed || (x = build_until_end(&b, from, NULL)) == NULL)
		return NULL;
	x->at = hcl_since(p, from);
	x->wrapped = l->n == 1 && l->at[0].kind == P_VALUE;
	return x;
}

struct hcl_expr *
hcl_quoted(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	int quiet = p->quiet_newlines;
	struct pieces l = { 0 };
	struct hcl_expr *x;

	if (!quoted_pieces(p, &l))
		return NULL;
	trim_pieces(&l);
	x = finish(p, &l, from);
	p->quiet_newlines = quiet;
	return x;
}

/* --- heredocs --- */

/* At the beginning of a line: is it the end marker, alone? Gives how many bytes it takes. */
static size_t
end_marker(const struct hcl_parser *p, const char *marker)
{
	size_t n = 0, len = strlen(marker);

	while (hcl_peek(p, n) == ' ' || hcl_peek(p, n) == '\t')
		n++;
	if (p->src->len - p->at < n + len || memcmp(p->src->text + p->at + n, marker, len) != 0)
		return 0;
	n += len;
	if (hcl_peek(p, n) == '\r' && hcl_peek(p, n + 1) == '\n')
		return n;
	return hcl_peek(p, n) == '\n' || hcl_peek(p, n) == -1 ? n : 0;
}

static bool
heredoc_pieces(struct hcl_parser *p, struct pieces *l, const char *marker, struct hcl_mark from)
{
	autobuf struct buf text = BUF_INIT;
	bool line_start = true;
	size_t n;

	for (;;) {
		int c = hcl_peek(p, 0);

		if (line_start && (n = end_marker(p, marker)) > 0) {
			hcl_step(p, n);
			add_text(p, l, &text);
			return true;
		}
		line_start = false;
		if (c == -1) {
			hcl_fail(p, hcl_since(p, from), "Unterminated heredoc",
			    "There is no line with \"%s\" alone to end this text.", marker);
			return false;
		}
		if (escaped_sequence(p)) {
			buf_addc(&text, (char)c);
			buf_addc(&text, '{');
			hcl_step(p, 3);
		} else if (starts_sequence(p)) {
			add_text(p, l, &text);
			buf_reset(&text);
			if (!sequence(p, l))
				return false;
		} else {
			line_start = c == '\n';
			buf_addc(&text, (char)c);
			hcl_step(p, 1);
		}
	}
}

struct hcl_expr *
hcl_heredoc(struct hcl_parser *p)
{
	struct hcl_mark from = hcl_here(p);
	int quiet = p->quiet_newlines;
	struct pieces l = { 0 };
	struct hcl_expr *x;
	const char *marker;
	bool indented;

	hcl_step(p, 2);
	indented = hcl_peek(p, 0) == '-';
	if (indented)
		hcl_step(p, 1);
	marker = hcl_identifier(p);
	if (hcl_peek(p, 0) == '\r')
		hcl_step(p, 1);
	if (marker == NULL || hcl_peek(p, 0) != '\n')
		return hcl_fail(p, hcl_since(p, from), "Invalid heredoc",
		    "After << or <<- comes a name, and then the line ends.");
	hcl_step(p, 1);
	if (!heredoc_pieces(p, &l, marker, from))
		return NULL;
	trim_pieces(&l);
	if (indented)
		cut_indent(p, &l);
	x = finish(p, &l, from);
	if (x != NULL)
		x->wrapped = false;
	p->quiet_newlines = quiet;
	return x;
}
