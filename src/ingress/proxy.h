/*
 * proxy.h: the inside of struct ingress; for this folder's files only.
 *
 * ingress.c decides what has to happen, process.c starts and reloads the proxy, live.c knows what
 * it is doing now and changes that by the runtime API, dashboard.c shows it.
 */
#ifndef INGRESS_PROXY_H
#define INGRESS_PROXY_H

#include "base/map.h"
#include "ingress/cli.h"
#include "ingress/config.h"
#include "ingress/ingress.h"

#include <sys/types.h>

enum proxy_state {
	PROXY_DOWN,	/* nothing runs, or nobody knows */
	PROXY_STARTING, /* the program was started and has not said yet whether it can */
	PROXY_LOADING,	/* it answers; it is being asked what it does */
	PROXY_UP,	/* known, and changed as needed */
	PROXY_WAITING,	/* it could not start; a timer tries again */
};

/* What the running proxy does. Keys "backend/server" → struct live_server; host → char *. */
struct live {
	struct map backends; /* names that exist */
	struct map servers;
	struct map hosts;
	char digest[17];
	pid_t pid;
};
struct live_server {
	char *backend, *name;
	bool ready;
};
void live_clear(struct live *l);

struct http_server;

struct ingress {
	struct loop *loop;
	struct state *state;
	struct arena mem; /* configuration */
	struct routes_config routes;
	struct config_paths paths;
	const char *haproxy, *dir, *config_file, *slots_file, *pid_file;
	struct state_watch *watch;
	bool refresh_due;

	struct routing *routing;
	struct slots slots;
	char digest[17];  /* wanted */
	char refused[17]; /* the last that HAProxy did not take */
	struct map told;  /* warnings that were logged */

	int proxy; /* enum proxy_state */
	bool tried;
	void (*on_tried)(void *ctx);
	void *ctx;
	struct cli *cli;
	struct live live;
	size_t commands; /* sent and not answered */
	struct loop_timer *retry, *reap;
	int64_t retry_ms;
	int64_t started_ns; /* monotonic; of the last start */
	int64_t restarts;

	/* the start in progress */
	struct loop_child *child;
	pid_t child_pid;
	int child_out; /* its messages; -1: none */
	bool reloading;
	char starting[17]; /* digest */
	pid_t expected;	   /* who shall answer; 0: whoever does */
	int asked_wrong;   /* how often the process that is being replaced answered instead */
	char problem[400]; /* why nothing runs; "": fine */
	char status[600];

	struct http_server *dashboard;
};

/* ingress.c */
void ingress_refresh_soon(struct ingress *i);
void proxy_move(struct ingress *i, enum proxy_state to);
void proxy_attach(struct ingress *i); /* to one that runs, or else starts one */
void proxy_retry_later(struct ingress *i);

/* process.c: PROXY_STARTING follows; then proxy_attach(), or proxy_retry_later(). */
void proxy_start(struct ingress *i, bool reload);

/* live.c */
void live_load(struct ingress *i, loop_fn *done); /* done(i): live is filled in */
void live_sync(struct ingress *i);		  /* makes live follow the routing */
void live_reap(void *ctx);			  /* removes servers that have become idle */

/* dashboard.c */
int dashboard_open(struct ingress *i, const char *address, struct err *e);
void dashboard_close(struct ingress *i);

#endif
