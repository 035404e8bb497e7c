#include "codec/wire.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FIELD_HEAD = 6, DEPTH_MAX = 8 };

static void
put_be(uint8_t *out, uint64_t v, int n)
{
	for (int i = n - 1; i >= 0; i--, v >>= 8)
		out[i] = (uint8_t)v;
}

static uint64_t
get_be(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* ---- writing ---- */

void
wire_begin(struct buf *b, uint16_t kind, uint64_t id)
{
	uint8_t head[WIRE_HEAD] = { WIRE_VERSION };

	put_be(head + 2, kind, 2);
	put_be(head + 4, id, 8);
	buf_reset(b);
	buf_add(b, head, sizeof(head));
}

void
wire_bytes(struct buf *b, uint16_t tag, const void *p, size_t n)
{
	uint8_t head[FIELD_HEAD];

	put_be(head, tag, 2);
	put_be(head + 2, n, 4);
	buf_add(b, head, sizeof(head));
	buf_add(b, p, n);
}

void
wire_u64(struct buf *b, uint16_t tag, uint64_t v)
{
	uint8_t bytes[8];

	put_be(bytes, v, 8);
	wire_bytes(b, tag, bytes, sizeof(bytes));
}

void
wire_i64(struct buf *b, uint16_t tag, int64_t v)
{
	wire_u64(b, tag, (uint64_t)v);
}

void
wire_bool(struct buf *b, uint16_t tag, bool v)
{
	uint8_t byte = v;

	wire_bytes(b, tag, &byte, 1);
}

void
wire_str(struct buf *b, uint16_t tag, const char *s)
{
	if (s != NULL)
		wire_bytes(b, tag, s, strlen(s));
}

void
wire_strs(struct buf *b, uint16_t tag, const char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		wire_str(b, tag, *list);
}

size_t
wire_open(struct buf *b, uint16_t tag)
{
	wire_bytes(b, tag, "", 0);
	return b->len;
}

void
wire_shut(struct buf *b, size_t opened)
{
	put_be((uint8_t *)b->data + opened - 4, b->len - opened, 4);
}

enum { ERR_TAG_KIND = 1, ERR_TAG_SYS, ERR_TAG_TEXT };

void
wire_err(struct buf *b, uint16_t tag, const struct err *failure)
{
	size_t opened = wire_open(b, tag);

	wire_str(b, ERR_TAG_KIND, err_kind_name(failure->kind));
	wire_i64(b, ERR_TAG_SYS, failure->sys);
	wire_str(b, ERR_TAG_TEXT, failure->text);
	wire_shut(b, opened);
}

/* ---- reading ---- */

int
wire_read(
    const void *body, size_t len, struct wire_head *head, struct wire_reader *r, struct err *e)
{
	const uint8_t *p = body;

	if (len < WIRE_HEAD || len > WIRE_MAX)
		return err_new(e, ERR_INPUT, "message of %zu bytes, must be %d to %d", len,
		    WIRE_HEAD, WIRE_MAX);
	if (p[0] != WIRE_VERSION)
		return err_new(e, ERR_UNSUPPORTED, "message of version %d, this program speaks %d",
		    p[0], WIRE_VERSION);
	head->kind = (uint16_t)get_be(p + 2, 2);
	head->id = get_be(p + 4, 8);
	r->at = p + WIRE_HEAD;
	r->end = p + len;
	return 0;
}

int
wire_next(struct wire_reader *r, struct wire_field *f, struct err *e)
{
	size_t left = (size_t)(r->end - r->at);

	if (left == 0)
		return 0;
	if (left < FIELD_HEAD)
		return err_new(e, ERR_INPUT, "message ends inside a field");
	uint32_t len = (uint32_t)get_be(r->at + 2, 4);
	if (len > left - FIELD_HEAD)
		return err_new(e, ERR_INPUT, "message ends inside a field");
	f->tag = (uint16_t)get_be(r->at, 2);
	f->len = len;
	f->data = r->at + FIELD_HEAD;
	r->at = f->data + len;
	return 1;
}

struct wire_reader
wire_inside(const struct wire_field *f)
{
	return (struct wire_reader){ .at = f->data, .end = f->data + f->len };
}

static int
bad_field(const struct wire_field *f, const char *what, struct err *e)
{
	return err_new(e, ERR_INPUT, "message field %u: %s", f->tag, what);
}

int
wire_get_u64(const struct wire_field *f, uint64_t *v, struct err *e)
{
	if (f->len != 8)
		return bad_field(f, "not a number", e);
	*v = get_be(f->data, 8);
	return 0;
}

int
wire_get_i64(const struct wire_field *f, int64_t *v, struct err *e)
{
	uint64_t u = 0;

	if (wire_get_u64(f, &u, e) < 0)
		return -1;
	*v = (int64_t)u;
	return 0;
}

int
wire_get_int(const struct wire_field *f, int min, int max, int *v, struct err *e)
{
	int64_t i = 0;

	if (wire_get_i64(f, &i, e) < 0)
		return -1;
	if (i < min || i > max)
		return bad_field(f, "number out of range", e);
	*v = (int)i;
	return 0;
}

int
wire_get_bool(const struct wire_field *f, bool *v, struct err *e)
{
	if (f->len != 1 || f->data[0] > 1)
		return bad_field(f, "neither true nor false", e);
	*v = f->data[0] == 1;
	return 0;
}

int
wire_get_str(const struct wire_field *f, struct arena *a, char **v, struct err *e)
{
	if (memchr(f->data, 0, f->len) != NULL)
		return bad_field(f, "text with a NUL inside", e);
	*v = arena_strndup(a, (const char *)f->data, f->len);
	return 0;
}

static void
copy_text(char *out, size_t size, const struct wire_field *f)
{
	size_t n = f->len < size - 1 ? f->len : size - 1;

	memcpy(out, f->data, n);
	out[n] = '\0';
}

int
wire_get_err(const struct wire_field *f, struct err *failure, struct err *e)
{
	struct wire_reader r = wire_inside(f);
	struct err out = { .kind = ERR_SYS };
	struct wire_field in = { 0 };
	char kind[16] = "";
	int64_t sys = 0;
	int more;

	while ((more = wire_next(&r, &in, e)) > 0) {
		if (in.tag == ERR_TAG_KIND)
			copy_text(kind, sizeof(kind), &in);
		else if (in.tag == ERR_TAG_SYS && wire_get_i64(&in, &sys, e) < 0)
			return -1;
		else if (in.tag == ERR_TAG_TEXT)
			copy_text(out.text, sizeof(out.text), &in);
	}
	if (more < 0)
		return -1;
	out.kind = err_kind_named(kind);
	if (out.kind == ERR_NONE)
		out.kind = ERR_SYS;
	out.sys = sys > 0 && sys < 4096 ? (int)sys : 0;
	*failure = out;
	return 0;
}

int
wire_list_add(struct wire_list *l, const struct wire_field *f, struct arena *a, struct err *e)
{
	char *s = NULL;

	if (l->n >= WIRE_ITEMS_MAX)
		return bad_field(f, "too many of them", e);
	if (wire_get_str(f, a, &s, e) < 0)
		return -1;
	if (l->n + 1 >= l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		char **at = arena_array(a, cap, char *);
		if (l->n > 0)
			memcpy(at, l->at, l->n * sizeof(*at));
		l->at = at;
		l->cap = cap;
	}
	l->at[l->n++] = s;
	l->at[l->n] = NULL;
	return 0;
}

/* ---- tables ---- */

static void
put_items(struct buf *b, const struct wire_row *row, const char *p)
{
	const char *items;
	size_t n;

	memcpy(&items, p + row->offset, sizeof(items));
	memcpy(&n, p + row->count, sizeof(n));
	for (size_t i = 0; i < n; i++) {
		size_t opened = wire_open(b, row->tag);
		wire_put(b, row->sub, items + i * row->size);
		wire_shut(b, opened);
	}
}

static void
put_number(struct buf *b, const struct wire_row *row, const char *p)
{
	int64_t v = 0;
	int i = 0;
	uint32_t u;

	if (row->type == WIRE_INT) {
		memcpy(&i, p, sizeof(i));
		v = i;
	} else if (row->type == WIRE_U32) {
		memcpy(&u, p, sizeof(u));
		v = u;
	} else {
		memcpy(&v, p, sizeof(v));
	}
	if (v != 0)
		wire_i64(b, row->tag, v);
}

static void
put_row(struct buf *b, const struct wire_row *row, const char *p)
{
	const char *at = p + row->offset, *s;
	const char *const *list;
	size_t n;
	bool flag = false;

	switch ((enum wire_type)row->type) {
	case WIRE_STR:
		memcpy(&s, at, sizeof(s));
		wire_str(b, row->tag, s);
		break;
	case WIRE_STRS:
		memcpy(&list, at, sizeof(list));
		wire_strs(b, row->tag, list);
		break;
	case WIRE_BOOL:
		memcpy(&flag, at, sizeof(flag));
		if (flag)
			wire_bool(b, row->tag, flag);
		break;
	case WIRE_BYTES:
		memcpy(&s, at, sizeof(s));
		memcpy(&n, p + row->count, sizeof(n));
		if (s != NULL)
			wire_bytes(b, row->tag, s, n);
		break;
	case WIRE_ITEMS:
		put_items(b, row, p);
		break;
	case WIRE_ERR:
		if (((const struct err *)(const void *)at)->kind != ERR_NONE)
			wire_err(b, row->tag, (const struct err *)(const void *)at);
		break;
	default:
		put_number(b, row, at);
	}
}

void
wire_put(struct buf *b, const struct wire_row *rows, const void *object)
{
	for (const struct wire_row *row = rows; row->tag != 0; row++)
		put_row(b, row, object);
}

static int take_rows(
    struct wire_reader *, const struct wire_row *, struct arena *, void *, int, struct err *);

/* Lists and arrays are counted first, so that they are allocated once. */
static size_t
count_tag(struct wire_reader r, uint16_t tag)
{
	struct wire_field f = { 0 };
	struct err e;
	size_t n = 0;

	while (wire_next(&r, &f, &e) > 0)
		n += f.tag == tag;
	return n;
}

static int
take_number(const struct wire_field *f, const struct wire_row *row, char *at, struct err *e)
{
	int64_t v;
	int i = 0;

	if (row->type == WIRE_INT) {
		if (wire_get_int(f, row->min, row->max, &i, e) < 0)
			return -1;
		memcpy(at, &i, sizeof(i));
		return 0;
	}
	if (wire_get_i64(f, &v, e) < 0)
		return -1;
	if (row->type == WIRE_U32) {
		uint32_t u = (uint32_t)v;
		if (v < 0 || v > UINT32_MAX)
			return bad_field(f, "number out of range", e);
		memcpy(at, &u, sizeof(u));
	} else {
		memcpy(at, &v, sizeof(v));
	}
	return 0;
}

static int
take_value(
    const struct wire_field *f, const struct wire_row *row, struct arena *a, char *p, struct err *e)
{
	char *at = p + row->offset, *s;
	size_t n = f->len;
	bool flag = false;

	switch ((enum wire_type)row->type) {
	case WIRE_STR:
		if (wire_get_str(f, a, &s, e) < 0)
			return -1;
		memcpy(at, &s, sizeof(s));
		return 0;
	case WIRE_BOOL:
		if (wire_get_bool(f, &flag, e) < 0)
			return -1;
		memcpy(at, &flag, sizeof(flag));
		return 0;
	case WIRE_BYTES:
		s = arena_alloc(a, n + 1);
		memcpy(s, f->data, n);
		memcpy(at, &s, sizeof(s));
		memcpy(p + row->count, &n, sizeof(n));
		return 0;
	case WIRE_ERR:
		return wire_get_err(f, (struct err *)(void *)at, e);
	default:
		return take_number(f, row, at, e);
	}
}

/* The first field of a tag that repeats takes all of them: r still stands after the first. */
static int
take_many(struct wire_field f, struct wire_reader r, const struct wire_row *row, struct arena *a,
    char *p, int depth, struct err *e)
{
	size_t max = row->max > 0 ? (size_t)row->max : WIRE_ITEMS_MAX;
	size_t n = 1 + count_tag(r, row->tag),
	       size = row->type == WIRE_STRS ? sizeof(char *) : row->size;

	if (n > max)
		return bad_field(&f, "too many of them", e);
	char *at = arena_alloc(a, (n + 1) * size);
	for (size_t i = 0; i < n;) {
		if (f.tag == row->tag && row->type == WIRE_STRS) {
			char *s;
			if (wire_get_str(&f, a, &s, e) < 0)
				return -1;
			memcpy(at + i++ * size, &s, sizeof(s));
		} else if (f.tag == row->tag) {
			struct wire_reader in = wire_inside(&f);
			if (take_rows(&in, row->sub, a, at + i++ * size, depth + 1, e) < 0)
				return -1;
		}
		if (i < n && wire_next(&r, &f, e) <= 0)
			return -1;
	}
	memcpy(p + row->offset, &at, sizeof(at));
	if (row->type == WIRE_ITEMS)
		memcpy(p + row->count, &n, sizeof(n));
	return 0;
}

static int
take_rows(struct wire_reader *r, const struct wire_row *rows, struct arena *a, void *object,
    int depth, struct err *e)
{
	uint64_t seen[4] = { 0 }; /* tags are below 256 */
	struct wire_field f = { 0 };
	int more;

	if (depth > DEPTH_MAX)
		return err_new(e, ERR_INPUT, "message nests too deep");
	while ((more = wire_next(r, &f, e)) > 0) {
		const struct wire_row *row = rows;
		while (row->tag != 0 && row->tag != f.tag)
			row++;
		if (row->tag == 0)
			continue;
		bool again = f.tag < 256 && (seen[f.tag / 64] >> (f.tag % 64) & 1);
		if (f.tag < 256)
			seen[f.tag / 64] |= 1ULL << (f.tag % 64);
		if (row->type == WIRE_STRS || row->type == WIRE_ITEMS) {
			if (!again && take_many(f, *r, row, a, object, depth, e) < 0)
				return -1;
		} else if (again) {
			return bad_field(&f, "given twice", e);
		} else if (take_value(&f, row, a, object, e) < 0) {
			return -1;
		}
	}
	return more;
}

int
wire_take(struct wire_reader *r, const struct wire_row *rows, struct arena *a, void *object,
    struct err *e)
{
	return take_rows(r, rows, a, object, 0, e);
}

/* ---- frames ---- */

static int
wait_for(int fd, short what, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = what };

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return err_sys(e, "wait for the peer");
	return 0;
}

