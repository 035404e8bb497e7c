/* The small files beside an image. The first byte chooses which; what is read back must hold. */
#include "image/meta.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t digest[SKEIN_DIGEST], again[SKEIN_DIGEST];
	char hex[SKEIN_HEX], line[3 * META_NAME + 8];
	struct meta m, copy;
	struct err e;

	if (size == 0)
		return 0;
	if (data[0] % 2 == 0) {
		if (digest_parse((const char *)data + 1, size - 1, digest, &e) < 0)
			return 0;
		skein_hex(digest, hex);
		assert(digest_parse(hex, strlen(hex), again, &e) == 0);
		assert(memcmp(digest, again, sizeof(digest)) == 0);
		return 0;
	}
	if (meta_parse((const char *)data + 1, size - 1, &m, &e) < 0 || m.origin[0] == '\0')
		return 0;
	snprintf(line, sizeof(line), "%s:%s@%s\n", m.origin, m.tag, m.snapshot);
	assert(meta_parse(line, strlen(line), &copy, &e) == 0);
	assert(strcmp(m.origin, copy.origin) == 0 && strcmp(m.tag, copy.tag) == 0);
	return 0;
}
