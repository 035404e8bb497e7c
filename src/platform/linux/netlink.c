#include "platform/linux/netlink.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 * 1024, RECEIVE_BUFFER = 1 << 20 };

void
nl_batch_fini(struct nl_batch *b)
{
	buf_fini(&b->out);
}

static void
pad(struct nl_batch *b)
{
	static const char zeros[NLMSG_ALIGNTO];

	buf_add(&b->out, zeros, NLMSG_ALIGN(b->out.len) - b->out.len);
}

static void
message_grew(struct nl_batch *b)
{
	uint32_t len = (uint32_t)(b->out.len - b->message);

	memcpy(b->out.data + b->message + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
}

unsigned
nl_message(struct nl_batch *b, unsigned type, unsigned flags, const void *header, size_t len)
{
	struct nlmsghdr h = {
		.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST),
		.nlmsg_seq = b->next,
	};

	pad(b);
	b->message = b->out.len;
	buf_add(&b->out, &h, sizeof(h));
	nl_raw(b, header, len);
	return b->next++ - b->first;
}

void
nl_raw(struct nl_batch *b, const void *data, size_t len)
{
	buf_add(&b->out, data, len);
	pad(b);
	message_grew(b);
}

void
nl_put(struct nl_batch *b, unsigned type, const void *data, size_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = (uint16_t)type };

	buf_add(&b->out, &a, sizeof(a));
	nl_raw(b, data, len);
}

void
nl_put_u8(struct nl_batch *b, unsigned type, uint8_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

void
nl_put_u32(struct nl_batch *b, unsigned type, uint32_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

void
nl_put_be32(struct nl_batch *b, unsigned type, uint32_t value)
{
	nl_put_u32(b, type, htonl(value));
}

void
nl_put_str(struct nl_batch *b, unsigned type, const char *value)
{
	nl_put(b, type, value, strlen(value) + 1);
}

size_t
nl_nest(struct nl_batch *b, unsigned type)
{
	size_t at = b->out.len;

	nl_put(b, type | NLA_F_NESTED, "", 0);
	return at;
}

void
nl_nest_end(struct nl_batch *b, size_t nest)
{
	uint16_t len = (uint16_t)(b->out.len - nest);

	memcpy(b->out.data + nest + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

int
nl_open(int protocol, struct err *e)
{
	int one = 1, size = RECEIVE_BUFFER;
	struct timeval patience = { .tv_sec = 30 };
	autofd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return err_sys(e, "open a netlink socket");
	/* The kernel's own words with an error; short answers. Both are only comfort. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	/* A large batch is answered at once: its answers must fit. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* The kernel answers at once; a missing answer would be a mistake of ours, not a reason to
	 * hang. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return take_fd(&fd);
}

static int
send_batch(int fd, struct nl_batch *b, struct err *e)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	do
		n = sendto(
		    fd, b->out.data, b->out.len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "send %zu bytes to the kernel's network stack", b->out.len);
	return 0;
}

static ssize_t
receive(int fd, void *answer, struct err *e)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n;

	do
		n = recvfrom(
		    fd, answer, ANSWER_MAX, MSG_TRUNC, (struct sockaddr *)&from, &from_len);
	while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return err_sys(e, "receive from the kernel's network stack");
	if (n > ANSWER_MAX)
		return err_new(e, ERR_SYS,
		    "an answer of the kernel's network stack is too long (%zd bytes)", n);
	return n;
}

/* What the kernel says beside the number, or NULL. */
static const char *
kernel_words(const struct nlmsghdr *h)
{
	const struct nlmsgerr *m = NLMSG_DATA(h);
	const struct nlattr *table[NLMSGERR_ATTR_MAX + 1];
	size_t skip = sizeof(*m);

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += m->msg.nlmsg_len - sizeof(m->msg);
	skip = NLMSG_ALIGN(skip);
	if (NLMSG_HDRLEN + skip >= h->nlmsg_len)
		return NULL;
	nl_attrs(
	    (const char *)m + skip, h->nlmsg_len - NLMSG_HDRLEN - skip, table, NLMSGERR_ATTR_MAX);
	return table[NLMSGERR_ATTR_MSG] ? nl_attr_data(table[NLMSGERR_ATTR_MSG]) : NULL;
}

static int
tell(const struct nlmsghdr *h, struct err *e)
{
	const struct nlmsgerr *m = NLMSG_DATA(h);
	const char *words = kernel_words(h);

	errno = -m->error;
	if (words != NULL)
		return err_sys(e, "%s", words);
	err_new(e, err_kind_of_errno(-m->error), "%s", strerror(-m->error));
	e->sys = -m->error;
	return -1;
}

int
nl_talk(int fd, struct nl_batch *b, unsigned *failed, struct err *e)
{
	autofree char *answer = xmalloc(ANSWER_MAX);
	uint32_t last = b->next - 1, worst = 0;

	if (send_batch(fd, b, e) < 0)
		return -1;
	for (uint32_t done = 0; done != last;) {
		ssize_t n = receive(fd, answer, e);

		if (n < 0)
			return -1;
		for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (((struct nlmsgerr *)NLMSG_DATA(h))->error != 0 &&
			    (worst == 0 || h->nlmsg_seq < worst)) {
				worst = h->nlmsg_seq;
				tell(h, e);
			}
			if (h->nlmsg_seq == last || (b->transaction && worst == b->first))
				done = last;
		}
	}
	if (worst == 0)
		return 0;
	if (failed != NULL)
		*failed = worst - b->first;
	return -1;
}

int
nl_dump(int fd, struct nl_batch *b, nl_each_fn *each, void *ctx, struct err *e)
{
	autofree char *answer = xmalloc(ANSWER_MAX);
	bool torn = false;
	int result = 0;

	if (send_batch(fd, b, e) < 0)
		return -1;
	for (;;) {
		ssize_t n = receive(fd, answer, e);

		if (n < 0)
			return -1;
		for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			torn |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (h->nlmsg_type == NLMSG_DONE) {
				if (result == 0 && torn)
					return err_new(
					    e, ERR_BUSY, "the list changed while it was read");
				return result;
			}
			if (h->nlmsg_type == NLMSG_ERROR) /* 0: the end of a single answer */
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error != 0 ? tell(h, e)
										      : result;
			if (result == 0)
				result = each(h, ctx, e);
		}
	}
}

void
nl_attrs(const void *at, size_t len, const struct nlattr **table, unsigned max)
{
	const char *p = at;

	memset(table, 0, (max + 1) * sizeof(*table));
	while (len >= NLA_HDRLEN) {
		const struct nlattr *a = (const void *)p;
		unsigned type = a->nla_type & NLA_TYPE_MASK;
		size_t step;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return;
		if (type <= max)
			table[type] = a;
		step = NLA_ALIGN((size_t)a->nla_len);
		if (step >= len)
			return;
		p += step;
		len -= step;
	}
}

const void *
nl_attr_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

size_t
nl_attr_len(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}

uint32_t
nl_attr_u32(const struct nlattr *a)
{
	uint32_t value = 0;

	if (a != NULL && nl_attr_len(a) >= sizeof(value))
		memcpy(&value, nl_attr_data(a), sizeof(value));
	return value;
}

void
nl_attr_text(const struct nlattr *a, char *out, size_t size)
{
	size_t len = a == NULL ? 0 : strnlen(nl_attr_data(a), nl_attr_len(a));

	len = len < size ? len : size - 1;
	if (len > 0)
		memcpy(out, nl_attr_data(a), len);
	out[len] = '\0';
}
