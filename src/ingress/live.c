/* live.c: what the proxy does now, and the commands that make it do what is wanted. */
#include "ingress/proxy.h"

#include "base/log.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADMIN_MAINT = 0x01, REAP_MS = 1000 };

static void
free_server(void *value)
{
	struct live_server *v = value;

	free(v->backend);
	free(v->name);
	free(v);
}

void
live_clear(struct live *l)
{
	size_t i = 0;
	const char *key;
	void *value;

	while (map_next(&l->servers, &i, &key, &value))
		free_server(value);
	for (i = 0; map_next(&l->hosts, &i, &key, &value);)
		free(value);
	map_fini(&l->servers);
	map_fini(&l->hosts);
	map_fini(&l->backends);
	*l = (struct live){ 0 };
}

/* ---- asking ---- */

struct load {
	struct ingress *i;
	loop_fn *done;
};

static const char *
word(char **line)
{
	char *w;

	do
		w = strsep(line, " ");
	while (w != NULL && *w == '\0');
	return w;
}

static void
take_digest(void *ctx, char *text)
{
	struct ingress *i = ctx;
	char *from = text != NULL ? strstr(text, "value=<") : NULL;

	str_copy(i->live.digest, sizeof(i->live.digest), "");
	if (from != NULL && strlen(from) >= 7 + 16)
		memcpy(i->live.digest, from + 7, 16);
}

static void
take_info(void *ctx, char *text)
{
	struct ingress *i = ctx;
	char *from = text != NULL ? strstr(text, "\nPid: ") : NULL;

	i->live.pid = from != NULL ? (pid_t)strtol(from + 6, NULL, 10) : 0;
}

static void
take_backends(void *ctx, char *text)
{
	struct ingress *i = ctx;

	for (char *line; (line = strsep(&text, "\n")) != NULL;)
		if (*line != '#' && *line != '\0')
			map_set(&i->live.backends, line, i);
}

static struct live_server *
remember(struct live *l, const char *backend, const char *name, bool ready)
{
	struct live_server *v = xcalloc(1, sizeof(*v));
	autofree char *key = xasprintf("%s/%s", backend, name);

	*v = (struct live_server){
		.backend = xstrdup(backend), .name = xstrdup(name), .ready = ready
	};
	void *old = map_set(&l->servers, key, v);
	if (old != NULL)
		free_server(old);
	return v;
}

/* "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state …" */
static void
take_servers(void *ctx, char *text)
{
	struct ingress *i = ctx;

	for (char *line; (line = strsep(&text, "\n")) != NULL;) {
		const char *field[7];
		size_t n = 0;
		if (*line == '#')
			continue;
		while (n < NELEM(field) && (field[n] = word(&line)) != NULL)
			n++;
		if (n == NELEM(field))
			remember(&i->live, field[1], field[3],
			    (strtol(field[6], NULL, 10) & ADMIN_MAINT) == 0);
	}
}

static void
take_hosts(void *ctx, char *text)
{
	struct load *load = ctx;
	struct ingress *i = load->i;
	loop_fn *done = load->done;
	bool whole = text != NULL;

	for (char *line; (line = strsep(&text, "\n")) != NULL;) {
		const char *id = word(&line), *host = word(&line), *backend = word(&line);
		if (id != NULL && host != NULL && backend != NULL)
			free(map_set(&i->live.hosts, host, xstrdup(backend)));
	}
	free(load);
	if (whole)
		done(i);
}

void
live_load(struct ingress *i, loop_fn *done)
{
	struct load *load = xcalloc(1, sizeof(*load));

	*load = (struct load){ i, done };
	live_clear(&i->live);
	cli_send(i->cli, take_digest, i, "get var proc.potter");
	cli_send(i->cli, take_info, i, "show info");
	cli_send(i->cli, take_backends, i, "show backend");
	cli_send(i->cli, take_servers, i, "show servers state");
	cli_send(i->cli, take_hosts, load, "show map %s", i->paths.map);
}

/* ---- changing ---- */

/* A refused command means that the proxy is not what we took it for: ask anew, soon. */
static void
refused(struct ingress *i, const char *what, const char *text)
{
	log_warn("ingress", "HAProxy refused to %s: %s", what, text);
	proxy_move(i, PROXY_LOADING);
	loop_timer_set(i->retry, 200);
}

static void
answered(struct ingress *i)
{
	if (i->commands > 0 && --i->commands == 0)
		i->retry_ms = 0;
}

static void
expect_nothing(void *ctx, char *text)
{
	struct ingress *i = ctx;

	answered(i);
	if (text != NULL && *text != '\0' && i->proxy == PROXY_UP)
		refused(i, "change a route or server", text);
}

