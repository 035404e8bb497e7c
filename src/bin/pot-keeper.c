/*
 * pot-keeper: stays with one running pot: passes or turns over its output, notes how it ended,
 * tears the run down. Started by libpot with a socket as descriptor 3; not for use by hand.
 */
#include "supervise/keep.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	static const char text[] = "pot-keeper is started by pot and pot-runner, not by hand\n";
	struct stat st;

	(void)argc;
	(void)argv;
	if (fstat(3, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		return 2;
	}
	return keep_main(3);
}
