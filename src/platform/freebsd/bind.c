/* By IP_BINDANY, which needs PRIV_NETINET_BINDANY. */
#include "platform/bind.h"

#include <netinet/in.h>
#include <sys/socket.h>

int
bind_ahead(int fd, int family, struct err *e)
{
	int on = 1;

	if (setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
		family == AF_INET6 ? IPV6_BINDANY : IP_BINDANY, &on, sizeof(on)) < 0)
		return err_sys(e, "allow an address that is not there yet");
	return 0;
}
