/* fscomp.conf: reading, and the round trip. */
#include "pot/priv.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

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
	/* rewritten beside what means nothing: read as the same, and rewritten again as the same */
	autobuf struct buf merged = BUF_INIT, twice = BUF_INIT;
	fscomp_merge((const char *)data, size, "/opt/pot/jails/fuzz/m", &l, &merged);
	assert(fscomp_parse(buf_str(&merged), merged.len, NULL, &mem, &again, &e) == 0);
	assert(again.n == l.n);
	for (size_t i = 0; i < l.n; i++)
		assert(strcmp(again.at[i].source, l.at[i].source) == 0 &&
		       strcmp(again.at[i].target, l.at[i].target) == 0);
	fscomp_merge(buf_str(&merged), merged.len, NULL, &again, &twice);
	assert(
	    twice.len == merged.len && memcmp(buf_str(&twice), buf_str(&merged), merged.len) == 0);
	return 0;
}
