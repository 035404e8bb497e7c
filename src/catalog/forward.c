/* forward.c: names of the rest of the world, asked of this machine's resolvers. Each question has a
 * socket of its own, connected, with a random id: answers of others are not heard. */
#include "catalog/view.h"

#include "base/ids.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNDER_WAY_MAX = 512, SERVERS_MAX = 3, PATIENCE_MS = 2000, ROUNDS = 2, RESOLV_MAX = 65536 };

struct server {
	struct sockaddr_storage at;
	socklen_t len;
};

struct trip {
	struct forwarder *f;
	struct trip *next, **link;
	struct buf query; /* with our id; for TCP with its length in front */
	struct dns_query q;
	uint16_t asked_id;
	bool tcp;
	size_t attempt; /* servers tried, over all rounds */
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer;
	size_t sent;
	struct buf in;
	forward_fn *fn;
	void *arg;
};

struct forwarder {
	struct catalog *c;
	struct server server[SERVERS_MAX];
	size_t n_servers;
	struct timespec read_at; /* modification of the file that was read */
	struct trip *trips;
	size_t under_way;
};

/* ---- whom to ask ---- */

/* "10.0.0.1", or "10.0.0.1#5353" as dnsmasq writes it. */
static bool
add_server(struct forwarder *f, const char *text)
{
	struct server *s = &f->server[f->n_servers];
	size_t n = strcspn(text, "#");
	autofree char *address = xstrndup(text, n);
	uint64_t port = 53;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&s->at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s->at;

	if (text[n] == '#' && !str_u64(text + n + 1, UINT16_MAX, &port))
		return false;
	memset(s, 0, sizeof(*s));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		s->len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		s->len = sizeof(*v6);
	} else
		return false;
	f->n_servers++;
	return true;
}

/* One of our own listeners would ask us for ever. */
static bool
is_own(const struct forwarder *f, const struct server *s)
{
	for (size_t i = 0; i < f->c->dnsd.n; i++) {
		struct sockaddr_storage own;
		const struct sockaddr_in *own4 = (struct sockaddr_in *)&own,
					 *their4 = (const struct sockaddr_in *)&s->at;
		const struct sockaddr_in6 *own6 = (struct sockaddr_in6 *)&own,
					  *their6 = (const struct sockaddr_in6 *)&s->at;
		socklen_t len = sizeof(own);
		if (!dnsd_address(f->c->dnsd.at[i], &own, &len) || own.ss_family != s->at.ss_family)
			continue;
		if (own.ss_family == AF_INET
			? own4->sin_port == their4->sin_port &&
			      own4->sin_addr.s_addr == their4->sin_addr.s_addr
			: own6->sin6_port == their6->sin6_port &&
			      memcmp(&own6->sin6_addr, &their6->sin6_addr, 16) == 0)
			return true;
	}
	return false;
}

static void
read_servers(struct forwarder *f)
{
	autobuf struct buf text = BUF_INIT;
	struct err e = ERR_INIT;
	struct stat st;

	if (stat(f->c->resolv_conf, &st) < 0 ||
	    (st.st_mtim.tv_sec == f->read_at.tv_sec && st.st_mtim.tv_nsec == f->read_at.tv_nsec))
		return;
	f->read_at = st.st_mtim;
	f->n_servers = 0;
	if (buf_read_file(&text, f->c->resolv_conf, RESOLV_MAX, &e) < 0)
		return;
	char *rest = text.data;
	for (char *line; f->n_servers < SERVERS_MAX && (line = strsep(&rest, "\n")) != NULL;) {
		const char *key = strsep(&line, " \t"), *value;
		if (!str_eq(key, "nameserver"))
			continue;
		do
			value = strsep(&line, " \t\r");
		while (value != NULL && *value == '\0');
		if (value != NULL && add_server(f, value) &&
		    is_own(f, &f->server[f->n_servers - 1]))
			f->n_servers--;
	}
}

/* ---- one question on its way ---- */

static void next_server(struct trip *t);

