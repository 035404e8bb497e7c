#include "io/http.h"

#include "io/dial.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *l;
static struct http_server *server;
static char base[64];
static int closed;
static struct http_req *held;

static void
on_closed(void *ctx)
{
	(void)ctx;
	closed++;
	held = NULL;
}

static void
stream_more(void *ctx)
{
	struct http_req *r = ctx;

	http_reply_chunk(r, "second", 6);
	http_reply_end(r);
}

static void
handler(struct http_req *r, void *ctx)
{
	const char *what = http_part(r, 0);
	size_t len;
	(void)ctx;

	if (strcmp(what, "echo") == 0) {
		const char *body = http_body(r, &len);
		http_setf(r, "X-Nomad-Index", "%d", 7);
		http_reply(r, 200, "text/plain", body, len);
	} else if (strcmp(what, "info") == 0)
		http_reply_text(r, 200, "%s|%s|%s|%s|%s|%s", http_method(r), http_path(r),
		    http_part(r, 1), http_query(r, "a") ? http_query(r, "a") : "-",
		    http_query(r, "flag") ? http_query(r, "flag") : "-", http_peer(r));
	else if (strcmp(what, "stream") == 0) {
		http_reply_start(r, 200, "text/plain");
		http_reply_chunk(r, "first ", 6);
		loop_defer(l, stream_more, r);
	} else if (strcmp(what, "hold") == 0) {
		held = r;
		http_on_close(r, on_closed, NULL);
	} else if (strcmp(what, "orphan") == 0)
		held = r;
	else if (strcmp(what, "big") == 0) {
		struct buf b = BUF_INIT;
		for (int i = 0; i < 200000; i++)
			buf_addf(&b, "%07d\n", i);
		http_reply_buf(r, 200, "text/plain", &b);
	} else if (strcmp(what, "file") == 0)
		http_reply_file(r, 206, "text/plain", open("/bin/sh", O_RDONLY | O_CLOEXEC), 1, 3);
	else if (strcmp(what, "abort") == 0) {
		http_reply_start(r, 200, "text/plain");
		http_reply_chunk(r, "half", 4);
		http_reply_abort(r);
	} else
		http_reply_text(r, 404, "not found");
}

struct answer {
	int status, calls;
	struct err e;
	char body[4096], index[32];
	size_t len, streamed, pieces;
	struct http_call **cancel; /* after the first piece */
};

static void
on_done(void *ctx, const struct http_result *res)
{
	struct answer *a = ctx;

	a->calls++;
	a->status = res->status;
	a->len = res->len;
	if (res->err != NULL)
		a->e = *res->err;
	snprintf(a->body, sizeof(a->body), "%s", res->body);
	if (res->status != 0 && http_result_header(res, "x-nomad-index") != NULL)
		snprintf(
		    a->index, sizeof(a->index), "%s", http_result_header(res, "x-nomad-index"));
	loop_stop(l);
}

static void
on_piece(void *ctx, const char *data, size_t len)
{
	struct answer *a = ctx;
	(void)data;

	a->streamed += len;
	a->pieces++;
	if (a->cancel != NULL) {
		http_cancel(a->cancel);
		loop_stop(l);
	}
}

static struct answer
ask(const char *method, const char *path, const char *body)
{
	struct answer a = { 0 };
	struct http_spec s = { .base = base,
		.path = path,
		.method = method,
		.body = body,
		.len = body != NULL ? strlen(body) : 0,
		.done = on_done,
		.ctx = &a };

	http_call(l, &s);
	loop_run(l);
	assert_int_equal(a.calls, 1);
	return a;
}

static void
a_body_goes_there_and_back(void **state)
{
	struct answer a = ask("PUT", "/echo", "hello");
	(void)state;

	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "hello");
	assert_string_equal(a.index, "7");
	a = ask("PUT", "/echo", NULL);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.len, 0);
}

