/* What pf is told, and where its file calls it from. */
#include "platform/pf/pf.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>

static struct ipnet
ipnet(const char *text)
{
	struct ipnet n;

	assert_true(ipnet_parse(text, &n));
	return n;
}

static struct pf_net
two_bridges(void)
{
	return (struct pf_net){
		.n_bridges = 2,
		.bridges = { { .open = true, .name = "bridge0", .net4 = ipnet("10.192.0.1/10") },
		    { .name = "bridge1", .net4 = ipnet("10.192.0.17/29") } },
	};
}

static void
test_nat(void **state)
{
	static const char *const bridges[] = { "pot0", NULL };
	struct filter_net n = { .bridges = bridges, .net4 = ipnet("10.192.0.0/10") };
	struct pf_net net = two_bridges();
	autobuf struct buf plain = BUF_INIT, ways = BUF_INIT;

	(void)state;
	net.n_bridges = 1;
	pf_nat_rules(&n, &net, "em0", NULL, &plain);
	assert_string_equal(buf_str(&plain),
	    "nat on em0 inet from 10.192.0.0/10 to any -> (em0:0)\n"
	    "nat on bridge0 inet from any to any tagged pot-hairpin -> (bridge0:0)\n"
	    "nat on bridge0 inet from any to any tagged pot-local -> (bridge0:0)\n");

	struct filter_way all[] = { { .external = "em0", .source = ipnet("192.0.2.1").addr },
		{ .external = "tun0", .to = ipnet("172.16.0.0/12") } };
	n.ways = all;
	n.n_ways = 2;
	n.net6 = ipnet("fd00::/64");
	net.n_bridges = 0;
	pf_nat_rules(&n, &net, "em9", "em9", &ways);
	assert_string_equal(buf_str(&ways),
	    "nat on em0 inet from 10.192.0.0/10 to any -> 192.0.2.1\n"
	    "nat on tun0 inet from 10.192.0.0/10 to 172.16.0.0/12 -> (tun0:0)\n"
	    "nat on em0 inet6 from fd00::/64 to any -> (em0:0)\n");
}

static void
test_apart(void **state)
{
	static const char *const bridges[] = { "pot0", "pot-x", NULL };
	struct filter_net n = {
		.bridges = bridges, .net4 = ipnet("10.192.0.0/10"), .net6 = ipnet("fd00::/64")
	};
	struct pf_net net = two_bridges();
	autobuf struct buf shared = BUF_INIT, isolated = BUF_INIT;

	(void)state;
#define ANSWER4(b)                                                                                 \
	"pass out quick on " b                                                                     \
	" reply-to (lo0 127.0.0.1) inet from any to any tagged pot-local keep state\n"
#define ANSWER6(b)                                                                                 \
	"pass out quick on " b                                                                     \
	" reply-to (lo0 ::1) inet6 from any to any tagged pot-local keep state\n"
	pf_filter_rules(&n, &net, &shared);
	assert_string_equal(buf_str(&shared),
	    ANSWER4("bridge0") ANSWER6("bridge0") ANSWER4(
		"bridge1") "table <off-bridge0-inet> const { 10.192.0.16/29 }\n"
			   "block return in quick on bridge0 inet from any to <off-bridge0-inet>\n"
			   "table <off-bridge1-inet> const { 10.192.0.0/10 !10.192.0.16/29 }\n"
			   "block return in quick on bridge1 inet from any to "
			   "<off-bridge1-inet>\n");
	net.isolated = true;
	net.n_bridges = 1;
	pf_filter_rules(&n, &net, &isolated);
	assert_string_equal(buf_str(&isolated),
	    ANSWER4("bridge0") ANSWER6(
		"bridge0") "table <off-bridge0-inet> const { 10.192.0.0/10 !10.192.0.1 }\n"
			   "block return in quick on bridge0 inet from any to <off-bridge0-inet>\n"
			   "table <off-bridge0-inet6> const { fd00::/64 !fd00::1 }\n"
			   "block return in quick on bridge0 inet6 from any to "
			   "<off-bridge0-inet6>\n");
}

static void
test_rdr(void **state)
{
	struct filter_port p = { .proto = IPPROTO_TCP,
		.host_port = 8080,
		.to = ipnet("10.192.0.3").addr,
		.pot_port = 80 };
	struct pf_net net = two_bridges();
	autobuf struct buf anywhere = BUF_INIT, one = BUF_INIT;

	(void)state;
	net.n_bridges = 1;
	pf_rdr_rules(&net, &p, 1, &anywhere);
	assert_string_equal(buf_str(&anywhere),
	    "rdr pass on lo0 inet proto tcp from any to (self) port 8080 tag pot-local -> "
	    "10.192.0.3 "
	    "port 80\n"
	    "rdr pass on bridge0 inet proto tcp from any to (self) port 8080 tag pot-hairpin -> "
	    "10.192.0.3 port 80\n"
	    "rdr pass on ! lo0 inet proto tcp from any to (self) port 8080 -> 10.192.0.3 port "
	    "80\n");
	/* as the shell implementation has it */
	net.n_bridges = 0;
	net.n_entries = 2;
	(void)str_copy(net.entries[0].name, PF_NAME, "em0");
	(void)str_copy(net.entries[1].name, PF_NAME, "em1");
	net.entries[1].address = ipnet("192.0.2.1").addr;
	pf_rdr_rules(&net, &p, 1, &one);
	assert_string_equal(buf_str(&one),
	    "rdr pass on lo0 inet proto tcp from any to (self) port 8080 tag pot-local -> "
	    "10.192.0.3 "
	    "port 80\n"
	    "rdr pass on em0 inet proto tcp from any to (em0) port 8080 -> 10.192.0.3 port 80\n"
	    "rdr pass on em1 inet proto tcp from any to 192.0.2.1 port 8080 -> 10.192.0.3 port "
	    "80\n");
}

