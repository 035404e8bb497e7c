/* Tests of the catalog over the wire: its HTTP API and its DNS on loopback, on top of a state that
 * the test changes itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "codec/dns.h"
#include "codec/json.h"
#include "io/http.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	struct loop *loop;
	struct state *state;
	struct catalog *catalog;
	uint64_t index;
	char resolv[64];
	int upstream;
} t;

/* ---- the server below ---- */

struct proposal {
	catalog_done *done;
	void *arg;
};

static void
committed(void *ctx)
{
	struct proposal *p = ctx;

	p->done(p->arg, t.index, NULL);
	free(p);
}

static void
apply(const char *payload)
{
	struct err e = ERR_INIT;

	if (state_apply(t.state, ++t.index, "test", payload, strlen(payload), &e) < 0)
		fail_msg("%s", e.text);
}

static int
propose(void *ctx, const struct command *c, catalog_done *done, void *arg, struct err *e)
{
	autobuf struct buf payload = BUF_INIT;
	struct proposal *p = xcalloc(1, sizeof(*p));

	(void)ctx;
	(void)e;
	command_encode(c, &payload);
	apply(buf_str(&payload));
	*p = (struct proposal){ done, arg };
	loop_defer(t.loop, committed, p);
	return 0;
}

static void
put(const char *id, const char *service, const char *address, int port, const char *status,
    const char *tags)
{
	autobuf struct buf b = BUF_INIT;

	buf_addf(&b,
	    "{\"Services\":[{\"ID\":\"%s\",\"ServiceName\":\"%s\",\"Namespace\":\"default\","
	    "\"NodeID\":\"n1\","
	    "\"Address\":\"%s\",\"Port\":%d,\"Status\":\"%s\",\"Tags\":%s,"
	    "\"Checks\":[{\"CheckID\":\"c-%s\",\"Name\":\"alive\",\"Type\":\"tcp\",\"Status\":\"%"
	    "s\",\"Output\":\"o\"}]}]}",
	    id, service, address, port, status, tags != NULL ? tags : "[]", id, status);
	apply(buf_str(&b));
}

/* ---- HTTP ---- */

struct reply {
	bool done;
	int status;
	char body[8192];
	uint64_t index;
};

static void
keep(void *ctx, const struct http_result *res)
{
	struct reply *r = ctx;
	const char *index = http_result_header(res, "X-Consul-Index");

	r->done = true;
	r->status = res->status;
	snprintf(r->body, sizeof(r->body), "%s", res->body != NULL ? res->body : "");
	r->index = index != NULL ? strtoull(index, NULL, 10) : 0;
}

static struct http_call *
begin(struct reply *r, const char *method, const char *path, const char *body)
{
	char base[64];

	snprintf(base, sizeof(base), "http://127.0.0.1:%u", catalog_http_port(t.catalog));
	*r = (struct reply){ 0 };
	struct http_spec spec = { .base = base,
		.path = path,
		.method = method,
		.body = body,
		.len = body != NULL ? strlen(body) : 0,
		.done = keep,
		.ctx = r };
	return http_call(t.loop, &spec);
}

static void
turn_ms(int64_t ms)
{
	int64_t end = clock_mono_ns() + ms * NS_PER_MS;

	while (clock_mono_ns() < end)
		loop_turn(t.loop, 5);
}

static struct reply
ask(const char *method, const char *path, const char *body)
{
	struct reply r;

	begin(&r, method, path, body);
	for (int i = 0; i < 2000 && !r.done; i++)
		loop_turn(t.loop, 5);
	assert_true(r.done);
	return r;
}

static json_t *
get(const char *path)
{
	struct reply r = ask("GET", path, NULL);
	struct err e = ERR_INIT;
	json_t *v = NULL;

	if (r.status != 200 || json_read(r.body, strlen(r.body), &v, &e) < 0)
		fail_msg("%s: %d %s", path, r.status, r.body);
	return v;
}

static const char *
at(json_t *v, size_t i, const char *object, const char *key)
{
	json_t *row = json_array_get(v, i);

	return json_str(object != NULL ? json_object_get(row, object) : row, key, "");
}

