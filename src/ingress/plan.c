#include "ingress/plan.h"

#include "base/map.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static int
by_priority(const void *a, const void *b)
{
	const struct plan_unit *x = a, *y = b;

	if (x->router->priority != y->router->priority)
		return x->router->priority > y->router->priority ? -1 : 1;
	int names = strcmp(x->router->name, y->router->name);
	if (names != 0)
		return names;
	return x->host != NULL && y->host != NULL ? strcmp(x->host, y->host) : 0;
}

/* Can a request for this host satisfy the rule? */
static bool
may_match(const struct rule *rule, const char *host)
{
	for (size_t i = 0; i < rule->n; i++) {
		bool other = false;
		for (size_t k = 0; k < rule->at[i].n; k++) {
			const struct match *m = &rule->at[i].at[k];
			if (m->kind == MATCH_HOST)
				other = other || str_eq(m->value, host) == m->negate;
		}
		if (!other)
			return true;
	}
	return false;
}

static void
collect(struct routing *r, struct plan *p)
{
	struct route_router *t;
	size_t most = 0;

	OBJS_FOREACH (t, &r->routers)
		most += t->rule.n + 1;
	p->at = arena_array(&r->mem, most, struct plan_unit);
	OBJS_FOREACH (t, &r->routers) {
		if (t->backend == NULL)
			continue;
		if (!rule_is_hosts(&t->rule)) {
			p->at[p->n++] = (struct plan_unit){ .router = t };
			continue;
		}
		for (size_t i = 0; i < t->rule.n; i++)
			p->at[p->n++] =
			    (struct plan_unit){ .router = t, .host = t->rule.at[i].at[0].value };
	}
	if (p->n > 1)
		qsort(p->at, p->n, sizeof(*p->at), by_priority);
}

/* The positions of the map at which this host is decided rightly: lo…hi of `rules` rules. */
static void
bounds(const struct plan *p, size_t unit, size_t rules, size_t *lo, size_t *hi)
{
	size_t rank = 0;

	*lo = 0;
	*hi = rules;
	for (size_t i = 0; i < p->n; i++) {
		if (p->at[i].host != NULL)
			continue;
		rank++;
		if (!may_match(&p->at[i].router->rule, p->at[unit].host))
			continue;
		if (i < unit)
			*lo = rank;
		else if (*hi == rules) {
			*hi = rank - 1;
			return;
		}
	}
}

static void
mark_shadowed(struct plan *p)
{
	struct map seen = MAP_INIT;

	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].host != NULL)
			p->at[i].shadowed = map_set(&seen, p->at[i].host, &p->at[i]) != NULL;
	map_fini(&seen);
}

void
plan_make(struct routing *r, struct plan *out)
{
	size_t rules = 0, best = 0, most = 0, open = 0;

	*out = (struct plan){ 0 };
	collect(r, out);
	mark_shadowed(out);
	for (size_t i = 0; i < out->n; i++)
		if (out->at[i].host == NULL)
			out->at[i].position = rules++;
	/* where most intervals [lo, hi] overlap */
	size_t *begin = arena_array(&r->mem, rules + 2, size_t),
	       *end = arena_array(&r->mem, rules + 2, size_t);
	size_t *lo = arena_array(&r->mem, out->n + 1, size_t),
	       *hi = arena_array(&r->mem, out->n + 1, size_t);
	for (size_t i = 0; i < out->n; i++) {
		if (out->at[i].host == NULL || out->at[i].shadowed)
			continue;
		bounds(out, i, rules, &lo[i], &hi[i]);
		begin[lo[i]]++;
		end[hi[i] + 1]++;
	}
	for (size_t at = 0; at <= rules; at++) {
		open += begin[at];
		open -= end[at];
		if (open > most) {
			most = open;
			best = at;
		}
	}
	out->map_position = best;
	size_t rank = 0;
	for (size_t i = 0; i < out->n; i++) {
		struct plan_unit *u = &out->at[i];
		if (u->host == NULL) {
			rank++;
			continue;
		}
		u->position = rank;
		u->mapped = !u->shadowed && lo[i] <= best && best <= hi[i];
	}
}
