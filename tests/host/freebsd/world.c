/* world.c: the host outside: says a name back over UDP port 53, and one page over TCP port 80. */
#include <sys/types.h>
#include <sys/socket.h>

#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
open_port(int type, int port)
{
	struct sockaddr_in6 at = {
		.sin6_len = sizeof(at), .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port)
	};
	int off = 0, on = 1, s = socket(AF_INET6, type, 0);

	if (s < 0 || setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    (type == SOCK_STREAM && listen(s, 64) < 0))
		err(1, "port %d", port);
	return s;
}

static void
answer_page(int s)
{
	static const char page[] = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\npage\n";
	char asked[4096];
	int c = accept(s, NULL, NULL);

	if (c < 0)
		return;
	if (read(c, asked, sizeof(asked)) > 0)
		(void)!write(c, page, sizeof(page) - 1);
	close(c);
}

static void
answer_name(int s)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	char asked[1500];
	ssize_t n = recvfrom(s, asked, sizeof(asked), 0, (struct sockaddr *)&from, &len);

	if (n > 0)
		(void)sendto(s, asked, (size_t)n, 0, (struct sockaddr *)&from, len);
}

int
main(void)
{
	struct pollfd p[2] = { { .fd = open_port(SOCK_DGRAM, 53), .events = POLLIN },
		{ .fd = open_port(SOCK_STREAM, 80), .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) < 0)
			err(1, "poll");
		if (p[0].revents != 0)
			answer_name(p[0].fd);
		if (p[1].revents != 0)
			answer_page(p[1].fd);
	}
}
