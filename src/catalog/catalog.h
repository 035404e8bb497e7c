/*
 * catalog.h: who offers this service, healthy, now?
 *
 * Views of the state's service rows, as Consul shows them: its HTTP API (with blocking queries and
 * keys and values) and its DNS. Services of jobs are put into the state by the nodes that run them;
 * here others are added by hand, with ttl, tcp and http checks of their own.
 *
 * Nothing is kept here that is not in the state but the timers of checks. Everything runs on the
 * loop's thread.
 */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "base/err.h"
#include "io/loop.h"
#include "state/command.h"
#include "state/state.h"

#include <stdbool.h>
#include <stdint.h>

struct catalog;

/* What the catalog needs of those above it. */
typedef void catalog_done(void *arg, uint64_t index, const struct err *e); /* e NULL: it is done */
typedef void catalog_probe_cb(void *arg, const char *status, const char *output);
struct catalog_probe {
	const char *type;   /* "tcp", "http" */
	const char *target; /* "10.0.0.1:80", "http://10.0.0.1:80/path" */
	int64_t interval_ns, timeout_ns;
	const char *status; /* at the beginning */
};
struct catalog_hooks {
	void *ctx;
	/* Asks for a change: members services, service_removals, kv_ops. done() is called once,
	 * later, unless this returns -1. */
	int (*propose)(
	    void *ctx, const struct command *c, catalog_done *done, void *arg, struct err *e);
	/* Watches an external service; both NULL: only ttl checks can be registered. cb is called
	 * when the status changes, never from inside the call. */
	void *(*probe_start)(void *ctx, const struct catalog_probe *p, catalog_probe_cb *cb,
	    void *arg, struct err *e);
	void (*probe_stop)(void *ctx, void *probe);
};

struct catalog_listen {
	const char *address; /* numeric */
	uint16_t port;
	int udp_fd,
	    tcp_fd;   /* bound (and for TCP listening) already, owned from now; -1: bind here */
	bool recurse; /* also answers for the rest of the world, by asking others */
};

/* A service of the agent itself: no checks, always there. */
struct catalog_own {
	const char *name, *tag; /* tag NULL: none */
	uint16_t port;
};

struct catalog_config {
	const char *datacenter;		 /* shown in lower case */
	const char *node_name, *node_id; /* of the agent; node_id NULL: it runs no node */
	const char *address;		 /* of the agent, for others to reach it */
	const char *domain;		 /* NULL: "consul" */
	const char *http_address;	 /* numeric; NULL: no HTTP */
	uint16_t http_port;
	const struct catalog_listen *dns;
	size_t n_dns;
	const char *resolv_conf;       /* NULL: /etc/resolv.conf */
	const struct catalog_own *own; /* beside "consul" */
	size_t n_own;
};

/* All of config is copied. -1: an address cannot be listened on, …; the descriptors are closed. */
int catalog_new(struct loop *l, struct state *s, const struct catalog_config *config,
    const struct catalog_hooks *hooks, struct catalog **out, struct err *e);
void catalog_free(struct catalog *c); /* NULL is fine */
/* More to listen on, later: the bridge that came up. */
int catalog_listen_dns(struct catalog *c, const struct catalog_listen *l, struct err *e);
uint16_t catalog_http_port(const struct catalog *c); /* 0: none */
/* Of the first DNS listener. */
uint16_t catalog_dns_port(const struct catalog *c);

#endif
