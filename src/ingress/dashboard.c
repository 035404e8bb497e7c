/* dashboard.c: the routing as Traefik's API shows it, and a page for people. Read-only. */
#include "ingress/proxy.h"

#include "base/str.h"
#include "codec/json.h"
#include "io/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PER_PAGE = 100 };

static const char provider[] = "consulcatalog";

static const char *
status_of(const struct strs *errors, const struct strs *warnings)
{
	return errors->n > 0			     ? "disabled"
	       : warnings != NULL && warnings->n > 0 ? "warning"
						     : "enabled";
}

static void
write_strs(struct jsonw *w, const char *key, const struct strs *list, bool references)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (size_t k = 0; k < list->n; k++) {
		char name[512];
		snprintf(name, sizeof(name), "%s%s%s", list->at[k], references ? "@" : "",
		    references ? provider : "");
		jsonw_str(w, name);
	}
	jsonw_end_array(w);
}

static void
write_name(struct jsonw *w, const char *name)
{
	char full[512];

	snprintf(full, sizeof(full), "%s@%s", name, provider);
	jsonw_kstr(w, "name", full);
	jsonw_kstr(w, "provider", provider);
}

static void
write_router(struct jsonw *w, const void *object)
{
	const struct route_router *t = object;

	jsonw_object(w);
	write_strs(w, "entryPoints", &t->entrypoints, false);
	if (t->middlewares.n > 0)
		write_strs(w, "middlewares", &t->middlewares, true);
	jsonw_kstr(w, "service", t->service != NULL ? t->service->name : t->spec.service);
	jsonw_kstr(w, "rule", t->rule_text);
	jsonw_kint(w, "priority", t->priority);
	if (t->errors.n > 0 || t->warnings.n > 0)
		write_strs(w, "error", t->errors.n > 0 ? &t->errors : &t->warnings, false);
	jsonw_kstr(w, "status", status_of(&t->errors, &t->warnings));
	write_strs(w, "using", &t->entrypoints, false);
	write_name(w, t->name);
	jsonw_end_object(w);
}

static void
write_service(struct jsonw *w, const void *object)
{
	const struct route_service *s = object;
	struct route_server *v;

	jsonw_object(w);
	jsonw_key(w, "loadBalancer");
	jsonw_object(w);
	jsonw_key(w, "servers");
	jsonw_array(w);
	OBJS_FOREACH (v, &s->servers) {
		jsonw_object(w);
		jsonw_kstr(w, "url", v->url);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
	jsonw_kbool(w, "passHostHeader", s->options.keep_host);
	jsonw_end_object(w);
	if (s->errors.n > 0)
		write_strs(w, "error", &s->errors, false);
	jsonw_kstr(w, "status", status_of(&s->errors, NULL));
	write_strs(w, "usedBy", &s->used_by, true);
	jsonw_key(w, "serverStatus");
	jsonw_object(w);
	OBJS_FOREACH (v, &s->servers)
		jsonw_kstr(w, v->url, v->up ? "UP" : "DOWN");
	jsonw_end_object(w);
	write_name(w, s->name);
	jsonw_kstr(w, "type", "loadbalancer");
	jsonw_end_object(w);
}

static void
write_middleware(struct jsonw *w, const void *object)
{
	const struct route_middleware *m = object;
	const char *kind = m->spec->kind != NULL ? m->spec->kind : "";

	jsonw_object(w);
	jsonw_key(w, kind);
	jsonw_object(w);
	for (size_t k = 0; k < m->spec->options.n; k++)
		jsonw_kstr(w, m->spec->options.key[k],
		    str_eq(m->spec->options.key[k], "users") ? "***" : m->spec->options.value[k]);
	jsonw_end_object(w);
	if (m->errors.n > 0)
		write_strs(w, "error", &m->errors, false);
	jsonw_kstr(w, "status", status_of(&m->errors, NULL));
	write_strs(w, "usedBy", &m->used_by, true);
	write_name(w, m->name);
	jsonw_kstr(w, "type", kind);
	jsonw_end_object(w);
}

static const char *
router_status(const void *object)
{
	const struct route_router *t = object;

	return status_of(&t->errors, &t->warnings);
}

static const char *
service_status(const void *object)
{
	return status_of(&((const struct route_service *)object)->errors, NULL);
}

static const char *
middleware_status(const void *object)
{
	return status_of(&((const struct route_middleware *)object)->errors, NULL);
}

static const struct collection {
	const char *name;
	size_t list, index; /* in struct routing */
	void (*write)(struct jsonw *w, const void *object);
	const char *(*status)(const void *object);
} collections[] = {
	{ "routers", offsetof(struct routing, routers), offsetof(struct routing, router),
	    write_router, router_status },
	{ "services", offsetof(struct routing, services), offsetof(struct routing, service),
	    write_service, service_status },
	{ "middlewares", offsetof(struct routing, middlewares),
	    offsetof(struct routing, middleware), write_middleware, middleware_status },
};

static const struct objs *
list_of(const struct ingress *i, const struct collection *c)
{
	return (const struct objs *)((const char *)i->routing + c->list);
}

static void
reply_json(struct http_req *r, const struct buf *body)
{
	http_reply(r, 200, "application/json", buf_str(body), body->len);
}

static uint64_t
number(const struct http_req *r, const char *name, uint64_t fallback)
{
	const char *text = http_query(r, name);
	uint64_t n;

	return text != NULL && str_u64(text, 1000000, &n) && n > 0 ? n : fallback;
}

static void
serve_list(struct ingress *i, struct http_req *r, const struct collection *c)
{
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);
	const struct objs *list = list_of(i, c);
	uint64_t page = number(r, "page", 1), per_page = number(r, "per_page", PER_PAGE), n = 0;
	const char *search = http_query(r, "search"), *status = http_query(r, "status");

	jsonw_array(&w);
	for (size_t k = 0; k < list->n; k++) {
		const char *name = *(const char **)list->at[k];
		if ((search != NULL && strstr(name, search) == NULL) ||
		    (status != NULL && *status != '\0' && !str_eq(status, c->status(list->at[k]))))
			continue;
		if (n++ / per_page + 1 == page)
			c->write(&w, list->at[k]);
	}
	jsonw_end_array(&w);
	http_setf(
	    r, "X-Next-Page", "%llu", (unsigned long long)(n > page * per_page ? page + 1 : 1));
	reply_json(r, &body);
}

