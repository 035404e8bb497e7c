/*
 * client.h: are this node's pots as they should be?
 *
 * The client registers its node with the servers, watches the allocations that they give it (a long
 * poll over the HTTP API, also when the server is in the same process), runs the tasks through the
 * drivers, probes the services, and reports. After a restart it adopts what still runs.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/client_api.h"
#include "codec/model.h"

struct loop;
struct client;

struct client_config {
	const char *data_dir; /* allocations in <data_dir>/alloc, identity and handles in
				 <data_dir>/client */
	const char *server;   /* base URL of the servers' API */
	const char *node_name, *datacenter, *region, *node_class, *node_pool;
	struct strmap meta;
	const char *http_addr; /* host:port that this agent's API can be reached at */
	const char *address;   /* of services on the host's network; NULL: found by default route,
				  else loopback */
	bool raw_exec;	       /* the operator allows it */
	int64_t max_kill_timeout_ns; /* 0: 30 s */
	int64_t cpu_mhz, memory_mb;  /* of the node; 0: what it has */
	int64_t reserved_cpu_mhz, reserved_memory_mb, reserved_disk_mb;
	const char *reserved_ports; /* "22,80"; NULL: none */
	int runner_fd, monitor_fd;  /* -1: no pot-runner here */
};

/* Strings are copied. lost(ctx): the monitor has gone, the agent must end. */
int client_new(struct loop *l, const struct client_config *c, void (*lost)(void *ctx), void *ctx,
    struct client **out, struct err *e);
void client_start(struct client *c); /* registers; call when the servers' API listens */
/* Stops every task without telling the servers that it is over: at the next start they run again.
 * done(ctx) when all have ended. */
void client_stop_all(struct client *c, void (*done)(void *ctx), void *ctx);
void client_free(struct client *c); /* pots go on */

const struct client_api *client_api(struct client *c);
bool client_registered(const struct client *c);

#endif
