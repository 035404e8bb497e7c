/*
 * world.h: an API on a loopback port with its loop, and calls to it that wait for their answer.
 */
#ifndef UNIT_API_WORLD_H
#define UNIT_API_WORLD_H

#include "api/api.h"
#include "codec/json.h"
#include "io/http.h"
#include "io/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct loop *loop;
	struct api *api;
	struct http_server *http;
	char base[64];
};

struct answer {
	bool done;
	int status;
	struct buf body, streamed;
	char index[32], token[128], type[128], etag[64], range[64], location[64];
	json_t *json;
	struct err err;
};

static void
header(const struct http_result *res, const char *name, char *out, size_t size)
{
	const char *v = res->status != 0 ? http_result_header(res, name) : NULL;

	snprintf(out, size, "%s", v != NULL ? v : "");
}

static void
world_done(void *ctx, const struct http_result *res)
{
	struct answer *a = ctx;

	a->done = true;
	a->status = res->status;
	if (res->err != NULL)
		a->err = *res->err;
	buf_add(&a->body, res->body, res->len);
	header(res, "X-Nomad-Index", a->index, sizeof(a->index));
	header(res, "X-Nomad-NextToken", a->token, sizeof(a->token));
	header(res, "Content-Type", a->type, sizeof(a->type));
	header(res, "ETag", a->etag, sizeof(a->etag));
	header(res, "Content-Range", a->range, sizeof(a->range));
	header(res, "Location", a->location, sizeof(a->location));
}

static void
world_chunk(void *ctx, const char *data, size_t len)
{
	buf_add(&((struct answer *)ctx)->streamed, data, len);
}

static inline void
answer_fini(struct answer *a)
{
	buf_fini(&a->body);
	buf_fini(&a->streamed);
	json_decref(a->json);
	memset(a, 0, sizeof(*a));
}

/* Starts a call; stream: its pieces go to a->streamed as they come. */
static inline struct http_call *
ask_later(struct world *w, struct answer *a, const char *method, const char *path, const char *body,
    bool stream)
{
	struct http_spec s = { .base = w->base,
		.path = path,
		.method = method,
		.body = body,
		.len = body != NULL ? strlen(body) : 0,
		.timeout_ms = 20000,
		.chunk = stream ? world_chunk : NULL,
		.done = world_done,
		.ctx = a };

	memset(a, 0, sizeof(*a));
	return http_call(w->loop, &s);
}

static inline void
wait_for(struct world *w, struct answer *a)
{
	struct err e;

	for (int i = 0; !a->done; i++) {
		assert_true(i < 5000);
		loop_turn(w->loop, 10);
	}
	if (strncmp(a->type, "application/json", 16) == 0 && a->body.len > 0)
		(void)json_read(a->body.data, a->body.len, &a->json, &e);
}

static inline void
ask(struct world *w, struct answer *a, const char *method, const char *path, const char *body)
{
	answer_fini(a);
	ask_later(w, a, method, path, body, false);
	wait_for(w, a);
}

/* Turns until the condition holds. */
#define UNTIL(w, cond)                                                                             \
	for (int i_ = 0; !(cond); i_++) {                                                          \
		assert_true(i_ < 2000);                                                            \
		loop_turn((w)->loop, 10);                                                          \
	}

static inline void
world_listen(struct world *w)
{
	struct err e;

	w->http = http_server_new(w->loop, NULL, api_handle, w->api);
	assert_int_equal(http_listen(w->http, "127.0.0.1", 0, &e), 0);
	snprintf(w->base, sizeof(w->base), "http://127.0.0.1:%u", http_server_port(w->http));
}

#endif