static void
test_kept(void **state)
{
	struct filter_port p[] = {
		{ .proto = IPPROTO_TCP, .host_port = 8080, .pot_port = 80 },
		{ .proto = IPPROTO_UDP, .host_port = 53, .pot_port = 5353 },
	};
	autofilter_entries struct filter_entries back = FILTER_ENTRIES_INIT;
	autobuf struct buf ports = BUF_INIT, text = BUF_INIT, again = BUF_INIT;
	struct pf_net net = two_bridges(), read;
	struct err e;

	(void)state;
	p[0].to = ipnet("10.192.0.3").addr;
	p[1].to = ipnet("fd00::3").addr;
	pf_ports_write(p, 2, &ports);
	pf_ports_parse(buf_str(&ports), "0123456789ab", &back);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.at[1].run, "0123456789ab");
	assert_int_equal(back.at[1].port.proto, IPPROTO_UDP);
	assert_int_equal(back.at[1].port.pot_port, 5353);
	assert_true(ip_eq(&back.at[1].port.to, &p[1].to));

	net.isolated = true;
	net.n_entries = 1;
	(void)str_copy(net.entries[0].name, PF_NAME, "em0");
	pf_net_write(&net, &text);
	assert_int_equal(pf_net_parse(buf_str(&text), &read, &e), 0);
	pf_net_write(&read, &again);
	assert_string_equal(buf_str(&text), buf_str(&again));
	assert_int_equal(pf_net_parse("bridge waytoolongforaninterface -\n", &read, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

/* pfctl's words, with "=" before a port that is matched. */
static void
test_shown(void **state)
{
	autofilter_entries struct filter_entries seen = FILTER_ENTRIES_INIT;

	(void)state;
	pf_shown_ports("nat-anchor \"pot-nat\" all\n"
		       "rdr pass on em0 inet proto tcp from any to (em0) port = 8080 -> 10.192.0.3 "
		       "port 80\n"
		       "rdr pass on em0 inet proto udp from any to 192.0.2.1 port = 53 -> "
		       "10.192.0.4 port 5353\n"
		       "rdr on em0 inet proto tcp from any to any port = http -> 127.0.0.1\n",
	    "", &seen);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.at[0].port.host_port, 8080);
	assert_int_equal(seen.at[1].port.pot_port, 5353);
	assert_int_equal(seen.at[1].port.proto, IPPROTO_UDP);
}

#define TOP   "nat-anchor pot-nat\nrdr-anchor \"pot-rdr/*\"\n"
#define APART "anchor \"pot-filter\"\n"

static const struct {
	const char *before, *after;
} files[] = {
	{ "", TOP APART },
	{ "# mine\npass all\n", TOP "# mine\n" APART "pass all\n" },
	/* pf wants options and scrub first */
	{ "set skip on lo0\nscrub in all\nnat on em0 from a to b -> c\nblock all\npass out",
	    "set skip on lo0\nscrub in all\n" TOP "nat on em0 from a to b -> c\n" APART
	    "block all\npass out" },
	{ "ext=\"em0\"\npass", TOP "ext=\"em0\"\n" APART "pass" },
	/* one of them twice, another one missing */
	{ "nat-anchor \"pot-nat\"\nnat-anchor pot-nat # again\npass\n", TOP APART "pass\n" },
	{ "set limit { states 10 \\\n, frags 5 }\nno nat on em0\n",
	    "set limit { states 10 \\\n, frags 5 }\n" TOP "no nat on em0\n" APART },
};

static void
test_conf(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEM(files); i++) {
		autobuf struct buf out = BUF_INIT, again = BUF_INIT, gone = BUF_INIT;

		assert_true(pf_conf_add(files[i].before, &out));
		assert_string_equal(buf_str(&out), files[i].after);
		assert_false(pf_conf_add(buf_str(&out), &again));
		assert_string_equal(buf_str(&again), files[i].after);
		assert_true(pf_conf_drop(buf_str(&out), &gone));
		assert_null(strstr(buf_str(&gone), "pot-nat"));
		assert_false(pf_conf_drop(buf_str(&gone), &again));
	}
	assert_int_equal(pf_calls("nat-anchor \"pot-nat\" all\n", "nat-anchor", "pot-nat"), 1);
	assert_int_equal(pf_calls("# nat-anchor pot-nat\n", "nat-anchor", "pot-nat"), 0);
	assert_int_equal(pf_calls("nat-anchor pot-nature\n", "nat-anchor", "pot-nat"), 0);
}

static void
test_rc(void **state)
{
	char out[32] = "unset";

	(void)state;
	assert_false(pf_rc_value("xpf_rules=a\n#pf_rules=b\n", "pf_rules", out, sizeof(out)));
	assert_string_equal(out, "unset");
	assert_true(
	    pf_rc_value("pf_rules=\"/a b\" # c\npf_enable=YES\n", "pf_rules", out, sizeof(out)));
	assert_string_equal(out, "/a b");
	assert_true(pf_rc_value("pf_rules=/a\n  pf_rules='/b'\n", "pf_rules", out, sizeof(out)));
	assert_string_equal(out, "/b");
	assert_true(pf_rc_value("pf_rules=/c#x", "pf_rules", out, sizeof(out)));
	assert_string_equal(out, "/c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_rdr),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_rc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
