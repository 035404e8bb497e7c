/* potter: the agent, and the commands that ask it. */
#include "agent.h"
#include "cli/potter.h"

int
main(int argc, char **argv)
{
	return potter_main(argc, argv, agent_main);
}
