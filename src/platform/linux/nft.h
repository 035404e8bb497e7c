/*
 * nft.h: pieces of nftables messages: one function per expression, as `nft --debug=netlink` lists
 * them.
 *
 * Layout: linux/netfilter/nf_tables.h. Numbers in attributes are big-endian, values in registers
 * are as the packet has them.
 */
#ifndef PLATFORM_LINUX_NFT_H
#define PLATFORM_LINUX_NFT_H

#include "base/ip.h"
#include "platform/linux/netlink.h"

#include <linux/netfilter/nf_tables.h>

/* A transaction: nft_begin(), messages, nft_commit(). */
void nft_begin(struct nl_batch *b);
int nft_commit(struct nl_batch *b, unsigned *failed, struct err *e);
/* This process's socket, kept open until its end: closing one while the kernel still frees what was
 * removed waits for that, 4 to 12 ms. Not for several threads, nor across network namespaces. */
int nft_socket(struct err *e);
void nft_socket_drop(void); /* after an error: answers may be left in it */
int nft_dump(struct nl_batch *b, nl_each_fn *each, void *ctx, struct err *e);
unsigned nft_message(struct nl_batch *b, unsigned type, unsigned flags);

void nft_table(struct nl_batch *b, unsigned type, unsigned flags, const char *table);
void nft_base_chain(struct nl_batch *b, const char *table, const char *chain, const char *type,
    unsigned hook, int priority);
void nft_flush_chain(struct nl_batch *b, const char *table, const char *chain);

/* A rule: nft_rule(), expressions, nft_rule_end(). */
struct nft_rule {
	struct nl_batch *b;
	size_t list;
};
struct nft_rule nft_rule(struct nl_batch *b, const char *table, const char *chain);
void nft_rule_end(struct nft_rule *r);

void nft_meta(struct nft_rule *r, unsigned key, unsigned reg);
void nft_ct(struct nft_rule *r, unsigned key, unsigned reg);
void nft_fib_daddr_type(struct nft_rule *r, unsigned reg);
void nft_payload(struct nft_rule *r, unsigned base, unsigned offset, unsigned len, unsigned reg);
void nft_mask(struct nft_rule *r, unsigned reg, const void *mask, size_t len);
void nft_cmp(struct nft_rule *r, unsigned reg, bool equal, const void *data, size_t len);
void nft_lookup(struct nft_rule *r, const char *set, unsigned from, unsigned to);
void nft_dnat(struct nft_rule *r, int family, unsigned addr_reg, unsigned port_reg);
void nft_masquerade(struct nft_rule *r);
void nft_snat(struct nft_rule *r, const struct ip *to);
void nft_drop(struct nft_rule *r);

/* ---- whole matches ---- */
void nft_match_family(struct nft_rule *r, int family); /* AF_INET or AF_INET6 */
void nft_match_interface(struct nft_rule *r, unsigned key, bool equal, const char *name);
/* What `key` tells is in a set that was made in this transaction, with this id. */
void nft_match_in_set(struct nft_rule *r, unsigned key, const char *set, unsigned id);
/* The source (or destination) address lies inside the network, or not. The family was matched. */
void nft_match_net(struct nft_rule *r, bool source, bool inside, const struct ipnet *net);

#endif