static void
expect_registered(void *ctx, char *text)
{
	struct ingress *i = ctx;

	answered(i);
	if (text != NULL && strstr(text, "New server registered") == NULL && i->proxy == PROXY_UP)
		refused(i, "add a server", text);
}

#define TELL(i, expect, ...) ((i)->commands++, cli_send((i)->cli, (expect), (i), __VA_ARGS__))

static void
raise_server(struct ingress *i, const char *backend, const struct route_backend *b,
    const struct route_server *v)
{
	autofree char *key = xasprintf("%s/%s", backend, v->name);
	struct live_server *has = map_get(&i->live.servers, key);

	if (has != NULL && has->ready)
		return;
	if (has == NULL) {
		has = remember(&i->live, backend, v->name, true);
		TELL(i, expect_registered, "add server %s %s weight %" PRId64 "%s", key,
		    config_endpoint(v, &i->routing->mem), v->weight, b->server_options);
	}
	has->ready = true;
	TELL(i, expect_nothing, "set server %s state ready", key);
}

/* Servers that shall serve, before anything leads to them. */
static void
raise_servers(struct ingress *i, struct map *wanted)
{
	struct route_backend *b;
	struct route_server *v;

	OBJS_FOREACH (b, &i->routing->backends) {
		const char *name = config_backend(b, i->routing);
		if (!map_has(&i->live.backends, name))
			continue; /* not before the reload */
		OBJS_FOREACH (v, &b->service->servers) {
			if (!v->up)
				continue;
			map_set(wanted, arena_printf(&i->routing->mem, "%s/%s", name, v->name), v);
			raise_server(i, name, b, v);
		}
	}
}

static void
set_hosts(struct ingress *i, const struct map *wanted)
{
	size_t at = 0;
	const char *host;
	void *backend;

	while (map_next(wanted, &at, &host, &backend)) {
		const char *has = map_get(&i->live.hosts, host);
		if (str_eq(has, backend) || !map_has(&i->live.backends, backend))
			continue;
		TELL(i, expect_nothing, "%s map %s %s %s", has != NULL ? "set" : "add",
		    i->paths.map, host, (const char *)backend);
		free(map_set(&i->live.hosts, host, xstrdup(backend)));
	}
}

static void
drop_hosts(struct ingress *i, const struct map *wanted)
{
	size_t at = 0;
	const char *host;
	void *backend;

	while (map_next(&i->live.hosts, &at, &host, &backend)) {
		if (map_has(wanted, host))
			continue;
		TELL(i, expect_nothing, "del map %s %s", i->paths.map, host);
		free(map_del(&i->live.hosts, host));
	}
}

/* No new request for servers that shall not serve; what they are doing they may finish. */
static void
lower_servers(struct ingress *i, const struct map *wanted)
{
	size_t at = 0;
	const char *key;
	void *value;
	bool any = false;

	while (map_next(&i->live.servers, &at, &key, &value)) {
		struct live_server *v = value;
		if (map_has(wanted, key))
			continue;
		any = true;
		if (!v->ready)
			continue;
		v->ready = false;
		TELL(i, expect_nothing, "set server %s state maint", key);
	}
	if (any && !loop_timer_armed(i->reap))
		loop_timer_set(i->reap, REAP_MS);
}

void
live_sync(struct ingress *i)
{
	struct map servers = MAP_INIT, hosts = MAP_INIT;

	config_hosts(i->routing, &hosts);
	raise_servers(i, &servers);
	set_hosts(i, &hosts);
	drop_hosts(i, &hosts);
	lower_servers(i, &servers);
	map_fini(&servers);
	map_fini(&hosts);
}

struct reaping {
	struct ingress *i;
	char key[400];
};

static void
reaped(void *ctx, char *text)
{
	struct reaping *r = ctx;
	struct ingress *i = r->i;
	struct live_server *v = map_get(&i->live.servers, r->key);

	/* anything else: it is still busy, or was wanted again meanwhile */
	if (text != NULL && strstr(text, "deleted") != NULL && v != NULL && !v->ready)
		free_server(map_del(&i->live.servers, r->key));
	else if (text != NULL && !loop_timer_armed(i->reap))
		loop_timer_set(i->reap, REAP_MS);
	answered(i);
	free(r);
}

void
live_reap(void *ctx)
{
	struct ingress *i = ctx;
	size_t at = 0;
	const char *key;
	void *value;

	if (i->proxy != PROXY_UP)
		return;
	while (map_next(&i->live.servers, &at, &key, &value)) {
		struct live_server *v = value;
		if (v->ready)
			continue;
		struct reaping *r = xcalloc(1, sizeof(*r));
		r->i = i;
		str_copy(r->key, sizeof(r->key), key);
		i->commands++;
		cli_send(i->cli, reaped, r, "del server %s", key);
	}
}
