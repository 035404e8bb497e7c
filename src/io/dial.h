/*
 * dial.h: opening a stream connection without waiting for it.
 *
 * Host names are resolved on a worker thread; all addresses of a name are tried one after the other
 * within the time.
 */
#ifndef IO_DIAL_H
#define IO_DIAL_H

#include "base/err.h"
#include "io/loop.h"

#include <stdint.h>

struct dial;
/* fd: connected, non-blocking, close-on-exec, the callee's from now; or -1 and why not. Called
 * exactly once, never from within dial_tcp() itself; the dial is freed after it. */
typedef void dial_fn(void *ctx, int fd, const struct err *e);

struct dial *dial_tcp(
    struct loop *l, const char *host, uint16_t port, int64_t timeout_ms, dial_fn *fn, void *ctx);
struct dial *dial_unix(struct loop *l, const char *path, dial_fn *fn, void *ctx);
void dial_cancel(struct dial **d); /* fn is not called; NULL inside is fine */

#endif
