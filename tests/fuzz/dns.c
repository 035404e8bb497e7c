/* Fuzz target: DNS messages from strangers. What is read must be writable again as a reply. */
#include "codec/dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t refusal[DNS_HEADER];
	struct dns_query q, again;
	struct err e = ERR_INIT;

	if (dns_parse(data, size, &q, &e) < 0) {
		dns_refusal(data, size, DNS_FORMERR, refusal);
		return 0;
	}
	struct dns_writer w;
	dns_begin(&w, &q, DNS_NOERROR, true, false, DNS_UDP_PLAIN);
	struct dns_rr rr = { .name = q.name, .type = DNS_SRV, .srv = { 1, 1, 80, q.name } };
	for (int i = 0; i < 20; i++)
		dns_add(&w, DNS_ANSWER, &rr);
	dns_end(&w, true);
	if (w.wire.len > DNS_UDP_PLAIN || dns_parse(w.wire.data, w.wire.len, &again, &e) < 0)
		abort();
	dns_writer_fini(&w);
	return 0;
}
