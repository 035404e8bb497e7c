/*
 * runner.h: pot-runner: what the agent, which is not root, has done by somebody who is.
 *
 * One process reads requests (runner_proto.h) and starts a child for each; the children report
 * through it. Nothing is believed that comes in: names are checked by libpot, host paths must lie
 * below the roots and are held fast by descriptor before they are used, raw commands run as the
 * agent's user or another that is not root.
 */
#ifndef POT_RUNNER_H
#define POT_RUNNER_H

#include "pot/pot.h"
#include "pot/runner_proto.h"

#include <signal.h>

/* What a request's child says on the way: reply.id is filled in. */
struct runner_child;
int runner_say(struct runner_child *, struct runner_reply *, const int *fd, struct err *);

struct runner_config {
	struct pot_env *env;
	int sock;  /* to the agent */
	uid_t uid; /* whose logs and raw commands they are */
	gid_t gid;
	const char *const *roots; /* host directories that requests may name; ended by NULL */
	bool raw_root;		  /* raw commands may run as root */
	bool no_raw;		  /* there are none */
	/* Brings an image here (folder image, which libpot does not know); *stop becomes non-zero
	 * when the request is cancelled. */
	int (*import)(const struct runner_config *, const struct runner_request *,
	    struct runner_child *, const volatile sig_atomic_t *stop, struct err *);
};

/* Serves until the agent closes the socket or SIGTERM comes, and its children have ended. */
int runner_main(const struct runner_config *, struct err *);

#endif
