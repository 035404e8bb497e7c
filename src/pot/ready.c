#include "base/clock.h"
#include "base/ip.h"
#include "pot/start.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * When is a pot ready for those that need it? A start-up command tells by its end. For others the
 * exported ports are asked: that somebody begins to listen in another network is no event that a
 * system could report, so it is tried again and again, while the keeper is listened to.
 */

enum { TRY_MS = 250, PAUSE_MS = 50 };

static bool
is_start_up(const char *const *argv)
{
	return argv != NULL && argv[0] != NULL && argv[1] != NULL && argv[2] == NULL &&
	       (strcmp(argv[0], "sh") == 0 || strcmp(argv[0], "/bin/sh") == 0) &&
	       strcmp(argv[1], "/etc/rc") == 0;
}

static socklen_t
address(const struct pot_spec *spec, uint16_t port, struct sockaddr_storage *out)
{
	struct ip ip;
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)out;

	memset(out, 0, sizeof(*out));
	if (!ip_parse(*spec->ip != '\0' ? spec->ip : spec->ip6, &ip))
		return 0;
	if (ip.family == AF_INET) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, ip.bytes, 4);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	memcpy(&six->sin6_addr, ip.bytes, 16);
	return sizeof(*six);
}

static bool
answers(const struct pot_spec *spec, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t len = address(spec, port, &to);
	int failure = 0;
	socklen_t size = sizeof(failure);

	if (len == 0)
		return true; /* there is nothing that could be asked */
	autofd int fd = socket(to.ss_family, SOCK_STREAM, 0);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return true;
	if (connect(fd, (struct sockaddr *)&to, len) == 0)
		return true;
	if (errno != EINPROGRESS)
		return false;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	return poll(&p, 1, TRY_MS) > 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0;
}

static int
left_ms(int64_t end_ns)
{
	int64_t left = (end_ns - clock_mono_ns()) / NS_PER_MS;

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int
wait_ports(struct start *s, int64_t end_ns, struct keeper_exit *x, struct err *e)
{
	for (size_t i = 0; i < s->spec->n_ports; i++) {
		const struct pot_port *port = &s->spec->ports[i];
		while (!port->udp && !answers(s->spec, port->pot_port)) {
			int left = left_ms(end_ns);
			int what = s->env->keep->start->wait(
			    &s->keeper, left < PAUSE_MS ? left : PAUSE_MS, x, e);
			if (what != 0)
				return what;
			if (s->env->stop != NULL && *s->env->stop != 0)
				return 0;
			if (left > 0)
				continue;
			pot_say(s->env, POT_SAY_INFO, "pot %s: nobody answers at port %u yet",
			    s->spec->name, port->pot_port);
			return 0;
		}
	}
	return 0;
}

int
ready_wait(struct start *s, struct keeper_exit *x, struct err *e)
{
	int64_t end = clock_mono_ns() + s->o->ready_ms * NS_PER_MS;

	if (!is_start_up(s->launch.isolate.process.argv))
		return s->spec->net == POT_NET_INHERIT ? 0 : wait_ports(s, end, x, e);
	int what = s->env->keep->start->wait(&s->keeper, left_ms(end), x, e);
	if (what == 0 && (s->env->stop == NULL || *s->env->stop == 0))
		pot_say(
		    s->env, POT_SAY_INFO, "pot %s: its start-up command goes on", s->spec->name);
	return what;
}
