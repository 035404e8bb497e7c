#include "io/http1.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int
parse(struct arena *a, const char *text, struct http1_head *h, int *status)
{
	struct err e;

	return http1_request(text, strlen(text), a, h, status, &e);
}

static void
a_request_head_is_taken_apart(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct http1_head h;
	int status;
	(void)state;

	assert_int_equal(
	    parse(&a,
		"PUT /v1/jobs?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nX-Empty:\r\n\r\n",
		&h, &status),
	    0);
	assert_string_equal(h.method, "PUT");
	assert_string_equal(h.target, "/v1/jobs?x=1");
	assert_int_equal(h.body, 12);
	assert_true(h.keep_alive);
	assert_string_equal(http1_header(&h.headers, "content-length"), "12");
	assert_string_equal(http1_header(&h.headers, "x-empty"), "");
	assert_null(http1_header(&h.headers, "absent"));
	assert_int_equal(
	    parse(&a, "GET http://h/x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &h, &status), 0);
	assert_string_equal(h.target, "/x");
	assert_true(h.keep_alive);
	assert_int_equal(parse(&a,
			     "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade, "
			     "close\r\nTransfer-Encoding: chunked\r\n\r\n",
			     &h, &status),
	    0);
	assert_false(h.keep_alive);
	assert_int_equal(h.body, HTTP1_CHUNKED);
}

static void
what_two_readers_may_read_differently_is_refused(void **state)
{
	static const struct {
		const char *text;
		int status;
	} bad[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 400 }, /* no Host */
		{ "GET /\r\n\r\n", 400 },
		{ "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505 },
		{ "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\nHost: h\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\x01\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		    400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
		    400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: "
		  "chunked\r\n\r\n",
		    400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501 },
	};
	(void)state;

	for (size_t i = 0; i < NELEM(bad); i++) {
		autoarena struct arena a = ARENA_INIT;
		struct http1_head h;
		int status = 0;
		if (parse(&a, bad[i].text, &h, &status) == 0)
			fail_msg("accepted: %s", bad[i].text);
		if (status != bad[i].status)
			fail_msg("%d for %s", status, bad[i].text);
	}
}

static void
an_answer_tells_how_its_body_ends(void **state)
{
	autoarena struct arena a = ARENA_INIT;
	struct http1_head h;
	struct err e;
	(void)state;
#define RESPONSE(text) http1_response(text, strlen(text), &a, &h, &e)
	assert_int_equal(RESPONSE("HTTP/1.1 200 OK\r\n\r\n"), 0);
	assert_int_equal(h.status, 200);
	assert_int_equal(h.body, HTTP1_TO_CLOSE);
	assert_int_equal(RESPONSE("HTTP/1.1 204\r\nContent-Length: 5\r\n\r\n"), 0);
	assert_int_equal(h.body, 0);
	assert_int_equal(RESPONSE("HTTP/1.1 2x0 OK\r\n\r\n"), -1);
	assert_int_equal(RESPONSE("SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

/* Decodes in pieces of `step` bytes. */
static enum http1_chunk
dechunk(const char *text, size_t step, struct buf *out)
{
	struct http1_chunks c = { .state = 0 };
	size_t len = strlen(text);

	for (size_t at = 0; at < len;) {
		size_t piece = len - at < step ? len - at : step, used, n;
		const char *data;
		enum http1_chunk got = http1_chunk(&c, text + at, piece, &used, &data, &n);
		if (got == HTTP1_DATA)
			buf_add(out, data, n);
		if (got == HTTP1_END || got == HTTP1_BAD)
			return got;
		at += used;
	}
	return HTTP1_MORE;
}

static void
chunks_are_joined_however_they_arrive(void **state)
{
	(void)state;
	for (size_t step = 1; step < 40; step++) {
		autobuf struct buf b = BUF_INIT;
		assert_int_equal(
		    dechunk(
			"4;ext=1\r\nWiki\r\nA\r\npedia in c\r\n0\r\nTrailer: x\r\n\r\n", step, &b),
		    HTTP1_END);
		assert_string_equal(buf_str(&b), "Wikipedia in c");
	}
}

static void
malformed_chunks_are_refused(void **state)
{
	static const char *const bad[] = { "g\r\n", "\r\n", "4\nWiki", "4\r\nWikiX", "4\r\nWiki\rX",
		"-1\r\n", "10000000000000000\r\n", "0\r\n\n" };
	(void)state;

	for (size_t i = 0; i < NELEM(bad); i++) {
		autobuf struct buf b = BUF_INIT;
		if (dechunk(bad[i], 64, &b) != HTTP1_BAD)
			fail_msg("accepted: %s", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_head_is_taken_apart),
		cmocka_unit_test(what_two_readers_may_read_differently_is_refused),
		cmocka_unit_test(an_answer_tells_how_its_body_ends),
		cmocka_unit_test(chunks_are_joined_however_they_arrive),
		cmocka_unit_test(malformed_chunks_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
