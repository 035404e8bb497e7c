#include "cli/potnet.h"

int
main(int argc, char **argv)
{
	return potnet_main(argc, argv);
}
