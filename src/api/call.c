#include "api/call.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/str.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { WAIT_MAX_MS = 300000, PER_PAGE_MAX = 1000000 };

/* Answering ------------------------------------------------------------------------------------ */

static void
call_over(struct call *c)
{
	c->answered = true;
	state_watch_cancel(&c->watch);
	loop_timer_free(&c->timer);
	json_decref(c->body);
	c->body = NULL;
}

void
call_fail(struct call *c, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *text = arena_vprintf(c->mem, fmt, ap);
	va_end(ap);
	call_over(c);
	http_reply(c->req, status, "text/plain; charset=utf-8", text, strlen(text));
}

static int
status_of(const struct err *e, int input)
{
	switch (e->kind) {
	case ERR_ABSENT:
		return 404;
	case ERR_RIGHTS:
		return 403;
	case ERR_INPUT:
		return input;
	case ERR_UNSUPPORTED:
		return input == 400 ? 501 : 500;
	default:
		return 500;
	}
}

void
call_err(struct call *c, const struct err *e)
{
	call_fail(c, status_of(e, 500), "%s", e->text);
}

void
call_err_input(struct call *c, const struct err *e)
{
	call_fail(c, status_of(e, 400), "%s", e->text);
}

struct jsonw
call_json(struct call *c, struct buf *out)
{
	const char *pretty = http_query(c->req, "pretty");

	return (struct jsonw){ .out = out,
		.indent = pretty != NULL && strcmp(pretty, "0") != 0 ? 4 : 0 };
}

void
call_json_end(struct call *c, struct jsonw *w)
{
	if (w->indent > 0)
		buf_addc(w->out, '\n');
	call_over(c);
	http_reply_buf(c->req, 200, "application/json", w->out);
}

void
call_json_text(struct call *c, const char *json, size_t len)
{
	call_over(c);
	http_reply(c->req, 200, "application/json", json, len);
}

void
call_index(struct call *c, uint64_t index)
{
	http_setf(c->req, "X-Nomad-Index", "%" PRIu64, index > 0 ? index : 1);
	http_set(c->req, "X-Nomad-KnownLeader", "true");
	http_set(c->req, "X-Nomad-LastContact", "0");
}

/* Asking --------------------------------------------------------------------------------------- */

int
call_body(struct call *c, bool optional, const json_t **out)
{
	size_t len;
	const char *text = http_body(c->req, &len);
	struct err e;

	*out = NULL;
	if (len == 0 && optional)
		return 0;
	if (len == 0) {
		call_fail(c, 400, "the request's body is empty: a JSON object is needed");
		return -1;
	}
	if (json_read(text, len, &c->body, &e) < 0) {
		call_fail(c, 400, "%s", e.text);
		return -1;
	}
	if (json_is_null(c->body) && optional)
		return 0;
	if (!json_is_object(c->body)) {
		call_fail(c, 400, "the request's body must be a JSON object");
		return -1;
	}
	*out = c->body;
	return 0;
}

int
call_body_model(struct call *c, const struct model *m, void *out)
{
	const json_t *body;
	struct err e;

	if (call_body(c, false, &body) < 0)
		return -1;
	if (model_from_json(m, body, c->mem, out, &e) < 0) {
		call_fail(c, 400, "%s", e.text);
		return -1;
	}
	return 0;
}

bool
call_flag(struct call *c, const char *name)
{
	const char *v = http_query(c->req, name);

	return v != NULL && strcmp(v, "false") != 0 && strcmp(v, "0") != 0 && strcmp(v, "f") != 0;
}

bool
call_uuid(struct call *c, const char *id)
{
	if (strlen(id) != 36)
		call_fail(c, 500, "index error: UUID must be 36 characters");
	else if (!ids_is_uuid(id))
		call_fail(c, 500, "index error: Invalid UUID: \"%s\"", id);
	return !c->answered;
}

bool
call_prefix_ok(struct call *c)
{
	const char *prefix = http_query(c->req, "prefix");

	for (const char *p = prefix; p != NULL && *p != '\0'; p++)
		if (!isxdigit((unsigned char)*p) && *p != '-') {
			call_fail(
			    c, 500, "index error: Invalid UUID: \"%s\" is not hexadecimal", prefix);
			return false;
		}
	return true;
}

bool
call_in_ns(const struct call *c, const char *namespace)
{
	return strcmp(c->ns, "*") == 0 ||
	       strcmp(c->ns, namespace != NULL && *namespace ? namespace : "default") == 0;
}

/* Lists ---------------------------------------------------------------------------------------- */

