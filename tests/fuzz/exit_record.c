/* What a keeper left about a run that has ended. */
#include "supervise/exit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keeper_exit x;
	struct err e;

	(void)exit_parse((const char *)data, size, &x, &e);
	return 0;
}
