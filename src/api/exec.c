/* /v1/client/allocation/:id/exec: a command in a running task, over a WebSocket. */
#include "api/call.h"

#include "base/str.h"
#include "codec/base64.h"

#include <stdlib.h>
#include <string.h>

enum { ARGS_MAX = 1024, SLOW_BYTES = 1 << 20 };

struct exec {
	const struct client_api *node;
	struct ws *ws;
	struct client_exec *session; /* NULL: not begun, or over */
	bool greeting;		     /* the first message is the browser's hello */
	bool output_paused, input_paused;
};

/* From the command ----------------------------------------------------------------------------- */

static void
send_json(struct exec *x, struct buf *b)
{
	ws_send(x->ws, b->data, b->len);
	buf_fini(b);
}

static void
on_output(void *ctx, bool is_stderr, const char *data, size_t len)
{
	struct exec *x = ctx;
	struct buf b = BUF_INIT;
	struct jsonw w = JSONW_INIT(&b);

	jsonw_object(&w);
	jsonw_key(&w, is_stderr ? "stderr" : "stdout");
	jsonw_object(&w);
	if (len > 0) {
		jsonw_key(&w, "data");
		jsonw_base64(&w, data, len);
	} else
		jsonw_kbool(&w, "close", true);
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	send_json(x, &b);
	if (x->session != NULL && !x->output_paused && x->node->exec_pause != NULL &&
	    ws_pending(x->ws) > SLOW_BYTES) {
		x->output_paused = true;
		x->node->exec_pause(x->session, true);
	}
}

static void
on_exited(void *ctx, int exit_code)
{
	struct exec *x = ctx;
	struct buf b = BUF_INIT;

	x->session = NULL;
	buf_addf(&b, "{\"exited\":true,\"result\":{\"exit_code\":%d}}", exit_code);
	send_json(x, &b);
	ws_close(x->ws, WS_NORMAL, "");
}

static void
close_with(struct exec *x, const struct err *e)
{
	ws_close(x->ws,
	    e->kind == ERR_INPUT || e->kind == ERR_ABSENT || e->kind == ERR_RIGHTS ? WS_POLICY
										   : WS_INTERNAL,
	    e->text);
}

static void
on_failed(void *ctx, const struct err *e)
{
	struct exec *x = ctx;

	x->session = NULL;
	close_with(x, e);
}

static void
on_taken(void *ctx)
{
	struct exec *x = ctx;

	if (x->input_paused && x->ws != NULL) {
		x->input_paused = false;
		ws_pause(x->ws, false);
	}
}

static void
on_started(void *ctx)
{
	(void)ctx;
}

static const struct client_exec_ops exec_ops = { .started = on_started,
	.output = on_output,
	.taken = on_taken,
	.exited = on_exited,
	.failed = on_failed };

/* From the asker ------------------------------------------------------------------------------- */

static void
take_stdin(struct exec *x, const json_t *in)
{
	const char *text = json_str(in, "data", "");
	autobuf struct buf data = BUF_INIT;

	if (!base64_decode(&data, text, strlen(text))) {
		ws_close(x->ws, WS_POLICY, "stdin.data is not base64");
		return;
	}
	if (data.len > 0)
		x->node->exec_stdin(x->session, data.data, data.len);
	if (json_bool(in, "close", false) && x->session != NULL)
		x->node->exec_stdin(x->session, NULL, 0);
	if (x->session != NULL && !x->input_paused &&
	    x->node->exec_pending(x->session) > SLOW_BYTES) {
		x->input_paused = true;
		ws_pause(x->ws, true);
	}
}

static void
on_message(void *ctx, const char *text, size_t len, bool is_text)
{
	struct exec *x = ctx;
	autojson json_t *m = NULL;
	const json_t *part;
	struct err e;
	(void)is_text;

	if (json_read(text, len, &m, &e) < 0) {
		ws_close(x->ws, WS_POLICY, e.text);
		return;
	}
	if (x->greeting) {
		x->greeting = false;
		if (json_int(m, "version", 0) == 1)
			ws_send(x->ws, "{}", 2);
		else
			ws_close(x->ws, WS_POLICY, "unsupported handshake version: 1 is expected");
		return;
	}
	if (x->session == NULL)
		return;
	if ((part = json_object_get(m, "stdin")) != NULL)
		take_stdin(x, part);
	if ((part = json_object_get(m, "tty_size")) != NULL && x->session != NULL)
		x->node->exec_resize(x->session, (unsigned)json_int(part, "height", 0),
		    (unsigned)json_int(part, "width", 0));
}

