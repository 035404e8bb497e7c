/* potter_http.c: questions to the API, one at a time. */
#include "cli/potter.h"

#include "base/str.h"
#include "io/http.h"
#include "io/loop.h"
#include "io/url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
potter_reply_fini(struct potter_reply *r)
{
	json_decref(r->json);
	free(r->body);
	*r = (struct potter_reply)POTTER_REPLY_INIT;
}

struct question {
	struct potter_call *call;
	struct potter_reply *reply;
	struct err failure;
	bool failed;
};

static void
on_answer(void *ctx, const struct http_result *res)
{
	struct question *q = ctx;
	struct err e = ERR_INIT;
	uint64_t index;

	loop_stop(q->call->loop);
	q->reply->status = res->status;
	if (res->status == 0) {
		q->failed = true;
		q->failure = *res->err;
		return;
	}
	q->reply->body = xstrndup(res->body, res->len);
	const char *text = http_result_header(res, "X-Nomad-Index");
	if (text != NULL && str_u64(text, UINT64_MAX, &index))
		q->reply->index = index;
	if (res->status == 200 && json_read(res->body, res->len, &q->reply->json, &e) < 0)
		q->reply->json = NULL;
	if (res->status != 200) {
		q->failed = true;
		size_t len = strlen(q->reply->body);
		while (len > 0 && q->reply->body[len - 1] == '\n')
			len--;
		err_new(&q->failure, res->status == 404 ? ERR_ABSENT : ERR_REMOTE,
		    "Unexpected response code: %d (%.*s)", res->status, (int)len, q->reply->body);
	}
}

static const char *
with_context(struct potter_call *c, const char *path)
{
	autobuf struct buf out = BUF_INIT;
	char join = strchr(path, '?') != NULL ? '&' : '?';

	buf_adds(&out, path);
	if (c->region != NULL && c->region[0] != '\0') {
		buf_addf(&out, "%cregion=%s", join, potter_escape(c, c->region));
		join = '&';
	}
	if (c->namespace != NULL && c->namespace[0] != '\0')
		buf_addf(&out, "%cnamespace=%s", join, potter_escape(c, c->namespace));
	return arena_strdup(&c->mem, buf_str(&out));
}

static int
ask(struct potter_call *c, const char *method, const char *path, const struct buf *body,
    struct potter_reply *r, struct err *e)
{
	const char *const headers[] = { "X-Nomad-Token", c->token != NULL ? c->token : "", NULL };
	struct question q = { .call = c, .reply = r };
	struct http_spec spec = {
		.base = c->address,
		.path = with_context(c, path),
		.method = method,
		.body = body != NULL ? buf_str(body) : NULL,
		.len = body != NULL ? body->len : 0,
		.headers = c->token != NULL && c->token[0] != '\0' ? headers : NULL,
		.timeout_ms = 400 * 1000, /* longer than any blocking query */
		.done = on_answer,
		.ctx = &q,
	};

	potter_reply_fini(r);
	http_call(c->loop, &spec);
	loop_run(c->loop);
	if (!q.failed)
		return 0;
	*e = q.failure;
	return -1;
}

int
potter_get(struct potter_call *c, struct potter_reply *r, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *path = arena_vprintf(&c->mem, fmt, ap);
	va_end(ap);
	return ask(c, "GET", path, NULL, r, e);
}

int
potter_send(struct potter_call *c, const char *method, const struct buf *body,
    struct potter_reply *r, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *path = arena_vprintf(&c->mem, fmt, ap);
	va_end(ap);
	return ask(c, method, path, body, r, e);
}

/* ---- finding ---- */

/* What a UUID may be looked up by: an even number of hex digits and hyphens where they belong. */
static const char *
uuid_prefix(struct potter_call *c, const char *text)
{
	char *out = arena_strdup(&c->mem, text);
	size_t hex = 0;

	for (const char *p = out; *p != '\0'; p++)
		hex += *p != '-';
	if (hex % 2 == 1 && out[0] != '\0')
		out[strlen(out) - 1] = '\0';
	return out;
}

json_t *
potter_find(struct potter_call *c, const char *list, const char *one, const char *noun,
    const char *prefix, void (*show)(struct potter_call *c, const json_t *rows))
{
	autoreply struct potter_reply rows = POTTER_REPLY_INIT, full = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (strlen(prefix) == 1) {
		potter_fail("Identifier must contain at least two characters.");
		return NULL;
	}
	const char *cleaned = uuid_prefix(c, prefix);
	if (potter_get(c, &rows, &e, "%s?prefix=%s", list, potter_escape(c, cleaned)) < 0) {
		potter_fail("Error querying %s: %s", noun, e.text);
		return NULL;
	}
	if (json_array_size(rows.json) == 0) {
		potter_fail("No %s(s) with prefix or id \"%s\" found", noun, prefix);
		return NULL;
	}
	if (json_array_size(rows.json) > 1) {
		printf("Prefix matched multiple %ss\n\n", noun);
		show(c, rows.json);
		return NULL;
	}
	const char *id = json_str(json_array_get(rows.json, 0), "ID", "");
	if (potter_get(c, &full, &e, "%s/%s", one, id) < 0) {
		potter_fail("Error querying %s: %s", noun, e.text);
		return NULL;
	}
	return json_incref(full.json);
}

json_t *
potter_find_alloc(struct potter_call *c, const char *prefix)
{
	return potter_find(
	    c, "/v1/allocations", "/v1/allocation", "allocation", prefix, potter_show_allocs);
}

json_t *
potter_find_job(struct potter_call *c, const char *id)
{
	autoreply struct potter_reply rows = POTTER_REPLY_INIT, full = POTTER_REPLY_INIT;
	struct err e = ERR_INIT;

	if (potter_get(c, &rows, &e, "/v1/jobs?prefix=%s", potter_escape(c, id)) < 0) {
		potter_fail("Error querying job: %s", e.text);
		return NULL;
	}
	const json_t *first = json_array_get(rows.json, 0);
	if (first == NULL) {
		potter_fail("No job(s) with prefix or id \"%s\" found", id);
		return NULL;
	}
	if (json_array_size(rows.json) > 1 && strcmp(json_str(first, "ID", ""), id) != 0) {
		fprintf(stderr, "Prefix matched multiple jobs\n\n");
		potter_show_jobs(c, rows.json);
		return NULL;
	}
	c->namespace = arena_strdup(
	    &c->mem, json_str(json_object_get(first, "JobSummary"), "Namespace", "default"));
	if (potter_get(c, &full, &e, "/v1/job/%s", potter_escape(c, json_str(first, "ID", ""))) <
	    0) {
		potter_fail("Error querying job: %s", e.text);
		return NULL;
	}
	return json_incref(full.json);
}
