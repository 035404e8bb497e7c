/*
 * pot-keeper: stays with one running pot: passes or turns over its output, notes how it ended,
 * tears the run down. With --enter it runs a further command in a pot and is gone. Started by
 * libpot with a socket as descriptor 3; not for use by hand.
 */
#include "platform/isolate.h"
#include "supervise/keep.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	static const char text[] = "pot-keeper is started by pot and pot-runner, not by hand\n";
	struct stat st;

	if (fstat(3, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		return 2;
	}
	if (argc > 1 && strcmp(argv[1], ISOLATE_ENTER_ARG) == 0)
		return isolate_enter_main(argc, argv);
	return keep_main(3);
}
