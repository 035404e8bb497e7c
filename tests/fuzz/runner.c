/* Requests to the runner, which is root, and its replies. */
#include "pot/runner_proto.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf body = BUF_INIT;
	struct runner_request q;
	struct runner_reply p;
	struct err e;

	if (runner_request_decode(data, size, &a, &q, &e) == 0) {
		runner_request_encode(&q, &body);
		if (runner_request_decode(body.data, body.len, &a, &q, &e) < 0)
			abort();
	}
	if (runner_reply_decode(data, size, &a, &p, &e) == 0) {
		runner_reply_encode(&p, &body);
		if (runner_reply_decode(body.data, body.len, &a, &p, &e) < 0)
			abort();
	}
	return 0;
}
