/*
 * agent_root.h: what `potter agent` does while it is root: directories, the pid file, and then it
 * becomes the monitor (pot-runner --monitor), which starts the agent again as its own user.
 */
#ifndef BIN_AGENT_ROOT_H
#define BIN_AGENT_ROOT_H

#include "agent_config.h"

#define AGENT_USER "potter"

/* Started by the monitor, or by nobody with rights: no root part. */
bool agent_root_needed(void);
/* Does not return on success. */
int agent_root_exec(struct agent_config *c, int argc, char **argv, struct arena *a, struct err *e);
/* Writes and locks the pid file; the lock lives as long as the process, also through exec. */
int agent_pid_file(const char *path, struct err *e);

#endif
