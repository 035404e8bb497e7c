/* Tests of ingress against a real HAProxy: rows of a hand-filled state become routes, and requests
 * go on while instances, rules, the agent and the proxy itself are replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "ingress/ingress.h"
#include "io/http.h"
#include "state/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	struct loop *loop;
	struct state *state;
	struct ingress *ingress;
	char dir[64], listen[32], dashboard[32];
	const char *listens[2];
	int port, dashboard_port;
	uint64_t index;
} t;

static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

/* ---- instances ---- */

static void
answer(struct http_req *r, void *ctx)
{
	const char *from = http_header(r, "X-Forwarded-For"),
		   *host = http_header(r, "X-Forwarded-Host");

	http_reply_text(r, 200, "%s %s for=%s host=%s", (const char *)ctx, http_path(r),
	    from != NULL ? from : "-", host != NULL ? host : "-");
}

static struct http_server *
instance(const char *name, int *port)
{
	struct err e = ERR_INIT;
	struct http_server *s = http_server_new(t.loop, NULL, answer, (void *)name);

	assert_int_equal(http_listen(s, "127.0.0.1", 0, &e), 0);
	*port = http_server_port(s);
	return s;
}

static void
apply(const char *payload)
{
	struct err e = ERR_INIT;

	if (state_apply(t.state, ++t.index, "test", payload, strlen(payload), &e) < 0)
		fail_msg("%s", e.text);
}

/* tags: JSON list */
static void
put(const char *id, const char *service, int port, const char *status, const char *tags)
{
	autobuf struct buf b = BUF_INIT;

	buf_addf(&b,
	    "{\"Services\":[{\"ID\":\"%s\",\"ServiceName\":\"%s\",\"Namespace\":\"default\","
	    "\"NodeID\":\"n\","
	    "\"Address\":\"127.0.0.1\",\"Port\":%d,\"Status\":\"%s\",\"Tags\":%s}]}",
	    id, service, port, status, tags != NULL ? tags : "[]");
	apply(buf_str(&b));
}

static void
drop(const char *id)
{
	autobuf struct buf b = BUF_INIT;

	buf_addf(&b, "{\"ServiceRemovals\":[\"%s\"]}", id);
	apply(buf_str(&b));
}

/* ---- requests ---- */

static int
dial(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
turn_ms(int64_t ms)
{
	int64_t end = clock_mono_ns() + ms * NS_PER_MS;

	while (clock_mono_ns() < end)
		loop_turn(t.loop, 5);
}

/* One request while the loop turns. Returns the status, 0: no answer. */
static int
get(int port, const char *host, const char *path, char *body, size_t size)
{
	char request[512], reply[8192];
	size_t len = 0;
	int status = 0, fd = dial(port);

	*body = '\0';
	if (fd < 0)
		return 0;
	int n = snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
	assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
	for (int i = 0; i < 4000; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		loop_turn(t.loop, 1);
		if (poll(&p, 1, 0) <= 0)
			continue;
		ssize_t got = read(fd, reply + len, sizeof(reply) - 1 - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	close(fd);
	reply[len] = '\0';
	sscanf(reply, "HTTP/1.1 %d", &status);
	const char *from = strstr(reply, "\r\n\r\n");
	snprintf(body, size, "%s", from != NULL ? from + 4 : "");
	return status;
}

static void
expect_get(const char *host, const char *path, int status, const char *part)
{
	char body[4096];

	int got = get(t.port, host, path, body, sizeof(body));
	if (got != status || strstr(body, part) == NULL)
		fail_msg(
		    "%s%s: got %d \"%s\", expected %d \"%s\"", host, path, got, body, status, part);
}

static void
settle(void)
{
	int64_t end = clock_mono_ns() + 10 * NS_PER_SEC;

	do
		loop_turn(t.loop, 20);
	while (!ingress_settled(t.ingress) && clock_mono_ns() < end);
	if (!ingress_settled(t.ingress))
		fail_msg("not settled: %s", ingress_status(t.ingress));
}

/* ---- load: another process that asks without a pause, and counts what is not 200 ---- */

struct load {
	pid_t pid;
	int result;
};

/* Reads one whole answer; false: it broke off. */
static bool
read_reply(int fd, char *reply, size_t size)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, reply + len, size - 1 - len);
		if (n <= 0)
			return false;
		reply[len += (size_t)n] = '\0';
		const char *body = strstr(reply, "\r\n\r\n"),
			   *length = strcasestr(reply, "content-length: ");
		if (body != NULL && length != NULL &&
		    len >= (size_t)(body + 4 - reply) + strtoul(length + 16, NULL, 10))
			return true;
	}
}