union fd_room {
	char bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

static void
attach_fds(struct msghdr *m, union fd_room *room, const int *fds, size_t n)
{
	memset(room, 0, sizeof(*room));
	m->msg_control = room->bytes;
	m->msg_controllen = CMSG_SPACE(n * sizeof(int));
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
}

int
wire_send(int fd, const struct buf *body, const int *fds, size_t n_fds, struct err *e)
{
	uint8_t head[4];
	size_t done = 0, all = sizeof(head) + body->len;
	union fd_room room;

	if (body->len > WIRE_MAX || n_fds > WIRE_FDS_MAX)
		return err_new(e, ERR_INPUT, "message of %zu bytes is too long, at most %d",
		    body->len, WIRE_MAX);
	put_be(head, body->len, 4);
	while (done < all) {
		struct iovec v[2] = { { head + done, sizeof(head) - done },
			{ body->data, body->len } };
		struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
		if (done >= sizeof(head)) {
			v[1].iov_base = body->data + (done - sizeof(head));
			v[1].iov_len = all - done;
			m.msg_iov = v + 1;
			m.msg_iovlen = 1;
		}
		if (done == 0 && n_fds > 0)
			attach_fds(&m, &room, fds, n_fds);
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (wait_for(fd, POLLOUT, e) < 0)
				return -1;
		} else if (n < 0 && errno != EINTR) {
			return err_sys(e, "send message");
		} else if (n > 0) {
			done += (size_t)n;
		}
	}
	return 0;
}

