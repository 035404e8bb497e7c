/*
 * env.c: the server's world on a real machine: its loop, the wall clock, true chance.
 */
#include "server/server.h"

#include "base/clock.h"
#include "base/ids.h"
#include "io/loop.h"

static int64_t
now_ns(void *ctx)
{
	(void)ctx;
	return clock_wall_ns();
}

static void
uuid(void *ctx, char out[37])
{
	(void)ctx;
	ids_uuid(out);
}

static void
defer(void *ctx, void (*fn)(void *), void *arg)
{
	loop_defer(ctx, fn, arg);
}

static void
defer_cancel(void *ctx, void (*fn)(void *), void *arg)
{
	loop_defer_cancel(ctx, fn, arg);
}

static void *
timer(void *ctx, int64_t after_ms, void (*fn)(void *), void *arg)
{
	return loop_timer(ctx, after_ms, 0, fn, arg);
}

static void
timer_cancel(void *ctx, void *handle)
{
	struct loop_timer *t = handle;

	(void)ctx;
	loop_timer_free(&t);
}

struct server_env
server_env_loop(struct loop *l)
{
	return (struct server_env){ l, now_ns, uuid, defer, defer_cancel, timer, timer_cancel };
}
