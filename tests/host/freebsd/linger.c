/*
 * linger.c: a process that takes SECONDS to die, whatever kills it: the kernel closes a connection
 * for it whose other side, its own as well, has not taken what was sent.
 *
 *   linger SECONDS
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_len = sizeof(at),
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger l = { .l_onoff = 1, .l_linger = argc > 1 ? atoi(argv[1]) : 1 };
	socklen_t len = sizeof(at);
	static char much[65536];
	/* the first in the table is closed first */
	int out = socket(AF_INET, SOCK_STREAM, 0), in = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(in, (struct sockaddr *)&at, len) < 0 || listen(in, 1) < 0 ||
	    getsockname(in, (struct sockaddr *)&at, &len) < 0 ||
	    connect(out, (struct sockaddr *)&at, len) < 0 || accept(in, NULL, NULL) < 0)
		err(1, "connect to itself");
	if (setsockopt(out, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) < 0)
		err(1, "SO_LINGER");
	struct pollfd p = { .fd = out, .events = POLLOUT };
	do
		(void)send(out, much, sizeof(much), MSG_DONTWAIT);
	while (poll(&p, 1, 500) > 0);
	for (;;)
		pause();
}
