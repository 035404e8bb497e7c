/*
 * constraint.c: what a job may ask of a node, operator by operator.
 */
#include "sched/inside.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* The value of "${attr.kernel.name}" and so on on this node; text without ${} is itself. False: the
 * node has no such thing. */
bool
sched_target(const struct node *n, const char *target, const char **out)
{
	char name[256];
	size_t len = strlen(target);

	*out = target;
	if (!str_starts(target, "${") || !str_ends(target, "}"))
		return true;
	if (len - 3 >= sizeof(name))
		return false;
	memcpy(name, target + 2, len - 3);
	name[len - 3] = '\0';
	*out = NULL;
	if (strcmp(name, "node.unique.id") == 0)
		*out = n->id;
	else if (strcmp(name, "node.unique.name") == 0)
		*out = n->name;
	else if (strcmp(name, "node.datacenter") == 0)
		*out = n->datacenter;
	else if (strcmp(name, "node.class") == 0)
		*out = n->node_class;
	else if (strcmp(name, "node.pool") == 0)
		*out = n->node_pool;
	else if (str_starts(name, "attr."))
		*out = strmap_get(&n->attributes, name + 5);
	else if (str_starts(name, "meta."))
		*out = strmap_get(&n->meta, name + 5);
	return *out != NULL;
}

static bool
as_integer(const char *s, long long *out)
{
	char *end;

	errno = 0;
	*out = strtoll(s, &end, 10);
	return *s != '\0' && !isspace((unsigned char)*s) && *end == '\0' && errno == 0;
}

static bool
as_float(const char *s, double *out)
{
	char *end;

	*out = strtod(s, &end);
	return *s != '\0' && !isspace((unsigned char)*s) && *end == '\0';
}

static int
order_of(const char *l, const char *r)
{
	long long a, b;
	double x, y;

	if (as_integer(l, &a) && as_integer(r, &b))
		return a < b ? -1 : a > b;
	if (as_float(l, &x) && as_float(r, &y))
		return x < y ? -1 : x > y;
	return strcmp(l, r);
}

/* Nomad takes RE2; this is POSIX extended syntax, with the three classes that people use in both.
 */
static bool
regexp_matches(const char *text, const char *pattern)
{
	autobuf struct buf b = BUF_INIT;
	regex_t re;

	for (const char *p = pattern; *p != '\0'; p++) {
		if (p[0] == '\\' && p[1] == 'd')
			buf_adds(&b, "[0-9]");
		else if (p[0] == '\\' && p[1] == 'w')
			buf_adds(&b, "[A-Za-z0-9_]");
		else if (p[0] == '\\' && p[1] == 's')
			buf_adds(&b, "[ \t\n]");
		else {
			buf_addc(&b, *p);
			if (p[0] == '\\' && p[1] != '\0')
				buf_addc(&b, *++p);
			continue;
		}
		p++;
	}
	if (regcomp(&re, buf_str(&b), REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool found = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return found;
}

static bool
in_list(const char *list, const char *word, size_t len)
{
	for (const char *p = list;; p++) {
		while (*p == ' ')
			p++;
		size_t n = strcspn(p, ","), trimmed = n;
		while (trimmed > 0 && p[trimmed - 1] == ' ')
			trimmed--;
		if (trimmed == len && memcmp(p, word, len) == 0)
			return true;
		p += n;
		if (*p == '\0')
			return false;
	}
}

static bool
set_contains(const char *have, const char *want, bool any)
{
	for (const char *p = want;; p++) {
		while (*p == ' ')
			p++;
		size_t n = strcspn(p, ","), trimmed = n;
		while (trimmed > 0 && p[trimmed - 1] == ' ')
			trimmed--;
		bool found = in_list(have, p, trimmed);
		if (found == any)
			return any;
		p += n;
		if (*p == '\0')
			return !any;
	}
}

static bool
is_one_of(const char *s, const char *a, const char *b, const char *c)
{
	return strcmp(s, a) == 0 || strcmp(s, b) == 0 || strcmp(s, c) == 0;
}

bool
sched_constraint(
    const struct node *n, const char *l_target, const char *operand, const char *r_target)
{
	const char *l = NULL, *r = NULL;
	const char *op = operand != NULL && operand[0] != '\0' ? operand : "=";
	bool have_l = sched_target(n, l_target != NULL ? l_target : "", &l);
	bool have_r = sched_target(n, r_target != NULL ? r_target : "", &r);

	if (strcmp(op, "distinct_hosts") == 0 || strcmp(op, "distinct_property") == 0)
		return true; /* about other allocations, not about the node */
	if (strcmp(op, "is_set") == 0)
		return have_l;
	if (strcmp(op, "is_not_set") == 0)
		return !have_l;
	if (strcmp(op, "!=") == 0 || strcmp(op, "not") == 0)
		return have_l != have_r || (have_l && strcmp(l, r) != 0);
	if (!have_l || !have_r)
		return false;
	if (is_one_of(op, "=", "==", "is"))
		return strcmp(l, r) == 0;
	if (strcmp(op, "<") == 0)
		return order_of(l, r) < 0;
	if (strcmp(op, "<=") == 0)
		return order_of(l, r) <= 0;
	if (strcmp(op, ">") == 0)
		return order_of(l, r) > 0;
	if (strcmp(op, ">=") == 0)
		return order_of(l, r) >= 0;
	if (strcmp(op, "version") == 0)
		return sched_version_matches(l, r, false);
	if (strcmp(op, "semver") == 0)
		return sched_version_matches(l, r, true);
	if (strcmp(op, "regexp") == 0)
		return regexp_matches(l, r);
	if (is_one_of(op, "set_contains", "set_contains_all", ""))
		return set_contains(l, r, false);
	if (strcmp(op, "set_contains_any") == 0)
		return set_contains(l, r, true);
	return false; /* validation has refused all others */
}
