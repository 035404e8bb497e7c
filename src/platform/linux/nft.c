#include "platform/linux/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
batch_mark(struct nl_batch *b, unsigned type)
{
	struct nfgenmsg g = { .nfgen_family = AF_UNSPEC, .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	nl_message(b, type, 0, &g, sizeof(g));
}

void
nft_begin(struct nl_batch *b)
{
	b->transaction = true;
	batch_mark(b, NFNL_MSG_BATCH_BEGIN);
}

unsigned
nft_message(struct nl_batch *b, unsigned type, unsigned flags)
{
	struct nfgenmsg g = { .nfgen_family = NFPROTO_INET };

	return nl_message(b, (NFNL_SUBSYS_NFTABLES << 8) | type, flags, &g, sizeof(g));
}

static int kept = -1;
static pid_t kept_by;

int
nft_socket(struct err *e)
{
	/* A child must not share its parent's: they would read each other's answers. */
	if (kept >= 0 && kept_by != getpid())
		nft_socket_drop();
	if (kept < 0) {
		kept = nl_open(NETLINK_NETFILTER, e);
		kept_by = getpid();
	}
	return kept;
}

void
nft_socket_drop(void)
{
	own_close(&kept);
	kept = -1;
}

int
nft_dump(struct nl_batch *b, nl_each_fn *each, void *ctx, struct err *e)
{
	int fd = nft_socket(e), result = fd < 0 ? -1 : nl_dump(fd, b, each, ctx, e);

	if (result < 0)
		nft_socket_drop();
	return result;
}

int
nft_commit(struct nl_batch *b, unsigned *failed, struct err *e)
{
	struct nlmsghdr *last = (void *)(b->out.data + b->message);
	int fd = nft_socket(e);

	if (fd < 0)
		return -1;
	last->nlmsg_flags |= NLM_F_ACK;
	batch_mark(b, NFNL_MSG_BATCH_END);
	b->next--; /* the end itself is not answered */
	if (nl_talk(fd, b, failed, e) == 0)
		return 0;
	nft_socket_drop();
	return -1;
}

void
nft_table(struct nl_batch *b, unsigned type, unsigned flags, const char *table)
{
	nft_message(b, type, flags);
	nl_put_str(b, NFTA_TABLE_NAME, table);
}

void
nft_base_chain(struct nl_batch *b, const char *table, const char *chain, const char *type,
    unsigned hook, int priority)
{
	size_t nest;

	nft_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	nl_put_str(b, NFTA_CHAIN_TABLE, table);
	nl_put_str(b, NFTA_CHAIN_NAME, chain);
	nest = nl_nest(b, NFTA_CHAIN_HOOK);
	nl_put_be32(b, NFTA_HOOK_HOOKNUM, hook);
	nl_put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	nl_nest_end(b, nest);
	nl_put_be32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
	nl_put_str(b, NFTA_CHAIN_TYPE, type);
}

void
nft_flush_chain(struct nl_batch *b, const char *table, const char *chain)
{
	nft_message(b, NFT_MSG_DELRULE, 0);
	nl_put_str(b, NFTA_RULE_TABLE, table);
	nl_put_str(b, NFTA_RULE_CHAIN, chain);
}

struct nft_rule
nft_rule(struct nl_batch *b, const char *table, const char *chain)
{
	nft_message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	nl_put_str(b, NFTA_RULE_TABLE, table);
	nl_put_str(b, NFTA_RULE_CHAIN, chain);
	return (struct nft_rule){ .b = b, .list = nl_nest(b, NFTA_RULE_EXPRESSIONS) };
}

void
nft_rule_end(struct nft_rule *r)
{
	nl_nest_end(r->b, r->list);
}

/* ---- expressions ---- */

struct expr {
	size_t element, data;
};

static struct expr
begin(struct nft_rule *r, const char *name)
{
	struct expr x = { .element = nl_nest(r->b, NFTA_LIST_ELEM) };

	nl_put_str(r->b, NFTA_EXPR_NAME, name);
	x.data = nl_nest(r->b, NFTA_EXPR_DATA);
	return x;
}

static void
end(struct nft_rule *r, struct expr x)
{
	nl_nest_end(r->b, x.data);
	nl_nest_end(r->b, x.element);
}

static void
value(struct nft_rule *r, unsigned type, const void *data, size_t len)
{
	size_t nest = nl_nest(r->b, type);

	nl_put(r->b, NFTA_DATA_VALUE, data, len);
	nl_nest_end(r->b, nest);
}

void
nft_meta(struct nft_rule *r, unsigned key, unsigned reg)
{
	struct expr x = begin(r, "meta");

	nl_put_be32(r->b, NFTA_META_KEY, key);
	nl_put_be32(r->b, NFTA_META_DREG, reg);
	end(r, x);
}

void
nft_ct(struct nft_rule *r, unsigned key, unsigned reg)
{
	struct expr x = begin(r, "ct");

	nl_put_be32(r->b, NFTA_CT_KEY, key);
	nl_put_be32(r->b, NFTA_CT_DREG, reg);
	end(r, x);
}

void
nft_fib_daddr_type(struct nft_rule *r, unsigned reg)
{
	struct expr x = begin(r, "fib");

	nl_put_be32(r->b, NFTA_FIB_DREG, reg);
	nl_put_be32(r->b, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nl_put_be32(r->b, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	end(r, x);
}

void
nft_payload(struct nft_rule *r, unsigned base, unsigned offset, unsigned len, unsigned reg)
{
	struct expr x = begin(r, "payload");

	nl_put_be32(r->b, NFTA_PAYLOAD_DREG, reg);
	nl_put_be32(r->b, NFTA_PAYLOAD_BASE, base);
	nl_put_be32(r->b, NFTA_PAYLOAD_OFFSET, offset);
	nl_put_be32(r->b, NFTA_PAYLOAD_LEN, len);
	end(r, x);
}

void
nft_mask(struct nft_rule *r, unsigned reg, const void *mask, size_t len)
{
	static const uint8_t zeros[16];
	struct expr x = begin(r, "bitwise");

	nl_put_be32(r->b, NFTA_BITWISE_SREG, reg);
	nl_put_be32(r->b, NFTA_BITWISE_DREG, reg);
	nl_put_be32(r->b, NFTA_BITWISE_LEN, (uint32_t)len);
	value(r, NFTA_BITWISE_MASK, mask, len);
	value(r, NFTA_BITWISE_XOR, zeros, len);
	end(r, x);
}

void
nft_cmp(struct nft_rule *r, unsigned reg, bool equal, const void *data, size_t len)
{
	struct expr x = begin(r, "cmp");

	nl_put_be32(r->b, NFTA_CMP_SREG, reg);
	nl_put_be32(r->b, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	value(r, NFTA_CMP_DATA, data, len);
	end(r, x);
}

void
nft_lookup(struct nft_rule *r, const char *set, unsigned from, unsigned to)
{
	struct expr x = begin(r, "lookup");

	nl_put_str(r->b, NFTA_LOOKUP_SET, set);
	nl_put_be32(r->b, NFTA_LOOKUP_SREG, from);
	nl_put_be32(r->b, NFTA_LOOKUP_DREG, to);
	end(r, x);
}

void
nft_dnat(struct nft_rule *r, int family, unsigned addr_reg, unsigned port_reg)
{
	struct expr x = begin(r, "nat");

	nl_put_be32(r->b, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	nl_put_be32(r->b, NFTA_NAT_FAMILY, family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
	nl_put_be32(r->b, NFTA_NAT_REG_ADDR_MIN, addr_reg);
	nl_put_be32(r->b, NFTA_NAT_REG_PROTO_MIN, port_reg);
	end(r, x);
}

void
nft_masquerade(struct nft_rule *r)
{
	end(r, begin(r, "masq"));
}

static void
load(struct nft_rule *r, unsigned reg, const void *data, size_t len)
{
	struct expr x = begin(r, "immediate");

	nl_put_be32(r->b, NFTA_IMMEDIATE_DREG, reg);
	value(r, NFTA_IMMEDIATE_DATA, data, len);
	end(r, x);
}

void
nft_snat(struct nft_rule *r, const struct ip *to)
{
	load(r, NFT_REG_1, to->bytes, ip_size(to));
	struct expr x = begin(r, "nat");

	nl_put_be32(r->b, NFTA_NAT_TYPE, NFT_NAT_SNAT);
	nl_put_be32(r->b, NFTA_NAT_FAMILY, to->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
	nl_put_be32(r->b, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	end(r, x);
}

void
nft_drop(struct nft_rule *r)
{
	struct expr x = begin(r, "immediate");
	size_t data, verdict;

	nl_put_be32(r->b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nl_nest(r->b, NFTA_IMMEDIATE_DATA);
	verdict = nl_nest(r->b, NFTA_DATA_VERDICT);
	nl_put_be32(r->b, NFTA_VERDICT_CODE, NF_DROP);
	nl_nest_end(r->b, verdict);
	nl_nest_end(r->b, data);
	end(r, x);
}

/* ---- whole matches ---- */

void
nft_match_family(struct nft_rule *r, int family)
{
	uint8_t number = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;

	nft_meta(r, NFT_META_NFPROTO, NFT_REG_1);
	nft_cmp(r, NFT_REG_1, true, &number, sizeof(number));
}

void
nft_match_interface(struct nft_rule *r, unsigned key, bool equal, const char *name)
{
	char padded[IFNAMSIZ] = "";

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	nft_meta(r, key, NFT_REG_1);
	nft_cmp(r, NFT_REG_1, equal, padded, sizeof(padded));
}

void
nft_match_in_set(struct nft_rule *r, unsigned key, const char *set, unsigned id)
{
	nft_meta(r, key, NFT_REG_1);
	struct expr x = begin(r, "lookup");

	nl_put_str(r->b, NFTA_LOOKUP_SET, set);
	nl_put_be32(r->b, NFTA_LOOKUP_SET_ID, id);
	nl_put_be32(r->b, NFTA_LOOKUP_SREG, NFT_REG_1);
	end(r, x);
}

void
nft_match_net(struct nft_rule *r, bool source, bool inside, const struct ipnet *net)
{
	size_t len = ip_size(&net->addr);
	struct ip first = ipnet_first(net);
	uint8_t mask[16];
	unsigned offset = len == 4 ? (source ? 12 : 16) : (source ? 8 : 24); /* RFC 791, RFC 8200 */

	for (size_t i = 0; i < len; i++) {
		int bits = net->prefix - (int)i * 8;

		mask[i] = bits >= 8 ? 0xff : bits <= 0 ? 0 : (uint8_t)(0xff << (8 - bits));
	}
	nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, offset, (unsigned)len, NFT_REG_1);
	nft_mask(r, NFT_REG_1, mask, len);
	nft_cmp(r, NFT_REG_1, inside, first.bytes, len);
}
