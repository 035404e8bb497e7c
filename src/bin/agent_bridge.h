/*
 * agent_bridge.h: DNS on port 53 of the pots' bridge. The sockets are opened while the agent is
 * still root, before the bridge need be there, and are passed on: the monitor keeps them for every
 * agent.
 */
#ifndef BIN_AGENT_BRIDGE_H
#define BIN_AGENT_BRIDGE_H

#include "catalog/catalog.h"

/* Opens them and names them in the environment. What does not work is logged. */
void agent_bridge_open(void);
/* Those that were passed, at most `most`; none without a root part. */
size_t agent_bridge_listeners(struct catalog_listen *out, size_t most);

#endif
