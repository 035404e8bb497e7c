/* Unit tests of codec/dns: what is asked, what is answered, and what is refused. The answers are
 * read back by the C library's own resolver code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct dns_query
ask(const char *name, enum dns_type type, uint16_t edns)
{
	autobuf struct buf b = BUF_INIT;
	struct dns_query q;
	struct err e = ERR_INIT;

	assert_true(dns_write_query(&b, 77, name, type, edns));
	assert_int_equal(dns_parse(b.data, b.len, &q, &e), 0);
	return q;
}

static void
a_query_is_read_with_its_case_and_edns(void **state)
{
	(void)state;
	struct dns_query q = ask("Hello-Web.service.consul", DNS_SRV, 1400);
	assert_string_equal(q.name, "Hello-Web.service.consul");
	assert_int_equal(q.id, 77);
	assert_int_equal(q.type, DNS_SRV);
	assert_true(q.edns && q.recursion_desired && !q.response);
	assert_int_equal(q.udp_size, 1400);
	assert_int_equal(ask("", DNS_A, 0).udp_size, DNS_UDP_PLAIN);
}

static void
an_answer_reads_back_with_compressed_names(void **state)
{
	struct dns_query q = ask("web.service.consul", DNS_SRV, 0);
	struct dns_writer w;
	ns_msg m;
	ns_rr rr;
	char name[256];

	(void)state;
	dns_begin(&w, &q, DNS_NOERROR, true, false, DNS_UDP_PLAIN);
	struct dns_rr srv = { .name = q.name,
		.type = DNS_SRV,
		.ttl_s = 5,
		.srv = { 1, 1, 8080, "n1.node.dc1.consul" } };
	struct dns_rr a = { .name = "n1.node.dc1.consul", .type = DNS_A };
	inet_pton(AF_INET, "10.1.2.3", &a.a);
	assert_true(dns_add(&w, DNS_ANSWER, &srv));
	assert_true(dns_add(&w, DNS_ADDITIONAL, &a));
	dns_end(&w, true);
	/* header 12 + question 24, SRV 2+10+6+name(3+5+4+2), A 2+10+4 */
	assert_in_range(w.wire.len, 60, 90);
	assert_int_equal(ns_initparse((u_char *)w.wire.data, (int)w.wire.len, &m), 0);
	assert_int_equal(ns_msg_count(m, ns_s_an), 1);
	assert_int_equal(ns_parserr(&m, ns_s_an, 0, &rr), 0);
	assert_int_equal(ns_rr_ttl(rr), 5);
	assert_int_equal(ns_get16(ns_rr_rdata(rr) + 4), 8080);
	assert_true(ns_name_uncompress(ns_msg_base(m), ns_msg_end(m), ns_rr_rdata(rr) + 6, name,
			sizeof(name)) > 0);
	assert_string_equal(name, "n1.node.dc1.consul");
	assert_int_equal(ns_parserr(&m, ns_s_ar, 0, &rr), 0);
	assert_string_equal(ns_rr_name(rr), "n1.node.dc1.consul");
	assert_memory_equal(ns_rr_rdata(rr), &a.a, 4);
	assert_true(ns_msg_getflag(m, ns_f_aa));
	dns_writer_fini(&w);
}

static void
what_does_not_fit_is_cut_and_marked(void **state)
{
	struct dns_query q = ask("web.service.consul", DNS_A, 0);
	struct dns_writer w;
	ns_msg m;
	int added = 0;

	(void)state;
	dns_begin(&w, &q, DNS_NOERROR, true, false, DNS_UDP_PLAIN);
	for (int i = 0; i < 100; i++) {
		struct dns_rr a = { .name = q.name, .type = DNS_A };
		added += dns_add(&w, DNS_ANSWER, &a);
	}
	dns_end(&w, true);
	assert_in_range(added, 20, 31);
	assert_in_range(w.wire.len, 490, DNS_UDP_PLAIN);
	assert_int_equal(ns_initparse((u_char *)w.wire.data, (int)w.wire.len, &m), 0);
	assert_true(ns_msg_getflag(m, ns_f_tc));
	assert_int_equal(ns_msg_count(m, ns_s_an), added);
	dns_writer_fini(&w);
}

static void
soa_text_and_edns_read_back(void **state)
{
	struct dns_query q = ask("x.service.consul", DNS_TXT, 4096);
	struct dns_writer w;
	char text[301];
	ns_msg m;
	ns_rr rr;

	(void)state;
	memset(text, 'a', 300);
	text[300] = '\0';
	dns_begin(&w, &q, DNS_NXDOMAIN, true, true, DNS_UDP_MOST);
	struct dns_rr txt = { .name = q.name, .type = DNS_TXT, .text = text };
	struct dns_rr soa = { .name = "consul",
		.type = DNS_SOA,
		.soa = { "ns.consul", "hostmaster.consul", 7, 3600, 600, 86400, 0 } };
	assert_true(dns_add(&w, DNS_ANSWER, &txt));
	assert_true(dns_add(&w, DNS_AUTHORITY, &soa));
	dns_end(&w, true);
	assert_int_equal(ns_initparse((u_char *)w.wire.data, (int)w.wire.len, &m), 0);
	assert_int_equal(ns_msg_getflag(m, ns_f_rcode), DNS_NXDOMAIN);
	assert_int_equal(ns_parserr(&m, ns_s_an, 0, &rr), 0);
	assert_int_equal(ns_rr_rdlen(rr), 302);
	assert_int_equal(ns_parserr(&m, ns_s_ns, 0, &rr), 0);
	assert_int_equal(ns_parserr(&m, ns_s_ar, 0, &rr), 0);
	assert_int_equal(ns_rr_type(rr), ns_t_opt);
	dns_writer_fini(&w);
}

static void
malformed_messages_are_refused(void **state)
{
	static const uint8_t loop[] = { 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1 };
	static const uint8_t cut[] = { 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5, 'a', 'b' };
	static const uint8_t none[] = { 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t out[DNS_HEADER];
	struct dns_query q;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(dns_parse(loop, sizeof(loop), &q, &e), -1);
	assert_int_equal(dns_parse(cut, sizeof(cut), &q, &e), -1);
	assert_int_equal(dns_parse(none, sizeof(none), &q, &e), -1);
	assert_true(dns_refusal(none, sizeof(none), DNS_FORMERR, out));
	assert_int_equal(out[1], 9);
	assert_int_equal(out[3], DNS_FORMERR);
	assert_false(dns_refusal(none, 4, DNS_FORMERR, out));
	assert_false(dns_write_query(&(struct buf)BUF_INIT, 1, "a..b", DNS_A, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read_with_its_case_and_edns),
		cmocka_unit_test(an_answer_reads_back_with_compressed_names),
		cmocka_unit_test(what_does_not_fit_is_cut_and_marked),
		cmocka_unit_test(soa_text_and_edns_read_back),
		cmocka_unit_test(malformed_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
