/* Real packets: a host with two pots on its bridge and somebody outside, each in a network
 * namespace. */
#include "platform/filter.h"

#include "base/str.h"
#include "platform/linux/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "outcome.h"
#include "own_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#define RUN_A "aaaaaaaaaaaa"
#define RUN_B "bbbbbbbbbbbb"

static const struct filter_ops *const fi = &filter_linux;
static const struct netif_ops *const net = &netif_linux;
static struct host host = { .roots = { .table = "potter-test", .bridge = "br0" } };
static struct other_net pot_a, pot_b, outside;
static int listening[2]; /* a byte from each server that is ready */

static struct ipnet
ipnet(const char *text)
{
	struct ipnet n;

	assert_true(ipnet_parse(text, &n));
	return n;
}

static socklen_t
address(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct ip a;

	memset(out, 0, sizeof(*out));
	if (!ip_parse(text, &a))
		abort();
	if (a.family == AF_INET) {
		struct sockaddr_in *s = (void *)out;

		s->sin_family = AF_INET;
		s->sin_port = htons(port);
		memcpy(&s->sin_addr, a.bytes, 4);
		return sizeof(*s);
	}
	struct sockaddr_in6 *s = (void *)out;

	s->sin6_family = AF_INET6;
	s->sin6_port = htons(port);
	memcpy(&s->sin6_addr, a.bytes, 16);
	return sizeof(*s);
}

static int
serve_on(const char *where, int type)
{
	struct sockaddr_storage s;
	socklen_t len = address(where, 80, &s);
	int fd = socket(s.ss_family, type | SOCK_CLOEXEC, 0), one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&s, len) < 0 || (type == SOCK_STREAM && listen(fd, 16) < 0))
		_exit(80);
	return fd;
}

/* "<name> <address of the peer>" to everybody who connects or sends. */
static void
answer(int fd, bool stream, const char *name)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct ip a = { .family = 0 };
	char text[IP_TEXT], out[80], in[16];
	int to = fd;

	if (stream)
		to = accept(fd, (struct sockaddr *)&from, &len);
	else if (recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &len) < 0)
		return;
	a.family = from.ss_family;
	if (a.family == AF_INET)
		memcpy(a.bytes, &((struct sockaddr_in *)&from)->sin_addr, 4);
	else
		memcpy(a.bytes, &((struct sockaddr_in6 *)&from)->sin6_addr, 16);
	snprintf(out, sizeof(out), "%s %s", name, ip_text(&a, text));
	if (stream) {
		(void)!write(to, out, strlen(out));
		close(to);
	} else {
		(void)sendto(fd, out, strlen(out), 0, (struct sockaddr *)&from, len);
	}
}

static int
server(void *name)
{
	struct pollfd fds[4] = {
		{ .fd = serve_on("0.0.0.0", SOCK_STREAM), .events = POLLIN },
		{ .fd = serve_on("::", SOCK_STREAM), .events = POLLIN },
		{ .fd = serve_on("0.0.0.0", SOCK_DGRAM), .events = POLLIN },
		{ .fd = serve_on("::", SOCK_DGRAM), .events = POLLIN },
	};

	if (write(listening[1], "l", 1) != 1)
		_exit(82);
	for (;;) {
		if (poll(fds, 4, -1) < 0)
			_exit(81);
		for (int i = 0; i < 4; i++)
			if (fds[i].revents)
				answer(fds[i].fd, i < 2, name);
	}
}

/* What a client gets that asks host:port from within the namespace of a process (0: from here). */
static const char *
ask(pid_t from, int type, const char *host_text, uint16_t port)
{
	static char out[100];
	int result[2];
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(result, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		/* A first packet that is lost is sent again after a second: none may be, but the
		 * machine outside looks for its neighbours of IPv6 by itself, when it is ready. */
		struct timeval patience = { .tv_sec = strchr(host_text, ':') != NULL ? 5 : 1 };
		struct sockaddr_storage s;
		socklen_t len = address(host_text, port, &s);
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)from);
		if (from != 0 && setns(open(path, O_RDONLY), CLONE_NEWNET) < 0)
			_exit(1);
		fd = socket(s.ss_family, type, 0);
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (connect(fd, (struct sockaddr *)&s, len) < 0 ||
		    (type == SOCK_DGRAM && send(fd, "?", 1, 0) < 0))
			n = snprintf(out, sizeof(out), "connect: %s", strerror(errno));
		else if ((n = recv(fd, out, sizeof(out), 0)) < 0)
			n = snprintf(out, sizeof(out), "recv: %s", strerror(errno));
		(void)!write(result[1], out, (size_t)n);
		_exit(0);
	}
	close(result[1]);
	n = read(result[0], out, sizeof(out) - 1);
	out[n < 0 ? 0 : n] = '\0';
	close(result[0]);
	waitpid(pid, NULL, 0);
	return out;
}

