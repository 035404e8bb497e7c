/*
 * hcl_func_text.c: functions on strings.
 */
#include "codec/hcl_ast.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4 << 20 }; /* bytes of a result */

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

static struct any *
text_result(struct hcl_call *c, const struct buf *b)
{
	if (b->len > TEXT_MAX)
		return hcl_fault(c, "the result is too long");
	return any_strn(c->mem, buf_str(b), b->len);
}

static struct any *
mapped(struct hcl_call *c, int (*convert)(int))
{
	const char *s = text_arg(c, 0);
	char *copy;

	if (s == NULL)
		return NULL;
	copy = arena_strdup(c->mem, s);
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p < 0x80)
			*p = (char)convert((unsigned char)*p);
	return any_str(c->mem, copy);
}

static struct any *
fn_lower(struct hcl_call *c)
{
	return mapped(c, tolower);
}

static struct any *
fn_upper(struct hcl_call *c)
{
	return mapped(c, toupper);
}

static struct any *
fn_title(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);
	char *copy;

	if (s == NULL)
		return NULL;
	copy = arena_strdup(c->mem, s);
	for (char *p = copy; *p != '\0'; p++)
		if (p == copy || isspace((unsigned char)p[-1]))
			*p = (char)toupper((unsigned char)*p);
	return any_str(c->mem, copy);
}

static struct any *
fn_chomp(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);
	size_t n = s == NULL ? 0 : strlen(s);

	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		n--;
	return s == NULL ? NULL : any_strn(c->mem, s, n);
}

static struct any *
fn_indent(struct hcl_call *c)
{
	struct any *n = hcl_to_number(c->mem, c->args[0]);
	const char *s = text_arg(c, 1);
	autobuf struct buf out = BUF_INIT;

	if (s == NULL)
		return NULL;
	if (any_type(n) != ANY_INT || n->i < 0 || n->i > 1000)
		return hcl_fault(c, "argument 1 must be a whole number from 0 to 1000");
	for (; *s != '\0'; s++) {
		buf_addc(&out, *s);
		for (int64_t i = 0; *s == '\n' && i < n->i; i++)
			buf_addc(&out, ' ');
		if (out.len > TEXT_MAX)
			break;
	}
	return text_result(c, &out);
}

static struct any *
fn_join(struct hcl_call *c)
{
	const char *sep = text_arg(c, 0);
	autobuf struct buf out = BUF_INIT;
	bool first = true;

	if (sep == NULL)
		return NULL;
	for (size_t i = 1; i < c->n; i++) {
		if (any_type(c->args[i]) != ANY_LIST)
			return hcl_fault(c, "argument %zu must be a list of strings", i + 1);
		for (size_t k = 0; k < c->args[i]->n && out.len <= TEXT_MAX; k++) {
			struct any *s = hcl_to_string(c->mem, c->args[i]->list[k]);

			if (s == NULL)
				return hcl_fault(
				    c, "element %zu of argument %zu is not a string", k, i + 1);
			if (!first)
				buf_adds(&out, sep);
			buf_adds(&out, s->s);
			first = false;
		}
	}
	return text_result(c, &out);
}