static void
path_parts_and_parameters_are_decoded(void **state)
{
	struct answer a = ask("GET", "/info/a%2Fb?a=1%202+3&flag&a=second", NULL);
	(void)state;

	assert_string_equal(a.body, "GET|/info/a%2Fb|a/b|1 2 3||127.0.0.1");
	assert_int_equal(ask("GET", "/info/%zz", NULL).status, 400);
}

static void
a_stream_arrives_in_pieces(void **state)
{
	struct answer a = ask("GET", "/stream", NULL);
	(void)state;

	assert_string_equal(a.body, "first second");
	struct answer b = { 0 };
	struct http_spec s = {
		.base = base, .path = "/stream", .done = on_done, .chunk = on_piece, .ctx = &b
	};
	http_call(l, &s);
	loop_run(l);
	assert_int_equal(b.streamed, 12);
	assert_int_equal(b.len, 0);
}

static void
a_large_answer_and_a_part_of_a_file_arrive_whole(void **state)
{
	struct answer a = ask("GET", "/big", NULL);
	(void)state;

	assert_int_equal(a.len, 1600000);
	a = ask("GET", "/file", NULL);
	assert_int_equal(a.status, 206);
	assert_string_equal(a.body, "ELF");
	a = ask("HEAD", "/file", NULL);
	assert_int_equal(a.len, 0);
}

static void
a_stream_that_breaks_off_is_an_error_that_keeps_its_status(void **state)
{
	struct answer a = ask("GET", "/abort", NULL);
	(void)state;

	assert_int_equal(a.e.kind, ERR_REMOTE);
}

static void
a_client_that_goes_away_is_told_to_the_handler(void **state)
{
	struct answer a = { 0 };
	struct http_spec s = { .base = base, .path = "/hold", .done = on_done, .ctx = &a };
	struct http_call *c = http_call(l, &s);
	(void)state;

	while (held == NULL)
		loop_turn(l, 1000);
	closed = 0;
	http_cancel(&c);
	while (closed == 0)
		loop_turn(l, 1000);
	assert_int_equal(a.calls, 0);
}

static void
an_answer_to_nobody_is_thrown_away(void **state)
{
	struct http_spec s = { .base = base, .path = "/orphan", .done = NULL };
	struct http_call *c = http_call(l, &s);
	(void)state;

	held = NULL;
	while (held == NULL)
		loop_turn(l, 1000);
	http_cancel(&c);
	for (int i = 0; i < 5; i++)
		loop_turn(l, 10);
	http_reply_start(held, 200, "text/plain");
	http_reply_chunk(held, "x", 1);
	http_reply_end(held); /* the leak sanitizer watches */
	held = NULL;
}

static void
a_call_ends_when_its_time_is_over(void **state)
{
	struct answer a = { 0 };
	struct http_spec s = {
		.base = base, .path = "/hold", .timeout_ms = 30, .done = on_done, .ctx = &a
	};
	(void)state;

	http_call(l, &s);
	loop_run(l);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.e.kind, ERR_TIMEOUT);
	while (held != NULL)
		loop_turn(l, 1000);
}

static void
a_stream_can_be_cancelled_from_its_own_piece(void **state)
{
	struct answer a = { 0 };
	struct http_spec s = {
		.base = base, .path = "/big", .chunk = on_piece, .done = on_done, .ctx = &a
	};
	struct http_call *c = http_call(l, &s);
	(void)state;

	a.cancel = &c;
	loop_run(l);
	assert_int_equal(a.pieces, 1);
	assert_int_equal(a.calls, 0);
}