#define TCP(from, host_text, port) ask(from, SOCK_STREAM, host_text, port)
#define UDP(from, host_text, port) ask(from, SOCK_DGRAM, host_text, port)

static void
join(struct other_net *o, const char *name, const char *bridge, const char *four, const char *six,
    bool gateway)
{
	struct netif_pair pair = { .name = name, .bridge = bridge, .pid = o->pid, .netns = -1 };
	struct netif_inside in = { .addr4 = ipnet(four), .addr6 = ipnet(six) };

	if (gateway) {
		assert_true(ip_parse("10.99.0.1", &in.gateway4));
		assert_true(ip_parse("fd99::1", &in.gateway6));
	}
	OK(net->pair_up(&host, &pair, &in, &err));
	other_net_go(o);
}

static int
build(void **state)
{
	struct ipnet inside_addrs[] = { ipnet("10.99.0.1/24"), ipnet("fd99::1/64") };
	struct ipnet outside_addrs[] = { ipnet("192.0.2.1/24"), ipnet("2001:db8::1/64") };
	static const char *const bridges[] = { "br0", NULL };
	static const struct filter_way way = { .external = "ext0" };
	static const struct filter_entry_way entry = { .external = "ext0" };
	struct filter_net n = {
		.bridges = bridges,
		.net4 = ipnet("10.99.0.0/24"),
		.net6 = ipnet("fd99::/64"),
		.ways = &way,
		.n_ways = 1,
		.entries = &entry,
		.n_entries = 1,
	};
	struct filter_port ports[] = {
		{ IPPROTO_TCP, 8080, ipnet("10.99.0.2").addr, 80 },
		{ IPPROTO_TCP, 8080, ipnet("fd99::2").addr, 80 },
		{ IPPROTO_UDP, 5353, ipnet("10.99.0.2").addr, 80 },
		{ IPPROTO_UDP, 5353, ipnet("fd99::2").addr, 80 },
	};

	(void)state;
	OK(net->loopback_up(&host, getpid(), -1, &err));
	OK(net->forwarding_enable(&host, &err));
	OK(net->bridge_ensure(&host, "br0", inside_addrs, 2, &err));
	OK(net->bridge_ensure(&host, "ext0", outside_addrs, 2, &err));
	assert_int_equal(pipe2(listening, O_CLOEXEC), 0);
	pot_a = other_net_start(server, "a");
	pot_b = other_net_start(server, "b");
	outside = other_net_start(server, "out");
	join(&pot_a, "pa", "br0", "10.99.0.2/24", "fd99::2/64", true);
	join(&pot_b, "pb", "br0", "10.99.0.3/24", "fd99::3/64", true);
	join(&outside, "pout", "ext0", "192.0.2.9/24", "2001:db8::9/64", false);
	OK(fi->setup(&host, &n, &err));
	OK(fi->setup(&host, &n, &err));
	OK(fi->ports_add(&host, RUN_A, ports, NELEM(ports), &err));
	for (int i = 0; i < 3; i++) {
		char c;

		assert_int_equal(read(listening[0], &c, 1), 1);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	other_net_end(&pot_a, true);
	other_net_end(&pot_b, true);
	other_net_end(&outside, true);
	OK(fi->teardown(&host, &err));
	OK(fi->teardown(&host, &err));
	assert_int_equal(fi->ready(&host, false, &err), 0);
	return 0;
}

static void
from_outside_a_port_leads_to_the_pot_and_shows_who_asks(void **state)
{
	(void)state;
	assert_string_equal(TCP(outside.pid, "192.0.2.1", 8080), "a 192.0.2.9");
	assert_string_equal(UDP(outside.pid, "192.0.2.1", 5353), "a 192.0.2.9");
	assert_string_equal(TCP(outside.pid, "2001:db8::1", 8080), "a 2001:db8::9");
	assert_string_equal(UDP(outside.pid, "2001:db8::1", 5353), "a 2001:db8::9");
}

static void
from_the_host_every_own_address_will_do(void **state)
{
	(void)state;
	assert_string_equal(TCP(0, "10.99.0.1", 8080), "a 10.99.0.1");
	assert_string_equal(TCP(0, "192.0.2.1", 8080), "a 192.0.2.1");
	assert_string_equal(TCP(0, "127.0.0.1", 8080), "a 10.99.0.1");
	assert_string_equal(UDP(0, "127.0.0.1", 5353), "a 10.99.0.1");
	assert_string_equal(TCP(0, "fd99::1", 8080), "a fd99::1");
	assert_string_equal(TCP(0, "2001:db8::1", 8080), "a 2001:db8::1");
}

static void
the_loopback_address_of_ipv6_is_refused_at_once(void **state)
{
	(void)state;
	assert_string_equal(TCP(0, "::1", 8080), "connect: Connection refused");
}

/* A pot's process with all rights sends to 127.0.0.1 by the bridge's hardware address. */
static void
pots_cannot_reach_the_hosts_loopback(void **state)
{
	struct {
		uint8_t to[6], from[6];
		uint16_t type;
		uint8_t ip[28];
	} __attribute__((packed)) frame = {
		.from = { 2, 0, 0, 0, 0, 99 },
		.type = htons(0x0800),
		.ip = { 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 99, 0, 2, 127, 0, 0, 1, 0x30,
		    0x39, 0, 81, 0, 8, 0, 0 },
	};
	struct timeval patience = { .tv_usec = 300000 };
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;
	struct sockaddr_storage s;
	socklen_t len = address("127.0.0.1", 81, &s);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t sum = 0;
	char c[16];
	pid_t pid;

	(void)state;
	OK(net->links(&host, "br0", &links, &err));
	assert_int_equal(links.n, 1);
	memcpy(frame.to, links.at[0].mac, 6);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(frame.ip[i] << 8 | frame.ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16)) & 0xffff;
	frame.ip[10] = (uint8_t)(sum >> 8);
	frame.ip[11] = (uint8_t)sum;
	assert_int_equal(bind(fd, (struct sockaddr *)&s, len), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	pid = fork();
	if (pid == 0) {
		struct sockaddr_ll to = {
			.sll_family = AF_PACKET, .sll_ifindex = 2, .sll_halen = 6
		};
		char path[64];
		int raw;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pot_a.pid);
		if (setns(open(path, O_RDONLY), CLONE_NEWNET) < 0)
			_exit(1);
		raw = socket(AF_PACKET, SOCK_RAW, htons(0x0800));
		_exit(sendto(raw, &frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) ==
			      sizeof(frame)
			  ? 0
			  : 2);
	}
	int status;

	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(recv(fd, c, sizeof(c), 0), -1);
	close(fd);
}

