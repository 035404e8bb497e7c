/* The run record, which recovery reads from disk. */
#include "pot/run.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r;
	struct err e;

	(void)run_parse((const char *)data, size, &r, &e);
	return 0;
}
