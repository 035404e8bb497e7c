/*
 * ingress.h: which instance gets this request?
 *
 * Watches the service rows of the state, and keeps one HAProxy doing what they and their tags say.
 * HAProxy is a process of its own that outlives the agent: a new agent finds it by its admin
 * socket, asks it what it runs, and goes on from there. When it dies it is started again at once.
 *
 * Everything runs on the loop's thread. Files in `dir`: haproxy.cfg, hosts.map, slots, haproxy.pid
 * and the socket; all but the socket can be removed at any time.
 */
#ifndef INGRESS_INGRESS_H
#define INGRESS_INGRESS_H

#include "base/err.h"
#include "io/loop.h"
#include "state/state.h"

#include <stdbool.h>

struct ingress;

struct ingress_config {
	const char *haproxy;	   /* path of the program; NULL: looked for in the usual places */
	const char *dir;	   /* exists or is made (0700); its path is at most 76 bytes long */
	const char *const *listen; /* "127.0.0.1:8080", "[::1]:8080", ":8080"; ended by NULL */
	const char *dashboard;	   /* "127.0.0.1:9002"; NULL or "": none */
	const char *default_rule;  /* NULL: Host(`{{ .Name }}.minipot`) */
	bool not_exposed_by_default; /* only instances with traefik.enable=true */
	unsigned maxconn;	     /* 0: 4096, or what the limit of open files allows */
	const char *host_name;	     /* X-Forwarded-Server; NULL: the machine's */
	void (*on_tried)(void *ctx); /* from the loop, once: ingress_tried() is true; NULL: none */
	void *ctx;
};

/* Starts at once. All of config is copied. ERR_INPUT: the configuration cannot be carried out;
 * ERR_ABSENT: no haproxy. A proxy that does not start later is logged and tried again. */
int ingress_new(struct loop *l, struct state *s, const struct ingress_config *c,
    struct ingress **out, struct err *e);
/* Lets go of the proxy, which goes on serving. NULL is fine. */
void ingress_free(struct ingress *i);

/* Has it been seen whether the proxy can run? From then on it does, or the log says why not. */
bool ingress_tried(const struct ingress *i);
/* Does the proxy carry out what the state says now? */
bool ingress_settled(const struct ingress *i);
/* One line for people: "running, pid 12, 3 routers" or what is wrong. Good until the next call. */
const char *ingress_status(struct ingress *i);

/* Stops the proxy of that directory, from any process that may: waits until it is gone, at most
 * `wait_ms`. 0 also when there is none. */
int ingress_stop(const char *dir, int wait_ms, struct err *e);

#endif