static void
pots_reach_each_other_and_themselves_by_the_host(void **state)
{
	(void)state;
	assert_string_equal(TCP(pot_b.pid, "10.99.0.1", 8080), "a 10.99.0.1");
	assert_string_equal(TCP(pot_b.pid, "192.0.2.1", 8080), "a 10.99.0.1");
	assert_string_equal(TCP(pot_a.pid, "10.99.0.1", 8080), "a 10.99.0.1");
	assert_string_equal(UDP(pot_a.pid, "10.99.0.1", 5353), "a 10.99.0.1");
	assert_string_equal(TCP(pot_b.pid, "fd99::1", 8080), "a fd99::1");
	assert_string_equal(TCP(pot_a.pid, "fd99::1", 8080), "a fd99::1");
	/* straight, without translation */
	assert_string_equal(TCP(pot_b.pid, "10.99.0.2", 80), "a 10.99.0.3");
}

static void
pots_go_out_with_the_hosts_address(void **state)
{
	(void)state;
	assert_string_equal(TCP(pot_a.pid, "192.0.2.9", 80), "out 192.0.2.1");
	assert_string_equal(UDP(pot_a.pid, "192.0.2.9", 80), "out 192.0.2.1");
	assert_string_equal(TCP(pot_a.pid, "2001:db8::9", 80), "out 2001:db8::1");
}

static void
a_foreign_address_with_the_same_port_is_left_alone(void **state)
{
	(void)state;
	/* 8080 of the machine outside, not of this host */
	assert_string_equal(TCP(pot_b.pid, "192.0.2.9", 8080), "connect: Connection refused");
	assert_string_equal(TCP(0, "192.0.2.1", 8081), "connect: Connection refused");
}

static void
a_port_belongs_to_one_run(void **state)
{
	struct filter_port p = { IPPROTO_TCP, 8080, ipnet("10.99.0.3").addr, 80 };
	struct filter_port mine = { IPPROTO_TCP, 8080, ipnet("10.99.0.2").addr, 80 };
	struct filter_port both[] = { { IPPROTO_TCP, 9090, ipnet("10.99.0.3").addr, 80 }, p };
	autofilter_entries struct filter_entries all = FILTER_ENTRIES_INIT;

	(void)state;
	assert_int_equal(fi->ports_add(&host, RUN_B, &p, 1, &err), -1);
	assert_int_equal(err.kind, ERR_EXISTS);
	assert_non_null(strstr(err.text, "8080/tcp"));
	assert_non_null(strstr(err.text, RUN_A));
	assert_int_equal(fi->ports_add(&host, RUN_B, both, 2, &err), -1);
	assert_int_equal(err.kind, ERR_EXISTS);
	OK(fi->ports_add(&host, RUN_A, &mine, 1, &err)); /* it has it */
	OK(fi->ports(&host, &all, &err));
	assert_int_equal(all.n, 4);
	for (size_t i = 0; i < all.n; i++) {
		assert_string_equal(all.at[i].run, RUN_A);
		assert_int_equal(all.at[i].port.pot_port, 80);
	}
}

