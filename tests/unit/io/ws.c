#include "io/http.h"
#include "io/http_conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct side {
	struct ws *ws;
	char text[256];
	int messages, code;
	char reason[128];
	bool close_on_message;
	size_t bytes;
};

static struct loop *l;
static struct http_server *server;
static struct side there; /* the server's */
static char base[64];
static int refused;

static void
on_message(void *ctx, const char *data, size_t len, bool text)
{
	struct side *s = ctx;

	assert_true(text);
	snprintf(s->text, sizeof(s->text), "%.*s", (int)len, data);
	s->messages++;
	s->bytes += len;
	if (s == &there && !s->close_on_message)
		ws_send(s->ws, data, len);
	if (s->close_on_message)
		ws_close(s->ws, WS_POLICY, "Unknown allocation \"x\"");
}

static void
on_closed(void *ctx, int code, const char *reason)
{
	struct side *s = ctx;

	s->ws = NULL;
	s->code = code;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

static const struct ws_ops ops = { .message = on_message, .closed = on_closed };

static void
handler(struct http_req *r, void *ctx)
{
	(void)ctx;

	if (strcmp(http_path(r), "/refuse") == 0) {
		http_reply_text(r, 403, "Permission denied");
		return;
	}
	struct ws *w = http_upgrade(r, &ops, &there);
	if (w == NULL)
		http_reply_text(r, 400, "not a WebSocket request");
	there.ws = w;
}

static void
opened(void *ctx, struct ws *w, const struct http_result *res)
{
	struct side *s = ctx;

	s->ws = w;
	if (w == NULL) {
		refused = res->status;
		s->code = -1;
	} else
		ws_send(w, "hello", 5);
}

static struct side
connect_side(void)
{
	struct side s = { 0 };

	there = (struct side){ 0 };
	return s;
}

static void
dial_to(struct side *s, const char *path)
{
	struct http_spec spec = { .base = base, .path = path, .ctx = s };

	ws_dial(l, &spec, &ops, opened);
}

#define UNTIL(cond)                                                                                \
	for (int i_ = 0; !(cond); i_++) {                                                          \
		assert_true(i_ < 2000);                                                            \
		loop_turn(l, 10);                                                                  \
	}

static void
the_accept_key_is_that_of_the_standard(void **state)
{
	char out[32];
	(void)state;

	ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", out);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
messages_go_both_ways_and_the_client_closes(void **state)
{
	struct side s = connect_side();
	static char large[300000];
	(void)state;

	dial_to(&s, "/ws");
	UNTIL(s.messages == 1);
	assert_string_equal(s.text, "hello");
	memset(large, 'x', sizeof(large));
	ws_send(s.ws, large, sizeof(large));
	UNTIL(s.messages == 2);
	assert_int_equal(s.bytes, 5 + sizeof(large));
	ws_close(s.ws, WS_NORMAL, NULL);
	UNTIL(s.ws == NULL && there.ws == NULL);
	assert_int_equal(s.code, WS_NORMAL);
	assert_int_equal(there.code, WS_NORMAL);
}

static void
the_server_closes_with_a_reason_that_arrives(void **state)
{
	struct side s = connect_side();
	(void)state;

	there.close_on_message = true;
	dial_to(&s, "/ws");
	UNTIL(s.code != 0 && there.ws == NULL);
	assert_int_equal(s.code, WS_POLICY);
	assert_string_equal(s.reason, "Unknown allocation \"x\"");
}

static void
a_torn_connection_is_told_as_such(void **state)
{
	struct side s = connect_side();
	(void)state;

	dial_to(&s, "/ws");
	UNTIL(s.messages == 1);
	ws_kill(s.ws, 0, "");
	UNTIL(there.code != 0);
	assert_int_equal(there.code, WS_TORN);
}

static void
a_refused_upgrade_gives_the_status(void **state)
{
	struct side s = connect_side();
	(void)state;

	dial_to(&s, "/refuse");
	UNTIL(s.code != 0);
	assert_int_equal(refused, 403);
}

static void
a_paused_reader_holds_the_messages_back(void **state)
{
	struct side s = connect_side();
	(void)state;

	dial_to(&s, "/ws");
	UNTIL(s.messages == 1);
	ws_pause(there.ws, true);
	ws_send(s.ws, "later", 5);
	for (int i = 0; i < 5; i++)
		loop_turn(l, 2);
	assert_int_equal(s.messages, 1);
	ws_pause(there.ws, false);
	UNTIL(s.messages == 2);
	ws_close(s.ws, WS_NORMAL, "");
	UNTIL(s.ws == NULL && there.ws == NULL);
}

static int
setup(void **state)
{
	struct err e;
	(void)state;

	l = loop_new();
	server = http_server_new(l, NULL, handler, NULL);
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
		cmocka_unit_test(the_accept_key_is_that_of_the_standard),
		cmocka_unit_test(messages_go_both_ways_and_the_client_closes),
		cmocka_unit_test(the_server_closes_with_a_reason_that_arrives),
		cmocka_unit_test(a_torn_connection_is_told_as_such),
		cmocka_unit_test(a_refused_upgrade_gives_the_status),
		cmocka_unit_test(a_paused_reader_holds_the_messages_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
