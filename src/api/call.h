/*
 * call.h: one request on its way through the API. Private to api/.
 *
 * A struct call lives in its request's arena. Reads have two functions: look() finds what is asked
 * for, its index and what to watch; render() writes it. Between them the blocking query waits
 * (until the index is greater than asked, or the wait is over). Other routes have run(), which
 * answers.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/api.h"
#include "base/map.h"
#include "base/vec.h"
#include "client/client_api.h"
#include "codec/json.h"
#include "io/http.h"
#include "server/server.h"
#include "state/state.h"

struct call;
struct events;
struct monitor;

struct api {
	struct api_config c;
	struct arena mem;
	int64_t started_ns;
	struct events *events; /* NULL: no server here */
	VEC(struct monitor *) monitors;
};

enum look_watch { WATCH_TABLE, WATCH_ROW, WATCH_NODE_ALLOCS, WATCH_SERVICE };

struct look {
	const void *row;    /* for render() */
	const char *absent; /* not NULL: 404 with this text */
	enum state_table table;
	enum look_watch watch;
	const char *key;
	uint64_t index;
};

struct route {
	const char *methods; /* "GET", "PUT" (POST is the same), "DELETE", "ANY" */
	/* Parts by '/': ":" is one part, "*" one or more; what they match is call.arg, joined by
	 * '/'. */
	const char *pattern;
	void (*look)(struct call *c); /* fills c->look; may answer itself (c->answered) */
	void (*render)(struct call *c, struct jsonw *w);
	void (*run)(struct call *c);
	bool local; /* needs no server on this agent */
};
/* One table per file; each ended by a row without pattern. */
extern const struct route job_routes[], row_routes[], internal_routes[], agent_routes[],
    client_routes[], fs_routes[], stream_routes[], monitor_routes[], exec_routes[],
    metrics_routes[], registry_routes[], ui_routes[], event_routes[];
extern const struct route *const api_tables[]; /* all of them, ended by NULL */

struct call {
	struct api *api;
	struct http_req *req;
	struct arena *mem; /* the request's */
	struct state *state;
	const struct route *route;
	const char *arg;
	const char *ns; /* "default", or as asked; "*": all */
	struct look look;
	bool answered;
	/* blocking query */
	uint64_t min_index;
	struct state_watch *watch;
	struct loop_timer *timer;
	bool waited;
	/* for run() functions that go on later */
	void *extra;
	json_t *body;
};

/* Starting ------------------------------------------------------------------------------------- */

bool call_read_blocking(struct call *c); /* parameters; false: answered */
void call_read(struct call *c);		 /* look, wait, render */

/* Answering ------------------------------------------------------------------------------------ */

/* Status and text as the API words them; the call is over. */
void call_fail(struct call *c, int status, const char *fmt, ...) PRINTFLIKE(3, 4);
void call_err(struct call *c, const struct err *e); /* ERR_ABSENT 404, ERR_RIGHTS 403, else 500 */
/* For requests whose own form is wrong: ERR_INPUT is 400 here. */
void call_err_input(struct call *c, const struct err *e);
/* begin: a writer over an empty buffer; end: sends it with status 200. */
struct jsonw call_json(struct call *c, struct buf *out);
void call_json_end(struct call *c, struct jsonw *w);
void call_json_text(struct call *c, const char *json, size_t len); /* 200, ready made */
void call_index(struct call *c, uint64_t index);		   /* sets the three headers */

/* Asking --------------------------------------------------------------------------------------- */

/* The body as an object; -1: answered with 400. Borrowed until the call ends. optional: an empty
 * body gives NULL. */
int call_body(struct call *c, bool optional, const json_t **out);
int call_body_model(struct call *c, const struct model *m, void *out); /* -1: answered */
bool call_flag(struct call *c, const char *name); /* present and not "false" or "0" */
bool call_uuid(struct call *c, const char *id);	  /* false: answered with 500, as Nomad does */
bool call_prefix_ok(struct call *c);		  /* hex; false: answered */
bool call_in_ns(const struct call *c, const char *namespace);

/* Lists with per_page, next_token, reverse and the namespace. */
struct list {
	const char *(*ns)(const void *row); /* NULL: has none */
	const char *(*id)(const void *row);
	bool ns_in_token;
	void (*emit)(struct call *c, const void *row, struct jsonw *w);
};
void call_list(struct call *c, struct jsonw *w, const struct rows *rows, const struct list *l);

/* The usual reply of calls that make evaluations; a server_done with the call as context. */
void call_done_eval(void *ctx, const struct server_result *r, const struct err *e);
void call_done_register(void *ctx, const struct server_result *r, const struct err *e);
void call_done_node(void *ctx, const struct server_result *r, const struct err *e);
void call_done_deployment(void *ctx, const struct server_result *r, const struct err *e);
void call_done_empty(void *ctx, const struct server_result *r, const struct err *e);

/* Row accessors for lists. */
const char *row_job_ns(const void *row);
const char *row_job_id(const void *row);
void emit_alloc_stub(struct call *c, const void *row, struct jsonw *w);
void emit_eval(struct call *c, const void *row, struct jsonw *w);
void emit_deployment(struct call *c, const void *row, struct jsonw *w);
void emit_service(struct call *c, const void *row, struct jsonw *w);
extern const struct list alloc_list, eval_list, deployment_list, service_list;

/* /v1/client/…: finds the node's client for the allocation; NULL: answered. */
const struct client_api *call_client(struct call *c, const char *alloc_id);

void monitor_end(struct api *a); /* forgets all who listen to the log */

#endif
