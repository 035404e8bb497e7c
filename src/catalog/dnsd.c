/* dnsd.c: DNS over UDP and TCP on one address. */
#include "catalog/view.h"

#include "base/ids.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MESSAGE_MAX = 65535,
	CONNS_MAX = 256,
	CONN_IDLE_MS = 10000,
	UDP_PER_TURN = 64,
	BACKLOG = 64,
	PORT_TRIES = 16
};

struct conn;

struct dnsd {
	struct catalog *c;
	bool recurse;
	int udp, tcp;
	struct loop_watch *udp_watch, *tcp_watch;
	struct forwarder *forwarder;
	struct conn *conns;
	size_t n_conns;
	uint16_t port;
};

/* One TCP connection: questions one after the other. */
struct conn {
	struct dnsd *d;
	struct conn *next, **link;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *idle;
	struct buf in, out;
	bool waiting; /* for a forwarded answer; no further question is read */
	bool gone;    /* closed meanwhile: freed when the answer comes */
};

/* A forwarded UDP question. */
struct asked {
	struct dnsd *d;
	struct sockaddr_storage from;
	socklen_t from_len;
	struct dns_query q;
};

static uint64_t
seed(void)
{
	uint64_t n;

	ids_random(&n, sizeof(n));
	return n;
}

/* The answer to a message, or that it has to be forwarded; false: it gets none. */
static bool
make_answer(struct dnsd *d, const void *message, size_t len, bool udp, struct buf *out,
    bool *forwarded, struct dns_query *q)
{
	struct dns_writer w = { .wire = BUF_INIT };
	uint8_t refusal[DNS_HEADER];
	struct err e = ERR_INIT;

	*forwarded = false;
	if (dns_parse(message, len, q, &e) < 0) {
		if (!dns_refusal(message, len, DNS_FORMERR, refusal))
			return false;
		buf_add(out, refusal, sizeof(refusal));
		return true;
	}
	if (q->response)
		return false;
	if (q->opcode != 0)
		dns_answer_code(q, udp, d->recurse, DNS_NOTIMP, &w);
	else if (q->edns && q->edns_version != 0)
		dns_answer_code(q, udp, d->recurse, DNS_BADVERS, &w);
	else if (q->class != 1 && q->class != 255)
		dns_answer_code(q, udp, d->recurse, DNS_REFUSED, &w);
	else if (dns_answer(d->c, q, udp, d->recurse, seed(), &w) == ANSWER_FORWARD) {
		*forwarded = d->recurse && q->recursion_desired;
		if (!*forwarded)
			dns_answer_code(q, udp, d->recurse, DNS_REFUSED, &w);
	}
	buf_add(out, buf_str(&w.wire), w.wire.len);
	dns_writer_fini(&w);
	return true;
}

/* ---- UDP ---- */

static void
udp_forwarded(void *arg, const void *reply, size_t len)
{
	struct asked *a = arg;
	struct dns_writer w = { .wire = BUF_INIT };

	if (reply == NULL || len > a->q.udp_size) {
		/* too big for UDP: the asker shall come again by TCP */
		dns_answer_code(&a->q, true, true, reply == NULL ? DNS_SERVFAIL : DNS_NOERROR, &w);
		if (reply != NULL)
			w.wire.data[2] |= 2;
		reply = w.wire.data;
		len = w.wire.len;
	}
	(void)sendto(a->d->udp, reply, len, MSG_NOSIGNAL, (struct sockaddr *)&a->from, a->from_len);
	dns_writer_fini(&w);
	free(a);
}

static void
udp_forward(struct dnsd *d, const void *message, size_t len, const struct dns_query *q,
    const struct sockaddr_storage *from, socklen_t from_len)
{
	struct asked *a = xcalloc(1, sizeof(*a));

	*a = (struct asked){ d, *from, from_len, *q };
	if (!forward(d->forwarder, message, len, false, udp_forwarded, a))
		udp_forwarded(a, NULL, 0);
}

