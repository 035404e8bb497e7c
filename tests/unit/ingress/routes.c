/* Unit tests of ingress/routes, tags, middleware and config: from service rows to configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "ingress/config.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const listen_on[] = { "127.0.0.1:18080", "[::1]:18080", NULL };
static const struct config_paths paths = { .listen = listen_on,
	.socket = "/tmp/x.sock",
	.map = "/dev/null",
	.host_name = "node 1",
	.maxconn = 100 };

enum { ROWS_MAX = 64, TAGS_MAX = 10 };

static struct {
	struct service_row row[ROWS_MAX];
	const struct service_row *list[ROWS_MAX];
	const char *tags[ROWS_MAX][TAGS_MAX];
	char id[ROWS_MAX][32];
	size_t n;
} t;

/* Adds an instance; tags end with NULL. */
static struct service_row *
row(const char *service, const char *address, int port, ...)
{
	struct service_row *r = &t.row[t.n];
	va_list ap;

	*r = (struct service_row){ .id = t.id[t.n],
		.service_name = service,
		.address = address,
		.port = port,
		.status = "passing",
		.tags.at = t.tags[t.n] };
	snprintf(t.id[t.n], sizeof(t.id[0]), "row-%02zu", t.n);
	va_start(ap, port);
	for (const char *tag; (tag = va_arg(ap, const char *)) != NULL;)
		t.tags[t.n][r->tags.n++] = tag;
	va_end(ap);
	t.list[t.n++] = r;
	return r;
}

static struct routing *
build(void)
{
	struct routes_config c = { 0 };

	return routes_build(t.list, t.n, &c);
}

static int
empty(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	return 0;
}

static char *
errors_of(const struct routing *r, const char *router)
{
	struct route_router *x = map_get(&r->router, router);
	autobuf struct buf b = BUF_INIT;

	assert_non_null(x);
	for (size_t i = 0; i < x->errors.n; i++)
		buf_addf(&b, "%s;", x->errors.at[i]);
	return buf_take(&b);
}

static void
fails_with(const struct routing *r, const char *router, const char *part)
{
	autofree char *text = errors_of(r, router);

	if (strstr(text, part) == NULL)
		fail_msg("router %s: got \"%s\", expected \"…%s…\"", router, text, part);
	assert_null(((struct route_router *)map_get(&r->router, router))->backend);
}

static void
a_service_without_tags_gets_the_default_rule(void **state)
{
	struct map hosts = MAP_INIT;
	struct slots slots = { 0 };

	(void)state;
	row("hello-web", "10.0.0.1", 8080, "nginx", "minipot", NULL);
	row("hello-web", "10.0.0.2", 8080, NULL);
	row("hello-web", "fd00::1", 8080, NULL)->status = "critical";
	struct routing *r = build();
	struct route_router *x = map_get(&r->router, "hello-web");
	assert_string_equal(x->rule_text, "Host(`hello-web.minipot`)");
	assert_int_equal(x->errors.n, 0);
	assert_int_equal(x->service->servers.n, 3);
	assert_true(slots_assign(&slots, r));
	config_hosts(r, &hosts);
	assert_string_equal(map_get(&hosts, "hello-web.minipot"), "slot-0");
	autobuf struct buf text = BUF_INIT, bare = BUF_INIT;
	config_write(&paths, r, &slots, "abc", true, &text);
	assert_non_null(strstr(buf_str(&text), " 10.0.0.1:8080 weight 1\n"));
	assert_null(strstr(buf_str(&text), "[fd00::1]:8080"));
	config_write(&paths, r, &slots, "abc", false, &bare);
	assert_null(strstr(buf_str(&bare), "10.0.0.1"));
	map_fini(&hosts);
	slots_fini(&slots);
	routing_free(r);
}