static void
addresses_that_cannot_be_called_are_refused_by_name(void **state)
{
	struct answer a = { 0 };
	struct http_spec s = {
		.base = "https://127.0.0.1:1", .path = "/", .done = on_done, .ctx = &a
	};
	(void)state;

	http_call(l, &s);
	assert_int_equal(a.calls, 0); /* not from within */
	loop_run(l);
	assert_int_equal(a.e.kind, ERR_UNSUPPORTED);
	s.base = base;
	s.path = "/x\r\nInjected: 1";
	http_call(l, &s);
	loop_run(l);
	assert_int_equal(a.e.kind, ERR_INPUT);
	s.base = "unix:///nonexistent";
	s.path = "/";
	http_call(l, &s);
	loop_run(l);
	assert_int_equal(a.e.kind, ERR_ABSENT);
}

static void
a_unix_socket_serves_as_well_and_disappears_with_the_server(void **state)
{
	char dir[] = "/tmp/potter-unit-XXXXXX", path[64], url[80];
	struct err e;
	struct answer a = { 0 };
	(void)state;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(url, sizeof(url), "unix://%s", path);
	struct http_server *mine = http_server_new(l, NULL, handler, NULL);
	assert_int_equal(http_listen_unix(mine, path, 0600, &e), 0);
	struct http_spec s = { .base = url, .path = "/info/x", .done = on_done, .ctx = &a };
	http_call(l, &s);
	loop_run(l);
	assert_string_equal(a.body, "GET|/info/x|x|-|-|unix");
	http_server_free(mine);
	assert_int_equal(rmdir(dir), 0);
}

/* Raw connections ------------------------------------------------------------------------------ */

