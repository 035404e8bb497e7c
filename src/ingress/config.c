#include "ingress/config.h"

#include "base/buf.h"
#include "base/ids.h"
#include "base/str.h"
#include "ingress/middleware.h"
#include "ingress/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- slots ---- */

void
slots_fini(struct slots *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->key[i]);
	free(s->key);
	*s = (struct slots){ 0 };
}

static void
slots_grow(struct slots *s, size_t n)
{
	s->key = xrealloc(s->key, n * sizeof(*s->key));
	memset(s->key + s->n, 0, (n - s->n) * sizeof(*s->key));
	s->n = n;
}

static bool
is_wanted(const char *key, const struct routing *r)
{
	const struct route_backend *b = map_get(&r->backend, key);

	return b != NULL && route_backend_plain(b);
}

bool
slots_assign(struct slots *s, const struct routing *r)
{
	struct route_backend *b;
	size_t plain = 0, next = 0;

	OBJS_FOREACH (b, &r->backends) {
		plain += route_backend_plain(b);
		b->slot = SIZE_MAX;
	}
	if (plain > SLOTS_MAX)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		if (s->key[i] == NULL)
			continue;
		if (is_wanted(s->key[i], r)) {
			((struct route_backend *)map_get(&r->backend, s->key[i]))->slot = i;
			continue;
		}
		free(s->key[i]);
		s->key[i] = NULL;
	}
	if (plain > s->n || s->n == 0)
		slots_grow(s, (plain + SLOTS_SPARE + SLOTS_STEP - 1) / SLOTS_STEP * SLOTS_STEP);
	OBJS_FOREACH (b, &r->backends) {
		if (!route_backend_plain(b) || b->slot != SIZE_MAX)
			continue;
		while (s->key[next] != NULL)
			next++;
		s->key[next] = xstrdup(b->key);
		b->slot = next;
	}
	return true;
}

void
slots_write(const struct slots *s, struct buf *out)
{
	for (size_t i = 0; i < s->n; i++)
		buf_addf(out, "%s\n", s->key[i] != NULL ? s->key[i] : "");
}

void
slots_read(struct slots *s, const char *text)
{
	struct map seen = MAP_INIT;

	slots_fini(s);
	for (size_t i = 0; *text != '\0' && i < SLOTS_MAX; i++) {
		size_t n = strcspn(text, "\n");
		autofree char *key = xstrndup(text, n);
		if (i >= s->n)
			slots_grow(s, s->n + SLOTS_STEP);
		if (*key != '\0' && map_set(&seen, key, s) == NULL)
			s->key[i] = take(&key);
		text += n + (text[n] == '\n');
	}
	map_fini(&seen);
}

/* ---- names ---- */

const char *
config_backend(const struct route_backend *b, struct routing *r)
{
	if (route_backend_plain(b))
		return arena_printf(&r->mem, "slot-%zu", b->slot);
	return arena_printf(&r->mem, "own-%016" PRIx64, ids_hash64(b->key, strlen(b->key)));
}

const char *
config_endpoint(const struct route_server *v, struct arena *a)
{
	return arena_printf(a, strchr(v->address, ':') != NULL ? "[%s]:%" PRId64 : "%s:%" PRId64,
	    v->address, v->port);
}

/* ---- the frontend ---- */

static const char *
sample_of(const struct match *m, struct arena *a)
{
	switch (m->kind) {
	case MATCH_HOST:
		return "var(txn.host) -m str";
	case MATCH_HOST_REGEXP:
		return "var(txn.host) -m reg";
	case MATCH_PATH:
		return "path -m str";
	case MATCH_PATH_PREFIX:
		return "path -m beg";
	case MATCH_PATH_REGEXP:
		return "path -m reg";
	case MATCH_HEADER:
		return arena_printf(a, "req.fhdr(%s) -m str", m->key);
	case MATCH_HEADER_REGEXP:
		return arena_printf(a, "req.fhdr(%s) -m reg", m->key);
	case MATCH_METHOD:
		return "method -m str";
	case MATCH_QUERY:
		return arena_printf(
		    a, "url_param(%s) -m %s", m->key, m->value != NULL ? "str" : "found");
	case MATCH_QUERY_REGEXP:
		return arena_printf(a, "url_param(%s) -m reg", m->key);
	case MATCH_CLIENT_IP:
		return "src";
	case MATCH_KINDS:
		break;
	}
	abort();
}

