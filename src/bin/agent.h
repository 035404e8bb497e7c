/*
 * agent.h: `potter agent`.
 */
#ifndef BIN_AGENT_H
#define BIN_AGENT_H

/* argv[0] is the word "agent". Returns the exit status. */
int agent_main(int argc, char **argv);

#endif