static int
raw(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Reads to the end of the connection, or until `stop` was seen. */
static const char *
converse(int fd, const char *send_text, size_t len, const char *stop)
{
	static char got[65536];
	size_t n = 0, sent = 0;

	for (int i = 0; i < 20000; i++) {
		if (sent < len) {
			ssize_t w = send(fd, send_text + sent, len - sent, MSG_NOSIGNAL);
			sent += w > 0 ? (size_t)w : 0;
		}
		loop_turn(l, 1);
		ssize_t r = recv(fd, got + n, sizeof(got) - 1 - n, 0);
		n += r > 0 ? (size_t)r : 0;
		got[n] = '\0';
		if (r == 0 || (stop != NULL && strstr(got, stop) != NULL))
			break;
	}
	return got;
}

static void
expect_raw(const char *text, const char *answer)
{
	int fd = raw(http_server_port(server));
	const char *got = converse(fd, text, strlen(text), NULL);

	if (strncmp(got, answer, strlen(answer)) != 0)
		fail_msg("got: %s", got);
	close(fd);
}

static void
hostile_requests_are_refused_and_told_why(void **state)
{
	static char huge[300000];
	(void)state;

	expect_raw("nonsense\r\n\r\n", "HTTP/1.1 400 ");
	expect_raw("PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	    "HTTP/1.1 400 ");
	expect_raw("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999\r\n\r\n",
	    "HTTP/1.1 413 ");
	snprintf(huge, sizeof(huge), "GET / HTTP/1.1\r\nHost: h\r\nX: ");
	memset(huge + strlen(huge), 'a', sizeof(huge) - 1 - strlen(huge));
	expect_raw(huge, "HTTP/1.1 431 ");
	expect_raw("GET /info/x HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK");
}

static void
slow_requests_end_in_time(void **state)
{
	(void)state;
	expect_raw("GET / HTTP/1.1\r\nHos", "HTTP/1.1 408 ");
	expect_raw(
	    "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 408 ");
	int fd = raw(http_server_port(server)); /* asks nothing: closed without a word */
	assert_string_equal(converse(fd, "", 0, NULL), "");
	close(fd);
}

static void
requests_in_one_packet_are_answered_in_order(void **state)
{
	int fd = raw(http_server_port(server));
	const char *text = "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nonePUT /echo "
			   "HTTP/1.1\r\nHost: h\r\n"
			   "Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\nGET /stream "
			   "HTTP/1.1\r\nHost: h\r\n\r\n"
			   "GET /info/last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	const char *got = converse(fd, text, strlen(text), NULL);
	const char *one = strstr(got, "\r\n\r\none"), *two = strstr(got, "\r\n\r\ntwo"),
		   *three = strstr(got, "6\r\nsecond"), *four = strstr(got, "GET|/info/last");
	(void)state;

	assert_true(one != NULL && two > one && three > two && four > three);
	close(fd);
}

static void
who_waits_to_be_told_to_continue_is_told(void **state)
{
	int fd = raw(http_server_port(server));
	const char *head =
	    "PUT /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
	(void)state;

	assert_non_null(
	    strstr(converse(fd, head, strlen(head), "100 Continue\r\n\r\n"), "100 Continue"));
	assert_non_null(strstr(converse(fd, "ok", 2, "\r\n\r\nok"), "\r\n\r\nok"));
	close(fd);
}

static void
too_many_connections_from_one_address_are_refused(void **state)
{
	struct http_limits limits = { .conns_per_peer = 2 };
	struct http_server *mine = http_server_new(l, &limits, handler, NULL);
	struct err e;
	int fd[3];
	(void)state;

	assert_int_equal(http_listen(mine, "127.0.0.1", 0, &e), 0);
	for (int i = 0; i < 3; i++)
		fd[i] = raw(http_server_port(mine));
	assert_non_null(strstr(converse(fd[2], "", 0, "429"), "HTTP/1.1 429"));
	const char *ok = "GET /info/x HTTP/1.1\r\nHost: h\r\n\r\n";
	assert_non_null(strstr(converse(fd[0], ok, strlen(ok), "GET|"), "200 OK"));
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	http_server_free(mine);
}

static void
a_port_in_use_is_told_by_name(void **state)
{
	struct http_server *mine = http_server_new(l, NULL, handler, NULL);
	struct err e;
	(void)state;

	assert_int_equal(http_listen(mine, "127.0.0.1", http_server_port(server), &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_non_null(strstr(e.text, "listen on 127.0.0.1 port"));
	assert_int_equal(http_listen(mine, "nowhere", 0, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	http_server_free(mine);
}

static int
setup(void **state)
{
	struct http_limits limits = { .head_ms = 100, .body_ms = 100, .idle_ms = 300 };
	struct err e;
	(void)state;

	l = loop_new();
	server = http_server_new(l, &limits, handler, NULL);
	if (http_listen(server, "127.0.0.1", 0, &e) < 0)
		return -1;
	snprintf(base, sizeof(base), "http://127.0.0.1:%u", http_server_port(server));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	http_server_free(server);
	loop_free(l);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_goes_there_and_back),
		cmocka_unit_test(path_parts_and_parameters_are_decoded),
		cmocka_unit_test(a_stream_arrives_in_pieces),
		cmocka_unit_test(a_large_answer_and_a_part_of_a_file_arrive_whole),
		cmocka_unit_test(a_stream_that_breaks_off_is_an_error_that_keeps_its_status),
		cmocka_unit_test(a_client_that_goes_away_is_told_to_the_handler),
		cmocka_unit_test(an_answer_to_nobody_is_thrown_away),
		cmocka_unit_test(a_call_ends_when_its_time_is_over),
		cmocka_unit_test(a_stream_can_be_cancelled_from_its_own_piece),
		cmocka_unit_test(addresses_that_cannot_be_called_are_refused_by_name),
		cmocka_unit_test(a_unix_socket_serves_as_well_and_disappears_with_the_server),
		cmocka_unit_test(hostile_requests_are_refused_and_told_why),
		cmocka_unit_test(slow_requests_end_in_time),
		cmocka_unit_test(requests_in_one_packet_are_answered_in_order),
		cmocka_unit_test(who_waits_to_be_told_to_continue_is_told),
		cmocka_unit_test(too_many_connections_from_one_address_are_refused),
		cmocka_unit_test(a_port_in_use_is_told_by_name),
	};

	signal(SIGPIPE, SIG_IGN); /* as the programs have it */
	return cmocka_run_group_tests(tests, setup, teardown);
}
