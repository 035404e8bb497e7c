/* What recovery reads: the description of a dataset. What is taken must come out the same again. */
#include "platform/overlay/meta.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autometa struct meta m = META_INIT, again = META_INIT;
	autobuf struct buf a = BUF_INIT, b = BUF_INIT;
	struct err e;

	if (size > META_MAX || meta_parse((const char *)data, size, &m, &e) < 0)
		return 0;
	meta_write(&m, &a);
	assert(meta_parse(buf_str(&a), a.len, &again, &e) == 0);
	meta_write(&again, &b);
	assert(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
	return 0;
}