static const char *
token_of(struct call *c, const void *row, const struct list *l)
{
	if (l->ns_in_token && l->ns != NULL)
		return arena_printf(c->mem, "%s.%s", l->ns(row), l->id(row));
	return l->id(row);
}

void
call_list(struct call *c, struct jsonw *w, const struct rows *rows, const struct list *l)
{
	const char *per_page = http_query(c->req, "per_page"),
		   *token = http_query(c->req, "next_token");
	bool reverse = call_flag(c, "reverse"), started = token == NULL || *token == '\0';
	uint64_t max = 0, n = 0;

	if (per_page != NULL)
		(void)str_u64(per_page, PER_PAGE_MAX, &max); /* checked by call_read_blocking() */
	jsonw_array(w);
	for (size_t k = 0; k < rows->n; k++) {
		const void *row = rows->at[reverse ? rows->n - 1 - k : k];
		if (l->ns != NULL && !call_in_ns(c, l->ns(row)))
			continue;
		/* The token names the first of the page; if that one is gone, the next in order. */
		if (!started) {
			int order = strcmp(token_of(c, row, l), token);
			started = order == 0 || (reverse ? order < 0 : order > 0);
		}
		if (!started)
			continue;
		if (max > 0 && n == max) {
			http_set(c->req, "X-Nomad-NextToken", token_of(c, row, l));
			break;
		}
		l->emit(c, row, w);
		n++;
	}
	jsonw_end_array(w);
}

/* Blocking queries ----------------------------------------------------------------------------- */

static bool
query_number(struct call *c, const char *name, uint64_t max, uint64_t *out, const char *complaint)
{
	const char *text = http_query(c->req, name);

	if (text == NULL || *text == '\0')
		return true;
	if (str_u64(text, max, out))
		return true;
	call_fail(c, 400, "%s", complaint);
	return false;
}

/* "2000ms", or a bare number of … seconds never occurs: a Go duration is needed. */
static bool
query_wait(struct call *c, int64_t *ms)
{
	const char *text = http_query(c->req, "wait");
	int64_t ns;

	*ms = WAIT_MAX_MS;
	if (text == NULL || *text == '\0')
		return true;
	if (!duration_parse(text, &ns) || ns < 0) {
		call_fail(c, 400, "Invalid wait time");
		return false;
	}
	*ms = ns / NS_PER_MS;
	if (*ms == 0 || *ms > WAIT_MAX_MS)
		*ms = WAIT_MAX_MS;
	return true;
}

bool
call_read_blocking(struct call *c)
{
	const char *stale = http_query(c->req, "stale");
	uint64_t per_page = 0;

	if (stale != NULL && *stale != '\0' && strcmp(stale, "true") != 0 &&
	    strcmp(stale, "false") != 0 && strcmp(stale, "1") != 0 && strcmp(stale, "0") != 0) {
		call_fail(c, 400, "Failed to parse value of \"stale\" (%s) as a bool", stale);
		return false;
	}
	if (!query_number(c, "index", INT64_MAX, &c->min_index, "Invalid index") ||
	    !query_number(c, "per_page", PER_PAGE_MAX, &per_page,
		"Failed to parse value of \"per_page\" as a number"))
		return false;
	/* The command line of Nomad 2 looks for these words and then filters by itself. */
	const char *filter = http_query(c->req, "filter");
	if (filter != NULL && *filter != '\0') {
		call_fail(c, 400,
		    "failed to create result paginator: filter expressions are not supported");
		return false;
	}
	return true;
}

static void
read_render(struct call *c)
{
	struct buf out = BUF_INIT;
	struct jsonw w = call_json(c, &out);

	call_index(c, c->look.index);
	if (c->look.absent != NULL) {
		call_fail(c, 404, "%s", c->look.absent);
		return;
	}
	c->route->render(c, &w);
	call_json_end(c, &w);
}

static void on_change(void *ctx);

static void
watch(struct call *c)
{
	switch (c->look.watch) {
	case WATCH_ROW:
		c->watch = state_watch(c->state, c->look.table, c->look.key, on_change, c);
		break;
	case WATCH_NODE_ALLOCS:
		c->watch = state_watch_node_allocs(c->state, c->look.key, on_change, c);
		break;
	case WATCH_SERVICE:
		c->watch = state_watch_named_services(c->state, c->look.key, on_change, c);
		break;
	default:
		c->watch = state_watch(c->state, c->look.table, NULL, on_change, c);
	}
}