static void
serve_one(struct ingress *i, struct http_req *r, const struct collection *c, const char *name)
{
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);
	autofree char *bare = xstrndup(name, strcspn(name, "@"));
	const void *object =
	    map_get((const struct map *)((const char *)i->routing + c->index), bare);

	if (object == NULL) {
		http_reply_text(r, 404, "%s not found: %s", c->name, name);
		return;
	}
	c->write(&w, object);
	reply_json(r, &body);
}

static void
serve_http_part(struct ingress *i, struct http_req *r)
{
	const char *kind = http_part(r, 2), *name = http_part(r, 3);

	for (size_t k = 0; k < NELEM(collections); k++) {
		if (!str_eq(kind, collections[k].name))
			continue;
		if (name == NULL || *name == '\0')
			serve_list(i, r, &collections[k]);
		else
			serve_one(i, r, &collections[k], name);
		return;
	}
	http_reply_text(r, 404, "404 page not found\n");
}

static void
write_counts(struct ingress *i, struct jsonw *w, bool real)
{
	jsonw_object(w);
	for (size_t k = 0; k < NELEM(collections); k++) {
		const struct objs *list = list_of(i, &collections[k]);
		int64_t errors = 0, warnings = 0;
		for (size_t n = 0; real && n < list->n; n++) {
			errors += str_eq(collections[k].status(list->at[n]), "disabled");
			warnings += str_eq(collections[k].status(list->at[n]), "warning");
		}
		jsonw_key(w, collections[k].name);
		jsonw_object(w);
		jsonw_kint(w, "total", real ? (int64_t)list->n : 0);
		jsonw_kint(w, "warnings", warnings);
		jsonw_kint(w, "errors", errors);
		jsonw_end_object(w);
	}
	jsonw_end_object(w);
}