static void
hang_up(struct trip *t)
{
	loop_watch_free(&t->watch);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

static void
end_trip(struct trip *t, const void *reply, size_t len)
{
	forward_fn *fn = t->fn;
	void *arg = t->arg;

	hang_up(t);
	loop_timer_free(&t->timer);
	*t->link = t->next;
	if (t->next != NULL)
		t->next->link = t->link;
	t->f->under_way--;
	fn(arg, reply, len);
	buf_fini(&t->query);
	buf_fini(&t->in);
	free(t);
}

/* Is this the answer to our question? Then with the asker's id. */
static bool
take_answer(struct trip *t, uint8_t *message, size_t len)
{
	struct dns_query got;
	struct err e = ERR_INIT;

	if (dns_parse(message, len, &got, &e) < 0 || !got.response || got.id != t->q.id ||
	    got.type != t->q.type || strcasecmp(got.name, t->q.name) != 0)
		return false;
	message[0] = (uint8_t)(t->asked_id >> 8);
	message[1] = (uint8_t)t->asked_id;
	end_trip(t, message, len);
	return true;
}

static void
udp_answer(struct trip *t)
{
	static uint8_t message[65535];

	for (;;) {
		ssize_t n = recv(t->fd, message, sizeof(message), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			next_server(t); /* nobody listens there */
			return;
		}
		if (n < 0 || take_answer(t, message, (size_t)n))
			return;
	}
}

static void
tcp_answer(struct trip *t)
{
	char piece[8192];
	ssize_t n = read(t->fd, piece, sizeof(piece));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		next_server(t);
		return;
	}
	buf_add(&t->in, piece, (size_t)n);
	if (t->in.len < 2)
		return;
	size_t len = (size_t)(uint8_t)t->in.data[0] << 8 | (uint8_t)t->in.data[1];
	if (t->in.len >= len + 2 && !take_answer(t, (uint8_t *)t->in.data + 2, len))
		next_server(t);
}

static void
trip_ready(void *ctx, int fd, unsigned what)
{
	struct trip *t = ctx;

	if (what & LOOP_WRITE) {
		ssize_t n = send(fd, t->query.data + t->sent, t->query.len - t->sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			next_server(t);
			return;
		}
		t->sent += n > 0 ? (size_t)n : 0;
		if (t->sent == t->query.len)
			loop_watch_set(t->watch, LOOP_READ);
		return;
	}
	if (t->tcp)
		tcp_answer(t);
	else
		udp_answer(t);
}

/* Takes the next server, or gives up. Called from the loop only. */
static void
next_server(struct trip *t)
{
	struct forwarder *f = t->f;

	hang_up(t);
	while (f->n_servers > 0 && t->attempt < f->n_servers * ROUNDS) {
		const struct server *s = &f->server[t->attempt++ % f->n_servers];
		t->fd = socket(s->at.ss_family,
		    (t->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (t->fd < 0)
			continue;
		if (connect(t->fd, (const struct sockaddr *)&s->at, s->len) < 0 &&
		    errno != EINPROGRESS) {
			close(t->fd);
			t->fd = -1;
			continue;
		}
		t->sent = 0;
		buf_reset(&t->in);
		t->watch = loop_watch(f->c->loop, t->fd, LOOP_WRITE, trip_ready, t);
		loop_timer_set(t->timer, PATIENCE_MS);
		return;
	}
	end_trip(t, NULL, 0);
}

static void
impatient(void *ctx)
{
	next_server(ctx);
}

bool
forward(struct forwarder *f, const void *query, size_t len, bool tcp, forward_fn *fn, void *arg)
{
	struct err e = ERR_INIT;
	struct dns_query q;
	uint16_t id;

	read_servers(f);
	if (f->n_servers == 0 || f->under_way >= UNDER_WAY_MAX || dns_parse(query, len, &q, &e) < 0)
		return false;
	struct trip *t = xcalloc(1, sizeof(*t));
	*t = (struct trip){ .f = f,
		.next = f->trips,
		.link = &f->trips,
		.q = q,
		.asked_id = q.id,
		.tcp = tcp,
		.fd = -1,
		.fn = fn,
		.arg = arg };
	ids_random(&id, sizeof(id));
	t->q.id = id;
	uint8_t head[4] = { (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)(id >> 8), (uint8_t)id };
	buf_add(&t->query, head + (tcp ? 0 : 2), tcp ? 4 : 2);
	buf_add(&t->query, (const char *)query + 2, len - 2);
	if (t->next != NULL)
		t->next->link = &t->next;
	f->trips = t;
	f->under_way++;
	t->timer = loop_timer(f->c->loop, 0, 0, impatient, t); /* begins on the loop */
	return true;
}

struct forwarder *
forwarder_new(struct catalog *c)
{
	struct forwarder *f = xcalloc(1, sizeof(*f));

	f->c = c;
	return f;
}

void
forwarder_free(struct forwarder *f)
{
	while (f->trips != NULL)
		end_trip(f->trips, NULL, 0);
	free(f);
}
