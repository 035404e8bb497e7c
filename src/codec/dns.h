/*
 * dns.h: DNS messages (RFC 1035, 2782 SRV, 3596 AAAA, 6891 EDNS): queries in, answers out.
 *
 * No descriptors and no policy here: catalog/dns.c decides what to answer. Names are text without
 * the final dot; the root is "". Labels hold any byte but '.', NUL and control characters, which
 * are refused at parsing: no name of ours has them.
 */
#ifndef CODEC_DNS_H
#define CODEC_DNS_H

#include "base/buf.h"
#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_ANY = 255
};
enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16
};
enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };
enum {
	DNS_HEADER = 12,
	DNS_NAME_TEXT = 256,
	DNS_UDP_PLAIN = 512, /* without EDNS */
	DNS_UDP_MOST = 4096, /* what we offer and the most we send by UDP */
	DNS_TCP_MOST = 65535
};

struct dns_query {
	uint16_t id;
	bool response; /* QR: a reply, not a question; never answer these */
	unsigned opcode;
	bool recursion_desired;
	char name[DNS_NAME_TEXT]; /* case as asked */
	uint16_t type, class;
	bool edns;
	unsigned edns_version;
	bool dnssec_ok;
	uint16_t udp_size; /* the asker's limit: DNS_UDP_PLAIN without EDNS */
};

/* Reads header, the one question, and OPT. -1: not a message that can be answered by content; then
 * dns_refusal() may still be able to say so. */
int dns_parse(const void *wire, size_t len, struct dns_query *q, struct err *e);

/* A reply of the bare header with rcode for a message that dns_parse() refused; false when there is
 * not even an id, or when it is itself a reply. */
bool dns_refusal(const void *wire, size_t len, enum dns_rcode rcode, uint8_t out[DNS_HEADER]);

struct dns_rr {
	const char *name;
	uint16_t type;
	uint32_t ttl_s;
	union {
		struct in_addr a;
		struct in6_addr aaaa;
		const char *target; /* NS, CNAME, PTR */
		const char *text;   /* TXT; cut into pieces of 255 */
		struct {
			uint16_t priority, weight, port;
			const char *target;
		} srv;
		struct {
			const char *mname, *rname;
			uint32_t serial, refresh, retry, expire, minimum;
		} soa;
	};
};

enum { DNS_NAMES_KNOWN = 64 };

/* An answer being written. Sections must be added in order. */
struct dns_writer {
	struct buf wire; /* the message */
	size_t limit;	 /* bytes, the OPT record's space already taken off */
	bool truncated;
	bool edns;
	unsigned extended; /* upper bits of the rcode */
	uint16_t count[3];
	struct {
		uint16_t at;
	} known[DNS_NAMES_KNOWN]; /* where names begin, for compression */
	size_t n_known;
};

/* Begins the reply to q: header, the question as asked. `limit`: DNS_TCP_MOST, or for UDP the
 * smaller of q->udp_size and DNS_UDP_MOST. */
void dns_begin(struct dns_writer *w, const struct dns_query *q, enum dns_rcode rcode,
    bool authoritative, bool recursion_available, size_t limit);
/* False: it did not fit, or its name is not writable; nothing was added. An answer that does not
 * fit marks the message truncated; additional records are left out without that. */
bool dns_add(struct dns_writer *w, enum dns_section section, const struct dns_rr *rr);
/* Completes the message in w->wire. With `mark_truncated` false TC stays clear even when answers
 * were left out. */
void dns_end(struct dns_writer *w, bool mark_truncated);
void dns_writer_fini(struct dns_writer *w);

/* A query for tests and forwarding by text: appends to out. False: name not writable. */
bool dns_write_query(struct buf *out, uint16_t id, const char *name, enum dns_type type,
    uint16_t edns_size /* 0: none */);

#endif