/* Bytes of the character at s. */
static size_t
char_len(const char *s)
{
	size_t n = 1;

	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static struct any *
fn_split(struct hcl_call *c)
{
	const char *sep = text_arg(c, 0), *s = text_arg(c, 1), *at;
	struct any *out = any_list(c->mem);

	if (sep == NULL || s == NULL)
		return NULL;
	if (*sep == '\0') {
		for (; *s != '\0'; s += char_len(s))
			any_append(c->mem, out, any_strn(c->mem, s, char_len(s)));
		return out;
	}
	while ((at = strstr(s, sep)) != NULL) {
		any_append(c->mem, out, any_strn(c->mem, s, (size_t)(at - s)));
		s = at + strlen(sep);
	}
	any_append(c->mem, out, any_str(c->mem, s));
	return out;
}

static struct any *
fn_replace(struct hcl_call *c)
{
	const char *s = text_arg(c, 0), *from = text_arg(c, 1), *to = text_arg(c, 2), *at;
	autobuf struct buf out = BUF_INIT;

	if (s == NULL || from == NULL || to == NULL)
		return NULL;
	if (*from == '\0')
		return any_str(c->mem, s);
	while ((at = strstr(s, from)) != NULL && out.len <= TEXT_MAX) {
		buf_add(&out, s, (size_t)(at - s));
		buf_adds(&out, to);
		s = at + strlen(from);
	}
	buf_adds(&out, s);
	return text_result(c, &out);
}

static struct any *
fn_reverse(struct hcl_call *c)
{
	autobuf struct buf out = BUF_INIT;
	struct any *list;
	const char *s;
	size_t end, n;

	if (any_type(c->args[0]) == ANY_LIST) {
		list = any_list(c->mem);
		for (size_t i = c->args[0]->n; i > 0; i--)
			any_append(c->mem, list, c->args[0]->list[i - 1]);
		return list;
	}
	if ((s = text_arg(c, 0)) == NULL)
		return NULL;
	for (end = strlen(s); end > 0; end -= n) {
		n = 1;
		while (n < end && ((unsigned char)s[end - n] & 0xc0) == 0x80)
			n++;
		buf_add(&out, s + end - n, n);
	}
	return text_result(c, &out);
}

static struct any *
fn_strlen(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);
	int64_t n = 0;

	if (s == NULL)
		return NULL;
	for (; *s != '\0'; s += char_len(s))
		n++;
	return any_int(c->mem, n);
}

static struct any *
fn_substr(struct hcl_call *c)
{
	struct any *from = hcl_to_number(c->mem, c->args[1]),
		   *len = hcl_to_number(c->mem, c->args[2]);
	const char *s = text_arg(c, 0), *end;
	int64_t total = 0, skip, take_n;

	if (s == NULL)
		return NULL;
	if (any_type(from) != ANY_INT || any_type(len) != ANY_INT)
		return hcl_fault(c, "offset and length must be whole numbers");
	for (const char *p = s; *p != '\0'; p += char_len(p))
		total++;
	skip = from->i < 0 ? (from->i < -total ? 0 : total + from->i) : from->i;
	take_n = len->i < 0 || len->i > total ? total : len->i;
	for (; skip > 0 && *s != '\0'; skip--)
		s += char_len(s);
	for (end = s; take_n > 0 && *end != '\0'; take_n--)
		end += char_len(end);
	return any_strn(c->mem, s, (size_t)(end - s));
}

static struct any *
trimmed(struct hcl_call *c, const char *s, const char *set)
{
	size_t n;

	s += strspn(s, set);
	n = strlen(s);
	while (n > 0 && strchr(set, s[n - 1]) != NULL)
		n--;
	return any_strn(c->mem, s, n);
}

static struct any *
fn_trim(struct hcl_call *c)
{
	const char *s = text_arg(c, 0), *set = text_arg(c, 1);

	return s == NULL || set == NULL ? NULL : trimmed(c, s, set);
}

static struct any *
fn_trimspace(struct hcl_call *c)
{
	const char *s = text_arg(c, 0);

	return s == NULL ? NULL : trimmed(c, s, " \t\r\n\v\f");
}

static struct any *
fn_trimprefix(struct hcl_call *c)
{
	const char *s = text_arg(c, 0), *prefix = text_arg(c, 1);

	if (s == NULL || prefix == NULL)
		return NULL;
	return any_str(c->mem, strncmp(s, prefix, strlen(prefix)) == 0 ? s + strlen(prefix) : s);
}

static struct any *
fn_trimsuffix(struct hcl_call *c)
{
	const char *s = text_arg(c, 0), *suffix = text_arg(c, 1);
	size_t n, k;

	if (s == NULL || suffix == NULL)
		return NULL;
	n = strlen(s), k = strlen(suffix);
	return any_strn(c->mem, s, n >= k && strcmp(s + n - k, suffix) == 0 ? n - k : n);
}

/* --- format --- */

struct spec {
	char flags[8], verb;
	int width, precision; /* -1: none */
	int arg;	      /* [n], 0: the next */
};

