/* The small files beside an image. The first byte chooses which; what is read back must hold. */
#include "image/meta.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t digest[SKEIN_DIGEST], again[SKEIN_DIGEST];
	char hex[SKEIN_HEX];
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
	if (image_meta_parse((const char *)data + 1, size - 1, &m, &e) < 0)
		return 0;
	struct buf text = BUF_INIT;
	image_meta_text(&m, &text);
	assert(image_meta_parse(buf_str(&text), text.len, &copy, &e) == 0);
	assert(strcmp(m.origin, copy.origin) == 0 && strcmp(m.tag, copy.tag) == 0);
	assert(strcmp(m.own_snapshot, copy.own_snapshot) == 0 && strcmp(m.os, copy.os) == 0);
	assert(m.format == copy.format && strcmp(m.snapshot, copy.snapshot) == 0);
	buf_fini(&text);
	return 0;
}