static const char *
ask_once(int *fd, const char *request, size_t len)
{
	char reply[2048];

	if (*fd < 0 && (*fd = dial(t.port)) < 0)
		return "connect";
	if (send(*fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		return "send";
	if (!read_reply(*fd, reply, sizeof(reply)))
		return "read";
	if (strcasestr(reply, "\r\nconnection: close\r\n") != NULL) {
		close(*fd);
		*fd = -1;
	}
	if (strncmp(reply, "HTTP/1.1 200", 12) == 0)
		return NULL;
	return "status";
}

static volatile sig_atomic_t load_ends;

static void
end_load(int signo)
{
	(void)signo;
	load_ends = 1;
}

static void
load_child(int out, const char *host)
{
	char request[256];
	long counts[2] = { 0, 0 }; /* good, bad */
	int fd = -1;
	struct sigaction act = { .sa_handler = end_load, .sa_flags = SA_RESTART };

	for (int other = 3; other < 1024; other++) /* listeners of the test */
		if (other != out)
			close(other);
	sigaction(SIGTERM, &act, NULL);
	int n = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	for (int i = 0; !load_ends; i++) {
		const char *failed = ask_once(&fd, request, (size_t)n);
		bool good = failed == NULL;
		counts[!good]++;
		if (!good)
			fprintf(
			    stderr, "failed: %s, request %d of its connection\n", failed, i % 20);
		if ((!good || i % 20 == 19) && fd >= 0) {
			close(fd);
			fd = -1;
		}
	}
	_exit(write(out, counts, sizeof(counts)) == sizeof(counts) ? 0 : 1);
}

static struct load
load_start(const char *host)
{
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0)
		load_child(p[1], host);
	close(p[1]);
	return (struct load){ pid, p[0] };
}

static long
load_end(struct load *l, long *bad)
{
	long counts[2] = { 0, -1 };
	int status;

	kill(l->pid, SIGTERM);
	struct pollfd p = { .fd = l->result, .events = POLLIN };
	for (int i = 0; i < 1000 && poll(&p, 1, 0) == 0; i++)
		loop_turn(t.loop, 10);
	assert_int_equal(read(l->result, counts, sizeof(counts)), sizeof(counts));
	close(l->result);
	waitpid(l->pid, &status, 0);
	*bad = counts[1];
	return counts[0];
}

static void
expect_no_failure(struct load *l, const char *during)
{
	long bad, good = load_end(l, &bad);

	print_message("           %s: %ld requests, %ld failed\n", during, good, bad);
	assert_int_equal(bad, 0);
	assert_true(good > 20);
}

/* ---- set-up ---- */

static void
open_ingress(void)
{
	struct err e = ERR_INIT;
	struct ingress_config c = { .dir = t.dir, .listen = t.listens, .dashboard = t.dashboard };

	if (ingress_new(t.loop, t.state, &c, &t.ingress, &e) < 0)
		fail_msg("%s", e.text);
}

static int
set_up(void **state)
{
	(void)state;
	if (access("/usr/sbin/haproxy", X_OK) != 0)
		return 0;
	memset(&t, 0, sizeof(t));
	snprintf(t.dir, sizeof(t.dir), "/tmp/ingress-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	t.port = free_port();
	t.dashboard_port = free_port();
	snprintf(t.listen, sizeof(t.listen), "127.0.0.1:%d", t.port);
	snprintf(t.dashboard, sizeof(t.dashboard), "127.0.0.1:%d", t.dashboard_port);
	t.listens[0] = t.listen;
	t.loop = loop_new();
	t.state = state_new();
	open_ingress();
	settle();
	return 0;
}

static int
tear_down(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (t.loop == NULL)
		return 0;
	ingress_free(t.ingress);
	t.ingress = NULL;
	assert_int_equal(ingress_stop(t.dir, 5000, &e), 0);
	state_free(t.state);
	loop_free(t.loop);
	static const char *const files[] = { "haproxy.cfg", "hosts.map", "slots", "haproxy.pid",
		"haproxy.sock" };
	for (size_t i = 0; i < NELEM(files); i++) {
		autofree char *path = xasprintf("%s/%s", t.dir, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(t.dir), 0);
	t.loop = NULL;
	return 0;
}

#define NEED_HAPROXY()                                                                             \
	do {                                                                                       \
		(void)state;                                                                       \
		if (t.loop == NULL)                                                                \
			skip();                                                                    \
	} while (0)

/* ---- tests ---- */

static void
a_service_is_routed_as_soon_as_it_passes(void **state)
{
	int port;

	NEED_HAPROXY();
	struct http_server *a = instance("a", &port);
	expect_get("web.minipot", "/", 404, "404 page not found");
	put("a1", "web", port, "critical", NULL);
	settle();
	expect_get("web.minipot", "/", 503, "no available server");
	int64_t before = clock_mono_ns();
	put("a1", "web", port, "passing", NULL);
	settle();
	print_message(
	    "           passing to routed: %.2f ms\n", (double)(clock_mono_ns() - before) / 1e6);
	char expected[64];
	snprintf(expected, sizeof(expected), "a /x for=127.0.0.1 host=Web.Minipot:%d", t.port);
	char host[64];
	snprintf(host, sizeof(host), "Web.Minipot:%d", t.port);
	expect_get(host, "/x", 200, expected);
	drop("a1");
	settle();
	expect_get("web.minipot", "/", 404, "404 page not found");
	http_server_free(a);
}

/* How many servers the proxy itself knows. */
static int
servers_in_proxy(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int n = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/haproxy.sock", t.dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(write(fd, "show servers state\n", 19), 19);
	assert_int_equal(buf_read_fd(&text, fd, 65536, &e), 0);
	close(fd);
	for (const char *p = buf_str(&text); (p = strstr(p, " slot-")) != NULL; p++)
		n++;
	return n;
}

static void
instances_are_replaced_without_a_failed_request(void **state)
{
	struct http_server *old = NULL, *now;
	char id[16], old_id[16] = "";
	int port;

	NEED_HAPROXY();
	now = instance("0", &port);
	put("i0", "web", port, "passing", NULL);
	snprintf(old_id, sizeof(old_id), "i0");
	settle();
	const char *before = ingress_status(t.ingress);
	autofree char *pid = xstrdup(before);
	struct load l = load_start("web.minipot");
	for (int i = 1; i <= 8; i++) {
		old = now;
		now = instance("n", &port);
		snprintf(id, sizeof(id), "i%d", i);
		put(id, "web", port, "passing", NULL);
		turn_ms(30);
		drop(old_id);
		settle();
		turn_ms(20); /* what runs may end */
		http_server_free(old);
		turn_ms(50);
		snprintf(old_id, sizeof(old_id), "%s", id);
	}
	expect_no_failure(&l, "8 replacements");
	assert_string_equal(ingress_status(t.ingress), pid); /* no reload */
	for (int i = 0; i < 50 && servers_in_proxy() > 1; i++)
		turn_ms(100);
	assert_int_equal(servers_in_proxy(), 1); /* nothing of the old ones is kept */
	http_server_free(now);
}

static void
new_rules_and_the_agent_change_without_a_failed_request(void **state)
{
	int port, api_port;

	NEED_HAPROXY();
	struct http_server *a = instance("web", &port), *b = instance("api", &api_port);
	put("w", "web", port, "passing", NULL);
	settle();
	struct load l = load_start("web.minipot");
	turn_ms(50);
	put("p", "api", api_port, "passing",
	    "[\"traefik.http.routers.api.rule=Host(`web.minipot`) && PathPrefix(`/api`)\","
	    "\"traefik.http.routers.api.middlewares=s\",\"traefik.http.middlewares.s.stripprefix."
	    "prefixes=/api\"]");
	settle();
	expect_get("web.minipot", "/api/v1", 200, "api /v1 ");
	expect_get("web.minipot", "/", 200, "web / ");
	autofree char *before = xstrdup(ingress_status(t.ingress));
	ingress_free(t.ingress);
	t.ingress = NULL;
	turn_ms(50);
	open_ingress();
	settle();
	assert_string_equal(ingress_status(t.ingress), before); /* adopted */
	turn_ms(50);
	drop("p");
	settle();
	expect_get("web.minipot", "/api/v1", 200, "web /api/v1 ");
	turn_ms(50);
	expect_no_failure(&l, "2 reloads and a new agent");
	http_server_free(a);
	http_server_free(b);
}

static void
a_killed_proxy_is_back_at_once(void **state)
{
	int pid = 0, port;

	NEED_HAPROXY();
	struct http_server *a = instance("a", &port);
	put("a", "web", port, "passing", NULL);
	settle();
	turn_ms(1100); /* it has lived for a while */
	sscanf(ingress_status(t.ingress), "running, pid %d", &pid);
	assert_true(pid > 1);
	int64_t before = clock_mono_ns();
	kill(pid, SIGKILL);
	while (ingress_settled(t.ingress))
		loop_turn(t.loop, 10);
	settle();
	print_message("           back after: %.0f ms\n", (double)(clock_mono_ns() - before) / 1e6);
	expect_get("web.minipot", "/", 200, "a / ");
	http_server_free(a);
}

static void
a_sick_instance_gets_no_request_and_a_closed_one_is_skipped(void **state)
{
	int good, bad;

	NEED_HAPROXY();
	struct http_server *a = instance("good", &good), *b = instance("bad", &bad);
	put("a", "web", good, "passing", NULL);
	put("b", "web", bad, "critical", NULL);
	settle();
	for (int i = 0; i < 4; i++)
		expect_get("web.minipot", "/", 200, "good / ");
	put("b", "web", bad, "passing", NULL);
	settle();
	http_server_free(b); /* its check has not noticed yet */
	for (int i = 0; i < 6; i++)
		expect_get("web.minipot", "/", 200, "good / ");
	http_server_free(a);
}

static void
more_services_than_slots_are_all_routed(void **state)
{
	char id[16], host[32];
	int port;

	NEED_HAPROXY();
	struct http_server *a = instance("a", &port);
	for (int i = 0; i < 40; i++) {
		snprintf(id, sizeof(id), "svc%d", i);
		put(id, id, port, "passing", NULL);
	}
	settle();
	for (int i = 0; i < 40; i += 13) {
		snprintf(host, sizeof(host), "svc%d.minipot", i);
		expect_get(host, "/", 200, "a / ");
	}
	for (int i = 0; i < 40; i++) {
		snprintf(id, sizeof(id), "svc%d", i);
		drop(id);
	}
	settle();
	expect_get("svc13.minipot", "/", 404, "404");
	http_server_free(a);
}

static void
the_dashboard_shows_what_is_and_what_is_wrong(void **state)
{
	char body[4096];
	int port;

	NEED_HAPROXY();
	struct http_server *a = instance("a", &port);
	put("a", "web", port, "passing", NULL);
	put("b", "bad", port, "passing", "[\"traefik.http.routers.bad.rule=Hots(`x`)\"]");
	settle();
	assert_int_equal(get(t.dashboard_port, "x", "/api/http/routers", body, sizeof(body)), 200);
	assert_non_null(strstr(body, "\"rule\":\"Host(`web.minipot`)\""));
	assert_non_null(strstr(body, "unknown matcher Hots"));
	assert_int_equal(
	    get(t.dashboard_port, "x", "/api/http/services/web@consulcatalog", body, sizeof(body)),
	    200);
	assert_non_null(strstr(body, "\"UP\""));
	assert_int_equal(get(t.dashboard_port, "x", "/api/overview", body, sizeof(body)), 200);
	assert_non_null(strstr(body, "\"routers\":{\"total\":2,\"warnings\":0,\"errors\":1}"));
	assert_int_equal(get(t.dashboard_port, "x", "/ping", body, sizeof(body)), 200);
	assert_int_equal(get(t.dashboard_port, "x", "/dashboard/", body, sizeof(body)), 200);
	assert_int_equal(get(t.dashboard_port, "x", "/nope", body, sizeof(body)), 404);
	http_server_free(a);
}

static void
count(void *ctx)
{
	++*(int *)ctx;
}

static void
a_port_in_use_is_told_and_tried_again(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct err e = ERR_INIT;
	char dir[] = "/tmp/ingress-XXXXXX", address[32];
	const char *const listens[] = { address, NULL };
	struct ingress *other;
	int tried = 0;

	NEED_HAPROXY();
	assert_non_null(mkdtemp(dir));
	int port = free_port(), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_port = htons((uint16_t)port);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	listen(fd, 1);
	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	struct ingress_config c = {
		.dir = dir, .listen = listens, .on_tried = count, .ctx = &tried
	};
	assert_int_equal(ingress_new(t.loop, t.state, &c, &other, &e), 0);
	assert_false(ingress_tried(other));
	for (int i = 0; i < 200 && strstr(ingress_status(other), "cannot bind") == NULL; i++)
		loop_turn(t.loop, 20);
	assert_non_null(strstr(ingress_status(other), address));
	assert_true(ingress_tried(other));
	close(fd);
	for (int i = 0; i < 500 && strstr(ingress_status(other), "running") == NULL; i++)
		loop_turn(t.loop, 20);
	assert_non_null(strstr(ingress_status(other), "running"));
	assert_int_equal(tried, 1);
	ingress_free(other);
	assert_int_equal(ingress_stop(dir, 5000, &e), 0);
	int open = dial(port);
	for (int i = 0; i < 100 && open >= 0; i++) { /* the last descriptor of the process goes */
		close(open);
		poll(NULL, 0, 1);
		open = dial(port);
	}
	assert_int_equal(open, -1);
	assert_int_equal(ingress_stop(dir, 100, &e), 0); /* none: fine */
	static const char *const files[] = { "haproxy.cfg", "hosts.map", "slots", "haproxy.pid",
		"haproxy.sock" };
	for (size_t i = 0; i < NELEM(files); i++) {
		autofree char *path = xasprintf("%s/%s", dir, files[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_service_is_routed_as_soon_as_it_passes),
		TEST(instances_are_replaced_without_a_failed_request),
		TEST(new_rules_and_the_agent_change_without_a_failed_request),
		TEST(a_killed_proxy_is_back_at_once),
		TEST(a_sick_instance_gets_no_request_and_a_closed_one_is_skipped),
		TEST(more_services_than_slots_are_all_routed),
		TEST(the_dashboard_shows_what_is_and_what_is_wrong),
		TEST(a_port_in_use_is_told_and_tried_again),
	};

	if (getenv("VERBOSE") == NULL)
		log_set_level(LOG_ERROR_ + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
