/* Unit tests of health: probes against servers of the test's own, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "health/health.h"
#include "io/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
	struct loop *loop;
	int calls;
	enum health_status status;
	char output[300];
	int64_t at_ns;
	int stop_after; /* calls; 0: never */
};

static void
note(void *arg, struct health_probe *p, enum health_status status, const char *output)
{
	struct seen *s = arg;

	s->calls++;
	s->status = status;
	s->at_ns = clock_mono_ns();
	snprintf(s->output, sizeof(s->output), "%s", output);
	if (s->stop_after == s->calls)
		health_stop(p);
}

static void
turn_until(struct loop *l, const int *counter, int wanted, int64_t most_ms)
{
	int64_t end = clock_mono_ns() + most_ms * NS_PER_MS;

	while (*counter < wanted && clock_mono_ns() < end)
		loop_turn(l, 20);
}

static int
bound_socket(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	*port = ntohs(a.sin_port);
	return fd;
}

struct canned {
	const char *answer[3]; /* of the first, second … request; the last given repeats */
	int served, conn;
	char request[600];
	struct loop *loop;
	struct loop_watch *watch;
};

static void
answer(void *ctx, int fd, unsigned what)
{
	struct canned *c = ctx;
	int i = c->served < 2 ? c->served : 2;

	(void)what;
	ssize_t n = read(fd, c->request, sizeof(c->request) - 1);
	c->request[n > 0 ? n : 0] = '\0';
	while (c->answer[i] == NULL)
		i--;
	assert_int_equal(write(fd, c->answer[i], strlen(c->answer[i])), strlen(c->answer[i]));
	c->served++;
	loop_watch_free(&c->watch);
	close(fd);
}

static void
serve(void *ctx, int fd, unsigned what)
{
	struct canned *c = ctx;

	(void)what;
	int conn = accept(fd, NULL, NULL);
	c->watch = loop_watch(c->loop, conn, LOOP_READ, answer, c);
}

static struct health_spec
spec_of(const char *type, int port)
{
	return (struct health_spec){ .type = type,
		.address = "127.0.0.1",
		.port = port,
		.interval_ns = 2 * NS_PER_SEC,
		.timeout_ns = NS_PER_SEC };
}

static void
a_port_that_opens_late_passes_within_milliseconds(void **state)
{
	struct loop *l = loop_new();
	struct seen s = { .loop = l };
	struct err e = ERR_INIT;
	int port, fd = bound_socket(&port);
	struct health_spec spec = spec_of("tcp", port);

	(void)state;
	struct health_probe *p = health_start(l, &spec, note, &s, &e);
	assert_non_null(p);
	for (int i = 0; i < 5; i++)
		loop_turn(l, 5);
	assert_int_equal(s.calls, 0); /* early failures are not told */
	assert_int_equal(health_status(p), HEALTH_CRITICAL);
	assert_non_null(strstr(health_output(p), "connect: connection refused"));
	int64_t opened = clock_mono_ns();
	listen(fd, 5);
	turn_until(l, &s.calls, 1, 1500);
	assert_int_equal(s.status, HEALTH_PASSING);
	assert_non_null(strstr(s.output, ": Success"));
	assert_true(s.at_ns - opened < 500 * NS_PER_MS);
	health_stop(p);
	close(fd);
	loop_free(l);
}

static void
status_falls_after_the_given_failures_and_rises_again(void **state)
{
	struct loop *l = loop_new();
	struct seen s = { .loop = l };
	struct err e = ERR_INIT;
	int port, fd = bound_socket(&port);
	struct health_spec spec = spec_of("tcp", port);

	(void)state;
	spec.interval_ns = 20 * NS_PER_MS;
	spec.failures_before_critical = 2;
	spec.success_before_passing = 2;
	listen(fd, 50);
	int64_t began = clock_mono_ns();
	struct health_probe *p = health_start(l, &spec, note, &s, &e);
	turn_until(l, &s.calls, 1, 2000);
	assert_int_equal(s.status, HEALTH_PASSING);
	assert_true(s.at_ns - began >= 15 * NS_PER_MS);
	close(fd); /* no longer listening */
	turn_until(l, &s.calls, 2, 2000);
	assert_int_equal(s.status, HEALTH_CRITICAL);
	health_stop(p);
	loop_free(l);
}

static void
run_http(struct canned *c, struct health_spec *spec, struct seen *s)
{
	struct loop *l = loop_new();
	struct err e = ERR_INIT;
	int port, fd = bound_socket(&port);

	listen(fd, 5);
	c->loop = l;
	spec->port = port;
	spec->interval_ns = 30 * NS_PER_MS;
	struct loop_watch *w = loop_watch(l, fd, LOOP_READ, serve, c);
	struct health_probe *p = health_start(l, spec, note, s, &e);
	assert_non_null(p);
	turn_until(l, &s->calls, 1, 2000);
	health_stop(p);
	loop_watch_free(&w);
	close(fd);
	loop_free(l);
}

