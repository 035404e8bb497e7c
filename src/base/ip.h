/*
 * ip.h: internet addresses and networks, both families in one value.
 *
 * Bytes are in network order. A value with family 0 is "no address"; a zeroed struct is that.
 */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct ip {
	int family; /* AF_INET, AF_INET6, or 0: none */
	uint8_t bytes[16];
};

struct ipnet {
	struct ip addr; /* host bits are kept: 10.0.0.1/8 is an interface's address */
	int prefix;	/* 0..32 or 0..128 */
};

enum { IP_TEXT = 48, IPNET_TEXT = 52 };

bool ip_parse(const char *text, struct ip *out); /* either family; no brackets, no zone */
const char *ip_text(const struct ip *a, char out[IP_TEXT]); /* "" for none */
size_t ip_size(const struct ip *a);			    /* 4, 16, or 0 */
bool ip_eq(const struct ip *a, const struct ip *b);
int ip_cmp(const struct ip *a, const struct ip *b); /* by family, then numerically */
bool ip_next(struct ip *a);			    /* one more; false: it was the family's last */

/* "10.192.0.0/10", "fd00::/64"; without a slash the whole address (/32, /128). */
bool ipnet_parse(const char *text, struct ipnet *out);
const char *ipnet_text(const struct ipnet *n, char out[IPNET_TEXT]);
bool ipnet_contains(const struct ipnet *n, const struct ip *a);
struct ip ipnet_first(const struct ipnet *n); /* host bits 0 */
struct ip ipnet_last(const struct ipnet *n);  /* host bits 1 */
/* The prefix of a mask like 255.192.0.0, or -1 when its ones are not contiguous. */
int ip_mask_prefix(const struct ip *mask);

#endif