/* ---- DNS ---- */

static int
dns_ask(const char *name, enum dns_type type, uint16_t edns, uint8_t *out, size_t size)
{
	autobuf struct buf q = BUF_INIT;
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(catalog_dns_port(t.catalog)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t n = -1;

	assert_true(dns_write_query(&q, 4711, name, type, edns));
	assert_int_equal(sendto(fd, q.data, q.len, 0, (struct sockaddr *)&to, sizeof(to)), q.len);
	for (int i = 0; i < 1000 && n < 0; i++) {
		loop_turn(t.loop, 5);
		n = recv(fd, out, size, MSG_DONTWAIT);
	}
	close(fd);
	assert_true(n > 0);
	return (int)n;
}

/* The answers as text: "rcode aa tc | A 10.0.0.1, SRV 8080 name |ar …". */
static const char *
resolve(const char *name, enum dns_type type)
{
	static char text[4096];
	uint8_t message[4096];
	char part[300], target[256];
	ns_msg m;
	ns_rr rr;
	size_t used;

	int n = dns_ask(name, type, 1232, message, sizeof(message));
	assert_int_equal(ns_initparse(message, n, &m), 0);
	assert_int_equal(ns_msg_id(m), 4711);
	snprintf(text, sizeof(text), "%d%s", ns_msg_getflag(m, ns_f_rcode),
	    ns_msg_getflag(m, ns_f_aa) ? " aa" : "");
	for (int section = ns_s_an; section < ns_s_max; section++)
		for (int i = 0; i < ns_msg_count(m, section); i++) {
			const u_char *data;
			assert_int_equal(ns_parserr(&m, (ns_sect)section, i, &rr), 0);
			data = ns_rr_rdata(rr);
			if (ns_rr_type(rr) == ns_t_opt)
				continue;
			if (ns_rr_type(rr) == ns_t_a)
				snprintf(part, sizeof(part), "A %s",
				    inet_ntop(AF_INET, data, target, sizeof(target)));
			else if (ns_rr_type(rr) == ns_t_aaaa)
				snprintf(part, sizeof(part), "AAAA %s",
				    inet_ntop(AF_INET6, data, target, sizeof(target)));
			else if (ns_rr_type(rr) == ns_t_srv) {
				ns_name_uncompress(ns_msg_base(m), ns_msg_end(m), data + 6, target,
				    sizeof(target));
				snprintf(
				    part, sizeof(part), "SRV %u %s", ns_get16(data + 4), target);
			} else if (ns_rr_type(rr) == ns_t_ptr || ns_rr_type(rr) == ns_t_ns) {
				ns_name_uncompress(
				    ns_msg_base(m), ns_msg_end(m), data, target, sizeof(target));
				snprintf(part, sizeof(part), "PTR %s", target);
			} else
				snprintf(part, sizeof(part), "type%d", ns_rr_type(rr));
			used = strlen(text);
			snprintf(text + used, sizeof(text) - used, "%s%s",
			    i == 0 ? section == ns_s_an	  ? ": "
				     : section == ns_s_ns ? " ns: "
							  : " ar: "
				   : ", ",
			    part);
		}
	return text;
}

/* ---- set-up ---- */

static int
set_up(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct catalog_listen dns = {
		.address = "127.0.0.1", .udp_fd = -1, .tcp_fd = -1, .recurse = true
	};
	static const struct catalog_own own[] = { { "nomad", "http", 4646 } };
	struct catalog_hooks hooks = { .propose = propose };
	struct err e = ERR_INIT;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.upstream = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t.upstream, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(t.upstream, (struct sockaddr *)&a, &len);
	snprintf(t.resolv, sizeof(t.resolv), "/tmp/catalog-XXXXXX");
	int fd = mkstemp(t.resolv);
	dprintf(fd, "# a comment\nsearch x\nnameserver 127.0.0.1#%d\n", ntohs(a.sin_port));
	close(fd);
	t.loop = loop_new();
	t.state = state_new();
	apply("{\"Node\":{\"ID\":\"n1\",\"Name\":\"Node_1\",\"Datacenter\":\"dc1\",\"Status\":"
	      "\"ready\","
	      "\"Attributes\":{\"unique.network.ip-address\":\"10.9.8.7\"},\"Meta\":{\"rack\":"
	      "\"r1\"}}}");
	struct catalog_config c = { .datacenter = "DC1",
		.node_name = "Node_1",
		.node_id = "n1",
		.address = "10.9.8.7",
		.http_address = "127.0.0.1",
		.dns = &dns,
		.n_dns = 1,
		.resolv_conf = t.resolv,
		.own = own,
		.n_own = 1 };
	if (catalog_new(t.loop, t.state, &c, &hooks, &t.catalog, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	catalog_free(t.catalog);
	state_free(t.state);
	loop_free(t.loop);
	unlink(t.resolv);
	close(t.upstream);
	return 0;
}

/* ---- tests ---- */

static void
services_are_listed_with_the_union_of_their_tags(void **state)
{
	(void)state;
	put("a", "web", "10.0.0.1", 80, "passing", "[\"x\",\"y\"]");
	put("b", "web", "10.0.0.2", 80, "critical", "[\"y\",\"z\"]");
	autojson json_t *all = get("/v1/catalog/services");
	assert_int_equal(json_array_size(json_object_get(all, "web")), 3);
	assert_int_equal(json_array_size(json_object_get(all, "consul")), 0);
	assert_true(json_is_array(json_object_get(all, "consul")));
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(all, "nomad"), 0)), "http");
	autojson json_t *z = get("/v1/catalog/service/web?tag=z&tag=y");
	assert_int_equal(json_array_size(z), 1);
	assert_string_equal(at(z, 0, NULL, "ServiceAddress"), "10.0.0.2");
	assert_string_equal(at(z, 0, NULL, "Node"), "Node_1");
	assert_string_equal(at(z, 0, NULL, "Address"), "10.9.8.7");
	autojson json_t *none = get("/v1/catalog/service/nope");
	assert_int_equal(json_array_size(none), 0);
}