/* After the '%'; NULL: malformed. */
static const char *
read_spec(const char *s, struct spec *o)
{
	size_t n = 0;

	*o = (struct spec){ .width = -1, .precision = -1 };
	while (*s != '\0' && strchr("-+ #0", *s) != NULL && n < sizeof(o->flags) - 1)
		o->flags[n++] = *s++;
	if (*s == '[') {
		o->arg = (int)strtol(s + 1, (char **)&s, 10);
		if (*s++ != ']' || o->arg < 1)
			return NULL;
	}
	if (isdigit((unsigned char)*s))
		o->width = (int)strtol(s, (char **)&s, 10);
	if (*s == '.')
		o->precision = (int)strtol(s + 1, (char **)&s, 10);
	if (*s == '\0' || o->width > 1000 || o->precision > 1000)
		return NULL;
	o->verb = *s;
	return s + 1;
}

/* Pads with blanks on the side that the flags say. */
static void
add_padded(struct buf *out, const struct spec *o, const char *text)
{
	int width = 0;

	for (const char *p = text; *p != '\0'; p += char_len(p))
		width++;
	if (strchr(o->flags, '-') == NULL)
		for (int i = width; i < o->width; i++)
			buf_addc(out, ' ');
	buf_adds(out, text);
	if (strchr(o->flags, '-') != NULL)
		for (int i = width; i < o->width; i++)
			buf_addc(out, ' ');
}

static bool
add_number(struct hcl_call *c, struct buf *out, const struct spec *o, struct any *v)
{
	struct any *n = hcl_to_number(c->mem, v);
	char width[16] = "", precision[16] = "";
	double d = 0;
	const char *fmt;

	if (n == NULL) {
		hcl_fault(c, "unsupported value for \"%%%c\": a number is required", o->verb);
		return false;
	}
	(void)any_number(n, &d);
	if (o->width >= 0)
		(void)snprintf(width, sizeof(width), "%d", o->width);
	if (o->precision >= 0)
		(void)snprintf(precision, sizeof(precision), ".%d", o->precision);
	if (strchr("eEfgG", o->verb) != NULL) {
		fmt = arena_printf(c->mem, "%%%s%s%s%c", o->flags, width, precision, o->verb);
		buf_addf(out, fmt, d);
		return true;
	}
	int64_t i = n->type == ANY_INT ? n->i : d >= -9.2e18 && d <= 9.2e18 ? (int64_t)d : 0;

	if (o->verb == 'b') {
		char bits[70];
		size_t at = sizeof(bits) - 1;
		uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

		bits[at] = '\0';
		do
			bits[--at] = (char)('0' + (u & 1));
		while ((u >>= 1) != 0);
		if (i < 0)
			bits[--at] = '-';
		add_padded(out, o, bits + at);
		return true;
	}
	fmt = arena_printf(c->mem, "%%%s%s%sll%c", o->flags, width, precision, o->verb);
	buf_addf(out, fmt, (long long)i);
	return true;
}

static void
add_json(struct buf *out, const struct any *v)
{
	struct jsonw w = JSONW_INIT(out);

	any_to_json(v, &w);
}

static bool
add_verb(struct hcl_call *c, struct buf *out, const struct spec *o, struct any *v)
{
	autobuf struct buf text = BUF_INIT;
	const char *s = any_scalar_text(v, c->mem);

	if (strchr("doxXbeEfgG", o->verb) != NULL)
		return add_number(c, out, o, v);
	switch (o->verb) {
	case 'v':
		if (strchr(o->flags, '#') != NULL || s == NULL)
			add_json(&text, v);
		else
			buf_adds(&text, s);
		break;
	case 't':
		if ((v = hcl_to_bool(c->mem, v)) == NULL) {
			hcl_fault(c, "unsupported value for \"%%t\": a bool is required");
			return false;
		}
		buf_adds(&text, v->b ? "true" : "false");
		break;
	case 's':
	case 'q':
		if (s == NULL) {
			hcl_fault(
			    c, "unsupported value for \"%%%c\": a string is required", o->verb);
			return false;
		}
		if (o->verb == 'q')
			add_json(&text, any_str(c->mem, s));
		else if (o->precision >= 0)
			buf_addf(&text, "%.*s", o->precision, s);
		else
			buf_adds(&text, s);
		break;
	default:
		hcl_fault(c, "unsupported format verb '%c'", o->verb);
		return false;
	}
	add_padded(out, o, buf_str(&text));
	return true;
}

