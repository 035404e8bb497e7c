/* routes.c: grouping and merging of what the instances' tags say. resolve.c checks the result. */
#include "ingress/routes.h"

#include "base/ids.h"
#include "base/str.h"
#include "ingress/resolve.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_rule[] = "Host(`{{ .Name }}.minipot`)";

const char *
route_normalize(const char *name, struct arena *a)
{
	char *out = arena_strdup(a, name), *to = out;

	for (const char *p = name; *p != '\0'; p++) {
		if (isalnum((unsigned char)*p))
			*to++ = *p;
		else if (to > out && to[-1] != '-')
			*to++ = '-';
	}
	if (to > out && to[-1] == '-')
		to--;
	*to = '\0';
	return out;
}

/* What stands between {{ and }}: ".Name", "normalize .Name", "index .Labels `key`". */
static int
expand_one(const char *expr, size_t len, const char *name, const struct strs *tags, struct buf *out,
    struct arena *a, struct err *e)
{
	while (len > 0 && (isspace((unsigned char)*expr) || *expr == '-'))
		expr++, len--;
	while (len > 0 && (isspace((unsigned char)expr[len - 1]) || expr[len - 1] == '-'))
		len--;
	const char *text = arena_strndup(a, expr, len);
	if (str_eq(text, ".Name")) {
		buf_adds(out, name);
		return 0;
	}
	if (str_eq(text, "normalize .Name")) {
		buf_adds(out, route_normalize(name, a));
		return 0;
	}
	if (str_starts(text, "index .Labels ") && len > 16 &&
	    (text[14] == '"' || text[14] == '`') && text[len - 1] == text[14]) {
		const char *key = arena_strndup(a, text + 15, len - 16);
		size_t n = strlen(key);
		for (size_t i = 0; tags != NULL && i < tags->n; i++)
			if (str_starts(tags->at[i], key) && tags->at[i][n] == '=')
				buf_adds(out, tags->at[i] + n + 1);
		return 0;
	}
	return err_new(e, ERR_UNSUPPORTED,
	    "default rule: {{ %s }} is not supported: use .Name, normalize .Name or index .Labels "
	    "\"key\"",
	    text);
}

static int
expand(const char *template, const char *name, const struct strs *tags, struct buf *out,
    struct arena *a, struct err *e)
{
	for (const char *p = template; *p != '\0';) {
		const char *open = strstr(p, "{{");
		if (open == NULL) {
			buf_adds(out, p);
			break;
		}
		const char *close = strstr(open, "}}");
		if (close == NULL)
			return err_new(e, ERR_INPUT, "default rule: a {{ is not closed by }}");
		buf_add(out, p, (size_t)(open - p));
		if (expand_one(open + 2, (size_t)(close - open - 2), name, tags, out, a, e) < 0)
			return -1;
		p = close + 2;
	}
	return 0;
}

int
routes_check_template(const char *text, struct err *e)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf out = BUF_INIT;
	struct rule r;

	if (text == NULL)
		return 0;
	if (expand(text, "name", NULL, &out, &a, e) < 0)
		return -1;
	/* labels may be missing here, and then the rule is not whole */
	if (strstr(text, ".Labels") == NULL && rule_parse(buf_str(&out), &a, &r, e) < 0)
		return err_ctx(e, "default rule %s", text);
	return 0;
}

static struct route_service *
service_named(struct routing *r, const struct tag_service *spec)
{
	struct route_service *s = map_get(&r->service, spec->name);

	if (s == NULL) {
		s = arena_new(&r->mem, struct route_service);
		s->name = spec->name;
		s->options = *spec;
		objs_add(&r->services, &r->mem, s);
		map_set(&r->service, s->name, s);
	} else if (!tag_service_equal(&s->options, spec) && s->errors.n == 0)
		strs_add(&s->errors, &r->mem, "defined differently by several instances");
	return s;
}

static void
add_server(struct routing *r, const struct service_row *row, const struct tag_service *spec)
{
	struct route_service *s = service_named(r, spec);
	struct route_server *v = arena_new(&r->mem, struct route_server);
	const char *scheme = spec->scheme != NULL ? spec->scheme : "http";
	bool v6 = strchr(row->address, ':') != NULL;

	v->row_id = arena_strdup(&r->mem, row->id);
	v->address = arena_strdup(&r->mem, row->address);
	v->port = spec->port > 0 ? spec->port : row->port;
	v->weight = spec->weight >= 0 ? spec->weight : 1;
	v->up = !str_eq(row->status, "critical");
	v->url = arena_printf(
	    &r->mem, v6 ? "%s://[%s]:%" PRId64 : "%s://%s:%" PRId64, scheme, v->address, v->port);
	const char *endpoint =
	    arena_printf(&r->mem, "%s %s %" PRId64, v->row_id, v->url, v->weight);
	v->name = arena_printf(&r->mem, "s-%.8s-%08x",
	    row->alloc_id != NULL && ids_is_uuid(row->alloc_id) ? row->alloc_id : "static",
	    (unsigned)ids_hash64(endpoint, strlen(endpoint)));
	if (v->port < 1 || v->port > UINT16_MAX) {
		strs_add(&r->warnings, &r->mem,
		    arena_printf(
			&r->mem, "service %s: instance %s has no port", s->name, v->row_id));
		return;
	}
	for (size_t i = 0; i < s->servers.n; i++)
		if (str_eq(((struct route_server *)s->servers.at[i])->name, v->name))
			return;
	objs_add(&s->servers, &r->mem, v);
}