static void
health_shows_checks_and_passing_alone_on_demand(void **state)
{
	(void)state;
	put("a", "web", "10.0.0.1", 80, "passing", NULL);
	put("b", "web", "10.0.0.2", 81, "critical", NULL);
	put("c", "web", "10.0.0.3", 82, "warning", NULL);
	autojson json_t *all = get("/v1/health/service/web");
	assert_int_equal(json_array_size(all), 3);
	autojson json_t *good = get("/v1/health/service/web?passing");
	assert_int_equal(json_array_size(good), 1);
	assert_string_equal(at(good, 0, "Service", "Address"), "10.0.0.1");
	json_t *checks = json_object_get(json_array_get(good, 0), "Checks");
	assert_int_equal(json_array_size(checks), 2);
	assert_string_equal(at(checks, 0, NULL, "CheckID"), "serfHealth");
	assert_string_equal(at(checks, 1, NULL, "Status"), "passing");
	autojson json_t *critical = get("/v1/health/state/critical");
	assert_int_equal(json_array_size(critical), 1);
	autojson json_t *one = get("/v1/health/checks/web");
	assert_int_equal(json_array_size(one), 3);
	assert_int_equal(ask("GET", "/v1/health/state/rosy", NULL).status, 400);
}

static void
a_blocking_query_answers_at_the_change_and_no_sooner(void **state)
{
	struct reply first, r;
	char path[128];

	(void)state;
	put("a", "web", "10.0.0.1", 80, "passing", NULL);
	first = ask("GET", "/v1/health/service/web", NULL);
	assert_true(first.index > 0);
	snprintf(path, sizeof(path), "/v1/health/service/web?wait=5s&index=%llu",
	    (unsigned long long)first.index);
	begin(&r, "GET", path, NULL);
	turn_ms(60);
	assert_false(r.done);
	put("o", "other", "10.0.0.9", 1, "passing", NULL);
	turn_ms(60);
	assert_false(r.done); /* not this service */
	put("a", "web", "10.0.0.1", 80, "critical", NULL);
	turn_ms(60);
	assert_true(r.done);
	assert_true(r.index > first.index);
	assert_non_null(strstr(r.body, "\"critical\""));

	/* the time passes: the same index */
	snprintf(path, sizeof(path), "/v1/catalog/services?wait=50ms&index=%llu",
	    (unsigned long long)ask("GET", "/v1/catalog/services", NULL).index);
	int64_t began = clock_mono_ns();
	assert_int_equal(ask("GET", path, NULL).status, 200);
	assert_true(clock_mono_ns() - began >= 45 * NS_PER_MS);

	/* an asker that goes away is forgotten */
	snprintf(path, sizeof(path), "/v1/health/service/gone?index=%llu",
	    (unsigned long long)t.index + 1);
	struct http_call *call = begin(&r, "GET", path, NULL);
	turn_ms(30);
	http_cancel(&call);
	turn_ms(30);
	put("g", "gone", "10.0.0.1", 80, "passing", NULL);
}

