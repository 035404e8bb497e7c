#include "io/url.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT;
	struct url u;
	struct err e;
	char *text = arena_strndup(&a, (const char *)data, size), *out;

	(void)url_parse(text, &a, &u, &e);
	(void)url_unescape(&a, (const char *)data, size, true, &out);
	return 0;
}