/* Looks, and answers if there is news or the wait is over. */
static void
read_turn(struct call *c)
{
	c->look = (struct look){ .row = NULL };
	c->route->look(c);
	if (c->answered)
		return;
	if (c->look.index == 0)
		c->look.index = 1;
	if (c->min_index == 0 || c->look.index > c->min_index || c->waited)
		read_render(c);
	else
		watch(c);
}

static void
on_change(void *ctx)
{
	struct call *c = ctx;
	struct http_req *r = c->req;

	c->watch = NULL;
	http_hold(r);
	read_turn(c);
	http_release(r);
}

static void
on_wait_over(void *ctx)
{
	struct call *c = ctx;

	struct http_req *r = c->req;

	state_watch_cancel(&c->watch);
	c->waited = true;
	http_hold(r);
	read_turn(c);
	http_release(r);
}

static void
on_gone(void *ctx)
{
	call_over(ctx);
}

void
call_read(struct call *c)
{
	int64_t wait_ms;

	if (!call_read_blocking(c) || !query_wait(c, &wait_ms))
		return;
	read_turn(c);
	if (c->answered)
		return;
	/* Up to a sixteenth more, so that not all who wait come back at once. */
	c->timer = loop_timer(c->api->c.loop,
	    wait_ms + (wait_ms / 16 > 0 ? (int64_t)(clock_mono_ns() % (wait_ms / 16)) : 0), 0,
	    on_wait_over, c);
	http_on_close(c->req, on_gone, c);
}

/* Replies of the server ------------------------------------------------------------------------ */

/* One answer to a change: what fields writes of it, then its index. */
static void
answer(struct call *c, const struct server_result *r, const struct err *e,
    void (*fields)(struct jsonw *w, const struct server_result *r))
{
	struct buf out = BUF_INIT;

	if (e != NULL) {
		call_err(c, e);
		return;
	}
	struct jsonw w = call_json(c, &out);
	jsonw_object(&w);
	if (fields != NULL)
		fields(&w, r);
	jsonw_kuint(&w, "Index", r->index);
	jsonw_kbool(&w, "KnownLeader", false);
	jsonw_kint(&w, "LastContact", 0);
	call_index(c, r->index);
	jsonw_end_object(&w);
	call_json_end(c, &w);
}

static void
eval_id(struct jsonw *w, const struct server_result *r)
{
	jsonw_kstr(w, "EvalID", r->eval_id != NULL ? r->eval_id : "");
}

static void
eval_fields(struct jsonw *w, const struct server_result *r)
{
	eval_id(w, r);
	jsonw_kuint(w, "EvalCreateIndex", r->eval_create_index);
	jsonw_kuint(w, "JobModifyIndex", r->job_modify_index);
}

static void
register_fields(struct jsonw *w, const struct server_result *r)
{
	eval_fields(w, r);
	jsonw_kstr(w, "Warnings", r->warnings != NULL ? r->warnings : "");
}

static void
node_fields(struct jsonw *w, const struct server_result *r)
{
	jsonw_kuint(w, "NodeModifyIndex", r->node_modify_index);
	eval_id(w, r);
	jsonw_key(w, "EvalIDs");
	jsonw_array(w);
	for (size_t i = 0; i < r->eval_ids.n; i++)
		jsonw_str(w, r->eval_ids.at[i]);
	jsonw_end_array(w);
	jsonw_kuint(w, "EvalCreateIndex", r->eval_create_index);
}

static void
deployment_fields(struct jsonw *w, const struct server_result *r)
{
	eval_id(w, r);
	jsonw_kuint(w, "EvalCreateIndex", r->eval_create_index);
	jsonw_kuint(w, "DeploymentModifyIndex", r->deployment_modify_index);
	if (r->reverted_version >= 0)
		jsonw_kint(w, "RevertedJobVersion", r->reverted_version);
	else
		jsonw_knull(w, "RevertedJobVersion");
}

void
call_done_register(void *ctx, const struct server_result *r, const struct err *e)
{
	answer(ctx, r, e, register_fields);
}

void
call_done_eval(void *ctx, const struct server_result *r, const struct err *e)
{
	answer(ctx, r, e, eval_fields);
}

void
call_done_node(void *ctx, const struct server_result *r, const struct err *e)
{
	answer(ctx, r, e, node_fields);
}

void
call_done_deployment(void *ctx, const struct server_result *r, const struct err *e)
{
	answer(ctx, r, e, deployment_fields);
}

void
call_done_empty(void *ctx, const struct server_result *r, const struct err *e)
{
	answer(ctx, r, e, NULL);
}
