/* What every system tells in the same way. */
#include "platform/facts.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

const char *
facts_address(const char *interface_name, struct arena *a)
{
	struct ifaddrs *list;
	char text[64] = "127.0.0.1";

	if (getifaddrs(&list) < 0)
		return "127.0.0.1";
	for (struct ifaddrs *i = list; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET &&
		    strcmp(i->ifa_name, interface_name) == 0) {
			getnameinfo(i->ifa_addr, sizeof(struct sockaddr_in), text, sizeof(text),
			    NULL, 0, NI_NUMERICHOST);
			break;
		}
	freeifaddrs(list);
	return arena_strdup(a, text);
}
