#include "api/call.h"
#include "api/events.h"

#include "base/clock.h"
#include "base/str.h"

#include <string.h>

/* "/v1/node/pools" stands before "/v1/node/:": a path belongs to the first pattern it fits. */
const struct route *const api_tables[] = { agent_routes, job_routes, row_routes, internal_routes,
	client_routes, fs_routes, stream_routes, monitor_routes, exec_routes, metrics_routes,
	registry_routes, ui_routes, event_routes, NULL };

/* Matching ------------------------------------------------------------------------------------- */

/* The i-th part of a pattern; its length, or -1 beyond the end. */
static int
pattern_part(const char *pattern, size_t i, const char **part)
{
	const char *p = pattern + 1;

	for (; i > 0; i--) {
		if ((p = strchr(p, '/')) == NULL)
			return -1;
		p++;
	}
	*part = p;
	return (int)strcspn(p, "/");
}

static bool
part_is(const char *pattern, size_t i, const char *text)
{
	const char *part;
	int len = pattern_part(pattern, i, &part);

	return len >= 0 && strncmp(part, text, (size_t)len) == 0 && text[len] == '\0';
}

/* Does the path fit? *arg: what ':' or '*' stands for, "" without one. */
static bool
match(struct http_req *r, const char *pattern, const char **arg)
{
	size_t n = 0, before = 0, parts = http_parts(r);
	const char *part;

	while (pattern_part(pattern, n, &part) >= 0)
		n++;
	while (before < n && !part_is(pattern, before, "*") && !part_is(pattern, before, ":"))
		before++;
	size_t after = before < n ? n - before - 1 : 0;
	bool many = before < n && part_is(pattern, before, "*");
	if (many ? parts < n : parts != n)
		return false;
	for (size_t i = 0; i < before; i++)
		if (!part_is(pattern, i, http_part(r, i)))
			return false;
	for (size_t i = 0; i < after; i++)
		if (!part_is(pattern, n - after + i, http_part(r, parts - after + i)))
			return false;
	*arg = "";
	for (size_t i = before; before < n && i < parts - after; i++)
		*arg = i == before ? http_part(r, i)
				   : arena_printf(http_arena(r), "%s/%s", *arg, http_part(r, i));
	return true;
}

static bool
method_fits(const struct http_req *r, const char *methods)
{
	if (strcmp(methods, "GET") == 0)
		return http_is_get(r);
	if (strcmp(methods, "PUT") == 0)
		return http_is_put(r);
	return strcmp(methods, "ANY") == 0 || strcmp(methods, http_method(r)) == 0;
}

/* The row for this request; NULL: *known tells whether the path exists with other methods. */
static const struct route *
find(struct http_req *r, const char **arg, bool *known)
{
	const char *first = NULL; /* a path belongs to the first pattern it fits */

	for (size_t t = 0; api_tables[t] != NULL; t++)
		for (const struct route *row = api_tables[t]; row->pattern != NULL; row++) {
			if (first != NULL ? strcmp(row->pattern, first) != 0
					  : !match(r, row->pattern, arg))
				continue;
			first = row->pattern;
			if (method_fits(r, row->methods))
				return row;
		}
	*known = first != NULL;
	return NULL;
}

/* The handler ---------------------------------------------------------------------------------- */

void
api_handle(struct http_req *r, void *ctx)
{
	struct api *a = ctx;
	const char *arg;
	bool known;
	const struct route *route = find(r, &arg, &known);

	http_set(r, "Vary", "Accept-Encoding");
	if (route == NULL) {
		if (known)
			http_reply_text(r, 405, "Invalid method");
		else
			http_reply(r, 404, NULL, "", 0);
		return;
	}
	struct call *c = arena_new(http_arena(r), struct call);
	const char *ns = http_query(r, "namespace"), *region = http_query(r, "region");
	*c = (struct call){ .api = a,
		.req = r,
		.mem = http_arena(r),
		.route = route,
		.arg = arg,
		.ns = ns != NULL && *ns != '\0' ? ns : "default" };
	if (a->c.server != NULL)
		c->state = server_state(a->c.server);
	if (region != NULL && *region != '\0' && strcmp(region, a->c.region) != 0)
		call_fail(c, 500, "No path to region");
	else if (c->state == NULL && !route->local)
		call_fail(c, 500, "No cluster leader");
	else if (route->look != NULL)
		call_read(c);
	else
		route->run(c);
}

struct api *
api_new(const struct api_config *config)
{
	struct api *a = xcalloc(1, sizeof(*a));
	struct api_config *c = &a->c;
	const char **copies[] = { &c->name, &c->region, &c->datacenter, &c->node_class,
		&c->bind_address, &c->registry_dir };

	*c = *config;
	for (size_t i = 0; i < NELEM(copies); i++)
		*copies[i] = *copies[i] != NULL ? arena_strdup(&a->mem, *copies[i]) : NULL;
	a->started_ns = clock_mono_ns();
	if (c->server != NULL)
		a->events = events_new(c->loop, server_state(c->server));
	return a;
}

void
api_free(struct api *a)
{
	if (a == NULL)
		return;
	monitor_end(a);
	events_free(a->events);
	VEC_FINI(&a->monitors);
	arena_fini(&a->mem);
	free(a);
}