static void
tags_make_routers_services_and_middlewares(void **state)
{
	(void)state;
	row("web", "10.0.0.1", 80, "traefik.enable=true",
	    "Traefik.HTTP.Routers.Api.Rule=Host(`a`) && PathPrefix(`/api`)",
	    "traefik.http.routers.api.middlewares=strip, auth@consulcatalog",
	    "traefik.http.routers.api.priority=7",
	    "traefik.http.middlewares.strip.stripprefix.prefixes=/api",
	    "traefik.http.middlewares.auth.basicauth.users=joe:$5$abc$def",
	    "traefik.http.services.web.loadbalancer.server.port=81", "traefik.bogus.key=1", NULL);
	row("hidden", "10.0.0.1", 80, "traefik.enable=false", NULL);
	struct routing *r = build();
	assert_int_equal(r->routers.n, 1);
	struct route_router *x = map_get(&r->router, "api");
	autofree char *errors = errors_of(r, "api");
	assert_string_equal(errors, "");
	assert_int_equal(x->priority, 7);
	assert_string_equal(x->backend->key, "web|strip|auth");
	assert_int_equal(((struct route_server *)x->service->servers.at[0])->port, 81);
	assert_int_equal(r->warnings.n, 1);
	assert_non_null(strstr(r->warnings.at[0], "traefik.bogus.key=1\": unknown key"));
	routing_free(r);
}

static void
what_cannot_be_done_disables_the_router_and_says_why(void **state)
{
	(void)state;
	row("a", "10.0.0.1", 80, "traefik.http.routers.a.rule=Hots(`a`)", NULL);
	row("b", "10.0.0.1", 80, "traefik.http.routers.b.middlewares=nope", NULL);
	row("c", "10.0.0.1", 80, "traefik.http.routers.c.middlewares=f",
	    "traefik.http.middlewares.f.forwardauth.address=http://x", NULL);
	row("d", "10.0.0.1", 80, "traefik.http.routers.d.tls=true", NULL);
	row("e", "10.0.0.1", 80, "traefik.http.routers.e.entrypoints=metrics", NULL);
	row("g", "10.0.0.1", 80, "traefik.http.routers.g.rule=Host(`g`)", NULL);
	row("g", "10.0.0.2", 80, "traefik.http.routers.g.rule=Host(`h`)", NULL);
	row("i", "10.0.0.1", 80, "traefik.http.routers.i.service=none", NULL);
	row("j", "10.0.0.1", 80, "traefik.http.routers.j.middlewares=apr",
	    "traefik.http.middlewares.apr.basicauth.users=joe:$apr1$x$y", NULL);
	row("k", "10.0.0.1", 80, "traefik.http.routers.k.middlewares=h",
	    "traefik.http.middlewares.h.headers.accesscontrolmaxage=100", NULL);
	struct routing *r = build();
	fails_with(r, "a", "did you mean Host?");
	fails_with(r, "b", "middleware \"nope\" does not exist");
	fails_with(r, "c", "kind forwardauth is not supported");
	fails_with(r, "d", "no entry point with TLS");
	fails_with(r, "e", "there is only \"web\"");
	fails_with(r, "g", "defined differently");
	fails_with(r, "i", "service \"none\" does not exist");
	fails_with(r, "j", "htpasswd -B");
	fails_with(r, "k", "headers.accesscontrolmaxage: is not supported");
	assert_int_equal(r->backends.n, 0);
	routing_free(r);
}

static void
slots_stay_with_their_service(void **state)
{
	struct slots slots = { 0 };
	char digest[17], again[17];

	(void)state;
	row("a", "10.0.0.1", 80, NULL);
	row("b", "10.0.0.1", 80, NULL);
	struct routing *r = build();
	slots_assign(&slots, r);
	config_digest(&paths, r, &slots, digest);
	routing_free(r);
	/* a goes, c and d come: b keeps its slot, and no reload is needed */
	t.n = 0;
	row("b", "10.0.0.9", 80, NULL);
	row("c", "10.0.0.1", 80, NULL);
	row("d", "10.0.0.1", 80, NULL);
	r = build();
	slots_assign(&slots, r);
	assert_string_equal(slots.key[0], "c");
	assert_string_equal(slots.key[1], "b");
	assert_string_equal(slots.key[2], "d");
	assert_string_equal(config_digest(&paths, r, &slots, again), digest);
	autobuf struct buf text = BUF_INIT;
	slots_write(&slots, &text);
	struct slots copy = { 0 };
	slots_read(&copy, buf_str(&text));
	assert_string_equal(copy.key[2], "d");
	slots_fini(&copy);
	slots_fini(&slots);
	routing_free(r);
}

