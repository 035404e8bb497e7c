/*
 * cli.h: HAProxy's runtime API: one lasting connection to its admin socket, one reply per command,
 * in order. That the connection ends is how we learn at once that the proxy has died.
 */
#ifndef INGRESS_CLI_H
#define INGRESS_CLI_H

#include "base/err.h"
#include "base/own.h"
#include "io/loop.h"

struct cli;

/* `lost(ctx)` is called once from the loop when the connection has ended; close it then. */
struct cli *cli_open(struct loop *l, const char *path, loop_fn *lost, void *ctx, struct err *e);
void cli_close(struct cli **c); /* replies that are due are called with NULL; NULL inside is fine */

/* text: the reply without its end, "" for done; NULL: the connection was closed before. Called in
 * the order of sending. */
typedef void cli_reply_fn(void *ctx, char *text);
/* reply NULL: nobody asks. The command must hold no newline and no semicolon. */
void cli_send(struct cli *c, cli_reply_fn *reply, void *ctx, const char *fmt, ...) PRINTFLIKE(4, 5);

enum { CLI_PATH_MAX = 90 }; /* HAProxy binds a longer, temporary name first */

#endif
