#include "platform/bind.h"

#include <netinet/in.h>
#include <sys/socket.h>

int
bind_ahead(int fd, int family, struct err *e)
{
	int on = 1;

	/* IP_FREEBIND works for IPv6 sockets, too (ip(7), ipv6(7)) */
	if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 && family == AF_INET)
		return err_sys(e, "allow an address that is not there yet");
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) < 0)
		return err_sys(e, "allow an IPv6 address that is not there yet");
	return 0;
}