static void
add_router(struct routing *r, const struct tag_router *spec, const char *rule)
{
	struct route_router *t = map_get(&r->router, spec->name);

	if (t == NULL) {
		t = arena_new(&r->mem, struct route_router);
		t->name = spec->name;
		t->spec = *spec;
		t->rule_text = rule;
		objs_add(&r->routers, &r->mem, t);
		map_set(&r->router, t->name, t);
		return;
	}
	if ((!tag_router_equal(&t->spec, spec) || !str_eq(t->rule_text, rule)) && t->errors.n == 0)
		strs_add(&t->errors, &r->mem,
		    "defined differently by several instances: give all the same tags");
}

static void
add_middleware(struct routing *r, const struct tag_middleware *spec)
{
	struct route_middleware *m = map_get(&r->middleware, spec->name);

	if (m == NULL) {
		m = arena_new(&r->mem, struct route_middleware);
		m->name = spec->name;
		m->spec = spec;
		m->section = "";
		objs_add(&r->middlewares, &r->mem, m);
		map_set(&r->middleware, m->name, m);
	} else if (!tag_middleware_equal(m->spec, spec) && m->errors.n == 0)
		strs_add(&m->errors, &r->mem, "defined differently by several instances");
}

static void
note_warnings(struct routing *r, const struct service_row *row, const struct strs *warnings)
{
	for (size_t i = 0; i < warnings->n; i++) {
		const char *text =
		    arena_printf(&r->mem, "service %s: %s", row->service_name, warnings->at[i]);
		if (!strs_has(&r->warnings, text))
			strs_add(&r->warnings, &r->mem, text);
	}
}

static void
add_instance(struct routing *r, const struct service_row *row, const struct routes_config *c)
{
	autobuf struct buf rule = BUF_INIT;
	struct tags t;
	struct err e = ERR_INIT;

	tags_parse(&row->tags, c->prefix != NULL ? c->prefix : "traefik", &r->mem, &t);
	if (t.enable == 0 || (t.enable < 0 && c->not_exposed_by_default))
		return;
	note_warnings(r, row, &t.warnings);
	char *name = arena_strdup(&r->mem, route_normalize(row->service_name, &r->mem));
	for (char *p = name; *p != '\0'; p++) /* as the names in tags */
		*p = (char)tolower((unsigned char)*p);
	if (t.services.n == 0 && (t.routers.n > 0 || !t.other_protocol)) {
		struct tag_service *own = arena_new(&r->mem, struct tag_service);
		*own = (struct tag_service){ .name = name, .weight = -1, .keep_host = true };
		objs_add(&t.services, &r->mem, own);
	}
	if (t.routers.n == 0 && t.services.n > 0) {
		struct tag_router *own = arena_new(&r->mem, struct tag_router);
		own->name = name;
		objs_add(&t.routers, &r->mem, own);
	}
	if (expand(c->default_rule != NULL ? c->default_rule : default_rule, row->service_name,
		&row->tags, &rule, &r->mem,
		&e) < 0) /* the template was checked when it was configured */
		buf_reset(&rule);
	const char *fallback = arena_strdup(&r->mem, buf_str(&rule));
	const struct tag_service *only = t.services.n == 1 ? t.services.at[0] : NULL;
	struct tag_service *s;
	OBJS_FOREACH (s, &t.services)
		add_server(r, row, s);
	struct tag_router *tr;
	OBJS_FOREACH (tr, &t.routers) {
		if (tr->service == NULL && only != NULL)
			tr->service = only->name;
		add_router(r, tr, tr->rule != NULL ? tr->rule : fallback);
	}
	struct tag_middleware *m;
	OBJS_FOREACH (m, &t.middlewares)
		add_middleware(r, m);
}

static int
by_id(const void *a, const void *b)
{
	const struct service_row *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(**(const char *const *const *)a, **(const char *const *const *)b);
}

static void
sort(struct objs *list)
{
	if (list->n > 1)
		qsort(list->at, list->n, sizeof(*list->at), by_name);
}

struct routing *
routes_build(const struct service_row *const *rows, size_t n, const struct routes_config *c)
{
	struct routing *r = xcalloc(1, sizeof(*r));

	/* in the order of ids, so that the first definition of something is always the same one */
	autofree const struct service_row **sorted = xcalloc(n > 0 ? n : 1, sizeof(*sorted));
	for (size_t i = 0; i < n; i++)
		sorted[i] = rows[i];
	qsort(sorted, n, sizeof(*sorted), by_id);
	for (size_t i = 0; i < n; i++)
		if (sorted[i]->service_name != NULL && *sorted[i]->service_name != '\0' &&
		    sorted[i]->address != NULL)
			add_instance(r, sorted[i], c);
	sort(&r->routers);
	sort(&r->services);
	sort(&r->middlewares);
	struct route_service *s;
	OBJS_FOREACH (s, &r->services)
		sort(&s->servers);
	routes_resolve(r, c);
	sort(&r->backends);
	return r;
}

void
routing_free(struct routing *r)
{
	if (r == NULL)
		return;
	map_fini(&r->router);
	map_fini(&r->service);
	map_fini(&r->middleware);
	map_fini(&r->backend);
	arena_fini(&r->mem);
	free(r);
}

bool
route_backend_plain(const struct route_backend *b)
{
	return *b->lines == '\0' && *b->server_options == '\0';
}
