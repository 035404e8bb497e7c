/*
 * version.c: versions and their constraints, as HashiCorp's go-version compares them; and
 * semver 2.0.
 */
#include "sched/sched.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS = 8, PRE_MAX = 128 };

struct version {
	uint64_t segment[SEGMENTS];
	int n;		   /* segments written */
	char pre[PRE_MAX]; /* "" : a release */
};

static const char *
blanks(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static bool
ends(const char *p)
{
	p = blanks(p);
	return *p == '\0' || *p == ',';
}

static const char *
suffix(const char *p, char *out)
{
	size_t n = 0;

	while (isalnum((unsigned char)*p) || *p == '-' || *p == '.' || *p == '~') {
		if (out != NULL && n + 1 < PRE_MAX)
			out[n++] = *p;
		p++;
	}
	if (out != NULL)
		out[n] = '\0';
	return p;
}

/* Up to a comma or the end; *end is behind it. */
static bool
parse(const char *text, bool semver, struct version *v, const char **end)
{
	const char *p = blanks(text);

	memset(v, 0, sizeof(*v));
	if (!semver && *p == 'v')
		p++;
	for (;;) {
		char *stop;
		if (!isdigit((unsigned char)*p) || v->n == SEGMENTS)
			return false;
		if (semver && p[0] == '0' && isdigit((unsigned char)p[1]))
			return false;
		v->segment[v->n++] = strtoull(p, &stop, 10);
		p = stop;
		if (*p != '.' || !isdigit((unsigned char)p[1]))
			break;
		p++;
	}
	if (semver && v->n != 3)
		return false;
	if (*p == '-')
		p = suffix(p + 1, v->pre);
	else if (!semver && isalpha((unsigned char)*p))
		p = suffix(p, v->pre);
	if (*p == '+')
		p = suffix(p + 1, NULL);
	*end = p;
	return ends(p);
}

static bool
numeric(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return n > 0;
}

static int
compare_part(const char *a, size_t na, const char *b, size_t nb)
{
	bool number_a = numeric(a, na), number_b = numeric(b, nb);

	if (number_a && number_b) {
		unsigned long long x = strtoull(a, NULL, 10), y = strtoull(b, NULL, 10);
		return x < y ? -1 : x > y;
	}
	if (number_a != number_b)
		return number_a ? -1 : 1;
	int order = strncmp(a, b, na < nb ? na : nb);
	return order != 0 ? order : na < nb ? -1 : na > nb;
}

static int
compare_pre(const char *a, const char *b)
{
	if (*a == '\0' || *b == '\0')
		return *a == *b ? 0 : *a == '\0' ? 1 : -1;
	for (;;) {
		size_t na = strcspn(a, "."), nb = strcspn(b, ".");
		int order = compare_part(a, na, b, nb);
		if (order != 0)
			return order;
		a += na + (a[na] == '.');
		b += nb + (b[nb] == '.');
		if (*a == '\0' || *b == '\0')
			return *a == *b ? 0 : *a == '\0' ? -1 : 1;
	}
}

static int
compare(const struct version *a, const struct version *b)
{
	for (int i = 0; i < SEGMENTS; i++)
		if (a->segment[i] != b->segment[i])
			return a->segment[i] < b->segment[i] ? -1 : 1;
	return compare_pre(a->pre, b->pre);
}

/* "~> 1.2.3": the last segment written may rise, those before it may not. */
static bool
pessimistic(const struct version *v, const struct version *c)
{
	if (compare(v, c) < 0 || (v->pre[0] != '\0' && c->pre[0] == '\0'))
		return false;
	for (int i = 0; i < c->n - 1; i++)
		if (v->segment[i] != c->segment[i])
			return false;
	return c->n > 1 || v->segment[0] >= c->segment[0];
}

static const char *const operators[] = { ">=", "<=", "!=", "~>", "=", ">", "<" };

static bool
holds(const char *op, const struct version *v, const struct version *c, bool semver)
{
	int order = compare(v, c);

	/* go-version: a pre-release matches only constraints that name one of the same release */
	if (!semver && v->pre[0] != '\0' && op[0] != '!' && strcmp(op, "=") != 0) {
		if (c->pre[0] == '\0')
			return false;
		if (memcmp(v->segment, c->segment, sizeof(v->segment)) != 0)
			return false;
	}
	if (strcmp(op, "~>") == 0)
		return pessimistic(v, c);
	if (strcmp(op, "!=") == 0)
		return order != 0;
	if (strcmp(op, ">=") == 0)
		return order >= 0;
	if (strcmp(op, "<=") == 0)
		return order <= 0;
	if (strcmp(op, ">") == 0)
		return order > 0;
	if (strcmp(op, "<") == 0)
		return order < 0;
	return order == 0;
}

bool
sched_version_matches(const char *version, const char *constraints, bool semver)
{
	struct version v, c;
	const char *end, *p = constraints;

	if (!parse(version, semver, &v, &end) || *blanks(end) != '\0')
		return false;
	for (;;) {
		const char *op = "=";
		p = blanks(p);
		for (size_t i = 0; i < NELEM(operators); i++)
			if (strncmp(p, operators[i], strlen(operators[i])) == 0) {
				op = operators[i];
				p += strlen(op);
				break;
			}
		if (semver && strcmp(op, "~>") == 0)
			return false;
		if (!parse(p, semver, &c, &end) || !holds(op, &v, &c, semver))
			return false;
		p = blanks(end);
		if (*p == '\0')
			return true;
		p++;
	}
}
