/* tcp.c: a port that can be connected to; and the connecting for http. */
#include "health/probe.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *
probe_reason(int sys, char out[128])
{
	snprintf(out, 128, "%s", strerror(sys));
	out[0] = (char)tolower((unsigned char)out[0]);
	return out;
}

static void
refused(struct health_probe *p, int sys)
{
	char reason[128];

	probe_reason(sys, reason);
	if (p->kind == &probe_http)
		probe_result(p, HEALTH_CRITICAL, "%s \"http://%s%s\": dial tcp %s: connect: %s",
		    p->spec.method, p->where, buf_str(&p->path), p->where, reason);
	else
		probe_result(p, HEALTH_CRITICAL, "dial tcp %s: connect: %s", p->where, reason);
}

void
probe_connect(struct health_probe *p, loop_watch_fn *ready)
{
	p->connected = false;
	p->fd = socket(p->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0 ||
	    (connect(p->fd, (struct sockaddr *)&p->to, p->to_len) < 0 && errno != EINPROGRESS)) {
		refused(p, errno);
		return;
	}
	p->watch = loop_watch(p->loop, p->fd, LOOP_WRITE, ready, p);
}

void
probe_disconnect(struct health_probe *p)
{
	probe_script_forget(p);
	if (p->fd < 0)
		return;
	loop_watch_free(&p->watch);
	close(p->fd);
	p->fd = -1;
}

bool
probe_connected(struct health_probe *p)
{
	int sys = 0;
	socklen_t len = sizeof(sys);

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0)
		sys = errno;
	if (sys != 0)
		refused(p, sys);
	return sys == 0;
}

static void
tcp_ready(void *ctx, int fd, unsigned what)
{
	struct health_probe *p = ctx;

	(void)fd;
	(void)what;
	if (probe_connected(p))
		probe_result(p, HEALTH_PASSING, "TCP connect %s: Success", p->where);
}

static int
tcp_check(struct health_probe *p, struct err *e)
{
	(void)p;
	(void)e;
	return 0;
}

static void
tcp_begin(struct health_probe *p)
{
	probe_connect(p, tcp_ready);
}

static void
tcp_timed_out(struct health_probe *p)
{
	probe_result(p, HEALTH_CRITICAL, "dial tcp %s: i/o timeout", p->where);
}

const struct probe_kind probe_tcp = { "tcp", tcp_check, tcp_begin, tcp_timed_out };
