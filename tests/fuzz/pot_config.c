/* The framework's configuration, which an administrator writes. */
#include "pot/priv.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena mem = ARENA_INIT;
	struct pot_config c;
	struct err e;

	pot_config_defaults(&c, &mem);
	(void)pot_config_parse(&c, &mem, "fuzz", (const char *)data, size, &e);
	return 0;
}