static bool
format_into(struct hcl_call *c, struct buf *out, struct any *const *args, size_t n)
{
	const char *s = text_arg(c, 0);
	size_t next = 1, used = 0;
	struct spec o;

	if (s == NULL)
		return false;
	while (*s != '\0') {
		if (*s != '%') {
			buf_addc(out, *s++);
			continue;
		}
		if (s[1] == '%') {
			buf_addc(out, '%');
			s += 2;
			continue;
		}
		if ((s = read_spec(s + 1, &o)) == NULL) {
			hcl_fault(c, "malformed format string");
			return false;
		}
		if (o.arg > 0)
			next = (size_t)o.arg;
		if (next >= n) {
			hcl_fault(c, "not enough arguments for \"%%%c\"", o.verb);
			return false;
		}
		if (!add_verb(c, out, &o, args[next++]))
			return false;
		used = next > used ? next : used;
	}
	if (used < n && n > 1 && next == used) {
		hcl_fault(c, "too many arguments; only %zu used by format string",
		    used > 0 ? used - 1 : 0);
		return false;
	}
	return true;
}

static struct any *
fn_format(struct hcl_call *c)
{
	autobuf struct buf out = BUF_INIT;

	return format_into(c, &out, c->args, c->n) ? text_result(c, &out) : NULL;
}

static struct any *
fn_formatlist(struct hcl_call *c)
{
	struct any *out = any_list(c->mem), **args = arena_array(c->mem, c->n + 1, struct any *);
	size_t n = SIZE_MAX;

	for (size_t i = 1; i < c->n; i++)
		if (any_type(c->args[i]) == ANY_LIST) {
			if (n != SIZE_MAX && n != c->args[i]->n)
				return hcl_fault(c, "the lists must have the same length");
			n = c->args[i]->n;
		}
	for (size_t k = 0; k < (n == SIZE_MAX ? 1 : n); k++) {
		autobuf struct buf one = BUF_INIT;

		for (size_t i = 0; i < c->n; i++)
			args[i] = i > 0 && any_type(c->args[i]) == ANY_LIST ? c->args[i]->list[k]
									    : c->args[i];
		if (!format_into(c, &one, args, c->n))
			return NULL;
		any_append(c->mem, out, any_strn(c->mem, buf_str(&one), one.len));
	}
	return out;
}

/* --- regular expressions --- */

/* RE2's classes in POSIX's words; what POSIX cannot say is refused. */
static bool
to_posix(struct hcl_call *c, const char *s, struct buf *out)
{
	static const struct {
		char letter;
		const char *inside, *alone;
	} classes[] = { { 'd', "0-9", "[0-9]" }, { 'w', "[:alnum:]_", "[[:alnum:]_]" },
		{ 's', "[:space:]", "[[:space:]]" }, { 'D', NULL, "[^0-9]" },
		{ 'W', NULL, "[^[:alnum:]_]" }, { 'S', NULL, "[^[:space:]]" }, { 'n', "\n", "\n" },
		{ 't', "\t", "\t" } };
	bool in_set = false;

	for (; *s != '\0'; s++) {
		const char *as = NULL;

		if ((s[0] == '(' && s[1] == '?' && s[2] != ':') ||
		    (!in_set && strchr("*+?}", s[0]) != NULL && s[1] == '?')) {
			hcl_fault(c, "groups with (?…) and lazy repetition (*?) are not supported");
			return false;
		}
		if (s[0] == '(' &&
		    s[1] == '?') { /* (?: groups without remembering; the numbers shift */
			hcl_fault(c, "groups with (?:…) are not supported");
			return false;
		}
		if (*s == '[' && !in_set)
			in_set = true;
		else if (*s == ']')
			in_set = false;
		if (*s != '\\' || s[1] == '\0') {
			buf_addc(out, *s);
			continue;
		}
		s++;
		for (size_t i = 0; i < NELEM(classes); i++)
			if (classes[i].letter == *s)
				as = in_set ? classes[i].inside : classes[i].alone;
		if (as != NULL)
			buf_adds(out, as);
		else if (isalnum((unsigned char)*s)) {
			hcl_fault(c, "\\%c is not supported in regular expressions", *s);
			return false;
		} else {
			if (!in_set)
				buf_addc(out, '\\');
			buf_addc(out, *s);
		}
	}
	return true;
}