static void
serve_overview(struct ingress *i, struct http_req *r)
{
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);

	jsonw_object(&w);
	for (int k = 0; k < 3; k++) {
		jsonw_key(&w, k == 0 ? "http" : k == 1 ? "tcp" : "udp");
		write_counts(i, &w, k == 0);
	}
	jsonw_key(&w, "features");
	jsonw_object(&w);
	jsonw_kstr(&w, "tracing", "");
	jsonw_kstr(&w, "metrics", "");
	jsonw_kbool(&w, "accessLog", false);
	jsonw_end_object(&w);
	jsonw_key(&w, "providers");
	jsonw_array(&w);
	jsonw_str(&w, "ConsulCatalog");
	jsonw_end_array(&w);
	jsonw_kstr(&w, "proxy", ingress_status(i));
	jsonw_end_object(&w);
	reply_json(r, &body);
}

static void
serve_rawdata(struct ingress *i, struct http_req *r)
{
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);

	jsonw_object(&w);
	for (size_t k = 0; k < NELEM(collections); k++) {
		const struct objs *list = list_of(i, &collections[k]);
		if (list->n == 0)
			continue;
		jsonw_key(&w, collections[k].name);
		jsonw_object(&w);
		for (size_t n = 0; n < list->n; n++) {
			char name[512];
			snprintf(
			    name, sizeof(name), "%s@%s", *(const char **)list->at[n], provider);
			jsonw_key(&w, name);
			collections[k].write(&w, list->at[n]);
		}
		jsonw_end_object(&w);
	}
	jsonw_end_object(&w);
	reply_json(r, &body);
}

static void
serve_version(struct ingress *i, struct http_req *r)
{
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);

	(void)i;
	jsonw_object(&w);
	jsonw_kstr(&w, "Version", POTTER_VERSION);
	jsonw_kstr(&w, "Codename", "potter");
	jsonw_end_object(&w);
	reply_json(r, &body);
}

static void
write_entrypoint(struct jsonw *w, const char *name, const char *address)
{
	jsonw_object(w);
	jsonw_kstr(w, "address", address);
	jsonw_kstr(w, "name", name);
	jsonw_end_object(w);
}

static void
serve_entrypoints(struct ingress *i, struct http_req *r)
{
	autobuf struct buf body = BUF_INIT;
	struct jsonw w = JSONW_INIT(&body);
	const char *one = http_part(r, 2);

	if (one != NULL && *one != '\0') {
		if (!str_eq(one, "web")) {
			http_reply_text(r, 404, "entry point not found: %s", one);
			return;
		}
		write_entrypoint(&w, "web", i->paths.listen[0]);
	} else {
		jsonw_array(&w);
		for (size_t k = 0; i->paths.listen[k] != NULL; k++)
			write_entrypoint(&w, "web", i->paths.listen[k]);
		jsonw_end_array(&w);
	}
	reply_json(r, &body);
}

/* ---- the page ---- */

static void
escape(struct buf *b, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		switch (*text) {
		case '<':
			buf_adds(b, "&lt;");
			break;
		case '>':
			buf_adds(b, "&gt;");
			break;
		case '&':
			buf_adds(b, "&amp;");
			break;
		case '"':
			buf_adds(b, "&quot;");
			break;
		default:
			buf_addc(b, *text);
		}
}

static void
cell(struct buf *b, const char *text)
{
	buf_adds(b, "<td>");
	escape(b, text);
	buf_adds(b, "</td>");
}

static void
page_routers(struct ingress *i, struct buf *b)
{
	struct route_router *t;

	buf_adds(b,
	    "<h2>Routers</"
	    "h2><table><tr><th>Status<th>Name<th>Rule<th>Priority<th>Service<th>Remarks</tr>");
	OBJS_FOREACH (t, &i->routing->routers) {
		const char *status = status_of(&t->errors, &t->warnings);
		const struct strs *remarks = t->errors.n > 0 ? &t->errors : &t->warnings;
		char priority[24];
		snprintf(priority, sizeof(priority), "%lld", (long long)t->priority);
		buf_addf(b, "<tr class=\"%s\">", status);
		cell(b, status);
		cell(b, t->name);
		cell(b, t->rule_text);
		cell(b, priority);
		cell(b, t->service != NULL ? t->service->name : "");
		buf_adds(b, "<td>");
		for (size_t k = 0; k < remarks->n; k++) {
			escape(b, remarks->at[k]);
			buf_adds(b, "<br>");
		}
		buf_adds(b, "</td></tr>");
	}
	buf_adds(b, "</table>");
}