static void
udp_ready(void *ctx, int fd, unsigned what)
{
	struct dnsd *d = ctx;
	static uint8_t message[MESSAGE_MAX];

	(void)what;
	for (int i = 0; i < UDP_PER_TURN; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		autobuf struct buf out = BUF_INIT;
		struct dns_query q;
		bool forwarded;
		ssize_t n = recvfrom(fd, message, sizeof(message), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &from_len);
		if (n < 0)
			return;
		if (!make_answer(d, message, (size_t)n, true, &out, &forwarded, &q))
			continue;
		if (forwarded)
			udp_forward(d, message, (size_t)n, &q, &from, from_len);
		else
			(void)sendto(fd, out.data, out.len, MSG_NOSIGNAL, (struct sockaddr *)&from,
			    from_len);
	}
}

/* ---- TCP ---- */

static void
free_conn(struct conn *c)
{
	if (c->fd >= 0) {
		*c->link = c->next;
		if (c->next != NULL)
			c->next->link = c->link;
		c->d->n_conns--;
		loop_watch_free(&c->watch);
		loop_timer_free(&c->idle);
		close(c->fd);
		c->fd = -1;
	}
	if (c->waiting) {
		c->gone = true;
		return;
	}
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

/* False: the connection has gone. */
static bool
write_out(struct conn *c)
{
	while (c->out.len > 0) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			free_conn(c);
			return false;
		}
		if (n < 0)
			break;
		buf_drop(&c->out, (size_t)n);
	}
	loop_watch_set(c->watch, c->out.len > 0 ? LOOP_WRITE : c->waiting ? 0 : LOOP_READ);
	return true;
}

static void
add_reply(struct conn *c, const void *reply, size_t len)
{
	uint8_t size[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	buf_add(&c->out, size, 2);
	buf_add(&c->out, reply, len);
}

static void questions(struct conn *c);

static void
tcp_forwarded(void *arg, const void *reply, size_t len)
{
	struct conn *c = arg;
	struct dns_writer w = { .wire = BUF_INIT };
	struct dns_query q;
	struct err e = ERR_INIT;
	size_t asked = (size_t)(uint8_t)c->in.data[0] << 8 | (uint8_t)c->in.data[1];

	c->waiting = false;
	if (c->gone) {
		free_conn(c);
		return;
	}
	if (reply == NULL && dns_parse(c->in.data + 2, asked, &q, &e) == 0) {
		dns_answer_code(&q, false, true, DNS_SERVFAIL, &w);
		reply = w.wire.data;
		len = w.wire.len;
	}
	if (reply != NULL)
		add_reply(c, reply, len);
	dns_writer_fini(&w);
	buf_drop(&c->in, asked + 2);
	questions(c);
}

/* Answers what has arrived whole. */
static void
questions(struct conn *c)
{
	while (!c->waiting && c->in.len >= 2) {
		size_t len = (size_t)(uint8_t)c->in.data[0] << 8 | (uint8_t)c->in.data[1];
		autobuf struct buf out = BUF_INIT;
		struct dns_query q;
		bool forwarded;
		if (c->in.len < len + 2)
			break;
		if (!make_answer(c->d, c->in.data + 2, len, false, &out, &forwarded, &q)) {
			free_conn(c);
			return;
		}
		if (forwarded &&
		    forward(c->d->forwarder, c->in.data + 2, len, true, tcp_forwarded, c)) {
			c->waiting = true;
			break;
		}
		if (forwarded) {
			struct dns_writer w = { .wire = BUF_INIT };
			dns_answer_code(&q, false, true, DNS_SERVFAIL, &w);
			buf_reset(&out);
			buf_add(&out, w.wire.data, w.wire.len);
			dns_writer_fini(&w);
		}
		add_reply(c, out.data, out.len);
		buf_drop(&c->in, len + 2);
	}
	write_out(c);
}

static void
conn_ready(void *ctx, int fd, unsigned what)
{
	struct conn *c = ctx;
	char piece[4096];

	loop_timer_set(c->idle, CONN_IDLE_MS);
	if (what & LOOP_READ) {
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			free_conn(c);
			return;
		}
		if (n > 0)
			buf_add(&c->in, piece, (size_t)n);
	}
	questions(c);
}

