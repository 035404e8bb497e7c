#include "agent_bridge.h"

#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "platform/bind.h"
#include "pot/pot.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BRIDGE_DNS_ENV "POTTER_BRIDGE_DNS" /* "udp:tcp:address", several with commas */

enum { DNS_PORT = 53, BACKLOG = 64 };

static int
open_one(const char *address, int type, struct err *e)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(DNS_PORT) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT) };
	bool is6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
	int family = is6 ? AF_INET6 : AF_INET, on = 1;

	if (!is6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1)
		return err_new(e, ERR_INPUT, "%s is no address", address);
	autofd int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "make a socket");
	if (bind_ahead(fd, family, e) < 0)
		return -1;
	if ((type == SOCK_STREAM &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
	    bind(fd, is6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
		is6 ? sizeof(v6) : sizeof(v4)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return err_sys(e, "listen on %s port %d", address, DNS_PORT);
	return take_fd(&fd);
}

static void
open_pair(const char *address, struct buf *names)
{
	struct err e = ERR_INIT;

	if (address == NULL || *address == '\0')
		return;
	int udp = open_one(address, SOCK_DGRAM, &e);
	int tcp = udp >= 0 ? open_one(address, SOCK_STREAM, &e) : -1;
	/* they are for the programs that this one becomes and starts */
	if (tcp < 0 || fcntl(udp, F_SETFD, 0) < 0 || fcntl(tcp, F_SETFD, 0) < 0) {
		log_warn("agent", "no DNS on the bridge: %s", e.text);
		own_close(&udp);
		own_close(&tcp);
		return;
	}
	buf_addf(names, "%s%d:%d:%s", names->len > 0 ? "," : "", udp, tcp, address);
}

void
agent_bridge_open(void)
{
	struct pot_env *env;
	autobuf struct buf names = BUF_INIT;
	struct err e = ERR_INIT;

	(void)unsetenv(BRIDGE_DNS_ENV);
	if (pot_env_open(&env, &e) < 0) {
		log_warn("agent", "no DNS on the bridge: %s", e.text);
		return;
	}
	open_pair(env->conf.gateway, &names);
	open_pair(env->conf.gateway6, &names);
	pot_env_close(env);
	if (names.len > 0)
		(void)setenv(BRIDGE_DNS_ENV, buf_str(&names), 1);
}

size_t
agent_bridge_listeners(struct catalog_listen *out, size_t most)
{
	const char *text = getenv(BRIDGE_DNS_ENV);
	size_t n = 0;

	while (text != NULL && *text != '\0' && n < most) {
		char *after;
		int udp = (int)strtol(text, &after, 10);
		int tcp = *after == ':' ? (int)strtol(after + 1, &after, 10) : -1;
		if (*after != ':' || udp < 3 || tcp < 3)
			break;
		out[n++] = (struct catalog_listen){ .address = after + 1,
			.port = DNS_PORT,
			.udp_fd = udp,
			.tcp_fd = tcp,
			.recurse = true };
		text = strchr(after, ',');
		text += text != NULL;
	}
	return n;
}
