/* resolve.c: do the routers' references hold, and what do they add up to? */
#include "ingress/resolve.h"

#include "base/ids.h"
#include "base/str.h"
#include "ingress/middleware.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_MAX = 16, CHAIN_DEEP = 5 };

static const char *const default_entrypoints[] = { "web", "http", NULL };
static const char provider[] = "@consulcatalog";

static void
fail(struct routing *r, struct strs *errors, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strs_add(errors, &r->mem, arena_vprintf(&r->mem, fmt, ap));
	va_end(ap);
}

/* Names in references: any case, "@consulcatalog" at the end allowed. */
static const char *
reference(struct routing *r, const char *name)
{
	char *out = arena_strdup(&r->mem, name);

	for (char *p = out; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (str_ends(out, provider))
		out[strlen(out) - strlen(provider)] = '\0';
	return out;
}

static void
resolve_entrypoints(struct routing *r, struct route_router *t, const struct routes_config *c)
{
	const char *const *known = c->entrypoints != NULL ? c->entrypoints : default_entrypoints;
	bool any = false;

	if (t->spec.entrypoints.n == 0) {
		strs_add(&t->entrypoints, &r->mem, known[0]);
		return;
	}
	for (size_t i = 0; i < t->spec.entrypoints.n; i++) {
		bool is = false;
		for (size_t k = 0; known[k] != NULL; k++)
			is = is || str_eq(t->spec.entrypoints.at[i], known[k]);
		any = any || is;
		strs_add(&t->entrypoints, &r->mem, t->spec.entrypoints.at[i]);
		if (!is)
			fail(r, &t->warnings, "entry point \"%s\" does not exist",
			    t->spec.entrypoints.at[i]);
	}
	if (!any)
		fail(r, &t->errors, "none of its entry points exists: there is only \"%s\"",
		    known[0]);
}

/* Appends the middlewares that `names` stand for, chains opened. */
static void
expand_chain(struct routing *r, struct route_router *t, const struct strs *names, int deep,
    struct route_middleware *out[CHAIN_MAX], size_t *n)
{
	for (size_t i = 0; i < names->n; i++) {
		struct route_middleware *m = map_get(&r->middleware, reference(r, names->at[i]));
		if (m == NULL) {
			fail(r, &t->errors, "middleware \"%s\" does not exist", names->at[i]);
			continue;
		}
		if (!strs_has(&m->used_by, t->name))
			strs_add(&m->used_by, &r->mem, t->name);
		if (str_eq(m->spec->kind, "chain") && m->spec->second_kind == NULL) {
			const char *inner = strmap_get(&m->spec->options, "middlewares");
			struct strs list = tag_list(inner != NULL ? inner : "", &r->mem);
			if (deep == CHAIN_DEEP || list.n == 0)
				fail(r, &t->errors, "chain \"%s\" is %s", m->name,
				    list.n == 0 ? "empty" : "nested too deep");
			else
				expand_chain(r, t, &list, deep + 1, out, n);
			continue;
		}
		if (*n == CHAIN_MAX) {
			fail(r, &t->errors, "more than %d middlewares", CHAIN_MAX);
			return;
		}
		out[(*n)++] = m;
	}
}

/* Each middleware once on its own: its section, and whether it can be done at all. */
static void
check_middlewares(struct routing *r)
{
	struct route_middleware *m;

	OBJS_FOREACH (m, &r->middlewares) {
		struct middleware_lines lines = { .section = BUF_INIT, .backend = BUF_INIT };
		struct err e = ERR_INIT;
		int counter = 0;
		if (str_eq(m->spec->kind, "chain") && m->spec->second_kind == NULL)
			continue;
		if (middleware_write(m->spec, &counter, &lines, &e) < 0)
			fail(r, &m->errors, "%s", e.text);
		else
			m->section = arena_strdup(&r->mem, buf_str(&lines.section));
		middleware_lines_fini(&lines);
	}
}

static bool
is_cookie_name(const char *s)
{
	if (*s == '\0' || strlen(s) > 100)
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-_.", *s) == NULL)
			return false;
	return true;
}

/* Lines that the service's options add to each of its backends. */
static void
service_lines(struct routing *r, struct route_router *t, struct buf *lines)
{
	const struct tag_service *o = &t->service->options;

	if (!o->sticky)
		return;
	const char *name = o->cookie;
	if (name == NULL)
		name = arena_printf(
		    &r->mem, "_%05x", (unsigned)(ids_hash64(o->name, strlen(o->name)) & 0xfffff));
	if (!is_cookie_name(name)) {
		fail(r, &t->errors, "sticky cookie name \"%s\": use letters, digits, - _ .", name);
		return;
	}
	buf_addf(lines, "\tcookie %s insert indirect nocache dynamic%s%s", name,
	    o->cookie_http_only ? " httponly" : "", o->cookie_secure ? " secure" : "");
	if (o->cookie_same_site != NULL) {
		if (!str_eq(o->cookie_same_site, "none") && !str_eq(o->cookie_same_site, "lax") &&
		    !str_eq(o->cookie_same_site, "strict"))
			fail(r, &t->errors,
			    "sticky cookie: samesite is none, lax or strict, not \"%s\"",
			    o->cookie_same_site);
		else
			buf_addf(lines, " attr SameSite=%c%s",
			    toupper((unsigned char)*o->cookie_same_site), o->cookie_same_site + 1);
	}
	buf_addf(lines, "\n\tdynamic-cookie-key %016llx\n",
	    (unsigned long long)ids_hash64(o->name, strlen(o->name)));
}

static void
set_backend(
    struct routing *r, struct route_router *t, struct route_middleware *const *chain, size_t n)
{
	autobuf struct buf key = BUF_INIT;
	struct middleware_lines lines = { .section = BUF_INIT, .backend = BUF_INIT };
	struct err e = ERR_INIT;
	int counter = 0;

	buf_adds(&key, t->service->name);
	for (size_t i = 0; i < n; i++) {
		buf_addf(&key, "|%s", chain[i]->name);
		if (chain[i]->errors.n > 0)
			fail(r, &t->errors, "%s", chain[i]->errors.at[0]);
		else if (middleware_write(chain[i]->spec, &counter, &lines, &e) < 0)
			fail(r, &t->errors, "%s", e.text);
	}
	service_lines(r, t, &lines.backend);
	if (t->errors.n == 0 && (t->backend = map_get(&r->backend, buf_str(&key))) == NULL) {
		struct route_backend *b = arena_new(&r->mem, struct route_backend);
		const char *scheme = t->service->options.scheme;
		b->key = arena_strdup(&r->mem, buf_str(&key));
		b->service = t->service;
		b->lines = arena_strdup(&r->mem, buf_str(&lines.backend));
		b->server_options = str_eq(scheme, "https") ? " ssl verify none" : "";
		objs_add(&r->backends, &r->mem, b);
		map_set(&r->backend, b->key, b);
		t->backend = b;
	}
	middleware_lines_fini(&lines);
}

static void
resolve_service(struct routing *r, struct route_router *t)
{
	if (t->spec.service == NULL) {
		fail(r, &t->errors,
		    "several services are declared: name one in the router's service");
		return;
	}
	t->service = map_get(&r->service, reference(r, t->spec.service));
	if (t->service == NULL) {
		fail(r, &t->errors, "the service \"%s\" does not exist", t->spec.service);
		return;
	}
	if (!strs_has(&t->service->used_by, t->name))
		strs_add(&t->service->used_by, &r->mem, t->name);
	const char *scheme = t->service->options.scheme;
	if (t->service->errors.n > 0)
		fail(r, &t->errors, "the service \"%s\" is %s", t->service->name,
		    t->service->errors.at[0]);
	else if (scheme != NULL && !str_eq(scheme, "http") && !str_eq(scheme, "https"))
		fail(r, &t->errors, "server scheme \"%s\" is not supported: use http or https",
		    scheme);
	else if (!t->service->options.keep_host)
		fail(r, &t->errors, "passhostheader=false is not supported");
}

static void
resolve_router(struct routing *r, struct route_router *t, const struct routes_config *c)
{
	struct route_middleware *chain[CHAIN_MAX];
	struct err e = ERR_INIT;
	size_t n = 0;

	if (rule_parse(t->rule_text, &r->mem, &t->rule, &e) < 0)
		fail(r, &t->errors, "%s", e.text);
	t->priority = t->spec.priority > 0 ? t->spec.priority : (int64_t)strlen(t->rule_text);
	resolve_entrypoints(r, t, c);
	if (t->spec.tls)
		fail(r, &t->errors, "tls is asked for, and there is no entry point with TLS");
	resolve_service(r, t);
	for (size_t i = 0; i < t->spec.middlewares.n; i++)
		strs_add(&t->middlewares, &r->mem, reference(r, t->spec.middlewares.at[i]));
	expand_chain(r, t, &t->spec.middlewares, 0, chain, &n);
	if (t->errors.n == 0)
		set_backend(r, t, chain, n);
}

void
routes_resolve(struct routing *r, const struct routes_config *c)
{
	struct route_router *t;

	check_middlewares(r);
	OBJS_FOREACH (t, &r->routers)
		resolve_router(r, t, c);
}