static void
keys_are_kept_compared_listed_and_deleted(void **state)
{
	struct reply r;

	(void)state;
	assert_int_equal(ask("GET", "/v1/kv/a/b", NULL).status, 404);
	assert_true(ask("GET", "/v1/kv/a/b", NULL).index > 0);
	assert_string_equal(ask("PUT", "/v1/kv/a/b?flags=42", "hello").body, "true");
	autojson json_t *one = get("/v1/kv/a/b");
	assert_string_equal(at(one, 0, NULL, "Value"), "aGVsbG8=");
	assert_string_equal(at(one, 0, NULL, "Key"), "a/b");
	assert_int_equal(json_int(json_array_get(one, 0), "Flags", 0), 42);
	assert_string_equal(ask("GET", "/v1/kv/a/b?raw", NULL).body, "hello");
	assert_string_equal(ask("PUT", "/v1/kv/a/b?cas=0", "x").body, "false");
	char path[64];
	snprintf(path, sizeof(path), "/v1/kv/a/b?cas=%lld",
	    (long long)json_int(json_array_get(one, 0), "ModifyIndex", 0));
	assert_string_equal(ask("PUT", path, "new").body, "true");
	assert_string_equal(ask("PUT", path, "late").body, "false");
	assert_string_equal(ask("GET", "/v1/kv/a/b?raw", NULL).body, "new");
	ask("PUT", "/v1/kv/a/c/d", "");
	ask("PUT", "/v1/kv/a/c/e", "1");
	assert_string_equal(
	    ask("GET", "/v1/kv/a/?keys", NULL).body, "[\"a/b\",\"a/c/d\",\"a/c/e\"]");
	assert_string_equal(
	    ask("GET", "/v1/kv/a/?keys&separator=/", NULL).body, "[\"a/b\",\"a/c/\"]");
	autojson json_t *all = get("/v1/kv/a?recurse");
	assert_int_equal(json_array_size(all), 3);
	assert_true(json_is_null(json_object_get(json_array_get(all, 1), "Value")));
	r = ask("GET", "/v1/kv/a/c/?recurse", NULL);
	snprintf(path, sizeof(path), "/v1/kv/a/c/?recurse&wait=5s&index=%llu",
	    (unsigned long long)r.index);
	begin(&r, "GET", path, NULL);
	turn_ms(30);
	assert_false(r.done);
	struct reply gone = ask("DELETE", "/v1/kv/a/c/?recurse", NULL);
	assert_string_equal(gone.body, "true");
	turn_ms(30);
	assert_true(r.done); /* a deletion is seen */
	assert_int_equal(r.status, 404);
	assert_int_equal(ask("GET", "/v1/kv/a/c/d", NULL).status, 404);
	assert_int_equal(ask("PUT", "/v1/kv/x?acquire=1", "x").status, 400);
}

