/* regex.c: which regular expressions are let through to the proxy. The proxy refuses its whole
 * configuration for one malformed expression, so this is stricter than either library. */
#include "ingress/rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS_DEEP = 32, REPEAT_MAX = 1000 };

struct re {
	const char *text, *p;
	int depth;
	struct err *e;
};

static int
bad(struct re *r, const char *what)
{
	return err_new(r->e, ERR_INPUT, "regular expression `%s`: %s at column %td", r->text, what,
	    r->p - r->text + 1);
}

/* After the backslash. */
static int
escape(struct re *r, bool in_class)
{
	char c = *r->p;

	if (c == '\0')
		return bad(r, "nothing follows the backslash");
	if (c == 'x') {
		if (!isxdigit((unsigned char)r->p[1]) || !isxdigit((unsigned char)r->p[2]) ||
		    (r->p[1] == '0' && r->p[2] == '0'))
			return bad(r, "\\x needs two hex digits that are not 00");
		r->p += 3;
		return 0;
	}
	if (isdigit((unsigned char)c))
		return bad(r, "back references are not supported");
	if (isalpha((unsigned char)c) &&
	    strchr(in_class ? "dDwWsStnrfv" : "dDwWsStnrfvbBAz", c) == NULL)
		return bad(r, "this escape is not supported");
	if ((unsigned char)c >= 0x80)
		return bad(r, "only ASCII can be escaped");
	r->p++;
	return 0;
}

static int class(struct re *r)
{
	r->p++; /* [ */
	if (*r->p == '^')
		r->p++;
	for (bool first = true;; first = false) {
		char c = *r->p;
		if (c == '\0')
			return bad(r, "the class is not closed by ]");
		if (c == ']' && !first)
			break;
		if (c == ']')
			return bad(r, "an empty class; write \\] for a bracket");
		if (c == '[') {
			/* [:alpha:] would be fine, but nobody has needed it */
			return bad(r, "write \\[ for a bracket in a class");
		}
		r->p++;
		if (c == '\\' && escape(r, true) < 0)
			return -1;
		if (*r->p != '-' || r->p[1] == ']')
			continue;
		/* a range: plain ends in ascending order only */
		unsigned char from = (unsigned char)c, to = (unsigned char)r->p[1];
		if (c == '\\' || !isalnum(from) || !isalnum(to) || to < from)
			return bad(r, "a range needs two letters or digits in order");
		r->p += 2;
	}
	r->p++;
	return 0;
}

/* {2}, {2,}, {2,5} after an atom. */
static int
counted(struct re *r)
{
	char *after;

	unsigned long least = strtoul(r->p + 1, &after, 10), most = least;
	if (after == r->p + 1 || !isdigit((unsigned char)r->p[1]))
		return bad(r, "write \\{ for a brace");
	if (*after == ',') {
		const char *from = ++after;
		most = *after == '}' ? least : strtoul(from, &after, 10);
		if (*from != '}' && !isdigit((unsigned char)*from))
			return bad(r, "malformed count in braces");
	}
	if (*after != '}' || most < least || most > REPEAT_MAX)
		return bad(r, "malformed count in braces (at most 1000)");
	r->p = after + 1;
	return 0;
}

static int
repeat(struct re *r)
{
	if (*r->p == '*' || *r->p == '+' || *r->p == '?')
		r->p++;
	else if (*r->p == '{') {
		if (counted(r) < 0)
			return -1;
	} else
		return 0;
	if (*r->p == '?') /* lazy */
		r->p++;
	if (*r->p == '*' || *r->p == '+' || *r->p == '?' || *r->p == '{')
		return bad(r, "nothing to repeat");
	return 0;
}

static int alternatives(struct re *r);

static int
group(struct re *r)
{
	r->p++;
	if (*r->p == '?') {
		if (r->p[1] == ':')
			r->p += 2;
		else if (r->p[1] == 'i' && r->p[2] == ':')
			r->p += 3;
		else if (r->p[1] == 'P' && r->p[2] == '<') {
			size_t n = 0;
			while (isalnum((unsigned char)r->p[3 + n]) || r->p[3 + n] == '_')
				n++;
			if (n == 0 || n > 32 || r->p[3 + n] != '>' ||
			    isdigit((unsigned char)r->p[3]))
				return bad(r, "malformed group name");
			r->p += 4 + n;
		} else
			return bad(r, "only (…), (?:…), (?i:…) and (?P<name>…) are supported, no "
				      "look-around");
	}
	if (++r->depth > GROUPS_DEEP)
		return bad(r, "groups are nested too deep");
	if (alternatives(r) < 0)
		return -1;
	r->depth--;
	if (*r->p != ')')
		return bad(r, "the group is not closed by )");
	r->p++;
	return 0;
}

static int
atom(struct re *r)
{
	unsigned char c = (unsigned char)*r->p;

	if (c == '(')
		return group(r);
	if (c == '[')
		return class(r);
	if (c == '\\') {
		r->p++;
		return escape(r, false);
	}
	if (c == '*' || c == '+' || c == '?' || c == '{')
		return bad(r, "nothing to repeat");
	if (c == '}' || c == ']')
		return bad(r, "write \\} or \\] for the character itself");
	if (c < 0x20 || c == 0x7f)
		return bad(r, "control character");
	r->p++;
	return 0;
}

static int
alternatives(struct re *r)
{
	while (*r->p != '\0' && *r->p != ')') {
		if (*r->p == '|') {
			r->p++;
			continue;
		}
		bool anchor = *r->p == '^' || *r->p == '$';
		if (atom(r) < 0)
			return -1;
		if (anchor && *r->p != '\0' && strchr("*+?{", *r->p) != NULL)
			return bad(r, "nothing to repeat");
		if (repeat(r) < 0)
			return -1;
	}
	return 0;
}

int
regex_check(const char *re, struct err *e)
{
	struct re r = { .text = re, .p = re, .e = e };

	if (strlen(re) > RULE_VALUE_MAX)
		return err_new(
		    e, ERR_INPUT, "regular expression is longer than %d bytes", RULE_VALUE_MAX);
	if (*re == '\0')
		return err_new(e, ERR_INPUT, "empty regular expression");
	/* (?i) for the whole expression */
	if (strncmp(re, "(?i)", 4) == 0)
		r.p += 4;
	if (alternatives(&r) < 0)
		return -1;
	return *r.p == '\0' ? 0 : bad(&r, "unmatched )");
}
