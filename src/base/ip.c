#include "base/ip.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

bool
ip_parse(const char *text, struct ip *out)
{
	struct ip a = { .family = AF_INET };

	if (inet_pton(AF_INET, text, a.bytes) != 1) {
		a.family = AF_INET6;
		if (inet_pton(AF_INET6, text, a.bytes) != 1)
			return false;
	}
	*out = a;
	return true;
}

const char *
ip_text(const struct ip *a, char out[IP_TEXT])
{
	if (a->family == 0 || inet_ntop(a->family, a->bytes, out, IP_TEXT) == NULL)
		out[0] = '\0';
	return out;
}

size_t
ip_size(const struct ip *a)
{
	return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

int
ip_cmp(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, ip_size(a));
}

bool
ip_eq(const struct ip *a, const struct ip *b)
{
	return ip_cmp(a, b) == 0;
}

bool
ip_next(struct ip *a)
{
	for (size_t i = ip_size(a); i-- > 0;)
		if (++a->bytes[i] != 0)
			return true;
	return false;
}

bool
ipnet_parse(const char *text, struct ipnet *out)
{
	struct ipnet n;
	char addr[IP_TEXT];
	const char *slash = strchr(text, '/');
	uint64_t prefix;

	if (slash == NULL) {
		if (!ip_parse(text, &n.addr))
			return false;
		n.prefix = (int)ip_size(&n.addr) * 8;
	} else {
		if ((size_t)(slash - text) >= sizeof(addr))
			return false;
		memcpy(addr, text, (size_t)(slash - text));
		addr[slash - text] = '\0';
		if (!ip_parse(addr, &n.addr) || !str_u64(slash + 1, ip_size(&n.addr) * 8, &prefix))
			return false;
		n.prefix = (int)prefix;
	}
	*out = n;
	return true;
}

const char *
ipnet_text(const struct ipnet *n, char out[IPNET_TEXT])
{
	char addr[IP_TEXT];

	if (n->addr.family == 0)
		out[0] = '\0';
	else
		snprintf(out, IPNET_TEXT, "%s/%d", ip_text(&n->addr, addr), n->prefix);
	return out;
}

/* The mask of byte i under a prefix. */
static uint8_t
mask_byte(int prefix, size_t i)
{
	int bits = prefix - (int)i * 8;

	return bits >= 8 ? 0xff : bits <= 0 ? 0 : (uint8_t)(0xff << (8 - bits));
}

bool
ipnet_contains(const struct ipnet *n, const struct ip *a)
{
	if (n->addr.family == 0 || n->addr.family != a->family)
		return false;
	for (size_t i = 0; i < ip_size(a); i++)
		if ((n->addr.bytes[i] ^ a->bytes[i]) & mask_byte(n->prefix, i))
			return false;
	return true;
}

struct ip
ipnet_first(const struct ipnet *n)
{
	struct ip a = n->addr;

	for (size_t i = 0; i < ip_size(&a); i++)
		a.bytes[i] &= mask_byte(n->prefix, i);
	return a;
}

struct ip
ipnet_last(const struct ipnet *n)
{
	struct ip a = n->addr;

	for (size_t i = 0; i < ip_size(&a); i++)
		a.bytes[i] |= (uint8_t)~mask_byte(n->prefix, i);
	return a;
}

int
ip_mask_prefix(const struct ip *mask)
{
	int prefix = 0;

	for (size_t i = 0; i < ip_size(mask); i++)
		for (int bit = 7; bit >= 0 && (mask->bytes[i] >> bit & 1); bit--)
			prefix++;
	for (size_t i = 0; i < ip_size(mask); i++)
		if (mask->bytes[i] != mask_byte(prefix, i))
			return -1;
	return prefix;
}