static void
ports_are_taken_back_by_run(void **state)
{
	struct filter_port p[] = {
		{ IPPROTO_TCP, 9090, ipnet("10.99.0.3").addr, 80 },
		{ IPPROTO_TCP, 9091, ipnet("10.99.0.3").addr, 80 },
	};

	(void)state;
	OK(fi->ports_add(&host, RUN_B, p, 2, &err));
	assert_string_equal(TCP(0, "127.0.0.1", 9091), "b 10.99.0.1");
	OK(fi->ports_remove(&host, RUN_B, &err));
	OK(fi->ports_remove(&host, RUN_B, &err));
	assert_string_equal(TCP(0, "127.0.0.1", 9091), "connect: Connection refused");
	assert_string_equal(TCP(0, "127.0.0.1", 8080), "a 10.99.0.1");
}

static void
a_pot_that_comes_back_with_its_address_is_reached_at_once(void **state)
{
	char c;

	(void)state;
	for (int run = 0; run < 3; run++) {
		struct other_net again = other_net_start(server, "c");

		join(&again, run == 1 ? "pc1" : "pc0", "br0", "10.99.0.5/24", "fd99::5/64", true);
		assert_int_equal(read(listening[0], &c, 1), 1);
		assert_string_equal(TCP(0, "10.99.0.5", 80), "c 10.99.0.1");
		assert_string_equal(TCP(pot_b.pid, "10.99.0.5", 80), "c 10.99.0.3");
		other_net_end(&again, true);
		OK(net->link_remove(&host, run == 1 ? "pc1" : "pc0", &err));
	}
}

static void
many_ports_fit(void **state)
{
	enum { MANY = 2000 };
	static struct filter_port p[MANY];
	autofilter_entries struct filter_entries all = FILTER_ENTRIES_INIT;

	(void)state;
	for (int i = 0; i < MANY; i++)
		p[i] = (struct filter_port){ IPPROTO_TCP, (uint16_t)(10000 + i),
			ipnet("10.99.0.3").addr, 80 };
	OK(fi->ports_add(&host, RUN_B, p, MANY, &err));
	OK(fi->ports(&host, &all, &err));
	assert_int_equal(all.n, MANY + 4);
	assert_string_equal(TCP(outside.pid, "192.0.2.1", 11999), "b 192.0.2.9");
	OK(fi->ports_remove(&host, RUN_B, &err));
}

static void
without_the_table_the_way_out_is_told(void **state)
{
	struct host other = { .roots = { .table = "potter-absent" } };
	struct filter_port p = { IPPROTO_TCP, 8080, ipnet("10.99.0.2").addr, 80 };
	autofilter_entries struct filter_entries all = FILTER_ENTRIES_INIT;

	(void)state;
	assert_int_equal(fi->ready(&host, false, &err), 1);
	assert_int_equal(fi->ready(&other, false, &err), 0);
	assert_int_equal(fi->ports_add(&other, RUN_A, &p, 1, &err), -1);
	assert_int_equal(err.kind, ERR_ABSENT);
	assert_non_null(strstr(err.text, "pot vnet-start"));
	OK(fi->ports(&other, &all, &err));
	assert_int_equal(all.n, 0);
	OK(fi->ports_remove(&other, RUN_A, &err));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_outside_a_port_leads_to_the_pot_and_shows_who_asks),
		cmocka_unit_test(from_the_host_every_own_address_will_do),
		cmocka_unit_test(the_loopback_address_of_ipv6_is_refused_at_once),
		cmocka_unit_test(pots_cannot_reach_the_hosts_loopback),
		cmocka_unit_test(pots_reach_each_other_and_themselves_by_the_host),
		cmocka_unit_test(pots_go_out_with_the_hosts_address),
		cmocka_unit_test(a_foreign_address_with_the_same_port_is_left_alone),
		cmocka_unit_test(a_port_belongs_to_one_run),
		cmocka_unit_test(ports_are_taken_back_by_run),
		cmocka_unit_test(a_pot_that_comes_back_with_its_address_is_reached_at_once),
		cmocka_unit_test(many_ports_fit),
		cmocka_unit_test(without_the_table_the_way_out_is_told),
	};

	own_net_enter();
	if (fi->probe(&host, &err) < 0)
		return 77;
	return cmocka_run_group_tests_name("filter", tests, build, tear_down);
}
