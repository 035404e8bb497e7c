/*
 * agent_detach.h: `potter agent -detach`, for service scripts: goes into the background, and the
 * command returns when the agent is ready for work, or cannot start.
 */
#ifndef BIN_AGENT_DETACH_H
#define BIN_AGENT_DETACH_H

#include "agent_config.h"

/* 0: go on as the agent: in a session of its own, with what it prints in the log file (-log-file;
 * none: nowhere) and *ready_fd for its one line to the starter. 1: this is the starter still, the
 * agent is ready and goes on. -1 (in the starter): it did not start, and *e says why. */
int agent_detach(const struct agent_config *c, int *ready_fd, struct err *e);

#endif
