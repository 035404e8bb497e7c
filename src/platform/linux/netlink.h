/*
 * netlink.h: messages to the kernel's network stack (rtnetlink and nfnetlink), many in one send.
 *
 * A batch is built in memory and sent at once; the kernel answers each message. Attribute layout:
 * linux/netlink.h. Only for files of platform/linux.
 */
#ifndef PLATFORM_LINUX_NETLINK_H
#define PLATFORM_LINUX_NETLINK_H

#include "base/buf.h"

#include <linux/netlink.h>

struct nl_batch {
	struct buf out;
	size_t message; /* offset of the message being built */
	uint32_t first; /* sequence number of the first message */
	uint32_t next;
	bool transaction; /* all or nothing (nfnetlink): an error of the first message ends it */
};

#define NL_BATCH_INIT                                                                              \
	{                                                                                          \
		.out = BUF_INIT, .first = 1, .next = 1, .transaction = false                       \
	}

void nl_batch_fini(struct nl_batch *b);
#define autonl CLEANUP(nl_batch_fini)

/* Starts a message; `header` is what follows struct nlmsghdr (ifinfomsg, nfgenmsg …). NLM_F_REQUEST
 * is added. Returns its position in the batch, counted from 0. */
unsigned nl_message(
    struct nl_batch *b, unsigned type, unsigned flags, const void *header, size_t len);
void nl_put(struct nl_batch *b, unsigned type, const void *data, size_t len);
void nl_put_u8(struct nl_batch *b, unsigned type, uint8_t value);
void nl_put_u32(struct nl_batch *b, unsigned type, uint32_t value);
void nl_put_be32(struct nl_batch *b, unsigned type, uint32_t value);
void nl_put_str(struct nl_batch *b, unsigned type, const char *value); /* with its NUL */
/* Bytes between attributes, as VETH_INFO_PEER has them. Returned to be given to nl_nest_end(). */
size_t nl_nest(struct nl_batch *b, unsigned type);
void nl_raw(struct nl_batch *b, const void *data, size_t len);
void nl_nest_end(struct nl_batch *b, size_t nest);

int nl_open(int protocol, struct err *e);

/* Sends the batch and waits for the answers of all messages that carry NLM_F_ACK; the last one
 * must. Returns 0, or -1 with the first failure: *failed (may be NULL) is that message's position,
 * e->sys its errno, and the text what the kernel says. */
int nl_talk(int fd, struct nl_batch *b, unsigned *failed, struct err *e);

/* Sends a batch of one dump request and hands each answer to `each` (-1 stops with its error). A
 * dump that changed while it was read is told by ERR_BUSY: read again. */
typedef int nl_each_fn(const struct nlmsghdr *h, void *ctx, struct err *e);
int nl_dump(int fd, struct nl_batch *b, nl_each_fn *each, void *ctx, struct err *e);

/* Attributes from `at` on, `len` bytes, sorted into table[0..max]; higher types are skipped. */
void nl_attrs(const void *at, size_t len, const struct nlattr **table, unsigned max);
const void *nl_attr_data(const struct nlattr *a);
size_t nl_attr_len(const struct nlattr *a);
uint32_t nl_attr_u32(const struct nlattr *a);
/* Copies a text attribute, cut to size; "" for NULL. */
void nl_attr_text(const struct nlattr *a, char *out, size_t size);

#endif