/* "$1", "${1}", "$$" in the replacement. */
static void
add_replacement(struct buf *out, const char *to, const char *s, const regmatch_t *m, size_t n)
{
	for (; *to != '\0'; to++) {
		bool brace = to[0] == '$' && to[1] == '{';
		const char *digits = to + 1 + brace;
		size_t i;

		if (*to == '$' && to[1] == '$') {
			buf_addc(out, '$');
			to++;
			continue;
		}
		if (*to != '$' || !isdigit((unsigned char)*digits)) {
			buf_addc(out, *to);
			continue;
		}
		i = strtoul(digits, (char **)&to, 10);
		if (!brace)
			to--;
		if (i < n && m[i].rm_so >= 0)
			buf_add(out, s + m[i].rm_so, (size_t)(m[i].rm_eo - m[i].rm_so));
		if (*to == '\0')
			return;
	}
}

static struct any *
fn_regex_replace(struct hcl_call *c)
{
	const char *s = text_arg(c, 0), *pattern = text_arg(c, 1), *to = text_arg(c, 2);
	autobuf struct buf posix = BUF_INIT, out = BUF_INIT;
	regmatch_t m[10];
	regex_t re;

	if (s == NULL || pattern == NULL || to == NULL || !to_posix(c, pattern, &posix))
		return NULL;
	if (strlen(pattern) > 200 || strlen(s) > 65536)
		return hcl_fault(c, "the pattern may have 200 bytes and the text 65536");
	if (regcomp(&re, buf_str(&posix), REG_EXTENDED) != 0)
		return hcl_fault(c, "\"%.80s\" is no valid regular expression", pattern);
	for (int flags = 0; out.len <= TEXT_MAX && regexec(&re, s, NELEM(m), m, flags) == 0;
	     flags = REG_NOTBOL) {
		buf_add(&out, s, (size_t)m[0].rm_so);
		add_replacement(&out, to, s, m, NELEM(m));
		s += m[0].rm_eo;
		if (m[0].rm_eo == m[0].rm_so) {
			if (*s == '\0')
				break;
			buf_addc(&out, *s++);
		}
	}
	buf_adds(&out, s);
	regfree(&re);
	return text_result(c, &out);
}

const struct hcl_function hcl_text_functions[] = {
	{ "chomp", 1, 1, fn_chomp },
	{ "format", 1, -1, fn_format },
	{ "formatlist", 1, -1, fn_formatlist },
	{ "indent", 2, 2, fn_indent },
	{ "join", 2, -1, fn_join },
	{ "lower", 1, 1, fn_lower },
	{ "regex_replace", 3, 3, fn_regex_replace },
	{ "replace", 3, 3, fn_replace },
	{ "reverse", 1, 1, fn_reverse },
	{ "split", 2, 2, fn_split },
	{ "strlen", 1, 1, fn_strlen },
	{ "strrev", 1, 1, fn_reverse },
	{ "substr", 3, 3, fn_substr },
	{ "title", 1, 1, fn_title },
	{ "trim", 2, 2, fn_trim },
	{ "trimprefix", 2, 2, fn_trimprefix },
	{ "trimspace", 1, 1, fn_trimspace },
	{ "trimsuffix", 2, 2, fn_trimsuffix },
	{ "upper", 1, 1, fn_upper },
	{ NULL, 0, 0, NULL },
};