static void
on_drained(void *ctx)
{
	struct exec *x = ctx;

	if (x->output_paused && x->session != NULL) {
		x->output_paused = false;
		x->node->exec_pause(x->session, false);
	}
}

static void
on_closed(void *ctx, int code, const char *reason)
{
	struct exec *x = ctx;
	(void)code, (void)reason;

	x->ws = NULL;
	if (x->session != NULL)
		x->node->exec_close(x->session);
	free(x);
}

static const struct ws_ops socket_ops = {
	.message = on_message, .closed = on_closed, .drained = on_drained
};

/* Beginning ------------------------------------------------------------------------------------ */

static int
parse_command(const char *text, struct arena *a, const char *const **out, struct err *e)
{
	autojson json_t *list = NULL;

	if (text == NULL || json_read(text, strlen(text), &list, e) < 0 || !json_is_array(list) ||
	    json_array_size(list) == 0 || json_array_size(list) > ARGS_MAX)
		return err_new(
		    e, ERR_INPUT, "command must be a JSON array of 1 to %d texts", ARGS_MAX);
	size_t n = json_array_size(list);
	const char **argv = arena_array(a, n + 1, const char *);
	for (size_t i = 0; i < n; i++) {
		if (!json_is_string(json_array_get(list, i)))
			return err_new(e, ERR_INPUT, "command must be a JSON array of texts");
		argv[i] = arena_strdup(a, json_string_value(json_array_get(list, i)));
	}
	*out = argv;
	return 0;
}

static int
parse_bool(const char *name, const char *text, bool *out, struct err *e)
{
	*out = text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
	if (text == NULL || *out || *text == '\0' || strcmp(text, "false") == 0 ||
	    strcmp(text, "0") == 0)
		return 0;
	return err_new(e, ERR_INPUT, "%s must be true or false, not \"%s\"", name, text);
}

static int
spec_of(struct http_req *r, const char *alloc_id, struct arena *a, struct client_exec_spec *out,
    struct err *e)
{
	const char *task = http_query(r, "task"), *command = http_query(r, "command"),
		   *tty = http_query(r, "tty");

	*out = (struct client_exec_spec){ .alloc_id = arena_strdup(a, alloc_id) };
	if (task == NULL || *task == '\0')
		return err_new(e, ERR_INPUT, "missing task parameter");
	out->task = arena_strdup(a, task);
	if (parse_bool("tty", tty, &out->tty, e) < 0)
		return -1;
	return parse_command(command, a, &out->argv, e);
}

static void
run_exec(struct call *c)
{
	const struct client_api *n = c->api->c.client;
	autoarena struct arena mem = ARENA_INIT;
	struct client_exec_spec spec;
	struct err e;
	int ok = spec_of(c->req, c->arg, &mem, &spec, &e);

	/* Errors go through the WebSocket, or the command line would not show them. */
	if (!http_wants_upgrade(c->req)) {
		call_fail(c, 400, "exec needs a WebSocket: the upgrade headers are missing");
		return;
	}
	if (ok == 0 && (n == NULL || !n->has_alloc(n->self, c->arg))) {
		bool elsewhere = c->state != NULL && state_alloc(c->state, c->arg) != NULL &&
				 (n == NULL || !str_eq(state_alloc(c->state, c->arg)->node_id,
						   n->node_id(n->self)));
		ok = elsewhere ? err_new(&e, ERR_ABSENT, "No path to node")
			       : err_new(&e, ERR_ABSENT, "Unknown allocation \"%s\"", c->arg);
	}
	struct exec *x = xcalloc(1, sizeof(*x));
	x->node = n;
	x->greeting = call_flag(c, "ws_handshake");
	x->ws = http_upgrade(c->req, &socket_ops, x); /* the call is over */
	if (x->ws == NULL) {
		free(x);
		return;
	}
	struct client_exec *session = NULL;
	if (ok == 0 && n != NULL && (session = n->exec(n->self, &spec, &exec_ops, x, &e)) == NULL)
		ok = -1;
	if (ok < 0)
		close_with(x, &e);
	else
		x->session = session;
}

const struct route exec_routes[] = {
	{ .methods = "GET",
	    .pattern = "/v1/client/allocation/:/exec",
	    .run = run_exec,
	    .local = true },
	{ .pattern = NULL },
};