static void
write_rule(
    struct routing *r, const struct rule *rule, const char *backend, size_t *acl, struct buf *out)
{
	for (size_t i = 0; i < rule->n; i++) {
		autobuf struct buf when = BUF_INIT;
		for (size_t k = 0; k < rule->at[i].n; k++) {
			const struct match *m = &rule->at[i].at[k];
			buf_addf(out, "\tacl m%zu %s", *acl, sample_of(m, &r->mem));
			if (m->value != NULL) {
				buf_adds(out, " -- ");
				config_quote(out, m->value);
			}
			buf_addc(out, '\n');
			buf_addf(&when, " %sm%zu", m->negate ? "!" : "", (*acl)++);
		}
		buf_addf(out, "\thttp-request set-var(txn.be) str(%s) if !routed%s\n", backend,
		    buf_str(&when));
	}
}

static void
write_unit(struct routing *r, const struct plan_unit *u, size_t *acl, struct buf *out)
{
	const char *backend = config_backend(u->router->backend, r);

	if (u->host == NULL) {
		write_rule(r, &u->router->rule, backend, acl, out);
		return;
	}
	struct match m = { .kind = MATCH_HOST, .value = u->host };
	struct rule_term term = { .at = &m, .n = 1 };
	struct rule rule = { .at = &term, .n = 1 };
	write_rule(r, &rule, backend, acl, out);
}

static void
write_frontend(const struct config_paths *p, struct routing *r, struct buf *out)
{
	struct plan plan;
	size_t acl = 0;
	bool map_done = false;

	plan_make(r, &plan);
	buf_adds(out, "frontend web\n");
	for (size_t i = 0; p->listen[i] != NULL; i++)
		buf_addf(out, "\tbind %s%s\n", p->listen[i],
		    str_starts(p->listen[i], "[::]:") ? " v6only" : "");
	buf_adds(out, "\thttp-request set-header X-Forwarded-For %[src]\n"
		      "\thttp-request set-header X-Real-Ip %[src]\n"
		      "\thttp-request set-header X-Forwarded-Proto http\n"
		      "\thttp-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
		      "\thttp-request set-header X-Forwarded-Port %[dst_port]\n"
		      "\thttp-request set-header X-Forwarded-Server ");
	config_quote_format(out, p->host_name);
	/* What is not safe to be sent twice is sent twice only if no server has seen it. */
	buf_adds(out, "\n\thttp-request disable-l7-retry if !METH_GET !METH_OPTIONS\n"
		      "\tacl routed var(txn.be) -m found\n"
		      "\thttp-request set-var(txn.host) req.hdr(host),host_only,lower\n");
	for (size_t i = 0; i <= plan.n; i++) {
		bool end = i == plan.n;
		if (!map_done &&
		    (end || (plan.at[i].host == NULL && plan.at[i].position >= plan.map_position) ||
			(plan.at[i].host != NULL && !plan.at[i].mapped && !plan.at[i].shadowed &&
			    plan.at[i].position > plan.map_position))) {
			buf_addf(out,
			    "\thttp-request set-var(txn.be) var(txn.host),map(%s) if !routed\n",
			    p->map);
			map_done = true;
		}
		if (!end && !plan.at[i].mapped && !plan.at[i].shadowed)
			write_unit(r, &plan.at[i], &acl, out);
	}
	buf_adds(out, "\tuse_backend %[var(txn.be)] if routed\n\tdefault_backend nothing\n\n");
}

/* ---- the rest ---- */

