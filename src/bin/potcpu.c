#include "cli/potcpu.h"

int
main(int argc, char **argv)
{
	return potcpu_main(argc, argv);
}
