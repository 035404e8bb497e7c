/*
 * serve.h: pot-runner for others than Potter's own agent: at a Unix socket, for a group.
 *
 * Who may connect is checked twice: by the socket's mode, and by what the kernel tells of the peer.
 * Each connection gets a worker of its own (runner.h), which works with the peer's uid and gid for
 * what is not done as root; raw commands are refused. Workers end with their connection, and with
 * this process; pots go on.
 */
#ifndef POT_SERVE_H
#define POT_SERVE_H

#include "pot/pot.h"

enum { SERVE_PATH_MAX = 104 }; /* of the smallest sun_path */

struct serve_config {
	struct pot_env *env;
	const char *program;	  /* path of pot-runner */
	const char *path;	  /* of the socket; NULL: runner.sock in POT_RUN_DIR */
	const char *group;	  /* who may connect besides root; NULL: nobody */
	const char *const *roots; /* host directories that requests may name; ended by NULL */
};

/* Until SIGTERM or SIGINT. ERR_BUSY: another one serves already. */
int serve_main(const struct serve_config *, struct err *);

#endif