static void
write_head(const struct config_paths *p, const char *digest, struct buf *out)
{
	/* noreuseport: one that an agent started just before it was killed, and which nobody knows
	 * yet, must not share the ports with a second. */
	buf_addf(out,
	    "# Written by the agent; changes are overwritten.\n"
	    "global\n\tnbthread 1\n\tnoreuseport\n\tmaxconn %u\n"
	    "\tstats socket %s mode 600 level admin expose-fd listeners\n"
	    "\tstats timeout 20d\n\thard-stop-after 60s\n",
	    p->maxconn, p->socket);
	if (digest != NULL)
		buf_addf(out, "\tset-var proc.potter str(%s)\n", digest);
	buf_adds(out,
	    "\ndefaults\n\tmode http\n"
	    "\ttimeout connect 2s\n\ttimeout client 10m\n\ttimeout server 10m\n"
	    "\ttimeout http-request 30s\n\ttimeout http-keep-alive 180s\n\ttimeout tunnel 24h\n"
	    "\toption redispatch 1\n\toption idle-close-on-response\n\tretries 3\n\tretry-on "
	    "conn-failure empty-response\n"
	    "\toption http-ignore-probes\n\toption dontlognull\n");
	static const struct {
		int status;
		const char *text;
	} errors[] = { { 400, "Bad Request" }, { 408, "Request Timeout" },
		{ 500, "Internal Server Error" }, { 502, "Bad Gateway" },
		{ 503, "no available server" }, { 504, "Gateway Timeout" } };
	for (size_t i = 0; i < NELEM(errors); i++)
		buf_addf(out, "\thttp-error status %d content-type text/plain string '%s'\n",
		    errors[i].status, errors[i].text);
	buf_addc(out, '\n');
}

static void
write_servers(const struct route_backend *b, struct routing *r, struct buf *out)
{
	struct route_server *v;

	OBJS_FOREACH (v, &b->service->servers)
		if (v->up)
			buf_addf(out, "\tserver %s %s weight %" PRId64 "%s\n", v->name,
			    config_endpoint(v, &r->mem), v->weight, b->server_options);
}

static void
write_backend(const char *name, const struct route_backend *b, struct routing *r, bool servers,
    struct buf *out)
{
	/* nothing is said here for "no server": a process that is being replaced counts none, and
	 * still has requests to pass on */
	buf_addf(out, "backend %s\n\tbalance roundrobin\n%s", name, b != NULL ? b->lines : "");
	if (b != NULL && servers)
		write_servers(b, r, out);
	buf_addc(out, '\n');
}

void
config_write(const struct config_paths *p, struct routing *r, const struct slots *s,
    const char *digest, bool servers, struct buf *out)
{
	struct route_middleware *m;
	struct route_backend *b;

	write_head(p, digest, out);
	write_frontend(p, r, out);
	buf_adds(out, "backend nothing\n"
		      "\thttp-request return status 404 content-type text/plain string '404 page "
		      "not found'\n\n");
	OBJS_FOREACH (m, &r->middlewares)
		if (m->errors.n == 0 && *m->section != '\0')
			buf_addf(out, "%s\n", m->section);
	OBJS_FOREACH (b, &r->backends)
		if (!route_backend_plain(b)) {
			/* what runtime-added servers must be told is part of what the skeleton
			 * means */
			buf_addf(out, "#%s\n", b->server_options);
			write_backend(config_backend(b, r), b, r, servers, out);
		}
	for (size_t i = 0; i < s->n; i++)
		write_backend(arena_printf(&r->mem, "slot-%zu", i),
		    s->key[i] != NULL ? map_get(&r->backend, s->key[i]) : NULL, r, servers, out);
}

const char *
config_digest(const struct config_paths *p, struct routing *r, const struct slots *s, char out[17])
{
	autobuf struct buf text = BUF_INIT;

	config_write(p, r, s, NULL, false, &text);
	snprintf(out, 17, "%016" PRIx64, ids_hash64(buf_str(&text), text.len));
	return out;
}

void
config_hosts(struct routing *r, struct map *out)
{
	struct plan plan;

	plan_make(r, &plan);
	for (size_t i = 0; i < plan.n; i++)
		if (plan.at[i].mapped)
			map_set(out, plan.at[i].host,
			    (void *)config_backend(plan.at[i].router->backend, r));
}
