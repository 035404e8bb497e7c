#include "client/runner.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/map.h"
#include "io/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct call {
	struct runner *runner;
	uint64_t id;
	bool again; /* may be sent to the next runner */
	bool failed;
	struct buf body; /* of the request, while again is set */
	struct err failure;
	runner_event *event;
	runner_done *done;
	void *ctx;
};

struct runner {
	struct loop *loop;
	int sock, monitor;
	struct loop_watch *sock_watch, *monitor_watch;
	struct runner_inbox inbox;
	struct map calls; /* id in hex -> struct call */
	uint64_t next_id;
	void (*lost)(void *ctx);
	void *ctx;
	void (*gone)(void *ctx);
	void *gone_ctx;
};

static bool
repeatable(enum runner_op op)
{
	switch (op) {
	case RUNNER_POT_STOP:
	case RUNNER_POT_DESTROY:
	case RUNNER_POT_WAIT:
	case RUNNER_POT_LIST:
	case RUNNER_POT_USAGE:
	case RUNNER_RAW_STOP:
	case RUNNER_RAW_WAIT:
	case RUNNER_RAW_USAGE:
	case RUNNER_RAW_DESTROY:
	case RUNNER_SWEEP:
	case RUNNER_FACTS:
	case RUNNER_HELLO:
		return true;
	default:
		return false;
	}
}

static const char *
key_of(uint64_t id, char out[24])
{
	snprintf(out, 24, "%" PRIx64, id);
	return out;
}

static void
call_free(struct call *c)
{
	buf_fini(&c->body);
	free(c);
}

static void
finish(struct call *c, const struct runner_reply *reply, const struct err *e)
{
	char key[24];

	map_del(&c->runner->calls, key_of(c->id, key));
	if (c->done != NULL)
		c->done(c->ctx, reply, e);
	call_free(c);
}

/* Failures that are known at once are told at the end of the turn: never from within a call. */
static void
tell_failures(void *ctx)
{
	struct runner *r = ctx;
	size_t i = 0;
	void *value;

	while (map_next(&r->calls, &i, NULL, &value)) {
		struct call *c = value;
		if (!c->failed)
			continue;
		finish(c, NULL, &c->failure);
		i = 0; /* the callback may have called again */
	}
}

static void
fail_later(struct call *c, const struct err *e)
{
	c->failed = true;
	c->failure = *e;
	loop_defer_cancel(c->runner->loop, tell_failures, c->runner);
	loop_defer(c->runner->loop, tell_failures, c->runner);
}

static void
runner_gone(struct runner *r)
{
	struct err e = ERR_INIT;
	size_t i = 0;
	void *value;

	log_warn("client.runner", "pot-runner has gone; waiting for the next one");
	loop_watch_free(&r->sock_watch);
	close(r->sock);
	r->sock = -1;
	runner_inbox_fini(&r->inbox);
	r->inbox = (struct runner_inbox)RUNNER_INBOX_INIT;
	err_new(&e, ERR_BUSY, "pot-runner ended while it worked on this; it is being restarted");
	while (map_next(&r->calls, &i, NULL, &value))
		if (!((struct call *)value)->again)
			fail_later(value, &e);
	if (r->monitor < 0)
		r->lost(r->ctx);
	else if (r->gone != NULL)
		r->gone(r->gone_ctx);
}