static void
a_service_is_registered_by_hand_and_lives_by_its_ttl(void **state)
{
	(void)state;
	struct reply r = ask("PUT", "/v1/agent/service/register",
	    "{\"name\":\"db\",\"tags\":[\"main\"],\"port\":5432,\"address\":\"10.1.1.1\","
	    "\"check\":{\"ttl\":\"80ms\",\"status\":\"passing\"}}");
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "");
	autojson json_t *rows = get("/v1/health/service/db?passing");
	assert_int_equal(json_array_size(rows), 1);
	assert_string_equal(at(rows, 0, "Service", "ID"), "db");
	autojson json_t *mine = get("/v1/agent/services");
	assert_non_null(json_object_get(mine, "db"));
	for (int i = 0; i < 4; i++) { /* kept alive */
		turn_ms(40);
		assert_int_equal(
		    ask("PUT", "/v1/agent/check/pass/service:db?note=fine", NULL).status, 200);
	}
	autojson json_t *still = get("/v1/health/service/db?passing");
	assert_int_equal(json_array_size(still), 1);
	turn_ms(150);
	autojson json_t *late = get("/v1/agent/checks");
	assert_string_equal(
	    json_str(json_object_get(late, "service:db"), "Status", ""), "critical");
	assert_string_equal(
	    json_str(json_object_get(late, "service:db"), "Output", ""), "TTL expired");
	assert_int_equal(ask("PUT", "/v1/agent/check/warn/service:db", NULL).status, 200);
	autojson json_t *warned = get("/v1/health/state/warning");
	assert_int_equal(json_array_size(warned), 1);
	assert_int_equal(ask("PUT", "/v1/agent/service/deregister/db", NULL).status, 200);
	assert_int_equal(ask("PUT", "/v1/agent/service/deregister/db", NULL).status, 404);
	assert_int_equal(ask("PUT", "/v1/agent/check/pass/service:db", NULL).status, 404);
}

static void
wrong_registrations_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *body, *part;
	} wrong[] = {
		{ "{", "Request decode failed" },
		{ "{}", "Missing service name" },
		{ "{\"Name\":\"x\",\"Port\":70000}", "Port must be" },
		{ "{\"Name\":\"x\",\"Check\":{}}", "TTL must be" },
		{ "{\"Name\":\"x\",\"Check\":{\"TTL\":\"soon\"}}", "not a duration" },
		{ "{\"Name\":\"x\",\"Check\":{\"GRPC\":\"a\",\"Interval\":\"1s\"}}",
		    "GRPC is not supported" },
		{ "{\"Name\":\"x\",\"Check\":{\"TCP\":\"a:1\",\"Interval\":\"1s\"}}", "only TTL" },
	};

	(void)state;
	for (size_t i = 0; i < NELEM(wrong); i++) {
		struct reply r = ask("PUT", "/v1/agent/service/register", wrong[i].body);
		if (r.status != 400 || strstr(r.body, wrong[i].part) == NULL)
			fail_msg("%s: %d %s", wrong[i].body, r.status, r.body);
	}
	assert_int_equal(ask("GET", "/v1/agent/service/register", NULL).status, 405);
	assert_int_equal(ask("PUT", "/v1/catalog/services", NULL).status, 405);
	assert_int_equal(ask("GET", "/v1/nothing", NULL).status, 404);
	assert_int_equal(ask("GET", "/v1/catalog/services?filter=x", NULL).status, 400);
	assert_int_equal(ask("GET", "/v1/catalog/services?dc=mars", NULL).status, 500);
}

