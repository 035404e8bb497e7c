/* potter: the agent, and the commands that ask it. */
#include "agent.h"

#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "agent") == 0)
		return agent_main(argc - 2, argv + 2);
	if (argc > 1 && (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "-version") == 0 ||
			    strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0)) {
		printf("Potter v%s\n", POTTER_VERSION);
		return 0;
	}
	(void)fputs("usage: potter agent [options]\n       potter version\n", stderr);
	return 127;
}
