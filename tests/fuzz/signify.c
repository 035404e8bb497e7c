/* The files of signify(1). The first byte chooses which; a signature that is read can be written.
 */
#include "codec/signify.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct signify_public public;
	struct signify_secret secret;
	struct signify_signature sig, again;
	struct err e;

	if (size == 0)
		return 0;
	const char *text = (const char *)data + 1;
	switch (data[0] % 3) {
	case 0:
		(void)signify_public_parse(text, size - 1, &public, &e);
		return 0;
	case 1:
		(void)signify_secret_parse(text, size - 1, &secret, &e);
		return 0;
	default:
		break;
	}
	if (signify_signature_parse(text, size - 1, &sig, &e) < 0)
		return 0;
	struct buf out = BUF_INIT;
	signify_signature_text(&sig, "again", &out);
	assert(signify_signature_parse(buf_str(&out), out.len, &again, &e) == 0);
	assert(memcmp(&sig, &again, sizeof(sig)) == 0);
	buf_fini(&out);
	return 0;
}
