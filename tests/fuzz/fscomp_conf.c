/* fscomp.conf: reading, and the round trip. */
#include "pot/priv.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena mem = ARENA_INIT;
	autobuf struct buf text = BUF_INIT;
	struct fscomps l, again;
	struct err e;

	if (fscomp_parse((const char *)data, size, "/opt/pot/jails/fuzz/m", &mem, &l, &e) < 0)
		return 0;
	fscomp_write(&l, &text);
	assert(fscomp_parse(buf_str(&text), text.len, NULL, &mem, &again, &e) == 0);
	assert(again.n == l.n);
	return 0;
}
