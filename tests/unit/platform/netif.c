#include "platform/netif.h"

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
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const struct netif_ops *const net = &netif_linux;
static struct host host;

static struct ipnet
ipnet(const char *text)
{
	struct ipnet n;

	assert_true(ipnet_parse(text, &n));
	return n;
}

static struct ip
ip(const char *text)
{
	struct ip a;

	assert_true(ip_parse(text, &a));
	return a;
}

static void
make_bridge(const char *name)
{
	struct ipnet addrs[] = { ipnet("10.99.0.1/24"), ipnet("fd99::1/64") };

	OK(net->bridge_ensure(&host, name, addrs, 2, &err));
}

static void
a_bridge_comes_and_goes_as_often_as_asked(void **state)
{
	autonetif_bridge struct netif_bridge b = NETIF_BRIDGE_INIT;
	struct ipnet four = ipnet("10.99.0.1/24"), six = ipnet("fd99::1/64");

	(void)state;
	make_bridge("br1");
	make_bridge("br1");
	OK(net->bridge_info(&host, "br1", &b, &err));
	assert_true(b.up);
	assert_int_equal(b.addrs_n, 2);
	assert_true(ip_eq(&b.addrs[0].addr, &four.addr) && b.addrs[0].prefix == 24);
	assert_true(ip_eq(&b.addrs[1].addr, &six.addr) && b.addrs[1].prefix == 64);
	assert_int_equal(b.members.n, 0);
	OK(net->bridge_remove(&host, "br1", &err));
	OK(net->bridge_remove(&host, "br1", &err));
	assert_int_equal(net->bridge_info(&host, "br1", &b, &err), -1);
	assert_int_equal(err.kind, ERR_ABSENT);
}

