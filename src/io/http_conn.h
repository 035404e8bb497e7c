/*
 * http_conn.h: the inside of the HTTP server, for http_server.c (connections) and http_req.c
 * (requests and answers).
 *
 * A connection has at most one request at a time. The connection owns the request until either
 * ends; a request that outlives its connection (conn == NULL) waits for its answer to be thrown
 * away.
 */
#ifndef IO_HTTP_CONN_H
#define IO_HTTP_CONN_H

#include "base/map.h"
#include "base/vec.h"
#include "io/http.h"
#include "io/http1.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

struct http_param {
	const char *name, *value;
};

struct http_req {
	struct arena mem;
	struct http_conn *conn; /* NULL: the other side is gone */
	struct http1_head head;
	const char *path, *query;
	const char **part;
	size_t parts;
	struct http_param *param;
	size_t params;
	struct buf body;
	VEC(struct http_field) set; /* headers of the answer */
	bool started, ended, chunked, no_body;
	bool closing; /* inside on_close */
	unsigned holds;
	bool gone; /* to be freed when nobody holds it */
	loop_fn *on_close, *on_drain;
	void *close_ctx, *drain_ctx;
};

enum conn_state {
	CONN_HEAD,
	CONN_BODY,
	CONN_BUSY,
	CONN_FLUSH,  /* then close */
	CONN_LINGER, /* closed for writing; what was still on its way here is thrown away */
	CONN_WS
};

struct http_conn {
	struct http_server *server;
	struct http_conn *next, **self; /* in server->conns */
	struct bufferevent *bev;
	struct ws *ws;
	enum conn_state state;
	char peer[64];
	struct http_req *req;
	struct http1_chunks chunks;
	size_t scanned;	     /* bytes of the head already searched for its end */
	size_t body_mark;    /* body bytes when the body timer was set */
	size_t written_mark; /* `written` when the write timer was set */
	size_t written;
	bool keep_alive, processing, dead, half_closed, refused;
	struct loop_timer *read_timer, *write_timer;
};

struct http_server {
	struct loop *loop;
	struct http_limits limits;
	http_handler *fn;
	void *ctx;
	VEC(struct evconnlistener *) listeners;
	VEC(char *) unix_paths;
	struct loop_timer *pause; /* accepting again after the process ran out of descriptors */
	struct http_conn *conns;
	unsigned n_conns;
	struct map per_peer; /* address → count as a pointer */
	uint16_t port;
	bool freeing;
};

/* http_server.c */
void conn_free(struct http_conn *c);
void conn_reply_ended(struct http_conn *c);
void conn_wrote(struct http_conn *c); /* after output was added */

/* http_req.c */
struct http_req *req_new(struct http_conn *c);
bool req_target(struct http_req *r); /* splits head.target; false: a bad escape */
void req_free(struct http_req *r);
void req_lost(struct http_req *r); /* the connection is going */
void req_drained(struct http_req *r);

/* ws.c: takes the bufferevent over. gone(ctx) when it is freed. client: frames are masked. */
struct ws *ws_new(struct loop *l, struct bufferevent *bev, bool client, const struct ws_ops *ops,
    void *ctx, loop_fn *gone, void *gone_ctx);
void ws_begin(struct ws *w); /* looks at what has arrived already, from the loop */
void ws_kill(struct ws *w, int code, const char *reason); /* closed() and free, at once */
void ws_accept_key(const char *key, char out[32]);

#endif
