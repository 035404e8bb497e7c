#include "io/http1.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says what it is: a request, an answer, or a chunked body in pieces. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	struct http1_head h;
	struct err e;
	int status;

	if (size < 1)
		return 0;
	const char *text = (const char *)data + 1;
	size_t len = size - 1;
	if (data[0] == 'q')
		(void)http1_request(text, len, &a, &h, &status, &e);
	else if (data[0] == 'a')
		(void)http1_response(text, len, &a, &h, &e);
	else {
		struct http1_chunks c = { .state = 0 };
		for (size_t at = 0, used, n; at < len; at += used) {
			const char *piece;
			size_t step = data[0] % 7u + 1 < len - at ? data[0] % 7u + 1 : len - at;
			enum http1_chunk got = http1_chunk(&c, text + at, step, &used, &piece, &n);
			if (got == HTTP1_END || got == HTTP1_BAD)
				break;
		}
	}
	return 0;
}
