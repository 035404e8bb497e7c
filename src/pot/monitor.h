/*
 * monitor.h: the small root parent of the agent: keeps `potter agent` (as its own user) and
 * pot-runner (as root) alive, joined by a socket.
 *
 * A runner that ends is replaced, and the agent gets a new socket over its control socket. An agent
 * that ends is started again, with a new runner. SIGTERM and SIGINT are passed to the agent; when
 * it has ended so does all else, but not the pots. SIGHUP and SIGUSR1 are passed on. If this
 * process is killed, both children see their sockets close and end; pots go on.
 */
#ifndef POT_MONITOR_H
#define POT_MONITOR_H

#include "base/err.h"

#include <stdbool.h>

struct monitor_config {
	const char *program;	  /* path of pot-runner */
	const char *user;	  /* the agent's: "potter" */
	const char *const *roots; /* for the runner; ended by NULL */
	bool raw_root;
	const char *remove;   /* a directory that goes with the agent (-dev); NULL: none */
	char *const *command; /* the agent's argument vector */
};

/* Returns the agent's exit code, or -1 when it could not even be begun. */
int monitor_main(const struct monitor_config *, struct err *);

#endif