static void
one_reply(struct runner *r, const struct runner_reply *reply, int fd)
{
	char key[24];
	struct call *c = map_get(&r->calls, key_of(reply->id, key));

	if (c == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (reply->kind == RUNNER_PROGRESS || reply->kind == RUNNER_STARTED) {
		if (c->event != NULL)
			c->event(c->ctx, reply, fd);
		else if (fd >= 0)
			close(fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (reply->kind == RUNNER_FAILED)
		finish(c, NULL, &reply->failure);
	else
		finish(c, reply, NULL);
}

static void
on_readable(void *ctx, int fd, unsigned what)
{
	struct runner *r = ctx;
	struct err e = ERR_INIT;

	(void)what;
	int got = runner_inbox_fill(&r->inbox, fd, &e);
	if (got == 2)
		return;
	while (got > 0 && r->sock == fd) {
		autoarena struct arena mem = ARENA_INIT;
		struct runner_reply reply;
		int passed = -1;
		int n = runner_inbox_next(&r->inbox, &mem, &reply, &passed, &e);
		if (n == 0)
			return;
		if (n < 0) {
			got = -1;
			break;
		}
		one_reply(r, &reply, passed);
	}
	if (r->sock != fd)
		return;
	if (got < 0)
		log_error("client.runner", "%s", e.text);
	runner_gone(r);
}

static void
use_socket(struct runner *r, int sock)
{
	r->sock = sock;
	r->sock_watch = loop_watch(r->loop, sock, LOOP_READ, on_readable, r);
}

static void
send_again(struct runner *r)
{
	size_t i = 0;
	void *value;

	while (map_next(&r->calls, &i, NULL, &value)) {
		struct call *c = value;
		struct err e = ERR_INIT;
		if (c->again && !c->failed && wire_send(r->sock, &c->body, NULL, 0, &e) < 0)
			fail_later(c, &e);
	}
}

static void
on_monitor(void *ctx, int fd, unsigned what)
{
	struct runner *r = ctx;
	struct err e = ERR_INIT;
	int sock = -1;

	(void)what;
	int n = runner_monitor_next(fd, &sock, &e);
	if (n == 2)
		return;
	if (n == 1) {
		if (r->sock >= 0)
			runner_gone(r);
		log_info("client.runner", "a new pot-runner is here");
		use_socket(r, sock);
		send_again(r);
		return;
	}
	if (n < 0)
		log_error("client.runner", "%s", e.text);
	loop_watch_free(&r->monitor_watch);
	r->lost(r->ctx);
}

struct runner *
runner_new(struct loop *l, int sock, int monitor, void (*lost)(void *ctx), void *ctx)
{
	struct runner *r = xcalloc(1, sizeof(*r));

	r->loop = l;
	r->monitor = monitor;
	r->lost = lost;
	r->ctx = ctx;
	r->inbox = (struct runner_inbox)RUNNER_INBOX_INIT;
	use_socket(r, sock);
	if (monitor >= 0)
		r->monitor_watch = loop_watch(l, monitor, LOOP_READ, on_monitor, r);
	return r;
}

void
runner_free(struct runner *r)
{
	size_t i = 0;
	void *value;

	if (r == NULL)
		return;
	loop_defer_cancel(r->loop, tell_failures, r);
	loop_watch_free(&r->sock_watch);
	loop_watch_free(&r->monitor_watch);
	if (r->sock >= 0)
		close(r->sock);
	if (r->monitor >= 0)
		close(r->monitor);
	while (map_next(&r->calls, &i, NULL, &value))
		call_free(value);
	map_fini(&r->calls);
	runner_inbox_fini(&r->inbox);
	free(r);
}

bool
runner_up(const struct runner *r)
{
	return r != NULL && r->sock >= 0;
}

void
runner_on_gone(struct runner *r, void (*gone)(void *ctx), void *ctx)
{
	r->gone = gone;
	r->gone_ctx = ctx;
}

uint64_t
runner_call(struct runner *r, const struct runner_request *req, const int *fds, size_t n_fds,
    runner_event *event, runner_done *done, void *ctx)
{
	struct runner_request own = *req;
	struct call *c = xcalloc(1, sizeof(*c));
	struct err e = ERR_INIT;
	char key[24];

	own.id = ++r->next_id;
	*c = (struct call){ .runner = r,
		.id = own.id,
		.again = repeatable(own.op),
		.event = event,
		.done = done,
		.ctx = ctx };
	map_set(&r->calls, key_of(c->id, key), c);
	runner_request_encode(&own, &c->body);
	if (r->sock < 0 && !c->again) {
		err_new(&e, ERR_BUSY, "pot-runner is being restarted");
		fail_later(c, &e);
	} else if (r->sock >= 0 && wire_send(r->sock, &c->body, fds, n_fds, &e) < 0 && !c->again)
		fail_later(c, &e);
	return c->id;
}

void
runner_cancel(struct runner *r, uint64_t id)
{
	struct runner_request req = { .op = RUNNER_CANCEL, .cancel = id, .id = ++r->next_id };
	struct err e = ERR_INIT;
	char key[24];

	/* Its own reply finds nobody and is dropped. */
	if (r->sock >= 0 && map_has(&r->calls, key_of(id, key)) &&
	    runner_send(r->sock, &req, NULL, 0, &e) < 0)
		log_warn("client.runner", "cancel: %s", e.text);
}

void
runner_forget(struct runner *r, uint64_t id)
{
	char key[24];
	struct call *c = map_get(&r->calls, key_of(id, key));

	if (c != NULL) {
		c->event = NULL;
		c->done = NULL;
	}
}
