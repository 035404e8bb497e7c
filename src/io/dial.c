#include "io/dial.h"

#include "base/own.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What the resolver's thread works on; outlives a cancelled dial. */
struct lookup {
	struct dial *dial; /* NULL: cancelled */
	char *host;
	char port[8];
	struct addrinfo *found;
	int result;
};

struct dial {
	struct loop *loop;
	char *what; /* for messages: "1.2.3.4:80" */
	dial_fn *fn;
	void *ctx;
	struct lookup *lookup;
	struct addrinfo *list, *next;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct err last; /* why the last address did not answer */
};

static void try_next(struct dial *d);

static void
dial_free(struct dial *d)
{
	loop_watch_free(&d->watch);
	loop_timer_free(&d->timer);
	if (d->fd >= 0)
		close(d->fd);
	if (d->lookup != NULL)
		d->lookup->dial = NULL;
	if (d->list != NULL)
		freeaddrinfo(d->list);
	free(d->what);
	free(d);
}

static void
finish(struct dial *d, const struct err *e)
{
	dial_fn *fn = d->fn;
	void *ctx = d->ctx;
	struct err copy = e != NULL ? *e : (struct err)ERR_INIT;
	int fd = e == NULL ? take_fd(&d->fd) : -1;

	loop_watch_free(&d->watch); /* before the descriptor has another owner */
	dial_free(d);
	fn(ctx, fd, e != NULL ? &copy : NULL);
}

static void
on_timeout(void *ctx)
{
	struct dial *d = ctx;
	struct err e;

	err_new(&e, ERR_TIMEOUT, "connect to %s: no answer in time", d->what);
	finish(d, &e);
}

static void
on_connected(void *ctx, int fd, unsigned what)
{
	struct dial *d = ctx;
	int error = 0;
	socklen_t len = sizeof(error);
	(void)what;

	loop_watch_free(&d->watch);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0) {
		finish(d, NULL);
		return;
	}
	close(take_fd(&d->fd));
	errno = error;
	err_sys(&d->last, "connect to %s", d->what);
	try_next(d);
}

/* Begins to connect; -1: failed at once, d->last says why. */
static int
begin(struct dial *d, int family, const struct sockaddr *addr, socklen_t len)
{
	int one = 1;

	d->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return err_sys(&d->last, "connect to %s: socket", d->what);
	if (family != AF_UNIX)
		(void)setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(d->fd, addr, len) < 0 && errno != EINPROGRESS) {
		err_sys(&d->last, "connect to %s", d->what);
		close(take_fd(&d->fd));
		return -1;
	}
	/* Also when connected already: the answer always comes from the loop. */
	d->watch = loop_watch(d->loop, d->fd, LOOP_WRITE, on_connected, d);
	return 0;
}

static void
fail_later(void *ctx)
{
	struct dial *d = ctx;

	finish(d, &d->last);
}

static void
try_next(struct dial *d)
{
	while (d->next != NULL) {
		struct addrinfo *ai = d->next;
		d->next = ai->ai_next;
		if (begin(d, ai->ai_family, ai->ai_addr, ai->ai_addrlen) == 0)
			return;
	}
	finish(d, &d->last);
}

static void
resolve(void *ctx)
{
	struct lookup *k = ctx;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };

	k->result = getaddrinfo(k->host, k->port, &hints, &k->found);
}

static void
resolved(void *ctx)
{
	struct lookup *k = ctx;
	struct dial *d = k->dial;

	if (d != NULL) {
		d->lookup = NULL;
		if (k->result == 0) {
			d->list = d->next = k->found;
			k->found = NULL;
			try_next(d);
		} else {
			struct err e;
			err_new(
			    &e, ERR_ABSENT, "connect to %s: %s", d->what, gai_strerror(k->result));
			finish(d, &e);
		}
	}
	if (k->found != NULL)
		freeaddrinfo(k->found);
	free(k->host);
	free(k);
}

static struct dial *
dial_new(struct loop *l, char *what, dial_fn *fn, void *ctx)
{
	struct dial *d = xcalloc(1, sizeof(*d));

	*d = (struct dial){ .loop = l, .what = what, .fn = fn, .ctx = ctx, .fd = -1 };
	return d;
}

struct dial *
dial_tcp(
    struct loop *l, const char *host, uint16_t port, int64_t timeout_ms, dial_fn *fn, void *ctx)
{
	bool v6 = strchr(host, ':') != NULL;
	struct dial *d = dial_new(l, xasprintf(v6 ? "[%s]:%u" : "%s:%u", host, port), fn, ctx);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int r;

	d->timer = loop_timer(l, timeout_ms, 0, on_timeout, d);
	if (inet_pton(AF_INET, host, &in.sin_addr) == 1)
		r = begin(d, AF_INET, (struct sockaddr *)&in, sizeof(in));
	else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
		r = begin(d, AF_INET6, (struct sockaddr *)&in6, sizeof(in6));
	else {
		struct lookup *k = xcalloc(1, sizeof(*k));
		k->dial = d;
		k->host = xstrdup(host);
		snprintf(k->port, sizeof(k->port), "%u", port);
		d->lookup = k;
		loop_work(l, resolve, resolved, k);
		return d;
	}
	if (r < 0) { /* refused at once: tell from the loop all the same */
		loop_timer_free(&d->timer);
		d->timer = loop_timer(l, 0, 0, fail_later, d);
	}
	return d;
}

struct dial *
dial_unix(struct loop *l, const char *path, dial_fn *fn, void *ctx)
{
	struct dial *d = dial_new(l, xasprintf("unix://%s", path), fn, ctx);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int r;

	if (str_copy(un.sun_path, sizeof(un.sun_path), path))
		r = begin(d, AF_UNIX, (struct sockaddr *)&un, sizeof(un));
	else
		r = err_new(&d->last, ERR_INPUT,
		    "connect to %s: the path is longer than a socket's name may be", d->what);
	if (r < 0)
		d->timer = loop_timer(l, 0, 0, fail_later, d);
	return d;
}

void
dial_cancel(struct dial **d)
{
	if (*d != NULL)
		dial_free(take(d));
}