static void
more_services_than_slots_make_more_slots(void **state)
{
	static char names[20][8];
	struct slots slots = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "s%d", i);
		row(names[i], "10.0.0.1", 80, NULL);
	}
	struct routing *r = build();
	assert_true(slots_assign(&slots, r));
	assert_int_equal(slots.n, 32);
	slots_fini(&slots);
	routing_free(r);
}

static bool
is_mapped(const char *host)
{
	struct map hosts = MAP_INIT;
	struct slots slots = { 0 };
	struct routing *r = build();

	slots_assign(&slots, r);
	config_hosts(r, &hosts);
	bool is = map_has(&hosts, host);
	map_fini(&hosts);
	slots_fini(&slots);
	routing_free(r);
	return is;
}

static void
the_map_is_used_where_the_order_of_rules_allows(void **state)
{
	(void)state;
	row("web", "10.0.0.1", 80, NULL);
	row("other", "10.0.0.1", 80, NULL);
	row("api", "10.0.0.1", 80,
	    "traefik.http.routers.api.rule=Host(`web.minipot`) && PathPrefix(`/api`)", NULL);
	row("all", "10.0.0.1", 80, "traefik.http.routers.all.rule=PathPrefix(`/`)", NULL);
	assert_true(is_mapped("web.minipot")); /* between the api rule and the catch-all */
	assert_true(is_mapped("other.minipot"));
	row("first", "10.0.0.1", 80,
	    "traefik.http.routers.first.rule=Host(`web.minipot`) && Path(`/x`)",
	    "traefik.http.routers.first.priority=1", NULL);
	assert_true(is_mapped("web.minipot"));
	/* two hosts that cannot both be right: one becomes a rule */
	row("x", "10.0.0.1", 80, "traefik.http.routers.x.rule=Host(`x`)",
	    "traefik.http.routers.x.priority=5", NULL);
	assert_false(is_mapped("x"));
	assert_true(is_mapped("web.minipot"));
}

static void
everything_at_once(void)
{
	row("web", "10.0.0.1", 80, NULL);
	row("web", "fd00::2", 80, NULL);
	row("all", "10.0.0.1", 80, "traefik.http.routers.all.rule=PathPrefix(`/`)",
	    "traefik.http.routers.all.priority=1", NULL);
	row("low", "10.0.0.1", 80, "traefik.http.routers.low.rule=Host(`x`) || Host(`y`)",
	    "traefik.http.routers.low.priority=1", NULL);
	row("m", "10.0.0.1", 80,
	    "traefik.http.routers.m.rule=(Host(`m`) || HostRegexp(`^[a-z]+\\.m$`)) && "
	    "!Header(`X-Its`, `}`) && Query(`a`) && (Method(`GET`) || ClientIP(`10.0.0.0/8`, "
	    "`::1`)) && PathRegexp(`^/(a|b)'\"#$`)",
	    NULL);
	row("n", "10.0.0.1", 80,
	    "traefik.http.routers.n.rule=Host(`n`) && HeaderRegexp(`X-A`, `{`)", NULL);
	row("o", "10.0.0.1", 443, "traefik.http.services.o.loadbalancer.server.scheme=https",
	    "traefik.http.services.o.loadbalancer.sticky.cookie.name=sid",
	    "traefik.http.services.o.loadbalancer.sticky.cookie.samesite=lax", NULL);
	row("p", "10.0.0.1", 80, "traefik.http.routers.p.middlewares=r1,s1,a1,h1",
	    "traefik.http.routers.p.rule=Host(`p`)",
	    "traefik.http.middlewares.r1.redirectscheme.scheme=https",
	    "traefik.http.middlewares.r1.redirectscheme.port=8443",
	    "traefik.http.middlewares.s1.stripprefix.prefixes=/a.b,/it's%20",
	    "traefik.http.middlewares.a1.addprefix.prefix=/x%y",
	    "traefik.http.middlewares.h1.headers.customrequestheaders.X-A=100% 'ok' \"q\"",
	    "traefik.http.middlewares.h1.headers.customresponseheaders.Server=",
	    "traefik.http.middlewares.h1.headers.framedeny=true", NULL);
	row("q", "10.0.0.1", 80, "traefik.http.routers.q.middlewares=c1",
	    "traefik.http.middlewares.c1.chain.middlewares=u1,i1,l1,g1,t1,p1",
	    "traefik.http.middlewares.u1.basicauth.users=joe:$5$rounds=5000$abc$def,eve:$2y$05$"
	    "abcdefghijklmnopqrstuv",
	    "traefik.http.middlewares.i1.ipwhitelist.sourcerange=10.0.0.0/8, ::1",
	    "traefik.http.middlewares.l1.ratelimit.average=100",
	    "traefik.http.middlewares.g1.compress=true",
	    "traefik.http.middlewares.t1.retry.attempts=4",
	    "traefik.http.middlewares.p1.replacepath.path=/fixed", NULL);
}