static void
page_services(struct ingress *i, struct buf *b)
{
	struct route_service *s;
	struct route_server *v;

	buf_adds(b, "<h2>Services</h2><table><tr><th>Name<th>Instances</tr>");
	OBJS_FOREACH (s, &i->routing->services) {
		buf_adds(b, "<tr>");
		cell(b, s->name);
		buf_adds(b, "<td>");
		OBJS_FOREACH (v, &s->servers) {
			buf_addf(b, "<span class=\"%s\">", v->up ? "enabled" : "disabled");
			escape(b, v->url);
			buf_addf(b, " %s</span><br>", v->up ? "up" : "down");
		}
		buf_adds(b, "</td></tr>");
	}
	buf_adds(b, "</table>");
}

static void
serve_page(struct ingress *i, struct http_req *r)
{
	autobuf struct buf b = BUF_INIT;

	buf_adds(&b,
	    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Potter ingress</title>"
	    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em "
	    "auto;max-width:70em;padding:0 1em;"
	    "color:#223}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:."
	    "3em .8em;"
	    "border-bottom:1px solid "
	    "#dde;vertical-align:top}.disabled{color:#b00}.warning{color:#a60}"
	    "</style><h1>Ingress</h1><p>HAProxy: ");
	escape(&b, ingress_status(i));
	buf_adds(&b, "</p>");
	page_routers(i, &b);
	page_services(i, &b);
	buf_adds(&b, "<p><a href=\"/api/rawdata\">/api/rawdata</a></p></html>");
	http_set(r, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
	http_reply(r, 200, "text/html; charset=utf-8", buf_str(&b), b.len);
}

static void
serve_ping(struct ingress *i, struct http_req *r)
{
	bool up = i->proxy == PROXY_UP;

	http_reply_text(r, up ? 200 : 503, "%s", up ? "OK" : ingress_status(i));
}

static void
serve_nothing(struct ingress *i, struct http_req *r)
{
	(void)i;
	http_reply(r, 200, "application/json", "[]", 2);
}

static void
serve_root(struct ingress *i, struct http_req *r)
{
	(void)i;
	http_set(r, "Location", "/dashboard/");
	http_reply_text(r, 302, "Found\n");
}

static const struct page {
	const char *first, *second; /* second NULL: any */
	void (*serve)(struct ingress *i, struct http_req *r);
} pages[] = {
	{ "ping", NULL, serve_ping },
	{ "dashboard", NULL, serve_page },
	{ "api", "overview", serve_overview },
	{ "api", "rawdata", serve_rawdata },
	{ "api", "version", serve_version },
	{ "api", "entrypoints", serve_entrypoints },
	{ "api", "http", serve_http_part },
	{ "api", "tcp", serve_nothing },
	{ "api", "udp", serve_nothing },
};

static void
handle(struct http_req *r, void *ctx)
{
	const char *first = http_part(r, 0), *second = http_part(r, 1);

	if (!http_is_get(r)) {
		http_set(r, "Allow", "GET, HEAD");
		http_reply_text(r, 405, "Method Not Allowed\n");
		return;
	}
	if (first == NULL || *first == '\0') {
		serve_root(ctx, r);
		return;
	}
	for (size_t k = 0; k < NELEM(pages); k++)
		if (str_eq(first, pages[k].first) &&
		    (pages[k].second == NULL || str_eq(second, pages[k].second))) {
			pages[k].serve(ctx, r);
			return;
		}
	http_reply_text(r, 404, "404 page not found\n");
}

int
dashboard_open(struct ingress *i, const char *address, struct err *e)
{
	const char *colon = strrchr(address, ':');
	uint64_t port;

	if (colon == NULL || !str_u64(colon + 1, UINT16_MAX, &port))
		return err_new(
		    e, ERR_INPUT, "dashboard address \"%s\" is not ADDRESS:PORT", address);
	size_t len = (size_t)(colon - address);
	bool brackets = len > 2 && address[0] == '[' && colon[-1] == ']';
	autofree char *host = brackets ? xstrndup(address + 1, len - 2) : xstrndup(address, len);
	i->dashboard = http_server_new(i->loop, NULL, handle, i);
	if (http_listen(i->dashboard, *host != '\0' ? host : "0.0.0.0", (uint16_t)port, e) < 0)
		return err_ctx(e, "dashboard");
	return 0;
}

void
dashboard_close(struct ingress *i)
{
	if (i->dashboard != NULL)
		http_server_free(i->dashboard);
	i->dashboard = NULL;
}