static void
the_agent_says_who_it_is(void **state)
{
	(void)state;
	autojson json_t *self = get("/v1/agent/self?pretty");
	assert_string_equal(json_str(json_object_get(self, "Config"), "Datacenter", ""), "dc1");
	assert_string_equal(json_str(json_object_get(self, "Config"), "NodeName", ""), "Node_1");
	assert_string_equal(ask("GET", "/v1/status/leader", NULL).body, "\"10.9.8.7:8300\"");
	assert_string_equal(ask("GET", "/v1/catalog/datacenters", NULL).body, "[\"dc1\"]");
	put("a", "web", "10.0.0.1", 80, "passing", NULL);
	autojson json_t *node = get("/v1/catalog/node/Node_1");
	assert_string_equal(json_str(json_object_get(node, "Node"), "ID", ""), "n1");
	assert_non_null(json_object_get(json_object_get(node, "Services"), "a"));
	assert_string_equal(ask("GET", "/v1/catalog/node/nope", NULL).body, "null");
	autojson json_t *nodes = get("/v1/catalog/nodes");
	assert_int_equal(json_array_size(nodes), 1);
	assert_string_equal(
	    json_str(json_object_get(json_array_get(nodes, 0), "Meta"), "rack", ""), "r1");
}

static void
names_of_services_resolve(void **state)
{
	(void)state;
	put("a", "hello-web", "10.0.0.1", 8080, "passing", "[\"blue\",\"v1.2\"]");
	put("b", "hello-web", "10.0.0.2", 8081, "critical", NULL);
	put("c", "six", "fd00::5", 81, "warning", NULL);
	assert_string_equal(resolve("Hello-Web.Service.Consul", DNS_A), "0 aa: A 10.0.0.1");
	assert_string_equal(resolve("hello-web.service.dc1.consul", DNS_ANY), "0 aa: A 10.0.0.1");
	assert_string_equal(resolve("hello-web.service.consul", DNS_SRV),
	    "0 aa: SRV 8080 0a000001.addr.dc1.consul ar: A 10.0.0.1");
	assert_string_equal(resolve("_hello-web._tcp.service.consul", DNS_SRV),
	    "0 aa: SRV 8080 0a000001.addr.dc1.consul ar: A 10.0.0.1");
	assert_string_equal(resolve("_hello-web._blue.service.consul", DNS_A), "0 aa: A 10.0.0.1");
	assert_string_equal(resolve("v1.2.hello-web.service.consul", DNS_A), "0 aa: A 10.0.0.1");
	assert_string_equal(resolve("red.hello-web.service.consul", DNS_A), "3 aa ns: type6");
	assert_string_equal(resolve("hello-web.service.consul", DNS_AAAA), "0 aa ns: type6");
	assert_string_equal(resolve("six.service.consul", DNS_AAAA), "0 aa: AAAA fd00::5");
	assert_string_equal(resolve("nope.service.consul", DNS_A), "3 aa ns: type6");
	assert_string_equal(resolve("0a000001.addr.dc1.consul", DNS_A), "0 aa: A 10.0.0.1");
	assert_string_equal(resolve("xyz.addr.consul", DNS_A), "3 aa ns: type6");
	assert_string_equal(resolve("node_1.node.consul", DNS_A), "0 aa: A 10.9.8.7");
	assert_string_equal(resolve("Node_1.node.dc1.consul", DNS_TXT), "0 aa: type16");
	assert_string_equal(resolve("consul", DNS_SOA), "0 aa: type6 ar: A 10.9.8.7");
	assert_string_equal(resolve("consul", DNS_NS), "0 aa: PTR ns.consul ar: A 10.9.8.7");
	assert_string_equal(
	    resolve("7.8.9.10.in-addr.arpa", DNS_PTR), "0 aa: PTR node_1.node.dc1.consul");
	assert_string_equal(resolve("consul.service.consul", DNS_A), "0 aa: A 10.9.8.7");
}

