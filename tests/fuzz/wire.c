/* Frames out of a stream, and the fields in them, as deep as they go. */
#include "codec/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fields(struct wire_reader r, int depth)
{
	autoarena struct arena a = ARENA_INIT;
	struct wire_list list = { 0 };
	struct wire_field f;
	struct err e, failure;
	char *text;
	uint64_t u;
	int64_t i;
	int n;
	bool b;

	while (wire_next(&r, &f, &e) > 0) {
		(void)wire_get_u64(&f, &u, &e);
		(void)wire_get_i64(&f, &i, &e);
		(void)wire_get_int(&f, -5, 5, &n, &e);
		(void)wire_get_bool(&f, &b, &e);
		(void)wire_get_str(&f, &a, &text, &e);
		(void)wire_get_err(&f, &failure, &e);
		(void)wire_list_add(&list, &f, &a, &e);
		if (depth < 4)
			fields(wire_inside(&f), depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf in = { .data = (char *)(uintptr_t)data, .len = size, .cap = size };
	struct wire_head head;
	struct wire_reader r;
	const void *body;
	size_t len;
	struct err e;

	while (wire_frame(&in, &body, &len, &e) > 0) {
		if (wire_read(body, len, &head, &r, &e) == 0)
			fields(r, 0);
		in.data += 4 + len;
		in.len -= 4 + len;
	}
	return 0;
}
