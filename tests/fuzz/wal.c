/* The write-ahead log beside the state, as a crash or a bad disk has left it. */
#include "store/wal.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)wal_damaged(data, size);
	return 0;
}
