/* probe.h: the inside of one probe; for this folder's files only. */
#ifndef HEALTH_PROBE_H
#define HEALTH_PROBE_H

#include "base/arena.h"
#include "base/buf.h"
#include "health/health.h"
#include "io/loop.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct script_token; /* joins a running script to its probe, outlives the probe if need be */

struct health_probe {
	struct loop *loop;
	struct arena mem;	 /* texts of spec */
	struct health_spec spec; /* headers and argv point into mem */
	struct sockaddr_storage to;
	socklen_t to_len;
	char where[80]; /* "10.0.0.1:80", "[::1]:80" */
	const struct probe_kind *kind;
	health_cb *cb;
	void *arg;

	struct loop_timer *next;     /* when the next run begins */
	struct loop_timer *deadline; /* when the present run has taken too long */
	enum health_status status;
	unsigned good, bad; /* consecutive runs */
	bool ever_good;
	int64_t started_ns; /* monotonic */
	int64_t quick_ms;   /* pause before the next early repetition */
	struct buf output;  /* of the last run */
	struct buf told;    /* the output that the callback last saw */

	/* the present run */
	int fd; /* -1: none */
	struct loop_watch *watch;
	bool connected;
	struct buf out, in;
	size_t sent;
	unsigned redirects;
	struct buf path; /* where the present http request goes */
	struct script_token *script;
};

/* A run begins with begin() and ends with probe_result(), later or at once. */
struct probe_kind {
	const char *type;
	int (*check)(struct health_probe *p, struct err *e); /* may the spec be carried out? */
	void (*begin)(struct health_probe *p);
	void (*timed_out)(struct health_probe *p);
};

extern const struct probe_kind probe_tcp, probe_http, probe_script;

/* Ends the present run. May free p: callers return at once. */
void probe_result(struct health_probe *p, enum health_status result, const char *fmt, ...)
    PRINTFLIKE(3, 4);

/* connect(2) without waiting: ready() is called when it is decided, and asks probe_connected().
 * Both end the run as critical when there is no connection. */
void probe_connect(struct health_probe *p, loop_watch_fn *ready);
bool probe_connected(struct health_probe *p);
void probe_disconnect(struct health_probe *p); /* and forgets a running script */
void probe_script_forget(struct health_probe *p);
/* Lower-case text of an errno, as Consul's outputs have it. */
const char *probe_reason(int sys, char out[128]);

#endif
