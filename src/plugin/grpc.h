/*
 * grpc.h: the server's half of gRPC over a Unix socket, on the loop.
 *
 * HTTP/2 is nghttp2's, messages are protobuf-c's. A method is a row: its path, the type of its
 * request, whether the requests are one or a stream, and a handler. A handler may answer at once or
 * keep the call and answer later; nothing here blocks.
 *
 * A call lives until it was ended (grpc_done, grpc_reply, grpc_fail …) or until its `gone`
 * function was called because the other side cancelled it or went away. It may not be touched
 * after either.
 */
#ifndef PLUGIN_GRPC_H
#define PLUGIN_GRPC_H

#include "base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

struct loop;
struct grpc_server;
struct grpc_call;

enum grpc_status {
	GRPC_OK = 0,
	GRPC_UNKNOWN = 2,
	GRPC_NOT_FOUND = 5,
	GRPC_TOO_MUCH = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13
};

enum { GRPC_MESSAGE_MAX = 16 << 20, GRPC_CONNECTIONS_MAX = 64, GRPC_STREAMS_MAX = 8192 };

/* ctx is the server's. message NULL (only with many): the other side will send no more. */
typedef void grpc_handler(void *ctx, struct grpc_call *call, const ProtobufCMessage *message);
struct grpc_method {
	const char *path;
	const ProtobufCMessageDescriptor *request;
	bool many; /* a stream of requests; else the handler is called once, with the only one */
	grpc_handler *handler;
};

/* methods end with a NULL path; sock listens and is owned from now; -1: none. */
struct grpc_server *grpc_server_new(
    struct loop *l, int sock, const struct grpc_method *methods, void *ctx);
/* Ends all calls (their gone functions are called) and connections. */
void grpc_server_free(struct grpc_server *s);

/* A connection that is there; fd is owned from now and does not block. */
void grpc_serve(struct grpc_server *s, int fd);
/* How many connections there are; closed(ctx) whenever one has gone. */
size_t grpc_connections(const struct grpc_server *s);
void grpc_on_closed(struct grpc_server *s, void (*closed)(void *ctx));

void grpc_send(struct grpc_call *call, const ProtobufCMessage *message);
void grpc_done(struct grpc_call *call);
void grpc_reply(struct grpc_call *call, const ProtobufCMessage *message); /* send and done */
void grpc_reply_empty(struct grpc_call *call);
/* text: for people; cut to what a trailer may hold. */
void grpc_fail(struct grpc_call *call, enum grpc_status status, const char *text);
/* As Nomad's own drivers say that another attempt may or may not succeed. */
void grpc_fail_recoverable(struct grpc_call *call, const char *text);

/* gone(ctx): the call was cancelled. One per call; NULL takes it back. */
void grpc_on_gone(struct grpc_call *call, void (*gone)(void *ctx), void *ctx);
/* What was sent and has not left yet, in bytes; drained(ctx) when it is little again. */
size_t grpc_pending(const struct grpc_call *call);
void grpc_on_drained(struct grpc_call *call, void (*drained)(void *ctx), void *ctx);
/* While held, the other side gets no credit for what it sent: it stops after a window. */
void grpc_hold(struct grpc_call *call, bool hold);
/* For methods with many: what goes with the call from one message to the next. */
void grpc_set_data(struct grpc_call *call, void *data);
void *grpc_data(const struct grpc_call *call);

#endif