static void
many_answers_are_cut_for_plain_udp_and_whole_by_tcp(void **state)
{
	uint8_t message[8192];
	char id[16], address[32];
	ns_msg m;

	(void)state;
	for (int i = 1; i <= 60; i++) {
		snprintf(id, sizeof(id), "i%d", i);
		snprintf(address, sizeof(address), "10.0.1.%d", i);
		put(id, "many", address, 80, "passing", NULL);
	}
	int n = dns_ask("many.service.consul", DNS_A, 0, message, sizeof(message));
	assert_int_equal(ns_initparse(message, n, &m), 0);
	assert_int_equal(ns_msg_count(m, ns_s_an), 3);
	n = dns_ask("many.service.consul", DNS_A, 600, message, sizeof(message));
	assert_true(n <= 600);
	assert_int_equal(ns_initparse(message, n, &m), 0);
	assert_in_range(ns_msg_count(m, ns_s_an), 20, 40);
	assert_true(ns_msg_getflag(m, ns_f_tc));

	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(catalog_dns_port(t.catalog)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	autobuf struct buf q = BUF_INIT;
	size_t len = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_true(dns_write_query(&q, 1, "many.service.consul", DNS_A, 0));
	uint8_t head[2] = { 0, (uint8_t)q.len };
	assert_int_equal(send(fd, head, 1, 0), 1); /* in pieces */
	turn_ms(20);
	assert_int_equal(send(fd, head + 1, 1, 0), 1);
	assert_int_equal(send(fd, q.data, q.len, 0), q.len);
	for (int i = 0; i < 200 && (len < 2 || len < 2u + (unsigned)(message[0] << 8 | message[1]));
	     i++) {
		loop_turn(t.loop, 5);
		ssize_t got = recv(fd, message + len, sizeof(message) - len, MSG_DONTWAIT);
		len += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	assert_int_equal(ns_initparse(message + 2, (int)len - 2, &m), 0);
	assert_int_equal(ns_msg_count(m, ns_s_an), 60);
}

static void
other_names_are_asked_of_the_machines_resolver(void **state)
{
	autobuf struct buf q = BUF_INIT;
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(catalog_dns_port(t.catalog)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
			   from;
	socklen_t from_len = sizeof(from);
	uint8_t message[512], answer[512];
	struct dns_query asked;
	struct err e = ERR_INIT;
	ssize_t n = -1;

	(void)state;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(dns_write_query(&q, 99, "example.org", DNS_A, 0));
	sendto(fd, q.data, q.len, 0, (struct sockaddr *)&to, sizeof(to));
	for (int i = 0; i < 200 && n < 0; i++) {
		loop_turn(t.loop, 5);
		n = recvfrom(t.upstream, message, sizeof(message), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &from_len);
	}
	assert_int_equal(dns_parse(message, (size_t)n, &asked, &e), 0);
	assert_string_equal(asked.name, "example.org");
	struct dns_writer w;
	struct dns_rr rr = { .name = asked.name, .type = DNS_A };
	inet_pton(AF_INET, "192.0.2.1", &rr.a);
	dns_begin(&w, &asked, DNS_NOERROR, false, true, DNS_UDP_PLAIN);
	dns_add(&w, DNS_ANSWER, &rr);
	dns_end(&w, true);
	sendto(t.upstream, w.wire.data, w.wire.len, 0, (struct sockaddr *)&from, from_len);
	dns_writer_fini(&w);
	for (int i = 0; i < 200 && (n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) < 0; i++)
		loop_turn(t.loop, 5);
	ns_msg m;
	assert_int_equal(ns_initparse(answer, (int)n, &m), 0);
	assert_int_equal(ns_msg_id(m), 99);
	assert_int_equal(ns_msg_count(m, ns_s_an), 1);
	close(fd);
	/* nobody answers, and the catalog ends meanwhile: nothing is lost */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sendto(fd, q.data, q.len, 0, (struct sockaddr *)&to, sizeof(to));
	turn_ms(20);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(services_are_listed_with_the_union_of_their_tags),
		TEST(health_shows_checks_and_passing_alone_on_demand),
		TEST(a_blocking_query_answers_at_the_change_and_no_sooner),
		TEST(keys_are_kept_compared_listed_and_deleted),
		TEST(a_service_is_registered_by_hand_and_lives_by_its_ttl),
		TEST(wrong_registrations_are_refused_with_a_reason),
		TEST(the_agent_says_who_it_is),
		TEST(names_of_services_resolve),
		TEST(many_answers_are_cut_for_plain_udp_and_whole_by_tcp),
		TEST(other_names_are_asked_of_the_machines_resolver),
	};

	log_set_level(LOG_ERROR_);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