static void
the_proxy_accepts_what_is_written(void **state)
{
	char file[] = "/tmp/ingress-XXXXXX", digest[17];
	struct slots slots = { 0 };
	extern char **environ;
	int status;
	pid_t pid;

	(void)state;
	if (access("/usr/sbin/haproxy", X_OK) != 0)
		skip();
	everything_at_once();
	struct routing *r = build();
	struct route_router *x;
	OBJS_FOREACH (x, &r->routers)
		if (!str_eq(x->name, "n")) {
			autofree char *errors = errors_of(r, x->name);
			assert_string_equal(errors, "");
		}
	fails_with(r, "n", "nothing to repeat");
	slots_assign(&slots, r);
	autobuf struct buf text = BUF_INIT;
	config_write(&paths, r, &slots, config_digest(&paths, r, &slots, digest), true, &text);
	int fd = mkstemp(file);
	assert_int_equal(write(fd, buf_str(&text), text.len), text.len);
	close(fd);
	char *argv[] = { "haproxy", "-c", "-q", "-f", file, NULL };
	assert_int_equal(posix_spawn(&pid, "/usr/sbin/haproxy", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("refused:\n%s", buf_str(&text));
	unlink(file);
	slots_fini(&slots);
	routing_free(r);
}

static void
templates_of_the_default_rule(void **state)
{
	struct routes_config c = { .default_rule =
				       "Host(`{{ normalize .Name }}.example`, `{{.Name}}`)" };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(routes_check_template(c.default_rule, &e), 0);
	assert_int_equal(routes_check_template("Host(`{{ .Foo }}`)", &e), -1);
	assert_int_equal(routes_check_template("Hst(`{{ .Name }}`)", &e), -1);
	row("My_Service.1", "10.0.0.1", 80, NULL);
	struct routing *r = routes_build(t.list, t.n, &c);
	struct route_router *x = r->routers.at[0];
	assert_string_equal(x->rule_text, "Host(`My-Service-1.example`, `My_Service.1`)");
	assert_int_equal(x->errors.n, 0);
	routing_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_service_without_tags_gets_the_default_rule, empty),
		cmocka_unit_test_setup(tags_make_routers_services_and_middlewares, empty),
		cmocka_unit_test_setup(what_cannot_be_done_disables_the_router_and_says_why, empty),
		cmocka_unit_test_setup(slots_stay_with_their_service, empty),
		cmocka_unit_test_setup(more_services_than_slots_make_more_slots, empty),
		cmocka_unit_test_setup(the_map_is_used_where_the_order_of_rules_allows, empty),
		cmocka_unit_test_setup(the_proxy_accepts_what_is_written, empty),
		cmocka_unit_test_setup(templates_of_the_default_rule, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