static void
http_answers_decide_and_are_quoted(void **state)
{
	static const char *const headers[] = { "X-Probe: 1", NULL };
	struct health_spec spec = spec_of("http", 0);
	struct seen s = { 0 };
	struct canned c = { .answer = { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfit" } };

	(void)state;
	spec.path = "/healthz?x=1";
	spec.headers = headers;
	run_http(&c, &spec, &s);
	assert_int_equal(s.status, HEALTH_PASSING);
	assert_non_null(strstr(s.output, "/healthz?x=1: 200 OK Output: fit"));
	assert_non_null(strstr(c.request, "GET /healthz?x=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(c.request, "X-Probe: 1\r\n"));

	struct canned busy = { .answer = { "HTTP/1.1 429 Too Many Requests\r\n\r\nslow down" } };
	s = (struct seen){ 0 };
	run_http(&busy, &spec, &s);
	assert_int_equal(s.status, HEALTH_WARNING);

	struct canned sick = { .answer = { "HTTP/1.1 500 Oh No\r\nTransfer-Encoding: "
					   "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" } };
	s = (struct seen){ 0 };
	run_http(&sick, &spec, &s);
	assert_int_equal(s.status, HEALTH_CRITICAL);
	assert_non_null(strstr(s.output, "500 Oh No Output: abc"));
}

static void
redirects_are_followed_and_rubbish_is_critical(void **state)
{
	struct health_spec spec = spec_of("http", 0);
	struct seen s = { 0 };
	struct canned c = { .answer = { "HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n",
				"HTTP/1.1 204 No Content\r\n\r\n" } };

	(void)state;
	run_http(&c, &spec, &s);
	assert_int_equal(s.status, HEALTH_PASSING);
	assert_non_null(strstr(c.request, "GET /login "));

	struct canned ssh = { .answer = { "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" } };
	s = (struct seen){ 0 };
	run_http(&ssh, &spec, &s);
	assert_int_equal(s.status, HEALTH_CRITICAL);
	assert_non_null(strstr(s.output, "malformed HTTP response"));
}

static void
a_silent_server_times_out(void **state)
{
	struct loop *l = loop_new();
	struct seen s = { .loop = l };
	struct err e = ERR_INIT;
	int port, fd = bound_socket(&port);
	struct health_spec spec = spec_of("http", port);

	(void)state;
	listen(fd, 5);
	spec.interval_ns = 10 * NS_PER_MS;
	spec.timeout_ns = 40 * NS_PER_MS;
	struct health_probe *p = health_start(l, &spec, note, &s, &e);
	turn_until(l, &s.calls, 1, 2000);
	assert_int_equal(s.status, HEALTH_CRITICAL);
	assert_non_null(strstr(s.output, "deadline exceeded"));
	health_stop(p);
	close(fd);
	loop_free(l);
}

struct later {
	struct loop_timer *timer;
	health_script_done *done;
	void *arg;
	int code;
};

static void
script_ends(void *ctx)
{
	struct later *t = ctx;

	t->done(t->arg, t->code, "disk is 95% full");
}

static int
run_script(void *arg, const char *const *argv, int64_t timeout_ns, health_script_done *done,
    void *done_arg, struct err *e)
{
	struct later *t = arg;

	(void)timeout_ns;
	(void)e;
	assert_string_equal(argv[0], "/bin/check");
	t->done = done;
	t->arg = done_arg;
	loop_timer_set(t->timer, 5);
	return 0;
}

static void
scripts_run_by_the_hook_and_are_refused_without(void **state)
{
	static const char *const argv[] = { "/bin/check", NULL };
	struct loop *l = loop_new();
	struct seen s = { .stop_after = 1 };
	struct later later = { .code = 1 };
	struct err e = ERR_INIT;
	struct health_spec spec = { .type = "script", .argv = argv, .interval_ns = NS_PER_SEC };

	(void)state;
	assert_null(health_start(l, &spec, note, &s, &e));
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "\"script\""));
	later.timer = loop_timer(l, -1, 0, script_ends, &later);
	spec.run = run_script;
	spec.run_arg = &later;
	assert_non_null(health_start(l, &spec, note, &s, &e)); /* stopped in its own callback */
	turn_until(l, &s.calls, 1, 1000);
	assert_int_equal(s.status, HEALTH_WARNING);
	assert_string_equal(s.output, "disk is 95% full");

	/* stopped while the command runs: its end is not told */
	struct health_probe *p = health_start(l, &spec, note, &s, &e);
	later.done = NULL;
	while (later.done == NULL)
		loop_turn(l, 5);
	health_stop(p);
	for (int i = 0; i < 4; i++)
		loop_turn(l, 5);
	assert_int_equal(s.calls, 1);
	loop_timer_free(&later.timer);
	loop_free(l);
}

static void
wrong_specs_are_refused_by_name(void **state)
{
	struct loop *l = loop_new();
	struct err e = ERR_INIT;
	struct health_spec grpc = spec_of("grpc", 80), host = spec_of("tcp", 80),
			   tls = spec_of("http", 80), path = spec_of("http", 80);

	(void)state;
	assert_null(health_start(l, &grpc, note, NULL, &e));
	assert_non_null(strstr(e.text, "\"grpc\""));
	host.address = "example.org";
	assert_null(health_start(l, &host, note, NULL, &e));
	tls.protocol = "https";
	assert_null(health_start(l, &tls, note, NULL, &e));
	assert_non_null(strstr(e.text, "\"https\""));
	path.path = "/a b";
	assert_null(health_start(l, &path, note, NULL, &e));
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_that_opens_late_passes_within_milliseconds),
		cmocka_unit_test(status_falls_after_the_given_failures_and_rises_again),
		cmocka_unit_test(http_answers_decide_and_are_quoted),
		cmocka_unit_test(redirects_are_followed_and_rubbish_is_critical),
		cmocka_unit_test(a_silent_server_times_out),
		cmocka_unit_test(scripts_run_by_the_hook_and_are_refused_without),
		cmocka_unit_test(wrong_specs_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
