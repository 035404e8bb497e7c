/* Frames and fields of codec/wire.h. */
#include "codec/wire.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct item {
	const char *name;
	int n;
};
struct thing {
	const char *name;
	const char *const *list;
	bool flag;
	int small;
	uint32_t u;
	int64_t i;
	const char *bytes;
	size_t n_bytes;
	struct item *items;
	size_t n_items;
	struct err failure;
};
static const struct wire_row item_rows[] = { WIRE_ROW(1, WIRE_STR, struct item, name),
	WIRE_ROW_INT(2, struct item, n, -5, 5), WIRE_ROWS_END };
static const struct wire_row rows[] = { WIRE_ROW(1, WIRE_STR, struct thing, name),
	WIRE_ROW(2, WIRE_STRS, struct thing, list), WIRE_ROW(3, WIRE_BOOL, struct thing, flag),
	WIRE_ROW_INT(4, struct thing, small, 0, 9), WIRE_ROW(5, WIRE_U32, struct thing, u),
	WIRE_ROW(6, WIRE_I64, struct thing, i), WIRE_ROW_BYTES(7, struct thing, bytes, n_bytes),
	WIRE_ROW_ITEMS(8, struct thing, items, n_items, struct item, item_rows, 3),
	WIRE_ROW(9, WIRE_ERR, struct thing, failure), WIRE_ROWS_END };

static int
take_thing(const struct buf *b, struct arena *a, struct thing *out, struct err *e)
{
	struct wire_head head;
	struct wire_reader r;

	memset(out, 0, sizeof(*out));
	if (wire_read(b->data, b->len, &head, &r, e) < 0)
		return -1;
	return wire_take(&r, rows, a, out, e);
}

static void
a_struct_comes_back_as_it_was(void **state)
{
	(void)state;
	autobuf struct buf b = BUF_INIT;
	autoarena struct arena a = ARENA_INIT;
	const char *list[] = { "a", "", "c", NULL };
	struct item items[] = { { "x", -3 }, { "y", 4 } };
	struct thing in = { "web", list, true, 7, 4000000000u, -5, "a\0b", 3, items, 2,
		{ ERR_FULL, 28, "no room" } };
	struct thing out;
	struct err e;

	wire_begin(&b, 42, 7);
	wire_put(&b, rows, &in);
	assert_int_equal(take_thing(&b, &a, &out, &e), 0);
	assert_string_equal(out.name, "web");
	assert_string_equal(out.list[1], "");
	assert_string_equal(out.list[2], "c");
	assert_null(out.list[3]);
	assert_true(out.flag);
	assert_int_equal(out.small, 7);
	assert_int_equal(out.u, 4000000000u);
	assert_int_equal(out.i, -5);
	assert_int_equal(out.n_bytes, 3);
	assert_memory_equal(out.bytes, "a\0b", 3);
	assert_int_equal(out.n_items, 2);
	assert_string_equal(out.items[1].name, "y");
	assert_int_equal(out.items[0].n, -3);
	assert_int_equal(out.failure.kind, ERR_FULL);
	assert_string_equal(out.failure.text, "no room");
}

static void
malformed_bodies_are_refused(void **state)
{
	(void)state;
	autobuf struct buf b = BUF_INIT;
	autoarena struct arena a = ARENA_INIT;
	struct thing in = { .name = "web" }, out;
	struct err e;

	wire_begin(&b, 1, 1);
	wire_put(&b, rows, &in);
	for (size_t cut = 1; cut < b.len; cut++) {
		struct buf shorter = { b.data, cut, b.cap };
		if (cut != WIRE_HEAD)
			assert_int_equal(take_thing(&shorter, &a, &out, &e), -1);
	}
	wire_str(&b, 1, "again");
	assert_int_equal(take_thing(&b, &a, &out, &e), -1);
	wire_begin(&b, 1, 1);
	wire_i64(&b, 4, 10); /* above its bound */
	assert_int_equal(take_thing(&b, &a, &out, &e), -1);
	wire_begin(&b, 1, 1);
	wire_bytes(&b, 1, "a\0b", 3);
	assert_int_equal(take_thing(&b, &a, &out, &e), -1);
	wire_begin(&b, 1, 1);
	for (int i = 0; i < 4; i++)
		wire_shut(&b, wire_open(&b, 8)); /* at most 3 */
	assert_int_equal(take_thing(&b, &a, &out, &e), -1);
	b.data[0] = 9; /* another version */
	assert_int_equal(take_thing(&b, &a, &out, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

static void
unknown_fields_are_skipped(void **state)
{
	(void)state;
	autobuf struct buf b = BUF_INIT;
	autoarena struct arena a = ARENA_INIT;
	struct thing out;
	struct err e;

	wire_begin(&b, 1, 1);
	wire_str(&b, 999, "of the future");
	wire_str(&b, 1, "web");
	assert_int_equal(take_thing(&b, &a, &out, &e), 0);
	assert_string_equal(out.name, "web");
}

static void
frames_carry_descriptors(void **state)
{
	(void)state;
	autobuf struct buf b = BUF_INIT, in = BUF_INIT;
	int s[2], p[2], fds[2];
	size_t n = 2;
	char c = 0;
	struct err e;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	wire_begin(&b, 5, 6);
	assert_int_equal(wire_send(s[0], &b, &p[1], 1, &e), 0);
	assert_int_equal(wire_recv(s[1], &in, fds, &n, &e), 1);
	assert_int_equal(n, 1);
	assert_int_equal(in.len, b.len);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(fds[0]);
	close(p[0]);
	close(p[1]);
	/* the same through a buffer, in two pieces */
	buf_reset(&in);
	assert_int_equal(wire_send(s[0], &b, NULL, 0, &e), 0);
	const void *body;
	size_t len;
	n = 0;
	assert_int_equal(wire_fill(s[1], &in, fds, &n, 2, &e), 1);
	size_t all = in.len;
	in.len = 5;
	assert_int_equal(wire_frame(&in, &body, &len, &e), 0);
	in.len = all;
	assert_int_equal(wire_frame(&in, &body, &len, &e), 1);
	assert_int_equal(len, b.len);
	close(s[0]);
	assert_int_equal(wire_fill(s[1], &in, fds, &n, 2, &e), 0);
	buf_reset(&in);
	buf_add(&in, "\xff\xff\xff\xff", 4);
	assert_int_equal(wire_frame(&in, &body, &len, &e), -1);
	close(s[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_struct_comes_back_as_it_was),
		cmocka_unit_test(malformed_bodies_are_refused),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(frames_carry_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
