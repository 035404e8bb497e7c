/* grpc_priv.h: connections (grpc.c) and the calls on them (grpc_call.c). */
#ifndef PLUGIN_GRPC_PRIV_H
#define PLUGIN_GRPC_PRIV_H

#include "plugin/grpc.h"

#include "base/buf.h"
#include "io/loop.h"

#include <nghttp2/nghttp2.h>

struct grpc_conn {
	struct grpc_server *server;
	struct grpc_conn *next, **self;
	int fd;
	struct loop_watch *watch;
	nghttp2_session *session;
	struct buf out;
	bool flushing; /* conn_flush() is deferred */
	bool reading;  /* inside nghttp2_session_mem_recv() */
	bool dead;     /* to be freed at the end of the turn */
	struct grpc_call *calls;
};

struct grpc_call {
	struct grpc_conn *conn;
	struct grpc_call *next, **self; /* in conn->calls */
	int32_t stream;
	char *path;
	const struct grpc_method *method;
	struct buf in, out;
	bool half_closed; /* the other side sends no more */
	bool begun;	  /* response headers were submitted */
	bool ended;	  /* by us */
	bool resting;	  /* the data provider waits for more */
	bool held;
	bool handled;  /* the only request was handed on */
	size_t credit; /* bytes received that were not given back yet */
	enum grpc_status status;
	char *text;    /* percent-encoded, or NULL */
	char *details; /* base64, or NULL */
	void (*gone)(void *ctx);
	void *gone_ctx;
	void (*drained)(void *ctx);
	void *drained_ctx;
	void *data;
};

/* ---- grpc_call.c ---- */
struct grpc_call *call_new(struct grpc_conn *c, int32_t stream);
void call_free(struct grpc_call *call);	   /* without a word */
void call_headers(struct grpc_call *call); /* all request headers are here */
void call_data(struct grpc_call *call, const uint8_t *data, size_t len);
void call_half_closed(struct grpc_call *call);
void call_closed(struct grpc_call *call); /* its stream is no more; frees */

/* ---- grpc.c ---- */
void conn_wake(struct grpc_conn *c); /* something was submitted */
const struct grpc_method *server_method(const struct grpc_server *s, const char *path);
void *server_ctx(const struct grpc_server *s);

#endif