static void
collect_fds(struct msghdr *m, int *fds, size_t *n_fds, size_t room)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*n_fds < room)
				fds[(*n_fds)++] = fd;
			else
				close(fd);
		}
	}
}

/* One recvmsg; -2: nothing now. */
static ssize_t
receive(int fd, void *p, size_t len, int *fds, size_t *n_fds, size_t room)
{
	union fd_room control;
	struct iovec v = { p, len };
	struct msghdr m = { .msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n;

	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -2;
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n >= 0)
		collect_fds(&m, fds, n_fds, room);
	return n;
}

static int
receive_all(int fd, uint8_t *p, size_t len, int *fds, size_t *n_fds, size_t room, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = receive(fd, p + done, len - done, fds, n_fds, room);
		if (n == -2) {
			if (wait_for(fd, POLLIN, e) < 0)
				return -1;
			continue;
		}
		if (n < 0)
			return err_sys(e, "receive message");
		if (n == 0 && done == 0)
			return 0;
		if (n == 0)
			return err_new(e, ERR_REMOTE, "the peer closed inside a message");
		done += (size_t)n;
	}
	return 1;
}

int
wire_recv(int fd, struct buf *body, int *fds, size_t *n_fds, struct err *e)
{
	size_t room = fds != NULL && n_fds != NULL ? *n_fds : 0, count = 0;
	uint8_t head[4];
	int got = receive_all(fd, head, sizeof(head), fds, &count, room, e);

	if (got > 0) {
		uint64_t len = get_be(head, 4);
		buf_reset(body);
		if (len < WIRE_HEAD || len > WIRE_MAX) {
			got = err_new(e, ERR_INPUT, "message of %llu bytes, must be %d to %d",
			    (unsigned long long)len, WIRE_HEAD, WIRE_MAX);
		} else {
			buf_reserve(body, len);
			got = receive_all(fd, (uint8_t *)body->data, len, fds, &count, room, e);
			if (got == 0)
				got = err_new(e, ERR_REMOTE, "the peer closed inside a message");
			else if (got > 0)
				body->data[body->len = len] = '\0';
		}
	}
	if (got <= 0)
		while (fds != NULL && count > 0)
			close(fds[--count]);
	if (n_fds != NULL)
		*n_fds = count;
	return got;
}

int
wire_frame(const struct buf *in, const void **body, size_t *len, struct err *e)
{
	if (in->len < 4)
		return 0;
	uint64_t n = get_be((const uint8_t *)in->data, 4);
	if (n < WIRE_HEAD || n > WIRE_MAX)
		return err_new(e, ERR_INPUT, "message of %llu bytes, must be %d to %d",
		    (unsigned long long)n, WIRE_HEAD, WIRE_MAX);
	if (in->len < 4 + n)
		return 0;
	*body = in->data + 4;
	*len = n;
	return 1;
}

void
wire_frame_add(struct buf *out, const struct buf *body)
{
	uint8_t head[4];

	put_be(head, body->len, 4);
	buf_add(out, head, sizeof(head));
	buf_add(out, body->data, body->len);
}

int
wire_fill(int fd, struct buf *in, int *fds, size_t *n_fds, size_t room, struct err *e)
{
	buf_reserve(in, 16384);
	ssize_t n = receive(fd, in->data + in->len, in->cap - in->len - 1, fds, n_fds, room);

	if (n == -2)
		return 2;
	if (n < 0)
		return err_sys(e, "receive message");
	in->len += (size_t)n;
	in->data[in->len] = '\0';
	return n > 0;
}
