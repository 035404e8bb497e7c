/*
 * agent_services.h: the parts of the agent that show services to others: catalog and ingress. Both
 * look at the server's state, so they run where a server runs.
 */
#ifndef BIN_AGENT_SERVICES_H
#define BIN_AGENT_SERVICES_H

#include "agent_config.h"
#include "io/loop.h"
#include "server/server.h"

struct agent_services;

struct agent_self {
	const char *node_id;	     /* NULL: no node here */
	const char *address;	     /* "host:port" at which others reach our API */
	void (*on_ready)(void *ctx); /* once, from the loop, unless they are ready at once */
	void *ctx;
};

/* server NULL: nothing is opened, *out is NULL. c and mem outlive the result. */
int agent_services_open(struct loop *l, const struct agent_config *c, struct server *server,
    const struct agent_self *self, struct arena *mem, struct agent_services **out, struct err *e);
/* They can be used; what cannot be started has been logged. NULL is ready. */
bool agent_services_ready(const struct agent_services *s);
/* stop: the proxy ends too; else it goes on for the next agent. NULL is fine. */
void agent_services_close(struct agent_services *s, bool stop);

#endif
