/* A launch message: what is accepted comes back the same after another way through the wire. */
#include "supervise/launch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	autobuf struct buf once = BUF_INIT, twice = BUF_INIT;
	struct launch l, again;
	struct err e;

	if (launch_decode(data, size, &a, &l, &e) < 0)
		return 0;
	launch_encode(&l, &once);
	if (launch_decode(once.data, once.len, &a, &again, &e) < 0)
		abort();
	launch_encode(&again, &twice);
	if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
		abort();
	return 0;
}
