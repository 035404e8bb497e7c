/* pot: container commands over libpot. */
#include "cli/pot_cli.h"

int
main(int argc, char **argv)
{
	return pot_cli_main(argc, argv);
}
