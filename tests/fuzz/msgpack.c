#include "codec/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena mem = ARENA_INIT;
	struct err e = ERR_INIT;

	(void)msgpack_read(data, size, &mem, &e);
	return 0;
}