static void
what_is_not_a_bridge_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(net->bridge_ensure(&host, "lo", NULL, 0, &err), -1);
	assert_int_equal(err.kind, ERR_EXISTS);
	assert_int_equal(net->bridge_remove(&host, "lo", &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
	assert_int_not_equal(if_nametoindex("lo"), 0);
	assert_int_equal(net->bridge_ensure(&host, "a-name-that-is-too-long", NULL, 0, &err), -1);
	assert_int_equal(err.kind, ERR_INPUT);
}

static int
can_reach(int family, const char *address)
{
	struct sockaddr_in s4 = { .sin_family = AF_INET, .sin_port = htons(7) };
	struct sockaddr_in6 s6 = { .sin6_family = AF_INET6, .sin6_port = htons(7) };
	int fd = socket(family, SOCK_STREAM, 0), result;

	inet_pton(AF_INET, address, &s4.sin_addr);
	inet_pton(AF_INET6, address, &s6.sin6_addr);
	result = family == AF_INET ? connect(fd, (struct sockaddr *)&s4, sizeof(s4))
				   : connect(fd, (struct sockaddr *)&s6, sizeof(s6));
	close(fd);
	/* refused: somebody is there, and says that nobody listens */
	return result == 0 || errno == ECONNREFUSED;
}

static int
inside_reaches_everything(void *ctx)
{
	(void)ctx;
	return (can_reach(AF_INET, "127.0.0.1") ? 0 : 1) |
	       (can_reach(AF_INET, "10.99.0.1") ? 0 : 2) |
	       (can_reach(AF_INET6, "fd99::1") ? 0 : 4) |
	       /* by the default routes */
	       (can_reach(AF_INET, "10.77.0.1") ? 0 : 8) |
	       (can_reach(AF_INET6, "fd77::1") ? 0 : 16) | (can_reach(AF_INET6, "::1") ? 0 : 32);
}

static void
a_pair_joins_a_namespace_to_the_bridge(void **state)
{
	struct other_net o = other_net_start(inside_reaches_everything, NULL);
	struct netif_pair pair = {
		.name = "p0123456789ab",
		.alias = "web",
		.bridge = "br1",
		.pid = o.pid,
		.netns = -1,
		.isolated = true,
	};
	struct netif_inside in = {
		.addr4 = ipnet("10.99.0.7/24"),
		.gateway4 = ip("10.99.0.1"),
		.addr6 = ipnet("fd99::7/64"),
		.gateway6 = ip("fd99::1"),
	};
	struct ipnet far[] = { ipnet("10.77.0.1/32"), ipnet("fd77::1/128") };
	autonetif_links struct netif_links links = NETIF_LINKS_INIT, none = NETIF_LINKS_INIT;

	(void)state;
	make_bridge("br1");
	OK(net->bridge_ensure(&host, "br2", far, 2, &err));
	OK(net->pair_up(&host, &pair, &in, &err));

	OK(net->links(&host, "p0", &links, &err));
	assert_int_equal(links.n, 1);
	assert_string_equal(links.at[0].name, "p0123456789ab");
	assert_string_equal(links.at[0].alias, "web");
	assert_string_equal(links.at[0].master, "br1");
	assert_string_equal(links.at[0].kind, "veth");
	assert_true(links.at[0].up);
	assert_true(links.at[0].running);

	other_net_go(&o);
	assert_int_equal(other_net_end(&o, false), 0);

	/* it may go with its namespace a moment later */
	OK(net->link_remove(&host, pair.name, &err));
	OK(net->link_remove(&host, pair.name, &err));
	OK(net->links(&host, "p0", &none, &err));
	assert_int_equal(none.n, 0);
	OK(net->bridge_remove(&host, "br1", &err));
	OK(net->bridge_remove(&host, "br2", &err));
}

static void
a_pair_that_fails_leaves_nothing(void **state)
{
	struct other_net o = other_net_start(NULL, NULL);
	struct netif_pair pair = {
		.name = "p0123456789ac", .bridge = "br1", .pid = o.pid, .netns = -1
	};
	struct netif_inside in = {
		.addr4 = ipnet("10.99.0.7/24"),
		/* IPv6 gateway without an IPv6 address that reaches it: refused by the kernel */
		.gateway6 = ip("ff02::1"),
	};
	autonetif_links struct netif_links links = NETIF_LINKS_INIT;

	(void)state;
	assert_int_equal(net->pair_up(&host, &pair, &in, &err), -1);
	assert_int_equal(err.kind, ERR_ABSENT); /* no bridge */
	assert_non_null(strstr(err.text, "pot vnet-start"));
	make_bridge("br1");
	assert_int_equal(net->pair_up(&host, &pair, &in, &err), -1);
	OK(net->links(&host, "p", &links, &err));
	assert_int_equal(links.n, 0);
	other_net_end(&o, true);
	pair.pid = o.pid;
	assert_int_equal(net->pair_up(&host, &pair, &in, &err), -1);
	assert_int_equal(err.kind, ERR_ABSENT); /* nobody there */
	OK(net->bridge_remove(&host, "br1", &err));
}

static void
loopback_alone_can_be_set_up(void **state)
{
	struct other_net o = other_net_start(NULL, NULL);

	(void)state;
	OK(net->loopback_up(&host, o.pid, -1, &err));
	other_net_end(&o, true);
}

static void
the_external_interface_is_that_of_the_default_route(void **state)
{
	char name[NETIF_NAME];

	(void)state;
	assert_int_equal(net->external(&host, AF_INET, name, &err), -1);
	assert_int_equal(err.kind, ERR_ABSENT);
	assert_int_equal(net->external(&host, AF_INET6, name, &err), -1);
}

static void
forwarding_is_enabled_in_both_families(void **state)
{
	char c;
	int fd;

	(void)state;
	OK(net->forwarding_enable(&host, &err));
	OK(net->forwarding_enable(&host, &err));
	fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	assert_int_equal(c, '1');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_comes_and_goes_as_often_as_asked),
		cmocka_unit_test(what_is_not_a_bridge_is_left_alone),
		cmocka_unit_test(a_pair_joins_a_namespace_to_the_bridge),
		cmocka_unit_test(a_pair_that_fails_leaves_nothing),
		cmocka_unit_test(loopback_alone_can_be_set_up),
		cmocka_unit_test(the_external_interface_is_that_of_the_default_route),
		cmocka_unit_test(forwarding_is_enabled_in_both_families),
	};

	own_net_enter();
	return cmocka_run_group_tests_name("netif", tests, NULL, NULL);
}