static void
conn_idle(void *ctx)
{
	free_conn(ctx);
}

static void
tcp_ready(void *ctx, int fd, unsigned what)
{
	struct dnsd *d = ctx;

	(void)what;
	int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (got < 0)
		return;
	if (d->n_conns >= CONNS_MAX) {
		close(got);
		return;
	}
	struct conn *c = xcalloc(1, sizeof(*c));
	*c = (struct conn){ .d = d, .next = d->conns, .link = &d->conns, .fd = got };
	if (c->next != NULL)
		c->next->link = &c->next;
	d->conns = c;
	d->n_conns++;
	c->watch = loop_watch(d->c->loop, got, LOOP_READ, conn_ready, c);
	c->idle = loop_timer(d->c->loop, CONN_IDLE_MS, 0, conn_idle, c);
}

/* ---- making and freeing ---- */

static int
open_socket(const struct catalog_listen *l, int type, uint16_t port, struct err *e)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is6 = inet_pton(AF_INET6, l->address, &v6.sin6_addr) == 1;
	int on = 1;

	if (!is6 && inet_pton(AF_INET, l->address, &v4.sin_addr) != 1)
		return err_new(
		    e, ERR_INPUT, "DNS address \"%s\" is neither IPv4 nor IPv6", l->address);
	autofd int fd = socket(is6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr *at = is6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t len = is6 ? sizeof(v6) : sizeof(v4);
	if (fd < 0)
		return err_sys(e, "make a socket for DNS");
	if ((type == SOCK_STREAM &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
	    (is6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, at, len) < 0 || (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return err_sys(e, "listen for DNS on %s port %u", l->address, l->port);
	return take_fd(&fd);
}

static uint16_t
bound_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a = { .v6 = { 0 } };
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) < 0)
		return 0;
	return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

/* With port 0 the kernel chooses one for UDP, which somebody else may have for TCP: then again. */
static int
open_both(struct dnsd *d, const struct catalog_listen *l, struct err *e)
{
	int tries = l->port == 0 && d->udp < 0 ? PORT_TRIES : 1;

	for (;;) {
		if (d->udp < 0 && (d->udp = open_socket(l, SOCK_DGRAM, l->port, e)) < 0)
			return -1;
		d->port = bound_port(d->udp);
		if (d->tcp >= 0 || (d->tcp = open_socket(l, SOCK_STREAM, d->port, e)) >= 0)
			return 0;
		if (--tries == 0)
			return -1;
		own_close(&d->udp);
		d->udp = -1;
	}
}

struct dnsd *
dnsd_new(struct catalog *c, const struct catalog_listen *l, struct err *e)
{
	struct dnsd *d = xcalloc(1, sizeof(*d));

	*d = (struct dnsd){ .c = c, .recurse = l->recurse, .udp = l->udp_fd, .tcp = l->tcp_fd };
	if (open_both(d, l, e) < 0) {
		dnsd_free(d);
		return NULL;
	}
	if (d->recurse)
		d->forwarder = forwarder_new(c);
	d->udp_watch = loop_watch(c->loop, d->udp, LOOP_READ, udp_ready, d);
	d->tcp_watch = loop_watch(c->loop, d->tcp, LOOP_READ, tcp_ready, d);
	return d;
}

void
dnsd_free(struct dnsd *d)
{
	if (d == NULL)
		return;
	loop_watch_free(&d->udp_watch);
	loop_watch_free(&d->tcp_watch);
	for (struct conn *c = d->conns, *next; c != NULL; c = next) {
		next = c->next;
		free_conn(c); /* one that waits goes with the forwarder's last calls */
	}
	if (d->forwarder != NULL)
		forwarder_free(d->forwarder); /* calls everybody who waits, with nothing */
	own_close(&d->udp);
	own_close(&d->tcp);
	free(d);
}

uint16_t
dnsd_port(const struct dnsd *d)
{
	return d->port;
}

bool
dnsd_address(const struct dnsd *d, struct sockaddr_storage *at, socklen_t *len)
{
	return getsockname(d->udp, (struct sockaddr *)at, len) == 0;
}
