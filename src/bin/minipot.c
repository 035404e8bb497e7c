/* minipot: a cluster of one, set up, started and taken away by one command each. */
#include "cli/minipot_main.h"

int
main(int argc, char **argv)
{
	return minipot_main(argc, argv);
}
